"""Any model as BPMN in the Zeebe dialect, with a diagram: what `flowledger convert` writes, and what the designer opens."""

from __future__ import annotations

from typing import Any

from lxml import etree

from flowledger.kernel.findings import Finding
from flowledger.kernel.model import formats, layout, read
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.dialects import to_zeebe


def as_bpmn(data: bytes, name: str) -> tuple[bytes | None, list[Finding]]:
    """The document, or None when there can be none. One that is in our dialect and drawn is kept to the byte.

    Returns:
        With the document the findings of the file itself that it still has (`CLASSIC_*`: what could not be written anew); without one, why.
    """
    graph, findings = read(data, name)
    format = formats.detect(data, name)
    tree: Any = None
    left: list[Finding] = []
    changed = False
    if format == "bpmn" and graph is not None:
        tree = x.parse(data)
        if changed := to_zeebe.is_classic(tree):
            tree = to_zeebe.convert(tree)
            still = {(f.code, f.element) for f in read(etree.tostring(tree), name)[1]}
            left = [f for f in findings if f.code.startswith("CLASSIC") and (f.code, f.element) in still]
    elif format in formats.READERS:
        tree = formats.convert(format, data, name).tree
    if tree is None:
        if graph is not None:
            findings = [*findings, Finding("NOT_BPMN", f"expected a process, found {formats.FORMATS[format]}", file=name)]
        return None, findings
    if format == "bpmn" and not changed and tree.find(f".//{{{formats.build.DI_NS['bpmndi']}}}BPMNPlane") is not None:
        return data, left
    source: bytes = etree.tostring(layout.add(tree), xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return source, left


def to_show(data: bytes, name: str) -> bytes | None:
    """What a viewer shows: BPMN in which each process is drawn. One that has its drawing is kept to the byte, one without gets ours.

    Returns:
        None when there is no process that could be shown.
    """
    if formats.detect(data, name) != "bpmn":
        return as_bpmn(data, name)[0]
    try:
        tree = x.parse(data)
    except x.BadXml:
        return None
    if not layout.undrawn(tree):
        return data
    source: bytes = etree.tostring(layout.add(tree), xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return source

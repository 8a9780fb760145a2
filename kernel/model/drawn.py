"""Any model as BPMN in the Zeebe dialect, with a diagram: what `flowledger convert` writes, and what the designer opens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from lxml import etree

from flowledger.kernel.findings import Finding
from flowledger.kernel.markup import BadXml
from flowledger.kernel.model import formats, layout, read
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.canonical import graph_hash
from flowledger.kernel.model.checks import grammar
from flowledger.kernel.model.dialects import to_zeebe
from flowledger.kernel.model.formats import bpml_shapes, write_bpml, write_process, write_steps


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


#: formats that a drawing is written in; texts with their findings: several where there are several ways to say the same
_WRITERS: dict[str, Callable[[Any, str], tuple[list[tuple[str, list[Finding]]], list[Finding]]]] = {
    "process-json": write_process.write,
    "steps": write_steps.write,
    "bpml": write_bpml.write,
}


def as_text(data: bytes, name: str, to: str) -> tuple[str | None, list[Finding], bool]:
    """The process in that format, what was left out, and whether it does the same: what was written is read again, and the hashes of both graphs
    are compared. Where only something was left out that changes nothing, that is said as an info."""
    source, findings = as_bpmn(data, name)
    if source is None:
        return None, findings, False
    tree = x.parse(source)
    x.canonical(tree, grammar.COLLAPSED, grammar.BOOLEANS)
    texts, why = _WRITERS[to](tree, name)
    if not texts:
        return None, [*findings, *why], False
    hashed = _meaning if to == "bpml" else _hash
    before = hashed(source, "x.bpmn")
    told = []
    for text, left in texts:
        after = hashed(text.encode(), "x.bpml" if to == "bpml" else "x.json")
        told.append((before is not None and before == after, after is not None, text, left))
    same, _, text, left = max(told, key=lambda found: found[:2])
    if same:
        left = [msgspec.structs.replace(f, severity="info") for f in left]
    elif not left:
        left = [Finding("WRITE_OTHER", "the text does not do quite the same as the drawing", "warning", file=name)]
    return text, [*findings, *left], same


def as_json(data: bytes, name: str) -> tuple[str | None, list[Finding], bool]:
    """As the simplified JSON."""
    return as_text(data, name, "process-json")


def _hash(data: bytes, name: str) -> str | None:
    graph, _ = read(data, name)
    processes = [p for p in graph.processes.values() if p.executable] if graph is not None else []
    return graph_hash(processes[0]) if len(processes) == 1 else None


def _meaning(data: bytes, name: str) -> str | None:
    """As `_hash`, of all processes, and without what BPML puts otherwise and does the same: expressions by what they mean, no gateways that only bring
    ways together."""
    source, _ = as_bpmn(data, name)
    if source is None or read(data, name)[0] is None:
        return None
    tree = x.parse(source)
    x.canonical(tree, grammar.COLLAPSED, grammar.BOOLEANS)
    graph, _ = read(etree.tostring(bpml_shapes.compared(tree)), "x.bpmn")
    processes = [p for p in graph.processes.values() if p.executable] if graph is not None else []
    return " ".join(sorted(graph_hash(p) for p in processes)) or None


def to_show(data: bytes, name: str) -> bytes | None:
    """What a viewer shows: BPMN in which each process is drawn. One that has its drawing is kept to the byte, one without gets ours.

    Returns:
        None when there is no process that could be shown.
    """
    if formats.detect(data, name) != "bpmn":
        return as_bpmn(data, name)[0]
    try:
        tree = x.parse(data)
    except BadXml:
        return None
    if not layout.undrawn(tree):
        return data
    source: bytes = etree.tostring(layout.add(tree), xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return source

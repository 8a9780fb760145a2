"""The graph, its checks, and a reader per format. `read` takes any format, told apart by content."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.kernel.findings import Finding


def read(data: bytes, name: str = "") -> tuple[Any, list[Finding]]:
    """The graph of a model in any format and its findings.

    Returns:
        (graph, findings). The graph is None when the file can't be read at all. With an error among the findings it may be looked at, not run.
    """
    from flowledger.kernel.model import bpmn, checks, encodings, formats

    data = encodings.bytewise(data)
    format = formats.detect(data, name)
    if format == "bpmn":
        return bpmn.read(data, name)
    if format == "dmn":
        from flowledger.kernel.model import dmn_resource

        return dmn_resource.read(data, name)
    if format == "form":
        from flowledger.kernel.model import form_resource

        return form_resource.read(data, name)
    if format == "trigger":
        from flowledger.kernel.model import trigger_resource

        return trigger_resource.read(data, name)
    if format == "rules":
        from flowledger.kernel.model import rules_resource

        return rules_resource.read(data, name)
    done = formats.convert(format, data, name)
    if done.tree is None:
        return None, done.findings
    graph, more = bpmn.read_tree(done.tree, name, data)
    if graph is not None:
        graph.format = format
    said = {msgspec.structs.astuple(f) for f in done.findings}
    found = [f for f in formats.located(more, done.places) if checks.concerns_source(f) and msgspec.structs.astuple(f) not in said]
    return graph, done.findings + found


__all__ = ["Finding", "read"]

"""A DMN file as a resource: its decisions can be deployed, called by business rule tasks and evaluated on request."""

from __future__ import annotations

import hashlib

from flowledger.kernel import dmn
from flowledger.kernel.findings import Finding
from flowledger.kernel.model.graph import Graph


def read(data: bytes, name: str = "") -> tuple[Graph | None, list[Finding]]:
    """(graph with `decisions` set, findings); None when the file can't be read at all."""
    try:
        model = dmn.read(data)
    except dmn.DmnError as e:
        return None, [Finding("DMN_UNREADABLE", str(e), file=name)]
    graph = Graph("dmn", name)
    graph.hash = hashlib.sha256(data).hexdigest()
    graph.source = data
    graph.decisions = model
    return graph, dmn.findings(data, file=name)

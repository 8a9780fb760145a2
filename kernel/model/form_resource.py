"""A form (Camunda form JSON) as a resource: kept and versioned by its id; the engine hands it to those who show it."""

from __future__ import annotations

import hashlib

import msgspec

from flowledger.kernel.findings import Finding
from flowledger.kernel.model.graph import Graph


def read(data: bytes, name: str = "") -> tuple[Graph | None, list[Finding]]:
    """(graph whose name is the form's id, findings); None when it is no form."""
    try:
        form = msgspec.json.decode(data)
    except msgspec.DecodeError as e:
        return None, [Finding("FORM_UNREADABLE", f"expected a form as JSON: {e}", file=name)]
    id = form.get("id") if isinstance(form, dict) else None
    if not isinstance(id, str) or not id:
        return None, [
            Finding("FORM_WITHOUT_ID", "expected a form with an 'id', found none", file=name, hint='{"id": "my-form", "components": [...]}')
        ]
    graph = Graph("form", id)
    graph.hash = hashlib.sha256(data).hexdigest()
    graph.source = data
    graph.form = form
    if not isinstance(form.get("components"), list):
        return graph, [
            Finding("FORM_WITHOUT_COMPONENTS", f"form '{id}' has no list of components", severity="warning", element=id, file=name)
        ]
    return graph, []

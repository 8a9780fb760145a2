"""What can be started: table `workflow_definitions`.

Every partition's log tells of each definition; partition 0, where it was decided, has the last word, so that the rows don't depend on
which partition is read first. The others only make sure that a row exists. Events of version 1 did not tell what the graph is and what was found in it:
that follows from the content as it did when it was deployed.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import definition as de
from flowledger.kernel import model
from flowledger.kernel.handlers import definitions as deployed
from flowledger.kernel.handlers.deployable import validation
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table
from flowledger.projections.words import DEFINITION_STATUSES, int4, parts_of

VERSION = 5
TABLE = Table(
    "workflow_definitions",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "definition_id": "varchar(255)", "kind": "varchar(30)", "name": "varchar(255)",
        "name_parts": "text[]", "description": "text", "version": "integer", "version_tag": "varchar(50)", "content": "text", "content_hash": "varchar(64)",
        "resource": "varchar(1024)", "format": "varchar(10)", "notation": "varchar(20)", "status": "varchar(20)", "reason": "text",
        "deployment_id": "bigint", "created_at": "timestamptz", "updated_at": "timestamptz", "created_by": "varchar(255)",
        "deleted_at": "timestamptz", "validation_result": "jsonb", "graph_hash": "varchar(64)", "outline": "jsonb", "metadata": "jsonb", "row_version": "integer",
    },
)  # fmt: skip
JSON_NOTATIONS = frozenset({"json", "yaml", "form", "steps"})


def _told(f: Fold, e: de.DefinitionCreated) -> tuple[str, Any]:
    """Hash of its graph, and what a check found: as the event says, else by its content. Of a resource the first definition has that."""
    if e.graph_hash or e.validation is not None:
        return e.graph_hash, e.validation
    contents, place = f.context.contents, (e.deployment, e.hash)
    if e.content:
        if contents and next(iter(contents))[0] != e.deployment:
            contents.clear()
        contents[place] = e.content
    if place not in contents:
        return "", None
    try:
        graph, findings = model.read(contents[place].encode(), e.resource)
        return deployed.about(graph, e.kind, e.id).get("graph_hash", "") if graph is not None else "", validation(list(findings))
    except Exception:  # noqa: BLE001 - a reader of today need not read what one of then did: the row stays without
        return "", None


def created(f: Fold, e: de.DefinitionCreated) -> None:
    graph_hash, found = _told(f, e)
    metadata = e.metadata if isinstance(e.metadata, dict) else {}
    row = {
        "tenant_id": f.tenant, "id": e.key, "definition_id": e.id, "kind": e.kind, "name": e.name or e.id, "name_parts": parts_of(e.name or e.id),
        "description": str(metadata.get("description") or ""), "version": int4(e.version), "version_tag": e.version_tag,
        "content": e.content, "content_hash": e.hash, "resource": e.resource, "format": "json" if e.format in JSON_NOTATIONS else "xml",
        "notation": e.format, "status": e.status if e.status in DEFINITION_STATUSES else "draft", "reason": "",
        "deployment_id": e.deployment,
        "created_at": f.now, "updated_at": f.now, "created_by": f.env.actor, "deleted_at": None,
        "validation_result": found, "graph_hash": graph_hash, "outline": e.outline, "metadata": e.metadata, "row_version": 0,
    }  # fmt: skip
    if f.partition == 0:
        f.changes.upsert(TABLE.name, e.key, row)
    else:
        f.changes.ensure(TABLE.name, e.key, row)


def _change(f: Fold, key: int, columns: dict[str, object]) -> None:
    if f.partition == 0:
        ident = (f.tenant, key)
        f.changes.update(TABLE.name, key, ident, {**columns, "updated_at": f.now})
        f.changes.add(TABLE.name, key, ident, "row_version", 1)


def status_changed(f: Fold, e: de.DefinitionStatusChanged) -> None:
    if e.status in DEFINITION_STATUSES:
        _change(f, e.key, {"status": e.status, "reason": e.reason})


def updated(f: Fold, e: de.DefinitionUpdated) -> None:
    columns: dict[str, object] = {"content_hash": e.hash}
    if e.name:
        columns["name"], columns["name_parts"] = e.name, parts_of(e.name)
    if e.content:
        columns["content"] = e.content
    if e.metadata is not None:
        columns["metadata"] = e.metadata
    if e.validation is not None:
        columns["validation_result"] = e.validation
    if e.graph_hash:
        columns["graph_hash"] = e.graph_hash
    if e.graph_hash or e.outline is not None:
        columns["outline"] = e.outline
    if e.reason:
        columns["reason"] = e.reason
    _change(f, e.key, columns)


def deleted(f: Fold, e: de.DefinitionDeleted) -> None:
    _change(f, e.key, {"deleted_at": f.now, "reason": e.reason})


VIEW = View(
    "definitions",
    VERSION,
    "010_definitions.sql",
    (TABLE,),
    {
        de.DefinitionCreated: created,
        de.DefinitionStatusChanged: status_changed,
        de.DefinitionUpdated: updated,
        de.DefinitionDeleted: deleted,
    },
)

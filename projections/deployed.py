"""Definitions that a model needs which isn't deployed itself: what it calls and imports, as it would find them (docs/http-api.md, Trying models)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from flowledger.kernel import limits
from flowledger.projections import decision_models
from flowledger.projections.reader import Reader, Row


class Wanted(NamedTuple):
    """`deployment`: of the same one, by its key; `tag`: the newest with this version tag; neither: the newest published version."""

    kind: str
    id: str
    tag: str = ""
    deployment: int = 0


_NAMED = """
SELECT DISTINCT ON (w.n) d.id FROM unnest(%(kinds)s::text[], %(ids)s::text[], %(tags)s::text[], %(deployments)s::bigint[])
    WITH ORDINALITY AS w(kind, id, tag, deployment, n)
JOIN workflow_definitions d ON d.tenant_id = %(tenant)s AND d.kind = w.kind AND d.definition_id = w.id AND d.deleted_at IS NULL AND (
    CASE WHEN w.deployment <> 0 THEN d.deployment_id = w.deployment WHEN w.tag <> '' THEN d.version_tag = w.tag ELSE d.status = 'published' END)
ORDER BY w.n, d.version DESC
"""
_ROWS = """
SELECT d.id AS key, d.definition_id AS id, d.kind, d.version, d.content_hash AS hash, d.name, d.version_tag, d.resource, d.notation AS format,
    d.deployment_id AS deployment, d.status, d.graph_hash, d.outline, coalesce(nullif(d.content, ''), (SELECT s.content FROM workflow_definitions s
    WHERE s.tenant_id = d.tenant_id AND s.content_hash = d.content_hash AND s.content <> '' LIMIT 1), '') AS content
FROM workflow_definitions d WHERE d.tenant_id = %(tenant)s AND d.id = ANY(%(keys)s::bigint[])
"""


async def needed(r: Reader, tenant: str, wanted: Sequence[Wanted], namespaces: Sequence[str]) -> list[Row]:
    """The fields of their `definition.created` events with their content, and below decision models those that they are bound to."""
    keys: set[int] = set()
    if wanted:
        given = {"kinds": [w.kind for w in wanted], "ids": [w.id for w in wanted], "tags": [w.tag for w in wanted]}
        rows = await r.rows(_NAMED, {**given, "deployments": [w.deployment for w in wanted], "tenant": tenant})
        keys |= {row["id"] for row in rows}
    if namespaces:
        keys |= {row["key"] for row in await decision_models.importable(r, tenant, namespaces)}
    found: dict[int, Row] = {}
    for _ in range(limits.DMN_DEPTH_MAX):
        if not keys:
            break
        rows = await r.rows(_ROWS, {"tenant": tenant, "keys": sorted(keys)})
        found |= {row["key"]: row for row in rows}
        keys = {int(one["key"]) for row in rows for one in imports(row).values()} - found.keys()
    return [found[key] for key in sorted(found)]


def imports(row: Row) -> Row:
    """By namespace what a decision model was bound to."""
    said = (row["outline"] or {}).get("")
    told = said.get("imports") if isinstance(said, dict) else None
    return told if isinstance(told, dict) else {}

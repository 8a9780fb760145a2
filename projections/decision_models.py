"""Decision models that are deployed, as others import them: what a check of a model says must be what its deployment would (docs/dmn.md)."""

from __future__ import annotations

from collections.abc import Sequence

from flowledger.kernel import limits
from flowledger.projections.reader import Reader, Row

#: several models of one namespace are told apart by the names of their files; more of them than this are read of none
CANDIDATES_MAX = 200
_COLUMNS = """
d.id, d.definition_id, d.version, d.resource, outline -> '' -> 'imports' AS imports, coalesce(nullif(d.content, ''), (SELECT s.content
    FROM workflow_definitions s WHERE s.tenant_id = d.tenant_id AND s.content_hash = d.content_hash AND s.content <> '' LIMIT 1), '') AS content
"""
#: of each the newest published version; earlier releases did not write the namespace down
_NAMED = f"""
SELECT DISTINCT ON (d.definition_id, md5(outline -> '' ->> 'namespace')) {_COLUMNS} FROM workflow_definitions d
WHERE d.tenant_id = %(tenant)s AND d.kind = 'drg' AND d.status = 'published' AND d.deleted_at IS NULL AND (
    md5(outline -> '' ->> 'namespace') IN (SELECT md5(n) FROM unnest(%(namespaces)s::text[]) n) OR md5(outline -> '' ->> 'namespace') IS NULL)
ORDER BY d.definition_id, md5(outline -> '' ->> 'namespace'), d.version DESC LIMIT %(most)s
"""  # noqa: S608 - columns of this file
_BOUND = f"SELECT {_COLUMNS} FROM workflow_definitions d WHERE d.tenant_id = %(tenant)s AND d.id = ANY(%(keys)s::bigint[])"  # noqa: S608


async def importable(r: Reader, tenant: str, namespaces: Sequence[str]) -> list[Row]:
    """Published models with these namespaces, and below them those that they were bound to when they were deployed.

    Each: `{key, id, version, resource, content, imports: {namespace: key}, asked}`; `asked`: it isn't only there because another one needs it.
    """
    rows = await r.rows(_NAMED, {"tenant": tenant, "namespaces": [*namespaces], "most": CANDIDATES_MAX})
    found: dict[int, Row] = {}
    asked = True
    for _ in range(limits.DMN_DEPTH_MAX):
        for row in rows:
            imports = {namespace: int(one["key"]) for namespace, one in (row["imports"] or {}).items()}
            found[row["id"]] = {
                "key": row["id"], "id": row["definition_id"], "version": row["version"], "resource": row["resource"],
                "content": row["content"], "imports": imports, "asked": asked,
            }  # fmt: skip
        below = {key for row in rows for key in found[row["id"]]["imports"].values()} - found.keys()
        if not below or len(found) > limits.DMN_MODELS_MAX + CANDIDATES_MAX:
            break
        rows, asked = await r.rows(_BOUND, {"tenant": tenant, "keys": sorted(below)}), False
    return [*found.values()]

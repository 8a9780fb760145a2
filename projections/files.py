"""Answers about files, see `queries.py`."""

from __future__ import annotations

from collections.abc import Sequence

from flowledger.projections.reader import Reader, Row


async def files_of(r: Reader, tenant: str, holder: int) -> Row:
    """`{items, position}`: what is attached to a task or an instance."""
    position = await r.position()
    rows = await r.rows("SELECT files FROM workflow_files WHERE tenant_id = %s AND id = %s", (tenant, holder))
    return {"items": list((rows[0]["files"] if rows else None) or ()), "position": position}


async def needed(r: Reader, names: Sequence[str]) -> set[str]:
    """Of these (`AREA/SHA256`) those that something refers to, whatever its tenant."""
    rows = await r.rows("SELECT hashes FROM workflow_files WHERE hashes && %s::text[]", (list(names),))
    return {h for row in rows for h in row["hashes"]} & set(names)

"""What has ended, and what is sealed under which key: for whoever looks after how long things are kept (`api/retaining.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from flowledger.projections.reader import Reader, Row
from flowledger.projections.subjects import KEY, SEALED, sealed_like

_ENDED = "status IN ('completed', 'failed', 'cancelled', 'terminated')"
_AT = "coalesce(i.completed_at, i.cancelled_at)"
#: a called instance is kept as long as what called it goes on
_DUE = (
    f"i.tenant_id = %s AND i.{_ENDED} AND (%s = '' OR i.process_id = %s) AND i.process_id <> ALL(%s) AND {_AT} < %s AND i.created_at < %s "  # noqa: S608
    "AND NOT EXISTS (SELECT 1 FROM workflow_instances r WHERE r.tenant_id = i.tenant_id AND r.id = i.root_id AND r.id <> i.id "
    f"AND NOT r.{_ENDED})"
)


class Term(NamedTuple):
    """What has ended before `before` is due: instances of a process (empty: of all but those in `others`, which have terms of their own)."""

    process: str
    before: datetime
    others: Sequence[str] = ()


async def due(r: Reader, tenant: str, term: Term, after: tuple[datetime, int] | None, limit: int) -> list[Row]:
    """`{id, created_at, process_id, ended_at}`, the oldest first, behind `after`."""
    at, id = after or (datetime.min, 0)
    return await r.rows(
        f"SELECT i.id, i.created_at, i.process_id, {_AT} AS ended_at FROM workflow_instances i WHERE {_DUE} "  # noqa: S608
        "AND (i.created_at, i.id) > (coalesce(%s, '-infinity'::timestamptz), %s) ORDER BY i.created_at, i.id LIMIT %s",
        (tenant, term.process, term.process, list(term.others), term.before, term.before, at if after else None, id, limit),
    )


async def count(r: Reader, tenant: str, term: Term, most: int) -> int:
    """How many instances are due; it is not counted beyond `most`."""
    found = await r.rows(
        f"SELECT count(*) AS n FROM (SELECT 1 FROM workflow_instances i WHERE {_DUE} LIMIT %s) AS these",  # noqa: S608
        (tenant, term.process, term.process, list(term.others), term.before, term.before, most),
    )
    return int(found[0]["n"])


async def keys_in(r: Reader, tenant: str, instances: Sequence[int]) -> dict[int, Sequence[str]]:
    """Instance -> the keys under which something of it is sealed."""
    found = await r.rows(
        f"SELECT DISTINCT workflow_instance_id AS i, {KEY} AS key FROM variables WHERE tenant_id = %s AND workflow_instance_id = ANY(%s) AND {SEALED}",  # noqa: S608
        (tenant, list(instances)),
    )
    out: dict[int, list[str]] = {}
    for row in found:
        out.setdefault(row["i"], []).append(row["key"])
    return {**out}


async def needed(r: Reader, tenant: str, key: str, terms: Sequence[Term]) -> bool:
    """Whether a key seals anything that is not due: values of an instance that goes on, or has not ended long enough ago; a message or a task of no instance that
    waits. What is in no row any more needs none."""
    common = next((t.before for t in terms if not t.process), None)
    own, inside = [t for t in terms if t.process], f"%{sealed_like(key)}"
    found = await r.rows(
        "SELECT EXISTS (SELECT 1 FROM variables v JOIN workflow_instances i ON i.tenant_id = v.tenant_id AND i.id = v.workflow_instance_id "  # noqa: S608
        f"WHERE v.tenant_id = %s AND v.{SEALED} AND {KEY.replace('value', 'v.value')} = %s AND NOT coalesce(i.{_ENDED} AND {_AT} < coalesce("
        "(SELECT u.before FROM unnest(%s::text[], %s::timestamptz[]) AS u(process, before) WHERE u.process = i.process_id), %s::timestamptz), false)) "
        "OR EXISTS (SELECT 1 FROM messages m WHERE m.tenant_id = %s AND m.status = 'received' AND m.variables::text LIKE %s) "
        "OR EXISTS (SELECT 1 FROM tasks t WHERE t.tenant_id = %s AND t.workflow_instance_id IS NULL AND t.completed_at IS NULL AND t.cancelled_at IS NULL "
        "AND t.input::text LIKE %s) AS needed",
        (
            tenant, key, [t.process for t in own], [t.before for t in own], common, tenant, inside, tenant, inside,
        ),
    )  # fmt: skip
    return bool(found[0]["needed"])

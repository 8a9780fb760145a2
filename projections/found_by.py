"""Protected variables by equality: which names, rows that wait for their digest, and how they are asked for (`api/finding.py`).

A row that is sealed has the beginning of the sealed text in `search`. In its place comes `flk1.=DIGEST`, which still says that it is sealed; no class begins
with `=`, and by the order of the index what waits stands behind what has its digest. `flk1.=` alone: there is nothing to find it by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from flowledger.events.avro import decode_json
from flowledger.projections import filters as fi
from flowledger.projections.subjects import KEY, SEALED

#: of a row that has its digest
MARK = fi.DIGEST
#: that of what waits: from the first to behind the last letter that a class may begin with
_FIRST, _LAST = "flk1.a", "flk1.{"
_NAMES = (
    "SELECT d.tenant_id, n.name FROM workflow_definitions d, jsonb_array_elements_text(d.outline -> '' -> 'protect' -> 'search') AS n(name) "
    "WHERE jsonb_typeof(d.outline -> '' -> 'protect' -> 'search') = 'array' GROUP BY d.tenant_id, n.name"
)
_WAITING = (
    "SELECT workflow_instance_id, scope_id, name, instance_created_at, value #>> '{}' FROM variables WHERE tenant_id = %s AND name = ANY(%s) "
    "AND scope = 'workflow' AND search >= %s AND search < %s LIMIT %s"
)
#: one row at a time: the projector, which writes many at once, can wait for one and never for each other
_PUT = (
    "UPDATE variables SET search = %s WHERE tenant_id = %s AND workflow_instance_id = %s AND scope_id = %s AND name = %s AND instance_created_at = %s "
    "AND value = to_jsonb(%s::text)"
)
_GONE = (
    "SELECT workflow_instance_id, scope_id, name, instance_created_at, value #>> '{}' FROM variables "  # noqa: S608
    f"WHERE tenant_id = %s AND {SEALED} AND {KEY} = ANY(%s) AND search <> %s"
)


class Place(NamedTuple):
    instance: int
    scope: int
    name: str
    created: Any
    text: str


async def names(conn: Any) -> Mapping[str, frozenset[str]]:
    """Tenant -> names that its models say are found; a name stays one when its model is deleted."""
    out: dict[str, set[str]] = {}
    for tenant, name in await (await conn.execute(_NAMES)).fetchall():
        out.setdefault(tenant, set()).add(name)
    return {tenant: frozenset(found) for tenant, found in out.items()}


async def sealed_rows(conn: Any, tenant: str, names: Sequence[str], most: int) -> list[Place]:
    """Rows of instances that wait for their digest."""
    rows = await (await conn.execute(_WAITING, (tenant, list(names), _FIRST, _LAST, most))).fetchall()
    return [Place(*row) for row in rows]


async def put(conn: Any, tenant: str, row: Place, digest: str) -> None:
    """Unless it has another value by now."""
    await conn.execute(_PUT, (f"{MARK}{digest}", tenant, row.instance, row.scope, row.name, row.created, row.text))


async def lose(conn: Any, tenant: str, keys: Sequence[str]) -> None:
    """What these keys have sealed is found no more."""
    for row in await (await conn.execute(_GONE, (tenant, list(keys), MARK))).fetchall():
        await put(conn, tenant, Place(*row), "")


def filter_of(name: str) -> fi.Found:
    return fi.Found(f"{fi.FOUND}{name}")


def equal_to(filter: str) -> str | None:
    """The variable of a filter `var.NAME` or `var.NAME[eq]`."""
    found = fi.VARIABLE.fullmatch(filter)
    return found["name"] if found and (found["op"] or "eq") == "eq" else None


def value_of(text: str) -> Any:
    """As filters of variables are read: JSON, or a text."""
    try:
        return decode_json(text)
    except (msgspec.DecodeError, ValueError):
        return text

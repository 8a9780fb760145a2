"""Completed cases as `analytics/odd.py` judges them: their ways and the values that they ended with. What is sealed is no value."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flowledger.analytics import odd
from flowledger.projections.reader import Reader, Row

#: cases of a time that are judged, the newest of them, and cases of which values are read at once
JUDGED_MAX, AT_ONCE = 5_000, 1_000
#: of one case, and characters of a text: what is longer is no category
VALUES_MAX, TEXT_MAX = 100, 60
_CASES = (
    "SELECT id, definition_id, ended_at, variant FROM traces "
    "WHERE tenant_id = %s AND process_id = %s AND ended_at >= %s AND ended_at < %s AND outcome = 'completed' ORDER BY ended_at DESC, id DESC LIMIT %s"
)
_LAST = (
    "SELECT id, definition_id, ended_at, variant FROM traces "
    "WHERE tenant_id = %s AND process_id = %s AND ended_at < %s AND outcome = 'completed' ORDER BY ended_at DESC, id DESC LIMIT %s"
)


async def judged(
    r: Reader, tenant: str, process: str, start: datetime, end: datetime, kinds: Sequence[str] = odd.KINDS, most: int = JUDGED_MAX
) -> tuple[list[odd.Odd], int, bool]:
    """What is odd of those that completed in the time; of how many that is told; whether that is all of them (else the newest)."""
    rows = list(await r.rows(_CASES, (tenant, process, start, end, most + 1)))
    whole, rows = len(rows) <= most, rows[:most]
    if not rows:
        return [], 0, True
    since = rows[-1]["ended_at"]
    rows += await r.rows(_LAST, (tenant, process, since, odd.BEFORE_MAX))
    rows.reverse()
    cases = await _read(r, tenant, process, rows, values="value" in kinds)
    found = await asyncio.to_thread(odd.judge, cases, _us(since))  # of many cases with many variables: seconds
    return [f for f in found if f.kind in kinds], sum(c.us >= _us(since) for c in cases), whole


def _us(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


async def _read(r: Reader, tenant: str, process: str, rows: Sequence[Row], *, values: bool) -> list[odd.Case]:
    variants = sorted({row["variant"] for row in rows})
    query = "SELECT variant, path FROM variants WHERE tenant_id = %s AND process_id = %s AND variant = ANY(%s)"
    paths = {row["variant"]: tuple(row["path"]) for row in await r.rows(query, (tenant, process, variants))}
    had = await _values(r, tenant, [row["id"] for row in rows]) if values else {}
    return [
        odd.Case(row["id"], row["definition_id"], _us(row["ended_at"]), paths.get(row["variant"], ()), had.get(row["id"], {}))
        for row in rows
    ]


async def _values(r: Reader, tenant: str, keys: Sequence[int]) -> dict[int, dict[str, Any]]:
    out: dict[int, dict[str, Any]] = defaultdict(dict)
    query = (
        "SELECT workflow_instance_id AS instance, name, type, number, search FROM variables WHERE tenant_id = %s AND workflow_instance_id = ANY(%s) "
        "AND scope = 'workflow' AND type IN ('number', 'string', 'boolean') AND search IS NOT NULL AND search NOT LIKE 'flk1.%%' ORDER BY name"
    )
    for n in range(0, len(keys), AT_ONCE):
        for row in await r.rows(query, (tenant, list(keys[n : n + AT_ONCE]))):
            mine = out[row["instance"]]
            if len(mine) >= VALUES_MAX or (row["type"] == "string" and len(row["search"]) > TEXT_MAX):
                continue
            mine[row["name"]] = float(row["number"]) if row["type"] == "number" else row["search"]
    return out

"""From the raw records of an evaluation to plain values that JSON can hold: what the engine records and the console shows."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.dmn import bridge
from flowledger.kernel.dmn.run import Record, TableRecord, Trace


def trace_of(raw: Trace) -> list[dict[str, Any]]:
    """One entry for each decision, business knowledge model or service, in the order in which they were finished."""
    out = [_record(r) for r in raw.records]
    if raw.dropped:
        out.append({"kind": "truncated", "dropped": raw.dropped})
    return out


def _record(r: Record) -> dict[str, Any]:
    out: dict[str, Any] = {
        "kind": r.kind,
        "id": r.id,
        "name": r.name,
        "inputs": {k: bridge.plain(v) for k, v in r.inputs.items()},
        "value": bridge.plain(r.value),
    }
    if r.given:
        out["given"] = True
    if r.tables:
        out["tables"] = [_table(t) for t in r.tables]
    if r.entries:
        out["entries"] = [{"id": id_, "name": name, "value": bridge.plain(value)} for id_, name, value in r.entries]
    return out


def _table(t: TableRecord) -> dict[str, Any]:
    compiled = t.table
    output_ids = [o.id or "" for o in compiled.outputs]
    out: dict[str, Any] = {
        "id": compiled.table.id,
        "hit_policy": compiled.table.hit_policy,
        "inputs": [{"id": c.id, "label": c.label, "value": bridge.plain(v)} for c, v in zip(compiled.inputs, t.values, strict=True)],
        "matched": [_hit(hit, compiled.names, output_ids) for hit in t.hits],
        "value": bridge.plain(t.value),
    }
    if compiled.table.aggregation:
        out["aggregation"] = compiled.table.aggregation
    if t.defaulted:
        out["default"] = True
    return out


def _hit(hit: Any, names: list[str], ids: list[str]) -> dict[str, Any]:
    out = {"index": hit.index, "id": hit.id, "outputs": dict(zip(names, map(bridge.plain, hit.outputs), strict=False)), "output_ids": ids}
    if any(hit.annotations):
        out["annotations"] = hit.annotations
    return out

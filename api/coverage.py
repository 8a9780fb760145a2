"""A decision's rules beside what was counted of them: all that its model has, so that those are seen which never fired."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from flowledger.kernel.dmn import model as m
from flowledger.kernel.dmn import reader
from flowledger.kernel.dmn.errors import DmnError


def told(counted: dict[str, Any], decision: str, content: str) -> dict[str, Any]:
    """What `projections.coverage` found, by the tables of the model: those of the decision first, then of what it needs and what needs it."""
    tables = [_table(node, table, counted["tables"], counted["together"]) for node, table in _tables(content, decision)]
    tables.sort(key=lambda t: t["decision"] != decision)
    rules = [rule for table in tables for rule in table["rules"]]
    return {
        **{k: counted[k] for k in ("key", "version", "versions", "name", "evaluations", "oldest_at", "newest_at", "complete", "position")},
        "decision": decision, "tables": tables, "rules": len(rules), "never": sum(not rule["fired"] for rule in rules),
    }  # fmt: skip


def _table(node: m.Element, table: m.Table, counted: dict[tuple[str, str], Any], by_id: bool) -> dict[str, Any]:
    found = counted.get((node.id or "", table.id or ""), {"evaluated": 0, "without": 0, "rules": {}})
    rules = []
    for n, rule in enumerate(table.rules, 1):
        of = found["rules"].get((by_id and rule.id) or str(n), {"fired": 0, "last_at": None})
        rules.append({
            "index": n, "id": rule.id or "", "fired": of["fired"], "share": round(of["fired"] / found["evaluated"], 6) if found["evaluated"] else 0.0,
            "last_at": of["last_at"], "inputs": [i.text for i in rule.inputs], "outputs": [o.text for o in rule.outputs], "annotations": rule.annotations,
        })  # fmt: skip
    return {
        "decision": node.id or "", "name": node.name, "id": table.id or "", "hit_policy": table.hit_policy, "evaluated": found["evaluated"],
        "without": found["without"], "rules": rules,
    }  # fmt: skip


def _tables(content: str, decision: str) -> Iterator[tuple[m.Element, m.Table]]:
    try:
        definitions = reader.parse(content)
    except DmnError:  # deployed by a version that read more
        return
    for node in (*definitions.decisions, *definitions.bkms):
        for table in _within(node):
            yield node, table


def _within(value: Any) -> Iterator[m.Table]:
    """Tables anywhere inside: also in boxed contexts and functions."""
    if isinstance(value, m.Table):
        yield value
    if isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from _within(getattr(value, field))
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _within(each)

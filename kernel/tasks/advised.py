"""Whom a task would best go to: all who could have it, ranked by when they would be done, with what speaks for and against each. The same figures as
strategy `recommended`."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.state import Partition, Task
from flowledger.kernel.tasks import assignment as a

#: people that are told, and those that are told why they can't
RANKED_MAX, EXCLUDED_MAX = 50, 50


def ranked(p: Partition, task: Task, now_us: int) -> dict[str, Any]:
    """`{ranked: [{name, kind, expected_ms, open, done, failed, reasons}], excluded: {name: why}, considered}`, whatever strategy the task has."""
    settings = a.settings_of(task) or {}
    record = (task.details or {}).get("assignment")
    needs = a.Needs(task, settings, a.texts(record.get("lanes")) if isinstance(record, dict) else [])
    eligible: dict[str, dict[str, Any]] = {}
    excluded: dict[str, str] = {}
    considered = 0
    for name, entry in a.listed(p, task.tenant):
        if not a.candidate(needs, name, entry):
            continue
        considered += 1
        if not (why := a.why_not(needs, p, task.tenant, name, entry, now_us)):
            eligible[name] = entry
        elif len(excluded) < EXCLUDED_MAX:
            excluded[name] = why
    usual = a.usual_ms(p, sorted(eligible))
    order = sorted((a.expected_ms(p, name, usual), name) for name in eligible)[:RANKED_MAX]
    rows = [_row(p, needs, name, eligible[name], int(ms)) for ms, name in order]
    return {"ranked": rows, "excluded": excluded, "considered": considered}


def _row(p: Partition, needs: a.Needs, name: str, entry: dict[str, Any], expected_ms: int) -> dict[str, Any]:
    history = p.records.get(("history", name)) or {"done": 0, "failed": 0, "ms": 0}
    held = len(p.by_assignee.get(name) or ())
    # codes and what they are about: whoever shows them has the words
    reasons: list[dict[str, Any]] = [{"code": "open", "n": held}]
    if history["done"]:
        reasons.append({"code": "takes", "n": int(history["ms"])})
    if history["done"] < a.USUAL:
        reasons.append({"code": "little_known", "n": int(history["done"])})
    if history["failed"]:
        reasons.append({"code": "failed", "n": int(history["failed"])})
    if roles := sorted(a.groups_of(entry) & set(needs.groups)):
        reasons.append({"code": "role", "names": roles})
    if needs.capabilities:
        reasons.append({"code": "capable", "names": sorted(needs.capabilities)})
    return {
        "name": name, "kind": a.kind_of(name, entry), "expected_ms": expected_ms, "open": held, "done": int(history["done"]),
        "failed": int(history["failed"]), "reasons": reasons,
    }  # fmt: skip


def taken(p: Partition, task: Task, details: dict[str, Any]) -> str | None:
    """What stands with an assignment for which somebody was advised (`advised`, taken out of `details`): whom, and whether they were taken. Returns
    what is wrong with it."""
    if (name := details.pop("advised", None)) is None:
        return None
    if not isinstance(name, str) or a.entry(p, task.tenant, name) is None:
        return "advised: expected the name of somebody in the directory"
    details["assignment"] |= {"strategy": "recommended", "recommended": name, "override": name != details["assignee"]}
    return None

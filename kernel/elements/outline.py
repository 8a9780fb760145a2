"""What readers of the log are told of a process once, at its deployment: its activities, and what all else is called, so that no event need say it again.

`{element: {...}}` with, of each activity, only what there is: `type` (vocabulary of tasks), `own` true when the engine does it itself (no job and no
person: rows of it come from the events of its element), `loop` true when it runs several times, `name`, `description`, `after` (the activities that it
directly follows), `boundary` (its boundary events), `group` (the gateway at which its branch split off, or itself when its runs go side by side),
`estimated_ms`. What is no activity (a gateway, an event) stands there by its `name` alone, where it has one. The empty name is the process itself, with
its `description`, what it protects (`protect`, as `kernel/model/protect.py` has it) and its `complexity` (`kernel/described.py`).
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel import times
from flowledger.kernel.described import complexity
from flowledger.kernel.expressions import Failure
from flowledger.kernel.model.graph import Node, Process, Work

TYPES = {
    "task": "manual_task", "manualTask": "manual_task", "userTask": "user_task", "serviceTask": "service_task", "scriptTask": "script_task",
    "sendTask": "send_task", "receiveTask": "receive_task", "businessRuleTask": "business_rule_task", "callActivity": "call_activity",
    "subProcess": "sub_process", "transaction": "sub_process", "adHocSubProcess": "sub_process",
}  # fmt: skip
#: property of an activity: how long it is expected to take, as an ISO 8601 duration
ESTIMATE = "flowledger:estimatedDuration"
_MONTH_US = 30 * 86_400_000_000
_ESTIMATE_US_MAX = 1200 * _MONTH_US
SPLITS = frozenset({"parallelGateway", "inclusiveGateway", "complexGateway"})


def outline(process: Process) -> dict[str, Any]:
    whole = {"description": process.documentation, "protect": process.protect, "complexity": complexity(process)}
    found: dict[str, Any] = {"": told} if (told := {k: v for k, v in whole.items() if v}) else {}
    for node in process.nodes.values():
        if not node.behaviour.activity:
            if node.name and node.name != node.id:
                found[node.id] = {"name": node.name}
            continue
        about = {
            "type": TYPES.get(node.kind, "service_task"), "own": _own(node), "loop": node.loop is not None,
            "name": node.name, "description": node.documentation, "after": _after(node), "boundary": _boundary(node),
            "group": _group(node), "estimated_ms": _estimate(node),
        }  # fmt: skip
        found[node.id] = {k: v for k, v in about.items() if v}
    return found


def _boundary(node: Node) -> list[dict[str, Any]]:
    return [{"element": b.id, "kind": b.event.kind if b.event is not None else "", "interrupting": b.interrupting} for b in node.attached]


def _own(node: Node) -> bool:
    if node.kind == "manualTask":
        return node.properties.get("flowledger:confirm") != "true"
    if node.kind in ("scriptTask", "businessRuleTask"):
        return not isinstance(node.config, Work)
    if node.kind == "sendTask":
        return node.event is not None
    return node.kind not in ("userTask", "serviceTask")


def _after(node: Node) -> list[str]:
    """Backwards over gateways and events to the next activities."""
    found: dict[str, None] = {}
    seen: set[str] = set()
    todo = [f.source for f in node.incoming]
    while todo:
        at = todo.pop()
        if at.id in seen:
            continue
        seen.add(at.id)
        if at.behaviour.activity:
            found[at.id] = None
            continue
        if at.host is not None:
            found[at.host.id] = None
        todo += [f.source for f in at.incoming]
    return sorted(found)


def _group(node: Node) -> str:
    """The nearest split upstream whose branches have not been joined again."""
    if node.loop is not None and not node.loop.sequential:
        return node.id
    depth: dict[str, int] = {node.id: 0}
    todo = [node]
    while todo:
        at = todo.pop(0)
        for source in (f.source for f in at.incoming) if at.host is None else (at.host,):
            level = depth[at.id] + _joins(at) if at is not node else 0
            if source.id in depth:
                continue
            if _splits(source):
                if level == 0:
                    return source.id
                level -= 1
            depth[source.id] = level
            todo.append(source)
    return ""


def _splits(node: Node) -> bool:
    return len(node.outgoing) > 1 and (node.kind in SPLITS or node.behaviour.activity)


def _joins(node: Node) -> int:
    return 1 if node.kind in SPLITS and len(node.incoming) > 1 else 0


def _estimate(node: Node) -> int:
    text = node.properties.get(ESTIMATE, "")
    if not text:
        return 0
    try:
        months, us = times.duration(text)
    except (Failure, ValueError):
        return 0
    return max(0, min(_ESTIMATE_US_MAX, months * _MONTH_US + us) // 1000)

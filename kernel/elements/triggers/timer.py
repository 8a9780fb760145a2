"""Timer: a date, a duration or a cycle.

Source: BPMN 2.0.2, chapter 10.5.5; ISO 8601; cron texts as cycles.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import waiting as wa
from flowledger.kernel import times
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Node

_PARTS = {"timeDate": "date", "timeDuration": "duration", "timeCycle": "cycle"}


def read(event: Any, xml: Any, node: Node, r: Any) -> None:
    for tag, kind in _PARTS.items():
        part = x.child(xml, tag)
        if part is not None:
            if kind == "cycle" and r.classic:
                kind = "quartz"
            event.timer = (kind, r.expression(x.text_of(part), node, "timer"))
            e = event.timer[1]
            if e.compiled is None and isinstance(e.static, str) and (problem := times.problem(kind, e.static)):
                r.finding(
                    "TIMER_INVALID", f"timer of '{node.id}': {problem}", node, hint="PT30S, 2026-01-31T12:00:00Z, R3/PT1H or a cron text"
                )
            return
    r.finding("TIMER_EMPTY", f"timer event '{node.id}' has neither timeDate, timeDuration nor timeCycle", node)
    event.timer = ("duration", r.expression("PT0S", node))


def arm(d: Any, i: Any, holder: int, node: Node, event: Any, interrupting: bool, which: int = 0, since_us: int = 0) -> None:
    """A cycle whose firings are all past arms nothing; a token that would wait for it goes on. `since_us`: counted from then (0: from now).
    Raises: Failure EXTRACT_VALUE_ERROR."""
    kind, expression = event.timer
    value = d.evaluate(expression, i, holder)
    due, repeat, left = times.schedule(kind, value, since_us or d.facts.now_us, f"timer of {node.id}")
    if due < 0:
        if node.kind in ("boundaryEvent", "startEvent"):
            return
        due = d.facts.now_us
    if interrupting:
        repeat, left = "", 0
    d.record(wa.TimerScheduled(key=i.key, timer=d.key(), token=holder, element=node.id, due_us=due, repeat=repeat, left=left, which=which))


def began(d: Any, i: Any, holder: int, node: Node, event: Any, due_us: int) -> int:
    """When a timer that is due then has begun, as the model that armed it counts; 0: nothing is counted (a date). Raises: Failure."""
    kind, expression = event.timer
    if kind == "date":
        return 0
    now = d.facts.now_us
    due, _, _ = times.schedule(kind, d.evaluate(expression, i, holder), now, f"timer of {node.id}")
    return due_us - (due - now) if due >= 0 else 0

"""Conditional event: occurs when its condition becomes true; looked at when a variable that it reads changes.

Source: BPMN 2.0.2, chapter 10.5.5.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import waiting as wa
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Node


def read(event: Any, xml: Any, node: Node, r: Any) -> None:
    condition = x.child(xml, "condition")
    text = x.text_of(condition)
    if not text:
        r.finding(
            "CONDITION_MISSING", f"conditional event '{node.id}' has no condition", node, hint="<condition>= amount &gt; 100</condition>"
        )
        return
    event.condition = r.condition(text, node, "condition")
    event.reads = event.condition.reads
    limit = x.ext(xml, "conditionalFilter")
    if limit is not None and limit.get("variableNames"):
        event.reads = frozenset(name.strip() for name in limit.get("variableNames").split(","))
    elif only := x.classic_attr(xml, "variableName"):
        event.reads = frozenset({only.strip()})


def arm(d: Any, i: Any, holder: int, node: Node, event: Any, interrupting: bool, which: int = 0) -> None:
    d.record(
        wa.SubscriptionOpened(
            key=i.key, subscription=d.key(), token=holder, element=node.id, kind="conditional", name=event.condition.text if event.condition else "",
            interrupting=interrupting, which=which,
        )
    )  # fmt: skip

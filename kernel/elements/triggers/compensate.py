"""Compensation event: undoes completed activities. See `elements/compensation.py`.

Source: BPMN 2.0.2, chapters 10.5.5 and 13.5.5.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.elements import compensation
from flowledger.kernel.model.graph import Node


def read(event: Any, xml: Any, node: Node, r: Any) -> None:
    event.ref = xml.get("activityRef", "")
    event.wait = xml.get("waitForCompletion", "true") != "false"
    if event.ref and event.ref not in r.by_id:
        r.finding("REFERENCE_MISSING", f"activityRef '{event.ref}' of compensation event '{node.id}' does not exist", node)


def throw(d: Any, i: Any, token: Any, node: Node, event: Any) -> bool:
    return compensation.throw(d, i, token, node, event)


def resume(d: Any, i: Any, token: Any, node: Node, event: Any) -> bool:
    return compensation.resume(d, i, token, node, event)

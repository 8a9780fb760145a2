"""Send task: a job when it has a type; else it publishes its message inside the engine.

Source: BPMN 2.0.2, chapter 13.3.3.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.elements import jobs, triggers
from flowledger.kernel.expressions import literal
from flowledger.kernel.model.graph import Behaviour, Node, Work
from flowledger.kernel.moves.activity import close_activity


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    if node.event is not None:
        triggers.throw(d, i, token, node, node.event)
        close_activity(d, i, token, node)
    else:
        jobs.create_task(d, i, token, node, node.config)


def read(node: Node, element: Any, r: Any) -> None:
    node.config = jobs.read_work("send_task", node, element, r)
    if node.config is None:
        if element.get("messageRef"):
            node.event = triggers.message_of(node, element.get("messageRef"), element, r)
            node.events = [node.event] if node.event is not None else []
        else:
            node.config = Work("send_task", literal(node.id))


BEHAVIOUR = Behaviour(enter, close_activity, read, activity=True)

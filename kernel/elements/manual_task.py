"""Manual task: a person works without the engine's help; the token passes through (C-11).

Source: BPMN 2.0.2, chapter 13.3.3. The property `flowledger:confirm` = true makes it a user task to be confirmed.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.elements import jobs
from flowledger.kernel.model.graph import Behaviour, Node, Work
from flowledger.kernel.moves.activity import close_activity


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    if node.properties.get("flowledger:confirm") == "true":
        jobs.create_task(d, i, token, node, Work("manual_task", details={"name": node.name or node.id}))
    else:
        close_activity(d, i, token, node)


BEHAVIOUR = Behaviour(enter, close_activity, activity=True)

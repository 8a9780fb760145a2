"""Execution and task listeners as jobs: before an activity begins and after its work is done.

Source: `zeebe:executionListeners` (start, end) and `zeebe:taskListeners` (creating, assigning, completing ...).
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel.elements import jobs
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Node


class Listener:
    __slots__ = ("event", "work")

    def __init__(self, event: str, work: jobs.Work) -> None:
        self.event, self.work = event, work


def read(node: Node, element: Any, r: Any) -> list[Listener]:
    found = []
    for xml in x.ext_all(element, "executionListeners", "executionListener"):
        work = jobs.Work("service_task", r.expression(xml.get("type", ""), node, "listener type"))
        if xml.get("retries"):
            work.retries = r.expression(xml.get("retries"), node, "listener retries")
        found.append(Listener(xml.get("eventType", "start"), work))
    return found


def next_one(d: Any, i: Any, token: Any, node: Node, event: str) -> bool:
    """Create the job of the next listener of `event`; False when there is none left."""
    mine = [n for n in node.listeners if n.event == event]
    done = (token.data or {}).get(f"listened_{event}", 0)
    if done >= len(mine):
        return False
    d.record(fl.TokenNoted(key=i.key, token=token.key, data={f"listened_{event}": done + 1, "opened": True}))
    jobs.create_task(d, i, token, node, mine[done].work, listener=event)
    return True


def resume(d: Any, i: Any, token: Any, node: Node) -> bool:
    """A listener's job is done: on with the next, or with the activity. True when it was a listener's."""
    data = token.data or {}
    heard = data.get("listened_start", 0) + data.get("listened_end", 0)
    if data.get("listened", 0) != heard or data.get("listened_seen", 0) == heard:
        return False
    d.record(fl.TokenNoted(key=i.key, token=token.key, data={"listened_seen": heard}))
    from flowledger.kernel.decision import close_activity, open_activity

    if data.get("listened_end", 0):
        close_activity(d, i, token, node)
    else:
        open_activity(d, i, token, node)
    return True

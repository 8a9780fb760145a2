"""Execution and task listeners as jobs.

Source: `zeebe:executionListeners` (start, end; of activities, events, gateways and the process) and `zeebe:taskListeners` (creating, assigning,
updating, completing, canceling). A start listener runs before the element's own work (at a join: after it), an end listener after it; listeners
of one event run one after the other. Choices: `creating` runs before the task exists and `completing` after its result is there, and the flow
waits for both; listeners of the process run at its start events and at each of its end events that is reached; `assigning`, `updating` and
`canceling` tell a worker of what has happened and hold nobody up, so they can't deny it.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.kernel.elements import jobs
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Node, Work
from flowledger.kernel.moves.activity import close_activity, open_activity

#: events that elements ask for by `next_one`, in the order of an activity's life
_WAITING = ("start", "creating", "completing", "end")
TASK_EVENTS = frozenset({"creating", "assigning", "updating", "completing", "canceling"})
_OLD_WORDS = {"create": "creating", "assignment": "assigning", "update": "updating", "complete": "completing", "cancel": "canceling"}


class Listener:
    __slots__ = ("event", "work")

    def __init__(self, event: str, work: Work) -> None:
        self.event, self.work = event, work


def read(node: Node, element: Any, r: Any) -> list[Listener]:
    found = []
    for holder, tag, default in (("executionListeners", "executionListener", "start"), ("taskListeners", "taskListener", "creating")):
        for xml in x.ext_all(element, holder, tag):
            work = Work("service_task", r.expression(xml.get("type", ""), node, "listener type"))
            if not xml.get("type"):
                r.finding(
                    "LISTENER_WITHOUT_TYPE",
                    f"a listener of '{node.id}' names no job type",
                    node,
                    hint=f'<zeebe:{tag} eventType="{default}" type="..."/>',
                )
            if xml.get("retries"):
                work.retries = r.expression(xml.get("retries"), node, "listener retries")
            event = xml.get("eventType", default)
            event = _OLD_WORDS.get(event, event) if tag == "taskListener" else event
            if event not in (TASK_EVENTS if tag == "taskListener" else ("start", "end")):
                r.finding("LISTENER_EVENT", f"'{node.id}' has no listener event '{event}'", node)
            headers = {h.get("key", ""): h.get("value", "") for h in xml.findall(f"{x.Z}taskHeaders/{x.Z}header")}
            work.headers = headers or None
            found.append(Listener(event, work))
    return found


def of_node(node: Node, element: Any, r: Any) -> None:
    node.listeners = read(node, element, r)


def of_process(r: Any, process: Any, element: Any) -> None:
    """Listeners of the process: at its start events before their own, at its end events after them."""
    own = read(process.root, element, r)
    for node in process.root.children if own else ():
        if node.kind == "startEvent":
            node.listeners = [n for n in own if n.event == "start"] + node.listeners
        elif node.kind == "endEvent":
            node.listeners = node.listeners + [n for n in own if n.event == "end"]


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
    """A listener's job is done: on with the next, or with the element. True when it was a listener's."""
    data = token.data or {}
    heard = sum(data.get(f"listened_{event}", 0) for event in _WAITING)
    if data.get("listened", 0) != heard or data.get("listened_seen", 0) == heard:
        return False
    d.record(fl.TokenNoted(key=i.key, token=token.key, data={"listened_seen": heard}))
    last = next(event for event in reversed(_WAITING) if data.get(f"listened_{event}"))
    behaviour = node.behaviour
    if behaviour.activity:
        if last == "start":
            open_activity(d, i, token, node)
        elif last == "creating":
            behaviour.enter(d, i, token, node)
        elif last == "completing" and behaviour.complete is not None:
            behaviour.complete(d, i, token, node)
        else:
            close_activity(d, i, token, node)
    elif last == "end":
        if node.kind == "endEvent":
            if not next_one(d, i, token, node, "end"):
                d.end(i, token, node)
        else:
            d.leave(i, token, node)
    elif len(node.incoming) > 1 and behaviour.complete is not None:
        if not next_one(d, i, token, node, "start"):
            behaviour.complete(d, i, token, node)
    elif not next_one(d, i, token, node, "start"):
        behaviour.enter(d, i, token, node)
    return True


def tell(d: Any, i: Any, token: Any, node: Node, event: str) -> None:
    """Jobs of listeners that only hear of something; the token doesn't wait for them."""
    for n in node.listeners:
        if n.event == event:
            jobs.create_task(d, i, token, node, n.work, listener=event)


def withdrawn(d: Any, i: Any, token: Any, node: Node) -> None:
    """A token with an open task of a person is withdrawn: `canceling` listeners get a task of their own, which outlives the token."""
    if not any(k in d.state.tasks and not d.state.tasks[k].listener for k in token.holds or ()):
        return
    for n in node.listeners:
        if n.event == "canceling":
            work = n.work
            job_type = work.job_type.static if work.job_type.compiled is None else str(d.evaluate(work.job_type, i, token.key))
            d.record(
                ta.TaskCreated(
                    task=d.key(), token=0, element=node.id, type=work.type, job_type=job_type, headers=work.headers, listener="canceling",
                    variables=dict(d.variables(i, token.key)), details={"instance": i.key},
                )
            )  # fmt: skip

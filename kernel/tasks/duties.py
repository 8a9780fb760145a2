"""Separation of duties (four eyes): who did one piece of work may not do another.

`flowledger:task notBy="enter, check"` on work of people names elements of the same process. Whoever completed one of them in this instance, or held it
when it was completed, can't claim, start, draft, complete, fail or skip the task, nor be given it: no right goes above that. Of such elements, and of
those that are named, the completion needs a name. Who did what is noted at the instance, only for elements that somebody names.
Source: dynamic separation of duty, ANSI INCITS 359; issue 15, line 2.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.model import xml as x
from flowledger.kernel.state import Instance, Partition, Task

ATTRIBUTE = "notBy"
#: key of an instance's notes, before the element
NOTED = "done_by:"
#: of one element that is done again and again
NAMES_MAX = 100
#: what one does oneself; the other moves give the task to somebody
OWN = frozenset({"claim", "start", "progress", "draft", "complete", "fail", "skip"})
GIVING = frozenset({"assign", "claim", "start", "delegate", "transfer", "escalate"})


def elements(details: dict[str, Any] | None) -> list[str]:
    """Those that a task's settings name."""
    settings = (details or {}).get("settings")
    text = settings.get(ATTRIBUTE) if isinstance(settings, dict) else None
    return x.names_in(text) if isinstance(text, str) else []


def did(p: Partition, task: Task, name: str) -> str:
    """Which of the named elements somebody did; `""`: none."""
    named = elements(task.details)
    i = p.instances.get(task.instance) if named else None
    if i is None or not i.stores or not name:
        return ""
    bare = name.removeprefix("user:")
    return next((element for element in named if bare in (i.stores.get(NOTED + element) or ())), "")


def refuse(d: Any, task: Task, move: str) -> Rejected | None:
    """Why the actor can't do this, or can't give the task to whom they say."""
    if task.details is None or ATTRIBUTE not in (task.details.get("settings") or ()):
        return _unnamed(d, task, move)
    names = [d.envelope.actor] if move in OWN else []
    if move in GIVING and isinstance(told := getattr(d.request.command, "details", None), dict):
        to = told.get("assignee") or told.get("to")
        names += [n for n in (to if isinstance(to, list) else [to]) if isinstance(n, str)]
    if move == "complete":
        names.append(_holder(task))
        if not any(names):
            return _nameless(task)
    for name in names:
        if done := did(d.state, task, name):
            return Rejected(
                RejectionCode.FORBIDDEN, f"'{name}' can't {move} task {task.key}: they did '{done}', and this is for another (four eyes)"
            )
    return None


def _unnamed(d: Any, task: Task, move: str) -> Rejected | None:
    if move != "complete" or not _watched(d, task) or d.envelope.actor or _holder(task):
        return None
    return _nameless(task)


def _nameless(task: Task) -> Rejected:
    text = f"task {task.key} is part of a separation of duties: who completes it has to say who they are, found nobody"
    return Rejected(RejectionCode.INVALID_ARGUMENT, text)


def _holder(task: Task) -> str:
    return str((task.details or {}).get("assignee") or "").removeprefix("user:")


def _watched(d: Any, task: Task) -> bool:
    i = d.state.instances.get(task.instance)
    return i is not None and not task.listener and task.element in d.facts.processes[i.definition].watched


def note(d: Any, i: Instance, task: Task, wanted: bool = False) -> None:
    """It was completed: by whom, where somebody names its element, or a rule of a pack wants to know (`wanted`)."""
    if (not wanted or task.listener) and not _watched(d, task):
        return
    had = (i.stores or {}).get(NOTED + task.element) or []
    now = dict.fromkeys((*had, *(n for n in (_holder(task), d.envelope.actor) if n)))
    if len(now) > len(had):
        d.record(fl.TokenNoted(key=i.key, token=i.key, data={NOTED + task.element: list(now)[-NAMES_MAX:]}))


def follow(d: Any, i: Instance, elements: dict[str, str], known: frozenset[str], wanted: frozenset[str]) -> list[str]:
    """What is noted holds under the names of another version, too: `elements` are its names for the old ones, `known` were noted before, `wanted` are
    noted now. A task that is open keeps the words that it was made with. Returns what has to be told."""
    notes = {NOTED + new: names for old, new in elements.items() if old != new and (names := (i.stores or {}).get(NOTED + old))}
    if notes:
        d.record(fl.TokenNoted(key=i.key, token=i.key, data=notes))
    before = {elements.get(old, old) for old in known}
    return [f"who did '{new}' so far isn't known: its separation of duties holds from now on" for new in sorted(wanted - before)]


def released(d: Any, task: Task) -> str:
    """Of a new task whose model names somebody who did what they may not have done: the reason why it is nobody's then."""
    name = _holder(task)
    done = did(d.state, task, name)
    return f"'{name}' did '{done}', and this is for another (four eyes)" if done else ""

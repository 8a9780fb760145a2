"""What happened to one instance, as a path of elements: recorded from events, printed in one line.

    received >check <check size -large >approve

`>x` entered, `<x` left, `x` entered and left at once, `-f` the flow chosen of several, `~x` withdrawn, `x#2` run 2 of a loop, `!CODE` a BPMN error,
`!!CODE` an incident, `=completed` the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from flowledger.events import flow as fl
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Event


class Step(msgspec.Struct, frozen=True, gc=False):
    """`what`: enter, leave, flow, withdraw, run, ran, error, incident, end. `name`: element, flow, code or status."""

    what: str
    name: str
    element: str = ""
    index: int = 0


class Path:
    """Steps of one instance in the order of the ledger."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        #: token -> element where it stands
        self._at: dict[int, str] = {}

    def add(self, e: Event) -> list[Step]:
        """The new steps that the event means."""
        make = _STEPS.get(type(e))
        if make is None:
            return []
        new = make(self._at, e)
        self.steps += new
        return new

    def names(self, what: str) -> list[str]:
        return [s.name for s in self.steps if s.what == what]

    def text(self, shown_flows: Callable[[str], bool] = lambda flow: True, last: int = 120) -> str:
        """One line; `shown_flows` says which flows tell anything. At most `last` words."""
        steps = [s for s in self.steps if s.what != "flow" or shown_flows(s.name)]
        words: list[str] = []
        n = 0
        while n < len(steps):
            s = steps[n]
            if s.what == "enter" and n + 1 < len(steps) and steps[n + 1].what == "leave" and steps[n + 1].name == s.name:
                words.append(s.name)
                n += 2
                continue
            words.append(_WORDS[s.what].format(s.name, s.index))
            n += 1
        if len(words) > last:
            words = ["...", *words[-last:]]
        return " ".join(words) or "nothing"


_WORDS = {
    "enter": ">{0}", "leave": "<{0}", "flow": "-{0}", "withdraw": "~{0}", "run": ">{0}#{1}", "ran": "<{0}#{1}", "error": "!{0}", "incident": "!!{0}",
    "end": "={0}",
}  # fmt: skip


def _started(at: dict[int, str], e: wf.WorkflowStarted) -> list[Step]:
    if not e.element:
        return []
    at[e.token] = e.element
    return [Step("enter", e.element)]


def _activated(at: dict[int, str], e: fl.ElementActivated) -> list[Step]:
    if at.get(e.token) == e.element:  # a sub-process: its token arrived there by a flow before
        return []
    at[e.token] = e.element
    return [Step("run", e.element, index=e.index) if e.index else Step("enter", e.element)]


def _taken(at: dict[int, str], e: fl.FlowTaken) -> list[Step]:
    at[e.spawned or e.token] = e.target
    left = [] if e.spawned else [Step("leave", e.source)]
    return [*left, Step("flow", e.flow, e.source), Step("enter", e.target)]


def _completed(at: dict[int, str], e: fl.ElementCompleted) -> list[Step]:
    at.pop(e.token, None)
    return [Step("leave", e.element)]


def _withdrawn(at: dict[int, str], e: fl.ElementTerminated) -> list[Step]:
    at.pop(e.token, None)
    return [Step("withdraw", e.element)]


def _ran(at: dict[int, str], e: fl.LoopItemCompleted) -> list[Step]:
    element = at.pop(e.item, "")
    return [Step("ran", element, index=e.index)] if element else []


def _ended(at: dict[int, str], e: wf.WorkflowCompleted) -> list[Step]:
    return ([Step("leave", e.element)] if e.element else []) + [Step("end", "completed")]


_STEPS: dict[type[Event], Callable[[dict[int, str], Any], list[Step]]] = {
    wf.WorkflowStarted: _started,
    fl.ElementActivated: _activated,
    fl.FlowTaken: _taken,
    fl.ElementCompleted: _completed,
    fl.ElementTerminated: _withdrawn,
    fl.LoopItemCompleted: _ran,
    fl.ErrorOccurred: lambda at, e: [Step("error", e.code, e.element)],
    wa.IncidentRaised: lambda at, e: [Step("incident", e.code, e.element)],
    wf.WorkflowCompleted: _ended,
    wf.WorkflowFailed: lambda at, e: [Step("end", "failed")],
    wf.WorkflowCancelled: lambda at, e: [Step("end", "cancelled")],
    wf.WorkflowTerminated: lambda at, e: ([Step("leave", e.element)] if e.element else []) + [Step("end", "terminated")],
}

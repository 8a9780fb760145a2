"""The course of an instance: in which states it stood, and since when, from its events.

A state is the set of elements at which tokens stand; `*` after one: work at it is in hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from flowledger.analytics import fold
from flowledger.analytics.figures import Figures
from flowledger.analytics.trace import Trace
from flowledger.events import workflow as wf
from flowledger.events.base import Event

#: elements of a state that are told apart; more of them are one state
ELEMENTS_MAX = 6


class Step(NamedTuple):
    us: int
    state: str


class Course(NamedTuple):
    """`steps`: each change of state, the first at the start. `outcome` empty: it runs."""

    key: int
    version: int
    started_us: int
    ended_us: int
    outcome: str
    steps: tuple[Step, ...]

    @property
    def lasted_us(self) -> int:
        return self.ended_us - self.started_us

    def at(self, us: int) -> tuple[str, int]:
        """The state in which it stood, and since when."""
        here = self.steps[0]
        for step in self.steps:
            if step.us > us:
                break
            here = step
        return here.state, here.us


def state_of(t: Trace) -> str:
    """Of a trace as it is now."""
    hand = {w.token for w in t.work.values() if w.hand_us}
    names: dict[str, bool] = {}
    for token, v in t.visits.items():
        if not v.element or (token in t.kids and any(k.element for kid in t.kids[token] if (k := t.visits.get(kid)) is not None)):
            continue
        names[v.element] = names.get(v.element, False) or token in hand or any(kid in hand for kid in t.kids.get(token, ()))
    found = [f"{name}*" if busy else name for name, busy in sorted(names.items())]
    return "+".join(found[:ELEMENTS_MAX]) + ("+..." if len(found) > ELEMENTS_MAX else "")


def since_of(t: Trace) -> int:
    """Since when a trace stands as it does: the latest arrival, or beginning of work."""
    times = [v.since_us for v in t.visits.values()] + [w.hand_us for w in t.work.values() if w.hand_us]
    return max(times, default=t.started_us)


def without_hands(state: str) -> str:
    return state.replace("*", "")


def course_of(events: Iterable[tuple[Event, int]]) -> Course | None:
    """From all events of one instance with their times, in order; those that tell nothing may be left out. None: it didn't begin."""
    t: Trace | None = None
    figures, steps = Figures(), list[Step]()
    for e, us in events:
        if isinstance(e, wf.WorkflowStarted):
            t = fold.started(e, "", us, figures)
        elif t is None:
            continue
        elif type(e) in fold.OF_TASKS:
            for task in e.tasks:  # type: ignore[attr-defined]
                fold.apply_task(t, task, e, us, figures)
        else:
            fold.apply(t, e, us, figures)
        if t.outcome:
            break
        state = state_of(t)
        if not steps or steps[-1].state != state:
            if steps and steps[-1].us == us:  # it passed through in no time
                steps.pop()
            if not steps or steps[-1].state != state:
                steps.append(Step(us, state))
    if t is None or not steps:
        return None
    return Course(t.key, t.version, t.started_us, t.ended_us, t.outcome, tuple(steps))

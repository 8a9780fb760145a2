"""A history, read for what came from outside: starts, results of work, messages, signals, timers, operators. All else follows from the model."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Event
from flowledger.kernel.business import VARIABLE
from flowledger.sdk.testing.replay.story import Family, Name, Place, Story, asker

#: what follows from the model is decided again; these kinds name what they are about, so that what happens by itself isn't given once more
NAMED = frozenset({"complete", "fail", "throw", "skip", "drop", "retry", "timer", "message", "signal"})


class Moment(msgspec.Struct):
    """An event as it stands in a history. `cause` as on its envelope."""

    event: Event
    time_us: int
    partition: int
    offset: int
    cause: str = ""


class Stimulus(msgspec.Struct):
    """What came from outside for the instance at `place`. `name`: what it was about, `nth`: the how-manieth of its kind for that."""

    kind: str
    place: Place
    time_us: int
    data: dict[str, Any]
    name: Name | None = None
    nth: int = 0
    position: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        return (self.place, self.kind, self.name, self.nth)


class Unfit(Exception):
    """A history that can't be run again; says why."""


class Hearer:
    """Tells stories event by event, and says what came from outside. The same for what was recorded and for what is made anew."""

    def __init__(self, of: Callable[[str, int], Callable[[str], list[str]]]) -> None:
        self.family = Family(of)
        self.counts: Counter[Any] = Counter()
        #: instance -> (its decision, kinds of its events so far)
        self._now: dict[int, tuple[Any, list[type]]] = {}

    def hear(self, e: Event, decision: Any, time_us: int, cause: str = "") -> tuple[Story, Stimulus | None] | None:
        """None: of an instance that isn't of this family. Raises: Unfit."""
        at, before = self._now.get(e.key, (None, []))
        story = self.family.by_key.get(e.key)
        if at != decision:
            before = []
            if story is not None:
                story.closed = 0
        stimulus = None
        if story is not None and (make := _OUTSIDE.get(type(e))) is not None and (found := make(story, e, before, cause)) is not None:
            kind, name, data = found
            nth = 0
            if kind in NAMED:
                self.counts[story.place, kind, name] += 1
                nth = self.counts[story.place, kind, name]
            stimulus = Stimulus(kind, story.place, time_us, data, name, nth)
        story = self.family.hear(e)
        if story is None:
            return None
        self._now[e.key] = (decision, [*before[:8], type(e)])
        if isinstance(e, wf.WorkflowStarted) and not story.place:
            stimulus = Stimulus("start", (), time_us, {"event": e})
        return story, stimulus


Found = tuple[str, Name | None, dict[str, Any]] | None


def _type(s: Story, task: int) -> str:
    held = s.tasks.get(task)
    return held.name if held is not None else ""


def _complete(s: Story, e: ta.TaskCompleted, before: list[type], cause: str) -> Found:
    return "complete", s.names.get(e.task), {"variables": e.variables, "status": e.status, "result": e.result, "job_type": _type(s, e.task)}


def _fail(s: Story, e: ta.TaskFailed, before: list[type], cause: str) -> Found:
    data = {
        "retries": e.retries,
        "retry_at_us": e.retry_at_us,
        "code": e.code,
        "message": e.message,
        "variables": e.variables,
        "details": e.details,
        "job_type": _type(s, e.task),
    }
    return "fail", s.names.get(e.task), data  # fmt: skip


def _throw(s: Story, e: fl.ErrorOccurred, before: list[type], cause: str) -> Found:
    """By whoever had the task; not by the model, a policy or a clock."""
    task = next((key for key, held in s.tasks.items() if held.token == e.token), 0)
    if not task or any(kind is not wf.VariableSet for kind in before):
        return None
    return "throw", s.names.get(task), {"code": e.code, "message": e.message, "variables": e.variables, "job_type": _type(s, task)}


_UNHANDLED = re.compile(r"expected a handler for error '(.*)' thrown at [^,]*, found none(?:: (.*))?", re.DOTALL)


def _uncaught(s: Story, e: wa.IncidentRaised, before: list[type], cause: str) -> Found:
    """An error that nobody caught left an incident only; another model may catch it."""
    if e.code != "UNHANDLED_ERROR_EVENT" or not e.task or before or not (found := _UNHANDLED.fullmatch(e.message)):
        return None
    return "throw", s.names.get(e.task), {"code": found[1], "message": found[2] or "", "variables": None}


def _led(kind: str, data: Callable[[Any], dict[str, Any]]) -> Callable[[Story, Any, list[type], str], Found]:
    """Only where the decision begins with it, and isn't the rest of a long one."""
    return lambda s, e, before, cause: None if before or cause.startswith("instance:") else (kind, s.names.get(e.task), data(e))


def _timer(s: Story, e: wa.TimerTriggered, before: list[type], cause: str) -> Found:
    return "timer", s.names.get(e.timer), {}


def _message(s: Story, e: wa.MessageCorrelated, before: list[type], cause: str) -> Found:
    held = s.subscriptions.get(e.subscription)
    key = held.correlation if held is not None else s.keys_of.get(e.subscription, "")
    return "message", s.names.get(e.subscription), {"name": e.name, "key": key, "variables": e.variables}


def _signal(s: Story, e: wa.SignalReceived, before: list[type], cause: str) -> Found:
    return ("signal", s.caught(e), {"name": e.name, "variables": e.variables}) if e.token else None


def _set(s: Story, e: wf.VariableSet, before: list[type], cause: str) -> Found:
    if cause.startswith("instance:") or any(kind is not wf.VariableSet for kind in before) or set(e.variables or {}) == {VARIABLE}:
        return None
    return "set", None, {"token": e.scope, "at": s.at(e.scope), "spot": s.spot(e.scope), "variables": e.variables or {}}


def _resolve(s: Story, e: wa.IncidentResolved, before: list[type], cause: str) -> Found:
    known = s.incidents.get(e.incident)
    if known is None or any(kind not in (wf.VariableSet, ta.TaskRetried) for kind in before):
        return None
    return "resolve", None, {"element": known.element, "runs": known.runs}


def _modify(s: Story, e: wf.WorkflowModified, before: list[type], cause: str) -> Found:
    said = e.instructions or {}
    activate = [
        {**a, "scope": s.spot(a["ancestor"]) if a.get("ancestor") and a["ancestor"] != s.key else None} for a in said.get("activate") or ()
    ]
    return "modify", None, {"activate": activate, "terminate": [s.spot(t) for t in said.get("terminate") or ()]}


def _noted(s: Story, e: fl.TokenNoted, before: list[type], cause: str) -> Found:
    data = e.data if isinstance(e.data, dict) else {}
    if "rollback" in data:
        raise Unfit("it was rolled back")
    if "cancelling" in data and (not s.place or cause.startswith("request:")):
        return "cancel", None, {"reason": data["cancelling"]}
    if "queue" in data and not before and any(t[0] == e.token for t in s.tokens.values()):  # else the first of them begins at once
        known = s.queues.get(e.token) or []
        if len(queue := data["queue"] or []) > len(known) and queue[: len(known)] == known:
            return "choose", None, {"spot": s.spot(e.token), "elements": queue[len(known) :]}
    return None


def _choose(s: Story, e: fl.ElementActivated, before: list[type], cause: str) -> Found:
    """Somebody has chosen an activity of an ad-hoc sub-process: it begins in a scope of its own."""
    inner = s.tokens.get(e.scope)
    if (
        inner is None
        or inner[1] == e.element
        or s.at(inner[0]) != inner[1]
        or any(k not in (fl.ElementActivated, fl.TokenNoted) for k in before)
    ):
        return None
    if e.token in s.tokens or not before or inner[2]:
        return None
    rest = s.queues.get(inner[0]) or []
    return "choose", None, {"spot": s.spot(inner[0]), "elements": [[e.element, s.vars.get(e.scope)], *rest]}


def _cancelled(s: Story, e: wf.WorkflowCancelled, before: list[type], cause: str) -> Found:
    return ("cancel", None, {"reason": e.reason}) if not s.cancelling and (not s.place or cause.startswith("request:")) else None


def _terminated(s: Story, e: wf.WorkflowTerminated, before: list[type], cause: str) -> Found:
    by_hand = not e.element and wf.WorkflowModified not in before and (not s.place or cause.startswith("request:"))
    return ("cancel", None, {"reason": e.reason, "force": True}) if by_hand else None


def _unfit(why: str) -> Callable[..., Found]:
    def refuse(s: Story, e: Any, before: list[type], cause: str) -> Found:
        raise Unfit(why)

    return refuse


def _migrated(s: Story, e: wf.WorkflowMigrated, before: list[type], cause: str) -> Found:
    if any(old != new for old, new in (e.elements or {}).items()) or e.opened or e.moved or e.loops:
        raise Unfit("it was migrated to a version in which its elements have other names, scopes or loops")
    return None


_OUTSIDE: dict[type[Event], Callable[[Story, Any, list[type], str], Found]] = {
    ta.TaskCompleted: _complete,
    ta.TaskFailed: _fail,
    ta.TaskSkipped: _led("skip", lambda e: {"reason": e.reason}),
    ta.TaskCancelled: _led("drop", lambda e: {"reason": e.reason}),
    ta.TaskRetried: _led("retry", lambda e: {"retries": e.retries}),
    fl.ErrorOccurred: _throw,
    fl.TokenNoted: _noted,
    fl.ElementActivated: _choose,
    wa.IncidentRaised: _uncaught,
    wa.IncidentResolved: _resolve,
    wa.TimerTriggered: _timer,
    wa.MessageCorrelated: _message,
    wa.SignalReceived: _signal,
    wf.VariableSet: _set,
    wf.WorkflowModified: _modify,
    wf.WorkflowCancelled: _cancelled,
    wf.WorkflowTerminated: _terminated,
    wf.WorkflowRolledBack: _unfit("it was rolled back"),
    wf.WorkflowMigrated: _migrated,
    wf.WorkflowQuarantined: _unfit("it was quarantined by a defect of the engine"),
}


class Record:
    """`stimuli` in order; `gone`: timer -> how many stimuli there had been when it was no more. `missing`: called instances without a history."""

    def __init__(self, root: int, histories: dict[int, list[Moment]], models: Mapping[int, Any]) -> None:
        """`models`: key of a definition -> its compiled process, where it is known. Raises: Unfit."""
        self.root, self._models = root, models
        self.stimuli: list[Stimulus] = []
        self.gone: dict[tuple[Place, Name], int] = {}
        self.missing: list[int] = []
        self.last_us = 0
        self.payload: dict[str, Any] = {}
        self.began: list[str] = []
        hearer = Hearer(lambda process, definition: asker(models.get(definition)))
        self.family = hearer.family
        signals: list[tuple[Stimulus, Any]] = []
        alive: dict[int, set[int]] = {}
        for moment in _merged(root, histories, self.family):
            e = moment.event
            self.last_us = max(self.last_us, moment.time_us)
            heard = hearer.hear(e, (moment.time_us, moment.cause), moment.time_us, moment.cause)
            if heard is None:
                continue
            story, stimulus = heard
            if stimulus is not None:
                stimulus.position = f"{moment.partition}-{moment.offset}"
                self.stimuli.append(stimulus)
                if stimulus.kind == "signal":
                    signals.append((stimulus, (moment.time_us, moment.cause)))
            if story.key == root and len(self.stimuli) == 1 and stimulus is None:
                self._begun(story, e)
            if isinstance(e, fl.TokenNoted) and isinstance(e.data, dict) and (child := e.data.get("child")) and child not in histories:
                self.missing.append(child)
            before = alive.setdefault(e.key, set())
            if before or story.timers:
                for key in before - set(story.timers):
                    self.gone[story.place, story.names[key]] = len(self.stimuli)
                alive[e.key] = set(story.timers)
        together: dict[Any, list[Any]] = {}
        for s, decision in signals:
            s.data["together"] = together.setdefault((s.data["name"], decision), [])
            s.data["together"].append((s.place, s.name))
        if not self.stimuli or self.stimuli[0].kind != "start":
            raise Unfit("its history doesn't begin with its start")

    def nodes(self, story: Story) -> Any:
        """Of the model that it ran by; `{}`: it isn't known."""
        process = self._models.get(story.definition)
        return process.nodes if process is not None else {}

    def _begun(self, story: Story, e: Event) -> None:
        """What came with the start: of an event that started it its values, else the elements that it began at."""
        started: wf.WorkflowStarted = self.stimuli[0].data["event"]
        here = story.at(started.token) == started.element  # afterwards it is a step's own
        if isinstance(e, wf.VariableSet) and e.scope == started.token and here and not self.payload:
            self.payload = dict(e.variables or {})
        elif isinstance(e, fl.ElementActivated) and not started.token and len(story.tokens) == len(self.began) + 1:
            self.began.append(e.element)


def _merged(root: int, histories: dict[int, list[Moment]], family: Family) -> Iterable[Moment]:
    """All in one order: by time and place on the log, but no called instance before its call."""
    queues = {key: deque(moments) for key, moments in histories.items() if moments and key != root}
    first = deque(histories.get(root) or ())
    if not first or not isinstance(first[0].event, (wf.WorkflowStarted, wf.WorkflowCreated)):
        raise Unfit("its history doesn't begin with its start")
    queues[root] = first

    def ready(key: int, moment: Moment) -> bool:
        e = moment.event
        if key == root or not isinstance(e, wf.WorkflowStarted):
            return key in family.by_key or key == root
        parent = family.by_key.get(e.parent)
        return parent is not None and e.parent_token in parent.tokens

    while queues:
        heads = [(m.time_us, m.partition, m.offset, key) for key, q in queues.items() if ready(key, m := q[0])]
        if not heads:
            return  # what is left was called by nobody in this family
        key = min(heads)[3]
        queue = queues[key]
        yield queue.popleft()
        if not queue:
            del queues[key]

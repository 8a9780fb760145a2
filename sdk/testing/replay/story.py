"""What the events of one instance tell, whether they were recorded or are made anew: which way its tokens went, what it waited for, what it holds.

Keys differ from run to run. What a task, timer or subscription is called here doesn't: its kind, its element, the numbers of the runs of loops that it is
in, and the how-manieth of these it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Event

#: runs of loops, from the outermost
Runs = tuple[int, ...]
#: kind, element, runs, what tells several of these apart (a listener, the place of an event definition), number
Name = tuple[str, str, Runs, str, int]
#: of an instance in its family: for each call on the way down, its element, runs and number. The root is `()`
Place = tuple[tuple[str, Runs, int], ...]


class Entry(msgspec.Struct):
    """A token has left `element` by flows (`ways`: flow and target), or come to it by none (`ways` empty). `order` counts within the instance.

    `cut`: in a run of a loop that was withdrawn before its end. How far such a run came hangs on how the decision was cut into steps."""

    element: str
    runs: Runs
    order: int
    ways: list[tuple[str, str]] = []
    values: dict[str, Any] | None = None
    cut: bool = False


class Held(msgspec.Struct):
    """What a token has while it stays `at` an element: a task (`name`: its job type), a timer, a subscription (with its name and correlation key)."""

    token: int
    at: str
    kind: str = ""
    element: str = ""
    name: str = ""
    correlation: str = ""


class Open(Held):
    """An incident that is open."""

    code: str = ""
    message: str = ""
    runs: Runs = ()
    task: int = 0


class Story:
    """Attributes:
    place: of the instance in its family. key: of this run.
    names, keys: of tasks, timers and subscriptions, and back.
    dues: timer -> all moments at which it was to fire.
    """

    def __init__(self, key: int, place: Place, decides: Callable[[str], list[str]]) -> None:
        """`decides`: names that the conditions behind an element ask for."""
        self.key, self.place, self.decides = key, place, decides
        self.process, self.definition, self.business_key = "", 0, ""
        #: token -> [scope, element, number of its run]
        self.tokens: dict[int, list[Any]] = {}
        self.vars: dict[int, dict[str, Any]] = {key: {}}
        self.names: dict[int, Name] = {}
        self.keys: dict[Name, int] = {}
        self.tasks: dict[int, Held] = {}
        self.timers: dict[int, Held] = {}
        self.dues: dict[Name, set[int]] = {}
        self.subscriptions: dict[int, Held] = {}
        #: correlation keys of those that were closed
        self.keys_of: dict[int, str] = {}
        self.incidents: dict[int, Open] = {}
        self.entries: list[Entry] = []
        self.ended, self.cancelling = "", False
        self.counts: Counter[Any] = Counter()
        #: the subscription that was closed last in this decision
        self.closed = 0
        self.visited: Counter[str] = Counter()
        #: ad-hoc sub-process -> what it is to do later
        self.queues: dict[int, list[Any]] = {}
        self._fork: tuple[int, str, Entry] | None = None
        #: run of a loop -> how many entries there were when it began
        self._since: dict[int, int] = {}

    # --- looking

    def runs(self, token: int) -> Runs:
        found: list[int] = []
        while (t := self.tokens.get(token)) is not None:
            if t[2]:
                found.append(t[2])
            token = t[0]
        return tuple(reversed(found))

    def at(self, token: int) -> str:
        t = self.tokens.get(token)
        return t[1] if t is not None else ""

    def spot(self, token: int) -> tuple[str, Runs, int]:
        """Where a token stands: its element, runs, and the how-manieth it is there, the oldest first."""
        where = (self.at(token), self.runs(token))
        alike = [k for k, t in self.tokens.items() if (t[1], self.runs(k)) == where]
        return *where, alike.index(token) if token in alike else 0

    def on(self, spot: tuple[str, Runs, int]) -> int:
        """The token that stands there; 0: none."""
        element, runs, nth = spot
        alike = [k for k, t in self.tokens.items() if t[1] == element and self.runs(k) == runs]
        return alike[min(nth, len(alike) - 1)] if alike else 0

    def seen(self, token: int) -> dict[str, Any]:
        """Variables that the token sees."""
        layers = []
        while (t := self.tokens.get(token)) is not None:
            layers.append(self.vars.get(token) or {})
            token = t[0]
        return {**self.vars[self.key], **{k: v for layer in reversed(layers) for k, v in layer.items()}}

    def waiting(self) -> Counter[tuple[str, Runs]]:
        """Where tokens stand that enclose no others."""
        if self.ended:
            return Counter()
        scopes = {t[0] for t in self.tokens.values()}
        return Counter((t[1], self.runs(key)) for key, t in self.tokens.items() if key not in scopes)

    # --- hearing

    def hear(self, e: Event) -> None:
        make = _HEARD.get(type(e))
        if make is not None:
            make(self, e)

    def name(self, key: int, kind: str, element: str, token: int, extra: str) -> Name:
        runs = self.runs(token)
        self.counts[kind, element, runs, extra] += 1
        found = (kind, element, runs, extra, self.counts[kind, element, runs, extra])
        self.names[key], self.keys[found] = found, key
        return found

    def come(self, token: int, element: str) -> None:
        self.visited[element] += 1
        self.entries.append(Entry(element, self.runs(token), len(self.entries)))

    def gone(self, token: int) -> None:
        """With all below it."""
        for kid in [k for k, t in self.tokens.items() if t[0] == token]:
            self.gone(kid)
        self.tokens.pop(token, None)
        self._since.pop(token, None)
        self.vars.pop(token, None)
        self._moved(token)

    def _terminated(self, e: fl.ElementTerminated) -> None:
        known = self.tokens.get(e.token)
        if known is not None and known[2]:
            runs = self.runs(e.token)
            for entry in self.entries[self._since.get(e.token, 0) :]:
                entry.cut = entry.cut or entry.runs[: len(runs)] == runs
        self.gone(e.token)

    def _moved(self, token: int) -> None:
        """What belonged to a stay at an element ends with it."""
        at = self.at(token)
        tables: tuple[dict[int, Any], ...] = (self.tasks, self.timers, self.subscriptions, self.incidents)
        for table in tables:
            for key in [k for k, held in table.items() if held.token == token and held.at != at]:
                del table[key]

    def _started(self, e: wf.WorkflowStarted) -> None:
        self.process, self.definition, self.business_key = e.process, e.definition, e.business_key
        self.vars[self.key].update(e.variables or {})
        if e.token:
            self.tokens[e.token] = [self.key, e.element, 0]
            self.come(e.token, e.element)

    def _activated(self, e: fl.ElementActivated) -> None:
        known = self.tokens.get(e.token)
        if known is None:
            self.tokens[e.token] = [e.scope, e.element, e.index]
            self._since[e.token] = len(self.entries)
            self.come(e.token, e.element)
        if e.variables:
            self.vars.setdefault(e.token, {}).update(e.variables)

    def _taken(self, e: fl.FlowTaken) -> None:
        runs = self.runs(e.token)
        if self._fork is not None and self._fork[:2] == (e.token, e.source):
            entry = self._fork[2]
        else:
            entry = Entry(e.source, runs, len(self.entries), [])
            if names := self.decides(e.source):
                seen = self.seen(e.token)
                entry.values = {n: seen[n] for n in names if n in seen}
            self.entries.append(entry)
        entry.ways = [*entry.ways, (e.flow, e.target)]
        self.visited[e.target] += 1
        token = self.tokens.get(e.token)
        if e.spawned:
            self.tokens[e.spawned] = [token[0] if token is not None else self.key, e.target, 0]
            self._fork = (e.token, e.source, entry)
            return
        self._fork = None
        if token is not None:
            token[1] = e.target
        self.vars.pop(e.token, None)
        self._moved(e.token)

    def _reached(self, e: fl.GatewayReached) -> None:
        for key in e.consumed:
            if key != e.token:
                self.gone(key)

    def _set(self, scope: int, variables: dict[str, Any] | None) -> None:
        if variables:
            self.vars.setdefault(scope, {}).update(variables)

    def _task(self, e: ta.TaskCreated) -> None:
        self.tasks[e.task] = Held(e.token, self.at(e.token), name=e.job_type)
        self.name(e.task, "task", e.element, e.token, e.listener)

    def _task_done(self, e: ta.TaskCompleted) -> None:
        self.tasks.pop(e.task, None)
        if e.merged:
            self._set(e.merged, e.variables)

    def _timer(self, e: wa.TimerScheduled) -> None:
        element = e.element.rpartition(":")[0] or e.element
        self.timers[e.timer] = Held(e.token, self.at(e.token))
        self.dues.setdefault(self.name(e.timer, "timer", element, e.token, str(e.which)), set()).add(e.due_us)

    def _ticked(self, e: wa.TimerTriggered) -> None:
        if not e.next_us:
            self.timers.pop(e.timer, None)
        elif name := self.names.get(e.timer):
            self.dues[name].add(e.next_us)

    def _subscribed(self, e: wa.SubscriptionOpened) -> None:
        self.subscriptions[e.subscription] = Held(e.token, self.at(e.token), e.kind, e.element, e.name, e.correlation)
        self.name(e.subscription, e.kind, e.element, e.token, str(e.which))

    def _unsubscribed(self, e: wa.SubscriptionClosed) -> None:
        if held := self.subscriptions.pop(e.subscription, None):
            self.keys_of[e.subscription] = held.correlation
        self.closed = e.subscription

    def caught(self, e: wa.SignalReceived) -> Name | None:
        """Whose subscription took the signal: one of that token, else the one that was closed for it, else one in the same runs."""
        open_ = [k for k, h in self.subscriptions.items() if (h.kind, h.element, h.name) == ("signal", e.element, e.name)]
        own = next((k for k in open_ if self.subscriptions[k].token == e.token), 0)
        closed = self.names.get(self.closed)
        if not own and closed is not None and closed[:2] == ("signal", e.element):
            return closed
        runs = self.runs(e.token)
        open_.sort(key=lambda k: (k != own, self.names[k][2] != runs))
        return self.names[open_[0]] if open_ else None

    def _noted(self, e: fl.TokenNoted) -> None:
        if isinstance(e.data, dict):
            self.cancelling = self.cancelling or "cancelling" in e.data
            if "queue" in e.data:
                self.queues[e.token] = e.data["queue"] or []

    def _raised(self, e: wa.IncidentRaised) -> None:
        self.incidents[e.incident] = Open(
            e.token, self.at(e.token), element=e.element or self.at(e.token), code=e.code, message=e.message, runs=self.runs(e.token), task=e.task
        )  # fmt: skip

    def _end(self, status: str) -> None:
        self.ended = status
        tables: tuple[dict[int, Any], ...] = (self.tokens, self.tasks, self.timers, self.subscriptions, self.incidents)
        for table in tables:
            table.clear()


_HEARD: dict[type[Event], Callable[[Story, Any], Any]] = {
    wf.WorkflowStarted: Story._started,
    wf.WorkflowCompleted: lambda s, e: s._end("completed"),
    wf.WorkflowFailed: lambda s, e: s._end("failed"),
    wf.WorkflowCancelled: lambda s, e: s._end("cancelled"),
    wf.WorkflowTerminated: lambda s, e: s._end("terminated"),
    wf.VariableSet: lambda s, e: s._set(e.scope, e.variables),
    fl.ElementActivated: Story._activated,
    fl.FlowTaken: Story._taken,
    fl.TokenNoted: Story._noted,
    fl.GatewayReached: Story._reached,
    fl.ElementCompleted: lambda s, e: s.gone(e.token),
    fl.ElementTerminated: Story._terminated,
    fl.LoopItemCompleted: lambda s, e: s.gone(e.item),
    ta.TaskCreated: Story._task,
    ta.TaskCompleted: Story._task_done,
    ta.TaskCancelled: lambda s, e: s.tasks.pop(e.task, None),
    ta.TaskSkipped: lambda s, e: s.tasks.pop(e.task, None),
    wa.TimerScheduled: Story._timer,
    wa.TimerTriggered: Story._ticked,
    wa.TimerCancelled: lambda s, e: s.timers.pop(e.timer, None),
    wa.SubscriptionOpened: Story._subscribed,
    wa.SubscriptionClosed: Story._unsubscribed,
    wa.IncidentRaised: Story._raised,
    wa.IncidentResolved: lambda s, e: s.incidents.pop(e.incident, None),
}
_WORD = re.compile(r"[^\W\d]\w*")


def asker(process: Any) -> Callable[[str], list[str]]:
    """Of a compiled process (None: it isn't known): element -> names in the conditions of the flows behind it."""
    known: dict[str, list[str]] = {}

    def ask(element: str) -> list[str]:
        if element not in known:
            node = process.nodes.get(element) if process is not None else None
            texts = [getattr(f.condition, "text", "") or "" for f in node.outgoing if f.condition is not None] if node is not None else []
            known[element] = list(dict.fromkeys(w for text in texts for w in _WORD.findall(text)))
        return known[element]

    return ask


class Family:
    """The stories of an instance and of all that it called. `of` makes the `decides` of a story by (process, definition)."""

    def __init__(self, of: Callable[[str, int], Callable[[str], list[str]]]) -> None:
        self.of = of
        self.by_key: dict[int, Story] = {}
        self.by_place: dict[Place, Story] = {}

    def start(self, e: wf.WorkflowStarted, root: bool) -> Story | None:
        place: Place = ()
        if not root:
            parent = self.by_key.get(e.parent)
            if parent is None:
                return None
            call = (parent.at(e.parent_token), parent.runs(e.parent_token))
            parent.counts["call", call] += 1
            place = (*parent.place, (*call, parent.counts["call", call]))
        story = self.by_key[e.key] = self.by_place[place] = Story(e.key, place, self.of(e.process, e.definition))
        return story

    def hear(self, e: Event) -> Story | None:
        """The story that the event belongs to, once it is told there."""
        story = self.by_key.get(e.key)
        if story is None and isinstance(e, wf.WorkflowStarted):
            story = self.start(e, root=not self.by_key)
        if story is not None:
            story.hear(e)
        return story

    def __iter__(self) -> Iterator[Story]:
        return iter(self.by_place.values())

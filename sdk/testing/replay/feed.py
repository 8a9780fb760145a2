"""Gives a desk what its history says, in order, at its moments, when what it is about is there; then lets time go on as far as it does by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected
from flowledger.events.commands import PARTITION_BITS
from flowledger.sdk.testing.replay.desk import Desk
from flowledger.sdk.testing.replay.record import NAMED, Record, Stimulus
from flowledger.sdk.testing.replay.story import Place, Story

#: timers that fire by themselves once the history is at its end
TICKS_MAX = 100
#: so much later than it might have been was a long decision's second part made, and with it its timers
LATE_US = 250_000
#: what can be about something that isn't there any more; it says nothing then
_MAY_MISS = frozenset({"timer", "signal", "message", "set", "resolve", "retry", "choose"})


class Given(msgspec.Struct):
    """What was given, and when. Of work, where: the `nth` that was open at `element`, oldest first.

    `before_us`: a timer is due then that fires later or never, since an answer came in between; 0: none is."""

    time_us: int
    stimulus: Stimulus
    command: Any
    element: str = ""
    nth: int = 0
    before_us: int = 0


class Feed:
    """`refused`: answers that the other model doesn't take. `given`: what was given, with the moment, for a test that does the same."""

    def __init__(self, desk: Desk, record: Record, process: str) -> None:
        self.desk, self.record, self.process = desk, record, process
        self.refused: list[tuple[Stimulus, Rejected]] = []
        self.given: list[Given] = []
        self.waiting: list[Stimulus] = []
        self.at = 0
        self._recorded = {s.place: s for s in record.family}
        self._names = {(s.place, s.kind, s.name) for s in record.stimuli}

    def run(self) -> None:
        """Raises: TooMuch."""
        desk = self.desk
        for n, stimulus in enumerate(self.record.stimuli):
            self._until(stimulus.time_us)
            self.at = n + 1
            desk.facts.now_us = max(desk.facts.now_us, stimulus.time_us)
            if self._happened(stimulus):
                continue
            if self._give(stimulus):
                self._again()
            else:
                self.waiting.append(stimulus)
        self._to_end()

    # --- the clock

    def _held_back(self, story: Story, key: int) -> bool:
        """A timer that the history knows, with the same moment, goes by the history: it fires when it did, and not where it didn't."""
        recorded, name = self._recorded.get(story.place), story.names.get(key)
        if recorded is None or name is None:
            return False
        due = self.desk.state.timers[key].due_us
        if not any(abs(due - then) <= LATE_US for then in recorded.dues.get(name, ())):
            return False
        return self.at <= self.record.gone.get((story.place, name), len(self.record.stimuli) + 1)

    def _until(self, end_us: int) -> None:
        desk = self.desk
        for _ in range(TICKS_MAX):
            due = [x for x in desk.free_timers(self._held_back) if x[0] < end_us]
            if not due:
                return
            desk.facts.now_us = max(desk.facts.now_us, due[0][0])
            before = desk.state.timers[due[0][1]].due_us
            desk.do(c.FireTimers(timers=[due[0][1]]))
            self._again()
            left = desk.state.timers.get(due[0][1])
            if left is not None and left.due_us == before:
                return  # it doesn't fire: no clock of ours

    def _to_end(self) -> None:
        """The history is at its end. What was thrown within the family may be caught in it; a token that waits for nothing but time goes on."""
        desk = self.desk
        ended = bool(self._recorded[()].ended)
        for _ in range(TICKS_MAX):
            self.at = len(self.record.stimuli) + 2 if ended else self.at
            if self._caught() or self._again():
                continue
            due = [(at, key) for at, key in desk.free_timers(self._held_back) if self._alone(key) and (ended or at <= self.record.last_us)]
            if not due:
                return
            desk.facts.now_us = max(desk.facts.now_us, due[0][0])
            desk.do(c.FireTimers(timers=[due[0][1]]))

    def _alone(self, key: int) -> bool:
        """Its token waits at the timer itself, for nothing else."""
        p = self.desk.state
        timer = p.timers[key]
        i = p.instances.get(timer.instance)
        token = i.tokens.get(timer.token) if i is not None else None
        return token is not None and token.element == timer.element and all(k in p.timers for k in token.holds or ())

    def _caught(self) -> bool:
        desk = self.desk
        for s in list(desk.state.subscriptions.values()):
            story = desk.family.by_key.get(s.instance)
            if s.kind != "message" or story is None or self.named("message", story, s.key):
                continue
            for m in desk.thrown:
                if (m.name, m.correlation) == (s.name, s.correlation):
                    desk.thrown.remove(m)
                    correlate = c.Correlate(
                        message=m.message, subscription=s.key, name=m.name, correlation=m.correlation, variables=m.variables
                    )
                    desk.do(correlate)
                    return True
        return False

    # --- giving

    def _again(self) -> bool:
        """What could not be given before, in order."""
        done = False
        for stimulus in list(self.waiting):
            if stimulus in self.waiting and (self._happened(stimulus) or self._give(stimulus)):
                if stimulus in self.waiting:
                    self.waiting.remove(stimulus)
                done = True
        return done

    def _happened(self, s: Stimulus) -> bool:
        """By itself: a timer's moment, what the family threw."""
        return s.kind in NAMED and s.key in self.desk.done

    def named(self, kind: str, story: Story, key: int) -> bool:
        """The history says something about it."""
        return (story.place, kind, story.names.get(key)) in self._names

    def _give(self, s: Stimulus) -> bool:
        """False: what it is about isn't there."""
        made: c.AnyCommand | None
        make = _GIVE[s.kind]
        if s.kind == "start":
            made = _start(self, s)
            key = 0
        elif s.name is not None:
            key = self.desk.find(s, partial(self.named, s.kind))
            made = make(self, s, key) if key else None
        else:
            story = self.desk.family.by_place.get(s.place)
            key = story.key if story is not None else 0
            made = make(self, s, key) if key and not story.ended else None
        if made is None:
            return False
        given = Given(self.desk.facts.now_us, s, made, before_us=self._late(key if s.kind == "timer" else 0))
        if (task := self.desk.state.tasks.get(key)) is not None:
            beside = [t.key for t in self.desk.state.tasks.values() if t.instance == task.instance and t.element == task.element]
            given.element, given.nth = task.element, beside.index(key) + 1
        self.given.append(given)
        answer = self.desk.do(made)
        if isinstance(answer, Rejected):
            self.given.pop()
            if s.kind not in _MAY_MISS:
                self.refused.append((s, answer))
        return True

    def _late(self, own: int) -> int:
        """The first moment at which a timer should have fired, and has not yet; behind that of `own`."""
        p, now = self.desk.state, self.desk.facts.now_us
        since = p.timers[own].due_us if own in p.timers else 0
        return min((t.due_us for t in p.timers.values() if since < t.due_us <= now and t.instance in self.desk.family.by_key), default=0)

    def story(self, place: Place) -> Story:
        return self.desk.family.by_place[place]  # type: ignore[no-any-return]


def _start(f: Feed, s: Stimulus) -> c.AnyCommand:
    e: wf.WorkflowStarted = s.data["event"]
    definition = f.desk.processes()[f.process]
    nodes = f.desk.facts.processes[definition].nodes
    outside = (1 << PARTITION_BITS) | 1 if e.parent else 0
    node = nodes.get(e.element) if e.element else None
    by_event = node is not None and node.kind == "startEvent" and bool(node.events)
    began = [x for x in f.record.began if x in nodes and nodes[x].kind != "startEvent"]
    around = {scope.id for x in began if (scope := nodes[x].scope) is not None}
    plain = any(n.kind == "startEvent" and not n.events for n in f.desk.facts.processes[definition].root.starts)
    first = next((n.id for n in f.desk.facts.processes[definition].root.starts), "")
    element = e.element if by_event or (node is not None and f.record.payload) else "" if plain or not first else first
    return c.StartInstance(
        definition=definition, variables=e.variables if not f.record.payload or element else {**(e.variables or {}), **f.record.payload},
        business_key=e.business_key, priority=e.priority, parent=outside, parent_token=outside, root=outside,
        metadata={k: v for k, v in (e.metadata or {}).items() if k == "$depth"} or None,
        start_element=element, start_payload=f.record.payload or None if element else None,
        start_at=[x for x in began if x not in around] or None if not element else None,
    )  # fmt: skip


def _complete(f: Feed, s: Stimulus, key: int) -> c.AnyCommand:
    task = f.desk.state.tasks[key]
    if task.retry_at_us:
        f.desk.facts.now_us = max(f.desk.facts.now_us, task.retry_at_us)
        f.desk.do(c.ReadyTasks(tasks=[key]))
    return c.CompleteTask(task=key, variables=s.data["variables"], status=s.data["status"], result=s.data["result"])


def _fail(f: Feed, s: Stimulus, key: int) -> c.AnyCommand:
    d = s.data
    backoff = max(0, (d["retry_at_us"] - s.time_us) // 1000) if d["retry_at_us"] else 0
    return c.FailTask(
        task=key,
        retries=d["retries"],
        backoff_ms=backoff,
        message=d["message"],
        code=d["code"],
        variables=d["variables"],
        details=d["details"],
    )


def _throw(f: Feed, s: Stimulus, key: int) -> c.AnyCommand:
    return c.ThrowTaskError(task=key, code=s.data["code"], message=s.data["message"], variables=s.data["variables"])


def _message(f: Feed, s: Stimulus, key: int) -> c.AnyCommand:
    sub = f.desk.state.subscriptions[key]
    return c.Correlate(message=key, subscription=key, name=sub.name, correlation=sub.correlation, variables=s.data["variables"])


def _signal(f: Feed, s: Stimulus, key: int) -> c.AnyCommand:
    """One broadcast is one decision, whomever it reaches; unless somebody listens here whom it did not reach then (it was kept for a hold)."""
    desk, name = f.desk, s.data["name"]
    for sub in desk.state.subscriptions.values():
        story = desk.family.by_key.get(sub.instance)
        if (sub.kind, sub.name) == ("signal", name) and story is not None:
            who = story.names.get(sub.key)
            if (story.place, who) not in s.data["together"] and f.named("signal", story, sub.key):
                return c.CatchSignal(subscription=key, name=name, variables=s.data["variables"])
    return c.BroadcastSignal(name=name, variables=s.data["variables"])


def _timer(f: Feed, s: Stimulus, key: int) -> c.AnyCommand | None:
    """One that is due later in this model fires by itself then."""
    facts, due = f.desk.facts, f.desk.state.timers[key].due_us
    if due > facts.now_us + LATE_US:
        return None
    facts.now_us = max(facts.now_us, due)
    return c.FireTimers(timers=[key])


def _set(f: Feed, s: Stimulus, key: int) -> c.AnyCommand | None:
    scope = f.story(s.place).on(s.data["spot"]) if s.data["at"] else key
    return c.SetVariables(key=scope, variables=s.data["variables"], local=True) if scope else None


def _resolve(f: Feed, s: Stimulus, key: int) -> c.AnyCommand | None:
    story = f.story(s.place)
    found = next((k for k, x in story.incidents.items() if x.element == s.data["element"] and x.runs == s.data["runs"]), 0)
    return c.ResolveIncident(key=found) if found in f.desk.state.incidents else None


def _retry(f: Feed, s: Stimulus, key: int) -> c.AnyCommand:
    return c.UpdateRetries(task=key, retries=s.data["retries"])


def _move(move: str) -> Callable[[Feed, Stimulus, int], c.AnyCommand]:
    return lambda f, s, key: c.MoveTask(task=key, move=move, reason=s.data["reason"])


def _choose(f: Feed, s: Stimulus, key: int) -> c.AnyCommand | None:
    token = f.story(s.place).on(s.data["spot"])
    elements = s.data["elements"]
    return c.AdHocActivate(token=token, elements=[x[0] for x in elements], variables=elements[0][1]) if token else None


def _modify(f: Feed, s: Stimulus, key: int) -> c.AnyCommand | None:
    """As it was understood: which tokens went, and where others began."""
    instructions: list[dict[str, Any]] = []
    for a in s.data["activate"]:
        said: dict[str, Any] = {"activate": a["element"]}
        if a["scope"]:
            if not (scope := f.story(s.place).on(a["scope"])):
                return None
            said["scope"] = scope
        if a.get("variables"):
            said["scopes"] = {k: v for k, v in a["variables"].items() if k != a["element"]}
            said["variables"] = a["variables"].get(a["element"])
        instructions.append({k: v for k, v in said.items() if v})
    for spot in s.data["terminate"]:
        if not (token := f.story(s.place).on(spot)):
            return None
        instructions.append({"cancel": token})
    return co.ModifyInstance(key=key, instructions=instructions, force=True) if instructions else None


def _cancel(f: Feed, s: Stimulus, key: int) -> c.AnyCommand:
    i = f.desk.state.instances[key]
    return c.CancelInstance(key=key, reason=s.data["reason"], force=s.data.get("force", False) or bool(i.parent))


_GIVE: dict[str, Any] = {
    "start": None, "complete": _complete, "fail": _fail, "throw": _throw, "skip": _move("skip"), "drop": _move("cancel"), "retry": _retry,
    "timer": _timer, "message": _message, "signal": _signal, "set": _set, "resolve": _resolve, "modify": _modify, "cancel": _cancel, "choose": _choose,
}  # fmt: skip

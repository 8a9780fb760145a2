"""The kernel in memory for one family of instances: nothing comes in or goes out but what is given. What it throws outwards is kept aside."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events import waiting as wa
from flowledger.events.base import Broken, Event, Rejected
from flowledger.kernel import Facts, Partition, decide, putoff
from flowledger.kernel.library import Library
from flowledger.kernel.protection import TrialVault
from flowledger.sdk.testing.engine import _sandbox
from flowledger.sdk.testing.errors import ModelInvalid
from flowledger.sdk.testing.replay.record import Hearer, Stimulus
from flowledger.sdk.testing.replay.story import Story, asker

#: of the run of one history
DECISIONS_MAX, EVENTS_MAX = 20_000, 50_000


class TooMuch(Exception):
    """A run that goes beyond its bounds."""


class Desk:
    """Attributes: state, now_us; `done`: what came from outside, by its key; `thrown`: messages that the family published; `broken`: a defect."""

    def __init__(
        self, library: Library, resources: list[c.Resource], tenant: str, end: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`end`: of the time that it may take, by `clock`. Raises: ModelInvalid."""
        self.state, self.tenant, self.end, self.clock = Partition(0, 1), tenant, end, clock
        self.facts = Facts(
            0, library.processes(self.state), library.decisions(self.state), library.read, forms=library.forms(self.state),
            triggers=library.triggers(self.state), rules=library.rules(self.state), javascript=_sandbox(), vault=TrialVault(), step_up=False,
        )  # fmt: skip
        self.hearer = Hearer(lambda process, definition: asker(self.facts.processes.get(definition)))
        self.done: set[tuple[Any, ...]] = set()
        self.thrown: list[wa.MessageReceived] = []
        self.broken = ""
        self._decisions, self._events = 0, 0
        answer = self.do(c.Deploy(resources=resources))
        if isinstance(answer, Rejected):
            if answer.code == "MODEL_INVALID":
                raise ModelInvalid(msgspec.json.decode(answer.message))
            raise ModelInvalid([{"severity": "error", "code": answer.code, "message": answer.message}])
        self.definitions: list[dict[str, Any]] = answer["definitions"]
        self.state.by_start.clear()  # what starts other instances starts none here
        self.state.timers.clear()

    @property
    def family(self) -> Any:
        return self.hearer.family

    def processes(self) -> dict[str, int]:
        return {d["id"]: d["key"] for d in self.definitions if d["kind"] == "process"}

    def do(self, command: c.AnyCommand) -> dict[str, Any] | Rejected:
        """The answer. Raises: TooMuch."""
        self._decisions += 1
        if self._decisions > DECISIONS_MAX or self._events > EVENTS_MAX:
            raise TooMuch(f"it makes more than {DECISIONS_MAX} decisions or {EVENTS_MAX} events; does it go round without waiting?")
        if self.clock() > self.end:
            raise TooMuch("its time is up")
        return self._made(c.Request(command=command, time_us=self.facts.now_us, tenant=self.tenant))

    def _made(self, request: c.Request) -> dict[str, Any] | Rejected:
        d = decide(self.state, request, self.facts)
        if isinstance(d, Rejected):
            return d
        if isinstance(d, Broken):
            self.broken = f"{d.defect}: {d.message}"
            return Rejected("INTERNAL", self.broken)
        self._events += len(d.events)
        for e in d.events:
            self._heard(e)
        self._cut_off()
        for later in d.later:
            self.do(later)
        while (put_off := putoff.request(self.state)) is not None:
            self._made(put_off)
        return d.answer

    def _heard(self, e: Event) -> None:
        heard = self.hearer.hear(e, self._decisions, self.facts.now_us)
        if heard is not None and heard[1] is not None:
            self.done.add(heard[1].key)
        elif isinstance(e, wa.MessageReceived):
            self.thrown.append(e)

    def _cut_off(self) -> None:
        """Messages come by the history only, so nobody is told of what they wait for, and what was published goes nowhere."""
        p = self.state
        for table in (p.awaited, p.by_awaited, p.messages, p.by_message, p.by_message_id):
            table.clear()
        for sent in [sent for sent in p.outbox if sent[0] != p.meta.partition]:
            del p.outbox[sent]

    # --- looking

    def held(self, story: Story, kind: str) -> dict[int, Any]:
        """What is there of a kind of stimulus (message, signal, timer; else tasks), by key."""
        if kind in ("message", "signal"):
            return {k: s for k, s in self.state.subscriptions.items() if s.instance == story.key and s.kind == kind}
        return {k: t for k, t in (self.state.timers if kind == "timer" else self.state.tasks).items() if t.instance == story.key}

    def free_timers(self, held_back: Callable[[Story, int], bool]) -> list[tuple[int, int]]:
        """(due, key) of those that go by the clock."""
        by_key = self.family.by_key
        return sorted(
            (t.due_us, t.key) for t in self.state.timers.values() if (s := by_key.get(t.instance)) is not None and not held_back(s, t.key)
        )

    def find(self, stimulus: Stimulus, named: Callable[[Story, int], bool]) -> int:
        """The key of what it is about; 0: it isn't there (yet). `named`: whether something else of the history is for that."""
        story = self.family.by_place.get(stimulus.place)
        name = stimulus.name
        if story is None or name is None:
            return 0
        held = {k: x for k, x in self.held(story, stimulus.kind).items() if _fits(stimulus, x)}
        key = story.keys.get(name, 0)
        if key:
            return key if key in held else 0
        nodes = self.facts.processes[story.definition].nodes
        job = stimulus.data.get("job_type") if name[1] not in nodes else None  # an element that was renamed, by its job
        for k, x in held.items():
            alike = x.element == name[1] or (job and x.job_type == job)
            if alike and getattr(x, "listener", "") in ("", name[3]) and not named(story, k):
                return k
        return 0


def _fits(stimulus: Stimulus, held: Any) -> bool:
    """A message or a signal reaches who waits for it."""
    if stimulus.kind == "message":
        return bool((held.name, held.correlation) == (stimulus.data["name"], stimulus.data["key"]))
    return stimulus.kind != "signal" or held.name == stimulus.data["name"]

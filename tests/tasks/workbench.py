"""A partition by hand: commands in, and after each the log is folded anew and restored from records; all three states must be the same."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events.base import Envelope, Event, Rejected
from flowledger.events.group import START
from flowledger.kernel import checkpoint
from flowledger.kernel.access import ANY_TENANT
from flowledger.kernel.decide import decide
from flowledger.kernel.decision import Decision, Facts
from flowledger.kernel.fold import evolve
from flowledger.kernel.library import Library
from flowledger.kernel.state import Partition

sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
START_US = 1_767_607_200_000_000  # 2026-01-05T10:00:00Z, a Monday
SECOND = 1_000_000
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND


def bpmn(body: str, id: str = "p") -> str:
    """`body` between a start s and an end e; one task t needs no flows of its own."""
    return (
        '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" '
        'xmlns:flowledger="urn:flowledger:bpmn:1" targetNamespace="t"><error id="err" errorCode="E1"/><error id="gone" errorCode="TASK_CANCELLED"/>'
        '<escalation id="late" escalationCode="LATE"/>'
        f'<process id="{id}" isExecutable="true">{body}</process></definitions>'
    )


def one(task: str, more: str = "") -> str:
    """A process of one task with id t."""
    return bpmn(
        f'<startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>{task}<sequenceFlow id="f2" sourceRef="t" targetRef="e"/>'
        f'<endEvent id="e"/>{more}'
    )


def service(ext: str = "", type: str = "work") -> str:
    return f'<serviceTask id="t"><extensionElements><zeebe:taskDefinition type="{type}"/>{ext}</extensionElements></serviceTask>'


def user(ext: str = "") -> str:
    return f'<userTask id="t"><extensionElements><zeebe:userTask/>{ext}</extensionElements></userTask>'


class Bench:
    def __init__(self, *models: str, check: bool = True, retry: dict[str, Any] | None = None, **settings: Any) -> None:
        self.retry, self.settings = retry, settings
        self.library = Library(lambda hash: None)
        self.p, self.folded, self.check = Partition(0, 1), Partition(0, 1), check
        self.now_us = START_US
        self.log: list[tuple[Event, Envelope]] = []
        for n, model in enumerate(models):
            self.do(c.Deploy(resources=[c.Resource(f"m{n}.bpmn", model)]))

    def facts(self) -> Facts:
        return Facts(
            self.now_us,
            self.library.processes(self.p),
            self.library.decisions(self.p),
            self.library.read,
            forms=self.library.forms(self.p),
            triggers=self.library.triggers(self.p),
            retry=self.retry,
            **self.settings,
        )

    def ask(
        self, command: c.AnyCommand, actor: str = "", tenant: str = "", id: str = "", rights: list[str] | None = None
    ) -> Decision | Rejected:
        request = c.Request(command=command, actor=actor, tenant=tenant, id=id, rights=rights)  # type: ignore[arg-type]
        made = decide(self.p, request, self.facts())
        if isinstance(made, Rejected):
            return made
        self.last = made.events
        for event, envelope in zip(made.events, made.envelopes, strict=True):
            self.log.append((event, envelope))
            evolve(self.folded, event, envelope)
        if self.check:
            self.same()
        return made

    def same(self) -> None:
        """Live, folded and restored: one state, one set of indexes."""
        live = checkpoint.fingerprint(self.p)
        assert checkpoint.fingerprint(self.folded) == live, "replay must give the same state"
        back = Partition(0, 1)
        image = {k: v for k, v in live.items() if v is not None}
        mark = checkpoint.decode_state(checkpoint.mark(self.p, START, checkpoint.Standing()), checkpoint.Mark)
        checkpoint.restore(back, image, mark)
        assert checkpoint.fingerprint(back) == live, "a checkpoint must give the same state"
        for p in (self.folded, back):
            for index in ("registry", "by_assignee"):
                assert getattr(p, index) == getattr(self.p, index), index
            # after a checkpoint a half-open breaker may let go others than before, but all that wait are there
            assert _waiting(p) == _waiting(self.p)
            assert p is back or (
                _ready(p) == _ready(self.p) and {t: [*x] for t, x in p.parked.items()} == {t: [*x] for t, x in self.p.parked.items()}
            )
            assert {t: (g.leased, g.wake_us) for t, g in p.guards.items()} == {t: (g.leased, g.wake_us) for t, g in self.p.guards.items()}

    def do(self, command: c.AnyCommand, actor: str = "", tenant: str = "", id: str = "", rights: list[str] | None = None) -> dict[str, Any]:
        made = self.ask(command, actor, tenant, id, rights)
        assert isinstance(made, Decision), made
        return made.answer

    def refused(self, command: c.AnyCommand, actor: str = "") -> Rejected:
        before = checkpoint.fingerprint(self.p)
        made = self.ask(command, actor)
        assert isinstance(made, Rejected), made.answer
        assert checkpoint.fingerprint(self.p) == before, "a refused move leaves no trace"
        return made

    def store(self, registry: str, name: str, **value: Any) -> dict[str, Any]:
        return self.do(c.StoreRecord(registry=registry, name=name, value=value))

    def create(self, actor: str = "", **fields: Any) -> int:
        return self.do(c.CreateTask(**fields), actor)["task"]

    def move(self, task: int, move: str, actor: str = "", reason: str = "", **details: Any) -> dict[str, Any]:
        return self.do(c.MoveTask(task=task, move=move, reason=reason, details=details or None), actor)

    def start(self, id: str = "p", **variables: Any) -> int:
        self.key = self.do(c.StartInstance(id=id, variables=variables))["key"]
        return self.key

    def lease(
        self, type: str = "work", max: int = 32, worker: str = "w", timeout_ms: int = 60_000, tenants: list[str] | None = None
    ) -> list[dict[str, Any]]:
        rights = [ANY_TENANT] if tenants else None
        return self.do(c.ActivateTasks(job_type=type, worker=worker, max=max, timeout_ms=timeout_ms, tenants=tenants), rights=rights)[
            "jobs"
        ]

    def task(self, key: int = 0) -> Any:
        return self.p.tasks[key] if key else next(iter(self.p.tasks.values()))

    def details(self, key: int = 0) -> dict[str, Any]:
        return self.task(key).details or {}

    def until(self, us: int) -> list[str]:
        """Time passes by `us`, and what is due in between comes in order. What events it caused."""
        end, said = self.now_us + us, []
        while True:
            due = [(t.due_us, t.key) for t in self.p.timers.values()]
            due += [(t.retry_at_us, t.key) for t in self.p.tasks.values() if t.retry_at_us]
            due += [(t.deadline_us, t.key) for t in self.p.tasks.values() if t.worker]
            at, key = min(due, default=(end + 1, 0))
            if at > end:
                break
            self.now_us = max(at, self.now_us)
            if key in self.p.timers:
                self.do(c.FireTimers(timers=[key]))
            else:
                self.do(c.ExpireLeases(tasks=[key]) if self.p.tasks[key].worker else c.ReadyTasks(tasks=[key]))
            said += [f"+{(self.now_us - START_US) / SECOND:g}s {type(e).__name__}" for e in self.last if type(e).__name__ not in QUIET]
        self.now_us = end
        return said

    def events(self, *kinds: type[Event]) -> list[Event]:
        return [e for e, _ in self.log if isinstance(e, kinds)]

    def words(self) -> list[str]:
        return [type(e).__name__ for e, _ in self.log if type(e).__module__ == ta.__name__]


QUIET = ("TimerTriggered", "TimerScheduled", "TimerCancelled")


def _waiting(p: Partition) -> set[int]:
    return {k for lanes in p.ready.values() for lane in lanes.values() for k in lane} | {k for lane in p.parked.values() for k in lane}


def _ready(p: Partition) -> dict[str, dict[int, set[int]]]:
    return {t: {n: set(lane) for n, lane in lanes.items()} for t, lanes in p.ready.items()}

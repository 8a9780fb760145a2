"""Histories in which it is known what makes a process slow: run on the kernel with simulated time, with causes planted by a seed, and decoys where none is."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

from flowledger.analytics.simulate import plan as pl
from flowledger.analytics.simulate.draws import uniform
from flowledger.analytics.simulate.run import Run
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events.base import Event

KINDS = ("parallel", "limit", "split", "staff", "retry", "check")
PROCESS = "claim"
LIMIT = 2
#: nearly four weeks
CASES = 1_900
#: job type whose concurrency is limited; one that fails
BOOK, MAIL = "claim.book", "claim.mail"
_NS = (
    'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'targetNamespace="t"'
)
_FLOWS = (
    "start-read", "read-score", "score-check", "check-fine", "fine-mend", "fine-book", "mend-book", "book-size", "size-small", "size-large", "small-meet",
    "large-meet", "meet-mail", "mail-sign", "sign-end",
)  # fmt: skip
_WHEN = {"fine-mend": "=found", "size-large": "=big"}


def model(causes: frozenset[str]) -> str:
    """A claim is read and scored, checked, booked, seen by the desk (small ones and large ones), told of and signed."""
    reads = "amount" if "parallel" in causes else "text"

    def job(id: str, type: str, mappings: str = "") -> str:
        inside = f'<zeebe:taskDefinition type="{type}"/>' + (f"<zeebe:ioMapping>{mappings}</zeebe:ioMapping>" if mappings else "")
        return f'<serviceTask id="{id}"><extensionElements>{inside}</extensionElements></serviceTask>'

    def person(id: str, group: str) -> str:
        inside = f'<zeebe:userTask/><zeebe:assignmentDefinition candidateGroups="{group}"/>'
        return f'<userTask id="{id}"><extensionElements>{inside}</extensionElements></userTask>'

    def maps(source: str, local: str, target: str) -> str:
        return f'<zeebe:input source="={source}" target="{local}"/><zeebe:output source="={local}" target="{target}"/>'

    flows = "".join(
        f'<sequenceFlow id="{f}" sourceRef="{f.partition("-")[0]}" targetRef="{f.partition("-")[2]}"'
        + (f'><conditionExpression xsi:type="tFormalExpression">{_WHEN[f]}</conditionExpression></sequenceFlow>' if f in _WHEN else "/>")
        for f in _FLOWS
    )
    return (
        f'<definitions {_NS}><process id="{PROCESS}" isExecutable="true"><startEvent id="start"/><endEvent id="end"/>'
        '<exclusiveGateway id="fine" default="fine-book"/><exclusiveGateway id="size" default="size-small"/><exclusiveGateway id="meet"/>'
        + job("read", "claim.read", maps("document", "page", "text"))
        + job("score", "claim.score", maps(reads, "given", "score"))
        + job("check", "claim.check")
        + job("mend", "claim.mend")
        + job("book", BOOK)
        + person("small", "desk")
        + person("large", "desk")
        + job("mail", MAIL)
        + person("sign", "boss")
        + flows
        + "</process></definitions>"
    )


def plan(causes: frozenset[str], seed: int, instances: int = CASES) -> dict[str, Any]:
    """Three an hour, day and night; times are drawn around means that differ from seed to seed by a tenth or two."""
    rng = random.Random(seed)

    def about(seconds: float) -> dict[str, Any]:
        return {"lognormal": [seconds * rng.uniform(0.85, 1.15), 0.5]}

    every = 1_200.0
    boss = {"count": 3, "by_day": {"monday": 1, "tuesday": 2}} if "staff" in causes else {"count": 3}
    work_boss = 1_500.0 if "staff" in causes else 1_400.0
    return {
        "instances": instances,
        "arrival": {"every": {"exponential": every}},
        "elements": {
            "read": {"work": about(1_200), "wait": about(50)},
            "score": {"work": about(1_500), "wait": about(50)},
            "check": {"work": about(2_000), "wait": about(100)},
            "mend": {"work": about(3_000), "wait": about(100)},
            "book": {"work": about(2_000 if "limit" in causes else 750), "resource": "book"},
            "small": {"work": about(550 if "split" in causes else 1_600), "resource": "desk"},
            "large": {"work": about(15_000 if "split" in causes else 2_100), "resource": "desk"},
            "mail": {"work": about(150), "wait": about(25)},
            "sign": {"work": about(work_boss), "resource": "boss"},
        },
        "branches": {"fine-mend": 0.003 if "check" in causes else 0.1, "size-large": 0.12 if "split" in causes else 0.3},
        "resources": {"book": {"count": LIMIT}, "desk": {"count": 2 if "split" not in causes else 3}, "boss": boss},
        "warmup": 0.0,
    }  # fmt: skip


class Lived(Run):
    """A run whose events are kept by instance, with leases, attempts and hands as a real one has them. `events`: instance -> (event, time)."""

    def __init__(self, causes: frozenset[str], seed: int, instances: int = CASES) -> None:
        self.events: dict[int, list[tuple[Event, int]]] = defaultdict(list)
        self.causes = causes
        self._of: dict[int, int] = {}
        self._left: dict[int, int] = {}
        super().__init__({f"{PROCESS}.bpmn": model(causes)}, PROCESS, pl.read(plan(causes, seed, instances)), seed)

    def keep(self, key: int, e: Event) -> None:
        self.events[key].append((e, self.facts.now_us))

    def _heard(self, e: Event) -> None:
        if isinstance(e, ta.TaskCreated):
            self._of[e.task] = e.key
        if not isinstance(e, ta.TaskLeased) and getattr(e, "key", None):
            self.keep(e.key, e)
        super()._heard(e)

    def _begin(self, task: int) -> None:
        self._left.setdefault(task, 3)
        self._taken(task)
        super()._begin(task)

    def _taken(self, task: int) -> None:
        w = self.works[task]
        if w.job_type:
            self.keep(self._of[task], ta.TaskLeased(worker="w", tasks=[task], deadline_us=self.facts.now_us + 3_600_000_000))
        else:
            self.keep(self._of[task], ta.TaskStarted(key=self._of[task], task=task, status="started", details={"assignee": "somebody"}))

    def _happens(self, kind: str, key: int) -> None:
        if kind == "again" and key in self.works:
            self._taken(key)
            self.at(self.facts.now_us + self.works[key].lasts_us, "done", key)
        elif kind == "again":
            return
        elif kind == "done" and key in self.works and self.works[key].element == "mail" and self._fails(key):
            return
        else:
            super()._happens(kind, key)

    def _fails(self, task: int) -> bool:
        """One in eight fails: where retries are in vain always again, until somebody helps; else one time in three."""
        left, u = self._left[task], uniform(self.seed, "fails", task, self._left[task])
        bad = uniform(self.seed, "bad", task) < 0.12
        if not bad or left <= 0 or ("retry" not in self.causes and left < 3 and u > 0.3):
            return False
        self._left[task] = left - 1
        w, key, now = self.works[task], self._of[task], self.facts.now_us
        pause = 40 * 60_000_000
        self.keep(
            key,
            ta.TaskFailed(
                key=key,
                task=task,
                token=0,
                element=w.element,
                retries=left - 1,
                retry_at_us=now + pause,
                code="NO_ADDRESS",
                message="no address",
            ),
        )
        if left == 1:
            raised = wa.IncidentRaised(
                key=key, incident=task, token=0, element=w.element, code="NO_ADDRESS", message="no address", task=task
            )
            self.keep(key, raised)
        self.at(now + pause, "again", task)
        return True


def causes_of(seed: int) -> frozenset[str]:
    """Each with an even chance."""
    rng = random.Random(seed * 7 + 1)
    return frozenset(k for k in KINDS if rng.random() < 0.5)


def lived(seed: int, instances: int = CASES, causes: frozenset[str] | None = None) -> Lived:
    """A history: two to three weeks and more."""
    run = Lived(causes_of(seed) if causes is None else causes, seed, instances)
    run.go()
    return run

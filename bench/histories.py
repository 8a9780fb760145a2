"""Histories of which the truth is known: orders that are checked, approved, packed, billed and shipped, as events, and beside them what was planned.

`History(seed)` draws instances one after the other and gives their events in the order of time, as the log has them. What it drew stands in `truth`: it
is written down while it is planned and never read from the events, so that figures can be compared with it.

What is drawn: more orders by day than by night and on Mondays most; a check that may send an order back to be mended (a loop); approvals by people, whose
queue is the planted bottleneck (`approve`); packing and billing side by side; attempts that fail, leases that run out, incidents, errors that end an order, and orders
that are withdrawn. The second version checks twice as fast.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowledger.events import definition as de
from flowledger.events import flow as fl
from flowledger.events import ledger as le
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Envelope, Event, Recorded
from flowledger.events.commands import PARTITION_BITS

#: a Monday
START_US = 1_767_571_200_000_000
SECOND, MINUTE, HOUR, DAY = 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000
PROCESS = "order"
TENANTS = ("", "acme")
REGIONS = ("DE", "AT", "CH", "FR")
#: an approval is due after
DUE_US = 4 * HOUR
JOBS = {"check": "order.check", "mend": "order.mend", "pack": "stock.pack", "bill": "money.bill", "ship": "stock.ship"}


@dataclass
class Case:
    """What was planned of an instance. Times in µs."""

    key: int
    tenant: str
    version: int
    definition: int
    started: int
    ended: int = 0
    outcome: str = ""
    #: element, arrival, end, how it ended (completed, failed, cancelled; empty: it hasn't)
    visits: list[tuple[str, int, int, str]] = field(default_factory=list)
    #: element, job type, made, end, how long it waited, how long it was in hand; of what was completed
    work: list[tuple[str, str, int, int, int, int]] = field(default_factory=list)
    #: element, job type, made; of all jobs
    jobs: list[tuple[str, str, int]] = field(default_factory=list)
    #: element, job type, end, whether it failed, whether another one follows
    attempts: list[tuple[str, str, int, bool, bool]] = field(default_factory=list)
    #: element, time
    incidents: list[tuple[str, int]] = field(default_factory=list)
    #: element, time: work that had been done before
    reworked: list[tuple[str, int]] = field(default_factory=list)
    #: element, job type, when its work was made, from when to when it was in hand, once or several times
    hands: list[tuple[str, str, int, int, int]] = field(default_factory=list)

    @property
    def region(self) -> str:
        return REGIONS[self.key % 4]

    @property
    def amount(self) -> int:
        return self.key * 37 % 1000

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(element for element, *_ in sorted(self.visits, key=lambda v: v[1]))


class History:
    """`cases`: how many instances; `days`: over how many days they begin; `partitions`: of the log; `open_share`: how many are left unfinished;
    `alike`: the versions don't differ; `steady`: an approval waits for two hours, half an hour more or less, instead of for a time
    that has no memory; `later`: from which share of the days on it waits twice as long (a planted drift); `terms`: (registry, name) -> record, KPIs and
    calendars that are in force before the first of them; `grow`: by which share more begin in each week than in the one before (a known growth)."""

    def __init__(
        self, seed: int = 1, cases: int = 500, days: float = 7, *, partitions: int = 1, tenants: Sequence[str] = TENANTS, open_share: float = 0.05,
        keep: bool = True, alike: bool = False, steady: bool = False, later: float = 2, terms: Mapping[tuple[str, str], dict[str, Any]] | None = None,
        grow: float = 0.0,
    ) -> None:  # fmt: skip
        self.rng = random.Random(seed)
        self.cases, self.days, self.partitions, self.tenants, self.open_share = cases, days, partitions, tenants, open_share
        self.truth: list[Case] = []
        self.alike, self.steady, self.later, self._keep, self.terms = alike, steady, later, keep, terms or {}
        self.grow = grow
        self._keys = [0] * partitions
        self._definitions: dict[tuple[str, int], int] = {}

    def key(self, partition: int) -> int:
        self._keys[partition] += 1
        return partition << PARTITION_BITS | self._keys[partition]

    # --- events in the order of time

    def records(self) -> dict[int, list[Recorded]]:
        """Partition -> its log."""
        logs: dict[int, list[Recorded]] = {p: [] for p in range(self.partitions)}
        for partition, us, tenant, events in self.steps():
            envelope = Envelope(us, tenant, "worker", "", "", "")
            logs[partition] += [Recorded(e, envelope, partition, len(logs[partition]) + n) for n, e in enumerate(events)]
        return logs

    def steps(self) -> Iterator[tuple[int, int, str, list[Event]]]:
        """(partition, time, tenant, events of one command)."""
        for (registry, name), value in self.terms.items():
            for partition in range(self.partitions):
                yield partition, START_US, "", [le.RecordStored(registry=registry, name=name, value=value)]
        for tenant in self.tenants:
            for version in (1, 2):
                key = self._definitions[tenant, version] = self.key(0)
                made = de.DefinitionCreated(
                    key=key, id=PROCESS, kind="process", version=version, hash=f"h{version}", name="Order", content="<x/>"
                )
                for partition in range(self.partitions):
                    yield partition, START_US, tenant, [made]
        waiting: list[tuple[int, int, int, str, list[Event]]] = []
        n = 0
        for begins in self._arrivals():
            while waiting and waiting[0][0] <= begins:
                us, _, partition, tenant, events = heapq.heappop(waiting)
                yield partition, us, tenant, events
            for partition, us, tenant, events in self._case(begins):
                heapq.heappush(waiting, (us, n, partition, tenant, events))
                n += 1
        while waiting:
            us, _, partition, tenant, events = heapq.heappop(waiting)
            yield partition, us, tenant, events

    def _arrivals(self) -> Iterator[int]:
        """As many as there are cases, busier by day and on Mondays."""
        rng, us = self.rng, START_US + MINUTE
        mean = self.days * DAY / self.cases
        for _ in range(self.cases):
            hour, day = us // HOUR % 24, (us - START_US) // DAY % 7
            busy = (1.6 if 7 <= hour < 19 else 0.4) * (1.4 if day == 0 else 0.5 if day >= 5 else 1.0)
            if self.grow:
                busy *= (1 + self.grow) ** ((us - START_US) / (7 * DAY))
            us += 1 + int(rng.expovariate(busy / mean))
            yield us

    # --- one order

    def _case(self, begins: int) -> list[tuple[int, int, str, list[Event]]]:
        rng = self.rng
        partition, tenant = rng.randrange(self.partitions), rng.choice(self.tenants)
        late = (begins - START_US) / (self.days * DAY)
        version = 2 if rng.random() < late else 1
        case = Case(self.key(partition), tenant, version, self._definitions[tenant, version], begins)
        if self._keep:
            self.truth.append(case)
        return _Order(self, case, partition).drawn()


class _Order:
    def __init__(self, history: History, case: Case, partition: int) -> None:
        self.history, self.case, self.partition, self.rng = history, case, partition, history.rng
        self.steps: list[tuple[int, int, str, list[Event]]] = []
        self.seen: set[str] = set()

    def say(self, us: int, *events: Event) -> None:
        self.steps.append((self.partition, us, self.case.tenant, list(events)))

    def key(self) -> int:
        return self.history.key(self.partition)

    def flow(self, token: int, source: str, target: str, spawned: int = 0) -> fl.FlowTaken:
        return fl.FlowTaken(key=self.case.key, token=token, flow=f"{source}-{target}", source=source, target=target, spawned=spawned)

    def at(self, element: str, us: int, *, work: bool = False) -> int:
        """Arrived: the index of the visit."""
        if work and element in self.seen:
            self.case.reworked.append((element, us))
        self.seen.add(element)
        self.case.visits.append((element, us, 0, ""))
        return len(self.case.visits) - 1

    def off(self, visit: int, us: int, how: str = "completed") -> None:
        element, since, _, _ = self.case.visits[visit]
        self.case.visits[visit] = (element, since, us, how)

    def drawn(self) -> list[tuple[int, int, str, list[Event]]]:
        case, rng = self.case, self.rng
        us, token = case.started, self.key()
        left_open = rng.random() < self.history.open_share
        started = wf.WorkflowStarted(
            key=case.key,
            process=PROCESS,
            definition=case.definition,
            version=case.version,
            token=token,
            element="start",
            variables={"n": case.key, "region": case.region, "amount": case.amount},
        )
        self.off(self.at("start", us), us)
        first: list[Event] = [started, self.flow(token, "start", "check")]
        while True:
            us = self.job(token, "check", us, first, rng.lognormvariate(0, 0.5) * 40 * SECOND / (1 if self.history.alike else case.version))
            if not us:
                return self.steps
            self.off(self.at("fine", us), us)
            if rng.random() >= 0.15:
                break
            first = [*self.steps.pop()[3], self.flow(token, "check", "fine"), self.flow(token, "fine", "mend")]
            us = self.job(token, "mend", us, first, rng.uniform(1, 5) * MINUTE)
            if not us:
                return self.steps
            first = [*self.steps.pop()[3], self.flow(token, "mend", "check")]
        first = [*self.steps.pop()[3], self.flow(token, "check", "fine"), self.flow(token, "fine", "approve")]
        us = self.person(token, us, first, left_open)
        return self.fulfilled(token, us) if us else self.steps

    def fulfilled(self, token: int, us: int) -> list[tuple[int, int, str, list[Event]]]:
        """Packed and billed side by side, and shipped."""
        other = self.key()
        self.off(self.at("split", us), us)
        done = [*self.steps.pop()[3], self.flow(token, "approve", "split")]
        self.say(us, *done, self.flow(token, "split", "bill", other), self.flow(token, "split", "pack"))
        billed = self.job(other, "bill", us, [], self.rng.uniform(2, 20) * SECOND)
        bill = self.steps.pop()
        packed = self.job(token, "pack", us, [], self.rng.lognormvariate(0, 0.6) * 6 * MINUTE)
        pack = self.steps.pop()
        first, last = sorted(((billed, other, "bill", bill), (packed, token, "pack", pack)), key=lambda x: x[0])
        waits, fires = self.at("join", first[0]), self.at("join", last[0])
        self.off(waits, last[0])
        self.off(fires, last[0])
        self.say(first[0], *first[3][3], self.flow(first[1], first[2], "join"))
        go, at = last[1], last[0]
        reached = fl.GatewayReached(key=self.case.key, token=go, element="join", consumed=[first[1]])
        begins: list[Event] = [*last[3][3], self.flow(go, last[2], "join"), reached, self.flow(go, "join", "ship")]
        us = self.job(go, "ship", at, begins, self.rng.uniform(5, 60) * SECOND)
        if not us:
            return self.steps
        self.off(self.at("end", us), us)
        ended: list[Event] = [self.flow(go, "ship", "end"), wf.WorkflowCompleted(key=self.case.key, token=go, element="end")]
        self.say(us, *self.steps.pop()[3], *ended)
        self.case.ended, self.case.outcome = us, "completed"
        return self.steps

    def job(self, token: int, element: str, us: int, first: list[Event], lasts: float) -> int:
        """When it was done; 0: it wasn't, and the order has ended. The last step has its completion, for what follows at once."""
        case, rng, kind = self.case, self.rng, JOBS[element]
        side = element in ("bill", "pack")  # one of two branches doesn't end the order
        visit = self.at(element, us, work=True)
        task, made, worked, retries = self.key(), us, 0, 3
        case.jobs.append((element, kind, us))
        self.say(
            us, *first, ta.TaskCreated(key=case.key, task=task, token=token, element=element, type="service_task", job_type=kind, retries=3)
        )
        while True:
            us += int(rng.expovariate(1 / (8 * SECOND)))
            begun = us
            self.say(us, ta.TaskLeased(worker="w", tasks=[task], deadline_us=us + HOUR))
            us += 1 + int(lasts * rng.uniform(0.8, 1.2))
            worked += us - begun
            case.hands.append((element, kind, made, begun, us))
            drawn = rng.random()
            if drawn < 0.05 and retries > 1:
                retries -= 1
                case.attempts.append((element, kind, us, True, True))
                failed = ta.TaskFailed(
                    key=case.key, task=task, token=token, element=element, retries=retries, code="E", message="no answer"
                )
                out = ta.TaskTimedOut(tasks=[task], retries=[retries])
                self.say(us, failed if drawn < 0.04 else out)
            elif drawn < 0.06:
                incident = self.key()
                case.attempts.append((element, kind, us, True, False))
                case.incidents.append((element, us))
                self.say(
                    us,
                    ta.TaskFailed(key=case.key, task=task, token=token, element=element, retries=0, code="E", message="gave up"),
                    wa.IncidentRaised(
                        key=case.key, incident=incident, token=token, element=element, code="E", message="gave up", task=task
                    ),
                )
                us += int(rng.uniform(1, 30) * MINUTE)
                resolved = wa.IncidentResolved(key=case.key, incident=incident, token=token, task=task)
                self.say(us, resolved, ta.TaskRetried(key=case.key, task=task, retries=1))
                retries = 1
            elif drawn < 0.07 and not side:
                self.over(visit, us, "failed")
                error = fl.ErrorOccurred(key=case.key, token=token, element=element, code="BAD", message="cannot be done")
                self.say(us, error, wf.WorkflowFailed(key=case.key, code="BAD", message="cannot be done"))
                return 0
            elif drawn < 0.08 and not side:
                self.over(visit, us, "cancelled")
                self.say(us, wf.WorkflowCancelled(key=case.key, reason="withdrawn"))
                return 0
            else:
                break
        case.attempts.append((element, kind, us, False, False))
        case.work.append((element, kind, made, us, us - made - worked, worked))
        self.off(visit, us)
        self.say(us, ta.TaskCompleted(key=case.key, task=task, token=token, element=element, variables={"ok": True}, merged=case.key))
        return us

    def over(self, visit: int, us: int, outcome: str) -> None:
        self.off(visit, us, "failed" if outcome == "failed" else "cancelled")
        self.case.ended, self.case.outcome = us, outcome

    def person(self, token: int, us: int, first: list[Event], left_open: bool) -> int:
        """An approval: it waits for hours, and takes minutes."""
        case, rng = self.case, self.rng
        visit, task, made = self.at("approve", us, work=True), self.key(), us
        self.say(
            us,
            *first,
            ta.TaskCreated(
                key=case.key,
                task=task,
                token=token,
                element="approve",
                type="user_task",
                details={"candidate_groups": ["boss"], "due_us": made + DUE_US},
            ),
        )
        if left_open:
            return 0
        slow = 2 if case.started > START_US + self.history.later * self.history.days * DAY else 1
        us += int(slow * (rng.uniform(1.5, 2.5) * HOUR if self.history.steady else rng.expovariate(1 / (2 * HOUR))))
        self.say(us, ta.TaskAccepted(key=case.key, task=task, status="assigned", details={"assignee": "ann"}))
        claimed = us
        says = rng.random() < 0.7
        if says:
            us += int(rng.uniform(0, 10) * MINUTE)
            self.say(us, ta.TaskStarted(key=case.key, task=task, status="started"))
        begun = us if says else claimed
        us += int(rng.uniform(1, 8) * MINUTE)
        away = 0
        since = begun
        if says and rng.random() < 0.2:
            case.hands.append(("approve", "", made, begun, us))
            self.say(us, ta.TaskSuspended(key=case.key, task=task, status="suspended"))
            away = int(rng.uniform(5, 50) * MINUTE)
            us += away
            self.say(us, ta.TaskResumed(key=case.key, task=task, status="started"))
            since = us
            us += MINUTE
        case.hands.append(("approve", "", made, since, us))
        worked = us - begun - away
        case.attempts.append(("approve", "", us, False, False))
        case.work.append(("approve", "", made, us, us - made - worked, worked))
        self.off(visit, us)
        self.say(us, ta.TaskCompleted(key=case.key, task=task, token=token, element="approve", variables={"ok": True}, merged=case.key))
        return us

"""One run: a model's instances come, and the kernel decides what follows, as it does on the server; only the clock, the work and the way of gateways are drawn."""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import msgspec

from flowledger.analytics.simulate.draws import uniform
from flowledger.analytics.simulate.plan import DAY_US, HOUR_US, HOURS, Plan, Work
from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Broken, Event, Rejected
from flowledger.kernel import Facts, Partition, decide, putoff
from flowledger.kernel.expressions import Expression
from flowledger.kernel.library import Library
from flowledger.kernel.protection import TrialVault

#: where the clock begins: Monday, 5 January 2026, 00:00 UTC
START_US = 1_767_571_200_000_000
#: decisions of a run, for each of its instances: what needs more goes round without end
DECISIONS_EACH = 2_000
#: a lease of simulated work never ends
_LEASE_MS = 10 * 366 * 86_400_000
_FOREVER_US = 200 * 366 * 24 * HOUR_US
_DEFAULT = Work()


class CannotRun(Exception):
    """The model can't be simulated: the message says why. `findings`: of a model that isn't valid."""

    def __init__(self, message: str, findings: list[Any] | None = None) -> None:
        super().__init__(message)
        self.findings = findings or []


class _Way(Expression):
    """In place of a flow's condition: true in that share of the cases in which the flows before it weren't taken."""

    def __init__(self, run: Run, flow: str, share: float, text: str) -> None:
        super().__init__(text)
        self.run, self.flow, self.share = run, flow, share
        self.compiled = self

    def __call__(self, variables: dict[str, Any], facts: Any) -> bool:
        return self.run.draw("way", self.flow) < self.share

    def explain(self, variables: dict[str, Any], facts: Any) -> str:
        return "drawn"


class _Library(Library):
    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run

    def read(self, name: str, content: str) -> tuple[Any, list[Any]]:
        graph, findings = super().read(name, content)
        if graph is not None:
            for process in graph.processes.values():
                for node in process.nodes.values():
                    self.run.ways(node)
        return graph, findings


class _Pool:
    """A resource by now: who is free, and what waits for it, first come first served."""

    def __init__(self, resource: Any) -> None:
        self.resource, self.busy, self.busy_us = resource, 0, 0
        self.queue: deque[int] = deque()
        self.wakes_us = 0


class _Piece:
    """A piece of work. `begun_us` 0: it waits."""

    __slots__ = ("begun_us", "created_us", "element", "job_type", "lasts_us", "pool", "seen")

    def __init__(self, element: str, job_type: str, created_us: int, lasts_us: int, pool: str, seen: bool) -> None:
        self.element, self.job_type, self.created_us, self.lasts_us, self.pool, self.seen = (
            element,
            job_type,
            created_us,
            lasts_us,
            pool,
            seen,
        )
        self.begun_us = 0


class Run:
    """`result` after `go`. The same model, plan and seed give the same; another plan with the same seed draws the same for what is alike."""

    def __init__(self, models: Mapping[str, str], process: str, plan: Plan, seed: int) -> None:
        self.plan, self.seed, self.process = plan, seed, process
        self.state = Partition(0, 1)
        self.library = _Library(self)
        self.facts = Facts(
            START_US, self.library.processes(self.state), self.library.decisions(self.state), self.library.read, forms=self.library.forms(self.state),
            triggers=self.library.triggers(self.state), vault=TrialVault(), step_up=False,
        )  # fmt: skip
        self.pools = {name: _Pool(r) for name, r in plan.resources.items()}
        self.heap: list[tuple[int, int, str, int]] = []
        self.works: dict[int, _Piece] = {}
        self.begun: dict[int, tuple[int, int]] = {}
        self.roots: dict[int, int] = {}
        self.number = -1
        self._n = self._decided = 0
        self._times: Counter[tuple[int, str]] = Counter()
        self.cycles: list[int] = []
        self.outcomes: Counter[str] = Counter()
        self.waits: dict[str, list[int]] = {}
        self.worked: dict[str, list[int]] = {}
        self.stuck: Counter[str] = Counter()
        self.end_us = START_US
        self._deploy(models)

    # --- chance

    def draw(self, what: str, name: str) -> float:
        """For the instance in question: the same for the same thing done for the same time."""
        key = (self.number, f"{what} {name}")
        self._times[key] += 1
        return uniform(self.seed, *key, self._times[key])

    def ways(self, node: Any) -> None:
        """Conditions of a gateway for which the plan has shares."""
        shares = self.plan.branches
        if not any(flow.id in shares for flow in node.outgoing):
            return
        left, inclusive = 1.0, node.kind != "exclusiveGateway"
        for flow in node.outgoing:
            if flow.condition is None or flow is node.default:
                continue
            share = shares.get(flow.id, 0.0)
            told = share if inclusive else min(1.0, share / left) if left > 1e-9 else 0.0
            flow.condition = _Way(self, flow.id, told, flow.condition.text)
            left -= share

    # --- the kernel

    def _deploy(self, models: Mapping[str, str]) -> None:
        d = self._step(c.Deploy(resources=[c.Resource(name, text) for name, text in models.items()]))
        if isinstance(d, Rejected):
            if d.code == "MODEL_INVALID":
                raise CannotRun("the model isn't valid", msgspec.json.decode(d.message))
            raise CannotRun(d.message)
        self.begun.clear()

    def _step(self, command: Any) -> Any:
        self._decided += 1
        if self._decided > DECISIONS_EACH * self.plan.instances + 100:
            raise CannotRun(f"more than {DECISIONS_EACH} steps of an instance: does the process go round without end?")
        request = c.Request(command=command, time_us=self.facts.now_us, tenant="", actor="simulation")
        d = decide(self.state, request, self.facts)
        if isinstance(d, Broken):
            raise CannotRun(f"a defect of the engine: {d.defect}: {d.message}")
        if isinstance(d, Rejected):
            return d
        for e in d.events:
            self._heard(e)
        for key, status, _, _ in d.finished:
            self._ended(key, status)
        return d

    def do(self, command: Any) -> Any:
        """With all that follows by itself. A refusal is returned: what was withdrawn meanwhile is no fault."""
        d = self._step(command)
        later = deque([] if isinstance(d, Rejected) else d.later)
        while later or putoff.request(self.state) is not None:
            if later:
                follows = self._step(later.popleft())
            else:
                request = putoff.request(self.state)
                assert request is not None
                follows = self._step(request.command)
            if not isinstance(follows, Rejected):
                later += follows.later
        return d

    def at(self, us: int, kind: str, key: int) -> None:
        self._n += 1
        heapq.heappush(self.heap, (us, self._n, kind, key))

    # --- what is heard

    def _heard(self, e: Event) -> None:
        now = self.facts.now_us
        kind = type(e)
        if kind is wf.WorkflowStarted:
            self.roots.setdefault(e.key, self.number)
            if not e.parent:  # type: ignore[attr-defined]
                self.begun[e.key] = (self.number, now)
        elif kind is ta.TaskCreated:
            self._created(e, now)  # type: ignore[arg-type]
        elif kind in (ta.TaskCancelled, ta.TaskSkipped):
            self._gone(e.task, now)  # type: ignore[attr-defined]
        elif kind is wa.TimerScheduled and e.key:
            self.at(max(now, e.due_us), "timer", e.timer)  # type: ignore[attr-defined]
        elif kind is wa.TimerTriggered and e.next_us:  # type: ignore[attr-defined]
            self.at(max(now, e.next_us), "timer", e.timer)  # type: ignore[attr-defined]
        elif kind is wa.SubscriptionOpened and e.key and e.kind == "message":  # type: ignore[attr-defined]
            wait = self.plan.elements.get(e.element)  # type: ignore[attr-defined]
            if wait is not None:
                self.at(now + wait.wait.at(self.draw("wait", e.element)), "message", e.subscription)  # type: ignore[attr-defined]
        elif kind is wa.IncidentRaised:
            self.stuck[f"{e.element}: {e.message}"[:300]] += 1  # type: ignore[attr-defined]

    def _ended(self, key: int, status: str) -> None:
        if (found := self.begun.pop(key, None)) is None:
            return
        number, since = found
        self.end_us = self.facts.now_us
        if number >= self.plan.warmup * self.plan.instances:
            self.outcomes[status] += 1
            if status == "completed":
                self.cycles.append(self.facts.now_us - since)

    # --- work

    def _created(self, e: ta.TaskCreated, now: int) -> None:
        if e.listener:
            self.works[e.task] = _Piece("", e.job_type, now, 0, "", False)
            self.at(now, "begin", e.task)
            return
        how = self.plan.elements.get(e.element, _DEFAULT)
        wait, lasts = how.wait.at(self.draw("wait", e.element)), how.work.at(self.draw("work", e.element))
        seen = self.number >= self.plan.warmup * self.plan.instances
        self.works[e.task] = _Piece(e.element, e.job_type, now, lasts, how.resource, seen)
        if how.resource:
            self.pools[how.resource].queue.append(e.task)
            self._look(how.resource)
        else:
            self.at(now + wait, "begin", e.task)

    def _look(self, name: str) -> None:
        """Whoever is free takes what has waited longest."""
        pool, now = self.pools[name], self.facts.now_us
        while pool.queue and pool.busy < pool.resource.at(now):
            opens = pool.resource.opens(now)
            if opens > now:
                if pool.wakes_us != opens:
                    pool.wakes_us = opens
                    self.at(opens, "opens", list(self.pools).index(name))
                return
            task = pool.queue.popleft()
            if task in self.works:
                pool.busy += 1
                self._begin(task)
        if pool.queue and pool.resource.by_day:  # tomorrow there may be more
            opens = pool.resource.opens((now // DAY_US + 1) * DAY_US)
            if pool.wakes_us != opens:
                pool.wakes_us = opens
                self.at(opens, "opens", list(self.pools).index(name))

    def _begin(self, task: int) -> None:
        w, now = self.works[task], self.facts.now_us
        w.begun_us = now
        if w.seen and w.element:
            self.waits.setdefault(w.element, []).append(now - w.created_us)
            self.worked.setdefault(w.element, []).append(w.lasts_us)
        self.at(now + w.lasts_us, "done", task)

    def _gone(self, task: int, now: int) -> None:
        w = self.works.pop(task, None)
        if w is not None and w.pool and w.begun_us:
            pool = self.pools[w.pool]
            pool.busy -= 1
            pool.busy_us += now - w.begun_us
            self._look(w.pool)

    def _done(self, task: int) -> None:
        w = self.works.get(task)
        if w is None or task not in self.state.tasks:
            return
        if w.job_type and not self.state.tasks[task].worker:
            self._step(c.ActivateTasks(job_type=w.job_type, worker="simulation", max=1_000, timeout_ms=_LEASE_MS))
        self.do(c.CompleteTask(task=task, variables={}))
        self._gone(task, self.facts.now_us)

    # --- all of it

    def go(self) -> dict[str, Any]:
        us = START_US
        for n in range(self.plan.instances):
            us = self._arrives(n, us)
            self.at(us, "arrives", n)
        first, last = START_US, us
        while self.heap:
            us, _, kind, key = heapq.heappop(self.heap)
            if us > last + _FOREVER_US:
                break
            self.facts.now_us = max(us, self.facts.now_us)
            self._happens(kind, key)
        return self._result(max(self.end_us, last) - first)

    def _happens(self, kind: str, key: int) -> None:
        if kind == "arrives":
            self.number = key
            d = self.do(c.StartInstance(id=self.process, variables=dict(self.plan.variables)))
            if isinstance(d, Rejected):
                raise CannotRun(f"an instance can't be started: {d.message}")
        elif kind == "opens":
            self._look(list(self.pools)[key])
        elif kind == "timer":
            timer = self.state.timers.get(key)
            if timer is not None and timer.due_us <= self.facts.now_us:
                self.number = self.roots.get(timer.instance, -1)
                self.do(c.FireTimers(timers=[key]))
        elif kind == "message":
            waits = self.state.subscriptions.get(key)
            if waits is not None:
                self.number = self.roots.get(waits.instance, -1)
                self.do(c.PublishMessage(name=waits.name, correlation_key=waits.correlation, variables={}))
        elif key in self.works:
            task = self.state.tasks.get(key)
            self.number = self.roots.get(task.instance, -1) if task is not None else -1
            if kind == "begin":
                self._begin(key)
            else:
                self._done(key)

    def _arrives(self, n: int, us: int) -> int:
        if self.plan.every is not None:
            return us + max(1, self.plan.every.at(uniform(self.seed, "arrives", n)))
        top = max(self.plan.profile)
        for attempt in range(100_000):
            us += 1 + int(self.exponential("arrives", n, attempt) * HOUR_US / top)
            if uniform(self.seed, "kept", n, attempt) < self.plan.profile[(us - START_US) // HOUR_US % HOURS] / top:
                return us
        return us

    def exponential(self, *what: str | int) -> float:
        return -math.log1p(-uniform(self.seed, *what))

    def _result(self, lasted_us: int) -> dict[str, Any]:
        cycles = sorted(self.cycles)
        found: dict[str, Any] = {"completed": len(cycles), "unfinished": len(self.begun), "hours": lasted_us / HOUR_US}
        if cycles:
            found["cycle"] = {
                "mean": sum(cycles) / len(cycles) / 1000, **{f"p{p}": cycles[min(len(cycles) - 1, p * len(cycles) // 100)] / 1000 for p in (50, 90, 95)}
            }  # fmt: skip
        found["waiting"] = {e: sum(w) / len(w) / 1000 for e, w in sorted(self.waits.items())}
        found["working"] = {e: sum(w) / len(w) / 1000 for e, w in sorted(self.worked.items())}
        found["counts"] = {e: len(w) for e, w in sorted(self.worked.items())}
        found["use"] = {name: p.busy_us / (lasted_us * p.resource.usual) if lasted_us else 0.0 for name, p in self.pools.items()}
        found["outcomes"] = dict(sorted(self.outcomes.items()))
        found["stuck"] = dict(self.stuck.most_common(10))
        return found

"""Limits and circuit breakers of targets: a job type, a tenant, an endpoint, an assignee. Nothing of it is looked at unless configured.

Source: requirements D-RES-005, APG-RES-002, WOS-RES-008, D-TSK-004. A target is `job:TYPE`, `tenant:NAME`, `endpoint:TEXT` (of a task's `endpoint` detail
or header), `assignee:NAME`, or `profile:NAME` of an API profile. Its settings are a record of registry `limit`, of a profile what its record has as
`limits`, or for a job type the `execution` of its task definition:

    concurrency: tasks handed out at once
    rate: {max, per_ms}: a bucket that is refilled evenly
    circuit_breaker: {error_share, min_calls, window, failures, open_ms, open_ms_max, probes, full, ignore}
    batch: {size, wait_ms}: handed out together, when so many wait or the oldest has waited so long
    ageing_ms: waiting so long counts as one point of priority

Breaker: closed counts the last `window` outcomes; at `min_calls` or more of which `error_share` or more failed, or after `failures` in a row, it
opens for `open_ms` (twice as long each time it opens again, up to `open_ms_max`). Then it is half open and lets `probes` tasks through; after that
many successes twice as many, and so on until `full`, when it closes: work that was parked is released gradually. One failure opens it again.
What it counts stands in a record that the fold keeps; its state is told by `BreakerChanged`. All limits hold over all partitions (`permits.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.kernel import undo
from flowledger.kernel.retries import matches
from flowledger.kernel.state import Partition, Task
from flowledger.kernel.tasks import permits, profiles, stock
from flowledger.kernel.undo import drop, drop_queued, keep, nest, put

BREAKER_DEFAULTS: dict[str, Any] = {
    "error_share": 0.5, "min_calls": 10, "window": 100, "failures": 0, "open_ms": 30_000, "open_ms_max": 600_000, "probes": 1, "full": 64, "ignore": [],
}  # fmt: skip
LIMIT_KEYS = ("concurrency", "rate", "circuit_breaker", "batch", "ageing_ms")
#: what an error counts, so that old ones fade in small steps
ERROR = 1_000
#: tasks looked at in one hand-out that may not go yet
SCAN_MAX = 1_000
#: priority points for waiting: one for each so many microseconds
AGEING_US = 30_000_000


class Guard:
    """What holds for one target. Made from its record; `leased` and `wake_us` follow from the tasks and timers."""

    __slots__ = ("ageing_us", "batch_us", "breaker", "burst", "concurrency", "interval_us", "leased", "out", "size", "target", "wake_us")

    def __init__(self, target: str, config: dict[str, Any]) -> None:
        self.target = target
        self.concurrency = int(config.get("concurrency") or 0)
        rate = config.get("rate") or {}
        #: the bucket holds `burst` and gets one more each `interval_us`
        self.burst = int(rate.get("max") or 0)
        self.interval_us = max(1, int(rate.get("per_ms") or 1000) * 1000 // self.burst) if self.burst else 0
        breaker = config.get("circuit_breaker")
        self.breaker: dict[str, Any] | None = {**BREAKER_DEFAULTS, **(breaker if isinstance(breaker, dict) else {})} if breaker else None
        batch = config.get("batch") or {}
        self.size, self.batch_us = int(batch.get("size") or 0), int(batch.get("wait_ms") or 0) * 1000
        self.ageing_us = int(config.get("ageing_ms") or 0) * 1000 or AGEING_US
        self.leased = 0
        #: tasks that a breaker which is half open let go, and that wait to be handed out
        self.out: dict[int, None] = {}
        #: a timer is set for this moment, 0: none
        self.wake_us = 0

    def __copy__(self) -> Guard:
        made = Guard.__new__(Guard)
        for name in Guard.__slots__:
            setattr(made, name, getattr(self, name))
        return made

    @property
    def __struct_fields__(self) -> tuple[str, ...]:
        return Guard.__slots__

    @property
    def counts(self) -> bool:
        """Whether it matters how many are out at once."""
        return bool(self.concurrency) or self.breaker is not None

    def needs(self, p: Partition) -> bool:
        """Whether a task needs a permit of the home, elsewhere than there."""
        return bool(self.concurrency or self.burst) or (self.breaker is not None and self.state(p)["state"] == "half_open")

    def open(self, p: Partition) -> bool:
        return self.breaker is not None and self.state(p)["state"] == "open"

    def state(self, p: Partition) -> dict[str, Any]:
        return p.records.get(("breaker", self.target)) or {"state": "closed", "until_us": 0}

    def room(self, p: Partition, now_us: int, wanted: int) -> tuple[int, int]:
        """(how many may go now, when it is worth to look again; 0: something else will wake us)."""
        n, wake_us = wanted, 0
        if stock.away(p, self.target):
            return (0 if self.open(p) else min(n, stock.idle(p, self, now_us)) if self.needs(p) else n), 0
        elsewhere = stock.out(p, self.target) if self.counts else 0
        if self.breaker is not None:
            state = self.state(p)
            if state["state"] == "open":
                return 0, 0
            if state["state"] == "half_open":
                n = min(n, int(state.get("release", 1)) - int(state.get("calls", 0)) - self.leased - elsewhere)
        if self.concurrency:
            n = min(n, self.concurrency - self.leased - elsewhere)
        if self.burst and n > 0:
            n, wake_us = stock.in_time(p, self, now_us, n)
        return max(0, n), wake_us


def _config(p: Partition, target: str) -> dict[str, Any] | None:
    limit = (p.registry.get("limit") or {}).get(target)
    config = dict(limit) if isinstance(limit, dict) else {}
    if target.startswith(profiles.TARGET):
        profile = (p.registry.get(profiles.REGISTRY) or {}).get(target[len(profiles.TARGET) :])
        return dict(profile.get("limits") or {}) or None if isinstance(profile, dict) else None
    if target.startswith("job:"):
        definition = (p.registry.get("task_definition") or {}).get(target[4:])
        execution = definition.get("execution") if isinstance(definition, dict) else None
        if isinstance(execution, dict):
            config = {**{k: v for k, v in execution.items() if k in LIMIT_KEYS}, **config}
    return {k: v for k, v in config.items() if v} or None


def targets(task: Task) -> list[str]:
    """What a task counts for."""
    out = []
    if task.job_type:
        out.append(f"job:{task.job_type}")
    if task.tenant:
        out.append(f"tenant:{task.tenant}")
    details = task.details or {}
    if endpoint := details.get("endpoint") or (task.headers or {}).get("endpoint"):
        out.append(f"endpoint:{endpoint}")
    if assignee := details.get("assignee"):
        out.append(f"assignee:{assignee}")
    if task.headers and profiles.HEADER in task.headers:
        out += profiles.targets(task)
    return out


def _of(p: Partition, task: Task) -> list[Guard]:
    return [g for t in targets(task) if (g := p.guards.get(t)) is not None]


# --- kept by the fold -------------------------------------------------------------------------------------------------


def stored(p: Partition, registry: str, name: str, offer: Callable[[Partition, Task], None]) -> None:
    """A record came or went."""
    if registry == "limit":
        target = name
    elif registry == "task_definition" and "@" not in name and "/" not in name:
        target = f"job:{name}"
    elif registry == profiles.REGISTRY and "@" not in name:
        target = f"{profiles.TARGET}{name}"
    else:
        if registry == "directory" and "task_definition" in p.registry:
            p.job_listener.update(p.ready)  # whoever waits may be certified by now
        return
    config = _config(p, target)
    if config is not None:
        _make(p, target, config, [p.tasks[k] for k in {k for _, k, _ in p.leases if k in p.tasks}])
    elif drop(p, p.guards, target) is not None:
        for key in drop(p, p.parked, target) or ():
            offer(p, p.tasks[key])
    undo.add(p, p.unsettled_limits, target)  # who asked for it before it was known here is served
    listen(p, target)


def _make(p: Partition, target: str, config: dict[str, Any], perhaps_leased: list[Task]) -> None:
    guard = Guard(target, config)
    put(p, p.guards, target, guard)
    guard.leased = sum(1 for t in perhaps_leased if t.worker and target in targets(t))
    guard.wake_us = next((t.due_us for t in p.timers.values() if t.element.startswith(f"wake:{target}|")), 0)


def rebuild(p: Partition) -> None:
    """After a checkpoint was loaded, before tasks are offered."""
    names = {
        *(p.registry.get("limit") or ()),
        *(f"job:{n}" for n in p.registry.get("task_definition") or () if "@" not in n and "/" not in n),
        *(f"{profiles.TARGET}{n}" for n in p.registry.get(profiles.REGISTRY) or () if "@" not in n),
    }
    with_worker = [t for t in p.tasks.values() if t.worker] if names else []
    for target in sorted(names):
        if (config := _config(p, target)) is not None:
            _make(p, target, config, with_worker)
            p.unsettled_limits.add(target)


def listen(p: Partition, target: str) -> None:
    """Whoever waits for work of this target may be served now."""
    if target.startswith("job:"):
        p.job_listener.update(lane for lane in p.ready if lane[1] == target[4:])
    else:
        p.job_listener.update(p.ready)


def tripped(p: Partition) -> int:
    """Breakers that are open or probe; each is counted at its home."""
    return sum(
        1 for g in list(p.guards.values()) if g.breaker is not None and not stock.away(p, g.target) and g.state(p)["state"] != "closed"
    )


def leased(p: Partition, task: Task, now_us: int) -> None:
    for guard in _of(p, task):
        keep(p, guard)
        guard.leased += 1
        if stock.away(p, guard.target):
            permits.leased(p, guard)
        elif guard.burst:
            permits.spent(p, guard, now_us)


def unleased(p: Partition, task: Task) -> None:
    for guard in _of(p, task):
        keep(p, guard)
        guard.leased = max(0, guard.leased - 1)
        if p.meta.partitions > 1:
            permits.unleased(p, guard)
        if guard.concurrency or guard.breaker is not None:
            listen(p, guard.target)


def counted(p: Partition, task: Task, ok: bool, code: str = "") -> None:
    """An outcome. Older ones fade: once the window is full, each new one takes the place of a mean one."""
    for guard in _of(p, task):
        if guard.breaker is None or (not ok and matches(code, guard.breaker["ignore"])):
            continue
        if stock.away(p, guard.target):
            permits.outcome(p, guard.target, ok)
            continue
        name = ("breaker", guard.target)
        was = p.records.get(name) or {"state": "closed", "until_us": 0}
        put(p, p.records, name, one_more(guard, was, ok))
        p.changed.add(("record", name))


def one_more(guard: Guard, was: dict[str, Any], ok: bool) -> dict[str, Any]:
    """A breaker's record with one outcome more."""
    calls, errors, window = was.get("calls", 0), was.get("errors", 0), (guard.breaker or BREAKER_DEFAULTS)["window"]
    if was["state"] == "closed" and calls >= window:
        calls, errors = window - 1, errors * (window - 1) // window
    return {**was, "calls": calls + 1, "errors": errors + (0 if ok else ERROR), "row": 0 if ok else was.get("row", 0) + 1}


def tell(d: Any, event: ta.BreakerChanged) -> None:
    """The breaker moves, on all partitions."""
    d.record(event)
    for to in range(d.state.meta.partitions):
        if to != d.state.meta.partition:
            d.send(to, c.SetBreaker(target=event.target, state=event.state, until_us=event.until_us, details=event.details))


def parks(p: Partition, task: Task) -> str:
    """The open target that keeps a task from being offered, `""` when none. A whole job type is not parked: its hand-out rests."""
    for guard in _of(p, task):
        if guard.breaker is not None and not guard.target.startswith("job:") and guard.state(p)["state"] != "closed":
            state = guard.state(p)
            gone = len(guard.out) + guard.leased + int(state.get("calls", 0))
            if state["state"] == "open" or (gone >= int(state.get("release", 1)) and task.key not in guard.out):
                return guard.target
    for guard in _of(p, task):
        if guard.breaker is not None and guard.state(p)["state"] == "half_open":
            put(p, guard.out, task.key, None)
    return ""


def withdrawn(p: Partition, task: Task) -> None:
    """It waits no more, offered or parked."""
    for guard in _of(p, task):
        drop(p, guard.out, task.key)
    for target in list(p.parked):
        lane = p.parked[target]
        if task.key in lane:
            drop_queued(p, lane, task.key)
            if not lane:
                drop(p, p.parked, target)


def changed(p: Partition, target: str, offer: Callable[[Partition, Task], None], unready: Callable[[Partition, Task], None]) -> None:
    """The breaker of `target` is in another state: what waits is parked, or let go as far as it may."""
    guard = p.guards.get(target)
    if guard is not None and not target.startswith("job:"):
        if guard.open(p):
            for lanes in list(p.ready.values()):
                for lane in list(lanes.values()):
                    for key in [k for k in lane if target in targets(p.tasks[k])]:
                        unready(p, p.tasks[key])
                        put(p, nest(p, p.parked, target), key, None)
            return
        state = guard.state(p)
        free = len(p.parked.get(target, ()))
        if state["state"] != "closed":
            free = int(state.get("release", 1)) - guard.leased - len(guard.out)
        for key in list(p.parked.get(target, ()))[: max(0, free)]:
            task = p.tasks[key]
            withdrawn(p, task)
            offer(p, task)
        if state["state"] == "closed":
            for key in list(guard.out):
                drop(p, guard.out, key)
    listen(p, target)


def timer_set(p: Partition, element: str, due_us: int) -> None:
    """Element `wake:TARGET|TYPE`."""
    target, _, job_type = element[5:].rpartition("|")
    if (guard := p.guards.get(target)) is not None:
        keep(p, guard)
        guard.wake_us = due_us
    if not due_us:
        listen(p, f"job:{job_type}")


# --- used by decisions ------------------------------------------------------------------------------------------------


class Picker:
    """Which tasks of a hand-out may go, where tenants, endpoints or assignees have limits."""

    __slots__ = ("limited", "now_us", "p", "short", "taken", "wake_us")

    def __init__(self, p: Partition, now_us: int) -> None:
        self.p, self.now_us = p, now_us
        self.taken: dict[str, int] = {}
        self.wake_us, self.limited = 0, ""
        #: targets that kept tasks back -> how many
        self.short: dict[str, int] = {}

    def takes(self, task: Task) -> bool:
        guards = [g for g in _of(self.p, task) if not g.target.startswith("job:")]
        for guard in guards:
            room, wake_us = guard.room(self.p, self.now_us, self.taken.get(guard.target, 0) + 1)
            if room <= self.taken.get(guard.target, 0):
                if wake_us and (not self.wake_us or wake_us < self.wake_us):
                    self.wake_us, self.limited = wake_us, guard.target
                self.short[guard.target] = self.short.get(guard.target, 0) + 1
                return False
        for guard in guards:
            self.taken[guard.target] = self.taken.get(guard.target, 0) + 1
        return True


def room(p: Partition, job_type: str, lanes: dict[int, dict[int, None]], wanted: int, now_us: int) -> tuple[int, int]:
    """How many jobs of a type may go in one hand-out, and when to look again."""
    guard = p.guards.get(f"job:{job_type}")
    if guard is None:
        return wanted, 0
    n, wake_us = guard.room(p, now_us, wanted)
    if n > 0 and guard.size:
        if sum(map(len, lanes.values())) < guard.size:
            oldest = min(p.tasks[next(iter(lane))].created_us for lane in lanes.values())
            if now_us < oldest + guard.batch_us or not guard.batch_us:
                return 0, oldest + guard.batch_us if guard.batch_us else 0
        n = min(n, guard.size)
    return n, wake_us


def wake(d: Any, target: str, job_type: str, at_us: int) -> None:
    """Look at the waiting jobs again at `at_us`."""
    guard = d.state.guards[target]
    if not guard.wake_us or at_us < guard.wake_us:
        d.record(wa.TimerScheduled(timer=d.key(), token=0, element=f"wake:{target}|{job_type}", due_us=at_us))


def after(d: Any, tasks: list[str]) -> None:
    """Outcomes of these targets were counted: do their breakers move?"""
    p = d.state
    for target in dict.fromkeys(tasks):
        guard = p.guards.get(target)
        state = p.records.get(("breaker", target))
        if guard is None or guard.breaker is None or state is None or stock.away(p, target):
            continue
        b, calls, errors = guard.breaker, state.get("calls", 0), state.get("errors", 0)
        if state["state"] == "closed":
            share = errors >= float(b["error_share"]) * calls * ERROR
            if (calls >= b["min_calls"] and errors and share) or (b["failures"] and state.get("row", 0) >= b["failures"]):
                _open(d, guard, 0, calls, errors)
        elif state["state"] == "half_open":
            release = int(state.get("release", 1))
            if errors:
                _open(d, guard, state.get("times", 0) + 1, calls, errors)
            elif calls >= release:
                if release * 2 > b["full"]:
                    tell(d, ta.BreakerChanged(target=target, state="closed", details={"reason": f"{calls} successes in a row"}))
                else:
                    tell(
                        d,
                        ta.BreakerChanged(
                            target=target, state="half_open", details={"release": release * 2, "times": state.get("times", 0)}
                        ),
                    )


def _open(d: Any, guard: Guard, times: int, calls: int, errors: int) -> None:
    b = guard.breaker or BREAKER_DEFAULTS
    until = d.facts.now_us + min(int(b["open_ms"]) * 2 ** min(times, 20), int(b["open_ms_max"])) * 1000
    reason = f"about {round(errors / ERROR)} of the last {calls} failed"
    tell(d, ta.BreakerChanged(target=guard.target, state="open", until_us=until, details={"times": times, "reason": reason}))
    d.record(wa.TimerScheduled(timer=d.key(), token=0, element=f"breaker:{guard.target}", due_us=until))


def timer_fired(d: Any, t: Any) -> None:
    """Timers `wake:...` and `breaker:...`."""
    d.record(wa.TimerTriggered(timer=t.key, token=0, element=t.element))
    if t.element.startswith("breaker:"):
        target = t.element[8:]
        guard, state = d.state.guards.get(target), d.state.records.get(("breaker", target))
        if guard is None or guard.breaker is None:
            if state is not None and state["state"] != "closed":
                tell(d, ta.BreakerChanged(target=target, state="closed", details={"reason": "it is not configured any more"}))
        elif state is not None and state["state"] == "open" and state["until_us"] <= d.facts.now_us:
            tell(
                d,
                ta.BreakerChanged(
                    target=target, state="half_open", details={"release": int(guard.breaker["probes"]), "times": state.get("times", 0)}
                ),
            )


def names_of(p: Partition, task: Task) -> list[str]:
    """Targets of a task that have a breaker; taken before the task goes."""
    return [g.target for g in _of(p, task) if g.breaker is not None]

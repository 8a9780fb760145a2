"""What owners and the projector tell of themselves, as metrics. The owner's port: `processors/owner.py` calls these methods."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flowledger.events.base import Broken
from flowledger.infra.telemetry import Metrics, Tracer
from flowledger.kernel.watchdog.kinds import KINDS
from flowledger.logs import log

log_ = log("owner")


class Observer:
    """Cheap: bound counters, and one call per group rather than per event."""

    def __init__(self, metrics: Metrics, names: dict[str, str] | None = None, tracer: Tracer | None = None) -> None:
        """`names`: class name of an event -> its wire name. `tracer`: a span for each group."""
        self.metrics, self._tracer = metrics, tracer if tracer is not None and tracer.on else None
        self._names = names or {}
        #: whether `appended` wants the traces of the commands
        self.tracing = self._tracer is not None
        self._events: dict[str, Any] = {}
        self._kinds: dict[str, Any] = {}
        self._appends: dict[int, Any] = {}

    def group(self, partition: int, commands: int, events: int, size: int) -> None:
        """A group of `events` events that `commands` commands made, of `size` bytes, was handed to the log."""
        m = self.metrics
        m.batch_commands.observe(commands)
        m.batch_events.observe(events)
        m.batch_bytes.inc(size)

    def decided(self, kinds: dict[str, int]) -> None:
        """Commands that one step took, by class; also those that made no event (a repeated id)."""
        for kind, count in kinds.items():
            counter = self._kinds.get(kind)
            if counter is None:
                counter = self._kinds[kind] = self.metrics.commands.labels(kind, "decided")
            counter.inc(count)

    def appended(self, partition: int, seconds: float, names: dict[str, int], traces: Sequence[str] = ()) -> None:
        """The group is acknowledged; `names` counts its events by class, `traces` are the `traceparent` of its commands."""
        bound = self._appends.get(partition)
        if bound is None:
            bound = self._appends[partition] = self.metrics.appends.labels(str(partition), "ok")
        bound.inc()
        self.metrics.append_seconds.observe(seconds)
        if self._tracer is not None:
            self._tracer.done("append group", seconds, traces, partition=partition, events=sum(names.values()))
        for name, count in names.items():
            counter = self._events.get(name)
            if counter is None:
                counter = self._events[name] = self.metrics.events.labels(self._names.get(name, name))
            counter.inc(count)

    def rejected(self, command: str, code: str) -> None:
        self.metrics.commands.labels(command, code).inc()

    def fenced(self, partition: int) -> None:
        self.metrics.fencings.labels(str(partition)).inc()

    def took_over(self, partition: int, seconds: float) -> None:
        self.metrics.takeovers.labels(str(partition)).inc()
        self.metrics.takeover_seconds.observe(seconds)

    def dead_letter(self, reason: str) -> None:
        self.metrics.dead_letters.labels(reason[:80]).inc()

    def broken(self, command: str, broken: Broken) -> None:
        """A defect of the engine, in one decision: for operators, who look for the reference that the caller was told."""
        self.metrics.commands.labels(command, "INTERNAL").inc()
        log_.error("a decision broke", command=command, instance=broken.key, defect=broken.defect, message=broken.message,
                   reference=broken.reference)  # fmt: skip


#: processes and elements with figures of their own; what comes later is counted as `other`
SERIES_MAX = 2_000


class Endings:
    """What the projector wrote of ends (process, element, outcome, seconds), as figures."""

    def __init__(self, metrics: Metrics, most: int = SERIES_MAX) -> None:
        self._metrics, self._most = metrics, most
        self._known: dict[tuple[str, str], tuple[Any, _Counts]] = {}

    def __call__(self, ended: Sequence[tuple[str, str, str, float | None]]) -> None:
        for process, element, outcome, seconds in ended:
            timing, counts = self._bound(process, element)
            if seconds is not None:
                timing.observe(max(0.0, seconds))
            counts[outcome].inc()

    def _bound(self, process: str, element: str) -> tuple[Any, _Counts]:
        if (process, element) not in self._known and len(self._known) >= self._most:
            process, element = "other", "other" if element else ""
        found = self._known.get((process, element))
        if found is None:
            m = self._metrics
            timing = m.element_seconds.labels(process, element) if element else m.instance_seconds.labels(process)
            count = m.element_outcomes if element else m.instance_outcomes
            place = (process, element) if element else (process,)
            found = self._known[process, element] = timing, _Counts(count, place)
        return found


class _Counts(dict[str, Any]):
    """Counters of a place by outcome, made when they are first needed."""

    def __init__(self, counter: Any, place: tuple[str, ...]) -> None:
        self._counter, self._place = counter, place

    def __missing__(self, outcome: str) -> Any:
        found = self[outcome] = self._counter.labels(*self._place, outcome)
        return found


def _process(m: Metrics, name: str) -> None:
    m.cpu.labels(name).set(time.process_time())
    with contextlib.suppress(OSError):  # other systems than Linux
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        m.memory.labels(name).set(pages * os.sysconf("SC_PAGE_SIZE"))
        m.files.labels(name).set(len(os.listdir("/proc/self/fd")))


def _pool(m: Metrics, pool: Any) -> None:
    if pool is None:
        return
    found = pool.get_stats()
    size, idle = found.get("pool_size", 0), found.get("pool_available", 0)
    m.connections.labels("idle").set(idle)
    m.connections.labels("used").set(max(0, size - idle))
    m.connections_max.set(pool.max_size)
    m.connection_waits.set(found.get("requests_waiting", 0))


def gauges(
    engine: Any, projector: Callable[[], Any] = lambda: None, pool: Callable[[], Any] = lambda: None, process: str = "main"
) -> Callable[[Metrics], None]:
    """What is read only when somebody asks: sizes of owned partitions, the lag of the projections, the pool of connections, the process itself."""
    seen = {"events": 0, "writes": 0}

    def read(m: Metrics) -> None:
        waiting: dict[str, int] = {}
        counts: dict[str, int] = dict.fromkeys(KINDS, 0)
        for p, owner in list(getattr(engine, "owners", {}).items()):
            figures, label = owner.figures(), str(p)
            m.epoch.labels(label).set(figures["epoch"])
            m.position.labels(label).set(figures["position"])
            m.instances.labels(label).set(figures["instances"])
            m.leases.labels(label).set(figures["leases"])
            m.timers.labels(label).set(figures["timers"])
            m.incidents.labels(label).set(figures["incidents"])
            m.breakers.labels(label).set(figures["breakers"])
            m.inbox.labels(label).set(figures["inbox"])
            m.pending.labels(label).set(figures["pending"])
            if owner.machine is not None:
                m.watchdog_round.labels(label).set(owner.machine.watchdog.round_s)
                for kind, n in owner.machine.watchdog.counts().items():
                    counts[kind] += n
            for (_, job_type), lanes in owner.state.ready.items():
                waiting[job_type] = waiting.get(job_type, 0) + sum(map(len, lanes.values()))
        for kind, n in counts.items():
            if kind != "projection_lag":  # the API looks for it
                m.findings.labels(kind).set(n)
        m.ready_jobs.clear()
        for job_type, count in waiting.items():
            m.ready_jobs.labels(job_type).set(count)
        _process(m, process)
        _pool(m, pool())
        runner = projector()
        if runner is not None:
            for p, lag in runner.lag().items():
                m.projection_lag.labels("all", str(p)).set(lag["events"])
                m.projection_lag_s.labels(str(p)).set(lag["seconds"])
            m.projected.labels("all").inc(max(0, runner.events - seen["events"]))
            m.projection_writes.inc(max(0, runner.writes - seen["writes"]))
            seen["events"], seen["writes"] = runner.events, runner.writes

    return read

"""A plan from a history: when instances came, how long work waited and took, and which way gateways went."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from flowledger.analytics import fold
from flowledger.analytics.figures import Figures
from flowledger.analytics.simulate.draws import sampled
from flowledger.analytics.simulate.plan import HOUR_US, HOURS
from flowledger.analytics.trace import Trace
from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.events import workflow as wf
from flowledger.events.base import Event

#: 1970-01-01, 00:00 UTC, in the week from Monday
_OFFSET_HOURS = 72


class History:
    """`add` each instance; then `plan`."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.waits: dict[str, list[int]] = defaultdict(list)
        self.works: dict[str, list[int]] = defaultdict(list)
        self.flows: Counter[tuple[str, str]] = Counter()
        self.passed: Counter[str] = Counter()
        self.lasted: list[int] = []

    def add(self, events: Iterable[tuple[Event, int]]) -> None:
        """All events of one instance with their times, in order."""
        t: Trace | None = None
        figures = Figures()
        for e, us in events:
            if isinstance(e, wf.WorkflowStarted):
                t = fold.started(e, "", us, figures)
                self.started.append(us)
                continue
            if t is None or t.outcome:
                continue
            if type(e) in fold.OF_TASKS:
                for task in e.tasks:  # type: ignore[attr-defined]
                    fold.apply_task(t, task, e, us, figures)
                continue
            if isinstance(e, ta.TaskCompleted):
                self._worked(t, e, us)
            elif isinstance(e, fl.FlowTaken):
                self.flows[e.source, e.flow] += 1
                self.passed[e.source] += not e.spawned
            fold.apply(t, e, us, figures)
        if t is not None and t.outcome == "completed":
            self.lasted.append(t.ended_us - t.started_us)

    def _worked(self, t: Trace, e: ta.TaskCompleted, us: int) -> None:
        w = t.work.get(e.task)
        if w is None or w.listener:
            return
        since = w.hand_us or (0 if w.worked_us else w.accepted_us)
        worked = w.worked_us + (max(0, us - since) if since else 0)
        self.works[w.element].append(worked)
        self.waits[w.element].append(max(0, us - w.created_us - worked))

    def plan(self, instances: int) -> dict[str, Any]:
        """As JSON, with times in seconds; waits are those that were seen, so nobody is busy in it until a resource is named."""
        found: dict[str, Any] = {"instances": instances, "arrival": self._arrival(), "warmup": 0.0, "resources": {}}
        found["elements"] = {
            e: {"work": {"sample": _seconds(self.works[e])}, "wait": {"sample": _seconds(self.waits[e])}} for e in sorted(self.works)
        }
        several = Counter(source for source, _ in self.flows)
        found["branches"] = {
            flow: round(n / self.passed[source], 6) for (source, flow), n in sorted(self.flows.items()) if several[source] > 1 and self.passed[source]
        }  # fmt: skip
        found["branches"] = {k: min(1.0, v) for k, v in found["branches"].items()}
        return found

    def _arrival(self) -> dict[str, Any]:
        """How many came in each hour of the week, of a history of two weeks and more; else the mean time between two."""
        if len(self.started) < 2:
            return {"every": {"exponential": 3600}}
        first, last = min(self.started), max(self.started)
        hours = (last - first) / HOUR_US
        if hours < 2 * HOURS:
            return {"every": {"exponential": round(max(0.001, hours * 3600 / (len(self.started) - 1)), 3)}}
        counts, there = [0] * HOURS, [0.0] * HOURS
        for us in self.started:
            counts[(us // HOUR_US + _OFFSET_HOURS) % HOURS] += 1
        for hour in range(first // HOUR_US, last // HOUR_US + 1):
            there[(hour + _OFFSET_HOURS) % HOURS] += 1
        return {"profile": [round(c / max(1.0, n), 4) for c, n in zip(counts, there, strict=True)]}


def _seconds(times: list[int]) -> list[float]:
    return [round(us / 1_000_000, 3) for us in sampled(times).values]

"""Hand-out of jobs from the kernel alone: how long one activation takes with many waiting, and what limits cost. One JSON line for each figure.

`python bench/jobs.py [JOBS]`. Jobs of 100 types and three priorities wait; each figure is the mean over 2,000 activations of 1 job (and 200 of 32), with
few and with all of the jobs waiting, in one process without a log.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from typing import Any

from flowledger.events import commands as c
from flowledger.kernel.decide import decide
from flowledger.kernel.decision import Decision, Facts
from flowledger.kernel.state import Partition

TYPES = 100
FEW = 10_000
ALL = 1_000_000
START_US = 1_767_607_200_000_000


class Kernel:
    def __init__(self) -> None:
        self.p = Partition(0, 1)
        self.facts = Facts(START_US)

    def do(self, command: Any) -> dict[str, Any]:
        made = decide(self.p, c.Request(command=command), self.facts)
        assert isinstance(made, Decision), made
        return made.answer

    def fill(self, upto: int) -> None:
        for n in range(len(self.p.tasks), upto):
            self.facts.now_us += 10
            self.do(c.CreateTask(job_type=f"type{n % TYPES}", priority=(20, 40, 80)[n % 7 % 3]))
        self.p.changed.clear()

    def hand_out(self, times: int, size: int, complete: bool) -> float:
        """Microseconds of one activation."""
        spent = 0.0
        for n in range(times):
            self.facts.now_us += 100
            command = c.ActivateTasks(job_type=f"type{n % TYPES}", worker="w", max=size)
            began = time.perf_counter()
            jobs = self.do(command)["jobs"]
            spent += time.perf_counter() - began
            assert len(jobs) == size
            if complete:
                for job in jobs:
                    self.do(c.CompleteTask(task=job["key"]))
        return spent / times * 1e6


def run(jobs: int = ALL) -> list[dict[str, Any]]:
    k = Kernel()
    out: list[dict[str, Any]] = []
    began = time.perf_counter()
    for waiting in (min(FEW, jobs), jobs):
        k.fill(waiting)
        gc.collect()
        gc.freeze()
        for size, times in ((1, 2_000), (32, 200)):
            us = k.hand_out(times, size, complete=True)
            out.append(
                {"name": f"jobs.hand_out.{size}", "waiting": waiting, "types": TYPES, "us": round(us, 1), "us_per_job": round(us / size, 2)}
            )
        k.fill(waiting)
    for limit, value in (
        ("concurrency", {"concurrency": 1_000_000}),
        ("rate", {"rate": {"max": 1_000_000, "per_ms": 1}}),
        ("breaker", {"circuit_breaker": True}),
    ):
        for n in range(TYPES):
            k.do(c.StoreRecord(registry="limit", name=f"job:type{n}", value=value))
        us = k.hand_out(2_000, 1, complete=True)
        out.append({"name": f"jobs.hand_out.1.with_{limit}", "waiting": jobs, "us": round(us, 1)})
    out.append({"name": "jobs.seconds", "value": round(time.perf_counter() - began, 1)})
    return out


if __name__ == "__main__":
    for figure in run(int(sys.argv[1]) if len(sys.argv) > 1 else ALL):
        print(json.dumps(figure))

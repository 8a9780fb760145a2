"""What steps cost the processes of this node: looks at their own figures some seconds apart, of the last hour. A step is a flow that was taken, or a start."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from flowledger.analytics.capacity import marginal
from flowledger.events import flow as fl
from flowledger.events import workflow as wf
from flowledger.events.wire import NAMES
from flowledger.logs import log

log_ = log("loads")
#: between looks, and how many are kept
LOOK_S, KEPT = 10.0, 360
_STEPS = frozenset((NAMES[fl.FlowTaken], NAMES[wf.WorkflowStarted]))


class Loads:
    """`figures` are those of this node's processes as they ship them (`Metrics.shipped`), all together."""

    def __init__(self, figures: Callable[[], Awaitable[list[Any]]], now_s: Callable[[], float] = time.monotonic) -> None:
        self._figures, self._now = figures, now_s
        #: (when, steps so far, process -> seconds of the processor so far), the oldest first
        self._seen: deque[tuple[float, float, dict[str, float]]] = deque(maxlen=KEPT)

    async def watch(self) -> None:
        """For ever."""
        while True:
            try:
                await self.look()
            except Exception as why:  # noqa: BLE001 - a process that is away has no figures; it is looked at again
                log_.debug("the figures of the processes can't be read", why=str(why))
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        steps, cpu = 0.0, {}
        for family, samples in await self._figures():
            if family == "flowledger_events":
                steps += sum(float(value) for name, labels, value in samples if name.endswith("_total") and labels.get("type") in _STEPS)
            elif family == "flowledger_process_cpu_seconds":
                cpu.update({labels["process"]: float(value) for _, labels, value in samples})
        if self._seen and (steps < self._seen[-1][1] or any(cpu.get(p, 0.0) < s for p, s in self._seen[-1][2].items())):
            self._seen.clear()  # a process was started anew
        self._seen.append((self._now(), steps, cpu))

    def costs(self) -> dict[str, tuple[float, float] | None]:
        """Process -> seconds of a processor by step, and the share of one that is used without any; None: it can't be told yet."""
        seen = list(self._seen)
        pairs = list(itertools.pairwise(seen))
        return {
            process: marginal([
                (b[0] - a[0], b[1] - a[1], b[2][process] - a[2][process]) for a, b in pairs if process in a[2] and process in b[2]
            ])
            for process in (seen[-1][2] if seen else {})
        }  # fmt: skip

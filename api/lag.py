"""Projections that are behind the log and don't catch up: seen by the ends of the log and the positions of the rows, in looks some seconds apart.

A projection is *late* when the oldest event that it lacks has been on the log for `LATE_S`, and *does not catch up* when it lacks no fewer events than
`WINDOW_S` ago. Both together are a finding. One that works through what came while it was away, or follows steady traffic closely, is none.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from flowledger.events import control as co
from flowledger.kernel.watchdog.kinds import KINDS, REPAIRS, found, id_of
from flowledger.logs import log
from flowledger.processors.client import ENGINE, Client

log_ = log("watchdog")

#: between looks; how old the oldest event that lacks may be; over which time it must shrink; how much is remembered (seconds)
LOOK_S, LATE_S, WINDOW_S, KEPT_S = 5.0, 30.0, 30.0, 600.0
KIND = "projection_lag"


class Lag:
    """`client` says how far each partition's log goes, `positions` how far its rows do. `count`: is told how many are behind, for metrics."""

    def __init__(
        self, client: Client, positions: Callable[[], Any], count: Callable[[int], None] = lambda n: None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._client, self._positions, self._count, self._now = client, positions, count, now_s
        #: partition -> (when, end of the log, where the rows are), the oldest first
        self._seen: dict[int, deque[tuple[float, int, int]]] = {}
        #: partition -> (since when, microseconds UTC; what is said of it)
        self._late: dict[int, tuple[int, str]] = {}

    async def watch(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except Exception as why:  # noqa: BLE001 - the database or the owners are away, which others tell; it is looked at again
                log_.debug("the lag can't be looked at", why=str(why))

    async def look(self) -> None:
        """Raises: what the database says."""
        ends: dict[int, int] = {}
        for p in range(self._client.partitions):
            answer = await self._client.call(co.ListFindings(), ENGINE, partition=p, timeout_s=LOOK_S)
            if isinstance(answer, dict) and "end" in answer:
                ends[p] = answer["end"]
        rows = await self._positions()
        for p, end in ends.items():
            self.seen(p, end, rows.get(p, -1) + 1)
        self._count(len(self._late))

    def seen(self, partition: int, end: int, position: int) -> None:
        """The log of a partition ends at `end` (the next offset), its rows have all before `position`."""
        now = self._now()
        looks = self._seen.setdefault(partition, deque())
        looks.append((now, end, position))
        while looks[0][0] < now - KEPT_S:
            looks.popleft()
        before = next((then for then in reversed(looks) if then[0] <= now - WINDOW_S), None)
        oldest = next((when for when, there, _ in looks if there > position), now)
        stands = before is not None and before[1] > before[2] and end - position >= before[1] - before[2]
        if position < end and now - oldest >= LATE_S and stands:
            says = f"the rows of partition {partition} are {end - position} events behind the log, the oldest for {now - oldest:.0f} s"
            if partition not in self._late:
                log_.warning("found", id=f"{partition}-{KIND}-{partition}", kind=KIND, what=says)
            since = self._late.get(partition, (int((time.time() - (now - oldest)) * 1e6), ""))[0]
            self._late[partition] = since, says
        elif self._late.pop(partition, None) is not None:
            log_.info("holds again", id=f"{partition}-{KIND}-{partition}")

    def behind_s(self) -> float:
        """For how long the oldest event has been on the log that the rows lack, as far as it was looked; 0: they lack none."""
        now, found = self._now(), 0.0
        for looks in self._seen.values():
            _, end, position = looks[-1]
            if position < end:
                found = max(found, now - next((when for when, there, _ in looks if there > position), now))
        return found

    def findings(self) -> list[dict[str, Any]]:
        """As partitions tell theirs."""
        out = []
        for p, (since_us, says) in sorted(self._late.items()):
            f = found(KIND, p, says)
            out.append({
                "id": id_of(p, f), "kind": KIND, "partition": p, "subject": str(p), "instance": 0, "element": "", "process": "", "tenant": "", "says": says,
                "explanation": KINDS[KIND].says, "repairs": [{"repair": r, "does": REPAIRS[r]} for r in f.repairs], "since_us": since_us,
            })  # fmt: skip
        return out

    def known(self, id: str) -> bool:
        return any(f["id"] == id for f in self.findings())

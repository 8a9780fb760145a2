"""Which definition an instance runs, from the log alone: the events say it at the start and at each migration, owners say it of those that
were begun before a subscriber came, and what has ended since is looked up in the log once.

No projection is asked: it may lag, or be away, and a subscriber would miss events for ever.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from flowledger.events.base import Recorded, Rejected, RejectionCode
from flowledger.events.commands import ListRecords, partition_of_key
from flowledger.events.workflow import (
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowCreated,
    WorkflowFailed,
    WorkflowMigrated,
    WorkflowRolledBack,
    WorkflowStarted,
    WorkflowTerminated,
)
from flowledger.processors.client import Caller, Client
from flowledger.processors.log import OutOfRange

#: (definition's key, process id); (0, ""): not to be known, its events are in no definition
Runs = tuple[int, str]
KNOWN_MAX = 200_000
ASK_MAX = 500
SAYS = (WorkflowStarted, WorkflowCreated, WorkflowMigrated, WorkflowRolledBack)
ENDS = (WorkflowCompleted, WorkflowFailed, WorkflowCancelled, WorkflowTerminated)
ASK_S = 5.0
#: records of the first stretch of the log that is looked back through; each further one is twice as long
BACK = 4_096


class Definitions:
    """Of one subscriber. `begin`: partition -> offset from which it reads; what happened before is behind it."""

    def __init__(self, client: Client, tenant: str, begin: dict[int, int], most: int = KNOWN_MAX, back: bool = True) -> None:
        """`most`: of how many it is remembered; `back`: the log is looked through for what has ended."""
        self.client, self.tenant, self.most, self.back = client, tenant, most, back
        self.begin = dict(begin)
        self._known: OrderedDict[int, Runs] = OrderedDict()
        #: partition -> from where on the log was looked through, up to where it begins
        self._back: dict[int, int] = {}

    async def learn(self, batch: Iterable[Recorded]) -> None:
        """Before `of` is asked about a batch (of one partition)."""
        unknown: dict[int, None] = {}
        told: set[int] = set()
        for r in batch:
            key = r.event.key
            if isinstance(r.event, SAYS):
                told.add(key)
            elif key and key not in self._known and key not in told and r.envelope.tenant == self.tenant:
                unknown[key] = None
        by_partition: dict[int, list[int]] = {}
        for key in unknown:
            by_partition.setdefault(partition_of_key(key), []).append(key)
        for partition, keys in by_partition.items():
            for n in range(0, len(keys), ASK_MAX):
                await self._ask(partition, keys[n : n + ASK_MAX])
            if (missing := [k for k in keys if k not in self._known]) and self.back:
                await self._look_back(partition, missing)
            for key in missing:
                self._known.setdefault(key, (0, ""))

    def of(self, r: Recorded) -> Runs:
        e: Any = r.event
        if isinstance(e, SAYS):
            self._remember(e.key, (e.definition, e.process))
        found = self._known.get(e.key)
        if found is None or found == (0, ""):
            return (getattr(e, "definition", 0) or 0, getattr(e, "process", "") or "")
        if isinstance(e, ENDS):
            self._known.move_to_end(e.key, last=False)  # the first to be forgotten
        return found

    def _remember(self, key: int, runs: Runs) -> None:
        self._known[key] = runs
        while len(self._known) > self.most:
            self._known.popitem(last=False)

    async def _ask(self, partition: int, keys: list[int]) -> None:
        """Raises: ConnectionError: the owner doesn't answer; whoever listens comes again from where it is."""
        command = ListRecords(registry="instance", prefix=",".join(map(str, keys)), limit=1_000)
        answer = await self.client.call(command, Caller(tenant=self.tenant), partition=partition, timeout_s=ASK_S)
        if isinstance(answer, Rejected):
            if answer.code in (RejectionCode.UNAVAILABLE, RejectionCode.DEADLINE_EXCEEDED):
                raise ConnectionError(f"the owner of partition {partition} doesn't answer: {answer.message}")
            return
        for record in answer.get("records") or ():
            value = record["value"]
            self._remember(int(record["name"]), (int(value["definition"]), str(value["process"])))

    async def _look_back(self, partition: int, missing: list[int]) -> None:
        """Instances that have ended since this subscriber's place: who was open there is what the log says up to it. It is read backwards, stretch by
        stretch, as far as the oldest of these began; the next time it goes on from there."""
        end, wanted, whole = self._back.get(partition, self.begin.get(partition, 0)), set(missing), True
        length = BACK
        while wanted and end > 0:
            start = max(0, end - length)
            try:
                found = await self._stretch(partition, start, end)
            except OutOfRange as gone:  # of what was before, only this is still on the log
                found, start = await self._stretch(partition, gone.begin, end) if start < gone.begin < end else {}, 0
            for key, runs in found.items():
                if key in wanted or len(self._known) < self.most:
                    self._known.setdefault(key, runs)
                else:
                    whole = False
            wanted -= found.keys()
            end, length = start, length * 2
        if whole:  # else it is read again for whoever had no room
            self._back[partition] = end

    async def _stretch(self, partition: int, start: int, end: int) -> dict[int, Runs]:
        """What instances ran that did not end in this stretch of the log, as the last of it says."""
        open_: dict[int, Runs] = {}
        wanted = {p: (start if p == partition else 1 << 62) for p in range(self.client.partitions)}
        stream = self.client.events(wanted).__aiter__()
        try:
            async for batch in stream:
                for r in batch:
                    if r.partition != partition:
                        continue
                    if r.offset >= end:
                        return open_
                    e: Any = r.event
                    if isinstance(e, SAYS):
                        open_[e.key] = (e.definition, e.process)
                    elif isinstance(e, ENDS):
                        open_.pop(e.key, None)
        finally:
            if (close := getattr(stream, "aclose", None)) is not None:
                await close()
        return open_

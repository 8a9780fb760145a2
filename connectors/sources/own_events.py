"""Our own events as a source: what happens to instances of some definitions, read from the log itself, partition by partition.

A part is a partition, a place an offset. What nobody wants moves the place too, though not each time: that is an event itself, which would be read again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from flowledger.api.instance_of import Definitions
from flowledger.api.veil import masked_values
from flowledger.api.view import event_view
from flowledger.connectors.sources.frame import Away, Got, Opening, beginning, begun
from flowledger.events import wire
from flowledger.events.base import Recorded
from flowledger.events.triggers import TriggerItem
from flowledger.processors.log import EVENTS, LogError

#: others' events that pass before the place is told, and after how long fewer are enough (seconds)
PASS_EVENTS, PASS_S = 5_000, 60.0
#: before the owner of a partition is asked again (seconds)
OWNER_S = 0.5
#: what follows from this itself, or from nobody's doing
_OURS = ("trigger.", "webhook.", "alert.claimed", "partition.", "ledger.", "operation.")


async def open_events(opening: Opening) -> OwnEvents:
    client: Any = opening.client
    try:
        if (open_log := getattr(client, "open", None)) is not None:  # owners in other processes are asked without it
            await open_log()
        ends = [await client.log.end(EVENTS, p) for p in range(client.partitions)]
    except (LogError, OSError) as e:
        raise Away(f"the log can't be had: {e}") from None
    return OwnEvents(opening, dict(enumerate(ends)))


class OwnEvents:
    def __init__(self, opening: Opening, ends: dict[int, int]) -> None:
        config, places = opening.config, opening.places
        self.client: Any = opening.client
        self.tenant = opening.tenant
        self._types, self._definitions = frozenset(config["types"]), frozenset(config.get("definitions") or ())
        from_now = config.get("from") != "start" and not begun(opening)
        #: partition -> next offset
        self.next = {p: places[str(p)] + 1 if str(p) in places else end if from_now else 0 for p, end in ends.items()}
        self._first = beginning({str(p): n for p, n in self.next.items()}) if from_now else []
        #: partition -> others' events since its place was told, and when that was
        self._passed = dict.fromkeys(ends, 0)
        self._told = dict.fromkeys(ends, time.monotonic())
        self._known = Definitions(self.client, self.tenant, self.next)

    async def batches(self) -> AsyncIterator[Got]:
        for got in self._first:  # from where it is read is remembered before anything comes
            yield got
        try:
            async with contextlib.aclosing(self.client.events(dict(self.next))) as stream:
                async for batch in stream:
                    await self._learn(batch)
                    if (got := self._got(batch)).items:
                        yield got
        except LogError as e:
            raise Away(f"the log can't be read: {e}") from None

    async def _learn(self, batch: list[Recorded]) -> None:
        while True:
            try:
                await self._known.learn(batch)
                return
            except ConnectionError:  # the owner is on its way to another node: nothing is skipped for that
                await asyncio.sleep(OWNER_S)

    def _got(self, batch: list[Recorded]) -> Got:
        items = []
        p = batch[0].partition
        for r in batch:
            if r.offset < self.next[p]:
                continue
            self.next[p] = r.offset + 1
            if (item := self._item(r)) is not None:
                items.append(item)
            elif not wire.NAMES[type(r.event)].startswith(_OURS):
                self._passed[p] += 1
        now = time.monotonic()
        if items or self._passed[p] >= PASS_EVENTS or (self._passed[p] and now - self._told[p] >= PASS_S):
            if not items or items[-1].place < self.next[p] - 1:
                items.append(TriggerItem(context={}, place=self.next[p] - 1, passed=True))
            self._passed[p], self._told[p] = 0, now
        return Got(str(p), items)

    def _item(self, r: Recorded) -> TriggerItem | None:
        definition, process = self._known.of(r)  # which it has to see of each
        type_ = wire.NAMES[type(r.event)]
        if r.envelope.tenant != self.tenant or type_ not in self._types:
            return None
        if process not in self._definitions and not (type_.startswith("alert.") and not self._definitions):
            return None
        event = masked_values({k: v for k, v in event_view(r).items() if k not in ("tenant", "trace")})
        return TriggerItem(context={"event": event, "process": process, "definition": str(definition)}, place=r.offset)

    async def acknowledge(self, got: Got) -> None:
        """The log keeps what was read."""

    def lag(self) -> int:
        lines = self.client.tail.lines
        return sum(max(0, lines[p].position - n) for p, n in self.next.items() if p in lines)

    async def close(self) -> None:
        """Nothing is held."""

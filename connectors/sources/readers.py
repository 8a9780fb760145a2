"""The readers of one node: which triggers have no reader is asked of their homes, each is claimed with a lease, and read until the lease, the version or
the trigger is no more. Nothing is remembered here: what was taken, and up to where, is what the home says.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from flowledger.connectors.direct import LOOK_BY_LOG_S, Looking
from flowledger.connectors.sources.frame import Away, Got, Kind, Opening, Source, commands
from flowledger.events import triggers as tr
from flowledger.events.base import Rejected, RejectionCode
from flowledger.infra.blobs import Blobs
from flowledger.infra.egress import Gate
from flowledger.infra.secrets import Secrets
from flowledger.infra.settings import Settings
from flowledger.kernel.triggers.samples import sample
from flowledger.logs import log
from flowledger.processors.client import ENGINE, Caller, Client

#: how often is looked for triggers without a reader; how long a lease is, and how often it is renewed (seconds)
LOOK_S = 1.0
LEASE_S, RENEW_S = 30.0, 10.0
#: triggers that one node reads at once
READERS_MAX = 500
#: until a source that is away is tried again (seconds)
BACK_OFF_S = (0.5, 30.0)
CALL_S = 10.0
#: a payload is shown as the last one not more often than this (seconds)
SAMPLE_S = 10.0
ACTOR = "reader"
#: what is no answer yet: the same is sent again
_LATER = frozenset((RejectionCode.UNAVAILABLE, RejectionCode.DEADLINE_EXCEEDED, RejectionCode.RESOURCE_EXHAUSTED))
log_ = log("sources")


class Lost(Exception):
    """It isn't this reader's any more: another has it, or it is paused, changed or gone."""


class Row(NamedTuple):
    """A trigger, as its home lists it."""

    tenant: str
    name: str
    definition: int
    source: str
    config: dict[str, Any]
    paused: bool
    until_us: int


class Readers:
    """`kinds`: source -> who opens it. `run` until cancelled."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        gate: Gate,
        secrets: Secrets,
        kinds: Mapping[str, Kind],
        node: str,
        blobs: Blobs | None = None,
    ) -> None:
        self.blobs = blobs
        self.client, self.settings, self.gate, self.secrets, self.kinds, self.node = client, settings, gate, secrets, kinds, node
        #: (tenant, name) -> its reader here
        self.held: dict[tuple[str, str], Reader] = {}

    async def run(self) -> None:
        try:
            while True:
                try:
                    await self._look()
                except Exception as e:
                    log_.error("triggers can't be looked for", exc_info=e)
                await asyncio.sleep(LOOK_BY_LOG_S if isinstance(self.client, Looking) else LOOK_S)
        finally:
            await asyncio.gather(*(reader.stop() for reader in self.held.values()))

    async def _look(self) -> None:
        found, all_told = await self._listed()
        for key, reader in list(self.held.items()):
            if reader.task.done():
                del self.held[key]
                if not reader.task.cancelled() and (why := reader.task.exception()) is not None:
                    log_.error("a reader has ended", trigger=key[1], tenant=key[0], exc_info=why)
            elif (row := found.get(key)) is None:
                if all_told:
                    reader.leave()
            elif row.paused or row.definition != reader.row.definition:
                reader.leave()
        now_us = time.time_ns() // 1000
        for key, row in found.items():
            if key not in self.held and not row.paused and row.until_us <= now_us and len(self.held) < READERS_MAX:
                self.held[key] = Reader(self, row)

    async def _listed(self) -> tuple[dict[tuple[str, str], Row], bool]:
        """What homes say, and whether all have said it."""
        told = await asyncio.gather(*(self._of(p) for p in range(self.client.partitions)))
        rows = [row for part in told for row in part or ()]
        return {(row.tenant, row.name): row for row in rows}, None not in told

    async def _of(self, partition: int) -> list[Row] | None:
        after: list[str] = []
        rows: list[Row] = []
        while True:
            command = tr.ListTriggers(sources=list(self.kinds), after=after)
            answer = await self.client.call(command, ENGINE, partition=partition, timeout_s=CALL_S)
            if isinstance(answer, Rejected):
                return None
            rows += [Row(**{f: i[f] for f in Row._fields}) for i in answer["items"]]
            if not (after := answer["more"]):
                return rows


class Reader:
    """Of one trigger, while this node has it."""

    def __init__(self, readers: Readers, row: Row) -> None:
        self.of, self.row = readers, row
        self.caller = Caller(ACTOR, row.tenant)
        self.number = 0
        self.error = ""
        self.source: Source | None = None
        self._until = 0.0
        #: as last told: those of before are no harm, since a home takes nothing twice
        self._places: dict[str, int] = {}
        self._sampled = -SAMPLE_S
        self._leave = asyncio.Event()
        self.task = asyncio.create_task(self._run(), name=f"reader of {row.name}")

    def leave(self) -> None:
        """What is in hand is let go."""
        self._leave.set()

    async def stop(self) -> None:
        self.leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CALL_S):
                await asyncio.shield(self.task)
        self.task.cancel()

    async def _run(self) -> None:
        back_off = BACK_OFF_S[0]
        try:
            while not self._leave.is_set():
                places = await self._claim()
                began = time.monotonic()
                try:
                    await self._reading(places)
                except Away as e:
                    self.error = str(e)
                except (Lost, asyncio.CancelledError):
                    raise
                except Exception as e:
                    log_.error("a reader failed", trigger=self.row.name, tenant=self.row.tenant, exc_info=e)
                    self.error = f"the reader failed: {type(e).__name__}"
                if self._leave.is_set():
                    return
                log_.warning("a source is away; it is tried again", trigger=self.row.name, tenant=self.row.tenant, why=self.error)
                back_off = BACK_OFF_S[0] if time.monotonic() - began > BACK_OFF_S[1] else back_off
                await self._rest(back_off)
                back_off = min(2 * back_off, BACK_OFF_S[1])
        except Lost:
            pass
        finally:
            await self._give_back()

    async def _rest(self, seconds: float) -> None:
        """The lease is kept meanwhile."""
        end = time.monotonic() + seconds
        await self._claim()  # tells the error
        while (left := end - time.monotonic()) > 0 and not self._leave.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, RENEW_S)):
                    await self._leave.wait()
            await self._claim()

    async def _claim(self) -> dict[str, int]:
        """For the first time, or again. The places that the home knows. Raises: Lost."""
        command = tr.ClaimTrigger(
            name=self.row.name, node=self.of.node, reader=self.number, ttl_ms=int(LEASE_S * 1000), error=self.error,
            lag=self.source.lag() if self.source is not None else -1,
        )  # fmt: skip
        asked = time.monotonic()
        answer = await self.of.client.call(command, self.caller, timeout_s=CALL_S)
        if isinstance(answer, Rejected):
            if self.number and answer.code in _LATER and time.monotonic() < self._until:
                return self._places
            raise Lost(answer.message)
        self.number, self._until = answer["reader"], asked + LEASE_S
        if answer["definition"] != self.row.definition:
            raise Lost("another version is in force")
        self._places = answer["places"]
        return self._places

    async def _reading(self, places: dict[str, int]) -> None:
        """Until it is to leave. Raises: Away, Lost."""
        of = self.of
        opening = Opening(self.row.tenant, self.row.name, self.row.config, places, of.client, of.settings, of.gate, of.secrets, of.blobs)
        self.source = await of.kinds[self.row.source](opening)
        reading = asyncio.create_task(self._read(self.source))
        leaving = asyncio.create_task(self._leave.wait())
        try:
            while not self._leave.is_set():
                await asyncio.wait({reading, leaving}, timeout=RENEW_S, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    reading.result()
                    raise Away("it has ended")
                if not self._leave.is_set():
                    await self._claim()
        finally:
            for task in (reading, leaving):
                task.cancel()
            await asyncio.wait({reading, leaving})
            source, self.source = self.source, None
            with contextlib.suppress(Away):
                await source.close()

    async def _read(self, source: Source) -> None:
        async for got in source.batches():
            for items in commands(got.items):
                await self._take(got.part, items)
            await source.acknowledge(got)
            self.error = ""

    async def _take(self, part: str, items: list[tr.TriggerItem]) -> None:
        """All of them, however often that has to be said. Raises: Lost."""
        back_off = BACK_OFF_S[0]
        while items:
            command = tr.TakeItems(
                name=self.row.name, items=items, definition=self.row.definition, reader=self.number, part=part, sample=self._sample(items)
            )
            answer = await self.of.client.call(command, self.caller, timeout_s=CALL_S)
            if not isinstance(answer, Rejected):
                items, back_off = items[len(answer["outcomes"]) :], BACK_OFF_S[0]
                continue
            if answer.code in (RejectionCode.STALE, RejectionCode.NOT_FOUND, RejectionCode.INVALID_STATE):
                raise Lost(answer.message)
            if answer.code not in _LATER:
                raise Away(f"what was read is refused: {answer.message}")
            self.error = f"not now: {answer.message}"
            await asyncio.sleep(max(back_off, answer.retry_after_ms / 1000))
            back_off = min(2 * back_off, BACK_OFF_S[1])

    def _sample(self, items: list[tr.TriggerItem]) -> dict[str, Any] | None:
        now = time.monotonic()
        last = next((i for i in reversed(items) if not i.passed), None)
        if last is None or now - self._sampled < SAMPLE_S:
            return None
        self._sampled = now
        return sample(last.context)

    async def _give_back(self) -> None:
        """Nobody has to wait for the end of the lease."""
        if not self.number:
            return
        command = tr.ClaimTrigger(name=self.row.name, node=self.of.node, reader=self.number, ttl_ms=0, error=self.error)
        with contextlib.suppress(Exception):
            await asyncio.shield(self.of.client.call(command, self.caller, timeout_s=CALL_S))


__all__ = ["Away", "Got", "Kind", "Opening", "Readers", "Source"]

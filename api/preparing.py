"""Batches whose items need what no owner knows: a roll-back needs the state that an instance had, folded from its history.

Such a batch stands at its home like any other. A door asks for the next items, looks them up and brings them (`PrepareBatchItems`). Nothing is kept here: where this
door dies, another goes on from where the batch is; what two bring at once is taken once (docs/decisions/0009).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from flowledger.api import history
from flowledger.api.problems import Problem
from flowledger.api.services import Services
from flowledger.events import avro
from flowledger.events import control as co
from flowledger.events.base import Rejected, RejectionCode
from flowledger.events.commands import partition_of_key
from flowledger.kernel import limits
from flowledger.logs import log
from flowledger.processors.client import ENGINE

log_ = log("preparing")

#: between two looks for batches that wait (seconds); one that another door brings on isn't taken over
LOOK_S = 1.0
#: until a door tries again where owners or rows are away
AGAIN_S = 0.5
#: batches at a time
BATCHES_MAX = 16
#: bytes of one command
BYTES_MAX = 1024 * 1024
#: of a refusal, after which the batch is left to the next look
TRIES = 5
_AWAY = frozenset({RejectionCode.UNAVAILABLE, RejectionCode.DEADLINE_EXCEEDED, RejectionCode.RESOURCE_EXHAUSTED})
_RUNS = frozenset({"running", "suspended", "quarantined"})

#: as `PrepareBatchItems` has them
Item = list[Any]
#: with its bytes
Ready = tuple[Item, int]


class Away(Exception):
    """What is needed can't be looked up now."""


class Preparing:
    """Of one door."""

    def __init__(self, services: Services) -> None:
        self.s = services
        self._work: dict[int, asyncio.Task[None]] = {}
        #: batches that were begun here, or stood still for a look
        self._mine: set[int] = set()
        #: batch -> its next item when it was looked at last
        self._seen: dict[int, int] = {}
        self._begun = asyncio.Event()

    def soon(self, batch: int) -> None:
        """It was begun at this door."""
        self._mine.add(batch)
        self._begun.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    await self._look()
                except Exception as why:  # noqa: BLE001 - rows or owners are away, which others tell; it is looked at again
                    log_.debug("batches that wait can't be looked at", why=str(why))
                self._begun.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._begun.wait()
        finally:
            for task in self._work.values():
                task.cancel()

    async def _look(self) -> None:
        waiting = {*await self.s.reads.unprepared(), *self._mine}
        self._work = {batch: task for batch, task in self._work.items() if not task.done()}
        self._seen = {batch: next_ for batch, next_ in self._seen.items() if batch in waiting}
        for batch in sorted(waiting - self._work.keys()):
            if len(self._work) >= BATCHES_MAX:
                return
            if batch in self._mine or await self._stands(batch):
                self._mine.discard(batch)
                self._work[batch] = asyncio.create_task(self._bring(batch), name=f"prepare batch {batch}")

    async def _stands(self, batch: int) -> bool:
        """Nobody has brought it on since the last look, and it could."""
        answer = await self._ask(batch, 0, [])
        if answer is None or answer["status"] != "running":
            return False
        before, self._seen[batch] = self._seen.get(batch), answer["next"]
        return bool(before == answer["next"])

    async def _ask(self, batch: int, at: int, items: list[Item]) -> dict[str, Any] | None:
        """None: it has ended. Raises: Away."""
        answer = await self.s.client.call(
            co.PrepareBatchItems(batch=batch, at=at, items=items), ENGINE, timeout_s=self.s.settings.command_timeout_ms / 1000
        )
        if not isinstance(answer, Rejected):
            return answer
        if answer.code == RejectionCode.NOT_FOUND:
            return None
        if answer.code in _AWAY:
            raise Away(answer.message)
        raise Problem(answer.code, answer.message)

    async def _bring(self, batch: int) -> None:
        """Until nothing of it is to be prepared (any more), or something is away for long: the next look finds it again."""
        at, tries = 0, 0
        ready: dict[int, Ready] = {}
        while tries < TRIES:
            try:
                answer = await self._ask(batch, at, _some(ready, at))
                if answer is None or answer["status"] != "running" or not (answer["items"] or answer["wait_ms"]):
                    return
                at, keys = answer["next"], answer["items"]
                ready = {n: item for n, item in ready.items() if at <= n < at + len(keys)}
                await self._prepare(ready, {n: k for n, k in enumerate(keys, at) if n not in ready}, answer["params"], answer["tenant"])
                tries = 0
                if answer["wait_ms"]:
                    await asyncio.sleep(answer["wait_ms"] / 1000)
            except Away as why:
                tries += 1
                log_.debug("a batch waits", batch=batch, why=str(why))
                await asyncio.sleep(AGAIN_S)
            except Exception:
                log_.exception("a batch can't be prepared", batch=batch)
                return

    async def _prepare(self, ready: dict[int, Ready], wanted: dict[int, int], params: dict[str, Any], tenant: str) -> None:
        """Raises: Away."""
        if not wanted:
            return
        homes = {partition_of_key(k) for k in wanted.values()}
        ends = {p: end for p, end in self.s.ends().items() if p in homes}
        try:
            if ends and not await self.s.reads.wait_for(ends, self.s.settings.fresh_ms / 1000):
                raise Away("the projections are behind")
            for number, key in wanted.items():
                ready[number] = await self._one(key, params, tenant)
        except Problem as p:
            raise Away(p.detail) from None

    async def _one(self, key: int, params: dict[str, Any], tenant: str) -> Ready:
        """Raises: Problem: rows are away."""
        row = await self.s.reads.get("instances", str(key), tenant)
        if row is None or row["status"] not in _RUNS:
            return _refused(key, RejectionCode.NOT_FOUND, f"expected a running instance with key {key}, found none")
        try:
            then = await history.then_of(self.s, key, tenant, params.get("steps") or 0, params.get("to") or "", params.get("undo") or False)
            needs = {
                "image": then.image,
                "position": then.position,
                "outside": then.outside[:OUTSIDE_MAX],
                "seen": then.seen if params.get("undo") else "",
            }
            size = len(avro.encode_json(needs))
        except Problem as p:
            if p.code in _AWAY:
                raise
            return _refused(key, p.code if p.code != "MALFORMED" else RejectionCode.INVALID_ARGUMENT, p.detail)
        except Exception:
            log_.exception("an instance can't be folded", instance=key)
            return _refused(key, RejectionCode.INTERNAL, "a defect of the engine stopped it: the log of the server has more")
        if size > limits.BATCH_PREPARED_BYTES_MAX:
            text = f"its state then has {size} bytes, at most {limits.BATCH_PREPARED_BYTES_MAX} go with a batch: roll it back by itself"
            return _refused(key, RejectionCode.INVALID_ARGUMENT, text)
        return [key, needs], size


#: texts of what was done outside that go with an item
OUTSIDE_MAX = 100


def _refused(key: int, code: str, message: str) -> Ready:
    return [key, None, code, message[:500]], 0


def _some(ready: dict[int, Ready], at: int) -> list[Item]:
    """The next ones without a gap, as many as one command takes."""
    found: list[Item] = []
    size = 0
    while (next_ := ready.get(at + len(found))) is not None and len(found) < limits.BATCH_PREPARE_MAX:
        item, more = next_
        size += more
        if found and size > BYTES_MAX:
            break
        found.append(item)
    return found

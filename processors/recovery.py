"""Reading a partition back: the last whole checkpoint, what counts behind it, and the claim that makes a reader the owner.

Source: `docs/log-protocol.md`, "Fold rules" and "The owner" (take over).
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

from flowledger.events import avro
from flowledger.events import group as rules
from flowledger.events import ledger as le
from flowledger.events.base import Envelope, Recorded
from flowledger.kernel import Partition, evolve
from flowledger.kernel import checkpoint as images
from flowledger.kernel.folds import answers
from flowledger.processors.log import EVENTS, STATE, Conflict, Group, Log


class ChainBroken(Exception):
    """The bytes of a group don't give its chain value: somebody altered the log. Nothing may go on from there."""


async def claim(
    log: Log, partition: int, state: Partition, reader: rules.GroupReader, position: int, owner_id: str, node: str, clock: Callable[[], int]
) -> int:
    """Fold `state` from `position` to the end, claim, and read up to the own claim; answers the offset behind it.

    Raises: LogError, ChainBroken.
    """
    decoder = avro.Decoder()
    while True:
        async for batch in log.read(EVENTS, partition, position):
            for record in batch:
                position = record.offset + 1
                group = reader.feed(record.offset, record.value, record.headers)
                if group is not None:
                    if group.computed != group.chain:
                        raise ChainBroken(f"the chain of partition {partition} breaks at {group.offsets[0]}: run `flowledger audit verify`")
                    for value, offset in zip(group.values, group.offsets, strict=True):
                        event, envelope = decoder.decode(value)
                        evolve(state, event, envelope)
                        if type(event) is le.Answered:
                            answers.placed(state, envelope.tenant, event.id, offset)
            await asyncio.sleep(0)
        if reader.owner == owner_id:
            return position
        claimed = le.PartitionClaimed(epoch=reader.epoch + 1, owner=owner_id, node=node)
        now = max(clock(), state.meta.now_us)
        value = avro.encode([claimed], Envelope(now, "", node, "", "", ""))[0]
        last = rules.claim_headers(rules.chain_of(reader.chain, [value]), position)
        group_ = Group([b"\x00" * 8], [value], rules.headers(claimed.epoch, owner_id, reader.source), last, timestamp_ms=now // 1000)
        try:
            await log.append(EVENTS, partition, group_, expected_end=position if log.compares else None)
        except Conflict:
            await log.reopen(EVENTS, partition)
        # whoever's claim counts stands on the log: read on


async def load(log: Log, partition: int, written: set[bytes] | None = None) -> tuple[Partition, rules.GroupReader, int]:
    """The state of the last whole checkpoint, a reader that goes on from it, and the offset to read from.

    A checkpoint that was cut short (no mark behind it) is passed over, and so is what a fenced owner wrote late (an older epoch). Where
    records were compacted away by either, the mark's count of live keys tells, and everything is folded from the start of the log.
    """
    live: dict[bytes, bytes] = {}
    mark: images.Mark | None = None
    pending: dict[tuple[int, int], list[tuple[bytes, bytes]]] = {}
    newest = (0, 0)
    async for batch in log.read(STATE, partition, await log.begin(STATE, partition)):
        for record in batch:
            tag = (int(record.header("epoch") or b"0"), int(record.header("checkpoint") or b"0"))
            if tag <= newest or record.key is None:
                continue  # it came late, and another checkpoint was made meanwhile
            if record.key != images.MARK:
                pending.setdefault(tag, []).append((record.key, record.value))
                continue
            for key, value in pending.get(tag, ()):
                if value:
                    live[key] = value
                else:
                    live.pop(key, None)
            pending.clear()
            newest, mark = tag, images.decode_state(record.value, images.Mark)
        await asyncio.sleep(0)
    state = Partition(partition, log.partitions)
    if mark is not None and mark.live == len(live):
        images.restore(state, live, mark)
        if written is not None:
            written.clear()
            written.update(live)
            written.update(k for some in pending.values() for k, _ in some)
        state.meta.partitions = log.partitions
        reader = rules.GroupReader(mark.meta.epoch, mark.meta.owner, mark.chain, mark.end)
        reader.source = mark.source
        return state, reader, mark.end
    if written is not None:
        written.clear()
        written.update(live)
        written.update(k for some in pending.values() for k, _ in some)
    return state, rules.GroupReader(), await log.begin(EVENTS, partition)


async def counted(log: Log, partition: int, start: int = 0, *, follow: bool = False, whole: bool = False) -> Any:
    """Batches of counted events from offset `start`: `list[Recorded]`, group-aligned. Starts folding at the last mark before `start`, so that it knows
    whose groups count. `whole`: also the events before `start` of a group that ends behind it."""
    reader, position = rules.GroupReader(), await log.begin(EVENTS, partition)
    if start > position:
        mark: images.Mark | None = None
        async for batch in log.read(STATE, partition, await log.begin(STATE, partition)):
            for record in batch:
                if record.key == images.MARK:
                    found = images.decode_state(record.value, images.Mark)
                    if found.end <= start:
                        mark = found
        if mark is not None and mark.end > position:
            reader, position = rules.GroupReader(mark.meta.epoch, mark.meta.owner, mark.chain, mark.end), mark.end
    decoder = avro.Decoder()
    async for batch in log.read(EVENTS, partition, position, follow=follow):
        out: list[Recorded] = []
        for record in batch:
            group = reader.feed(record.offset, record.value, record.headers)
            if group is not None and group.end > start:
                out += [decoder.recorded(v, partition, o) for v, o in zip(group.values, group.offsets, strict=True) if whole or o >= start]
        if out:
            yield out


def quiet(read: Callable[[str, str], Any]) -> Callable[[str, str], Any]:
    """Reading a model makes many objects that stay: the garbage collector would look at all of them again and again."""

    def read_quietly(name: str, content: str) -> Any:
        was = gc.isenabled()
        gc.disable()
        try:
            return read(name, content)
        finally:
            if was:
                gc.enable()

    return read_quietly

"""Reading a partition back: the last whole checkpoint, what counts behind it, and the claim that makes a reader the owner.

A checkpoint is used only when every digest fits; else, and when it does not fit the log, the partition is folded anew from the log, and
`note` is told. What can't be served at all (a broken chain, records that are gone) is `Unservable`, with what is wrong, where, and what to do.
Source: `docs/log-protocol.md`, "Fold rules" and "The owner" (take over).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from flowledger.events import avro
from flowledger.events import group as rules
from flowledger.events import ledger as le
from flowledger.events.base import Envelope, Recorded
from flowledger.events.chain import VERSION
from flowledger.kernel import Partition, evolve
from flowledger.kernel import checkpoint as images
from flowledger.kernel.folds import answers
from flowledger.kernel.stored import decode_state
from flowledger.logs import log
from flowledger.processors import clock as times
from flowledger.processors.log import EVENTS, STATE, Conflict, Damaged, Group, Log, LogError, LogRecord

log_ = log("recovery")

#: key of the record of a claim
CLAIM_KEY = b"\x00" * 8
RESTORE = "restore the log from a backup (`flowledger restore`), or from a replica that has them"


class Unservable(Exception):
    """The log can't be served. Nothing may go on from there: a person has to look at it."""


class ChainBroken(Unservable):
    """The bytes of a group don't give its chain value, or can't be read: somebody or something altered the log."""


class RecordsMissing(Unservable):
    """Records that are needed are not on the log any more."""


Note = Callable[[str], None]


async def take_over(
    log: Log, partition: int, standing: images.Standing, owner_id: str, node: str, clock: Callable[[], int], note: Note
) -> tuple[Partition, rules.GroupReader, int]:
    """Load, fold what is behind, claim: the state, a reader behind the own claim, and the offset there. Raises: LogError, Unservable."""
    state, reader, position = await load(log, partition, standing, note)
    if position:
        try:
            return state, reader, await claim(log, partition, state, reader, position, owner_id, node, clock)
        except LogError:
            raise
        except Exception as why:  # noqa: BLE001 - whatever a state that is damaged in a way that no digest shows may do
            standing.stale = True
            state, reader, position = await _anew(log, partition, f"the checkpoint at {position} does not go with the log ({why})", note)
    return state, reader, await claim(log, partition, state, reader, position, owner_id, node, clock)


async def claim(
    log: Log, partition: int, state: Partition, reader: rules.GroupReader, position: int, owner_id: str, node: str, clock: Callable[[], int]
) -> int:
    """Fold `state` from `position` to the end, claim, and read up to the own claim; answers the offset behind it.

    Raises: LogError, ChainBroken.
    """
    decoder, clocks = avro.Decoder(), times.clocks_of(clock)
    while True:
        async for batch in log.read(EVENTS, partition, position):
            for record in batch:
                position = record.offset + 1
                group = _feed(reader, partition, record)
                if group is not None:
                    _fold(state, group, partition, decoder)
            await asyncio.sleep(0)
        if reader.owner == owner_id:
            return position
        now, mono_us = times.reading(state.meta, clocks)
        claimed = le.PartitionClaimed(
            epoch=reader.epoch + 1, owner=owner_id, node=node, partition=partition, partitions=log.partitions, chain=VERSION,
            boot=clocks.boot, boot_us=mono_us,
        )  # fmt: skip
        stamp_ms = max(1, now // 1000)
        value = avro.encode([claimed], Envelope(now, actor=node, cause=f"owner:{owner_id}"))[0]
        shared, last = rules.claim_headers(reader.place(), value, CLAIM_KEY, claimed.epoch, owner_id, position, stamp_ms)
        try:
            group_ = Group([CLAIM_KEY], [value], shared, last, timestamp_ms=stamp_ms)
            await log.append(EVENTS, partition, group_, expected_end=position if log.compares else None)
        except Conflict:
            await log.reopen(EVENTS, partition)
        # whoever's claim counts stands on the log: read on


def _feed(reader: rules.GroupReader, partition: int, record: LogRecord) -> rules.Counted | None:
    try:
        group = reader.feed(record)
    except rules.BeginningMissing as e:
        raise RecordsMissing(f"partition {partition}: {e}; {RESTORE}") from e
    except Exception as e:
        raise ChainBroken(f"{partition}-{record.offset} can't be read ({e}): run `flowledger audit verify`; {RESTORE}") from e
    if group is not None and not group.whole:
        raise ChainBroken(
            f"the chain of partition {partition} breaks at {partition}-{group.offsets[0]}: run `flowledger audit verify`; {RESTORE}"
        )
    return group


def _fold(state: Partition, group: rules.Counted, partition: int, decoder: avro.Decoder) -> None:
    at = 0
    try:
        for value in group.values:
            event, envelope = decoder.decode(value)
            evolve(state, event, envelope)
            if type(event) is le.Answered:
                answers.placed(state, envelope.tenant, event.id, group.offsets[at])
            at += 1
    except Exception as e:
        raise ChainBroken(f"the event {partition}-{group.offsets[at]} can't be folded ({e!r}); is this release older than the log?") from e


#: epoch and number of a checkpoint
Tag = tuple[int, int]


class Found(NamedTuple):
    """What was read of the `state` topic."""

    mark: images.Mark | None
    live: dict[bytes, bytes]
    #: key -> digest as it ought to be; also of records without a mark behind them
    digests: dict[bytes, bytes]
    #: why it can't be used; `""`: it can, or there is none
    unfit: str
    #: the same, where it can't come from a checkpoint that was cut short; `""` else
    altered: str


async def load(
    log: Log, partition: int, standing: images.Standing | None = None, note: Note | None = None
) -> tuple[Partition, rules.GroupReader, int]:
    """The state of the last whole checkpoint, a reader that goes on from it, and the offset to read from.

    A checkpoint that was cut short (no mark behind it) is passed over, and so is what a fenced owner wrote late (an older epoch). Where
    records were compacted away by either, the mark's count and digest tell, and everything is folded from the start of the log.
    `standing` is filled with what stands in the topic. Raises: LogError, RecordsMissing.
    """
    try:
        found = await checkpoint_of(log, partition)
    except Damaged as e:
        found = Found(None, {}, {}, str(e), str(e))
    begin, end = await log.begin(EVENTS, partition), await log.end(EVENTS, partition)
    mark, unfit = found.mark, found.unfit
    if mark is not None and not unfit:
        if not mark.digest and not begin:
            unfit = "it is of an older release and has no digest"
        elif mark.end > end:
            raise RecordsMissing(
                f"the checkpoint of partition {partition} stands at {mark.end}, but events end at {end}: {mark.end - end} are gone from the end; {RESTORE}"
            )
        elif mark.end < begin:
            unfit = f"it stands at {mark.end}, but the log begins at {begin}"
        elif mark.end > begin and not await _goes_with(log, partition, mark):
            unfit = f"it does not go with the log: the group before {mark.end} has another chain value"
    if standing is not None:
        standing.found(found.digests, bool(unfit or (found.digests and mark is None)))
    if mark is None or unfit:
        why = f"the checkpoint of partition {partition} can't be used: {unfit}" if unfit else ""
        return await _anew(log, partition, why, note)
    state = Partition(partition, log.partitions)
    try:
        images.restore(state, found.live, mark)
    except Exception as e:  # noqa: BLE001 - digests fit, so it is of another release
        if standing is not None:
            standing.stale = True
        return await _anew(log, partition, f"the checkpoint of partition {partition} can't be read: {e!r}", note)
    state.meta.partitions = log.partitions
    return state, rules.GroupReader(mark.place), mark.end


async def _goes_with(log: Log, partition: int, mark: images.Mark) -> bool:
    """The last record before the mark says the mark's chain value (a claim may be out of date, and a void record says nothing)."""
    async for batch in log.read(EVENTS, partition, mark.end - 1, mark.end):
        for r in batch:
            place, names = mark.place, dict(r.headers)
            if names.get("epoch") == b"%d" % place.epoch and names.get("owner") == place.owner.encode() and "read" not in names:
                return names.get("chain") == place.chain
    return True


async def _anew(log: Log, partition: int, why: str, note: Note | None) -> tuple[Partition, rules.GroupReader, int]:
    begin = await log.begin(EVENTS, partition)
    if begin:
        raise RecordsMissing(
            f"events {partition}-0 to {partition}-{begin - 1} are gone, and {why or f'partition {partition} has no checkpoint that they are in'}; {RESTORE}"
        )
    if why:
        log_.warning("folded anew from the log", partition=partition, why=why)
        if note is not None:
            note(f"{why}; folded anew from the log")
    return Partition(partition, log.partitions), rules.GroupReader(), 0


async def checkpoint_of(log: Log, partition: int) -> Found:
    """The newest checkpoint, checked in itself. Raises: LogError."""
    live: dict[bytes, bytes] = {}
    mark: images.Mark | None = None
    pending: list[tuple[Tag, LogRecord]] = []
    late: dict[bytes, LogRecord] = {}
    newest: Tag = (0, 0)
    altered = unfit = ""
    async for batch in log.read(STATE, partition, await log.begin(STATE, partition)):
        for record in batch:
            if record.key is None:
                continue
            tag, wrong = _tag(record)
            altered = altered or wrong
            if tag <= newest:
                late[record.key] = record  # and another checkpoint was made meanwhile
                continue
            if record.key != images.MARK:
                pending.append((tag, record))
                continue
            newest, mark = tag, None
            if not wrong:
                try:
                    mark = decode_state(record.value, images.Mark)
                except Exception as e:  # noqa: BLE001 - of whatever kind
                    altered = f"its mark at {record.offset} can't be read ({e})"
            for at, r in pending:  # also of checkpoints before, whose marks are compacted away
                if at <= tag and r.key is not None:
                    if r.value:
                        live[r.key] = r.value
                    else:
                        live.pop(r.key, None)
            pending = [x for x in pending if x[0] > tag]
        await asyncio.sleep(0)
    digests = {k: images.digest_of(k, v) for k, v in live.items()}
    if mark is not None:
        unfit = _misfit(mark, images.Standing(digests))
        if unfit and mark.digest and not pending:
            altered = altered or unfit
    more = [r for _, r in pending] + (list(late.values()) if altered or unfit else [])
    left = {r.key: images.digest_of(r.key, r.value) for r in more if r.key is not None and r.key != images.MARK and r.value}
    return Found(mark, live, {**digests, **left}, altered or unfit, altered)


def _tag(record: LogRecord) -> tuple[Tag, str]:
    """Of which checkpoint it is, and what is wrong with it in itself."""
    assert record.key is not None
    digest = record.header(images.DIGEST)
    wrong = (
        f"its record at {record.offset} was altered" if digest is not None and digest != images.digest_of(record.key, record.value) else ""
    )
    try:
        return (int(record.header("epoch") or b"0"), int(record.header("checkpoint") or b"0")), wrong
    except ValueError:
        return (0, 0), f"its record at {record.offset} has a header that can't be read"


def _misfit(mark: images.Mark, found: images.Standing) -> str:
    if mark.live != len(found.digests):
        return f"{len(found.digests)} records stand, its mark says {mark.live}"
    if mark.digest and mark.digest != found.digest():
        return "a record of it was altered: its digest is another"
    return ""


async def counted(log: Log, partition: int, start: int = 0, *, follow: bool = False, whole: bool = False) -> AsyncIterator[list[Recorded]]:
    """Batches of counted events from offset `start`, group-aligned. Starts folding at the last mark before `start`, so that it knows whose
    groups count. `whole`: also the events before `start` of a group that ends behind it.

    Raises: LogError, RecordsMissing (what it would need to know whose groups count is gone), ChainBroken.
    """
    reader, position = rules.GroupReader(), 0
    if start:
        found = await checkpoint_of(log, partition)
        if found.mark is not None:
            at = found.mark.place if found.mark.end <= start else await _midway(log, partition, start, found.mark)
            reader, position = rules.GroupReader(at), at.end
    begin, end = await log.begin(EVENTS, partition), await log.end(EVENTS, partition)
    if position < begin:
        raise RecordsMissing(
            f"events {partition}-{position} to {partition}-{begin - 1} are gone: a reader from {partition}-{start} on needs them; {RESTORE}"
        )
    if position > end:
        raise RecordsMissing(f"partition {partition} was read up to {position}, but ends at {end}: it lost its tail; {RESTORE}")
    decoder = avro.Decoder()
    async for batch in log.read(EVENTS, partition, position, follow=follow):
        out: list[Recorded] = []
        for record in batch:
            group = _feed(reader, partition, record)
            if group is not None and group.end > start:
                out += [decoder.recorded(v, partition, o) for v, o in zip(group.values, group.offsets, strict=True) if whole or o >= start]
        if out:
            yield out


async def _midway(log: Log, partition: int, start: int, mark: images.Mark) -> rules.Place:
    """Where to begin for a reader that is behind the checkpoint: at the start of the log; when that was trimmed, at its oldest record, as
    whoever owned the partition there. Who that was is tried out: only from the right one the chain leads to the checkpoint's."""
    begin = await log.begin(EVENTS, partition)
    if not begin or start < begin or mark.end <= begin:
        return rules.START
    owners: dict[tuple[int, str], None] = {}
    async for batch in log.read(EVENTS, partition, begin, mark.end):
        for r in batch:
            epoch, owner = int(r.headers[0][1]), r.headers[1][1].decode()
            claims = r.value.startswith(rules.CLAIM_HEADS)
            owners[(epoch - 1, "") if claims else (epoch, owner)] = None
    for epoch, owner in owners:
        at = rules.Place(epoch, owner, b"", begin)
        reader = rules.GroupReader(at)
        with contextlib.suppress(rules.BeginningMissing):
            async for batch in log.read(EVENTS, partition, begin, mark.end):
                for r in batch:
                    reader.feed(r)
        if reader.chain == mark.chain:
            return at
    return rules.START


def quiet(read: Callable[[str, str], Any], look: Callable[[Any, str], list[Any]] | None = None) -> Callable[[str, str], Any]:
    """Reading a model makes many objects that stay: the garbage collector would look at all of them again and again. What `look` finds is added."""

    def read_quietly(name: str, content: str) -> Any:
        was = gc.isenabled()
        gc.disable()
        try:
            graph, findings = read(name, content)
            return graph, findings + look(graph, name) if look is not None else findings
        finally:
            if was:
                gc.enable()

    return read_quietly

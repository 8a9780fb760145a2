"""Proves that a log was not altered: reads it, counts groups by the fold rules, and recomputes the hash chain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from flowledger.events.avro import Decoder
from flowledger.events.group import GENESIS, GroupReader
from flowledger.processors.log import EVENTS, Log, LogRecord

#: records between two calls of `progress`
STRIDE = 20_000


class PartitionReport(msgspec.Struct):
    """`broken` is the position of the first group whose bytes don't give its chain value (`""`: none), `why` says what is wrong.

    `anchored`: the chain was checked from the very first group; else from the first group in the range, whose own value was taken as given.
    """

    partition: int
    first: int
    end: int
    groups: int = 0
    events: int = 0
    void: int = 0
    claims: int = 0
    epoch: int = 0
    unfinished: int = 0
    anchored: bool = True
    chain: str = ""
    broken: str = ""
    why: str = ""


async def verify(
    log: Log,
    begin: dict[int, int] | None = None,
    end: dict[int, int] | None = None,
    progress: Callable[[int, int, int], Any] | None = None,
) -> list[PartitionReport]:
    """Each partition (or those named) from `begin` up to, not including, `end`. `progress(partition, done, total)` in records."""
    named = set(begin or ()) | set(end or ())
    return [
        await verify_partition(log, p, (begin or {}).get(p), (end or {}).get(p), progress)
        for p in range(log.partitions)
        if not named or p in named
    ]


async def verify_partition(
    log: Log, partition: int, begin: int | None = None, end: int | None = None, progress: Callable[[int, int, int], Any] | None = None
) -> PartitionReport:
    oldest, newest = await log.begin(EVENTS, partition), await log.end(EVENTS, partition)
    first = max(oldest, begin or 0)
    last = newest if end is None else min(end, newest)
    report = PartitionReport(partition=partition, first=first, end=last, anchored=first == 0)
    reader = GroupReader() if first == 0 else None
    anchor = first == 0
    decoder, done = Decoder(), 0
    skipping = first != 0
    async for batch in log.read(EVENTS, partition, first, last) if first < last else _nothing():
        for record in batch:
            done += 1
            try:
                if skipping:
                    # the range may begin inside of a group: its end is the first place to start from
                    ends = len(record.headers) == 5 and record.headers[3][0] == "last"  # a claim's chain may be out of date
                    if not ends:
                        report.unfinished += 1
                        continue
                    skipping = False
                    reader = GroupReader(int(record.headers[0][1]), record.headers[1][1].decode(), record.headers[4][1], record.offset + 1)
                    report.groups += 1
                    report.events += 1
                    report.unfinished = 0
                    report.chain = record.headers[4][1].hex()
                    continue
                assert reader is not None
                group = reader.feed(record.offset, record.value, record.headers)
                if group is None:
                    continue
                if group.computed != group.chain:
                    return _broken(report, f"{partition}-{group.offsets[0]}", "its bytes don't give its chain value", reader)
                for offset, value in zip(group.offsets, group.values, strict=True):
                    event, _ = decoder.decode(value)
                    report.claims += type(event).__name__ == "PartitionClaimed"
                    del event, offset
            except Exception as e:  # noqa: BLE001 - whatever can't be read is a break
                return _broken(report, f"{partition}-{record.offset}", f"it can't be read: {type(e).__name__}: {e}", reader)
            report.groups += 1
            report.events += len(group.values)
            report.chain = group.chain.hex()
        if progress is not None and done % STRIDE < len(batch):
            progress(partition, done, last - first)
    if reader is not None:
        report.void, report.epoch = reader.void, reader.epoch
    if anchor and not report.groups:
        report.chain = GENESIS.hex()
    return report


def _broken(report: PartitionReport, position: str, why: str, reader: GroupReader | None) -> PartitionReport:
    report.broken, report.why = position, why
    if reader is not None:
        report.void, report.epoch = reader.void, reader.epoch
    return report


async def _nothing() -> AsyncIterator[list[LogRecord]]:
    for batch in list[list[LogRecord]]():
        yield batch

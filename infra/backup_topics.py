"""A backup of Kafka's topics: one file of JSON lines a partition, written out, read again, and written to topics that are not there yet."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from flowledger.processors.log import TOPICS, Group, Log, LogRecord, group

#: records that are written as one group
PART = 1_000

Entry = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]


async def export(log: Log, topic: str, partition: int, folder: Path) -> dict[str, int]:
    folder.mkdir(exist_ok=True)
    begin, end, count = await log.begin(topic, partition), await log.end(topic, partition), 0
    with (folder / f"{topic}-{partition}.jsonl").open("w") as file:
        async for batch in log.read(topic, partition, begin, end) if begin < end else _nothing():
            for r in batch:
                headers = [[name, _text(value)] for name, value in r.headers]
                file.write(
                    json.dumps([r.offset, r.timestamp_us // 1000, _text(r.key), headers, _text(r.value)], separators=(",", ":")) + "\n"
                )
                count += 1
    return {"begin": begin, "end": end, "records": count}


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


async def _nothing() -> AsyncIterator[list[LogRecord]]:
    for batch in list[list[LogRecord]]():
        yield batch


class Exported:
    """The reading half of a log, over what `export` wrote."""

    def __init__(self, folder: Path, parts: dict[str, dict[str, int]], partitions: int) -> None:
        self._folder, self._parts, self.partitions = folder, parts, partitions

    async def begin(self, topic: str, partition: int) -> int:
        return self._parts[f"{topic}-{partition}"]["begin"]

    async def end(self, topic: str, partition: int) -> int:
        return self._parts[f"{topic}-{partition}"]["end"]

    async def read(self, topic: str, partition: int, start: int, stop: int | None = None) -> AsyncIterator[list[LogRecord]]:
        held: list[LogRecord] = []
        with (self._folder / f"{topic}-{partition}.jsonl").open() as file:
            for line in file:
                offset, ms, key, headers, value = json.loads(line)
                if offset < start:
                    continue
                if stop is not None and offset >= stop:
                    break
                named = tuple((name, _bytes(text) or b"") for name, text in headers)
                held.append(LogRecord(offset, _bytes(key), _bytes(value) or b"", named, ms * 1000))
                if len(held) >= PART:
                    yield held
                    held = []
        if held:
            yield held


async def write(
    log: Log, topic: str, partition: int, source: Exported, begin: int, stays: Callable[[str, int, LogRecord], bool] = lambda *_: True
) -> None:
    """Offsets are what they were: what had been trimmed (before `begin`) is filled and trimmed again. Of a topic that isn't compacted
    nothing is written from the first record on that does not stay."""
    compacted = TOPICS[topic].compacted
    if not compacted:
        for first in range(0, begin, PART):
            count = min(PART, begin - first)
            await log.append(topic, partition, Group([b""] * count, [b""] * count))
    held: list[Entry] = []
    stamp_us = 0
    async for record in _those_that_stay(source, topic, partition, stays):
        if held and (record.timestamp_us != stamp_us or len(held) >= PART):
            await log.append(topic, partition, group(held, stamp_us // 1000))
            held = []
        value = None if compacted and not record.value else record.value
        held.append((record.key, value, list(record.headers)))
        stamp_us = record.timestamp_us
    if held:
        await log.append(topic, partition, group(held, stamp_us // 1000))
    if not compacted and begin:
        await log.trim(topic, partition, begin)


async def _those_that_stay(
    source: Exported, topic: str, partition: int, stays: Callable[[str, int, LogRecord], bool]
) -> AsyncIterator[LogRecord]:
    async for batch in source.read(topic, partition, 0):
        for record in batch:
            if stays(topic, partition, record):
                yield record
            elif not TOPICS[topic].compacted:
                return

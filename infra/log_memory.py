"""The log in memory, for tests and simulations: one `MemoryStore` is the broker, each `MemoryLog` one process that talks to it.

It can behave like SQLite (`compares=True`) or like Kafka (`compares=False`: written in any case, groups split at `batch_records`),
lose groups and acknowledgements (`fault`), crash (`crash`), and wait for the test between any two steps (`manual=True`, `step`).
Nothing here reads a clock unless a group comes without a timestamp.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

from flowledger.processors.log import (
    RECORD_BYTES_MAX,
    TOPICS,
    Appended,
    Change,
    Conflict,
    Doubt,
    Group,
    LogClosed,
    LogError,
    LogRecord,
    OutOfRange,
    TopicsMissing,
    check_group,
    partitions_of,
    share_out,
)

#: What `fault` may answer: not written and no answer; written but no answer; no answer and written later (`MemoryStore.release`).
LOST, UNACKNOWLEDGED, LATE = "lost", "unacknowledged", "late"
Fault = Callable[[str, int, Group], str]
Key = tuple[str, int]


class _Stream:
    """Records of one partition, oldest first; of a compacted topic the newest of each key only."""

    __slots__ = ("_records", "_written", "begin", "changed", "compacted", "end", "latest")

    def __init__(self, compacted: bool) -> None:
        self.begin = self.end = 0
        self.compacted = compacted
        self._records: list[LogRecord] = []
        #: groups that nobody has read yet: (offset of the first record, group, from which to which of its records, when)
        self._written: list[tuple[int, Group, int, int, int]] = []
        self.latest: dict[bytes, LogRecord] = {}
        self.changed: asyncio.Future[None] | None = None

    def write(self, group: Group, start: int, stop: int) -> int:
        """Records `start` to `stop` of a group; returns the offset of the first."""
        first, stamp_us = self.end, (group.timestamp_ms or time.time_ns() // 1_000_000) * 1000
        if self.compacted:
            for record in _records(first, group, start, stop, stamp_us):
                assert record.key is not None
                self.latest.pop(record.key, None)
                if group.values[start + record.offset - first] is not None:
                    self.latest[record.key] = record
        else:
            self._written.append((first, group, start, stop, stamp_us))
        self.end += stop - start
        if self.changed is not None and not self.changed.done():
            self.changed.set_result(None)
        self.changed = None
        return first

    @property
    def records(self) -> list[LogRecord]:
        if self._written:
            written, self._written = self._written, []
            for each in written:
                self._records += _records(*each)
        return self._records

    def slice(self, start: int, stop: int) -> list[LogRecord]:
        if self.compacted:
            return [r for r in self.latest.values() if start <= r.offset < stop]
        return self.records[max(0, start - self.begin) : max(0, stop - self.begin)]

    async def wait(self) -> None:
        if self.changed is None:
            self.changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self.changed)


def _records(first: int, group: Group, start: int, stop: int, stamp_us: int) -> list[LogRecord]:
    return [LogRecord(first + i - start, group.keys[i], group.values[i] or b"", group.headers_of(i), stamp_us) for i in range(start, stop)]


class MemoryStore:
    """What outlives the processes: streams, late groups, and the table of members."""

    def __init__(self, partitions: int = 1) -> None:
        self.partitions = partitions
        self.streams: dict[Key, _Stream] = {}
        self.late: list[tuple[_Stream, Group]] = []
        self.holders: dict[str, frozenset[int]] = {}
        self.members: dict[str, MemoryOwnership] = {}
        self.joined = 0
        self.create()

    def create(self) -> None:
        for topic, kept in TOPICS.items():
            for partition in range(partitions_of(topic, self.partitions)):
                self.streams.setdefault((topic, partition), _Stream(kept.compacted))

    def stream(self, topic: str, partition: int) -> _Stream:
        try:
            return self.streams[topic, partition]
        except KeyError:
            raise TopicsMissing(f"no {topic}[{partition}]") from None

    def release(self) -> None:
        """Groups that a fault held back reach the log now."""
        late, self.late = self.late, []
        for stream, group in late:
            stream.write(group, 0, len(group))


class _Pending:
    __slots__ = ("done", "expected_end", "first", "future", "group", "key")

    def __init__(self, key: Key, group: Group, expected_end: int | None, future: asyncio.Future[Appended]) -> None:
        self.key, self.group, self.expected_end, self.future = key, group, expected_end, future
        self.done, self.first = 0, -1

    def fail(self, error: LogError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class MemoryLog:
    def __init__(
        self,
        store: MemoryStore | None = None,
        *,
        compares: bool = True,
        batch_records: int | None = None,
        fault: Fault | None = None,
        manual: bool = False,
        record_bytes_max: int = RECORD_BYTES_MAX,
    ) -> None:
        self.store = store if store is not None else MemoryStore()
        self.compares = compares
        self.fault = fault
        self.manual = manual
        self._batch_records = batch_records
        self.record_bytes_max = record_bytes_max
        self._queues: dict[Key, deque[_Pending]] = {}
        self._blocked: dict[Key, LogError] = {}
        self._running = False
        self._closed = False

    @property
    def partitions(self) -> int:
        return self.store.partitions

    async def open(self) -> None:
        self._closed = False

    async def close(self) -> None:
        while self.step():
            pass
        self._closed = True

    def crash(self) -> None:
        """The process is gone: what is queued is never written, what was half written stays so, no future is answered."""
        self._queues.clear()
        self._closed = True

    async def create_topics(self, partitions: int) -> None:
        self.store.partitions = max(self.store.partitions, partitions)
        self.store.create()

    async def check_topics(self) -> list[str]:
        return []

    def submit(self, topic: str, partition: int, group: Group, *, expected_end: int | None = None) -> asyncio.Future[Appended]:
        if self._closed:
            raise LogClosed("the log was closed")
        check_group(topic, partition, group, self.record_bytes_max)
        key = (topic, partition)
        if expected_end is not None and (why := self._blocked.get(key)) is not None:
            raise why
        loop = asyncio.get_running_loop()
        pending = _Pending(key, group, expected_end, loop.create_future())
        self._queues.setdefault(key, deque()).append(pending)
        if not self.manual and not self._running:
            self._running = True
            loop.call_soon(self._run)
        return pending.future

    async def append(self, topic: str, partition: int, group: Group, *, expected_end: int | None = None) -> Appended:
        return await self.submit(topic, partition, group, expected_end=expected_end)

    def step(self, topic: str | None = None, partition: int = 0) -> bool:
        """Write one piece of the oldest group queued (of one partition). False: there was none."""
        keys = [(topic, partition)] if topic else list(self._queues)
        for key in keys:
            if queue := self._queues.get(key):
                self._step(key, queue)
                return True
        return False

    def _run(self) -> None:
        self._running = False
        for key, queue in list(self._queues.items()):
            if queue:
                self._step(key, queue)
        if any(self._queues.values()):
            self._running = True
            asyncio.get_running_loop().call_soon(self._run)

    def _step(self, key: Key, queue: deque[_Pending]) -> None:
        pending, group = queue[0], queue[0].group
        try:
            stream = self.store.stream(*key)
        except TopicsMissing as missing:
            queue.popleft().fail(missing)
            return
        expected = pending.expected_end
        if expected is not None and (why := self._blocked.get(key)) is not None:
            queue.popleft().fail(why)
            return
        if not pending.done:
            if self.fault is not None and (fault := self.fault(*key, group)):
                self._trouble(key, queue, stream, fault)
                return
            if self.compares and expected is not None and expected != stream.end:
                conflict = Conflict(*key, expected, stream.end)
                self._blocked[key] = conflict
                queue.popleft().fail(conflict)
                return
        stop = len(group)
        if self._batch_records and not self.compares:
            stop = min(stop, pending.done + self._batch_records)
        first = stream.write(group, pending.done, stop)
        if not pending.done:
            pending.first = first
        pending.done = stop
        if stop == len(group):
            queue.popleft()
            if not pending.future.done():
                pending.future.set_result(Appended(pending.first, stream.end, stop))

    def _trouble(self, key: Key, queue: deque[_Pending], stream: _Stream, fault: str) -> None:
        group = queue[0].group
        if fault == UNACKNOWLEDGED:
            stream.write(group, 0, len(group))
        elif fault == LATE:
            self.store.late.append((stream, group))
        doubt = Doubt(f"{key[0]}[{key[1]}]: no answer ({fault})")
        if any(p.expected_end is not None for p in queue):
            self._blocked[key] = doubt
        while queue:
            queue.popleft().fail(doubt)

    async def reopen(self, topic: str, partition: int) -> None:
        self._blocked.pop((topic, partition), None)

    async def read(
        self, topic: str, partition: int, start: int, stop: int | None = None, *, follow: bool = False, records_max: int = 2000
    ) -> AsyncIterator[list[LogRecord]]:
        stream = self.store.stream(topic, partition)
        if start > stream.end or (start < stream.begin and not stream.compacted):
            raise OutOfRange(topic, partition, start, stream.end, stream.begin)
        last = stop if stop is not None else (None if follow else stream.end)
        while last is None or start < last:
            end = min(stream.end, start + records_max, last if last is not None else stream.end)
            if start > stream.end or (start < stream.begin and not stream.compacted):
                raise OutOfRange(topic, partition, start, stream.end, stream.begin)
            if records := stream.slice(start, end):
                yield records
            start = max(start, end)
            if start >= stream.end:
                if not follow:
                    return
                if last is None or start < last:
                    await stream.wait()
                if self._closed:
                    return

    def nudge(self) -> None:
        """There is no other process."""

    async def begin(self, topic: str, partition: int) -> int:
        stream = self.store.stream(topic, partition)
        if stream.compacted:
            return min((r.offset for r in stream.latest.values()), default=stream.end)
        return stream.begin

    async def end(self, topic: str, partition: int) -> int:
        return self.store.stream(topic, partition).end

    async def load(self, topic: str, partition: int) -> dict[bytes, bytes]:
        return {key: record.value for key, record in self.store.stream(topic, partition).latest.items()}

    async def trim(self, topic: str, partition: int, before: int) -> None:
        stream = self.store.stream(topic, partition)
        if not stream.compacted and before > stream.begin:
            before = min(before, stream.end)
            del stream.records[: before - stream.begin]
            stream.begin = before

    def ownership(self, member: str = "") -> MemoryOwnership:
        self.store.joined += 1
        return MemoryOwnership(self.store, f"{member or 'member'}-{self.store.joined}")


class MemoryOwnership:
    """A member of the store's group. Partitions move when their holder asks for its next change."""

    def __init__(self, store: MemoryStore, member: str) -> None:
        self._store, self.member = store, member
        self.held: frozenset[int] = frozenset()
        self._wake = asyncio.Event()
        self._first = True

    async def __aenter__(self) -> MemoryOwnership:
        self._store.members[self.member] = self
        self._store.holders[self.member] = frozenset()
        self._notify()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._store.members.pop(self.member, None)
        self._store.holders.pop(self.member, None)
        self.held = frozenset()
        self._wake.set()
        self._notify()

    def _notify(self) -> None:
        for member in self._store.members.values():
            member._wake.set()

    def __aiter__(self) -> AsyncIterator[Change]:
        return self._changes()

    async def _changes(self) -> AsyncIterator[Change]:
        store = self._store
        while self.member in store.members:
            self._wake.clear()
            if store.holders[self.member] != self.held:  # the consumer came back: what was revoked is given up
                store.holders[self.member] = self.held
                self._notify()
            elsewhere = frozenset().union(*(h for m, h in store.holders.items() if m != self.member))
            target = share_out(store.holders, store.partitions)[self.member]
            kept = self.held & target
            now = kept | (target - elsewhere)
            if now != self.held or self._first:
                change = Change(now - self.held, self.held - now, now)
                self._first = False
                # What is revoked stays in the table, so that nobody takes it before the consumer has stepped down.
                store.holders[self.member] = now | change.revoked
                self.held = now
                yield change
                continue
            await self._wake.wait()

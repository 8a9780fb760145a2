"""Writing to Kafka, by aiokafka: idempotent producers, `acks=all`, no transactions (see `docs`: the log protocol).

What was looked up in aiokafka 0.14 and is relied on (held by `tests/log/`):

* one batch of a partition is in flight at a time and a retried one goes back to the head of its queue, so order holds;
* an idempotent producer never gives up on a batch. The time-out is therefore ours (`timeout_s`), its outcome is `Doubt`, and the
  producer is thrown away with all that it still wants to send. Each partition of `events` has a producer of its own, so that a doubt
  there touches no other partition;
* `create_batch().append()` answers None when the batch is full: `_fill` is the one place that calls it;
* `send_batch` waits while another batch of the partition is queued, so groups submitted meanwhile share the next batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from flowledger.processors.log import EVENTS, RECORD_OVERHEAD_BYTES, Appended, Doubt, Group, LogError, TopicsMissing, check_group

Key = tuple[str, int]

#: the longest that closing waits for what is under way, and for one client (seconds)
CLOSE_S = 10.0
ABANDON_S = 2.0


class _Pending:
    """A group on its way: `taken` records are in a batch, `acked` acknowledged."""

    __slots__ = ("acked", "checked", "first", "future", "group", "size", "taken")

    def __init__(self, group: Group, size: int, checked: bool, future: asyncio.Future[Appended]) -> None:
        self.group, self.size, self.checked, self.future = group, size, checked, future
        self.taken = self.acked = 0
        self.first = -1


class _Writer:
    """The queue of one partition. `flying`: batches handed to aiokafka, each with the pieces of groups that it holds."""

    __slots__ = ("flying", "key", "lane", "queue", "task")

    def __init__(self, key: Key, lane: _Lane) -> None:
        self.key, self.lane = key, lane
        self.queue: deque[_Pending] = deque()
        self.flying: deque[list[tuple[_Pending, int, int]]] = deque()
        self.task: asyncio.Task[None] | None = None


class _Lane:
    """A producer and the writers that share it: they share its doubts too."""

    __slots__ = ("producer", "starting", "writers")

    def __init__(self) -> None:
        self.producer: AIOKafkaProducer | None = None
        self.starting = asyncio.Lock()
        self.writers: dict[Key, _Writer] = {}


class KafkaWriting:
    """The producers of one log. `name` gives a topic's name in the cluster, `settings` are those of every client; sizes in bytes."""

    def __init__(
        self,
        name: Callable[[str], str],
        settings: Mapping[str, Any],
        *,
        compression: str | None,
        batch_bytes_max: int,
        record_bytes_max: int,
        timeout_s: float,
    ) -> None:
        self._name, self._settings, self._compression = name, settings, compression
        self._batch_bytes_max, self._record_bytes_max, self._timeout_s = batch_bytes_max, record_bytes_max, timeout_s
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[Key | None, _Lane] = {}
        self._writers: dict[Key, _Writer] = {}
        self._blocked: dict[Key, Doubt] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """What is under way has some seconds to end."""
        open_futures = [p.future for w in self._writers.values() for p in self._all(w)]
        if open_futures:
            await asyncio.wait(open_futures, timeout=CLOSE_S)
        for lane in list(self._lanes.values()):
            self._retire(lane, "the log was closed")
        if self._background:
            await asyncio.wait(self._background, timeout=CLOSE_S)

    def submit(self, topic: str, partition: int, group: Group, *, expected_end: int | None = None) -> asyncio.Future[Appended]:
        check_group(topic, partition, group, self._record_bytes_max)
        key = (topic, partition)
        if expected_end is not None and (why := self._blocked.get(key)) is not None:
            raise why
        writer = self._writers.get(key)
        if writer is None:
            lane = self._lanes.setdefault(key if topic == EVENTS else None, _Lane())
            writer = self._writers[key] = lane.writers[key] = _Writer(key, lane)
        future: asyncio.Future[Appended] = self._loop.create_future()
        writer.queue.append(_Pending(group, _size(group), expected_end is not None, future))
        if writer.task is None:
            writer.task = self._loop.create_task(self._pump(writer))
        return future

    async def reopen(self, topic: str, partition: int) -> None:
        key = (topic, partition)
        self._blocked.pop(key, None)
        if topic == EVENTS:
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._producer(self._lanes.setdefault(key, _Lane()))
            except (KafkaError, TimeoutError, OSError) as error:
                self._blocked[key] = Doubt(f"{topic}[{partition}]: Kafka can't be reached: {error!r}")
                raise self._blocked[key] from error

    async def _producer(self, lane: _Lane) -> AIOKafkaProducer:
        async with lane.starting:
            if lane.producer is None:
                producer = AIOKafkaProducer(
                    acks="all", enable_idempotence=True, linger_ms=0, compression_type=self._compression,
                    max_batch_size=self._batch_bytes_max, request_timeout_ms=int(self._timeout_s * 1000), **self._settings,
                )  # fmt: skip
                try:
                    await producer.start()
                except BaseException:
                    self.spawn(_abandon(producer))
                    raise
                lane.producer = producer
            return lane.producer

    async def _pump(self, writer: _Writer) -> None:
        """Make batches of what is queued, and hand each to aiokafka as soon as it takes one."""
        topic, partition = self._name(writer.key[0]), writer.key[1]
        try:
            async with asyncio.timeout(self._timeout_s):
                producer = await self._producer(writer.lane)
            async with asyncio.timeout(self._timeout_s):
                known = await producer.partitions_for(topic)
            if partition not in known:
                raise TopicsMissing(f"no partition {partition} in {topic}")
            await asyncio.sleep(0)  # what follows in the loop's next turn (jobs handed out, then starts) goes with it: one request less
            while writer.queue and writer.task is asyncio.current_task():  # else retired meanwhile: another one writes what has come since
                batch, pieces = self._fill(producer, writer.queue)
                writer.flying.append(pieces)
                overdue = self._loop.call_later(self._timeout_s, self._overdue, writer, pieces)
                try:
                    acknowledged = await producer.send_batch(batch, topic, partition=partition)
                except BaseException:
                    overdue.cancel()
                    raise
                acknowledged.add_done_callback(lambda future, p=pieces, o=overdue: self._acknowledge(writer, p, o, future))
        except TopicsMissing as missing:
            self._fail(writer, missing)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must be told
            if writer.task is asyncio.current_task():  # else the lane was retired meanwhile
                self._retire(writer.lane, repr(error))
        finally:
            if writer.task is asyncio.current_task():
                writer.task = None

    def _fill(self, producer: AIOKafkaProducer, queue: deque[_Pending]) -> tuple[Any, list[tuple[_Pending, int, int]]]:
        """One batch of what is queued, and what is in it: `(group, records, position in the batch)`.

        A group goes into one batch if it can: it is not begun in the rest of a batch that it doesn't fit in.
        """
        batch = producer.create_batch()
        append = batch.append
        pieces: list[tuple[_Pending, int, int]] = []
        size = count = 0
        while queue:
            pending = queue[0]
            if count and size + pending.size > self._batch_bytes_max:
                break
            group, start = pending.group, pending.taken
            stamp = group.timestamp_ms or time.time_ns() // 1_000_000
            keys, values, headers, each, n = group.keys, group.values, list(group.headers), group.each, len(group.values)
            last = n if not group.last_headers else n - 1
            i = start
            while i < n:
                own = headers if each is None and i != last else list(group.headers_of(i))
                if append(timestamp=stamp, key=keys[i], value=values[i], headers=own) is None:
                    break
                i += 1
            if i > start:
                pieces.append((pending, i - start, count))
                pending.taken = i
                count += i - start
                size += pending.size
            if i < n:
                break
            queue.popleft()
        assert count, "a batch takes at least one record, whatever its size"
        return batch, pieces

    def _acknowledge(
        self, writer: _Writer, pieces: list[tuple[_Pending, int, int]], overdue: asyncio.TimerHandle, future: asyncio.Future[Any]
    ) -> None:
        overdue.cancel()
        if not writer.flying or writer.flying[0] is not pieces:
            if not future.cancelled():
                future.exception()  # retired meanwhile: everybody has been told
            return
        error = "cancelled" if future.cancelled() else future.exception()
        base = future.result().offset if error is None else -1
        if base < 0:
            # -1 without an error: the broker has it already but no longer knows where.
            self._retire(writer.lane, repr(error) if error else "written, but at an offset unknown")
            return
        writer.flying.popleft()
        for pending, count, position in pieces:
            if pending.first < 0:
                pending.first = base + position
            pending.acked += count
            if pending.acked == len(pending.group) and not pending.future.done():
                pending.future.set_result(Appended(pending.first, base + position + count, pending.acked))

    def _overdue(self, writer: _Writer, pieces: list[tuple[_Pending, int, int]]) -> None:
        if any(p is pieces for p in writer.flying):
            self._retire(writer.lane, f"no answer within {self._timeout_s} s")

    def _all(self, writer: _Writer) -> list[_Pending]:
        return list(dict.fromkeys([p for pieces in writer.flying for p, _, _ in pieces] + list(writer.queue)))

    def _fail(self, writer: _Writer, error: LogError) -> None:
        """Everything of this partition that is not acknowledged gets `error`."""
        pending = self._all(writer)
        writer.flying.clear()
        writer.queue.clear()
        writer.task = None
        if isinstance(error, Doubt) and any(p.checked for p in pending):
            self._blocked[writer.key] = error
        for p in pending:
            if not p.future.done():
                p.future.set_exception(error)

    def _retire(self, lane: _Lane, why: str) -> None:
        """Throw the producer away; all that it had in flight is in doubt."""
        producer, lane.producer = lane.producer, None
        for writer in lane.writers.values():
            self._fail(writer, Doubt(f"{writer.key[0]}[{writer.key[1]}]: {why}"))
        if producer is not None:
            self.spawn(_abandon(producer))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Closing waits for it, for a while."""
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


def _size(group: Group) -> int:
    """Bytes that a group takes in a batch, a little more rather than less."""
    size = sum(map(len, filter(None, group.values))) + sum(map(len, filter(None, group.keys)))
    size += len(group) * (RECORD_OVERHEAD_BYTES + sum(len(k) + len(v) + 4 for k, v in group.headers))
    size += sum(len(k) + len(v) + 4 for k, v in group.last_headers)
    if group.each is not None:
        size += sum(len(k) + len(v) + 4 for headers in group.each for k, v in headers)
    return size


async def _abandon(producer: AIOKafkaProducer) -> None:
    """Close without flushing: `stop` would wait for what can't be sent. Its connections go first, then nothing leaves any more."""
    with contextlib.suppress(Exception):
        sender = producer._sender
        idle = not producer._message_accumulator._batches and not producer._message_accumulator._pending_batches
        if idle or sender is None:
            async with asyncio.timeout(ABANDON_S):
                await producer.stop()
            return
        producer._closed = True
        if sender.sender_task is not None:
            sender.sender_task.cancel()
        async with asyncio.timeout(ABANDON_S):
            await producer.client.close()
        if sender.sender_task is not None:
            await asyncio.wait([sender.sender_task], timeout=ABANDON_S)

"""The log port: ordered records, one sequence for each partition of each topic, offsets start at 0.

Adapters: `flowledger.infra.log_memory`, `.log_sqlite` (embedded, durable) and `.log_kafka`. All pass `tests/log/`.

The offset check on acknowledgement
-----------------------------------
A writer that must be alone (the owner on `events`) passes `expected_end`: the end that it knows of, plus what it has in flight.
Whether it was alone is said in one of two ways, and a writer handles both:

* the adapters that can compare and append (memory, SQLite) write nothing and raise `Conflict`, also for all checked groups submitted
  behind it: those were decided on the group that was not written, and the offset of one of them might fit by chance;
* Kafka can't compare: the records are written, and `Appended.first != expected_end` says that somebody else wrote in between.
  The fold rules (claims and epochs) then decide whether they count.

`Log.compares` tells which of the two an adapter does. `Doubt` is the third outcome: nobody knows whether it was written. Only reading
the log can tell. After a conflict or a doubt a writer with `expected_end` can't go on before `reopen`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

Header = tuple[str, bytes]
Headers = tuple[Header, ...]

COMMANDS, EVENTS, STATE, DEFINITIONS, TASKS, DEAD_LETTER, REPLIES = (
    "commands", "events", "state", "definitions", "tasks", "dead-letter", "replies",
)  # fmt: skip


class Topic(NamedTuple):
    """How a topic is kept. `compacted`: only the newest record of a key. `single`: one partition, whatever the cluster has."""

    compacted: bool = False
    single: bool = False


TOPICS: Mapping[str, Topic] = {
    COMMANDS: Topic(),
    EVENTS: Topic(),
    STATE: Topic(compacted=True),
    DEFINITIONS: Topic(compacted=True, single=True),
    TASKS: Topic(),
    DEAD_LETTER: Topic(),
    REPLIES: Topic(),
}

#: Largest record (key + value + headers) in bytes that a log takes by default.
RECORD_BYTES_MAX = 16 * 1024 * 1024
#: Bytes of one Kafka batch by default: a group larger than that spans several, in order.
BATCH_BYTES_MAX = 1024 * 1024
#: What one record costs beyond its key, value and headers (bytes; varints, attributes).
RECORD_OVERHEAD_BYTES = 32


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    """A record as it was read. `timestamp_us` is exact to the millisecond only (Kafka keeps no more)."""

    offset: int
    key: bytes | None
    #: Empty for a deletion mark in a compacted topic.
    value: bytes
    headers: Headers
    timestamp_us: int

    def header(self, name: str) -> bytes | None:
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Group(msgspec.Struct, frozen=True, gc=False):
    """Records to be written one after the other, with nothing in between.

    Headers: `headers` go on each record, `each[i]` (if given) on record i after them, `last_headers` on the last one after those.
    The shared ones are given once because a header list per record is what costs most in Python.
    """

    keys: Sequence[bytes | None]
    #: None deletes the key in a compacted topic.
    values: Sequence[bytes | None]
    headers: Headers = ()
    last_headers: Headers = ()
    each: Sequence[Headers] | None = None
    #: Wall clock in milliseconds since the epoch; 0: stamped when it is written.
    timestamp_ms: int = 0

    def __len__(self) -> int:
        return len(self.values)

    def headers_of(self, index: int) -> Headers:
        own = self.headers if self.each is None else self.headers + tuple(self.each[index])
        return own + self.last_headers if self.last_headers and index == len(self.values) - 1 else own


def group(entries: Iterable[tuple[bytes | None, bytes | None, Iterable[Header]]], timestamp_ms: int = 0) -> Group:
    """A group of plain `(key, value, headers)` tuples, for callers that needn't be fast."""
    keys, values, each = [], [], []
    for key, value, headers in entries:
        keys.append(key)
        values.append(value)
        each.append(tuple(headers))
    return Group(keys, values, each=each if any(each) else None, timestamp_ms=timestamp_ms)


class Appended(NamedTuple):
    """Offsets of what was written: `first` up to, not including, `end`.

    `written` is what the writer wrote; with foreign records in between (Kafka, group over several batches) `end - first > written`.
    """

    first: int
    end: int
    written: int

    def alone(self, expected_end: int) -> bool:
        """Nobody else wrote: the offset check on acknowledgement."""
        return self.first == expected_end and self.end == expected_end + self.written


class Change(NamedTuple):
    """What the partition assignment of this member became."""

    assigned: frozenset[int]
    revoked: frozenset[int]
    held: frozenset[int]


class LogError(Exception):
    """Base of what a log raises."""


class Conflict(LogError):
    """Somebody else wrote; nothing of this group was written."""

    def __init__(self, topic: str, partition: int, expected: int, found: int) -> None:
        super().__init__(f"{topic}[{partition}]: expected to append at {expected}, but the log ends at {found}")
        self.expected, self.found = expected, found


class Doubt(LogError):
    """The outcome is unknown: the records may be on the log, now or later. Read it, after `reopen`."""


class RecordTooLarge(LogError):
    """One record is larger than the log takes; nothing of its group was written."""

    def __init__(self, topic: str, size: int, limit: int) -> None:
        super().__init__(f"{topic}: a record of {size} bytes; at most {limit} are taken")
        self.size, self.limit = size, limit


class LogClosed(LogError):
    """The log was closed."""


class TopicsMissing(LogError):
    """The log has no such topic or partition; `create_topics` makes them."""


class Damaged(LogError):
    """What is stored is not what an adapter writes: the disk, or somebody, changed it."""


class OutOfRange(LogError):
    """A reader wants records that are not there: behind the end (it has read another log, or this one lost its tail), before the beginning
    (they were trimmed), or in a gap. Nothing is ever passed over in silence."""

    def __init__(self, topic: str, partition: int, start: int, end: int, begin: int = 0) -> None:
        if start > end:
            why = f"asked to read from {start}, but the log ends at {end}: it lost its tail, or it is another log"
        else:
            why = f"records {start} to {begin - 1} are missing: the next one that is there is {begin}"
        super().__init__(f"{topic}[{partition}]: {why}")
        self.start, self.end, self.begin = start, end, begin


class Ownership(Protocol):
    """Membership in the group that shares out the partitions. Correctness never hangs on it (the claims do that), only who works.

        async with log.ownership() as members:
            async for change in members: ...

    A revoked partition counts as given up when the next change is asked for, so step down first.
    """

    held: frozenset[int]

    async def __aenter__(self) -> Ownership: ...

    async def __aexit__(self, *exc: object) -> None:
        """Leave the group: others take over at once."""

    def __aiter__(self) -> AsyncIterator[Change]: ...


class Log(Protocol):
    """One client of the log, bound to one event loop. Topics are named without prefix (`TOPICS`)."""

    #: True: `expected_end` is a real compare-and-append. False: compare `Appended.first` yourself.
    compares: bool
    #: Largest record in bytes that it takes (`record_bytes`).
    record_bytes_max: int

    @property
    def partitions(self) -> int:
        """Partitions of the cluster, known after `open`."""
        ...

    async def open(self) -> None:
        """Connect. Raises: LogError when the log can't be reached."""

    async def close(self) -> None:
        """What is in flight is finished first, for some seconds; then it is in doubt."""

    async def create_topics(self, partitions: int) -> None:
        """Make the topics that are missing. Existing ones keep their partition count; `partitions` is then what they have."""

    async def check_topics(self) -> list[str]:
        """What is wrong with the topics, one sentence each; empty when all is well."""

    def submit(self, topic: str, partition: int, group: Group, *, expected_end: int | None = None) -> asyncio.Future[Appended]:
        """Queue a group and return at once. Groups of one partition are written and acknowledged in the order of their submission.

        Raises (at once): RecordTooLarge, LogClosed; and with `expected_end` Conflict or Doubt when an earlier checked group had one and
        `reopen` was not called since.
        The future raises: Conflict, Doubt, TopicsMissing.
        """

    async def append(self, topic: str, partition: int, group: Group, *, expected_end: int | None = None) -> Appended:
        """`submit` and wait."""

    async def reopen(self, topic: str, partition: int) -> None:
        """After a conflict or doubt: writing with `expected_end` is allowed again. What was in doubt may still turn up on the log."""

    def read(
        self, topic: str, partition: int, start: int, stop: int | None = None, *, follow: bool = False
    ) -> AsyncIterator[list[LogRecord]]:
        """Batches of records from offset `start` up to, not including, `stop`; of a compacted topic those that are kept.

        Without `stop`: up to the end at the moment of the call, or with `follow` for ever, waiting for more.
        Offsets grow; only those of a compacted topic have holes. Raises: OutOfRange (at once, or later when the log is cut meanwhile).
        """

    def nudge(self) -> None:
        """Another process is known to have written: who follows needn't rest till the next look."""

    async def begin(self, topic: str, partition: int) -> int:
        """Offset of the oldest record kept; equals `end` when there is none."""

    async def end(self, topic: str, partition: int) -> int:
        """Offset that the next record gets."""

    async def load(self, topic: str, partition: int) -> dict[bytes, bytes]:
        """The newest value of each key of a compacted topic, deleted keys left out, in the order of their offsets."""

    async def trim(self, topic: str, partition: int, before: int) -> None:
        """Records below `before` may be dropped (whole stored pieces only)."""

    def ownership(self, member: str = "") -> Ownership:
        """Join the group that shares out the partitions of `commands`. `member` names it in logs."""


def record_bytes(group: Group) -> int:
    """An upper bound in bytes of the largest record of a group, headers and overhead included."""
    shared = sum(len(k) + len(v) + 4 for k, v in group.headers + group.last_headers)
    largest = max(map(len, filter(None, group.values)), default=0) + max(map(len, filter(None, group.keys)), default=0)
    if group.each is not None:
        shared += max((sum(len(k) + len(v) + 4 for k, v in h) for h in group.each), default=0)
    return largest + shared + RECORD_OVERHEAD_BYTES


def check_group(topic: str, partition: int, group: Group, limit: int) -> None:
    """What every adapter refuses before it queues anything. Raises: RecordTooLarge, ValueError."""
    if (kept := TOPICS.get(topic)) is None:
        raise ValueError(f"no topic {topic!r}; there are {', '.join(TOPICS)}")
    if not len(group) or len(group.keys) != len(group.values) or (group.each is not None and len(group.each) != len(group.values)):
        raise ValueError(f"a group of {len(group.keys)} keys and {len(group.values)} values")
    if kept.compacted and None in group.keys:
        raise ValueError(f"{topic} is compacted: each record needs a key")
    if kept.compacted and b"" in group.values:
        raise ValueError(f"{topic} is compacted: an empty value would read as a deletion; None deletes")
    if not kept.compacted and None in group.values:
        raise ValueError(f"{topic} is not compacted: each record needs a value")
    if kept.single and partition:
        raise ValueError(f"{topic} has one partition, not {partition}")
    if (size := record_bytes(group)) > limit:
        raise RecordTooLarge(topic, size, limit)


def partitions_of(topic: str, partitions: int) -> int:
    return 1 if TOPICS[topic].single else partitions


def share_out(holders: Mapping[str, frozenset[int]], partitions: int) -> dict[str, frozenset[int]]:
    """Who should hold what, moving as little as possible: nobody holds two more than another, and only surplus moves.

    Pure and deterministic, so that every member computes the same from the same table.
    """
    if not holders:
        return {}
    floor, extra = divmod(partitions, len(holders))
    order = sorted(holders, key=lambda m: (-len(holders[m]), m))
    quota = {member: floor + (rank < extra) for rank, member in enumerate(order)}
    kept = {member: sorted(p for p in holders[member] if p < partitions)[: quota[member]] for member in order}
    taken = {p for ps in kept.values() for p in ps}
    free = iter([p for p in range(partitions) if p not in taken])
    for member in order:
        while len(kept[member]) < quota[member]:
            kept[member].append(next(free))
    return {member: frozenset(ps) for member, ps in kept.items()}

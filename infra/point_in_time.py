"""Where a log has to be cut so that all of its partitions are what they were at one moment, and nobody speaks of what another lacks.

Each partition is cut behind its last group of that moment. Partitions have no clock in common, so one of them may then have taken a send that its sender
has not sent yet, or hold one for confirmed that its receiver has not taken: cuts go back, a group at a time, until for each two of them
confirmed <= taken <= sent. Cuts only ever go back, and behind the first claims nothing was sent, so this ends, with the latest cuts that fit.
What is sent and not taken then is sent again by its owner, as after a crash. Source: `docs/log-protocol.md`, "A cut".
"""

from __future__ import annotations

import itertools
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from flowledger.events import definition as de
from flowledger.events import ledger as le
from flowledger.events.avro import Decoder
from flowledger.events.group import Counted, GroupReader
from flowledger.events.wire import WIRE
from flowledger.processors.log import COMMANDS, DEFINITIONS, EVENTS, STATE, Log, LogRecord

SENT, CONFIRMED, TAKEN = "sent", "confirmed", "taken"
#: schema numbers of the events that it has to understand; versions differ in what they carry beside
_READ = {WIRE[cls][0] for cls in (le.Outbound, le.OutboundConfirmed, le.Inbound, de.DefinitionCreated, de.DefinitionUpdated)}


class NoSuchMoment(Exception):
    """The log can't be brought to that moment; why."""


class Cut(msgspec.Struct, frozen=True):
    """`end`: the first position that is gone; `time_us`: of the last group that stays; `by_time`: where the time alone would have cut."""

    partition: int
    end: int
    time_us: int
    by_time: int
    #: the last record of `commands` that it consumed
    source: int
    #: groups that stay, and the chain value behind them
    number: int
    chain: str


class Plan(msgspec.Struct, frozen=True):
    """What stays of a log. `models`: keys that were not deployed yet. No checkpoint stays: the first owner folds from the log, which is proven."""

    until_us: int
    cuts: list[Cut]
    models: set[bytes]

    def stays(self, topic: str, partition: int, record: LogRecord) -> bool:
        if topic == EVENTS:
            return record.offset < self.cuts[partition].end
        if topic == COMMANDS:
            return record.offset <= self.cuts[partition].source
        if topic == STATE:
            return False
        if topic == DEFINITIONS:
            return record.key not in self.models
        return record.timestamp_us <= self.until_us


class Numbers:
    """How one partition's numbers went up to the moment. `cut`: behind its first claim at the least, which says only whose it was."""

    def __init__(self, partition: int) -> None:
        self.partition, self.cut = partition, 0
        #: (what, peer) -> ends of what stands before a group that changed it, and what it was behind that group
        self._course: dict[tuple[str, int], tuple[array[int], array[int]]] = {}

    def note(self, before: int, what: str, peer: int, value: int) -> None:
        befores, values = self._course.setdefault((what, peer), (array("q"), array("q")))
        if value <= (values[-1] if values else 0):
            return
        if befores and befores[-1] == before:
            values[-1] = value
        else:
            befores.append(before)
            values.append(value)

    def at(self, what: str, peer: int) -> int:
        """What it is at the cut."""
        if (course := self._course.get((what, peer))) is None:
            return 0
        known = bisect_left(course[0], self.cut)
        return course[1][known - 1] if known else 0

    def back(self, what: str, peer: int, limit: int) -> bool:
        """Cut no later than where it is at most `limit`; whether that moved the cut."""
        if self.at(what, peer) <= limit:
            return False
        befores, values = self._course[what, peer]
        self.cut = befores[bisect_right(values, limit)]
        return True


def settle(courses: Sequence[Numbers]) -> None:
    """Moves the cuts back until confirmed <= taken <= sent for each two."""
    moved = True
    while moved:
        moved = False
        for sender, receiver in itertools.permutations(courses, 2):
            moved |= receiver.back(TAKEN, sender.partition, sender.at(SENT, receiver.partition))
            moved |= sender.back(CONFIRMED, receiver.partition, receiver.at(TAKEN, sender.partition))


async def plan(log: Log, until_us: int) -> Plan:
    """What stays of `log` (only read) when it is brought to that moment.

    Raises: NoSuchMoment, LogError, and of what it can't read: ValueError.
    """
    courses: list[Numbers] = []
    models: list[tuple[int, str]] = []
    first: list[int] = []
    for p in range(log.partitions):
        course, begins_us, found = await _course(log, p, until_us)
        courses.append(course)
        models += found
        first.append(begins_us)
    if until_us < min(first, default=0):
        raise NoSuchMoment(f"the log begins at {told(min(first))}, after {told(until_us)}")
    by_time = [c.cut for c in courses]
    settle(courses)
    cuts = [await _cut(log, c, by_time[c.partition]) for c in courses]
    known = {name for offset, name in models if offset < cuts[0].end}
    return Plan(until_us, cuts, {name.encode() for _, name in models if name not in known})


async def _course(log: Log, p: int, until_us: int) -> tuple[Numbers, int, list[tuple[int, str]]]:
    """Its numbers up to the moment, when it begins, and the models that it speaks of at all (position, hash)."""
    if begin := await log.begin(EVENTS, p):
        raise NoSuchMoment(f"the records before {p}-{begin} are gone: what was cut there could not be proven")
    course, models = Numbers(p), list[tuple[int, str]]()
    before = begins_us = 0
    over = False
    async for group, stamp_us in _groups(log, p, await log.end(EVENTS, p)):
        if not group.whole:
            raise NoSuchMoment(f"the chain of partition {p} breaks at {p}-{group.offsets[0]}: run `flowledger audit verify`")
        begins_us = begins_us or stamp_us
        over = over or (before > 0 and stamp_us > until_us)
        if over and p:
            break  # models are told on partition 0 alone
        for offset, value in zip(group.offsets, group.values, strict=True):
            _note(course, before, offset, value, over, models)
        before = group.end
        course.cut = course.cut if over else before
    return course, begins_us, models


_decoder = Decoder()


def _note(course: Numbers, before: int, offset: int, value: bytes, over: bool, models: list[tuple[int, str]]) -> None:
    if int.from_bytes(value[1:5], "big") >> 8 not in _READ:
        return
    event, _ = _decoder.decode(value)
    if isinstance(event, (de.DefinitionCreated, de.DefinitionUpdated)):
        if event.content:
            models.append((offset, event.hash))
    elif over:
        return
    elif isinstance(event, le.Outbound):
        course.note(before, SENT, event.to, event.seq)
    elif isinstance(event, le.OutboundConfirmed):
        course.note(before, CONFIRMED, event.to, event.seq)
    elif isinstance(event, le.Inbound):
        course.note(before, TAKEN, event.sender, event.seq)


async def _groups(log: Log, p: int, end: int) -> AsyncIterator[tuple[Counted, int]]:
    """What counts before `end`, with the time of each."""
    reader = GroupReader()
    if end:
        async for batch in log.read(EVENTS, p, 0, end):
            for record in batch:
                if (group := reader.feed(record)) is not None:
                    yield group, record.timestamp_us


async def _cut(log: Log, course: Numbers, by_time: int) -> Cut:
    found = Cut(course.partition, course.cut, 0, by_time, -1, 0, "")
    async for group, stamp_us in _groups(log, course.partition, course.cut):
        found = Cut(course.partition, course.cut, stamp_us, by_time, group.source, group.number, group.chain.hex())
    return found


def told(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sentences(cuts: Iterable[Cut]) -> list[str]:
    """One for each partition, for people."""
    return [
        f"partition {c.partition} ends before {c.partition}-{c.end}, at {told(c.time_us)}"
        + (
            f" ({c.by_time - c.end} records earlier than by its time alone: others had not sent or taken what they say)"
            if c.end < c.by_time
            else ""
        )
        for c in cuts
    ]

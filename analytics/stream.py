"""A stream processor's fold of one partition of `events`: records in, entries of its table out. Pure; `flowledger/streaming.py` is the shell on Faust.

What is kept has to be right after a crash at any point, where a processor that delivers at least once reads records again. An entry carries the offset behind
the last group that is in it (the guard), and entries of a group are written in one order to one place: figures, then traces, then the mark. So
what is left of a group is a beginning of that order; a group that is read again adds to what lacks it and to nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from flowledger.analytics import fold as af
from flowledger.analytics.figures import MINUTE_US, Figures, Numbers, Series, plus
from flowledger.analytics.trace import Trace
from flowledger.events import workflow as wf
from flowledger.events.avro import Decoder
from flowledger.events.base import Event
from flowledger.events.group import START, Counted, GroupReader, Place, Stored

#: time of the log for which a minute is kept in the table after it was told
KEEP_US = 60 * MINUTE_US
#: key, value; None: it goes
Write = tuple[bytes, bytes | None]
#: a series and the start of its minute
Minute = tuple[Series, int]
_encode, _decode = msgspec.json.encode, msgspec.json.decode


class Lost(ValueError):
    """The records that come are not those that follow what is kept, or were altered. The message says which."""


class PartitionStream:
    """`kept`: the entries of the table, also those of other partitions."""

    def __init__(self, partition: int, kept: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.partition, self._head = partition, b"%d/" % partition
        self._place, self._next = START, -1
        self.minutes: dict[Minute, Numbers] = {}
        #: minute -> the offset behind the group that changed it last, of those that nobody was told of
        self.untold: dict[Minute, int] = {}
        self._traces: dict[int, Trace] = {}
        #: traces that the table has
        self._stored: set[int] = set()
        self._of_task: dict[int, int] = {}
        self._decoder, self._swept = Decoder(), 0
        guards: dict[Minute | int, int] = {}
        for key, value in kept:
            if key.startswith(self._head):
                self._load(key[len(self._head) :], value, guards)
        #: entries that a group is in whose mark was not written any more
        self._ahead = {name: guard for name, guard in guards.items() if guard > self._place.end}
        self._reader = GroupReader(self._place)

    def _load(self, key: bytes, value: bytes, guards: dict[Minute | int, int]) -> None:
        kind, _, name = key.partition(b"/")
        found = _decode(value)
        if kind == b"mark":
            epoch, owner, chain, end, source, number, version = found
            self._place = Place(epoch, owner, bytes.fromhex(chain), end, source, number, version)
            return
        guard, rest = found[0], found[1:]
        if kind == b"minute":
            *series, at = _decode(name)
            minute = (Series(*series), at)
            self.minutes[minute], self.untold[minute], guards[minute] = rest, guard, guard
            return
        tenant, row = rest
        trace = self._traces[int(name)] = Trace.load(int(name), tenant, row)
        guards[trace.key] = guard
        self._stored.add(trace.key)
        self._of_task |= dict.fromkeys(trace.work, trace.key)

    @property
    def end(self) -> int:
        """Behind the last group that is counted."""
        return self._place.end

    def take(self, record: Stored) -> list[Write] | None:
        """What is to be written, in this order and before the record counts as read; None: a group isn't whole yet, so it may not count as read.
        Raises: Lost."""
        offset = record.offset
        if offset < self._next or self._next < 0:  # from the last that counted as read
            self._reader, self._next = GroupReader(self._place), min(offset, self.end)
        if offset != self._next:
            raise Lost(f"partition {self.partition}: expected the record at {self._next}, found {offset}: what lies between was not read")
        self._next = offset + 1
        if offset < self.end:
            return []
        group = self._reader.feed(record)
        if group is None:
            return None
        if not group.whole:
            raise Lost(f"the chain of partition {self.partition} breaks at {group.offsets[0]}: run `flowledger audit verify`")
        return self._count(group)

    def told(self, minutes: dict[Minute, int]) -> None:
        """Of these somebody was told, with the groups up to there."""
        for minute, end in minutes.items():
            if self.untold.get(minute) == end:
                del self.untold[minute]

    # --- a group

    def _count(self, group: Counted) -> list[Write]:
        figures, touched, us = Figures(), dict[int, None](), 0
        for value, offset in zip(group.values, group.offsets, strict=True):
            r = self._decoder.recorded(value, self.partition, offset)
            us = r.envelope.time_us
            self._event(r.event, r.envelope.tenant, us, group.end, figures, touched)
        out: list[Write] = []
        for minute, numbers in figures.rolled("minute").items():
            if self._behind(minute, group.end):
                known = self.minutes.get(minute)
                self.minutes[minute] = numbers if known is None else plus(known, numbers)
                self.untold[minute] = group.end
                out.append((self._minute_key(minute), _encode([group.end, *self.minutes[minute]])))
        for key in touched:
            name, t = self._head + b"trace/%d" % key, self._traces[key]
            if not t.outcome:
                self._stored.add(key)
                out.append((name, _encode([group.end, t.tenant, t.dump()])))
                continue
            del self._traces[key]
            if key in self._stored:
                self._stored.remove(key)
                out.append((name, None))
        self._place = p = self._reader.place()
        out.append((self._head + b"mark/", _encode([p.epoch, p.owner, p.chain.hex(), p.end, p.source, p.number, p.version])))
        if self._ahead:
            self._ahead = {name: guard for name, guard in self._ahead.items() if guard > p.end}
        return out + self._old(us)

    def _behind(self, name: Minute | int, end: int) -> bool:
        return self._ahead.get(name, 0) < end

    def _event(self, e: Event, tenant: str, us: int, end: int, figures: Figures, touched: dict[int, None]) -> None:
        if type(e) in af.OF_TASKS:
            tasks: list[int] = e.tasks  # type: ignore[attr-defined]
            for task in tasks:
                key = self._of_task.get(task)
                if (
                    key is not None
                    and key in self._traces
                    and self._behind(key, end)
                    and af.apply_task(self._traces[key], task, e, us, figures)
                ):
                    touched[key] = None
            return
        key = e.key
        if not self._behind(key, end):
            return
        if type(e) is wf.WorkflowStarted:
            self._traces[key] = af.started(e, tenant, us, figures)
            touched[key] = None
        elif (t := self._traces.get(key)) is not None:
            before = [*t.work]
            if af.apply(t, e, us, figures):
                touched[key] = None
                self._index(t, before)

    def _index(self, t: Trace, before: list[int]) -> None:
        """Which instance a task is of, while there is work in it."""
        work: Any = () if t.outcome else t.work
        for task in before:
            if task not in work:
                self._of_task.pop(task, None)
        for task in work:
            self._of_task[task] = t.key

    # --- what is old

    def _old(self, us: int) -> list[Write]:
        """Minutes that nothing is added to any more (the time of a partition never goes back), once they were told."""
        if us - self._swept < MINUTE_US:
            return []
        self._swept = us
        gone = [m for m in self.minutes if m[1] < us - KEEP_US and m not in self.untold]
        for minute in gone:
            del self.minutes[minute]
        return [(self._minute_key(minute), None) for minute in gone]

    def _minute_key(self, minute: Minute) -> bytes:
        return self._head + b"minute/" + _encode([*minute[0], minute[1]])

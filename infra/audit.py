"""Reads a log by itself, beside a running server, and says what is proven of it: whether each group's bytes give its chain value, whether anything
is missing (a gap, the beginning, the end, a partition), up to where a signature holds it and by which key, and whether checkpoints, models and
heads kept elsewhere go with it. What each of these proves and what not: `docs/audit.md`.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from flowledger.events import avro
from flowledger.events import definition as de
from flowledger.events import ledger as le
from flowledger.events.group import GENESIS, BeginningMissing, Counted, GroupReader, Place
from flowledger.events.heads import Head, head_of, key_id, key_message
from flowledger.events.wire import SCHEMA_IDS
from flowledger.infra.signing import Known, check
from flowledger.processors.log import DEFINITIONS, EVENTS, Log, LogError, LogRecord, OutOfRange
from flowledger.processors.recovery import checkpoint_of

#: records between two calls of `progress`
STRIDE = 20_000
#: groups remembered while a head that covers them is waited for
REMEMBERED_MAX = 1_000_000
#: events whose content the audit itself has to understand; of all others it checks the shape alone
_READ = {SCHEMA_IDS[cls] for cls in (le.HeadSigned, le.KeyIntroduced, de.DefinitionCreated, de.DefinitionUpdated)}
_CLAIMED = {257, SCHEMA_IDS[le.PartitionClaimed]}


class Finding(msgspec.Struct):
    """Something that is wrong. `position`: where (`partition-offset`), or `""`."""

    code: str
    position: str
    text: str


class PartitionReport(msgspec.Struct):
    """What was found in one partition.

    `anchored`: checked from the very first group; else from the first group of the range, whose own chain value was taken as given.
    `number`: groups that counted up to the end. `signed_to`: offset up to which a valid signature of `signer` holds the log (-1: none).
    `older`: events whose keys, headers and times are not under the hash, since the chain of that time covered values only.
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
    number: int = 0
    older: int = 0
    heads: int = 0
    signed_to: int = -1
    signed_number: int = 0
    signer: str = ""
    trusted: bool = False
    findings: list[Finding] = []

    @property
    def broken(self) -> str:
        """Position of the first finding; `""`: there is none."""
        return (self.findings[0].position or f"{self.partition}-{self.end}") if self.findings else ""

    @property
    def why(self) -> str:
        return self.findings[0].text if self.findings else ""

    def add(self, code: str, offset: int, text: str) -> None:
        self.findings.append(Finding(code, f"{self.partition}-{offset}", text))


class Wanted(msgspec.Struct, frozen=True):
    """What the log has to agree with.

    `keys`: public keys that the person who asks trusts; empty: those that the log names. `heads`: kept outside of the log (anchors, `--expect`).
    `signed`: each partition must have a head by a trusted key.
    """

    keys: Sequence[Known] = ()
    heads: Sequence[Head] = ()
    signed: bool = False


async def verify(
    log: Log,
    begin: dict[int, int] | None = None,
    end: dict[int, int] | None = None,
    progress: Callable[[int, int, int], Any] | None = None,
    wanted: Wanted | None = None,
    known: dict[int, int] | None = None,
) -> list[PartitionReport]:
    """Each partition (or those named) from `begin` up to, not including, `end`. `progress(partition, done, total)` in records.

    `known`: where a partition of the whole log begins, for whoever knows that it was trimmed.
    """
    named = set(begin or ()) | set(end or ())
    wanted = wanted or Wanted()
    there = named or {*range(log.partitions), *(h.partition for h in wanted.heads)}
    reports, said, contents = [], 0, {}
    for p in sorted(there):
        auditor = _Auditor(log, p, wanted)
        try:
            await auditor.read((begin or known or {}).get(p), (end or {}).get(p), progress)
        except LogError as e:
            auditor.report.add("PARTITION_MISSING", 0, f"it can't be read: {e}")
        reports.append(auditor.report)
        said = max(said, auditor.partitions)
        contents.update(auditor.contents)
    if not named:
        await _all_of_it(log, reports, said)
        await _models(log, reports, contents)
    return reports


async def verify_partition(
    log: Log, partition: int, begin: int | None = None, end: int | None = None, progress: Callable[[int, int, int], Any] | None = None
) -> PartitionReport:
    auditor = _Auditor(log, partition, Wanted())
    await auditor.read(begin, end, progress)
    return auditor.report


async def _all_of_it(log: Log, reports: list[PartitionReport], said: int) -> None:
    """Whole partitions that are gone: claims say how many there are, and all of them are claimed when one is."""
    for missing in sorted(set(range(said)) - {r.partition for r in reports}):
        gone = Finding("PARTITION_MISSING", "", f"claims speak of {said} partitions: partition {missing} is not there")
        reports.append(PartitionReport(missing, 0, 0, findings=[gone]))
    if any(r.groups for r in reports):
        for r in reports:
            if not r.groups and r.first == r.end == 0 and not any(f.code == "PARTITION_MISSING" for f in r.findings):
                r.add("PARTITION_MISSING", 0, f"partition {r.partition} is empty, although others have been owned")


async def _models(log: Log, reports: list[PartitionReport], contents: dict[str, bytes]) -> None:
    """The models of the `definitions` topic are those that the events hold."""
    try:
        kept = await log.load(DEFINITIONS, 0)
    except LogError as e:
        reports[0].add("MODELS_UNREADABLE", 0, f"the models can't be read: {e}")
        return
    for key, text in kept.items():
        name = key.decode(errors="replace")
        if name in contents and contents[name] != hashlib.sha256(text).digest():
            reports[0].add("MODEL_ALTERED", 0, f"the model {name[:16]} in `definitions` is not the one that was deployed")
    if not any(r.findings or not r.anchored for r in reports):
        for name in contents.keys() - {k.decode(errors="replace") for k in kept}:
            reports[0].add("MODEL_MISSING", 0, f"the model {name[:16]} that was deployed is not in `definitions`")


class _Auditor:
    """One partition."""

    def __init__(self, log: Log, partition: int, wanted: Wanted) -> None:
        self.log, self.partition, self.wanted = log, partition, wanted
        self.report = PartitionReport(partition, 0, 0)
        #: how many partitions claims speak of
        self.partitions = 0
        #: hash of a model -> SHA-256 of its text
        self.contents: dict[str, bytes] = {}
        self._reader: GroupReader | None = None
        self._keys = {k.id: bytes.fromhex(k.public) for k in wanted.keys}
        self._trusted = set(self._keys)
        self._remembered: dict[int, tuple[int, bytes]] = {}
        self._expected = sorted((h for h in wanted.heads if h.partition == partition), key=lambda h: h.end)
        self._by_end: dict[int, list[Head]] = {}
        for head in self._expected:
            self._by_end.setdefault(head.end, []).append(head)
        self._met: list[tuple[Head, int]] = []
        self._decoder = avro.Decoder()
        self._mark: Place | None = None
        self._next = 0
        self._first_void = -1
        #: where the group ends whose chain value is taken as given: heads before it can't be judged
        self._given = 0

    async def read(self, begin: int | None, end: int | None, progress: Callable[[int, int, int], Any] | None) -> None:
        log, p, r = self.log, self.partition, self.report
        oldest, newest = await log.begin(EVENTS, p), await log.end(EVENTS, p)
        r.first = first = max(oldest, begin or 0)
        r.end = last = newest if end is None else min(end, newest)
        r.anchored = first == 0
        if oldest > (begin or 0):
            r.add("BEGINNING_MISSING", oldest, f"the beginning is missing: records {p}-{begin or 0} to {p}-{oldest - 1} are gone")
        await self._read_mark(newest)
        self._reader = GroupReader() if first == 0 else None
        self._given = 0 if first == 0 else newest
        whole = end is None
        try:
            whole &= await self._records(first, last, progress)
        except OutOfRange as e:
            r.add("RECORDS_MISSING", e.start, f"records are missing: {e}")
            whole = False
        except LogError as e:
            r.add("UNREADABLE", self._next, f"the log can't be read on from here: {e}")
            whole = False
        self._close(newest, whole)

    async def _records(self, first: int, last: int, progress: Callable[[int, int, int], Any] | None) -> bool:
        """False: it stopped, for a reason that is among the findings."""
        self._next, done = first, 0
        async for batch in self.log.read(EVENTS, self.partition, first, last) if first < last else _nothing():
            for record in batch:
                done += 1
                if record.offset != self._next:
                    raise OutOfRange(EVENTS, self.partition, self._next, last, record.offset)
                if not self._take(record):
                    return False
                self._next = record.offset + 1
            if progress is not None and done % STRIDE < len(batch):
                progress(self.partition, done, last - first)
        if self._next < last:
            raise OutOfRange(EVENTS, self.partition, self._next, last, last)
        return True

    async def _read_mark(self, newest: int) -> None:
        p, r = self.partition, self.report
        try:
            found = await checkpoint_of(self.log, p)
        except LogError as e:
            r.add("STATE_UNREADABLE", newest, f"the checkpoint can't be read: {e}")
            return
        if found.altered:
            r.add("STATE_ALTERED", newest, f"the checkpoint is not what was written: {found.altered}. A server folds it anew from the log")
        elif found.mark is not None and not found.unfit:
            self._mark = found.mark.place

    def _take(self, record: LogRecord) -> bool:
        """False: nothing behind this record can be judged."""
        r = self.report
        try:
            if self._reader is None:
                return self._begin_inside(record)
            group = self._reader.feed(record)
        except BeginningMissing as e:
            r.add("BEGINNING_MISSING", record.offset, str(e))
            return False
        except Exception as e:  # noqa: BLE001 - whatever can't be read is a break
            r.add("UNREADABLE", record.offset, f"it can't be read: {type(e).__name__}: {e}")
            return False
        if group is None:
            if self._reader.void and self._first_void < 0:
                self._first_void = record.offset
            return True
        if not group.whole:
            r.add("CHAIN_BROKEN", group.offsets[0], "the bytes of this group, or of what stands before it, don't give its chain value")
            return False
        return self._count(group)

    def _begin_inside(self, record: LogRecord) -> bool:
        """The range may begin inside of a group: the end of one is the first place to start from. A claim is none: its chain may be out of date."""
        h, r = record.headers, self.report
        names = [name for name, _ in h]
        if names[3:5] != ["last", "chain"] or "read" in names:
            r.unfinished += 1
            return True
        number = int(h[5][1]) if names[5:6] == ["number"] else 0
        self._reader = GroupReader(
            Place(int(h[0][1]), h[1][1].decode(), h[4][1], record.offset + 1, int(h[2][1]), number, 2 if number else 1)
        )
        r.groups, r.events, r.unfinished, r.chain, r.number = 1, 1, 0, h[4][1].hex(), number
        self._given = record.offset + 1
        self._expected_at(self._given, record.offset)
        return True

    def _count(self, group: Counted) -> bool:
        r = self.report
        r.groups += 1
        r.events += len(group.values)
        r.older += len(group.values) if group.version == 1 else 0
        r.chain, r.number = group.chain.hex(), group.number
        self._remembered[group.number] = (group.end, group.chain)
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.pop(next(iter(self._remembered)))
        for offset, value in zip(group.offsets, group.values, strict=True):
            try:
                self._look(offset, value)
            except Exception as e:  # noqa: BLE001 - of whatever kind: it is said with its place
                r.add("UNREADABLE", offset, f"the event can't be read: {type(e).__name__}: {e}")
                return False
        self._expected_at(group.end, group.offsets[0])
        if self._mark is not None and self._mark.end == group.end and self._mark.chain != group.chain:
            r.add("HEAD_DIFFERS", group.offsets[0], "the checkpoint was made of another log: its chain value here is another")
        return True

    def _expected_at(self, end: int, at: int) -> None:
        """Heads that somebody kept, at the end of a group."""
        r = self.report
        for head in self._by_end.pop(end, ()):
            if head.chain != r.chain:
                r.add("HEAD_DIFFERS", at, f"{_named(head)} says {head.chain[:16]}, the log gives {r.chain[:16]}: it was altered before")
            else:
                self._met.append((head, r.number))

    def _look(self, offset: int, value: bytes) -> None:
        schema = int.from_bytes(value[1:5], "big")
        if schema in _CLAIMED:
            self._claim(offset, value)
        elif schema in _READ:
            event, _ = self._decoder.decode(value)
            if isinstance(event, le.KeyIntroduced):
                self._introduced(offset, event)
            elif isinstance(event, le.HeadSigned):
                self._head(offset, head_of(event, self.partition))
            elif isinstance(event, (de.DefinitionCreated, de.DefinitionUpdated)) and event.content:
                self.contents[event.hash] = hashlib.sha256(event.content.encode()).digest()
        else:
            avro.skim(value)

    def _claim(self, offset: int, value: bytes) -> None:
        event, _ = self._decoder.decode(value)
        assert isinstance(event, le.PartitionClaimed)
        self.report.claims += 1
        if event.partition >= 0 and event.partition != self.partition:
            self.report.add("WRONG_PARTITION", offset, f"this is the log of partition {event.partition}, not of {self.partition}")
        self.partitions = max(self.partitions, event.partitions)

    def _introduced(self, offset: int, event: le.KeyIntroduced) -> None:
        by = self._keys.get(event.by) if event.by else event.public
        good = event.id == key_id(event.public) and by is not None and check(by, event.signature, key_message(event.public, event.by))
        if not good:
            self.report.add("KEY_INVALID", offset, f"the key {event.id} is not signed by {event.by or 'itself'}")
            return
        first = not self._keys
        self._keys.setdefault(event.id, event.public)
        if event.by in self._trusted or (first and not self.wanted.keys):
            self._trusted.add(event.id)
        elif event.id not in self._trusted:
            self.report.add(
                "KEY_UNTRUSTED", offset, f"the key {event.id} follows from none of {', '.join(sorted(self._trusted)) or 'the known ones'}"
            )

    def _head(self, offset: int, head: Head) -> None:
        r = self.report
        end, chain = self._remembered.get(head.number, (-1, b""))
        if end < 0:
            if r.anchored or head.number >= r.number:
                r.add("HEAD_DIFFERS", offset, f"{_named(head)} speaks of group {head.number}, which is not there")
            return
        if (head.end, head.chain) != (end, chain.hex()):
            r.add("HEAD_DIFFERS", offset, f"{_named(head)} says {head.chain[:16]} at {head.end}, the log gives {chain.hex()[:16]} at {end}")
        elif self._signed(offset, head):
            self._remembered = {n: x for n, x in self._remembered.items() if n >= head.number}

    def _signed(self, offset: int, head: Head) -> bool:
        """A head that agrees with the log: is its signature good?"""
        r = self.report
        public = self._keys.get(head.signer)
        if public is None:
            if r.anchored or self.wanted.keys:
                r.add("KEY_UNTRUSTED", offset, f"{_named(head)} is signed by the key {head.signer}, which nobody vouches for")
            return False
        if not check(public, bytes.fromhex(head.signature), head.message):
            r.add("SIGNATURE_INVALID", offset, f"the signature of {_named(head)} is not one of the key {head.signer}")
            return False
        r.heads += 1
        if head.signer in self._trusted and head.end > r.signed_to:
            r.signed_to, r.signed_number, r.signer = head.end, head.number, head.signer
            r.trusted = bool(self.wanted.keys)
        return True

    def _close(self, newest: int, whole: bool) -> None:
        r = self.report
        if self._reader is not None:
            r.void, r.epoch, r.unfinished = self._reader.void, self._reader.epoch, r.unfinished + self._reader.open
            if self.log.compares and (r.void or self._reader.open) and not r.findings:
                # an append that is compared can't come from somebody who no longer owns the partition, and is whole or not there
                at = self._first_void if r.void else newest - self._reader.open
                r.add("VOID_RECORDS", at, "records from here on count for nothing, which this log can't have: their headers were altered")
        if r.anchored and not r.groups:
            r.chain = GENESIS.hex()
        for head, number in self._met:
            if head.signature and self._signed(head.end, head) and head.number != number:
                r.add("HEAD_DIFFERS", head.end, f"{_named(head)} counts {head.number} groups, the log {number}")
        if not whole:
            return
        for heads in self._by_end.values():
            for head in heads:
                if head.end > newest:
                    r.add("END_MISSING", newest, f"the end is missing: {_named(head)} stands at {head.end}, the log ends at {newest}")
                elif head.end > self._given:
                    r.add("HEAD_DIFFERS", head.end, f"{_named(head)} stands where no group ends")
        if self._mark is not None and self._mark.end > newest:
            r.add("END_MISSING", newest, f"the end is missing: the checkpoint stands at {self._mark.end}, the log ends at {newest}")
        if self.wanted.signed and r.groups and r.signed_to < 0:
            r.add("NOT_SIGNED", newest, f"nothing in partition {self.partition} is signed by the key that was asked for")


def _named(head: Head) -> str:
    return f"the head {head.partition}-{head.end}"


async def _nothing() -> AsyncIterator[list[LogRecord]]:
    for batch in list[list[LogRecord]]():
        yield batch

"""Groups and claims: which records of `events` count. The same rules for every reader (owner, projector, auditor, SDK consumer).

Headers of each record, in this order: `epoch`, `owner`, `source`. On the last record of a group also `last` and `chain`, on a claim
`read` (the offset up to which its owner had read), and from chain version 2 on `number` (groups that counted, this one included).
Source: `docs/log-protocol.md`, "Fold rules" and "The chain".

A claim is written by one who doesn't own the partition yet, so on a log without compare-and-append the former owner's groups may get in
between what the claimer has read and its claim. Its `source`, `number` and `chain` are then out of date: what counted before it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from flowledger.events.avro import Decoder
from flowledger.events.base import Event, Recorded
from flowledger.events.chain import GENESIS, VERSION, Headers, chain_v1, chain_v2
from flowledger.events.ledger import PartitionClaimed
from flowledger.events.wire import WIRE

_NUMBER, _, _NEWEST = WIRE[PartitionClaimed]
#: what the value of a claim begins with, one for each version that it has had
CLAIM_HEADS = tuple(b"\x00" + (_NUMBER << 8 | version).to_bytes(4, "big") for version in range(1, _NEWEST + 1))
#: headers that each record has, and the places of those that the last one has beside
_SHARED, _LAST, _CHAIN = 3, 3, 4


class Stored(Protocol):
    """A record as a log gives it. `timestamp_us` is exact to the millisecond."""

    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def timestamp_us(self) -> int: ...


def headers(epoch: int, owner: str, source: int) -> Headers:
    """What each record of a group carries. `source` is the offset of the last command consumed, -1 for none yet."""
    return (("epoch", b"%d" % epoch), ("owner", owner.encode()), ("source", b"%d" % source))


class BeginningMissing(ValueError):
    """The log does not begin with its first claim: nothing behind it could count, and all of it would be void."""


class Counted(msgspec.Struct, frozen=True, gc=False):
    """A group that counts. `end` is the offset after its last record; `offsets` are not gapless when void records lie between."""

    offsets: list[int]
    values: list[bytes]
    source: int
    chain: bytes
    epoch: int
    owner: str
    #: the chain value that its bytes give; it differs from `chain` when somebody altered the log
    computed: bytes
    #: how many groups have counted, with this one; 0: not known (a log of before that was not read from its beginning)
    number: int = 0
    #: version of the chain that it is written in
    version: int = 1

    @property
    def end(self) -> int:
        return self.offsets[-1] + 1

    @property
    def whole(self) -> bool:
        """Its bytes give its chain value."""
        return self.computed == self.chain


class Place(msgspec.Struct, frozen=True):
    """Where a reader stands: behind the group `number`, whose chain value is `chain`. Enough to go on from there.

    `chain` empty: not known; that of the next group is then taken as given, with its number and version.
    """

    epoch: int = 0
    owner: str = ""
    chain: bytes = GENESIS
    end: int = 0
    source: int = -1
    number: int = 0
    version: int = 1


START = Place()


class GroupReader:
    """Feed it the records of one partition in order; it tells what counts."""

    def __init__(self, at: Place = START) -> None:
        self.epoch, self.owner, self.chain = at.epoch, at.owner, at.chain
        #: offset behind the last group that counted
        self.end = at.end
        self.source, self.number, self.version = at.source, at.number, at.version
        #: the number of groups is known: read from the beginning, or said by the log
        self.numbered = at.end == 0 or at.number > 0
        self.void = 0
        self._epoch, self._owner = b"%d" % at.epoch, at.owner.encode()
        self._offsets: list[int] = []
        self._keys: list[bytes | None] = []
        self._values: list[bytes] = []
        self._shared: Headers = ()
        self._stamp_us = 0
        #: a record of the group has other headers or another time than the first
        self._odd = False
        self._decoder = Decoder()

    def place(self) -> Place:
        return Place(self.epoch, self.owner, self.chain, self.end, self.source, self.number if self.numbered else 0, self.version)

    @property
    def open(self) -> int:
        """Records of a group that is not finished."""
        return len(self._offsets)

    def feed(self, record: Stored) -> Counted | None:
        """The group that this record completes, if it completes one that counts.

        Raises: ValueError (no record of this log), BeginningMissing."""
        found, value = record.headers, record.value
        if len(found) < _SHARED or found[0][0] != "epoch":
            raise ValueError(f"record {record.offset} has no epoch header: not written by an owner")
        if value.startswith(CLAIM_HEADS):
            return self._claim(record)
        if not self.epoch:
            raise BeginningMissing(f"record {record.offset} is not the first claim of this partition: the beginning is missing")
        if found[0][1] != self._epoch or found[1][1] != self._owner:
            self.void += 1
            return None
        last = len(found) > _CHAIN and found[_LAST][0] == "last"
        shared = found[:_SHARED] if last else found
        if not self._offsets:
            self._shared, self._stamp_us, self._odd = shared, record.timestamp_us, False
        elif shared != self._shared or record.timestamp_us != self._stamp_us:
            self._odd = True
        self._offsets.append(record.offset)
        self._keys.append(record.key)
        self._values.append(value)
        return self._count(found) if last else None

    def _claim(self, record: Stored) -> Counted | None:
        event, _ = self._decoder.decode(record.value)
        assert isinstance(event, PartitionClaimed)
        if event.epoch != self.epoch + 1:
            if not self.epoch:
                raise BeginningMissing(f"the claim at {record.offset} has epoch {event.epoch}, not 1: the beginning is missing")
            self.void += 1
            return None
        found = record.headers
        if len(found) <= _CHAIN or found[_LAST][0] != "last":
            raise ValueError(f"the claim at {record.offset} has no chain value")
        self.void += len(self._values)  # an unfinished group of the former owner
        self.epoch, self.owner = event.epoch, event.owner
        self._epoch, self._owner = b"%d" % event.epoch, event.owner.encode()
        self._offsets, self._keys, self._values = [record.offset], [record.key], [record.value]
        self._shared, self._stamp_us = found[:_SHARED], record.timestamp_us
        # an older chain after a newer one would take headers, keys and times out from under the hash
        self._odd = event.chain < self.version
        self.version = max(self.version, event.chain)
        read = next((int(v) for name, v in found[_CHAIN + 1 :] if name == "read"), -1)
        return self._count(found, raced=0 <= read < self.end)

    def _count(self, found: Headers, raced: bool = False) -> Counted:
        chain, number = found[_CHAIN][1], self.number + 1
        numbered = any(name == "number" for name, _ in found[_CHAIN + 1 :])
        if not self.chain:
            self.version = 2 if numbered else 1
        if not self.chain and not numbered:
            computed = chain
        elif self.version == 1:
            computed = chain_v1(self.chain, self._values)
        else:
            sealed = (*self._shared, *(h for h in found[_SHARED:] if h[0] != "chain"))
            computed = chain_v2(self.chain, sealed, self._keys, self._values, self._stamp_us // 1000)
            said = next((int(v) for name, v in found[_CHAIN + 1 :] if name == "number"), -1)
            if not self.numbered and not raced:
                number, self.numbered = said, True
            if not self.chain:
                computed = chain
            if self._odd or (said != number and not raced):
                computed = b""
        if raced:
            chain = computed
        else:
            self.source = int(self._shared[2][1])
        group = Counted(self._offsets, self._values, self.source, chain, self.epoch, self.owner, computed,
                        number if self.numbered else 0, self.version)  # fmt: skip
        self.chain, self.end, self.number = chain, group.end, number
        self._offsets, self._keys, self._values = [], [], []
        return group


class Seal:
    """The chain of an owner: it seals one group after the other, behind the claim that `at` stands behind."""

    __slots__ = ("_fixed", "chain", "number")

    def __init__(self, at: Place) -> None:
        self.chain, self.number = at.chain, at.number
        self._fixed = headers(at.epoch, at.owner, 0)[:2]

    def group(self, keys: Sequence[bytes | None], values: Sequence[bytes], source: int, timestamp_ms: int) -> tuple[Headers, Headers]:
        """(headers of each record, further headers of the last one). `timestamp_ms` must be the one that the records get, above 0."""
        assert timestamp_ms > 0, "a log stamps a group without a time by its own clock, which no hash can foresee"
        self.number += 1
        number = ("number", b"%d" % self.number)
        shared = (*self._fixed, ("source", b"%d" % source))
        self.chain = chain_v2(self.chain, (*shared, ("last", b"1"), number), keys, values, timestamp_ms)
        return shared, (("last", b"1"), ("chain", self.chain), number)


def claim_headers(at: Place, value: bytes, key: bytes, epoch: int, owner: str, read: int, timestamp_ms: int) -> tuple[Headers, Headers]:
    """As `Seal.group`, for the claim of one who stands at `at` and has read up to, not including, offset `read`."""
    shared = headers(epoch, owner, at.source)
    beside = (("read", b"%d" % read), ("number", b"%d" % (at.number + 1)))
    chain = chain_v2(at.chain, (*shared, ("last", b"1"), *beside), [key], [value], timestamp_ms)
    return shared, (("last", b"1"), ("chain", chain), *beside)


def decode_group(group: Counted, partition: int, decoder: Decoder) -> list[Recorded]:
    return [decoder.recorded(value, partition, offset) for value, offset in zip(group.values, group.offsets, strict=True)]


def events_of(group: Counted, decoder: Decoder) -> list[Event]:
    return [decoder.decode(value)[0] for value in group.values]


__all__ = [
    "GENESIS",
    "START",
    "VERSION",
    "Counted",
    "GroupReader",
    "Place",
    "Seal",
    "claim_headers",
    "decode_group",
    "events_of",
    "headers",
]

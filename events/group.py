"""Groups and claims: which records of `events` count. The same rules for every reader (owner, projector, auditor, SDK consumer).

Headers of each record, in this order: `epoch`, `owner`, `source`; on the last record of a group also `last` and `chain`, and on a claim
`read`, the offset up to which its owner had read.
Source: `docs/log-protocol.md`, "Fold rules".

A claim is written by one who doesn't own the partition yet, so on a log without compare-and-append the former owner's groups may get in
between what the claimer has read and its claim. Its `source` and `chain` are then out of date: what counted before it holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from flowledger.events.avro import Decoder
from flowledger.events.base import Event, Recorded
from flowledger.events.ledger import PartitionClaimed
from flowledger.events.wire import SCHEMA_IDS

GENESIS = b"\x00" * 32
_CLAIM_HEAD = b"\x00" + SCHEMA_IDS[PartitionClaimed].to_bytes(4, "big")
Headers = tuple[tuple[str, bytes], ...]


def chain_of(previous: bytes, values: Sequence[bytes]) -> bytes:
    """SHA-256 over the previous group's chain value and this group's bytes."""
    h = hashlib.sha256(previous)
    for value in values:
        h.update(value)
    return h.digest()


def headers(epoch: int, owner: str, source: int) -> Headers:
    """What each record of a group carries. `source` is the offset of the last command consumed, -1 for none yet."""
    return (("epoch", b"%d" % epoch), ("owner", owner.encode()), ("source", b"%d" % source))


def last_headers(chain: bytes) -> Headers:
    return (("last", b"1"), ("chain", chain))


def claim_headers(chain: bytes, read: int) -> Headers:
    """`last_headers` of a claim made by one who has read up to, not including, offset `read`."""
    return (("last", b"1"), ("chain", chain), ("read", b"%d" % read))


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

    @property
    def end(self) -> int:
        return self.offsets[-1] + 1


class GroupReader:
    """Feed it the records of one partition in order; it tells what counts."""

    def __init__(self, epoch: int = 0, owner: str = "", chain: bytes = GENESIS, end: int = 0) -> None:
        self.epoch, self.owner, self.chain = epoch, owner, chain
        #: offset behind the last group that counted
        self.end = end
        self.source = -1
        self.void = 0
        self._epoch, self._owner = b"%d" % epoch, owner.encode()
        self._offsets: list[int] = []
        self._values: list[bytes] = []
        self._decoder = Decoder()

    def feed(self, offset: int, value: bytes, headers: Headers) -> Counted | None:
        """The group that this record completes, if it completes one that counts. Raises: ValueError (no record of this log)."""
        if len(headers) < 3 or headers[0][0] != "epoch":
            raise ValueError(f"record {offset} has no epoch header: not written by an owner")
        if value.startswith(_CLAIM_HEAD):
            return self._claim(offset, value, headers)
        if headers[0][1] != self._epoch or headers[1][1] != self._owner:
            self.void += 1
            return None
        self._offsets.append(offset)
        self._values.append(value)
        if len(headers) < 5 or headers[3][0] != "last":
            return None
        return self._count(headers)

    def _claim(self, offset: int, value: bytes, headers: Headers) -> Counted | None:
        event, _ = self._decoder.decode(value)
        assert isinstance(event, PartitionClaimed)
        if event.epoch != self.epoch + 1:
            self.void += 1
            return None
        self.void += len(self._values)  # an unfinished group of the former owner
        self.epoch, self.owner = event.epoch, event.owner
        self._epoch, self._owner = b"%d" % event.epoch, event.owner.encode()
        self._offsets, self._values = [offset], [value]
        raced = len(headers) > 5 and int(headers[5][1]) < self.end
        if raced:
            headers = (*headers[:2], ("source", b"%d" % self.source), headers[3], ("chain", chain_of(self.chain, self._values)))
        return self._count(headers)

    def _count(self, headers: Headers) -> Counted:
        computed = chain_of(self.chain, self._values)
        self.source = int(headers[2][1])
        group = Counted(self._offsets, self._values, self.source, headers[4][1], self.epoch, self.owner, computed)
        self.chain, self.end = group.chain, group.end
        self._offsets, self._values = [], []
        return group


def decode_group(group: Counted, partition: int, decoder: Decoder) -> list[Recorded]:
    return [decoder.recorded(value, partition, offset) for value, offset in zip(group.values, group.offsets, strict=True)]


def events_of(group: Counted, decoder: Decoder) -> list[Event]:
    return [decoder.decode(value)[0] for value in group.values]

"""When an owner signs the head of its partition, and whom it tells. No clock, no I/O: the shell passes time and what was acknowledged.

A head is signed for what is acknowledged, every so many groups or so long after the first group without one, and stands as an event in a
later group; a group that holds nothing but heads asks for none. It goes to the anchors at once.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from flowledger.events.base import Event
from flowledger.events.heads import Head, event_of
from flowledger.events.ledger import KeyIntroduced

#: groups between two heads, and the longest time that a group waits for one (seconds)
GROUPS_MAX = 1_000
SECONDS_MAX = 5.0
#: a head that is due while nothing is acknowledged is looked at again after this time
AGAIN_US = 1_000_000
NEVER = 1 << 62


class Signer(Protocol):
    """Holds a private key. `introductions(known)`: how the present key follows from `known` (an id, or `""`), oldest first."""

    id: str

    def sign(self, message: bytes) -> bytes: ...
    def introductions(self, known: str) -> list[KeyIntroduced]: ...


class Anchors(Protocol):
    """Places outside of the log that keep heads. `put` never waits and never raises; `errors` are for health: one for each place in trouble."""

    def put(self, head: Head) -> None: ...
    @property
    def errors(self) -> list[str]: ...


class Signing(msgspec.Struct, frozen=True):
    """What all partitions of a process share."""

    signer: Signer
    anchors: Anchors | None = None
    groups_max: int = GROUPS_MAX
    seconds_max: float = SECONDS_MAX


class Heads:
    """The heads of one claim of one partition."""

    __slots__ = ("_acked", "_by_number", "_epoch", "_own", "_partition", "_signing", "_told", "at_us")

    def __init__(self, signing: Signing, partition: int, epoch: int, number: int, known: str) -> None:
        self._signing, self._partition, self._epoch = signing, partition, epoch
        #: events that are to be recorded before the first head
        self._told: list[Event] = list(signing.signer.introductions(known))
        self._by_number = number + signing.groups_max
        #: number, end and chain of the newest group that is acknowledged and that a head is wanted for
        self._acked: tuple[int, int, bytes] | None = None
        #: when a head is due, microseconds; the shell wakes then
        self.at_us = 0 if self._told else NEVER

    def sealed(self, now_us: int) -> None:
        """A group with events of commands goes to the log."""
        if self.at_us == NEVER:
            self.at_us = now_us + int(self._signing.seconds_max * 1_000_000)

    def acked(self, number: int, end: int, chain: bytes, now_us: int) -> None:
        """It is there: groups are acknowledged in order."""
        self._acked = (number, end, chain)
        if number >= self._by_number:
            self.at_us = min(self.at_us, now_us)

    def collect(self, now_us: int) -> list[Event]:
        """What is to be recorded now; mostly nothing."""
        if now_us < self.at_us:
            return []
        told, self._told = self._told, []
        if self._acked is not None:
            told.append(event_of(self.sign(now_us)))
            self.at_us = NEVER
        else:
            self.at_us = NEVER if told else now_us + AGAIN_US
        return told

    def sign(self, now_us: int) -> Head:
        """The head of what is acknowledged, told to the anchors."""
        assert self._acked is not None
        (number, end, chain), self._acked = self._acked, None
        signer = self._signing.signer
        bare = Head(self._partition, self._epoch, number, end, chain.hex(), now_us, signer.id)
        head = msgspec.structs.replace(bare, signature=signer.sign(bare.message).hex())
        self._by_number = number + self._signing.groups_max
        if self._signing.anchors is not None:
            self._signing.anchors.put(head)
        return head

    @property
    def wanted(self) -> bool:
        """Something is acknowledged that no head covers."""
        return self._acked is not None

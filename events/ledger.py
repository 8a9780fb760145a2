"""What the log says of itself: claims, sends to other partitions, answers to repeat."""

from __future__ import annotations

from flowledger.events.base import Event, Json


class PartitionClaimed(Event, frozen=True):
    """`owner` (a random id for each claim) owns the partition from here; counts only when `epoch` is one more than the current."""

    epoch: int
    owner: str
    node: str = ""
    #: which partition of how many it is; -1 and 0 in claims of before
    partition: int = -1
    partitions: int = 0
    #: version of the hash chain that this epoch's groups are written in (`events/chain.py`)
    chain: int = 1
    #: which start of which machine it was claimed on, and its monotonic clock then (microseconds): what a wall clock that steps can't tell; `""`: not known
    boot: str = ""
    boot_us: int = 0


class KeyIntroduced(Event, frozen=True):
    """Heads are signed with `public` (Ed25519, 32 bytes) from here on. `by`: id of the key before it, whose `signature` says that it is the
    next one; `""`: the first one, or one that nobody vouches for, signed by itself (`events/heads.py`)."""

    id: str
    public: bytes
    by: str = ""
    signature: bytes = b""


class HeadSigned(Event, frozen=True):
    """The chain of this partition stood at `chain` behind its group `number`, which ends before offset `end`: signed with the key `signer`."""

    number: int
    end: int
    chain: bytes
    epoch: int
    signed_us: int
    signer: str
    signature: bytes


class Outbound(Event, frozen=True):
    """`command` (encoded) is to be sent to partition `to`; `seq` counts per (from, to)."""

    seq: int
    to: int
    command: bytes


class OutboundConfirmed(Event, frozen=True):
    """All sends to `to` up to `seq` are on that partition's commands."""

    to: int
    seq: int


class Inbound(Event, frozen=True):
    """The send `seq` of partition `sender` was taken here; it is dropped when it comes again."""

    sender: int
    seq: int
    #: why it was refused, `""`: it was not
    reason: str = ""


class Answered(Event, frozen=True):
    """The command with caller's id `id` was answered with `answer`; the same id gets the same answer until `until_us` (0: for a day).

    `digest`: of the command, so that another one under the same id is told from the same one again (empty: not compared).
    """

    id: str
    answer: Json
    digest: bytes = b""
    until_us: int = 0


class DeadLettered(Event, frozen=True):
    """The record `source` of `commands` could not be read, or failed for ever. With `instance` its sender has it as an incident of `token`; all
    others are open until they are replayed or discarded. Said again of one that was replayed: it was refused, and is open again.

    `command`: the record, its first bytes where it is larger than what is kept; `size`: how many bytes it has (-1: not known).
    `sender`, `seq`: which send of which partition it was; -1: none.
    """

    source: int
    reason: str
    command: bytes = b""
    size: int = -1
    sender: int = -1
    seq: int = 0
    instance: int = 0
    token: int = 0


class DeadLetterReplayed(Event, frozen=True):
    """The dead letter `source` was decided anew as `command` (empty: as it was kept), on partition `to`."""

    source: int
    to: int
    command: bytes = b""
    reason: str = ""


class DeadLetterDiscarded(Event, frozen=True):
    """Nobody will replay the dead letter `source`."""

    source: int
    reason: str = ""


class TriggerFired(Event, frozen=True):
    """A start event of definition `definition` started an instance by timer, message, signal or condition."""

    definition: int
    element: str
    kind: str
    name: str = ""


class RecordStored(Event, frozen=True):
    """Partition-level data of a registry changed: `registry` (directory, task_definitions, breakers ...), `name` its key, `value` null removes it."""

    registry: str
    name: str
    value: Json = None

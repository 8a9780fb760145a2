"""What the log says of itself: claims, sends to other partitions, answers to repeat."""

from __future__ import annotations

from flowledger.events.base import Event, Json


class PartitionClaimed(Event, frozen=True):
    """`owner` (a random id for each claim) owns the partition from here; counts only when `epoch` is one more than the current."""

    epoch: int
    owner: str
    node: str = ""


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


class Answered(Event, frozen=True):
    """The command with caller's id `id` was answered with `answer`; the same id gets the same answer until `until_us` (0: for a day).

    `digest`: of the command, so that another one under the same id is told from the same one again (empty: not compared).
    """

    id: str
    answer: Json
    digest: bytes = b""
    until_us: int = 0


class DeadLettered(Event, frozen=True):
    """A command could not be read or failed for ever: it stands on `dead-letter`, with the reason."""

    source: int
    reason: str


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

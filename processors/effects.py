"""What the machine of an owner asks its shell to do. In the order of the list, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from flowledger.processors.flight import Flight, Pending, Reply
from flowledger.processors.log import Group, Headers


class Append(NamedTuple):
    """Write the group to `events`, at `flight.expected` plus nothing else; then `acknowledged`, or `failed`."""

    flight: Flight
    group: Group


class Answer(NamedTuple):
    """Callers hear of what is on the log, or that it is not to be had."""

    replies: Sequence[tuple[Reply, Any]]


class Send(NamedTuple):
    """Write to `commands` of partition `to`. It may get lost: what matters is sent again."""

    to: int
    group: Group


class Store(NamedTuple):
    """The content of a deployed resource, to `definitions`."""

    group: Group


class ReadGap(NamedTuple):
    """Somebody else wrote: read `events` from `start` up to `stop` and give it to `gap_read`."""

    start: int
    stop: int


class Checkpoint(NamedTuple):
    """Write the entries to `state`, each with its digest, then the mark; then `done` or `failed` of the checkpoints."""

    entries: Sequence[tuple[bytes, bytes | None]]
    digests: Sequence[Headers]
    mark: bytes
    tag: Headers


class DecideApart(NamedTuple):
    """A heavy decision: `machine.apart` outside of the loop, in so many seconds, while this partition rests; then `decided_apart`."""

    pending: Pending
    delay_s: float = 0.0


class WakeAt(NamedTuple):
    """`step` at this time of the log (microseconds), if not earlier."""

    at_us: int


class StepDown(NamedTuple):
    """The machine has stopped for good."""

    why: BaseException


Effect = Append | Answer | Send | Store | ReadGap | Checkpoint | DecideApart | WakeAt | StepDown

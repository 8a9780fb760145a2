"""What every event and command has in common.

An event is a frozen record named in the past; it carries each fact that its fold needs, so that folding
looks at no definition, no clock and nothing outside of the record. A command is a wish in the imperative.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

#: A JSON value. On the wire: one `bytes` field that holds JSON text, exact decimals included.
Json = Annotated[Any, "json"]
#: words for a priority from 0 to 100
PRIORITIES = {"low": 20, "normal": 40, "medium": 40, "high": 60, "critical": 80, "urgent": 100}


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A fact that has happened. Never changed after release; a new shape is a new version with an upcaster.

    Attributes:
        key: the instance that it is about; 0 where it is about the partition itself.
    """

    key: int = 0


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="$", tag=lambda n: n, gc=False):
    """A wish. It becomes events or a `Rejected`, never both. Values that were read hold no cycle, so the collector need not know it."""


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """Who, why and when, the same for all events that one command caused.

    Attributes:
        time_us: microseconds since the epoch (UTC), of the command; never goes back within a partition.
        tenant: whose it is; `""` is the default tenant.
        actor: who asked (user, worker, service; `""` is the engine itself).
        cause: id of the command that led to it.
        correlation: the caller's correlation id, kept through children and messages.
        trace: W3C `traceparent` of the caller, `""` when none.
    """

    time_us: int = 0
    tenant: str = ""
    actor: str = ""
    cause: str = ""
    correlation: str = ""
    trace: str = ""


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """An event as it stands on the log.

    Attributes:
        partition, offset: its position; `id` writes it as `partition-offset`.
    """

    event: Event
    envelope: Envelope
    partition: int = 0
    offset: int = 0

    @property
    def id(self) -> str:
        return f"{self.partition}-{self.offset}"


class Rejected(msgspec.Struct, frozen=True):
    """The answer to a wish that can't be granted. It changes nothing (`kernel/operations.py`: that it was asked may be told).

    Attributes:
        code: one of `RejectionCode`; clients may switch on it.
        message: for people: what was expected, what was found.
        retry_after_ms: for RESOURCE_EXHAUSTED: when to come again.
    """

    code: str
    message: str
    retry_after_ms: int = 0


class Broken(msgspec.Struct, frozen=True):
    """A command that the engine could not decide, by a defect of its own. It leaves no trace in the state.

    Attributes:
        key: the instance that was being moved; 0 when none was.
        defect: what kind of defect, as the name of its exception.
        message: its text, for operators.
        reference: what the caller is told, and operators search for.
    """

    key: int
    defect: str
    message: str
    reference: str


class Heavy(Exception):
    """The expressions of a decision took more steps than they may in the owner's loop: to be decided beside it, with the hard bound."""


class RejectionCode:
    """States of the world that make a command impossible."""

    NOT_FOUND = "NOT_FOUND"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    INVALID_STATE = "INVALID_STATE"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    STALE = "STALE"
    #: the caller's id stands for another command
    ID_REUSED = "ID_REUSED"
    FORBIDDEN = "FORBIDDEN"
    #: it is done by who has just shown a passkey for it (`kernel/tasks/step_up.py`)
    STEP_UP_NEEDED = "STEP_UP_NEEDED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    MODEL_INVALID = "MODEL_INVALID"
    #: a defect of the engine: sending it again does not help; the message has a reference for operators
    INTERNAL = "INTERNAL"

"""Commands that partitions send each other, each by a numbered send. They are part of `events/commands.py`, whose words they share."""

from __future__ import annotations

from typing import Any

from flowledger.events.base import Command


class AwaitMessage(Command, frozen=True):
    """Instance `key` waits for message `name` with this correlation key."""

    subscription: int
    key: int
    name: str
    correlation: str
    process: str = ""
    once: bool = True


class UnawaitMessage(Command, frozen=True):
    subscription: int


class Correlate(Command, frozen=True):
    """A message for an instance's subscription. The instance answers with `MessageTaken`."""

    message: int
    subscription: int
    name: str
    correlation: str
    variables: dict[str, Any] | None = None
    home: int = 0


class CatchSignal(Command, frozen=True):
    """A signal that reached `subscription` while its instance was suspended; or that it has still to reach, and `more` behind it."""

    subscription: int
    name: str
    variables: dict[str, Any] | None = None
    more: list[int] = []


class MessageTaken(Command, frozen=True):
    """`taken` false: the subscription was gone; the message looks for another."""

    message: int
    subscription: int
    taken: bool


class ChildEnded(Command, frozen=True):
    """A called instance tells its caller: `status` started, completed, failed, terminated ..., or escalated while it goes on. `error` is the code of
    a BPMN error or escalation to throw at the call activity."""

    parent: int
    parent_token: int
    child: int
    status: str
    variables: dict[str, Any] | None = None
    error: str = ""
    message: str = ""


class AskPermits(Command, frozen=True):
    """To the home of limit `target`: tasks wait for `wanted` permits, each for `for_us` from when it is given. With `wanted` 0 what is there is to hold until
    `until_us`.

    `priority`: of the most urgent of them. `taken`: so many were taken unasked, for what somebody was given by hand.
    """

    target: str
    wanted: int
    until_us: int
    priority: int = 0
    taken: int = 0
    for_us: int = 0


class GivePermits(Command, frozen=True):
    """The home's answer, when there are some. Those of an older `period` are void by now. `full`: a person has no room now, and is told later."""

    target: str
    number: int
    until_us: int
    period: int
    full: bool = False


class ReturnPermits(Command, frozen=True):
    target: str
    number: int
    period: int


class ReportOutcomes(Command, frozen=True):
    """To the home of breaker `target`: tasks that went well, and that failed."""

    target: str
    good: int
    bad: int


class SetBreaker(Command, frozen=True):
    """The home tells all others of a breaker's new state."""

    target: str
    state: str
    until_us: int = 0
    details: dict[str, Any] | None = None


class DecideDeadLetter(Command, frozen=True):
    """The dead letter `letter` of the sender, replayed as `command`, belongs to this partition. `rights`: of who replays it."""

    letter: int
    command: str
    rights: list[str] | None = None


class DeadLetterRefused(Command, frozen=True):
    """To the home of dead letter `letter`: what it was replayed as was refused."""

    letter: int
    command: str
    code: str
    message: str


class SendRejected(Command, frozen=True):
    """What `token` of `instance` sent (`command`) was refused by its receiver, for good."""

    instance: int
    token: int
    command: str
    code: str
    message: str


AnyBetween = (
    AwaitMessage
    | UnawaitMessage
    | Correlate
    | CatchSignal
    | MessageTaken
    | ChildEnded
    | AskPermits
    | GivePermits
    | ReturnPermits
    | ReportOutcomes
    | SetBreaker
    | DecideDeadLetter
    | DeadLetterRefused
    | SendRejected
)  # fmt: skip

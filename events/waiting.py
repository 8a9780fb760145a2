"""What instances wait for: timers, subscriptions, messages, signals, incidents."""

from __future__ import annotations

from flowledger.events.base import Event, Json


class TimerScheduled(Event, frozen=True):
    """Timer `timer` is due at `due_us`. `token` (0: starts instances of `definition`) waits at it or is its scope; `element` is the event.

    `repeat` (`""`: once) is the ISO 8601 cycle or cron text; `left` the further firings (-1: endless). `which` is the place of the event
    definition in an event that has several.
    """

    timer: int
    token: int
    element: str
    due_us: int
    repeat: str = ""
    left: int = 0
    definition: int = 0
    which: int = 0


class TimerTriggered(Event, frozen=True):
    """`next_us` (0: no more) is when it fires again."""

    timer: int
    token: int
    element: str
    next_us: int = 0


class TimerCancelled(Event, frozen=True):
    timer: int
    token: int
    element: str


class SubscriptionOpened(Event, frozen=True):
    """`element` waits for `kind` (message, signal, condition, error, escalation ...) `name` on behalf of `token`.

    `correlation` is the message's correlation key (`""` for other kinds). `partition` is where messages of that key arrive.
    `definition` is set (and `token` 0) when it starts instances. `which` is the place of the event definition in an event that has several.
    """

    subscription: int
    token: int
    element: str
    kind: str
    name: str
    correlation: str = ""
    partition: int = 0
    interrupting: bool = True
    definition: int = 0
    which: int = 0


class SubscriptionClosed(Event, frozen=True):
    subscription: int
    token: int = 0


class MessageReceived(Event, frozen=True):
    """A message is kept until `expires_us` for those who come to wait for it."""

    message: int
    name: str
    correlation: str = ""
    variables: Json = None
    message_id: str = ""
    expires_us: int = 0


class MessageAwaited(Event, frozen=True):
    """At the partition of the correlation key: subscription `subscription` of instance `key` (owned by `home`) waits for `name`."""

    subscription: int
    name: str
    correlation: str
    home: int
    process: str = ""
    #: an interrupting catch takes one message only
    once: bool = True


class MessageUnawaited(Event, frozen=True):
    subscription: int


class MessageAssigned(Event, frozen=True):
    """At the partition of the correlation key: message `message` goes to `subscription` of instance `key`; the instance confirms it."""

    message: int
    subscription: int
    process: str = ""


class MessageCorrelated(Event, frozen=True):
    """At the instance: the message was taken by `token` at `element`."""

    message: int
    subscription: int
    token: int
    element: str
    name: str = ""
    variables: Json = None


class MessageExpired(Event, frozen=True):
    message: int


class SignalReceived(Event, frozen=True):
    """A signal `name` was caught by `token` at `element` (0: it was broadcast on this partition; `signal` is its key where it was thrown)."""

    name: str
    token: int = 0
    element: str = ""
    variables: Json = None
    signal: int = 0


class ConditionTriggered(Event, frozen=True):
    """A conditional event became true; `armed` false: it must become false before it can fire again."""

    subscription: int
    token: int
    element: str


class IncidentRaised(Event, frozen=True):
    """The model or its data is in the way of `token`; an operator repairs and resolves."""

    incident: int
    token: int
    element: str
    code: str
    message: str
    task: int = 0


class IncidentResolved(Event, frozen=True):
    incident: int
    token: int
    task: int = 0

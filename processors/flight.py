"""What an owner has in hand: commands that wait, and groups on their way to the log with what is to be done once they are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events.base import Event, Rejected
from flowledger.events.ledger import DeadLettered

NEVER = 1 << 62
#: gets the answer (a dict or `Rejected`) of a command, once
Reply = Callable[[Any], None]


class Pending(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A command that waits for its answer. `reply(answer)` is called once its group is on the log. `offset`: its place in `commands`, -1: direct,
    -1 less its number: what was put off. Nothing that it holds leads back to it: the collector need not know it."""

    request: c.Request
    reply: Reply | None = None
    offset: int = -1


class Spread:
    """An answer that waits. `needs`: partition -> the send that it must have confirmed; `removing`: a definition that is counted before it goes."""

    __slots__ = ("answer", "needs", "refused", "removing", "reply", "until_us")

    def __init__(self, reply: Reply, answer: dict[str, Any], needs: dict[int, int], removing: int) -> None:
        self.reply, self.answer, self.needs, self.removing = reply, answer, needs, removing
        self.refused: Rejected | None = None
        self.until_us = NEVER


class Flight:
    """A group on its way to the log, with what is to be done once it is there. Without events (`count` 0) it only waits for those before it."""

    __slots__ = (
        "answered",
        "answers",
        "told",
        "removals",
        "urgent",
        "count",
        "end",
        "chain",
        "expected",
        "first",
        "inbound",
        "kinds",
        "names",
        "number",
        "own",
        "sends",
        "size",
        "started",
        "traces",
    )

    def __init__(self) -> None:
        #: offset that its first record should get, if nobody else writes
        self.expected = 0
        self.count = 0
        #: its number and its chain value
        self.number, self.chain = 0, b""
        #: events of the owner's own in it: heads and keys
        self.own = 0
        #: bytes of its events
        self.size = 0
        #: where it was written; -1: not yet acknowledged
        self.first = self.end = -1
        #: (reply, answer, index of its last event in the group or -1)
        self.answers: list[tuple[Reply, Any, int]] = []
        #: answers that wait for other partitions, with the index of their last event or -1 (`epochs.py`)
        self.told: list[tuple[Spread, int]] = []
        #: what came of deletions: (definition, why not or "", index of the last event)
        self.removals: list[tuple[int, str, int]] = []
        #: partitions that wait to hear that their sends were taken
        self.urgent: set[int] = set()
        #: answers to be remembered: (tenant, id, index of the event)
        self.answered: list[tuple[str, str, int]] = []
        #: (to, seq, command)
        self.sends: list[tuple[int, int, bytes]] = []
        #: partition -> highest send of it that this group takes
        self.inbound: dict[int, int] = {}
        #: when it was handed to the log (the shell's clock, seconds)
        self.started = 0.0
        #: for the observer: events by class, accepted commands by class, and the traces that they came with
        self.names: dict[str, int] = {}
        self.kinds: dict[str, int] = {}
        self.traces: list[str] = []


class Told:
    """Stands in the place of a command for events of the owner's own: heads that it signs, keys that it introduces."""

    __slots__ = ("events",)

    def __init__(self, events: list[Event]) -> None:
        self.events = events


class Dead:
    """Stands for a command that could not be read, so that its place in `commands` is consumed in order. `tenant`: whose it is."""

    __slots__ = ("letter", "tenant")

    def __init__(self, letter: DeadLettered, tenant: str = "") -> None:
        self.letter, self.tenant = letter, tenant

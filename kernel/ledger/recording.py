"""A decision records events and folds each at once, so that its next line sees what any reader will fold."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events.base import Envelope, Event
from flowledger.kernel.fold import TRANSITIONS
from flowledger.kernel.ledger.facts import Facts
from flowledger.kernel.state import Partition

_encode_request = msgspec.json.Encoder(decimal_format="number").encode


class Recording:
    """`answer` is what the caller gets; `later` are commands for this partition in a follow-up step."""

    __slots__ = ("answer", "envelope", "events", "facts", "finished", "later", "request", "seen", "state", "touched", "work")

    def __init__(self, state: Partition, facts: Facts, envelope: Envelope, request: c.Request | None = None) -> None:
        self.state, self.facts, self.envelope, self.request = state, facts, envelope, request
        self.events: list[Event] = []
        self.work: deque[tuple[int, int]] = deque()
        self.answer: dict[str, Any] = {}
        self.later: list[c.Command] = []
        #: (instance, scope) in which tokens moved: joins that wait there are looked at again
        self.touched: dict[tuple[int, int], None] = {}
        #: events that conditional events have looked at
        self.seen = 0
        #: instances that ended: (key, status, variables, message)
        self.finished: list[tuple[int, str, dict[str, Any], str]] = []

    def record(self, event: Event) -> None:
        TRANSITIONS[type(event)](self.state, event, self.envelope)
        if event.key:
            self.state.changed.add(("instance", event.key))
        self.events.append(event)

    def key(self) -> int:
        """A new key; must be recorded in this decision."""
        meta = self.state.meta
        meta.counter += 1
        return (meta.partition << c.PARTITION_BITS) | meta.counter

    def send(self, to: int, command: c.Command) -> None:
        """To the owner of partition `to`, exactly once. To this partition: in a follow-up step of the same group."""
        if to == self.state.meta.partition:
            self.later.append(command)
            return
        seq = self.state.meta.sent.get(to, 0) + 1
        v = self.envelope
        request = c.Request(
            command=command, time_us=v.time_us, tenant=v.tenant, actor=v.actor, correlation=v.correlation, trace=v.trace,  # type: ignore[arg-type]
            id=v.cause, sender=self.state.meta.partition, seq=seq,
        )  # fmt: skip
        self.record(le.Outbound(seq=seq, to=to, command=_encode_request(request)))

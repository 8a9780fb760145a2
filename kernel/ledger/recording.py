"""A decision records events and folds each at once, so that its next line sees what any reader will fold; and it can take them back.

An event is encoded before it is folded (`kernel/values.py`): what the log can't hold is never part of a decision.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events.base import Envelope, Event
from flowledger.kernel import causes, limits, undo, values
from flowledger.kernel.expressions import Failure
from flowledger.kernel.fold import TRANSITIONS
from flowledger.kernel.ledger.facts import Facts
from flowledger.kernel.state import Partition

_encode_request = msgspec.json.Encoder(decimal_format="number").encode


#: where a decision was at a moment: lengths of undo, events, later and finished; seen, counter, open, bytes; the answer. `back` returns to it.
#: A plain tuple: each step of each token takes one
Mark = tuple[int, int, int, int, int, int, int, int, dict[str, Any]]


class Recording:
    """`answer` is what the caller gets; `later` are commands for this partition in a follow-up step."""

    __slots__ = (
        "about", "answer", "asked", "at", "bytes", "cause", "causes", "envelope", "envelopes", "events", "facts", "finished",
        "later", "prefix", "repeats", "request", "seen", "state", "steps_left", "touched", "values", "work",
    )  # fmt: skip

    def __init__(self, state: Partition, facts: Facts, envelope: Envelope, request: c.Request | None = None) -> None:
        self.state, self.facts, self.envelope, self.request = state, facts, envelope, request
        #: the envelope of the request; `envelope` is the one of the instance that events speak of at the moment, `about`
        self.asked, self.about = envelope, 0
        self.events: list[Event] = []
        #: the events as they go to the log
        self.values: list[bytes] = []
        self.envelopes: list[Envelope] = []
        self.prefix = avro.encode_envelope(envelope)
        self.bytes = 0
        self.work: deque[tuple[int, int]] = deque()
        self.answer: dict[str, Any] = {}
        self.later: list[c.AnyCommand] = []
        #: (instance, token) whose step sent the command of the same place in `later`
        self.causes: list[tuple[int, int]] = []
        #: (instance, scope) in which tokens moved: joins that wait there are looked at again
        self.touched: dict[tuple[int, int], None] = {}
        #: the caller's id, when this repeats an answer
        self.repeats = ""
        #: events that conditional events have looked at
        self.seen = 0
        #: instances that ended: (key, status, variables, message)
        self.finished: list[tuple[int, str, dict[str, Any], str]] = []
        #: the instance that is being moved, and its token: who suffers from what breaks here
        self.at = 0
        self.cause = (0, 0)
        self.steps_left = facts.steps_max

    def record(self, event: Event) -> None:
        """Raises: Failure for a value that the log can't hold; nothing is recorded then."""
        if event.key != self.about and event.key:
            self._speak_of(event.key)
        value = values.encode(event, self.prefix)
        if len(value) > self.facts.value_max:
            what = f"{type(event).__name__}: an event of {len(value)} bytes is too large; at most {self.facts.value_max} are taken"
            raise Failure("VALUE_INVALID", what)
        TRANSITIONS[type(event)](self.state, event, self.envelope)
        if event.key:
            self.state.changed.add(("instance", event.key))
        self.events.append(event)
        self.values.append(value)
        self.envelopes.append(self.envelope)
        self.bytes += len(value)

    def _speak_of(self, key: int) -> None:
        """What happens to another instance from here on is under its own tenant, correlation and trace."""
        self.about = key
        i = self.state.instances.get(key)
        envelope = self.asked if i is None else causes.about(i, self.asked)
        if envelope is not self.envelope:
            self.envelope, self.prefix = envelope, avro.encode_envelope(envelope)

    def for_request(self) -> None:
        """What follows is about the request, not about an instance."""
        self.envelope, self.prefix, self.about = self.asked, avro.encode_envelope(self.asked), 0

    def because(self, cause: str) -> None:
        """Why what follows happens, where one decision has several reasons."""
        self.asked = msgspec.structs.replace(self.asked, cause=cause)
        self.for_request()

    def mark(self) -> Mark:
        p = self.state
        assert p.undo is not None, "a decision that nobody can take back"
        return (
            len(p.undo), len(self.events), len(self.later), len(self.finished), self.seen, p.meta.counter, p.open, self.bytes, self.answer,
        )  # fmt: skip

    def back(self, to: Mark) -> None:
        """All that was recorded and asked for since `to` never was."""
        p = self.state
        steps, events, later, finished, self.seen, p.meta.counter, p.open, self.bytes, self.answer = to
        undo.roll_back(p, steps)
        del self.events[events:], self.values[events:], self.envelopes[events:]
        del self.later[later:], self.causes[later:], self.finished[finished:]
        self.work.clear()
        self.touched.clear()

    def key(self) -> int:
        """A new key; must be recorded in this decision."""
        meta = self.state.meta
        meta.counter += 1
        return (meta.partition << c.PARTITION_BITS) | meta.counter

    def follow(self, command: c.AnyCommand) -> None:
        """To be decided on this partition in a follow-up step of the same group (`Continue`: of a later one)."""
        self.later.append(command)
        self.causes.append(self.cause)

    def send(self, to: int, command: c.AnyCommand) -> None:
        """To the owner of partition `to`, exactly once. To this partition: in a follow-up step. Raises: Failure."""
        if to == self.state.meta.partition:
            self.follow(command)
            return
        seq = self.state.meta.sent.get(to, 0) + 1
        v = self.envelope
        request = c.Request(
            command=command, time_us=v.time_us, tenant=v.tenant, actor=v.actor, correlation=v.correlation, trace=v.trace,
            sender=self.state.meta.partition, seq=seq, instance=self.cause[0], token=self.cause[1],
            epoch=self.state.meta.definitions if type(command) in c.BY_DEFINITION else 0,
        )  # fmt: skip
        try:
            encoded = _encode_request(request)
        except Exception as e:
            values.check(msgspec.to_builtins(command), type(command).__name__)
            raise Failure("VALUE_INVALID", f"{type(command).__name__}: {values.clean(str(e))}") from None
        self.record(le.Outbound(seq=seq, to=to, command=encoded))

    def spent(self) -> bool:
        """The decision has done enough: what is left goes on in follow-ups."""
        return self.steps_left <= 0 or len(self.events) >= limits.EVENTS_MAX or self.bytes >= limits.BYTES_MAX

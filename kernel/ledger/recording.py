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
from flowledger.kernel import causes, limits, protection, undo, values
from flowledger.kernel.expressions import Failure
from flowledger.kernel.fold import TRANSITIONS
from flowledger.kernel.ledger.facts import Facts
from flowledger.kernel.state import Partition

SMALL = values.SMALL
#: event type -> its encoder and its fold
_WAYS = {cls: (avro.ENCODERS[cls], fold) for cls, fold in TRANSITIONS.items()}
_encode_request = msgspec.json.Encoder(decimal_format="number").encode


#: who sent something: (instance, token), and the envelope under which it was sent
Cause = tuple[tuple[int, int], Envelope]
#: where a decision was at a moment: lengths of undo and events, counter, bytes. `back` returns to it. A plain tuple: each step of each token takes one
Mark = tuple[int, int, int, int]
_NOBODY = (0, 0)


class Recording:
    """`answer` is what the caller gets; `later` are commands for this partition: in the same step, or put off (`kernel/putoff.py`)."""

    # one is made for each command, and each event reads and writes several
    __slots__ = (
        "about", "answer", "applying", "asked", "asked_prefix", "at", "bytes", "cause", "causes", "counted", "envelope", "events", "facts", "finished",
        "later", "prefix", "repeats", "request", "said", "seen", "state", "steps_left", "subject", "touched", "values", "work",
    )  # fmt: skip

    def __init__(self, state: Partition, facts: Facts, envelope: Envelope, request: c.Request | None = None) -> None:
        self.state, self.facts, self.request = state, facts, request
        #: of the instance that events speak of at the moment; `asked` is that of the request
        self.envelope = self.asked = envelope
        self.prefix = self.asked_prefix = avro.encode_envelope(envelope)
        #: of all events; and those that are counted for an instance
        self.bytes = self.counted = 0
        #: the instance that events speak of, and the one that was spoken of last
        self.about = self.subject = 0
        #: events that conditional events have looked at
        self.seen = 0
        #: the instance that is being moved, and its token: who suffers from what breaks here
        self.at = 0
        self.cause = _NOBODY
        #: the instance of which something kept is being applied
        self.applying = 0
        #: the caller's id, when this repeats an answer
        self.repeats = ""
        self.events: list[Event] = []
        #: the events as they go to the log
        self.values: list[bytes] = []
        #: (number of an event, envelope from it on)
        self.said: list[tuple[int, Envelope]] = [(0, envelope)]
        self.work: deque[tuple[int, int]] = deque()
        self.answer: dict[str, Any] = {}
        self.later: list[c.AnyCommand] = []
        #: of the command of the same place in `later`: (instance, token) whose step sent it, and what was spoken of then
        self.causes: list[Cause] = []
        #: (instance, scope) in which tokens moved: joins that wait there are looked at again
        self.touched: dict[tuple[int, int], None] = {}
        #: instances that ended: (key, status, variables, message)
        self.finished: list[tuple[int, str, dict[str, Any], str]] = []
        self.steps_left = facts.steps_max

    def record(self, event: Event) -> None:
        """Raises: Failure for a value that the log can't hold; nothing is recorded then."""
        key = event.key
        if key != self.about and key:
            self._speak_of(key)
        if (hidden := self.state.protection) and (names := hidden.get(self.envelope.tenant)) is not None:
            event = protection.guarded(self, event, names)
        encode, fold = _WAYS[type(event)]
        try:
            value = encode(event, self.prefix)
        except Exception as e:
            raise values.unfit(event, e) from None
        if (size := len(value)) > SMALL:
            values.bounded(event, value, self.facts.value_max)
        fold(self.state, event, self.envelope)
        self.events.append(event)
        self.values.append(value)
        self.bytes += size

    def _speak_of(self, key: int) -> None:
        """What happens to another instance from here on is under its own tenant, correlation and trace; its image is out of date."""
        self.about = key
        p, envelope = self.state, self.asked
        p.changed.add(("instance", key))
        i = p.instances.get(key)
        if i is not None:
            self.subject = key
            if i.trace or i.correlation or i.tenant != envelope.tenant:
                envelope = causes.about(i, envelope)
        if envelope is not self.envelope:
            self._speak(envelope, self.asked_prefix if envelope is self.asked else avro.encode_envelope(envelope))

    def for_request(self) -> None:
        """What follows is about the request, not about an instance."""
        self.about = 0
        if self.envelope is not self.asked:
            self._speak(self.asked, self.asked_prefix)

    def _speak(self, envelope: Envelope, prefix: bytes) -> None:
        self.envelope, self.prefix = envelope, prefix
        self.said.append((len(self.events), envelope))

    def speak_as(self, envelope: Envelope) -> None:
        """What follows is said under this one, until an instance is spoken of."""
        self.about = -1
        if envelope is not self.envelope:
            self._speak(envelope, self.asked_prefix if envelope is self.asked else avro.encode_envelope(envelope))

    @property
    def envelopes(self) -> list[Envelope]:
        """Of each event."""
        ends = [n for n, _ in self.said[1:]] + [len(self.events)]
        return [envelope for (start, envelope), end in zip(self.said, ends, strict=True) for _ in range(start, end)]

    def because(self, cause: str) -> None:
        """Why what follows happens, where one decision has several reasons."""
        self.ask_as(msgspec.structs.replace(self.asked, cause=cause))

    def ask_as(self, asked: Envelope) -> None:
        """What follows is as if this had been the request's."""
        self.asked, self.asked_prefix = asked, avro.encode_envelope(asked)
        self.for_request()

    def mark(self) -> Mark:
        p = self.state
        assert p.undo is not None, "a decision that nobody can take back"
        return len(p.undo), len(self.events), p.meta.counter, self.bytes

    def back(self, to: Mark) -> None:
        """All that was recorded and asked for since `to` never was; the answer is whoever asks' to set anew."""
        p = self.state
        steps, events, p.meta.counter, self.bytes = to
        undo.roll_back(p, steps)
        del self.events[events:], self.values[events:]
        self.seen, self.about, self.counted = min(self.seen, events), -1, min(self.counted, self.bytes)
        self.said = [(n, envelope) for n, envelope in self.said if n < events]
        self._speak(self.envelope, self.prefix)
        self.work.clear()
        self.touched.clear()

    def key(self) -> int:
        """A new key; must be recorded in this decision."""
        meta = self.state.meta
        meta.counter += 1
        return (meta.partition << c.PARTITION_BITS) | meta.counter

    def follow(self, command: c.AnyCommand) -> None:
        """To be decided on this partition: in this step, if it can be; a `Continue` in a later one. Many of them count by their bytes, as long as they
        wait: they go to the log if they are put off."""
        undo.append(self.state, self.later, command)
        undo.append(self.state, self.causes, (self.cause, self.envelope))
        if len(self.later) > limits.FOLLOW_UPS_FREE:
            self.bytes += weight(command)

    def finish(self, key: int, status: str, variables: dict[str, Any], message: str) -> None:
        """An instance, or a task without one, has ended: whoever waits for it is told once that is on the log."""
        undo.append(self.state, self.finished, (key, status, variables, message))

    def send(self, to: int, command: c.AnyCommand) -> None:
        """To the owner of partition `to`, exactly once. To this partition: see `follow`. Raises: Failure."""
        if (key := self.cause[0]) != self.about and (i := self.state.instances.get(key)) is not None and i.tenant != self.envelope.tenant:
            self._speak_of(key)  # the first thing that its step does, where one decision is about several tenants
        if to == self.state.meta.partition:
            self.follow(command)
        else:
            self.write(to, command, self.cause)

    def write(self, to: int, command: c.AnyCommand, cause: tuple[int, int]) -> None:
        """A numbered send stands on the log. Raises: Failure."""
        seq = self.state.meta.sent.get(to, 0) + 1
        v = self.envelope
        if (hidden := self.state.protection) and (names := hidden.get(v.tenant)) is not None:
            command = protection.sent(self, command, names)
        request = c.Request(
            command=command, time_us=v.time_us, tenant=v.tenant, actor=v.actor, correlation=v.correlation, trace=v.trace,
            sender=self.state.meta.partition, seq=seq, instance=cause[0], token=cause[1],
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


def weight(command: c.AnyCommand) -> int:
    """Bytes of a command, as far as it can be written at all."""
    try:
        return len(_encode_request(command))
    except Exception:
        return 0

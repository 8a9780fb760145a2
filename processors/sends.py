"""What a partition sends to others, and takes from them. Pure: `now` comes from the caller.

What a partition sends to itself goes nowhere: it is taken from its own state (`kernel/putoff.py`).
A send to another goes out once its group is on the log, and again until its receiver has confirmed it. The receiver takes the next number only, drops all
else, and confirms the highest number that its counted groups took: by a `Confirm` that has no number of its own, so that it may get lost.
Source: `docs/log-protocol.md`, "Across partitions".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from flowledger.events import commands as c
from flowledger.events import requests
from flowledger.kernel import Partition
from flowledger.processors.effects import Send
from flowledger.processors.log import Group, Header

#: a pair of partitions gets five confirmations a second at the most, each speaks for many sends (microseconds)
CONFIRM_US = 200_000
#: what is not confirmed is sent again after this time, then after twice as long, up to the last (microseconds)
RESEND_US, RESEND_MOST_US = 500_000, 8_000_000
#: sends to one partition that are repeated at once
RESEND_MAX = 500
NEVER = 1 << 62

#: headers of a send: the partition that it is from, its number, and whose it is
FROM, SEQ, INSTANCE, TOKEN = "from", "seq", "instance", "token"


_encode = msgspec.json.Encoder(decimal_format="number").encode


class Sends:
    """Both ends, for one claim."""

    def __init__(self, state: Partition) -> None:
        self._state, self._me = state, state.meta.partition
        #: highest send to each partition whose group is on the log; what is behind it may not go out yet
        self._out: dict[int, int] = dict(state.meta.sent)
        #: partition -> (when what is unconfirmed goes again, how long to wait after that)
        self._again: dict[int, tuple[int, int]] = dict.fromkeys((to for to, _ in state.outbox), (0, RESEND_US))
        self._again.pop(self._me, None)
        #: highest send from each partition that a group on the log took
        self._taken: dict[int, int] = dict(state.meta.taken)
        #: partition -> when it is told how far its sends were taken
        self._confirm: dict[int, int] = {}
        #: partition -> when it was told last
        self._told: dict[int, int] = {}

    # --- as sender

    def landed(self, sends: Sequence[tuple[int, int, bytes]], now: int) -> list[Send]:
        """The group that says so is on the log: out they go."""
        by_partition: dict[int, list[tuple[int, bytes]]] = {}
        for to, seq, command in sends:
            if to == self._me:
                continue
            self._out[to] = max(seq, self._out.get(to, 0))
            by_partition.setdefault(to, []).append((seq, command))
            self._again.setdefault(to, (now + RESEND_US, RESEND_US))
        return [self._send(to, some) for to, some in by_partition.items()]

    def confirmed(self, e: c.Confirm, before: int, now: int) -> list[Send]:
        """The receiver took all up to `e.seq`; before it had confirmed up to `before`. What it should have and doesn't is filled in."""
        if e.to == self._me:
            return []
        if e.seq > before:
            if self._out.get(e.to, 0) > e.seq:
                self._again[e.to] = (now + RESEND_US, RESEND_US)
            else:
                self._again.pop(e.to, None)
            return []
        if e.seq == before and e.to in self._again:
            at, wait = self._again[e.to]
            self._again[e.to] = (min(at, now), wait)  # it asks for what comes next
        elif e.seq < before:  # taken for arrived by a release that asked no receiver, and lost: an empty send takes its number
            filler = c.Confirm(to=e.to, seq=0)
            lost = range(e.seq + 1, min(before, e.seq + RESEND_MAX) + 1)
            return [self._send(e.to, [(seq, _encode(c.Request(command=filler, sender=self._me, seq=seq))) for seq in lost])]
        return []

    # --- as receiver

    def took(self, inbound: dict[int, int], now: int, urgent: Collection[int] = ()) -> None:
        """A group that takes these is on the log. `urgent`: who waits for the confirmation."""
        for sender, seq in inbound.items():
            self._taken[sender] = max(seq, self._taken.get(sender, 0))
            self.asked(sender, now)
        for sender in urgent:
            if sender != self._me:
                self._confirm[sender] = now

    def asked(self, sender: int, now: int) -> None:
        """It sent what was taken already, or what comes too early: it is told how far we are."""
        if sender not in self._confirm and sender != self._me:
            self._confirm[sender] = max(now, self._told.get(sender, 0) + CONFIRM_US)

    # --- in time

    def due(self, now: int) -> list[Send]:
        out = []
        for to, at in list(self._confirm.items()):
            if at <= now:
                del self._confirm[to]
                self._told[to] = now
                confirm = c.Request(command=c.Confirm(to=self._me, seq=self._taken.get(to, 0)))
                out.append(Send(to, Group([None], [_encode(confirm)], ((FROM, b"%d" % self._me),))))
        for to, (at, wait) in list(self._again.items()):
            if at > now:
                continue
            first, last = self._state.meta.confirmed.get(to, 0) + 1, self._out.get(to, 0)
            left = [
                (seq, s)
                for seq in range(first, min(last, first + RESEND_MAX - 1) + 1)
                if (s := self._state.outbox.get((to, seq))) is not None
            ]
            if not left:
                del self._again[to]
                continue
            self._again[to] = (now + wait, min(wait * 2, RESEND_MOST_US))
            out.append(self._send(to, left))
        return out

    def next_at(self) -> int:
        if not self._confirm and not self._again:
            return NEVER
        return min(min(self._confirm.values(), default=NEVER), min((at for at, _ in self._again.values()), default=NEVER))

    def _send(self, to: int, some: Sequence[tuple[int, bytes]]) -> Send:
        me: Header = (FROM, b"%d" % self._me)
        return Send(to, Group([None] * len(some), [s for _, s in some], each=[(me, (SEQ, b"%d" % seq), *_for_whom(s)) for seq, s in some]))


def _for_whom(sent: bytes) -> tuple[Header, ...]:
    """So that a receiver who can't read it knows whom to tell."""
    instance, token = requests.asks_of(sent)
    return ((INSTANCE, b"%d" % instance), (TOKEN, b"%d" % token)) if instance else ()

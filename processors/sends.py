"""What an owner sends to other partitions: after its group is on the log, in order, again and again until it is confirmed.

Source: `docs/log-protocol.md`, "Across partitions"; the receiver takes the next number only, and drops all else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from flowledger.kernel import Partition
from flowledger.processors.log import COMMANDS, Group, Log, LogError

#: confirmations of sends are put off this long, so that one speaks for many (seconds)
CONFIRM_S = 0.2
#: a send that failed is tried again after this time (seconds)
RESEND_S = 0.5


class Sends:
    """The sends of one claim. `confirm(to, seq)`: all up to `seq` are on the log of partition `to`."""

    def __init__(self, log: Log, partition: int, state: Partition, confirm: Callable[[int, int], None]) -> None:
        self._log, self._partition, self._state, self._confirm = log, partition, state, confirm
        self._open = True
        #: highest seq whose group is on the log; what is behind it may not be sent yet
        self._dispatched: dict[int, int] = dict(state.meta.sent)
        self._sent_ok: dict[int, int] = dict(state.meta.confirmed)
        self._confirming: set[int] = set()
        self._doubtful: set[int] = {to for to, _ in state.outbox}

    def close(self) -> None:
        """The owner stepped down: nothing is confirmed any more."""
        self._open = False

    def send(self, to: int, seq: int, command: bytes) -> None:
        """Its group is on the log."""
        self._dispatched[to] = seq
        self._send(to, seq, command)

    def _send(self, to: int, seq: int, command: bytes) -> None:
        try:
            future = self._log.submit(COMMANDS, to, Group([None], [command], (("from", b"%d" % self._partition), ("seq", b"%d" % seq))))
        except LogError:
            self._doubtful.add(to)
            return
        future.add_done_callback(lambda f: self._sent(f, to, seq))

    def _sent(self, future: asyncio.Future[Any], to: int, seq: int) -> None:
        if future.cancelled():
            return
        if future.exception() is not None:
            self._doubtful.add(to)
        elif self._open and seq == self._sent_ok.get(to, self._state.meta.confirmed.get(to, 0)) + 1:
            self._sent_ok[to] = seq
            if to not in self._confirming:
                self._confirming.add(to)
                asyncio.get_running_loop().call_later(CONFIRM_S, self._confirm_to, to)

    def _confirm_to(self, to: int) -> None:
        self._confirming.discard(to)
        if self._open:
            self._confirm(to, self._sent_ok[to])

    async def resend(self) -> None:
        """After a take-over, and when a send failed: what is not confirmed goes again, in order; the receiver drops what it has."""
        outbox = self._state.outbox
        while True:
            doubtful, self._doubtful = self._doubtful, set()
            for to in sorted(doubtful):
                at = self._sent_ok.get(to, 0)
                for seq in sorted(seq for t, seq in outbox if t == to and seq > at):
                    if (command := outbox.get((to, seq))) is not None and seq <= self._dispatched.get(to, 0):
                        self._send(to, seq, command)
            await asyncio.sleep(RESEND_S)

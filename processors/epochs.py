"""Epochs of definitions at one partition: what must hear of one first waits here, and so do the answers of those who changed a definition. Pure.

One rule: whoever asks for something by a definition says which epoch it knows of (`Request.epoch`); a partition that has not heard of that one puts
the request aside until it has. Partition 0 answers a change when all others have confirmed what it told them. Both waits are bounded.
Source: docs/decisions/0007.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import Partition
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers import removal
from flowledger.processors.flight import NEVER, Pending, Reply, Spread

#: the longest that a request waits for its epoch, and a change for the partitions (microseconds)
WAIT_US = 5_000_000
#: epochs that are waited for at once
EPOCHS_MAX = 64


class Epochs:
    """Of one claim. `end`: of `commands` when the partition was taken over; what stands before it may tell of definitions."""

    def __init__(self, state: Partition, source: int, end: int, now: int) -> None:
        self._state = state
        self._alone = state.meta.partitions == 1
        self._read, self._end = source, end if state.meta.partition and not self._alone else 0
        self._until = now + WAIT_US
        #: those that wait
        self.held: list[Pending] = []
        #: of those: sends (sender, number), and how many came by the topic from callers
        self._sends: set[tuple[int, int]] = set()
        self._callers = 0
        #: some wait until what stood on the topic at take-over is read
        self._early = False
        #: epoch that is waited for -> since when
        self._since: dict[int, int] = {}
        self._heard = state.meta.definitions
        self._told: list[Spread] = []

    # --- in: requests that wait

    @property
    def floor(self) -> int:
        """No command behind it counts as consumed: before the first that waits and would not be sent again."""
        return min((p.offset - 1 for p in self.held if p.offset >= 0 and p.request.sender < 0), default=NEVER) if self._callers else NEVER

    @property
    def gated(self) -> bool:
        """Whether each command is to be looked at; else only those of a later epoch."""
        return bool(self.held) or self._read + 1 < self._end

    def holds(self, pending: Pending, now: int) -> bool | Rejected:
        """Whether it waits; or why it can't any longer. What comes by the topic keeps its order: behind a caller's command that waits,
        only what is taken once anyway (sends, confirmations) goes on."""
        request, offset = pending.request, pending.offset
        self._read = max(self._read, offset)
        sender = request.sender
        if sender == self._state.meta.partition:  # it knew of that epoch when it sent it
            return False
        if self.held and offset >= 0 and type(request.command) is not c.Confirm:
            if sender < 0 and self._callers:
                return self._hold(pending)
            if any(s == sender for s, _ in self._sends):
                return self._hold(pending)
        if request.epoch > self._state.meta.definitions and sender != 0:
            since = self._since.get(request.epoch, now)
            if now - since < WAIT_US and (request.epoch in self._since or len(self._since) < EPOCHS_MAX):
                self._since[request.epoch] = since
                return self._hold(pending)
            return sender < 0 and self._late(request.epoch)  # of a send its sender is told in the decision's own words
        if offset < 0 and self._catching_up(now) and type(request.command) in c.BY_DEFINITION:
            self._early = True
            return self._hold(pending)
        return False

    def _catching_up(self, now: int) -> bool:
        return self._read + 1 < self._end and now < self._until

    def _late(self, epoch: int) -> Rejected:
        me, heard = self._state.meta.partition, self._state.meta.definitions
        text = f"partition {me} has not heard of the definitions of epoch {epoch} within {WAIT_US / 1e6:g} s, it knows those of {heard}: try again"
        return Rejected(RejectionCode.UNAVAILABLE, text, 1000)

    def _hold(self, pending: Pending) -> bool:
        request = pending.request
        if request.sender >= 0:
            if (name := (request.sender, request.seq)) in self._sends:
                return True  # it came again
            self._sends.add(name)
        elif pending.offset >= 0:
            self._callers += 1
        self.held.append(pending)
        return True

    def go_on(self, now: int) -> list[Pending]:
        """Those that need not wait any longer, or can't: all are looked at anew, in their order."""
        if not self.held:
            return []
        heard = self._state.meta.definitions
        if heard == self._heard and now < self._give_up_at() and not (self._early and not self._catching_up(now)):
            return []
        self._heard, self._early = heard, False
        for epoch in [e for e in self._since if e <= heard]:
            del self._since[epoch]
        out, self.held = self.held, []
        self._sends.clear()
        self._callers = 0
        return out

    # --- out: answers that wait

    def tells(self, command: Any, made: Decision, reply: Reply) -> Spread | None:
        """The answer of a change, which waits until all have heard of it; None: nobody else is there."""
        if self._alone or type(command) not in c.CHANGES:
            return None
        removing = command.key if type(command) is c.ChangeDefinition and made.answer.get("status") == removal.DELETING else 0
        told = Spread(reply, {**made.answer, "epoch": self._state.meta.definitions}, dict(self._state.meta.sent), removing)
        if removing and removal.under_way(self._state, removing) is None:  # asked again, with the same id
            found = self._state.definitions[removing]
            self._resolve(told, None if found.deleted else removal.refusal(removing, []))
        return told

    def landed(self, told: Spread, position: str, now: int) -> None:
        """It is on the log."""
        if position:
            told.answer["position"] = position
        told.until_us = now + WAIT_US
        self._told.append(told)

    def counted(self, definition: int, refused: str, position: str) -> None:
        """On the log is what came of a deletion."""
        for told in self._told:
            if told.removing == definition:
                told.answer["position"] = position
                told.needs = dict(self._state.meta.sent)
                self._resolve(told, Rejected(RejectionCode.INVALID_STATE, refused) if refused else None)

    def _resolve(self, told: Spread, refused: Rejected | None) -> None:
        told.removing, told.refused = 0, refused
        told.answer["epoch"] = self._state.meta.definitions
        if refused is None:
            told.answer["status"] = "deleted"

    def answers(self, now: int) -> list[tuple[Reply, Any]]:
        """Those for which all have heard, or time is up."""
        out: list[tuple[Reply, Any]] = []
        if self._told:
            still = []
            for told in self._told:
                away = self._away(told)
                if not away:
                    out.append((told.reply, told.refused or told.answer))
                elif now >= told.until_us:
                    out.append((told.reply, told.refused or {**told.answer, "waiting": away}))
                else:
                    still.append(told)
            self._told = still
        return out

    def _away(self, told: Spread) -> list[int]:
        if told.removing:
            noted = removal.under_way(self._state, told.removing)
            return list(noted["uncounted"]) if noted is not None else [self._state.meta.partition]
        confirmed = self._state.meta.confirmed
        me = self._state.meta.partition  # what it sent to itself is no news
        return [q for q, seq in sorted(told.needs.items()) if confirmed.get(q, 0) < seq and q != me]

    # --- both

    def next_at(self) -> int:
        return min(min((t.until_us for t in self._told), default=NEVER), self._give_up_at())

    def _give_up_at(self) -> int:
        heard, since = self._state.meta.definitions, self._since
        ends = (since[e] + WAIT_US for p in self.held if (e := p.request.epoch) > heard and e in since)
        return min(min(ends, default=NEVER), self._until if self._early else NEVER)

    def ended(self) -> Sequence[Reply]:
        """Whoever waits at the end of this claim. What came by the topic is read again."""
        return [*(p.reply for p in self.held if p.reply is not None and p.offset < 0), *(t.reply for t in self._told)]

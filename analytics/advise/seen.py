"""What advice is read from: each piece of work of the instances that ended, when it was made, begun, tried and done; and the plan that simulations learn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from flowledger.analytics.simulate.learned import History
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events.base import Event

#: status of work that a person has in hand
_IN_HAND = ("started", "in_progress")
#: attempts of one piece of work that are looked at
TRIES_MAX = 50


class Piece:
    """`hands`: from when to when it was in hand. `tries`: (end, code) of each attempt, the code empty where it succeeded. `stopped`: an incident was raised at
    it. `ended_us` 0: it wasn't done."""

    __slots__ = (
        "accepted_us",
        "created_us",
        "element",
        "ended_us",
        "groups",
        "hand_us",
        "hands",
        "instance",
        "job_type",
        "stopped_us",
        "tries",
    )

    def __init__(self, instance: int, element: str, job_type: str, groups: tuple[str, ...], created_us: int) -> None:
        self.instance, self.element, self.job_type, self.groups, self.created_us = instance, element, job_type, groups, created_us
        self.accepted_us = self.hand_us = self.ended_us = self.stopped_us = 0
        self.hands: list[tuple[int, int]] = []
        self.tries: list[tuple[int, str]] = []

    @property
    def begun_us(self) -> int:
        return self.hands[0][0] if self.hands else self.ended_us

    @property
    def waited_us(self) -> int:
        """Until it was in hand for the first time."""
        return max(0, self.begun_us - self.created_us)

    @property
    def worked_us(self) -> int:
        return sum(to - since for since, to in self.hands)

    @property
    def queue(self) -> tuple[str, ...]:
        """Who works on it: those of its groups, else the workers of its job type, else whoever does the element."""
        return ("group", *self.groups) if self.groups else ("job", self.job_type) if self.job_type else ("element", self.element)

    def _down(self, us: int) -> None:
        if self.hand_us:
            self.hands.append((self.hand_us, us))
            self.hand_us = 0

    def told(self, e: Event, us: int) -> None:
        """What an event says of it."""
        kind = type(e)
        if kind is ta.TaskLeased:
            self.hand_us = self.hand_us or us
        elif kind is ta.TaskReturned:
            self.hand_us = 0
        elif kind is ta.TaskTimedOut or kind is ta.TaskFailed:
            self._tried(us, getattr(e, "code", "") or ("TIMED_OUT" if kind is ta.TaskTimedOut else "FAILED"))
        elif kind is ta.TaskCompleted:
            if not self.hand_us and not self.hands and self.accepted_us:
                self.hand_us = self.accepted_us
            self._tried(us, "")
            self.ended_us = us
        elif isinstance(e, ta.TaskChanged):
            if kind is ta.TaskAccepted:
                self.accepted_us = us
            if e.status in _IN_HAND:
                self.hand_us = self.hand_us or us
            elif not self.job_type:
                self._down(us)

    def _tried(self, us: int, code: str) -> None:
        self._down(us)
        if len(self.tries) < TRIES_MAX:
            self.tries.append((us, code))


class Seen(History):
    """`add` each instance; `pieces`: its work that was done."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[Piece] = []
        self._instances = 0

    @property
    def instances(self) -> int:
        return self._instances

    def add(self, events: Iterable[tuple[Event, int]]) -> None:
        every = list(events)
        super().add(every)
        self._instances += 1
        open_: dict[int, Piece] = {}
        for e, us in every:
            if isinstance(e, ta.TaskCreated):
                if not e.listener:
                    open_[e.task] = Piece(self._instances, e.element, e.job_type, _groups(e.details), us)
            elif isinstance(e, wa.IncidentRaised):
                if (piece := open_.get(e.task)) is not None:
                    piece.stopped_us = piece.stopped_us or us
            else:
                tasks: Sequence[int] = getattr(e, "tasks", None) or ((e.task,) if hasattr(e, "task") else ())
                for task in tasks:
                    if (piece := open_.get(task)) is not None:
                        piece.told(e, us)
        self.pieces += (p for p in open_.values() if p.ended_us)

    def queues(self) -> dict[tuple[str, ...], list[Piece]]:
        """By who works on it."""
        found: dict[tuple[str, ...], list[Piece]] = defaultdict(list)
        for p in self.pieces:
            found[p.queue].append(p)
        return found


def _groups(details: Any) -> tuple[str, ...]:
    groups = details.get("candidate_groups") if isinstance(details, dict) else None
    return tuple(sorted(g for g in groups if isinstance(g, str)))[:20] if isinstance(groups, list) else ()

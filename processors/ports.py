"""What an owner needs of those around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from flowledger.events import commands as c
from flowledger.events.base import Broken
from flowledger.kernel.state import Lane


class Observer(Protocol):
    """Hears what owners do; once for each group, so that it costs little."""

    #: whether it wants the traces of commands
    tracing: bool

    def group(self, partition: int, commands: int, events: int, size: int) -> None: ...
    def decided(self, kinds: dict[str, int]) -> None: ...
    def appended(self, partition: int, seconds: float, names: dict[str, int], traces: Sequence[str] = ()) -> None: ...
    def rejected(self, command: str, code: str) -> None: ...
    def fenced(self, partition: int) -> None: ...
    def took_over(self, partition: int, seconds: float) -> None: ...
    def dead_letter(self, reason: str) -> None: ...
    def broken(self, command: str, broken: Broken) -> None: ...


class Poller(Protocol):
    """Somebody who waits for jobs. `deliver` gets the answer or the refusal of each `request` that was decided on, once."""

    def request(self) -> c.Request: ...
    def deliver(self, answer: Any) -> None: ...


class Pollers(Protocol):
    """Who waits for jobs of which type, in turn."""

    def next_for(self, lane: Lane) -> Any | None:
        """A `Poller` that still takes jobs."""

    def waiting(self, lane: Lane) -> int:
        """How many wait, those included that take no more by now."""

    def taken(self, poller: Any, jobs: list[dict[str, Any]]) -> None:
        """These were leased to it; `deliver` says that it is on the log, or that nobody knows."""

    def attach(self, owner: Any) -> None: ...
    def detach(self, owner: Any) -> None: ...

"""The port by which APIs, gateways and workers talk to owners, in this process or elsewhere."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from flowledger.events.base import Recorded, Rejected, RejectionCode
from flowledger.events.commands import AnyCommand, Origin, Request
from flowledger.kernel.access.rights import ANY_TENANT

#: what `Caller.trace` may be, beside empty (W3C Trace Context, 3.2)
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Unauthenticated(PermissionError):
    """Who asks is not known; a plain PermissionError: they are, and may not."""


class Caller:
    """Who asks. `tenant`, `actor`, `correlation` and `trace` go to the envelope of each event that follows; `groups` and `rights`
    (`kernel/access/rights.py`) are looked at by the gate. `tenants`: those that it may act for; None: nobody has signed in, and nobody knows.
    `origin`: from where, of what is an operation (`kernel/operations.py`)."""

    __slots__ = ("actor", "correlation", "groups", "origin", "rights", "tenant", "tenants", "trace")

    def __init__(
        self,
        actor: str = "",
        tenant: str = "",
        correlation: str = "",
        trace: str = "",
        groups: list[str] | None = None,
        rights: list[str] | None = None,
        tenants: list[str] | None = None,
        origin: Origin | None = None,
    ) -> None:
        self.actor, self.tenant, self.correlation, self.trace = actor, tenant, correlation, trace
        self.groups, self.rights, self.tenants, self.origin = groups, rights, tenants, origin


NOBODY = Caller()
#: the engine itself, for whatever tenant
ENGINE = Caller(rights=[ANY_TENANT])

#: What a command is answered with: the answer's keys (see the command's docstring) plus `position` (`{partition: end offset}` text
#: `"p-offset"` of the last event that it caused, `""` when none), or why not.
Answer = dict[str, Any] | Rejected


def request_of(command: AnyCommand, caller: Caller, id: str = "", cause: str = "", epoch: int = 0, plan: str = "") -> Request:
    return Request(
        command=command, id=id, tenant=caller.tenant, actor=caller.actor, correlation=caller.correlation, trace=caller.trace, cause=cause,
        groups=caller.groups, rights=caller.rights, epoch=epoch, plan=plan, origin=caller.origin,
    )  # fmt: skip


async def within(answer: asyncio.Future[Answer], timeout_s: float) -> Answer:
    try:
        async with asyncio.timeout(timeout_s):  # `wait_for` of Python 3.11 swallows a cancellation that comes with the answer
            return await answer
    except TimeoutError:
        text = f"no answer within {timeout_s} s; whether it happened is open: ask, or send it again with the same id"
        return Rejected(RejectionCode.DEADLINE_EXCEEDED, text)


class Client(Protocol):
    """Commands in, answers out. Answers come only after the events are on the log."""

    partitions: int

    # fmt: off
    async def call(
        self, command: AnyCommand, caller: Caller = NOBODY, *, id: str = "", partition: int | None = None, timeout_s: float = 30.0,
        plan: str = "",
    ) -> Answer:
        """Route by key, correlation key, or evenly (starts), and wait for the answer.

        Args:
            id: idempotency key: a repeated one gets the first answer.
            partition: only to override routing.
            plan: see `Request`.
        A time-out is `Rejected(DEADLINE_EXCEEDED)`: whether it happened is open; the same `id` may be sent again.
        """

    # fmt: on
    async def activate(
        self,
        job_type: str,
        worker: str,
        max_jobs: int,
        timeout_ms: int,
        wait_ms: int = 0,
        fetch: Sequence[str] | None = None,
        caller: Caller = NOBODY,
    ) -> list[dict[str, Any]]:
        """Lease jobs on any partition; waits up to `wait_ms` for the first. Jobs are dicts as in interfaces.md `/jobs/activate`, with int keys."""

    def stream(
        self, job_type: str, worker: str, timeout_ms: int, fetch: Sequence[str] | None = None, credit: int = 256, caller: Caller = NOBODY
    ) -> JobStream:
        """Jobs pushed in batches as soon as they are leased."""

    def events(self, positions: dict[int, int] | None = None) -> AsyncIterator[list[Recorded]]:
        """Counted events of all partitions from `positions` (`{partition: next offset}`; None: from now on), then live; one partition per batch."""

    async def ends(self) -> dict[int, int]:
        """partition -> the offset of its next event. Raises: LogError."""

    async def event(self, partition: int, offset: int) -> Recorded | None:
        """The event there, of whom it is known that it counts; None: it is on the log no more. Raises: LogError."""

    def definition(self, key: int) -> dict[str, Any] | None:
        """What a definition is (fields of `DefinitionCreated` plus `key` and `status`), from the fold. None: not known here."""

    def health(self) -> dict[str, Any]:
        """`{"ready": bool, "reasons": [...], "partitions": {p: {"epoch": .., "position": ..}}}`."""


class JobStream(Protocol):
    def __aiter__(self) -> AsyncIterator[list[dict[str, Any]]]: ...

    def credit(self, more: int) -> None:
        """The consumer can take `more` jobs."""

    async def close(self) -> None: ...

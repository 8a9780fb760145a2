"""What the handlers work with: the client of the owners, the projections' queries, settings and telemetry."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from litestar.connection import ASGIConnection

from flowledger.api.edge import position_of
from flowledger.api.problems import Problem, problem_of
from flowledger.api.reads import Reads
from flowledger.events.base import Rejected, RejectionCode
from flowledger.events.commands import Command, StartInstance, partition_of_key, partition_of_text
from flowledger.infra.settings import Settings
from flowledger.infra.telemetry import Telemetry
from flowledger.processors.client import Answer, Caller, Client

FRESH_KEYS_MAX = 100_000
#: by then every partition has heard of a deployment
SPREAD_S = 3.0


class Services:
    """One of each, made in `flowledger.__main__`."""

    def __init__(self, client: Client, reads: Reads, settings: Settings, telemetry: Telemetry | None = None) -> None:
        self.client, self.reads, self.settings = client, reads, settings
        self.telemetry = telemetry or Telemetry()
        #: who a request is from; an authenticator takes its place
        self.identify: Callable[[ASGIConnection[Any, Any, Any, Any]], Caller] = caller_from_headers
        #: set when the server is going down: long polls and subscriptions end
        self.closing = asyncio.Event()
        #: who works on what, on this node (`api/workers.py`); None: nobody asks
        self.workers: Any = None
        self.subscribers = 0
        self._fresh: OrderedDict[int, str] = OrderedDict()
        #: definition key or id -> when it was deployed through this node
        self._deployed: dict[int | str, float] = {}

    async def call(self, command: Command, connection: Any, *, wait_ms: int = 0, partition: int | None = None) -> dict[str, Any]:
        """The answer, or `Problem`. `Idempotency-Key` makes a repeated request get the first answer."""
        caller = self.identify(connection)
        id = connection.headers.get("idempotency-key", "")
        if len(id) > 200:
            raise Problem("MALFORMED", f"at most 200 characters, found {len(id)}", where="header Idempotency-Key")
        if id and caller.tenant:
            id = f"{caller.tenant}/{id}"
        timeout_s = (wait_ms or self.settings.command_timeout_ms) / 1000
        if wait_ms and getattr(command, "wait", False):
            answer = await self._attached(command, caller, id, partition, timeout_s)
        else:
            answer = await self.client.call(command, caller, id=id, partition=partition, timeout_s=timeout_s)
        outcome = answer.code if isinstance(answer, Rejected) else "ok"
        self.telemetry.metrics.http_commands.labels(type(command).__name__, outcome).inc()
        if isinstance(answer, Rejected):
            raise problem_of(answer)
        return answer

    async def _attached(self, command: Command, caller: Caller, id: str, partition: int | None, timeout_s: float) -> Answer:
        """Wait for the end of what `command` begins, also when the owner changes meanwhile: the same id, asked again, meets the same instance."""
        if not id:
            id, partition = f"wait/{uuid.uuid4()}", None
        if partition is None:
            partition = partition_of_text(id, self.client.partitions)
        deadline = time.monotonic() + timeout_s
        while True:
            answer = await self.client.call(command, caller, id=id, partition=partition, timeout_s=timeout_s)
            if not isinstance(answer, Rejected) or answer.code != RejectionCode.UNAVAILABLE or time.monotonic() + 0.05 > deadline:
                return answer
            await asyncio.sleep(min(max(answer.retry_after_ms, 20) / 1000, 0.5))
            timeout_s = max(0.0, deadline - time.monotonic())

    async def start(self, command: StartInstance, connection: Any, *, wait_ms: int = 0, partition: int | None = None) -> dict[str, Any]:
        """As `call`. Partition 0 takes a deployment and tells the others: who starts a process that was deployed here just now is not
        told that there is none, but waits the moment until the partition has heard of it. A refused start leaves no trace, so it may
        be sent again."""
        deadline = max(self._deployed.get(command.id, 0.0), self._deployed.get(command.definition, 0.0)) + SPREAD_S
        while True:
            try:
                return await self.call(command, connection, wait_ms=wait_ms, partition=partition)
            except Problem as p:
                if p.code != RejectionCode.NOT_FOUND or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.01)

    def deployed(self, answer: dict[str, Any]) -> None:
        """These definitions exist from now on."""
        now = time.monotonic()
        for d in answer.get("definitions", ()):
            self.made(d["key"], answer.get("position", ""))
            self._deployed[d["key"]] = self._deployed[d["id"]] = now
        while len(self._deployed) > FRESH_KEYS_MAX:
            del self._deployed[next(iter(self._deployed))]

    def made(self, key: int, position: str) -> None:
        """`key` exists from `position` on: a read of it waits for that."""
        if key and position:
            self._fresh[key] = position
            if len(self._fresh) > FRESH_KEYS_MAX:
                self._fresh.popitem(last=False)

    async def wait_for(self, position: str | None) -> None:
        """Until the projections have reached `position` (`wait_for=`). Raises: Problem (503) when they don't in time."""
        if not position:
            return
        wanted = position_of(position, "wait_for")
        if any(p >= self.client.partitions for p in wanted):
            raise Problem("MALFORMED", f"there are partitions 0 to {self.client.partitions - 1}, found {position!r}", where="wait_for")
        if not await self.reads.wait_for(wanted, self.settings.wait_ms_max / 1000):
            raise Problem(RejectionCode.UNAVAILABLE, f"the projections have not reached {position} yet", retry_after_ms=1000)

    async def find(self, noun: str, key: int, tenant: str, wait_for: str | None = None) -> dict[str, Any]:
        """The row of `key`. One that was just made is waited for, as long as the projection is behind the log.

        Raises: Problem (404)
        """
        await self.wait_for(wait_for)
        position = self._fresh.get(key)
        timeout_s = self.settings.fresh_ms / 1000
        if position and await self.reads.wait_for(position_of(position), timeout_s):
            self._fresh.pop(key, None)
        row = await self.reads.get(noun, str(key), tenant)
        if row is None and not position and (p := partition_of_key(key)) < self.client.partitions:
            # made through another node, or by the engine itself: wait until the projection has what the log has now
            end = (self.client.health().get("partitions") or {}).get(p, {}).get("position")
            if end and (await self.reads.positions()).get(p, -1) < end - 1 and await self.reads.wait_for({p: end - 1}, timeout_s):
                row = await self.reads.get(noun, str(key), tenant)
        if row is None:
            raise Problem(RejectionCode.NOT_FOUND, f"no {noun.removesuffix('s')} {key}")
        return row


def services_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Services:
    return connection.app.state["services"]  # type: ignore[no-any-return]


def caller_from_headers(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Without sign-in the caller names itself: `X-Actor`, `X-Tenant`. `X-Correlation-Id` and `traceparent` go on the record."""
    headers = connection.headers
    return Caller(
        actor=headers.get("x-actor", "")[:200],
        tenant=headers.get("x-tenant", "")[:200],
        correlation=connection.scope.get("flowledger_correlation", ""),  # type: ignore[arg-type]
        trace=connection.scope.get("flowledger_trace", ""),  # type: ignore[arg-type]
    )


def caller_of_scope(scope: Any) -> Caller:
    """The same for a bare ASGI scope (the job stream)."""
    from litestar.connection import ASGIConnection

    return caller_from_headers(ASGIConnection(scope))

"""What the handlers work with: the client of the owners, the projections' queries, settings and telemetry."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec
from litestar.connection import ASGIConnection

from flowledger.api import locking, previews
from flowledger.api.access.changes import Accounts
from flowledger.api.access.door import PROOF, Door
from flowledger.api.access.passkeys import Passkeys
from flowledger.api.closing import Closing
from flowledger.api.dependencies import Dependencies
from flowledger.api.edge import is_key, key_of, position_of
from flowledger.api.lag import Lag
from flowledger.api.learning import Learning
from flowledger.api.loads import Loads
from flowledger.api.moments import Moments
from flowledger.api.problems import Problem, problem_of
from flowledger.api.rates import Rates
from flowledger.api.reads import Reads
from flowledger.api.refusals import DECIDED, Refusals, by_a_person, operation_of, origin_of
from flowledger.api.room import Room
from flowledger.api.storage import Storage
from flowledger.events import routes
from flowledger.events.base import Rejected, RejectionCode
from flowledger.events.commands import DRY_RUN, AnyCommand, ListRecords, partition_of_key, partition_of_text
from flowledger.infra.blobs import Blobs
from flowledger.infra.callbacks import Callbacks
from flowledger.infra.drafts import Drafts
from flowledger.infra.settings import Settings
from flowledger.infra.telemetry import Telemetry
from flowledger.kernel.findings import Finding
from flowledger.kernel.operations import SERVICES
from flowledger.processors.client import Answer, Caller, Client

FRESH_KEYS_MAX = 100_000
#: how long is waited for the id of what goes on after its caller's wait is over
ASK_AGAIN_S = 2.0
#: how long a position may be beyond the end of the log that this node knows of (seconds)
AHEAD_S = 1.0
ENDED = frozenset({"completed", "failed", "cancelled", "terminated", "skipped"})


def request_id(connection: Any) -> str:
    """By which a caller knows a request again. Raises: Problem (400)."""
    id: str = connection.headers.get("idempotency-key", "")
    if len(id) > 200:
        raise Problem("MALFORMED", f"at most 200 characters, found {len(id)}", where="header Idempotency-Key")
    return id


class Services:
    """One of each, made in `flowledger.system`."""

    def __init__(self, client: Client, reads: Reads, settings: Settings, telemetry: Telemetry | None = None) -> None:
        self.client, self.reads, self.settings = client, reads, settings
        #: what tenants have stored, and who has no room left
        self.storage = Storage(self)
        self.telemetry = telemetry or Telemetry()
        #: who a request is from; an authenticator takes its place
        self.identify: Callable[[ASGIConnection[Any, Any, Any, Any]], Caller] = caller_from_headers
        #: with sign-in: the look at each request, and the accounts
        self.door: Door | None = None
        self.accounts: Accounts | None = None
        #: passkeys and step-ups (`api/passkeys.py`)
        self.passkeys: Passkeys | None = None
        #: how often who may ask (`api/rates.py`); None: as often as they like
        self.rates: Rates | None = None
        #: what doors refuse, for the log of operations
        self.refusals = Refusals(client)
        #: makes and reads one-time addresses (`api/callbacks.py`); None: this process has no key for them
        self.callbacks: Callbacks | None = None
        #: files of tasks and instances (`api/files.py`); None: this process keeps none
        self.blobs: Blobs | None = None
        #: what health looks at
        self.dependencies = Dependencies(lambda: self.client, lambda: self.reads, lambda: self.blobs)
        #: the doors of triggers (`api/hooks`); None: this process has none
        self.hooks: Any = None
        #: opens protected values (`api/veil.py`); None: this process has no keys, and shows none
        self.vault: Any = None
        #: applies the rules of retention (`api/retaining.py`); None: this process doesn't
        self.retaining: Any = None
        #: finds protected variables by equality (`api/finding.py`); None: this process doesn't
        self.finding: Any = None
        #: set when the server is going down: long polls and subscriptions end
        self.closing = Closing()
        #: who works on what, on this node (`api/workers.py`); None: nobody asks
        self.workers: Any = None
        #: drafts of models (`api/drafts.py`); None: this process keeps none
        self.drafts: Drafts | None = None
        #: what was learned of processes (`api/predictions.py`); None: nobody learns here
        self.learning: Learning | None = None
        #: who draws them together on this node (`api/together`)
        self.together: Any = None
        #: where models are checked and tried (`api/models.py`), and what connectors find in one
        self.room = Room()
        #: where histories are run against other models (`api/against.py`)
        self.replays = Room(1, 4, 1, "replays are run")
        #: where simulations are run (`api/simulations.py`)
        self.simulations = Room(1, 4, 2, "simulations are run")
        #: where models are learned when somebody asks for it (`api/predictions.py`)
        self.lessons = Room(1, 4, 1, "models are learned")
        self.findings_of: Callable[[Any, str], list[Finding]] = lambda graph, name: []
        #: of long histories (`api/instance_views.py`)
        self.moments = Moments()
        #: which projections don't catch up (`api/lag.py`); None: nobody looks
        self.lag: Lag | None = None
        #: what steps cost the processes of this node (`api/loads.py`); None: nobody looks
        self.loads: Loads | None = None
        #: brings what items of batches need (`api/preparing.py`); None: another door does
        self.preparing: Any = None
        self.subscribers = 0
        self._fresh: OrderedDict[int, str] = OrderedDict()
        #: (tenant, id in the model) -> version and key of what was deployed through this node
        self.newest: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()
        #: tenant -> the position of the last deployment through this node
        self.deployed_last: OrderedDict[str, str] = OrderedDict()

    def sign_in_with(self, door: Door, accounts: Accounts) -> None:
        """From now on callers are who they have shown to be."""
        self.door, self.accounts, self.passkeys = door, accounts, Passkeys(accounts)
        self.identify = caller_of_the_door

    @staticmethod
    def nobody(connection: Any) -> Caller:
        """Somebody who has not signed in (yet)."""
        return Caller("", "", connection.scope.get("flowledger_correlation", ""), connection.scope.get("flowledger_trace", ""))

    def asking(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
        """Who asks for an operation, and from where."""
        caller = self.identify(connection)
        caller.origin = origin_of(connection)
        return caller

    async def call(
        self, command: AnyCommand, connection: Any, *, wait_ms: int = 0, partition: int | None = None, plan: str = "", keyed: bool = True,
        beside: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        """The answer, or `Problem`. `Idempotency-Key` makes a repeated request get the first answer.

        Raises: Previewed for a dry run, which ends the route's handler. `plan`: of its body (`Request.plan`), where that has one. Not
        `keyed`: of a request that makes several commands, or one with the time in it, and does nothing twice by itself; its id would stand
        for the first. `beside`: the command goes before what the request asks for: it has an id of its own by this name, and no part in a dry run.
        """
        caller = self.identify(connection)
        if type(command) not in SERVICES or by_a_person(connection) or PROOF in connection.scope:
            caller.origin = origin_of(connection)
        id = request_id(connection)
        if not keyed:
            id = ""
        if id and caller.tenant:
            id = f"{caller.tenant}/{id}"
        if id and beside:
            id = f"{id}/{beside}"
        if self.storage.full and (refused := self.storage.refused(command, caller.tenant)) is not None:
            raise problem_of(refused)
        timeout_s = (wait_ms or self.settings.command_timeout_ms) / 1000
        if not beside and connection.scope.get("query_string"):
            plan = previews.asked(connection) or plan
        asks = {"plan": plan} if plan else {}
        if wait_ms and getattr(command, "wait", False) and not asks:
            answer = await self._attached(command, caller, id, partition, timeout_s)
        else:
            answer = await self.client.call(command, caller, id=id, partition=partition, timeout_s=timeout_s, **asks)
        outcome = answer.code if isinstance(answer, Rejected) else "ok"
        self.telemetry.metrics.http_commands.labels(type(command).__name__, outcome).inc()
        connection.scope[DECIDED] = (
            not isinstance(answer, Rejected) or routes.home_of(command, "", self.client.partitions) < self.client.partitions
        )
        if isinstance(answer, Rejected):
            if answer.code == RejectionCode.STEP_UP_NEEDED and PROOF not in connection.scope:
                raise await self._step_up(connection, answer.message)
            problem = problem_of(answer)
            if answer.code == RejectionCode.STALE and locking.demanded(connection):
                problem.status, problem.title = 412, "Changed since it was read"
            raise problem
        if plan == DRY_RUN:
            raise previews.Previewed(answer)
        return answer

    async def _step_up(self, request: Any, what: str) -> Problem:
        """What the kernel wants shown by a passkey, with a challenge for who asks."""
        if self.passkeys is None:
            return Problem(
                RejectionCode.STEP_UP_NEEDED, f"{what}; without sign-in nobody has one: FLOWLEDGER_AUTH=local (docs/security.md)"
            )
        return await self.passkeys.step_ups.needed(request, what, operation_of(request.scope)[0])

    async def _attached(self, command: AnyCommand, caller: Caller, id: str, partition: int | None, timeout_s: float) -> Answer:
        """Wait for the end of what `command` begins, also when the owner changes meanwhile: the same id, asked again, meets the same instance."""
        if not id:
            id, partition = f"wait/{uuid.uuid4()}", None
        if partition is None:
            partition = partition_of_text(id, self.client.partitions)
        deadline = time.monotonic() + timeout_s
        left_s = timeout_s
        try:
            with self.closing.interrupts():
                while True:
                    answer = await self.client.call(command, caller, id=id, partition=partition, timeout_s=left_s)
                    if not isinstance(answer, Rejected) or answer.code != RejectionCode.UNAVAILABLE or time.monotonic() + 0.05 > deadline:
                        break
                    await asyncio.sleep(min(max(answer.retry_after_ms, 20) / 1000, 0.5))
                    left_s = max(0.0, deadline - time.monotonic())
        except Problem as p:
            if begun := await self._begun(command, caller, id, partition):
                p.extra |= {"id": begun["id"], "position": begun.get("position")}
            raise
        if isinstance(answer, Rejected) and answer.code == RejectionCode.DEADLINE_EXCEEDED:
            begun = await self._begun(command, caller, id, partition)
            if begun.get("status") in ENDED:
                return {**begun, "key": int(begun["id"])}
            if begun:
                detail = (
                    f"{begun['id']} has not ended within {timeout_s:g} s; it goes on, and with the same Idempotency-Key it is asked again"
                )
                raise Problem(RejectionCode.DEADLINE_EXCEEDED, detail, id=begun["id"], position=begun.get("position"))
        return answer

    async def _begun(self, command: AnyCommand, caller: Caller, id: str, partition: int) -> dict[str, Any]:
        """What a caller who has waited in vain can go on with: `id`, `status` and `position` of what its command began; `{}`: nothing is known."""
        again = msgspec.structs.replace(command, wait=False)
        found = await self.client.call(again, caller, id=id, partition=partition, timeout_s=ASK_AGAIN_S)
        if isinstance(found, Rejected):
            return {}
        key = found.get("key") or found.get("task")
        return {**found, "id": str(key), "key": None} if key else {}

    def deployed(self, answer: dict[str, Any], tenant: str = "") -> None:
        """These definitions exist from now on."""
        if position := answer.get("position"):
            self.deployed_last[tenant] = position
            self.deployed_last.move_to_end(tenant)
            if len(self.deployed_last) > FRESH_KEYS_MAX:
                self.deployed_last.popitem(last=False)
        for d in answer.get("definitions", ()):
            self.made(d["key"], answer.get("position", ""))
            self.newest[(tenant, d["id"])] = (d.get("version") or 0, d["key"])
            self.newest.move_to_end((tenant, d["id"]))
            if len(self.newest) > FRESH_KEYS_MAX:
                self.newest.popitem(last=False)

    def made(self, key: int, position: str) -> None:
        """`key` exists from `position` on: a read of it waits for that."""
        if key and position:
            self._fresh[key] = position
            if len(self._fresh) > FRESH_KEYS_MAX:
                self._fresh.popitem(last=False)

    async def record(self, connection: Any, registry: str, name: str) -> dict[str, Any] | None:
        """Of a registry, as who asks sees it. Raises: Problem."""
        found = await self.call(ListRecords(registry=registry, prefix=name, limit=1), connection, partition=0, keyed=False, beside=name)
        return next((r["value"] for r in found.get("records") or () if r["name"] == name), None)

    async def wait_for(self, position: str | None) -> None:
        """Until the projections have reached `position` (`wait_for=`). Raises: Problem (503) when they don't in time."""
        if position is None:
            return
        wanted = position_of(position, "query wait_for")
        if any(p >= self.client.partitions for p in wanted):
            raise Problem(
                RejectionCode.NOT_FOUND,
                f"there are partitions 0 to {self.client.partitions - 1}, found {position!r}",
                where="query wait_for",
            )
        timeout_s = self.settings.wait_ms_max / 1000
        if ahead := self._ahead(wanted):
            if await self.reads.wait_for(wanted, min(timeout_s, AHEAD_S)):
                return
            if ahead := self._ahead(wanted):
                text = f"a position that is on the log was expected, found {ahead}"
                raise Problem(RejectionCode.NOT_FOUND, text, where="query wait_for")
        if not await self.reads.wait_for(wanted, timeout_s):
            raise Problem(RejectionCode.UNAVAILABLE, f"the projections have not reached {position} yet", retry_after_ms=1000)

    def ends(self) -> dict[int, int]:
        """Partition -> the last place of its log, of those that have any, as far as this node knows."""
        known = self.client.health().get("partitions") or {}
        return {p: about["position"] - 1 for p, about in known.items() if about.get("position")}

    def _ahead(self, wanted: dict[int, int]) -> str:
        """The part of a position that is beyond the end of the log, as far as this node knows that."""
        known = self.client.health().get("partitions") or {}
        for p, offset in wanted.items():
            end = known.get(p, {}).get("position")
            if end is not None and offset >= end:
                return f"{p}-{offset}, and the log ends with {p}-{end - 1}" if end else f"{p}-{offset}, and the log is empty"
        return ""

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
            end = self.ends().get(p)
            if end is not None and (await self.reads.positions()).get(p, -1) < end and await self.reads.wait_for({p: end}, timeout_s):
                row = await self.reads.get(noun, str(key), tenant)
        if row is None:
            raise Problem(RejectionCode.NOT_FOUND, f"no {noun.removesuffix('s').replace('_', ' ')} {key}")
        return row


async def definition_key(s: Services, connection: Any, given: str | int, where: str, wait_for: str | None = None) -> int:
    """A definition's key, from that key or from its id in the model: then the newest version's.

    Raises: Problem (404)
    """
    if isinstance(given, int) or is_key(given):
        return key_of(given, where)
    await s.wait_for(wait_for)
    tenant = s.identify(connection).tenant
    fresh = s.newest.get((tenant, given))
    row = await s.reads.get("definitions", given, tenant)
    found = int(row["key"]) if row is not None else 0
    if fresh is not None and (row is None or fresh[0] > row["version"]):
        return fresh[1]  # deployed through this node just now: the projection has not seen it yet
    if not found:
        raise Problem(RejectionCode.NOT_FOUND, f"no definition {given}", where=where)
    return found


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


def caller_of_the_door(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """With sign-in: whom the door has found (`api/access/door.py`)."""
    caller: Caller = connection.scope["flowledger_caller"]  # type: ignore[typeddict-item]
    return caller

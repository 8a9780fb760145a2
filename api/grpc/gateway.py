"""The gateway's side of a call: who calls, over which connection, and what the engine is asked. Which call is what: `methods`; HTTP/2: `http2`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from flowledger.api.grpc.operations import FROM_WHERE, NAMES, origin_of, subject_of
from flowledger.api.grpc.status import (
    CANCELLED,
    INTERNAL,
    OK,
    PERMISSION_DENIED,
    RESOURCE_EXHAUSTED,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UNKNOWN,
    Refused,
)
from flowledger.api.grpc.tenants import Foreign, for_tenant
from flowledger.api.grpc.unknown import refuse_unknown
from flowledger.api.queue import LoopQueue
from flowledger.api.rates import Rates, TooOften
from flowledger.api.refusals import Refusals
from flowledger.api.storage import Storage
from flowledger.api.workers import Workers
from flowledger.events.base import Rejected, RejectionCode
from flowledger.events.commands import AnyCommand
from flowledger.logs import Access, log
from flowledger.processors.client import TRACEPARENT, Answer, Caller, Client, Unauthenticated
from flowledger.sdk.zeebe_stubs import load

pb = load()
log_ = log("grpc")

PORT = 26500
#: statuses that say that something is wrong here, not with the call
OURS = frozenset((UNKNOWN, INTERNAL, UNAVAILABLE))
#: a request or an answer may not be larger (Zeebe's own default)
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
#: calls that begin something new: refused first under overload
NEW_CALLS = frozenset({"BroadcastSignal", "CreateProcessInstance", "CreateProcessInstanceWithResult", "DeployProcess", "DeployResource",
                       "EvaluateDecision", "PublishMessage"})  # fmt: skip
#: fencing numbers remembered for one connection; the oldest is forgotten first
FENCES_MAX = 50_000

#: Who calls: metadata (lower-case names) and address to `Caller`. Raises: PermissionError.
Authenticate = Callable[[Mapping[str, str], str], "Caller | Awaitable[Caller]"]


class Watched(Protocol):
    """Behind a call: it is set when whoever calls is not known any more."""

    ended: asyncio.Event


class AtTheDoor(Protocol):
    """Sign-in that all doors share (`flowledger.api.access.door`): who calls, and whether they may make this call."""

    def call(self, metadata: Mapping[str, str], method: str, shown: Any = None) -> tuple[Caller, Watched | None]:
        """`shown`: the certificate of the connection. Raises: Unauthenticated, PermissionError, ConnectionError (it can't be looked up now)."""

    def hold(self, identity: Any) -> None:
        """A long answer begins."""


class Method:
    """A call of the service. Either `unary` or `stream` is set. `from_where`: its commands say from where they come."""

    __slots__ = ("from_where", "name", "path", "reply_type", "request_type", "stream", "unary")

    def __init__(self, service: str, name: str, request_type: Any, reply_type: Any, unary: Any, stream: Any) -> None:
        self.name, self.request_type, self.reply_type = name, request_type, reply_type
        self.path = f"/{service}/{name}"
        self.unary, self.stream, self.from_where = unary, stream, name in FROM_WHERE


class Connection:
    """What the gateway remembers of a client's connection: the fencing number of each job that went out over it.

    A Zeebe client knows no fencing numbers. The one of the last delivery over its connection stands in, so that an answer that comes
    after the job went to another worker is refused, as it is for our own workers.
    """

    __slots__ = ("address", "callers", "fences", "shown", "tenants", "whose")

    def __init__(self, address: str) -> None:
        self.address = address
        #: for whom its last call was: the tenant (`api/slices.py`)
        self.whose = address
        #: the certificate that the client has shown (`api/access/certificates.py`)
        self.shown: Any = None
        self.fences: dict[int, int] = {}
        #: whose the jobs are, of those tenants that the client named itself: an answer to a job names none
        self.tenants: dict[int, str] = {}
        #: the last caller and the metadata that it was made of
        self.callers: tuple[Any, Caller] | None = None


class Call:
    """One call: who, and over which connection."""

    __slots__ = ("address", "caller", "connection")

    def __init__(self, caller: Caller, connection: Connection) -> None:
        self.caller, self.connection = caller, connection
        self.address = connection.address

    def handed(self, jobs: Iterable[dict[str, Any]]) -> None:
        fences = self.connection.fences
        for job in jobs:
            if fence := job.get("fence"):
                fences[job["key"]] = fence
            if (tenant := job.get("tenant")) and tenant != self.caller.tenant:
                self.connection.tenants[job["key"]] = tenant
        for known in (fences, self.connection.tenants):
            while len(known) > FENCES_MAX:
                del known[next(iter(known))]

    def answering(self, key: int) -> Caller:
        """Who answers the job `key`: whoever got it over this connection does so for the tenant that it was asked for."""
        tenant = self.connection.tenants.get(key)
        return self.caller if tenant is None else for_tenant(self.caller, tenant)

    def fence(self, key: int) -> int:
        """The number under which this connection got the job (0: it didn't); asked once, when it is answered."""
        return self.connection.fences.get(key, 0)


class Gateway:
    """The service on a client of the engine."""

    def __init__(
        self,
        client: Client,
        workers: Workers | None = None,
        authenticate: Authenticate | None = None,
        host: str = "127.0.0.1",
        port: int = PORT,
        tracer: Any = None,
        queue: LoopQueue | None = None,
        access: Access | None = None,
        door: AtTheDoor | None = None,
        refusals: Refusals | None = None,
        rates: Rates | None = None,
    ) -> None:
        """`authenticate`: who calls; or `door`: that, and whether they may.
        `tracer`: makes a span of each unary call, below the `traceparent` of its metadata. `queue`: of the loop, that other doors share.
        `access`: told of each call. `refusals`: told of those that were not allowed. `rates`: how often who may ask."""
        self.client, self.authenticate, self.tracer, self.access = client, authenticate, tracer, access or Access()
        self.door, self.refusals, self.rates = door, refusals or Refusals(client), rates
        #: operations that need what nobody can bring to this door (a second person, a passkey), and what
        self.second: Mapping[str, str] = {}
        #: what tenants have stored (`api/storage.py`), of a process with an API
        self.storage: Storage | None = None
        self.queue = queue or LoopQueue()
        self.workers = workers if workers is not None else Workers()
        #: where clients reach it, as `Topology` says
        self.host, self.port = host, port
        self.completed = pb.CompleteJobResponse()
        self._later: set[asyncio.Task[None]] = set()
        self._submit = getattr(client, "submit", None)

    async def ask(self, command: AnyCommand, caller: Caller, timeout_s: float = 30.0) -> Answer:
        """`Client.call`; of an engine in this process its future itself, which spares a timer context for each call."""
        if self.storage is not None and self.storage.full:
            refused: Answer | None = self.storage.refused(command, caller.tenant)
            if refused is not None:
                return refused
        if self._submit is None:
            return await self.client.call(command, caller, timeout_s=timeout_s)
        future: asyncio.Future[Answer] = self._submit(command, caller)
        timer = asyncio.get_running_loop().call_later(timeout_s, _late, future, timeout_s)
        try:
            return await future
        finally:
            timer.cancel()

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Goes on although the call that caused it has ended."""
        task = asyncio.get_running_loop().create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def caller(self, metadata: Mapping[str, str], connection: Connection) -> Caller:
        """Raises: Refused(UNAUTHENTICATED or PERMISSION_DENIED)."""
        trace = metadata.get("traceparent", "")
        if trace and not TRACEPARENT.fullmatch(trace):
            trace = ""
        if self.authenticate is None:
            correlation = metadata.get("x-correlation-id", "")
            tenant = metadata.get("x-tenant", "")[:200]
            if connection.callers is not None and connection.callers[0] == (trace, correlation, tenant):
                return connection.callers[1]
            caller = Caller("zeebe", tenant, correlation, trace)
            connection.callers = ((trace, correlation, tenant), caller)
            return caller
        try:
            found = self.authenticate(metadata, connection.address)
            caller = found if isinstance(found, Caller) else await found
        except PermissionError as e:
            raise Refused(PERMISSION_DENIED if "authorization" in metadata else UNAUTHENTICATED, str(e)) from None
        return Caller(
            caller.actor,
            caller.tenant,
            metadata.get("x-correlation-id", caller.correlation),
            trace or caller.trace,
            caller.groups,
            caller.rights,
        )

    def _known(
        self, door: AtTheDoor, method: Method, request: Any, metadata: Mapping[str, str], connection: Connection
    ) -> tuple[Caller, Watched | None]:
        """Raises: Refused."""
        try:
            caller, identity = door.call(metadata, method.name, connection.shown)
        except ConnectionError as e:
            raise Refused(UNAVAILABLE, str(e), 1000) from None
        except TooOften as e:
            raise Refused(RESOURCE_EXHAUSTED, e.detail, e.retry_ms) from None
        except PermissionError as e:
            if (who := getattr(e, "caller", None)) is not None:
                self._note(method, request, who, e, metadata, connection)
            raise Refused(UNAUTHENTICATED if isinstance(e, Unauthenticated) else PERMISSION_DENIED, str(e)) from None
        trace = metadata.get("traceparent", "")
        caller.correlation = metadata.get("x-correlation-id", "")
        caller.trace = trace if TRACEPARENT.fullmatch(trace) else ""
        if method.from_where:
            caller.origin = origin_of(connection.address, metadata, identity, self.rates)
        return caller, identity

    def _note(
        self, method: Method, request: Any, caller: Caller, why: Exception, metadata: Mapping[str, str], connection: Connection
    ) -> None:
        """In the log of operations: it was not allowed."""
        if (named := NAMES.get(method.name)) is not None:
            operation, kind, _ = named
            who = Caller(caller.actor, caller.tenant, metadata.get("x-correlation-id", ""))
            who.origin = caller.origin or origin_of(connection.address, metadata, getattr(why, "identity", None), self.rates)
            self.refusals.note(operation, kind, subject_of(method.name, request), "FORBIDDEN", str(why), who, call=method.name)

    async def unary(self, method: Method, request: Any, metadata: Mapping[str, str], connection: Connection) -> Any:
        """The reply message. Raises: Refused."""
        assert method.unary is not None
        if self.tracer is not None:
            with self.tracer.span(method.path[1:], metadata.get("traceparent", ""), **{"rpc.system": "grpc"}) as span:
                return await self._unary(method, request, {**metadata, "traceparent": span.traceparent}, connection)
        return await self._unary(method, request, metadata, connection)

    async def _unary(self, method: Method, request: Any, metadata: Mapping[str, str], connection: Connection) -> Any:
        assert method.unary is not None
        with self._told(method, metadata, connection):
            refuse_unknown(method.name, request)
            if self.door is None:
                caller = await self.caller(metadata, connection)
                if method.from_where:
                    caller = Caller(caller.actor, caller.tenant, caller.correlation, caller.trace, caller.groups, caller.rights)
                    caller.origin = origin_of(connection.address, metadata, rates=self.rates)
            else:
                caller, _ = self._known(self.door, method, request, metadata, connection)
            connection.whose = caller.tenant
            if self.second and (named := NAMES.get(method.name)) is not None and named[0] in self.second:
                raise Refused(PERMISSION_DENIED, f"{named[0]} needs {self.second[named[0]]}: ask over HTTP (docs/security.md)")
            try:
                return await method.unary(self, request, Call(caller, connection))
            except Foreign as e:
                self._note(method, request, caller, e, metadata, connection)
                raise

    async def stream(
        self, method: Method, request: Any, metadata: Mapping[str, str], connection: Connection, send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Sends until done. Raises: Refused."""
        assert method.stream is not None
        with self._told(method, metadata, connection):
            if self.door is None:
                await method.stream(self, request, Call(await self.caller(metadata, connection), connection), send)
                return
            caller, identity = self._known(self.door, method, request, metadata, connection)
            working = method.stream(self, request, Call(caller, connection), send)
            if identity is None:
                await working
            else:
                self.door.hold(identity)
                await _while_known(working, identity.ended)

    @contextmanager
    def _told(self, method: Method, metadata: Mapping[str, str], connection: Connection) -> Iterator[None]:
        """One line for each call, as the settings say; a defect is in the log, and the client learns no more than that there was one."""
        status, began = CANCELLED, time.perf_counter()
        try:
            yield
            status = OK
        except Refused as e:
            status = e.status
            raise
        except ConnectionError:
            raise
        except Exception:
            status = INTERNAL
            log_.exception("a call failed", method=method.name)
            raise Refused(INTERNAL, "Unexpected error occurred between gateway and broker") from None
        finally:
            self.access.done(
                status in OURS, began, method=method.name, status=status,
                correlation=metadata.get("x-correlation-id", ""), client=connection.address,
            )  # fmt: skip

    def healthy(self) -> bool:
        return bool(self.client.health().get("ready"))


async def _while_known(working: Coroutine[Any, Any, None], ended: asyncio.Event) -> None:
    """A stream, until whoever asked for it is not known any more. Raises: Refused."""
    work, over = asyncio.ensure_future(working), asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait({work, over}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise Refused(UNAUTHENTICATED, "who you were is not known any more")
        await work
    finally:
        for each in (work, over):
            if not each.done():
                each.cancel()
        await asyncio.wait({work})


def _late(future: asyncio.Future[Answer], timeout_s: float) -> None:
    if not future.done():
        future.set_result(Rejected(RejectionCode.DEADLINE_EXCEEDED, f"Request timed out after {timeout_s:g} s"))


class Server:
    """A listening gateway. `close` lets calls in hand end for `grace_s` seconds."""

    def __init__(self, port: int, close: Callable[[float], Awaitable[None]]) -> None:
        self.port, self._close = port, close

    async def close(self, grace_s: float = 2.0) -> None:
        await self._close(grace_s)

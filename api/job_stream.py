"""The job stream: jobs and their outcomes in batches over one WebSocket, for the SDK's workers (`sdk/frames.py` says the frames).

Why not gRPC or one request for each job: a unary call costs the server more than the command in it. Here a frame of a hundred
completions is one message, one decoding and one turn of the event loop, and the engine appends them as one group.
`GET /v1/jobs/stream` (upgrade). Text or binary messages; compression is refused by the server, it would cost more than the work itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from litestar import Response, get
from litestar.connection import ASGIConnection

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, reply
from flowledger.api.leases import close_source, give_back
from flowledger.api.refusals import origin_of
from flowledger.api.services import services_of
from flowledger.api.workers import Held, Workers
from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.events.commands import Origin
from flowledger.kernel.access import OPERATOR
from flowledger.kernel.limits import LEASE_MS_MAX
from flowledger.logs import log
from flowledger.processors.client import NOBODY, Caller, Client
from flowledger.sdk import frames as f

log_ = log("jobs")

FRAME_BYTES_MAX = 16 * 1024 * 1024
#: jobs in one frame; more go in several, so that the first are begun while the others are under way
JOBS_PER_FRAME = 512
SUBSCRIPTIONS_MAX = 1000
CREDIT_MAX = 100_000
#: seconds that an outcome may take to be on the log
ANSWER_S = 30.0
#: WebSocket close codes (RFC 6455, 7.4)
BAD_FRAME, GOING_AWAY = 1007, 1001

COMMANDS: dict[type, Callable[[Any], c.AnyCommand]] = {
    f.Complete: lambda o: c.CompleteTask(task=o.key, variables=o.variables, fence=o.fence),
    f.Done: lambda o: c.CompleteTask(task=o.key, variables=o.variables, fence=o.fence, status=o.status, result=o.result),
    f.Fail: lambda o: c.FailTask(
        task=o.key,
        retries=o.retries,
        backoff_ms=o.backoff_ms,
        message=o.message,
        code=o.code,
        variables=o.variables,
        fence=o.fence,
        details=o.details,
    ),
    f.Error: lambda o: c.ThrowTaskError(task=o.key, code=o.code, message=o.message, variables=o.variables, fence=o.fence),
    f.Waits: lambda o: c.ExtendLease(task=o.key, timeout_ms=o.timeout_ms, fence=o.fence),
    f.Progress: lambda o: c.MoveTask(task=o.key, move="progress", details=o.details),
}


class JobSession:
    """One worker's stream. `send` writes one message; whoever owns the socket feeds `receive` and calls `close` at its end."""

    def __init__(
        self,
        client: Client,
        workers: Workers,
        send: Callable[[bytes], Awaitable[None]],
        caller: Caller = NOBODY,
        address: str = "",
        origin: Origin | None = None,
    ) -> None:
        self.client, self.workers, self.caller, self.address = client, workers, caller, address
        #: of what is an operation: errors that a worker throws
        self.asking = Caller(
            caller.actor, caller.tenant, caller.correlation, caller.trace, caller.groups, caller.rights, caller.tenants, origin
        )
        self._send = send
        self._session: Any = None
        self._sources: dict[str, Any] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pumps: list[asyncio.Task[Any]] = []
        self._out: list[Any] = []
        self._writing = False
        #: of an engine in this process: a future for each command, without a task and a timer for each
        self._submit = getattr(client, "submit", None)

    # --- out ----------------------------------------------------------------------------------------------------------------

    def _say(self, frame: Any) -> None:
        self._out.append(frame)
        if not self._writing:
            self._writing = True
            self._spawn(self._write())

    async def _write(self) -> None:
        try:
            while self._out:
                out, self._out = self._out, []
                for frame in _merged(out):
                    await self._send(f.encode(frame))
        except ConnectionError:
            self._out.clear()
        finally:
            self._writing = False

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (e := task.exception()) is not None:
            log_.error("a job stream failed", client=self.address, exc_info=e)

    # --- in -----------------------------------------------------------------------------------------------------------------

    def receive(self, message: bytes | str) -> None:
        """Raises: ValueError, when it isn't a frame."""
        if len(message) > FRAME_BYTES_MAX:
            raise ValueError(f"expected a frame up to {FRAME_BYTES_MAX} bytes, found {len(message)}")
        try:
            frame = f.decode_from_worker(message)
        except msgspec.DecodeError as e:
            raise ValueError(f"expected a frame of the job stream: {e}") from None
        if (self._session is None) != (type(frame) is f.Hello):
            raise ValueError("expected one hello, as the first frame")
        _READS[type(frame)](self, frame)

    def _hello(self, frame: f.Hello) -> None:
        if not frame.worker or len(frame.subscriptions) > SUBSCRIPTIONS_MAX:
            raise ValueError(f"expected a worker's name and up to {SUBSCRIPTIONS_MAX} subscriptions")
        if len({s.type for s in frame.subscriptions}) < len(frame.subscriptions):
            raise ValueError("expected each type once in the subscriptions")
        for s in frame.subscriptions:
            if not s.type or not 1 <= s.timeout_ms <= LEASE_MS_MAX or not 0 < s.credit <= CREDIT_MAX:
                raise ValueError(
                    f"expected a type, a time-out of 1 to {LEASE_MS_MAX} ms and a credit of 1 to {CREDIT_MAX}, "
                    f"found {s.type!r}, {s.timeout_ms}, {s.credit}"
                )
        self._session = self.workers.connect(frame.worker, "stream", self.address, self.caller.tenant, self._cancelled)
        for s in frame.subscriptions:
            self._session.asks_for(s.type)
            source = self._sources[s.type] = self.client.stream(s.type, frame.worker, s.timeout_ms, s.fetch, s.credit, self.caller)
            self._pumps.append(self._spawn(self._pump(source)))

    async def _pump(self, source: Any) -> None:
        """Jobs of one type, as they come."""
        session, workers = self._session, self.workers
        async for jobs in source:
            if again := sum(1 for job in jobs if job["key"] in session.held):
                source.credit(again)  # its first lease ran out here: the worker has it once, not twice
            workers.handed(session, jobs)
            try:
                for start in range(0, len(jobs), JOBS_PER_FRAME):
                    await self._send(f.encode(("jobs", jobs[start : start + JOBS_PER_FRAME] if len(jobs) > JOBS_PER_FRAME else jobs)))
            except ConnectionError:
                await give_back(self.client, jobs)
                return

    def _outcomes(self, frame: f.Out) -> None:
        self._session.seen()
        self._spawn(self._apply(frame.outcomes))

    async def _apply(self, outcomes: Sequence[Any]) -> None:
        answers = await self._ask([COMMANDS[type(o)](o) for o in outcomes])
        done: list[int] = []
        refused: list[tuple[int, str, str]] = []
        freed: Counter[str] = Counter()
        held = self._session.held
        for o, answer in zip(outcomes, answers, strict=True):
            if type(o) is f.Progress:
                continue  # not answered: an answer by its key would be taken for the one to the job's outcome
            ended = True
            if type(answer) is Rejected:
                refused.append((o.key, answer.code, answer.message))
                ended = answer.code in _OVER
            else:
                done.append(o.key)
            if ended and (job := held.get(o.key)) is not None:
                freed[job.type] += 1
                if type(o) is f.Waits:
                    self.workers.rests(o.key)
                else:
                    self.workers.settled(o.key, type(o) in (f.Complete, f.Done))
        if done:
            self._say(f.Ok(done))
        if refused:
            self._say(f.No(refused))
        self._free(freed)

    async def _ask(self, commands: list[c.AnyCommand]) -> list[Any]:
        if self._submit is None:
            return await asyncio.gather(*(self.client.call(command, self._who(command)) for command in commands))
        futures = [self._submit(command, self._who(command)) for command in commands]
        _, late = await asyncio.wait(futures, timeout=ANSWER_S)
        for future in late:
            future.set_result(Rejected("DEADLINE_EXCEEDED", f"no answer within {ANSWER_S} s"))
        return [future.result() for future in futures]

    def _who(self, command: c.AnyCommand) -> Caller:
        return self.asking if type(command) is c.ThrowTaskError else self.caller

    def _free(self, freed: Counter[str]) -> None:
        for type_, n in freed.items():
            if (source := self._sources.get(type_)) is not None:
                source.credit(n)

    def _extend(self, frame: f.Extend) -> None:
        self._session.seen()
        self._spawn(self._apply_extend(frame))

    async def _apply_extend(self, frame: f.Extend) -> None:
        answers = await self._ask([c.ExtendLease(task=key, timeout_ms=frame.timeout_ms, fence=fence) for key, fence in frame.jobs])
        lost = []
        for (key, _), answer in zip(frame.jobs, answers, strict=True):
            if type(answer) is Rejected:
                if answer.code in _OVER:
                    lost.append(key)
            else:
                self.workers.extended(key, answer["deadline_us"])
        if lost:
            self._lose(lost)

    def _cancelled(self, jobs: dict[int, Held]) -> None:
        """The registry has seen that these are over or went to another worker; it has forgotten them already."""
        self._say(f.Lost(list(jobs)))
        self._free(Counter(job.type for job in jobs.values()))

    def _lose(self, keys: list[int]) -> None:
        freed: Counter[str] = Counter()
        for key in keys:
            if (job := self._session.held.get(key)) is not None:
                freed[job.type] += 1
                self.workers.settled(key, completed=False)
        self._say(f.Lost(keys))
        self._free(freed)

    def _back(self, frame: f.Back) -> None:
        jobs = [{"key": key, "fence": fence} for key, fence in frame.jobs]
        for key, _ in frame.jobs:
            self.workers.settled(key, completed=False)
        self._spawn(give_back(self.client, jobs))

    def _drain(self, frame: f.Drain) -> None:
        self._spawn(self._stop_sources())

    async def _stop_sources(self) -> None:
        sources, self._sources = self._sources, {}
        for pump in self._pumps:
            pump.cancel()
        for source in sources.values():
            await close_source(self.client, source)
        self._say(f.Drained())

    async def close(self) -> None:
        """The socket is gone. What the worker held runs into the end of its lease, unless it comes back and answers before."""
        sources, self._sources = self._sources, {}
        for task in self._pumps:
            task.cancel()
        for source in sources.values():
            await close_source(self.client, source)
        tasks = [t for t in self._tasks if t is not asyncio.current_task()]
        # Outcomes that were received are still put on the log.
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            self.workers.gone(self._session)


#: refusals after which the job is no longer the worker's
_OVER = frozenset({"NOT_FOUND", "STALE", "INVALID_STATE"})

_READS: dict[type, Callable[[JobSession, Any], None]] = {
    f.Hello: JobSession._hello,
    f.Out: JobSession._outcomes,
    f.Extend: JobSession._extend,
    f.Drain: JobSession._drain,
    f.Back: JobSession._back,
}


def _merged(frames: list[Any]) -> list[Any]:
    """Neighbouring `ok` frames become one."""
    out: list[Any] = []
    for frame in frames:
        if out and type(frame) is f.Ok and type(out[-1]) is f.Ok:
            out[-1].keys.extend(frame.keys)
        else:
            out.append(frame)
    return out


# --- sockets ----------------------------------------------------------------------------------------------------------------


def asgi(client: Client, workers: Workers, identify: Callable[[Any], Caller] | None = None) -> Callable[..., Awaitable[None]]:
    """The stream as an ASGI application for one path. `identify` tells who calls."""

    async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] != "websocket":
            await send({"type": "http.response.start", "status": 426, "headers": [(b"upgrade", b"websocket"), (b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await receive()  # websocket.connect
        connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection(scope)
        caller = identify(connection) if identify is not None else NOBODY
        await send({"type": "websocket.accept"})

        async def say(data: bytes) -> None:
            try:
                await send({"type": "websocket.send", "bytes": data})
            except (OSError, RuntimeError) as e:
                raise ConnectionResetError(str(e)) from None

        peer = scope.get("client")
        session = JobSession(client, workers, say, caller, f"{peer[0]}:{peer[1]}" if peer else "", origin_of(connection, "stream"))
        try:
            while (event := await receive())["type"] == "websocket.receive":
                session.receive(event.get("bytes") or event.get("text") or "")
        except ValueError as e:
            await send({"type": "websocket.close", "code": BAD_FRAME, "reason": str(e)[:120]})
        finally:
            await session.close()

    return app


def handlers(client: Client, workers: Workers, identify: Callable[[Any], Caller] | None = None) -> list[Any]:
    """For `create_app(more=...)`: `WS /v1/jobs/stream` and `GET /v1/workers`."""
    from litestar import asgi as asgi_route

    stream = asgi_route("/jobs/stream", copy_scope=True)(asgi(client, workers, identify))

    @get("/workers", summary="Live list of workers", tags=["workers"])
    async def list_workers(request: ApiRequest) -> Response[a.Page[a.WorkerRow]]:
        """Workers that are connected to this node or asked it for jobs lately, with the jobs that each holds. A tenant sees its own."""
        caller = services_of(request).identify(request)
        all_of_them = not caller.tenant and (caller.tenants is None or OPERATOR in (caller.rights or ()))
        return reply({"items": [w for w in workers.listing() if all_of_them or w["tenant"] == caller.tenant], "cursor": None})

    return [stream, list_workers]


async def serve(client: Client, workers: Workers, host: str = "127.0.0.1", port: int = 0) -> Any:
    """The stream alone on a port of its own (nodes that serve workers only; measurements). Answers a server of `websockets`."""
    from websockets.asyncio.server import ServerConnection
    from websockets.asyncio.server import serve as listen
    from websockets.exceptions import ConnectionClosed

    async def connected(socket: ServerConnection) -> None:
        async def say(data: bytes) -> None:
            try:
                await socket.send(data)
            except ConnectionClosed as e:
                raise ConnectionResetError(str(e)) from None

        session = JobSession(client, workers, say, NOBODY, "{}:{}".format(*socket.remote_address[:2]))
        try:
            async for message in socket:
                session.receive(message)
        except ValueError as e:
            await socket.close(BAD_FRAME, str(e)[:120])
        except ConnectionClosed as e:
            log_.info("a worker has left", client=session.address, why=str(e))
        finally:
            await session.close()

    return await listen(connected, host, port, compression=None, max_size=FRAME_BYTES_MAX)

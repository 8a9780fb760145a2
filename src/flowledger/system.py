"""A running process: which adapters its settings choose, wired to the ports, started in order and stopped in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from flowledger.events.base import Recorded
from flowledger.infra.settings import Settings, SettingsError
from flowledger.infra.telemetry import Telemetry, log
from flowledger.processors.log import EVENTS, Log

STOP_S = 10.0
#: how long the start waits for the projector
PROJECTOR_S = 10.0
Progress = Callable[[str], None]


def make_log(settings: Settings, readonly: bool = False) -> Log:
    """The log that the settings name. `readonly`: beside a running server (auditors)."""
    if settings.kafka:
        from flowledger.infra.kafka_security import security_of
        from flowledger.infra.log_kafka import KafkaLog

        return KafkaLog(
            settings.kafka, prefix=settings.prefix, replication=settings.replication, client=f"flowledger-{settings.node}",
            security=security_of(settings),
        )  # fmt: skip
    from flowledger.infra.log_sqlite import SqliteLog

    path = settings.data / "log.sqlite3"
    if readonly and not path.exists():
        raise SettingsError(f"there is no log in {settings.data}: name its folder with --data, or a Kafka with --kafka")
    if not readonly:
        settings.data.mkdir(parents=True, exist_ok=True)
    return SqliteLog(path, synchronous="FULL" if settings.durability == "full" else "NORMAL", readonly=readonly)


def postgres_folder(settings: Settings) -> Path:
    """Where the embedded PostgreSQL keeps its data: one for each log, since rows belong to the log that they were folded from."""
    name = f"postgres-{zlib.crc32(f'{settings.kafka}/{settings.prefix}'.encode()):08x}" if settings.kafka else "postgres"
    return Path(settings.data).resolve() / name


def start_postgres(settings: Settings) -> str:
    """URL of the database. The embedded one is started when none is named; it ends with this process."""
    if settings.postgres:
        return settings.postgres
    from flowledger.infra.postgres_server import start

    return start(postgres_folder(settings))


def source_of(log_: Log) -> Callable[[int, int], AsyncIterator[tuple[Sequence[Recorded], int]]]:
    """Counted events of a partition for the projector, live."""
    from flowledger.processors.owner import counted

    async def source(partition: int, offset: int) -> AsyncIterator[tuple[Sequence[Recorded], int]]:
        async for batch in counted(log_, partition, offset, follow=True):
            yield batch, batch[-1].offset + 1

    return source


def closed_source_of(log_: Log) -> Callable[[int, int], AsyncIterator[tuple[Sequence[Recorded], int]]]:
    """As `source_of`, up to the end of the log only (rebuild)."""
    from flowledger.processors.owner import counted

    async def source(partition: int, offset: int) -> AsyncIterator[tuple[Sequence[Recorded], int]]:
        async for batch in counted(log_, partition, offset):
            yield batch, batch[-1].offset + 1

    return source


class System:
    """`async with System(settings) as system: await system.closed.wait()`; or `run` for a whole process.

    Attributes:
        engine: the client of the owners (and the owners, with that role).
        url: of the HTTP API, once started; the port is real when 0 was asked for.
    """

    def __init__(self, settings: Settings, progress: Progress | None = None) -> None:
        self.settings = settings
        self.progress: Progress = progress or (lambda text: None)
        self.telemetry = Telemetry.of(settings)
        self.closed = asyncio.Event()
        self.url = self.grpc_address = ""
        #: how long the start took, in seconds
        self.ready_s = 0.0
        self.engine: Any = None
        self.services: Any = None
        self.runner: Any = None
        self._projector: asyncio.Task[None]
        self._stop_projector = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()
        self._failed: BaseException | None = None

    def has(self, role: str) -> bool:
        return role in self.settings.roles

    async def __aenter__(self) -> System:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Callers are told first, the owner steps down with a checkpoint, the database goes last."""
        if self.services is not None:
            self.services.closing.set()
        await self._stack.aclose()
        self.telemetry.close()

    async def _start(self) -> None:
        listener = self._listen() if self.has("api") else None
        needs_rows = self.has("api") or self.has("projector")
        database = asyncio.create_task(asyncio.to_thread(start_postgres, self.settings)) if needs_rows else None
        try:
            await self._start_engine()
        except BaseException:
            if database is not None:
                await asyncio.wait([database])
            raise
        dsn = await self._database(database) if database is not None else ""
        if self.has("projector"):
            self._start_projector(dsn)
        if self.has("api"):
            assert listener is not None
            await self._start_api(listener, dsn)
        if self.has("grpc"):
            await self._start_grpc()
        if self.runner is not None:
            await self._projecting()
        from flowledger.infra.observer import gauges

        self.telemetry.metrics.on_scrape(gauges(self.engine, self.runner))
        log("system").info("ready", url=self.url, roles=",".join(self.settings.roles), partitions=self.engine.partitions)

    async def _start_engine(self) -> None:
        from flowledger.events.wire import NAMES
        from flowledger.infra.heads import signing_of
        from flowledger.infra import javascript
        from flowledger.infra.observer import Observer
        from flowledger.processors import owner
        from flowledger.processors.engine import Engine

        s = self.settings
        self.progress("Kafka" if s.kafka else "log")
        signing = signing_of(s, self.telemetry.metrics.anchored) if self.has("owner") else None
        told = owner.Settings(
            batch_max=s.batch_max, instances_max=s.instances_max, node=s.node, signing=signing, answers_us=int(s.ids_hours * 3_600_000_000),
            javascript=javascript.run,
        )  # fmt: skip
        observer = Observer(self.telemetry.metrics, {cls.__name__: name for cls, name in NAMES.items()}, self.telemetry.tracer)
        self.engine = Engine(make_log(s), partitions=s.partitions, settings=told, owns=self.has("owner"), observer=observer)
        self._stack.push_async_callback(self.engine.stop)
        await self.engine.start()

    async def _database(self, starting: asyncio.Task[str]) -> str:
        """A database that isn't there doesn't stop an owner: queries say so until it comes."""
        self.progress("PostgreSQL")
        return await starting

    def _start_projector(self, dsn: str) -> None:
        from flowledger.projections.runner import Runner

        log_ = self.engine.log

        async def end(partition: int) -> int:
            return await log_.end(EVENTS, partition)

        self.runner = Runner(source_of(log_), dsn, range(self.engine.partitions), end=end, tracer=self.telemetry.tracer)
        task = self._projector = asyncio.create_task(self.runner.run(self._stop_projector), name="projector")
        task.add_done_callback(self._ended)

        async def stop() -> None:
            self._stop_projector.set()
            await asyncio.wait({task}, timeout=STOP_S)  # what it ended with, if anything, is told by `_ended`
            task.cancel()

        self._stack.push_async_callback(stop)

    async def _projecting(self) -> None:
        """A projector with a database at hand is at work within a moment; one without doesn't hold up the rest.

        Raises: SettingsError: the database's rows are of another log."""
        from flowledger.projections.runner import AnotherLog

        self.progress("projections")
        deadline = asyncio.get_running_loop().time() + PROJECTOR_S
        while not self.runner.connected and not self._projector.done() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        if self._projector.done() and (why := self._projector.exception()) is not None:
            if isinstance(why, AnotherLog):
                raise SettingsError(f"{why}. Name another database with --postgres, or another folder with --data") from None
            raise why
        if not self.runner.connected:
            log("system").warning("the projections wait for the database; commands are taken", why=self.runner.error)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """A part that ends by itself ends the process: whoever watches it starts it again."""
        if not task.cancelled() and task.exception() is not None:
            self._failed = task.exception()
            log("system").error("a part has ended", part=task.get_name(), exc_info=self._failed)
            self.closed.set()

    def _listen(self) -> socket.socket:
        s = self.settings
        found = socket.socket(socket.AF_INET6 if ":" in s.host else socket.AF_INET)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((s.host, s.port))
        except OSError as e:
            found.close()
            raise SettingsError(f"port {s.port} on {s.host} can't be had ({e.strerror}): choose another with --port") from None
        host = f"[{s.host}]" if ":" in s.host else s.host
        self.url = f"http://{host}:{found.getsockname()[1]}"
        self._stack.callback(found.close)
        return found

    async def _start_api(self, listener: socket.socket, dsn: str) -> None:
        import uvicorn

        from flowledger.api import console, job_stream
        from flowledger.api.app import create_app
        from flowledger.api.reads import SqlReads
        from flowledger.api.services import Services, caller_of_scope
        from flowledger.api.workers import Workers
        from flowledger.projections.reader import Reader

        self.progress("API")
        reader = Reader(dsn)
        await reader.open()
        self._stack.push_async_callback(reader.close)
        self.services = Services(self.engine, SqlReads(reader), self.settings, self.telemetry)
        workers = self.services.workers = Workers()
        watching = asyncio.create_task(workers.watch(self.engine), name="workers")
        self._stack.callback(watching.cancel)
        app = create_app(self.services, job_stream.handlers(self.engine, workers, caller_of_scope), console.handlers())
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", server_header=False, timeout_graceful_shutdown=3, ws="websockets-sansio"
        )
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        serving = asyncio.create_task(_serve(server, listener), name="http")
        serving.add_done_callback(self._ended)
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)

        async def stop() -> None:
            self.services.closing.set()
            server.should_exit = True
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(serving, STOP_S)

        self._stack.push_async_callback(stop)

    async def _start_grpc(self) -> None:
        from flowledger.api.grpc.service import Gateway

        s = self.settings
        tracer = self.telemetry.tracer
        gateway = Gateway(self.engine, self.services.workers if self.services is not None else None, tracer=tracer if tracer.on else None)
        try:
            server = await gateway.start(s.host, s.grpc_port)
        except OSError as e:
            raise SettingsError(f"port {s.grpc_port} for gRPC can't be had ({e.strerror}): set FLOWLEDGER_GRPC_PORT") from None
        self._stack.push_async_callback(server.close)
        self.grpc_address = f"{s.host}:{server.port}"

    async def run(self, started: Callable[[System], Any] | None = None) -> None:
        """Until SIGINT or SIGTERM. `started` is called once all is up; an awaitable runs beside."""
        loop = asyncio.get_running_loop()
        for which in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(which, self.closed.set)
        async with self:
            beside = started(self) if started is not None else None
            task = asyncio.ensure_future(beside) if beside is not None else None
            if task is not None:
                task.add_done_callback(lambda t: None if t.cancelled() or t.exception() is None else self.closed.set())
            await self.closed.wait()
            log("system").info("going down")
            if task is not None:
                if task.done() and not task.cancelled() and task.exception() is not None:
                    raise task.exception()  # type: ignore[misc]
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        if self._failed is not None:
            raise self._failed


async def _serve(server: Any, listener: socket.socket) -> None:
    """uvicorn without its signal handlers: this process has its own."""
    with contextlib.suppress(SystemExit):
        await server._serve([listener])


def run(main: Any) -> None:
    """`asyncio.run` on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)

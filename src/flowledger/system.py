"""A running process: which adapters its settings choose, wired to the ports, started in order and stopped in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from flowledger import doors, logs, plugins, projecting, secure, signin, stores
from flowledger.api.queue import LoopQueue
from flowledger.infra.server_tls import server_tls
from flowledger.infra.settings import Settings, SettingsError
from flowledger.infra.telemetry import Telemetry
from flowledger.logs import log
from flowledger.processors.link.lag import LoopLag
from flowledger.processors.log import Log, LogError
from flowledger.supervise import LOGS, ConnectorProcess, FolderLock, OwnerProcess, link_folder, owner_count, private

STOP_S = 10.0
#: how long the start waits for the projector
PROJECTOR_S = 10.0
#: how long the start waits for a log that is away, and for owners that take commands; health says what is missing (seconds)
OPEN_S, READY_S = 3.0, 60.0
#: seconds until a process of owners, or of connectors, that does not end by itself is killed
OWNER_STOP_S = 15.0
Progress = Callable[[str], None]


class System:
    """`async with System(settings) as system: await system.closed.wait()`; or `run` for a whole process.

    Owners run in processes of their own; this one has the doors (HTTP, gRPC) and the projector, or watches only.

    Attributes:
        engine: the client of the owners.
        url: of the HTTP API (or of health and figures alone), once started; the port is real when 0 was asked for.
        owners: the processes of owners that this one has started.
    """

    def __init__(self, settings: Settings, progress: Progress | None = None) -> None:
        self.settings = settings
        self.progress: Progress = progress or (lambda text: None)
        #: the settings as they are given by now
        self.reread: Callable[[], Settings] | None = None
        self.telemetry = Telemetry.of(settings)
        self.telemetry.others = self._figures
        self.closed = asyncio.Event()
        self.url = self.grpc_address = ""
        self._http_tls: ssl.SSLContext | None = None
        #: how long the start took, in seconds
        self.ready_s = 0.0
        self.log: Log
        self.engine: Any = None
        self.services: Any = None
        self.runner: Any = None
        #: with sign-in: the look at each request, and the accounts
        self.door: Any = None
        self.accounts: Any = None
        self._pool: Any = None
        #: of the database, where this process knows one; its connectors send reports of it
        self._dsn = ""
        #: keys of protected variables
        self.vault: Any = None
        self.owners: list[OwnerProcess] = []
        self.connectors: ConnectorProcess | None = None
        #: what can't be had at the moment and is waited for, for health
        self.waiting: dict[str, str] = {}
        self.lag = LoopLag(
            self.telemetry.metrics.loop_lag.labels("+".join(r for r in settings.roles if r != "owner") or "watch", "main").observe
        )
        self._queue = LoopQueue()
        self._limits: Any = None
        self._opened = asyncio.Event()
        self._projector: asyncio.Task[None] | None = None
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
        """Ports and the folder first: who can't have them touches nothing. Then health is open, whatever the rest needs."""
        s = self.settings
        if s.tasks_topic and not s.kafka:
            raise SettingsError(
                f"setting tasks_topic names {', '.join(s.tasks_topic)}, but there is no Kafka: expected the setting kafka as well"
            )
        secure.check(s)
        signin.check(s)
        plugins.load(s.plugins)
        for text in plugins.told():
            log("system").warning(text)
        if self.has("connectors"):
            self._look_at_connectors()
        self.vault = stores.vault_of(s) if self.has("owner") or self.has("api") else None
        self._http_tls = server_tls(s, "http")
        listener = self._listen()
        tls = server_tls(s, "grpc") if self.has("grpc") else None
        grpc = self._bind(s.grpc_port, "set FLOWLEDGER_GRPC_PORT") if self.has("grpc") else None
        if self.has("owner") and not s.kafka:
            lock = FolderLock(Path(s.data))
            lock.take()
            self._stack.callback(lock.release)
        self.lag.start()
        self._stack.callback(self.lag.stop)
        needs_rows = self.has("api") or self.has("projector") or (self.has("grpc") and s.auth != "none")
        database = asyncio.create_task(asyncio.to_thread(stores.start_postgres, s)) if needs_rows else None
        try:
            self._start_owners()
        except BaseException:
            if database is not None:
                await asyncio.wait([database])
            raise
        doors.read(s.roles)
        dsn = self._dsn = await self._database(database) if database is not None else ""
        if s.auth != "none" and (self.has("api") or self.has("grpc")):
            for name, running in await signin.start(self, dsn, self._stack):
                self._background(running, name)
        if self.has("api"):
            await self._start_api(listener, dsn)
        else:
            await self._start_probes(listener)
        await self._until_open()
        if self.has("connectors"):
            self._start_connectors()
        if self.has("projector"):
            self._background(self._start_projector(dsn), "projector")
        if grpc is not None:
            await self._start_grpc(grpc, tls)
        await self._until_ready()
        if self.accounts is not None and self.has("api"):
            self._background(signin.first_administrator(self), "first administrator")
        if self.settings.tasks_topic and self.has("api"):
            self._background(self._publish_tasks(), "tasks topic")
        if self.has("projector"):
            from flowledger.projections import overtime

            await self._projecting()
            self._background(overtime.watch(dsn), "analysts")
        from flowledger.infra.observer import gauges

        self.telemetry.metrics.on_scrape(gauges(self.engine, lambda: self.runner, lambda: self._pool))
        log("system").info("ready", url=self.url, roles=",".join(s.roles), partitions=self.engine.partitions)

    # --- owners and the log -----------------------------------------------------------------------------------------------

    def _start_owners(self) -> None:
        """Processes of owners where this one has that role; else the sockets of others on this machine; else the log alone."""
        s = self.settings
        folder = link_folder(s)
        self.log = stores.make_log(s)
        paths: list[Path] = []
        if self.has("owner"):
            from flowledger.infra.heads import signing_of

            self.progress("owners")
            private(folder)
            signing_of(s)  # what is wrong with a key is said here, before anything runs
            for index in range(owner_count(s)):
                process = OwnerProcess(s, folder, index)
                self.owners.append(process)
                self._stack.push_async_callback(process.stop, OWNER_STOP_S)
                process.start()
                paths.append(process.socket)
        elif self.has("api") or self.has("grpc"):
            paths = sorted(folder.glob("owner-*.sock")) if folder.is_dir() else []
        self._stack.push_async_callback(self._close_log)
        if paths:
            from flowledger.processors.link.client import LinkClient

            client = self.engine = LinkClient(paths, self.log, s.partitions, self._trouble, self._warned)
            self._queue.behind = client.late
            self._stack.push_async_callback(client.stop)
            client.start()
            self._background(self._open_log(client), "log")
        else:
            from flowledger.processors.engine import Engine

            self.engine = Engine(self.log, partitions=s.partitions, owns=False)
            self._stack.push_async_callback(self.engine.stop)
            self._background(self._start_engine(), "log")

    def _trouble(self) -> list[str]:
        """What health says beyond the owners' own words."""
        return [p.trouble for p in self.owners if p.trouble] + list(self.waiting.values())

    def _warned(self) -> list[str]:
        """What is no reason to send nothing here."""
        return plugins.told() + ([self.connectors.trouble] if self.connectors is not None and self.connectors.trouble else [])

    def _look_at_connectors(self) -> None:
        """Raises: SettingsError: what is wrong with their settings is said before anything runs."""
        from flowledger.infra.egress import Gate
        from flowledger.infra.secrets import secrets_of

        Gate.of(self.settings)
        secrets_of(self.settings)

    def _start_connectors(self) -> None:
        known = self.settings.model_copy(
            update={"callback_url": self.settings.callback_url or self.url, "postgres": self.settings.postgres or self._dsn}
        )
        process = self.connectors = ConnectorProcess(known, private(link_folder(self.settings)))
        self._stack.push_async_callback(process.stop, OWNER_STOP_S)
        process.start()

    async def _figures(self) -> None:
        """Those of the processes of owners and of connectors, for the next scrape."""
        found = await self.engine.figures() if hasattr(self.engine, "figures") else []
        if self.connectors is not None and (more := await self.connectors.figures()):
            found.append(more)
        self.telemetry.metrics.others = found

    async def _close_log(self) -> None:
        with contextlib.suppress(LogError):
            await self.log.close()

    async def _open_log(self, client: Any) -> None:
        """This process's own view of the log, once the owners have it."""
        await client.known.wait()
        await self._patiently(self.log.open)
        client.opened.set()
        self._opened.set()

    async def _start_engine(self) -> None:
        async def start() -> None:
            try:
                await self.engine.start()
            except BaseException:
                await self.engine.kill()
                raise

        await self._patiently(start)
        self._opened.set()

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """A log that is away is waited for."""
        delay = 0.1
        while True:
            try:
                await work()
                self.waiting.pop("log", None)
                return
            except LogError as e:
                if "log" not in self.waiting:
                    log("system").warning("the log can't be had; it is waited for", why=str(e))
                self.waiting["log"] = f"the log can't be had: {e}. It is tried again every few seconds"
                await asyncio.sleep(delay)
                delay = min(delay * 2, 3.0)

    async def _until_open(self) -> None:
        """Until the log is open. A process that is only slow is waited for; one that says that it can't is given `OPEN_S`."""
        loop = asyncio.get_running_loop()
        end, trouble = loop.time() + READY_S, 0.0
        while not self._opened.is_set() and loop.time() < end:
            said = bool(self.waiting) or any("can't" in r or "ended" in r for r in self.engine.health()["reasons"])
            trouble = (trouble or loop.time()) if said else 0.0
            if trouble and loop.time() - trouble > OPEN_S:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await self._opened.wait()

    async def _until_ready(self) -> None:
        """Until commands are taken; not for ever: health says what is missing."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_S
        while not (found := self.engine.health())["ready"] or not self._opened.is_set():
            hopeless = not self._opened.is_set() or any("stopped:" in r for r in found["reasons"])
            if hopeless or loop.time() > deadline:
                for reason in found["reasons"] or list(self.waiting.values()):
                    log("system").error("not ready", why=reason, health=f"{self.url}/health/ready")
                return
            await asyncio.sleep(0.01)

    def _background(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Goes on beside; when it fails the process ends."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)

        async def stop() -> None:
            task.cancel()
            await asyncio.wait({task})

        self._stack.push_async_callback(stop)
        return task

    async def _publish_tasks(self) -> None:
        """Jobs of the types that the settings name, for consumers of Kafka."""
        from flowledger.api.tasks_topic import publish_to_kafka
        from flowledger.infra.kafka_security import security_of
        from flowledger.processors.log import RECORD_BYTES_MAX

        s = self.settings
        await self._opened.wait()
        await publish_to_kafka(self.engine, s.kafka, s.tasks_topic, s.prefix, record_bytes_max=RECORD_BYTES_MAX, **security_of(s))

    # --- the database and the projector -----------------------------------------------------------------------------------

    async def _database(self, starting: asyncio.Task[str]) -> str:
        """A database that isn't there doesn't stop an owner: queries say so until it comes."""
        self.progress("PostgreSQL")
        dsn = await starting
        if not self.settings.postgres:
            from flowledger.infra.postgres_server import guard

            guarding = guard(stores.postgres_folder(self.settings))
            self._stack.callback(stores.end, guarding)
            self._background(stores.keep_postgres(self.settings), "PostgreSQL")
        return dsn

    async def _start_projector(self, dsn: str) -> None:
        await self._opened.wait()
        self.runner = projecting.runner(
            self.engine.tail.source, self.log, dsn, self.engine.partitions, self.telemetry, hurry=not self.has("api")
        )
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
        if not self._opened.is_set():  # it waits for the log
            return
        while self._projector is None:
            await asyncio.sleep(0)
        self.progress("projections")
        deadline = asyncio.get_running_loop().time() + PROJECTOR_S
        while not self.runner.connected and not self._projector.done() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        if self._projector.done() and (why := self._projector.exception()) is not None:
            raise projecting.said(why)
        if not self.runner.connected:
            log("system").warning("the projections wait for the database; commands are taken", why=self.runner.error)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """A part that ends by itself ends the process: whoever watches it starts it again."""
        if not task.cancelled() and task.exception() is not None:
            self._failed = task.exception()
            log("system").error("a part has ended", part=task.get_name(), exc_info=self._failed)
            self.closed.set()

    # --- doors ------------------------------------------------------------------------------------------------------------

    def _listen(self) -> socket.socket:
        """The HTTP port: of the API, else of health and figures alone, which take any free port when the usual one is taken."""
        s = self.settings
        try:
            found = self._bind(s.port, "choose another with --port")
        except SettingsError:
            if self.has("api") or "port" in s.model_fields_set:
                raise
            found = self._bind(0, "")
        host = f"[{s.host}]" if ":" in s.host else s.host
        scheme = "https" if s.tls_cert_file else "http"
        self.url = f"{scheme}://{host}:{found.getsockname()[1]}"
        return found

    def _bind(self, port: int, hint: str) -> socket.socket:
        """Raises: SettingsError."""
        found = doors.bind(self.settings.host, port, hint)
        self._stack.callback(found.close)
        return found

    async def _start_api(self, listener: socket.socket, dsn: str) -> None:
        from flowledger.api import console, files, job_stream
        from flowledger.api.alerting import Alerting
        from flowledger.api.app import create_app
        from flowledger.api.entrance import Entered, entrance
        from flowledger.api.finding import Finding
        from flowledger.api.hooks.door import Hooks
        from flowledger.api.lag import KIND as LAG
        from flowledger.api.lag import Lag
        from flowledger.api.learning import Learning
        from flowledger.api.loads import Loads
        from flowledger.api.preparing import Preparing
        from flowledger.api.reads import SqlReads
        from flowledger.api.retaining import Retaining
        from flowledger.api.services import Services
        from flowledger.api.workers import Workers
        from flowledger.connectors import api as connectors
        from flowledger.connectors import bucket, check  # noqa: F401 - files may be kept in a bucket
        from flowledger.infra.blobs import blobs_of
        from flowledger.infra.callbacks import callbacks_of
        from flowledger.infra.drafts import Drafts
        from flowledger.infra.learned import Learned
        from flowledger.infra.secrets import secrets_of
        from flowledger.plugins import api as plugin_list
        from flowledger.projections.reader import Reader

        self.progress("API")
        reader = Reader(dsn, wall=self.settings.row_security)
        reader.hurry = lambda: self.runner.hurry() if self.runner is not None else None
        self._pool = reader.pool
        await reader.open()
        self._stack.push_async_callback(reader.close)
        self.services = Services(self.engine, SqlReads(reader), self.settings, self.telemetry)
        self.services.rates = self._rates()
        self.services.callbacks = callbacks_of(self.settings.model_copy(update={"callback_url": self.settings.callback_url or self.url}))
        self.services.hooks = Hooks(self.engine, secrets_of(self.settings))
        self.services.blobs = blobs_of(self.settings)
        self.services.vault = self.vault
        if self.door is not None and self.accounts is not None:
            self.services.sign_in_with(self.door, self.accounts)
        self.services.drafts = Drafts(dsn, now_us=lambda: time.time_ns() // 1000)
        await self.services.drafts.open()
        self._stack.push_async_callback(self.services.drafts.close)
        self.services.findings_of = check.findings
        retaining = self.services.retaining = Retaining(self.services, dsn)
        keeping = asyncio.create_task(retaining.run(), name="retention")
        self._stack.callback(keeping.cancel)
        finding = self.services.finding = Finding(self.services, dsn)
        searching = asyncio.create_task(finding.run(), name="finding")
        self._stack.callback(searching.cancel)
        late = self.telemetry.metrics.findings.labels(LAG)
        lag = self.services.lag = Lag(self.engine, self.services.reads.positions, late.set)
        looking = asyncio.create_task(lag.watch(), name="lag")
        self._stack.callback(looking.cancel)
        loads = self.services.loads = Loads(self.telemetry.shipped)
        sampling = asyncio.create_task(loads.watch(), name="loads")
        self._stack.callback(sampling.cancel)
        alerting = asyncio.create_task(Alerting(self.engine, self.services.reads, lag, self.settings.node).run(), name="alerts")

        async def stop_alerting() -> None:
            alerting.cancel()
            await asyncio.wait({alerting}, timeout=STOP_S)

        self._stack.push_async_callback(stop_alerting)
        learned = Learned(dsn, now_us=lambda: time.time_ns() // 1000)
        await learned.open()
        self._stack.push_async_callback(learned.close)
        learning = self.services.learning = Learning(self.services.reads, learned, lag.behind_s)
        studying = asyncio.create_task(learning.run(), name="learning")
        self._stack.callback(studying.cancel)
        workers = self.services.workers = Workers()
        watching = asyncio.create_task(workers.watch(self.engine), name="workers")
        self._stack.callback(watching.cancel)
        preparing = self.services.preparing = Preparing(self.services)
        bringing = asyncio.create_task(preparing.run(), name="preparing")
        self._stack.callback(bringing.cancel)
        storing = asyncio.create_task(self.services.storage.run(), name="storage")
        self._stack.callback(storing.cancel)
        sweeping = asyncio.create_task(files.sweeping(self.services), name="files")
        self._stack.callback(sweeping.cancel)
        more = [*job_stream.handlers(self.engine, workers, self.services.identify), *connectors.HANDLERS, *plugin_list.HANDLERS]
        app = create_app(self.services, more, console.handlers(self.settings.embed_origins))
        await self._start_http(
            listener,
            Entered(app, self._queue, self.telemetry),
            entrance(self._queue, self.telemetry, self.services.rates, believed=self.services.door is None),
        )

    def _rates(self) -> Any:
        """One for all doors of this process."""
        from flowledger.api.rates import Rates

        if self._limits is None:
            self._limits = Rates(self.settings, self.telemetry.metrics)
            if self.door is not None and self._limits.by_caller:
                self.door.rates = self._limits
        return self._limits

    async def _start_probes(self, listener: socket.socket) -> None:
        """Health and figures of a process without API."""
        from flowledger.api.probes import Probes

        executes = self.has("owner") or self.has("grpc")
        figures = self.settings.auth == "none" or self.settings.metrics_open
        await self._start_http(listener, Probes(self.engine, self.telemetry, self._parts, executes, figures))

    def _parts(self) -> dict[str, str]:
        """What doesn't work of this process besides the owners: name -> why."""
        found = {}
        if self.connectors is not None and self.connectors.trouble:
            found["connectors"] = self.connectors.trouble
        if self.has("projector"):
            if self.runner is None:
                found["projections"] = "the projector waits for the log"
            elif not self.runner.connected:
                found["projections"] = f"the projector has no database: {self.runner.error or 'it is starting'}"
        return found

    async def _start_http(self, listener: socket.socket, app: Any, http: Any = "auto") -> None:
        server, serving = await doors.http(listener, app, http, self._http_tls)
        serving.add_done_callback(self._ended)

        async def stop() -> None:
            if self.services is not None:
                self.services.closing.set()
            server.should_exit = True
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                async with asyncio.timeout(STOP_S):
                    await serving

        self._stack.push_async_callback(stop)

    async def _start_grpc(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        refusals = self.services.refusals if self.services is not None else None
        workers = self.services.workers if self.services is not None else None
        place = (self.settings.host, self.settings.grpc_port)
        server = await doors.grpc(
            listener,
            place,
            tls,
            self.engine,
            workers,
            self.telemetry,
            self._queue,
            self.door,
            refusals,
            self._rates(),
            {
                **dict.fromkeys(self.settings.step_up, "a fresh proof by a passkey"),
                **dict.fromkeys(self.settings.second_person, "a second person"),
            },
            self.services.storage if self.services is not None else None,
        )
        self._stack.push_async_callback(server.close)
        self.grpc_address = f"{self.settings.host}:{server.port}"

    def logs_anew(self) -> None:
        """Level, form, requests and file of the logs as the settings say by now; the file is opened anew in any case. All else waits for a start."""
        try:
            told = self.reread() if self.reread is not None else self.settings
            wanted = self.settings.model_copy(update={name: getattr(told, name) for name in LOGS})
            logs.configure(wanted.log_level, wanted.log_format, wanted.node, wanted.log_file)
        except (SettingsError, OSError) as e:
            log("system").error("logs are written as before", why=str(e))
            return
        self.settings = wanted
        self.telemetry.access.write(wanted.access_log)
        for process in (*self.owners, *([self.connectors] if self.connectors is not None else [])):
            process.logs(wanted)
        log("system").info("logs are written anew", **{name: getattr(wanted, name) for name in LOGS})

    async def run(self, started: Callable[[System], Any] | None = None) -> None:
        """Until SIGINT or SIGTERM. `started` is called once all is up; an awaitable runs beside. SIGUSR1: logs are written as the settings say by now."""
        loop = asyncio.get_running_loop()
        for which in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(which, self.closed.set)
        loop.add_signal_handler(signal.SIGUSR1, self.logs_anew)
        async with self:
            beside = started(self) if started is not None else None
            task = asyncio.ensure_future(beside) if beside is not None else None
            if task is not None:
                task.add_done_callback(lambda t: None if t.cancelled() or t.exception() is None else self.closed.set())
            await self.closed.wait()
            log("system").info("going down")
            if task is not None:
                if task.done() and not task.cancelled() and task.exception() is not None:
                    raise task.exception()
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        if self._failed is not None:
            raise projecting.said(self._failed)

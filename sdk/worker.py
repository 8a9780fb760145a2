"""A worker: handlers by job type, run as jobs come, over whichever transport.

    worker = Worker("http://127.0.0.1:8080")

    @worker.job("charge-card", max_jobs=50)
    async def charge(amount: Decimal, card: str, job: Job) -> dict: ...

    worker.run_forever()        # or: await worker.run()

Exactly once for the process, at least once for the handler: an answer counts once (by the fencing number), but a handler may run again
when the answer of its first run got lost, so it hands `job.idempotency_key` on to what it calls.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import os
import random
import signal
import socket
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from flowledger.sdk import frames as f
from flowledger.sdk import measuring, tracing
from flowledger.sdk.handlers import BadVariables, plan, result_of
from flowledger.sdk.job import MARK, BpmnError, Cancelled, Job, JobFailed, Result, Waits, current, handles, job_type_of
from flowledger.sdk.metrics import Metrics
from flowledger.sdk.transports import make
from flowledger.sdk.transports.port import Transport

log = logging.getLogger("flowledger.worker")

#: after these refusals the same outcome is said again
AGAIN = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"})
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.1, 10.0
#: of an exception's text
MESSAGE_MAX = 4000
#: newest characters of a stack trace that are sent
TRACE_MAX = 16_000


class Handler:
    """A registered function. `inline`: a sync one that is quick enough to run in the event loop instead of a thread."""

    __slots__ = ("arguments", "fetch", "function", "inline", "is_async", "lease_s", "max_jobs", "result", "type")

    def __init__(
        self, type: str, function: Callable[..., Any], max_jobs: int, lease_s: float, fetch: Sequence[str] | None, result: str, inline: bool
    ) -> None:
        self.type, self.function, self.max_jobs, self.lease_s, self.result = type, function, max_jobs, lease_s, result
        self.fetch = list(fetch) if fetch else None
        self.is_async = inspect.iscoroutinefunction(function)
        self.inline = inline and not self.is_async
        self.arguments = plan(function)


class Worker:
    """
    Args:
        server: URL; its scheme chooses the transport (see `flowledger.sdk.transports`).
        name: shown in the list of workers.
        max_jobs, lease_s: defaults of `job`: jobs of a type at a time; seconds until a job goes to another worker unless a heartbeat comes.
        api_key: where the server has sign-in (`token` is another word for it); `tenant`: where the key is good for several.
        threads: for sync handlers.
        traces: make an OpenTelemetry span for each job (needs `opentelemetry-api`; about 30 microseconds a job). The trace context is
            carried through either way.
        stack_traces: send where the code was when a handler failed by an exception of its own. It is text of your code and no values; what the server keeps
            is its own choice (`FLOWLEDGER_STACK_TRACES`).
        measure_from_s: attempts that take so long or longer tell what they took of the machine (`sdk/measuring.py`); None: none does.
    """

    def __init__(
        self,
        server: str | Transport = "http://127.0.0.1:8080",
        *,
        name: str = "",
        max_jobs: int = 32,
        lease_s: float = 60.0,
        api_key: str = "",
        token: str = "",
        tenant: str = "",
        threads: int = 16,
        traces: bool = False,
        stack_traces: bool = True,
        measure_from_s: float | None = measuring.FROM_S,
    ) -> None:
        self.stack_traces = stack_traces
        self._meter = None if measure_from_s is None else measuring.Meter(measure_from_s)
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self.token, self.tenant = api_key or token, tenant
        self._server = server
        self._defaults = (max_jobs, lease_s)
        self._threads = threads
        self._span = tracing.spans() if traces else None
        self.handlers: dict[str, Handler] = {}
        self.metrics = Metrics()
        #: jobs in work by key, and outcomes that the server has not acknowledged
        self.running: dict[int, Job] = {}
        self._pending: dict[int, f.Outcome] = {}
        self._outbox: list[f.Outcome] = []
        self._active: dict[str, int] = {}
        self._flushing = False
        self._draining = False
        self._idle: asyncio.Event | None = None
        self._runner: asyncio.Task[Any] | None = None

    def job(
        self,
        type: str,
        *,
        max_jobs: int = 0,
        lease_s: float = 0.0,
        fetch: Sequence[str] | None = None,
        result: str = "",
        inline: bool = False,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a handler. `fetch`: variables to be sent; `result`: name of the variable that takes a value that is no object."""

        given = {"max_jobs": max_jobs, "lease_s": lease_s, "fetch": fetch, "result": result, "inline": inline}

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            if type in self.handlers:
                raise ValueError(f"job type '{type}' has a handler already: {self.handlers[type].function.__qualname__}")
            self.handlers[type] = Handler(
                type, function, max_jobs or self._defaults[0], lease_s or self._defaults[1], fetch, result, inline
            )
            if getattr(function, MARK, None) is None:
                handles(type, **given)(function)
            return function

        return register

    def add(self, *handlers: Any) -> None:
        """Register handlers that carry `@handles(...)`, or all those that a `Flow` was built with. Raises: TypeError, ValueError."""
        for each in handlers:
            for function in getattr(each, "handlers", None) or (each,):
                known = job_type_of(function)
                present = self.handlers.get(known.type)
                if present is None or present.function is not function:
                    self.job(known.type, **known.options)(function)

    @property
    def subscriptions(self) -> list[tuple[str, int, int, list[str] | None]]:
        return [(h.type, int(h.lease_s * 1000), h.max_jobs, h.fetch) for h in self.handlers.values()]

    # --- life ---------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until `stop`. Raises: PermissionError (the server refuses us), ValueError (no handlers, bad URL)."""
        if not self.handlers:
            raise ValueError("a worker needs at least one handler: @worker.job(...)")
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()
        self._draining = False
        self._runner = asyncio.current_task()
        self._transport = make(self._server) if isinstance(self._server, str) else self._server
        self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="flowledger-job")
        beat = asyncio.create_task(self._heartbeat())
        pause = BACKOFF_FIRST_S
        try:
            while not self._draining:
                started = time.monotonic()
                try:
                    await self._transport.run(self)
                except (ConnectionError, OSError, TimeoutError) as e:
                    if isinstance(e, PermissionError):
                        raise
                    if self._draining and not self.running and not self._pending:
                        break
                    if time.monotonic() - started > 10:
                        pause = BACKOFF_FIRST_S
                    wait_s = pause * random.uniform(0.5, 1.5)
                    log.warning("worker %s: %s; coming again in %.1f s", self.name, e or type(e).__name__, wait_s)
                    await asyncio.sleep(wait_s)
                    pause = min(pause * 2, BACKOFF_MAX_S)
        except asyncio.CancelledError:
            if not self._draining:
                raise
        finally:
            beat.cancel()
            for job in list(self.running.values()):
                job.lose()
            self._executor.shutdown(wait=False, cancel_futures=True)

    async def stop(self, grace_s: float = 30.0) -> None:
        """Drain: take no more jobs, finish those in hand (for `grace_s` seconds at most), have them acknowledged, then leave.
        What is not finished then goes back and is handed to another worker."""
        if self._runner is None or self._idle is None:
            return
        self._draining = True
        await self._transport.drain()
        self._look_idle()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._idle.wait()
        if self.running:
            left = [(job.key, job.fence) for job in self.running.values()]
            for job in list(self.running.values()):
                job.lose()
            self._transport.give_back(left)
            await asyncio.sleep(0.1)
        self._runner.cancel()
        await asyncio.wait([self._runner])

    def run_forever(self) -> None:
        """For scripts: runs until SIGINT or SIGTERM, then drains. Uses uvloop when it is installed."""

        async def main() -> None:
            loop = asyncio.get_running_loop()
            run = asyncio.ensure_future(self.run())
            stopping: list[asyncio.Task[None]] = []

            def drain() -> None:
                if not stopping:
                    stopping.append(asyncio.ensure_future(self.stop()))

            for sign in (signal.SIGINT, signal.SIGTERM):
                with suppress(RuntimeError):  # where the loop has no signals (Windows)
                    loop.add_signal_handler(sign, drain)
            await run

        try:
            import uvloop
        except ImportError:
            asyncio.run(main())
        else:
            uvloop.run(main())

    def _look_idle(self) -> None:
        if self._draining and self._idle is not None and not self.running and not self._pending:
            self._idle.set()

    # --- from the transport -------------------------------------------------------------------------------------------------

    def deliver(self, jobs: list[f.Job]) -> None:
        create, running = self._loop.create_task, self.running
        for data in jobs:
            handler = self.handlers.get(data.type)
            if handler is None or self._draining:
                self._transport.give_back([(data.key, data.fence)])
                continue
            before = running.get(data.key)
            if before is not None:  # its lease ran out and it came to us again
                before.lose()
            self._pending.pop(data.key, None)
            job = running[data.key] = Job(data, self)
            # a record of the topic may have been read late; by a clock that is wrong the lease is at the most shorter
            left = data.deadline_us / 1e6 - time.time() if data.deadline_us else handler.lease_s
            job.until = time.monotonic() + min(left, handler.lease_s)
            m = self.metrics.of(data.type)
            m.received += 1
            m.active += 1
            self._active[data.type] = self._active.get(data.type, 0) + 1
            job.task = create(self._work(handler, job, m))

    def settled(self, keys: list[int]) -> None:
        pending = self._pending
        for key in keys:
            pending.pop(key, None)
        if self._draining:
            self._look_idle()

    def refused(self, key: int, code: str, message: str) -> None:
        outcome = self._pending.get(key)
        if outcome is None:
            return
        if code in AGAIN:
            self._loop.call_later(random.uniform(0.1, 0.5), self._say_again, key, outcome)
            return
        del self._pending[key]
        if type(outcome) not in (f.Progress, f.Waits):  # of one that waits nothing is lost: it was ended already
            log.warning("worker %s: the answer to job %d does not count: %s: %s", self.name, key, code, message)
        self.metrics.refused += 1
        self._look_idle()

    def _say_again(self, key: int, outcome: f.Outcome) -> None:
        if self._pending.get(key) is outcome:
            self._transport.send([outcome])

    def lost(self, keys: list[int]) -> None:
        for key in keys:
            job = self.running.get(key)
            if job is not None:
                self.metrics.of(job.type).lost += 1
                job.lose()
            self._pending.pop(key, None)
        self._look_idle()

    def connected(self) -> list[f.Outcome]:
        self.metrics.connects += 1
        self._outbox.clear()
        return list(self._pending.values())

    def free(self, type: str) -> int:
        return 0 if self._draining else self.handlers[type].max_jobs - self._active.get(type, 0)

    # --- one job ------------------------------------------------------------------------------------------------------------

    async def _work(self, handler: Handler, job: Job, m: Any) -> None:
        current.set(job)
        meter = self._meter
        before = None if meter is None else meter.begin()
        started = time.perf_counter()
        outcome: Any
        try:
            if self._span is not None:
                with self._span(job):
                    outcome = await self._call(handler, job)
            else:
                outcome = await self._call(handler, job)
            m.completed += 1
        except BpmnError as e:
            m.errors += 1
            outcome = f.Error(job.key, job.fence, e.code, e.message[:MESSAGE_MAX], e.variables)
        except JobFailed as e:
            m.failed += 1
            retries = -1 if e.retries is None else e.retries
            backoff_ms = -1 if e.backoff_s is None else int(e.backoff_s * 1000)
            outcome = f.Fail(job.key, job.fence, e.message[:MESSAGE_MAX], e.code, retries, backoff_ms, e.variables)
        except BadVariables as e:
            m.failed += 1
            outcome = f.Fail(job.key, job.fence, f"{handler.function.__qualname__}: {e}"[:MESSAGE_MAX], "BAD_VARIABLES", 0)
        except (asyncio.CancelledError, Cancelled):
            outcome = None
        except Exception as e:  # the handler's own trouble: this attempt failed, the worker goes on
            m.failed += 1
            log.exception("worker %s: the handler of %s failed on job %d", self.name, job.type, job.key)
            trace = {"stack_trace": "".join(traceback.format_exception(e))[-TRACE_MAX:]} if self.stack_traces else None
            outcome = f.Fail(job.key, job.fence, f"{type(e).__name__}: {e}"[:MESSAGE_MAX], type(e).__name__, details=trace)
        seconds = time.perf_counter() - started
        m.ran(seconds)
        if meter is not None and before is not None and outcome is not None and (figures := meter.end(before, job, m, seconds)) is not None:
            outcome = self._measured(outcome, figures)
        if outcome is not None:
            outcome = self._sayable(handler, outcome)
        m.active -= 1
        self._active[job.type] -= 1
        if self.running.get(job.key) is job:
            del self.running[job.key]
        if outcome is not None and not job.cancelled:
            self._answer(outcome)
        elif self._draining:
            self._look_idle()

    def _sayable(self, handler: Handler, outcome: f.Outcome) -> f.Outcome:
        """Itself; or that this attempt failed, where what a handler answered is no JSON: on its way it would end the worker, and with it all others."""
        try:
            f.encode(outcome)
        except (TypeError, ValueError, RecursionError) as e:
            log.warning("worker %s: %s answered job %d with what is no JSON: %s", self.name, handler.function.__qualname__, outcome.key, e)
            text = f"{handler.function.__qualname__}: expected an answer that JSON can hold: {e}"[:MESSAGE_MAX]
            return f.Fail(outcome.key, outcome.fence, text.encode(errors="backslashreplace").decode(), type(e).__name__)
        return outcome

    def _measured(self, outcome: f.Outcome, figures: dict[str, Any]) -> f.Outcome:
        """The same with the figures of its attempt, where the way to the server has a place for them."""
        if self._transport.variables_only:
            return outcome
        if isinstance(outcome, f.Complete):
            return f.Done(outcome.key, outcome.fence, outcome.variables, "success", measuring.joined(None, figures))
        if isinstance(outcome, f.Done):
            outcome.result = measuring.joined(outcome.result, figures)
        elif isinstance(outcome, f.Fail):
            outcome.details = measuring.joined(outcome.details, figures)
        return outcome

    async def _call(self, handler: Handler, job: Job) -> f.Complete | f.Done | f.Waits:
        args, kwargs = handler.arguments(job)
        if handler.is_async:
            value = await handler.function(*args, **kwargs)
        elif handler.inline:
            value = handler.function(*args, **kwargs)
        else:
            context = contextvars.copy_context()
            value = await self._loop.run_in_executor(self._executor, partial(context.run, handler.function, *args, **kwargs))
        if isinstance(value, Waits):
            return f.Waits(job.key, job.fence, int(value.seconds * 1000))
        if isinstance(value, Result):
            variables = result_of(value.variables, handler.result)
            return f.Done(job.key, job.fence, variables, value.status, value.details or None)
        return f.Complete(job.key, job.fence, result_of(value, handler.result))

    def _answer(self, outcome: f.Outcome) -> None:
        self._pending[outcome.key] = outcome
        self._outbox.append(outcome)
        if not self._flushing:  # all that this turn of the loop finishes goes out together
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        outbox, self._outbox = self._outbox, []
        if outbox:
            self._transport.send(outbox)

    # --- for `Job` ----------------------------------------------------------------------------------------------------------

    def _progress(self, job: Job, details: dict[str, Any]) -> None:
        said: list[f.Outcome] = [f.Progress(job.key, job.fence, details)]
        f.encode(said)  # what is no JSON is told to who says it
        self._loop.call_soon_threadsafe(self._transport.send, said)

    async def _extend_now(self, job: Job, seconds: float) -> None:
        job.leased(seconds)
        self._transport.extend([(job.key, job.fence)], int(seconds * 1000))
        await asyncio.sleep(0)

    async def _heartbeat(self) -> None:
        """Every third of the shortest lease: extend what will not be done before the next beat."""
        shortest = min(h.lease_s for h in self.handlers.values())
        while True:
            await asyncio.sleep(max(shortest / 3, 0.02))
            now = time.monotonic()
            due: dict[int, list[tuple[int, int]]] = {}
            for job in self.running.values():
                lease_s = self.handlers[job.type].lease_s
                if job.until - now < lease_s * 0.7:
                    job.leased(lease_s)
                    due.setdefault(int(lease_s * 1000), []).append((job.key, job.fence))
            for timeout_ms, jobs in due.items():
                self.metrics.heartbeats += len(jobs)
                self._transport.extend(jobs, timeout_ms)

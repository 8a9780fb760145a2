"""What a handler gets to know of its job, and how it says anything else than "done"."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, Literal, TypeVar

from flowledger.sdk.frames import Job as JobData

F = TypeVar("F", bound=Callable[..., Any])


#: where a handler carries its job type
MARK = "__flowledger_job__"


class JobType:
    """The type of a handler's jobs and how it is worked on, written once: `Flow.service` and `Worker.add` read it."""

    __slots__ = ("options", "type")

    def __init__(self, type: str, options: dict[str, Any]) -> None:
        self.type, self.options = type, options


def handles(type: str, **options: Any) -> Callable[[F], F]:
    """Say of a function which jobs it works on, without a worker yet. `options`: those of `Worker.job`.

    @handles("charge-card", max_jobs=50)
    async def charge(amount: Decimal, card: str) -> Receipt: ...
    """

    def mark(function: F) -> F:
        setattr(function, MARK, JobType(type, options))
        return function

    return mark


def job_type_of(handler: Any) -> JobType:
    """Raises: TypeError: a function without `@handles(...)`, or what is no function."""
    found = getattr(handler, MARK, None)
    if not isinstance(found, JobType):
        name = getattr(handler, "__qualname__", None) or repr(handler)
        raise TypeError(f"a handler with @handles('type') or @worker.job('type') was expected, found {name}")
    return found


class BpmnError(Exception):
    """Raised by a handler: a business error of the model, caught by a boundary event or event sub-process with this code."""

    def __init__(self, code: str, message: str = "", variables: dict[str, Any] | None = None) -> None:
        super().__init__(message or code)
        self.code, self.message, self.variables = code, message, variables


class JobFailed(Exception):
    """Raised by a handler: this attempt failed. `retries` (None: one less than before) are left, the next starts after `backoff_s`
    (None: by the retry policy). `retries=0` raises an incident. Any other exception means the same, with its text."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        retries: int | None = None,
        backoff_s: float | None = None,
        variables: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.code, self.retries, self.backoff_s, self.variables = message, code, retries, backoff_s, variables


class Result:
    """Answered by a handler that has more to say than variables: that it did its work in part, and what the task's record keeps.

    `variables`: as a handler answers them by itself. `artifacts`: references, `logs`: lines, `metrics`: numbers by name, `next_assignee`: a wish
    for the next task of people. Of a job that chooses in an ad-hoc sub-process: `activate`, pairs of an element and the variables that are its own,
    `fulfilled`: nothing more is to be chosen, `cancel_remaining`: what still runs is withdrawn then.
    """

    __slots__ = ("details", "status", "variables")

    def __init__(
        self,
        variables: Any = None,
        *,
        partial: bool = False,
        summary: str = "",
        artifacts: list[Any] | None = None,
        logs: list[str] | None = None,
        metrics: dict[str, Any] | None = None,
        next_assignee: str = "",
        activate: Iterable[tuple[str, dict[str, Any] | None]] = (),
        fulfilled: bool = False,
        cancel_remaining: bool = False,
    ) -> None:
        self.variables = variables
        self.status: Literal["success", "partial_success"] = "partial_success" if partial else "success"
        said = {
            "summary": summary, "artifacts": artifacts, "logs": logs, "metrics": metrics, "next_assignee": next_assignee,
            "activateElements": [{"elementId": element, "variables": own} for element, own in activate],
            "isCompletionConditionFulfilled": fulfilled, "isCancelRemainingInstances": cancel_remaining,
        }  # fmt: skip
        self.details: dict[str, Any] = {name: value for name, value in said.items() if value}


class Waits:
    """Answered by a handler whose job somebody else ends, by the one-time address that it was given (`POST /v1/jobs/{key}/callback`).

    The job rests for `seconds`; then it goes to a worker again, and has one attempt less.
    """

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        if not seconds > 0:
            raise ValueError(f"expected more than no time to wait, found {seconds} s")
        self.seconds = seconds


class Cancelled(Exception):
    """The job is no longer ours: cancelled, timed out, or with another worker. What the handler answers is dropped."""


#: the job that the current handler works on; `Client` takes its trace from here
current: ContextVar[Job | None] = ContextVar("flowledger_job", default=None)


class Job:
    """A job in work.

    Attributes:
        data: all that the server sent (`frames.Job`).
        key, type, variables, headers, instance, element, attempt, retries: of it, for short.
        idempotency_key: the same for every delivery of this attempt: hand it to the services that the handler calls.
        fence: raised by each delivery: a store that keeps the highest one seen can refuse a worker that woke up late.
        trace: W3C `traceparent` of whoever started the work.
        deadline_us: end of the lease, microseconds UTC; heartbeats move it. For people: the worker goes by `until`.
    """

    __slots__ = ("_flag", "_waiting", "_worker", "calls", "data", "deadline_us", "fence", "key", "task", "until")

    def __init__(self, data: JobData, worker: Any) -> None:
        self.data = data
        self.key, self.fence, self.deadline_us = data.key, data.fence, data.deadline_us
        #: the same by this process's monotonic clock, in seconds: neither a step of the wall clock nor one that differs costs the lease
        self.until = 0.0
        self._worker = worker
        self._flag = False
        self._waiting: list[Any] | None = None
        self.task: Any = None
        #: requests that `Client` and `SyncClient` sent for it
        self.calls = 0

    @property
    def type(self) -> str:
        return self.data.type

    @property
    def variables(self) -> dict[str, Any]:
        return self.data.variables or {}

    @property
    def headers(self) -> dict[str, Any]:
        return self.data.headers or {}

    @property
    def instance(self) -> int:
        return self.data.instance

    @property
    def element(self) -> str:
        return self.data.element

    @property
    def attempt(self) -> int:
        return self.data.attempt

    @property
    def retries(self) -> int:
        return self.data.retries

    @property
    def idempotency_key(self) -> str:
        return self.data.idempotency_key

    @property
    def trace(self) -> str:
        return self.data.trace

    @property
    def cancelled(self) -> bool:
        """Nobody waits for this work any more. Safe to read from a handler's thread."""
        return self._flag

    def check(self) -> None:
        """Raises: Cancelled. For loops in sync handlers; async ones are cancelled by themselves."""
        if self._flag:
            raise Cancelled(f"job {self.key} is no longer ours")

    def sleep(self, seconds: float) -> None:
        """In a sync handler: wait, but not longer than the job is ours. Raises: Cancelled."""
        event = threading.Event()
        self._waiting = [*(self._waiting or ()), event]
        if not self._flag:
            event.wait(seconds)
        self.check()

    def progress(self, percent: float | None = None, message: str = "", **details: Any) -> None:
        """Tell how far it is, or hand over a partial result. From any thread; doesn't wait."""
        if percent is not None:
            details["progress"] = percent
        if message:
            details["message"] = message
        self._worker._progress(self, details)

    async def extend(self, seconds: float) -> None:
        """Keep the job for so long from now. Heartbeats do it by themselves for `lease_s`. Raises: Cancelled."""
        await self._worker._extend_now(self, seconds)
        self.check()

    def leased(self, seconds: float) -> None:
        """Called by the worker: it is ours for so long from now."""
        self.until, self.deadline_us = time.monotonic() + seconds, int((time.time() + seconds) * 1e6)

    def lose(self) -> None:
        """Called by the worker: the job is gone."""
        self._flag = True
        for event in self._waiting or ():
            event.set()
        task = self.task
        if isinstance(task, asyncio.Task) and not task.done():
            task.cancel()

    def __repr__(self) -> str:
        return f"<Job {self.key} {self.type} attempt {self.attempt} of instance {self.instance}>"

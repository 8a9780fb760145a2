"""Stand-ins for workers: what a job is answered with, and what it was called with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.sdk import frames
from flowledger.sdk.handlers import BadVariables, plan, result_of
from flowledger.sdk.job import BpmnError, Job, JobFailed, Result, current


class _NoAnswer:
    """The worker takes the job and is never heard of again: its lease runs out when the clock is moved."""

    def __repr__(self) -> str:
        return "NO_ANSWER"


NO_ANSWER = _NoAnswer()

Answer = dict[str, Any] | None | BpmnError | JobFailed | _NoAnswer
Mock = Answer | Callable[..., Any] | Sequence[Any]


class _Desk:
    """What a `Job` asks of its worker."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.told: list[dict[str, Any]] = []

    def _progress(self, job: Job, details: dict[str, Any]) -> None:
        self.told.append(details)

    async def _extend_now(self, job: Job, seconds: float) -> None:
        job.deadline_us = self.engine.do(c.ExtendLease(task=job.key, timeout_ms=max(1, round(seconds * 1000)), fence=job.fence))[
            "deadline_us"
        ]


class JobMock:
    """A mocked job type. `calls` are the jobs that it got, oldest first.

    `answer`: variables; a `BpmnError`; a `JobFailed`; `NO_ANSWER`; a function (as a worker's handler: typed parameters, a parameter `job` or
    annotated `Job`, sync or async; what it raises means what it means in a worker); or a list of these, one for each call, the last one for all further
    calls.
    """

    def __init__(self, engine: Any, type: str, answer: Mock, timeout_us: int, fetch: list[str] | None = None, result: str = "") -> None:
        self.type, self.timeout_us, self.fetch, self.result = type, timeout_us, fetch, result
        self.calls: list[Job] = []
        self._desk = _Desk(engine)
        answers = list(answer) if isinstance(answer, (list, tuple)) else [answer]
        if not answers:
            raise ValueError(f"mock of job '{type}': expected at least one answer, found none")
        self._answers = [_prepared(a) for a in answers]

    @property
    def count(self) -> int:
        return len(self.calls)

    @property
    def progress(self) -> list[dict[str, Any]]:
        """What the handlers told by `job.progress`."""
        return self._desk.told

    @property
    def last(self) -> Job:
        """The latest job. Raises: AssertionError when there was none."""
        assert self.calls, f"no job '{self.type}' was handed out"
        return self.calls[-1]

    def run(self, data: dict[str, Any]) -> c.AnyCommand | None:
        """The command that answers the job; None: no answer."""
        job = Job(msgspec.convert({k: data[k] for k in frames.Job.__struct_fields__ if k in data}, frames.Job), self._desk)
        answer = self._answers[min(len(self.calls), len(self._answers) - 1)]
        self.calls.append(job)
        before = current.set(job)
        try:
            return self._outcome(job, answer(job) if callable(answer) else answer)
        except AssertionError:  # an assertion in a mock is the test's own
            raise
        except BadVariables as e:  # what a worker says: another attempt won't change that
            return c.FailTask(task=job.key, fence=job.fence, retries=0, message=str(e), code="BAD_VARIABLES")
        except Exception as e:  # noqa: BLE001 - a worker that breaks is what the mock plays
            return self._outcome(job, e)
        finally:
            current.reset(before)

    def _outcome(self, job: Job, answer: Any) -> c.AnyCommand | None:
        if answer is NO_ANSWER:
            return None
        if isinstance(answer, BpmnError):
            return c.ThrowTaskError(
                task=job.key, fence=job.fence, code=answer.code, message=answer.message, variables=as_json(answer.variables)
            )
        if isinstance(answer, JobFailed):
            return c.FailTask(
                task=job.key, fence=job.fence, message=answer.message, code=answer.code, retries=-1 if answer.retries is None else answer.retries,
                backoff_ms=-1 if answer.backoff_s is None else round(answer.backoff_s * 1000), variables=as_json(answer.variables),
            )  # fmt: skip
        if isinstance(answer, Exception):
            return c.FailTask(task=job.key, fence=job.fence, message=str(answer) or type(answer).__name__, code=type(answer).__name__)
        if isinstance(answer, Result):
            variables = as_json(result_of(answer.variables, self.result))
            return c.CompleteTask(task=job.key, fence=job.fence, variables=variables, status=answer.status, result=answer.details or None)
        return c.CompleteTask(task=job.key, fence=job.fence, variables=as_json(result_of(answer, self.result)))


def _prepared(answer: Any) -> Any:
    """Functions become `job -> answer`; the rest stays."""
    if not callable(answer):
        if answer is not None and not isinstance(answer, (dict, BpmnError, JobFailed, Result, _NoAnswer)):
            raise TypeError(f"expected variables, BpmnError, JobFailed, Result, NO_ANSWER or a function, found {answer!r}")
        return answer
    if isinstance(answer, type) and issubclass(answer, Exception):
        raise TypeError(f"expected an error such as {answer.__name__}('...'), found its class")
    parameters = inspect.signature(answer).parameters
    plain_job = "job" in parameters and parameters["job"].annotation is inspect.Parameter.empty
    arguments = plan(answer) if not (plain_job and len(parameters) == 1) else None

    def call(job: Job) -> Any:
        if arguments is None:
            value = answer(job)
        else:
            positional, named = arguments(job)
            value = answer(*positional, **named)
        if inspect.iscoroutine(value):
            value = _driven(value)
        return value

    return call


def _driven(coroutine: Any) -> Any:
    """The result of an async handler; in a loop of its own, since a test may be async itself."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=frames.exact).decode


def as_json(value: Any) -> Any:
    """The value as it would come over the wire: what JSON can't hold is refused, fractions are exact. Raises: TypeError."""
    if value is None:
        return None
    return _decode(_encode(value))

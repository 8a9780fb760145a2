"""Jobs: work as workers see it. A job is a task of which a worker has the lease."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Any

from litestar import Response, post
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.access.door import IDENTITY
from flowledger.api.access.known import Identity, unknown
from flowledger.api.closing import first
from flowledger.api.edge import (
    ApiRequest,
    Body,
    CountOrPolicy,
    Fence,
    KeyPath,
    Millis,
    MillisOrPolicy,
    Name,
    Result,
    Text,
    Variables,
    Words,
    key_of,
    reply,
)
from flowledger.api.leases import give_back
from flowledger.api.problems import Problem, malformed
from flowledger.api.services import Services, services_of
from flowledger.api.view import answer_view, job_view
from flowledger.events import commands as c
from flowledger.events.base import RejectionCode
from flowledger.kernel.handlers.results import STACK_TRACE

JOBS_MAX = 1000
TIMEOUT_MS_MAX = 30 * 24 * 3600 * 1000
Lease = Annotated[int, Meta(ge=1, le=TIMEOUT_MS_MAX)]


class ActivateBody(Body):
    """`timeout_ms`: how long the lease lasts; `wait_ms`: how long to wait for the first job; `variables`: of these names only."""

    type: Name
    worker: Name
    max: Annotated[int, Meta(ge=1, le=JOBS_MAX)] = 32
    timeout_ms: Lease = 300_000
    wait_ms: Millis = 0
    variables: list[str] | None = None


class CompleteBody(Body):
    """`fence` is the job's; with it an answer is refused once somebody else holds the job. `result`: summary, artifacts, logs, metrics, next_assignee."""

    variables: Variables = {}
    fence: Fence = 0
    status: Result = "success"
    result: dict[str, Any] | None = None


#: its newest characters are kept (`kernel/handlers/results.py`)
Trace = Annotated[str, Meta(max_length=1_000_000, description="Where the worker's code was, for development")]


def with_trace(details: dict[str, Any] | None, trace: str | None) -> dict[str, Any] | None:
    return {**(details or {}), STACK_TRACE: trace} if trace else details


class FailBody(Body):
    """`retries`: those left (-1: one less); `backoff_ms`: before the next attempt (-1: by the policy)."""

    message: Words = ""
    code: Text = ""
    retries: CountOrPolicy = -1
    backoff_ms: MillisOrPolicy = -1
    variables: Variables | None = None
    details: dict[str, Any] | None = None
    stack_trace: Trace | None = None
    fence: Fence = 0


class ErrorBody(Body):
    """A BPMN error: caught by a boundary event or event sub-process with this code."""

    code: Name
    message: Words = ""
    variables: Variables | None = None
    fence: Fence = 0


class ExtendBody(Body):
    timeout_ms: Lease
    fence: Fence = 0


class RetriesBody(Body):
    retries: Annotated[int, Meta(ge=1, le=(1 << 31) - 1)]


@post("/jobs/activate", status_code=200, summary="Take jobs")
async def activate(request: ApiRequest, data: ActivateBody) -> Response[a.Jobs]:
    """Leases up to `max` jobs to the worker. An empty list after `wait_ms`: there are none."""
    s = services_of(request)
    if data.wait_ms > s.settings.wait_ms_max:
        raise malformed(f"0 to {s.settings.wait_ms_max} was expected, found {data.wait_ms}", "body wait_ms")
    caller = s.identify(request)
    leasing = s.client.activate(data.type, data.worker, data.max, data.timeout_ms, data.wait_ms, data.variables, caller)
    if data.wait_ms:
        request.scope["flowledger_long"] = True  # type: ignore[typeddict-unknown-key]
        jobs = await unless_gone(s, request, leasing)
    else:
        jobs = await leasing
    if s.workers is not None:
        s.workers.handed(s.workers.polled(data.worker, "http", request.client.host if request.client else "", caller.tenant), jobs)
    return reply({"jobs": [job_view(j) for j in jobs]})


async def settle(request: ApiRequest, command: c.AnyCommand, key: int, completed: bool) -> Response[a.Done]:
    s = services_of(request)
    answer = await s.call(command, request)
    if s.workers is not None:
        s.workers.settled(key, completed)
    return reply(answer_view(answer))


async def unless_gone(s: Services, request: ApiRequest, work: Any) -> Any:
    """The long poll's result; given up when the caller hangs up (no job is leased to nobody) and when the server goes down."""
    task = asyncio.ensure_future(work)
    identity: Identity | None = request.scope.get(IDENTITY)  # type: ignore[assignment]
    if identity is not None and s.door is not None:
        s.door.known.hold(identity)
    gone = asyncio.ensure_future(_hung_up(request))
    closing = asyncio.ensure_future(s.closing.wait() if identity is None else first(s.closing, identity.ended))
    try:
        await asyncio.wait({task, gone, closing}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            if gone.done() and (late := task.result()):
                await give_back(s.client, late)
                return []
            return task.result()
        if closing.done():
            if not s.closing.is_set():
                raise unknown("who you were is not known any more")
            raise Problem(RejectionCode.UNAVAILABLE, "the server is going down", retry_after_ms=1000)
        return []
    finally:
        for each in (task, gone, closing):
            if not each.done():
                each.cancel()
                with suppress(asyncio.CancelledError):
                    await each


async def _hung_up(request: ApiRequest) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


@post("/jobs/{key:str}/complete", status_code=200, summary="Complete a job")
async def complete(request: ApiRequest, key: KeyPath, data: CompleteBody | None = None) -> Response[a.Done]:
    data = data or CompleteBody()
    task = key_of(key, "job")
    command = c.CompleteTask(task=task, variables=data.variables, fence=data.fence, status=data.status, result=data.result)
    return await settle(request, command, task, True)


@post("/jobs/{key:str}/fail", status_code=200, summary="Fail a job")
async def fail(request: ApiRequest, key: KeyPath, data: FailBody | None = None) -> Response[a.Done]:
    data = data or FailBody()
    task = key_of(key, "job")
    command = c.FailTask(
        task=task, message=data.message, code=data.code, retries=data.retries, backoff_ms=data.backoff_ms, variables=data.variables,
        details=with_trace(data.details, data.stack_trace), fence=data.fence,
    )  # fmt: skip
    return await settle(request, command, task, False)


@post("/jobs/{key:str}/error", status_code=200, summary="Throw a BPMN error")
async def error(request: ApiRequest, key: KeyPath, data: ErrorBody) -> Response[a.Done]:
    task = key_of(key, "job")
    command = c.ThrowTaskError(task=task, code=data.code, message=data.message, variables=data.variables, fence=data.fence)
    return await settle(request, command, task, False)


@post("/jobs/{key:str}/extend", status_code=200, summary="Keep a job for longer")
async def extend(request: ApiRequest, key: KeyPath, data: ExtendBody) -> Response[a.Done]:
    command = c.ExtendLease(task=key_of(key, "job"), timeout_ms=data.timeout_ms, fence=data.fence)
    return reply(answer_view(await services_of(request).call(command, request)))


@post("/jobs/{key:str}/retries", status_code=200, previews=True, summary="Grant attempts anew")
async def retries(request: ApiRequest, key: KeyPath, data: RetriesBody) -> Response[a.Done]:
    return reply(answer_view(await services_of(request).call(c.UpdateRetries(task=key_of(key, "job"), retries=data.retries), request)))


HANDLERS: list[Any] = [activate, complete, fail, error, extend, retries]

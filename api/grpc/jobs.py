"""Handing out jobs: `ActivateJobs` (long polling) and `StreamActivatedJobs` (pushed)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from flowledger.api.grpc.calls import pb
from flowledger.api.grpc.gateway import Call, Gateway
from flowledger.api.grpc.status import invalid
from flowledger.api.grpc.tenants import for_tenant, tenant_name
from flowledger.api.leases import close_source, give_back
from flowledger.events.avro import encode_json
from flowledger.events.commands import FailTask
from flowledger.kernel.limits import LEASE_MS_MAX, NAME_MAX
from flowledger.processors.client import ENGINE, Caller

#: `requestTimeout` 0 waits as long as a Zeebe gateway does by default (its `longPolling.timeout`)
LONG_POLL_MS = 10_000
#: an answer is cut into messages below this size; the usual client refuses more than 4 MiB
MESSAGE_BYTES_MAX = 3 * 1024 * 1024
#: the largest job that can be sent at all (4 MiB less what the message around it takes)
JOB_BYTES_MAX = 4 * 1024 * 1024 - 64
#: jobs under way to one stream before the transport has taken them
STREAM_CREDIT = 512
#: tenants in one request
TENANTS_MAX = 1_000
#: with several tenants in one request: how long to wait at one before asking the next
TENANT_TURN_MS = 100

Send = Callable[[Sequence[Any]], Awaitable[None]]


def activated(job: dict[str, Any], worker: str) -> Any:
    """A job as its message."""
    headers, variables = job.get("headers"), job.get("variables")
    return pb.ActivatedJob(
        key=job["key"],
        type=job["type"],
        processInstanceKey=job["instance"],
        bpmnProcessId=job["process"],
        processDefinitionVersion=job["version"],
        processDefinitionKey=job["definition"],
        elementId=job["element"],
        elementInstanceKey=job["token"],
        customHeaders=encode_json(headers) if headers else b"{}",
        worker=job.get("worker") or worker,
        retries=job["retries"],
        deadline=job["deadline_us"] // 1000,
        variables=encode_json(variables) if variables else b"{}",
        tenantId=tenant_name(job.get("tenant") or ""),
    )


def fitting(g: Gateway, jobs: list[dict[str, Any]], worker: str) -> tuple[list[dict[str, Any]], list[tuple[Any, int]]]:
    """The jobs that a client can receive, and their messages with their sizes in bytes. One that fits into no message is an incident:
    handed out again it would fail each poll, and all that was leased with it would be lost until the leases end."""
    fit, made = [], []
    for job in jobs:
        message = activated(job, worker)
        size = message.ByteSize()
        if size > JOB_BYTES_MAX:
            g.later(_too_large(g, job, size))
        else:
            fit.append(job)
            made.append((message, size))
    return fit, made


async def _too_large(g: Gateway, job: dict[str, Any], size: int) -> None:
    text = (
        f"the job has {size} bytes, a gRPC message takes {JOB_BYTES_MAX}: ask for fewer variables (fetchVariable), map less into the task, "
        "or take it over HTTP; then grant it retries"
    )
    await g.client.call(FailTask(task=job["key"], retries=0, code="MESSAGE_SIZE_EXCEEDED", message=text, fence=job.get("fence", 0)), ENGINE)


def check(r: Any, intent: str, what: str) -> None:
    """A lease that ends in no year that there is would be given to nobody, and whoever asked for it would wait for ever."""
    wrong = ""
    if not r.type.strip():
        wrong = f"Expected to {what} with type to be present, but it was blank"
    elif (long := max(len(r.type), len(r.worker))) > NAME_MAX:
        wrong = f"Expected to {what} with type and worker of at most {NAME_MAX} characters, but one has {long}"
    elif len(r.tenantIds) > TENANTS_MAX:
        wrong = f"Expected to {what} of at most {TENANTS_MAX} tenants, but {len(r.tenantIds)} were given"
    elif r.timeout < 1:
        wrong = f"Expected to {what} with timeout to be greater than zero, but it was '{r.timeout}'"
    elif r.timeout > LEASE_MS_MAX:
        wrong = f"Expected to {what} with timeout to be at most {LEASE_MS_MAX} ms, but it was '{r.timeout}'"
    if wrong:
        raise invalid(intent, wrong)


async def activate_jobs(g: Gateway, r: Any, call: Call, send: Send) -> None:
    """At most one batch of jobs; none when nothing came in time. A negative `requestTimeout`: don't wait."""
    check(r, "ACTIVATE", "activate job batch")
    if not r.worker.strip():
        raise invalid("ACTIVATE", "Expected to activate job batch with worker to be present, but it was blank")
    if r.maxJobsToActivate < 1:
        raise invalid(
            "ACTIVATE",
            f"Expected to activate job batch with max jobs to activate to be greater than zero, but it was '{r.maxJobsToActivate}'",
        )
    wait_ms = LONG_POLL_MS if r.requestTimeout == 0 else max(r.requestTimeout, 0)
    fetch = list(r.fetchVariable) or None
    callers = [for_tenant(call.caller, t) for t in dict.fromkeys(r.tenantIds)] or [call.caller]
    if len(callers) == 1:
        jobs = await g.client.activate(r.type, r.worker, r.maxJobsToActivate, r.timeout, wait_ms, fetch, callers[0])
    else:
        jobs = await _activate_any(g, r, callers, wait_ms, fetch)
    session = g.workers.polled(r.worker, "zeebe-poll", call.address, call.caller.tenant)
    session.asks_for(r.type)
    if not jobs:
        return
    jobs, made = fitting(g, jobs, r.worker)
    if not jobs:
        return
    call.handed(jobs)
    g.workers.handed(session, jobs)
    messages: list[Any] = []
    batch: list[Any] = []
    size = 0
    for message, bytes_ in made:
        if batch and size + bytes_ > MESSAGE_BYTES_MAX:
            messages.append(pb.ActivateJobsResponse(jobs=batch))
            batch, size = [], 0
        batch.append(message)
        size += bytes_
    messages.append(pb.ActivateJobsResponse(jobs=batch))
    try:
        await send(messages)
    except BaseException:
        g.later(give_back(g.client, jobs))
        raise


async def _activate_any(g: Gateway, r: Any, callers: list[Caller], wait_ms: int, fetch: list[str] | None) -> list[dict[str, Any]]:
    """Jobs of several tenants: asked in turn, so that no more than the wanted number is leased."""
    end = time.monotonic() + wait_ms / 1000
    for caller in callers:
        if jobs := await g.client.activate(r.type, r.worker, r.maxJobsToActivate, r.timeout, 0, fetch, caller):
            return jobs
    while True:
        for caller in callers:
            left_ms = int((end - time.monotonic()) * 1000)
            if left_ms <= 0:
                return []
            if jobs := await g.client.activate(
                r.type, r.worker, r.maxJobsToActivate, r.timeout, min(left_ms, TENANT_TURN_MS), fetch, caller
            ):
                return jobs


async def stream_activated_jobs(g: Gateway, r: Any, call: Call, send: Send) -> None:
    """Jobs until the client leaves. A job that could not be sent any more is given back at once."""
    check(r, "ACTIVATE", "activate jobs")
    fetch = list(r.fetchVariable) or None
    callers = [for_tenant(call.caller, t) for t in dict.fromkeys(r.tenantIds)] or [call.caller]
    session = g.workers.connect(r.worker, "zeebe-stream", call.address, call.caller.tenant)
    session.asks_for(r.type)

    async def push(caller: Caller) -> None:
        source = g.client.stream(r.type, r.worker, r.timeout, fetch, STREAM_CREDIT, caller)
        try:
            async for jobs in source:
                leased = len(jobs)
                jobs, made = fitting(g, jobs, r.worker)
                call.handed(jobs)
                g.workers.handed(session, jobs)
                try:
                    await send([message for message, _ in made])
                except BaseException:
                    g.later(give_back(g.client, jobs))
                    raise
                source.credit(leased)
                session.seen()
        finally:
            g.later(close_source(g.client, source))

    try:
        if len(callers) == 1:
            await push(callers[0])
        else:
            async with asyncio.TaskGroup() as group:
                for caller in callers:
                    group.create_task(push(caller))
    finally:
        g.workers.gone(session)


STREAMS: dict[str, Callable[[Any, Any, Any, Send], Awaitable[None]]] = {
    "ActivateJobs": activate_jobs,
    "StreamActivatedJobs": stream_activated_jobs,
}

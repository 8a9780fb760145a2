"""The Zeebe protocol, over grpclib: our own gateway or any other that speaks it. Needs the extra `zeebe` (the package pyzeebe).

A Zeebe stream brings new jobs only, so older ones are asked for every `POLL_S` seconds. The protocol knows neither fencing numbers nor
progress nor idempotency keys: the first are kept by our gateway for the connection, progress is dropped, the key is the job's.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from urllib.parse import urlsplit

import msgspec
from grpclib.client import Channel, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.config import Configuration
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from flowledger.sdk import frames as f
from flowledger.sdk.transports.port import Link, Tasks
from flowledger.sdk.zeebe_stubs import load

log = logging.getLogger("flowledger.worker")

POLL_S = 10.0
#: bytes of jobs that may be under way on a stream while all hands are full
WINDOW = 65_535

#: gRPC status -> our code
CODES: dict[Status, str] = {
    Status.NOT_FOUND: "NOT_FOUND",
    Status.FAILED_PRECONDITION: "INVALID_STATE",
    Status.INVALID_ARGUMENT: "INVALID_ARGUMENT",
    Status.RESOURCE_EXHAUSTED: "RESOURCE_EXHAUSTED",
    Status.UNAVAILABLE: "UNAVAILABLE",
    Status.DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
}
_decode = msgspec.json.Decoder(dict[str, Any], float_hook=f.exact).decode


class ZeebeTransport:
    variables_only = True

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port, self.tls = parts.hostname or "127.0.0.1", parts.port or 26500, parts.scheme == "zeebes"
        self.pb = load()
        self._retries: dict[int, int] = {}
        self._readers: list[asyncio.Task[Any]] = []

    def _method(self, kind: Any, name: str, request: str, reply: str) -> Any:
        return kind(self._channel, f"/gateway_protocol.Gateway/{name}", getattr(self.pb, request), getattr(self.pb, reply))

    async def run(self, link: Link) -> None:
        self._link, self._tasks, self._freed = link, Tasks(), asyncio.Event()
        config = Configuration(http2_stream_window_size=WINDOW, _keepalive_time=60.0)
        self._channel = Channel(self.host, self.port, ssl=self.tls or None, config=config)
        self._metadata = {"authorization": f"Bearer {link.token}"} if link.token else None
        self._unary = {n: self._method(UnaryUnaryMethod, n, f"{n}Request", f"{n}Response") for n in _UNARY}
        self._streams = self._method(UnaryStreamMethod, "StreamActivatedJobs", "StreamActivatedJobsRequest", "ActivatedJob")
        self._polls = self._method(UnaryStreamMethod, "ActivateJobs", "ActivateJobsRequest", "ActivateJobsResponse")
        try:
            await self._channel.__connect__()
            self.send(link.connected())
            readers = [self._stream(s) for s in link.subscriptions] + [self._poll(s) for s in link.subscriptions]
            self._readers = [self._tasks.start(r) for r in readers]
            try:
                await asyncio.gather(*self._readers)
            except asyncio.CancelledError:
                if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                    raise
                await asyncio.Event().wait()  # drained: what is in hand is still answered
        except GRPCError as e:
            if e.status in (Status.UNAUTHENTICATED, Status.PERMISSION_DENIED):
                raise PermissionError(e.message or e.status.name) from None
            if e.status is Status.INVALID_ARGUMENT:
                raise ValueError(e.message) from None
            raise ConnectionResetError(f"{e.status.name}: {e.message}") from None
        except StreamTerminatedError as e:
            raise ConnectionResetError(str(e)) from None
        finally:
            await self._tasks.cancel()
            self._channel.close()

    def _request(self, cls: Any, s: Any, **more: Any) -> Any:
        type_, timeout_ms, _, fetch = s
        tenants = [self._link.tenant] if self._link.tenant else []
        return cls(type=type_, worker=self._link.name, timeout=timeout_ms, fetchVariable=fetch or [], tenantIds=tenants, **more)

    async def _hand(self, type: str) -> None:
        while self._link.free(type) <= 0:
            self._freed.clear()
            await self._freed.wait()

    async def _stream(self, s: Any) -> None:
        async with self._streams.open(metadata=self._metadata) as stream:
            await stream.send_message(self._request(self.pb.StreamActivatedJobsRequest, s), end=True)
            while True:
                await self._hand(s[0])
                job = await stream.recv_message()
                if job is None:
                    raise ConnectionResetError("the gateway ended the stream")
                self._deliver([job])

    async def _poll(self, s: Any) -> None:
        while True:
            await self._hand(s[0])
            request = self._request(self.pb.ActivateJobsRequest, s, maxJobsToActivate=self._link.free(s[0]), requestTimeout=-1)
            for answer in await self._polls(request, metadata=self._metadata):
                self._deliver(answer.jobs)
            await asyncio.sleep(POLL_S)

    def _deliver(self, jobs: Any) -> None:
        found = []
        for job in jobs:
            self._retries[job.key] = job.retries
            found.append(
                f.Job(
                    key=job.key,
                    type=job.type,
                    variables=_decode(job.variables or "{}"),
                    headers=_decode(job.customHeaders or "{}"),
                    instance=job.processInstanceKey,
                    process=job.bpmnProcessId,
                    definition=job.processDefinitionKey,
                    version=job.processDefinitionVersion,
                    element=job.elementId,
                    token=job.elementInstanceKey,
                    retries=job.retries,
                    deadline_us=job.deadline * 1000,
                    worker=job.worker,
                    tenant=job.tenantId,
                    idempotency_key=str(job.key),
                )
            )
        if found:
            self._link.deliver(found)

    def send(self, outcomes: list[f.Outcome]) -> None:
        for outcome in outcomes:
            self._tasks.start(self._say(outcome))

    async def _say(self, o: Any) -> None:
        self._freed.set()
        make = _OUTCOMES.get(type(o))
        if make is None:
            return
        name, request = make(self, o)
        try:
            await self._unary[name](request, metadata=self._metadata, timeout=30)
        except GRPCError as e:
            self._link.refused(o.key, CODES.get(e.status, "UNAVAILABLE"), e.message or "")
        except (StreamTerminatedError, OSError, TimeoutError):
            return  # said again when the next connection stands
        else:
            self._retries.pop(o.key, None)
            self._link.settled([o.key])

    def _complete(self, o: f.Complete) -> tuple[str, Any]:
        return "CompleteJob", self.pb.CompleteJobRequest(jobKey=o.key, variables=f.encode(o.variables or {}))

    def _done(self, o: f.Done) -> tuple[str, Any]:
        why = "Zeebe's protocol carries variables only, found a Result: answer a dict, or let the worker connect by http://"
        return "FailJob", self.pb.FailJobRequest(jobKey=o.key, retries=0, errorMessage=why)

    def _waits(self, o: f.Waits) -> tuple[str, Any]:
        return "UpdateJobTimeout", self.pb.UpdateJobTimeoutRequest(jobKey=o.key, timeout=o.timeout_ms)

    def _fail(self, o: f.Fail) -> tuple[str, Any]:
        retries = o.retries if o.retries >= 0 else max(self._retries.get(o.key, 1) - 1, 0)
        variables = f.encode(o.variables) if o.variables else ""
        return "FailJob", self.pb.FailJobRequest(
            jobKey=o.key, retries=retries, errorMessage=o.message, retryBackOff=max(o.backoff_ms, 0), variables=variables
        )

    def _error(self, o: f.Error) -> tuple[str, Any]:
        variables = f.encode(o.variables) if o.variables else ""
        return "ThrowError", self.pb.ThrowErrorRequest(jobKey=o.key, errorCode=o.code, errorMessage=o.message, variables=variables)

    def extend(self, jobs: list[tuple[int, int]], timeout_ms: int) -> None:
        for key, _ in jobs:
            self._tasks.start(self._extend(key, timeout_ms))

    async def _extend(self, key: int, timeout_ms: int) -> None:
        try:
            await self._unary["UpdateJobTimeout"](self.pb.UpdateJobTimeoutRequest(jobKey=key, timeout=timeout_ms), metadata=self._metadata)
        except GRPCError as e:
            if e.status in (Status.NOT_FOUND, Status.FAILED_PRECONDITION):
                self._link.lost([key])
        except (StreamTerminatedError, OSError):
            log.debug("the heartbeat of job %d did not get through", key)

    def give_back(self, jobs: list[tuple[int, int]]) -> None:
        self.extend(jobs, 1)

    async def drain(self) -> None:
        for reader in self._readers:
            reader.cancel()
        await asyncio.sleep(0)


_UNARY = ("CompleteJob", "FailJob", "ThrowError", "UpdateJobTimeout")
_OUTCOMES: dict[type, Any] = {
    f.Complete: ZeebeTransport._complete, f.Done: ZeebeTransport._done, f.Fail: ZeebeTransport._fail, f.Error: ZeebeTransport._error,
    f.Waits: ZeebeTransport._waits,
}  # fmt: skip

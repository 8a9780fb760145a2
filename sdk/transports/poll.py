"""HTTP long polling: one waiting request for each job type, one request for each outcome. Slower than the stream, passes any proxy."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import Any

import httpx2
import msgspec

from flowledger.sdk import frames as f
from flowledger.sdk.transports.port import Link, Tasks
from flowledger.sdk.wire import wire

WAIT_MS = 20_000
#: requests with outcomes at a time
PARALLEL = 16
#: after a transport error, before an outcome is said again
AGAIN_S = 0.5

#: outcome -> path below /v1/jobs/{key} and body
REQUESTS: dict[type, Any] = {
    f.Complete: lambda o: ("complete", {"variables": o.variables or {}, "fence": o.fence}),
    f.Done: lambda o: ("complete", {"variables": o.variables or {}, "fence": o.fence, "status": o.status, "result": o.result}),
    f.Fail: lambda o: (
        "fail",
        {
            "message": o.message,
            "code": o.code,
            "retries": o.retries,
            "backoff_ms": o.backoff_ms,
            "variables": o.variables,
            "fence": o.fence,
            **({"details": o.details} if o.details else {}),
        },
    ),
    f.Waits: lambda o: ("extend", {"timeout_ms": o.timeout_ms, "fence": o.fence}),
    f.Error: lambda o: ("error", {"code": o.code, "message": o.message, "variables": o.variables, "fence": o.fence}),
}


def code_of(response: Any) -> tuple[str, str]:
    """Code and text of a problem (RFC 9457)."""
    try:
        problem = msgspec.json.decode(response.content)
        return str(problem.get("code") or response.status_code), str(problem.get("detail") or problem.get("title") or "")
    except (msgspec.DecodeError, AttributeError):
        return ("UNAVAILABLE" if response.status_code >= 500 else str(response.status_code)), response.reason_phrase


class PollTransport:
    variables_only = False

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/") + "/v1"
        self._polls: list[asyncio.Task[Any]] = []
        self._http: Any = None

    async def run(self, link: Link) -> None:
        self._link = link
        self._tasks = Tasks()
        self._freed = asyncio.Event()
        self._slots = asyncio.Semaphore(PARALLEL)
        headers = {"content-type": "application/json"}
        if link.token:
            headers["authorization"] = f"Bearer {link.token}"
        if link.tenant:
            headers["x-tenant"] = link.tenant
        async with aclosing(wire(self.url, headers, WAIT_MS / 1000 + 20)) as self._http:
            self.send(link.connected())
            try:
                self._polls = [self._tasks.start(work) for work in self._work()]
                try:
                    await asyncio.gather(*self._polls)
                except httpx2.TransportError as e:
                    raise ConnectionResetError(str(e) or type(e).__name__) from None
                except asyncio.CancelledError:
                    if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                        raise
                    await asyncio.Event().wait()  # drained: what is in hand is still answered
            finally:
                await self._tasks.cancel()

    def _work(self) -> list[Any]:
        return [self._poll(*s) for s in self._link.subscriptions]

    async def _poll(self, type: str, timeout_ms: int, credit: int, fetch: list[str] | None) -> None:
        while True:
            free = self._link.free(type)
            if free <= 0:
                self._freed.clear()
                await self._freed.wait()
                continue
            body = {
                "type": type,
                "worker": self._link.name,
                "max": min(free, 1000),
                "timeout_ms": timeout_ms,
                "wait_ms": WAIT_MS,
                "variables": fetch,
            }
            response = await self._http.request("POST", "/jobs/activate", content=f.encode(body))
            if response.status_code in (401, 403):
                raise PermissionError(f"the server refuses this worker: HTTP {response.status_code}")
            if response.status_code == 429 or response.status_code >= 500:
                raise ConnectionResetError(f"HTTP {response.status_code}: {code_of(response)[1]}")
            if response.status_code != 200:
                raise ValueError("{}: {}".format(*code_of(response)))
            jobs = jobs_of(response.content, timeout_ms)
            if jobs:
                self._link.deliver(jobs)

    def send(self, outcomes: list[f.Outcome]) -> None:
        for outcome in outcomes:
            self._tasks.start(self._say(outcome))

    async def _say(self, outcome: Any) -> None:
        self._freed.set()
        if type(outcome) is f.Progress:
            await self._post(f"/tasks/{outcome.key}/progress", {"details": outcome.details})
            return
        path, body = REQUESTS[type(outcome)](outcome)
        response = await self._post(f"/jobs/{outcome.key}/{path}", body)
        if response.status_code < 300:
            self._link.settled([outcome.key])
        else:
            self._link.refused(outcome.key, *code_of(response))

    async def _post(self, path: str, body: Any) -> Any:
        while True:
            try:
                async with self._slots:
                    return await self._http.request("POST", path, content=f.encode(body))
            except httpx2.TransportError:
                await asyncio.sleep(AGAIN_S)

    def extend(self, jobs: list[tuple[int, int]], timeout_ms: int) -> None:
        for key, fence in jobs:
            self._tasks.start(self._extend(key, fence, timeout_ms))

    async def _extend(self, key: int, fence: int, timeout_ms: int) -> None:
        response = await self._post(f"/jobs/{key}/extend", {"timeout_ms": timeout_ms, "fence": fence})
        if response.status_code in (404, 409, 410, 412, 422):
            self._link.lost([key])

    def give_back(self, jobs: list[tuple[int, int]]) -> None:
        self.extend(jobs, 1)

    async def drain(self) -> None:
        for poll in self._polls:
            poll.cancel()
        await asyncio.sleep(0)


class _Answer(msgspec.Struct):
    jobs: list[dict[str, Any]]


_decode = msgspec.json.Decoder(_Answer, float_hook=f.exact).decode


def jobs_of(content: bytes, timeout_ms: int) -> list[f.Job]:
    """Jobs of the HTTP API, where keys are texts. The deadline is counted from now: clocks may differ."""
    deadline_us = int(time.time() * 1e6) + timeout_ms * 1000
    return [msgspec.convert({**job, "deadline_us": deadline_us}, f.Job, strict=False) for job in _decode(content).jobs]

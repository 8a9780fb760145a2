"""A client of the HTTP API for services: deploy, start, look, steer, and tell.

    async with Client("http://127.0.0.1:8080") as client:
        await client.deploy("order.bpmn")
        instance = await client.start("order", {"total": 12}, wait_s=10)

Keys are texts, numbers with a fraction `Decimal`. Commands that fail for a passing reason are said again with the same
`Idempotency-Key`, so that they happen once. Inside of a handler the job's trace goes along.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
import msgspec

from flowledger.sdk.frames import encode, exact
from flowledger.sdk.tracing import traceparent

_decode = msgspec.json.Decoder(float_hook=exact).decode
#: answers after which the same request may be sent again
_PASSING = frozenset({429, 502, 503})
ATTEMPTS_MAX = 5


class ApiError(Exception):
    """The server said no. `code` is for programs, `status` the HTTP status, `problem` the whole answer (RFC 9457)."""

    def __init__(self, status: int, code: str, message: str, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message, self.problem = status, code, message, problem


class Client:
    """
    Args:
        server: base URL.
        token: bearer token; `tenant` for those who may act for several; `actor` where the server has no sign-in.
        timeout_s: for one request; waiting for an instance's end comes on top.
    """

    def __init__(
        self, server: str = "http://127.0.0.1:8080", *, token: str = "", tenant: str = "", actor: str = "", timeout_s: float = 30.0
    ) -> None:
        headers = {"accept": "application/json"}
        for name, value in (("authorization", f"Bearer {token}" if token else ""), ("x-tenant", tenant), ("x-actor", actor)):
            if value:
                headers[name] = value
        self._timeout_s = timeout_s
        self._http = httpx2.AsyncClient(base_url=server.rstrip("/"), headers=headers, timeout=timeout_s)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def request(
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, Any] | None = None, id: str = "", wait_s: float = 0.0
    ) -> Any:
        """Any call below `/v1`. Raises: ApiError, httpx2.TransportError (after `ATTEMPTS_MAX` attempts)."""
        headers = {"content-type": "application/json"}
        if trace := traceparent():
            headers["traceparent"] = trace
        repeatable = method == "GET"
        if method == "POST":
            headers["idempotency-key"] = id or uuid.uuid4().hex
            repeatable = True
        content = None if body is None else encode(body)
        pause = 0.1
        for attempt in range(1, ATTEMPTS_MAX + 1):
            last = attempt == ATTEMPTS_MAX or not repeatable
            try:
                response = await self._http.request(
                    method,
                    f"/v1{path}",
                    content=content,
                    params={k: v for k, v in (query or {}).items() if v is not None},
                    headers=headers,
                    timeout=self._timeout_s + wait_s,
                )
            except httpx2.TransportError:
                if last:
                    raise
            else:
                if response.status_code not in _PASSING or last:
                    return self._answer(response)
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def _answer(self, response: Any) -> Any:
        try:
            answer = _decode(response.content) if response.content else None
        except msgspec.DecodeError:
            answer = {"detail": response.text[:500]}
        if response.status_code < 400:
            return answer
        problem = answer if isinstance(answer, dict) else {}
        code = str(problem.get("code") or response.status_code)
        raise ApiError(response.status_code, code, str(problem.get("detail") or problem.get("title") or ""), problem)

    # --- models ---------------------------------------------------------------------------------------------------------------

    async def deploy(self, *files: str | Path | tuple[str, str], status: str = "published") -> dict[str, Any]:
        """Files, or pairs of name and content. All or none. Raises: ApiError (422 with findings)."""
        resources = []
        for file in files:
            name, content = file if isinstance(file, tuple) else (Path(file).name, await asyncio.to_thread(Path(file).read_text, "utf-8"))
            resources.append({"name": name, "content": content})
        return await self.request("POST", "/deployments", {"resources": resources, "status": status})

    # --- instances ------------------------------------------------------------------------------------------------------------

    async def start(
        self, definition: str, variables: Mapping[str, Any] | None = None, *, wait_s: float = 0.0, id: str = "", **more: Any
    ) -> dict[str, Any]:
        """`definition`: process id or key. With `wait_s` the answer has the variables of the ended instance.

        Args:
            id: idempotency key: the same one again gets the first answer.
            more: version, version_tag, business_key, priority, metadata, start_at, fetch.
        """
        body = {"definition": definition, "variables": dict(variables or {}), "wait_ms": int(wait_s * 1000), **more}
        return await self.request("POST", "/instances", body, id=id, wait_s=wait_s)

    async def instance(self, key: str | int, *, wait_for: str | None = None) -> dict[str, Any]:
        """`wait_for`: the position of a command, to read one's own write."""
        return await self.request("GET", f"/instances/{key}", query={"wait_for": wait_for})

    async def instances(self, **filters: Any) -> AsyncIterator[dict[str, Any]]:
        """All that match, page by page."""
        cursor: Any = None
        while True:
            page = await self.request("GET", "/instances", query={**filters, "cursor": cursor})
            for item in page["items"]:
                yield item
            cursor = page.get("cursor") or page.get("next_cursor")
            if not cursor:
                return

    async def cancel(self, key: str | int, reason: str = "", *, force: bool = False) -> dict[str, Any]:
        return await self.request("POST", f"/instances/{key}/cancel", {"reason": reason, "force": force})

    async def control(self, key: str | int, move: str, reason: str = "") -> dict[str, Any]:
        """`move`: suspend, resume, pause, unpause."""
        return await self.request("POST", f"/instances/{key}/{move}", {"reason": reason})

    async def set_variables(self, key: str | int, variables: Mapping[str, Any], *, local: bool = False) -> dict[str, Any]:
        return await self.request("PATCH", f"/instances/{key}/variables", {"variables": dict(variables), "local": local})

    # --- messages, signals, decisions, incidents -----------------------------------------------------------------------------

    async def publish(
        self,
        name: str,
        correlation_key: str = "",
        variables: Mapping[str, Any] | None = None,
        *,
        ttl_s: float = 0.0,
        message_id: str = "",
    ) -> dict[str, Any]:
        body = {
            "name": name,
            "correlation_key": correlation_key,
            "variables": dict(variables or {}),
            "ttl_ms": int(ttl_s * 1000),
            "message_id": message_id,
        }
        return await self.request("POST", "/messages", body)

    async def signal(self, name: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return await self.request("POST", "/signals", {"name": name, "variables": dict(variables or {})})

    async def decide(self, decision: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return await self.request("POST", "/decisions/evaluate", {"decision": decision, "inputs": dict(inputs)})

    async def resolve(self, incident: str | int) -> dict[str, Any]:
        return await self.request("POST", f"/incidents/{incident}/resolve", {})

    # --- tasks ----------------------------------------------------------------------------------------------------------------

    async def move_task(self, key: str | int, move: str, reason: str = "", **details: Any) -> dict[str, Any]:
        """`move`: assign, claim, release, start, progress, comment, delegate, escalate ..."""
        return await self.request("POST", f"/tasks/{key}/{move}", {"reason": reason, "details": details})

    async def complete_task(self, key: str | int, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return await self.request("POST", f"/tasks/{key}/complete", {"variables": dict(variables or {})})

    async def workers(self, types: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Live workers of the node that answers; with `types` those that take one of them."""
        found = (await self.request("GET", "/workers"))["items"]
        return [w for w in found if not types or set(types) & set(w["types"])]

"""Clients of the HTTP API for services: deploy, start, look, steer, and tell.

    async with Client("http://127.0.0.1:8080") as client:
        await client.deploy("order.bpmn")
        instance = await client.start("order", {"total": 12}, wait_s=10)

    with SyncClient() as client:
        receipt = client.run("order", {"total": 12}, result=Receipt)

Commands that fail for a passing reason are said again with the same `Idempotency-Key`, so that they happen once. Inside of a handler the
job's trace goes along. All calls stand in `surface.py`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from types import TracebackType
from typing import Any

import httpx2

from flowledger.sdk.errors import ApiError
from flowledger.sdk.surface import ATTEMPTS_MAX, PASSING, Surface, Then
from flowledger.sdk.wire import wire

__all__ = ["ApiError", "Client", "SyncClient"]


class Client(Surface):
    """For asyncio: each call is awaited."""

    def __init__(self, server: str = "http://127.0.0.1:8080", **options: Any) -> None:
        super().__init__(server, **options)
        self._http = wire(self._server, self._headers, self._timeout_s)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def request(
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, Any] | None = None, id: str = "", wait_s: float = 0.0,
        then: Then | None = None,
    ) -> Any:  # fmt: skip
        what, how = self._sent(method, path, body, query, id, wait_s)
        for attempt in range(1, ATTEMPTS_MAX + 1):
            response = None
            try:
                response = await self._http.request(*what, **how)
            except httpx2.TransportError:
                if attempt == ATTEMPTS_MAX:
                    raise
            if response is not None and (response.status_code not in PASSING or attempt == ATTEMPTS_MAX):
                return self._answer(response, then)
            await asyncio.sleep(self._pause(attempt, response) * random.uniform(0.5, 1.5))
        raise AssertionError("the last attempt returns or raises")

    async def pages(self, path: str, **filters: Any) -> AsyncIterator[dict[str, Any]]:
        """All items of a list, page by page."""
        cursor: Any = None
        while True:
            page = await self.request("GET", path, query={**filters, "cursor": cursor})
            for item in page["items"]:
                yield item
            if not (cursor := page.get("cursor")):
                return

    def instances(self, **filters: Any) -> AsyncIterator[dict[str, Any]]:
        """All that match, the newest first."""
        return self.pages("/instances", **filters)

    def tasks(self, **filters: Any) -> AsyncIterator[dict[str, Any]]:
        return self.pages("/tasks", **filters)

    def incidents(self, **filters: Any) -> AsyncIterator[dict[str, Any]]:
        return self.pages("/incidents", **filters)

    def definitions(self, **filters: Any) -> AsyncIterator[dict[str, Any]]:
        return self.pages("/definitions", **filters)


class SyncClient(Surface):
    """Without asyncio: each call answers. Not for several threads at once."""

    def __init__(self, server: str = "http://127.0.0.1:8080", **options: Any) -> None:
        super().__init__(server, **options)
        self._http = httpx2.Client(base_url=self._server, headers=self._headers, timeout=self._timeout_s)

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def request(
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, Any] | None = None, id: str = "", wait_s: float = 0.0,
        then: Then | None = None,
    ) -> Any:  # fmt: skip
        what, how = self._sent(method, path, body, query, id, wait_s)
        for attempt in range(1, ATTEMPTS_MAX + 1):
            response = None
            try:
                response = self._http.request(*what, **how)
            except httpx2.TransportError:
                if attempt == ATTEMPTS_MAX:
                    raise
            if response is not None and (response.status_code not in PASSING or attempt == ATTEMPTS_MAX):
                return self._answer(response, then)
            time.sleep(self._pause(attempt, response) * random.uniform(0.5, 1.5))
        raise AssertionError("the last attempt returns or raises")

    def pages(self, path: str, **filters: Any) -> Iterator[dict[str, Any]]:
        """All items of a list, page by page."""
        cursor: Any = None
        while True:
            page = self.request("GET", path, query={**filters, "cursor": cursor})
            yield from page["items"]
            if not (cursor := page.get("cursor")):
                return

    def instances(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """All that match, the newest first."""
        return self.pages("/instances", **filters)

    def tasks(self, **filters: Any) -> Iterator[dict[str, Any]]:
        return self.pages("/tasks", **filters)

    def incidents(self, **filters: Any) -> Iterator[dict[str, Any]]:
        return self.pages("/incidents", **filters)

    def definitions(self, **filters: Any) -> Iterator[dict[str, Any]]:
        return self.pages("/definitions", **filters)

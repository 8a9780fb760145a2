"""A scripted client and projections in memory: the edge can be tested without an engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from flowledger.api.app import create_app
from flowledger.api.problems import malformed
from flowledger.api.services import Services
from flowledger.events.base import Recorded
from flowledger.infra.settings import Settings

KEY = 2 << 51 | 7


class ScriptedClient:
    """Answers with what `answers` says for the kind of command; remembers what it was asked."""

    partitions = 4

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Any, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {}
        self.jobs: list[dict[str, Any]] = []
        self.activations: list[tuple[Any, ...]] = []
        self.cancelled = 0
        self.log: dict[int, list[Recorded]] = {p: [] for p in range(4)}
        self.grown = asyncio.Condition()
        self.ready: dict[str, Any] = {"ready": True, "reasons": []}
        #: why the log doesn't answer
        self.away = ""

    async def call(self, command: Any, caller: Any = None, *, id: str = "", partition: int | None = None, timeout_s: float = 30.0) -> Any:
        self.calls.append((command, caller, {"id": id, "partition": partition, "timeout_s": timeout_s}))
        answer = self.answers.get(type(command).__name__, {"position": "2-41"})
        return answer(command) if callable(answer) else answer

    @property
    def last(self) -> Any:
        return self.calls[-1][0]

    async def activate(
        self, job_type: str, worker: str, max_jobs: int, timeout_ms: int, wait_ms: int = 0, fetch: Any = None, caller: Any = None
    ) -> list[dict[str, Any]]:
        self.activations.append((job_type, worker, max_jobs, timeout_ms, wait_ms, fetch))
        try:
            if not self.jobs and wait_ms:
                await asyncio.sleep(wait_ms / 1000)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        found, self.jobs = self.jobs[:max_jobs], self.jobs[max_jobs:]
        return found

    async def events(self, positions: dict[int, int] | None = None) -> AsyncIterator[list[Recorded]]:
        at = {p: len(rs) for p, rs in self.log.items()} | (positions or {})
        while True:
            batch = None
            for p, rs in self.log.items():
                if at[p] < len(rs):
                    batch, at[p] = rs[at[p] :], len(rs)
                    break
            if batch:
                yield batch
                continue
            async with self.grown:
                await self.grown.wait()

    async def happen(self, *events: Recorded) -> None:
        for e in events:
            self.log[e.partition].append(e)
        async with self.grown:
            self.grown.notify_all()

    async def ends(self) -> dict[int, int]:
        if self.away:
            raise ConnectionError(self.away)
        return {p: len(rs) for p, rs in self.log.items()}

    def definition(self, key: int) -> None:
        return None

    def health(self) -> dict[str, Any]:
        return {**self.ready, "partitions": {p: {"epoch": 1, "position": len(rs)} for p, rs in self.log.items()}}


class RowsInMemory:
    """`Reads` over lists of dicts."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {n: [] for n in ("definitions", "instances", "tasks", "incidents")}
        self.history: list[dict[str, Any]] = []
        self.sources: dict[str, dict[str, str]] = {}
        self.at = dict.fromkeys(range(4), 1_000_000)
        self.asked: list[tuple[str, dict[str, str], int, str, str]] = []
        self.waited: list[dict[int, int]] = []
        self.trouble = ""
        #: rows that appear once somebody waits for a position
        self.late: list[tuple[str, dict[str, Any]]] = []

    async def wait_for(self, positions: dict[int, int], timeout_s: float) -> bool:
        self.waited.append(positions)
        for noun, row in self.late:
            self.rows[noun].append(row)
        self.late = []
        return all(self.at[p] >= o for p, o in positions.items())

    async def positions(self) -> dict[int, int]:
        return self.at

    async def list(self, noun: str, filters: dict[str, str], limit: int, cursor: str, tenant: str) -> dict[str, Any]:
        self.asked.append((noun, filters, limit, cursor, tenant))
        rows = [r for r in self.rows.get(noun, []) if r.get("tenant", "") == tenant]
        if cursor and not (cursor.isascii() and cursor.isdigit()):
            raise malformed("cursor: expected one from an earlier answer", "query cursor")
        begin = int(cursor or 0)
        following = str(begin + limit) if begin + limit < len(rows) else None
        return {"items": rows[begin : begin + limit], "cursor": following, "position": "0-1"}

    async def get(self, noun: str, key: str, tenant: str) -> dict[str, Any] | None:
        names = ("key", "id") if noun == "definitions" else ("id",)
        return next((r for r in self.rows[noun] if key in [r.get(n) for n in names] and r.get("tenant", "") == tenant), None)

    async def events(self, noun: str, key: int, filters: dict[str, str], after: str, limit: int, tenant: str) -> dict[str, Any]:
        begin, types = int(after.split("-")[1]) if after else -1, filters.get("type", "").split(",")
        rows = [r for r in self.history if int(r["position"].split("-")[1]) > begin and (types == [""] or r["type"] in types)]
        return {"items": rows[:limit], "cursor": rows[limit - 1]["position"] if len(rows) > limit else None, "position": "2-99"}

    async def variables(self, instance: int, tenant: str) -> dict[str, Any] | None:
        return {"variables": {"a": {"id": 1}}, "items": [{"scope_key": str(instance), "name": "a", "value": {"id": 1}}], "position": "2-1"}

    async def report(self, name: str, key: int, tenant: str) -> dict[str, Any] | None:
        counts = {"tasks": {"created": 1}, "activities": 0, "events": 3, "incidents": 0} if name == "about" else {}
        return {"report": name, "id": str(key), **counts}

    async def source(self, definition: str, tenant: str) -> dict[str, Any] | None:
        return self.sources.get(definition)

    async def database(self) -> None:
        if self.trouble and not self.trouble.startswith("queries"):
            raise ConnectionError(self.trouble)

    async def health(self) -> str:
        return self.trouble


@pytest.fixture
def client() -> ScriptedClient:
    return ScriptedClient()


@pytest.fixture
def reads() -> RowsInMemory:
    return RowsInMemory()


@pytest.fixture
def settings() -> Settings:
    return Settings(body_bytes_max=200_000, page_max=200, wait_ms_max=5_000)


@pytest.fixture
def services(client: ScriptedClient, reads: RowsInMemory, settings: Settings) -> Services:
    return Services(client, reads, settings)  # type: ignore[arg-type]


_APPS: dict[Any, Any] = {}


def app_of(services: Services) -> Any:
    """One application for all tests with the same bounds, since its routes take a while to be made; each test has services of its own."""
    key = (services.settings.body_bytes_max, *services.settings.origins)
    app = _APPS.get(key) or _APPS.setdefault(key, create_app(services))
    guard = app.asgi_handler
    guard.__init__(guard.app, services)
    app.state["services"] = services
    return app


@pytest.fixture
def app(services: Services) -> Any:
    return app_of(services)


@pytest.fixture
async def http(app: Any) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app, raise_app_exceptions=False), base_url="http://127.0.0.1:8080") as c:
        yield c


def instance_row(key: int = KEY, **more: Any) -> dict[str, Any]:
    return {"id": str(key), "definition": "5", "process": "order", "version": 1, "status": "running", "tenant": "", **more}

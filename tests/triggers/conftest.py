"""An engine in memory with its HTTP door, and triggers on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from flowledger.api.app import create_app
from flowledger.api.hooks.door import Hooks
from flowledger.api.services import Services
from flowledger.events import commands as c
from flowledger.events import triggers as tr
from flowledger.events import workflow as wf
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.infra.secrets import secrets_of
from flowledger.infra.settings import Settings
from flowledger.infra.telemetry import Telemetry
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine
from flowledger.sdk import Flow

#: a process that waits for a worker
WORK = Flow("p").start().service("t", job="w").end().xml().decode()


class Place:
    def __init__(self, engine: Engine, web: httpx2.AsyncClient, folder: Path, services: Services) -> None:
        self.engine, self.web, self.folder, self.services, self.settings = engine, web, folder, services, services.settings

    def secret(self, name: str, value: str) -> None:
        (self.folder / "secrets").mkdir(exist_ok=True)
        (self.folder / "secrets" / name).write_text(value)

    async def deploy(self, text: str, name: str = "x.trigger.yaml", tenant: str = "") -> Any:
        return await self.engine.call(c.Deploy(resources=[c.Resource(name, text)]), Caller(tenant=tenant))

    async def call(self, command: Any, tenant: str = "") -> Any:
        return await self.engine.call(command, Caller(tenant=tenant))

    async def pause(self, name: str, move: str = "pause") -> None:
        answer = await self.call(tr.ControlTrigger(name=name, move=move))
        assert isinstance(answer, dict), answer

    def states(self) -> list[Any]:
        return [owner.state for owner in self.engine.owners.values()]

    def trigger(self, name: str) -> Any:
        return next((t for s in self.states() for t in s.triggers.values() if t.name == name), None)

    def parked(self, name: str) -> list[Any]:
        return [x for s in self.states() for x in s.trigger_letters.values() if x.trigger == self.trigger(name).key]

    async def events(self, kind: type | None = None) -> list[Any]:
        """All that are on the log by now, or those of a kind."""
        found = []
        for p in range(self.engine.partitions):
            end = await self.engine.log.end("events", p)
            async for batch in self.engine.events({p: 0}):
                found += [r.event for r in batch if r.partition == p]
                if batch[-1].offset + 1 >= end or not end:
                    break
        return [e for e in found if kind is None or isinstance(e, kind)]

    async def started(self) -> list[dict[str, Any]]:
        """Variables of each instance that was started."""
        return [i.variables for i in await self.events(wf.WorkflowStarted)]

    @staticmethod
    async def until(look: Callable[[], Awaitable[Any]], seconds: float = 30.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := await look()):
            assert time.monotonic() < deadline, "it did not come about in time"
            await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def place_of(folder: Path, partitions: int = 2, **settings: Any) -> AsyncIterator[Place]:
    told = Settings(data=folder, secrets=(f"folder:{folder / 'secrets'}",), **settings)
    engine = Engine(MemoryLog(MemoryStore(partitions)))
    await engine.start()
    services = Services(engine, None, told, Telemetry.of(told))  # type: ignore[arg-type]
    services.hooks = Hooks(engine, secrets_of(told))
    try:
        assert isinstance(await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", WORK)])), dict)
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(create_app(services)), base_url="http://127.0.0.1") as web:
            yield Place(engine, web, folder, services)
    finally:
        await engine.stop()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_of(tmp_path) as found:
        yield found

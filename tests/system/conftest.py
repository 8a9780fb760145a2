"""Whole systems in the test's own loop: HTTP on a free port, real PostgreSQL, the log that the test names."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from flowledger.infra.settings import Settings
from flowledger.infra.telemetry import Telemetry
from flowledger.system import System

sys.path.insert(0, str(Path(__file__).parent))  # for `asking`
EXAMPLES = Path(__file__).parents[2] / "examples"


class Place:
    """Starts systems; `await place.until(look)` waits for what lags."""

    examples = EXAMPLES

    @asynccontextmanager
    async def system(self, telemetry: Telemetry | None = None, **settings: Any) -> AsyncIterator[tuple[System, httpx2.AsyncClient]]:
        told = {"port": 0, "grpc_port": 0, "durability": "normal", "roles": ("api", "owner", "projector"), **settings}
        system = System(Settings(**told))
        if telemetry is not None:
            system.telemetry = telemetry
        async with system, httpx2.AsyncClient(base_url=system.url, timeout=90) as http:
            yield system, http

    @staticmethod
    async def until(look: Callable[[], Awaitable[Any]], seconds: float = 20.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := await look()):
            assert time.monotonic() < deadline, "it did not come about in time"
            await asyncio.sleep(0.02)
        return found


@pytest.fixture
def place() -> Place:
    return Place()

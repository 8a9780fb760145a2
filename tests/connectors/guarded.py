"""Applications behind bearer tokens, served in the test's own loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from tests.connectors.contract import SECRET


class Guarded:
    """`open_to`: what stands below it needs no token."""

    def __init__(self, app: Any, open_to: str = "") -> None:
        self.app, self.open_to = app, open_to

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
            self.seen.append((scope["method"], headers))
            free = self.open_to != "" and scope["path"].startswith(self.open_to)
            if not free and headers.get("authorization") != f"Bearer {self.key}":
                await send({"type": "http.response.start", "status": 401, "headers": [(b"content-type", b"text/plain")]})
                await send({"type": "http.response.body", "body": b"who are you?"})
                return
        await self.app(scope, receive, send)

    @asynccontextmanager
    async def served(self, lifespan: Any = "off") -> AsyncIterator[Guarded]:
        """On a free port, as nobody had asked it before."""
        self.key = SECRET  # the token that it takes
        self.seen: list[tuple[str, dict[str, str]]] = []
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(self, log_level="critical", lifespan=lifespan))
            task = asyncio.create_task(server.serve(sockets=[listening]))
            while not server.started:
                await asyncio.sleep(0.01)
            self.port = int(listening.getsockname()[1])
            yield self
            server.should_exit = server.force_exit = True
            await task

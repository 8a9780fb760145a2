"""The doors of a process, as far as they are the same whatever is behind them: ports, HTTP by uvicorn, and the gRPC gateway."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any

from flowledger.infra.settings import SettingsError

#: connections that wait to be taken
BACKLOG = 2048
#: a connection that is silent for so long is closed (seconds): longer than clients and proxies keep theirs (httpx 5, nginx and ALB 60), since who
#: sends while we close hears nothing of its request
KEEP_ALIVE_S = 75
#: what each role is made of
MODULES = {
    "api": ("flowledger.api.app", "flowledger.api.console", "flowledger.api.job_stream", "flowledger.api.reads", "uvicorn"),
    "projector": ("flowledger.projections.runner",),
    "grpc": ("flowledger.api.grpc.http2",),
}


def read(roles: Iterable[str]) -> None:
    """The modules of a process's own parts, while its owners and the database start: it takes as long as they do."""
    for role in roles:
        for name in MODULES.get(role, ()):
            importlib.import_module(name)


def bind(host: str, port: int, hint: str) -> socket.socket:
    """It listens. Raises: SettingsError."""
    # of TCP by name: asyncio sends small answers at once (TCP_NODELAY) only where it can see that, and else waits 40 ms for the caller's word
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(BACKLOG)
    except OSError as e:
        found.close()
        raise SettingsError(f"port {port} on {host} can't be had ({e.strerror}): {hint}") from None
    return found


async def http(listener: socket.socket, app: Any, protocol: Any, tls: ssl.SSLContext | None = None) -> tuple[Any, asyncio.Task[None]]:
    """The server, once it has started, and the task that it runs in."""
    import uvicorn

    from flowledger.api.entrance import HttpServer

    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", server_header=False, timeout_graceful_shutdown=3, ws="websockets-sansio",
        http=protocol, timeout_keep_alive=KEEP_ALIVE_S,
    )  # fmt: skip
    server = HttpServer(config, tls)
    serving = asyncio.create_task(_serve(server, listener), name="http")
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    return server, serving


async def grpc(
    listener: socket.socket,
    place: tuple[str, int],
    tls: Any,
    client: Any,
    workers: Any,
    telemetry: Any,
    queue: Any,
    door: Any,
    refusals: Any,
    rates: Any = None,
    second: Mapping[str, str] | None = None,
    storage: Any = None,
) -> Any:
    """The gateway's server. `place`: host and port; `refusals`, `storage`: who counts what is not let in, and who has room, of a process with an API."""
    from flowledger.api.grpc.gateway import Gateway
    from flowledger.api.grpc.http2 import listen

    tracer = telemetry.tracer if telemetry.tracer.on else None
    gateway = Gateway(client, workers, tracer=tracer, queue=queue, access=telemetry.access, door=door, refusals=refusals, rates=rates)
    gateway.second, gateway.storage = second or {}, storage
    return await listen(gateway, *place, tls=tls, sock=listener)


async def _serve(server: Any, listener: socket.socket) -> None:
    """uvicorn without its signal handlers: this process has its own."""
    with contextlib.suppress(SystemExit):
        await server._serve([listener])

"""AMQP 0-9-1 by aiormq over a socket that the gate has checked: for the connector of RabbitMQ and for its source."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any
from urllib.parse import quote

PORTS = {"verify": 5671, "off": 5672}
#: a server that is silent for some three times as long is gone (seconds)
HEARTBEAT_S = 20


def connection(connected: socket.socket, tls: ssl.SSLContext | None, host: str, username: str, password: str, virtual_host: str) -> Any:
    """To be connected. Raises: ImportError."""
    import aiormq
    from aiormq.connection import TransportFactory

    class Way(TransportFactory):  # type: ignore[misc, unused-ignore]
        async def create(self, url: Any, **more: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await asyncio.open_connection(sock=connected, ssl=tls, server_hostname=host if tls is not None else None)

    login = f"{quote(username, safe='')}:{quote(password, safe='')}"
    return aiormq.Connection(f"amqp://{login}@server/{quote(virtual_host, safe='')}?heartbeat={HEARTBEAT_S}", transport_factory=Way())


async def closed(connection: Any) -> None:
    """Whatever the broker says to it: what counts has been said."""
    try:
        async with asyncio.timeout(1):
            await connection.close()
    except Exception:  # noqa: BLE001
        return


def said(e: BaseException) -> str:
    return " ".join(str(a) for a in e.args)[:300]


def not_let_in(e: BaseException) -> str:
    """Why the server does not let us in; empty: it is something else."""
    import aiormq.exceptions as lib

    if isinstance(e, (lib.AuthenticationError, lib.ProbableAuthenticationError)):
        return "the server does not let us in"
    if isinstance(e, lib.ConnectionNotAllowed) or (isinstance(e, lib.InvalidFrameError) and "Connection.OpenOk" in said(e)):
        return f"the server does not let us into the virtual host: {said(e)}"
    return ""

"""The gateway on grpclib: its handler mapping is made from the service's descriptor, without generated code."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, cast
from weakref import WeakKeyDictionary

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server as GrpclibServer
from grpclib.server import Stream

from flowledger.api.grpc.service import METHODS, Connection, Gateway, Method, Server
from flowledger.api.grpc.status import INVALID_ARGUMENT, Refused


class Servicer:
    """What grpclib asks of a service: its mapping."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._connections: WeakKeyDictionary[Any, Connection] = WeakKeyDictionary()

    def __mapping__(self) -> dict[str, Handler]:
        return {
            path: Handler(
                self._unary(m) if m.unary else self._stream(m),
                Cardinality.UNARY_UNARY if m.unary else Cardinality.UNARY_STREAM,
                m.request_type,
                m.reply_type,
            )
            for path, m in METHODS.items()
        }

    def _connection(self, stream: Stream[Any, Any]) -> Connection:
        of = stream._stream.connection
        found = self._connections.get(of)
        if found is None:
            address = stream.peer.addr()
            found = self._connections[of] = Connection(f"{address[0]}:{address[1]}" if address else "")
        return found

    def _unary(self, method: Method) -> Callable[[Stream[Any, Any]], Awaitable[None]]:
        async def handle(stream: Stream[Any, Any]) -> None:
            request = await stream.recv_message()
            try:
                if request is None:
                    raise Refused(INVALID_ARGUMENT, "expected a message, found none")
                reply = await self.gateway.unary(method, request, _metadata(stream), self._connection(stream))
            except Refused as e:
                raise GRPCError(Status(e.status), e.message) from None
            await stream.send_message(reply)

        return handle

    def _stream(self, method: Method) -> Callable[[Stream[Any, Any]], Awaitable[None]]:
        async def handle(stream: Stream[Any, Any]) -> None:
            request = await stream.recv_message()

            async def send(messages: Sequence[Any]) -> None:
                if not stream._send_initial_metadata_done:
                    await stream.send_initial_metadata()
                # All messages in one write; grpclib itself would frame and flush each.
                parts = [m.SerializeToString() for m in messages]
                await stream._stream.send_data(b"".join(struct.pack(">BI", 0, len(p)) + p for p in parts))

            try:
                if request is None:
                    raise Refused(INVALID_ARGUMENT, "expected a message, found none")
                await self.gateway.stream(method, request, _metadata(stream), self._connection(stream), send)
            except Refused as e:
                raise GRPCError(Status(e.status), e.message) from None

        return handle


def _metadata(stream: Stream[Any, Any]) -> dict[str, str]:
    return {k: v for k, v in (stream.metadata or {}).items() if isinstance(v, str)}


async def serve(gateway: Gateway, host: str, port: int, tls: ssl.SSLContext | None) -> Server:
    server = GrpclibServer([Servicer(gateway)])
    await server.start(host, port, ssl=tls)
    assert server._server is not None
    actual = cast(asyncio.Server, server._server).sockets[0].getsockname()[1]

    async def close(grace_s: float) -> None:
        server.close()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(server.wait_closed(), grace_s)

    return Server(actual, close)

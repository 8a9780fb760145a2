"""A wire between a connector and a real server, with faults: whatever the protocol is, it can be slow, silent, cut or not the one it says it is."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

import trustme


class Certificates:
    """An authority of the test's own; `folder/ca.pem` is what a gate is told of it."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def server(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names).configure_cert(context)
        return context

    def pem(self, name: str) -> tuple[str, str]:
        """Certificate and key of a client."""
        made = self._ca.issue_cert(common_name=name)
        return made.cert_chain_pems[0].bytes().decode(), made.private_key_pem.bytes().decode()


class Wire:
    """Listens on 127.0.0.1 and carries bytes to `to`.

    mode   `pass`; `drop`: closes as soon as somebody connects; `hold`: nothing ever comes back; `cut`: closes before byte `budget` of the server passes;
           `stall`: nothing comes back from that byte on; `slow`: one byte of the server at a time, five in a second
    tls    the client speaks TLS to the wire, the wire plainly to the server
    """

    def __init__(self, to: tuple[str, int] | str, tls: ssl.SSLContext | None = None, asked: bytes = b"") -> None:
        """`to`: a place, or a Unix socket. `asked`: the client asks for TLS first, in 8 bytes, and gets this answer (PostgreSQL)."""
        self.to, self.tls, self.asked, self.mode, self.budget = to, tls, asked, "pass", 0
        self.back = 0  # bytes of the server that passed
        self.stalled = False
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> Wire:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=None if self.asked else self.tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        there: asyncio.StreamWriter | None = None
        try:
            if self.mode == "drop":
                return
            if self.asked:
                await reader.readexactly(8)
                writer.write(self.asked)
                await writer.start_tls(self.tls)
            back, there = await (asyncio.open_unix_connection(self.to) if isinstance(self.to, str) else asyncio.open_connection(*self.to))
            ways = [asyncio.ensure_future(self._carry(reader, there)), asyncio.ensure_future(self._return(back, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            for each in (writer, there):
                if each is not None:
                    with contextlib.suppress(Exception):
                        each.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        if self.mode == "hold":
            return
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()
        await asyncio.sleep(60)  # the server ends it

    def changed(self, data: bytes) -> bytes:
        """What of the server's words is told otherwise (by heirs)."""
        return data

    async def _return(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self.budget
        while data := await reader.read(65_536):
            if self.mode == "hold":
                continue
            if self.mode == "slow":
                for at in range(len(data)):
                    await asyncio.sleep(0.2)
                    writer.write(data[at : at + 1])
                continue
            if self.mode in ("cut", "stall"):
                data, left = data[: max(0, left)], left - len(data)
                self.stalled = self.stalled or (self.mode == "stall" and left <= 0)
            self.back += len(data)
            if data:
                writer.write(self.changed(data))
                await writer.drain()
            if self.mode == "cut" and left <= 0:
                return
        if self.mode == "hold":  # though the server has hung up
            await asyncio.sleep(60)


async def nobody() -> int:
    """A port of this machine where nobody listens."""
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port

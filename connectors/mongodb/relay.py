"""The driver's way to its server. It connects to a socket of ours in a folder that nobody else reads; behind that we connect to addresses that the gate has
checked, speak TLS ourselves, count what comes, and know what broke (the driver would go on trying, and keep the reason to itself)."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from flowledger.connectors import reach
from flowledger.connectors.frame import Call, Failed

PIECE_BYTES = 65_536
#: what the driver asks beside the call (its looks at the server) may bring so much
BESIDE_BYTES = 262_144


class Relay:
    def __init__(self, call: Call, host: str, port: int, tls: bool) -> None:
        self._call, self._host, self._port, self._tls = call, host, port, tls
        # documents as BSON may be larger than as JSON, by which they are counted in the end
        self._left = 2 * call.answer_bytes_max + BESIDE_BYTES
        self._links: set[asyncio.Task[None]] = set()
        self.broken = asyncio.Event()
        self.error: BaseException | None = None
        self.path = ""

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Raises: Refused, Unresolved."""
        self._places = await reach.addresses(self._call, "mongodb", self._host, self._port)
        with tempfile.TemporaryDirectory(prefix="flowledger-") as folder:
            self.path = str(Path(folder) / "m.sock")
            server = await asyncio.start_unix_server(self._come, self.path)
            try:
                yield
            finally:
                server.close()
                for link in list(self._links):
                    link.cancel()
                if self._links:
                    await asyncio.wait(self._links)

    def _fail(self, error: BaseException) -> None:
        self.error = self.error or error
        self.broken.set()

    async def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        try:
            await self._linked(reader, writer)
        except Exception as e:  # noqa: BLE001 - whoever waits for the call is told
            self._fail(e)
        finally:
            self._links.discard(link)
            writer.close()

    async def _linked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected = await reach.each(self._places, lambda place: reach.socket_to(place, self._port))
        try:
            there, back = await reach.streams(connected, self._call.gate.tls if self._tls else None, self._host, 1 << 62)
        except BaseException:
            connected.close()
            raise
        out = asyncio.create_task(self._pass(reader, back, counted=False))
        try:
            home = asyncio.create_task(self._pass(there, writer, counted=True))
            done, _ = await asyncio.wait({out, home}, return_when=asyncio.FIRST_COMPLETED)
            if home in done:
                home.result()
                if out not in done:  # the driver has not closed it: the server did
                    raise ConnectionResetError("the server closed the connection")
            home.cancel()
        finally:
            out.cancel()
            back.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: bool) -> None:
        while piece := await reader.read(PIECE_BYTES):
            if counted:
                self._left -= len(piece)
                if self._left < 0:
                    raise reach.too_large(self._call.answer_bytes_max)
            writer.write(piece)
            await writer.drain()


def cause(relay: Relay) -> BaseException:
    return relay.error or Failed("CUT", "the connection broke", again=True)

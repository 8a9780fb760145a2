"""The job stream: everything in batches over one WebSocket (`sdk/frames.py`)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from flowledger.sdk import frames as f
from flowledger.sdk.transports.port import Link

FRAME_BYTES_MAX = 64 * 1024 * 1024
#: outcomes in one frame
BATCH_MAX = 1024


class StreamTransport:
    variables_only = False

    def __init__(self, url: str) -> None:
        base = "ws" + url.removeprefix("http").rstrip("/")
        self.url = base if base.endswith("/stream") else f"{base}/v1/jobs/stream"
        self._out: list[Any] = []
        self._wake = asyncio.Event()
        self._outcomes: list[f.Outcome] = []
        self._drained = asyncio.Event()
        self._open = False

    async def run(self, link: Link) -> None:
        headers = {"authorization": f"Bearer {link.token}"} if link.token else {}
        if link.tenant:
            headers["x-tenant"] = link.tenant
        try:
            async with connect(self.url, compression=None, max_size=FRAME_BYTES_MAX, additional_headers=headers, open_timeout=10) as socket:
                self._drained.clear()
                await socket.send(f.encode(f.Hello(link.name, [f.Subscription(*s) for s in link.subscriptions])))
                self._out, self._outcomes, self._open = [], link.connected(), True
                self._wake.set()
                writer = asyncio.create_task(self._write(socket))
                try:
                    async for message in socket:
                        self._read(link, message)
                    raise ConnectionResetError("the server closed the stream")
                finally:
                    self._open = False
                    self._drained.set()
                    await socket.close()
                    writer.cancel()
                    with suppress(asyncio.CancelledError, ConnectionClosed):
                        await writer
        except InvalidStatus as e:
            if e.response.status_code in (401, 403):
                raise PermissionError(f"the server refuses this worker: HTTP {e.response.status_code}") from None
            raise ConnectionRefusedError(str(e)) from None
        except (ConnectionClosed, InvalidHandshake) as e:
            raise ConnectionResetError(str(e)) from None
        except InvalidURI as e:
            raise ValueError(str(e)) from None

    def _read(self, link: Link, message: bytes | str) -> None:
        frame = f.decode_from_server(message)
        match frame:
            case f.Jobs():
                link.deliver(frame.jobs)
            case f.Ok():
                link.settled(frame.keys)
            case f.No():
                for key, code, text in frame.refused:
                    link.refused(key, code, text)
            case f.Lost():
                link.lost(frame.keys)
            case f.Drained():
                self._drained.set()

    async def _write(self, socket: Any) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outcomes or self._out:
                outcomes, self._outcomes = self._outcomes[:BATCH_MAX], self._outcomes[BATCH_MAX:]
                out, self._out = self._out, []
                if outcomes:
                    await socket.send(f.encode(f.Out(outcomes)))
                for frame in out:
                    await socket.send(f.encode(frame))

    def _say(self, frame: Any) -> None:
        if self._open:
            self._out.append(frame)
            self._wake.set()

    def send(self, outcomes: list[f.Outcome]) -> None:
        if self._open:
            self._outcomes += outcomes
            self._wake.set()

    def extend(self, jobs: list[tuple[int, int]], timeout_ms: int) -> None:
        self._say(f.Extend(timeout_ms, jobs))

    def give_back(self, jobs: list[tuple[int, int]]) -> None:
        self._say(f.Back(jobs))

    async def drain(self) -> None:
        if self._open:
            self._say(f.Drain())
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await self._drained.wait()

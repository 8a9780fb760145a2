"""An answer goes out when it is there, on any event loop: none waits for the caller to say that it has the one before."""

from __future__ import annotations

import asyncio
import socket

import pytest

from flowledger import doors


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_small_answers_wait_for_nobody(host):
    """An error's head and body are two writes; with Nagle's algorithm (RFC 896) the second waits for the first to be acknowledged, 40 ms on Linux."""
    at_once: list[int] = []
    seen = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_once.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()
        seen.set()

    listener = doors.bind(host, 0, "")
    async with await asyncio.start_server(serve, sock=listener):
        _, writer = await asyncio.open_connection(host, listener.getsockname()[1])
        await asyncio.wait_for(seen.wait(), 10)
        writer.close()
    assert at_once == [1]

"""A process that another one of ours has started: what it is told, and how it ends.

Its first line on stdin is its order. It ends in order when stdin ends, so it outlives nobody who started it, and at once when it doesn't manage to
within `STOP_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

#: seconds for an orderly end: for owners a checkpoint of each partition, then out of the group
STOP_S = 10.0


class Order(msgspec.Struct):
    """What stdin says. `settings` are fields of `Settings`, `socket` is where to listen, `name` is this process in metrics."""

    settings: dict[str, Any]
    socket: str
    name: str


def _watch(stop: Any) -> None:
    """The end of stdin is the end of whoever started us, in order or not."""
    with contextlib.suppress(OSError, ValueError):
        while os.read(0, 4096):
            pass
    stop()
    time.sleep(STOP_S)
    os._exit(70)


def main(serve: Callable[[Order, asyncio.Event], Awaitable[None]]) -> None:
    """`serve` works until the event is set."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C goes to all of the terminal's processes: who started us says when
    raw = b""
    while not raw.endswith(b"\n"):
        if not (part := os.read(0, 65536)):
            sys.exit(0)
        raw += part
    order = msgspec.json.decode(raw, type=Order)

    async def body() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        threading.Thread(target=_watch, args=(lambda: loop.call_soon_threadsafe(stop.set),), daemon=True, name="stdin").start()
        await serve(order, stop)

    from flowledger.loop import run

    run(body())

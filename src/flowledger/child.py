"""A process that another one of ours has started: what it is told, and how it ends.

Its first line on stdin is its order; others say how it writes its logs from then on. It ends in order when stdin ends, so it outlives nobody who
started it, and at once when it doesn't manage to within `STOP_S`.
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


class Logs(msgspec.Struct):
    """A later line of stdin: how logs are written from now on."""

    level: str
    form: str
    node: str
    file: str


def _watch(stop: Any, rest: bytes) -> None:
    """The end of stdin is the end of whoever started us, in order or not; until then it may say how logs are written."""
    with contextlib.suppress(OSError, ValueError):
        while True:
            *lines, rest = rest.split(b"\n")
            for line in lines:
                _told(line)
            if not (part := os.read(0, 4096)):
                break
            rest += part
    stop()
    time.sleep(STOP_S)
    os._exit(70)


def _told(line: bytes) -> None:
    from flowledger import logs

    try:
        said = msgspec.json.decode(line, type=Logs)
        logs.configure(said.level, said.form, said.node, said.file)
    except (OSError, msgspec.DecodeError) as e:
        logs.log("system").error("logs are written as before", why=str(e))


def main(serve: Callable[[Order, asyncio.Event], Awaitable[None]]) -> None:
    """`serve` works until the event is set."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C goes to all of the terminal's processes: who started us says when
    raw = b""
    while b"\n" not in raw:
        if not (part := os.read(0, 65536)):
            sys.exit(0)
        raw += part
    first, _, rest = raw.partition(b"\n")
    order = msgspec.json.decode(first, type=Order)

    async def body() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        threading.Thread(target=_watch, args=(lambda: loop.call_soon_threadsafe(stop.set), rest), daemon=True, name="stdin").start()
        await serve(order, stop)

    from flowledger.loop import run

    run(body())

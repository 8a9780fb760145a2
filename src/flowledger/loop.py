"""The event loop of a process."""

from __future__ import annotations

import asyncio
from typing import Any


def run(main: Any) -> None:
    """`asyncio.run` on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)

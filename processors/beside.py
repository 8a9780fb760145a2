"""Threads for heavy decisions, beside the loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")
#: heavy decisions at the same time; each partition has one at the most
THREADS = 64
#: how long a thread may keep the interpreter while a heavy decision is made: what the loop waits for its turn (seconds)
SWITCH_S = 0.001

_running = 0
_usual_s = sys.getswitchinterval()


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="heavy")


async def run(work: Callable[[], T]) -> T:
    """`work` in a thread. It goes on also when this is cancelled."""
    global _running  # noqa: PLW0603 - threads are the process's
    _running += 1
    sys.setswitchinterval(SWITCH_S)
    future = asyncio.get_running_loop().run_in_executor(_pool(), work)
    future.add_done_callback(_ended)
    return await asyncio.shield(future)


def _ended(future: asyncio.Future[T]) -> None:
    global _running  # noqa: PLW0603 - threads are the process's
    _running -= 1
    if not _running:
        sys.setswitchinterval(_usual_s)

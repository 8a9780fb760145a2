"""How late the event loop is: each loop measures itself, and tells who asks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

#: how often it looks (seconds)
EVERY_S = 0.1
#: looks that `recent` is the worst of: the last two seconds
KEPT = 20


class LoopLag:
    """`observe(seconds)` gets each look; `recent()` is the worst lag of the last two seconds, in seconds."""

    def __init__(self, observe: Callable[[float], None] = lambda seconds: None) -> None:
        self._observe = observe
        self._seen: deque[float] = deque(maxlen=KEPT)
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._next()

    def _next(self) -> None:
        self._due = self._loop.time() + EVERY_S
        self._handle = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        late = max(0.0, self._loop.time() - self._due)
        self._seen.append(late)
        self._observe(late)
        self._next()

    def recent(self) -> float:
        """Also counts a look that is overdue at this moment."""
        overdue = max(0.0, self._loop.time() - self._due) if self._handle is not None else 0.0
        return max(overdue, max(self._seen, default=0.0))

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

"""What runs beside the owners of a process for as long as it lives: readers of one partition, and whatever ends or fails and is begun again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from flowledger.logs import log
from flowledger.processors.log import Log, LogError, LogRecord, OutOfRange

log_ = log("engine")
#: waits between attempts (seconds)
BACK_OFF_MIN_S, BACK_OFF_MAX_S = 0.1, 3.0


class Follower:
    """Reads one partition for ever and goes on where it was when it is called again. `take` gets each batch."""

    def __init__(self, log: Log, topic: str, partition: int, start: int, take: Callable[[Sequence[LogRecord]], None]) -> None:
        self._log, self._topic, self._partition, self._take = log, topic, partition, take
        self.position = start

    async def __call__(self) -> None:
        """Raises: LogError."""
        try:
            async for batch in self._log.read(self._topic, self._partition, self.position, follow=True):
                self._take(batch)
                self.position = batch[-1].offset + 1
        except OutOfRange as e:  # the log lost its tail: what comes next is new
            self.position = e.end
            raise


async def for_ever(
    what: str, work: Callable[[], Coroutine[Any, Any, None]], broken: dict[str, str], hopes: dict[str, asyncio.TimerHandle]
) -> None:
    """What ends by itself or fails is begun again. `broken`: what of the background doesn't work at the moment, and why; it counts as working again
    when it has not failed for a while (`hopes`)."""
    delay = BACK_OFF_MIN_S
    while True:
        began = time.monotonic()
        try:
            await work()
            why = "it ended"
        except Exception as e:  # whatever a client of the log raises
            why = str(e) or repr(e)
            if not isinstance(e, LogError):
                log_.error(what, exc_info=e)
        if time.monotonic() - began > BACK_OFF_MAX_S:
            delay = BACK_OFF_MIN_S
        if (hope := hopes.pop(what, None)) is not None:
            hope.cancel()
        broken[what] = why
        log_.warning(what, why=why, again_s=delay)
        await asyncio.sleep(delay)
        delay = min(delay * 2, BACK_OFF_MAX_S)
        hopes[what] = asyncio.get_running_loop().call_later(BACK_OFF_MAX_S, broken.pop, what, None)

"""The time of a partition's log. Pure: readings of the clocks come from the caller.

It never goes back, and goes on by the monotonic clock: when the wall clock steps, timers and leases keep their distance. Towards the wall
clock it is slewed, by 500 parts per million at the most (the rate of `adjtime`), so that one second of error takes half an hour to vanish.
Source: Kulkarni et al., "Logical Physical Clocks" (2014), without its counter: the order of events is that of the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

from flowledger.kernel.state import Meta

#: microseconds in a second that the log's time may be moved towards the wall clock
SLEW_PPM = 500
#: what may be made up for at once after a long time in which nothing was to be corrected (microseconds)
SLEW_AT_ONCE_US = 500
#: both clocks are read again, so often at most, while that took longer (microseconds)
READS_MAX, READ_US = 5, 500


class Clocks:
    """What a node can read. `wall` and `mono` give microseconds; two monotonic clocks may be compared where `boot` is the same and not `""`."""

    __slots__ = ("boot", "mono", "wall")

    def __init__(self, wall: Callable[[], int], mono: Callable[[], int], boot: str = "") -> None:
        self.wall, self.mono, self.boot = wall, mono, boot

    def __call__(self) -> int:
        """The wall clock, microseconds UTC."""
        return self.wall()


def system() -> Clocks:
    """Of this machine. Its monotonic clock also counts the time that the machine slept."""
    return Clocks(lambda: time.time_ns() // 1000, since_boot_us, _boot())


def clocks_of(clock: Callable[[], int] | None) -> Clocks:
    """This machine's own, unless a test brings one: `Clocks`, or microseconds turned by hand, and the monotonic clock with them."""
    if clock is None:
        return system()
    return clock if isinstance(clock, Clocks) else Clocks(clock, clock)


_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", None)
_mono_ns: Callable[[], int] = time.monotonic_ns if _MONOTONIC is None else partial(time.clock_gettime_ns, _MONOTONIC)


def since_boot_us() -> int:
    """Microseconds since this machine was started."""
    return _mono_ns() // 1000


@lru_cache(maxsize=1)
def _boot() -> str:
    """Which start of the machine this is; `""` where it can't be said."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() if _MONOTONIC is not None else ""
    except OSError:
        return ""


class Reading:
    """The log's time `at_us` when the monotonic clock of `boot` stood at `mono_us`: what the owner before wrote with its claim."""

    __slots__ = ("at_us", "boot", "mono_us")

    def __init__(self, at_us: int = 0, boot: str = "", mono_us: int = 0) -> None:
        self.at_us, self.boot, self.mono_us = at_us, boot, mono_us


def begin(floor_us: int, before: Reading, wall_us: int, mono_us: int, boot: str) -> int:
    """The time at a take-over, not before `floor_us`, the last one on the log.

    On the machine of the owner before, its monotonic clock tells how long ago that was, whatever the wall clock did meanwhile. On another
    machine only the wall clock can.
    """
    if boot and before.boot == boot and mono_us >= before.mono_us:
        passed = mono_us - before.mono_us
        slewed = passed * SLEW_PPM // 1_000_000
        wall_us = min(max(wall_us, before.at_us + passed - slewed), before.at_us + passed + slewed)
    return max(floor_us, wall_us)


def reading(meta: Meta, clocks: Clocks) -> tuple[int, int]:
    """(the log's time, the monotonic clock) now, for one who has folded the log up to its end."""
    for _ in range(READS_MAX):  # a pause between the two would put the log's time ahead by as much
        mono_us, wall_us = clocks.mono(), clocks.wall()
        if clocks.mono() - mono_us <= READ_US:
            break
    return begin(meta.now_us, Reading(meta.claimed_us, meta.boot, meta.boot_us), wall_us, mono_us, clocks.boot), mono_us


class LogClock:
    """The time of one claim, from `at_us` on."""

    __slots__ = ("_budget", "_mono_us", "now_us")

    def __init__(self, at_us: int, mono_us: int) -> None:
        self.now_us, self._mono_us = at_us, mono_us
        #: what the slew may use up, in millionths of a microsecond
        self._budget = 0

    def read(self, wall_us: int, mono_us: int) -> int:
        """The log's time at these readings. Never before what it gave last."""
        passed = max(0, mono_us - self._mono_us)
        self._mono_us = mono_us
        self._budget = min(self._budget + passed * SLEW_PPM, max(passed * SLEW_PPM, SLEW_AT_ONCE_US * 1_000_000))
        most = self._budget // 1_000_000
        shift = min(max(wall_us - self.now_us - passed, -min(most, passed)), most)
        self._budget -= abs(shift) * 1_000_000
        self.now_us += passed + shift
        return self.now_us

"""How many refusals are written down: so many for each caller and in all within a minute, so that nobody can flood the log with them.

What is left out is counted, and said with the next one that is written down. Pure: time is an argument.
"""

from __future__ import annotations

from collections.abc import Hashable

#: refusals of one caller, and of all together, that are written down within `WINDOW_US`
EACH_MAX, ALL_MAX = 20, 200
WINDOW_US = 60_000_000
#: callers that are told apart within a window; all further ones count as one
CALLERS_MAX = 1_000


class Sparing:
    """Of one partition, or one door."""

    __slots__ = ("_all", "_began", "_each", "_skipped")

    def __init__(self) -> None:
        self._began = self._all = self._skipped = 0
        self._each: dict[Hashable, int] = {}

    def take(self, caller: Hashable, now_us: int) -> int:
        """-1: this one is not written down. Else it is, with how many were left out since the last one."""
        if now_us - self._began >= WINDOW_US or now_us < self._began:
            self._began, self._all = now_us, 0
            self._each.clear()
        if caller not in self._each and len(self._each) >= CALLERS_MAX:
            caller = None
        taken = self._each.get(caller, 0)
        if taken >= EACH_MAX or self._all >= ALL_MAX:
            self._skipped += 1
            return -1
        self._each[caller] = taken + 1
        self._all += 1
        skipped, self._skipped = self._skipped, 0
        return skipped

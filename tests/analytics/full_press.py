"""Weeks of a press whose four hands are full by day and on Mondays even longer, and that grows: as whoever asks at any hour of any day finds them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

WEEKS, HANDS, MEAN_S = 9, 4, 600
#: what comes in an hour by day and by night, and how much more on Mondays and with each week: so that in the fullest hours not as much waits in each
DAY, NIGHT, MONDAY, GROWS = 18, 6, 1.3, 1.06


class Hour(NamedTuple):
    at: datetime
    came: int
    done: int
    work_us: int


def pressed(now: datetime) -> list[Hour]:
    """The whole hours before `now`, the oldest first. First come, first served; what an hour has is told by its date alone, and by how long ago it was."""
    end = now.replace(minute=0, second=0, microsecond=0)
    most, queue, found = HANDS * 3600 // MEAN_S, 0, []
    for back in range(WEEKS * 168, 0, -1):
        at = end - timedelta(hours=back)
        level = (DAY if 8 <= at.hour < 18 else NIGHT) * (MONDAY if at.weekday() == 0 else 1)
        came = round(level * GROWS ** (WEEKS - back / 168)) + int(at.timestamp()) // 3600 * 7919 % 3
        done = min(queue + came, most)
        queue += came - done
        found.append(Hour(at, came, done, done * MEAN_S * 1_000_000))
    return found

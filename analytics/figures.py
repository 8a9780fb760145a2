"""Roll-ups: what happened to a series within a minute, an hour, a day, as numbers that add up in any order.

A series is an instance's definition as a whole (`element` is empty), one of its elements, or the jobs of a type at an element (`job_type` is not empty).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from flowledger.analytics.spread import bucket_of

#: what is counted; all of these add up. `moved_in`, `moved_out`: by a migration from or to another version.
#: `worked`: pieces of work whose waiting and working time are in `wait_us` and `work_us`; times of `cycle_us` are of what completed.
COUNTED = (
    "started", "completed", "failed", "cancelled", "terminated", "moved_in", "moved_out", "reworked", "attempts", "retries", "errors",
    "incidents", "worked", "cycle_us", "wait_us", "work_us",
)  # fmt: skip
(
    STARTED, COMPLETED, FAILED, CANCELLED, TERMINATED, MOVED_IN, MOVED_OUT, REWORKED, ATTEMPTS, RETRIES, ERRORS, INCIDENTS, WORKED, CYCLE, WAIT,
    WORK,
) = range(len(COUNTED))  # fmt: skip
#: after the counted ones: the shortest and the longest cycle time, None without any
LEAST, MOST = len(COUNTED), len(COUNTED) + 1
_EMPTY = [0] * len(COUNTED) + [None, None]

MINUTE_US, HOUR_US, DAY_US = 60_000_000, 3_600_000_000, 86_400_000_000
GRAINS = {"minute": MINUTE_US, "hour": HOUR_US, "day": DAY_US}
#: grains of which it is kept how the times are spread
SPREAD_GRAINS = {"hour": HOUR_US, "day": DAY_US}
#: of which time a bucket tells
CYCLE_TIME, WAIT_TIME, WORK_TIME = 0, 1, 2
TEXT_MAX = 255

Numbers = list[int | None]


class Series(NamedTuple):
    tenant: str
    process: str
    definition: int
    version: int
    element: str = ""
    job_type: str = ""


class Place:
    """A series, to be found quickly: by itself and not by its names."""

    __slots__ = ("series",)

    def __init__(self, series: Series) -> None:
        self.series = series


#: (element, job type) -> place, of a version
Places = dict[tuple[str, str], Place]
_PLACES: dict[tuple[str, str, int, int], Places] = {}
#: versions whose places are kept
_PLACES_MAX = 5_000


def places_of(tenant: str, process: str, definition: int, version: int) -> Places:
    key = (tenant, process, definition, version)
    found = _PLACES.get(key)
    if found is None:
        if len(_PLACES) >= _PLACES_MAX:
            _PLACES.clear()
        found = _PLACES[key] = {}
    return found


def text(value: str) -> str:
    """As a key of a row takes it."""
    return value[:TEXT_MAX].replace("\0", "\ufffd")


class Figures:
    """What a batch of events adds: `minutes`: (place, start of the minute in µs) -> numbers; `spreads`: (place, start of the hour, time, bucket) -> how many."""

    __slots__ = ("minutes", "paths", "spreads", "variants")

    def __init__(self) -> None:
        #: of what has ended: (version as a whole, start of the day, variant) -> numbers; and (tenant, process, variant) -> its path, and how many elements more
        self.variants: dict[tuple[Series, int, str], Numbers] = {}
        self.paths: dict[tuple[str, str, str], tuple[list[str], int]] = {}
        self.minutes: dict[tuple[Place, int], Numbers] = {}
        self.spreads: dict[tuple[Place, int, int, int], int] = {}

    def __bool__(self) -> bool:
        return bool(self.minutes)

    def at(self, place: Place, us: int) -> Numbers:
        """The numbers of the minute, to be added to."""
        key = (place, us - us % MINUTE_US)
        found = self.minutes.get(key)
        if found is None:
            found = self.minutes[key] = _EMPTY.copy()
        return found

    def add(self, place: Place, us: int, column: int, amount: int = 1) -> None:
        self.at(place, us)[column] += amount  # type: ignore[operator]

    def time(self, place: Place, us: int, which: int, lasted_us: int) -> None:
        """How long something took that ended at `us`. What took less than a millisecond has no bucket: it is what the others lack."""
        if lasted_us >= 1000:
            bucket = bucket_of(lasted_us)
            key = (place, us - us % HOUR_US, which, bucket)
            self.spreads[key] = self.spreads.get(key, 0) + 1

    def cycle(self, place: Place, us: int, lasted_us: int) -> None:
        """Something completed that took so long."""
        row = self.at(place, us)
        row[COMPLETED] += 1  # type: ignore[operator]
        row[CYCLE] += lasted_us  # type: ignore[operator]
        least, most = row[LEAST], row[MOST]
        row[LEAST] = lasted_us if least is None else min(least, lasted_us)
        row[MOST] = lasted_us if most is None else max(most, lasted_us)
        self.time(place, us, CYCLE_TIME, lasted_us)

    def work(self, place: Place, us: int, wait_us: int, work_us: int) -> None:
        """A piece of work was done that waited and was in hand for so long."""
        row = self.at(place, us)
        row[WORKED] += 1  # type: ignore[operator]
        row[WAIT] += wait_us  # type: ignore[operator]
        row[WORK] += work_us  # type: ignore[operator]
        self.time(place, us, WAIT_TIME, wait_us)
        self.time(place, us, WORK_TIME, work_us)

    def variant(self, place: Place, us: int, name: str, column: int, lasted_us: int, path: list[str], more: int) -> None:
        """An instance ended that went this way; `lasted_us` counts where it completed."""
        s = place.series
        row = self.variants.setdefault((s, us - us % DAY_US, name), _EMPTY.copy())
        row[column] += 1  # type: ignore[operator]
        if column == COMPLETED:
            row[CYCLE] += lasted_us  # type: ignore[operator]
            least, most = row[LEAST], row[MOST]
            row[LEAST] = lasted_us if least is None else min(least, lasted_us)
            row[MOST] = lasted_us if most is None else max(most, lasted_us)
        self.paths.setdefault((s.tenant, s.process, name), (path, more))

    def rolled(self, grain: str) -> dict[tuple[Series, int], Numbers]:
        """By minute, hour or day."""
        size = GRAINS[grain]
        out: dict[tuple[Series, int], Numbers] = {}
        for (place, at), numbers in self.minutes.items():
            key = (place.series, at - at % size)
            known = out.get(key)
            out[key] = numbers if known is None else plus(known, numbers)
        return out

    def spread(self, grain: str) -> dict[tuple[Series, int, int, int], int]:
        """By hour or day."""
        size = GRAINS[grain]
        out: dict[tuple[Series, int, int, int], int] = {}
        for (place, at, which, bucket), n in self.spreads.items():
            key = (place.series, at - at % size, which, bucket)
            out[key] = out.get(key, 0) + n
        return out


def plus(a: Numbers, b: Numbers) -> Numbers:
    """The sum of two rows; shortest and longest as they are."""
    out: Numbers = [(x or 0) + (y or 0) for x, y in zip(a[:LEAST], b[:LEAST], strict=True)]
    out.append(min((n for n in (a[LEAST], b[LEAST]) if n is not None), default=None))
    out.append(max((n for n in (a[MOST], b[MOST]) if n is not None), default=None))
    return out


def named(numbers: Numbers) -> Iterator[tuple[str, int | None]]:
    """Column by column."""
    yield from zip((*COUNTED, "cycle_min_us", "cycle_max_us"), numbers, strict=True)

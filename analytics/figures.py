"""Roll-ups: what happened to a series within a minute, an hour, a day, as numbers that add up in any order.

A series is an instance's definition as a whole (`element` is empty), one of its elements, or the jobs of a type at an element (`job_type` is not empty).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from flowledger.analytics.spread import BUCKET_MAX, bucket_of

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
#: which time << SPREAD_BITS | bucket -> how many
Spread = dict[int, int]
SPREAD_BITS = BUCKET_MAX.bit_length()


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


class Places:
    """Those of a version, each made once: as a whole, of its elements, and where work counts (with the instance, with its element, with its job type)."""

    __slots__ = ("_elements", "_series", "_works", "whole")

    def __init__(self, tenant: str, process: str, definition: int, version: int) -> None:
        self._series = Series(text(tenant), text(process), definition, version)
        self.whole = Place(self._series)
        self._elements: dict[str, Place] = {}
        self._works: dict[tuple[str, str], tuple[Place, ...]] = {}

    def element(self, name: str) -> Place:
        found = self._elements.get(name)
        if found is None:
            if len(self._elements) >= PLACES_MAX:
                self._elements.clear()
            found = self._elements[name] = Place(self._series._replace(element=text(name)))
        return found

    def work(self, element: str, job_type: str) -> tuple[Place, ...]:
        """Two places; that of the job type is the third, where there is one."""
        key = (element, job_type)
        found = self._works.get(key)
        if found is None:
            if len(self._works) >= PLACES_MAX:
                self._works.clear()
            found = (self.whole, self.element(element))
            if job_type:
                found += (Place(self._series._replace(element=text(element), job_type=text(job_type))),)
            self._works[key] = found
        return found


_PLACES: dict[tuple[str, str, int, int], Places] = {}
#: versions whose places are kept at hand, and elements and kinds of work of each
_PLACES_MAX, PLACES_MAX = 5_000, 10_000


def places_of(tenant: str, process: str, definition: int, version: int) -> Places:
    key = (tenant, process, definition, version)
    found = _PLACES.get(key)
    if found is None:
        if len(_PLACES) >= _PLACES_MAX:
            _PLACES.clear()
        found = _PLACES[key] = Places(*key)
    return found


def text(value: str) -> str:
    """As a key of a row takes it."""
    return value[:TEXT_MAX].replace("\0", "\ufffd")


class Cell(NamedTuple):
    """What is added to: the numbers of a minute, the spread of its hour."""

    numbers: Numbers
    spread: Spread

    def completed(self, lasted_us: int) -> None:
        """Something completed that took so long."""
        row, spread = self
        _cycle(row, lasted_us)
        if lasted_us >= 1000:
            key = CYCLE_TIME << SPREAD_BITS | bucket_of(lasted_us)
            spread[key] = spread.get(key, 0) + 1


#: how many, how many of them kept what was promised, sum, least, most (the last three in millionths, times in microseconds)
Tally = list[Any]
#: (series, name, value that it is told by, start of the time) -> tally
Tallies = dict[tuple[Series, str, str, int], Tally]
_N, _KEPT, _TOTAL, _LOW, _HIGH = range(5)


class Broken(NamedTuple):
    """A promise that wasn't kept: at what, when it ended, how much too late."""

    place: Place
    name: str
    instance: int
    at: int
    over_us: int


class Named:
    """What a batch adds to KPIs: (place, name, value that it is told by, start of the minute) -> tally; and the promises that were broken."""

    __slots__ = ("broken", "minutes")

    def __init__(self) -> None:
        self.minutes: dict[tuple[Place, str, str, int], Tally] = {}
        self.broken: list[Broken] = []

    def add(self, place: Place, name: str, by: str, us: int, total: int, kept: bool = False) -> None:
        key = (place, name, by, us - us % MINUTE_US)
        row = self.minutes.get(key)
        if row is None:
            self.minutes[key] = [1, int(kept), total, total, total]
            return
        row[_N] += 1
        row[_KEPT] += kept
        row[_TOTAL] += total
        row[_LOW], row[_HIGH] = min(row[_LOW], total), max(row[_HIGH], total)

    def rolled(self, grain: str, finer: Tallies | None = None) -> Tallies:
        """By minute, hour or day. `finer`: what this gave for a smaller one."""
        size = GRAINS[grain]
        out: Tallies = {}
        minutes = (((p.series, name, by, at), row) for (p, name, by, at), row in self.minutes.items())
        for (series, name, by, at), row in minutes if finer is None else finer.items():
            key = (series, name, by, at - at % size)
            known = out.get(key)
            if known is None:
                out[key] = list(row)
            else:
                for n in (_N, _KEPT, _TOTAL):
                    known[n] += row[n]
                known[_LOW], known[_HIGH] = min(known[_LOW], row[_LOW]), max(known[_HIGH], row[_HIGH])
        return out


class Figures:
    """What a batch of events adds: `minutes`: (place, start of the minute in µs) -> numbers; `spreads`: (place, start of the hour) -> how times are spread.

    What took less than a millisecond has no bucket: it is what the others lack.
    """

    __slots__ = ("_cells", "_moments", "_since", "kpis", "minutes", "paths", "spreads", "variants")

    def __init__(self) -> None:
        self.kpis = Named()
        #: of what has ended: (version as a whole, start of the day, variant) -> numbers; and (tenant, process, variant) -> its path, and how many elements more
        self.variants: dict[tuple[Series, int, str], Numbers] = {}
        self.paths: dict[tuple[str, str, str], tuple[list[str], int]] = {}
        self.minutes: dict[tuple[Place, int], Numbers] = {}
        self.spreads: dict[tuple[Place, int], Spread] = {}
        #: both by minute and place, and those of the minute that was asked for last
        self._moments: dict[int, dict[Place, Cell]] = {}
        self._cells: dict[Place, Cell] = {}
        self._since = -MINUTE_US

    def __bool__(self) -> bool:
        return bool(self.minutes)

    def at(self, place: Place, us: int) -> Cell:
        if not 0 <= us - self._since < MINUTE_US:
            self._since = us - us % MINUTE_US
            self._cells = self._moments.setdefault(self._since, {})
        found = self._cells.get(place)
        if found is None:
            numbers = self.minutes[place, self._since] = _EMPTY.copy()
            found = self._cells[place] = Cell(numbers, self.spreads.setdefault((place, us - us % HOUR_US), {}))
        return found

    def add(self, place: Place, us: int, column: int) -> None:
        self.at(place, us)[0][column] += 1  # type: ignore[operator]

    def work(self, places: Iterable[Place], us: int, wait_us: int, work_us: int) -> None:
        """A piece of work was done that waited and was in hand for so long."""
        keys = [which << SPREAD_BITS | bucket_of(t) for which, t in ((WAIT_TIME, wait_us), (WORK_TIME, work_us)) if t >= 1000]
        for place in places:
            row, spread = self.at(place, us)
            row[WORKED] += 1  # type: ignore[operator]
            row[WAIT] += wait_us  # type: ignore[operator]
            row[WORK] += work_us  # type: ignore[operator]
            for key in keys:
                spread[key] = spread.get(key, 0) + 1

    def variant(self, place: Place, us: int, name: str, column: int, lasted_us: int, path: list[str], more: int) -> None:
        """An instance ended that went this way; `lasted_us` counts where it completed."""
        s = place.series
        key = (s, us - us % DAY_US, name)
        row = self.variants.get(key)
        if row is None:
            row = self.variants[key] = _EMPTY.copy()
            self.paths.setdefault((s.tenant, s.process, name), (path, more))
        if column == COMPLETED:
            _cycle(row, lasted_us)
        else:
            row[column] += 1  # type: ignore[operator]

    def rolled(self, grain: str, finer: Mapping[tuple[Series, int], Numbers] | None = None) -> dict[tuple[Series, int], Numbers]:
        """By minute, hour or day. `finer`: what this gave for a smaller one."""
        size = GRAINS[grain]
        out: dict[tuple[Series, int], Numbers] = {}
        rows = (((place.series, at), numbers) for (place, at), numbers in self.minutes.items()) if finer is None else finer.items()
        for (series, at), numbers in rows:
            key = (series, at - at % size)
            known = out.get(key)
            out[key] = numbers if known is None else plus(known, numbers)
        return out

    def spread(self, grain: str) -> dict[tuple[Series, int, int, int], int]:
        """By hour or day: (series, start, which time, bucket) -> how many."""
        size = SPREAD_GRAINS[grain]
        out: dict[tuple[Series, int, int, int], int] = {}
        for (place, at), spread in self.spreads.items():
            for both, n in spread.items():
                key = (place.series, at - at % size, both >> SPREAD_BITS, both & BUCKET_MAX)
                out[key] = out.get(key, 0) + n
        return out


def _cycle(row: Numbers, lasted_us: int) -> None:
    row[COMPLETED] += 1  # type: ignore[operator]
    row[CYCLE] += lasted_us  # type: ignore[operator]
    least, most = row[LEAST], row[MOST]
    if least is None or lasted_us < least:
        row[LEAST] = lasted_us
    if most is None or lasted_us > most:
        row[MOST] = lasted_us


def plus(a: Numbers, b: Numbers) -> Numbers:
    """The sum of two rows; shortest and longest as they are."""
    out: Numbers = [(x or 0) + (y or 0) for x, y in zip(a[:LEAST], b[:LEAST], strict=True)]
    for better, x, y in ((min, a[LEAST], b[LEAST]), (max, a[MOST], b[MOST])):
        out.append(y if x is None else x if y is None else better(x, y))
    return out


#: the names of all numbers, in their order
NAMES = (*COUNTED, "cycle_min_us", "cycle_max_us")

"""What an installation can carry, when it is full at the present growth, and what waits before that: from what came and what was done by hour.

A *resource* is what does one kind of work: the workers of a job type, the people at an element, the owners of the log. How much work it had in hand
shows how many hands it has,
but only in hours in which more waited and no more was done (`hands`): what waits although nobody is busy is no sign of a lack of hands. Without such
hours what was seen is the
least that it can, and is told so. Growth is a line through weeks, straight or by a rate, with the interval in which it lies (`grown`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist, fmean
from typing import NamedTuple

from flowledger.analytics.forecast import INTERVAL, forecast

HOUR_US = 3_600_000_000
WEEK = 168
#: weeks of which hands and the time of a piece of work are read; weeks that growth needs, and that it looks back
RECENT, WEEKS_MIN, WEEKS_MAX = 4, 4, 12
#: of the recent hours, the share with the most open whose work in hand is compared; hours that are needed
FULLEST, HOURS_MIN = 0.06, 12
#: below it lie so many hours of what was in hand; where hands can't be told, it is the least
USUAL = 0.99
#: with so much more open (the spread of its logarithm) work in hand must grow by less than this power, and so much more must be open than in hand
SPREAD_MIN, ELASTICITY_MAX, WAITING_MIN = 0.12, 0.3, 1.2
#: between `low` and `high` the truth lies in 90 of 100 cases
BAND = 0.9
#: how many times the squares of what a fit is off must be those of the other for it to be dropped
APART = 4
#: beyond so many weeks nothing is said
AHEAD_WEEKS = 104
#: from this share on it is tight: what waits grows quicker than what comes
TIGHT = 0.85


class Hours(NamedTuple):
    """By hour, the oldest first, up to now: what came, what was over (however), of what was done how many and how long it was in hand. `before`:
    open at the start."""

    came: Sequence[int]
    left: Sequence[int]
    worked: Sequence[int]
    work_us: Sequence[int]
    before: int = 0

    def open_at(self) -> list[int]:
        """When each hour began, and now."""
        found = [self.before]
        for came, left in zip(self.came, self.left, strict=True):
            found.append(max(0, found[-1] + came - left))
        return found


class Told(NamedTuple):
    """A number and the interval in which it lies."""

    value: float
    low: float
    high: float


def _student(n: int) -> float:
    """Of how many standard errors half of the band is, with `n` degrees of freedom (Cornish and Fisher's expansion, two terms)."""
    z = NormalDist().inv_cdf((1 + BAND) / 2)
    return z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n * n)


def mean_work_us(hours: Hours) -> float:
    recent = RECENT * WEEK
    done = sum(hours.worked[-recent:])
    return sum(hours.work_us[-recent:]) / done if done else 0.0


def hands(hours: Hours) -> tuple[Told, bool]:
    """How many there are, and whether that was measured: in the recent hours with the most open no more was in hand where more was open. Otherwise
    it is what was in
    hand in the busiest of a hundred hours, and there are about so many at least."""
    recent = min(len(hours.came), RECENT * WEEK)
    begin = hours.open_at()[-recent - 1 :]
    busy = [us / HOUR_US for us in hours.work_us[-recent:]]
    seen = [(min(begin[n], begin[n + 1]), busy[n]) for n in range(recent) if busy[n] > 0 and begin[n] and begin[n + 1]]
    ordered = sorted(busy)  # an hour in which long work happened to end has more in it than there are hands
    most = ordered[int(USUAL * (len(ordered) - 1))] if ordered else 0.0
    fullest = sorted(seen, reverse=True)[: max(HOURS_MIN, int(FULLEST * recent))]
    if len(fullest) >= HOURS_MIN and _flat(fullest):
        found = [b for _, b in fullest]
        mean = fmean(found)
        error = math.sqrt(sum((b - mean) ** 2 for b in found) / (len(found) - 1) / len(found))
        wide = _student(len(found) - 1) * error
        return Told(mean, max(0.0, mean - wide), mean + wide), True
    return Told(most, most, most), False


def _flat(hours: Sequence[tuple[int, float]]) -> bool:
    x, y = [math.log(o) for o, _ in hours], [math.log(b) for _, b in hours]
    mx, my = fmean(x), fmean(y)
    spread = sum((a - mx) ** 2 for a in x)
    if math.sqrt(spread / len(x)) < SPREAD_MIN or fmean(o for o, _ in hours) < WAITING_MIN * fmean(b for _, b in hours):
        return False
    return sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / spread < ELASTICITY_MAX


def there(hours: Hours, always: bool) -> list[bool]:
    """Of the hours of a week, counted back from now, in which somebody was there: anything was done then in the recent weeks."""
    recent = hours.worked[-RECENT * WEEK :]
    if always:
        return [True] * WEEK
    return [any(recent[-WEEK + n :: -WEEK]) if len(recent) >= WEEK - n else False for n in range(WEEK)]


class Fit(NamedTuple):
    """A line through weeks: of what came (`line`), or of its logarithm (`rate`)."""

    by: str
    a: float
    b: float
    mean: float
    spread: float
    error: float
    n: int

    def at(self, x: float) -> Told:
        wide = _student(self.n - 2) * self.error * math.sqrt(1 / self.n + (x - self.mean) ** 2 / self.spread)
        y = self.a + self.b * (x - self.mean)
        if self.by == "rate":
            return Told(*(math.exp(min(v, 700.0)) for v in (y, y - wide, y + wide)))
        return Told(max(0.0, y), max(0.0, y - wide), max(0.0, y + wide))


class Growth(NamedTuple):
    """Of what came in a week. The first fit is the better one; a second one is there where the weeks don't tell them apart, and the interval is that
    of both."""

    fits: tuple[Fit, ...]

    def at(self, x: float) -> Told:
        """`x` weeks from now."""
        found = [fit.at(x) for fit in self.fits]
        return Told(found[0].value, min(f.low for f in found), max(f.high for f in found))

    @property
    def by(self) -> str:
        return self.fits[0].by

    @property
    def weekly(self) -> float:
        """By which share it grows in a week, now."""
        now = self.at(0).value
        return self.at(1).value / now - 1 if now else 0.0


def grown(came: Sequence[int]) -> Growth | None:
    """`came`: by hour up to now. None: there are fewer than four whole weeks since the first."""
    first = next((n for n, c in enumerate(came) if c), len(came))
    weeks = min((len(came) - first) // WEEK, WEEKS_MAX)
    if weeks < WEEKS_MIN:
        return None
    end = len(came)
    totals = [sum(came[end - (weeks - n) * WEEK : end - (weeks - n - 1) * WEEK]) for n in range(weeks)]
    x = [n - weeks + 0.5 for n in range(weeks)]
    line = _fitted("line", x, [float(t) for t in totals], math.sqrt(max(fmean(totals), 1.0)))
    if min(totals) <= 0:
        return Growth((line,))
    rate = _fitted("rate", x, [math.log(t) for t in totals], 1 / math.sqrt(fmean(totals)))
    off = [(sum((fit.at(at).value - t) ** 2 for at, t in zip(x, totals, strict=True)), fit) for fit in (line, rate)]
    (best, first_fit), (worse, other) = sorted(off, key=lambda o: o[0])
    return Growth((first_fit, other) if worse < APART * best else (first_fit,))


def _fitted(by: str, x: list[float], y: list[float], least: float) -> Fit:
    """`least`: of what counts vary by chance alone, so that few weeks that happen to lie on a line don't promise too much."""
    n, mx, my = len(x), fmean(x), fmean(y)
    spread = sum((v - mx) ** 2 for v in x)
    slope = sum((v - mx) * (w - my) for v, w in zip(x, y, strict=True)) / spread
    rest = math.sqrt(sum((w - my - slope * (v - mx)) ** 2 for v, w in zip(x, y, strict=True)) / (n - 2))
    return Fit(by, my, slope, mx, spread, max(rest, least), n)


def full(growth: Growth, most: Told, share: float = 1.0) -> dict[str, float | None]:
    """In how many weeks so much comes: `at`, and between `from` and `to`. None: not within two years. 0: by now."""

    def first(beyond: Callable[[Told], bool]) -> float | None:
        if beyond(growth.at(0)):
            return 0.0
        if not beyond(growth.at(AHEAD_WEEKS)):
            return None
        low, high = 0.0, float(AHEAD_WEEKS)
        while high - low > 1 / (24 * 7):
            middle = (low + high) / 2
            low, high = (low, middle) if beyond(growth.at(middle)) else (middle, high)
        return high

    return {
        "at": first(lambda d: d.value >= share * most.value),
        "from": first(lambda d: d.high >= share * most.low),
        "to": first(lambda d: d.low >= share * most.high),
    }


class Ahead(NamedTuple):
    """An hour to come: what comes, and how much is open and waits at its end."""

    came: Told
    waits: Told


def ahead(hours: Hours, carried: Sequence[float], off: float, growth: Growth | None, steps: int = WEEK) -> list[Ahead]:
    """`carried`: how much can be done in each hour of the week, counted from now, and by which share that may be `off` (a standard error). Empty:
    there are fewer than five weeks. What comes is forecast by the hours of the week
    and brought to the present level of growth; what then is more than can be done waits for the next hour."""
    first = next((n for n, c in enumerate(hours.came) if c), len(hours.came))
    found = forecast(hours.came[first:], "hour", steps)
    if found is None:
        return []
    level = 1.0
    if growth is not None and (told := sum(i["expected"] for i in found["items"][:WEEK])):
        expected = growth.at(min(steps, WEEK) / WEEK / 2)
        level = expected.value * min(steps, WEEK) / WEEK / told
        wide = (expected.high - expected.low) / 2 / NormalDist().inv_cdf((1 + BAND) / 2)
        off = math.hypot(off, wide / expected.value) if expected.value else off
    z = NormalDist().inv_cdf((1 + INTERVAL) / 2)
    open_now = hours.open_at()[-1]
    in_hand = min(carried, default=0.0) and min(float(open_now), mean_work_us(hours) / HOUR_US * carried[0])
    depth = [max(0.0, open_now - in_hand)] * 3
    before = variance = total = 0.0
    out: list[Ahead] = []
    for n, item in enumerate(found["items"]):
        came, high = item["expected"] * level, item["high"] * level
        can = carried[n % WEEK]
        # of what is done in an hour it isn't known either how long it takes: as with counts, the square is the mean
        variance += ((high - came) / z) ** 2 + min(can, came + depth[0])
        total += came
        # what chance adds evens out over hours; how far the level is off doesn't
        now = math.hypot(math.sqrt(variance), off * total)
        more, before = z * (now - before), now
        each = (came, max(0.0, came - more), came + more)
        depth = [max(0.0, d + c - can) for d, c in zip(depth, each, strict=True)]
        out.append(Ahead(Told(came, item["low"] * level, high), Told(*depth)))
    return out


def marginal(samples: Sequence[tuple[float, float, float]]) -> tuple[float, float] | None:
    """(seconds of a processor that a step costs, share of it that is used without any), from (seconds, steps, seconds of the processor) of
    intervals. None: they are too few, or too
    much alike to tell one from the other."""
    rates = [(steps / s, cpu / s) for s, steps, cpu in samples if s > 0]
    if len(rates) < 6:
        return None
    mx, my = fmean(r for r, _ in rates), fmean(c for _, c in rates)
    spread = sum((r - mx) ** 2 for r, _ in rates)
    if not spread or math.sqrt(spread / len(rates)) < 0.2 * mx:
        return None
    slope = sum((r - mx) * (c - my) for r, c in rates) / spread
    return (slope, max(0.0, my - slope * mx)) if slope > 0 else None

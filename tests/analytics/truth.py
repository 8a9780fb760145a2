"""What figures of a drawn history have to be, counted from what was planned and never from events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from flowledger.analytics.figures import COUNTED
from flowledger.bench.histories import Case

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
EPOCH_US = 0
SIZES = {"minute": MINUTE, "hour": HOUR, "day": DAY}
Key = tuple[str, int, str, str, int]
Truth = dict[Key, dict[str, int]]


def counted(cases: Iterable[Case], grain: str) -> Truth:
    """(tenant, definition, element, job type, start of the window) -> numbers, of windows in which there is any."""
    size = SIZES[grain]
    found: Truth = defaultdict(lambda: defaultdict(int))

    def to(c: Case, element: str, job: str, us: int, **numbers: int) -> None:
        row = found[c.tenant, c.definition, element, job, us // size * size]
        for name, n in numbers.items():
            row[name] += n

    for c in cases:
        to(c, "", "", c.started, started=1)
        if c.outcome:
            to(c, "", "", c.ended, **{c.outcome: 1})
        if c.outcome == "completed":
            to(c, "", "", c.ended, cycle_us=c.ended - c.started)
        for element, since, until, how in c.visits:
            to(c, element, "", since, started=1)
            if how:
                to(c, element, "", until, **{how: 1})
            if how == "completed":
                to(c, element, "", until, cycle_us=until - since)
        done = {(element, made) for element, _, made, *_ in c.work}
        for element, job, made in c.jobs:
            to(c, element, job, made, started=1)
            if c.outcome in ("failed", "cancelled") and (element, made) not in done:
                to(c, element, job, c.ended, cancelled=1)
        for element, job, made, until, wait, worked in c.work:
            for e, j in {("", ""), (element, ""), (element, job)}:
                to(c, e, j, until, worked=1, wait_us=wait, work_us=worked)
            if job:
                to(c, element, job, until, completed=1, cycle_us=until - made)
        for element, job, us, failed, again in c.attempts:
            for e, j in {("", ""), (element, ""), (element, job)}:
                to(c, e, j, us, attempts=1, errors=int(failed), retries=int(again))
        for element, us in c.incidents:
            for e in ("", element):
                to(c, e, "", us, incidents=1)
        for element, us in c.reworked:
            job = next((j for e, j, _ in c.jobs if e == element), "")
            for e, j in {("", ""), (element, ""), (element, job)}:
                to(c, e, j, us, reworked=1)
    return {key: {name: row[name] for name in COUNTED if row.get(name)} for key, row in found.items()}

"""The bench of a thousand tenants and one that floods, in a short form: what it reads is what the servers did, and what it says of it."""

from __future__ import annotations

import pytest

from flowledger.bench import tenants
from flowledger.bench.callers import OK, REFUSED, USUAL, Counts


def counts(done: list[float], refused: int = 0) -> Counts:
    found = Counts()
    found.by = {(USUAL, OK): done, (USUAL, REFUSED): [0.0] * refused}
    return found


@pytest.mark.parametrize(
    ("flooded", "times", "holds"),
    [
        (counts([0.010] * 100), 1.0, True),
        (counts([0.010] * 90 + [0.020] * 10), 2.0, True),
        (counts([0.010] * 90 + [0.021] * 10), 2.1, False),
        (counts([0.010] * 100, refused=1), 1.0, False),
    ],
)
def test_it_holds_where_the_others_p95_is_at_most_twice_and_none_of_them_is_turned_away(flooded: Counts, times: float, holds: bool):
    rows = {r["name"]: r for r in tenants.figures("t", counts([0.010] * 100), flooded, counts([0.0] * 30, refused=60), 100.0, 10, 3.0)}
    assert (rows["t.times"]["value"], rows["t.times"]["holds"]) == (times, holds)
    assert (rows["t.flood"]["value"], rows["t.flood"]["refused_per_s"]) == (10, 20)


@pytest.mark.slow
@pytest.mark.alone
def test_it_runs():
    rows = {r["name"]: r for r in tenants.run(seconds=0.5, tenants=10)}
    for name in ("tenants", "tenants.limited"):
        assert (
            rows[f"{name}.others.calm"]["starts"] > 0
            and rows[f"{name}.others.calm"]["tenants"] == 10
            and rows[f"{name}.flood"]["value"] > 0
        )
        assert rows[f"{name}.others.calm"]["other"] == rows[f"{name}.others.flooded"]["other"] == {}
    assert rows["tenants.limited.flood"]["value"] <= 2 * tenants.RATE + 2 * tenants.RATE / 0.5, "a second's burst and the rate itself"

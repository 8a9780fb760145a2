"""Which way to a page is taken for the least, where what is known of the lists is said by hand: no database is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flowledger.projections import by_variables as bv
from flowledger.projections import filters as fi

#: of a million instances in sixty days
SPAN_S = 60 * 86_400.0
ALL = 1_000_000 / SPAN_S
EXPRESS, AMOUNT = fi.variable("express", "eq", True), fi.variable("amount", "gt", 5_000)


def of(variable: fi.Variable | None, rows: float) -> bv._List:
    return bv._List(variable, rows / SPAN_S, rows)


def test_a_process_and_a_truth_value_meet_by_their_indexes() -> None:
    """A thousand rows of the process would be read for a page, where both indexes are read without any."""
    assert bv._cheapest([of(None, 5_000), of(EXPRESS, 50_000)], ALL, 50) == bv._Plan(EXPRESS, [None], True)


@pytest.mark.parametrize("rows", [200_000, 900_000])
def test_a_wide_range_is_asked_of_the_rows_of_the_process(rows: float) -> None:
    assert bv._cheapest([of(None, 5_000), of(AMOUNT, rows)], ALL, 50) == bv._Plan(None, [], False)


def test_a_narrow_range_leads_or_is_met() -> None:
    assert bv._cheapest([of(AMOUNT, 100), of(None, 5_000)], ALL, 50).leader == AMOUNT
    assert bv._cheapest([of(None, 5_000), of(AMOUNT, 20_000)], ALL, 50).sliced


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        (datetime(2026, 12, 1, 0, 0, tzinfo=UTC), datetime(2026, 12, 1, 12, tzinfo=UTC)),
        (datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
        (datetime(2026, 12, 1, 11, 59, tzinfo=UTC), datetime(2026, 12, 1, 12, tzinfo=UTC)),
        (datetime(1999, 12, 31, 1, tzinfo=UTC), datetime(1999, 12, 31, 12, tzinfo=UTC)),
    ],
)
def test_the_end_of_a_slice(moment: datetime, end: datetime) -> None:
    assert bv._slice_end(moment) == end
    assert timedelta(0) < end - moment <= timedelta(seconds=bv.SLICE_S)

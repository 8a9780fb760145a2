"""Whether two groups differ: against SciPy's figures (1.17, `mannwhitneyu`, `fisher_exact`, `chi2_contingency`, `false_discovery_control`) for the same numbers."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from flowledger.analytics.compare import adjusted, ranks, shares

#: sizes, shift -> share of pairs in which the one after is longer, p-value
MANN_WHITNEY = [
    (30, 40, 0, 0.5008333333, 0.99525219),
    (30, 40, 3, 0.7675, 0.00013271738),
    (200, 150, 1, 0.5511166667, 0.10107892),
    (5, 6, 4, 0.5166666667, 1.0),
    (400, 500, 0, 0.486725, 0.49255423),
]


def test_ranks():
    rng = random.Random(4)
    for n, m, shift, longer, p in MANN_WHITNEY:
        a = Counter(int(rng.gauss(20, 5)) for _ in range(n))
        b = Counter(int(rng.gauss(20 + shift, 5)) for _ in range(m))
        assert ranks(a, b) == pytest.approx((longer, p), rel=1e-6)
        assert ranks(b, a) == pytest.approx((1 - longer, p), rel=1e-6)
    assert ranks({}, {1: 2}) is None
    assert ranks({1: 5}, {1: 7}) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("table", "p"),
    [
        ((1, 10, 5, 12), 0.16187528),
        ((0, 50, 3, 40), 0.084099421),
        ((9, 9, 7, 9), 0.47058824),
        ((2, 1000, 9, 1000), 0.03431016),
        ((80, 100, 60, 100), 0.0020282311),
        ((900, 1000, 910, 1000), 0.44569978),
        ((50, 500, 20, 100), 0.0044602274),
    ],
)
def test_shares(table, p):
    assert shares(*table) == pytest.approx(p, rel=1e-6)


def test_shares_of_nothing():
    assert shares(0, 0, 1, 2) is None and shares(3, 3, 5, 5) == 1.0


def test_many_questions_at_once():
    assert adjusted([0.01, 0.04, 0.03, 0.2, 0.9, 0.001]) == pytest.approx([0.03, 0.06, 0.06, 0.24, 0.9, 0.006])
    assert adjusted([]) == []

"""Nesting costs time in proportion, not twice at each level."""

import pytest

from flowledger.kernel import feel
from tests.counting import calls


@pytest.mark.parametrize("text", ["(1..", "[1..", "f( (5..", "a in (1..(", "not((1..", "{a: [1..", "[1..2["])
def test_ranges_that_are_never_closed_are_refused_at_once(text):
    def refused():
        with pytest.raises(feel.FeelSyntaxError):
            feel.parse(text * 40)

    assert calls(refused) < 100_000  # it took minutes

"""Nesting costs time in proportion, not twice at each level."""

import time

import pytest

from flowledger.kernel import feel


@pytest.mark.parametrize("text", ["(1..", "[1..", "f( (5..", "a in (1..(", "not((1..", "{a: [1..", "[1..2["])
def test_ranges_that_are_never_closed_are_refused_at_once(text):
    start = time.process_time()
    with pytest.raises(feel.FeelSyntaxError):
        feel.parse(text * 40)
    assert time.process_time() - start < 2  # it took minutes

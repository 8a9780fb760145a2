"""The guards of the protocol, each switched off: the short run of `tools/mutants.py`. All of them: MUTANTS=all, some: MUTANTS="gap check,fence of leases"."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import mutants

WHICH = os.environ.get("MUTANTS", "")


def test_each_guard_stands_once_where_the_list_says():
    for m in mutants.MUTANTS:
        assert (mutants.ROOT / m.file).read_text().count(m.guard) == 1, f"{m.name}: its guard in {m.file} has changed"
        assert (mutants.ROOT / m.killer.split("::")[0]).exists(), m.killer


@pytest.mark.slow
@pytest.mark.timeout(280 if WHICH != "all" else 7_200)
def test_a_test_notices_when_a_guard_is_missing():
    names = [n for n in WHICH.split(",") if n and n != "all"] or ([] if WHICH == "all" else ["gap check", "answers only after the acknowledgement",
        "only counted groups are confirmed", "no send is taken behind a gap", "time goes on by the monotonic clock"])  # fmt: skip
    assert mutants.main(names or ["--all"]) == 0

"""Saved reports: what may stand in one."""

from __future__ import annotations

import pytest

from flowledger.kernel import saved_reports as sr
from flowledger.kernel.tasks import registry

GOOD = {"measure": ["started", "cycle_time"], "group": ["version"], "process": "order", "window": "week", "chart": "line"}


@pytest.mark.req("D-ANA-008")
@pytest.mark.parametrize(
    "report",
    [GOOD, {"measure": "wip", "chart": "number"}, {"kpi": "cost", "figure": "total", "group": "value", "chart": "pie"}, {"measure": "cycle_time", "figure": "p95"}],
)  # fmt: skip
def test_a_good_one_is_taken(report):
    assert registry.problems(sr.REGISTRY, "acme/weekly", report) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"measure": None}, "one of them"), ({"kpi": "k"}, "one of them"), ({"measure": "speed"}, "measure"), ({"measure": []}, "measure"),
        ({"group": ["value"]}, "group"), ({"group": ["person"]}, "group"), ({"measure": None, "kpi": "k", "job_type": "j"}, "job_type"), ({"value": "v"}, "value"),
        ({"measure": "started", "figure": "p90"}, "of times"), ({"figure": "kept_share"}, "p95"), ({"measure": None, "kpi": "k", "figure": "p90"}, "kept_share"),
        ({"window": "minute", "figure": "p90"}, "minute"), ({"window": "year"}, "window"), ({"last": "P4000D"}, "last"), ({"last": "PT1S"}, "last"),
        ({"process": None, "version": 1}, "process"), ({"chart": "line", "window": "all"}, "over time"), ({"chart": "pie", "window": "all"}, "one measure"),
        ({"chart": "number", "measure": "wip", "window": "all"}, "no group"), ({"chart": "pie", "measure": "wip", "window": "all", "group": None}, "a group"),
        ({"chart": "radar"}, "chart"), ({"colour": "red"}, "colour"), ({"title": "t" * 256}, "title"), ({"measure": ["wip"] * 11}, "measure"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(change, words):
    report = {k: v for k, v in {**GOOD, **change}.items() if v is not None}
    found = registry.problems(sr.REGISTRY, "weekly", report)
    assert found and words in "; ".join(found), found


@pytest.mark.parametrize("name", ["", "n" * 101, "a\nb"])
def test_names_have_a_length(name):
    assert "name" in sr.problems(name, GOOD)[0] and sr.problems("n" * 100, GOOD) == []

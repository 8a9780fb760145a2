"""`flowledger bench tuning`: what a setting changes is measured on a log of its own, and what helps is proposed."""

from __future__ import annotations

import pytest

from flowledger.bench import tuning


@pytest.mark.req("APG-AI-013")
def test_batches_of_one_are_measured_and_larger_ones_proposed_with_their_effect(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWLEDGER_BATCH_MAX", "1")
    monkeypatch.setenv("FLOWLEDGER_PARTITIONS", "2")
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.setattr(tuning, "TRIED", {"batch_max": (1, 256), "partitions": (2,)})
    [row, proposal] = tuning.run(rounds=2, instances=300)
    assert (row["name"], row["was"], row["tried"]) == ("tuning.batch_max", 1, 256)
    assert row["after"] > row["before"] and row["cpu_us_after"] < row["cpu_us_before"] and row["proposed"]
    assert (proposal["setting"], proposal["value"], proposal["change"]) == ("batch_max", 256, row["change"])
    assert list(tmp_path.iterdir()) == [], "the installation's own folder isn't touched"


def test_what_was_better_in_some_rounds_or_only_because_the_machine_was_free_is_not_proposed():
    def proposed(*rounds):
        return tuning.judged("batch_max", 1, 2, list(rounds))["proposed"]

    quick, slow = (110.0, 50.0), (100.0, 60.0)
    assert proposed((slow, quick), (slow, quick))
    assert not proposed((slow, quick), (quick, slow))
    assert not proposed((slow, (110.0, 61.0))), "quicker, with more of the processor: the machine was free"
    assert not proposed((slow, (104.0, 50.0))), "too little"

"""Holds on the command line: seen before they are placed, placed, listed, released."""

from __future__ import annotations

import json

import pytest

from flowledger.sdk import Flow
from tests.cli.conftest import until

pytestmark = pytest.mark.req("D-API-008", "WOS-API-001")


def test_a_definition_is_held_and_released(done, tmp_path):
    (tmp_path / "held.bpmn").write_bytes(Flow("held").start().service("t", job="held.work").end().xml())
    done("deploy", tmp_path / "held.bpmn")
    ids = [done("start", "held").strip() for _ in range(3)]
    until(lambda: json.loads(done("hold", "definition", "held", "--dry-run", "--json"))["instances"] == 3)
    seen = done("hold", "definition", "held", "--dry-run")
    assert "open instances" in seen and "held" in seen and "3" in seen
    assert "expected --reason" in done("hold", "definition", "held", "--yes", expect=2)
    assert "expected --yes" in done("hold", "definition", "held", "--reason", "x", expect=2), "nobody can be asked here"
    assert "none" in done("hold", "definition", "nobody", "--reason", "x", "--yes", expect=1)
    made = json.loads(done("hold", "definition", "held", "--reason", "the bank is down", "--starts", "refuse", "--yes", "--json"))
    assert made["status"] == "held"
    assert "the bank is down" in done("start", "held", expect=1)
    rows = until(lambda: (all_ := json.loads(done("holds", "--json"))) and any(r["id"] == made["id"] for r in all_) and all_)
    told = [(r["id"], r["scope"], r["key"], r["reason"], r["starts"]) for r in rows]
    assert (made["id"], "definition", "held", "the bank is down", "refuse") in told
    assert "the bank is down" in done("holds", "--scope", "definition") and "nothing is held" in done("holds", "--scope", "tenant")
    one = json.loads(
        done("hold", "instance", ids[0], "--mode", "pause", "--reason", "y", "--until", "2999-01-01T00:00:00Z", "--yes", "--json")
    )
    until(lambda: len(json.loads(done("holds", "--instance", ids[0], "--json"))) == 1)
    assert "is released" in done("release", one["id"])
    assert json.loads(done("release", made["id"], "--rate", "100", "--reason", "back", "--wait", "--json"))["status"] == "released"
    mine = {one["id"], made["id"]}
    held, all_ = ({r["id"] for r in json.loads(done("holds", *more, "--json"))} for more in ((), ("--all", "--limit", "1000")))
    assert not held & mine and mine <= all_
    assert done("start", "held").strip()
    assert "expected" in done("release", made["id"], expect=1)

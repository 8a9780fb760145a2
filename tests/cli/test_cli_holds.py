"""Holds on the command line: seen before they are placed, placed, listed, released."""

from __future__ import annotations

import json
import time

import pytest

from flowledger.sdk import Flow

pytestmark = pytest.mark.req("D-API-008", "WOS-API-001")


@pytest.fixture
def cli(at_server):
    def call(*arguments: object, expect: int = 0) -> str:
        code, out, err = at_server(*arguments)
        assert code == expect, (out, err)
        return out if not expect else out + err

    return call


def until(look):
    deadline = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
    return found


def test_a_definition_is_held_and_released(cli, tmp_path):
    (tmp_path / "held.bpmn").write_bytes(Flow("held").start().service("t", job="held.work").end().xml())
    cli("deploy", tmp_path / "held.bpmn")
    ids = [cli("start", "held").strip() for _ in range(3)]
    until(lambda: json.loads(cli("hold", "definition", "held", "--dry-run", "--json"))["instances"] == 3)
    seen = cli("hold", "definition", "held", "--dry-run")
    assert "open instances" in seen and "held" in seen and "3" in seen
    assert "expected --reason" in cli("hold", "definition", "held", "--yes", expect=2)
    assert "expected --yes" in cli("hold", "definition", "held", "--reason", "x", expect=2), "nobody can be asked here"
    assert "none" in cli("hold", "definition", "nobody", "--reason", "x", "--yes", expect=1)
    made = json.loads(cli("hold", "definition", "held", "--reason", "the bank is down", "--starts", "refuse", "--yes", "--json"))
    assert made["status"] == "held"
    assert "the bank is down" in cli("start", "held", expect=1)
    rows = until(lambda: (all_ := json.loads(cli("holds", "--json"))) and any(r["id"] == made["id"] for r in all_) and all_)
    told = [(r["id"], r["scope"], r["key"], r["reason"], r["starts"]) for r in rows]
    assert (made["id"], "definition", "held", "the bank is down", "refuse") in told
    assert "the bank is down" in cli("holds", "--scope", "definition") and "nothing is held" in cli("holds", "--scope", "tenant")
    one = json.loads(
        cli("hold", "instance", ids[0], "--mode", "pause", "--reason", "y", "--until", "2999-01-01T00:00:00Z", "--yes", "--json")
    )
    until(lambda: len(json.loads(cli("holds", "--instance", ids[0], "--json"))) == 1)
    assert "is released" in cli("release", one["id"])
    assert json.loads(cli("release", made["id"], "--rate", "100", "--reason", "back", "--wait", "--json"))["status"] == "released"
    mine = {one["id"], made["id"]}
    held, all_ = ({r["id"] for r in json.loads(cli("holds", *more, "--json"))} for more in ((), ("--all", "--limit", "1000")))
    assert not held & mine and mine <= all_
    assert cli("start", "held").strip()
    assert "expected" in cli("release", made["id"], expect=1)

"""Versions in service on the command line: seen before they change, changed, listed."""

from __future__ import annotations

import json
import time

import pytest

from flowledger.sdk import Flow

pytestmark = pytest.mark.req("APG-HA-012", "APG-MOD-007", "WOS-API-001")


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


def test_a_version_is_rolled_out_and_back(cli, tmp_path):
    for n in (1, 2):
        (tmp_path / "ramped.bpmn").write_bytes(Flow("ramped").start().service(f"t{n}", job="ramped.work").end().xml())
        cli("deploy", tmp_path / "ramped.bpmn")
    seen = cli("rollout", "ramped", "--version", 2, "--share", 10, "--dry-run")
    assert "10 % to 2" in seen and "before" in seen and "plan" in seen
    assert "expected --yes" in cli("rollout", "ramped", "--version", 2, "--share", 10, expect=2), "nobody can be asked here"
    for wrong in ([], ["--share", 1, "--default"], ["--stop", "--open"], ["--default", "--newest"]):
        assert "expected" in cli("rollout", "ramped", *wrong, "--yes", expect=2)
    assert "found 9" in cli("rollout", "ramped", "--version", 9, "--default", "--yes", expect=1)
    made = json.loads(cli("rollout", "ramped", "--version", 2, "--share", 10.25, "--reason", "slowly", "--yes", "--json"))
    assert (made["default"], made["ramp"]) == (1, {"version": 2, "share": 10.25})
    shown = until(lambda: (text := cli("versions", "ramped")) and "10.25" in text and text)
    assert "89.75" in shown and "in service" in shown and "slowly" in shown
    assert "it is so already" in cli("rollout", "ramped", "-v", 2, "--share", 10.25, "--yes")
    assert "2" in cli("rollout", "ramped", "-v", 2, "--stop", "--yes")
    assert "stopped by its rollout" in cli("start", "ramped", "--version", 2, expect=1)
    rows = until(lambda: (r := json.loads(cli("versions", "ramped", "--json"))["items"]) and r[0]["stopped"] and r)
    assert [(r["version"], r["share"]) for r in rows] == [(2, 0), (1, 100)]
    back = json.loads(cli("rollout", "ramped", "--newest", "--open", "--yes", "--json"))
    assert back["default"] == 2 and back["pinned"] is None and back["stopped"] == []
    assert "no definition nobody" in cli("versions", "nobody", expect=1)

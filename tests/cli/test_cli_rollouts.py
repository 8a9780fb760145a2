"""Versions in service on the command line: seen before they change, changed, listed."""

from __future__ import annotations

import json

import pytest

from flowledger.sdk import Flow
from tests.cli.conftest import until

pytestmark = pytest.mark.req("APG-HA-012", "APG-MOD-007", "WOS-API-001")


def test_a_version_is_rolled_out_and_back(done, tmp_path):
    for n in (1, 2):
        (tmp_path / "ramped.bpmn").write_bytes(Flow("ramped").start().service(f"t{n}", job="ramped.work").end().xml())
        done("deploy", tmp_path / "ramped.bpmn")
    seen = done("rollout", "ramped", "--version", 2, "--share", 10, "--dry-run")
    assert "10 % to 2" in seen and "before" in seen and "plan" in seen
    assert "expected --yes" in done("rollout", "ramped", "--version", 2, "--share", 10, expect=2), "nobody can be asked here"
    for wrong in ([], ["--share", 1, "--default"], ["--stop", "--open"], ["--default", "--newest"]):
        assert "expected" in done("rollout", "ramped", *wrong, "--yes", expect=2)
    assert "found 9" in done("rollout", "ramped", "--version", 9, "--default", "--yes", expect=1)
    made = json.loads(done("rollout", "ramped", "--version", 2, "--share", 10.25, "--reason", "slowly", "--yes", "--json"))
    assert (made["default"], made["ramp"]) == (1, {"version": 2, "share": 10.25})
    shown = until(lambda: (text := done("versions", "ramped")) and "10.25" in text and text)
    assert "89.75" in shown and "in service" in shown and "slowly" in shown
    assert "it is so already" in done("rollout", "ramped", "-v", 2, "--share", 10.25, "--yes")
    assert "2" in done("rollout", "ramped", "-v", 2, "--stop", "--yes")
    assert "stopped by its rollout" in done("start", "ramped", "--version", 2, expect=1)
    rows = until(lambda: (r := json.loads(done("versions", "ramped", "--json"))["items"]) and r[0]["stopped"] and r)
    assert [(r["version"], r["share"]) for r in rows] == [(2, 0), (1, 100)]
    back = json.loads(done("rollout", "ramped", "--newest", "--open", "--yes", "--json"))
    assert back["default"] == 2 and back["pinned"] is None and back["stopped"] == []
    assert "no definition nobody" in done("versions", "nobody", expect=1)

"""Files on the command line: attached, listed, had as they were, detached."""

from __future__ import annotations

import json
import os

import pytest

from flowledger.sdk import Flow
from tests.cli.conftest import until

pytestmark = pytest.mark.req("D-API-008", "APG-HUM-005")


def test_a_file_goes_there_and_comes_back(done, tmp_path):
    (tmp_path / "f.bpmn").write_bytes(Flow("files-cli").start().user("t").end().xml())
    done("deploy", tmp_path / "f.bpmn")
    instance = done("start", "files-cli").strip()
    [task] = until(lambda: json.loads(done("tasks", "--instance", instance, "--json")))
    data = os.urandom(700_000)
    (tmp_path / "a plan.pdf").write_bytes(data)
    for of in (("--task", task["id"]), ("--instance", instance)):
        assert "no files" in done("files", "list", *of)
        assert "700000 bytes" in done("files", "attach", tmp_path / "a plan.pdf", *of)
        [row] = until(lambda: json.loads(done("files", "list", *of, "--json")))  # noqa: B023
        assert (row["name"], row["media_type"], row["size"]) == ("a plan.pdf", "application/pdf", 700_000)
        to = tmp_path / of[0].strip("-")
        done("files", "get", "a plan.pdf", *of, "--to", to)
        assert to.read_bytes() == data
        assert "is there already" in done("files", "get", "a plan.pdf", *of, "--to", to, expect=2)
        assert "is detached" in done("files", "detach", "a plan.pdf", *of)
        until(lambda: not json.loads(done("files", "list", *of, "--json")))  # noqa: B023
        assert "NOT_FOUND" in done("files", "get", "a plan.pdf", *of, "--to", tmp_path / "none", expect=1)
        assert not (tmp_path / "none").exists()
    assert "one of them" in done("files", "list", expect=2)
    assert "without slashes" in done("files", "detach", "a/b", "--task", task["id"], expect=2)

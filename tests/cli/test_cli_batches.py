"""Batches by the command line: previews in tables, the question, the bar's end, JSON for programs."""

from __future__ import annotations

import io
import json
import os
import time

import httpx2
import pytest

from flowledger.sdk import Flow

pytestmark = pytest.mark.req("D-API-004", "WOS-API-001")


@pytest.fixture
def cli(at_server):
    return at_server


@pytest.fixture
def keys(cli, tmp_path, request):
    """Five instances of a process of the test's own."""
    name = "b" + request.node.name[-20:].replace("[", "").replace("]", "")
    (tmp_path / "p.bpmn").write_bytes(Flow(name).start().service("work", job=f"{name}.work").end().xml())
    assert cli("deploy", tmp_path / "p.bpmn")[0] == 0
    found = [cli("start", name)[1].strip() for _ in range(5)]
    deadline = time.monotonic() + 60
    while len(json.loads(cli("instances", "--definition", name, "--json")[1])) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return name, found


def test_a_preview_then_the_batch_then_its_items(cli, keys):
    name, found = keys
    code, out, _ = cli("batch", "start", "suspend", "--filter", f"definition={name}", "--dry-run")
    assert code == 0 and "suspend: 5 of instances" in out and "status=running" in out and any(k in out for k in found)
    code, _, err = cli("batch", "start", "suspend", "--filter", f"definition={name}")
    assert code == 2 and "--yes" in err, "nobody can be asked"
    code, out, _ = cli("batch", "start", "suspend", "--filter", f"definition={name}", "--yes", "--reason", "the target is down")
    assert code == 0 and "completed" in out and "succeeded" in out
    [row] = json.loads(cli("batch", "list", "--action", "suspend", "--json", "--limit", 1)[1])
    assert (row["status"], row["total"], row["reason"], row["filter"]["definition"]) == ("completed", 5, "the target is down", name)
    code, out, _ = cli("batch", "items", row["id"])
    assert code == 0 and all(k in out for k in found)
    assert "completed" in cli("batch", "show", row["id"])[1] and "completed" in cli("batch", "show", row["id"], "--watch")[1]
    code, out, _ = cli("batch", "start", "suspend", "--filter", f"definition={name}", "--dry-run", "--json")
    seen = json.loads(out)
    assert code == 0 and seen["count"] == seen["confirm"] == 0 and seen["dry_run"] is True


def test_by_keys_from_a_file_and_from_a_pipe_with_parameters(cli, keys, tmp_path, monkeypatch):
    _, found = keys
    (tmp_path / "keys").write_text("\n".join(found[:2]))
    arguments = ("batch", "start", "set_variables", "--param", 'variables={"x": 1}', "--yes")
    code, out, _ = cli(*arguments, "--ids", tmp_path / "keys", "--json")
    row = json.loads(out)
    assert code == 0 and row["status"] == "completed" and row["succeeded"] == 2
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join([*found, "900777"])))
    code, out, _ = cli(*arguments, "--ids", "-", "--json")
    assert code == 0 and (json.loads(out)["succeeded"], json.loads(out)["skipped"]) == (5, 1)
    code, out, err = cli("batch", "start", "modify", "--param", 'activate=[{"element": "nowhere"}]', "--id", found[0], "--yes")
    assert code == 1 and "failed" in out and "1 of 1 failed" in err and "batch items" in err
    code, out, _ = cli("batch", "start", "modify", "--param", 'activate=[{"element": "nowhere"}]', "--id", found[0], "--yes", "--json")
    assert code == 1 and json.loads(out)["status"] == "failed"


def test_it_is_paused_and_resumed_and_aborted(cli, keys):
    _, found = keys
    ghosts = [str(900_000 + n) for n in range(300)]
    arguments = [x for key in (*found, *ghosts) for x in ("--id", key)]
    code, out, _ = cli("batch", "start", "cancel", *arguments, "--rate", 1, "--yes", "--detach")
    id = out.strip()
    assert code == 0 and id.isdigit()
    assert cli("batch", "pause", id, "--reason", "wait")[0] == 0
    code, out, err = cli("batch", "show", id, "--watch")
    assert code == 0 and "paused" in out and "batch resume" in err
    assert cli("batch", "resume", id)[0] == 0
    code, out, _ = cli("batch", "abort", id, "--json")
    assert code == 0 and json.loads(out)["id"] == id
    deadline = time.monotonic() + 30  # the row that is watched may be that of before still
    while (shown := cli("batch", "show", id, "--watch", "--json"))[0] == 0 and json.loads(shown[1])["status"] == "paused":
        assert time.monotonic() < deadline
    assert shown[0] == 0 and json.loads(shown[1])["status"] == "aborted"
    assert len(json.loads(cli("batch", "items", id, "--status", "aborted", "--limit", 0, "--json")[1])) > 200
    assert cli("batch", "pause", id)[0] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("cancel",), "--filter"), (("cancel", "--filter", "x", "--yes"), "NAME=VALUE"), (("cancel", "--filter", "a=b", "--id", "1"), "one of them"),
        (("cancel", "--ids", "/nowhere", "--yes"), "/nowhere"), (("fly", "--id", "1", "--yes"), "fly"), (("cancel", "--filter", "colour=red", "--yes"), "colour"),
        (("assign", "--id", "1", "--yes"), "assignee"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_one_sentence(cli, arguments, words):
    code, out, err = cli("batch", "start", *arguments)
    assert code in (1, 2) and not out and words in err


def test_incidents_by_cause_and_a_group_resolved(cli, keys):
    name, found = keys
    with httpx2.Client(base_url=os.environ["FLOWLEDGER_SERVER"]) as http:
        jobs = http.post("/v1/jobs/activate", json={"type": f"{name}.work", "worker": "w", "max": 9}).json()["jobs"]
        for n, job in enumerate(jobs):
            http.post(f"/v1/jobs/{job['key']}/fail", json={"message": f"order {n} is unknown", "retries": 0})
    deadline = time.monotonic() + 20

    def mine() -> list:
        return [g for g in json.loads(cli("incidents", "--groups", "--json", "--limit", 0)[1]) if g["process"] == name]

    while not (groups := mine()) or groups[0]["count"] < 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    [group] = groups
    assert "order # is unknown" in cli("incidents", "--groups", "--limit", 0)[1]
    [first, *_] = json.loads(cli("incidents", "--group", group["id"], "--json")[1])
    code, out, err = cli("incidents", "--chain", first["id"])
    assert code == 0 and name in out and "work" in out and "is unknown" in err
    assert cli("resolve", first["id"], "--yes")[0] == cli("resolve")[0] == cli("resolve", first["id"], "--group", group["id"])[0] == 2
    code, out, _ = cli("resolve", "--group", group["id"], "--dry-run")
    assert code == 0 and "resolve: 5 of incidents" in out
    code, out, _ = cli("resolve", "--group", group["id"], "--vars", '{"x": 1}', "--retries", 3, "--yes", "--json")
    assert code == 0 and json.loads(out)["succeeded"] == 5
    while mine():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(found) == 5


def test_ended_ones_are_deleted_from_the_views_one_and_many(cli, keys):
    name, found = keys
    one, running, *rest = found
    code, _, err = cli("delete", running, "--yes")
    assert code == 1 and "has not ended" in err
    for key in (one, *rest):
        assert cli("cancel", key)[0] == 0
    code, _, err = cli("delete", one)
    assert code == 2 and "--yes" in err, "nobody can be asked"
    code, out, _ = cli("delete", one, "--yes", "--reason", "the customer asked")
    assert code == 0 and f"instance {one} is deleted" in out
    deadline = time.monotonic() + 20
    while cli("show", one)[0] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    while (seen := json.loads(cli("batch", "start", "delete", "--filter", f"definition={name}", "--dry-run", "--json")[1]))["count"] != 3:
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)
    code, out, _ = cli("batch", "start", "delete", "--filter", f"definition={name}", "--yes", "--json")
    assert code == 0 and json.loads(out)["succeeded"] == 3
    while [r["id"] for r in json.loads(cli("instances", "--definition", name, "--json")[1])] != [running]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_many_are_rolled_back_with_a_reason_for_each_that_is_not(cli, keys):
    name, found = keys
    code, out, _ = cli("batch", "start", "roll_back", "--filter", f"definition={name}", "--param", "steps=1", "--dry-run")
    assert code == 0 and "roll_back: 5 of instances" in out
    code, out, _ = cli("batch", "start", "roll_back", "--id", found[0], "--param", "to=work", "--yes", "--json")
    row = json.loads(out)
    assert code == 1 and row["status"] == "failed"
    [item] = json.loads(cli("batch", "items", row["id"], "--json")[1])
    assert "a token waits at 'work' now" in item["message"]
    code, _, err = cli("batch", "start", "roll_back", "--id", found[0], "--yes")
    assert code == 1 and "one of steps" in err

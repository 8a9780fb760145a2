"""The command line as a repair kit, as a partner of programs (`--json`, pipes) and of editors (`dev --watch`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowledger.infra.cli import output
from flowledger.infra.cli.watch import Deployer, is_model, models_in
from flowledger.kernel.model import read
from flowledger.sdk import Flow

pytestmark = pytest.mark.req("D-API-004", "D-API-013", "D-API-021", "WOS-API-001")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def cli(at_server):
    return at_server


def eventually(look, timeout_s=15.0):
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it didn't come in time"
        time.sleep(0.05)
    return found


def people(version: int) -> bytes:
    flow = Flow("repairs", name=f"Repairs {version}").start().user("look", groups=["clerks"])
    flow.service("fix", job="repairs.fix", retries=1).end()
    return flow.xml()


@pytest.fixture
def deployed(cli, tmp_path):
    for version in (1, 2):
        (tmp_path / "repairs.bpmn").write_bytes(people(version))
        assert cli("deploy", tmp_path / "repairs.bpmn")[0] == 0
    return cli


def test_an_instance_is_repaired_by_hand(deployed):
    cli = deployed
    id = cli("start", "repairs", "--version", "1", "--vars", '{"amount": 1}')[1].strip()
    assert cli("variables", "set", id, "--vars", '{"amount": 2, "note": "by hand"}', "--reason", "typo")[0] == 0
    assert json.loads(eventually(lambda: (o := cli("variables", "get", id, "note"))[0] == 0 and o[1])) == "by hand"
    assert json.loads(cli("variables", "get", id, "--json")[1]) == {"amount": 2, "note": "by hand"}
    code, _, err = cli("variables", "get", id, "nothing")
    assert code == 1 and "amount, note" in err
    assert cli("variables", "set", id)[0] == 2

    (task,) = eventually(lambda: json.loads(cli("tasks", "--instance", id, "--json")[1]))
    assert cli("claim", task["id"])[0] == 0
    assert cli("release", task["id"])[0] == 0
    assert cli("assign", task["id"], "bob")[0] == 0
    eventually(lambda: json.loads(cli("tasks", "--instance", id, "--assignee", "bob", "--json")[1]))

    code, out, err = cli("migrate", id, "--to", "repairs", "--map", "look=look", "--yes")
    assert code == 0, err
    assert cli("migrate", id, "--to", "repairs", "--map", "look")[0] == 2
    code, _, err = cli("modify", id, "--terminate", "nowhere", "--activate", "fix")
    assert code == 1 and "it stands at look" in err
    assert cli("modify", id)[0] == 2
    code, out, err = cli("modify", id, "--terminate", "look", "--activate", "fix", "--reason", "skip the people", "--yes")
    assert code == 0, err
    state = eventually(lambda: (s := json.loads(cli("show", id, "--json")[1])["state"])["tokens"][0]["element"] == "fix" and s)
    assert len(state["tokens"]) == 1
    assert cli("release", "987654321")[0] == 1


def test_a_migration_is_proposed_and_shown_before_it_is_made(deployed):
    cli = deployed
    id = cli("start", "repairs", "--version", "1")[1].strip()
    rows = eventually(lambda: (r := cli("migrate", id, "--to", "repairs", "--propose"))[0] == 0 and r[1])
    assert any(line.split()[:2] == ["look", "look"] for line in rows.splitlines())
    mapping = json.loads(cli("migrate", id, "--to", "repairs", "--propose", "--json")[1])
    assert mapping["look"] == "look"
    code, out, err = cli("migrate", id, "--to", "repairs", "--mapping", json.dumps(mapping), "--timers", "restart", "--dry-run")
    assert code == 0 and "Would change" in out and "Stands then: 1" in out, err
    assert cli("migrate", id, "--to", "repairs", "--timers", "odd")[0] == 1
    assert cli("migrate", id, "--to", "repairs", "--map", "look=")[0] == 1, "nothing would be left"
    assert cli("migrate", id, "--to", "repairs", "--yes")[0] == 0


def test_an_instance_is_rolled_back_and_a_step_runs_again(deployed):
    cli = deployed
    id = cli("start", "repairs", "--vars", '{"amount": 1}')[1].strip()

    def stands() -> str:
        return json.loads(cli("show", id, "--json")[1])["state"]["tokens"][0]["element"]

    (task,) = eventually(lambda: json.loads(cli("tasks", "--instance", id, "--json")[1]))
    assert cli("rollback", id, "--to", "look")[0] == 1, "a token waits there now"
    assert cli("complete", task["id"], "--vars", '{"amount": 2}')[0] == 0
    eventually(lambda: stands() == "fix")
    assert cli("rollback", id)[0] == 2 and cli("rollback", id, "--steps", "1", "--undo")[0] == 2
    assert cli("rollback", id, "--steps", "99")[0] == 1 and cli("rollback", id, "--to", "nowhere")[0] == 1
    assert cli("rollback", id, "--undo")[0] == 1, "nobody has changed it by hand"
    code, out, err = cli("rollback", id, "--to", "look", "--dry-run")
    assert code == 0 and "was completed by" in out and "Would be created" in out, err
    code, out, err = cli("rollback", id, "--steps", "1", "--reason", "too early", "--yes")
    assert code == 0, err
    eventually(lambda: stands() == "look")
    assert eventually(lambda: (v := json.loads(cli("variables", "get", id, "--json")[1])) == {"amount": 1} and v)
    (again,) = eventually(lambda: json.loads(cli("tasks", "--instance", id, "--status", "created", "--json")[1]))
    assert again["id"] != task["id"]
    assert cli("modify", id, "--move", "look:fix", "--yes")[0] == 0
    eventually(lambda: stands() == "fix")
    assert cli("rollback", id, "--undo", "--yes")[0] == 0
    eventually(lambda: stands() == "look")
    (last,) = eventually(lambda: json.loads(cli("tasks", "--instance", id, "--status", "created", "--json")[1]))
    assert cli("complete", last["id"])[0] == 0
    eventually(lambda: stands() == "fix")
    assert cli("rerun", id, "look", "--yes", "--json")[0] == 0
    eventually(lambda: stands() == "look")


def test_an_ended_instance_is_started_once_more(deployed):
    """At its start or at an element, with what it had at its end or its beginning; seen before, and the new one says of which it is."""
    cli = deployed
    id = cli("start", "repairs", "--business-key", "k1", "--vars", '{"amount": 1}')[1].strip()
    assert "has not ended: it is running" in cli("restart", id, "--yes")[2]
    assert cli("variables", "set", id, "--vars", '{"amount": 2}')[0] == 0
    assert cli("cancel", id)[0] == 0
    eventually(lambda: json.loads(cli("show", id, "--json")[1])["status"] == "cancelled")
    assert eventually(lambda: json.loads(cli("variables", "get", id, "--json")[1]) == {"amount": 2})
    code, out, err = cli("restart", id, "--at", "fix", "--dry-run")
    assert code == 0 and "Stands then: 1" in out and "fix" in out, err
    assert cli("restart", id, "--at", "nowhere", "--yes")[0] == 1
    assert cli("restart", id)[0] == 2, "nobody can be asked"
    for more, element, amount in ((("--at", "fix"), "fix", 2), (("--initial",), "look", 1), (("--vars", '{"amount": 7}'), "look", 7)):
        new = json.loads(cli("restart", id, *more, "--yes", "--json")[1])["id"]
        shown = eventually(lambda n=new: (r := cli("show", n, "--json"))[0] == 0 and json.loads(r[1]))
        assert [t["element"] for t in shown["state"]["tokens"]] == [element] and shown["state"]["variables"] == {"amount": amount}
        assert (shown["business_key"], shown["metadata"]["restart_of"]) == ("k1", id)


@pytest.mark.parametrize("more", [(), ("--json",)], ids=["tables", "json"])
@pytest.mark.parametrize(
    "verb",
    [("modify", "--move", "look:fix"), ("migrate", "--to", "repairs"), ("rollback", "--steps", "1"), ("rerun", "look")],
    ids=lambda v: v[0],
)
def test_where_nobody_can_be_asked_nothing_is_done_without_yes(deployed, verb, more):
    cli = deployed
    id = cli("start", "repairs", "--vars", '{"amount": 1}')[1].strip()
    (task,) = eventually(lambda: json.loads(cli("tasks", "--instance", id, "--json")[1]))
    if verb[0] == "rollback":
        assert cli("complete", task["id"])[0] == 0
        eventually(lambda: json.loads(cli("show", id, "--json")[1])["state"]["tokens"][0]["element"] == "fix")
    before = json.loads(cli("show", id, "--json")[1])["state"]
    code, out, err = cli(verb[0], id, *verb[1:], *more)
    assert code == 2 and "expected --yes (or --dry-run)" in out + err, (out, err)
    assert ("Stands then" in out) == (not more), "it is shown to whoever reads"
    assert json.loads(cli("show", id, "--json")[1])["state"]["tokens"] == before["tokens"]
    assert cli(verb[0], id, *verb[1:], *more, "--yes")[0] == 0


def test_a_change_of_tokens_is_shown_before_it_is_made(deployed):
    cli = deployed
    id = cli("start", "repairs")[1].strip()
    code, out, err = cli("modify", id, "--move", "look:fix", "--dry-run")
    assert code == 0, err
    assert "Would be withdrawn: " in out and "Stands then: 1" in out and "fix" in out
    plan = json.loads(cli("modify", id, "--move", "look:fix", "--dry-run", "--json")[1])
    assert plan["dry_run"] and plan["plan"] in out and {r["element"] for r in plan["left"]} == {"fix"}
    assert json.loads(cli("show", id, "--json")[1])["state"]["tokens"][0]["element"] == "look"
    token = json.loads(cli("show", id, "--json")[1])["state"]["tokens"][0]["token"]
    assert cli("modify", id, "--move", "look")[0] == 2
    code, out, err = cli("modify", id, "--activate", f"fix@{id}", "--cancel", token, "--vars", '{"a": 1}', "--yes", "--json")
    assert code == 0 and json.loads(out)["id"] == id, err


def test_a_job_without_attempts_is_tried_again(deployed, server):
    import httpx2

    cli = deployed
    id = cli("start", "repairs")[1].strip()
    (task,) = eventually(lambda: json.loads(cli("tasks", "--instance", id, "--json")[1]))
    cli("complete", task["id"])
    long = "the bank said: " + "no money " * 40
    with httpx2.Client(base_url=server.url, timeout=60) as http:
        body = {"type": "repairs.fix", "worker": "w", "wait_ms": 5000}
        jobs = [j for j in http.post("/v1/jobs/activate", json=body, timeout=60).json()["jobs"] if j["instance"] == id]
        http.post(f"/v1/jobs/{jobs[0]['key']}/fail", json={"message": long, "retries": 0, "fence": jobs[0]["fence"]})
    eventually(lambda: json.loads(cli("incidents", "--instance", id, "--json")[1]))
    out = cli("incidents", "--instance", id)[1]
    assert long.strip() in out and len(out.splitlines()) == 2, "whole, one line each, in a pipe"
    (incident,) = json.loads(cli("incidents", "--instance", id, "--json")[1])
    code, out, err = cli("resolve", incident["id"], "--dry-run")
    assert code == 0 and "incident" in out, err
    plan = json.loads(cli("resolve", incident["id"], "--dry-run", "--json")[1])
    assert plan["plan"] and [row["kind"] for row in plan["cancelled"]] == ["incident"], plan
    code, out, err = cli("retry", jobs[0]["key"], "--retries", "2", "--dry-run")
    assert code == 0 and "incident" in out, err
    assert [p["plan"] != "" for p in json.loads(cli("retry", jobs[0]["key"], "--dry-run", "--json")[1])["plans"]] == [True, True]
    assert json.loads(cli("incidents", "--instance", id, "--json")[1]), "nothing was done"
    code, out, err = cli("retry", jobs[0]["key"], "--retries", "2")
    assert code == 0, err
    eventually(lambda: not json.loads(cli("incidents", "--instance", id, "--json")[1]))


def test_definitions_are_listed_shown_and_put_away(deployed):
    cli = deployed
    rows = eventually(lambda: (r := json.loads(cli("definitions", "list", "repairs", "--json")[1])) and len(r) >= 2 and r)
    newest = rows[0]
    assert newest["process"] == "repairs" and newest["version"] > rows[1]["version"]
    assert "Repairs 2" in cli("definitions", "show", "repairs", "--source")[1]
    code, out, _ = cli("definitions", "show", newest["key"])
    assert code == 0 and "published" in out and rows[1]["key"] in out
    assert cli("definitions", "deprecate", rows[1]["key"], "--reason", "old")[0] == 0
    eventually(lambda: json.loads(cli("definitions", "show", rows[1]["key"], "--json")[1])["status"] == "deprecated")
    code, _, err = cli("definitions", "delete", "nobody")
    assert code == 1 and "nobody" in err


@pytest.mark.parametrize(
    ("arguments", "exit", "said"),
    [
        (("show", "987654321"), 1, "NOT_FOUND"),
        (("start", "nobody"), 1, "NOT_FOUND"),
        (("start",), 2, "KEY"),
        (("start", "x", "--vars", "{"), 2, "JSON"),
        (("instances", "--limit", "many"), 2, "integer"),
        (("nonsense",), 2, "nonsense"),
        (("instances", "--server", "http://127.0.0.1:9"), 3, "no server"),
        (("topics", "check", "--config", "/nowhere.toml"), 2, "nowhere"),
    ],
)
def test_errors_are_json_where_json_was_asked_for(cli, arguments, exit, said):
    code, out, err = cli(*arguments, *(() if arguments[0] == "topics" else ("--json",)))
    if arguments[0] == "topics":
        assert code == exit and said in err
        return
    error = json.loads(out)["error"]
    assert code == exit and error["exit"] == exit and said in json.dumps(error), out
    assert err == ""


def test_a_refused_model_is_json_too(cli, tmp_path):
    (tmp_path / "bad.bpmn").write_bytes(people(1).replace(b'targetRef="look"', b'targetRef="nowhere"'))
    code, out, _ = cli("deploy", tmp_path / "bad.bpmn", "--json")
    error = json.loads(out)["error"]
    assert code == 1 and error["code"] == "MODEL_INVALID" and error["findings"]


def test_waiting_in_vain_gives_the_id_and_a_way_on(deployed):
    cli = deployed
    code, out, err = cli("start", "repairs", "--wait", "--timeout", "0.2")
    id = out.strip()
    assert code == 1 and id.isdigit() and "goes on" in err and f"show {id}" in err
    code, out, _ = cli("start", "repairs", "--wait", "--timeout", "0.2", "--json")
    error = json.loads(out)["error"]
    assert code == 1 and error["id"].isdigit() and error["code"] == "DEADLINE_EXCEEDED" and error["hint"]
    assert cli("cancel", id)[0] == 0


def test_pages_are_followed_to_the_end(deployed):
    cli = deployed
    made = {cli("start", "repairs", "--business-key", "many")[1].strip() for _ in range(3)}
    rows = eventually(
        lambda: (r := json.loads(cli("instances", "--business-key", "many", "--limit", "0", "--json")[1])) and len(r) == 3 and r
    )
    assert {r["id"] for r in rows} == made


def test_hints_can_be_pasted(monkeypatch, tmp_path):
    program = tmp_path / "bin" / "flowledger"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    assert output.command() == "bin/flowledger"
    monkeypatch.chdir("/")
    assert output.command() == str(program)[1:]
    monkeypatch.setenv("PATH", str(program.parent))
    assert output.command() == "flowledger"
    monkeypatch.setattr(sys, "argv", ["-c"])
    monkeypatch.setenv("PATH", "")
    assert output.command() == f"{sys.executable} -m flowledger"


def test_without_the_servers_packages_the_command_says_what_is_missing():
    script = (
        "import sys\n"
        "class No:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('typer', 'rich', 'pydantic', 'litestar'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, No())\n"
        "from flowledger.__main__ import main\n"
        "sys.argv = ['flowledger', '--help']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert done.returncode == 1 and "pip install 'flowledger[server]'" in done.stderr and "Traceback" not in done.stderr


def test_shells_get_a_completion():
    env = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # a test needs no shell above it
    done = subprocess.run(
        [sys.executable, "-m", "flowledger", "--show-completion", "bash"], capture_output=True, text=True, timeout=60, env=env
    )
    assert done.returncode == 0 and "complete" in done.stdout, done.stderr


def test_what_is_a_model_in_a_watched_folder(tmp_path):
    for name in ("a.bpmn", "b.dmn", ".a.bpmn.swp", "~a.bpmn", "a.bpmn.tmp", "t.flowtest.json", "x.trigger.yaml", "notes.md", ".git/c.bpmn"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    assert [p.name for p in models_in(tmp_path)] == ["a.bpmn", "b.dmn"]
    assert not is_model(Path("a.bpmn~"))


def test_in_the_examples_all_that_is_taken_for_a_model_is_one():
    """`flowledger dev --watch examples` is the first thing that people do."""
    taken = models_in(EXAMPLES)
    wrong = {f"{p.name}: {f.code}" for p in taken for f in read(p.read_bytes(), p.name)[1] if f.severity == "error"}
    assert len(taken) > 10 and not wrong


def test_models_are_deployed_as_they_are_saved(cli, server, tmp_path, capsys):
    deployer = Deployer(server.url)
    file = tmp_path / "watched.bpmn"
    model = people(7).replace(b"repairs", b"watched")
    file.write_bytes(model)
    deployer.saved([file])
    assert "watched version 1" in capsys.readouterr().out
    deployer.saved([file])
    assert capsys.readouterr().out == "", "nothing has changed"
    file.write_bytes(model[: len(model) // 2])
    deployer.saved([file])
    assert "isn't whole yet" in capsys.readouterr().err
    file.write_bytes(model.replace(b'targetRef="look"', b'targetRef="nowhere"'))
    deployer.saved([file])
    out, err = capsys.readouterr()
    assert "nowhere" in out and "isn't deployed" in err
    file.write_bytes(model.replace(b"Repairs 7", b"Repairs 8"))
    deployer.saved([file, tmp_path / "gone.bpmn"])
    assert "watched version 2" in capsys.readouterr().out


async def test_saving_is_noticed(server, tmp_path, capsys):
    import asyncio

    from flowledger.infra.cli.watch import watch

    watching = asyncio.create_task(watch(server.url, tmp_path))
    await asyncio.sleep(1.0)
    (tmp_path / "noticed.bpmn").write_bytes(people(1).replace(b"repairs", b"noticed"))
    seen = ""
    for _ in range(200):
        await asyncio.sleep(0.05)
        seen += capsys.readouterr().out
        if "noticed version 1" in seen:
            break
    watching.cancel()
    assert "noticed version 1" in seen

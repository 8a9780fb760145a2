"""The commands as people and programs use them: against a real system, in this process, by their output and exit codes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowledger.infra.cli import daily

EXAMPLES = Path(__file__).parents[2] / "examples"
GOOD = EXAMPLES / "document-approval.bpmn"
BAD = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t">
<process id="p" isExecutable="true">
  <startEvent id="s"/>
  <sequenceFlow id="f" sourceRef="s" targetRef="nowhere"/>
</process></definitions>"""


@pytest.fixture
def cli(command_line):
    return command_line


def wait_for(look, timeout_s=10.0):
    """Until `look()` is true; the projections follow in a moment."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it didn't come in time"
        time.sleep(0.02)
    return found


# --- models on the desk


@pytest.mark.req("D-SCO-002")
def test_validate_says_yes_and_no(cli, tmp_path):
    code, out, _ = cli("validate", GOOD)
    assert code == 0 and "no errors in 1 file" in out
    bad = tmp_path / "bad.bpmn"
    bad.write_text(BAD)
    code, out, _ = cli("validate", GOOD, bad)
    assert code == 1 and f"{bad}:4" in out and "nowhere" in out
    code, out, _ = cli("validate", bad, "--json")
    (first, *_) = json.loads(out)
    assert code == 1 and set(first) == {"file", "line", "column", "element", "severity", "code", "message", "hint", "standard", "chapter"}
    assert first["file"] == str(bad) and first["severity"] == "error"
    code, out, _ = cli("validate", GOOD, "--json")
    assert code == 0 and not [f for f in json.loads(out) if f["severity"] == "error"]


def test_validate_a_file_that_is_not_there(cli):
    code, _, err = cli("validate", "/nowhere/x.bpmn")
    assert code == 2 and "x.bpmn" in err and "No such file" in err


def test_inspect_shows_what_was_read(cli, tmp_path):
    code, out, _ = cli("inspect", GOOD, "--json")
    (view,) = json.loads(out)
    (process,) = view["processes"]
    assert code == 0 and view["format"] == "bpmn" and process["id"] == "document-approval"
    kinds = {e["id"]: e["type"] for e in process["elements"]}
    assert kinds["review"] == "userTask" and kinds["overdue"] == "boundaryEvent"
    assert {"source": "submitted", "target": "review"}.items() <= next(f for f in process["flows"] if f["id"] == "to_review").items()
    code, out, _ = cli("inspect", GOOD)
    assert code == 0 and "Review document" in out and "attached to review" in out
    broken = tmp_path / "broken.bpmn"
    broken.write_text("<definitions")
    code, out, err = cli("inspect", GOOD, broken)
    assert code == 1 and "1 of 2 files can't be read" in err


# --- a server


def test_no_server_is_said_so(cli, monkeypatch):
    monkeypatch.setenv("FLOWLEDGER_SERVER", "http://127.0.0.1:9")
    code, out, err = cli("instances")
    assert code == 3 and out == "" and "no server answers at http://127.0.0.1:9" in err and "flowledger dev" in err


def test_a_day_with_documents(at_server, server):
    code, out, _ = at_server("deploy", GOOD, "--json")
    (definition,) = [d for d in json.loads(out)["definitions"] if d["kind"] == "process"]
    assert code == 0 and definition["process"] == "document-approval" and definition["id"] == definition["key"]

    code, out, _ = at_server("start", "document-approval", "--vars", '{"document": "a.pdf", "size": 1.10}', "--business-key", "day-1")
    id = out.strip()
    assert code == 0 and id.isdigit()
    code, out, err = at_server("show", id, "--json")
    assert code == 0, err
    shown = json.loads(out)
    assert (
        shown["business_key"] == "day-1"
        and shown["state"]["variables"]["document"] == "a.pdf"
        and shown["state"]["variables"]["size"] == 1.1
    )

    code, out, _ = at_server("instances", "--definition", "document-approval", "--business-key", "day-1", "--json")
    assert [i["id"] for i in json.loads(out)] == [id]
    code, out, _ = at_server("instances", "--var", "document=a.pdf", "--json")
    assert id in [i["id"] for i in json.loads(out)]
    code, out, _ = at_server("instances", "--var", "document=other.pdf", "--json")
    assert json.loads(out) == []

    (task,) = wait_for(lambda: json.loads(at_server("tasks", "--instance", id, "--json")[1]))
    assert task["name"] == "Review document" and task["candidate_groups"] == ["reviewers"]
    code, out, _ = at_server("tasks", "--instance", id)
    assert code == 0 and task["id"] in out and "reviewers" in out

    code, out, _ = at_server("suspend", id, "--reason", "holiday")
    assert code == 0 and "suspended" in out
    code, _, err = at_server("complete", task["id"], "--vars", '{"decision": "approve", "comment": "ok"}')
    assert code == 1 and "INVALID_STATE" in err
    assert at_server("resume", id)[0] == 0
    code, out, _ = at_server("complete", task["id"], "--vars", '{"decision": "approve", "comment": "ok"}')
    assert code == 0 and "completed" in out
    code, _, err = at_server("complete", task["id"])
    assert code == 1 and "NOT_FOUND" in err

    wait_for(lambda: json.loads(at_server("show", id, "--json")[1])["status"] == "completed")
    history = json.loads(at_server("history", id, "--json")[1])
    types = [e["type"] for e in history["events"]]
    assert types[0] == "workflow.started" and types[-1] == "workflow.completed" and "workflow.suspended" in types
    assert history["state"]["status"] == "completed" and history["state"]["variables"]["decision"] == "approve"
    created = next(e for e in history["events"] if e["type"] == "task.created")
    then = json.loads(at_server("history", id, "--at", created["id"], "--json")[1])
    assert then["state"]["status"] == "running" and [t["element"] for t in then["state"]["tokens"]] == ["review"]
    assert "decision" not in then["state"]["variables"] and then["events"][-1]["id"] == created["id"]
    code, out, _ = at_server("history", id, "--at", created["id"])
    assert code == 0 and "submitted → review" in out and "state then" in out


@pytest.mark.parametrize(
    ("type", "data", "said"),
    [
        ("workflow.started", {"process": "order", "message": None, "element": "s"}, "s · order"),
        ("workflow.started", {"process": "order", "message": "4503", "element": "s"}, "s · order · message 4503"),
        ("message.received", {"message": "4503", "name": "paid"}, "message 4503 · paid"),
        ("task.failed", {"element": "pay", "message": "404"}, "pay · 404"),
        ("incident.raised", {"element": "pay", "code": "NO_RETRIES", "message": "0"}, "pay · NO_RETRIES · 0"),
    ],
)
def test_an_event_in_a_few_words(type, data, said):
    """`message` is a text where something failed, and the key of a message elsewhere."""
    assert daily._what(type, data) == said


def test_cancel_and_unknown_things(at_server):
    at_server("deploy", GOOD)
    id = at_server("start", "document-approval")[1].strip()
    assert at_server("cancel", id, "--reason", "mistake")[0] == 0
    wait_for(lambda: json.loads(at_server("show", id, "--json")[1])["status"] == "cancelled")
    code, _, err = at_server("cancel", "987654321")
    assert code == 1 and "NOT_FOUND" in err
    code, _, err = at_server("show", "abc")
    assert code == 1 and "'abc'" in err
    code, _, err = at_server("start", "no-such-process")
    assert code == 1 and "no-such-process" in err


@pytest.mark.parametrize(("text", "said"), [("{", "must be JSON"), ("[1]", "must be a JSON object"), ("@/nowhere.json", "No such file")])
def test_wrong_variables(at_server, text, said):
    code, _, err = at_server("start", "x", "--vars", text)
    assert code == 2 and said in err


def test_deploying_a_bad_model_shows_its_findings(at_server, tmp_path):
    bad = tmp_path / "bad.bpmn"
    bad.write_text(BAD)
    code, out, err = at_server("deploy", bad)
    assert code == 1 and "nowhere" in out and "MODEL_INVALID" in err


def test_messages_signals_incidents(at_server):
    assert at_server("publish", "paid", "--key", "o-1", "--vars", '{"n": 1}')[0] == 0
    assert at_server("signal", "stop")[0] == 0
    assert at_server("incidents")[0] == 0
    code, _, err = at_server("resolve", "987654321")
    assert code == 1 and "NOT_FOUND" in err


def test_the_demo_takes_every_path(at_server, server):
    code, out, err = at_server("demo", "--server", server.url, "--instances", "5", "--json")
    assert code == 0, err
    result = json.loads(out)
    ends = {(i["process"], i["shows"]): i["ended_at"] for i in result["instances"]}
    assert {i["status"] for i in result["instances"]} == {"completed"} and len(ends) == 12
    assert ends["order", "small order"] == "shipped" and ends["order", "out of stock: refund"] == "cancelled"
    assert ends["order", "no items: error caught"] == ends["order", "large, refused by a person"] == "refused"
    assert result["errors"] == 2 and result["yours"]


# --- care


def test_audit_beside_the_running_server_and_after_a_forgery(at_server, server, tmp_path):
    at_server("deploy", GOOD)
    at_server("start", "document-approval")
    code, out, _ = at_server("audit", "verify", "--data", server.data, "--json")
    report = json.loads(out)
    assert code == 0 and report["ok"] and len(report["partitions"]) == 2 and all(p["anchored"] for p in report["partitions"])
    code, out, _ = at_server("audit", "verify", "--data", server.data, "--from", "0-5", "--json")
    (part,) = json.loads(out)["partitions"]
    assert code == 0 and part["first"] == 5 and not part["anchored"]

    forged = tmp_path / "forged"
    forged.mkdir()
    source = sqlite3.connect(server.data / "log.sqlite3")
    target = sqlite3.connect(forged / "log.sqlite3")
    source.backup(target)
    source.close()
    streams = "SELECT stream FROM streams WHERE topic = 'events'"
    query = f"SELECT id, data FROM chunks WHERE instr(data, CAST('document-approval' AS BLOB)) > 0 AND id >> 48 IN ({streams})"
    id, data = target.execute(query).fetchone()
    target.execute("UPDATE chunks SET data = ? WHERE id = ?", (data.replace(b"document-approval", b"document-appr0val", 1), id))
    target.commit()
    target.close()
    code, out, _ = at_server("audit", "verify", "--data", forged)
    assert code == 1 and "the chain breaks at" in out
    assert "Traceback" not in out


def test_projections_status_and_rebuild(at_server, server):
    here = ("--data", server.data, "--postgres", server.postgres)
    code, out, _ = at_server("projections", "status", *here, "--json")
    views = {v["view"]: v for v in json.loads(out)}
    assert code == 0 and {"instances", "tasks", "events"} <= set(views)
    wait_for(lambda: not any(v["lag_events"] for v in json.loads(at_server("projections", "status", *here, "--json")[1])))
    code, out, err = at_server("projections", "rebuild", "instances", *here)
    assert code == 0 and "version" in out, err
    code, out, err = at_server("projections", "rebuild", "--check", *here, "--json")
    assert code == 0 and all(v["equal"] for v in json.loads(out).values()), out + err
    code, _, err = at_server("projections", "rebuild", "nonsense", *here)
    assert code == 2 and "there are" in err


def test_topics_and_benchmarks(at_server, server):
    code, out, _ = at_server("topics", "check", "--data", server.data)
    assert code == 0 and "2 partitions" in out
    code, _, err = at_server("bench", "nonsense")
    assert code == 2 and "no benchmark nonsense" in err


@pytest.mark.req("WOS-CFG-004")
def test_a_wrong_setting_is_one_sentence(cli, monkeypatch):
    monkeypatch.setenv("FLOWLEDGER_PROT", "1")
    code, _, err = cli("topics", "check")
    assert code == 2 and "FLOWLEDGER_PROT" in err and "did you mean FLOWLEDGER_PORT" in err and "Traceback" not in err


def test_a_port_in_use_is_one_sentence(at_server, server, tmp_path):
    port = server.url.rsplit(":", 1)[1]
    code, _, err = at_server("dev", "--port", port, "--data", tmp_path)
    assert code == 2 and f"port {port}" in err and "--port" in err


def test_help_is_quick_and_needs_no_server_packages():
    heavy = "litestar, psycopg, pydantic, aiokafka, structlog, opentelemetry, prometheus_client".split(", ")
    script = (
        "import sys; from flowledger.infra.cli.main import run\n"
        "try: run(['--help'])\n"
        "except SystemExit: pass\n"
        f"print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]" and "Daily work" in done.stdout


def test_rows_of_another_log_are_noticed_at_the_start(cli, empty_database, tmp_path, monkeypatch):
    """The same database with a new, shorter log: nobody would see what is new."""
    monkeypatch.setenv("FLOWLEDGER_GRPC_PORT", "0")
    with empty_database() as url:
        where = ("--port", "0", "--postgres", url, "--leave", "--json", "--instances", "1")
        code, out, err = cli("demo", "--data", tmp_path / "one", *where)
        assert code == 0 and json.loads(out)["instances"], err
        code, _, err = cli("demo", "--data", tmp_path / "two", *where)
        assert code == 2 and "its rows are of another log" in err


@pytest.mark.parametrize("command", [["dev", "--examples"], ["demo"]])
def test_examples_on_a_server_with_sign_in_need_somebody_who_deploys_them(command, cli, tmp_path, monkeypatch):
    """Said before anything is started: it would end at its first question."""
    monkeypatch.setenv("FLOWLEDGER_AUTH", "local")
    code, _, err = cli(*command, "--data", str(tmp_path))
    assert code == 2 and "expected auth none, found local" in err and "login" in err
    assert not list(tmp_path.iterdir())

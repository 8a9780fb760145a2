"""`flowledger replay`: past instances against another model, in tables and as JSON; runs saved as tests that `flowledger test` passes."""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path

import pytest

pytestmark = pytest.mark.req("D-MOD-005", "D-API-004", "WOS-API-001")


@pytest.fixture
def recorded(at_server, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Three instances of a process of the test's own: small ones, ended."""
    name = f"r{zlib.crc32(request.node.name.encode())}"
    xml = f"""<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t"><process id="{name}" isExecutable="true">
      <startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="g"/><exclusiveGateway id="g" default="small"/>
      <sequenceFlow id="large" sourceRef="g" targetRef="a"><conditionExpression>amount &gt; LIMIT</conditionExpression></sequenceFlow>
      <userTask id="a"/><sequenceFlow id="f2" sourceRef="a" targetRef="e"/><sequenceFlow id="small" sourceRef="g" targetRef="e"/><endEvent id="e"/>
      </process></definitions>"""
    (tmp_path / "p.bpmn").write_text(xml.replace("LIMIT", "100"))
    (tmp_path / "strict.bpmn").write_text(xml.replace("LIMIT", "15"))
    (tmp_path / "broken.bpmn").write_text(xml.replace("<endEvent", "<endEven"))
    assert at_server("deploy", tmp_path / "p.bpmn")[0] == 0
    for amount in (10, 20, 30):
        assert at_server("start", name, "--vars", json.dumps({"amount": amount}))[0] == 0
    deadline = time.monotonic() + 60
    while len(json.loads(at_server("instances", "--definition", name, "--status", "completed", "--json")[1])) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return name


def test_tables_json_and_tests_that_pass(at_server, recorded: str, tmp_path: Path) -> None:
    code, out, _ = at_server("replay", recorded, "--model", tmp_path / "strict.bpmn")
    assert code == 0 and "3 instances" in out and "would have gone another way" in out and "large -> a" in out and "amount 30" in out, out
    code, out, _ = at_server("replay", recorded, "--model", tmp_path / "strict.bpmn", "--json", "--examples", 1)
    found = json.loads(out)
    assert (found["outcomes"], len(found["examples"])) == ({"same": 1, "other_way": 2}, 1) and found["complete"]
    assert "3 instances" in at_server("replay", recorded, "--version", 1)[1]
    kept = tmp_path / "kept"
    code, out, _ = at_server("replay", recorded, "--model", tmp_path / "p.bpmn", "--save", kept)
    assert code == 0 and "3 tests in" in out, out
    code, out, _ = at_server("test", kept)
    assert code == 0 and "3 of 3 passed" in out, out
    (kept / "p.bpmn").write_bytes((tmp_path / "strict.bpmn").read_bytes())
    assert at_server("test", kept)[0] == 1, "the other model goes another way"
    assert (
        json.loads(at_server("replay", recorded, "--model", tmp_path / "p.bpmn", "--filter", "var.amount[gt]=25", "--json")[1])["ran"] == 1
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "expected --model, --draft or --version"),
        (["--model", "p.bpmn", "--draft", "x"], 2, "expected --model, --draft or --version"),
        (["--model", "nowhere.bpmn"], 2, "nowhere.bpmn"),
        (["--model", "p.bpmn", "--filter", "x=1", "--id", "5"], 2, "expected --filter or --id"),
        (["--version", "7"], 1, "found 7"),
        (["--model", "broken.bpmn"], 1, ""),
        (["--model", "p.bpmn", "--filter", "nonsense=1"], None, "nonsense"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(at_server, recorded: str, tmp_path: Path, monkeypatch, arguments, code, words) -> None:
    monkeypatch.chdir(tmp_path)
    found, out, err = at_server("replay", recorded, *arguments)
    assert found != 0 and (code is None or found == code) and words in out + err and "Traceback" not in err, (found, out, err)

"""Tests as data: what is accepted, what each verb does, and how a failure reads; `flowledger test`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowledger.sdk.flows import Flow
from flowledger.sdk.testing import Coverage, data

MODEL = (
    Flow("p").start("s").service("a", job="work").user("t", groups=["g"]).wait("paid", message="paid", key="id").wait("w", "PT1H").end("e")
)
MODEL.on("a", "bad", error="BAD").end("e2")


def file(tmp_path: Path, *steps: dict, **top: object) -> Path:
    (tmp_path / "p.bpmn").write_bytes(MODEL.xml())
    path = tmp_path / "p.flowtest.json"
    path.write_text(json.dumps({"deploy": ["p.bpmn"], "tests": [{"name": "one", "steps": list(steps)}], **top}))
    return path


def run(path: Path, coverage: Coverage | None = None) -> None:
    for case in data.load(path):
        data.run(case, coverage)


def test_each_verb(tmp_path):
    coverage = Coverage()
    run(
        file(
            tmp_path,
            {"start": "p", "variables": {"id": "7", "n": 1.5}, "business_key": "b", "as": "first"},
            {"start": "p", "variables": {"id": "8"}},
            {"expect": {"waiting_only_at": "t", "variables": {"double": 3.0}, "incident": False, "not_passed": "t"}, "instance": "first"},
            {"expect": {"instances": {"p": 2}, "jobs": {"work": 2}, "running": True, "completed": False}},
            {"claim": "t", "by": "ann", "instance": "first"},
            {"claim": "t", "by": "bob", "instance": "first", "refused": "INVALID_STATE"},
            {"move": "t", "to": "comment", "details": {"text": "hm"}, "instance": "first"},
            {"complete": "t", "by": "ann", "variables": {"ok": True}, "instance": "first"},
            {"expect": {"message": {"name": "paid", "key": "7"}, "waiting_at": "paid", "not_waiting_at": ["t"]}, "instance": "first"},
            {"publish": "paid", "key": "7", "variables": {"sum": 2}},
            {"set": {"late": True}, "instance": "first"},
            {"advance": "PT30M"},
            {"expect": {"waiting_at": "w"}, "instance": "first"},
            {"advance_to": "2026-01-05T09:00:00Z"},
            {"expect": {"completed": True, "passed": ["a", "t", "w"], "passed_in_order": ["a", "e"], "passed_times": {"a": 1}, "no_variables": "zz",
                        "variables": {"sum": 2, "late": True}, "published": "paid", "not_entered": "bad"}, "instance": "first"},
            {"complete": "t"},
            {"receive": "paid"},
            {"cancel": "enough"},
            {"expect": {"cancelled": True, "status": "cancelled", "withdrawn": ["w"]}},
            {"mock": {"jobs": {"work": {"error": "BAD", "message": "no"}}}},
            {"start": "p"},
            {"expect": {"passed": "bad", "completed": True}},
            {"mock": {"jobs": {"work": [{"fail": "once", "retries": 0}, {"no_answer": True}, {"complete": {}}]}, "decisions": {"d": "= n * 2"}}},
            {"start": "p", "start_at": ["a"]},
            {"expect": {"incident": {"element": "a", "message": "once"}}},
            {"resolve": 2},
            {"advance": "PT5M"},
            {"expect": {"incident": False, "waiting_at": "t"}},
            {"evaluate": "d", "variables": {"n": 2}, "output": 4},
            {"signal": "nobody", "comment": "nobody listens"},
            {"expect": {"signalled": "nobody"}},
            {"throw": "t", "code": "OOPS"},
            {"expect": {"incident": True}},
            mocks={"jobs": {"work": {"complete": "= {double: if n = null then 0 else n * 2}"}}},
        ),
        coverage,
    )  # fmt: skip
    assert coverage.rows[0].percent == 100.0


@pytest.mark.parametrize(("step", "message"), [
    ({"expect": {"completed": True}}, "step 2 (expect): p (instance"),
    ({"expect": {"passed": "tt"}}, "no element 'tt'; did you mean 't'?"),
    ({"start": "unknown"}, "step 2 (start): NOT_FOUND"),
    ({"start": "p", "refused": True}, "expected to be refused, it was granted"),
    ({"complete": "w"}, "expected an open task or job at 'w', found none"),
    ({"expect": {"jobs": {"other": 1}}}, "job 'other' is not mocked"),
    ({"expect": {"instances": {"p": 3}}}, "expected 3 instances of 'p', found 1"),
    ({"expect": {"published": "x"}}, "expected messages x to be published, found none"),
    ({"advance": "soon"}, "no ISO 8601 duration"),
    ({"claim": "t", "instance": "nope"}, "no instance is named 'nope'"),
    ({"receive": "nope"}, "to wait for message 'nope'"),
    ({"deploy": "missing.bpmn"}, "missing.bpmn"),
])  # fmt: skip
def test_a_step_that_fails_says_which_and_why(tmp_path, step, message):
    path = file(tmp_path, {"start": "p", "variables": {"id": "1"}}, step, mocks={"jobs": {"work": {"complete": {}}}})
    with pytest.raises(data.StepFailed) as e:
        run(path)
    assert message in str(e.value) and str(e.value).startswith("p.flowtest.json: 'one', step 2 (") and e.value.step == 2


@pytest.mark.parametrize(("change", "message"), [
    ({"tests": []}, "at least one test"),
    ({"tests": [{"steps": []}]}, "tests[0]: expected a list 'steps'"),
    ({"tests": [{"steps": [{"strat": "p"}]}]}, "tests[0].steps[0]: expected one of start"),
    ({"tests": [{"steps": [{"strat": "p"}]}]}, "did you mean 'start'?"),
    ({"tests": [{"steps": [{"start": "p", "variabels": {}}]}]}, "unknown word 'variabels', did you mean 'variables'?"),
    ({"tests": [{"steps": [{"expect": {"passd": "a"}}]}]}, "tests[0].steps[0].expect: unknown word 'passd', did you mean 'passed'?"),
    ({"tests": [{"steps": [{"expect": ["a"]}]}]}, "expected an object, found list"),
    ({"tests": [{"steps": [{"start": "p", "complete": "t"}]}]}, "expected one of"),
    ({"tests": [{"steps": [{}]}]}, "found nothing"),
    ({"mocks": {"job": {}}}, "unknown word 'job', did you mean 'jobs'?"),
    ({"mocks": {"jobs": {"x": {"done": {}}}}}, "mocks.jobs.x: expected one of complete"),
    ({"mocks": {"jobs": {"x": [{"fail": "x", "retry": 1}]}}}, "did you mean 'retries'?"),
    ({"deplyo": []}, "did you mean 'deploy'?"),
])  # fmt: skip
def test_files_that_are_no_tests_are_refused_with_the_place(tmp_path, change, message):
    path = file(tmp_path, {"start": "p"}, **change)
    with pytest.raises(data.BadTest) as e:
        data.load(path)
    assert message in str(e.value)


@pytest.mark.parametrize(("name", "text"), [("a.flowtest.json", "{"), ("a.flowtest.yaml", "a: [1"), ("a.flowtest.yaml", "- 1")])
def test_broken_files(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(data.BadTest, match="a.flowtest"):
        data.load(tmp_path / name)


def test_yaml_and_json_mean_the_same(tmp_path):
    path = file(tmp_path, {"start": "p"}, {"expect": {"waiting_at": "a"}}, now="2026-05-01T00:00:00Z")
    yaml = tmp_path / "p.flowtest.yaml"
    yaml.write_text(
        "deploy: p.bpmn\nnow: 2026-05-01T00:00:00Z\ntests:\n  - name: one\n    steps: [{start: p}, {expect: {waiting_at: a}}]\n"
    )
    assert [data.run(c).now for c in data.load(yaml)] == [data.run(c).now for c in data.load(path)]


def test_the_command(tmp_path, capsys):
    from flowledger.infra.cli.main import run as cli

    path = file(tmp_path, {"start": "p"}, {"expect": {"waiting_at": "a"}})
    with pytest.raises(SystemExit) as e:
        cli(["test", str(tmp_path), "--coverage", str(tmp_path / "report"), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (
        e.value.code == 0
        and said["failed"] == 0
        and said["processes"][0]["process"] == "p"
        and (tmp_path / "report" / "index.html").exists()
    )
    with pytest.raises(SystemExit) as e:
        cli(["test", str(path), "--coverage-min", "90"])
    assert e.value.code == 1 and "ok     p.flowtest.json: one" in capsys.readouterr().out
    file(tmp_path, {"start": "p"}, {"expect": {"waiting_at": "t"}})
    with pytest.raises(SystemExit) as e:
        cli(["test", str(path)])
    out = capsys.readouterr()
    assert e.value.code == 1 and "to wait at 't', it waits at 'a'" in out.out and "1 of 1 tests failed" in out.err
    for wrong in (["test", str(tmp_path / "none.flowtest.json")], ["test", str(tmp_path / "report")]):
        with pytest.raises(SystemExit) as e:
            cli(wrong)
        assert e.value.code == 2

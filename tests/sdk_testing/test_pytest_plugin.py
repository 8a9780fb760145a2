"""The pytest plug-in, in sessions of its own; the sample tests of the examples as their author runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest_plugins = "pytester"
ROOT = Path(__file__).resolve().parents[2]
#: sessions inside of this one: other plug-ins would take seconds to import
QUIET = ("-p", "no:cacheprovider", "-p", "flowledger.sdk.pytest_plugin")
TEST = """
import pytest
from flowledger.sdk.flows import Flow
from flowledger.sdk.testing import assert_that

@pytest.mark.parametrize("n", [0, 2])
def test_it(engine, n):
    flow = Flow("p").start("s").exclusive("x").when("n > 1").user("big").end("e")
    flow.at("x").otherwise().end("e2")
    engine.deploy(flow)
    assert_that(engine.start("p", {"n": n})).has_passed("x")
"""


@pytest.fixture
def session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    pytester.makeini("[pytest]\n")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return lambda *arguments: pytester.runpytest_inprocess(*QUIET, *arguments)


def test_the_sample_tests_of_the_examples_pass_and_cover_all(session, pytester, tmp_path):
    result = session(str(ROOT / "examples" / "tests"), f"--flowledger-coverage={tmp_path / 'report'}", "--flowledger-coverage-min=100")
    result.assert_outcomes(passed=13)
    result.stdout.fnmatch_lines(["*order*26/26*24/24*100%*", "diagrams: *index.html"])
    assert (tmp_path / "report" / "index.html").read_text().count("<svg") == 1


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "2")])
def test_coverage_of_a_session(session, pytester, workers):
    pytester.makepyfile(test_it=TEST)
    result = session("--flowledger-coverage=out", *workers)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*process coverage*", "p * 4/5 * 3/4 *77%*e, *"])
    rows = json.loads((pytester.path / "out" / "coverage.json").read_text())
    assert [(r["process"], r["instances"], r["entered"]["x"]) for r in rows] == [("p", 2, 2)]


def test_too_little_coverage_fails_the_session_and_no_option_writes_nothing(session, pytester):
    pytester.makepyfile(test_it=TEST)
    result = session("--flowledger-coverage-min=80")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAILED: 77.8% covered, expected at least 80%"])
    assert session().ret == 0
    assert not list(pytester.path.glob("flowledger-coverage*"))


def test_data_files_are_tests(session, pytester):
    steps = [{"start": "p"}, {"expect": {"completed": True}}]
    (pytester.path / "p.bpmn").write_text((ROOT / "examples" / "order.bpmn").read_text().replace('process id="order"', 'process id="p"'))
    tests = [{"name": "good", "steps": steps[:1]}, {"name": "bad", "steps": steps}]
    (pytester.path / "a.flowtest.json").write_text(json.dumps({"deploy": "p.bpmn", "tests": tests}))
    result = session()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*a.flowtest.json: 'bad', step 2 (expect): p (instance *): expected to be completed, it is running", "*waits:*order.check*"]
    )
    assert "Traceback" not in result.stdout.str() and "data.py" not in result.stdout.str()
    (pytester.path / "a.flowtest.json").write_text("{}")
    result = session()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*expected a list 'tests'*"])


def test_pytest_finds_it_by_itself():
    assert ("flowledger", "flowledger.sdk.pytest_plugin") in [(e.name, e.value) for e in entry_points(group="pytest11")]


def test_the_plugin_costs_nothing_where_it_is_not_used():
    code = "import sys, flowledger.sdk.pytest_plugin; print([m for m in sys.modules if m.startswith('flowledger.') or m in ('msgspec', 'lxml', 'yaml')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert sorted(eval(out)) == ["flowledger.sdk", "flowledger.sdk.pytest_plugin"]


def test_the_kit_needs_nothing_of_the_server():
    """Only what the package itself depends on; everything else is made impossible to import."""
    code = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in {"pydantic", "litestar", "aiokafka", "psycopg", "structlog", "typer", "rich", "orjson", "httpx2", "websockets", "grpclib", "yaml", "uvloop",
                   "prometheus_client", "opentelemetry", "jsonschema_rs", "fastavro"} or name.startswith(("flowledger.infra", "flowledger.api", "flowledger.processors")):
            raise ImportError(name)
sys.meta_path.insert(0, Wall())
from flowledger.sdk.testing import Engine, assert_that, report
engine = Engine()
engine.deploy(sys.argv[1])
engine.on_job("order.check")
run = engine.start("order", {"order_id": "1", "customer": "a", "amount": 5, "items": []})
assert_that(run).is_waiting_at("reserve")
assert "<svg" in report.html(engine.coverage)
"""
    subprocess.run([sys.executable, "-c", code, str(ROOT / "examples" / "order.bpmn")], check=True, timeout=60)

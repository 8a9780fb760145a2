"""pytest for processes: the fixture `engine`, `*.flowtest.json|yaml` as tests, and `--flowledger-coverage`.

It is loaded in every pytest run of an environment that has flowledger: nothing of it is imported before a test needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_SUFFIXES = (".flowtest.json", ".flowtest.yaml", ".flowtest.yml")
#: the session's coverage on `config`; workers of xdist send theirs to the controller
_STASH = pytest.StashKey[Any]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("flowledger", "processes (flowledger)")
    group.addoption(
        "--flowledger-coverage", nargs="?", const="flowledger-coverage", default=None, metavar="DIR",
        help="which elements of which process the tests passed: a table, and a page with the diagrams in DIR (default: flowledger-coverage)",
    )  # fmt: skip
    group.addoption(
        "--flowledger-coverage-min", type=float, default=None, metavar="PERCENT", help="fail when less of all elements and flows is covered"
    )


def _coverage(config: pytest.Config) -> Any:
    """None unless asked for."""
    if config.getoption("--flowledger-coverage") is None and config.getoption("--flowledger-coverage-min") is None:
        return None
    if _STASH not in config.stash:
        from flowledger.sdk.testing.coverage import Coverage

        config.stash[_STASH] = Coverage()
    return config.stash[_STASH]


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    """An `Engine` of its own for each test; models are found beside the test's file."""
    from flowledger.sdk.testing.engine import Engine

    yield Engine(folder=request.path.parent, coverage=_coverage(request.config))


# --- tests as data


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.name.endswith(_SUFFIXES):
        return FlowTestFile.from_parent(parent, path=file_path)
    return None


class FlowTestFile(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        from flowledger.sdk.testing import data

        try:
            cases = data.load(self.path)
        except data.BadTest as e:
            raise self.CollectError(str(e)) from None
        for case in cases:
            yield FlowTest.from_parent(self, name=case.name, case=case)


class FlowTest(pytest.Item):
    def __init__(self, *, case: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case

    def runtest(self) -> None:
        from flowledger.sdk.testing import data

        data.run(self.case, _coverage(self.config))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from flowledger.sdk.testing.data import StepFailed

        return str(excinfo.value) if isinstance(excinfo.value, StepFailed) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, self.name


# --- the report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    coverage = _coverage(config)
    if coverage is None:
        return
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output["flowledger_coverage"] = coverage.to_json()
        return
    least = config.getoption("--flowledger-coverage-min")
    if least is not None and coverage.percent < least and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: Any) -> None:
    text = (getattr(node, "workeroutput", None) or {}).get("flowledger_coverage")
    coverage = _coverage(node.config)
    if text and coverage is not None:
        coverage.merge(coverage.rows_of(text))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    coverage = _coverage(config)
    if coverage is None or hasattr(config, "workerinput"):
        return
    from flowledger.sdk.testing import report

    terminalreporter.section("process coverage")
    terminalreporter.write_line(report.table(coverage) or "no process ran")
    folder = config.getoption("--flowledger-coverage")
    if folder is not None:
        terminalreporter.write_line(f"diagrams: {report.write(coverage, Path(config.invocation_params.dir) / folder)}")
    least = config.getoption("--flowledger-coverage-min")
    if least is not None and coverage.percent < least:
        terminalreporter.write_line(f"FAILED: {coverage.percent:.1f}% covered, expected at least {least:g}%", red=True)

"""Which lines tests run is counted in each process of a run; a share below the floor fails it."""

from __future__ import annotations

import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowledger.kernel import cron, times

ROOT = Path(__file__).parents[2]
RUN = ROOT / "tools/run_tests.py"
_spec = importlib.util.spec_from_file_location("run_tests_of_lines", RUN)
assert _spec is not None and _spec.loader is not None
run_tests = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(run_tests)

READS = "from flowledger.kernel import cron; cron.next_us('0 9 * * 1', 0)"
#: a test that reads a cron text in another process as well
TEST = f"""
import subprocess, sys
def test_reads():
    {READS}
    subprocess.run([sys.executable, "-c", "from flowledger.kernel import times; times.instant('2026-01-31T12:00:00Z')"], check=True)
"""


def _met(folder: Path, *command: str, **env: str) -> dict[str, set[int]]:
    made = run_tests.below(str(folder)) | env
    done = subprocess.run([sys.executable, *command], env=made, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, set[int]] = run_tests.counted.met([folder])
    return {str(Path(name).relative_to(ROOT)): lines for name, lines in found.items() if Path(name).is_relative_to(ROOT)}


def _body(function: Any) -> range:
    lines, first = inspect.getsourcelines(function)
    return range(first + 1, first + len(lines))


@pytest.mark.req("APG-QLT-008")
def test_a_line_counts_when_it_runs_whichever_process_runs_it(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    met = _met(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")
    assert met["kernel/cron.py"] & set(_body(cron.next_us))
    assert not met["kernel/cron.py"] & set(_body(cron._workday))
    assert met["kernel/times.py"] & set(_body(times.instant))  # its child
    assert not any(name.startswith(("api/", "infra/", "tests/")) for name in met)


def test_workers_of_a_parallel_run_are_counted(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    met = _met(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "1", "test_it.py")
    assert met["kernel/cron.py"] & set(_body(cron.next_us))


@pytest.mark.req("APG-QLT-008")
def test_a_share_below_the_floor_fails_a_whole_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    _met(tmp_path, "-c", READS)
    assert not run_tests.coverage(tmp_path, whole=True, told=False)
    told = capfd.readouterr().out
    assert "kernel" in told and told.count("at least 95.0 % are asked for") == len(run_tests.counted.PACKAGES)
    assert run_tests.coverage(tmp_path, whole=False, told=False)
    monkeypatch.setattr(run_tests, "FLOOR", 0.0)
    assert run_tests.coverage(tmp_path, whole=True, told=False)

"""What `make test` makes of tests that fail beside others."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "tools/run_tests.py"
_spec = importlib.util.spec_from_file_location("run_tests", RUN)
assert _spec is not None and _spec.loader is not None
run_tests = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(run_tests)
PASSES, FAILS = "def test_passes():\n    pass\n", "def test_fails():\n    assert False\n"
#: fails the first time, as one does that lost a race
ONCE = """
import pathlib
def test_once_{n}():
    met = pathlib.Path(__file__).with_suffix(".met")
    there = met.exists()
    met.touch()
    assert there
"""


@pytest.mark.parametrize(
    ("files", "passes", "told"),
    [
        ({"owner/test_a.py": ONCE.format(n=1), "owner/test_b.py": PASSES}, True, 1),
        ({"owner/test_a.py": ONCE.format(n=1), "owner/test_b.py": FAILS}, False, 0),
    ],
    ids=["once", "once beside one that fails"],
)
def test_a_second_try_by_itself(files: dict[str, str], passes: bool, told: int, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = alone\n")
    for name, text in files.items():
        path = tmp_path / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    here = os.environ | {"TEST_WORKERS": "0"}
    done = subprocess.run([sys.executable, str(RUN), "tests"], cwd=tmp_path, env=here, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is passes, done.stdout + done.stderr
    assert done.stdout.count("== passed only by itself") == told


@pytest.mark.parametrize(
    ("failed", "may"),
    [
        ([], False),
        (["tests/owner/test_a.py::test_1"], True),
        ([f"tests/owner/test_a.py::test_{n}" for n in range(run_tests.AGAIN_MAX)], True),
        ([f"tests/owner/test_a.py::test_{n}" for n in range(run_tests.AGAIN_MAX + 1)], False),
        (["tests/kernel/test_a.py::test_1"], False),
        (["tests/owner/test_a.py"], False),
    ],
    ids=["none", "one", "as many as may", "one too many", "without a server", "can't be read"],
)
def test_which_may_try_again(failed: list[str], may: bool) -> None:
    assert run_tests.may_again(failed) is may

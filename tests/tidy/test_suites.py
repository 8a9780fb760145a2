"""The suites that CONTRIBUTING.md names are there, and the one command runs each of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: what the catalogue asks for
NAMES = ("unit", "integration", "performance", "state machine validation", "execution scenarios", "error recovery", "concurrency")


def suites() -> dict[str, list[str]]:
    """Name -> its files."""
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("## The suites")[2].partition("\n## ")[0]
    found = {}
    for name, places in re.findall(r"^\| ([a-z ]+) \| (`.+) \|$", table, re.M):
        paths = [p for place in re.findall(r"`([^`]+)`", places) for p in (ROOT.glob(place) if "*" in place else (ROOT / place,))]
        files = sorted(f for p in paths for f in (p.rglob("test_*.py") if p.is_dir() else (p,)))
        found[name] = [str(f.relative_to(ROOT)) for f in files]
    return found


@pytest.mark.req("WSM-QLT-001")
def test_each_suite_has_tests():
    found = suites()
    assert tuple(found) == NAMES
    for name, files in found.items():
        assert files and any(re.search(r"^(async )?def test_", (ROOT / f).read_text(), re.M) for f in files), name


@pytest.mark.req("APG-QLT-001", "WSM-QLT-001")
def test_the_one_command_leaves_none_of_them_out():
    """It has two runs, whose selections leave nothing out between them, and pytest's own settings make none."""
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^test: .*\n\t\$\(PY\) tools/run_tests.py \$\(ARGS\)$", makefile, re.M), "without a selection of its own"
    chosen = re.findall(r'"-m", "((?:not )?alone)"', (ROOT / "tools" / "run_tests.py").read_text())
    assert sorted(chosen) == ["alone", "not alone"]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    options = settings["addopts"].split() if isinstance(settings["addopts"], str) else settings["addopts"]
    assert not [o for o in options if re.match(r"-[mk]|--ignore|--deselect", o)] and not settings.keys() & {"norecursedirs", "python_files"}
    roots = settings["testpaths"]
    assert all(any(file.startswith(f"{root}/") for root in roots) for files in suites().values() for file in files)

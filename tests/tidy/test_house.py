"""The house as the README and the architecture say it is."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    "events",
    "kernel",
    "analytics",
    "processors",
    "projections",
    "api",
    "connectors",
    "infra",
    "sdk",
    "schemas",
    "bench",
    "examples",
)


def tracked() -> list[Path]:
    out = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if out.returncode:
        return [p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file() and ".venv" not in p.parts and ".git" not in p.parts]
    return [Path(line) for line in out.stdout.splitlines()]


def test_each_folder_is_linked_into_the_package():
    for name in FOLDERS:
        link = ROOT / "src" / "flowledger" / name
        assert link.is_symlink() and link.resolve() == (ROOT / name).resolve(), f"src/flowledger/{name} should link to {name}/"


def test_links_stay_in_the_house():
    for path in tracked():
        link = ROOT / path
        if link.is_symlink():
            assert not link.readlink().is_absolute() and link.resolve().is_relative_to(ROOT), f"{path} leads to {link.readlink()}"


def test_nothing_names_a_path_of_a_machine():
    bad = re.compile(rb"(?<![\w.])/(?:work|farm|root)/")
    for path in tracked():
        file = ROOT / path
        if (
            file.is_file()
            and not file.is_symlink()
            and path.suffix in (".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".json", ".sql", ".bpmn")
        ):
            found = bad.search(file.read_bytes())
            assert path.name == "test_house.py" or not found, f"{path}: {found and found.group()!r}"


@pytest.mark.req("WSM-SCO-002", "APG-SCO-002")
def test_the_readme_maps_each_folder():
    text = (ROOT / "README.md").read_text()
    for name in FOLDERS:
        assert f"`{name}/`" in text, f"README.md says nothing of {name}/"


def test_both_commands_stand_in_the_readme():
    text = (ROOT / "README.md").read_text()
    assert "make run" in text and "make test" in text


def test_each_page_that_the_readme_names_is_there():
    text = (ROOT / "README.md").read_text()
    for name in re.findall(r"\]\(((?!https?:)[^)#]+)", text):
        assert (ROOT / name).exists(), f"README.md names {name}, which is not there"


def test_what_waits_with_a_time_limit_hears_its_cancellation():
    """`asyncio.wait_for` of Python 3.11 swallows a cancellation that comes together with what is waited for: a loop would go on, and who ends it wait."""
    product = [f for name in (*FOLDERS[:9], "src") for f in (ROOT / name).rglob("*.py") if "testing" not in f.parts]
    assert len(product) > 300
    assert [str(f.relative_to(ROOT)) for f in product if "asyncio.wait_for(" in f.read_text()] == [], "`async with asyncio.timeout(...)`"


def test_digits_are_those_of_ascii():
    """`"²".isdigit()` is true and `int("²")` an error: where a text from outside becomes a number, it is asked for ASCII first."""
    # bytes; names that become no number; a pattern of ASCII digits before
    allowed = {
        "processors/intake.py",
        "kernel/model/formats/build.py",
        "kernel/model/formats/work.py",
        "infra/egress.py",
        "kernel/times.py",
    }
    for file in (f for name in (*FOLDERS[:9], "src") for f in (ROOT / name).rglob("*.py")):
        lines = file.read_text().splitlines()
        asked = [n for n, line in enumerate(lines, 1) if ".isdigit()" in line and "isascii()" not in "".join(lines[max(0, n - 3) : n])]
        assert not asked or str(file.relative_to(ROOT)) in allowed, (file, asked)

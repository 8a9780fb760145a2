"""What the pages name is there: files and folders, targets of the Makefile, commands with their options, other pages."""

import re
from pathlib import Path

import pytest
import typer

from flowledger.infra.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "web" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
#: made by a tool, or what others wrote
LEFT_OUT = {"requirements.md", "traceability.md"}
PAGES = [p for p in PAGES if p.name not in LEFT_OUT]
TOP = "events|kernel|processors|projections|api|connectors|infra|sdk|schemas|bench|examples|docs|tests|tools|web|src"
PATH = re.compile(rf"`((?:(?:{TOP})/|\.ci/)[\w./*-]*)(?:::\w+)?`")
CODE = re.compile(r"`([^`\n]+)`|^```\w*\n(.*?)^```", re.M | re.S)
ids = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))


def code(text: str) -> list[str]:
    """The lines of all code on a page."""
    return [line.strip() for a, b in CODE.findall(text) for line in (a or b).splitlines()]


def there(name: str) -> bool:
    return any(any(base.glob(name)) if "*" in name else (base / name).exists() for base in (ROOT, ROOT / "web"))


@ids
def test_files_and_folders(page: Path):
    lacking = [name for name in PATH.findall(page.read_text()) if not there(name)]
    assert not lacking, f"{page.name} names what is not there: {lacking}"


@ids
def test_links(page: Path):
    for name in re.findall(r"\]\(((?!https?:|mailto:)[^)#\s]+)", page.read_text()):
        assert (page.parent / name).exists(), f"{page.name} links to {name}, which is not there"


@ids
def test_targets_of_the_makefile(page: Path):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    for line in code(page.read_text()):
        if line.startswith("make "):
            named = [w for w in re.sub(r'".*?"', "", line.split("#")[0]).split()[1:] if re.fullmatch(r"[a-z][a-z-]*", w)]
            assert set(named) <= targets, f"{page.name}: {line}"


@ids
def test_commands_and_their_options(page: Path):
    root = typer.main.get_command(app)
    for line in code(page.read_text()):
        if not (said := re.match(r"(?:\S*/)?flowledger ([a-z][a-z-]*(?: [a-z][a-z-]*)?)(.*)", line)):
            continue
        words, rest = said[1].split(), said[2]
        command = root.commands.get(words[0])  # type: ignore[attr-defined]
        assert command is not None, f"{page.name}: {line}"
        if (inner := getattr(command, "commands", None)) is not None and len(words) > 1:
            command = inner.get(words[1])
            assert command is not None, f"{page.name}: {line}"
        if getattr(command, "commands", None) is None:
            known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
            first = re.split(r"[|;&#`]|\)", rest)[0]
            for option in re.findall(r"(?<!\S)--[a-z-]+", first):
                assert option in known, f"{page.name}: {line}: {option} isn't one of {sorted(known)}"


def test_what_is_not_there_is_found():
    assert PATH.findall("see `kernel/nowhere.py` and `kernel/feel/`") == ["kernel/nowhere.py", "kernel/feel/"]
    assert not there("kernel/nowhere.py") and there("kernel/feel/") and there("docs/*.md") and not there("docs/*.none")

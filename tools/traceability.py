"""Which line of docs/requirements.md is shown by which test: the page docs/traceability.md. `--check` exits 1 when the page is
not current, `--ids` only when a test names a line that the catalogue does not have.

A test says what it shows with `@pytest.mark.req("D-ENG-002", ...)`, a module or class with `pytestmark = pytest.mark.req(...)`. Read from
the sources, so that the page needs no run; CI runs the tests themselves. A line without a test isn't shown.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "docs" / "requirements.md"
PAGE = ROOT / "docs" / "traceability.md"
LINE = re.compile(r"^\| ((?:D|APG|TES|WOS|WSM)-[A-Z]+-\d{3}) \| [^|]* \| (.*?) \| .* \|$")
GROUP = re.compile(r"^### 4\.\d+ (.*)$")


def catalogue() -> dict[str, tuple[str, str]]:
    """Id -> (group, text), in the order of the page."""
    lines: dict[str, tuple[str, str]] = {}
    group = ""
    for line in CATALOGUE.read_text().splitlines():
        if found := GROUP.match(line):
            group = found.group(1)
        elif (found := LINE.match(line)) and group:
            lines[found.group(1)] = (group, found.group(2))
    return lines


def _ids(node: ast.expr) -> Iterator[str]:
    """Ids in `pytest.mark.req(...)`, also inside of lists and of `pytest.param(..., marks=...)`."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "req":
            for argument in call.args:
                if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                    raise SystemExit(f"line {call.lineno}: expected ids as plain texts in pytest.mark.req")
                yield argument.value


def marks(path: Path) -> Iterator[tuple[str, str]]:
    """(id, name of the test) of one test module."""

    def walk(body: list[ast.stmt], prefix: str, outer: list[str]) -> Iterator[tuple[str, str]]:
        inherited = list(outer)
        for node in body:
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets):
                inherited += _ids(node.value)
        for node in body:
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                own = [i for d in node.decorator_list for i in _ids(d)]
                yield from walk(node.body, f"{prefix}{node.name}::", inherited + own)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
                own = [i for d in node.decorator_list for i in _ids(d)]
                for one in dict.fromkeys(inherited + own):
                    yield one, prefix + node.name

    yield from walk(ast.parse(path.read_text()).body, "", [])


def shown() -> dict[str, list[str]]:
    """Id -> tests as `tests/api/test_x.py::test_y`."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for one, name in marks(path):
            found.setdefault(one, []).append(f"{path.relative_to(ROOT)}::{name}")
    return found


def page() -> str:
    lines, by_id = catalogue(), shown()
    if unknown := sorted(set(by_id) - set(lines)):
        raise SystemExit(f"not in docs/requirements.md: {', '.join(f'{i} ({by_id[i][0]})' for i in unknown)}")
    out = [
        "# What is shown by which test",
        "",
        "Made by `make traceability` from the marks in the tests (`pytest.mark.req`) and docs/requirements.md. A line without a test isn't shown:",
        "it may hold, but nothing here proves it.",
        "",
        f"**{sum(1 for i in lines if i in by_id)} of {len(lines)} lines are shown.**",
        "",
        "| group | shown | lines |",
        "|---|---|---|",
    ]
    groups: dict[str, list[str]] = {}
    for one, (group, _) in lines.items():
        groups.setdefault(group, []).append(one)
    out += [f"| {group} | {sum(1 for i in ids if i in by_id)} | {len(ids)} |" for group, ids in groups.items()]
    for group, ids in groups.items():
        out += ["", f"## {group}", ""]
        rows = [i for i in ids if i in by_id]
        if rows:
            out += ["| line | what | shown by |", "|---|---|---|"]
            for i in rows:
                out.append(f"| {i} | {lines[i][1]} | {'<br>'.join(f'`{t}`' for t in by_id[i])} |")
        if missing := [i for i in ids if i not in by_id]:
            out += ["", f"Not shown: {', '.join(missing)}."]
    return "\n".join(out) + "\n"


def main() -> int:
    text = page()
    if "--ids" in sys.argv:
        return 0
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != text:
            print("docs/traceability.md is not current: make traceability")
            return 1
        return 0
    PAGE.write_text(text)
    print(text.split("\n")[5].strip("*"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

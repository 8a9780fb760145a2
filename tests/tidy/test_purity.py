"""`events`, `kernel` and `analytics` compute only: no clock, no chance, no I/O, no logging."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PURE = [p for d in ("events", "kernel", "analytics") for p in sorted((ROOT / d).rglob("*.py"))]
#: lxml, yaml: pure computing on what they are given (models); they open nothing
ALLOWED = {
    "__future__", "abc", "base64", "bisect", "calendar", "collections", "contextlib", "copy", "dataclasses", "datetime", "decimal", "difflib",
    "enum", "fractions", "functools", "hashlib", "heapq", "html", "inspect", "ipaddress", "itertools", "json", "lxml", "math", "msgspec", "numbers", "operator",
    "re", "re2", "statistics", "string", "struct", "sys", "textwrap", "types", "typing", "unicodedata", "weakref", "yaml", "zoneinfo",
}  # fmt: skip
#: of packages that do more: texts of URIs, taken apart and joined
ALLOWED_WHOLE = {"urllib.parse"}
INSIDE = ("flowledger.events", "flowledger.kernel", "flowledger.analytics")
#: calls that would let the world in through a module that is allowed
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}


def imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module if node.module and node.level == 0 else "." * node.level)
    return found


@pytest.mark.parametrize("path", PURE, ids=lambda p: str(p.relative_to(ROOT)))
def test_pure_modules_import_only_pure_modules(path):
    tree = ast.parse(path.read_text())
    for name in imports(tree):
        assert name.split(".")[0] in ALLOWED or name in ALLOWED_WHOLE or name.startswith(INSIDE) or name == "flowledger", (
            f"{name}: pass it in through Facts, or move the call to processors/ or infra/"
        )
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in CLOCKS, f"line {node.lineno}: time comes from Facts.now_us"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("open", "input", "eval", "print"), f"line {node.lineno}: {node.func.id}() in a pure module"


def test_the_check_finds_an_impure_module():
    assert "time" in imports(ast.parse("import time")) and "time" not in ALLOWED
    assert "asyncio" not in ALLOWED and "random" not in ALLOWED and "logging" not in ALLOWED

"""docs/validation.md and the code name the same codes."""

import ast
import importlib.util
import re
from pathlib import Path

from flowledger.kernel.model import checks

ROOT = Path(__file__).resolve().parents[2]


def _tool():
    spec = importlib.util.spec_from_file_location("validation_page", ROOT / "tools" / "validation_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = _tool()


def _said() -> set[str]:
    """Codes in the calls of the checks, and in tables of codes that they pass on."""
    found = set()
    for path in (ROOT / "kernel" / "model" / "checks").glob("*.py"):
        tree = ast.parse(path.read_text())
        declared = {
            id(k) for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "declare" for k in n.args[0].keys
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in declared
                and re.fullmatch(r"[A-Z][A-Z_]{4,}", node.value)
            ):
                found.add(node.value)
    return found


def test_the_page_lists_every_code_once():
    listed = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs" / "validation.md").read_text(), re.M)
    assert len(listed) == len(set(listed))
    assert set(listed) == set(checks.CODES) | set(tool.said_by_readers()), "run tools/validation_page.py"


def test_the_page_says_what_the_code_says():
    text = (ROOT / "docs" / "validation.md").read_text()
    for code, row in checks.CODES.items():
        assert f"| `{code}` | {row.severity} | {tool.cell(row.what)} | {tool.cell(row.hint)} | {tool.cell(row.source)} |" in text, (
            "run tools/validation_page.py"
        )


def test_each_declared_code_is_used():
    assert set(checks.CODES) - _said() == set()


def test_a_code_has_one_owner():
    assert not set(checks.CODES) & set(tool.said_by_readers())


def test_there_are_enough():
    assert len(set(checks.CODES) | set(tool.said_by_readers())) >= 150

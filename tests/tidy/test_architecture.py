"""docs/architecture.md draws what is so: who imports whom, which states there are, where the parts of which the requirements speak are found."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from flowledger.projections.words import INSTANCE_STATUSES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
FOLDERS = "analytics api bench connectors events infra kernel processors projections sdk".split()


def imports(root: Path) -> set[tuple[str, str]]:
    """(who, whom) of the folders; the command line stands above them and may have all."""
    found: set[tuple[str, str]] = set()
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            if path.is_relative_to(root / "infra" / "cli"):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names = [a.name for a in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [f"{node.module}.{a.name}" for a in node.names]
                else:
                    continue
                targets = {name.split(".")[1] for name in names if name.startswith("flowledger.")}
                found |= {(folder, target) for target in targets & set(FOLDERS) if target != folder}
    return found


def pictures() -> list[str]:
    return re.findall(r"```mermaid\n(.*?)```", PAGE, re.S)


@pytest.mark.req("D-SCO-009", "D-SCO-006")
def test_the_picture_of_the_layers_has_each_arrow_that_the_code_has_and_no_other():
    *others, layers = pictures()
    assert len(others) == 4 and "stateDiagram" in others[0] and "sequenceDiagram" in others[2]
    drawn = set(re.findall(r"^  (\w+) --> (\w+)$", layers, re.M))
    assert drawn == imports(ROOT)


def test_an_arrow_that_the_picture_lacks_is_found(tmp_path: Path):
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel" / "a.py").write_text("import flowledger.api.app\nfrom flowledger import sdk\nfrom flowledger.kernel import b\n")
    (tmp_path / "infra" / "cli").mkdir(parents=True)
    (tmp_path / "infra" / "cli" / "a.py").write_text("import flowledger.api.app\n")
    assert imports(tmp_path) == {("kernel", "api"), ("kernel", "sdk")}


def test_the_picture_of_a_life_has_the_words_of_the_product():
    drawn = set(re.findall(r"\b[a-z]+\b", re.sub(r":.*|stateDiagram-v2|\[\*\]", "", pictures()[0])))
    assert drawn == set(INSTANCE_STATUSES)


@pytest.mark.req("D-SCO-006")
def test_each_manager_of_the_business_layer_has_its_place():
    """That the named files are there is looked at by `test_pages.py`."""
    table = PAGE.partition("## By the names of the requirements")[2]
    rows = dict(re.findall(r"^\| (\w+) manager \| (.+) \|$", table, re.M))
    assert list(rows) == ["workflow", "task", "assignment", "execution", "monitoring", "resource"]
    for places in rows.values():
        named = re.findall(r"`([a-z/_.]+)`", places)
        assert named and all((ROOT / name).exists() for name in named), places

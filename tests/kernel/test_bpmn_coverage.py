"""The coverage page and the code say the same."""

import ast
import re
from pathlib import Path

import pytest

from flowledger.kernel.elements.triggers import KINDS
from flowledger.kernel.model import bpmn
from flowledger.kernel.model.behaviours import ELEMENTS

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "bpmn-coverage.md"
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split("|")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| Element")
]
NAMED = {tag for row in ROWS for tag in re.findall(r"`([\w:]+)`", row[0])}
EVENTS = {"startEvent", "endEvent", "intermediateCatchEvent", "intermediateThrowEvent", "boundaryEvent"}


def _tests(path: Path) -> set[str]:
    return {n.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")}


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r[0]} {r[1]}"[:60])
def test_each_row_names_a_scenario_that_exists(row):
    assert len(row) == 4, row
    file, _, name = row[3].partition("::")
    path = HERE / "scenarios" / file
    assert path.is_file(), f"{file} does not exist"
    assert name in _tests(path), f"{file} has no {name}"


@pytest.mark.req("APG-ELM-001", "APG-ELM-005")
def test_each_element_that_runs_is_on_the_page():
    assert set(ELEMENTS) <= NAMED
    assert set(KINDS) <= NAMED
    assert set(bpmn._GLOBAL_TASKS) <= NAMED


def test_the_page_claims_nothing_that_does_not_run():
    claimed = {t for t in NAMED if re.search(r"(Task|Gateway|Event|Process|EventDefinition|transaction|callActivity)$", t)}
    assert claimed <= set(ELEMENTS) | set(KINDS) | set(bpmn._GLOBAL_TASKS)


def test_each_event_stands_in_the_table_of_positions():
    text = PAGE.read_text().split("## Events by position")[1].split("##")[0]
    assert all(f"`{tag}`" in text for tag in EVENTS)


#: about what operators do, not about elements (docs/control.md)
CONTROL = {
    f"test_{name}.py"
    for name in (
        "dry_run",
        "holds",
        "migration_cases",
        "migration_loops",
        "migration_more",
        "migration_table",
        "modification_cases",
        "rollback",
        "rollouts",
    )
}


def test_each_scenario_file_is_used():
    used = {row[3].partition("::")[0] for row in ROWS}
    assert {p.name for p in (HERE / "scenarios").glob("test_*.py")} == used | CONTROL

"""A drawing as a table and back, and what becomes of changes that were made at once: all peers have the same document, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flowledger.api.together import flat
from flowledger.kernel.model import read as read_model
from flowledger.kernel.model.canonical import graph_hash

ROOT = Path(__file__).resolve().parents[2]
CASES = json.loads((Path(__file__).parent / "together.json").read_text())
DRAWN = [
    path for path in sorted((ROOT / "examples").rglob("*.bpmn")) if "BPMNPlane" in path.read_text()
]  # fmt: skip


@pytest.mark.parametrize("path", DRAWN, ids=lambda p: p.stem)
def test_a_model_comes_back_as_it_was(path: Path) -> None:
    fields = flat.read(path.read_text())
    text = flat.write(flat.fields(flat.entries(fields)))
    assert flat.read(text) == fields
    before, after = (read_model(data, path.name)[0] for data in (path.read_bytes(), text.encode()))
    assert (
        before is not None
        and after is not None
        and [graph_hash(p) for p in before.processes.values()] == [graph_hash(p) for p in after.processes.values()]
    )


@pytest.mark.parametrize("case", CASES["documents"], ids=lambda c: str(c["what"]))
def test_the_table_of_a_document(case: Any) -> None:
    assert flat.entries(flat.read(case["xml"])) == case["table"]


@pytest.mark.parametrize("case", CASES["tables"], ids=lambda c: str(c["what"]))
def test_the_document_of_a_table(case: Any) -> None:
    assert flat.write(flat.fields(case["table"])) == case["xml"]


@pytest.mark.parametrize("case", CASES["changes"], ids=lambda c: str(c["what"]))
def test_what_changed(case: Any) -> None:
    old, new, now = (flat.fields(case[k]) for k in ("old", "new", "now"))
    assert flat.changes(old, new, now) == case["changes"]

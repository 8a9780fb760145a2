"""A drawing as a table and back, and what becomes of changes that were made at once: all peers have the same document, and nothing is lost."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from flowledger.api.together import flat, forms, merging
from flowledger.kernel.model import read as read_model
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.canonical import graph_hash

ROOT = Path(__file__).resolve().parents[2]
CASES = json.loads((Path(__file__).parent / "together.json").read_text())
DMN = "https://www.omg.org/spec/DMN/20191111/MODEL/"
TABLE = (
    f'<definitions xmlns="{DMN}" id="m" namespace="u"><decision id="d"><decisionTable id="t"><input id="a"/><output id="o"/><rule id="r1"><inputEntry id="r1a">'
    '<text/></inputEntry><outputEntry id="r1o"><text>1</text></outputEntry></rule><rule id="r2"><inputEntry id="r2a"><text/></inputEntry>'
    '<outputEntry id="r2o"><text>2</text></outputEntry></rule></decisionTable></decision></definitions>'
)
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


@pytest.mark.parametrize(
    "path", [p for end in ("dmn", "form") for p in sorted((ROOT / "examples").rglob(f"*.{end}"))], ids=lambda p: p.name
)
def test_decisions_and_forms_come_back_as_they_were(path: Path) -> None:
    fields = flat.read(path.read_text())
    text = flat.write(flat.fields(flat.entries(fields)))
    assert flat.read(text) == fields
    assert path.suffix == ".dmn" or json.loads(text) == json.loads(path.read_text())


def test_a_form_is_as_deep_as_may_be_and_no_deeper() -> None:
    def form(depth: int) -> str:
        inner: Any = 1
        for _ in range(depth):
            inner = {"a": inner}
        return json.dumps({"components": [], "properties": inner})

    assert flat.read(form(forms.DEPTH_MAX - 1))
    with pytest.raises(flat.NotDrawn, match="at most 100"):
        flat.read(form(forms.DEPTH_MAX + 1))


@pytest.mark.req("APG-UI-007")
@pytest.mark.parametrize("seed", range(12))
def test_three_at_one_table_at_random_and_each_cell_stays_with_its_rule_and_column(seed: int) -> None:
    """Rules and columns come and go at all three at once; what each wrote into cells that are still there is there, in the rule and the column that it was
    written in, and each rule has one cell for each column."""
    rng = random.Random(seed)
    first = merging.seeded(TABLE, "decision")
    peers = [merging.document(first) for _ in range(3)]
    wrote: list[dict[tuple[str, str], str]] = [{} for _ in peers]
    gone: set[str] = set()
    for step in range(80):
        i = rng.randrange(3)
        # as an editor has it: what is written out, changed, and written out again
        text = flat.write(flat.fields(merging.values(peers[i])))
        root = x.parse(text.encode())
        table = next(root.iter(f"{{{DMN}}}decisionTable"))
        rules, columns = (table.findall(f"{{{DMN}}}{name}") for name in ("rule", "input"))
        what = rng.random()
        if what < 0.15:
            at = rng.randrange(len(columns) + 1)
            table.insert(at, table.makeelement(f"{{{DMN}}}input", {"id": f"c{i}_{step}"}))
            for n, rule in enumerate(rules):
                rule.insert(at, cell(rule, f"e{i}_{step}_{n}", ""))
        elif what < 0.3:
            rule = table.makeelement(f"{{{DMN}}}rule", {"id": f"r{i}_{step}"})
            rule.extend(cell(rule, f"n{i}_{step}_{n}", "") for n in range(len(columns)))
            table.insert(len(table) - rng.randrange(len(rules) + 1), rule)
        elif what < 0.36 and len(columns) > 1:
            at = rng.randrange(len(columns))
            gone.add(columns[at].get("id"))
            table.remove(columns[at])
            for rule in rules:
                rule.remove(rule.findall(f"{{{DMN}}}inputEntry")[at])
        elif what < 0.42 and len(rules) > 1:
            rule = rng.choice(rules)
            gone.add(rule.get("id"))
            table.remove(rule)
        elif what < 0.75 and rules and columns:
            rule, at = rng.choice(rules), rng.randrange(len(columns))
            value = f"{i} wrote {step}"
            if not any((rule.get("id"), columns[at].get("id")) in of for j, of in enumerate(wrote) if j != i):
                wrote[i][rule.get("id"), columns[at].get("id")] = value
                rule.findall(f"{{{DMN}}}inputEntry")[at][0].text = value
        else:
            j = rng.randrange(3)
            peers[i].apply_update(peers[j].get_update(peers[i].get_state()))
            continue
        new = flat.read(etree.tostring(root, encoding="unicode"))
        now = flat.fields(merging.values(peers[i]))
        merging.put(peers[i], flat.changes(flat.read(text), new, now))
    for a in peers:
        for b in peers:
            a.apply_update(b.get_update(a.get_state()))
    texts = [flat.write(flat.fields(merging.values(p))) for p in peers]
    assert texts[0] == texts[1] == texts[2]
    table = next(x.parse(texts[0].encode()).iter(f"{{{DMN}}}decisionTable"))
    rules, columns = (table.findall(f"{{{DMN}}}{name}") for name in ("rule", "input"))
    found = {}
    for rule in rules:
        entries = rule.findall(f"{{{DMN}}}inputEntry")
        assert len(entries) == len(columns)
        for column, entry in zip(columns, entries, strict=True):
            found[rule.get("id"), column.get("id")] = entry[0].text
    ids = {e.get("id") for e in (*rules, *columns)}
    for of in wrote:
        for (rule, column), value in of.items():
            if rule in ids and column in ids:
                assert found[rule, column] == value
            else:
                assert {rule, column} & gone, "nothing goes that nobody has taken away"


def cell(rule: Any, id: str, text: str) -> Any:
    made = rule.makeelement(f"{{{DMN}}}inputEntry", {"id": id})
    made.append(rule.makeelement(f"{{{DMN}}}text"))
    made[0].text = text
    return made


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

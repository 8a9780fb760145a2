"""Steps are written from a drawing, and do the same: by the hash of the graph. What steps have no words for is said, never left out in silence."""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from flowledger.kernel.model import read
from flowledger.kernel.model.canonical import graph_hash
from flowledger.kernel.model.drawn import as_bpmn, as_text
from flowledger.kernel.model.formats import build
from flowledger.kernel.model.formats.step_shapes import value_of

sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
from notation import bpmn

ROOT = Path(__file__).resolve().parents[2]
MIWG = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared")) / "bpmn-miwg" / "Reference"
SUFFIXES = (".bpmn", ".json", ".yaml", ".bpml")
MODELS = sorted(
    p
    for d in (ROOT / "examples", ROOT / "tests" / "formats" / "samples", MIWG)
    for p in d.rglob("*")
    if p.suffix in SUFFIXES and "tests" not in p.relative_to(d).parts
)


def hash_of(data: bytes, name: str) -> str:
    graph, findings = read(data, name)
    assert graph is not None, findings
    [found] = [graph_hash(p) for p in graph.processes.values() if p.executable]
    return found


@pytest.mark.req("APG-MOD-004", "D-MOD-002")
@pytest.mark.parametrize("name", ["pipeline.yaml", "nightly-report.yaml"])
def test_the_examples_do_the_same_written_as_steps(name: str) -> None:
    data = (ROOT / "examples" / name).read_bytes()
    text, left, same = as_text(data, name, "steps")
    assert text is not None and same and not left, left
    assert hash_of(text.encode(), "x.json") == hash_of(data, name)
    drawn, _ = as_bpmn(text.encode(), "x.json")
    assert drawn is not None and as_text(drawn, "x.bpmn", "steps")[0] == text, "written once more it is the same text"


@pytest.mark.parametrize("to", ["steps", "process-json"])
@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.name)
def test_what_is_not_the_same_says_so(path: Path, to: str) -> None:
    data = path.read_bytes()
    if as_bpmn(data, path.name)[0] is None:
        assert as_text(data, path.name, to)[0] is None
        return
    text, left, same = as_text(data, path.name, to)
    said = any(f.code.startswith("WRITE_") and f.severity == "warning" and f.message for f in left)
    assert (same and not said) or said, left
    if same:
        assert text is not None and hash_of(text.encode(), "x.json") == hash_of(as_bpmn(data, path.name)[0] or b"", "x.bpmn")


SOURCES: list[dict[str, Any]] = [
    {"type": "extract", "parameters": {"from": "= a + 1", "n": 7, "deep": {"x": [1, "two", True, None]}}},
    {"type": "service", "job": "j", "max_attempts": 4, "retry": {"max_attempts": 4, "strategy": "exponential", "initial_ms": 100}},
    {"type": "service", "job": "k", "output": {"plain": "text, with {braces} and \"quotes\"", "sum": "= output.a + (1 * 2)", "list": ["= x", 2]}},
    {"type": "human", "candidate_groups": ["a", "b"], "form": "f"},
    {"type": "script", "expression": "= 1 + 1"},
    {"type": "decision", "decision": "d"},
    {"type": "call", "process": "other"},
    {"type": "wait", "for": "PT5M"},
    {"type": "receive", "message": "paid", "key": "= k"},
    {"type": "service", "job": "l", "for_each": "= xs", "as": "x", "collect": "ys"},
]  # fmt: skip


def drawn_by_lot(r: random.Random, mode: str) -> dict[str, Any]:
    ids = [f"s{n}" for n in range(r.randint(1, 7))]
    steps = []
    for n, id in enumerate(ids):
        step: dict[str, Any] = {"id": id, **r.choice(SOURCES)}
        if r.random() < 0.3:
            step["when"] = f"= x > {n}"
        if r.random() < 0.4 and step["type"] != "wait":
            step["timeout"] = f"PT{n + 1}M"
        failure = r.choice(["", "", "optional", "fallback", "on_error"])
        if failure == "optional":
            step["optional"] = True
        elif failure == "fallback":
            step["fallback"] = {"id": f"{id}_else", **r.choice(SOURCES[:4])}
        elif failure == "on_error" and mode == "next":
            step["on_error"] = r.choice([*ids[n + 1 :], "end"])
        if mode == "next":
            later = [*ids[n + 1 :], "end"]
            way = r.choice(["one", "some", "back"])
            if way == "one" or len(later) < 2:
                step["next"] = later[0]
            elif way == "some":
                step["next"] = [{"to": later[0], "when": f"= y = {n}", "name": "so"}, {"to": r.choice(later)}]
            else:
                step["next"] = [{"to": r.choice(ids[: n + 1]), "when": f"= {id}.runs < 3"}, {"to": later[0]}]
        elif mode == "dependencies":
            step["dependencies"] = r.sample(ids[:n], r.randint(0, min(n, 3)))
        steps.append(step)
    top: dict[str, Any] = {"format": "flowledger/steps@1", "id": "by-lot", "steps": steps}
    if r.random() < 0.5:
        top |= {"timeout": "P1D", "input": {"x": 1, "y": "= 2 + 3", "z": {"deep": [1, 2]}}, "version_tag": "v1", "name": "By lot"}
    if r.random() < 0.4 and mode != "dependencies":
        top["states"] = {"initial": "NEW", "final": ["DONE"], "transitions": {"NEW": ["DONE"], "DONE": []}}
        steps[-1]["states"] = {"success": "DONE"}
    return top


@pytest.mark.req("APG-MOD-004")
@pytest.mark.parametrize("mode", ["order", "next", "dependencies"])
def test_steps_by_lot_come_back_from_their_drawing(mode: str) -> None:
    tried = 0
    for seed in range(60):
        text = json.dumps(drawn_by_lot(random.Random(f"{mode} {seed}"), mode)).encode()
        source, findings = as_bpmn(text, "x.json")
        if source is None:
            continue  # what lot gave is no workflow: a way that leads nowhere
        written, left, same = as_text(source, "x.bpmn", "steps")
        assert written is not None and same and not left, (seed, text, left, written)
        assert hash_of(written.encode(), "y.json") == hash_of(text, "x.json")
        tried += 1
    assert tried >= 40


@pytest.mark.parametrize(
    "value",
    [
        1,
        -2,
        0.5,
        "a",
        'q"uote',
        "back\\slash",
        "= x + 1",
        "= (a) + (b)",
        True,
        None,
        [],
        {},
        [1, ["= y"]],
        {"a b": {"c": "= d"}, "e": "f, g: h"},
    ],
)
def test_values_come_back_from_feel(value: Any) -> None:
    assert value_of(build.feel_value(value)) == value


LOST = {
    "no result": ("serviceTask t\n<zeebe:taskDefinition type='a'/>", "leaves its result"),
    "sub-process": ("subProcess t {\nstartEvent ts\nendEvent te\nts > te\n}", "subProcess"),
    "message": ("intermediateCatchEvent t : message paid key = k", "intermediateCatchEvent"),
    "inclusive": ("inclusiveGateway t", "inclusiveGateway"),
    "time limit that leads on": (
        "serviceTask t\n<zeebe:taskDefinition type='a'/>\nboundaryEvent b on=t : timer PT5M\nserviceTask u\n<zeebe:taskDefinition type='u'/>\nb > u\nu > e", "on_error",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOST)
def test_what_steps_have_no_words_for_is_said_with_its_element(name: str) -> None:
    flow, word = LOST[name]
    _, left, same = as_text(bpmn(f"startEvent s\n{flow}\nendEvent e\ns > t > e").encode(), "a.bpmn", "steps")
    assert not same and any(word in f.message and f.element for f in left), left
    assert all(f.severity == "warning" for f in left)

"""No valid model gets an error; checking is quick; non-executable processes get warnings at most."""

import os
from pathlib import Path

import pytest
from notation import NAMESPACES, bpmn

from flowledger.bench.heart import large_model
from flowledger.kernel import model
from flowledger.kernel.model import checks
from tests.counting import calls

ROOT = Path(__file__).resolve().parents[2]
MIWG = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared")) / "bpmn-miwg" / "Reference"
#: models whose text is wrong for what is executable: an expression in a language of its vendor
DESERVED = {"C.3.0.bpmn": {"EXPRESSION_INVALID"}}


def errors(data: bytes, name: str = "m.bpmn") -> set[str]:
    graph, findings = model.read(data, name)
    assert graph is not None
    return {f.code for f in findings if f.severity == "error"}


def test_reference_models_have_no_undeserved_error():
    files = sorted(MIWG.glob("*.bpmn")) if MIWG.is_dir() else []
    if not files:
        pytest.skip(f"no reference models at {MIWG}")
    for file in files:
        assert errors(file.read_bytes(), file.name) <= DESERVED.get(file.name, set()), file.name


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.bpmn")), ids=lambda p: p.name)
def test_examples_have_neither_errors_nor_warnings(path):
    _, findings = model.read(path.read_bytes(), path.name)
    assert [f for f in findings if f.severity != "info"] == []


def test_what_is_not_executable_gets_warnings_at_most():
    wrong = bpmn("startEvent s : error E\ntask h comp=true\nendEvent e : timer PT1S\ns > h > e")
    assert {"START_EVENT_KIND", "COMPENSATION_HANDLER_FLOWS", "END_EVENT_KIND"} <= errors(wrong.encode())
    assert errors(wrong.replace('isExecutable="true"', 'isExecutable="false"').encode()) == set()


FORK = "startEvent s\n{} f\ntask a\ntask b\n{} j\nendEvent e\ns > f > a > j\nf > b > j > e"
NESTED = """
startEvent s
parallelGateway f
exclusiveGateway x
task a
task b
exclusiveGateway y
task c
parallelGateway j
endEvent e
s > f > x
x > a ? k
x > b !
a > y
b > y
y > j
f > c > j
j > e
"""
LOOPED = """
startEvent s
exclusiveGateway m
parallelGateway f
userTask a
userTask b
parallelGateway j
exclusiveGateway x
endEvent e
s > m > f > a > j
f > b > j > x
x > m ? again
x > e !
"""
SOUND = {
    "parallel": FORK.format("parallelGateway", "parallelGateway"),
    "exclusive": FORK.format("exclusiveGateway", "exclusiveGateway"),
    "inclusive": FORK.format("inclusiveGateway", "inclusiveGateway"),
    "parallel into inclusive": FORK.format("parallelGateway", "inclusiveGateway"),
    "nested": NESTED,
    "a parallel block in a loop": LOOPED,
    "several ends": "startEvent s\nparallelGateway f\ntask a\ntask b\nendEvent e\ns > f > a > e\nf > b > e",
    "implicit split into one end": "startEvent s\ntask a\ntask b\nendEvent e\ns > a > e\ns > b > e",
    "boundary that interrupts": "startEvent s\ntask a\nboundaryEvent t on=a : timer PT1H\nexclusiveGateway j\ntask b\nendEvent e\ns > a > j\nt > j > b > e",
    "boundary that doesn't": "startEvent s\ntask a\nboundaryEvent t on=a cancel=false : timer PT1H\ntask r\nendEvent e\ns > a > e\nt > r > e",
    "several start events": "startEvent s\nstartEvent r : signal S\ntask a\nendEvent e\ns > a > e\nr > a",
    "event-based": "startEvent s\neventBasedGateway g\nintermediateCatchEvent a : signal A\nintermediateCatchEvent b : timer PT1H\ntask j\nendEvent e\n"
    "s > g > a > j\ng > b > j\nj > e",
}
SOUNDNESS = {"DEADLOCK", "DEADLOCK_INCLUSIVE", "DEADLOCK_IN_LOOP", "NOT_SYNCHRONISED", "NOT_SYNCHRONISED_INCLUSIVE", "TOKENS_MULTIPLY", "UNREACHABLE",
             "LOOP_WITHOUT_EXIT", "LOOP_WITHOUT_WAIT"}  # fmt: skip


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND.keys())
def test_sound_models_are_not_suspected(text):
    _, findings = model.read(bpmn(text).encode(), "m.bpmn")
    assert [f for f in findings if f.code in SOUNDNESS or f.severity == "error"] == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (NESTED.replace("exclusiveGateway y", "parallelGateway y"), "DEADLOCK"),
        (NESTED.replace("parallelGateway j", "exclusiveGateway j"), "NOT_SYNCHRONISED"),
        (LOOPED.replace("exclusiveGateway m", "parallelGateway m"), "DEADLOCK_IN_LOOP"),
        (LOOPED.replace("parallelGateway j", "exclusiveGateway j"), "NOT_SYNCHRONISED"),
        ("startEvent s\ntask a\ntask b\ntask c\nendEvent e\ns > a > c\ns > b > c > e", "NOT_SYNCHRONISED"),
        (
            "startEvent s\ntask a\nboundaryEvent t on=a : timer PT1H\nparallelGateway j\ntask b\nendEvent e\ns > a > j\nt > j > b > e",
            "DEADLOCK",
        ),
        ("startEvent s\nsubProcess sp {\n" + FORK.format("exclusiveGateway", "parallelGateway") + "\n}\n", "DEADLOCK"),
    ],
)
def test_unsound_models_are_found_below_the_surface(text, code):
    _, findings = model.read(bpmn(text).encode(), "m.bpmn")
    assert code in [f.code for f in findings], [f.code for f in findings]


def test_each_finding_says_where():
    body = '<process id="p" isExecutable="true">\n<startEvent id="s"/>\n<scriptTask id="t"/></process>'
    data = f'<definitions {NAMESPACES} id="d" targetNamespace="t">\n{body}</definitions>'
    _, findings = model.read(data.encode(), "m.bpmn")
    found = next(f for f in findings if f.code == "SCRIPT_MISSING")
    assert (found.element, found.line, found.file) == ("t", 4, "m.bpmn") and found.hint


def test_the_checks_of_a_large_model_grow_with_its_size(monkeypatch):
    """Five times the model takes five times the work, not 25."""
    taken, run = [], checks.run
    monkeypatch.setattr(checks, "run", lambda r: taken.append(calls(lambda: run(r))))
    for size in (1_000, 5_000):
        assert errors(large_model(size), "large.bpmn") == set()
    assert taken[1] < 6 * taken[0], taken


def test_a_wide_model_of_parallel_ways_is_reduced_quickly():
    ways = "".join(f"task a{n}\nf > a{n} > j\n" for n in range(2_000))
    data = bpmn("startEvent s\nparallelGateway f\nexclusiveGateway j\ntask z\nendEvent e\ns > f\n" + ways + "j > z > e").encode()
    findings = []
    assert calls(lambda: findings.extend(model.read(data, "m.bpmn")[1])) < 500_000
    assert [f.code for f in findings].count("NOT_SYNCHRONISED") == 1


def test_a_loop_over_data_with_an_unusual_name_is_a_finding_and_no_crash():
    loop = "<multiInstanceLoopCharacteristics><loopDataInputRef>in</loopDataInputRef></multiInstanceLoopCharacteristics>"
    io = '<ioSpecification><dataInput id="in"/><inputSet><dataInputRefs>in</dataInputRefs></inputSet><outputSet/></ioSpecification>'
    assert errors(bpmn(f"startEvent s\ntask t\n.{io}{loop}\ns > t").encode()) == {"EXPRESSION_INVALID"}

"""Coverage: what counts, the table, and the page with its diagrams."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from lxml import etree

from flowledger.kernel.markup import BadXml
from flowledger.sdk.flows import Flow
from flowledger.sdk.testing import Coverage, Engine, diagram, report

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SVG = "{http://www.w3.org/2000/svg}"
NS = (
    'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI" '
    'xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" xmlns:di="http://www.omg.org/spec/DD/20100524/DI"'
)


def forked() -> Flow:
    flow = Flow("p", name="Left <or> right").start("s").exclusive("x").when("n > 1").user("big").end("e")
    flow.at("x").otherwise().service("small", job="work").end("e2")
    return flow


def states(svg: str) -> dict[str, str]:
    """Element -> its class, as drawn."""
    root = etree.fromstring(svg)
    found = {}
    for g in root.iter(SVG + "g"):
        if g.get("data-element"):
            flow = g.find(f"{SVG}path[@class]")
            classes = (g.get("class") or (flow.get("class") if flow is not None else "") or "").split()
            found[g.get("data-element")] = next((c for c in classes if c in ("passed", "entered", "missed")), "")
    return found


def test_what_is_entered_passed_and_missed():
    engine = Engine()
    engine.deploy(forked())
    engine.start("p", {"n": 2})
    row = engine.coverage.rows[0]
    assert (row.covered, row.total, row.instances) == (3 + 2, 6 + 5, 1)
    assert set(row.missing) == {"e", "small", "e2", *(f for f in row.flows if f not in row.taken)}
    drawn = states(diagram.drawings(_source(engine), {e: "passed" for e in row.passed}, {})[0])
    assert drawn["s"] == drawn["x"] == "passed" and drawn["big"] == ""
    assert "big" in row.entered and "big" not in row.passed


def _source(engine: Engine) -> bytes:
    return engine.library.graphs[engine.coverage.rows[0].hash].source


def test_the_table_cuts_and_never_rounds_up_to_all():
    assert report.percent(99.9) == "99%" and report.percent(100) == "100%"
    engine = Engine()
    assert report.table(engine.coverage) == ""
    engine.deploy(forked(), Flow("q").start("s").end("e"))
    assert "0/6" in report.table(engine.coverage)
    engine.on_job("work")
    engine.start("p", {"n": 0})
    engine.start("q")
    lines = report.table(engine.coverage).splitlines()
    assert [line.split()[0] for line in lines] == ["process", "p", "q", "total"]
    assert "4/6" in lines[1] and "big, e" in lines[1] and lines[2].split() == ["q", "2/2", "1/1", "100%"]


def test_engines_add_up_and_sessions_merge():
    shared = Coverage()
    for n in (0, 2):
        engine = Engine(coverage=shared)
        engine.deploy(forked())
        engine.on_job("work")
        engine.start("p", {"n": n})
    row = shared.rows[0]
    assert row.instances == 2 and row.missing == ["e", next(f for f in row.flows if row.flows[f][2] == "e")]
    other = Coverage()
    other.merge(Coverage.rows_of(shared.to_json()))
    other.merge(Coverage.rows_of(shared.to_json()))
    assert other.rows[0].entered["x"] == 4 and other.rows[0].missing == row.missing and other.percent == shared.percent


class _Strict(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {k for k, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {k for k, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_shows_each_element_in_its_colour(tmp_path):
    engine = Engine(folder=EXAMPLES)
    engine.deploy("order.bpmn")
    engine.on_job("order.check")
    engine.start("order", {"order_id": "1", "customer": "a", "amount": 5000, "items": []})
    page = report.write(engine.coverage, tmp_path / "new" / "folder")
    text = page.read_text()
    reader = _Strict()
    reader.feed(text)
    assert not reader.open and not reader.tags & {"script", "iframe", "img", "object", "link", "image", "use"}
    assert not {a for a in reader.attributes if a.startswith("on")} and "src" not in reader.attributes
    svg = re.search(r"<svg.*?</svg>", text, re.S)[0]
    drawn = states(svg)
    row = engine.coverage.rows[0]
    assert {*row.elements, *row.flows} <= set(drawn)
    assert drawn["check"] == "passed" and drawn["approve"] == "entered" and drawn["ship"] == "missed" and drawn["to_check"] == "passed"
    assert drawn["to_ship"] == "missed"
    root = etree.fromstring(svg)
    left, top, width, height = map(float, root.get("viewBox").split())
    for rect in root.iter(SVG + "rect"):
        at_x, at_y = float(rect.get("x")), float(rect.get("y"))
        assert (
            left <= at_x
            and at_x + float(rect.get("width")) <= left + width
            and top <= at_y
            and at_y + float(rect.get("height")) <= top + height
        )
    assert "Approve large" in svg and "entered 1, passed 0" in svg
    assert Coverage.rows_of((page.parent / "coverage.json").read_text())[0].process == "order"


@pytest.mark.parametrize("name", ["pipeline.yaml", "employee-onboarding.json", "place-order.bpml", "document-approval.bpmn"])
def test_models_of_any_format_and_without_a_diagram_are_drawn(name):
    engine = Engine(folder=EXAMPLES)
    process = next(iter(engine.deploy(name)))
    with_source = engine.library.graphs[next(iter(engine.library.graphs))]
    model = next(iter(with_source.processes.values()))
    engine.start(process, start_at=[next(n.id for n in model.nodes.values() if n.scope is None and n.incoming)])
    page = report.html(engine.coverage)
    drawn: dict[str, str] = {}
    for svg in re.findall(r"<svg.*?</svg>", page, re.S):
        drawn |= states(svg)
    row = engine.coverage.rows[0]
    assert set(row.elements) <= set(drawn) and all(drawn[e] in ("passed", "entered", "missed") for e in row.elements)


def test_every_kind_of_shape_has_a_drawing():
    from flowledger.kernel.model.behaviours import ELEMENTS

    kinds = set(diagram._TASKS) | diagram._SCOPES | diagram._EVENTS | set(diagram._GATEWAYS)
    assert set(ELEMENTS) <= kinds


def hostile(name: str = "", bounds: str = 'x="1" y="1" width="10" height="10"', id: str = "t", more: str = "") -> bytes:
    return (
        f'<definitions {NS}><process id="p"><task id="{id}" name="{name}"/><task id="other"/></process><bpmndi:BPMNDiagram><bpmndi:BPMNPlane>'
        f'<bpmndi:BPMNShape bpmnElement="{id}"><dc:Bounds {bounds}/></bpmndi:BPMNShape>'
        f'<bpmndi:BPMNShape bpmnElement="other"><dc:Bounds x="0" y="0" width="5" height="5"/></bpmndi:BPMNShape>{more}'
        "</bpmndi:BPMNPlane></bpmndi:BPMNDiagram></definitions>"
    ).encode()


def test_texts_of_a_model_never_become_markup():
    evil = "&lt;script&gt;alert(1)&lt;/script&gt; &quot; onload=&quot;x"
    svg = diagram.drawings(hostile(evil, id="&quot;&gt;&lt;b"), {})[0]
    root = etree.fromstring(svg)
    assert {etree.QName(e).localname for e in root.iter()} <= {"svg", "g", "title", "text", "rect", "path", "circle", "polygon"}
    assert not any(a.startswith("on") for e in root.iter() for a in e.attrib)


@pytest.mark.parametrize("bounds", [
    'x="NaN" y="1" width="1" height="1"', 'x="1e300" y="0" width="1" height="1"', 'x="inf" y="0" width="1" height="1"', 'x="0" y="0" width="-5" height="1"',
    'x="0"', 'x="a&quot;/&gt;" y="0" width="1" height="1"',
])  # fmt: skip
def test_shapes_with_odd_numbers_are_left_out(bounds):
    assert set(states(diagram.drawings(hostile(bounds=bounds), {})[0])) == {"other"}


def test_documents_that_may_not_be_read_are_refused():
    with pytest.raises(BadXml):
        diagram.drawings(b'<!DOCTYPE x [<!ENTITY a "b">]><definitions/>', {})
    broken = Coverage()
    engine = Engine(coverage=broken)
    engine.deploy(forked())
    engine.start("p", {"n": 0})
    broken.rows[0].source = "PGE+"
    assert "No diagram: " in report.html(broken)


def test_a_huge_text_and_an_edge_without_points():
    more = '<bpmndi:BPMNEdge bpmnElement="other"><di:waypoint x="1" y="1"/></bpmndi:BPMNEdge>'
    svg = diagram.drawings(hostile("x" * 100_000, more=more), {})[0]
    assert len(svg) < 5_000

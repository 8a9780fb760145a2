"""Generated diagrams: every element has a shape, shapes of one level don't overlap, flows are at right angles, the same model gives the same diagram."""

import itertools
import os
from pathlib import Path

import pytest
from converted import xml
from lxml import etree

from flowledger.kernel.model import layout
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.drawn import to_show

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(p for p in (ROOT / "examples").iterdir() if p.suffix in (".bpmn", ".json", ".yaml", ".bpml"))
MIWG = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared")) / "bpmn-miwg"
NODES = {
    "startEvent",
    "endEvent",
    "boundaryEvent",
    "intermediateCatchEvent",
    "intermediateThrowEvent",
    "subProcess",
    "callActivity",
    "userTask",
}


def bare(root):
    for diagram in root.findall(f"{layout.BPMNDI}BPMNDiagram"):
        root.remove(diagram)
    return root


def drawn(root):
    """Boxes and points by element id."""
    boxes, edges = {}, {}
    for shape in root.iter(f"{layout.BPMNDI}BPMNShape"):
        b = shape.find(f"{layout.DC}Bounds")
        boxes[shape.get("bpmnElement")] = tuple(int(b.get(k)) for k in ("x", "y", "width", "height"))
    for edge in root.iter(f"{layout.BPMNDI}BPMNEdge"):
        edges[edge.get("bpmnElement")] = [(int(p.get("x")), int(p.get("y"))) for p in edge.findall(f"{layout.DI}waypoint")]
    return boxes, edges


def check(root):
    boxes, edges = drawn(root)
    for process in root.iter(x.B + "process", x.B + "subProcess"):
        kids = [k for k in x.bpmn_children(process) if x.local(k) in NODES or x.local(k).endswith(("Task", "Gateway"))]
        assert not [k.get("id") for k in kids if k.get("id") and k.get("id") not in boxes], "each node has a shape"
        solid = [k.get("id") for k in kids if x.local(k) != "boundaryEvent" and k.get("id")]
        for a, b in itertools.combinations(solid, 2):
            (ax, ay, aw, ah), (bx, by, bw, bh) = boxes[a], boxes[b]
            assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay, f"{a} and {b} overlap"
        for flow in process.findall(x.B + "sequenceFlow"):
            points = edges[flow.get("id")]
            assert len(points) >= 2
            for (ax, ay), (bx, by) in itertools.pairwise(points):
                assert ax == bx or ay == by, f"{flow.get('id')} isn't at right angles: {points}"
            for end, (px, py) in ((flow.get("sourceRef"), points[0]), (flow.get("targetRef"), points[-1])):
                bx, by, bw, bh = boxes[end]
                assert bx <= px <= bx + bw and by <= py <= by + bh, f"{flow.get('id')} doesn't touch {end}"
        if x.local(process) == "subProcess":
            px, py, pw, ph = boxes[process.get("id")]
            for k in solid:
                kx, ky, kw, kh = boxes[k]
                assert px <= kx and py <= ky and kx + kw <= px + pw and ky + kh <= py + ph, f"{k} is outside of {process.get('id')}"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_examples(path):
    data = path.read_bytes()
    root = bare(x.parse(data if path.suffix == ".bpmn" else xml(data, path.name).encode()))
    again = etree.fromstring(etree.tostring(root))
    assert etree.tostring(layout.add(root)) == etree.tostring(layout.add(again)), "the same model, the same diagram"
    check(root)


def test_a_given_diagram_is_kept():
    root = x.parse((ROOT / "examples" / "order.bpmn").read_bytes())
    before = etree.tostring(root)
    assert layout.has_diagram(root) and etree.tostring(layout.add(root)) == before


@pytest.mark.parametrize("name", ["A.1.0.bpmn", "A.2.0.bpmn", "B.1.0.bpmn", "C.1.0.bpmn", "C.2.0.bpmn", "C.4.0.bpmn"])
def test_reference_models_with_pools_and_lanes(name):
    found = sorted(MIWG.rglob(name))
    if not found:
        pytest.skip(f"{name} isn't at {MIWG}")
    root = bare(x.parse(found[0].read_bytes()))
    layout.add(root)
    check(root)
    boxes, _ = drawn(root)
    for lane in root.iter(x.B + "lane"):
        if lane.find(x.B + "childLaneSet") is None:
            lx, ly, lw, lh = boxes[lane.get("id")]
            for reference in lane.findall(x.B + "flowNodeRef"):
                if reference.text in boxes:
                    nx, ny, nw, nh = boxes[reference.text]
                    assert ly <= ny + nh // 2 <= ly + lh, f"{reference.text} is outside of its lane"


def test_a_loop_and_a_long_chain():
    steps = ", ".join(
        f"{{id: s{n}, type: x, next: {f's{n + 1}' if n < 400 else '[{to: s0, when: again}, {to: end}]'}}}" for n in range(401)
    )
    root = x.parse(xml(f"id: p\nsteps: [{steps}]").encode())
    boxes, edges = drawn(root)
    assert len([k for k in boxes if k.startswith("s")]) >= 401
    check(root)


def test_many_long_flows_stay_cheap():
    """Each of 600 steps may fail to the same last one: 180,000 layers to cross."""
    steps = ", ".join(f"{{id: s{n}, type: x, on_error: help, next: {f's{n + 1}' if n < 599 else 'help'}}}" for n in range(600))
    text = xml(f"id: p\nsteps: [{steps}, {{id: help, type: y}}]")
    root = x.parse(text.encode())
    _, edges = drawn(root)
    assert len(edges) == len(list(root.iter(x.B + "sequenceFlow")))
    for points in edges.values():
        assert all(ax == bx or ay == by for (ax, ay), (bx, by) in itertools.pairwise(points))


BARE = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t">
  <process id="one" isExecutable="true"><startEvent id="s1"/><sequenceFlow id="f1" sourceRef="s1" targetRef="e1"/><endEvent id="e1"/></process>
  <process id="two" isExecutable="true"><startEvent id="s2"/><sequenceFlow id="f2" sourceRef="s2" targetRef="e2"/><endEvent id="e2"/></process>
</definitions>"""


def planes(source):
    root = x.parse(source)
    return {p.get("bpmnElement"): len(p.findall(f"{layout.BPMNDI}BPMNShape")) for p in root.iter(f"{layout.BPMNDI}BPMNPlane")}


def test_what_is_shown_has_each_process_drawn_and_what_was_drawn_as_it_was():
    """A process without shapes beside one that has its own gets a drawing, too; steps and BPML are drawn with the ids that run."""
    both = to_show(BARE.encode(), "a.bpmn")
    assert planes(both) == {"one": 2, "two": 2}
    assert to_show(both, "a.bpmn") == both
    root = x.parse(both)
    root.remove(root.findall(f"{layout.BPMNDI}BPMNDiagram")[1])
    root.find(f".//{layout.DC}Bounds").set("x", "777")
    again = to_show(etree.tostring(root), "a.bpmn")
    assert planes(again) == {"one": 2, "two": 2} and b'x="777"' in again
    steps = b'{"id": "s", "steps": [{"id": "a", "type": "service", "job": "j"}, {"id": "b", "type": "user"}]}'
    assert b'bpmnElement="a"' in (shown := to_show(steps, "s.json")) and b'bpmnElement="b"' in shown
    assert to_show(b"<no", "a.bpmn") is None and to_show(b'{"components": []}', "a.form") is None
    empty = BARE.replace('<startEvent id="s2"/><sequenceFlow id="f2" sourceRef="s2" targetRef="e2"/><endEvent id="e2"/>', "")
    assert planes(to_show(to_show(empty.encode(), "a.bpmn"), "a.bpmn"))["one"] == 2

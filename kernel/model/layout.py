"""Diagrams for models without one: BPMN DI with layers from left to right, boundary events, expanded sub-processes, pools and lanes, and orthogonal flows.

The method is Sugiyama's: loops are cut by a depth-first walk in document order, nodes get the layer of their longest path, long flows pass through
placeholders, the order within a layer follows the median of the neighbours, and flows that run back are led below. The same model always gives the same
diagram.

Source: BPMN 2.0.2, chapter 12 (BPMN DI); K. Sugiyama et al., IEEE SMC-11 (1981).
"""

from __future__ import annotations

from typing import Any

from lxml import etree

from flowledger.kernel.model import layout_graph as lg
from flowledger.kernel.model import xml as x

BPMNDI, DC, DI = (
    "{http://www.omg.org/spec/BPMN/20100524/DI}",
    "{http://www.omg.org/spec/DD/20100524/DC}",
    "{http://www.omg.org/spec/DD/20100524/DI}",
)
_ACTIVITIES = {"task", "manualTask", "serviceTask", "sendTask", "scriptTask", "businessRuleTask", "userTask", "receiveTask", "callActivity"}
_SCOPES = {"subProcess", "transaction", "adHocSubProcess"}
_EVENTS = {"startEvent", "endEvent", "intermediateCatchEvent", "intermediateThrowEvent", "implicitThrowEvent"}
_GATEWAYS = {"exclusiveGateway", "parallelGateway", "inclusiveGateway", "eventBasedGateway", "complexGateway"}
_FLOW_NODES = _ACTIVITIES | _SCOPES | _EVENTS | _GATEWAYS
_TRUE = ("true", "1")
_DATA = {"dataObjectReference": (36, 50), "dataStoreReference": (50, 50), "textAnnotation": (130, 40), "group": (160, 100)}
#: width and height in the usual modelers' units
TASK, EVENT, GATEWAY = (100, 80), (36, 36), (50, 50)
_MARGIN, _POOL_LABEL, _LANE_LABEL = 30, 30, 30


class Box:
    """Where a shape stands: top left corner and size, relative to its parent until it is placed."""

    __slots__ = ("h", "w", "x", "y")

    def __init__(self, w: int, h: int, left: int = 0, top: int = 0) -> None:
        self.w, self.h, self.x, self.y = w, h, left, top


class Drawing:
    """Shapes and edges of one scope, with its own origin."""

    def __init__(self) -> None:
        self.boxes: dict[str, Box] = {}
        self.edges: dict[str, list[tuple[int, int]]] = {}
        #: lane id -> (top, height), top lane first
        self.lanes: dict[str, tuple[int, int]] = {}
        self.w = self.h = 0

    def take(self, inner: Drawing, dx: int, dy: int) -> None:
        for id, b in inner.boxes.items():
            self.boxes[id] = Box(b.w, b.h, b.x + dx, b.y + dy)
        for id, points in inner.edges.items():
            self.edges[id] = [(px + dx, py + dy) for px, py in points]


def has_diagram(definitions: Any) -> bool:
    return definitions.find(f"{BPMNDI}BPMNDiagram/{BPMNDI}BPMNPlane/{BPMNDI}BPMNShape") is not None


def undrawn(definitions: Any) -> list[Any]:
    """Processes with something to draw of which no shape is there."""
    shapes = {s.get("bpmnElement", "").rsplit(":", 1)[-1] for s in definitions.iter(f"{BPMNDI}BPMNShape")}
    found = []
    for process in definitions.findall(x.B + "process"):
        ids = [e.get("id") for e in x.bpmn_children(process) if x.local(e) in _FLOW_NODES and e.get("id")]
        if ids and not shapes.intersection(ids):
            found.append(process)
    return found


def add(definitions: Any) -> Any:
    """Give each process without shapes a diagram; what is drawn is left as it is. Returns the same element."""
    bare = undrawn(definitions)
    if has_diagram(definitions):
        for process in bare:
            _alone(definitions, process)
        return definitions
    for old in definitions.findall(f"{BPMNDI}BPMNDiagram"):
        definitions.remove(old)
    collaboration = definitions.find(x.B + "collaboration")
    processes = definitions.findall(x.B + "process")
    if collaboration is not None:
        drawing = _pools(collaboration, {p.get("id"): p for p in processes})
        _write(definitions, collaboration.get("id") or "collaboration", drawing)
        drawn = {p.get("processRef", "").rsplit(":", 1)[-1] for p in collaboration.findall(x.B + "participant")}
        processes = [p for p in processes if p.get("id") not in drawn]
    for process in processes:
        _alone(definitions, process)
    return definitions


def _alone(definitions: Any, process: Any) -> None:
    """A diagram of one process."""
    drawing = Drawing()
    inner = scope(process)
    drawing.take(inner, 160 - _MARGIN, 80 - _MARGIN)
    for lane, (top, height) in inner.lanes.items():
        drawing.boxes[lane] = Box(inner.w, height, 160 - _MARGIN, 80 - _MARGIN + top)
    _write(definitions, process.get("id") or "", drawing)


def _pools(collaboration: Any, processes: dict[str, Any]) -> Drawing:
    drawing = Drawing()
    top, parts = 80, []
    for participant in collaboration.findall(x.B + "participant"):
        process = processes.get(participant.get("processRef", "").rsplit(":", 1)[-1])
        parts.append((participant.get("id"), scope(process) if process is not None else None))
    width = max([600, *(inner.w + _POOL_LABEL + _LANE_LABEL for _, inner in parts if inner is not None)])
    for id, inner in parts:
        if inner is None:
            drawing.boxes[id] = Box(width, 60, 160, top)
        else:
            drawing.boxes[id] = Box(width, inner.h, 160, top)
            left = 160 + _POOL_LABEL + (_LANE_LABEL if inner.lanes else 0)
            for lane, (y, height) in inner.lanes.items():
                drawing.boxes[lane] = Box(width - _POOL_LABEL, height, 160 + _POOL_LABEL, top + y)
            drawing.take(inner, left, top)
        top += drawing.boxes[id].h + 40
    for flow in collaboration.findall(x.B + "messageFlow"):
        a, b = (drawing.boxes.get(flow.get(end, "").rsplit(":", 1)[-1]) for end in ("sourceRef", "targetRef"))
        if a is not None and b is not None:
            drawing.edges[flow.get("id")] = _vertical(a, b)
    return drawing


def _vertical(a: Box, b: Box) -> list[tuple[int, int]]:
    """From the middle of a's nearer edge to the middle of b's: down or up, across, down or up."""
    down = b.y >= a.y
    ax, ay = a.x + a.w // 2, a.y + a.h if down else a.y
    bx, by = b.x + b.w // 2, b.y if down else b.y + b.h
    if a.w > 400:  # a closed pool: straight to the other's middle
        ax = min(max(bx, a.x), a.x + a.w)
    if b.w > 400:
        bx = min(max(ax, b.x), b.x + b.w)
    if ax == bx:
        return [(ax, ay), (bx, by)]
    mid = (ay + by) // 2
    return [(ax, ay), (ax, mid), (bx, mid), (bx, by)]


def scope(element: Any) -> Drawing:
    """The drawing of a process or sub-process; its size has a margin all around."""
    drawing = Drawing()
    insides: dict[str, Drawing] = {}
    graph = lg.LayerGraph()
    lanes = _lanes(element)
    boundary: dict[str, list[Any]] = {}
    apart: list[tuple[str, int, int]] = []
    artifacts: list[tuple[str, int, int]] = []
    for kid in x.bpmn_children(element):
        tag, id = x.local(kid), kid.get("id", "")
        if not id:
            continue
        if tag == "boundaryEvent":
            boundary.setdefault(kid.get("attachedToRef", ""), []).append(kid)
        elif tag in _SCOPES or tag in _ACTIVITIES or tag in _EVENTS or tag in _GATEWAYS:
            w, h = EVENT if tag in _EVENTS else GATEWAY if tag in _GATEWAYS else TASK
            if tag in _SCOPES:
                insides[id] = scope(kid)
                w, h = max(insides[id].w, TASK[0]), max(insides[id].h, TASK[1])
            if kid.get("triggeredByEvent") in _TRUE or kid.get("isForCompensation") in _TRUE:
                apart.append((id, w, h))
            else:
                graph.node(id, w, h, lanes.get(id, 0), below=0)
        elif tag in _DATA:
            artifacts.append((id, *_DATA[tag]))
    hosts: dict[str, str] = {}
    for host, events in boundary.items():
        for event in events:
            hosts[event.get("id", "")] = host
        if host in graph.nodes:
            graph.nodes[host].below = 24
            graph.nodes[host].w = max(graph.nodes[host].w, 52 * len(events) + 20)
    flows = element.findall(x.B + "sequenceFlow")
    for flow in flows:
        source, target = flow.get("sourceRef", ""), flow.get("targetRef", "")
        graph.edge(flow.get("id", ""), hosts.get(source, source), target, from_below=source in hosts)
    graph.arrange()
    for id, n in graph.nodes.items():
        drawing.boxes[id] = Box(n.w, n.h, n.x + _MARGIN, n.y + _MARGIN)
    bottom = max([n.y + n.h + n.below for n in graph.nodes.values()], default=0) + _MARGIN
    for host, events in boundary.items():
        box = drawing.boxes.get(host)
        for number, event in enumerate(events):
            if box is not None:
                at = box.x + box.w - 18 - 20 - 52 * (len(events) - 1 - number)
                drawing.boxes[event.get("id", "")] = Box(*EVENT, at - 18 + 8, box.y + box.h - 18)
    for edge in graph.edges:
        if edge.id not in drawing.edges and edge.source in drawing.boxes and edge.target in drawing.boxes:
            drawing.edges[edge.id] = [(px + _MARGIN, py + _MARGIN) for px, py in graph.route(edge)]
    for flow in flows:  # out of boundary events: start at the event itself
        source = drawing.boxes.get(flow.get("sourceRef", ""))
        points = drawing.edges.get(flow.get("id", ""))
        if flow.get("sourceRef") in hosts and source is not None and points:
            drawing.edges[flow.get("id", "")] = lg.from_bottom(source.x + 18, source.y + 36, points)
    lowest = max([y for points in drawing.edges.values() for _, y in points], default=0)
    bottom = max(bottom, lowest)
    if lanes:
        drawing.lanes = {lane: (top + (0 if first else _MARGIN), height) for lane, top, height, first in _bands(element, graph, bottom)}
    row = bottom + (30 if graph.nodes else 0)
    right = _row(drawing, apart, row)
    row_height = max([h for _, _, h in apart], default=0)
    bottom = row + row_height if apart else bottom
    if artifacts:
        right = max(right, _row(drawing, artifacts, bottom + 30))
        bottom += 30 + max(h for _, _, h in artifacts)
    for id, inner in insides.items():
        box = drawing.boxes[id]
        drawing.take(inner, box.x, box.y)
    for association in element.findall(x.B + "association"):
        a, b = (drawing.boxes.get(association.get(end, "")) for end in ("sourceRef", "targetRef"))
        if a is not None and b is not None:
            drawing.edges[association.get("id", "")] = _vertical(a, b)
    drawing.w = (
        max([b.x + b.w for b in drawing.boxes.values()] + [px for points in drawing.edges.values() for px, _ in points] + [0], default=0)
        + _MARGIN
    )
    drawing.h = bottom + _MARGIN
    if drawing.lanes:
        last = list(drawing.lanes)[-1]
        top, _ = drawing.lanes[last]
        drawing.lanes[last] = (top, drawing.h - top)
    return drawing


def _row(drawing: Drawing, items: list[tuple[str, int, int]], top: int) -> int:
    left = _MARGIN
    for id, w, h in items:
        drawing.boxes[id] = Box(w, h, left, top)
        left += w + 40
    return left


def _lanes(element: Any) -> dict[str, int]:
    """Node id -> number of its innermost lane from the top."""
    found: dict[str, int] = {}
    for n, lane in enumerate(_leaf_lanes(element)):
        for reference in lane.findall(x.B + "flowNodeRef"):
            found[(reference.text or "").strip()] = n
    return found


def _leaf_lanes(element: Any) -> list[Any]:
    lanes = [lane for s in element.findall(x.B + "laneSet") for lane in s.iter(x.B + "lane")]
    return [lane for lane in lanes if lane.find(x.B + "childLaneSet") is None]


def _bands(element: Any, graph: lg.LayerGraph, bottom: int) -> list[tuple[str, int, int, bool]]:
    """(lane id, top, height, first) without gaps between."""
    bands, top = [], 0
    lanes = _leaf_lanes(element)
    for n, lane in enumerate(lanes):
        end = graph.lane_ends.get(n, top + 80) if n + 1 < len(lanes) else max(bottom, top + 80)
        end = max(end, top + 80)
        first = n == 0
        bands.append((lane.get("id", ""), top, end - top + (_MARGIN if first else 0), first))
        top = end
    return bands


def _write(definitions: Any, plane_of: str, drawing: Drawing) -> None:
    diagram = etree.SubElement(definitions, BPMNDI + "BPMNDiagram", nsmap={"bpmndi": BPMNDI[1:-1], "dc": DC[1:-1], "di": DI[1:-1]})
    diagram.set("id", f"diagram_{plane_of}")
    plane = etree.SubElement(diagram, BPMNDI + "BPMNPlane")
    plane.set("id", f"plane_{plane_of}")
    plane.set("bpmnElement", plane_of)
    elements = {e.get("id"): e for e in definitions.iter(x.B + "*") if e.get("id")}
    for id, box in drawing.boxes.items():
        element = elements.get(id)
        shape = etree.SubElement(plane, BPMNDI + "BPMNShape")
        shape.set("id", f"{id}_di")
        shape.set("bpmnElement", id)
        tag = x.local(element) if element is not None else ""
        if tag in _SCOPES:
            shape.set("isExpanded", "true")
        elif tag in ("participant", "lane"):
            shape.set("isHorizontal", "true")
        elif tag == "exclusiveGateway":
            shape.set("isMarkerVisible", "true")
        bounds = etree.SubElement(shape, DC + "Bounds")
        for name, value in (("x", box.x), ("y", box.y), ("width", box.w), ("height", box.h)):
            bounds.set(name, str(value))
        if element is not None and element.get("name") and (tag in _EVENTS or tag in _GATEWAYS or tag == "boundaryEvent"):
            _label(shape, element.get("name"), box.x + box.w // 2, box.y - 24 if tag in _GATEWAYS else box.y + box.h + 6)
    for id, points in drawing.edges.items():
        edge = etree.SubElement(plane, BPMNDI + "BPMNEdge")
        edge.set("id", f"{id}_di")
        edge.set("bpmnElement", id)
        for px, py in points:
            point = etree.SubElement(edge, DI + "waypoint")
            point.set("x", str(px))
            point.set("y", str(py))
        element = elements.get(id)
        if element is not None and element.get("name"):
            (ax, ay), (bx, by) = points[-2], points[-1]
            _label(edge, element.get("name"), (ax + bx) // 2, (ay + by) // 2 - 20)


def _label(shape: Any, text: str, middle: int, top: int) -> None:
    wide = 7 * len(text) + 8  # in the viewer's type a narrower one breaks within words
    width = min(90, max(28, wide))
    bounds = etree.SubElement(etree.SubElement(shape, BPMNDI + "BPMNLabel"), DC + "Bounds")
    for name, value in (("x", middle - width // 2), ("y", top), ("width", width), ("height", 14 * (1 + (wide - 1) // 90))):
        bounds.set(name, str(value))

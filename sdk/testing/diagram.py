"""BPMN diagrams as inline SVG, coloured by coverage. Reads the model's own diagram (BPMN DI); a model without one is laid out.

The document may come from anyone: it is parsed without entities, numbers are bounded, texts are escaped and cut, and nothing of it becomes markup, a link
or a style. Source: BPMN 2.0.2, chapter 12 (BPMN DI) and the notation of chapters 7, 10.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from html import escape
from typing import Any

from flowledger.kernel.model import layout
from flowledger.kernel.model import xml as x

#: shapes and edges of one drawing
SHAPES_MAX = 20_000
#: coordinates, in the units of the diagram
COORDINATE_MAX = 100_000.0
TEXT_MAX = 200

_TASKS = {
    "task": "", "manualTask": "manual", "serviceTask": "service", "sendTask": "send", "scriptTask": "script", "businessRuleTask": "rule", "userTask": "user",
    "receiveTask": "receive", "callActivity": "call",
}  # fmt: skip
_SCOPES = {"subProcess", "transaction", "adHocSubProcess"}
_EVENTS = {"startEvent", "endEvent", "intermediateCatchEvent", "intermediateThrowEvent", "boundaryEvent"}
_GATEWAYS = {
    "exclusiveGateway": '<path class="mark" d="M-8-8L8 8M8-8L-8 8"/>',
    "parallelGateway": '<path class="mark" d="M0-11V11M-11 0H11"/>',
    "inclusiveGateway": '<circle class="mark" r="11"/>',
    "complexGateway": '<path class="mark" d="M0-12V12M-12 0H12M-8-8L8 8M8-8L-8 8"/>',
    "eventBasedGateway": '<circle class="thin" r="13"/><circle class="thin" r="10"/><path class="thin" d="M0-6L6-1L4 5H-4L-6-1Z"/>',
}
#: event definition -> what is drawn inside of the circle
_GLYPHS = {
    "message": '<path class="thin" d="M-9-6H9V6H-9ZM-9-6L0 1L9-6"/>',
    "timer": '<circle class="thin" r="9"/><path class="thin" d="M0-6V0L5 2"/>',
    "error": '<path class="thin" d="M-8 7L-3-7L3 3L8-7L4 7L-3-1Z"/>',
    "escalation": '<path class="thin" d="M0-8L7 8L0 1L-7 8Z"/>',
    "signal": '<path class="thin" d="M0-8L8 6H-8Z"/>',
    "compensate": '<path class="thin" d="M-1-6V6L-9 0ZM8-6V6L0 0Z"/>',
    "conditional": '<path class="thin" d="M-7-8H7V8H-7ZM-4-4H4M-4 0H4M-4 4H4"/>',
    "link": '<path class="thin" d="M-8-3H2V-7L9 0L2 7V3H-8Z"/>',
    "cancel": '<path class="thin" d="M-7-5L-5-7L0-2L5-7L7-5L2 0L7 5L5 7L0 2L-5 7L-7 5L-2 0Z"/>',
    "terminate": '<circle class="full" r="9"/>',
}
_MANY = '<path class="thin" d="M0-8L8-2L5 7H-5L-8-2Z"/>'

STYLE = """
.bpmn{background:#fff;font:11px system-ui,sans-serif}
.bpmn text{fill:#222;text-anchor:middle;paint-order:stroke;stroke:#fff;stroke-opacity:.6;stroke-width:3px}
.bpmn .shape,.bpmn .pool{fill:#fff;stroke:#555;stroke-width:1.5}
.bpmn .bold{stroke-width:3.5}.bpmn .dash{stroke-dasharray:5 3}
.bpmn .inner,.bpmn .thin,.bpmn .mark{fill:none;stroke:#444;stroke-width:1.2}.bpmn .mark{stroke-width:2.5}.bpmn .full{fill:#444}
.bpmn .flow{fill:none;stroke:#777;stroke-width:1.6}.bpmn .other{fill:none;stroke:#999;stroke-dasharray:4 4}
.bpmn .kind{font-size:8px;fill:#777;text-anchor:start}
.bpmn .passed .shape{fill:#d8f3dc;stroke:#2d6a4f}.bpmn .entered .shape{fill:#fff3bf;stroke:#b08900}.bpmn .missed .shape{fill:#ffe3e3;stroke:#c92a2a}
.bpmn .scope .shape{fill-opacity:.25}
.bpmn .passed.flow{stroke:#2d6a4f;stroke-width:2.2}.bpmn .missed.flow{stroke:#c92a2a;stroke-dasharray:6 3}
.bpmn .arrow{fill:#777;stroke:none}.bpmn .arrow.passed{fill:#2d6a4f}.bpmn .arrow.missed{fill:#c92a2a}
"""


def drawings(
    source: bytes, states: Mapping[str, str], titles: Mapping[str, str] | None = None, wanted: set[str] | None = None
) -> list[str]:
    """An `<svg>` for each plane of the diagram that shows one of `wanted` (None: all).

    `states`: element or flow id -> passed, entered, missed; others are drawn plain. `titles`: id -> text shown while the mouse is over it.
    Raises: BadXml.
    """
    definitions = layout.add(x.parse(source))
    elements = {e.get("id"): e for e in definitions.iter(x.B + "*") if e.get("id")}
    found = []
    for plane in definitions.iter(layout.BPMNDI + "BPMNPlane"):
        shown = {s.get("bpmnElement", "").rsplit(":", 1)[-1] for s in plane}
        if wanted is None or shown & wanted:
            found.append(_Plane(plane, elements, states, titles or {}).svg())
    return [svg for svg in found if svg]


class _Plane:
    def __init__(self, plane: Any, elements: dict[str, Any], states: Mapping[str, str], titles: Mapping[str, str]) -> None:
        self.plane, self.elements, self.states, self.titles = plane, elements, states, titles
        self.left = self.top = math.inf
        self.right = self.bottom = -math.inf

    def svg(self) -> str:
        back: list[tuple[float, str]] = []
        edges: list[str] = []
        front: list[str] = []
        for n, item in enumerate(self.plane):
            if n >= SHAPES_MAX:
                break
            id = item.get("bpmnElement", "").rsplit(":", 1)[-1]
            element = self.elements.get(id)
            if element is None:
                continue
            tag = x.local(item)
            if tag == "BPMNShape" and (box := self._box(item.find(layout.DC + "Bounds"))) is not None:
                kind = x.local(element)
                drawn = self._shape(id, kind, element, item, box)
                if kind in _SCOPES or kind in ("participant", "lane", "group"):
                    back.append((-box[2] * box[3], drawn))  # what is larger lies below
                else:
                    front.append(drawn)
            elif tag == "BPMNEdge":
                edges.append(self._edge(id, element, item))
        if not (back or edges or front) or self.left > self.right:
            return ""
        margin = 20
        width, height = self.right - self.left + 2 * margin, self.bottom - self.top + 2 * margin
        body = "".join([*(d for _, d in sorted(back, key=lambda p: p[0])), *edges, *front])
        return (
            f'<svg class="bpmn" xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}" '
            f'viewBox="{_n(self.left - margin)} {_n(self.top - margin)} {_n(width)} {_n(height)}" role="img">{body}</svg>'
        )

    # --- parts

    def _shape(self, id: str, kind: str, element: Any, item: Any, box: tuple[float, float, float, float]) -> str:
        left, top, width, height = box
        middle, centre = left + width / 2, top + height / 2
        name = element.get("name", "") if kind != "textAnnotation" else x.text_of(x.child(element, "text"))
        around = f'<g class="{self._state(id)}{" scope" if kind in _SCOPES else ""}" data-element="{_text(id)}">{self._title(id, name)}'
        if kind in _EVENTS:
            body = _event(kind, element, min(width, height) / 2, middle, centre) + self._label(item, name, middle, top + height + 12)
        elif kind in _GATEWAYS:
            mark = "" if kind == "exclusiveGateway" and item.get("isMarkerVisible") == "false" else _GATEWAYS[kind]
            points = f"{_n(middle)},{_n(top)} {_n(left + width)},{_n(centre)} {_n(middle)},{_n(top + height)} {_n(left)},{_n(centre)}"
            body = f'<polygon class="shape" points="{points}"/><g transform="translate({_n(middle)} {_n(centre)})">{mark}</g>'
            body += self._label(item, name, middle, top - 6)
        elif kind in _TASKS:
            body = _rect(box, 8, "shape bold" if kind == "callActivity" else "shape") + _lines(
                name, middle, centre, max(6, int(width / 6.2))
            )
            if _TASKS[kind]:
                body += f'<text class="kind" x="{_n(left + 6)}" y="{_n(top + 11)}">{_TASKS[kind]}</text>'
            body += _loop(element, middle, top + height)
        elif kind in _SCOPES:
            dash = " dash" if element.get("triggeredByEvent") == "true" else ""
            body = _rect(box, 8, f"shape{dash}")
            if kind == "transaction":
                body += _rect((left + 3, top + 3, width - 6, height - 6), 6, "inner")
            collapsed = item.get("isExpanded") == "false"
            body += _lines(name, middle, centre if collapsed else top + 14, max(6, int(width / 6.2)))
            if collapsed:
                body += f'<text x="{_n(middle)}" y="{_n(top + height - 5)}">[+]</text>'
            body += _loop(element, middle, top + height)
        elif kind in ("participant", "lane"):
            body = _rect(box, 0, "pool") + _upright(name, left + 12, centre)
        elif kind == "textAnnotation":
            body = f'<path class="thin" d="M{_n(left + 12)} {_n(top)}H{_n(left)}V{_n(top + height)}H{_n(left + 12)}"/>'
            body += _lines(name, middle, centre, max(6, int(width / 6)))
        else:  # data, groups
            body = _rect(box, 3, "inner dash" if kind == "group" else "inner") + self._label(item, name, middle, top + height + 12)
        return f"{around}{body}</g>"

    def _edge(self, id: str, element: Any, item: Any) -> str:
        points = [p for w in item.findall(layout.DI + "waypoint") if (p := self._point(w)) is not None]
        if len(points) < 2:
            return ""
        state = self._state(id)
        path = "M" + "L".join(f"{_n(px)} {_n(py)}" for px, py in points)
        flow = x.local(element) == "sequenceFlow"
        drawn = f'<path class="{f"flow {state}" if flow else "other"}" d="{path}"/>'
        if flow or x.local(element) == "messageFlow":
            (ax, ay), (bx, by) = points[-2], points[-1]
            angle = math.degrees(math.atan2(by - ay, bx - ax))
            drawn += f'<path class="arrow {state}" d="M0 0L-10-4V4Z" transform="translate({_n(bx)} {_n(by)}) rotate({_n(angle)})"/>'
        name = element.get("name", "")
        (ax, ay), (bx, by) = points[0], points[1]
        label = self._label(item, name, (ax + bx) / 2, (ay + by) / 2 - 6)
        return f'<g data-element="{_text(id)}">{self._title(id, name)}{drawn}{label}</g>'

    def _label(self, item: Any, name: str, middle: float, baseline: float) -> str:
        """Where the diagram says, else where it is usual."""
        if not name:
            return ""
        bounds = item.find(f"{layout.BPMNDI}BPMNLabel/{layout.DC}Bounds")
        box = self._box(bounds) if bounds is not None else None
        if box is not None:
            middle, baseline = box[0] + box[2] / 2, box[1] + 10
        return _lines(name, middle, baseline, 16, centred=False)

    def _state(self, id: str) -> str:
        state = self.states.get(id, "")
        return state if state in ("passed", "entered", "missed") else "plain"

    def _title(self, id: str, name: str) -> str:
        title = self.titles.get(id) or " ".join(t for t in (name, f"({id})") if t)
        return f"<title>{_text(title)}</title>"

    def _box(self, bounds: Any) -> tuple[float, float, float, float] | None:
        if bounds is None:
            return None
        left, top, width, height = (_number(bounds.get(a)) for a in ("x", "y", "width", "height"))
        if left is None or top is None or width is None or height is None or width <= 0 or height <= 0:
            return None
        self._see(left, top)
        self._see(left + width, top + height)
        return left, top, width, height

    def _point(self, waypoint: Any) -> tuple[float, float] | None:
        px, py = _number(waypoint.get("x")), _number(waypoint.get("y"))
        if px is None or py is None:
            return None
        self._see(px, py)
        return px, py

    def _see(self, px: Any, py: Any) -> None:
        self.left, self.right = min(self.left, px), max(self.right, px)
        self.top, self.bottom = min(self.top, py), max(self.bottom, py)


def _event(kind: str, element: Any, radius: float, middle: float, centre: float) -> str:
    dash = " dash" if element.get("cancelActivity") == "false" or element.get("isInterrupting") == "false" else ""
    body = f'<circle class="shape{" bold" if kind == "endEvent" else ""}{dash}" r="{_n(radius)}"/>'
    if kind not in ("startEvent", "endEvent"):
        body += f'<circle class="inner{dash}" r="{_n(max(1.0, radius - 3))}"/>'
    kinds = [x.local(k).removesuffix("EventDefinition") for k in element if x.local(k).endswith("ventDefinition")]
    if len(kinds) > 1:
        body += _MANY
    elif kinds:
        body += _GLYPHS.get(kinds[0], "")
    return f'<g transform="translate({_n(middle)} {_n(centre)})">{body}</g>'


def _loop(element: Any, middle: float, bottom: float) -> str:
    multi = element.find(x.B + "multiInstanceLoopCharacteristics")
    if multi is not None:
        d = "M-5-8H5M-5-5H5M-5-2H5" if multi.get("isSequential") == "true" else "M-4-9V-1M0-9V-1M4-9V-1"
    elif element.find(x.B + "standardLoopCharacteristics") is not None:
        d = "M-4-2A5 5 0 1 1 2-1M-7-4L-4-2L-4-6"
    else:
        return ""
    return f'<path class="mark" transform="translate({_n(middle)} {_n(bottom - 2)})" d="{d}"/>'


def _rect(box: tuple[float, float, float, float], radius: int, cls: str) -> str:
    left, top, width, height = box
    return f'<rect class="{cls}" x="{_n(left)}" y="{_n(top)}" width="{_n(max(1, width))}" height="{_n(max(1, height))}" rx="{radius}"/>'


def _lines(text: str, middle: float, at: float, width: int, centred: bool = True) -> str:
    if not text:
        return ""
    lines = textwrap.wrap(_clean(text), width, max_lines=5, placeholder=" ...") or [""]
    first = at - (len(lines) - 1) * 6.5 + 4 if centred else at
    return "".join(f'<text x="{_n(middle)}" y="{_n(first + 13 * n)}">{_text(line)}</text>' for n, line in enumerate(lines))


def _upright(text: str, at: float, centre: float) -> str:
    return f'<text transform="translate({_n(at + 4)} {_n(centre)}) rotate(-90)">{_text(text)}</text>' if text else ""


def _number(text: str | None) -> float | None:
    """Bounded; None for anything else than a number."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) <= COORDINATE_MAX else None


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _clean(text: str) -> str:
    return "".join(ch if ch.isprintable() else " " for ch in text[:TEXT_MAX])


def _text(text: str) -> str:
    return escape(_clean(text), quote=True)

"""What the mapping of BPML is made with: its state, and what one activity or schedule becomes, without what stands in it."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model.formats import bpml_expressions as ex
from flowledger.kernel.model.formats import bpml_grammar as g
from flowledger.kernel.model.formats import build
from flowledger.kernel.model.formats.bpml_document import Reader, iso_duration, iso_instant, kid, kids, local
from flowledger.kernel.model.formats.shared import Flows, Open


class Mapper(Flows):
    """State of the mapping of one top-level process."""

    def __init__(self, r: Reader, root: Any) -> None:
        self.r, self.root, self.draft = r, root, r.draft
        #: processes being inlined, outermost first: a nested process that calls itself can't be inlined
        self.inside: list[Any] = []
        #: process element -> ids of the activities that are its instances, in order of the document
        self.instances: dict[Any, list[str]] = {}
        self.compensations: list[tuple[Any, Any]] = []
        self.consumed: set[Any] = set()
        self.marks = 0

    def feel(self, text: str, at: Any, context: str = "") -> str:
        return ex.feel(self.r, text, at, context)


def time_of(m: Mapper, schedule: Any) -> tuple[str, str]:
    """(kind, value) of a timer event for a schedule or a delay."""
    repeat = schedule.get("repeat", "")
    if duration := schedule.get("duration"):
        if not iso_duration(duration):
            found = m.feel(duration, schedule)
            return "timer", f"= {found}" if schedule.get(f"{g.EXT}language") == "feel" else f"= duration({found})"
        if repeat.isascii() and repeat.isdigit():
            return "cycle", f"R{repeat}/{duration}"
        return ("cycle", repeat) if repeat else ("timer", duration)
    instant = schedule.get("instant", "")
    if not iso_instant(instant):
        found = m.feel(instant, schedule)
        return "date", f"= {found}" if schedule.get(f"{g.EXT}language") == "feel" else f"= date and time({found})"
    return ("cycle", f"{repeat.split('/')[0]}/{instant}/{repeat.split('/')[1]}") if "/" in repeat else ("date", instant)


def signals(element: Any, *more: Any) -> list[str]:
    holders = [kid(element, "context"), *more]
    return [s.get("name") for holder in holders if holder is not None for s in kids(holder, "signal")]


def latch_of(name: str) -> str:
    return f"signal_{build.variable_name(name)}"


def id_of(m: Mapper, element: Any) -> str:
    """The activity's name, else `kind_n` (n-th of its kind in its parent)."""
    if name := element.get("name"):
        return str(name)
    kind = local(element)
    n = 1 + sum(1 for _ in element.itersiblings(element.tag, preceding=True))
    owner = element.getparent()
    while owner is not None and not owner.get("name"):
        owner = owner.getparent()
    return f"{owner.get('name')}_{kind}_{n}" if owner is not None else f"{kind}_{n}"


def title_of(element: Any) -> str:
    """What people call it: `bpmlx:label`, else its name."""
    return str(element.get(f"{g.EXT}label") or element.get("name", ""))


def node_of(m: Mapper, scope: build.Scope, tag: str, element: Any, opens: list[Open]) -> Any:
    node = scope.node(tag, id_of(m, element), title_of(element), m.r.place(element))
    build.document(node, text_of(kid(element, "documentation")))
    if opens:
        m.join(scope, opens, node)
    return node


def text_of(element: Any) -> str:
    return "".join(element.itertext()).strip() if element is not None else ""

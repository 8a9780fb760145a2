"""Models as advice would have them: steps side by side, a check left out, a queue of its own, codes that are not tried again. Text in, text out; drawn anew."""

from __future__ import annotations

import itertools
from typing import Any

from lxml import etree

from flowledger.kernel.model import layout
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.encodings import utf8

_DI = "{http://www.omg.org/spec/BPMN/20100524/DI}BPMNDiagram"


class NotDrawn(Exception):
    """The model isn't as the advice expects it: the message says what."""


class Sheet:
    """A BPMN model that is changed."""

    def __init__(self, text: str, process: str) -> None:
        self.root = x.parse(utf8(text))
        found = [p for p in self.root.iter(x.B + "process") if p.get("id") == process]
        if not found:
            raise NotDrawn(f"no process {process} in the model")
        self.process = found[0]
        self.ids = {e.get("id") for e in self.root.iter() if isinstance(e.tag, str) and e.get("id")}

    def text(self) -> str:
        """With a diagram that is laid out anew: what was drawn shows what isn't there any more."""
        for old in self.root.findall(_DI):
            self.root.remove(old)
        layout.add(self.root)
        return str(etree.tostring(self.root, encoding="unicode"))

    def element(self, id: str) -> Any:
        for e in self.process.iter():
            if isinstance(e.tag, str) and e.get("id") == id:
                return e
        raise NotDrawn(f"no element {id} in the model")

    def flows(self, end: str, id: str) -> list[Any]:
        return [f for f in self.process.iter(x.B + "sequenceFlow") if f.get(end) == id]

    def free(self, name: str) -> str:
        """An id that is not taken."""
        found, n = name, 1
        while found in self.ids:
            n += 1
            found = f"{name}_{n}"
        self.ids.add(found)
        return found

    def bind(self, flow: Any, **ends: str) -> None:
        """Another source or target, said at the elements as well."""
        for end, id in ends.items():
            tag = x.B + ("outgoing" if end == "sourceRef" else "incoming")
            for e in list(self.process.iter(tag)):
                if (e.text or "").strip() == flow.get("id"):
                    e.getparent().remove(e)
            flow.set(end, id)
            self._note(self.element(id), tag, flow.get("id"))

    @staticmethod
    def _note(node: Any, tag: str, flow: str) -> None:
        """`incoming` and `outgoing` stand behind documentation and extensions, in this order."""
        before = (x.B + "documentation", x.B + "extensionElements", x.B + "incoming", *([tag] if tag.endswith("outgoing") else []))
        place = sum(1 for kid in node if kid.tag in before)
        mark = etree.Element(tag)
        mark.text = flow
        node.insert(place, mark)

    def join(self, source: str, target: str, beside: Any) -> None:
        flow = etree.SubElement(beside.getparent(), x.B + "sequenceFlow", id=self.free(f"flow_{source}_{target}"))
        self.bind(flow, sourceRef=source, targetRef=target)

    def drop(self, element: Any) -> None:
        for tag in ("incoming", "outgoing"):
            for e in list(self.process.iter(x.B + tag)):
                if (e.text or "").strip() == element.get("id"):
                    e.getparent().remove(e)
        for ref in list(self.process.iter(x.B + "flowNodeRef")):
            if (ref.text or "").strip() == element.get("id"):
                ref.getparent().remove(ref)
        element.getparent().remove(element)


def parallel(text: str, process: str, elements: list[str]) -> str:
    """Steps that follow one another, each with one way in and one out, between two parallel gateways."""
    s = Sheet(text, process)
    first, last = s.element(elements[0]), s.element(elements[-1])
    ins, outs = s.flows("targetRef", elements[0]), s.flows("sourceRef", elements[-1])
    if len(ins) != 1 or len(outs) != 1:
        raise NotDrawn(f"one way to {elements[0]} and one from {elements[-1]} were expected")
    fork = etree.Element(x.B + "parallelGateway", id=s.free(f"fork_{elements[0]}"))
    meet = etree.Element(x.B + "parallelGateway", id=s.free(f"join_{elements[0]}"))
    first.addprevious(fork)
    last.addnext(meet)
    for one, two in itertools.pairwise(elements):
        between = [f for f in s.flows("sourceRef", one) if f.get("targetRef") == two]
        if len(between) != 1:
            raise NotDrawn(f"a flow from {one} to {two} was expected")
        s.drop(between[0])
    s.bind(ins[0], targetRef=fork.get("id"))
    s.bind(outs[0], sourceRef=meet.get("id"))
    for id in elements:
        s.join(fork.get("id"), id, first)
        s.join(id, meet.get("id"), first)
    return s.text()


def without(text: str, process: str, element: str, gateway: str, keeps: str) -> str:
    """Without a check and the gateway behind it: flow `keeps` is what is left of it; what can't be reached any more goes, too."""
    s = Sheet(text, process)
    node, fork, kept = s.element(element), s.element(gateway), s.element(keeps)
    target, ins = kept.get("targetRef"), s.flows("targetRef", element)
    gone = s.flows("sourceRef", gateway)
    for flow in [*s.flows("sourceRef", element), *gone]:
        s.drop(flow)
    for flow in ins:
        s.bind(flow, targetRef=target)
    s.drop(node)
    s.drop(fork)
    _pruned(s, [f.get("targetRef") for f in gone if f is not kept])
    return s.text()


def _pruned(s: Sheet, from_: list[str]) -> None:
    """What nothing leads to any more, from these on."""
    left = list(from_)
    while left:
        id = left.pop()
        try:
            node = s.element(id)
        except NotDrawn:
            continue
        if s.flows("targetRef", id) or x.local(node) == "startEvent":
            continue
        for flow in s.flows("sourceRef", id):
            left.append(flow.get("targetRef"))
            s.drop(flow)
        for guard in [b for b in s.process.iter(x.B + "boundaryEvent") if b.get("attachedToRef") == id]:
            for flow in s.flows("sourceRef", guard.get("id")):
                left.append(flow.get("targetRef"))
                s.drop(flow)
            s.drop(guard)
        s.drop(node)


def apart(text: str, process: str, elements: list[str], suffix: str) -> str:
    """These elements ask workers of another job type, or people of other groups, by a suffix to the name."""
    s = Sheet(text, process)
    for id in elements:
        node, done = s.element(id), False
        for e in node.iter():
            if not isinstance(e.tag, str):
                continue
            for name in ("candidateGroups", "groups", *(("type",) if x.local(e) == "taskDefinition" else ())):
                if e.get(name):
                    e.set(name, ",".join(f"{part.strip()}-{suffix}" for part in e.get(name, "").split(",")))
                    done = True
        if not done:
            raise NotDrawn(f"{id} names no job type and no group as a text")
    return s.text()


def never(text: str, process: str, elements: list[str], codes: list[str]) -> str:
    """The retry policies of these elements leave out error codes."""
    s = Sheet(text, process)
    for id in elements:
        policy = s.element(id).find(f"{x.B}extensionElements/{x.OWN}retry")
        if policy is None:
            raise NotDrawn(f"{id} has no retry policy of its own")
        had = [c.strip() for c in policy.get("never", "").split(",") if c.strip()]
        policy.set("never", ",".join(dict.fromkeys([*had, *codes])))
    return s.text()

"""The shapes of a drawing that BPML's blocks are found in: merges left out, loops, and where ways that part come together again.

`plainly` is also the form in which a drawing is compared with what was written of it: what is gone in it does nothing but bring ways together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Set
from typing import Any

from flowledger.kernel import feel
from flowledger.kernel.model import xml as x

_COUNTS = ("parallelGateway", "inclusiveGateway", "complexGateway")
_PASSES = ("exclusiveGateway", "parallelGateway", "inclusiveGateway", "task", "manualTask", "intermediateThrowEvent")
#: what its name is more than a title of
_NAMED = ("message", "signal", "error", "escalation", "linkEventDefinition")
_POSITION = re.compile(r"\bpos=\d+(, )?")


def tag_of(e: Any) -> str:
    return str(e.tag).rpartition("}")[2]


def definitions_of(e: Any) -> list[Any]:
    return [d for d in e if tag_of(d).endswith("EventDefinition")]


def condition_of(flow: Any) -> str:
    return x.text_of(flow.find(x.B + "conditionExpression")).strip()


def is_plain_end(e: Any) -> bool:
    return (
        tag_of(e) == "endEvent"
        and not definitions_of(e)
        and not e.findall(f"{x.B}extensionElements/{x.Z}*")
        and not e.findall(f"{x.B}extensionElements/{x.OWN}*")
    )


def plainly(tree: Any, loops: bool = True) -> Any:
    """Changes the tree: no gateway that only brings ways together, no task that does nothing, one plain end in each scope, no diagram. `loops`: those
    stay at which a loop begins, so that loops that begin one in another can be told apart."""
    for e in [*tree.findall("{http://www.omg.org/spec/BPMN/20100524/DI}BPMNDiagram"), *tree.iter(x.B + "incoming", x.B + "outgoing")]:
        e.getparent().remove(e)
    for holder in [*tree.findall(x.B + "process"), *tree.iter(x.B + "subProcess")]:
        _contract(holder, _heads(holder) if loops else set())
    ids = {e.get("id") for e in tree.iter() if isinstance(e.tag, str)}
    for e in [e for e in tree.iter(x.B + "flowNodeRef") if (e.text or "").strip() not in ids]:
        e.getparent().remove(e)
    return tree


def _heads(holder: Any) -> set[str]:
    return set(Shape(holder).loops)


def _contract(holder: Any, heads: set[str]) -> None:
    ends = [e for e in holder if is_plain_end(e)]
    flows = holder.findall(x.B + "sequenceFlow")
    for end in ends[1:]:
        for f in flows:
            if f.get("targetRef") == end.get("id"):
                f.set("targetRef", ends[0].get("id"))
        holder.remove(end)
    hosts = {e.get("attachedToRef") for e in holder}
    nodes = {e.get("id"): e for e in holder if e.get("id")}
    out: dict[str, list[Any]] = {}
    into: dict[str, list[Any]] = {}
    for f in flows:
        out.setdefault(f.get("sourceRef"), []).append(f)
        into.setdefault(f.get("targetRef"), []).append(f)
    for node in list(nodes.values()):
        id = node.get("id")
        ways, comes = out.get(id, []), into.get(id, [])
        if tag_of(node) not in _PASSES or id in heads or len(ways) != 1 or not comes or condition_of(ways[0]) or definitions_of(node):
            continue
        if tag_of(node) in _COUNTS and len(comes) != 1:
            continue
        if id in hosts or any(tag_of(k) not in ("documentation",) for k in node) or node.get("isForCompensation") == "true":
            continue
        target = nodes.get(ways[0].get("targetRef"))
        if target is None or target is node or (tag_of(target) in _COUNTS and len(comes) != 1):
            continue
        if any(tag_of(nodes[f.get("sourceRef")]) == "eventBasedGateway" for f in comes if f.get("sourceRef") in nodes):
            continue
        into[target.get("id")].remove(ways[0])
        for f in comes:
            f.set("targetRef", target.get("id"))
            into[target.get("id")].append(f)
        holder.remove(node)
        holder.remove(ways[0])
        del into[id], out[id]


def meant(text: str) -> str:
    """What an expression means, however it is put: without blanks, and brackets that change nothing. A text that is none is itself."""
    try:
        return _POSITION.sub("", repr(feel.parse(text.strip().removeprefix("="))))
    except feel.FeelSyntaxError:
        return text.strip()


def compared(tree: Any) -> Any:
    """As `plainly`, and each expression by what it means, a message that is waited for always in the same element."""
    plainly(tree, loops=False)
    for e in tree.iter():
        if not isinstance(e.tag, str):
            continue
        if (e.text or "").lstrip().startswith("=") or tag_of(e) in ("conditionExpression", "condition"):
            e.text = _sign(e.text or "")
        if e.get("id"):
            e.attrib.pop("name", None) if tag_of(e) not in _NAMED else None
        for name, value in e.attrib.items():
            if value.lstrip().startswith("=") and not name.startswith("{"):
                e.set(name, _sign(value))
    waited = {f.get("targetRef") for g in tree.iter(x.B + "eventBasedGateway") for f in g.getparent() if f.get("sourceRef") == g.get("id")}
    for e in [e for e in tree.iter(x.B + "intermediateCatchEvent") if e.get("id") not in waited]:
        found = definitions_of(e)
        if len(found) == 1 and tag_of(found[0]) == "messageEventDefinition":
            e.tag = x.B + "receiveTask"
            e.set("messageRef", found[0].get("messageRef", ""))
            e.remove(found[0])
    return tree


def _sign(text: str) -> str:
    source = text.strip().removeprefix("=").strip()
    if re.fullmatch(r'"[^"\\]*"', source):
        return text  # a text: compared with one that is not written as an expression
    return f"= x_{hashlib.sha256(meant(source).encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


class Shape:
    """A process or sub-process: its nodes, and where its ways lead."""

    def __init__(self, holder: Any) -> None:
        self.nodes = {e.get("id"): e for e in holder if e.get("id") and tag_of(e) not in ("sequenceFlow", "association", "textAnnotation")}
        self.out: dict[str, list[Any]] = {id: [] for id in self.nodes}
        self.into: dict[str, list[Any]] = {id: [] for id in self.nodes}
        for f in holder.findall(x.B + "sequenceFlow"):
            if f.get("sourceRef") in self.nodes and f.get("targetRef") in self.nodes:
                self.out[f.get("sourceRef")].append(f)
                self.into[f.get("targetRef")].append(f)
        self.on: dict[str, list[Any]] = {}
        for e in self.nodes.values():
            if tag_of(e) == "boundaryEvent":
                self.on.setdefault(e.get("attachedToRef"), []).append(e)
        self.starts = [e for e in self.nodes.values() if tag_of(e) == "startEvent"]
        #: flows that lead back
        self.back: set[str] = set()
        #: head of a loop -> the nodes of the loop
        self.loops: dict[str, set[str]] = {}
        self._order: list[str] = []
        self._walk()
        self._after = self._meet()

    def ways(self, id: str) -> list[tuple[str, Any]]:
        """(next node, flow); what stands on a node's edge comes after it, with no flow."""
        return [(f.get("targetRef"), f) for f in self.out.get(id, [])] + [(b.get("id"), None) for b in self.on.get(id, [])]

    def _walk(self) -> None:
        state: dict[str, int] = {}
        for start in [s.get("id") for s in self.starts] or list(self.nodes)[:1]:
            stack = [(start, iter(self.ways(start)))] if start not in state else []
            state.setdefault(start, 1)
            while stack:
                id, ways = stack[-1]
                for to, flow in ways:
                    if state.get(to) == 1:
                        if flow is not None:
                            self.back.add(flow.get("id"))
                            self._loop(to, id)
                    elif to not in state:
                        state[to] = 1
                        stack.append((to, iter(self.ways(to))))
                        break
                else:
                    state[id] = 2
                    self._order.append(id)
                    stack.pop()
        self.reached = set(state)

    def _loop(self, head: str, tail: str) -> None:
        found = self.loops.setdefault(head, {head})
        todo = [tail]
        while todo:
            id = todo.pop()
            if id in found:
                continue
            found.add(id)
            todo += [f.get("sourceRef") for f in self.into[id]]
            if (host := self.nodes[id].get("attachedToRef")) is not None:
                todo.append(host)

    def tail_of(self, head: str) -> Any:
        """The gateway at which a loop is left at its end, or None."""
        found = {f.get("sourceRef") for f in self.into[head] if f.get("id") in self.back}
        if len(found) != 1:
            return None
        [tail] = found
        ways = self.out[tail]
        leaves = [f for f in ways if f.get("targetRef") not in self.loops[head]]
        return self.nodes[tail] if tag_of(self.nodes[tail]) == "exclusiveGateway" and len(ways) == 2 and len(leaves) == 1 else None

    def _meet(self) -> dict[str, set[str] | None]:
        """For each node what every way from it passes that gets anywhere; None: none does, all end in an error."""
        after: dict[str, set[str] | None] = {}
        for id in self._order:
            ways: list[set[str] | None] = []
            for to, flow in self.ways(id):
                if flow is not None and flow.get("id") in self.back:
                    leaves = any(
                        f.get("targetRef") not in self.loops[to] and after.get(f.get("targetRef")) is not None for f in self.out[id]
                    )
                    if not leaves:
                        ways.append({f"back to {to}"})
                elif id in self.loops and flow is not None and to in self.loops[id] and self.leaves(id):
                    continue
                else:
                    ways.append(after.get(to))
            if not self.out[id]:
                ends = tag_of(self.nodes[id]) == "boundaryEvent" or any(
                    tag_of(d) in ("errorEventDefinition", "terminateEventDefinition", "cancelEventDefinition")
                    for d in definitions_of(self.nodes[id])
                )
                ways = [*ways, None if ends else set()]
            alive = [w for w in ways if w is not None]
            after[id] = {id, *set.intersection(*alive)} if alive else None
        return after

    def leaves(self, head: str) -> bool:
        """Whether a loop is left where it begins."""
        return any(f.get("targetRef") not in self.loops[head] for f in self.out[head])

    def passes(self, id: str, by: str) -> bool:
        """Whether every way from `id` that gets anywhere passes `by`."""
        found = self._after.get(id)
        return found is None or by in found

    def meet(self, id: str, but: Set[str] = frozenset()) -> str | None:
        """Where the ways that part at a node come together; None: nowhere before the end, or before the loop begins anew."""
        found = (self._after.get(id) or {id}) - {id}
        known = [n for n in found if not n.startswith("back to ") and n not in but]
        return max(known, key=lambda n: len(self._after.get(n) or ()), default=None)

"""BPMN in the Zeebe dialect -> BPML 1.0 by the project profile: the other way of `bpml_map.py`.

BPML has blocks, a drawing has ways: the blocks are found again by where ways part and come together (`bpml_shapes.py`). What BPML has no words for is
left out and said, element by element; what it says otherwise (a boundary event as the context of a block of its own) is said as well (`WRITE_SHAPED`).
XPath is written where it reads as the same FEEL, else FEEL itself, marked as such by an attribute of the project's namespace.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Any

from lxml import etree

from flowledger.kernel.findings import Finding
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.formats import bpml_grammar as g
from flowledger.kernel.model.formats import bpml_write_events as events
from flowledger.kernel.model.formats import bpml_write_parts as parts
from flowledger.kernel.model.formats.bpml_shapes import condition_of, definitions_of, is_plain_end, plainly, tag_of
from flowledger.kernel.model.formats.bpml_write_scope import Scope
from flowledger.kernel.model.formats.write_process import Writer

_TASKS = ("serviceTask", "sendTask", "userTask", "receiveTask", "scriptTask", "callActivity")
_QUIET = frozenset(
    "startEvent boundaryEvent endEvent sequenceFlow association textAnnotation documentation extensionElements laneSet group".split()
)
_NESTING_MAX = 60


def write(tree: Any, file: str = "") -> tuple[list[tuple[str, list[Finding]]], list[Finding]]:
    """The text with its findings, in a list, which is empty where no process can be written at all. Changes the tree."""
    w = BpmlWriter(tree, file)
    processes = list(tree.findall(x.B + "process"))
    found = [p for p in processes if p.get("isExecutable") != "false"] or processes
    if not found:
        w.lost(tree, "WRITE_ONE", "expected a process, found none")
        return [], w.findings
    text = w.package(plainly(tree), found)
    return [(text, w.findings)], []


class BpmlWriter(Writer):
    WORD = "BPML has no word for it"

    def __init__(self, tree: Any, file: str) -> None:
        super().__init__(tree, file)
        self.names: set[str] = set()
        #: names of signals, identities and nested processes that are declared in the package, so that none is declared twice
        self.identities: dict[str, str] = {}
        self.used: set[str] = set()
        self.processes: set[str] = set()
        self.undone: dict[str, str] = {}
        self.imports = False
        self.depth = 0
        #: the element that is being written
        self.here: Any = tree

    # ------------------------------------------------------------------ the package

    def package(self, tree: Any, processes: list[Any]) -> str:
        target = tree.get("targetNamespace") or ""
        if not target.strip() or target.startswith("http://www.bpmi.org/") or target in (g.EXT_NS, g.DEPLOYED_NS):
            target = "urn:flowledger:models"
        spaces = {None: g.BPML_NS, "tns": target, "inst": g.INST_NS, "bpmlx": g.EXT_NS, "deployed": g.DEPLOYED_NS, "xsi": x.XSI_NS}
        self.root = etree.Element(g.P + "package", nsmap=spaces, targetNamespace=target)
        self.processes = {p.get("id") for p in processes}
        for p in processes:
            self.top(p)
        head = []
        if self.imports:
            head.append(etree.Element(g.P + "import", namespace=g.DEPLOYED_NS))
        head += [etree.Element(g.P + "property", name=name) for name in sorted(self.names)]
        head += [etree.Element(g.P + "identity", name=name, property=on) for on, name in self.identities.items()]
        for n, e in enumerate(head):
            self.root.insert(n, e)
        said = " ".join(v for e in self.root.iter() for v in (*e.attrib.values(), e.text or ""))
        named = {"inst": r"\$inst:", "bpmlx": r"\bbpmlx:[a-z-]+\(", "deployed": r"\bdeployed:"}  # prefixes that stand in texts
        etree.cleanup_namespaces(self.root, keep_ns_prefixes=["tns", *(p for p, sign in named.items() if re.search(sign, said))])
        etree.indent(self.root)
        text: bytes = etree.tostring(self.root, xml_declaration=True, encoding="UTF-8")
        return text.decode() + "\n"

    def top(self, p: Any) -> None:
        made = etree.SubElement(self.root, g.P + "process", name=self.name(p))
        self.titled(made, p)
        for name, _ in self.extensions(p):
            self.left_out(p, name)
        if p.find(f"{x.B}laneSet//{x.B}flowNodeRef") is not None:
            self.left_out(p, "which lane an element is in")
        scope = Scope(self, p, made, None)
        body = events.unwrapped(self, scope)
        if body is not None:  # a message that starts it, then all in a scope of its own: that is how one with exceptions is read
            scope = body
        events.started(self, scope, p, made)
        self.rest(scope, made)

    def rest(self, scope: Scope, made: Any) -> None:
        """What follows the starts, then what the context answers to."""
        if not parts.has_activity(made):
            etree.SubElement(made, g.P + "empty")
        events.handlers(self, scope)
        for e in scope.holder:
            id = e.get("id")
            if id and id not in scope.seen and tag_of(e) not in _QUIET and e not in scope.handlers and e.get("isForCompensation") != "true":
                if tag_of(e).startswith(("dataObject", "dataStore")) or tag_of(e).endswith("LoopCharacteristics"):
                    continue
                self.lost(e, "WRITE_LOST", f"'{id}' is not kept: no block of BPML leads to it")
            if tag_of(e) == "endEvent" and id not in scope.seen and not is_plain_end(e):
                self.lost(e, "WRITE_LOST", f"'{id}' is not kept: no block of BPML leads to it")

    # ------------------------------------------------------------------ names

    def name(self, e: Any, more: str = "") -> str:
        """An id as a name that BPML takes; unique among those that were given."""
        wanted = re.sub(r"[^\w.-]", "_", e.get("id") or "_") + more
        wanted = wanted if re.fullmatch(g.NCNAME, wanted) else "_" + wanted
        found, n = wanted, 2
        while found in self.used:
            found, n = f"{wanted}_{n}", n + 1
        self.used.add(found)
        return found

    def titled(self, made: Any, e: Any) -> None:
        if e.get("name") and e.get("name") != made.get("name"):
            made.set(f"{{{g.EXT_NS}}}label", e.get("name"))
        if (said := e.find(x.B + "documentation")) is not None and x.text_of(said).strip():
            etree.SubElement(made, g.P + "documentation").text = x.text_of(said)

    def activity(self, to: Any, tag: str, e: Any, **attributes: str) -> Any:
        made = etree.SubElement(to, g.P + tag, name=self.name(e), **attributes)
        self.titled(made, e)
        return made

    def shaped(self, e: Any, what: str) -> None:
        self.lost(e, "WRITE_SHAPED", f"'{e.get('id')}' {what}")

    def between(self, scope: Scope, e: Any, to: Any) -> None:
        events.between(self, scope, e, to)

    def raised(self, scope: Scope, e: Any, to: Any) -> bool:
        return events.raised(self, scope, e, to)

    # ------------------------------------------------------------------ ways

    def follow(self, scope: Scope, id: str | None, stop: str | None, to: Any) -> None:
        """The set from a node up to `stop`, or to the end."""
        self.depth += 1
        if self.depth > _NESTING_MAX:
            self.lost(
                scope.shape.nodes.get(id, scope.holder), "WRITE_LOST", f"blocks within blocks, deeper than {_NESTING_MAX}, are not kept"
            )
            id = None
        while id is not None and id != stop:
            e = scope.shape.nodes[id]
            if id in scope.seen and not is_plain_end(e):
                self.lost(e, "WRITE_LOST", f"'{id}' is reached by ways that no block of BPML brings together: it stands once")
                break
            if id in scope.shape.loops and id not in scope.entered:
                scope.entered.add(id)
                id = self.again(scope, e, stop, to)
                continue
            scope.seen.add(id)
            id = self.step(scope, e, stop, to)
        self.depth -= 1

    def step(self, scope: Scope, e: Any, stop: str | None, to: Any) -> str | None:
        """One block; gives the node after it."""
        tag, self.here = tag_of(e), e
        if tag == "endEvent":
            if stop is not None and is_plain_end(e):
                self.lost(e, "WRITE_LOST", f"'{e.get('id')}' ends amid a block, which BPML can't")
            elif not is_plain_end(e):
                events.ended(self, scope, e, to)
            return None
        ways = [f for f in scope.shape.out[e.get("id")] if f.get("id") not in scope.shape.back or f.get("targetRef") == stop]
        for f in scope.shape.out[e.get("id")]:
            if f not in ways:
                self.lost(f, "WRITE_LOST", f"'{f.get('id')}' leads back in a way that is neither while nor until")
        if tag == "exclusiveGateway":
            return self.switch(scope, e, ways, stop, to)
        if tag == "eventBasedGateway":
            return self.choice(scope, e, ways, stop, to)
        if tag in ("inclusiveGateway", "complexGateway"):
            self.left_out(e, tag)
            return self.switch(scope, e, ways, stop, to)
        if tag == "parallelGateway" and len(ways) > 1 and (spawned := events.spawned(self, scope, e, ways, to)) is not None:
            return spawned
        if tag == "parallelGateway" and len(scope.shape.into[e.get("id")]) > 1:
            self.lost(e, "WRITE_LOST", f"'{e.get('id')}' waits for ways that no block of BPML brings together")
        if tag != "parallelGateway":
            to = self.guarded(scope, e, ways, to)
        if len(ways) > 1:
            if any(condition_of(f) for f in ways):
                self.left_out(e, "a condition on a way out of what is no gateway")
            return self.all(scope, e, ways, stop, to)
        return ways[0].get("targetRef") if ways else None

    def guarded(self, scope: Scope, e: Any, ways: list[Any], to: Any) -> Any:
        """An activity, in a block of its own when it has boundary events."""
        on = [
            b for b in scope.shape.on.get(e.get("id"), []) if not any(tag_of(d) == "compensateEventDefinition" for d in definitions_of(b))
        ]
        then = ways[0].get("targetRef") if len(ways) == 1 else None
        kept = [b for b in on if events.rejoins(self, scope, b, then)]
        into = to
        if kept:
            into = etree.SubElement(to, g.P + "sequence", name=self.name(e, "_block"))
            block = Scope(self, etree.Element(x.B + "subProcess"), into, scope)
            block.shape, block.seen, block.entered = scope.shape, scope.seen, scope.entered
        parts.activity(self, scope, e, into)
        for b in kept:
            events.boundary(self, block, b, then)
        return to

    # ------------------------------------------------------------------ blocks

    def switch(self, scope: Scope, e: Any, ways: list[Any], stop: str | None, to: Any) -> str | None:
        default = next((f for f in ways if f.get("id") == e.get("default")), None)
        cases = [f for f in ways if f is not default]
        for name, _ in self.extensions(e):
            self.left_out(e, name)
        if not cases:
            return default.get("targetRef") if default is not None else None
        free = [f for f in cases if not condition_of(f)]
        if len(ways) == 1 and free:
            return str(ways[0].get("targetRef"))
        for f in free:
            self.lost(f, "WRITE_LOST", f"'{f.get('id')}' has no condition, and is none that is taken otherwise: it is always taken")
        meet = self.meets(scope, e, stop)
        made = self.activity(to, "switch", e)
        for f in cases:
            case = etree.SubElement(made, g.P + "case")
            if f.get("name"):
                case.set(f"{{{g.EXT_NS}}}label", f.get("name"))
            self.condition(case, condition_of(f) or "= true")
            self.follow(scope, f.get("targetRef"), meet, case)
        if default is None:
            self.lost(e, "WRITE_LOST", f"'{e.get('id')}' has no way that is taken otherwise: here it goes on when no condition holds")
        else:
            other = etree.SubElement(made, g.P + "default")
            self.follow(scope, default.get("targetRef"), meet, other)
            if not len(other):
                made.remove(other)
        return None if meet == stop else meet

    def meets(self, scope: Scope, e: Any, stop: str | None, but: Set[str] = frozenset()) -> str | None:
        found = scope.shape.meet(e.get("id"), but)
        if found is not None and is_plain_end(scope.shape.nodes[found]):
            found = None
        return stop if found is None else found

    def condition(self, to: Any, text: str) -> None:
        made = etree.SubElement(to, g.P + "condition")
        parts.expression(self, made, "", text)

    def all(self, scope: Scope, e: Any, ways: list[Any], stop: str | None, to: Any) -> str | None:
        meet = scope.shape.meet(e.get("id"))
        join = scope.shape.nodes[meet] if meet is not None else None
        joins = join is not None and tag_of(join) == "parallelGateway" and meet != stop
        made = etree.SubElement(to, g.P + "all", name=self.name(e)) if tag_of(e) == "parallelGateway" else etree.SubElement(to, g.P + "all")
        if tag_of(e) == "parallelGateway":
            self.titled(made, e)
        else:
            self.shaped(e, "has several ways out: they are written as ways that are brought together")
        if not joins:
            if stop is not None or (join is not None and not is_plain_end(join)):
                self.lost(e, "WRITE_LOST", f"'{e.get('id')}' parts ways that nothing waits for again: what follows them is not kept")
                meet = None
            else:
                self.shaped(e, "parts ways that end by themselves: here they end together")
        for f in ways:
            branch = etree.SubElement(made, g.P + "sequence")
            self.follow(scope, f.get("targetRef"), meet if joins else None, branch)
            inner = list(branch)
            if not inner:
                branch.tag = g.P + "empty"
            elif len(inner) == 1 and x.local(inner[0]) != "context":
                made.replace(branch, inner[0])
        if not joins:
            return None
        scope.seen.add(str(meet))
        out = [f for f in scope.shape.out[str(meet)] if f.get("id") not in scope.shape.back or f.get("targetRef") == stop]
        if len(out) > 1:
            self.shaped(join, "brings ways together and parts them: here these are two blocks")
            return self.all(scope, join, out, stop, to)
        return out[0].get("targetRef") if out else None

    def choice(self, scope: Scope, e: Any, ways: list[Any], stop: str | None, to: Any) -> str | None:
        meet = self.meets(scope, e, stop, {f.get("targetRef") for f in ways})
        good = []
        for f in ways:
            node = scope.shape.nodes[f.get("targetRef")]
            if events.is_trigger(self, node):
                good.append((f, node))
            else:
                self.left_out(node, "what is waited for")
        made = self.activity(to, "choice", e)
        for _, node in good:
            event = etree.SubElement(made, g.P + "event")
            scope.seen.add(node.get("id"))
            events.trigger(self, scope, node, event)
            out = scope.shape.out[node.get("id")]
            self.follow(scope, out[0].get("targetRef") if out else None, meet, event)
            parts.replies(event)
        if len(good) < 2:
            self.lost(e, "WRITE_LOST", f"'{e.get('id')}': a choice needs two events or more, found {len(good)}")
            to.remove(made)
            for event in made.findall(g.P + "event"):
                to.extend(list(event))
        return None if meet == stop else meet

    def again(self, scope: Scope, e: Any, stop: str | None, to: Any) -> str | None:
        id = e.get("id")
        body = scope.shape.loops[id]
        ways = scope.shape.out[id]
        inside = [f for f in ways if f.get("targetRef") in body]
        if tag_of(e) == "exclusiveGateway" and len(ways) == 2 and len(inside) == 1:
            [leave] = [f for f in ways if f not in inside]
            made = self.activity(to, "while", e)
            self.repeats(made, e, inside[0], leave)
            scope.seen.add(id)
            self.follow(scope, inside[0].get("targetRef"), id, made)
        else:
            tail = scope.shape.tail_of(id)
            if tail is None:
                return str(id)  # what leads back is said where it leaves
            back, leave = sorted(scope.shape.out[tail.get("id")], key=lambda f: f.get("targetRef") != id)
            made = self.activity(to, "until", tail)
            self.repeats(made, tail, leave, back)
            self.follow(scope, id, tail.get("id"), made)
            scope.seen.add(tail.get("id"))
        if not parts.has_activity(made):
            etree.SubElement(made, g.P + "empty")
        return None if leave.get("targetRef") == stop else leave.get("targetRef")

    def repeats(self, made: Any, e: Any, when: Any, other: Any) -> None:
        if condition_of(when) and e.get("default") == other.get("id"):
            self.condition(made, condition_of(when))
        elif condition_of(other):
            self.shaped(e, "has its condition on the other way: here it is denied")
            self.condition(made, f"= not({condition_of(other).removeprefix('=').strip()})")
        else:
            self.condition(made, condition_of(when) or "= true")
            self.lost(
                e, "WRITE_LOST", f"'{e.get('id')}' has no way that is taken otherwise: here it goes on when its condition doesn't hold"
            )

"""The hash of a process's graph: what it does, not how it is written (requirement D-MOD-002).

Ids, names, documentation, layout, the order of elements and the notation (BPMN XML, process JSON, steps) leave it as it is; a job type, a condition,
a mapping, a timer or another way of the flows changes it. A node's label begins as the hash of what its element module read, and is then hashed again
with those of its neighbours until no round tells more nodes apart (colour refinement: Weisfeiler and Leman, 1968). Where the order decides (the conditions
of an exclusive gateway are tried in turn), it counts.
"""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal
from typing import Any

from flowledger.kernel.expressions import Expression
from flowledger.kernel.model.graph import Node, Process

#: attributes of what was read that only name, place or repeat, or that the edges say
_LEFT_OUT = frozenset({"id", "line", "column", "xml", "compiled", "asserts", "process", "scope", "documentation", "named"})
_LITERAL = re.compile(r'"([^"\\]*)"')
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"|\s*([<>=(),\[\]{}:])\s*|\s+')


def graph_hash(process: Process) -> str:
    """SHA-256 in hexadecimal digits."""
    nodes = list(process.nodes.values())
    labels = {n.id: _digest(_own(n)) for n in nodes}
    edges = {n.id: _edges(n) for n in nodes}
    apart = len(set(labels.values()))
    for _ in nodes:
        new = {n.id: _digest([labels[n.id], sorted([kind, labels[other]] for kind, other in edges[n.id])]) for n in nodes}
        found = len(set(new.values()))
        labels = new
        if found == apart:
            break
        apart = found
    whole = {"nodes": sorted(labels.values()), "listeners": _plain(process.root.listeners), "states": _plain(process.states)}
    if process.protect:
        whole["protect"] = process.protect
    return _digest(whole)


def _own(n: Node) -> Any:
    """What a node does by itself."""
    seen: dict[str, Any] = {
        "kind": n.kind, "config": _plain(n.config), "events": _plain(n.events), "loop": _plain(n.loop), "inputs": _plain(n.inputs),
        "outputs": _plain(n.outputs), "extra": _plain(n.extra), "listeners": _plain(n.listeners), "properties": _plain(n.properties),
        "lanes": sorted(n.lanes), "interrupting": n.interrupting, "for_compensation": n.for_compensation,
        "triggered_by_event": n.triggered_by_event,
    }  # fmt: skip
    for event in seen["events"] if isinstance(seen["events"], list) else ():
        if isinstance(event, dict) and event.get("kind") != "compensate":
            event.pop("ref", None)  # the id of what is named beside
    if isinstance(config := seen["config"], dict) and isinstance(details := config.get("details"), dict):
        details.pop("name", None)
        if not details:  # as where there was no name
            del config["details"]
    return {k: v for k, v in seen.items() if v not in (None, [], {}, False, "")}


def _edges(n: Node) -> list[tuple[str, str]]:
    """(what joins them, the other node)."""
    found = []
    tried = [f for f in n.outgoing if f is not n.default]
    for f in n.outgoing:
        turn = tried.index(f) if n.kind == "exclusiveGateway" and f is not n.default and len(tried) > 1 else 0
        word = f"{_expression(f.condition) if f.condition is not None else ''} {'default' if f is n.default else turn}"
        found += [(f"to {word}", f.target.id)]
    for f in n.incoming:
        found.append(
            (f"from {'default' if f is f.source.default else _expression(f.condition) if f.condition is not None else ''}", f.source.id)
        )
    found += [("boundary", b.id) for b in n.attached]
    found += [("inside", c.id) for c in n.children]
    if n.host is not None:
        found.append(("host", n.host.id))
    if n.scope is not None:
        found.append(("scope", n.scope.id))
    if n.compensation is not None:
        found.append(("compensation", n.compensation.id))
    return found


def _expression(e: Expression) -> str:
    """A text that is written as FEEL is the text."""
    if e.compiled is not None and (found := _LITERAL.fullmatch(e.text.strip().removeprefix("=").strip())) is not None:
        return f"'{found[1]}"
    return f"={_TEXT.sub(_squeezed, e.text).strip()}" if e.compiled is not None else f"'{e.static}"


def _squeezed(m: re.Match[str]) -> str:
    """A text as it is; no blanks beside signs, one elsewhere."""
    return m[0] if m[0].startswith('"') else m[1] or " "


def _plain(value: Any) -> Any:
    """As JSON, without what only names or places. A node is its kind here: the edges say which it is."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Expression):
        return _expression(value)
    if isinstance(value, Node):
        return f"<{value.kind}>"
    if isinstance(value, (float, Decimal)):
        return str(value)
    if isinstance(value, dict):
        found = {str(k): _plain(v) for k, v in value.items()}
        return {k: v for k, v in found.items() if v not in (None, [], {}, False, "")}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain({k: v for k, v in value._asdict().items() if k not in _LEFT_OUT})
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted(str(_plain(v)) for v in value)
    names = [s for c in type(value).__mro__ for s in getattr(c, "__slots__", ())] or list(getattr(value, "__dict__", {}))
    return _plain({s: getattr(value, s, None) for s in names if s not in _LEFT_OUT}) if names else type(value).__name__


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")).hexdigest()

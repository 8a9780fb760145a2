"""What differs between two versions of a model: elements and flows that were added, removed, moved or changed, and in what.

The unit is what has an id and stands in a process, in a sub-process or at the root (messages, errors, decisions). What else an element holds, its
extension elements as well, are its fields, named by their path: `taskDefinition@type`, `timerEventDefinition/timeDuration`. The diagram is left out, as are
`incoming` and `outgoing`, which only repeat the flows. Source: requirement APG-HA-012 and the API's `GET /definitions/{id}/diff`.
"""

from __future__ import annotations

import difflib
from typing import Any

from flowledger.kernel.markup import BadXml
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.encodings import utf8
from flowledger.kernel.model.graph import Graph

#: elements whose children with an id are compared on their own
_CONTAINERS = {"process", "subProcess", "transaction", "adHocSubProcess", "collaboration", "laneSet", "lane", "interface"}
_LEFT_OUT = {"incoming", "outgoing", "BPMNDiagram", "DMNDI", "flowNodeRef"}
#: attributes that tell siblings of one tag apart, in the order of preference
_NAMING = ("key", "target", "name", "id", "eventType")


class _Item:
    __slots__ = ("fields", "id", "line", "name", "process", "scope", "type")

    def __init__(self, element: Any, process: str, scope: str) -> None:
        self.id, self.type, self.name = element.get("id", ""), x.local(element), element.get("name", "")
        self.process, self.scope, self.line = process, scope, element.sourceline or 0
        self.fields: dict[str, str] = {}


def diff(a: Graph, b: Graph) -> list[dict[str, Any]]:
    """What became of `a` in `b`: rows by process and id, removed ones first.

    Each row has `change` (added, removed, moved or changed), `id`, `type`, `name`, `process`, `scope` (`""`: the process itself) and `line` (in the version that
    has it, 0 when unknown). A changed or moved one has `fields`: a list of `field`, `from` and `to`, None where there is nothing.
    """
    before, after = items(a), items(b)
    rows: list[dict[str, Any]] = [_row("removed", item) for key, item in before.items() if key not in after]
    for key, item in after.items():
        old = before.get(key)
        if old is None:
            rows.append(_row("added", item))
            continue
        fields = [
            {"field": field, "from": old.fields.get(field), "to": item.fields.get(field)}
            for field in sorted(old.fields.keys() | item.fields.keys())
            if old.fields.get(field) != item.fields.get(field)
        ]
        moved = (old.process, old.scope) != (item.process, item.scope)
        if moved:
            fields.insert(0, {"field": "scope", "from": old.scope or old.process, "to": item.scope or item.process})
        if fields:
            rows.append({**_row("moved" if moved and len(fields) == 1 else "changed", item), "fields": fields})
    return rows


def compare(old: str, old_name: str, new: str, new_name: str) -> dict[str, Any]:
    """Of two texts: what is shown of elements that were added, removed or changed, `changes` as `diff`, `text` a unified difference."""
    from flowledger.kernel.model import read
    from flowledger.kernel.model.shown import elements_of

    a, b = read(utf8(old), old_name)[0], read(utf8(new), new_name)[0]
    before, after = elements_of(utf8(old), old_name), elements_of(utf8(new), new_name)
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm="", n=2)
    return {
        "added": [after[k] for k in after if k not in before],
        "removed": [before[k] for k in before if k not in after],
        "changed": [{"id": k, "from": before[k], "to": after[k]} for k in after if k in before and before[k] != after[k]],
        "changes": diff(a, b) if a is not None and b is not None else [],
        "text": "\n".join(lines),
    }


def _row(change: str, item: _Item) -> dict[str, Any]:
    return {
        "change": change, "id": item.id, "type": item.type, "name": item.name, "process": item.process, "scope": item.scope, "line": item.line,
    }  # fmt: skip


def items(graph: Graph) -> dict[str, _Item]:
    """All that is compared, by id, in the order of the model."""
    root = _root(graph)
    found: dict[str, _Item] = {}
    if root is not None:
        _collect(root, "", "", found)
    return found


def _root(graph: Graph) -> Any:
    """The document that the graph was read from, or what its format became."""
    for process in graph.processes.values():
        if process.root.xml is not None:
            return process.root.xml.getroottree().getroot()
    try:
        return x.parse(graph.source)
    except BadXml:
        return None


def _collect(container: Any, process: str, scope: str, found: dict[str, _Item]) -> None:
    for element in container:
        tag = x.local(element)
        if not tag or tag in _LEFT_OUT:
            continue
        if not element.get("id"):
            continue
        item = _Item(element, process, scope)
        found.setdefault(item.id, item)
        _fields(element, "", item.fields, tag in _CONTAINERS)
        if tag in _CONTAINERS:
            inner = item.id if tag == "process" else process
            _collect(element, inner, "" if tag == "process" else item.id, found)


def _fields(element: Any, path: str, into: dict[str, str], container: bool) -> None:
    for name, value in element.attrib.items():
        if not (path == "" and name == "id"):
            into[f"{path}@{_plain(name)}"] = value
    text = (element.text or "").strip()
    if text:
        into[path or "text"] = text
    counts: dict[str, int] = {}
    for kid in element:
        tag = x.local(kid)
        if not tag or tag in _LEFT_OUT or (container and kid.get("id") and tag not in ("documentation", "extensionElements")):
            continue
        if tag == "extensionElements":
            _fields(kid, path, into, False)
            continue
        step = f"{path}/{tag}" if path else tag
        naming = next((kid.get(n) for n in _NAMING if kid.get(n)), "")
        counts[tag] = counts.get(tag, 0) + 1
        if naming and len(element.findall(kid.tag)) > 1:
            step = f"{step}[{naming}]"
        elif counts[tag] > 1:
            step = f"{step}[{counts[tag]}]"
        if not len(kid) and not kid.attrib and not (kid.text or "").strip():
            into[step] = ""
        else:
            _fields(kid, step, into, False)


def _plain(name: str) -> str:
    return name.rsplit("}", 1)[-1]

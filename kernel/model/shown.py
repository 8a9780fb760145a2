"""What a model holds, for people and diffs: used by the API and by `flowledger inspect`."""

from __future__ import annotations

from typing import Any


def text_of(expression: Any) -> str:
    """The source text of an expression as it was read."""
    return "" if expression is None else str(getattr(expression, "text", None) or getattr(expression, "source", None) or expression)


def elements_of(data: bytes, name: str) -> dict[str, dict[str, Any]]:
    """Elements and flows of all processes by `process/id`; `{}` when the model can't be read."""
    from flowledger.kernel.model import read

    graph, _ = read(data, name)
    found: dict[str, dict[str, Any]] = {}
    for process in (graph.processes if graph is not None else {}).values():
        for node in process.nodes.values():
            found[f"{process.id}/{node.id}"] = {"process": process.id, **node_view(node)}
        for flow in process.flows.values():
            found[f"{process.id}/{flow.id}"] = {"process": process.id, **flow_view(flow)}
    return found


def node_view(node: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"id": node.id, "type": node.tag, "name": node.name}
    if node.scope is not None and node.scope.id:
        found["scope"] = node.scope.id
    if node.host is not None:
        found["attached_to"] = node.host.id
        found["interrupting"] = node.interrupting
    if node.event is not None:
        found["event"] = str(getattr(node.event, "kind", None) or type(node.event).__name__)
    if node.loop is not None:
        found["loop"] = node.loop.kind + (" sequential" if node.loop.sequential else "")
    if node.default is not None:
        found["default"] = node.default.id
    for title, mappings in (("inputs", node.inputs), ("outputs", node.outputs)):
        if mappings:
            found[title] = {m.target: text_of(m.source) for m in mappings}
    return found


def flow_view(flow: Any) -> dict[str, Any]:
    found = {"id": flow.id, "type": "sequenceFlow", "name": flow.name, "source": flow.source.id, "target": flow.target.id}
    if flow.condition is not None:
        found["condition"] = text_of(flow.condition)
    return found


def graph_view(graph: Any, file: str = "") -> dict[str, Any]:
    """All that was read, as JSON."""
    found: dict[str, Any] = {"file": file, "format": graph.format, "hash": graph.hash, "processes": []}
    for process in graph.processes.values():
        found["processes"].append(
            {
                "id": process.id,
                "name": process.name,
                "executable": process.executable,
                "version_tag": process.version_tag,
                "elements": [node_view(n) for n in process.nodes.values()],
                "flows": [flow_view(f) for f in process.flows.values()],
                "lanes": process.lanes,
                "data": plain(process.data),
            }
        )
    if graph.decisions is not None:
        found["decisions"] = decisions_view(graph.decisions)
    return found


def decisions_view(model: Any) -> list[dict[str, Any]]:
    decisions = getattr(model, "decisions", None)
    values = decisions.values() if isinstance(decisions, dict) else decisions or ()
    found: dict[int, dict[str, Any]] = {}
    for d in values:
        found[id(d)] = {"id": getattr(d, "id", ""), "name": getattr(d, "name", ""), "logic": type(getattr(d, "logic", None)).__name__}
    return list(found.values())


def plain(value: Any) -> Any:
    """Dicts, lists and texts only."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)

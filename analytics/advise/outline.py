"""What the model says: which steps follow one another, what their data are, where ways part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from flowledger.kernel.model import read
from flowledger.kernel.model.encodings import utf8

_TASKS = frozenset({"serviceTask", "userTask", "scriptTask", "sendTask", "businessRuleTask", "task", "manualTask"})


class Step(NamedTuple):
    """A task. `reads`, `writes`: variables that its mappings name; None: it doesn't say. `plain`: one way in, one out, nothing attached, no loop."""

    id: str
    name: str
    reads: frozenset[str] | None
    writes: frozenset[str] | None
    plain: bool
    next: str
    own_retry: bool


class Fork(NamedTuple):
    """An exclusive gateway that has one way in. `flows`: id -> where to; `reads`: variables of its conditions."""

    id: str
    source: str
    flows: dict[str, str]
    reads: frozenset[str]


class Outline(NamedTuple):
    """`watched`: steps of which it is kept who did them (four eyes)."""

    text: str
    steps: dict[str, Step]
    forks: dict[str, Fork]
    watched: frozenset[str]
    #: element -> whether its settings name who may not have done another
    apart: frozenset[str]


def outline(models: Mapping[str, str], process: str) -> Outline | None:
    """Of a process; None: it isn't in them, or can't be read."""
    for name, text in models.items():
        graph, _ = read(utf8(text), name)
        found = graph.processes.get(process) if graph is not None else None
        if found is None:
            continue
        steps = {n.id: _step(n) for n in found.nodes.values() if n.tag in _TASKS}
        forks = {
            n.id: Fork(
                n.id, n.incoming[0].source.id, {f.id: f.target.id for f in n.outgoing},
                frozenset[str]().union(*(f.condition.reads for f in n.outgoing if f.condition is not None)),
            )
            for n in found.nodes.values() if n.kind == "exclusiveGateway" and len(n.incoming) == 1 and len(n.outgoing) > 1
        }  # fmt: skip
        source = graph.source.decode("utf-8", "replace") if graph.source else text
        return Outline(source, steps, forks, found.watched, frozenset(n.id for n in found.nodes.values() if _not_by(n)))
    return None


def _settings(node: Any) -> dict[str, Any]:
    work = getattr(node.config, "details", None)
    found = work.get("settings") if isinstance(work, dict) else None
    return found if isinstance(found, dict) else {}


def _not_by(node: Any) -> bool:
    return "notBy" in _settings(node)


def _step(node: Any) -> Step:
    details = getattr(node.config, "details", None)
    retry = isinstance(details, dict) and "retry" in details
    plain = (
        len(node.incoming) == 1 and len(node.outgoing) == 1 and node.outgoing[0].condition is None and not node.attached and node.loop is None
        and node.compensation is None and not node.for_compensation
    )  # fmt: skip
    reads = frozenset[str]().union(*(m.source.reads for m in node.inputs)) if node.inputs else None
    writes = frozenset(m.target.partition(".")[0] for m in node.outputs) if node.outputs else None
    return Step(node.id, node.name or node.id, reads, writes, plain, node.outgoing[0].target.id if len(node.outgoing) == 1 else "", retry)

"""What models call by name: other processes, decisions and forms. A name that is only known when a token comes is none of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from flowledger.kernel.elements.start_event import FORM
from flowledger.kernel.model.graph import Node, Work


class Call(NamedTuple):
    """`binding`: latest, deployment or versionTag, as an element says it; `tag` with the last."""

    kind: str
    id: str
    binding: str = "latest"
    tag: str = ""


def calls_of(graph: Any) -> list[Call]:
    """Each once, in the order of the model."""
    processes = getattr(graph, "processes", None) or {}
    return list(dict.fromkeys(call for process in processes.values() for node in process.nodes.values() for call in _of(node)))


def _of(node: Node) -> Iterator[Call]:
    config = node.config
    if isinstance(config, dict):
        for kind, name in (("process", "process"), ("decision", "decision")):
            id = getattr(config.get(name), "static", None)
            if isinstance(id, str) and id and "binding" in config:
                yield _call(kind, id, config["binding"], config["version_tag"])
    forms = [node.properties.get(FORM), (config.details or {}).get("form") if isinstance(config, Work) else None]
    for said in (form for form in forms if isinstance(form, dict)):
        id = said.get("formId")
        if isinstance(id, str) and id and not id.startswith("="):
            yield _call("form", id, said.get("bindingType") or "latest", said.get("versionTag") or "")


def _call(kind: str, id: str, binding: str, tag: str) -> Call:
    return Call(kind, id, binding, tag if binding == "versionTag" else "")

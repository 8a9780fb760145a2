"""What models call by name: other processes, decisions and forms. A name that is only known when a token comes is none of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from flowledger.kernel.elements.start_event import FORM
from flowledger.kernel.model.graph import Node, Work

_LITERAL = re.compile(r'\s*=?\s*"([^"\\]+)"\s*')


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
            id = _named(config.get(name))
            if id and "binding" in config:
                yield _call(kind, id, config["binding"], config["version_tag"])
    forms = [node.properties.get(FORM), (config.details or {}).get("form") if isinstance(config, Work) else None]
    for said in (form for form in forms if isinstance(form, dict)):
        form = said.get("formId")
        if isinstance(form, str) and form and not form.startswith("="):
            yield _call("form", form, said.get("bindingType") or "latest", said.get("versionTag") or "")


def _named(expression: Any) -> str:
    """What it says whatever the variables are: a text, or `="a text"`; empty: it depends on them."""
    if isinstance(said := getattr(expression, "static", None), str):
        return said
    found = _LITERAL.fullmatch(getattr(expression, "text", ""))
    return found[1] if found else ""


def _call(kind: str, id: str, binding: str, tag: str) -> Call:
    return Call(kind, id, binding, tag if binding == "versionTag" else "")

"""Ids for what a BPMN file leaves without: an id is optional (BPMN20.xsd, tBaseElement), but history, joins and coverage name elements by it.

The same file always gets the same ids: a flow's is made of its ends, another element's of its parent, its tag and its place among its like.
"""

from __future__ import annotations

import re
from typing import Any

from flowledger.kernel.model import xml as x

_NO_NAME = re.compile(r"[^\w.-]+")


def fill(root: Any, tags: frozenset[str]) -> set[str]:
    """Set the missing ids of processes, sequence flows and elements of `tags` in the document. Returns those that were made."""
    taken = {e.get("id") for e in root.iter() if isinstance(e.tag, str) and e.get("id")}
    made: set[str] = set()

    def give(element: Any, wanted: str) -> None:
        wanted = _NO_NAME.sub("_", wanted)
        name, n = wanted, 1
        while name in taken:
            n += 1
            name = f"{wanted}_{n}"
        taken.add(name)
        made.add(name)
        element.set("id", name)

    for process in root.iterchildren(x.B + "process"):
        if not process.get("id"):
            name = process.get("name", "")
            give(process, name if name[:1].isalpha() else "process")
        _fill(process, tags, give)
    return made


def _fill(scope: Any, tags: frozenset[str], give: Any) -> None:
    places: dict[str, int] = {}
    for kid in x.bpmn_children(scope):
        tag = x.local(kid)
        if tag not in tags:
            continue
        places[tag] = places.get(tag, 0) + 1
        if not kid.get("id"):
            give(
                kid,
                f"{kid.get('sourceRef', '')}_{kid.get('targetRef', '')}"
                if tag == "sequenceFlow"
                else f"{scope.get('id')}_{tag}_{places[tag]}",
            )
        if tag != "sequenceFlow":
            _fill(kid, tags, give)

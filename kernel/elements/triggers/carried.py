"""What a thrown message or signal carries: what the event's own inputs say, and nothing else.

So it is in the standard (BPMN 2.0.2, chapter 10.5.1: a throwing event has data inputs), in Zeebe (the event's local variables) and in Camunda 7 (`in`);
and who listens to a name learns nothing that the thrower didn't mean to tell. The property `flowledger:carries` = `all`, of the event or of its process,
lets it carry all that the event sees.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model.graph import Node

PROPERTY = "flowledger:carries"


def carried(d: Any, i: Any, token: Any, node: Node) -> dict[str, Any]:
    if (node.properties.get(PROPERTY) or node.process.properties.get(PROPERTY, "")) == "all":
        return dict(d.kept(i, token.key))
    return dict(token.vars or {})

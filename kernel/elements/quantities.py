"""Token quantities: an activity that needs several tokens to begin, or lets several go.

Source: BPMN 2.0.2, table 10.3 (`startQuantity`, `completionQuantity`). Choice: the tokens may come by any incoming flow of the activity, the
oldest are taken first; a loop counts as one activity, so its runs need no tokens of their own.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel.fold import holder_of
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Extra, Node
from flowledger.kernel.state import ARRIVED


def read(node: Node, element: Any, r: Any) -> None:
    for attribute, name in (("startQuantity", "start_quantity"), ("completionQuantity", "completion_quantity")):
        text = element.get(attribute, "1")
        number = x.whole(text) or 0
        if number < 1:
            r.finding("QUANTITY_INVALID", f"{attribute} of '{node.id}': expected a whole number of 1 or more, found '{text}'", node)
        elif number > 1:
            node.extra = node.extra or Extra()
            setattr(node.extra, name, number)


def gathered(d: Any, i: Any, token: Any, node: Node) -> bool:
    """True when the activity may begin with this token: enough have arrived, and the others have ended in it."""
    if token.data is not None and "gathered" in token.data:
        return True
    waiting = [
        k
        for k in sorted(holder_of(i, token.scope).kids)
        if (t := i.tokens[k]).element == node.id and t.phase == ARRIVED and not t.index and not (t.data and "gathered" in t.data)
    ]
    needed = node.extra.start_quantity if node.extra is not None else 1
    if len(waiting) < needed:
        return False
    d.record(fl.TokenNoted(key=i.key, token=token.key, data={"gathered": needed}))
    for other in [k for k in waiting if k != token.key][: needed - 1]:
        d.record(fl.ElementCompleted(key=i.key, token=other, element=node.id))
    return True

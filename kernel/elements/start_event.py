"""Start event: where a process or sub-process begins. What starts it (message, timer, signal ...) stands in `triggers/`.

Source: BPMN 2.0.2, chapters 10.5.2 and 13.5.1.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.elements import triggers, user_task
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.dialects import unkept
from flowledger.kernel.model.graph import Behaviour, Node
from flowledger.kernel.moves import data
from flowledger.kernel.moves.activity import apply_mappings

#: key of a start event's properties: its form
FORM = "$form"
#: and the variable in which Camunda 7 and its relatives keep who started the instance
INITIATOR = "$initiator"


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    if node.extra is not None and node.extra.data_out:
        data.leave(d, i, token, node)
    if node.outputs:
        results = apply_mappings(d, i, token.key, node.outputs, token.scope)
        d.set_variables(i, token.scope, results, local=token.scope != i.key)
    elif token.vars:
        d.set_variables(i, token.scope, dict(token.vars), local=True)
    d.leave(i, token, node)


def read(node: Node, element: Any, r: Any) -> None:
    triggers.read(node, element, r)
    if (form := x.ext(element, "formDefinition")) is not None:
        node.properties = {**node.properties, FORM: user_task.form_of(form, r, node)}
    elif (kept := unkept.form_of(node, element, r)) is not None:
        node.properties = {**node.properties, FORM: kept}
    if initiator := x.classic_attr(element, "initiator"):
        node.properties = {**node.properties, INITIATOR: initiator}


def check(node: Node, r: Any) -> None:
    if node.incoming:
        r.finding("START_HAS_INCOMING", f"start event '{node.id}' can't have incoming flows", node)
    if not node.outgoing:
        r.finding("START_NO_OUTGOING", f"start event '{node.id}' leads nowhere", node, severity="warning")


BEHAVIOUR = Behaviour(enter, None, read, check)

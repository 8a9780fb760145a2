"""Script task: a FEEL expression run in the same step, or a job for any other language.

Source: BPMN 2.0.2, chapter 13.3.3; `zeebe:script`.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.elements import jobs
from flowledger.kernel.expressions import literal
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Behaviour, Node
from flowledger.kernel.moves.activity import close_activity


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    config = node.config
    if isinstance(config, jobs.Work):
        jobs.create_task(d, i, token, node, config)
        return
    expression, variable = config
    value = expression.json(d.variables(i, token.key), d.facts)
    if variable:
        d.set_variables(i, token.key, {variable: value}, local=bool(node.outputs))
    elif isinstance(value, dict) and not node.outputs:
        d.set_variables(i, token.key, value)
    close_activity(d, i, token, node)


def read(node: Node, element: Any, r: Any) -> None:
    work = jobs.read_work("script_task", node, element, r)
    script = x.ext(element, "script")
    if work is not None:
        node.config = work
    elif script is not None:
        node.config = (r.condition(script.get("expression", ""), node, "script"), script.get("resultVariable", ""))
    else:
        language = (element.get("scriptFormat") or "").lower()
        text = x.text_of(x.child(element, "script"))
        if language in ("feel", "application/feel", "text/feel", "") and text:
            node.config = (r.condition(text, node, "script"), x.classic_attr(element, "resultVariable"))
        else:
            node.config = jobs.Work("script_task", literal(f"script:{language or 'none'}"), headers={"language": language, "script": text})


BEHAVIOUR = Behaviour(enter, close_activity, read, activity=True)

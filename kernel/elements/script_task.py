"""Script task: a FEEL expression or JavaScript run in the same step, or a job for any other language.

Source: BPMN 2.0.2, chapter 13.3.3; `zeebe:script`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from flowledger.kernel import scripts
from flowledger.kernel.elements import jobs
from flowledger.kernel.expressions import Failure, literal
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Behaviour, Node, Work
from flowledger.kernel.moves.activity import close_activity


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    config = node.config
    if isinstance(config, Work):
        jobs.create_task(d, i, token, node, config)
        return
    if isinstance(config, JavaScript):
        _javascript(d, i, token, node, config)
        return
    expression, variable = config
    value = expression.json(d.variables(i, token.key), d.facts)
    if variable:
        d.set_variables(i, token.key, d.following(i, token.key, expression.reads, {variable: value}), local=bool(node.outputs))
    elif isinstance(value, dict) and not node.outputs:
        d.set_variables(i, token.key, d.following(i, token.key, expression.reads, value))
    close_activity(d, i, token, node)


class JavaScript(NamedTuple):
    source: str
    variable: str


def _javascript(d: Any, i: Any, token: Any, node: Node, script: JavaScript) -> None:
    """Raises: Failure SCRIPT_ERROR."""
    run = d.facts.javascript
    if run is None:
        raise Failure("SCRIPT_ERROR", f"script of {node.id}: this server runs no JavaScript (pip install 'flowledger[server]')")
    try:
        value, made = run(script.source, d.variables(i, token.key), d.facts.now_us, token.key)
    except scripts.ScriptError as e:
        raise Failure("SCRIPT_ERROR", f"script of {node.id}: {e}") from None
    if script.variable:
        made = {**made, script.variable: value}
    if made:
        made = d.following(i, token.key, None, made)  # nobody knows which variables it read
        d.set_variables(i, token.key, made, local=bool(node.outputs))
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
        if language in scripts.JAVASCRIPT and text:
            node.config = JavaScript(text, x.classic_attr(element, "resultVariable"))
        elif language == "juel" and text:
            node.config = (r.expression(text, node, "script"), x.classic_attr(element, "resultVariable"))
        elif language in ("feel", "application/feel", "text/feel", "") and text:
            node.config = (r.condition(text, node, "script"), x.classic_attr(element, "resultVariable"))
        else:
            r.finding(
                "SCRIPT_LANGUAGE",
                f"script task '{node.id}' is in {language or 'no language'}: it becomes a job of type script:{language or 'none'}",
                node,
                severity="warning",
                hint="write it as FEEL or JavaScript, or serve that job type",
            )
            node.config = Work("script_task", literal(f"script:{language or 'none'}"), headers={"language": language, "script": text})


BEHAVIOUR = Behaviour(enter, close_activity, read, activity=True)

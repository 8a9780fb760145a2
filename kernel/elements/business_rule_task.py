"""Business rule task: evaluates a deployed decision in the same step, or is a job.

Source: BPMN 2.0.2, chapter 13.3.3; DMN 1.5; `zeebe:calledDecision`; Camunda 7's `decisionRef`. Binding: latest, deployment, versionTag.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel import decisions, lookup
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
    id = d.text(config["decision"], i, token.key, "decision id")
    found = lookup.bound(d.state, i, "decision", id, config["binding"], config["version_tag"])
    if found is None:
        raise Failure("DECISION_NOT_FOUND", f"expected a deployed decision '{id}' (binding {config['binding']}), found none")
    evaluation, value = decisions.evaluate(d.facts.decisions[found.key], id, d.variables(i, token.key), d.facts)
    if evaluation.value is None and any(getattr(w, "code", "") == "DECISION_ERROR" for w in evaluation.warnings):
        raise Failure("DECISION_EVALUATION_ERROR", "; ".join(w.message for w in evaluation.warnings))
    d.record(
        fl.DecisionEvaluated(
            key=i.key, token=token.key, element=node.id, decision=id, version=found.version, result=value, trace=evaluation.trace
        )
    )
    variable = config["variable"]
    if variable:
        d.set_variables(i, token.key, {variable: value}, local=bool(node.outputs))
    elif isinstance(value, dict) and not node.outputs:
        d.set_variables(i, token.key, value)
    close_activity(d, i, token, node)


def read(node: Node, element: Any, r: Any) -> None:
    work = jobs.read_work("business_rule_task", node, element, r)
    called = x.ext(element, "calledDecision")
    classic = x.classic_attr(element, "decisionRef")
    if work is not None:
        node.config = work
    elif called is not None or classic:
        node.config = {
            "decision": r.expression(called.get("decisionId", "") if called is not None else classic, node, "decision id"),
            "binding": (called.get("bindingType") if called is not None else x.classic_attr(element, "decisionRefBinding")) or "latest",
            "version_tag": (called.get("versionTag") if called is not None else x.classic_attr(element, "decisionRefVersionTag")) or "",
            "variable": (called.get("resultVariable") if called is not None else x.classic_attr(element, "resultVariable")) or "",
        }
    else:
        node.config = Work("business_rule_task", literal(node.id))
        r.finding("RULE_WITHOUT_DECISION", f"business rule task '{node.id}' names neither a decision nor a job type: it becomes a job '{node.id}'", node,
                  severity="warning", hint='<zeebe:calledDecision decisionId="..." resultVariable="..."/>')  # fmt: skip


BEHAVIOUR = Behaviour(enter, close_activity, read, activity=True)

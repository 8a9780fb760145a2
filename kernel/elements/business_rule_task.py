"""Business rule task: evaluates a deployed decision in the same step, or is a job.

Source: BPMN 2.0.2, chapter 13.3.3; DMN 1.5; `zeebe:calledDecision`; Camunda 7's `decisionRef` and `mapDecisionResult`; Flowable's decision task.
Binding: latest, deployment, versionTag.
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

#: the local variable in which Camunda 7 has all rows, for output mappings
ROWS = "decisionResult"
#: what a task without a word about it keeps, in Camunda 7
DEFAULT_SHAPE = "resultList"
#: as Flowable keeps it: one row is variables by the names of its outputs, several are a list named like the decision
BY_NAMES = "variables"
SHAPES = ("singleEntry", "singleResult", "collectEntries", "resultList", BY_NAMES)


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    config = node.config
    if isinstance(config, Work):
        jobs.create_task(d, i, token, node, config)
    else:
        decide(d, i, token, node, config)


def decide(d: Any, i: Any, token: Any, node: Node, config: dict[str, Any]) -> None:
    """Raises: Failure DECISION_NOT_FOUND, DECISION_EVALUATION_ERROR, DECISION_RESULT."""
    id = d.text(config["decision"], i, token.key, "decision id")
    found = lookup.bound(d.state, i, "decision", id, config["binding"], config["version_tag"])
    if found is None:
        raise Failure("DECISION_NOT_FOUND", f"expected a deployed decision '{id}' (binding {config['binding']}), found none")
    model = d.facts.decisions[found.key]
    evaluation, value = decisions.evaluate(model, id, d.variables(i, token.key), d.facts)
    if evaluation.value is None and any(getattr(w, "code", "") == "DECISION_ERROR" for w in evaluation.warnings):
        raise Failure("DECISION_EVALUATION_ERROR", "; ".join(w.message for w in evaluation.warnings))
    shape = config.get("shape", "")
    rows = decisions.rows(model, id, evaluation) if shape else []
    kept = decisions.shaped(rows, shape, f"decision '{id}' of {node.id}") if shape and shape != BY_NAMES else value
    d.record(
        fl.DecisionEvaluated(
            key=i.key, token=token.key, element=node.id, decision=id, version=found.version, result=value, trace=evaluation.trace
        )
    )
    variable = config["variable"]

    def protected(made: dict[str, Any]) -> dict[str, Any]:
        """A decision sees all variables."""
        return d.following(i, token.key, None, made)  # type: ignore[no-any-return]

    if shape == BY_NAMES:
        _by_names(d, i, token, node, id, rows, decisions.gives_several(model, id), config)
    elif shape:  # as in Camunda 7: beside the mappings, not under them
        if variable:
            d.set_variables(i, token.key, protected({variable: kept}))
        if node.outputs:
            d.set_variables(i, token.key, protected({ROWS: rows}), local=True)
    elif variable:
        d.set_variables(i, token.key, protected({variable: value}), local=bool(node.outputs))
    elif isinstance(value, dict) and not node.outputs:
        d.set_variables(i, token.key, protected(value))
    close_activity(d, i, token, node)


def _by_names(d: Any, i: Any, token: Any, node: Node, id: str, rows: list[dict[str, Any]], several: bool, config: dict[str, Any]) -> None:
    if not rows and config["must_hit"]:
        raise Failure("DECISION_RESULT", f"decision '{id}' of {node.id}: expected a rule that matches, found none")
    made = {id: rows} if several or len(rows) > 1 else rows[0] if rows else {}
    if made:
        d.set_variables(i, token.key, d.following(i, token.key, None, made), local=bool(node.outputs))


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
        own = element.find(f"{x.B}extensionElements/{x.OWN}decisionResult")
        shape = own.get("as", "") if own is not None else ""
        if called is None:
            shape = x.classic_attr(element, "mapDecisionResult") or shape or DEFAULT_SHAPE
        elif own is not None and not shape:
            shape = DEFAULT_SHAPE
        if shape not in ("", *SHAPES):
            r.finding(
                "DECISION_RESULT_SHAPE", f"'{node.id}' keeps its decision's result as '{shape}'", node, hint=f"one of {', '.join(SHAPES)}"
            )
        elif shape:
            node.config["shape"] = shape
            node.config["must_hit"] = own is not None and own.get("mustHit") == "true"
    else:
        node.config = Work("business_rule_task", literal(node.id))
        r.finding("RULE_WITHOUT_DECISION", f"business rule task '{node.id}' names neither a decision nor a job type: it becomes a job '{node.id}'", node,
                  severity="warning", hint='<zeebe:calledDecision decisionId="..." resultVariable="..."/>')  # fmt: skip


def flowable(node: Node, element: Any, r: Any) -> dict[str, Any] | None:
    """Flowable's decision task, a service task with fields: what it evaluates. None: it names none."""
    fields = jobs.fields_of(element)
    id = fields.get("decisionTableReferenceKey") or fields.get("decisionServiceReferenceKey") or ""
    if not id:
        return None
    return {
        "decision": r.expression(id, node, "decision id"),
        "binding": "deployment" if fields.get("sameDeployment") == "true" else "latest",
        "version_tag": "",
        "variable": "",
        "shape": BY_NAMES,
        "must_hit": fields.get("decisionTaskThrowErrorOnNoHits") == "true",
    }


BEHAVIOUR = Behaviour(enter, close_activity, read, activity=True)

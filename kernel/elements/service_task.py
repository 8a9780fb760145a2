"""Service task: work for a worker, as a job.

Source: BPMN 2.0.2, chapter 13.3.3; `zeebe:taskDefinition`; Flowable's decision task; expressions of Camunda 7.
Without a job type the job's type is the operation's or the element's id.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from flowledger.kernel.elements import business_rule_task, jobs
from flowledger.kernel.expressions import Expression, literal
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.dialects import unkept
from flowledger.kernel.model.graph import Behaviour, Node, Work
from flowledger.kernel.moves.activity import close_activity


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    if isinstance(node.config, Work):
        jobs.create_task(d, i, token, node, node.config)
    elif isinstance(node.config, Value):
        value = node.config.expression.json(d.variables(i, token.key), d.facts)
        if node.config.variable:
            d.set_variables(i, token.key, {node.config.variable: value})
        close_activity(d, i, token, node)
    else:
        business_rule_task.decide(d, i, token, node, node.config)


class Value(NamedTuple):
    """An expression that asks nothing of Java, as Camunda 7 and its relatives evaluate it, and where its value goes."""

    expression: Expression
    variable: str


def read(node: Node, element: Any, r: Any) -> None:
    node.config = jobs.read_work("service_task", node, element, r)
    if node.config is None:
        kind = x.classic_attr(element, "type")
        if unkept.is_decision(element) and (decision := business_rule_task.flowable(node, element, r)) is not None:
            node.config = decision
            return
        if (text := unkept.value_of(element)) is not None:
            variable = x.classic_attr(element, "resultVariable") or x.classic_attr(element, "resultVariableName")
            node.config = Value(r.expression(text, node, "expression"), variable)
            return
        operation = element.get("operationRef", "")
        node.config = Work("service_task", literal(operation.rsplit(":", 1)[-1] or kind or node.id), headers=jobs.fields_of(element))


BEHAVIOUR = Behaviour(enter, close_activity, read, activity=True)

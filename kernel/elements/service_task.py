"""Service task: work for a worker, as a job.

Source: BPMN 2.0.2, chapter 13.3.3; `zeebe:taskDefinition`. Without a job type the job's type is the operation's or the element's id.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.elements import jobs
from flowledger.kernel.expressions import literal
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Behaviour, Node, Work
from flowledger.kernel.moves.activity import close_activity


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    jobs.create_task(d, i, token, node, node.config)


def read(node: Node, element: Any, r: Any) -> None:
    node.config = jobs.read_work("service_task", node, element, r)
    if node.config is None:
        kind = x.classic_attr(element, "type")
        operation = element.get("operationRef", "")
        node.config = Work("service_task", literal(operation.rsplit(":", 1)[-1] or kind or node.id), headers=jobs.fields_of(element))


BEHAVIOUR = Behaviour(enter, close_activity, read, activity=True)

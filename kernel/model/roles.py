"""Who is to do the work: lanes, performers and potential owners.

Source: BPMN 2.0.2, chapters 10.3.2 (resources), 10.3.4 (human performers), 10.8 (lanes). Choices: a user task without an assignment of its own takes
that of its process (`humanPerformer`, `potentialOwner`), then the name of its innermost lane as candidate group. The text of a resource expression
may be FEEL, or as in Camunda 7 `user(anna), group(sales), sales`, where a bare name is a group; a `resourceRef` stands for the group of that name.
"""

from __future__ import annotations

import re
from typing import Any

from flowledger.kernel.expressions import Expression, literal
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Process

_ONE = re.compile(r"(user|group)\(\s*([^)]*?)\s*\)$")
_PERFORMERS = ("humanPerformer", "performer")


def lanes(process: Process, element: Any) -> None:
    """`Node.lanes` from outside in; what is in a sub-process is in its lane, too."""

    def walk(holder: Any, path: list[str]) -> None:
        for lane_set in [*holder.findall(x.B + "laneSet"), *holder.findall(x.B + "childLaneSet")]:
            for lane in lane_set.findall(x.B + "lane"):
                name = lane.get("name") or lane.get("id", "")
                inner = [*path, name]
                for reference in lane.findall(x.B + "flowNodeRef"):
                    node = process.nodes.get(x.text_of(reference))
                    if node is not None and len(node.lanes) < len(inner):
                        node.lanes = inner
                process.lanes[name] = [x.text_of(ref) for ref in lane.findall(x.B + "flowNodeRef")]
                walk(lane, inner)

    walk(element, [])
    for node in process.nodes.values():
        if node.is_scope and node.xml is not None:
            walk(node.xml, [])
        at = node.scope
        while not node.lanes and at is not None:
            node.lanes = at.lanes
            at = at.scope


def assignment(element: Any, node: Any, r: Any) -> dict[str, Expression]:
    """assignee, candidate_users and candidate_groups of an activity's or process' resource roles."""
    found: dict[str, Expression] = {}
    for tag in (*_PERFORMERS, "potentialOwner", "resourceRole"):
        for role in element.findall(x.B + tag):
            expression = role.find(f"{x.B}resourceAssignmentExpression/{x.B}formalExpression")
            text = x.text_of(expression)
            if not text:
                resource = r.by_id.get(x.text_of(x.child(role, "resourceRef")).rsplit(":", 1)[-1])
                text = (
                    (resource.get("name") or resource.get("id", ""))
                    if resource is not None
                    else role.get("name", "")
                    if tag != "resourceRole"
                    else ""
                )
                if not text:
                    continue
                found.setdefault("candidate_groups", literal([text]))
                continue
            if text.startswith("=") or "${" in text or "#{" in text:
                found.setdefault("assignee" if tag in _PERFORMERS else "candidate_groups", r.expression(text, node, tag))
            elif tag in _PERFORMERS:
                found.setdefault("assignee", literal(text))
            else:
                users: list[str] = []
                groups: list[str] = []
                for part in text.split(","):
                    m = _ONE.match(part.strip())
                    (users if m and m[1] == "user" else groups).append(m[2] if m else part.strip())
                if users:
                    found.setdefault("candidate_users", literal(users))
                if groups:
                    found.setdefault("candidate_groups", literal(groups))
    return found


def apply(r: Any, process: Process, element: Any) -> None:
    """Give user tasks without assignment that of their roles, process or lane."""
    lanes(process, element)
    default = assignment(element, None, r)
    for node in process.nodes.values():
        if node.kind != "userTask" or node.config is None:
            continue
        own = node.config.dynamic or {}
        if any(k in own for k in ("assignee", "candidate_users", "candidate_groups")):
            continue
        given = assignment(node.xml, node, r) if node.xml is not None else {}
        given = given or default or ({"candidate_groups": literal([node.lanes[-1]])} if node.lanes else {})
        if given:
            node.config.dynamic = {**own, **given}

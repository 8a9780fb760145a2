"""User task: work for people. With `zeebe:userTask` (or none of Zeebe's words) the engine keeps its life cycle; without, Zeebe models make it
a job of type `io.camunda.zeebe:userTask`.

Source: BPMN 2.0.2, chapter 13.3.3; `zeebe:assignmentDefinition`, `zeebe:taskSchedule`, `zeebe:formDefinition`, `zeebe:priorityDefinition`; Camunda 7's
attributes of the same meaning.
"""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.kernel.elements import jobs, listeners
from flowledger.kernel.expressions import Expression, literal
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.dialects import unkept
from flowledger.kernel.model.graph import Behaviour, Node, Work
from flowledger.kernel.moves.activity import close_activity

ZEEBE_JOB = "io.camunda.zeebe:userTask"


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    if node.listeners and listeners.next_one(d, i, token, node, "creating"):
        return
    jobs.create_task(d, i, token, node, node.config)


def complete(d: Any, i: Any, token: Any, node: Node) -> None:
    if node.listeners and listeners.next_one(d, i, token, node, "completing"):
        return
    close_activity(d, i, token, node)


def read(node: Node, element: Any, r: Any) -> None:
    node.config = jobs.read_work("user_task", node, element, r)
    if node.config is None:
        native = x.ext(element, "userTask") is not None or (
            x.ext(element, "formDefinition") is None and x.ext(element, "assignmentDefinition") is None
        )
        native = native or not _is_zeebe(r)
        node.config = Work("user_task", None if native else literal(ZEEBE_JOB))
    headers = {h.get("key", ""): h.get("value", "") for h in x.ext_all(element, "taskHeaders", "header")}
    node.config.headers = headers or None
    dynamic: dict[str, Expression] = {}
    details: dict[str, Any] = {**(node.config.details or {})}
    if node.name:
        details["name"] = node.name
    assignment, schedule, form = x.ext(element, "assignmentDefinition"), x.ext(element, "taskSchedule"), x.ext(element, "formDefinition")
    for name, source, attribute, classic in (
        ("assignee", assignment, "assignee", "assignee"),
        ("candidate_groups", assignment, "candidateGroups", "candidateGroups"),
        ("candidate_users", assignment, "candidateUsers", "candidateUsers"),
        ("due", schedule, "dueDate", "dueDate"),
        ("follow_up", schedule, "followUpDate", "followUpDate"),
    ):
        text = (source.get(attribute) if source is not None else "") or x.classic_attr(element, classic)
        if text:
            dynamic[name] = r.expression(text, node, attribute)
    priority = x.ext(element, "priorityDefinition")
    text = (priority.get("priority") if priority is not None else "") or x.classic_attr(element, "priority")
    if text:
        node.config.priority = r.expression(text, node, "priority")
    if form is not None:
        details["form"] = form_of(form, r, node)
    elif classic_form := unkept.form_of(node, element, r):
        details["form"] = classic_form
    node.config.details = {**(node.config.details or {}), **details} or None
    node.config.dynamic = {**(node.config.dynamic or {}), **dynamic} or None
    if "settings" not in details:  # else read with the job
        jobs.read_settings(node.config, node, element, r)


def form_of(form: Any, r: Any, node: Node) -> dict[str, str]:
    """What a form definition says; an embedded form (`zeebe:userTaskForm`) is kept with the process."""
    said = {k: v for k, v in form.attrib.items() if v}
    if said.get("formKey", "").startswith(EMBEDDED):
        id = said["formKey"][len(EMBEDDED) :]
        found = next((e for e in r.definitions.iter(f"{x.Z}userTaskForm") if e.get("id") == id), None)
        try:
            schema = msgspec.json.decode(x.text_of(found)) if found is not None else None
        except msgspec.DecodeError as e:
            schema = None
            r.finding("FORM_UNREADABLE", f"the form '{id}' of '{node.id}' is no JSON: {e}", node, severity="warning")
        if found is None:
            r.finding("FORM_MISSING", f"the form '{id}' of '{node.id}' does not stand in the file", node, severity="warning")
        node.process.notes.setdefault("forms", {})[id] = schema
    return said


def _is_zeebe(r: Any) -> bool:
    return any(ns == x.ZEEBE_NS for ns in (r.definitions.nsmap or {}).values()) if r.definitions is not None else False


EMBEDDED = "camunda-forms:bpmn:"

BEHAVIOUR = Behaviour(enter, complete, read, activity=True)

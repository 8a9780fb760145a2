"""What happens around the creation and completion of a task beyond its life cycle: its definition, schemas, due date, assignee, timers.

Called only for tasks with details, or whose type has a definition; a plain job never comes here.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.expressions import Failure
from flowledger.kernel.state import Instance, Partition, Task
from flowledger.kernel.tasks import assignment, clock, duties, forms, index, people, schemas

#: of a definition: taken over into the task's details as they are
_COPIED = ("description", "category", "kind", "form", "resources", "execution", "required_capabilities")
#: of a definition: settings that the task's own win over
_SETTINGS = ("assignment", "escalation", "sla", "calendar", "reminders")
PEOPLE = frozenset({"human_task", "user_task"})


def definition_of(p: Partition, tenant: str, details: dict[str, Any] | None, job_type: str) -> tuple[str, dict[str, Any]] | None:
    """The reusable definition that a task names, else the one of its job type."""
    details = details or {}
    named = details.get("definition") or (details.get("settings") or {}).get("definition")
    if isinstance(named, dict):
        named = f"{named.get('name')}@{named['version']}" if named.get("version") else named.get("name")
    name = str(named) if named else job_type
    found = index.record(p, "task_definition", tenant, name) if name else None
    return (name.split("@", 1)[0], found) if found is not None else None


def prepare(
    p: Partition, tenant: str, job_type: str, details: dict[str, Any] | None, now_us: int
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """(details with what the definition adds and the due date, the definition or {}). Raises: ValueError for a duration that is none."""
    found = definition_of(p, tenant, details, job_type)
    definition: dict[str, Any] = found[1] if found is not None else {}
    out = dict(details or {})
    if found is not None:
        out["definition"] = {"name": found[0], "version": definition.get("version", 0)}
        for word in _COPIED:
            if definition.get(word) is not None:
                out.setdefault(word, definition[word])
        if definition.get("retry") is not None:
            out.setdefault("retry", definition["retry"])
        if definition.get("timeout_ms"):
            out["execution"] = {"timeout_ms": definition["timeout_ms"], **(out.get("execution") or {})}
        if definition.get("name"):
            out.setdefault("name", definition["name"])
        if more := {k: definition[k] for k in _SETTINGS if definition.get(k) is not None}:
            out["settings"] = {**more, **(out.get("settings") or {})}
    settings = out.get("settings")
    if isinstance(settings, dict):
        out["settings"] = settings = grouped(settings)
        if "due_us" not in out and (due := clock.due_us(p, tenant, settings, now_us)):
            out["due_us"] = due
    return out or None, definition


#: attributes of `flowledger:task` that stand for assignment settings
_FLAT = {"strategy": "strategy", "skills": "required_capabilities", "groups": "groups", "users": "users", "fallback": "fallback", "assignTimeout": "timeout",
         "place": "place", "permissions": "required_permissions", "assigneeKind": "kind"}  # fmt: skip
_XML = {"requiredCapabilities": "required_capabilities", "requiredPermissions": "required_permissions"}


def grouped(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a model (flat attributes, lists of children) in the form of a definition's."""
    out = {k: v for k, v in settings.items() if k not in _FLAT}
    own = {_FLAT[k]: v for k, v in settings.items() if k in _FLAT}
    given = settings.get("assignment")
    given = given[0] if isinstance(given, list) and given else given
    if own or isinstance(given, dict):
        out["assignment"] = {**{_XML.get(k, k): v for k, v in (given if isinstance(given, dict) else {}).items()}, **own}
    if isinstance(settings.get("reminder"), list):
        out["reminders"] = [r.get("before") for r in settings["reminder"] if isinstance(r, dict) and r.get("before")]
        del out["reminder"]
    return out


def check_input(
    p: Partition, tenant: str, definition: dict[str, Any], details: dict[str, Any] | None, variables: Any, facts: Any
) -> list[str]:
    """What is wrong with the input, by the definition's schema or the task's own."""
    schema = definition.get("input_schema") or ((details or {}).get("settings") or {}).get("input_schema")
    return facts.validate(schema, variables or {}) if schema is not None else []


def check_output(d: Any, task: Task, variables: Any) -> Rejected | None:
    """A result that its schemas refuse is refused by name."""
    details = task.details or {}
    wanted = []
    if details.get("definition") and (found := definition_of(d.state, task.tenant, details, "")) is not None:
        wanted.append(found[1].get("output_schema"))
    wanted.append((details.get("settings") or {}).get("output_schema") if isinstance(details.get("settings"), dict) else None)
    form = details.get("form")
    i = d.state.instances.get(task.instance)
    if i is not None and form is not None and not task.listener:
        if (refused := forms.refused(d, i, form, variables or {}, d.variables(i, task.token), f"the form of task {task.key}")) is not None:
            return refused
    wanted.append(form.get("schema") if isinstance(form, dict) and isinstance(form.get("schema"), dict) else None)
    for schema in wanted:
        if schema is not None and (wrong := d.facts.validate(schema, variables or {})):
            return Rejected(
                RejectionCode.INVALID_ARGUMENT, f"OUTPUT_INVALID: the result of task {task.key} does not fit its schema: {'; '.join(wrong)}"
            )
    return None


def created(d: Any, task: Task, lanes: list[str], i: Instance | None) -> None:
    """After `TaskCreated`: skip it, find an assignee, set its timers."""
    details = task.details or {}
    if details.get("condition") is False:
        d.record(ta.TaskSkipped(key=task.instance, task=task.key, token=task.token, element=task.element, reason="its condition is false"))
        if i is not None:
            d.push(i, task.token)
        return
    settings = assignment.settings_of(task)
    if details.get("assignee") and (reason := duties.released(d, task)):
        d.record(ta.TaskReleased(key=task.instance, task=task.key, status="created", reason=reason, details={"assignee": None}))
        details = task.details or {}
    wish = (i.stores or {}).get("next_assignee") if i is not None else None
    if wish and not task.listener and (settings is not None or task.type in PEOPLE):
        _wish(d, task, settings, lanes, str(wish))
        if i is not None:
            d.record(fl.TokenNoted(key=i.key, token=i.key, data={"next_assignee": None}))
    elif settings is not None and not details.get("assignee"):
        assignment.assign(d, task, settings, lanes)
    clock.assigned(d, task)
    if not PLANNED.isdisjoint(details):
        clock.schedule(d, task)


PLANNED = clock.PLANNED


def _wish(d: Any, task: Task, settings: dict[str, Any] | None, lanes: list[str], wish: str) -> None:
    if settings is not None:
        assignment.assign(d, task, settings, lanes, wish=wish)
        return
    details = task.details or {}
    needs = assignment.Needs(task, {}, [])
    record = assignment.entry(d.state, task.tenant, wish)
    if done := duties.did(d.state, task, wish):
        reason = f"did '{done}', and this is for another (four eyes)"
    elif details.get("assignee"):
        reason = f"the model names {details['assignee']}"
    elif record is not None:
        reason = assignment.why_not(needs, d.state, task.tenant, wish, record, d.facts.now_us)
        if (
            not reason
            and (person := people.limit(d.state, task.tenant, wish)) is not None
            and not person.room(d.state, d.facts.now_us, 1)[0]
        ):
            reason = "it is not known here whether they have room for more"
    else:
        reason = "" if wish in needs.users or not (needs.users or needs.groups) else "is no candidate"
    told = {"wish": {"assignee": wish, "used": not reason, **({"reason": reason} if reason else {})}}
    if reason:
        d.record(ta.TaskUpdated(key=task.instance, task=task.key, status=task.status, reason=f"the wish for {wish} is ignored: {reason}",
                                details={"assignment": {"type": "human", **told}}))  # fmt: skip
        return
    d.record(ta.TaskAssigned(key=task.instance, task=task.key, status="assigned", reason="was named by the task before",
                             details={"assignee": wish, "assignment": {"type": "human", "why": "was named by the task before", **told}}))  # fmt: skip


def input_failure(wrong: list[str], element: str) -> Failure:
    return Failure("INPUT_INVALID", f"the input of {element} does not fit its schema: {'; '.join(wrong)}")


__all__ = ["check_input", "check_output", "created", "definition_of", "grouped", "input_failure", "prepare", "schemas"]

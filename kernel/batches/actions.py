"""What a batch can do, as one table: a name, whose keys its items are, its parameters, and the commands that it becomes for one item.

An item that is so already, or isn't there, is refused with `ALREADY_EXISTS` or `NOT_FOUND`: it is skipped.
Source: requirements of issue 12, line 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import limits, values
from flowledger.kernel.elements import cancelling
from flowledger.kernel.state import Instance, Partition

#: (partition, key, parameters, reason) -> what is to be done, all or nothing; or why not
Make = Callable[[Partition, int, Mapping[str, Any], str], "list[c.AnyCommand] | Rejected"]
#: kinds of parameters, as people read them -> what they are in JSON
KINDS: dict[str, tuple[type[Any], ...]] = {
    "a text": (str,), "a text that isn't empty": (str,), "true or false": (bool,), "a whole number from 1 on": (int,), "an object": (dict,),
    "a list of elements to activate": (list,), "a list of texts": (list,), "an object of texts": (dict,), "a key": (int,),
}  # fmt: skip


class Action(NamedTuple):
    """`of`: lists whose keys it takes, the usual first. `params`: name -> kind; those of `needs` must be there. `prepared`: each item needs what only a door can
    find out; it stands in the parameters under `PREPARED`. `missing`: what is said of a key that only a door knows not to be there."""

    of: tuple[str, ...]
    make: Make
    params: Mapping[str, str] = {}
    needs: frozenset[str] = frozenset()
    prepared: bool = False
    missing: str = ""


#: no parameter that a caller gives is named so
PREPARED = "$prepared"


def _missing(what: str, key: int) -> Rejected:
    return Rejected(RejectionCode.NOT_FOUND, f"expected {what} with key {key}, found none")


def _cancel(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
    i = p.instances.get(key)
    if i is not None and cancelling.is_one(i):
        return Rejected(RejectionCode.ALREADY_EXISTS, "it is being cancelled already")
    return [c.CancelInstance(key=key, reason=reason)]


def _terminate(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
    return [c.CancelInstance(key=key, reason=reason, force=True)]


def _move(move: str, is_so: Callable[[Instance], bool], words: str) -> Make:
    def make(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
        i = p.instances.get(key)
        if i is not None and is_so(i):
            return Rejected(RejectionCode.ALREADY_EXISTS, words)
        return [c.ControlInstance(key=key, move=move, reason=reason)]

    return make


def _resolve(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
    """With `variables`: they are set in the scope of the incident's token first. `retries`: its job gets so many attempts."""
    incident = p.incidents.get(key)
    if incident is None:
        return _missing("an open incident", key)
    before: list[c.AnyCommand] = []
    if params.get("variables") and incident.instance:
        before = [c.SetVariables(key=incident.token or incident.instance, variables=params["variables"], reason=reason)]
    return [*before, *_retried(p, [key], params["retries"])] if "retries" in params else [*before, c.ResolveIncident(key=key)]


def _retry(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
    """An instance: all of its incidents are resolved; a job gets attempts anew; an incident is resolved."""
    retries = params.get("retries", 1)
    if key in p.incidents:
        return _retried(p, [key], retries)
    if (task := p.tasks.get(key)) is not None:
        return _retried(p, [task.incident], retries) if task.incident else [c.UpdateRetries(task=key, retries=retries)]
    i = p.instances.get(key)
    if i is None:
        return _missing("a running instance, a job or an open incident", key)
    if i.status == "quarantined":
        return [c.ReleaseInstance(key=key, reason=reason)]
    if not i.incidents:
        return Rejected(RejectionCode.NOT_FOUND, "it has no open incident")
    return _retried(p, list(i.incidents), retries)


def _retried(p: Partition, incidents: list[int], retries: int) -> list[c.AnyCommand]:
    tasks = [p.incidents[k].task for k in incidents if k in p.incidents and p.incidents[k].task in p.tasks]
    return [*(c.UpdateRetries(task=k, retries=retries) for k in tasks), *(c.ResolveIncident(key=k) for k in incidents)]


def _set_variables(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
    return [c.SetVariables(key=key, variables=params["variables"], local=params.get("local", False), reason=reason)]


def _modify(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
    """`activate`: `{element, variables?}` each; `terminate` names elements: all tokens that stand there."""
    i = p.instances.get(key)
    if i is None:
        return _missing("a running instance", key)
    wanted = set(params.get("terminate") or ())
    tokens = [t.key for t in i.tokens.values() if t.element in wanted]
    if wanted and not tokens and not params.get("activate"):
        return Rejected(RejectionCode.NOT_FOUND, f"no token stands at {', '.join(sorted(wanted))}")
    activate = [
        {"element": a["element"], "variables": {a["element"]: a["variables"]} if a.get("variables") else {}}
        for a in params.get("activate") or ()
    ]
    return [c.ModifyInstance(key=key, activate=activate, terminate=tokens or None, reason=reason)]


def _migrate(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
    i = p.instances.get(key)
    if i is not None and i.definition == params["definition"]:
        return Rejected(RejectionCode.ALREADY_EXISTS, "it is of that definition already")
    target = p.definitions.get(params["definition"])
    if i is not None and (target is None or target.deleted or target.tenant not in ("", i.tenant)):  # the item is there: nothing to skip
        text = f"expected a process definition with key {params['definition']}, found none"
        return Rejected(RejectionCode.INVALID_ARGUMENT, text)
    elements = params.get("elements") or {}
    return [c.MigrateInstance(key=key, definition=params["definition"], elements=elements, reason=reason, same_ids=True)]


def _delete(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
    return [co.RemoveFromViews(key=key, reason=reason)]


def _roll_back(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
    """To the state that a door has folded from its history: see `api/preparing.py`."""
    then = params.get(PREPARED)
    if not isinstance(then, dict) or "image" not in then:
        return Rejected(RejectionCode.INVALID_ARGUMENT, "nobody has said how it was then")
    return [c.RollBackInstance(
        key=key, image=then["image"], position=str(then.get("position") or ""), reason=reason, compensate=params.get("compensate", False),
        outside=then.get("outside") or None, seen=str(then.get("seen") or ""), force=params.get("force", False),
    )]  # fmt: skip


def _assign(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
    task = p.tasks.get(key)
    if task is not None and (task.details or {}).get("assignee") == params["assignee"]:
        return Rejected(RejectionCode.ALREADY_EXISTS, f"{params['assignee']} has it already")
    return [c.MoveTask(task=key, move="assign", reason=reason, details={"assignee": params["assignee"]})]


#: work of people: what a machine does is its worker's to complete
PEOPLE = frozenset({"user_task", "human_task", "manual_task"})


def _of_people(p: Partition, key: int) -> Rejected | None:
    task = p.tasks.get(key)
    if task is None or task.type in PEOPLE:
        return None
    return Rejected(RejectionCode.INVALID_STATE, f"expected a task of people, found {task.type} '{task.element}'")


def _claim(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
    """For whoever asks, or for `assignee`."""
    if (refused := _of_people(p, key)) is not None:
        return refused
    task = p.tasks.get(key)
    name = params.get("assignee")
    if task is not None and name and (task.details or {}).get("assignee") == name:
        return Rejected(RejectionCode.ALREADY_EXISTS, f"{name} has it already")
    return [c.MoveTask(task=key, move="claim", reason=reason, details={"assignee": name} if name else None)]


def _release(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
    task = p.tasks.get(key)
    if task is not None and not (task.details or {}).get("assignee"):
        return Rejected(RejectionCode.ALREADY_EXISTS, "nobody has it")
    return [c.MoveTask(task=key, move="release", reason=reason)]


def _complete(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
    """What asks for values in a form is looked at one by one."""
    if (refused := _of_people(p, key)) is not None:
        return refused
    task = p.tasks.get(key)
    if task is not None and (task.details or {}).get("form"):
        return Rejected(RejectionCode.INVALID_STATE, "it has a form, which is filled in by whoever completes it: complete it by itself")
    return [c.CompleteTask(task=key, variables=params.get("variables"))]


def _escalate(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
    return [c.MoveTask(task=key, move="escalate", reason=reason, details={k: v for k, v in params.items() if v} or None)]


def _redeliver(p: Partition, key: int, params: Mapping[str, Any], reason: str) -> list[c.AnyCommand] | Rejected:
    return [c.ReplayDeadLetter(letter=key, reason=reason)]


_OF_INSTANCES = ("instances",)
ACTIONS: dict[str, Action] = {
    "cancel": Action(_OF_INSTANCES, _cancel),
    "terminate": Action(_OF_INSTANCES, _terminate),
    "suspend": Action(_OF_INSTANCES, _move("suspend", lambda i: i.status == "suspended", "it is suspended already")),
    "resume": Action(_OF_INSTANCES, _move("resume", lambda i: i.status == "running", "it is not suspended")),
    "set_variables": Action(_OF_INSTANCES, _set_variables, {"variables": "an object", "local": "true or false"}, frozenset({"variables"})),
    "modify": Action(_OF_INSTANCES, _modify, {"activate": "a list of elements to activate", "terminate": "a list of texts"}),
    "migrate": Action(_OF_INSTANCES, _migrate, {"definition": "a key", "elements": "an object of texts"}, frozenset({"definition"})),
    "roll_back": Action(
        _OF_INSTANCES, _roll_back,
        {"steps": "a whole number from 1 on", "to": "a text that isn't empty", "undo": "true or false", "compensate": "true or false", "force": "true or false"},
        prepared=True,
    ),
    "delete": Action(_OF_INSTANCES, _delete, missing="expected an ended instance with key {}, found none"),
    "retry": Action(("instances", "jobs", "incidents"), _retry, {"retries": "a whole number from 1 on"}),
    "resolve": Action(("incidents",), _resolve, {"variables": "an object", "retries": "a whole number from 1 on"}),
    "assign": Action(("tasks",), _assign, {"assignee": "a text that isn't empty"}, frozenset({"assignee"})),
    "claim": Action(("tasks",), _claim, {"assignee": "a text that isn't empty"}),
    "release": Action(("tasks",), _release),
    "complete": Action(("tasks",), _complete, {"variables": "an object"}),
    "escalate": Action(("tasks",), _escalate, {"assignee": "a text that isn't empty"}),
    "redeliver": Action(("dead_letters",), _redeliver),
}  # fmt: skip


def problem(name: str, of: str, params: Mapping[str, Any]) -> str:
    """What is wrong with an action and its parameters; `""`: nothing."""
    action = ACTIONS.get(name)
    if action is None:
        return f"action: expected one of {', '.join(ACTIONS)}, found {name[:80]!r}"
    if of and of not in action.of:
        return f"of: {name} takes {' or '.join(action.of)}, found {of[:80]!r}"
    for key, value in params.items():
        kind = action.params.get(key)
        if kind is None:
            return f"params: {name} takes {', '.join(action.params) or 'none'}, found {key[:80]!r}"
        if not _fits(kind, value):
            return f"params.{key}: expected {kind}, found {values.shown(value)}"
    if missing := sorted(action.needs - set(params)):
        return f"params: {name} needs {', '.join(missing)}"
    if name == "modify" and not (params.get("activate") or params.get("terminate")):
        return "params: modify needs activate or terminate"
    if name == "roll_back" and ("steps" in params) + ("to" in params) + bool(params.get("undo")) != 1:
        return "params: roll_back needs one of steps, to and undo"
    return ""


def _fits(kind: str, value: Any) -> bool:
    expected = KINDS[kind]
    if not isinstance(value, expected) or (isinstance(value, bool) and kind != "true or false"):
        return False
    if isinstance(value, int) and not isinstance(value, bool):
        return 1 <= value <= (limits.RETRIES_MAX if kind == "a whole number from 1 on" else (1 << 63) - 1)
    if kind == "a list of elements to activate":
        return all(_is_activation(v) for v in value)
    if kind == "a list of texts":
        return all(isinstance(v, str) and v for v in value)
    if kind == "an object of texts":
        return all(isinstance(v, str) for v in value.values())
    return bool(value) or kind != "a text that isn't empty"


def _is_activation(value: Any) -> bool:
    if not isinstance(value, dict) or not value.keys() <= {"element", "variables"}:
        return False
    return isinstance(value.get("element"), str) and isinstance(value.get("variables", {}), dict)

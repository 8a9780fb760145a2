"""Moves of a task as one table: what may be done to it in which status, by which event, and what its status is then.

Source: requirements D-STA-004, D-EVT-007, APG-HUM-001 to 008. `complete` and `fail` are commands of their own (`handlers/results.py`); their rows stand
here so that the table is whole. A refused move changes nothing, and its answer says why. Who may move what is the API's to check, but what belongs
to the life cycle itself is checked here: whose claim it is, who may recall.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events.base import Event, Rejected, RejectionCode
from flowledger.kernel import holding, retries
from flowledger.kernel.access import holders
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements.triggers import error
from flowledger.kernel.expressions import Failure
from flowledger.kernel.handlers import files, tasks
from flowledger.kernel.handlers.instances import not_found
from flowledger.kernel.packs import gate
from flowledger.kernel.state import Task
from flowledger.kernel.tasks import advised, assignment, clock, step_up
from flowledger.kernel.values import shown

#: bytes of a comment, a reason
TEXT_MAX = 20_000
_OPEN = frozenset({"created", "assigned", "started", "in_progress"})
_BUSY = frozenset({"assigned", "started", "in_progress"})
_ALL = _OPEN | {"suspended", "failed", "timed_out"}

#: move -> (event, allowed from, status after; "": unchanged, "*": it ends or the move decides)
MOVES: dict[str, tuple[type[Event], frozenset[str], str]] = {
    "assign": (ta.TaskAssigned, frozenset({"created", "assigned"}), "assigned"),
    "claim": (ta.TaskAccepted, frozenset({"created", "assigned"}), "assigned"),
    "refuse": (ta.TaskReleased, frozenset({"assigned"}), "*"),
    "release": (ta.TaskReleased, _BUSY, "created"),
    "start": (ta.TaskStarted, frozenset({"created", "assigned"}), "started"),
    "progress": (ta.TaskProgress, _OPEN, "in_progress"),
    "draft": (ta.TaskProgress, _OPEN, ""),
    "suspend": (ta.TaskSuspended, _OPEN, "suspended"),
    "resume": (ta.TaskResumed, frozenset({"suspended"}), "*"),
    "delegate": (ta.TaskDelegated, _BUSY, "assigned"),
    "recall": (ta.TaskRecalled, _BUSY | {"created", "suspended"}, "assigned"),
    "transfer": (ta.TaskTransferred, _OPEN, "*"),
    "escalate": (ta.TaskEscalated, _OPEN | {"failed", "timed_out"}, "*"),
    "comment": (ta.TaskCommented, _ALL, ""),
    "attach": (ta.TaskUpdated, _ALL, ""),
    "update": (ta.TaskUpdated, _ALL, ""),
    "retry": (ta.TaskRetried, _ALL, "*"),
    "skip": (ta.TaskSkipped, _ALL, "*"),
    "cancel": (ta.TaskCancelled, _ALL, "*"),
    "complete": (ta.TaskCompleted, tasks.OPEN, "*"),
    "fail": (ta.TaskFailed, tasks.OPEN, "*"),
}
#: details that only the engine writes
RESERVED = frozenset(
    "job_type lease assignment fired clock_us assigned_us delegations definition suspended_from suspended_us settings attachments drafted_by "
    "breached_us reminded kind endpoint credential request".split()
)


#: what may be done to a task that is held
_ASIDE = frozenset({"comment", "attach", "update"})


def move(d: Decision, e: c.MoveTask) -> Rejected | None:
    task = d.state.tasks.get(e.task)
    if task is None:
        return not_found("an open task with key", e.task)
    row = MOVES.get(e.move)
    if row is None or e.move in ("complete", "fail"):
        return _invalid(f"expected one of {', '.join(m for m in MOVES if m not in ('complete', 'fail'))}, found '{e.move}'")
    if (refused := holders.refuse(d, task, e.move)) is not None:
        return refused
    if e.move == "skip" and (refused := step_up.refuse(d, task, "skip")) is not None:
        return refused
    event, allowed, status = row
    if task.status not in allowed:
        return Rejected(
            RejectionCode.INVALID_STATE, f"can't {e.move} task {e.task}: it is {task.status}, expected {' or '.join(sorted(allowed))}"
        )
    i = d.state.instances.get(task.instance)
    if d.state.holding and e.move not in _ASIDE and (how := holding.of_task(d.state, i, task)):
        if i is not None and i.status == "quarantined":
            how = ""
        if how == holding.SUSPEND or (how and e.move in holders.OWN):
            what = f"its instance {i.key}" if i is not None else "it"
            return Rejected(RejectionCode.INVALID_STATE, f"can't {e.move} task {e.task}: {what} is {holding.words(d.state, i, task)}")
    details = dict(e.details or {})
    if found := RESERVED & details.keys():
        return _invalid(f"expected details without {', '.join(sorted(found))}: the engine writes them")
    if len(e.reason) > TEXT_MAX:
        return _invalid(f"expected a reason of at most {TEXT_MAX} characters, found {len(e.reason)}")
    if d.state.packs and (at := gate.MOVES.get(e.move)) and (refused := _judged(d, task, e.move, at, details)) is not None:
        return refused
    made = MAKE.get(e.move)
    if made is not None:
        if (refused := made(d, task, e, details)) is not None:
            return refused
    else:
        prepare = PREPARE.get(e.move)
        if prepare is not None and (refused := prepare(d, task, details)) is not None:
            return refused
        if task.worker and status in ("in_progress", "started"):
            status = ""  # its lease says that it is worked on; it can be handed out anew as it is
        d.record(event(key=task.instance, task=e.task, status=status or task.status, reason=e.reason, details=details or None))  # type: ignore[call-arg]
    if (now := d.state.tasks.get(e.task)) is None:
        d.answer = {"task": e.task, "status": ENDS.get(e.move, "completed")}
        return None
    if not clock.PLANNED.isdisjoint(details) or e.move in ("suspend", "resume"):
        clock.schedule(d, now)
    elif e.move in _HANDS_ON:
        clock.assigned(d, now)
    d.answer = {"task": e.task, "status": now.status, "row_version": now.row_version}
    if e.move in ("assign", "refuse", "transfer", "escalate"):
        d.answer["assignee"] = (now.details or {}).get("assignee")
    return None


def _judged(d: Decision, task: Task, move: str, at: str, details: dict[str, Any]) -> Rejected | None:
    """What rule packs say of it. Who is to have the task is whom the caller names; who claims or starts it is the caller."""
    to = details.get("assignee") or details.get("to")
    names = [n for n in (to if isinstance(to, list) else [to]) if isinstance(n, str)]
    if not names:
        names = [d.envelope.actor if move in ("assign", "claim", "start") else _held(task)]
    for name in names:
        if (refused := gate.on_task(d, task, at, name)) is not None:
            return refused
    return None


ENDS = {"skip": "skipped", "cancel": "cancelled"}
_HANDS_ON = frozenset({"assign", "delegate", "transfer", "escalate", "refuse"})


def _invalid(message: str) -> Rejected:
    return Rejected(RejectionCode.INVALID_ARGUMENT, message)


def _held(task: Task) -> str:
    return str((task.details or {}).get("assignee") or "")


# --- moves that are one event: what belongs into its details ----------------------------------------------------------


def _text(details: dict[str, Any], name: str) -> Rejected | None:
    value = details.get(name)
    if not isinstance(value, str) or not value:
        return _invalid(f"expected `{name}` as a text, found {shown(value)}")
    return None


def _assign(d: Decision, task: Task, details: dict[str, Any]) -> Rejected | None:
    details.setdefault("assignee", d.envelope.actor)
    if (refused := _text(details, "assignee")) is not None:
        return refused
    record = assignment.entry(d.state, task.tenant, details["assignee"])
    kind = assignment.kind_of(details["assignee"], record)
    if kind in assignment.MACHINES:
        own = details["assignee"] if task.type in ("human_task", "user_task") else task.job_type
        details |= {"kind": kind, "job_type": str((record or {}).get("job_type") or own)}
        if (record or {}).get("endpoint"):
            details["endpoint"] = (record or {})["endpoint"]
    else:
        details |= assignment.from_machine(task)
    why = f"assigned by {d.envelope.actor}" if d.envelope.actor else "assigned by hand"
    details["assignment"] = {"type": kind, "why": why, **assignment.overridden(task, details["assignee"])}
    wrong = advised.taken(d.state, task, details)
    return _invalid(wrong) if wrong else None


def _claim(d: Decision, task: Task, details: dict[str, Any]) -> Rejected | None:
    details.setdefault("assignee", d.envelope.actor)
    if (refused := _text(details, "assignee")) is not None:
        return refused
    name, holder = details["assignee"], _held(task)
    if holder and holder != name:
        return Rejected(RejectionCode.INVALID_STATE, f"task {task.key} is held by '{holder}'")
    users, groups = (assignment.texts((task.details or {}).get(k)) for k in ("candidate_users", "candidate_groups"))
    record = assignment.entry(d.state, task.tenant, name)
    if record is not None and not holder and (users or groups) and name not in users and not assignment.groups_of(record) & set(groups):
        return Rejected(
            RejectionCode.FORBIDDEN, f"'{name}' is no candidate of task {task.key}: expected one of {', '.join([*groups, *users])}"
        )
    return None


def _release(d: Decision, task: Task, details: dict[str, Any]) -> Rejected | None:
    details |= {"assignee": None, **assignment.from_machine(task)}
    return None


def _start(d: Decision, task: Task, details: dict[str, Any]) -> Rejected | None:
    holder, actor = _held(task), d.envelope.actor
    if holder and actor and holder != actor and "assignee" not in details:
        return Rejected(RejectionCode.INVALID_STATE, f"task {task.key} is held by '{holder}'")
    if not holder and actor:
        details.setdefault("assignee", actor)
    return None


def _progress(d: Decision, task: Task, details: dict[str, Any]) -> Rejected | None:
    percent = details.get("percent")
    if percent is not None and (isinstance(percent, bool) or not _between(percent)):
        return _invalid(f"expected 0 to 100 as percent, found {shown(percent)}")
    if "chunk" in details:  # streamed: the number tells a reader what it has missed
        details["chunks"] = (task.details or {}).get("chunks", 0) + 1
    return None


def _between(value: Any) -> bool:
    try:
        return bool(0 <= value <= 100)
    except TypeError:
        return False


def _draft(d: Decision, task: Task, details: dict[str, Any]) -> Rejected | None:
    if not isinstance(details.get("draft"), dict):
        return _invalid("expected `draft` as an object")
    return None


def _suspend(d: Decision, task: Task, details: dict[str, Any]) -> Rejected | None:
    details |= {"suspended_from": task.status, "suspended_us": d.facts.now_us}
    return None


def _delegate(d: Decision, task: Task, details: dict[str, Any]) -> Rejected | None:
    """The delegator keeps oversight: it is remembered, and may recall."""
    if (refused := _text(details, "assignee")) is not None:
        return refused
    by = _held(task) or d.envelope.actor
    if details["assignee"] == by:
        return _invalid(f"'{by}' holds it already")
    hops = list((task.details or {}).get("delegations") or ())
    details["delegations"] = [*hops, {"from": by, "to": details["assignee"], "at_us": d.facts.now_us}]
    return None


def _recall(d: Decision, task: Task, details: dict[str, Any]) -> Rejected | None:
    hops = list((task.details or {}).get("delegations") or ())
    if not hops:
        return Rejected(RejectionCode.INVALID_STATE, f"task {task.key} was delegated by nobody")
    actor = d.envelope.actor
    at = next((n for n, hop in enumerate(hops) if not actor or hop["from"] == actor), None)
    if at is None:
        return Rejected(
            RejectionCode.FORBIDDEN, f"'{actor}' delegated nothing of task {task.key}: {', '.join(h['from'] for h in hops)} did"
        )
    if not actor:
        at = len(hops) - 1
    details |= {"assignee": hops[at]["from"], "delegations": hops[:at] or None}
    return None


def _comment(d: Decision, task: Task, details: dict[str, Any]) -> Rejected | None:
    if (refused := _text(details, "text")) is not None:
        return refused
    if len(details["text"]) > TEXT_MAX:
        return _invalid(f"expected a comment of at most {TEXT_MAX} characters, found {len(details['text'])}")
    details["comments"] = (task.details or {}).get("comments", 0) + 1
    return None


def _attach(d: Decision, task: Task, details: dict[str, Any]) -> Rejected | None:
    """A file by reference: `uri`, and what is known of it. `remove` takes the one of that name away."""
    have = list((task.details or {}).get("attachments") or ())
    file = {k: details.pop(k) for k in files.FIELDS if k in details}
    kept = files.changed(d, have, file, details.pop("remove", None), f"task {task.key}")
    if isinstance(kept, Rejected):
        return kept
    details["attachments"] = kept or None
    return None


def _update(d: Decision, task: Task, details: dict[str, Any]) -> Rejected | None:
    if not details:
        return _invalid("expected details to change")
    if details.get("priority") is not None and not (isinstance(details["priority"], int) and 0 <= details["priority"] <= 100):
        return _invalid(f"expected a priority from 0 to 100, found {shown(details['priority'])}")
    for name in ("due_us", "follow_up_us"):
        if details.get(name) is not None and not isinstance(details[name], int):
            return _invalid(f"expected {name} in microseconds, found {shown(details[name])}")
    if "due_us" in details:  # a new date is kept anew
        details["fired"] = [f for f in (task.details or {}).get("fired") or () if f.split(":")[0] not in ("due", "remind")] or None
    return None


PREPARE: dict[str, Callable[[Decision, Task, dict[str, Any]], Rejected | None]] = {
    "assign": _assign, "claim": _claim, "release": _release, "start": _start, "progress": _progress, "draft": _draft, "suspend": _suspend,
    "delegate": _delegate, "recall": _recall, "comment": _comment, "attach": _attach, "update": _update,
}  # fmt: skip


# --- moves that are more ----------------------------------------------------------------------------------------------


def _refuse(d: Decision, task: Task, e: c.MoveTask, details: dict[str, Any]) -> Rejected | None:
    """The assignee does not want it: the next in order, else it is free again."""
    holder, actor = _held(task), d.envelope.actor
    if holder and actor and actor != holder:
        return Rejected(RejectionCode.FORBIDDEN, f"'{actor}' can't refuse for '{holder}'")
    if assignment.move_on(d, task, "refused", e.reason):
        return None
    record = dict((task.details or {}).get("assignment") or {})
    record["passed"] = [*assignment.texts(record.get("passed")), holder]
    if assignment.settings_of(task) is not None:
        record |= {"assignee": "", "why": f"{holder} refused, nobody else is eligible"}  # it waits for whoever comes
    details |= {"assignee": None, "assignment": record, **assignment.from_machine(task)}
    d.record(ta.TaskReleased(key=task.instance, task=task.key, status="created", reason=e.reason or f"{holder} refused", details=details))
    return None


def _resume(d: Decision, task: Task, e: c.MoveTask, details: dict[str, Any]) -> Rejected | None:
    """As it was; dates move by the time it stood still."""
    was = task.details or {}
    stood = max(0, d.facts.now_us - was.get("suspended_us", d.facts.now_us))
    details |= {"suspended_from": None, "suspended_us": None, "clock_us": was.get("clock_us", 0) + stood}
    for name in ("due_us", "assigned_us"):
        if isinstance(was.get(name), int) and f"{name[:-3]}:0" not in (was.get("fired") or ()):
            details[name] = was[name] + stood
    d.record(
        ta.TaskResumed(key=task.instance, task=task.key, status=was.get("suspended_from") or "created", reason=e.reason, details=details)
    )
    return None


def _transfer(d: Decision, task: Task, e: c.MoveTask, details: dict[str, Any]) -> Rejected | None:
    """For good: to somebody, or to the candidates of groups. Input and draft stay; whoever delegated has no oversight any more."""
    to, groups = details.get("assignee"), assignment.texts(details.get("candidate_groups"))
    if not to and not groups:
        return _invalid("expected an assignee, or candidate_groups")
    if to and (refused := _assign(d, task, details)) is not None:
        return refused
    details |= {"assignee": to or None, "delegations": None}
    d.record(ta.TaskTransferred(key=task.instance, task=task.key, status="assigned" if to else "created", reason=e.reason, details=details))
    return None


def _escalate(d: Decision, task: Task, e: c.MoveTask, details: dict[str, Any]) -> Rejected | None:
    """To whom the caller says, else to the next level of the task's path."""
    to = assignment.texts(details.pop("assignee", None) or details.pop("to", None))
    found = clock.next_level(task)
    level = ((task.details or {}).get("escalation") or {}).get("level", 0) + 1
    if not to and found is None:
        return _invalid("expected an assignee: the task has no further level of escalation")
    row: dict[str, Any] = {**details, "to": to} if to or found is None else {**found[1], **details}
    if task.status in ("failed", "timed_out"):
        d.record(ta.TaskRetried(key=task.instance, task=task.key, retries=1))
    clock.escalate(d, task, row, level, e.reason or "escalated by hand")
    return None


def _retry(d: Decision, task: Task, e: c.MoveTask, details: dict[str, Any]) -> Rejected | None:
    """New attempts, with another retry policy when one is given. Resolves the incident of the last."""
    policy = details.pop("retry", None)
    attempts = details.pop("retries", None)
    if policy is not None:
        made, problems = retries.normalise(policy)
        if problems:
            return _invalid("; ".join(problems))
        attempts = attempts if attempts is not None else made.max_attempts or None
        details["retry"] = policy
    attempts = attempts if attempts is not None else max(1, task.retries)
    if not isinstance(attempts, int) or isinstance(attempts, bool) or attempts < 1:
        return _invalid(f"expected one attempt or more, found {shown(attempts)}")
    if task.worker:
        return Rejected(RejectionCode.INVALID_STATE, f"task {task.key} is worked on by '{task.worker}'")
    if task.status not in ("failed", "timed_out", "created", "assigned"):
        return Rejected(
            RejectionCode.INVALID_STATE, f"can't retry task {task.key}: it is {task.status}, expected failed, created or assigned"
        )
    if details:
        d.record(ta.TaskUpdated(key=task.instance, task=task.key, status=task.status, reason=e.reason, details=details))
    d.record(ta.TaskRetried(key=task.instance, task=task.key, retries=attempts))
    if task.incident:
        tasks.resolve_incident(d, task)
    return None


def _skip(d: Decision, task: Task, e: c.MoveTask, details: dict[str, Any]) -> Rejected | None:
    """The flow goes on without it."""
    i = d.state.instances.get(task.instance)
    if task.incident:
        tasks.resolve_incident(d, task)
    if i is None:
        clock.stop(d, task)
    d.record(ta.TaskSkipped(key=task.instance, task=task.key, token=task.token, element=task.element, reason=e.reason))
    if i is None:
        tasks.ended(d, task, "skipped", {}, e.reason)
    else:
        d.push(i, task.token)
    return None


def _cancel(d: Decision, task: Task, e: c.MoveTask, details: dict[str, Any]) -> Rejected | None:
    """Withdrawn. In a workflow the error TASK_CANCELLED goes to its handler; without one an incident waits at the element, whose resolution makes
    the task anew."""
    i = d.state.instances.get(task.instance)
    if task.incident:
        tasks.resolve_incident(d, task)
    if i is None:
        clock.stop(d, task)
        d.record(ta.TaskCancelled(task=task.key, token=0, element=task.element, reason=e.reason))
        tasks.ended(d, task, "cancelled", {}, e.reason)
        return None
    token = i.tokens[task.token]
    clock.stop(d, task)
    d.record(ta.TaskCancelled(key=i.key, task=task.key, token=task.token, element=task.element, reason=e.reason))
    try:
        error.throw_code(d, i, token, CANCELLED, e.reason)
    except Failure:
        d.incident(
            i,
            token,
            Failure(CANCELLED, f"task {task.key} was cancelled" + (f": {e.reason}" if e.reason else "") + "; resolve to make it anew"),
        )
    return None


#: error code, and code of the incident, of a cancelled task
CANCELLED = "TASK_CANCELLED"

MAKE: dict[str, Callable[[Decision, Task, c.MoveTask, dict[str, Any]], Rejected | None]] = {
    "refuse": _refuse, "resume": _resume, "transfer": _transfer, "escalate": _escalate, "retry": _retry, "skip": _skip, "cancel": _cancel,
}  # fmt: skip

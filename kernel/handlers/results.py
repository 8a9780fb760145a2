"""What ends an attempt of a task: a result, a failure, a BPMN error. Source: interfaces.md `/jobs`; Zeebe's gateway protocol for the meaning of each."""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import business
from flowledger.kernel import retries as policy
from flowledger.kernel.access import holders
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements.triggers import error
from flowledger.kernel.expressions import Failure
from flowledger.kernel.handlers import keeping, tasks
from flowledger.kernel.packs import gate
from flowledger.kernel.state import Instance, Task
from flowledger.kernel.tasks import assignment, clock, duties, guards, rules, step_up
from flowledger.kernel.values import shown

RESULTS = ("success", "partial_success")
#: of a failure's details: where the worker's code was, its newest characters
STACK_TRACE, STACK_TRACE_MAX = "stack_trace", 16_000


def complete(d: Decision, e: c.CompleteTask) -> Rejected | None:
    task = tasks.find(d, e.task, e.fence)
    if isinstance(task, Rejected):
        return task
    refused = duties.refuse(d, task, "complete") if task.type in rules.PEOPLE else None  # also of what was kept until now
    if refused is None and not (e.fence and task.worker):  # else it shows its lease
        refused = holders.refuse(d, task, "complete")
    if refused is None:
        refused = step_up.refuse(d, task, "complete")
    if refused is not None:
        return refused
    if e.variables is not None and not isinstance(e.variables, dict):
        return Rejected(RejectionCode.INVALID_ARGUMENT, "expected variables to be an object")
    if task.status not in tasks.OPEN:
        return Rejected(
            RejectionCode.INVALID_STATE, f"can't complete task {e.task}: it is {task.status}, expected {' or '.join(sorted(tasks.OPEN))}"
        )
    status = e.status if e.result is None and e.status in RESULTS else _status(e)
    if isinstance(status, Rejected):
        return status
    if task.details is not None:
        if (refused := rules.check_output(d, task, e.variables)) is not None:
            return refused
    i = d.state.instances.get(task.instance)
    if e.variables and business.VARIABLE in e.variables and i is not None and (refused := _state_refused(d, i, e.variables)) is not None:
        return refused
    if d.state.holding and keeping.keep(d, i, e, task.token):
        d.answer = {"kept": True}
        return None
    if task.details is not None and task.details.get("kind") == "hybrid" and task.worker:
        _drafted(d, task, e)
        return None
    packs = d.state.packs
    if packs and (refused := gate.on_task(d, task, "complete", gate.assignee_of(task), e.variables)) is not None:
        return refused
    counts = guards.names_of(d.state, task) if d.state.guards else None
    if i is None:
        tasks.tidy(d, task)
        at = len(d.events)
        d.record(
            ta.TaskCompleted(
                task=task.key, token=0, element=task.element, variables=e.variables, status=status, result=e.result, worker=task.worker
            )
        )
        if counts:
            guards.after(d, counts)
        tasks.ended(d, task, "completed", d.events[at].variables or {})  # type: ignore[attr-defined]
        return None
    token = i.tokens[task.token]
    merged = 0
    spread: dict[str, Any] | None = None
    variables = e.variables
    if task.details is not None and isinstance(settings := task.details.get("settings"), dict) and settings.get("statusVariable"):
        variables = {**(variables or {}), settings["statusVariable"]: status}  # so that a partial success may take its own flow
    if variables:
        node = d.facts.processes[i.definition].nodes[token.element]
        whole = node.properties.get("flowledger:result")
        if whole and whole not in variables and not task.listener:  # steps keep a step's result together
            variables = {whole: variables}
        if node.outputs or task.listener:
            merged = token.key
        elif token.vars is None and token.scope == i.key:
            merged = i.key
        else:
            homes = {d.home_of(i, token.key, name) for name in variables}
            if len(homes) == 1:
                merged = homes.pop()
            else:
                spread = variables
    d.record(
        ta.TaskCompleted(
            key=i.key,
            task=task.key,
            token=token.key,
            element=token.element,
            variables=variables,
            merged=merged,
            status=status,
            # a job that was to choose and says nothing has chosen nothing: to be asked again at once, it would say that for ever
            result={} if e.result is None and task.type == "ad_hoc_sub_process" else e.result,
            worker=task.worker,
        )
    )
    if task.type in rules.PEOPLE:
        duties.note(d, i, task, bool(packs) and gate.notes(d, i))
    if counts:
        guards.after(d, counts)
    if spread:
        d.set_variables(i, token.key, spread)
    d.work.append((i.key, token.key))
    return None


def _status(e: c.CompleteTask) -> str | Rejected:
    """The word of the result, by itself or in the result."""
    told = e.result.get("status") if isinstance(e.result, dict) else None
    for word in (e.status, told):
        if word is not None and word not in RESULTS:
            return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected the status {' or '.join(RESULTS)}, found {shown(word)}")
    if told is not None and e.status != "success" and told != e.status:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected one status, found '{e.status}' and '{told}' in the result")
    return told or e.status


def _state_refused(d: Decision, i: Instance, variables: dict[str, Any]) -> Rejected | None:
    """A result can't set the business state past its table."""
    try:
        business.check(d, i, variables)
    except Failure as failure:
        return Rejected(RejectionCode.INVALID_STATE, failure.message)
    return None


def _drafted(d: Decision, task: Task, e: c.CompleteTask) -> None:
    """Of a hybrid task the agent's part is done: a person confirms it, with the agent's result as the draft."""
    details = task.details or {}
    to = assignment.settings_of(task) or {}
    person = to.get("assignee") if to.get("assignee") != details.get("assignee") else None
    changes: dict[str, Any] = {
        "draft": e.variables or {}, "drafted_by": details.get("assignee") or task.worker, "kind": "human", "job_type": "", "lease": None, "assignee": person,
        "assignment": {"type": "hybrid", "why": "the agent's draft is to be confirmed", "drafted_by": details.get("assignee") or task.worker},
    }  # fmt: skip
    status = "assigned" if person else "created"
    d.record(ta.TaskProgress(key=task.instance, task=task.key, status=status, reason="drafted, to be confirmed", details=changes))
    d.answer = {"status": status, "to_be_confirmed": True}


def fail(d: Decision, e: c.FailTask) -> Rejected | None:
    task = tasks.find(d, e.task, e.fence)
    if isinstance(task, Rejected):
        return task
    if (refused := holders.refuse(d, task, "fail", e.fence)) is not None:
        return refused
    if task.status in ("suspended", "failed", "timed_out"):
        return Rejected(RejectionCode.INVALID_STATE, f"can't fail task {e.task}: it is {task.status}")
    if d.state.holding and keeping.keep(d, d.state.instances.get(task.instance), e, task.token):
        d.answer = {"kept": True}
        return None
    counts = guards.names_of(d.state, task) if d.state.guards else None
    left, backoff_ms = policy.after_failure(task, e, d.facts.now_us)
    retry_at = d.facts.now_us + backoff_ms * 1000 if left > 0 and backoff_ms > 0 else 0
    d.record(
        ta.TaskFailed(
            key=task.instance, task=task.key, token=task.token, element=task.element, retries=left, retry_at_us=retry_at, code=e.code,
            message=e.message, details=_details(d, e.details), variables=e.variables, worker=task.worker,
        )
    )  # fmt: skip
    if counts:
        guards.after(d, counts)
    d.answer = {"retries": left, "retry_at_us": retry_at}
    if isinstance(e.details, dict) and e.details.get("escalation_required") is True:
        _escalation_required(d, task, e)
    elif left <= 0:
        policy.exhausted(d, task, e)
    return None


def _details(d: Decision, details: dict[str, Any] | None) -> dict[str, Any] | None:
    """A stack trace is for development: one of bounded length, and none where none is kept (docs/workers.md)."""
    if not details or STACK_TRACE not in details:
        return details
    trace = details[STACK_TRACE]
    if not d.facts.stack_traces or not isinstance(trace, str):
        return {k: v for k, v in details.items() if k != STACK_TRACE} or None
    return details if len(trace) <= STACK_TRACE_MAX else {**details, STACK_TRACE: trace[-STACK_TRACE_MAX:]}


def _escalation_required(d: Decision, task: Task, e: c.FailTask) -> None:
    """Whoever failed asks for it: the next level of the path; without one a person gets the task (C-32)."""
    reason = e.message or e.code or "asked for by the failure"
    if task.retries <= 0:
        d.record(ta.TaskRetried(key=task.instance, task=task.key, retries=1))
    if (found := clock.next_level(task)) is not None:
        clock.escalate(d, task, found[1], found[0], reason)
    else:
        details: dict[str, Any] = {"job_type": "", "kind": "human", "assignee": None, "error": {"code": e.code, "message": e.message},
                   "escalation": {"level": 1, "to": [], "from": (task.details or {}).get("assignee")}}  # fmt: skip
        d.record(ta.TaskEscalated(key=task.instance, task=task.key, status="created", reason=reason, details=details))


def throw_error(d: Decision, e: c.ThrowTaskError) -> Rejected | None:
    task = tasks.find(d, e.task, e.fence)
    if isinstance(task, Rejected):
        return task
    if (refused := holders.refuse(d, task, "fail", e.fence)) is not None:
        return refused
    if (refused := step_up.refuse(d, task, "throw an error from")) is not None:
        return refused
    i = d.state.instances.get(task.instance)
    if i is None:
        return Rejected(RejectionCode.INVALID_STATE, f"task {e.task} belongs to no workflow: nothing could catch the error")
    if d.state.holding and keeping.keep(d, i, e, task.token):
        d.answer = {"kept": True}
        return None
    token = i.tokens[task.token]
    try:
        error.throw_code(d, i, token, e.code, e.message, e.variables)
    except Failure as failure:
        d.incident(i, token, failure, task=task.key)
    return None

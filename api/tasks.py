"""Tasks: work as people (and agents) see it. Every move is a command; who may do what in which status is the kernel's table."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Response, get, post
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.edge import (
    ApiRequest,
    Body,
    Count,
    CountOrPolicy,
    Fence,
    KeyPath,
    Millis,
    MillisOrPolicy,
    Moment,
    Name,
    Result,
    Text,
    Variables,
    Words,
    key_of,
    reply,
)
from flowledger.api.instance_views import After, Element, EventCursor, Since, Types, Until, event_page
from flowledger.api.instances import PriorityValue, priority_of
from flowledger.api.jobs import Trace, with_trace
from flowledger.api.lists import Cursor, Definition, KeyFilter, Limit, Priority, WaitFor, listing
from flowledger.api.locking import etag, expected
from flowledger.api.problems import Problem, malformed
from flowledger.api.services import services_of
from flowledger.api.task_input import ACTIVITY, input_of
from flowledger.api.veil import may_see
from flowledger.api.view import answer_view
from flowledger.events import commands as c
from flowledger.events.base import RejectionCode
from flowledger.events.files import SCHEME

Status = Literal["created", "assigned", "started", "in_progress", "suspended", "completed", "failed", "timed_out", "cancelled", "skipped"]
TaskType = Literal[
    "human_task", "user_task", "service_task", "script_task", "send_task", "receive_task", "manual_task", "business_rule_task",
    "call_activity", "sub_process",
]  # fmt: skip
OPEN: tuple[Status, ...] = ("created", "assigned", "started", "in_progress", "suspended", "failed", "timed_out")
DONE: tuple[Status, ...] = ("completed", "cancelled", "skipped")
Move = Literal[
    "assign", "claim", "release", "start", "progress", "suspend", "resume", "cancel", "skip", "retry", "escalate", "delegate", "transfer",
    "recall", "comment", "update", "attach", "draft", "refuse",
]  # fmt: skip


class MoveBody(Body):
    """What a move needs beside its reason goes to `details`; the frequent ones have names of their own.

    `row_version` (from the task): refuse when somebody has changed the task since.
    """

    reason: Words = ""
    details: dict[str, Any] = {}
    row_version: Count | None = None
    #: assign, claim, delegate, transfer, escalate: to whom
    assignee: Text | None = None
    #: assign: who was recommended for it; what is done instead is recorded as an override
    advised: Name | None = None
    #: comment
    text: Words | None = None
    #: progress, 0 to 100
    percent: Annotated[float, Meta(ge=0, le=100)] | None = None
    #: update
    priority: PriorityValue | None = None
    due: Moment | None = None
    follow_up: Moment | None = None
    #: transfer, update: to the candidates of these
    candidate_groups: list[Name] | None = None
    candidate_users: list[Name] | None = None
    #: draft
    draft: dict[str, Any] | None = None
    #: attach: a file by reference; `remove` takes the one of that name away
    name: Text | None = None
    uri: Words | None = None
    media_type: Text | None = None
    size: Fence | None = None
    remove: Text | None = None
    #: retry: with another policy, with so many attempts
    retry: dict[str, Any] | None = None
    retries: Count | None = None


class CompleteBody(Body):
    """`result`: summary, artifacts, logs, metrics, next_assignee."""

    variables: Variables = {}
    status: Result = "success"
    result: dict[str, Any] | None = None
    row_version: Count | None = None


class FailBody(Body):
    """`retries` and `backoff_ms` -1: by the task's policy. A recommendation can only lower the attempts."""

    message: Words = ""
    code: Text = ""
    retries: CountOrPolicy = -1
    backoff_ms: MillisOrPolicy = -1
    variables: Variables | None = None
    details: dict[str, Any] | None = None
    stack_trace: Trace | None = None
    retry_recommended: bool | None = None
    escalation_required: bool | None = None
    row_version: Count | None = None


class TaskBody(Body):
    """A task without workflow. `details`: assignee, candidate_groups, candidate_users, due_us, form ...

    `definition`: a task definition, `name` or `name@version`. `assignment`, `escalation`, `sla`, `calendar`, `reminders`: its settings.
    `wait_ms`: answer when it has ended, with its result's variables (of them only `fetch`).
    """

    name: Text
    definition: Text = ""
    assignment: dict[str, Any] | None = None
    escalation: list[dict[str, Any]] | None = None
    sla: str | None = None
    calendar: str | None = None
    reminders: list[str] | None = None
    wait_ms: Millis = 0
    fetch: list[str] | None = None
    type: TaskType = "human_task"
    job_type: Text = ""
    variables: Variables | None = None
    headers: dict[str, str] | None = None
    details: dict[str, Any] | None = None
    retries: Count = 3
    priority: PriorityValue = 40


def foreign(details: dict[str, Any], where: str) -> None:
    """A file that is kept here is attached by sending it. Raises: Problem (422): somebody names one by its hash."""
    listed = details.get("attachments")
    found = [details.get("uri"), *(x.get("uri") for x in (listed if isinstance(listed, list) else ()) if isinstance(x, dict))]
    if any(isinstance(uri, str) and uri.startswith(SCHEME) for uri in found):
        raise Problem(
            RejectionCode.INVALID_ARGUMENT,
            f"a file that is kept here is attached by PUT .../files/NAME, found a uri that begins with {SCHEME}",
            where=where,
        )


@get("/tasks", summary="List tasks")
async def list_tasks(
    request: ApiRequest,
    status: Annotated[list[Status] | None, Parameter(description="One or more")] = None,
    open: Annotated[bool | None, Parameter(description="true: those that are not done yet")] = None,
    assignee: str | None = None,
    candidate_group: str | None = None,
    any_group: Annotated[list[str] | None, Parameter(description="Candidates of at least one of these groups")] = None,
    candidate_user: str | None = None,
    type: Annotated[list[TaskType] | None, Parameter(description="One or more")] = None,
    job_type: str | None = None,
    category: str | None = None,
    priority: Priority = None,
    instance: KeyFilter = None,
    definition: Definition = None,
    element: str | None = None,
    parent: KeyFilter = None,
    reference: Annotated[str | None, Parameter(description="What it is about, the whole of it")] = None,
    reference_starts: Annotated[str | None, Parameter(description="What it is about begins so")] = None,
    result_status: Annotated[Result | None, Parameter(description="How it was completed")] = None,
    activities: Annotated[
        bool | None, Parameter(description="true: what the engine does itself as well; none: only where `type` asks for it")
    ] = None,
    due_before: datetime | None = None,
    due_after: datetime | None = None,
    overdue: bool | None = None,
    sort: Annotated[
        Literal["created", "due", "priority"] | None,
        Parameter(
            description="The newest, the soonest due, or the most urgent first; none: the newest, or the soonest due where that is asked for"
        ),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[a.TaskRow]]:
    """Newest first, the soonest due first with `due_before`, `due_after` or `overdue=true`, or by `sort`; tasks that are due at no time stand
    after those that are. Work of people and machines; activities that the engine does itself (calls, sub-processes, scripts ...) by `type` or
    `activities`."""
    if open is not None:
        group = OPEN if open else DONE
        of_both = tuple(s for s in group if s in status) if status else group
    filters = {
        "status": status if open is None else of_both, "assignee": assignee, "candidate_group": candidate_group,
        "any_group": any_group, "sort": sort,
        "candidate_user": candidate_user, "type": type, "job_type": job_type, "category": category, "priority": priority,
        "instance": instance, "definition": definition, "element": element, "due_before": due_before, "due_after": due_after,
        "overdue": overdue, "parent": parent, "reference": reference, "reference_starts": reference_starts, "result_status": result_status, "activities": activities,
    }  # fmt: skip
    return reply(await listing(request, "tasks", filters, limit, cursor, wait_for))


@post("/tasks", summary="Create a task without workflow")
async def create(request: ApiRequest, data: TaskBody) -> Response[a.TaskMoved]:
    s = services_of(request)
    if not 0 <= data.wait_ms <= s.settings.wait_ms_max:
        raise malformed(f"0 to {s.settings.wait_ms_max} was expected, found {data.wait_ms}", "body wait_ms")
    details = dict(data.details or {})
    foreign(details, "body details")
    settings = {k: v for k in ("assignment", "escalation", "sla", "calendar", "reminders") if (v := getattr(data, k)) is not None}
    if settings:
        details["settings"] = {**(details.get("settings") or {}), **settings}
    if data.definition:
        details["definition"] = data.definition
    command = c.CreateTask(
        type=data.type, job_type=data.job_type, name=data.name, variables=data.variables, headers=data.headers, details=details or None,
        retries=data.retries, priority=priority_of(data.priority), wait=data.wait_ms > 0, fetch=data.fetch,
    )  # fmt: skip
    if data.wait_ms:
        request.scope["flowledger_long"] = True  # type: ignore[typeddict-unknown-key]
    answer = await s.call(command, request, wait_ms=data.wait_ms)
    s.made(answer.get("task", 0), answer.get("position", ""))
    return reply(answer_view(answer), 201)


@get("/tasks/{id:str}", summary="Get a task")
async def get_task(request: ApiRequest, id: KeyPath, wait_for: WaitFor = None) -> Response[a.Task]:
    """With who had it (`assignments`) and its attempts (`results`)."""
    s = services_of(request)
    caller = s.identify(request)
    tenant = caller.tenant
    row = await s.find("tasks", key_of(id, "task"), tenant, wait_for)
    if caller.actor and row.get("assignee") == caller.actor and row.get("status") in OPEN:
        may_see(request, "works on the task")
    return reply({**row, "input": await input_of(s, row, tenant)}, 200, **etag(row))


@get("/tasks/{id:str}/events", summary="History of a task")
async def events(
    request: ApiRequest,
    id: KeyPath,
    after: After = None,
    cursor: EventCursor = None,
    type: Types = None,
    element: Element = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    wait_for: WaitFor = None,
) -> Response[a.Page[a.Event]]:
    """In order, oldest first; `after` and `cursor` say from where."""
    s = services_of(request)
    key = key_of(id, "task")
    await s.find("tasks", key, s.identify(request).tenant, wait_for)
    return await event_page(request, "tasks", key, after if cursor is None else cursor, limit, type, element, since, until)


async def worked_on(request: ApiRequest, id: str) -> int:
    """The key of a task that somebody can do something with. Raises: Problem: the engine does it itself."""
    key = key_of(id, "task")
    if key >= ACTIVITY:
        s = services_of(request)
        row = await s.find("tasks", key, s.identify(request).tenant, None)
        text = f"task {id} is the {row['type']} '{row['element']}', which the engine does itself: nobody can claim, complete or move it"
        raise Problem(RejectionCode.INVALID_STATE, f"{text}; its instance {row['instance']} can be modified")
    return key


@get("/tasks/{id:str}/metrics", summary="Durations, attempts, figures of a task")
async def metrics(request: ApiRequest, id: KeyPath, wait_for: WaitFor = None) -> Response[a.TaskMetrics]:
    s = services_of(request)
    key, tenant = key_of(id, "task"), s.identify(request).tenant
    await s.find("tasks", key, tenant, wait_for)
    return reply(await s.reads.report("task_metrics", key, tenant))


async def _moved(request: ApiRequest, command: c.AnyCommand) -> Response[a.TaskMoved]:
    """With the tag of what it is now."""
    found = answer_view(await services_of(request).call(command, request))
    return reply(found, 200, **etag(found))


@post("/tasks/{id:str}/complete", status_code=200, locks=True, previews=True, summary="Complete a task")
async def complete(request: ApiRequest, id: KeyPath, data: CompleteBody | None = None) -> Response[a.TaskMoved]:
    data = data or CompleteBody()
    command = c.CompleteTask(
        task=await worked_on(request, id),
        variables=data.variables,
        status=data.status,
        result=data.result,
        row_version=expected(request, data.row_version),
    )
    return await _moved(request, command)


@post("/tasks/{id:str}/fail", status_code=200, locks=True, previews=True, summary="Fail a task")
async def fail(request: ApiRequest, id: KeyPath, data: FailBody | None = None) -> Response[a.TaskMoved]:
    data = data or FailBody()
    details = dict(data.details or {})
    details |= {k: v for k in ("retry_recommended", "escalation_required") if (v := getattr(data, k)) is not None}
    command = c.FailTask(
        task=await worked_on(request, id), message=data.message, code=data.code, retries=data.retries, backoff_ms=data.backoff_ms,
        variables=data.variables, details=with_trace(details or None, data.stack_trace), row_version=expected(request, data.row_version),
    )  # fmt: skip
    return await _moved(request, command)


@post("/tasks/{id:str}/{move:str}", status_code=200, locks=True, previews=True, summary="Move a task on")
async def change(request: ApiRequest, id: KeyPath, move: Move, data: MoveBody | None = None) -> Response[a.TaskMoved]:
    """`move`: assign, claim, refuse, release, start, progress, draft, suspend, resume, cancel, skip, retry, escalate, delegate, transfer, recall,
    comment, attach or update. 409 when it isn't possible in the task's status, or when `row_version` isn't the task's any more."""
    data = data or MoveBody()
    details = dict(data.details)
    given = {
        "assignee": data.assignee,
        "advised": data.advised,
        "text": data.text,
        "percent": data.percent,
        "priority": None if data.priority is None else priority_of(data.priority),
        "due_us": None if data.due is None else int(data.due.timestamp() * 1_000_000),
        "follow_up_us": None if data.follow_up is None else int(data.follow_up.timestamp() * 1_000_000),
        **{name: getattr(data, name) for name in _AS_THEY_ARE},
    }
    details |= {k: v for k, v in given.items() if v is not None}
    foreign(details, "body uri")
    command = c.MoveTask(
        task=await worked_on(request, id),
        move=move,
        reason=data.reason,
        details=details or None,
        row_version=expected(request, data.row_version),
    )
    return await _moved(request, command)


_AS_THEY_ARE = ("candidate_groups", "candidate_users", "draft", "name", "uri", "media_type", "size", "remove", "retry", "retries")

HANDLERS: list[Any] = [list_tasks, create, get_task, events, metrics, complete, fail, change]

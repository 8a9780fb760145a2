"""Instances: start, look, steer. What a single instance is like now or was at a moment: `instance_views.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Response, delete, get, patch, post
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api import veil
from flowledger.api.edge import (
    ApiRequest,
    Body,
    Count,
    DefinitionRef,
    KeyPath,
    KeyRef,
    Millis,
    Name,
    Text,
    Variables,
    Words,
    is_key,
    key_of,
    reply,
)
from flowledger.api.lists import Cursor, Definition, KeyFilter, Limit, Priority, Version, WaitFor, listing, variable_filters
from flowledger.api.locking import etag, expected
from flowledger.api.problems import Problem, malformed
from flowledger.api.services import Services, services_of
from flowledger.api.view import answer_view, row_event_view
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events.base import PRIORITIES
from flowledger.events.commands import partition_of_text
from flowledger.events.control import NoteReading
from flowledger.events.wire import NAMES
from flowledger.events.workflow import WorkflowRemovedFromViews
from flowledger.kernel.protection import KeysAway

Status = Literal["pending", "running", "suspended", "quarantined", "completed", "failed", "cancelled", "terminated"]
#: statuses of tasks that somebody has to do something about, or does
ACTIVE = ("created", "assigned", "started", "in_progress", "suspended")
REMOVED = NAMES[WorkflowRemovedFromViews]
PriorityValue = Annotated[int, Meta(ge=0, le=100)] | Literal["low", "normal", "medium", "high", "critical", "urgent"]  # `PRIORITIES`


#: characters of a comment
REMARK_MAX = 4_000
#: characters of a search
WHERE_MAX, TEXT_MAX = 2_000, 200
_WHERE = (
    "FEEL: comparisons (=, !=, <, <=, >, >=, in, between, contains, starts with, is defined) joined by and, or. Names are variables, "
    "with paths (order.items.sku); run.status, run.process, run.business_key and others are the instance's own"
)
_TEXT = (
    "A text that is the value of any variable, the id, the process, the initiator, the correlation id, or the beginning of the business key"
)


class StartBody(Body):
    """`definition`: a process id (with `version`, 0 or none: the latest, or `version_tag`), or a definition's key.

    `wait_ms`: answer when the instance has ended, with its variables (of them only `fetch`), and 504 when it hasn't by then.
    """

    definition: DefinitionRef
    version: Count = 0
    version_tag: Text = ""
    variables: Variables = {}
    business_key: Text = ""
    #: 0 to 100, or low, normal, high, critical, urgent
    priority: PriorityValue = 40
    metadata: dict[str, Any] | None = None
    start_at: list[Name] | None = None
    wait_ms: Millis = 0
    fetch: list[str] | None = None


class ReasonBody(Body):
    reason: Words = ""


class CancelBody(Body):
    """`force` ends at once (status terminated), without cancel handlers and compensation."""

    reason: Words = ""
    force: bool = False


class RemarkBody(Body):
    """`element`: what is said is said of this element."""

    text: Annotated[str, Meta(min_length=1, max_length=REMARK_MAX, pattern=r"\S")]
    element: Text = ""


class VariablesBody(Body):
    """Into the scope where each name is found, outwards from `scope` (a token's key; none: the instance); `local`: into that itself."""

    variables: Variables
    scope: KeyRef | None = None
    local: bool = False
    reason: Words = ""


def priority_of(value: int | str) -> int:
    return PRIORITIES[value] if isinstance(value, str) else value


@post("/instances", previews=True, summary="Start an instance")
async def start(request: ApiRequest, data: StartBody) -> Response[a.Started]:
    """The instance is on the log when the answer comes. With `Idempotency-Key` a repeated request gets the first answer."""
    s = services_of(request)
    if not 0 <= data.wait_ms <= s.settings.wait_ms_max:
        raise malformed(f"0 to {s.settings.wait_ms_max} was expected, found {data.wait_ms}", "body wait_ms")
    by_key = isinstance(data.definition, int) or is_key(data.definition)
    command = c.StartInstance(
        id="" if by_key else str(data.definition),
        definition=key_of(data.definition, "definition") if by_key else 0,
        version=data.version,
        version_tag=data.version_tag,
        variables=data.variables,
        business_key=data.business_key,
        priority=priority_of(data.priority),
        metadata=data.metadata,
        start_at=data.start_at,
        wait=data.wait_ms > 0,
        fetch=data.fetch,
    )
    id = request.headers.get("idempotency-key", "")
    # the same id must meet the same owner, which remembers the first answer
    partition = partition_of_text(id, s.client.partitions) if id else None
    if data.wait_ms:
        request.scope["flowledger_long"] = True  # type: ignore[typeddict-unknown-key]
    answer = await s.call(command, request, wait_ms=data.wait_ms, partition=partition)
    s.made(answer["key"], answer.get("position", ""))
    found = answer_view(answer)
    return reply(found, 201, Location=f"/v1/instances/{found['id']}")


@get("/instances", summary="List instances", query_prefix="var.")
async def list_instances(
    request: ApiRequest,
    definition: Definition = None,
    version: Version = None,
    status: Annotated[list[Status] | None, Parameter(description="One or more")] = None,
    business_key: str | None = None,
    has_incident: bool | None = None,
    paused: bool | None = None,
    priority: Priority = None,
    initiator: str | None = None,
    correlation_id: str | None = None,
    project_id: Annotated[str | None, Parameter(description="Of the metadata given at the start")] = None,
    environment: Annotated[str | None, Parameter(description="Of the metadata given at the start")] = None,
    started_from: datetime | None = None,
    started_to: datetime | None = None,
    parent: KeyFilter = None,
    where: Annotated[str | None, Parameter(schema_extra={"minLength": 1, "maxLength": WHERE_MAX}, description=_WHERE)] = None,
    text: Annotated[
        str | None, Parameter(schema_extra={"minLength": 1, "maxLength": TEXT_MAX, "pattern": r"\S"}, description=_TEXT)
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[a.InstanceRow]]:
    """Newest first. `var.NAME[op]=VALUE` filters by variables; `op`: eq, ne, lt, lte, gt, gte; without `[op]` it is eq. All filters hold together;
    `where` has OR, paths and more operators."""
    filters = {
        "definition": definition, "version": version, "status": status, "business_key": business_key, "has_incident": has_incident,
        "paused": paused, "priority": priority, "initiator": initiator, "correlation_id": correlation_id, "project_id": project_id,
        "environment": environment, "started_from": started_from, "started_to": started_to, "parent": parent, "where": where, "text": text, **variable_filters(request),
    }  # fmt: skip
    return reply(await listing(request, "instances", await _found(request, filters), limit, cursor, wait_for))


async def _found(request: ApiRequest, filters: dict[str, Any]) -> dict[str, Any]:
    """With protected variables, where they may be searched for. Whoever asks whether something is somebody's is written down, as who reads it is."""
    s = services_of(request)
    if s.finding is None or s.vault is None or not any(name.startswith("var.") for name in filters):
        return filters
    caller = s.asking(request)
    try:
        found: dict[str, Any]
        found, names = await s.finding.asked(caller.tenant, filters)
    except KeysAway as e:
        raise Problem("UNAVAILABLE", f"the keys of protected values can't be had: {e}", retry_after_ms=1000) from None
    if names:
        await veil.noted(
            s, caller, NoteReading(operation="read_protected", kind="instances", names=sorted(names), reason="searched by equality")
        )
    return found


async def find(s: Services, request: ApiRequest, id: str, wait_for: str | None = None) -> dict[str, Any]:
    return await s.find("instances", key_of(id, "instance"), s.identify(request).tenant, wait_for)


@get("/instances/{id:str}", summary="Get an instance")
async def get_instance(
    request: ApiRequest,
    id: KeyPath,
    include: Annotated[list[Literal["tasks", "events"]] | None, Parameter(description="One or both")] = None,
    limit: Limit = 50,
    wait_for: WaitFor = None,
) -> Response[a.Instance]:
    """One that was just started is waited for: you read your own write. Its tasks and events are counts and links; `include` gives their first
    `limit` (tasks: the newest)."""
    s = services_of(request)
    row = await find(s, request, id, wait_for)
    key, tenant, path = int(row["id"]), s.identify(request).tenant, f"/v1/instances/{row['id']}"
    found = await s.reads.report("about", key, tenant) or {"tasks": {}, "activities": 0, "events": 0, "incidents": 0}
    counts: dict[str, int] = found["tasks"]
    given = row.get("execution_context")
    row["execution_context"] = {
        **(given if isinstance(given, dict) else {}), "active_tasks": sum(counts.get(w, 0) for w in ACTIVE),
        "completed_tasks": counts.get("completed", 0), "failed_tasks": counts.get("failed", 0) + counts.get("timed_out", 0),
        "incidents": found["incidents"], "href": f"{path}/context",
    }  # fmt: skip
    row["tasks"] = {
        "count": sum(counts.values()), "activities": found["activities"], "href": f"/v1/tasks?instance={key}&activities=true",
    }  # fmt: skip
    row["events"] = {"count": found["events"], "href": f"{path}/events"}
    limit = min(limit, s.settings.history_max)
    if include and "tasks" in include:
        wanted = {"instance": str(key), "activities": "true"}
        row["tasks"]["items"] = (await s.reads.list("tasks", wanted, limit, "", tenant))["items"]
    if include and "events" in include:
        page = await s.reads.events("instances", key, {}, "", limit, tenant)
        row["events"]["items"] = [row_event_view(r) for r in page["items"]]
    return reply(row, 200, **etag(row))


@get("/instances/{id:str}/variables", summary="Variables of all scopes")
async def variables(request: ApiRequest, id: KeyPath, wait_for: WaitFor = None) -> Response[a.Variables]:
    """`variables` are those of the instance; `items` those of all scopes (sub-processes, tasks), with `scope_key`, type and times."""
    s = services_of(request)
    row = await find(s, request, id, wait_for)
    found = await s.reads.variables(int(row["id"]), s.identify(request).tenant) or {}
    return reply({"instance": row["id"], **found}, 200, **etag(row))


async def changed(request: ApiRequest, command: c.AnyCommand, plan: str = "") -> Response[a.Done]:
    """With the tag of what it is now."""
    found = answer_view(await services_of(request).call(command, request, plan=plan))
    return reply(found, 200, **etag(found))


@patch("/instances/{id:str}/variables", summary="Set variables", locks=True, previews=True)
async def set_variables(request: ApiRequest, id: KeyPath, data: VariablesBody) -> Response[a.Done]:
    scope = key_of(data.scope, "body scope") if data.scope is not None else key_of(id, "instance")
    command = c.SetVariables(key=scope, variables=data.variables, local=data.local, reason=data.reason, row_version=expected(request))
    return await changed(request, command)


@post("/instances/{id:str}/cancel", status_code=200, locks=True, previews=True, summary="Cancel an instance")
async def cancel(request: ApiRequest, id: KeyPath, data: CancelBody | None = None) -> Response[a.Done]:
    data = data or CancelBody()
    command = c.CancelInstance(key=key_of(id, "instance"), reason=data.reason, force=data.force, row_version=expected(request))
    return await changed(request, command)


def _control(move: str, text: str) -> Any:
    async def handler(request: ApiRequest, id: KeyPath, data: ReasonBody | None = None) -> Response[a.Done]:
        command = c.ControlInstance(
            key=key_of(id, "instance"), move=move, reason=data.reason if data else "", row_version=expected(request)
        )
        return await changed(request, command)

    handler.__name__ = f"{move}_instance"
    handler.__doc__ = text
    return post(f"/instances/{{id:str}}/{move}", status_code=200, locks=True, previews=True, summary=f"{move.capitalize()} an instance")(
        handler
    )


suspend = _control("suspend", "Everything stands still; what arrives meanwhile is kept and applied at resume.")
resume = _control("resume", "Goes on from the same tokens.")
pause = _control("pause", "No new work is handed out; work in hand may finish.")
unpause = _control("unpause", "Queued work is handed out again.")


@post("/instances/{id:str}/release", status_code=200, locks=True, previews=True, summary="Release a quarantined instance")
async def release(request: ApiRequest, id: KeyPath, data: ReasonBody | None = None) -> Response[a.Done]:
    """It goes on from where a defect stopped it; what came meanwhile is applied. Should the defect be there still, it is quarantined again."""
    command = c.ReleaseInstance(key=key_of(id, "instance"), reason=data.reason if data else "", row_version=expected(request))
    return await changed(request, command)


@post("/instances/{id:str}/comment", status_code=200, previews=True, summary="Comment on an instance")
async def comment(request: ApiRequest, id: KeyPath, data: RemarkBody) -> Response[a.Done]:
    """To be read by all who see it: an event of its history (`workflow.commented`). Of one that goes on or has ended."""
    key = key_of(id, "instance")
    await find(services_of(request), request, id)
    found = answer_view(await services_of(request).call(co.CommentInstance(key=key, text=data.text, element=data.element), request))
    return reply(found)


@delete("/instances/{id:str}", status_code=200, previews=True, summary="Delete an ended instance from the views")
async def delete_instance(request: ApiRequest, id: KeyPath, reason: Annotated[Words, Parameter()] = "") -> Response[a.Done]:
    """Its rows go from all lists, for good: a rebuild of the views leaves them out as well. The ledger keeps its events. One that hasn't ended is refused;
    instances that it called are instances of their own."""
    s = services_of(request)
    key = key_of(id, "instance")
    try:
        await find(s, request, id)
    except Problem:
        again = request.headers.get("idempotency-key")  # the same request once more gets the first answer
        if not again or not (await s.reads.events("instances", key, {"type": REMOVED}, "", 1, s.identify(request).tenant))["items"]:
            raise
    return await changed(request, co.RemoveFromViews(key=key, reason=reason))


HANDLERS: list[Any] = [
    start, list_instances, get_instance, variables, set_variables, cancel, suspend, resume, pause, unpause, release, comment, delete_instance,
]  # fmt: skip

"""Operations that need a second person (setting `second_person`): the request waits as an approval, somebody else decides, and who asked asks again with it, once.

What was approved is what is done: method, path, query and body are bound by their digest. That the two are not one person, that it is used once and in time, is
held by the ledger (`kernel/tasks/approvals.py`).
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable
from typing import Annotated, Any, get_args
from urllib.parse import unquote

import msgspec
from litestar import Response, get, post
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers
from flowledger.api.access.door import IDENTITY, SAFE, forbidden
from flowledger.api.access.operations import BY_MOVE, HTTP, needed
from flowledger.api.edge import ApiRequest, Body, reply, time_text
from flowledger.api.openapi import operation_id, remembered
from flowledger.api.problems import Problem, malformed
from flowledger.api.refusals import about, named, operation_of
from flowledger.api.services import Services, services_of
from flowledger.events import commands as c
from flowledger.events.base import RejectionCode
from flowledger.infra.settings import SettingsError
from flowledger.kernel.tasks.approvals import APPROVED, REASON_MAX, REFUSED, REGISTRY, USED, WAITING

ID = r"^[0-9a-f]{24}$"
ApprovalPath = Annotated[str, Parameter(schema_extra={"pattern": ID}, description="Id of the approval")]
After = Annotated[str, Parameter(max_length=100, description="`cursor` of the page before")]
Limit = Annotated[int, Parameter(ge=1, le=1000)]
#: of those that are over some are forgotten when a further one is asked for
FORGET_MAX = 20
#: uploads go by here unread
UPLOADS = frozenset(("attach_task", "change_files"))
#: action of a batch -> operations that it does beside `ACTION_KIND`, as the log of operations names them (`kernel/batches/actions.py`)
ALSO: dict[str, tuple[str, ...]] = {
    "terminate": ("cancel_instance",), "delete": ("remove_from_views",), "set_variables": ("set_variables",), "redeliver": ("replay_dead_letter",),
    "resolve": ("set_variables", "update_retries"), "retry": ("resolve_incident", "update_retries", "release_instance"),
}  # fmt: skip


class DecideBody(Body):
    reason: Annotated[str, Meta(max_length=REASON_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class Approval(msgspec.Struct, kw_only=True):
    """`status`: waiting, approved, refused, used, expired. `digest`: SHA-256 of what was asked: method, path, query and body.
    `right`: who decides needs it as well as `approvals:decide`; empty: that alone."""

    id: str
    operation: str
    method: str
    path: str
    digest: str
    by: str
    reason: str
    asked_at: str
    expires_at: str
    status: str
    right: str
    decided_by: str | None = None
    decided_at: str | None = None
    answer: str | None = None
    position: str | None = None


class _Batch(msgspec.Struct):
    """What is looked at of its body."""

    action: str = ""
    dry_run: bool = False


class _Deployment(msgspec.Struct):
    """What is looked at of its body."""

    profiles: dict[str, Any] | None = None


PROFILE = "put_profile"


def _now_us() -> int:
    return time.time_ns() // 1000


def _shown(id: str, v: dict[str, Any], position: str | None = None) -> Approval:
    over = v["until_us"] <= _now_us() and v["status"] in (WAITING, APPROVED)
    return Approval(
        id=id, operation=v["operation"], right=v["right"], method=v["method"], path=v["path"], digest=v["digest"], by=v["by"], reason=v["reason"],
        asked_at=time_text(v["at_us"]) or "", expires_at=time_text(v["until_us"]) or "", status="expired" if over else v["status"],
        decided_by=v.get("decided_by"), decided_at=time_text(v.get("decided_us") or 0), answer=v.get("answer"), position=position,
    )  # fmt: skip


def check(known: set[str], asked: tuple[str, ...], setting: str = "second_person") -> None:
    """Raises: SettingsError: no operation has that name."""
    if wrong := sorted(n for n in asked if n in UPLOADS or (n not in known and f"*_{n.partition('_')[2]}" not in known)):
        raise SettingsError(
            f"setting {setting}: expected operations that change something, as the log of operations names them, found {', '.join(wrong)}"
        )


def names_of(routes: Any) -> set[str]:
    """Of all operations that can wait: what changes something and has a body that is read at once."""
    found: set[str] = set()
    for route in routes:
        for handler in getattr(route, "route_handlers", ()):
            for method in set(handler.http_methods) - SAFE - {"OPTIONS"}:
                operation, kind = named(operation_id(handler, method, []))
                found.add(f"*_{kind}" if "{move" in route.path_format else operation)
    return found - UPLOADS


async def named_in(request: ApiRequest, wanted: tuple[str, ...]) -> str:
    """Which of these operations a request is, or does as a batch; empty: none, or nothing happens."""
    if request.method in SAFE or request.query_params.get("dry_run") == "true":
        return ""
    operation, _ = operation_of(request.scope)
    handler = request.scope["route_handler"]
    if operation == "create_batch":
        group = operation_id(handler, request.method, []) == "resolve_group_incident"
        return await _of_batch(request, wanted, "resolve" if group else "")
    if (
        operation not in wanted
        and PROFILE in wanted
        and request.scope["path_template"] == "/v1/deployments"
        and await _has_profiles(request)
    ):
        return PROFILE
    return operation if operation in wanted and not (_can_be_dry(handler) and await _dry(request)) else ""


async def second(request: ApiRequest) -> None:
    """What needs a second person, and has none, goes no further. Raises: Problem (403)."""
    s = services_of(request)
    operation = await named_in(request, s.settings.second_person)
    if not operation or request.scope["path"].startswith("/v1/approvals/"):
        return
    body = await request.body()
    query = request.scope.get("query_string", b"").decode("latin-1")
    digest = hashlib.sha256(f"{request.method}\n{request.scope['path']}\n{query}\n".encode() + body).hexdigest()
    if given := request.headers.get("x-approval"):
        await _use(s, request, given, operation, digest)
    else:
        await _wait(s, request, operation, digest)


async def _has_profiles(request: ApiRequest) -> bool:
    """Profiles may go with models: what needs a second person by itself needs one then, too."""
    try:
        return bool(msgspec.json.decode(await request.body() or b"{}", type=_Deployment).profiles)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False  # a form, which has none; or the route says what is wrong with it


async def _of_batch(request: ApiRequest, wanted: tuple[str, ...], action: str) -> str:
    """A batch of what needs a second person needs one, too. `action`: where the body has none."""
    try:
        body = msgspec.json.decode(await request.body() or b"{}", type=_Batch)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""  # the route reads it in the same way, and says what is wrong with it
    if body.dry_run:
        return ""
    return "create_batch" if "create_batch" in wanted else of_action(action or body.action, wanted)


def _can_be_dry(handler: Any) -> bool:
    """Its body may say that nothing is to happen. Of other routes that word means nothing, and lets nobody by."""
    field = handler.parsed_data_field
    kinds = (field.annotation, *get_args(field.annotation)) if field is not None else ()
    return any("dry_run" in getattr(kind, "__struct_fields__", ()) for kind in kinds)


async def _dry(request: ApiRequest) -> bool:
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=_Batch).dry_run
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def of_action(action: str, wanted: Iterable[str]) -> str:
    """Which of these operations a batch of that action does; empty: none."""
    return next((name for name in wanted if name in ALSO.get(action, ()) or name.startswith(f"{action}_")), "")


def _kept(tenant: str, id: str) -> str:
    return f"{tenant}/{id}" if tenant else id


async def _wait(s: Services, request: ApiRequest, operation: str, digest: str) -> None:
    caller, now, id = s.identify(request), _now_us(), secrets.token_hex(12)
    if not caller.actor:
        raise Problem("FORBIDDEN", f"{operation} needs a second person: who asks has to say who they are", status=403)
    if key := request.headers.get("idempotency-key", ""):  # the same request once more, since its answer was lost, is the same approval
        id = hashlib.sha256(f"{caller.tenant}\n{caller.actor}\n{key}\n{digest}".encode()).hexdigest()[:24]
        if (was := await s.record(request, REGISTRY, id)) is not None:
            raise _needed(operation, id, was["until_us"])
    over = [row for row in (await _records(s, request, "", 1000))["records"] if row["value"]["until_us"] <= now]
    for row in over[:FORGET_MAX]:
        forget = c.StoreRecord(registry=REGISTRY, name=_kept(caller.tenant, row["name"]), value=None)
        await s.client.call(forget, caller, partition=0)
    template = f"{request.method} {request.scope['path_template']}"
    right = needed(template, request.path_params) if template in BY_MOVE else HTTP.get(template, "")
    until = now + int(s.settings.second_person_hours * 3_600_000_000)
    value = {
        "operation": operation, "right": right, "method": request.method, "path": about(request.scope, caller.tenant)[1][:2000], "digest": digest, "by": caller.actor,
        "reason": unquote(request.headers.get("x-reason", ""))[:REASON_MAX], "at_us": now, "until_us": until, "status": WAITING,
    }  # fmt: skip
    await s.call(c.StoreRecord(registry=REGISTRY, name=_kept(caller.tenant, id), value=value), request, partition=0, keyed=False, beside=id)
    raise _needed(operation, id, until)


def _needed(operation: str, id: str, until_us: int) -> Problem:
    return Problem(
        "APPROVAL_NEEDED", f"{operation} needs a second person: it waits as approval {id} until {time_text(until_us)}. When somebody else has approved it, ask the "
        f"same again with the header X-Approval: {id}", status=403, approval=id,
    )  # fmt: skip


async def _use(s: Services, request: ApiRequest, id: str, operation: str, digest: str) -> None:
    tenant = s.identify(request).tenant
    was = await s.record(request, REGISTRY, id) if len(id) == 24 else None
    if was is None:
        raise malformed(f"the id of an approval was expected, found {id[:40]!r}", "header X-Approval")
    if was["digest"] != digest or was["operation"] != operation:
        raise Problem("APPROVAL_NEEDED", f"approval {id} is of something else: of {was['operation']}, asked with other words", status=403)
    use = c.StoreRecord(registry=REGISTRY, name=_kept(tenant, id), value={**was, "status": USED})
    # the same request once more may have the answer that its id stands for; what is remembered by no id would be done twice by one approval
    keyed = remembered(request.scope["path_template"])
    try:
        await s.call(use, request, partition=0, keyed=keyed, beside=id)
    except Problem as p:
        if p.status != 409:
            raise
        raise Problem("APPROVAL_NEEDED", f"{operation} needs a second person: {p.detail}", status=403) from None


async def _records(s: Services, request: ApiRequest, after: str, limit: int) -> dict[str, Any]:
    return await s.call(c.ListRecords(registry=REGISTRY, after=after, limit=limit), request, partition=0, keyed=False, beside="list")


async def _found(request: ApiRequest, id: str) -> dict[str, Any]:
    was = await services_of(request).record(request, REGISTRY, id)
    if was is None:
        raise Problem(RejectionCode.NOT_FOUND, f"no approval {id}")
    return was


@get("/approvals", summary="List what waits for a second person")
async def list_approvals(request: ApiRequest, cursor: After = "", limit: Limit = 100) -> Response[answers.Page[Approval]]:
    """And what was decided, until it is forgotten: when it is over and others are asked for; the log of operations keeps it."""
    page = await _records(services_of(request), request, cursor, limit)
    rows = page.get("records") or []
    return reply({"items": [_shown(r["name"], r["value"]) for r in rows], "cursor": rows[-1]["name"] if page.get("more") else None})


@get("/approvals/{id:str}", summary="An approval")
async def get_approval(request: ApiRequest, id: ApprovalPath) -> Response[Approval]:
    return reply(_shown(id, await _found(request, id)))


async def _decide(request: ApiRequest, id: str, status: str, reason: str) -> Response[Approval]:
    s, was = services_of(request), await _found(request, id)
    caller, identity = s.identify(request), request.scope.get(IDENTITY)
    if identity is not None and was["right"] and was["right"] not in identity.rights:  # type: ignore[attr-defined]
        raise forbidden(was["right"], identity)  # type: ignore[arg-type]
    if was["status"] == status and was["decided_by"] == caller.actor and was["answer"] == reason:  # its answer was lost
        return reply(_shown(id, was))
    value = {**was, "status": status, "decided_by": caller.actor, "decided_us": _now_us(), "answer": reason}
    done = await s.call(c.StoreRecord(registry=REGISTRY, name=_kept(caller.tenant, id), value=value), request, partition=0, keyed=False)
    return reply(_shown(id, value, done.get("position")))


@post("/approvals/{id:str}/approve", summary="Approve what somebody else asks for", status_code=200)
async def approve_approval(request: ApiRequest, id: ApprovalPath, data: DecideBody) -> Response[Approval]:
    """By somebody else than who asked, who has the right to the operation as well. Whoever asked may then do it, once, until it expires."""
    return await _decide(request, id, APPROVED, data.reason)


@post("/approvals/{id:str}/refuse", summary="Refuse what somebody else asks for", status_code=200)
async def refuse_approval(request: ApiRequest, id: ApprovalPath, data: DecideBody) -> Response[Approval]:
    return await _decide(request, id, REFUSED, data.reason)


HANDLERS: list[Any] = [list_approvals, get_approval, approve_approval, refuse_approval]

"""Tenants: made, changed, suspended, resumed and removed by the operator (docs/security.md#tenants)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, Body, position_text, reply, time_text
from flowledger.api.problems import Problem
from flowledger.api.services import services_of
from flowledger.events.base import RejectionCode
from flowledger.events.commands import ListRecords
from flowledger.events.control import ControlTenant
from flowledger.kernel.tasks.quotas import WAITING_MAX
from flowledger.kernel.tenants import DEFAULT, METADATA_MAX, NAME_MAX, REGISTRY, REMOVED, SHARE_MAX, TITLE_MAX

PATTERN = r"^[^/*\x00-\x1f\x7f]+$"
TenantName = Annotated[str, Meta(min_length=1, max_length=NAME_MAX, pattern=PATTERN)]
TenantPath = Annotated[str, Parameter(schema_extra={"pattern": PATTERN, "minLength": 1, "maxLength": NAME_MAX})]
Title = Annotated[str, Meta(max_length=TITLE_MAX)]
Why = Annotated[str, Meta(max_length=2_000)]
WhyQuery = Annotated[str, Parameter(max_length=2_000)]
After = Annotated[str, Parameter(max_length=NAME_MAX, description="`cursor` of the page before")]
Page = Annotated[int, Parameter(ge=1, le=1000)]
Metadata = Annotated[dict[str, Any], Meta(max_length=METADATA_MAX)]


class Rate(Body):
    """So many (`max`) in each so many milliseconds."""

    max: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    per_ms: Annotated[int, Meta(ge=1, le=86_400_000)] = 1_000


class JobsBody(Body):
    """The tenant's share of work: `concurrency`, how many of its jobs are out at once; `rate`, how many go out in a time. Over all partitions."""

    concurrency: Annotated[int, Meta(ge=1, le=1_000_000_000)] | UnsetType = UNSET
    rate: Rate | UnsetType = UNSET
    ageing_ms: Annotated[int, Meta(ge=1, le=86_400_000)] | UnsetType = UNSET


class QuotasBody(Body):
    """Over all partitions. `instances`: how many run at once, called ones aside; `starts`: how many begin in a time. Others are pending, and begin in order. `waiting`:
    how many may be pending in each partition (1,000 unless it is said); where more come callers get 429. `share`: where several tenants want more than a partition
    can do, how much it gets next to one that has 1. `storage`: bytes of its files and rows; with more nothing new begins (429)."""

    instances: Annotated[int, Meta(ge=1, le=1_000_000_000)] | UnsetType = UNSET
    starts: Rate | UnsetType = UNSET
    waiting: Annotated[int, Meta(ge=1, le=WAITING_MAX)] | UnsetType = UNSET
    share: Annotated[int, Meta(ge=1, le=SHARE_MAX)] | UnsetType = UNSET
    storage: Annotated[int, Meta(ge=1, le=1_000_000_000_000_000)] | UnsetType = UNSET


class ChangeBody(Body):
    """What isn't said stays; `jobs` and `quotas` are said as a whole, `{}`: none.
    `unknown`, of `default` alone: whether callers may name a tenant that nobody has made."""

    title: Title | None = None
    metadata: Metadata | None = None
    jobs: JobsBody | None = None
    quotas: QuotasBody | None = None
    unknown: Literal["accept", "refuse"] | None = None
    reason: Why = ""


class MakeBody(Body):
    """`name`: what callers say as `X-Tenant`, and what users and API keys are of."""

    name: TenantName
    title: Title = ""
    metadata: Metadata = {}
    jobs: JobsBody | None = None
    quotas: QuotasBody | None = None
    reason: Why = ""


class MoveBody(Body):
    """`reason`: shown to whoever is refused meanwhile."""

    reason: Annotated[str, Meta(min_length=1, max_length=2_000)]


class ResumeBody(Body):
    reason: Why = ""


def _view(name: str, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    found = {
        "name": name, "tenant": "" if name == DEFAULT else name, "status": value["status"], "title": value.get("title", ""),
        "metadata": value.get("metadata") or {}, "quotas": value.get("quotas") or {}, "hold": value.get("hold") or None, "reason": value.get("reason", ""),
        "created_at": time_text(value.get("created_us", 0)), "updated_at": time_text(value.get("updated_us", 0)),
    }  # fmt: skip
    if name == DEFAULT:
        found["unknown"] = value.get("unknown", "accept")
    return found | more


async def _tenant(request: ApiRequest, name: str) -> dict[str, Any]:
    value = await services_of(request).record(request, REGISTRY, name)
    if value is None or value["status"] == REMOVED:
        raise Problem(RejectionCode.NOT_FOUND, f"expected a tenant named '{name}', found none")
    return value


async def _ask(request: ApiRequest, command: ControlTenant) -> dict[str, Any]:
    answer = dict(await services_of(request).call(command, request))
    return _view(answer.pop("name"), answer, position=answer.get("position"))


def _plain(body: Body | None) -> dict[str, Any] | None:
    return None if body is None else msgspec.to_builtins(body)


@get("/tenants", summary="List tenants")
async def list_tenants(
    request: ApiRequest,
    status: Annotated[Literal["active", "suspended", "removed"] | None, Parameter(description="Without it all but removed ones")] = None,
    cursor: After = "",
    limit: Page = 100,
) -> Response[a.Page[a.Tenant]]:
    """By name. The operator sees all that were made, and `default`; whoever has a tenant sees that one."""
    items: list[dict[str, Any]] = []
    more = True
    while more and len(items) <= limit:
        command = ListRecords(registry=REGISTRY, after=cursor, limit=1_000)
        found = await services_of(request).call(command, request, partition=0)
        rows = found.get("records") or ()
        items += [
            _view(r["name"], r["value"]) for r in rows if (r["value"]["status"] == status if status else r["value"]["status"] != REMOVED)
        ]
        more = bool(found.get("more") and rows)
        cursor = rows[-1]["name"] if rows else cursor
    return reply({"items": items[:limit], "cursor": items[limit - 1]["name"] if len(items) > limit else None})


@get("/tenants/{name:str}", summary="Get a tenant")
async def get_tenant(request: ApiRequest, name: TenantPath) -> Response[a.Tenant]:
    """With its limit of work, and what it has that may go on."""
    value, s = await _tenant(request, name), services_of(request)
    limit = None if name == DEFAULT else await s.record(request, "limit", f"tenant:{name}")
    tenant = "" if name == DEFAULT else name
    has = await s.reads.belongings(tenant)
    position = has.pop("position", None)
    has["storage"] = (await s.storage.measure(tenant))._asdict()
    return reply(_view(name, value, jobs=limit, has=has, position=position))


@post("/tenants", summary="Make a tenant")
async def make_tenant(request: ApiRequest, data: MakeBody) -> Response[a.Tenant]:
    """One of a name that callers have used already has what they have done under it. A removed one is there again, with what was left of it."""
    command = ControlTenant(
        name=data.name, move="create", title=data.title, metadata=data.metadata, jobs=_plain(data.jobs), quotas=_plain(data.quotas), reason=data.reason
    )  # fmt: skip
    return reply(await _ask(request, command), 201)


@patch("/tenants/{name:str}", summary="Change a tenant")
async def change_tenant(request: ApiRequest, name: TenantPath, data: ChangeBody) -> Response[a.Tenant]:
    command = ControlTenant(
        name=name, move="change", title=data.title, metadata=data.metadata, jobs=_plain(data.jobs), quotas=_plain(data.quotas), unknown=data.unknown, reason=data.reason
    )  # fmt: skip
    return reply(await _ask(request, command))


@post("/tenants/{name:str}/suspend", status_code=200, summary="Suspend a tenant")
async def suspend_tenant(request: ApiRequest, name: TenantPath, data: MoveBody) -> Response[a.Tenant]:
    """Nothing of it moves: a hold is over all of it (`hold`). Callers begin nothing new; what timers and messages start waits, and what arrives for what
    runs is kept. Everything can be read."""
    return reply(await _ask(request, ControlTenant(name=name, move="suspend", reason=data.reason)))


@post("/tenants/{name:str}/resume", status_code=200, summary="Resume a tenant")
async def resume_tenant(request: ApiRequest, name: TenantPath, data: ResumeBody | None = None) -> Response[a.Tenant]:
    """What stood still goes on, and what was kept is applied in the order in which it came."""
    return reply(await _ask(request, ControlTenant(name=name, move="resume", reason=data.reason if data else "")))


@delete("/tenants/{name:str}", status_code=200, summary="Remove a tenant")
async def remove_tenant(request: ApiRequest, name: TenantPath, leave: bool = False, reason: WhyQuery = "") -> Response[a.Tenant]:
    """One that is suspended, and has nothing that may go on: no open instance, no open task, no published definition. `leave`: although it has; that stands still
    then until the tenant is made again. History stays in any case. Its users and keys stay too, and begin nothing."""
    value, s = await _tenant(request, name), services_of(request)
    if not leave and name != DEFAULT and value["status"] == "suspended":
        if ends := s.ends():  # the views have what the log has by now
            await s.wait_for(position_text(ends))
        has = await s.reads.belongings(name)
        if there := [f"{has[what]} {what}" for what in ("instances", "tasks", "definitions") if has[what]]:
            text = f"expected a tenant with nothing that may go on, found {', '.join(there)}: end, archive, or say leave"
            raise Problem(RejectionCode.INVALID_STATE, text, status=409, has={k: v for k, v in has.items() if k != "position"})
    return reply(await _ask(request, ControlTenant(name=name, move="remove", leave=leave, reason=reason)))


HANDLERS: list[Any] = [list_tenants, get_tenant, make_tenant, change_tenant, suspend_tenant, resume_tenant, remove_tenant]

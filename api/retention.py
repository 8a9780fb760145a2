"""Rules of retention: for how long ended instances, and protected values of a class, are kept; what would go by now; a step at once."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, post, put
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers
from flowledger.api.edge import TEXT_MAX, ApiRequest, Body, Moment, reply, time_text
from flowledger.api.problems import Problem
from flowledger.api.retaining import Retaining, rule_of
from flowledger.api.services import request_id, services_of
from flowledger.api.subjects import After, Limit, Why
from flowledger.events import commands as c
from flowledger.events.base import RejectionCode
from flowledger.kernel.protection import KeysAway
from flowledger.kernel.tasks.privacy import RETENTION, kept_us

_NAME = r"^[a-z0-9][a-z0-9._-]{0,99}$"
RulePath = Annotated[str, Parameter(schema_extra={"pattern": _NAME}, description="Name of the rule")]


class RetentionBody(Body):
    """`after`: an ISO 8601 duration from the end of an instance on (a month has 30 days, a year 365). `definition`: id of a process; empty: all that have
    no rule of their own. `class`: protected values of that class alone; empty: whole instances."""

    after: Annotated[str, Meta(min_length=2, max_length=60)]
    reason: Why
    definition: Annotated[str, Meta(max_length=TEXT_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    cls: Annotated[str, Meta(pattern=r"^([a-z][a-z0-9_-]{0,39})?$")] = msgspec.field(default="", name="class")


class RetentionRule(msgspec.Struct, kw_only=True):
    name: str
    definition: str
    cls: str = msgspec.field(name="class")
    after: str
    reason: str
    by: str
    since: str
    position: str | None = None


class DueInstance(msgspec.Struct, kw_only=True):
    id: str
    definition: str
    ended_at: Moment


class RetentionPreview(msgspec.Struct, kw_only=True):
    """What would go by now. `instances` (10,000 stands for that or more) with the oldest as `items`; `held`: passed over among the first, since a legal
    hold is on them; `keys`: of the first `keys_looked_at` of the tenant those that would seal nothing more that is to be kept."""

    before: Moment
    instances: int
    held: int
    items: list[DueInstance]
    keys: int
    keys_looked_at: int


class RetentionGone(msgspec.Struct, kw_only=True):
    rule: str
    instances: list[str]
    keys: list[str]


class RetentionStep(msgspec.Struct, kw_only=True):
    """`certificates`: they stand in the log of operations too (`apply_retention`)."""

    certificates: list[RetentionGone]


def _rule(name: str, value: dict[str, Any], position: str | None = None) -> RetentionRule:
    return RetentionRule(
        name=name, definition=value["definition"], cls=value["class"], after=value["after"], reason=value["reason"], by=value["by"],
        since=time_text(value["at_us"]) or "", position=position,
    )  # fmt: skip


def _retaining(request: ApiRequest) -> Retaining:
    found: Retaining | None = services_of(request).retaining
    if found is None:
        raise Problem(RejectionCode.UNAVAILABLE, "this process applies no rules of retention")
    return found


@get("/retention", summary="List rules of retention")
async def list_retention(request: ApiRequest, cursor: After = "", limit: Limit = 100) -> Response[answers.Page[RetentionRule]]:
    page = await services_of(request).call(c.ListRecords(registry=RETENTION, after=cursor, limit=limit), request, partition=0)
    rows = page.get("records") or []
    return reply({"items": [_rule(r["name"], r["value"]) for r in rows], "cursor": rows[-1]["name"] if page.get("more") else None})


async def _found(request: ApiRequest, name: str) -> dict[str, Any]:
    value = await services_of(request).record(request, RETENTION, name)
    if value is None:
        raise Problem(RejectionCode.NOT_FOUND, f"no rule of retention {name}")
    return value


@get("/retention/{name:str}", summary="A rule of retention")
async def get_retention(request: ApiRequest, name: RulePath) -> Response[RetentionRule]:
    return reply(_rule(name, await _found(request, name)))


@put("/retention/{name:str}", summary="Make or change a rule of retention")
async def put_retention(request: ApiRequest, name: RulePath, data: RetentionBody) -> Response[RetentionRule]:
    """From now on what has ended for so long goes, some at each step. For one definition and class there is one rule."""
    s = services_of(request)
    if data.cls and s.vault is None:
        raise Problem(RejectionCode.INVALID_STATE, "this server has no keys of protected variables (setting protect_key)")
    caller, at = s.identify(request), time.time_ns() // 1000
    value = {"definition": data.definition, "class": data.cls, "after": data.after, "reason": data.reason, "by": caller.actor, "at_us": at}
    named = f"{caller.tenant}/{name}" if caller.tenant else name
    done = await s.call(c.StoreRecord(registry=RETENTION, name=named, value=value), request, partition=0, keyed=False)  # the time is in it
    return reply(_rule(name, value, done.get("position")))


@delete("/retention/{name:str}", summary="Remove a rule of retention", status_code=200)
async def remove_retention(request: ApiRequest, name: RulePath) -> Response[RetentionRule]:
    """Answers what it was."""
    s, was = services_of(request), await _found(request, name)
    tenant = s.identify(request).tenant
    done = await s.call(c.StoreRecord(registry=RETENTION, name=f"{tenant}/{name}" if tenant else name, value=None), request, partition=0)
    return reply(_rule(name, was, done.get("position")))


@post("/retention/{name:str}/preview", summary="What would go", status_code=200)
async def preview_retention(request: ApiRequest, name: RulePath, data: RetentionBody | None = None) -> Response[RetentionPreview]:
    """By the rule as it stands, or, with a body, as it would be. Nothing goes."""
    s = services_of(request)
    if data is None:
        value = await _found(request, name)
    else:
        try:
            kept_us(data.after)
        except ValueError as e:
            raise Problem(RejectionCode.INVALID_ARGUMENT, f"after: {e}", where="body after") from None
        value = {"definition": data.definition, "class": data.cls, "after": data.after, "reason": data.reason}
    try:
        found = await _retaining(request).preview(s.identify(request).tenant, rule_of(name, value))
    except KeysAway as e:
        raise Problem(RejectionCode.UNAVAILABLE, f"the keys can't be had: {e}", retry_after_ms=1000) from None
    return reply(found)


@post("/retention-steps", summary="Apply the rules of retention now", status_code=200)
async def apply_retention(request: ApiRequest) -> Response[RetentionStep]:
    """One step, as the server does by itself, for the caller's tenant: `retention_step` instances of each rule at most. Keys are retired by one step and destroyed by one
    that comes `retention_grace_minutes` later."""
    import psycopg

    s = services_of(request)
    request_id(request)  # a step that is asked for twice takes what is due then: nothing is done twice
    try:
        made = await _retaining(request).step(s.identify(request).tenant)
    except (KeysAway, psycopg.Error) as e:
        raise Problem(RejectionCode.UNAVAILABLE, f"the database can't be had: {e}", retry_after_ms=1000) from None
    told = [{"rule": m["rule"], "instances": [str(i) for i in m["instances"]], "keys": m["keys"]} for m in made]
    return reply({"certificates": told})


HANDLERS: list[Any] = [list_retention, get_retention, put_retention, remove_retention, preview_retention]
STEPS: list[Any] = [apply_retention]

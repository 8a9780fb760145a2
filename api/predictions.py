"""What becomes of running instances, by what was learned from ended ones (docs/predictions.md)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.params import Parameter
from msgspec import Meta

from flowledger.analytics.predict.measured import CASES_MIN
from flowledger.analytics.predict.told import told
from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, Body, KeyPath, Moment, Name, Words, key_of, reply
from flowledger.api.learning import Learning
from flowledger.api.lists import WaitFor
from flowledger.api.problems import Problem
from flowledger.api.services import Services, services_of
from flowledger.events.base import RejectionCode
from flowledger.infra.own_tables import AWAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: a year that times can be told of
_LAST_US = 253_402_300_799_000_000


class LearnBody(Body):
    """The id of a process."""

    process: Name


class UseBody(Body):
    """`model`: its number; 0: the newest from now on, whichever it is."""

    process: Name
    model: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
    reason: Words = ""


class Remaining(msgspec.Struct, kw_only=True):
    """`ms`: as likely longer as shorter. `low_ms` to `high_ms` hold the share `says`, shown on cases that were not learned from; null: that isn't shown, so none is
    told. `error_ms`: by how much it is off by the mean. `baseline_ms`: the median of what was left at these elements, with its own error."""

    ms: int
    low_ms: int | None
    high_ms: int | None
    says: float | None
    error_ms: int
    baseline_ms: int
    baseline_error_ms: int


class Ends(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    at: a.Time
    from_: a.Time | None
    to: a.Time | None


class Chance(msgspec.Struct, kw_only=True):
    """That it completes, and doesn't fail nor is cancelled."""

    by: str
    share: float
    baseline: float


class Late(msgspec.Struct, kw_only=True):
    """That it ends later than `due`: what was asked for, or else what one in four cases takes longer than. `share` null: nothing better than the share of all
    is known."""

    by: str
    share: float | None
    due: a.Time
    asked: bool


class Next(msgspec.Struct, kw_only=True):
    element: str
    share: float


class Prediction(msgspec.Struct, kw_only=True):
    """`by`: model, or baseline, where the model isn't shown to be better (`why`: no_better, not_sure, drifted), or none can
    know (beyond: it has stood there longer than all before). `alike`: how many cases it is read from."""

    instance: a.Key
    process: str
    version: int
    state: str
    since: a.Time
    age_ms: int
    at: a.Time
    model: int
    learned: a.Time
    by: str
    why: str
    alike: int
    remaining: Remaining
    ends: Ends
    success: Chance
    late: Late
    #: the likeliest first; empty: the model isn't shown to be better
    next_elements: list[Next]
    position: a.Place | None = None


class ModelRow(msgspec.Struct, kw_only=True):
    """`card`: from what it was learned, and how it did on cases that it was not learned from (docs/predictions.md). `drift`: how it does on those that began since,
    as they were looked at last; null: they were not."""

    process: str
    number: int
    in_use: bool
    made: a.Time
    made_by: str
    card: dict[str, Any]
    drift: dict[str, Any] | None = None
    looked: a.Time | None = None


class LearnedModels(msgspec.Struct, kw_only=True):
    items: list[ModelRow]
    choices: list[dict[str, Any]] = []
    cursor: str | None = None


class Learnt(msgspec.Struct, kw_only=True):
    process: str
    number: int
    card: dict[str, Any]


class Used(msgspec.Struct, kw_only=True):
    process: str
    number: int


@asynccontextmanager
async def _school(s: Services) -> AsyncIterator[Learning]:
    """Raises: Problem."""
    if s.learning is None:
        raise Problem(RejectionCode.UNAVAILABLE, "predictions are made by a process with the role api and a database")
    try:
        yield s.learning
    except AWAY as e:
        raise Problem(RejectionCode.UNAVAILABLE, f"what was learned can't be had now ({type(e).__name__})", retry_after_ms=1000) from None


def time_of(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=min(_LAST_US, max(0, us)))).isoformat().replace("+00:00", "Z")


@get("/instances/{key:str}/prediction", summary="What becomes of an instance")
async def get_prediction(
    request: ApiRequest,
    key: KeyPath,
    due: Annotated[Moment | None, Parameter(description="How likely it ends later than that")] = None,
    wait_for: WaitFor = None,
) -> Response[Prediction]:
    """How long it still takes, how it ends and what comes next, by what was learned from ended ones; and beside it what plain counting says. 409: it has ended, or
    nothing was learned of its process yet."""
    s, number = services_of(request), key_of(key)
    await s.wait_for(wait_for)
    tenant = s.identify(request).tenant
    standing = await s.reads.standing(number, tenant)
    if standing is None:
        raise Problem(RejectionCode.NOT_FOUND, f"no instance {key} that has begun")
    if standing["outcome"]:
        raise Problem(RejectionCode.INVALID_STATE, f"instance {key} is {standing['outcome']}: nothing is left to predict")
    async with _school(s) as school:
        found = await school.known(tenant, standing["process"])
    if found is None:
        raise Problem(
            RejectionCode.INVALID_STATE,
            f"nothing was learned of {standing['process']} yet: that needs {CASES_MIN} instances that have ended, and some time",
        )
    row, (model, before) = found
    now = time.time_ns() // 1000
    due_us = 0 if due is None else max(1, int((due - _EPOCH).total_seconds() * 1_000_000))
    what = told(model, before, row["card"], bool((row["drift"] or {}).get("drifted")), standing, now, due_us)
    ends, late = what["ends"], what["late"]
    return reply({
        "instance": str(number), "process": standing["process"], "version": standing["version"], "state": standing["state"],
        "since": time_of(standing["since_us"]), "age_ms": max(0, now - standing["started_us"]) // 1000, "at": time_of(now), "model": row["number"],
        "learned": time_of(row["made_us"]), **{k: what[k] for k in ("by", "why", "alike", "remaining", "success")}, "next_elements": what["next"],
        "ends": {"at": time_of(ends["at_us"]), **{k: None if ends[f"{k}_us"] is None else time_of(ends[f"{k}_us"]) for k in ("from", "to")}},
        "late": {"by": late["by"], "share": late["share"], "due": time_of(late["due_us"]), "asked": late["asked"]},
    })  # fmt: skip


@get("/predictions", summary="What was learned, and how good it is")
async def list_predictions(
    request: ApiRequest, process: Annotated[str | None, Parameter(max_length=255, description="The id of a process")] = None
) -> Response[LearnedModels]:
    """Models by process, the newest first, with their cards; of one process with who chose which."""
    s = services_of(request)
    tenant = s.identify(request).tenant
    async with _school(s) as school:
        rows = await school.store.models(tenant, process or "")
        choices = await school.store.choices(tenant, process) if process else []
    newest: dict[str, int] = {}
    for row in rows:
        newest.setdefault(row["process"], row["number"])
    return reply({
        "items": [
            {
                "process": r["process"], "number": r["number"], "in_use": r["number"] == (r["chosen"] or newest[r["process"]]),
                "made": time_of(r["made_us"]), "made_by": r["made_by"], "card": _card(r["card"]), "drift": r["drift"],
                "looked": time_of(r["looked_us"]) if r["looked_us"] else None,
            }
            for r in rows
        ],
        "choices": [{"number": c["number"], "at": time_of(c["at_us"]), "actor": c["actor"], "reason": c["reason"]} for c in choices],
        "cursor": None,
    })  # fmt: skip


def _card(card: dict[str, Any]) -> dict[str, Any]:
    """With times as texts."""
    return {
        **{k: v for k, v in card.items() if k not in ("from_us", "to_us")},
        "from": time_of(card["from_us"]),
        "to": time_of(card["to_us"]),
    }


@post("/predictions", status_code=200, summary="Learn anew")
async def learn_predictions(request: ApiRequest, data: LearnBody) -> Response[Learnt]:
    """From the last 2,000 instances that have ended, at once and not when it is time. 404: none has; 409: too few have."""
    s = services_of(request)
    caller = s.identify(request)
    async with _school(s) as school:
        ended = sum(row["ended"] for row in await s.reads.ended(caller.tenant, data.process))
        if not ended:
            raise Problem(RejectionCode.NOT_FOUND, f"no instance of {data.process} has ended")
        async with s.lessons.place((caller.tenant, caller.actor)):
            found = await school.learn(caller.tenant, data.process, caller.actor, ended)
    if found is None:
        raise Problem(
            RejectionCode.INVALID_STATE,
            f"at least {CASES_MIN} instances of {data.process} were expected that have ended and did not begin of late, found fewer",
        )
    return reply({**found, "card": _card(found["card"])})


@post("/predictions/use", status_code=200, summary="Choose which model is used")
async def use_prediction(request: ApiRequest, data: UseBody) -> Response[Used]:
    """An earlier one again, until another is chosen: new ones go on to be learned beside. Who chose, when and why is kept."""
    s = services_of(request)
    caller = s.identify(request)
    async with _school(s) as school:
        if not await school.store.choose(caller.tenant, data.process, data.model, caller.actor, data.reason):
            raise Problem(RejectionCode.NOT_FOUND, f"no model {data.model} of {data.process}")
    return reply({"process": data.process, "number": data.model})


HANDLERS: dict[str, list[Any]] = {"predictions": [get_prediction, list_predictions, learn_predictions, use_prediction]}

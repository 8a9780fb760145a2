"""Advice: what would make a process faster, with what speaks for it and what it would gain; tried in simulation, taken or refused (docs/advice.md)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, post
from litestar.params import Parameter

from flowledger.analytics.advise import gains, redraw
from flowledger.analytics.advise.outline import outline
from flowledger.analytics.simulate import plan as pl
from flowledger.api import answers as a
from flowledger.api.access.door import IDENTITY, forbidden
from flowledger.api.capacity import limits_of
from flowledger.api.directory import _list
from flowledger.api.drafts import desk
from flowledger.api.edge import ApiRequest, Body, Name, Words, reply
from flowledger.api.problems import Problem, senseless
from flowledger.api.services import Services, services_of
from flowledger.api.simulations import Simulated, _gone, _model, simulated
from flowledger.events import commands as c
from flowledger.events.base import RejectionCode
from flowledger.kernel import advice as ad

#: instances of a run that are tried, and how many runs
TRIED, RUNS = 300, 10
#: how long it may be looked for (seconds)
LOOK_SECONDS_MAX = 120.0
AdvicePath = Annotated[str, Parameter(schema_extra={"pattern": "^[0-9a-f]{16}$"}, description="Id of an advice")]
#: what is changed -> the right that it takes beside `insight:write`
RIGHTS = {"limit": "limits:write", "task_definition": "definitions:write", "draft": "definitions:write"}


class LookBody(Body):
    """The id of a process. The same `seed` gives the same answer."""

    process: Name
    seed: Annotated[int, msgspec.Meta(ge=0, le=(1 << 31) - 1)] = 1


class DecideBody(Body):
    reason: Words = ""


class Gain(msgspec.Struct, kw_only=True):
    """How much shorter a case is by the mean, with the interval in which that lies by 95 %; `of_ms`: how long cases take. `by`: simulation, or history, where what
    would not have been lost is counted."""

    what: Literal["cycle_time", "time_to_incident"]
    by: Literal["simulation", "history"]
    mean_ms: int
    from_ms: int
    to_ms: int
    of_ms: int
    share: float
    sure: bool = True


class Advice(msgspec.Struct, kw_only=True):
    """`kind`: parallel (these steps need nothing of one another), limit (of a job type), split (a queue with work of two lengths), staff (one more on a weekday),
    retry (codes that are tried again in vain), check (one that finds nothing). `evidence`: figures. `draft`, `setting`: what applying it changes; neither: it is
    people's to do. `scenario`: what simulations change. `result`: what applying it made."""

    id: str
    process: str
    version: int
    kind: Literal[ad.KINDS]  # type: ignore[valid-type]
    elements: list[str]
    about: str
    evidence: dict[str, Any]
    gain: Gain
    caution: str
    draft: dict[str, Any]
    setting: dict[str, Any]
    scenario: dict[str, Any]
    state: Literal[ad.STATES]  # type: ignore[valid-type]
    found: a.Time
    learned_from: int
    by: str = ""
    at: a.Time | None = None
    reason: str = ""
    result: dict[str, Any] = {}
    position: str | None = None


class Looked(msgspec.Struct, kw_only=True):
    """`looked`: causes that were seen, also those of which no gain is shown; not `whole`: there was no time to ask for the gain of all."""

    items: list[Advice]
    looked: int
    whole: bool
    learned_from: int
    took_ms: int
    cursor: str | None = None


def _time(us: int) -> str | None:
    from flowledger.api.predictions import time_of

    return time_of(us) if us else None


def _view(value: Mapping[str, Any], position: str | None = None) -> dict[str, Any]:
    told = {k: v for k, v in value.items() if k not in ("found_us", "at_us")}
    return {**told, "found": _time(value["found_us"]), "at": _time(value.get("at_us", 0)), "position": position}


def _named(request: ApiRequest, id: str) -> str:
    tenant = services_of(request).identify(request).tenant
    return f"{tenant}/{id}" if tenant else id


async def _known(request: ApiRequest) -> list[dict[str, Any]]:
    """All that the tenant has, as stored."""
    found = await _list(request, ad.REGISTRY, "", "", ad.ADVICE_MAX)
    return [{k: v for k, v in i.items() if k != "name"} for i in found["items"]]


async def _one(request: ApiRequest, id: str) -> dict[str, Any]:
    value = await services_of(request).record(request, ad.REGISTRY, id)
    if value is None:
        raise Problem(RejectionCode.NOT_FOUND, f"no advice {id}")
    return value


def _may(request: ApiRequest, right: str) -> None:
    identity: Any = request.scope.get(IDENTITY)
    if identity is not None and right not in identity.rights:
        raise forbidden(right, identity)


@get("/advice", summary="What would make processes faster")
async def list_advice(
    request: ApiRequest,
    process: Annotated[str | None, Parameter(max_length=255, description="The id of a process")] = None,
    in_state: Annotated[Literal["open", "applied", "refused"] | None, Parameter(query="state")] = None,
) -> Response[a.Page[Advice]]:
    """As it was found last, what is open first, the largest gain first; 500 at most."""
    rows = [v for v in await _known(request) if (not process or v["process"] == process) and (not in_state or v["state"] == in_state)]
    rows.sort(key=lambda v: (ad.STATES.index(v["state"]), -v["gain"]["mean_ms"], v["id"]))
    return reply({"items": [_view(v) for v in rows], "cursor": None})


@get("/advice/{id:str}", summary="An advice")
async def get_advice(request: ApiRequest, id: AdvicePath) -> Response[Advice]:
    return reply(_view(await _one(request, id)))


@post("/advice", status_code=200, summary="Look for advice")
async def find_advice(request: ApiRequest, data: LookBody) -> Response[Looked]:
    """In the last 2,000 instances of a process that have ended; what gains by simulation is kept. What was applied or refused stays so; what is open and isn't found
    any more is taken away. 409: none has ended."""
    s = services_of(request)
    caller = s.identify(request)
    version, models = await _model(s, caller.tenant, data.process, 0)
    began = time.monotonic()
    gone = asyncio.create_task(_gone(request))
    try:
        async with s.simulations.place((caller.tenant, caller.actor)):
            seen = await s.reads.seen(caller.tenant, data.process)
            if not seen.lasted:
                raise Problem(RejectionCode.INVALID_STATE, f"no instance of {data.process} has completed yet to learn from")
            limits = await limits_of(request)

            def work() -> dict[str, Any]:
                return gains.advice(
                    seen,
                    models,
                    data.process,
                    limits,
                    seed=data.seed,
                    go_on=lambda: time.monotonic() < began + LOOK_SECONDS_MAX and not gone.done(),
                )

            found = await asyncio.to_thread(work)
    finally:
        gone.cancel()
    more = {"version": version, "state": "open", "found_us": time.time_ns() // 1000, "learned_from": len(seen.started)}
    rows = await _kept(request, data.process, [{**i, **more} for i in found["items"]], found["whole"])
    took = round((time.monotonic() - began) * 1000)
    told = {"looked": found["looked"], "whole": found["whole"], "learned_from": len(seen.started), "took_ms": took, "cursor": None}
    return reply({"items": [_view(r) for r in rows], **told})


async def _kept(request: ApiRequest, process: str, items: list[dict[str, Any]], whole: bool) -> list[dict[str, Any]]:
    """What was found is stored; of what somebody has decided on the decision stays."""
    s, rows = services_of(request), []
    known = {v["id"]: v for v in await _known(request)}
    room = ad.ADVICE_MAX - len(known)
    for item in items:
        was = known.pop(item["id"], None)
        if was is not None and was["state"] != "open":
            rows.append(was)
            continue
        if was is None and (room := room - 1) < 0:
            raise Problem(RejectionCode.RESOURCE_EXHAUSTED, f"expected at most {ad.ADVICE_MAX} pieces of advice: refuse some")
        try:
            await s.call(c.StoreRecord(registry=ad.REGISTRY, name=_named(request, item["id"]), value=item), request, keyed=False)
            rows.append(item)
        except Problem as p:
            if p.code != RejectionCode.INVALID_STATE:
                raise
            rows.append(await _one(request, item["id"]))  # somebody has decided on it meanwhile
    for id, was in known.items():
        if whole and was["process"] == process and was["state"] == "open":
            await s.call(c.StoreRecord(registry=ad.REGISTRY, name=_named(request, id)), request, keyed=False)
    return rows


async def _drawn(s: Services, tenant: str, value: Mapping[str, Any]) -> tuple[str, dict[str, str], str]:
    """(the process's text now, its models, and how it would be drawn). Raises: Problem (409)."""
    _, models = await _model(s, tenant, value["process"], 0)

    def draw() -> tuple[str, str]:
        if (model := outline(models, value["process"])) is None:
            raise redraw.NotDrawn("the model can't be read")
        return model.text, gains.drawn(model.text, value["process"], value["draft"])

    try:
        text, drawn = await asyncio.to_thread(draw)
        return text, models, drawn
    except redraw.NotDrawn as e:
        raise Problem(
            RejectionCode.INVALID_STATE, f"the model is another one now, and the advice doesn't fit it ({e}): look for advice again"
        ) from None


@post("/advice/{id:str}/try", status_code=200, summary="Try an advice in simulation")
async def try_advice(request: ApiRequest, id: AdvicePath) -> Response[Simulated]:
    """The process as it is and as it would be, run for run with the same luck; ten runs. Nothing real is changed. 422: it is counted from history, and nothing is
    there to simulate."""
    s = services_of(request)
    caller = s.identify(request)
    value = await _one(request, id)
    scenario = value["scenario"]
    if value["gain"]["by"] != "simulation":
        raise senseless("an advice whose gain is simulated was expected: this one's is counted from history", "path id")
    history = await s.reads.seen(caller.tenant, value["process"])
    if not history.started:
        raise Problem(RejectionCode.INVALID_STATE, f"no instance of {value['process']} has ended to learn from")
    plan = pl.changed(history.plan(TRIED), scenario["base"])
    if scenario["base"]:
        plan |= {"instances": gains.instances_of(history), "warmup": 0.05}
    other = None
    if value["draft"] and not scenario["changes"]:
        _, models, text = await _drawn(s, caller.tenant, value)
        other = {f"{value['process']}.bpmn": text}
    else:
        _, models = await _model(s, caller.tenant, value["process"], 0)
    wish = {"name": value["kind"], "changes": scenario["changes"], "models": other}
    found = await simulated(request, models, value["process"], plan, [wish], runs=RUNS, seed=2, at="path id")
    return reply({
        "process": value["process"], "version": value["version"], "learned_from": len(history.started), "plan": plan, **found,
    })  # fmt: skip


@post("/advice/{id:str}/apply", status_code=200, summary="Take an advice")
async def apply_advice(request: ApiRequest, id: AdvicePath, data: DecideBody) -> Response[Advice]:
    """A change of the model becomes a draft, which authors try and publish as any other; a setting is changed at once (as right for it is needed, too); what is
    people's to do is noted as taken. 409: it isn't open any more, or the model is another one."""
    value = await _open(request, id, data.reason)
    result: dict[str, Any] = {}
    if setting := value["setting"]:
        result = await _set(request, setting)
    elif value["draft"]:
        result = await _begun(request, value, data.reason)
    return await _decided(request, value, "applied", data.reason, result)


@post("/advice/{id:str}/refuse", status_code=200, summary="Refuse an advice")
async def refuse_advice(request: ApiRequest, id: AdvicePath, data: DecideBody) -> Response[Advice]:
    """It isn't told as open again, also where it is found again. 409: it isn't open any more."""
    return await _decided(request, await _open(request, id, data.reason), "refused", data.reason, {})


async def _open(request: ApiRequest, id: str, reason: str) -> dict[str, Any]:
    """All that can be wrong is said before anything is changed."""
    if len(reason) > ad.REASON_MAX:
        raise senseless(f"at most {ad.REASON_MAX} characters were expected, found {len(reason)}", "body reason")
    value = await _one(request, id)
    if value["state"] != "open":
        raise Problem(
            RejectionCode.INVALID_STATE, f"an open advice was expected, found one that was {value['state']} by {value['by'] or 'somebody'}"
        )
    return value


async def _decided(request: ApiRequest, value: dict[str, Any], state: str, reason: str, result: dict[str, Any]) -> Response[Advice]:
    s = services_of(request)
    made = {**value, "state": state, "by": s.identify(request).actor, "at_us": time.time_ns() // 1000, "reason": reason, "result": result}
    done = await s.call(c.StoreRecord(registry=ad.REGISTRY, name=_named(request, value["id"]), value=made), request, keyed=False)
    return reply(_view(made, done.get("position")))


async def _begun(request: ApiRequest, value: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """A draft of the model as it would be."""
    _may(request, RIGHTS["draft"])
    s = services_of(request)
    who = s.identify(request)
    _, _, text = await _drawn(s, who.tenant, value)
    comment = f"advice {value['id']} ({value['kind']}: {', '.join(value['elements'])})" + (f": {reason}" if reason else "")
    async with desk(s) as drafts:
        row = await drafts.make(
            who.tenant,
            who.actor,
            f"{value['process']}: {value['kind']} {', '.join(value['elements'])}"[:255],
            "process",
            text,
            comment[:2_000],
            origin=f"advice {value['id']}",
        )
    return {"draft": row["id"]}


async def _set(request: ApiRequest, setting: Mapping[str, Any]) -> dict[str, Any]:
    """A record with the change in it; what else stands there stays."""
    registry, name = setting["registry"], setting["name"]
    _may(request, RIGHTS[registry])
    s = services_of(request)
    tenant = s.identify(request).tenant
    if registry == "limit" and tenant:
        raise Problem(RejectionCode.FORBIDDEN, "limits are for the operator, who has no tenant", status=403)
    if registry == "limit" and (now := (await limits_of(request)).get(name.removeprefix("job:"))) != setting["was"]:
        raise Problem(
            RejectionCode.INVALID_STATE, f"the limit was {setting['was']} when this was found and is {now} now: look for advice again"
        )
    was = dict(await s.record(request, registry, name) or {})
    made: dict[str, Any] = {k: v for k, v in was.items() if k not in ("version", "created_us", "updated_us")}
    for key, change in setting["change"].items():
        made[key] = _joined(made.get(key), change)
    value = c.StoreRecord(registry=registry, name=f"{tenant}/{name}" if tenant else name, value=made)
    done = await s.call(value, request, keyed=False)
    return {"registry": registry, "name": name, "was": {k: was.get(k) for k in setting["change"]}, "position": done.get("position")}


def _joined(was: Any, change: Any) -> Any:
    if isinstance(was, dict) and isinstance(change, dict):
        return {**was, **{k: _joined(was.get(k), v) for k, v in change.items()}}
    if isinstance(change, list):
        had = was if isinstance(was, list) else [x.strip() for x in was.split(",")] if isinstance(was, str) else []
        return list(dict.fromkeys([*had, *change]))
    return change


HANDLERS: dict[str, list[Any]] = {"advice": [list_advice, get_advice, find_advice, try_advice, apply_advice, refuse_advice]}

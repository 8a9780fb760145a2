"""Decisions: a deployed one by id or key, or one out of a DMN text that comes along."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Response, get, post
from litestar.params import Parameter

from flowledger.api import answers as a
from flowledger.api.coverage import told
from flowledger.api.edge import ApiRequest, Body, DefinitionRef, is_key, key_of, reply
from flowledger.api.lists import Cursor, KeyFilter, Limit, Version, WaitFor, listing, text_of
from flowledger.api.problems import Problem
from flowledger.api.services import services_of
from flowledger.api.view import answer_view, row_event_view
from flowledger.events.base import RejectionCode
from flowledger.events.commands import EvaluateDecision


class EvaluateBody(Body):
    """`decision`: id of a deployed decision, its key, or with `dmn` a name or id in that text. `models`: what it imports."""

    decision: DefinitionRef
    inputs: dict[str, Any] = {}
    dmn: str = ""
    models: list[str] = []
    kind: Literal["decision", "service", "bkm"] = "decision"


@post("/decisions/evaluate", status_code=200, summary="Evaluate a decision")
async def evaluate(request: ApiRequest, data: EvaluateBody) -> Response[a.Decision]:
    """`output`, and for deployed decisions `trace`: which rules fired. An error in an expression gives null, as DMN says."""
    if data.dmn:
        return reply({"decision": str(data.decision), "output": await asyncio.to_thread(once, data)})
    by_key = isinstance(data.decision, int) or is_key(data.decision)
    command = EvaluateDecision(
        id="" if by_key else str(data.decision), key=key_of(data.decision, "decision") if by_key else 0, variables=data.inputs
    )
    return reply(answer_view(await services_of(request).call(command, request)))


@get("/decisions/{id:str}/evaluations", summary="History of a decision")
async def evaluations(
    request: ApiRequest,
    id: Annotated[str, Parameter(description="The decision's id in the model", max_length=255)],
    version: Version = None,
    instance: KeyFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[a.Event]]:
    """Evaluations that instances asked for, the newest first: `data` has `result` and `trace` (the rules that fired, with their inputs)."""
    page = await listing(request, "evaluations", {"decision": id, "version": version, "instance": instance}, limit, cursor, wait_for)
    return reply({**page, "items": [row_event_view(r) for r in page["items"]]})


@get("/decisions/{id:str}/coverage", summary="Which rules fired, and which never")
async def coverage(
    request: ApiRequest,
    id: Annotated[str, Parameter(description="The decision's id in the model", max_length=255)],
    version: Version = None,
    together: Annotated[bool, Parameter(description="Evaluations of all versions count, rules by their ids")] = False,
    since: Annotated[datetime | None, Parameter(query="from", description="Evaluations at or after this time")] = None,
    until: Annotated[datetime | None, Parameter(query="to", description="Before this time [default: now]")] = None,
    wait_for: WaitFor = None,
) -> Response[a.Coverage]:
    """Of one version [default: the newest], or with `together` of all versions as to the rules of that one, by the evaluations
    that instances asked of it and of the other decisions of its file, since these need one another. The
    newest 10,000 are looked through; `complete`: there are no more."""
    s = services_of(request)
    await s.wait_for(wait_for)
    wanted = {
        k: text_of(v)
        for k, v in {"decision": id, "version": version, "together": together or None, "from": since, "to": until}.items()
        if v is not None
    }
    tenant = s.identify(request).tenant
    counted = await s.reads.insight("coverage", wanted, tenant)
    source = await s.reads.source(counted["key"], tenant) if counted["key"] else None
    if source is None:
        which = f"decision {id}" + (f" version {version}" if version is not None else "")
        raise Problem(RejectionCode.NOT_FOUND, f"{which} is not deployed")
    return reply(await asyncio.to_thread(told, counted, id, source["content"]))


def once(data: EvaluateBody) -> Any:
    from flowledger.kernel import Facts, dmn
    from flowledger.kernel.dmn.errors import DmnError

    try:
        models = tuple(m.encode() for m in data.models)
        facts = Facts(time.time_ns() // 1000)
        return dmn.evaluate(data.dmn.encode(), str(data.decision), data.inputs, kind=data.kind, models=models, facts=facts)
    except DmnError as e:
        raise Problem(RejectionCode.INVALID_ARGUMENT, str(e), where="body dmn") from None


HANDLERS: list[Any] = [evaluate, evaluations, coverage]

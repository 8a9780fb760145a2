"""Triggers: put, seen, tried with a payload, paused, resumed, deleted; what they did; what they have parked, replayed or discarded."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, post, put
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.definitions import Content, ReasonBody
from flowledger.api.edge import ApiRequest, Body, KeyRef, NamePath, Words, key_of, reply
from flowledger.api.lists import Cursor, Limit, WaitFor, listing
from flowledger.api.problems import Problem, malformed, senseless
from flowledger.api.services import Services, services_of
from flowledger.api.view import answer_view, deployment_view
from flowledger.events import triggers as tr
from flowledger.events.base import RejectionCode
from flowledger.events.commands import ChangeDefinition, Deploy, Resource
from flowledger.kernel import model
from flowledger.kernel.ledger.facts import Facts
from flowledger.kernel.model.encodings import utf8
from flowledger.kernel.triggers import schedule
from flowledger.kernel.triggers.evaluate import meaning
from flowledger.kernel.triggers.home import SCHEDULE
from flowledger.kernel.triggers.samples import masked

#: times that a dry run of a schedule tells
COMING = 5
#: a trigger that was put just now is heard of at its home within this time (seconds)
HOME_S = 3.0


class TriggerBody(Body):
    """`content`: the resource, as YAML or JSON; its name is that of the path."""

    content: Content


class TestBody(Body):
    """`context`: what expressions see, such as `{payload: ...}`; of a schedule it is made from `at`. `content`: the resource to be tried, else the one in force."""

    context: dict[str, Any] | None = None
    at: Annotated[str, Meta(max_length=100)] = ""
    content: Content | None = None


class SettleBody(Body):
    ids: Annotated[list[KeyRef], Meta(min_length=1, max_length=100)]
    reason: Words = ""


class Trigger(msgspec.Struct, kw_only=True):
    """`status`: active, paused, inactive (no version is in force), deleted. Items that `ran` had an effect; `seen` ones came again, `filtered` ones did not pass,
    `parked` ones wait for a replay. `rate`: effects in the last minute. `skipped_from`: the first time of a schedule that nobody made up for, the last time it
    was so. `lag`: items that wait in the source. `sample`: the last payload, masked."""

    id: a.Key
    name: str
    status: str
    source: str = ""
    definition: a.Key | None = None
    ran: int = 0
    seen: int = 0
    filtered: int = 0
    parked: int = 0
    rate: int = 0
    places: a.Json | None = None
    next_at: str | None = None
    last_at: str | None = None
    skipped_from: str | None = None
    node: str = ""
    reader: int = 0
    read_until: str | None = None
    error: str = ""
    lag: int | None = None
    sample: a.Json | None = None
    reason: str = ""
    changed_by: str = ""
    created_at: str | None = None
    position: str | None = None


class TriggerRun(msgspec.Struct, kw_only=True):
    """What an item did: `action` start (of process `subject`, as `instance`), message or signal of the name `subject`. `letter`: it was parked before."""

    id: a.Key
    action: str
    subject: str
    item: str = ""
    part: str = ""
    place: str | None = None
    instance: str | None = None
    nominal_at: str | None = None
    letter: str | None = None
    created_at: str | None = None


class Parked(msgspec.Struct, kw_only=True):
    """An item that could not be used. `context`: what it was, with what is named as a secret masked; null where it was too large to be kept."""

    id: a.Key
    status: str
    code: str
    message: str
    item: str = ""
    part: str = ""
    place: str | None = None
    context: a.Json | None = None
    created_at: str | None = None
    closed_at: str | None = None
    closed_by: str = ""
    reason: str = ""


class Tried(msgspec.Struct, kw_only=True):
    """What an item would do; nothing was done. `outcome`: filtered, parked (`code`, `reason`), or wanted: then `command` is what would follow. `coming`: of a
    schedule, its next times."""

    outcome: str
    key: str = ""
    code: str = ""
    reason: str = ""
    action: str = ""
    command: a.Json | None = None
    coming: list[str] = []


class Settled(msgspec.Struct, kw_only=True):
    """Of each item: started, published, signalled, filtered, parked (still, with `reason`), discarded or not_found."""

    outcomes: dict[str, a.Json]
    position: str | None = None


def _view(row: dict[str, Any]) -> dict[str, Any]:
    found = {**row, "definition": row.get("version_key")}
    found.pop("version_key", None)
    if found.pop("paused", False) and found["status"] == "active":
        found["status"] = "paused"
    return found


async def _find(s: Services, request: ApiRequest, name: str, wait_for: str | None = None) -> dict[str, Any]:
    """One that was put through this node is there, though its home has still to hear of it. Raises: Problem (404)."""
    until = time.monotonic() + HOME_S
    while True:
        page = await listing(request, "triggers", {"name": name}, 1, None, wait_for)
        if page["items"] and page["items"][0]["status"] != "deleted":
            return {**page["items"][0], "position": page.get("position")}
        if (s.identify(request).tenant, name) not in s.newest or time.monotonic() > until:
            raise Problem(RejectionCode.NOT_FOUND, f"no trigger {name}")
        await asyncio.sleep(0.05)


def _model(content: str, name: str) -> Any:
    """Raises: Problem (422) with findings."""
    graph, findings = model.read(utf8(content), f"{name}.trigger.yaml")
    trigger = getattr(graph, "trigger", None)
    if trigger is None or any(f.severity == "error" for f in findings):
        shown = msgspec.to_builtins(findings)
        raise Problem(
            RejectionCode.MODEL_INVALID, "a trigger was expected, found errors" if shown else "a trigger was expected", findings=shown
        )
    if trigger.name != name:
        raise Problem(
            RejectionCode.INVALID_ARGUMENT, f"the name {name!r} was expected in the resource, found {trigger.name!r}", where="body content"
        )
    return trigger


@put("/triggers/{name:str}", status_code=200, previews=True, summary="Put a trigger")
async def put_trigger(request: ApiRequest, name: NamePath, data: TriggerBody) -> Response[a.Deployment]:
    """Deploys it: its next version, or the same where nothing has changed. Place, keys and counts stay."""
    s = services_of(request)
    await asyncio.to_thread(_model, data.content, name)
    answer = await s.call(Deploy(resources=[Resource(f"{name}.trigger.yaml", data.content)]), request)
    s.deployed(answer, s.identify(request).tenant)
    return reply(deployment_view(answer))


@get("/triggers", summary="List triggers")
async def list_triggers(
    request: ApiRequest, source: str | None = None, limit: Limit = 50, cursor: Cursor = None, wait_for: WaitFor = None
) -> Response[a.Page[Trigger]]:
    """Newest first."""
    page = await listing(request, "triggers", {"source": source}, limit, cursor, wait_for)
    return reply({**page, "items": [_view(row) for row in page["items"]]})


@get("/triggers/{name:str}", summary="Get a trigger")
async def get_trigger(request: ApiRequest, name: NamePath, wait_for: WaitFor = None) -> Response[Trigger]:
    return reply(_view(await _find(services_of(request), request, name, wait_for)))


@delete("/triggers/{name:str}", status_code=200, summary="Delete a trigger")
async def delete_trigger(request: ApiRequest, name: NamePath, reason: str = "") -> Response[a.Done]:
    """All of its versions, and what it remembers. What it has started stays."""
    return reply(await remove(request, name, reason))


async def remove(request: ApiRequest, name: str, reason: str) -> dict[str, Any]:
    """Raises: Problem (404)."""
    s = services_of(request)
    await _find(s, request, name)
    page = await listing(request, "definitions", {"kind": "trigger", "definition_id": name}, s.settings.page_max, None, None)
    answer: dict[str, Any] = {}
    for row in sorted(page["items"], key=lambda r: r["version"]):  # the newest last, so that none of before comes into force
        answer = await s.call(ChangeDefinition(key=int(row["key"]), move="delete", reason=reason), request)
    s.newest.pop((s.identify(request).tenant, name), None)
    return answer_view(answer)


@post("/triggers/{name:str}/test", status_code=200, summary="Try a trigger")
async def test_trigger(request: ApiRequest, name: NamePath, data: TestBody) -> Response[Tried]:
    """With a payload. Nothing is done, and nothing is remembered."""
    s = services_of(request)
    content = data.content
    if content is None:
        row = await _find(s, request, name)
        found = await s.reads.source(str(row["version_key"]), s.identify(request).tenant) if row.get("version_key") else None
        if found is None:
            raise Problem(RejectionCode.INVALID_STATE, f"no version of trigger {name} is in force")
        content = found["content"]
    return reply(await asyncio.to_thread(_tried, content, name, data))


def _tried(content: str, name: str, data: TestBody) -> dict[str, Any]:
    trigger, now_us = _model(content, name), time.time_ns() // 1000
    coming: list[str] = []
    context = data.context
    if trigger.source == SCHEDULE:
        if context is not None:
            raise senseless("a schedule sees its time, not a context: at was expected", "body context")
        context = schedule.context(trigger.config, _moment(data.at) if data.at else now_us, now_us)
        coming = schedule.coming(trigger.config, now_us, COMING)
    elif context is None:
        raise senseless("a context was expected, such as {payload: ...}", "body context")
    said = meaning(trigger, context, Facts(now_us))
    command = {k: v for k, v in msgspec.to_builtins(said.command).items() if v not in (None, "", 0, False)} if said.command else None
    return {
        "outcome": said.kind, "key": said.key, "code": said.code, "reason": said.reason, "action": trigger.action if said.command else "",
        "command": command, "coming": coming,
    }  # fmt: skip


def _moment(text: str) -> int:
    from flowledger.kernel import times

    try:
        return times.instant(text)
    except ValueError:
        raise malformed(f"a time like 2026-11-21T13:00:00Z was expected, found {text!r}", "body at") from None


@get("/triggers/{name:str}/runs", summary="What a trigger did")
async def list_runs(
    request: ApiRequest, name: NamePath, limit: Limit = 50, cursor: Cursor = None, wait_for: WaitFor = None
) -> Response[a.Page[TriggerRun]]:
    """Newest first."""
    row = await _find(services_of(request), request, name, wait_for)
    return reply(await listing(request, "trigger_runs", {"trigger": row["id"]}, limit, cursor, None))


@get("/triggers/{name:str}/dead-letters", summary="What a trigger has parked")
async def list_parked(
    request: ApiRequest,
    name: NamePath,
    status: list[Literal["open", "replayed", "discarded"]] | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[Parked]]:
    """Newest first."""
    row = await _find(services_of(request), request, name, wait_for)
    page = await listing(request, "trigger_letters", {"trigger": row["id"], "status": status}, limit, cursor, None)
    return reply({**page, "items": [{**item, "context": masked(item["context"])} for item in page["items"]]})


def _control(move: Literal["pause", "resume"], text: str) -> Any:
    async def handler(request: ApiRequest, name: NamePath, data: ReasonBody | None = None) -> Response[a.Done]:
        command = tr.ControlTrigger(name=name, move=move, reason=data.reason if data else "")
        return reply(answer_view(await services_of(request).call(command, request)))

    handler.__name__ = f"{move}_trigger"
    handler.__doc__ = text
    return post(f"/triggers/{{name:str}}/{move}", status_code=200, summary=f"{move.capitalize()} a trigger")(handler)


def _settle(move: Literal["replay", "discard"], text: str) -> Any:
    async def handler(request: ApiRequest, name: NamePath, data: SettleBody) -> Response[Settled]:
        letters = [key_of(k, "body ids") for k in data.ids]
        command = tr.SettleParked(name=name, letters=letters, move=move, reason=data.reason)
        return reply(answer_view(await services_of(request).call(command, request)))

    handler.__name__ = f"{move}_parked"
    handler.__doc__ = text
    return post(f"/triggers/{{name:str}}/dead-letters/{move}", status_code=200, summary=f"{move.capitalize()} what a trigger has parked")(
        handler
    )


pause = _control("pause", "It takes nothing, and keeps its place.")
resume = _control("resume", "It goes on where it was; a schedule makes up for what it has missed as its policy says.")
replay = _settle("replay", "Items are decided anew, by the version that is in force; those that it can't use either stay.")
discard = _settle("discard", "Nobody will replay them.")

HANDLERS: list[Any] = [
    put_trigger, list_triggers, get_trigger, delete_trigger, test_trigger, list_runs, list_parked, pause, resume, replay, discard,
]  # fmt: skip

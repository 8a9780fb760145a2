"""Webhooks: put, seen, tried, paused, resumed, deleted; what they have sent, and what nobody took, sent again or discarded."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, post, put
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.definitions import ReasonBody
from flowledger.api.edge import ApiRequest, Body, NamePath, Words, position_of, reply
from flowledger.api.lists import POSITION_PATTERN, Cursor, KeyFilter, Limit, WaitFor, listing
from flowledger.api.problems import Problem, senseless
from flowledger.api.services import Services, services_of
from flowledger.api.view import answer_view
from flowledger.events import webhooks as wh
from flowledger.events.base import RejectionCode
from flowledger.kernel import limits
from flowledger.kernel.model.connectors import REFERENCE

Name = Annotated[str, Meta(min_length=1, max_length=limits.WEBHOOK_TEXT_MAX)]
Names = Annotated[list[Name], Meta(max_length=limits.WEBHOOK_LIST_MAX)]
Text = Annotated[str, Meta(max_length=limits.WEBHOOK_TEXT_MAX)]
Position = Annotated[str, Meta(pattern=rf"^(start|{POSITION_PATTERN[1:-1]})$")]
EventId = Annotated[str, Meta(pattern="^[0-9]{1,9}-[0-9]{1,18}$")]
#: ids of one request
IDS_MAX = limits.WEBHOOK_WAITING_MAX


class WebhookBody(Body):
    """`types`: of events, such as `workflow.completed` or `task.*`; none: all that may be told. `definitions`: ids of processes, or keys of versions; none:
    all. `filter`: FEEL over the event. `secrets`: references (`{{secrets.NAME}}`); each signs. `order`: `instance`: events of an instance one after the other.
    `position`, of a new one: after it (`start`: from the beginning); none: from now on."""

    url: Annotated[str, Meta(min_length=1, max_length=limits.WEBHOOK_TEXT_MAX)]
    secrets: Annotated[list[Name], Meta(min_length=1, max_length=limits.WEBHOOK_SECRETS_MAX)]
    types: Names = []
    definitions: Names = []
    filter: Text = ""
    order: Literal["", "instance"] = ""
    position: Position | None = None


class RedeliverBody(Body):
    """Events `ids`, dead letters or not; all dead letters (`dead`); or all after `position` (`start`: from the beginning)."""

    ids: Annotated[list[EventId], Meta(max_length=IDS_MAX)] = []
    dead: bool = False
    position: Position | None = None
    reason: Words = ""


class DiscardBody(Body):
    """Dead letters `ids`, or all of them (`dead`)."""

    ids: Annotated[list[EventId], Meta(max_length=IDS_MAX)] = []
    dead: bool = False
    reason: Words = ""


class Webhook(msgspec.Struct, kw_only=True):
    """`status`: active, paused, disabled (the receiver answered 410), full (no room for dead letters), deleted. `error`: what keeps it from sending at all.
    `delivered` and `failed` count attempts; `dead`: open dead letters. `cursors`: partition -> all events before it are told, or wait."""

    id: a.Key
    name: str
    status: str
    url: str
    types: list[str]
    definitions: list[str]
    filter: str
    secrets: list[str]
    order: str
    cursors: a.Json | None = None
    delivered: int = 0
    failed: int = 0
    dead: int = 0
    node: str = ""
    sender: int = 0
    sent_until: str | None = None
    error: str = ""
    last_at: str | None = None
    reason: str = ""
    changed_by: str = ""
    created_at: str | None = None
    position: str | None = None


class WebhookDelivery(msgspec.Struct, kw_only=True):
    """An attempt. `outcome`: delivered, waits (until `next_at`), dead, failed (of a test). `code`: why it wasn't taken: the status, or a word in capitals."""

    id: a.Key
    event: str
    type: str
    instance: str | None = None
    process: str = ""
    attempt: int = 0
    outcome: str = ""
    code: str = ""
    status: int | None = None
    ms: int | None = None
    next_at: str | None = None
    created_at: str | None = None


class WebhookLetter(msgspec.Struct, kw_only=True):
    """An event that nobody took. `status`: open, redelivered, discarded."""

    id: a.Key
    event: str
    status: str
    type: str = ""
    instance: str | None = None
    process: str = ""
    attempt: int = 0
    code: str = ""
    created_at: str | None = None
    closed_at: str | None = None
    closed_by: str = ""
    reason: str = ""


class WebhookSettled(msgspec.Struct, kw_only=True):
    """Of each event: redelivered, no_room (try again when fewer wait), discarded or not_found."""

    outcomes: dict[str, str]
    count: int = 0
    position: str | None = None


class WebhookTested(msgspec.Struct, kw_only=True):
    """`event`: by which the attempt is found among the deliveries."""

    id: a.Key
    event: str
    position: str | None = None


def _view(row: dict[str, Any]) -> dict[str, Any]:
    found = dict(row)
    counts = {name: int(found.pop(f"{name}_count") or 0) for name in ("delivered", "failed", "dead")}
    order, secrets = found.pop("ordering"), [f"{{{{secrets.{name}}}}}" for name in found["secrets"] or ()]
    return {**found, "order": order, "secrets": secrets, "types": found["types"] or [], "definitions": found["definitions"] or [], **counts}


def _attempt(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("webhook_id", "slot")}


async def _find(s: Services, request: ApiRequest, name: str, wait_for: str | None = None) -> dict[str, Any]:
    """Raises: Problem (404)."""
    page = await listing(request, "webhooks", {"name": name}, 2, None, wait_for)
    row = next((r for r in page["items"] if r["status"] != "deleted"), None)
    if row is None:
        raise Problem(RejectionCode.NOT_FOUND, f"no webhook {name}")
    return {**row, "position": page.get("position")}


async def _cursors(s: Services, position: str | None) -> dict[str, int]:
    """partition -> offset to begin at. Raises: Problem (400, 422)."""
    if position == "start":
        return {str(p): 0 for p in range(s.client.partitions)}
    found = {str(p): n for p, n in (await s.client.ends()).items()} if position is None else {}
    for partition, offset in position_of(position, "body position").items() if position else ():
        if partition >= s.client.partitions:
            raise senseless(f"there are partitions 0 to {s.client.partitions - 1}, found {partition}", "body position")
        found[str(partition)] = offset + 1
    return found


def _names(secrets: list[str]) -> list[str]:
    """Raises: Problem (422): what isn't a reference might be the secret itself, so it isn't shown."""
    found = [m[1] if (m := REFERENCE.fullmatch(text)) else "" for text in secrets]
    if "" in found:
        raise senseless("a reference such as {{secrets.NAME}} was expected, never the secret itself", f"body secrets[{found.index('')}]")
    return found


@put("/webhooks/{name:str}", status_code=200, summary="Put a webhook")
async def put_webhook(request: ApiRequest, name: NamePath, data: WebhookBody) -> Response[a.Put]:
    """Makes it, or changes it: its place, what waits and its dead letters stay. `position` counts for a new one only."""
    s = services_of(request)
    command = wh.PutWebhook(
        name=name, url=data.url, types=data.types, definitions=data.definitions, filter=data.filter, secrets=_names(data.secrets), order=data.order,
        cursors=await _cursors(s, data.position),
    )  # fmt: skip
    return reply(answer_view(await s.call(command, request)))


@get("/webhooks", summary="List webhooks")
async def list_webhooks(
    request: ApiRequest, limit: Limit = 50, cursor: Cursor = None, wait_for: WaitFor = None
) -> Response[a.Page[Webhook]]:
    """Newest first."""
    page = await listing(request, "webhooks", {}, limit, cursor, wait_for)
    return reply({**page, "items": [_view(row) for row in page["items"]]})


@get("/webhooks/{name:str}", summary="Get a webhook")
async def get_webhook(request: ApiRequest, name: NamePath, wait_for: WaitFor = None) -> Response[Webhook]:
    return reply(_view(await _find(services_of(request), request, name, wait_for)))


@delete("/webhooks/{name:str}", status_code=200, summary="Delete a webhook")
async def delete_webhook(request: ApiRequest, name: NamePath, reason: str = "") -> Response[a.Done]:
    """With what waits and its dead letters."""
    return reply(answer_view(await services_of(request).call(wh.DeleteWebhook(name=name, reason=reason), request)))


@get("/webhooks/{name:str}/deliveries", summary="What a webhook has sent")
async def list_deliveries(
    request: ApiRequest,
    name: NamePath,
    outcome: list[Literal["delivered", "waits", "dead", "failed"]] | None = None,
    event: Annotated[str | None, Meta(max_length=60)] = None,
    instance: KeyFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[WebhookDelivery]]:
    """Its last 5,000 attempts, newest first."""
    row = await _find(services_of(request), request, name, wait_for)
    given = {"webhook": row["id"], "outcome": outcome, "event": event, "instance": instance}
    page = await listing(request, "webhook_deliveries", given, limit, cursor, None)
    return reply({**page, "items": [_attempt(item) for item in page["items"]]})


@get("/webhooks/{name:str}/dead-letters", summary="What nobody took of a webhook")
async def list_letters(
    request: ApiRequest,
    name: NamePath,
    status: list[Literal["open", "redelivered", "discarded"]] | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[WebhookLetter]]:
    """Newest first."""
    row = await _find(services_of(request), request, name, wait_for)
    page = await listing(request, "webhook_letters", {"webhook": row["id"], "status": status}, limit, cursor, None)
    return reply({**page, "items": [_attempt(item) for item in page["items"]]})


def _control(move: Literal["pause", "resume"], text: str) -> Any:
    async def handler(request: ApiRequest, name: NamePath, data: ReasonBody | None = None) -> Response[a.Done]:
        command = wh.ControlWebhook(name=name, move=move, reason=data.reason if data else "")
        return reply(answer_view(await services_of(request).call(command, request)))

    handler.__name__ = f"{move}_webhook"
    handler.__doc__ = text
    return post(f"/webhooks/{{name:str}}/{move}", status_code=200, summary=f"{move.capitalize()} a webhook")(handler)


@post("/webhooks/{name:str}/redeliver", status_code=200, summary="Send events again")
async def redeliver_webhook(request: ApiRequest, name: NamePath, data: RedeliverBody) -> Response[WebhookSettled]:
    """With the ids that they had, now; a paused webhook sends them when it goes on."""
    s = services_of(request)
    cursors = await _cursors(s, data.position) if data.position else {}
    command = wh.SettleDelivery(name=name, move="redeliver", ids=data.ids, dead=data.dead, cursors=cursors, reason=data.reason)
    return reply(answer_view(await s.call(command, request)))


@post("/webhooks/{name:str}/discard", status_code=200, summary="Discard what nobody took")
async def discard_webhook(request: ApiRequest, name: NamePath, data: DiscardBody) -> Response[WebhookSettled]:
    """Nobody will send them."""
    command = wh.SettleDelivery(name=name, move="discard", ids=data.ids, dead=data.dead, reason=data.reason)
    return reply(answer_view(await services_of(request).call(command, request)))


@post("/webhooks/{name:str}/test", status_code=202, summary="Try a webhook")
async def test_webhook(request: ApiRequest, name: NamePath) -> Response[WebhookTested]:
    """An event `webhook.test` is sent, once: `GET .../deliveries?event=` says what came of it."""
    return reply(answer_view(await services_of(request).call(wh.TestWebhook(name=name), request)), 202)


pause = _control("pause", "Nothing is sent, and it keeps its place.")
resume = _control("resume", "It goes on where it was.")

HANDLERS: list[Any] = [
    put_webhook, list_webhooks, get_webhook, delete_webhook, list_deliveries, list_letters, pause, resume, redeliver_webhook, discard_webhook, test_webhook,
]  # fmt: skip

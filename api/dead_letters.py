"""Dead letters: records of `commands` that nobody could decide. Look, mend the text, replay; or discard."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, post
from litestar.params import Parameter

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, Body, KeyPath, Words, encode, key_of, reply
from flowledger.api.lists import Cursor, KeyFilter, Limit, WaitFor, listing
from flowledger.api.services import services_of
from flowledger.api.view import answer_view
from flowledger.events.commands import DiscardDeadLetter, ReplayDeadLetter

LETTER = "dead letter"


class Replay(Body):
    """`command`: what is decided in its place, a record of `commands` as an object or as its text; none: as it was kept."""

    reason: Words = ""
    command: dict[str, Any] | Annotated[str, msgspec.Meta(min_length=1, max_length=4_000_000)] | None = None


class Discard(Body):
    reason: Words = ""


@get("/dead-letters", summary="List dead letters")
async def list_dead_letters(
    request: ApiRequest,
    status: Annotated[list[Literal["open", "incident", "replayed", "discarded"]] | None, Parameter(description="One or several")] = None,
    partition: Annotated[int | None, Parameter(ge=0, le=4095, schema_extra={"minimum": 0, "maximum": 4095})] = None,
    instance: KeyFilter = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[a.DeadLetter]]:
    """Newest first. Those of `status` incident are told to their sender by an incident of `instance`, which is where they are repaired."""
    filters = {
        "status": status, "partition": partition, "instance": instance, "created_from": created_from, "created_to": created_to,
    }  # fmt: skip
    return reply(await listing(request, "dead_letters", filters, limit, cursor, wait_for))


@get("/dead-letters/{id:str}", summary="Get a dead letter")
async def get_dead_letter(request: ApiRequest, id: KeyPath, wait_for: WaitFor = None) -> Response[a.DeadLetter]:
    s = services_of(request)
    return reply(await s.find("dead_letters", key_of(id, LETTER), s.identify(request).tenant, wait_for))


@post("/dead-letters/{id:str}/replay", status_code=200, summary="Replay a dead letter")
async def replay(request: ApiRequest, id: KeyPath, data: Replay) -> Response[a.Replayed]:
    """It is decided now, for whoever asks and with that caller's rights, whatever the record says of its own tenant and actor. When it is
    refused, that is the answer here, and the letter stays open. `answer`: what its own caller would have been told; null where another
    partition decides: refused there, the letter is open again."""
    command = data.command if isinstance(data.command, str) else encode(data.command).decode() if data.command is not None else ""
    asked = ReplayDeadLetter(letter=key_of(id, LETTER), command=command, reason=data.reason)
    return reply(answer_view(await services_of(request).call(asked, request)))


@post("/dead-letters/{id:str}/discard", status_code=200, summary="Discard a dead letter")
async def discard(request: ApiRequest, id: KeyPath, data: Discard | None = None) -> Response[a.Done]:
    """Nobody will replay it. Its record stays on the topic `dead-letter` and on the ledger."""
    asked = DiscardDeadLetter(letter=key_of(id, LETTER), reason=data.reason if data else "")
    return reply(answer_view(await services_of(request).call(asked, request)))


HANDLERS: list[Any] = [list_dead_letters, get_dead_letter, replay, discard]

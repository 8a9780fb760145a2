"""`WS /v1/together?draft=ID`: what one draws goes to all others, and is acknowledged when it is kept (docs/http-api.md)."""

from __future__ import annotations

import asyncio
import base64
import time
from contextlib import suppress
from typing import Any

import msgspec
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect

from flowledger.api.access.door import IDENTITY, forbidden
from flowledger.api.edge import encode
from flowledger.api.events import Seat
from flowledger.api.problems import Problem
from flowledger.api.services import Services, services_of
from flowledger.api.together.rooms import Person, Room, Rooms, Told
from flowledger.events.base import RejectionCode
from flowledger.kernel.limits import MODEL_BYTES_MAX

#: characters of one message: a whole drawing in base64
MESSAGE_MAX = 2 * MODEL_BYTES_MAX
#: changes of one browser in a second; who has more waits
RATE = 30
#: characters of a version's comment
COMMENT_MAX = 2_000
#: seconds after which a browser has to come again, and show who it is
LIFE_S = 900.0
WRITE = "definitions:write"
_PATH = "/v1/together"


class _Wrong(Exception):
    """No message of the protocol."""


def rooms_of(s: Services) -> Rooms:
    if s.together is None:
        s.together = Rooms(s)
    found: Rooms = s.together
    return found


@websocket("/together")
async def together(socket: WebSocket[Any, Any, Any], draft: str = "", name: str = "") -> None:
    """The client says `have` first and is answered `begin`; then `edit` both ways, `kept` for its own, `save` and `saved`. `name` counts without sign-in."""
    s = services_of(socket)
    await socket.accept()
    identity: Any = socket.scope.get(IDENTITY)
    try:
        who = s.identify(socket)
        person = Person((who.actor if identity is not None else name or who.actor)[:100], identity is None or WRITE in identity.rights)
        seat = Seat(s, "together")
        room = await rooms_of(s).enter((who.tenant, draft), person)
    except Problem as p:
        await _refuse(socket, p)
        return
    with seat:
        try:
            hearing = asyncio.ensure_future(_hear(socket, room, person, identity))
            waits = [_tell(socket, person), asyncio.sleep(LIFE_S), s.closing.wait(), room.over.wait(), person.behind.wait()]
            if identity is not None:
                waits.append(identity.ended.wait())
            tasks: list[asyncio.Future[Any]] = [hearing, *(asyncio.ensure_future(w) for w in waits)]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            problem = hearing.result() if hearing.done() and hearing.exception() is None else room.problem
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                    await task
        finally:
            await asyncio.shield(rooms_of(s).leave(room, person))
    if problem is not None:
        await _refuse(socket, problem)
        return
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(code=1001, reason="come back")


async def _refuse(socket: WebSocket[Any, Any, Any], p: Problem) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.send_text(encode({"type": "problem", **p.body(_PATH)}).decode())
        await socket.close(code=4429 if p.status == 429 else 4400, reason=p.detail[:120])


async def _tell(socket: WebSocket[Any, Any, Any], person: Person) -> None:
    while True:
        await socket.send_text(encode(await person.out.get()).decode())


async def _hear(socket: WebSocket[Any, Any, Any], room: Room, person: Person, identity: Any) -> Problem | None:
    """Ends with the connection, and with what is no word: then why."""
    began, free = False, float(RATE)
    last = time.monotonic()
    while True:
        text = await socket.receive_text()
        try:
            told = _word(text)
            if (told.type == "have") == began:
                raise _Wrong("`have` comes first, and once")
            if told.type == "have":
                person.tell({**room.begin(told), "may": person.may})
                began = True
                continue
            if not person.may:
                return forbidden(WRITE, identity)
            if told.type == "save":
                await room.save(person, told.comment[:COMMENT_MAX])
                continue
            room.edit(person, base64.b64decode(told.update, validate=True), told.n)
        except (ValueError, _Wrong) as e:  # msgspec's, base64's and pycrdt's are ValueErrors
            return Problem(RejectionCode.INVALID_ARGUMENT, f"this is no word of drawing together: {str(e)[:200]}")
        except Problem as p:
            person.tell({"type": "unsaved", **p.body(_PATH)})
        now = time.monotonic()
        free, last = min(RATE, free + (now - last) * RATE) - 1, now
        if free < 0:
            await asyncio.sleep(-free / RATE)


def _word(text: str) -> Told:
    if len(text) > MESSAGE_MAX:
        raise _Wrong(f"at most {MESSAGE_MAX} characters were expected")
    told = msgspec.json.decode(text, type=Told)
    if told.type not in ("have", "edit", "save"):
        raise _Wrong("`have`, `edit` or `save` was expected")
    if told.type == "edit" and told.n < 1:
        raise _Wrong("changes are counted from 1")
    return told


HANDLERS: list[Any] = [together]

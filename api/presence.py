"""Who else looks at a draft, and where: cursors and selections go from browser to browser, and nothing of them is kept (docs/console.md#designer)."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import msgspec
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect

from flowledger.api.access.door import IDENTITY
from flowledger.api.drafts import draft_text
from flowledger.api.edge import encode
from flowledger.api.events import Seat
from flowledger.api.problems import Problem
from flowledger.api.services import services_of
from flowledger.events.base import RejectionCode

#: people at one draft; colours that they are told apart by
ROOM_MAX, COLOURS = 50, 8
#: bytes of what one says; elements that are told as selected; seconds between two words of one that are passed on
SAID_MAX, SELECTED_MAX, EVERY_S = 4_096, 20, 0.03
#: how far behind a browser may be before it is left out (messages)
BEHIND_MAX = 200
#: seconds after which a browser has to come again, and show who it is
LIFE_S = 900.0


class Said(msgspec.Struct, kw_only=True):
    """Where somebody is: the mouse in the coordinates of the drawing (null: elsewhere), what is selected. `saved`: a version that was saved just now."""

    x: float | None = None
    y: float | None = None
    selected: list[str] = []
    saved: int | None = None


class Person:
    """One browser at one draft."""

    __slots__ = ("colour", "heard", "id", "name", "out", "said")

    def __init__(self, id: int, name: str, colour: int) -> None:
        self.id, self.name, self.colour = id, name, colour
        self.said = Said()
        self.heard = 0.0
        self.out: asyncio.Queue[dict[str, Any]] = asyncio.Queue(BEHIND_MAX)

    def view(self) -> dict[str, Any]:
        s = self.said
        return {"id": self.id, "name": self.name, "colour": self.colour, "x": s.x, "y": s.y, "selected": s.selected}


class Rooms:
    """Who is at which draft, of this process. All methods are called from the event loop's thread."""

    def __init__(self) -> None:
        self.of: dict[tuple[str, str], dict[int, Person]] = {}
        self._count = 0

    def enter(self, room: tuple[str, str], name: str) -> Person:
        """Raises: Problem: it is full."""
        people = self.of.setdefault(room, {})
        if len(people) >= ROOM_MAX:
            raise Problem(RejectionCode.RESOURCE_EXHAUSTED, f"{len(people)} are at this draft, more aren't shown", retry_after_ms=10_000)
        taken = {p.colour for p in people.values()}
        self._count += 1
        person = Person(self._count, name, next((c for c in range(COLOURS) if c not in taken), self._count % COLOURS))
        self.tell(room, person.id, {"type": "here", **person.view()})
        people[person.id] = person
        return person

    def leave(self, room: tuple[str, str], person: Person) -> None:
        people = self.of.get(room, {})
        people.pop(person.id, None)
        if not people:
            self.of.pop(room, None)
        self.tell(room, person.id, {"type": "gone", "id": person.id})

    def others(self, room: tuple[str, str], id: int) -> list[dict[str, Any]]:
        return [p.view() for p in self.of.get(room, {}).values() if p.id != id]

    def tell(self, room: tuple[str, str], by: int, message: dict[str, Any]) -> None:
        """Everybody but who it is of. Who is too far behind misses it: the next word says where everybody is."""
        for person in self.of.get(room, {}).values():
            if person.id != by:
                with suppress(asyncio.QueueFull):
                    person.out.put_nowait(message)


ROOMS = Rooms()


@websocket("/presence")
async def presence(socket: WebSocket[Any, Any, Any], draft: str = "", name: str = "") -> None:
    """`{type: "others", others: [...]}` first, then `here`, `gone`, `saved` of each. The client says where it is (`Said`). `name` counts without sign-in alone."""
    s = services_of(socket)
    await socket.accept()
    identity: Any = socket.scope.get(IDENTITY)
    try:
        who = s.identify(socket)
        await draft_text(s, who.tenant, draft)
        room, seat = (who.tenant, draft), Seat(s, "presence")
        person = ROOMS.enter(room, (who.actor if identity is not None else name)[:100])
    except Problem as p:
        await socket.send_text(encode({"type": "problem", **p.body("/v1/presence")}).decode())
        await socket.close(code=4429 if p.status == 429 else 4400, reason=p.detail[:120])
        return
    with seat:
        try:
            person.out.put_nowait({"type": "others", "me": person.colour, "others": ROOMS.others(room, person.id)})
            waits = [_tell(socket, person), _hear(socket, room, person), asyncio.sleep(LIFE_S), s.closing.wait()]
            if identity is not None:
                waits.append(identity.ended.wait())
            tasks = [asyncio.ensure_future(w) for w in waits]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError, msgspec.MsgspecError):
                    await task
        finally:
            ROOMS.leave(room, person)
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(code=1001, reason="come back")


async def _tell(socket: WebSocket[Any, Any, Any], person: Person) -> None:
    while True:
        await socket.send_text(encode(await person.out.get()).decode())


async def _hear(socket: WebSocket[Any, Any, Any], room: tuple[str, str], person: Person) -> None:
    """Ends with the connection, and with the first word that is none."""
    while True:
        text = await socket.receive_text()
        if len(text) > SAID_MAX:
            return
        said = msgspec.json.decode(text, type=Said)
        said.selected = [e[:200] for e in said.selected[:SELECTED_MAX]]
        now = time.monotonic()
        changed = said.selected != person.said.selected
        person.said = said
        if said.saved is not None:
            ROOMS.tell(room, person.id, {"type": "saved", "id": person.id, "name": person.name, "version": said.saved})
        if changed or said.x is None or now - person.heard >= EVERY_S:
            person.heard = now
            ROOMS.tell(room, person.id, {"type": "here", **person.view()})


HANDLERS: list[Any] = [presence]

"""The stubs over HTTP: `POST /CAPABILITY/OPERATION`, `GET /CAPABILITY/health`, `GET /` with the records of all. Whoever sends the same idempotency key gets
the first answer again."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import orjson

from flowledger.connectors.stubs.catalogue import records
from flowledger.connectors.stubs.platform import Platform, Refused
from flowledger.kernel.tasks import schemas
from flowledger.logs import log

BODY_MAX = 4 * 1024 * 1024
KEYS_MAX = 10_000


class Stubs:
    """An ASGI application. `token`: what callers must have as bearer token; empty: nothing. `fail`: so many calls get 503 first (tests). `calls`: what came.

    `tell`: given capability, type and data of what happened, in a thread; None: nobody is told. `secret`: by which name the records say the token.
    """

    def __init__(self, token: str = "", secret: str = "", tell: Callable[[str, str, dict[str, Any]], None] | None = None) -> None:
        self.token, self.platform, self.fail, self.tell = token, Platform(), 0, tell
        self.records = records("http://stubs", secret)
        self._afterwards: set[asyncio.Task[None]] = set()
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self._answers: OrderedDict[str, tuple[int, Any]] = OrderedDict()

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body") or len(body) > BODY_MAX:
                break
        headers = {k.decode().lower(): v.decode("latin-1") for k, v in scope["headers"]}
        status, answer = self._answered(scope["method"], scope["path"], headers, body)
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": orjson.dumps(answer)})
        if self.platform.events or self.platform.answers:
            events, self.platform.events = self.platform.events, []
            answers, self.platform.answers = self.platform.answers, []
            task = asyncio.create_task(asyncio.to_thread(self._say, events, answers))
            self._afterwards.add(task)
            task.add_done_callback(self._afterwards.discard)

    def _say(self, events: list[tuple[str, str, dict[str, Any]]], answers: list[tuple[str, dict[str, Any]]]) -> None:
        """What nobody hears is said here, and that is all: these are stubs."""
        for event in events:
            if self.tell is not None:
                self.tell(*event)
        for address, answer in answers:
            try:
                httpx2.post(address, json=answer, timeout=10).raise_for_status()
            except httpx2.HTTPError as e:
                log("stubs").warning("an answer was not taken", why=str(e))

    def _answered(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        name, _, operation = path.strip("/").partition("/")
        if method == "GET" and not name:
            here = f"http://{headers.get('host', 'stubs')}"
            return 200, {n: {**r, "endpoint": f"{here}/{n}"} for n, r in self.records.items()}
        if name not in self.records:
            return 404, {"code": "NO_CAPABILITY", "message": f"expected one of {', '.join(self.records)}"}
        if method == "GET" and operation == "health":
            return 200, {"status": "well"}
        row = self.records[name]["operations"].get(operation)
        if method != "POST" or row is None:
            return 404, {"code": "NO_OPERATION", "message": f"expected POST to one of {', '.join(self.records[name]['operations'])}"}
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"code": "UNAUTHENTICATED", "message": "expected the bearer token"}
        if self.fail > 0:
            self.fail -= 1
            return 503, {"code": "AWAY", "message": "come again"}
        key = headers.get("idempotency-key", "")
        if key and (known := self._answers.get(f"{path} {key}")) is not None:
            return known
        try:
            given = orjson.loads(body) if len(body) <= BODY_MAX else None
        except orjson.JSONDecodeError:
            given = None
        if not isinstance(given, dict) or (wrong := schemas.check(row["input"], given)):
            return 422, {"code": "INPUT", "message": "; ".join(wrong) if isinstance(given, dict) else "expected an object"}
        self.calls.append((name, operation, given))
        try:
            known = (200, self.platform.do(name, operation, {k: v for k, v in given.items() if k in row["input"]["properties"]}))
        except Refused as e:
            known = (409, {"code": e.code, "message": e.message})
        if key:
            self._answers[f"{path} {key}"] = known
            while len(self._answers) > KEYS_MAX:
                self._answers.popitem(last=False)
        return known

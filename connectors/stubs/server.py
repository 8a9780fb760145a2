"""The stubs over HTTP: `POST /CAPABILITY/OPERATION`, `GET /CAPABILITY/health`. Whoever sends the same idempotency key gets the first answer again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from flowledger.connectors.stubs.catalogue import records
from flowledger.connectors.stubs.platform import Platform, Refused
from flowledger.kernel.tasks import schemas

BODY_MAX = 4 * 1024 * 1024
KEYS_MAX = 10_000


class Stubs:
    """An ASGI application. `token`: what callers must have as bearer token; empty: nothing. `fail`: so many calls get 503 first (tests). `calls`: what came."""

    def __init__(self, token: str = "") -> None:
        self.token, self.platform, self.fail = token, Platform(), 0
        self.records = records("http://stubs")
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

    def _answered(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        name, _, operation = path.strip("/").partition("/")
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

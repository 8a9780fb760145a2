"""Pub/Sub and Cloud Tasks as their discovery documents describe them (`google-discovery.json`: revisions 20261027 and 20261005, the methods and schemas that
are called here): a request that has another shape is told with 400, a token that no key of the account signed with 401."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from tests.connectors.conftest import Request, Target

DISCOVERY = json.loads((Path(__file__).parent / "google-discovery.json").read_text())
EMAIL = "flows@shop-1.iam.gserviceaccount.com"
_NAMED = {
    "google-datetime": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "google-duration": re.compile(r"\d+(\.\d+)?s"),
    "byte": re.compile(r"[A-Za-z0-9+/]*={0,2}"),
}  # fmt: skip


def key_of(id: str) -> str:
    """A file of a key, as the console of Google gives one."""
    made = rsa.generate_private_key(65537, 2048)
    pem = made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    return json.dumps({
        "type": "service_account", "project_id": "shop-1", "private_key_id": id, "private_key": pem, "client_email": EMAIL, "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token", "universe_domain": "googleapis.com",
    })  # fmt: skip


FIRST, WRONG, SECOND = key_of("k1"), key_of("k0"), key_of("k2")


def wrong_at(value: Any, schema: dict[str, Any], schemas: dict[str, Any], where: str = "$") -> str:
    """What is not as a schema of a discovery document says; empty: nothing."""
    if "$ref" in schema:
        schema = schemas.get(schema["$ref"]) or {}
    kind = schema.get("type")
    if kind == "object":
        if not isinstance(value, dict):
            return f"{where}: expected an object"
        known, other = schema.get("properties", {}), schema.get("additionalProperties")
        for name, part in value.items():
            if name not in known and other is None:
                return f"{where}: unknown name {name}"
            if told := wrong_at(part, known.get(name) or other, schemas, f"{where}.{name}"):
                return told
    elif kind == "array":
        if not isinstance(value, list):
            return f"{where}: expected an array"
        return next((t for i, v in enumerate(value) if (t := wrong_at(v, schema["items"], schemas, f"{where}[{i}]"))), "")
    elif kind == "string":
        if not isinstance(value, str) or ("enum" in schema and value not in schema["enum"]):
            return f"{where}: expected a string of {schema.get('enum')}"
        if (named := _NAMED.get(schema.get("format", ""))) is not None and not named.fullmatch(value):
            return f"{where}: expected {schema['format']}"
    elif kind in ("integer", "number") and (not isinstance(value, int) or isinstance(value, bool)):
        return f"{where}: expected a number"
    elif kind == "boolean" and not isinstance(value, bool):
        return f"{where}: expected a truth value"
    return ""


class Cloud:
    """On a `Target`. `published`: messages by topic; `waiting`: of subscriptions; `tasks`: by name; `tokens`: those that came."""

    def __init__(self, target: Target) -> None:
        self.key, self.fails = FIRST, 0
        self.published: list[dict[str, Any]] = []
        self.tasks: dict[str, dict[str, Any]] = {}
        self.waiting: list[dict[str, Any]] = []
        #: id of an acknowledgement -> (message, until when it is ours)
        self.out: dict[str, tuple[dict[str, Any], float]] = {}
        self.tokens: list[str] = []
        self.number = 0
        for path, service, method, do in (
            ("/v1/projects/shop-1/topics/orders:publish", "pubsub", "projects.topics.publish", self._publish),
            ("/v1/projects/shop-1/subscriptions/orders-in:pull", "pubsub", "projects.subscriptions.pull", self._pull),
            ("/v1/projects/shop-1/subscriptions/orders-in:acknowledge", "pubsub", "projects.subscriptions.acknowledge", self._acknowledge),
            ("/v1/projects/shop-1/subscriptions/orders-in:modifyAckDeadline", "pubsub", "projects.subscriptions.modifyAckDeadline", self._modify),
            ("/v2/projects/shop-1/locations/europe-west3/queues/calls/tasks", "cloudtasks", "projects.locations.queues.tasks.create", self._create),
        ):  # fmt: skip
            target.routes[path] = self._route(path, service, method, do)
        #: what Cloud Monitoring says, as its method projects.timeSeries.list does; what it was asked
        self.figure: tuple[int, Any] | None = None
        self.asked: list[dict[str, list[str]]] = []
        target.routes["/v3/projects/shop-1/timeSeries"] = self._figures

    def _route(self, path: str, service: str, method: str, do: Any) -> Any:
        told = DISCOVERY[service]
        shape = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(told["methods"][method]["path"]))
        assert re.fullmatch(shape, path[1:]) and told["methods"][method]["httpMethod"] == "POST"

        def answer(request: Request) -> tuple[int, dict[str, str], Any]:
            if self.fails:
                self.fails -= 1
                return 503, {"retry-after": "7"}, _error(503, "UNAVAILABLE", "later")
            if why := self._stranger(request.headers.get("authorization", ""), f"https://{service}.googleapis.com/"):
                return 401, {}, _error(401, "UNAUTHENTICATED", why)
            found = json.loads(request.body)
            if why := wrong_at(found, {"$ref": told["methods"][method]["request"]}, told["schemas"]):
                return 400, {}, _error(400, "INVALID_ARGUMENT", why)
            status, value = do(found)
            return status, {"content-type": "application/json"}, value

        return answer

    def _stranger(self, header: str, audience: str) -> str:
        kind, _, token = header.partition(" ")
        self.tokens.append(token)
        known = json.loads(self.key)
        try:
            found = jwt.decode(token, RSAKey.import_key(known["private_key"]), algorithms=["RS256"])
        except JoseError as e:
            return f"invalid authentication credentials: {type(e).__name__}"
        c, now = found.claims, time.time()
        good = c["iss"] == c["sub"] == EMAIL and c["aud"] == audience and c["iat"] <= now < c["exp"] <= c["iat"] + 3600
        return "" if kind == "Bearer" and good and found.header["kid"] == known["private_key_id"] else "claims"

    def _figures(self, request: Request) -> tuple[int, dict[str, str], Any]:
        if why := self._stranger(request.headers.get("authorization", ""), "https://monitoring.googleapis.com/"):
            return 401, {}, _error(401, "UNAUTHENTICATED", why)
        assert request.method == "GET" and not request.body
        self.asked.append(parse_qs(request.path.partition("?")[2], strict_parsing=True))
        if self.figure is not None:
            return self.figure[0], {"content-type": "application/json"}, self.figure[1]
        points = [{"interval": {}, "value": {"int64Value": str(n)}} for n in (len(self.waiting) + len(self.out), 999)]
        return 200, {"content-type": "application/json"}, {"timeSeries": [{"points": points, "valueType": "INT64", "metricKind": "GAUGE"}]}

    def _publish(self, found: Any) -> tuple[int, Any]:
        self.published += found["messages"]
        self.number += len(found["messages"])
        return 200, {"messageIds": [str(self.number)]}

    def put(self, data: bytes, id: str, **more: Any) -> None:
        self.waiting.append({"data": base64.b64encode(data).decode(), "messageId": id, "publishTime": "2026-11-30T10:00:00Z", **more})

    def _pull(self, found: Any) -> tuple[int, Any]:
        now = time.monotonic()
        for ack, (message, until) in list(self.out.items()):
            if until <= now:
                del self.out[ack]
                self.waiting.insert(0, message)
        given = []
        while self.waiting and len(given) < found["maxMessages"]:
            self.number += 1
            self.out[f"ack-{self.number}"] = self.waiting[0], now + 10
            given.append({"ackId": f"ack-{self.number}", "message": self.waiting.pop(0)})
        return 200, {"receivedMessages": given} if given else {}

    def _acknowledge(self, found: Any) -> tuple[int, Any]:
        for ack in found["ackIds"]:
            self.out.pop(ack, None)
        return 200, {}

    def _modify(self, found: Any) -> tuple[int, Any]:
        assert 0 <= found["ackDeadlineSeconds"] <= 600
        for ack in found["ackIds"]:
            if ack in self.out:
                self.out[ack] = self.out[ack][0], time.monotonic() + found["ackDeadlineSeconds"]
        return 200, {}

    def _create(self, found: Any) -> tuple[int, Any]:
        task = found["task"]
        if task["name"] in self.tasks:
            return 409, _error(409, "ALREADY_EXISTS", "Requested entity already exists")
        self.tasks[task["name"]] = task
        return 200, task


def _error(code: int, status: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status}}

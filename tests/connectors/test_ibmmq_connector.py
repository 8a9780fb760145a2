"""IBM MQ's messaging REST API against a stub that looks at the way, the headers and their shapes as its reference says."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from tests.connectors.conftest import Request, Target
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure

pytestmark = pytest.mark.req("APG-CON-019")
PATH = "/ibmmq/rest/v3/messaging/qmgr/QM1/queue/ORDERS/message"
SHAPES = {
    "ibm-mq-md-correlationid": r"[0-9a-f]{48}", "ibm-mq-md-persistence": "persistent|nonPersistent", "ibm-mq-md-expiry": r"unlimited|[0-9]{1,11}",
    "ibm-mq-md-priority": "[0-9]", "ibm-mq-md-replyto": r"[A-Za-z0-9./_%]{1,48}(@[A-Za-z0-9./_%]{1,48})?", "ibm-mq-rest-csrf-token": ".*",
    "content-type": r"(text/plain|application/json);charset=utf-8",
}  # fmt: skip


class MqRig(Rig):
    connector = "ibmmq"
    secret_at = "password"

    def __init__(self, target: Target) -> None:
        self.target, self.to, self.password = target, ("127.0.0.1", target.port), SECRET
        self.queued: list[Request] = []
        self.refuses: tuple[int, int] = (0, 0)
        target.routes[PATH] = self.put

    def put(self, request: Request) -> tuple[int, dict[str, str], Any]:
        login = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        if login != f"flows:{self.password}":
            return 401, {}, _error("MWQB0104E", "MQWB0104E: The REST API request to '/x' is not authenticated.", 0)
        for name, value in request.headers.items():
            if name.startswith("ibm-mq") or name == "content-type":
                assert re.fullmatch(SHAPES[name], value), (name, value)
        assert {"ibm-mq-rest-csrf-token", "ibm-mq-md-correlationid"} <= request.headers.keys() and request.method == "POST"
        if self.refuses[0]:
            return self.refuses[0], {}, _error("MQWB2003E", f"MQWB2003E: it failed with {self.refuses[1]}", self.refuses[1])
        self.queued.append(request)
        return 201, {"ibm-mq-md-messageId": f"{len(self.queued):048x}"}, b""

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {
            "endpoint": f"http{'s' if tls else ''}://{host}:{port}", "queueManager": "QM1", "queue": "ORDERS", "username": "flows",
            "password": "{{secrets.KEY}}", "message": {"weight": 7},
        }  # fmt: skip

    def checked(self, answer: Any) -> None:
        assert re.fullmatch("[0-9a-f]{48}", answer["messageId"])

    async def rotate(self, value: str) -> None:
        self.password = value

    async def effects(self) -> list[str]:
        return [r.headers["ibm-mq-md-correlationid"] for r in self.queued]


def _error(id: str, message: str, reason: int) -> dict[str, Any]:
    return {
        "error": [
            {"action": "", "completionCode": 2, "explanation": "", "message": message, "msgId": id, "reasonCode": reason, "type": "mq"}
        ]
    }


@pytest.fixture
async def mq(target: Target) -> MqRig:
    return MqRig(target)


class TestContract(Contract):
    @pytest.fixture
    def rig(self, mq: MqRig) -> Rig:
        return mq


@pytest.fixture
async def send(mq: MqRig, bench) -> AsyncIterator[Any]:
    run = bench("ibmmq")

    async def call(**more: Any) -> Any:
        return (await run({**mq.call(*mq.to), "password": SECRET, **more}, OUT, key="4711"))["out"]

    yield call


async def test_what_stands_in_the_message(mq: MqRig, send):
    given = "AB" * 24
    more = {"correlationId": given, "replyTo": "BACK@QM2", "persistent": False, "priority": 9, "expiresAfterMs": 1000}
    assert await send(message={"n": Decimal("1.10")}, **more) == {"messageId": f"{1:048x}", "correlationId": given.lower()}
    await send(message="text ü")
    first, second = mq.queued
    h = first.headers
    assert (first.body, h["ibm-mq-md-priority"], h["ibm-mq-md-expiry"], h["ibm-mq-md-replyto"], h["ibm-mq-md-persistence"], h["content-type"]) == (
        b'{"n":1.10}', "9", "1000", "BACK@QM2", "nonPersistent", "application/json;charset=utf-8",
    )  # fmt: skip
    assert second.body == "text ü".encode() and second.headers["content-type"] == "text/plain;charset=utf-8"
    assert second.headers["ibm-mq-md-persistence"] == "persistent" and second.headers["ibm-mq-md-expiry"] == "unlimited"


@pytest.mark.parametrize(
    ("status", "reason", "code", "again"),
    [
        (500, 2053, "BUSY", True), (503, 2059, "BUSY", True), (404, 2085, "404", False), (403, 2035, "403", False), (400, 2030, "400", False),
        (500, 2195, "500", False),
    ],
)  # fmt: skip
async def test_what_the_queue_manager_refuses(mq: MqRig, send, status: int, reason: int, code: str, again: bool):
    mq.refuses = status, reason
    found = await failure(send())
    assert (found.code, found.retries) == (code, None if again else 0) and f"reason {reason}" in found.message, found.message


async def test_what_says_nothing_of_a_message(mq: MqRig, target: Target, send):
    target.routes[PATH] = 201, {}, b""
    assert (await failure(send())).code == "ANSWER_UNREADABLE"
    for said_ in (b"<html>", b'{"error": [{"reasonCode": []}]}'):
        target.routes[PATH] = 503, {}, said_
        assert (await failure(send())).retries is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"message": "x" * (4 * 1024 * 1024 + 1)}, {"queue": "a b"}, {"queue": "x" * 49}, {"priority": 10}, {"correlationId": "ab"}, {"username": "a:b"},
        {"replyTo": "a@b@c"}, {"expiresAfterMs": 99_999_999_901},
    ],
)  # fmt: skip
async def test_configurations_that_are_refused(mq: MqRig, send, wrong):
    assert (await failure(send(**wrong))).code == "CONFIGURATION" and not mq.queued


GOOD = {"endpoint": "https://mq:9443", "queueManager": "QM1", "queue": "= q", "username": "u", "password": "{{secrets.P}}"}


@pytest.mark.parametrize(
    ("inputs", "words"), [(GOOD, ""), ({**GOOD, "queueManager": "a b"}, "queueManager"), ({"endpoint": "https://mq"}, "queueManager")]
)
def test_findings(inputs, words: str):
    found = said(inputs, {}, "flowledger:ibmmq")
    assert bool(found) == bool(words) and (not words or words in found[0][2]), found

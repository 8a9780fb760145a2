"""Snowflake's SQL API against a stub that looks at tokens, bindings and request ids as its reference says."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from flowledger.connectors.snowflake import connector
from flowledger.connectors.snowflake.values import bound, plain
from tests.connectors.conftest import Request, Target
from tests.connectors.contract import OUT, Contract, Rig
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure

pytestmark = pytest.mark.req("APG-CON-016")
WHO = "ORG-SHOP.FLOWS"


def pem() -> str:
    made = rsa.generate_private_key(65537, 2048)
    return made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


FIRST, WRONG, SECOND = pem(), pem(), pem()
COLUMNS = [{"name": "ID", "type": "fixed", "scale": 0}, {"name": "PRICE", "type": "fixed", "scale": 2}, {"name": "NOTE", "type": "text"}]


class SnowflakeRig(Rig):
    connector = "snowflake"
    secret_at = "privateKey"
    first, wrong, second = FIRST, WRONG, SECOND

    def __init__(self, target: Target) -> None:
        self.target, self.to, self.key = target, ("127.0.0.1", target.port), FIRST
        self.columns, self.parts, self.waits, self.refuses = COLUMNS, [[["1", "7.10", None]]], 0, (0, {})
        self.done: dict[str, dict[str, Any]] = {}
        self.asked: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.handle = str(uuid.uuid4())
        target.routes["/api/v2/statements"] = self.statement
        target.routes[f"/api/v2/statements/{self.handle}"] = self.statement

    def statement(self, request: Request) -> tuple[int, dict[str, str], Any]:
        if not self._known(request):
            return 401, {}, {"code": "390144", "message": "JWT token is invalid."}
        assert "/" in request.headers["user-agent"] and request.headers["accept"] == "application/json"
        query = {k: v[0] for k, v in parse_qs(urlsplit(request.path).query).items()}
        if request.method == "POST":
            asked = json.loads(request.body)
            assert asked.keys() <= {"statement", "timeout", "database", "schema", "warehouse", "role", "bindings", "parameters"}
            assert [*asked["bindings"]] == [str(i + 1) for i in range(asked["statement"].count("?"))]
            assert all(b.keys() == {"type", "value"} and isinstance(b["value"], str | None) for b in asked["bindings"].values())
            assert query["retry"] == "true"
            self.asked.append(asked)
            self.done[str(uuid.UUID(query["requestId"]))] = asked
        if self.refuses[0]:
            return self.refuses[0], {"retry-after": "3"}, self.refuses[1]
        if self.waits:
            self.waits -= 1
            return 202, {}, {"code": "333334", "message": "in progress", "statementHandle": self.handle, "statementStatusUrl": "/x"}
        part = int(query.get("partition", "0"))
        meta = {"numRows": 1, "format": "jsonv2", "rowType": self.columns, "partitionInfo": [{"rowCount": len(p)} for p in self.parts]}
        return (
            200,
            {},
            {"code": "090001", "statementHandle": self.handle, "data": self.parts[part], **({} if part else {"resultSetMetaData": meta})},
        )

    def _known(self, request: Request) -> bool:
        assert request.headers["x-snowflake-authorization-token-type"] == "KEYPAIR_JWT"
        token = request.headers["authorization"].removeprefix("Bearer ")
        self.tokens.append(token)
        key = serialization.load_pem_private_key(self.key.encode(), None).public_key()
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        try:
            c = jwt.decode(token, RSAKey.import_key(self.key), algorithms=["RS256"]).claims
        except JoseError:
            return False
        print_ = "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode()
        return (c["iss"], c["sub"]) == (f"{WHO}.{print_}", WHO) and c["iat"] <= time.time() < c["exp"] <= c["iat"] + 3600

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {
            "endpoint": f"http{'s' if tls else ''}://{host}:{port}", "account": "org-shop", "username": "flows", "privateKey": "{{secrets.KEY}}",
            "warehouse": "SMALL", "parameters": {"id": 1},
        }  # fmt: skip

    def headers(self) -> dict[str, Any]:
        return {"statement": "select id, price, note from orders where id = %(id)s and k = %(idempotencyKey)s"}

    def checked(self, answer: Any) -> None:
        assert answer == {"rows": [{"ID": 1, "PRICE": Decimal("7.10"), "NOTE": None}], "rowCount": 1}

    async def rotate(self, value: str) -> None:
        self.key = value

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        self.parts = [[["1", "1.00", "x" * 3000]]]
        return self.call(host, port), self.headers()

    async def effects(self) -> list[str]:
        return list(self.done)


@pytest.fixture
async def snowflake(target: Target) -> SnowflakeRig:
    return SnowflakeRig(target)


class TestContract(Contract):
    @pytest.fixture
    def rig(self, snowflake: SnowflakeRig) -> Rig:
        return snowflake


@pytest.fixture
async def ask(snowflake: SnowflakeRig, bench, monkeypatch) -> AsyncIterator[Any]:
    monkeypatch.setattr(connector, "ASK_S", 0.01)
    run = bench("snowflake")

    async def call(statement: str = "", **more: Any) -> Any:
        given = {**snowflake.call(*snowflake.to), "privateKey": FIRST, **more}
        return (await run(given, {**snowflake.headers(), **({"statement": statement} if statement else {}), **OUT}, key="4711"))["out"]

    yield call


async def test_values_go_beside_the_statement_and_a_token_serves_many(snowflake: SnowflakeRig, ask):
    for _ in range(2):
        await ask(
            "select %(id)s, %(b)s, '100 %%'", parameters={"id": 7, "b": "'; drop table x; --"}, database="D", schemaName="S", role="R"
        )
    (asked, _) = snowflake.asked
    assert asked["statement"] == "select ?, ?, '100 %'" and len(snowflake.done) == 1 and len(set(snowflake.tokens)) == 1
    assert asked["bindings"] == {"1": {"type": "FIXED", "value": "7"}, "2": {"type": "TEXT", "value": "'; drop table x; --"}}
    assert (asked["database"], asked["schema"], asked["role"], asked["warehouse"], asked["timeout"]) == ("D", "S", "R", "SMALL", 60)


async def test_a_statement_that_takes_long_and_an_answer_in_parts(snowflake: SnowflakeRig, ask):
    snowflake.waits = 3
    snowflake.parts = [[["1", "1.00", "a"]], [["2", "2.00", "b"], ["3", "3.00", "c"]]]
    found = await ask(maxRows=3)
    assert [row["ID"] for row in found["rows"]] == [1, 2, 3]
    assert (await failure(ask(maxRows=2))).code == "ANSWER_TOO_LARGE"
    snowflake.parts = [[["1", "1.00", "a"]]] * (connector.PARTS_MAX + 1)
    assert (await failure(ask())).code == "ANSWER_TOO_LARGE"
    snowflake.parts = snowflake.parts[1:]
    assert (await ask())["rowCount"] == connector.PARTS_MAX


@pytest.mark.parametrize(
    ("status", "body", "code", "again"),
    [
        (422, {"code": "002003", "sqlState": "02000", "message": "Object does not exist"}, "02000", False),
        (422, {"code": "000604", "sqlState": "57014", "message": "Statement reached its timeout"}, "TIMEOUT", True),
        (422, {"sqlState": "42501", "message": "Insufficient privileges"}, "403", False), (429, {}, "429", True), (503, {"message": "later"}, "503", True),
        (400, {"message": "no"}, "400", False), (408, {}, "408", True),
    ],
)  # fmt: skip
async def test_what_the_service_refuses(snowflake: SnowflakeRig, ask, status: int, body: Any, code: str, again: bool):
    snowflake.refuses = status, body
    found = await failure(ask())
    assert (found.code, found.retries) == (code, None if again else 0), found.message


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        ([{"name": "D", "type": "date"}], [["x"]]),
        (COLUMNS, [["1"]]),
        ([{"name": "V", "type": "variant"}], [["{"]]),
        (COLUMNS, None),
        (None, []),
    ],
)
async def test_an_answer_of_another_shape(snowflake: SnowflakeRig, ask, columns: Any, rows: Any):
    snowflake.columns, snowflake.parts = columns, [rows] if rows is not None else [[7]]
    assert (await failure(ask())).code == "ANSWER_UNREADABLE"


@pytest.mark.parametrize(
    ("text", "kind", "scale", "value"),
    [
        ("1234", "fixed", 0, 1234), ("-1.50", "fixed", 2, Decimal("-1.50")), ("1.5e10", "real", 0, Decimal("1.5e10")), ("NaN", "real", 0, "NaN"),
        ("true", "boolean", 0, True), ("18262", "date", 0, "2020-01-01"), ("82919.000000000", "time", 9, "23:01:59"),
        ("1611871777.123456789", "timestamp_ntz", 9, "2021-01-28T22:09:37.123456"), ("1611871777.0", "timestamp_ltz", 9, "2021-01-28T22:09:37+00:00"),
        ("1616173619.000000000 960", "timestamp_tz", 9, "2021-03-19T09:06:59-08:00"), ('{"a":[1]}', "variant", 0, {"a": [1]}), ("x", "text", 0, "x"),
        (None, "fixed", 0, None), ("ff", "binary", 0, "ff"),
    ],
)  # fmt: skip
def test_values_of_an_answer(text: Any, kind: str, scale: int, value: Any):
    assert plain(text, {"name": "C", "type": kind, "scale": scale}) == value


async def test_a_statement_that_gets_more_time_is_the_same_and_one_without_a_handle_is_told(snowflake: SnowflakeRig, ask):
    await ask("select %(id)s", timeoutInSeconds=10)
    await ask("select %(id)s", timeoutInSeconds=20)
    assert [a["timeout"] for a in snowflake.asked] == [10, 20] and len(snowflake.done) == 1
    snowflake.handle, snowflake.waits = "nonsense", 1
    assert (await failure(ask("select %(id)s"))).code == "ANSWER_UNREADABLE"


def test_values_of_parameters():
    given = {
        "t": True,
        "i": 2**70,
        "d": Decimal("1.10"),
        "n": None,
        "l": [1, {"a": "b"}],
        "w": Decimal("3"),
        "b": Decimal("1e999999999"),
        "s": Decimal("1e-999999999"),
    }
    _, found = bound(" ".join(f"%({name})s" for name in given), given)
    assert [(b["type"], b["value"]) for b in found.values()] == [
        ("BOOLEAN", "true"), ("FIXED", str(2**70)), ("TEXT", "1.10"), ("TEXT", None), ("TEXT", '[1,{"a":"b"}]'), ("FIXED", "3"),
        ("TEXT", "1E+999999999"), ("TEXT", "1E-999999999"),
    ]  # fmt: skip


@pytest.mark.parametrize("statement", ["select %(none)s", "select 5 % 2", "like 'a%'"])
async def test_a_statement_and_parameters_that_do_not_fit(snowflake: SnowflakeRig, ask, statement: str):
    assert (await failure(ask(statement))).code == "CONFIGURATION" and not snowflake.asked


@pytest.mark.parametrize(
    "wrong", [{"maxRows": 10_001}, {"account": "a/b"}, {"parameters": {"idempotencyKey": 1}}, {"role": 'a"b'}, {"username": ""}]
)
async def test_configurations_that_are_refused(snowflake: SnowflakeRig, ask, wrong):
    assert (await failure(ask(**wrong))).code == "CONFIGURATION" and not snowflake.asked


async def test_what_is_no_key(ask):
    found = await failure(ask(privateKey="-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"))
    assert (found.code, found.retries) == ("SECRET_UNUSABLE", 0) and "AAAA" not in found.message


GOOD = {"account": "a", "username": "u", "privateKey": "{{secrets.K}}", "parameters": "= p"}


@pytest.mark.parametrize(
    ("inputs", "headers", "words"),
    [
        (GOOD, {"statement": "select 1"}, ""),
        ({**GOOD, "statement": "= s"}, {}, "in a header"),
        ({"account": "a"}, {"statement": "select 1"}, "username"),
    ],
)
def test_findings(inputs, headers, words: str):
    found = said(inputs, headers, "flowledger:snowflake")
    assert bool(found) == bool(words) and (not words or words in found[0][2]), found

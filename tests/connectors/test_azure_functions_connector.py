"""Azure Functions against a stub: the key's header, a token of Entra ID, and what goes to the function."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.connectors.conftest import Request, Target
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure

pytestmark = pytest.mark.req("APG-CON-017")
TOKENS = "/directory/oauth2/v2.0/token"


class FunctionsRig(Rig):
    connector = "azure-functions"
    secret_at = "key"
    wrong_code = "401"

    def __init__(self, target: Target) -> None:
        self.target, self.to, self.key = target, ("127.0.0.1", target.port), SECRET
        self.keys: list[str] = []
        self.tokens: list[dict[str, list[str]]] = []
        target.routes["/api/orders"] = self.invoked
        target.routes[TOKENS] = self.token

    def invoked(self, request: Request) -> tuple[int, dict[str, str], Any]:
        if request.headers.get("x-functions-key") != self.key and request.headers.get("authorization") != "Bearer of-entra":
            return 401, {}, b""
        self.keys.append(request.headers["idempotency-key"])
        return 200, {"content-type": "application/json"}, json.loads(request.body)

    def token(self, request: Request) -> tuple[int, dict[str, str], Any]:
        asked = parse_qs(request.body.decode())
        self.tokens.append(asked)
        if asked["client_secret"] != [SECRET]:
            return 401, {}, {"error": "invalid_client"}
        return 200, {"content-type": "application/json"}, {"token_type": "Bearer", "expires_in": 3599, "access_token": "of-entra"}

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {"app": f"http{'s' if tls else ''}://{host}:{port}", "function": "orders", "key": "{{secrets.KEY}}", "body": {"weight": 7}}

    def checked(self, answer: Any) -> None:
        assert (answer["status"], answer["body"]) == (200, {"weight": 7})

    async def rotate(self, value: str) -> None:
        self.key = value

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        return {**self.call(host, port), "body": {"pad": "x" * 4000}}, {}

    async def effects(self) -> list[str]:
        return self.keys


@pytest.fixture
async def functions(target: Target) -> FunctionsRig:
    return FunctionsRig(target)


class TestContract(Contract):
    @pytest.fixture
    def rig(self, functions: FunctionsRig) -> Rig:
        return functions


@pytest.fixture
async def call(functions: FunctionsRig, bench) -> AsyncIterator[Any]:
    run = bench("azure-functions")

    async def do(**more: Any) -> Any:
        given = {**functions.call(*functions.to), "key": None, **more}
        return (await run({k: v for k, v in given.items() if v is not None}, OUT, key="4711"))["out"]

    yield do


async def test_by_a_token_of_entra_that_is_asked_for_once(functions: FunctionsRig, call):
    entra = {
        "tenant": "directory",
        "clientId": "flows",
        "clientSecret": SECRET,
        "scope": "api://orders/.default",
        "authority": f"http://127.0.0.1:{functions.to[1]}",
    }
    for _ in range(3):
        functions.checked(await call(**entra))
    assert functions.tokens == [
        {"grant_type": ["client_credentials"], "scope": ["api://orders/.default"], "client_id": ["flows"], "client_secret": [SECRET]}
    ]
    wrong = await failure(call(**{**entra, "clientSecret": "another-secret"}))
    assert (wrong.code, wrong.retries) == ("OAUTH", 0) and "another-secret" not in wrong.message


async def test_routes_with_values_and_a_prefix(functions: FunctionsRig, call, target: Target):
    target.routes["/v2/orders/a-7/lines"] = lambda request: (200, {}, {"path": request.path})
    found = await call(function="orders/a-7/lines", prefix="v2", method="GET", body=None, queryParameters={"code": 1})
    assert found["body"] == {"path": "/v2/orders/a-7/lines?code=1"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"function": "../admin"}, {"function": "orders?x=1"}, {"headers": {"X-Functions-Key": "k"}}, {"tenant": "t"}, {"method": "TRACE"},
        {"tenant": "t", "clientId": "c", "clientSecret": "s", "scope": "s", "key": SECRET},
    ],
)  # fmt: skip
async def test_configurations_that_are_refused(call, target: Target, wrong):
    assert (await failure(call(**wrong))).code == "CONFIGURATION" and not target.seen


GOOD = {"app": "https://shop.azurewebsites.net", "function": "= f", "key": "{{secrets.K}}"}


@pytest.mark.parametrize(("inputs", "words"), [(GOOD, ""), ({**GOOD, "method": "TRACE"}, "method"), ({"app": "https://x"}, "function")])
def test_findings(inputs, words: str):
    found = said(inputs, {}, "flowledger:azure-functions")
    assert bool(found) == bool(words) and (not words or words in found[0][2]), found

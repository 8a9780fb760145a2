"""The GraphQL connector against Strawberry's server: what it sends, and what it makes of data, errors, and both."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest
import strawberry
from litestar import Litestar
from strawberry.litestar import make_graphql_controller

from tests.connectors.conftest import Target
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.guarded import Guarded
from tests.connectors.test_http_connector import failure

KEYS: list[str] = []


@strawberry.type
class Booking:
    number: int
    note: str


@strawberry.type
class Query:
    @strawberry.field
    def booking(self, number: int, note: str = "") -> Booking:
        return Booking(number=number, note=note)

    @strawberry.field
    def broken(self) -> str | None:
        raise ValueError("it broke")

    @strawberry.field
    def long(self, size: int) -> str:
        return "x" * size


@strawberry.type
class Mutation:
    @strawberry.mutation
    def book(self, info: strawberry.Info, weight: int) -> Booking:
        KEYS.append(info.context["request"].headers["idempotency-key"])
        return Booking(number=weight, note="booked")


def guarded() -> Guarded:
    with warnings.catch_warnings():  # how the library declares its own dependencies
        warnings.simplefilter("ignore")
        return Guarded(Litestar([make_graphql_controller(strawberry.Schema(Query, Mutation), path="/graphql")]))


APP = guarded()


@pytest.fixture
async def server() -> AsyncIterator[int]:
    KEYS.clear()
    async with APP.served() as made:
        yield made.port


class GraphQLRig(Rig):
    connector = "graphql"
    secret_at = "authentication.token"
    wrong_code = "401"

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {
            "url": f"http{'s' if tls else ''}://{host}:{port}/graphql",
            "query": "mutation Book($weight: Int!) { book(weight: $weight) { number note } }", "variables": {"weight": 7},
            "authentication": {"type": "bearer", "token": "{{secrets.KEY}}"},
        }  # fmt: skip

    def checked(self, answer: Any) -> None:
        assert (answer["status"], answer["body"]["data"]) == (200, {"book": {"number": 7, "note": "booked"}})

    async def rotate(self, value: str) -> None:
        APP.key = value

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        return {**self.call(host, port), "query": "{ long(size: 5000) }", "variables": {}}, {}

    async def effects(self) -> list[str]:
        return KEYS


class TestContract(Contract):
    @pytest.fixture
    async def rig(self, server: int) -> Rig:
        rig = GraphQLRig()
        rig.to = ("127.0.0.1", server)
        return rig


def asking(port: int, query: str, **more: Any) -> dict[str, Any]:
    auth = {"type": "bearer", "token": SECRET}
    return {"url": f"http://127.0.0.1:{port}/graphql", "query": query, "authentication": auth, **more}


@pytest.mark.req("APG-CON-015")
async def test_variables_and_the_operation(server: int, bench):
    document = "query A { booking(number: 1) { number } } query B($n: Int!, $t: String!) { booking(number: $n, note: $t) { number note } }"
    call = asking(server, document, operationName="B", variables={"n": 3, "t": 'a "quoted" { text }'})
    found = await bench("graphql")(call, {"resultExpression": "= {n: response.body.data.booking}"})
    assert found == {"n": {"number": 3, "note": 'a "quoted" { text }'}}


@pytest.mark.parametrize(
    ("query", "more", "code", "words"),
    [
        ("{ nothing }", {}, "GRAPHQL", "Cannot query field 'nothing'"),
        ("{ nothing", {}, "GRAPHQL", "Syntax Error"),
        ("{ broken }", {}, "GRAPHQL", "it broke"),
        ("{ broken booking(number: 1) { number } }", {}, "GRAPHQL", "it broke"),
        ("query A($n: Int!) { long(size: $n) }", {"variables": {"n": "many"}}, "GRAPHQL", "Int cannot represent"),
    ],
)
async def test_errors_of_the_server_are_incidents_in_its_words(server: int, bench, query: str, more, code: str, words: str):
    found = await failure(bench("graphql")(asking(server, query, **more)))
    assert found.code in (code, "400") and found.retries == 0 and words in found.message, found.message


async def test_errors_beside_data_may_be_taken(server: int, bench):
    call = asking(server, "{ broken booking(number: 1) { number } }", errors="take")
    found = (await bench("graphql")(call, OUT))["out"]["body"]
    assert found["data"] == {"broken": None, "booking": {"number": 1}} and found["errors"][0]["message"] == "it broke"


async def test_error_expressions_see_the_errors(server: int, bench):
    expression = '= if error.code = "GRAPHQL" then ignoreError({why: error.variables.response.body.errors[1].message}) else null'
    assert await bench("graphql")(asking(server, "{ broken }"), {"errorExpression": expression}) == {"why": "it broke"}


@pytest.mark.req("APG-CON-015")
async def test_a_server_that_is_busy_is_asked_again(target: Target, bench):
    target.routes["/graphql"] = (429, {"retry-after": "7"}, {"errors": [{"message": "slow down"}]})
    found = await failure(bench("graphql")(asking(target.port, "{ a }")))
    assert (found.code, found.retries, found.backoff_s) == ("429", None, 7.0) and "slow down" in found.message


@pytest.mark.parametrize("answer", [[1], {"message": "hi"}, "text"])
async def test_what_is_no_graphql(target: Target, bench, answer: Any):
    target.routes["/graphql"] = (200, {}, answer)
    assert (await failure(bench("graphql")(asking(target.port, "{ a }")))).code == "ANSWER_UNREADABLE"


@pytest.mark.parametrize(
    "wrong", [{"query": " subscription { a }"}, {"query": ""}, {"operationName": "a b"}, {"variables": "x"}, {"query": "x" * 100_001}]
)
async def test_configurations_that_are_refused(target: Target, bench, wrong):
    found = await failure(bench("graphql")({**asking(target.port, "{ a }"), **wrong}))
    assert (found.code, target.seen) == ("CONFIGURATION", [])

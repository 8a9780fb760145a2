"""The OpenAPI connector against a server that publishes its own document and checks what it gets; and documents of every shape."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
import yaml
from litestar import Litestar, Request, get, post
from litestar.openapi.config import OpenAPIConfig
from litestar.params import Parameter

from flowledger.connectors.frame import Failed
from flowledger.connectors.openapi.document import Document
from flowledger.connectors.openapi.request import written
from tests.connectors.conftest import Target
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.guarded import Guarded
from tests.connectors.test_http_connector import failure

KEYS: list[str] = []


class Order(msgspec.Struct):
    town: Annotated[str, msgspec.Meta(min_length=2)]
    weight: Annotated[int, msgspec.Meta(ge=1, le=100)]
    note: str | None = None


class Booking(msgspec.Struct):
    number: int
    town: str


@post("/carriers/{carrier:str}/bookings", operation_id="book")
async def book(request: Request, carrier: str, data: Order, express: bool = False) -> Booking:
    KEYS.append(request.headers["idempotency-key"])
    return Booking(data.weight * (2 if express else 1), f"{carrier}: {data.town}")


@get("/bookings", operation_id="find")
async def find(tag: list[str] | None = None, most: Annotated[int, Parameter(ge=1, le=9_000)] = 10) -> dict[str, Any]:
    return {"tags": tag or [], "text": "x" * most}


def guarded() -> Guarded:
    with warnings.catch_warnings():  # how the library wants parameters declared one day
        warnings.simplefilter("ignore")
        return Guarded(Litestar([book, find], openapi_config=OpenAPIConfig("Bookings", "1", path="/about")), open_to="/about")


APP = guarded()


@pytest.fixture
async def server() -> AsyncIterator[int]:
    KEYS.clear()
    async with APP.served() as made:
        yield made.port


AUTH = {"type": "bearer", "token": "{{secrets.KEY}}"}


class OpenApiRig(Rig):
    connector = "openapi"
    secret_at = "authentication.token"
    wrong_code = "401"
    at = ""

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        self.at = f"http{'s' if tls else ''}://{host}:{port}/about/openapi.json"
        return {"parameters": {"carrier": "a b", "express": True}, "body": {"town": "Ulm", "weight": 7}, "authentication": dict(AUTH)}

    def headers(self) -> dict[str, Any]:
        return {"documentUrl": self.at, "operationId": "book"}

    def checked(self, answer: Any) -> None:
        assert (answer["status"], answer["body"]["number"]) == (201, 14)

    async def rotate(self, value: str) -> None:
        APP.key = value

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        document = doc(
            {"get": {"operationId": "find", "parameters": [{"name": "most", "in": "query", "schema": {"type": "integer"}}]}}, "/bookings"
        )
        return {"url": f"http://{host}:{port}", "parameters": {"most": 5000}, "authentication": dict(AUTH)}, {
            "document": document,
            "operationId": "find",
        }

    async def effects(self) -> list[str]:
        return KEYS


def doc(item: dict[str, Any], path: str = "/things/{id}", version: str = "3.1.0", **more: Any) -> str:
    return json.dumps({"openapi": version, "info": {"title": "t", "version": "1"}, "paths": {path: item}, **more})


class TestContract(Contract):
    @pytest.fixture
    async def rig(self, server: int) -> Rig:
        rig = OpenApiRig()
        rig.to = ("127.0.0.1", server)
        return rig


def book_call(port: int, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    given = {"parameters": {"carrier": "dhl"}, "body": {"town": "Ulm", "weight": 7}, "authentication": {"type": "bearer", "token": SECRET}}
    return {**given, **more}, {"documentUrl": f"http://127.0.0.1:{port}/about/openapi.json", "operationId": "book"}


@pytest.mark.req("D-CON-010")
@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"body": {"town": "Ulm"}}, "value: 'weight' is missing"),
        ({"body": {"town": "U", "weight": 7}}, "town: expected a length of at least 2, found 1"),
        ({"body": {"town": "Ulm", "weight": 101}}, "weight: expected at most 100.0, found 101"),
        ({"body": None}, "body: the operation book needs one"),
        ({"body": "no json"}, "body: expected JSON"),
        ({"parameters": {}}, "parameters.carrier: the operation book needs it"),
        ({"parameters": {"carrier": "dhl", "expres": True}}, "parameters.expres: the operation book has carrier, express"),
        ({"parameters": {"carrier": "dhl", "express": "maybe"}}, "parameters.express: value: expected boolean, found string"),
        ({"parameters": {"carrier": ".."}}, "expected what can stand as a part of a path"),
        ({"contentType": "text/csv"}, "contentType: the operation book takes application/json"),
    ],
)
async def test_what_does_not_fit_the_document_is_not_sent(server: int, bench, more: dict[str, Any], words: str):
    found = await failure(bench("openapi")(*book_call(server, **more)))
    assert (found.code, found.retries, KEYS) == ("REQUEST_INVALID", 0, []) and words in found.message, found.message
    assert "Ulm" not in found.message and "maybe" not in found.message


async def test_texts_of_templates_are_taken_for_what_the_document_asks(server: int, bench):
    given, headers = book_call(server, parameters={"carrier": 12, "express": "TRUE"})
    assert (await bench("openapi")(given, {**headers, **OUT}))["out"]["body"] == {"number": 14, "town": "12: Ulm"}
    headers = {**headers, "operationId": "find", **OUT}
    found = await bench("openapi")({**given, "body": None, "parameters": {"tag": ["a b", "c&d"], "most": "3"}}, headers)
    assert found["out"]["body"] == {"tags": ["a b", "c&d"], "text": "xxx"}


async def test_an_operation_that_is_not_there(server: int, bench):
    given, headers = book_call(server)
    found = await failure(bench("openapi")(given, {**headers, "operationId": "bok"}))
    assert (found.code, found.retries) == ("OPERATION_UNKNOWN", 0) and "there is book" in found.message


async def test_the_document_is_fetched_once_and_used_on_while_its_server_is_away(target: Target, bench):
    target.routes |= {"/doc": (200, {}, json.loads(doc({"get": {"operationId": "a"}}, "/a"))), "/a": (200, {}, {"n": 1})}
    asked, now = bench("openapi"), [0.0]
    asked.connector._kept._clock = lambda: now[0]
    headers = {"documentUrl": f"{target.url}/doc", "operationId": "a", **OUT}
    for _ in range(3):
        assert (await asked({}, headers))["out"]["body"] == {"n": 1}
    await asyncio.gather(*(asked({}, headers) for _ in range(5)))
    assert [r.path for r in target.seen].count("/doc") == 1
    now[0] = 301.0
    target.routes["/doc"] = (503, {}, b"away")
    assert (await asked({}, headers))["out"]["status"] == 200
    assert [r.path for r in target.seen].count("/doc") == 2
    now[0] = 700.0
    target.routes["/doc"] = (403, {}, b"no more")
    found = await failure(asked({}, headers))
    assert (found.code, found.retries) == ("403", 0) and found.message.startswith("the OpenAPI document")


@pytest.mark.req("APG-SEC-007")
async def test_who_we_are_is_not_told_to_a_server_that_a_fetched_document_names(target: Target, bench):
    elsewhere = await Target().start()
    try:
        elsewhere.routes["/a"] = (200, {}, {})
        target.routes["/doc"] = (200, {}, json.loads(doc({"get": {"operationId": "a"}}, "/a", servers=[{"url": elsewhere.url}])))
        headers = {"documentUrl": f"{target.url}/doc", "operationId": "a", **OUT}
        auth = {"type": "bearer", "token": "mine"}
        found = await failure(bench("openapi")({"authentication": auth}, headers))
        assert (found.code, elsewhere.seen) == ("CONFIGURATION", []) and "the document leads elsewhere" in found.message
        await bench("openapi")({}, headers)  # who says nothing of itself may go there
        await bench("openapi")({"authentication": auth, "url": elsewhere.url}, headers)  # and where the model itself says so
        assert [r.headers.get("authorization") for r in elsewhere.seen] == [None, "Bearer mine"]
        assert all("authorization" not in r.headers for r in target.seen)
        # nor by a path that makes another address of the one that the model names
        port = elsewhere.url.rpartition(":")[2]
        for path in (f"@127.0.0.1:{port}/a", "1/a", "x-own"):
            target.routes["/doc"] = (200, {}, json.loads(doc({"get": {"operationId": "a"}}, path)))
            found = await failure(bench("openapi")({"authentication": auth, "url": target.url}, headers))
            assert found.code == ("OPERATION_UNKNOWN" if path == "x-own" else "DOCUMENT"), found.message
        assert len(elsewhere.seen) == 2
    finally:
        await elsewhere.close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, {}, {"n": 1}), ""),
        ((200, {}, {"n": "secretive"}), "n: expected integer, found string"),
        ((200, {}, {}), "value: 'n' is missing"),
        ((202, {}, {"n": 1}), "knows no answer 202"),
        ((200, {"content-type": "text/plain"}, b"hello"), "expected application/json"),
        ((204, {}, b""), ""),
    ],
)
async def test_answers_are_held_to_the_document_where_that_is_asked_for(target: Target, bench, answer: Any, words: str):
    schema = {"type": "object", "required": ["n", "pin"], "properties": {"n": {"type": "integer"}, "pin": {"writeOnly": True}}}
    responses = {"200": {"content": {"application/json": {"schema": schema}}}, "204": {"description": "nothing"}}
    headers = {"document": doc({"get": {"operationId": "a", "responses": responses}}, "/a"), "operationId": "a", **OUT}
    target.routes["/a"] = answer
    assert (await bench("openapi")({"url": target.url}, headers))["out"]["status"] == answer[0]
    if not words:
        await bench("openapi")({"url": target.url, "answers": "check"}, headers)
        return
    found = await failure(bench("openapi")({"url": target.url, "answers": "check"}, headers))
    assert (found.code, found.retries) == ("ANSWER_SHAPE", 0) and words in found.message and "secretive" not in found.message


@pytest.mark.req("APG-CON-015")
async def test_too_much_is_asked_again_when_the_server_says(target: Target, bench):
    target.routes["/a"] = (429, {"retry-after": "7"}, {})
    headers = {"document": doc({"get": {"operationId": "a"}}, "/a"), "operationId": "a"}
    found = await failure(bench("openapi")({"url": target.url}, headers))
    assert (found.code, found.retries, found.backoff_s) == ("429", None, 7.0)


# --- parameters: the table of styles of 3.1.1, 4.8.12.5 ------------------------------------------------------------------

COLOURS: dict[str, Any] = {"text": "blue", "list": ["blue", "black", "brown"], "map": {"R": 100, "G": 200, "B": 150}}


@pytest.mark.parametrize(
    ("place", "style", "explode", "value", "wanted"),
    [
        ("path", "matrix", False, "text", ";color=blue"),
        ("path", "matrix", False, "list", ";color=blue,black,brown"),
        ("path", "matrix", False, "map", ";color=R,100,G,200,B,150"),
        ("path", "matrix", True, "list", ";color=blue;color=black;color=brown"),
        ("path", "matrix", True, "map", ";R=100;G=200;B=150"),
        ("path", "label", False, "text", ".blue"),
        ("path", "label", False, "list", ".blue,black,brown"),
        ("path", "label", True, "list", ".blue.black.brown"),
        ("path", "label", True, "map", ".R=100.G=200.B=150"),
        ("path", "simple", False, "list", "blue,black,brown"),
        ("path", "simple", False, "map", "R,100,G,200,B,150"),
        ("path", "simple", True, "map", "R=100,G=200,B=150"),
        ("query", "form", False, "list", "color=blue,black,brown"),
        ("query", "form", False, "map", "color=R,100,G,200,B,150"),
        ("query", "form", True, "list", "color=blue&color=black&color=brown"),
        ("query", "form", True, "map", "R=100&G=200&B=150"),
        ("query", "form", True, "text", "color=blue"),
        ("query", "spaceDelimited", False, "list", "color=blue%20black%20brown"),
        ("query", "pipeDelimited", False, "list", "color=blue%7Cblack%7Cbrown"),
        ("query", "deepObject", True, "map", "color[R]=100&color[G]=200&color[B]=150"),
        ("header", "simple", False, "list", "blue,black,brown"),
        ("header", "simple", True, "map", "R=100,G=200,B=150"),
        ("cookie", "form", False, "text", "color=blue"),
    ],
)
def test_styles(place: str, style: str, explode: bool, value: str, wanted: str):
    row = {"name": "color", "in": place, "style": style, "explode": explode, "required": place == "path"}
    document = Document(doc({"get": {"operationId": "a", "parameters": [row]}}, "/c/{color}" if place == "path" else "/c"))
    found = written(document, document.operation("a"), {"color": COLOURS[value]})
    told = {
        "path": found.path.removeprefix("/c/"),
        "query": found.query,
        "header": found.headers.get("color"),
        "cookie": found.headers.get("Cookie"),
    }
    assert told[place] == wanted


def test_values_stay_values():
    rows = [{"name": "id", "in": "path", "required": True}, {"name": "q", "in": "query"}, {"name": "id", "in": "query"}, {"name": "X-A", "in": "header"},
            {"name": "f", "in": "query", "content": {"application/json": {}}}, {"name": "n", "in": "query", "schema": {"type": "number"}}]  # fmt: skip
    document = Document(doc({"parameters": rows[:1], "get": {"operationId": "a", "parameters": rows[1:]}}))
    found = written(document, document.operation("a"), {"path": {"id": "../x?y#z"}, "q": "a&b=c", "f": {"a": [1]}, "n": Decimal("0.1")})
    assert (found.path, found.query) == ("/things/..%2Fx%3Fy%23z", "q=a%26b%3Dc&f=%7B%22a%22%3A%5B1%5D%7D&n=0.1")
    for given, words in (({"id": 1}, "several have the name"), ({"path.id": 1, "X-A": "a\r\nb"}, "one line of ASCII")):
        with pytest.raises(Failed, match=words):
            written(document, document.operation("a"), given)


# --- documents ------------------------------------------------------------------------------------------------------------


def test_yaml_and_what_may_be_null_in_3_0():
    schema = {"type": "object", "required": ["id", "note"], "properties": {
        "id": {"type": "integer", "readOnly": True}, "note": {"type": "string", "nullable": True}, "left": {"$ref": "#/components/schemas/Thing"},
        "n": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "multipleOf": 0.01}}}  # fmt: skip
    item = {"post": {"operationId": "a", "requestBody": {"$ref": "#/components/requestBodies/B"}}}
    parts = {
        "schemas": {"Thing": schema},
        "requestBodies": {"B": {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}},
    }
    document = Document(yaml.safe_dump(json.loads(doc(item, "/a", "3.0.3", components=parts))))
    operation = document.operation("a")
    place = operation.body["application/json"]
    assert operation.body_required
    for value, wrong in (
        ({"note": None}, ""), ({"note": "x", "left": {"note": None}}, ""), ({}, "value: 'note' is missing"), ({"note": 1}, "note: expected"),
        ({"note": None, "n": 0}, "n: expected"), ({"note": None, "n": Decimal("0.1")}, ""), ({"note": None, "n": Decimal("0.001")}, "n: expected"),
    ):  # fmt: skip
        told = document.problems(place, value, writing=True)
        assert bool(told) == bool(wrong) and (not wrong or told[0].startswith(wrong)), (value, told)
    assert document.problems(place, {"note": None}) == ["value: 'id' is missing"]  # the server itself must


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "neither JSON nor YAML|expected an object"),
        ("[1]", "expected an object"),
        ("{", "neither JSON nor YAML"),
        ('{"swagger": "2.0"}', "expected OpenAPI 3.0 or 3.1, found 'swagger 2.0'"),
        ('{"openapi": "3.1.0", "paths": []}', "paths: expected an object"),
        (doc({"get": {"operationId": "a"}, "post": {"operationId": "a"}}), "stands there twice"),
        (doc({"$ref": "https://elsewhere.example/a.json"}), "leaves the document"),
        (doc({"$ref": "#/components/x"}), "leads nowhere"),
        (doc({"get": {"operationId": "a"}}, "@elsewhere.example/a"), "begins with /"),
        (doc({"get": {"operationId": "a"}}, ".elsewhere.example/a"), "begins with /"),
        (doc({"get": {"operationId": "a"}}, ""), "begins with /"),
        (doc({"$ref": "#/paths/~1things~1%7Bid%7D"}), "references in a row"),
        (
            "a: &a [x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)),
            "at most",
        ),
        ('{"openapi": "3.1.0", "x": ' + "[" * 300 + "]" * 300 + "}", "levels"),
    ],
)
def test_documents_that_are_refused(text: str, words: str):
    with pytest.raises(Failed, match=words) as e:
        Document(text)
    assert e.value.code == "DOCUMENT"


@pytest.mark.req("APG-SEC-007")
@pytest.mark.parametrize(
    "schema", [{"$ref": "http://127.0.0.1:9/x"}, {"$ref": "file:///etc/passwd"}, {"pattern": "(?=a)b"}, {"type": "strange"}]
)
async def test_schemas_that_lead_elsewhere_or_cannot_be_used(target: Target, bench, schema: Any):
    headers = {
        "document": doc({"get": {"operationId": "a", "parameters": [{"name": "q", "in": "query", "schema": schema}]}}, "/a"),
        "operationId": "a",
    }
    found = await failure(bench("openapi")({"url": target.url, "parameters": {"q": "x"}}, headers))
    assert (found.code, found.retries, target.seen) == ("DOCUMENT", 0, []), found.message


def test_schemas_that_double_with_each_step_end():
    twice = {f"S{n}": {"anyOf": [{"$ref": f"#/components/schemas/S{n + 1}"}] * 2} for n in range(24)} | {"S24": {"type": "integer"}}
    row = {"name": "q", "in": "query", "schema": {"$ref": "#/components/schemas/S0"}}
    document = Document(doc({"get": {"operationId": "a", "parameters": [row]}}, "/a", components={"schemas": twice}))
    with pytest.raises(Failed, match="takes too many steps"):
        written(document, document.operation("a"), {"q": "x"})


async def test_servers_of_the_document(target: Target, bench):
    row = {
        "url": "http://{host}:{port}/v2/",
        "variables": {"host": {"default": "127.0.0.1"}, "port": {"default": "1", "enum": ["1", str(target.port)]}},
    }
    headers = {
        "document": doc({"get": {"operationId": "a"}}, "/a", servers=[{"url": "https://one.example"}, row]),
        "operationId": "a",
        **OUT,
    }
    target.routes["/v2/a"] = (200, {}, {"n": 2})
    assert (await bench("openapi")({"server": 1, "serverVariables": {"port": target.port}}, headers))["out"]["body"] == {"n": 2}
    for more, words in (
        ({"server": 2}, "the document has 2"), ({"server": 1, "serverVariables": {"port": "5"}}, "expected one of 1,"),
        ({"server": 1, "serverVariables": {"host": "evil.example/@"}}, "expected a part of an address"), ({"serverVariables": {"x": "y"}}, "the server knows none"),
    ):  # fmt: skip
        found = await failure(bench("openapi")(more, headers))
        assert found.code == "CONFIGURATION" and words in found.message, found.message


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"operationId": "a"}, "one of document and documentUrl"),
        ({"operationId": "a", "documentUrl": "/doc"}, "or a profile that it is below"),
        ({"operationId": "b", "document": doc({"get": {"operationId": "a"}})}, "has no operation 'b'; there is a"),
        ({"operationId": "a", "document": "{}"}, "expected OpenAPI 3.0 or 3.1"),
        ({"operationId": "a", "document": "x" * 1_000_001}, "document"),
    ],
)
async def test_configurations_that_are_refused(target: Target, bench, headers: dict[str, str], words: str):
    found = await failure(bench("openapi")({"url": target.url}, headers))
    assert (found.code, target.seen) == ("CONFIGURATION", []) and words in found.message, found.message

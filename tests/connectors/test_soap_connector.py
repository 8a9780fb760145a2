"""The SOAP connector against a service that validates by its own schema: messages of both versions, faults by class, WS-Security, and XML that would do harm."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import uvicorn
from pydantic import ValidationError

from flowledger.connectors.frame import Failed
from flowledger.connectors.soap import service as services
from flowledger.connectors.soap.config import SoapConfig
from flowledger.connectors.soap.service import Service
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.soap_service import NS, SCHEMA, USER, Soap, wsdl
from tests.connectors.test_http_connector import failure

BOOK = {"town": "Ulm", "weight": 7}


@pytest.fixture
async def served() -> AsyncIterator[Soap]:
    app = Soap()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        app.port = int(listening.getsockname()[1])
        yield app
        server.should_exit = server.force_exit = True
        await task


class SoapRig(Rig):
    connector = "soap"
    secret_at = "security.password"

    def __init__(self, app: Soap) -> None:
        self.app, self.to = app, ("127.0.0.1", app.port)
        app.password = SECRET

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        base = f"http{'s' if tls else ''}://{host}:{port}"
        return {
            "url": f"{base}/soap/11", "arguments": BOOK,
            "security": {"type": "usernameToken", "username": USER, "password": "{{secrets.KEY}}", "digest": True},
        }  # fmt: skip

    def headers(self) -> dict[str, Any]:
        return {"wsdl": wsdl(1, SCHEMA), "operation": "Book"}

    def checked(self, answer: Any) -> None:
        assert (answer["status"], answer["body"]["number"], answer["body"]["note"]) == (200, 7, "x"), answer

    async def rotate(self, value: str) -> None:
        self.app.password = value

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        return {**self.call(host, port), "arguments": {**BOOK, "size": 20_000}}, self.headers()

    async def effects(self) -> list[str]:
        return [s["headers"]["idempotency-key"] for s in self.app.seen]


class TestContract(Contract):
    @pytest.fixture
    async def rig(self, served: Soap) -> Rig:
        return SoapRig(served)


def of(app: Soap, operation: str = "Book", **more: Any) -> dict[str, Any]:
    return {"wsdlUrl": f"http://127.0.0.1:{app.port}/bookings.wsdl", "operation": operation, **OUT, **more}


@pytest.mark.req("D-CON-002")
@pytest.mark.parametrize("port", ["Eleven", "Twelve"])
async def test_a_whole_message_by_the_wsdl_s_types_both_ways(served: Soap, bench, port: str):
    lines = [{"article": "<pen> & ink", "price": Decimal("1.10"), "on": "2026-12-01", "kind": "new"}, {"article": "ink", "price": 2}]
    given = {"arguments": {**BOOK, "line": lines}, "soapHeaders": {"branch": {"code": "U1"}}}
    found = (await bench("soap")(given, of(served, port=port)))["out"]["body"]
    assert (found["number"], str(found["total"]), found["on"]) == (7, "1.10", "2026-11-30")
    assert [(line["article"], str(line["price"]), line["on"], line["kind"]) for line in found["line"]] == [
        ("<pen> & ink", "1.10", "2026-12-01", "new"), ("ink", "2", None, None),
    ]  # fmt: skip
    assert (served.seen[0]["branch"], served.asked) == (
        "U1",
        ["/bookings.wsdl", "/types.xsd", f"/soap/{'11' if port == 'Eleven' else '12'}"],
    )


async def test_a_wsdl_is_read_once_for_many_calls(served: Soap, bench):
    asked = bench("soap")
    await asyncio.gather(*(asked({"arguments": BOOK}, of(served)) for _ in range(5)))
    assert (served.asked.count("/bookings.wsdl"), served.asked.count("/types.xsd"), len(served.seen)) == (1, 1, 5)


@pytest.mark.parametrize("digest", [False, True])
@pytest.mark.parametrize("port", ["Eleven", "Twelve"])
async def test_a_username_token(served: Soap, bench, digest: bool, port: str):
    served.password = SECRET
    who = {"type": "usernameToken", "username": USER, "password": SECRET, "digest": digest}
    asked = bench("soap")
    for _ in range(2):
        assert (await asked({"arguments": BOOK, "security": who}, of(served, port=port)))["out"]["status"] == 200
    for wrong in ({**who, "password": "no-no-no"}, {**who, "username": "else"}, {"type": "none"}):
        found = await failure(asked({"arguments": BOOK, "security": wrong}, of(served, port=port)))
        assert (found.code, found.retries) == ("AUTHENTICATION", 0) and "no-no-no" not in found.message, found.message


@pytest.mark.parametrize("port", ["Eleven", "Twelve"])
@pytest.mark.parametrize(("how", "code", "retries"), [("sold out", "FAULT", 0), ("Server", "FAULT_SERVER", None), ("Client", "FAULT", 0)])
async def test_faults_are_told_apart(served: Soap, bench, port: str, how: str, code: str, retries: int | None):
    found = await failure(bench("soap")({"arguments": {"how": how}}, of(served, "Refuse", port=port)))
    assert (found.code, found.retries) == (code, retries), found.message
    assert ("SoldOut" in found.message) == (how == "sold out")


async def test_a_process_decides_by_a_fault_s_detail(served: Soap, bench):
    expression = (
        '= if error.code = "FAULT" then bpmnError("SOLD_OUT", string(error.variables.response.fault.detail.SoldOut.left)) else null'
    )
    with pytest.raises(Exception, match="0") as e:
        await bench("soap")({"arguments": {"how": "sold out"}}, of(served, "Refuse", errorExpression=expression))
    assert getattr(e.value, "code", "") == "SOLD_OUT"


@pytest.mark.parametrize(
    ("headers", "inputs", "code", "words"),
    [
        ({}, {"arguments": {"town": "Ulm"}}, "REQUEST_INVALID", "weight"),
        ({}, {"arguments": {**BOOK, "colour": "red"}}, "REQUEST_INVALID", "colour"),
        ({}, {"arguments": {**BOOK, "line": [{"article": "pen"}]}}, "REQUEST_INVALID", "price"),
        ({}, {"arguments": {**BOOK, "_soapheaders": {}}}, "REQUEST_INVALID", "no part of a message"),
        ({}, {"arguments": BOOK, "soapHeaders": {"colour": 1}}, "REQUEST_INVALID", "colour"),
        ({}, {"arguments": {**BOOK, "weight": "much"}}, "FAULT", "not valid"),
        ({"operation": "Bok"}, {"arguments": BOOK}, "CONFIGURATION", "there is Book, Refuse"),
        ({"port": "Thirteen"}, {"arguments": BOOK}, "CONFIGURATION", "of port 'Thirteen'"),
        ({"service": "Else"}, {"arguments": BOOK}, "CONFIGURATION", "of service 'Else'"),
    ],
)  # fmt: skip
async def test_what_does_not_fit_the_wsdl(served: Soap, bench, headers: dict[str, Any], inputs: dict[str, Any], code: str, words: str):
    found = await failure(bench("soap")(inputs, {**of(served), **headers}))
    assert (found.code, found.retries) == (code, 0) and words in found.message, found.message
    assert served.seen == []


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;&b;">]>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>'


@pytest.mark.req("APG-SEC-007")
@pytest.mark.parametrize("prologue", [BOMB, OUTSIDE, '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd">'])
async def test_documents_that_would_do_harm(served: Soap, bench, prologue: str):
    """A document type is refused, in a WSDL, in what it imports, and in answers: nothing is fetched by it and nothing expands."""
    answer = Soap.envelope("11", "<a>&b;</a>").replace(b"?>", b"?>" + prologue.encode(), 1)
    served.routes["/soap/11"] = (200, "text/xml", answer)
    found = await failure(bench("soap")({"arguments": BOOK}, of(served)))
    assert (found.code, found.retries) == ("ANSWER_UNREADABLE", 0), found.message
    for path, text in (("/types.xsd", prologue + SCHEMA), ("/bookings.wsdl", wsdl(served.port).replace("?>", "?>" + prologue, 1))):
        served.routes = {path: (200, "text/xml", text.encode())}
        found = await failure(bench("soap")({"arguments": BOOK}, of(served)))
        assert (found.code, found.retries) == ("CONFIGURATION", 0) and "WSDL" in found.message, (path, found.message)


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        (b"<e>", 200, "ANSWER_UNREADABLE"), (b"", 200, "ANSWER_UNREADABLE"), (b"words", 500, "500"), (b"", 503, "503"), (b"no", 403, "403"),
        (Soap.envelope("12", "<a/>"), 200, "ANSWER_UNREADABLE"),
        (Soap.envelope("11", f'<t:BookResponse xmlns:t="{NS}"><t:odd/></t:BookResponse>'), 200, "ANSWER_UNREADABLE"),
        (b"<a>" * 20_000, 200, "ANSWER_UNREADABLE"),
    ],
)  # fmt: skip
async def test_answers_that_are_none(served: Soap, bench, said: bytes, status: int, code: str):
    served.routes["/soap/11"] = (status, "text/xml", said)
    found = await failure(bench("soap")({"arguments": BOOK}, of(served)))
    assert (found.code, found.retries) == (code, None if status in (500, 503) else 0), found.message


async def test_attachments_are_not_taken(served: Soap, bench):
    served.routes["/soap/11"] = (200, 'multipart/related; boundary="x"', b"--x--")
    assert "attachments" in (await failure(bench("soap")({"arguments": BOOK}, of(served)))).message


@pytest.mark.req("APG-SEC-007")
async def test_where_imports_and_the_service_may_lead(served: Soap, bench):
    away = wsdl(served.port).replace('schemaLocation="types.xsd"', 'schemaLocation="{}"')
    for target, code in (("http://10.0.0.1/a.xsd", "EGRESS_REFUSED"), ("file:///etc/passwd", "CONFIGURATION"), ("/etc/passwd", "404")):
        served.routes = {"/bookings.wsdl": (200, "text/xml", away.format(target).encode())}
        found = await failure(bench("soap")({"arguments": BOOK}, of(served)))
        assert (found.code, found.retries) == (code, 0), (target, found.message)
    served.routes = {"/bookings.wsdl": (200, "text/xml", wsdl(served.port, host="localhost").encode())}
    who = {"type": "usernameToken", "username": USER, "password": SECRET}
    found = await failure(bench("soap")({"arguments": BOOK, "security": who}, of(served)))
    assert found.code == "CONFIGURATION" and "leads elsewhere" in found.message and served.seen == []


def test_limits_of_a_wsdl_with_imports():
    def chain(url: str) -> bytes:
        n = int(url.rpartition("/")[2])
        return schema(n + 1) if n < last else SCHEMA.encode()

    def schema(n: int) -> bytes:
        include = f'<xs:include schemaLocation="http://x/{n}"/>'
        return f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{NS}">{include}</xs:schema>'.encode()

    text = wsdl(1, schema(1).decode()).encode()
    last = services.DOCUMENTS_MAX - 1
    Service(text, "", chain).place("Book", "", "")
    last += 1
    with pytest.raises(Failed, match="at most 50 documents") as e:
        Service(text, "", chain)
    assert e.value.code == "ANSWER_TOO_LARGE"
    room = services.BYTES_MAX - len(wsdl(1))
    Service(wsdl(1).encode(), "http://x/a", lambda _: SCHEMA.encode().ljust(room))
    with pytest.raises(Failed, match="bytes with its imports"):
        Service(wsdl(1).encode(), "http://x/a", lambda _: SCHEMA.encode().ljust(room + 1))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "expected one of wsdl and wsdlUrl"), ({"wsdl": "<a/>", "wsdlUrl": "http://a/b"}, "expected one of"), ({"wsdlUrl": "b"}, "https://"),
        ({"wsdl": "<a"}, "can't be read"), ({"wsdl": "<a/>"}, "there is none"), ({"wsdl": wsdl(1)}, "which can't be found from where it is"),
        ({"wsdl": wsdl(1).replace("types.xsd", "http://x/types.xsd")}, "expected one without imports"), ({"wsdl": "x" * 1_000_001}, "at most 1000000"),
        ({"wsdlUrl": "http://a/b", "security": {"type": "usernameToken", "username": "", "password": "x"}}, "at least 1"),
    ],
)  # fmt: skip
def test_configurations_that_are_refused(given: dict[str, Any], words: str):
    with pytest.raises(ValidationError) as e:
        SoapConfig.model_validate({"operation": "Book", **given})
    assert words in str(e.value), str(e.value)


def test_a_text_in_a_model_is_taken_whatever_encoding_it_names():
    text = wsdl(1, SCHEMA).replace('encoding="utf-8"', 'encoding="iso-8859-1"').replace("Bookings", "Bücher")
    SoapConfig.model_validate({"operation": "Book", "wsdl": "\ufeff" + text})

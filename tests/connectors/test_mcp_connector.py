"""The MCP connector against a server made with the protocol's own library, and against servers that are none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations

from tests.connectors.conftest import Target
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.guarded import Guarded
from tests.connectors.test_http_connector import failure

KEYS: list[str] = []
CALLS: list[str] = []
TOOLS = MCPServer("bookings", version="7")


@TOOLS.tool(annotations=ToolAnnotations(idempotent_hint=True))
def book(town: str, weight: int, context: Context) -> dict[str, Any]:
    KEYS.append(context.request_context.meta["flowledger/idempotency-key"])
    return {"number": weight, "town": town}


@TOOLS.tool()
async def pay(amount: float) -> str:
    CALLS.append(str(amount))
    await asyncio.sleep(5 if amount > 100 else 0)
    return f"paid {amount}"


@TOOLS.tool()
def broken() -> str:
    raise ToolError("it broke")


@TOOLS.tool()
def long(size: int) -> str:
    return "x" * size


@pytest.fixture
async def server() -> AsyncIterator[Guarded]:
    KEYS.clear()
    CALLS.clear()
    app = TOOLS.streamable_http_app(transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False))
    async with Guarded(app).served(lifespan="on") as made:
        yield made


class McpRig(Rig):
    connector = "mcp"
    secret_at = "authentication.token"
    wrong_code = "401"

    def __init__(self, server: Guarded) -> None:
        self.server, self.to = server, ("127.0.0.1", server.port)

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        auth = {"type": "bearer", "token": "{{secrets.KEY}}"}
        return {
            "url": f"http{'s' if tls else ''}://{host}:{port}/mcp",
            "tool": "book",
            "arguments": {"town": "Ulm", "weight": 7},
            "authentication": auth,
        }

    def checked(self, answer: Any) -> None:
        assert (answer["value"], answer["isError"], answer["tool"]) == ({"number": 7, "town": "Ulm"}, False, "book"), answer

    async def rotate(self, value: str) -> None:
        self.server.key = value

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        return {**self.call(host, port), "tool": "long", "arguments": {"size": 20_000}}, {}

    async def effects(self) -> list[str]:
        return KEYS


class TestContract(Contract):
    @pytest.fixture
    async def rig(self, server: Guarded) -> Rig:
        return McpRig(server)


def asking(port: int, **more: Any) -> dict[str, Any]:
    return {"url": f"http://127.0.0.1:{port}/mcp", "authentication": {"type": "bearer", "token": SECRET}, **more}


@pytest.mark.req("D-CON-010")
async def test_tools_are_listed(server: Guarded, bench):
    found = (await bench("mcp")(asking(server.port, operation="list"), OUT))["out"]
    assert found["server"] == {"name": "bookings", "version": "7"}
    assert [t["name"] for t in found["tools"]] == ["book", "pay", "broken", "long"]
    assert found["tools"][0]["inputSchema"]["required"] == ["town", "weight"]


async def test_the_session_is_ended_and_carries_key_and_trace(server: Guarded, bench):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await bench("mcp")(asking(server.port, tool="book", arguments={"town": "Ulm", "weight": 1}), OUT, key="4711", trace=trace)
    (session,) = {h["mcp-session-id"] for _, h in server.seen if "mcp-session-id" in h}
    assert server.seen[-1][0] == "DELETE" and server.seen[-1][1]["mcp-session-id"] == session
    assert {h["idempotency-key"] for _, h in server.seen} == {"4711"} and KEYS == ["4711"]
    assert all(h["traceparent"].split("-")[1] == trace.split("-")[1] for _, h in server.seen)


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"tool": "bok"}, "TOOL_UNKNOWN", "the server has no tool 'bok'; there is book, pay, broken, long"),
        ({"tool": "book", "arguments": {"town": "Ulm"}}, "REQUEST_INVALID", "arguments: value: 'weight' is missing"),
        ({"tool": "book", "arguments": {"town": 7, "weight": 7}}, "REQUEST_INVALID", "town: expected string"),
        ({"tool": "broken"}, "TOOL", "it broke"),
        ({"tool": ""}, "CONFIGURATION", "expected the name of a tool"),
        ({"operation": "list", "tool": "book"}, "CONFIGURATION", "expected none to list them"),
    ],
)
async def test_what_goes_wrong(server: Guarded, bench, more: dict[str, Any], code: str, words: str):
    found = await failure(bench("mcp")(asking(server.port, **more)))
    assert (found.code, found.retries) == (code, 0) and words in found.message, found.message
    assert KEYS == []


async def test_a_tool_that_fails_may_be_an_answer(server: Guarded, bench):
    found = (await bench("mcp")(asking(server.port, tool="broken", errors="take"), OUT))["out"]
    assert found["isError"] is True and "it broke" in found["text"]


async def test_a_process_decides_by_what_a_tool_says(server: Guarded, bench):
    expression = '= if error.code = "TOOL" then bpmnError("NOT_BOOKED", error.variables.response.text) else null'
    with pytest.raises(Exception, match="it broke") as e:
        await bench("mcp")(asking(server.port, tool="broken"), {"errorExpression": expression})
    assert e.value.code == "NOT_BOOKED"  # type: ignore[attr-defined]


@pytest.mark.req("APG-RES-006")
@pytest.mark.parametrize(("repeat", "retries"), [("marked", 0), ("never", 0), ("always", None)])
async def test_a_call_whose_outcome_nobody_knows_is_made_again_only_where_that_is_said(server: Guarded, bench, repeat: str, retries: Any):
    """The tool pays and answers too late."""
    found = await failure(bench("mcp")(asking(server.port, tool="pay", arguments={"amount": 500}, repeat=repeat, timeoutInSeconds=1)))
    assert (found.code, found.retries, CALLS) == ("TIMEOUT", retries, ["500.0"]), found.message
    assert ("whether the tool did it is not known" in found.message) == (retries == 0)


@pytest.mark.parametrize(
    ("answer", "code", "retries"),
    [
        ((200, {"content-type": "text/html"}, b"<p>hello"), "MCP", 0),
        (
            lambda r: (200, {}, {"jsonrpc": "2.0", "id": json.loads(r.body)["id"], "error": {"code": -32601, "message": "no such method"}}),
            "MCP",
            0,
        ),
        (
            lambda r: (200, {}, {"jsonrpc": "2.0", "id": json.loads(r.body)["id"], "result": {"protocolVersion": "1999-01-01"}}),
            "ANSWER_UNREADABLE",
            0,
        ),
        ((200, {"content-type": "application/json"}, b"{"), "MCP", 0),
        ((200, {"content-type": "text/event-stream"}, b"data: {\n\n"), "MCP", 0),
        ((202, {}, b""), "MCP", 0),
        ((404, {}, b"nothing here"), "404", 0),
        ((403, {}, {"jsonrpc": "2.0", "id": 0, "error": {"code": -1, "message": "no"}}), "403", 0),
        ((302, {"location": "http://127.0.0.1:1/"}, b""), "REDIRECT", 0),
        ((307, {"location": "http://169.254.169.254/latest"}, b""), "REDIRECT", 0),
        ((200, {"content-encoding": "gzip", "content-type": "application/json"}, b"x"), "ANSWER_UNREADABLE", 0),
        ((503, {"retry-after": "9"}, b""), "503", None),
        ((429, {"retry-after": "9"}, b""), "429", None),
    ],
)
async def test_what_is_no_server_of_the_protocol(target: Target, bench, answer: Any, code: str, retries: Any):
    target.routes["/mcp"] = answer
    found = await failure(bench("mcp")(asking(target.port, tool="book", timeoutInSeconds=10)))
    assert (found.code, found.retries) == (code, retries), found.message
    assert found.backoff_s == (9.0 if retries is None else None)


def played(tool: dict[str, Any], result: dict[str, Any]) -> Any:
    """A server that has one tool, and gives one answer."""

    def route(request: Any) -> tuple[int, dict[str, str], Any]:
        asked = json.loads(request.body) if request.method == "POST" else {}
        if "id" not in asked:
            return 202, {}, b""
        told = {
            "initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}},
            "tools/list": {"tools": [{"name": "t", "inputSchema": {"type": "object"}, **tool}]},
            "tools/call": result,
        }
        return 200, {}, {"jsonrpc": "2.0", "id": asked["id"], "result": told[asked["method"]]}

    return route


WELL = {"content": [{"type": "text", "text": "{{secrets.KEY}} = now()"}], "structuredContent": {"n": 0.1}}
TWICE = {
    "$defs": {f"S{n}": {"anyOf": [{"$ref": f"#/$defs/S{n + 1}"}] * 2} for n in range(24)} | {"S24": {"type": "integer"}},
    "$ref": "#/$defs/S0",
}


@pytest.mark.parametrize(
    ("tool", "result", "code", "words"),
    [
        ({"outputSchema": {"type": "object", "required": ["m"]}}, WELL, "ANSWER_SHAPE", "'m' is missing"),
        ({"outputSchema": {"type": "object"}}, {"content": []}, "ANSWER_SHAPE", "expected object"),
        (
            {"inputSchema": {"type": "object", "properties": {"a": {"$ref": "http://169.254.169.254/x"}}}},
            WELL,
            "TOOL_SCHEMA",
            "leads out of the schema",
        ),
        ({"inputSchema": {"type": "object", "properties": {"a": TWICE}}}, WELL, "TOOL_SCHEMA", ""),
        ({"outputSchema": {"type": "object", "properties": {"n": {"pattern": "(?=x)"}}}}, WELL, "TOOL_SCHEMA", "no regular expression"),
        ({}, {"content": "x"}, "ANSWER_UNREADABLE", ""),
    ],
)
async def test_hostile_servers(target: Target, bench, tool: dict[str, Any], result: dict[str, Any], code: str, words: str):
    target.routes["/mcp"] = played(tool, result)
    found = await failure(bench("mcp")(asking(target.port, tool="t", arguments={"a": "x"}, timeoutInSeconds=20)))
    assert (found.code, found.retries) == (code, 0) and words in found.message, found.message


async def test_what_a_tool_says_is_data(target: Target, bench):
    """Neither a reference to a secret nor FEEL in it means anything; numbers are exact."""
    target.routes["/mcp"] = played({}, WELL)
    found = await bench("mcp")(asking(target.port, tool="t"), {"resultExpression": "= {said: response.text, n: response.value.n}"})
    assert found["said"] == "{{secrets.KEY}} = now()" and str(found["n"]) == "0.1"


async def test_a_list_without_an_end(target: Target, bench):
    def route(request: Any) -> tuple[int, dict[str, str], Any]:
        status, headers, told = played({}, WELL)(request)
        if isinstance(told, dict) and "tools" in told["result"]:
            told["result"]["nextCursor"] = "on"
        return status, headers, told

    target.routes["/mcp"] = route
    found = await failure(bench("mcp")(asking(target.port, operation="list")))
    assert found.code == "ANSWER_TOO_LARGE"

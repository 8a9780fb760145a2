"""`flowledger mcp --http` as assistants meet it, by the protocol's own client: each may do what their own credential may, and nobody without one comes in."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client, ClientSession, MCPError
from mcp.client.streamable_http import streamable_http_client

from flowledger.infra.cli import mcp_http
from flowledger.infra.cli.output import Failed
from flowledger.sdk import Flow
from tests.signin.conftest import first_admin, local_server

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(240)]
ASKS = Flow("ask-me", name="Ask me").start().user("answer", name="Say a word").end()
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
INITIALIZE = {
    "jsonrpc": "2.0", "id": 0, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip
SAYS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@pytest.fixture(scope="module")
def server(empty_database: Any, tmp_path_factory: pytest.TempPathFactory):
    with local_server(empty_database, tmp_path_factory.mktemp("mcp")) as found:
        yield found


@pytest.fixture(scope="module")
def keys(server) -> dict[str, dict[str, Any]]:
    admin = first_admin(server.url, server.system.said)
    made = admin.post("/v1/deployments", json={"resources": [{"name": "a.bpmn", "content": ASKS.xml().decode()}]})
    assert made.status_code == 201, made.text
    found = {}
    for role in ("operator", "viewer"):
        answer = admin.post("/v1/api-keys", json={"name": "t", "actor": f"the-{role}", "roles": [role]})
        assert answer.status_code == 201, answer.text
        found[role] = answer.json()
    found["admin"] = {"http": admin}
    return found


@pytest.fixture(scope="module")
def url(server) -> Iterator[str]:
    """Of a process of its own, in whose environment a key stands that may everything: nobody may go by it."""
    with served(server.url) as found:
        yield found


class served:
    def __init__(self, api: str, *more: str, host: str = "127.0.0.1") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}{mcp_http.PATH}"
        command = [sys.executable, "-m", "flowledger", "mcp", "--http", str(port), "--host", host, "--server", api, *more]
        env = {**os.environ, "FLOWLEDGER_API_KEY": "fl_this-one-is-nobodys"}
        self.process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> str:
        deadline = time.monotonic() + 60
        while self.process.poll() is None:
            try:
                httpx2.get(self.url)
                return self.url
            except httpx2.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        raise AssertionError(self.process.communicate()[1])

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        _, self.said = self.process.communicate(timeout=30)


@asynccontextmanager
async def assistant(url: str, key: dict[str, Any] | None, **headers: str) -> AsyncIterator[ClientSession]:
    sent = headers | ({"Authorization": f"Bearer {key['key']}"} if key else {})
    async with httpx2.AsyncClient(headers=sent, timeout=60) as http, streamable_http_client(url, http_client=http) as (read, write):
        async with ClientSession(read, write) as session:
            await session.initialize()
            yield session


async def call(session: ClientSession, name: str, **arguments: Any) -> tuple[bool, Any]:
    found = await session.call_tool(name, arguments)
    text = found.content[0].text
    return found.is_error, json.loads(text) if text.startswith("{") else text


async def until(look: Any) -> Any:
    deadline = time.monotonic() + 60
    while not (found := await look()):
        assert time.monotonic() < deadline
    return found


@pytest.mark.req("APG-SEC-009", "D-CON-010")
async def test_an_assistant_looks_starts_and_answers_by_its_own_rights(url, keys):
    async with assistant(url, keys["operator"]) as operator, assistant(url, keys["viewer"]) as viewer:
        await until(lambda: tool_there(operator))
        failed, text = await call(viewer, "start_ask-me")
        assert failed and "instances:start" in text, text
        failed, started = await call(operator, "start_ask-me", variables={"n": 1}, business_key="far")
        assert not failed, started
        [task] = (await until(lambda: waiting(viewer, started["id"])))["items"]
        failed, text = await call(viewer, "complete_task", id=task["id"], variables={"word": "mine"})
        assert failed and "FORBIDDEN" in text, text
        failed, found = await call(operator, "claim_task", id=task["id"])
        assert not failed, found
        failed, found = await call(operator, "complete_task", id=task["id"], variables={"word": "yes"})
        assert not failed, found
        ended = await until(lambda: completed(viewer, started["id"]))
        assert (ended["variables"], ended["initiator"]) == ({"n": 1, "word": "yes"}, "the-operator")


async def tool_there(session: ClientSession) -> bool:
    return "start_ask-me" in {t.name for t in (await session.list_tools()).tools}


async def waiting(session: ClientSession, instance: str) -> Any:
    _, found = await call(session, "list_tasks", instance=instance)
    return found["items"] and found


async def completed(session: ClientSession, instance: str) -> Any:
    _, found = await call(session, "get_instance", id=instance)
    return found["status"] == "completed" and found


async def test_the_revision_without_sessions(url, keys):
    """2026-07-28: each request stands by itself; the client asks which revisions there are."""
    sent = {"Authorization": f"Bearer {keys['operator']['key']}"}
    async with (
        httpx2.AsyncClient(headers=sent, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode="auto") as client,
    ):
        assert client.protocol_version == "2026-07-28"
        assert "list_tasks" in {t.name for t in (await client.list_tools()).tools}
        starts = [await client.call_tool("start_ask-me", {"business_key": "alone"}) for _ in range(2)]
        assert len({json.loads(s.content[0].text)["id"] for s in starts}) == 2
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {keys['viewer']['key']}"}, timeout=60) as http:
        async with Client(streamable_http_client(url, http_client=http), mode="auto") as client:
            assert (await client.call_tool("start_ask-me", {})).is_error


async def test_arguments_that_do_not_fit_and_tools_that_are_not_there(url, keys):
    async with assistant(url, keys["operator"]) as session:
        failed, text = await call(session, "get_instance")
        assert failed and text == "id: it is missing"
        with pytest.raises(MCPError, match="there is no tool start_nothing"):
            await session.call_tool("start_nothing", {})


async def test_the_same_work_is_done_once_over_sessions_by_the_caller_s_key(url, keys):
    """Our own connector calls anew by a new session; what tells the work apart is in its `_meta`."""
    from mcp import types

    async def start(key: str, who: str = "operator") -> str:
        async with assistant(url, keys[who]) as session:
            asked = {"name": "start_ask-me", "arguments": {}, "_meta": {mcp_http.KEY: key}}
            request = types.CallToolRequest(params=types.CallToolRequestParams.model_validate(asked))
            found = await session.send_request(request, types.CallToolResult)
            assert not found.is_error, found
            return str(json.loads(found.content[0].text)["id"])

    first, second, other = await start("k-1"), await start("k-1"), await start("k-2")
    assert first == second != other
    async with assistant(url, keys["operator"]) as session:
        assert [(await call(session, "start_ask-me"))[1]["id"] for _ in range(2)] != [first, first]


def post(url: str, key: str = "", body: Any = PING, **headers: str) -> httpx2.Response:
    more = {"authorization": f"Bearer {key}"} if key else {}
    return httpx2.post(url, json=body, headers={**SAYS, **more, **headers}, timeout=60)


@pytest.mark.req("APG-SEC-009")
def test_who_is_not_let_in(url, keys):
    good = keys["operator"]["key"]
    nobody = post(url, body=INITIALIZE)
    assert nobody.status_code == 401 and nobody.headers["www-authenticate"].startswith("Bearer"), nobody.text
    assert post(url, "fl_wrong", INITIALIZE).status_code == 401
    assert post(url, "x" * 20_000, INITIALIZE).status_code == 401
    assert post(url, good, INITIALIZE, **{"x-tenant": "of-others"}).status_code == 403
    assert post(url, good, INITIALIZE, origin="https://page.example").status_code == 403
    assert post(url, good, INITIALIZE, host="rebound.example").status_code == 421
    assert httpx2.get(url, headers={**SAYS, "authorization": f"Bearer {good}"}).status_code == 405
    assert post(url.removesuffix("mcp"), good).status_code == 404
    most = mcp_http.LINE_BYTES_MAX
    for size, status in ((most, 200), (most + 1, 413)):
        text = json.dumps({**INITIALIZE, "pad": ""}).encode()
        body = text[:-2] + b"x" * (size - len(text)) + text[-2:]
        answer = httpx2.post(url, content=body, headers={**SAYS, "authorization": f"Bearer {good}"}, timeout=60)
        assert answer.status_code == status, (size, answer.status_code, answer.text[:200])


def test_a_session_is_nobody_elses_and_ends_with_its_key(url, keys):
    made = keys["admin"]["http"].post("/v1/api-keys", json={"name": "short", "actor": "brief", "roles": ["viewer"]}).json()
    opened = post(url, made["key"], INITIALIZE)
    session = {"mcp-session-id": opened.headers["mcp-session-id"]}
    assert post(url, made["key"], **session).json()["result"] == {}
    assert post(url, keys["operator"]["key"], **session).status_code == 404
    assert keys["admin"]["http"].delete(f"/v1/api-keys/{made['id']}").status_code in (200, 204)
    deadline = time.monotonic() + 30
    while (answer := post(url, made["key"], **session)).status_code != 401:
        assert answer.status_code == 200 and time.monotonic() < deadline, answer.text


def test_what_only_looks(server, keys):
    with served(server.url, "--read-only") as url:
        opened = post(url, keys["operator"]["key"], INITIALIZE)
        session = {"mcp-session-id": opened.headers["mcp-session-id"]}
        found = post(url, keys["operator"]["key"], {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}, **session).json()
        assert {t["name"] for t in found["result"]["tools"]} == {"list_instances", "get_instance", "list_tasks", "get_task"}


def test_from_outside_nobody_comes_in_without_a_credential(server):
    with pytest.raises(Failed, match="--name"):
        mcp_http.application("http://127.0.0.1:1", [], False, "0.0.0.0", [])
    with served(server.url, "--name", "flows.example", host="0.0.0.0") as url:
        assert post(url, body=INITIALIZE).status_code == 401


def test_a_server_without_sign_in_is_for_this_machine_and_one_that_is_away_is_told(empty_database, tmp_path):
    from tests.cli.conftest import running, settings_for

    with empty_database() as database, running(settings_for(tmp_path, database)) as open_server:
        with served(open_server.url) as url:
            assert post(url, body=INITIALIZE).status_code == 200
        with served(open_server.url, "--name", "flows.example", host="0.0.0.0") as url:
            assert post(url, body=INITIALIZE).status_code == 401
            assert post(url, "any", INITIALIZE).status_code == 403
    with served("http://127.0.0.1:1") as url:
        answer = post(url, "any", INITIALIZE)
        assert answer.status_code == 503 and "no server answers" in answer.text

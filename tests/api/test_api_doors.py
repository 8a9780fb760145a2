"""Odd requests of each kind: one clear 4xx that says what was expected, found and where, or the answer that HTTP has for it."""

from __future__ import annotations

import asyncio
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import httpx2
import pytest

from flowledger.api import strict
from flowledger.api.app import create_app
from flowledger.api.closing import Closing
from flowledger.api.problems import Problem
from flowledger.api.services import Services
from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.infra.settings import Settings

_spec = spec_from_file_location("api_conftest_doors", Path(__file__).with_name("conftest.py"))
_conf = module_from_spec(_spec)  # type: ignore[arg-type]
_spec.loader.exec_module(_conf)  # type: ignore[union-attr]
KEY, instance_row = _conf.KEY, _conf.instance_row
pytestmark = pytest.mark.req("APG-API-002", "WOS-API-001")
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "where", "said"),
    [
        ('{"definition": "p", "definition": "q"}', "body", "'definition' twice"),
        ('{"definition": "p", "variables": {"a": {"x": 1, "y": [{"z": 1, "z": 2}]}}}', "body", "'z' twice"),
        ('{"definition": "p", "variables": {"a": 1, "\\u0061": 2}}', "body", "'a' twice"),
        ('{"definition": "p", "variables": {"a": "\\ud800"}}', "body", "surrogate"),
        ('{"definition": "p", "variables": {"a": "\\udc00x"}}', "body", "surrogate"),
        ('{"definition": "p", "variables": {"a": ' + "[" * 100 + "]" * 100 + "}}", "body", "100 levels"),
        ('{"definition": "p", "variables": {"a": ' + "[" * 5000 + "]" * 5000 + "}}", "body", "100 levels"),
        ('{"definition": "p", "business_key": "' + "k" * 256 + '"}', "body business_key", "length <= 255"),
        ('{"definition": "p", "business_key": "a\\u0000b"}', "body business_key", "matching regex"),
        ('{"definition": "p", "variables": {"' + "n" * 256 + '": 1}}', "body variables", "length <= 255"),
        ('{"definition": "p", "priority": "soon"}', "body priority", "urgent"),
        ('{"definition": "p", "priority": 101}', "body priority", "found 101"),
        ('{"definition": "p", "version": 1e30}', "body version", "`int`"),
        ('{"definition": "p", "version": 1000000000000000000000}', "body version", "2147483647"),
        ('{"definition": "p", "version": -1}', "body version", ">= 0, found -1"),
        ('{"definition": "p", "version": true}', "body version", "`int`, got `bool`"),
        ('{"definition": 1.5}', "body definition", "got `float`"),
        ("\ufeff{}", "body", "JSON"),
        ('{"definition": NaN}', "body", "JSON"),
        ('{"definition": "p"} x', "body", "JSON"),
        ("{'definition': 'p'}", "body", "JSON"),
        ("null", "body", "`object`, got `null`"),
    ],
)
async def test_bodies(http, client, body, where, said):
    r = await http.post("/v1/instances", content=body.encode("utf-8", "surrogatepass"), headers=JSON)
    assert r.status_code == 400, r.text
    problem = r.json()
    assert problem["errors"][0]["where"].startswith(where) and said in problem["detail"] and not client.calls


def test_a_hundred_levels_are_taken_and_repeated_names_of_neighbours():
    strict.check(b'{"a": ' + b"[" * 99 + b"]" * 99 + b"}")
    with pytest.raises(strict.Refused):
        strict.check(b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}")
    strict.check(b'{"items": [{"sku": 1}, {"sku": 2}], "text": "\\"sku\\": [[[", "sku": "{"}')
    strict.check(b'{"a": "' + b"[" * 500 + b'"}')


@pytest.mark.parametrize(
    ("path", "body", "where", "word"),
    [
        ("/v1/tasks", {"name": "n", "type": "odd"}, "body type", "human_task"),
        ("/v1/tasks/7/complete", {"status": "half"}, "body status", "partial_success"),
        ("/v1/jobs/7/complete", {"status": "half"}, "body status", "partial_success"),
        ("/v1/deployments", {"resources": [{"name": "a", "content": "x"}], "status": "live"}, "body status", "draft"),
        ("/v1/decisions/evaluate", {"decision": "d", "kind": "odd"}, "body kind", "bkm"),
    ],
)
async def test_unknown_words_of_bodies(http, client, path, body, where, word):
    r = await http.post(path, json=body)
    assert r.status_code == 400 and word in r.json()["detail"] and r.json()["errors"][0]["where"] == where and not client.calls


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/v1/instances?business_key=%00", "query"),
        ("/v1/instances?business_key=a%0Ab", "query"),
        ("/v1/instances?business_key=%ff", "query"),
        ("/v1/instances?business_key=%ED%A0%80", "query"),
        ("/v1/instances/%00", "path"),
        ("/v1/instances/%ff/status", "path"),
        ("/v1/instances?status=running&status=odd", "query status"),
        ("/v1/instances?limit=1&limit=2", "query limit"),
        ("/v1/instances?version=99999999999", "query version"),
        ("/v1/instances?priority=soon", "query priority"),
        ("/v1/instances?priority=101", "query priority"),
        ("/v1/tasks?type=odd", "query type"),
        ("/v1/definitions?kind=odd", "query kind"),
        ("/v1/definitions?status=odd", "query status"),
        ("/v1/incidents?status=odd", "query status"),
        ("/v1/directory/users?limit=0", "query limit"),
        ("/v1/events?instance=x", "query instance"),
    ],
)
async def test_queries_and_paths(http, path, where):
    r = await http.get(path)
    assert r.status_code == 400, r.text
    assert r.json()["errors"][0]["where"].startswith(where) and r.json()["detail"]


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({"Content-Type": "text/plain"}, 415, "application/json"),
        ({}, 415, "none"),
        ({"Content-Type": "application/json; charset=latin-1"}, 415, "latin-1"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415, "gzip"),
        ({"Content-Type": "application/json", "Accept": "text/html"}, 406, "application/json"),
        ({"Content-Type": "application/json", "Accept": "application/json;q=0"}, 406, "application/json"),
        ({"Content-Type": "application/json", "Accept": "nonsense"}, 406, "nonsense"),
        ({"Content-Type": "application/json", "Accept": "text/html, */*;q=0.1"}, 200, ""),
        ({"Content-Type": "application/json", "Accept": "application/*"}, 200, ""),
        ({"Content-Type": "application/json", "Accept": ""}, 200, ""),
        ({"Content-Type": "application/vnd.x+json; charset=UTF-8"}, 200, ""),
    ],
)
async def test_what_is_sent_and_what_is_accepted(http, headers, status, said):
    request = http.build_request("POST", "/v1/incidents/7/resolve" if status == 200 else "/v1/signals", content=b'{"name": "s"}')
    if status == 200:
        request = http.build_request("POST", "/v1/messages", content=b'{"name": "s"}')
    for name in ("content-type", "accept"):
        request.headers.pop(name, None)
    request.headers.update(headers)
    r = await http.send(request)
    assert r.status_code in (status, 201), r.text
    if status != 200:
        assert said in r.json()["detail"] and r.headers["content-type"] == "application/problem+json"


async def test_head_says_what_get_would(http, reads):
    reads.rows["instances"].append(instance_row())
    for path, status in ((f"/v1/instances/{KEY}", 200), ("/v1/instances", 200), ("/v1/instances/8", 404), ("/metrics", 200)):
        got, head = await http.get(path), await http.head(path)
        assert head.status_code == got.status_code == status and head.content == b""
        assert head.headers["content-type"] == got.headers["content-type"]
        if path != "/metrics":
            assert head.headers["content-length"] == got.headers["content-length"]
    assert (await http.head("/v1/jobs/activate")).status_code == 405


async def test_head_of_a_stream_ends(http):
    r = await asyncio.wait_for(http.head("/v1/events"), 5)
    assert r.status_code == 200 and r.headers["content-type"].startswith("text/event-stream") and r.content == b""


async def test_options_and_405_say_what_is_allowed(http):
    r = await http.options("/v1/instances")
    assert r.status_code == 204 and {m.strip() for m in r.headers["allow"].split(",")} == {"GET", "HEAD", "OPTIONS", "POST"}
    for method, path in (("DELETE", "/v1/instances"), ("TRACE", "/v1/instances"), ("BREW", "/v1/instances"), ("GET", "/v1/signals")):
        r = await http.request(method, path)
        assert r.status_code == 405 and r.headers["allow"] and method in r.json()["detail"], (method, path, r.text)
        assert r.json()["code"] == "METHOD_NOT_ALLOWED"
    assert (await http.request("DELETE", "/v1/nothing")).status_code == 404
    assert "x-correlation-id" in (await http.get("/v1/nothing")).headers


async def test_options_of_the_server_as_a_whole():
    """RFC 9110, 9.3.7: `OPTIONS *`, which clients that speak in URLs can't say."""
    app = create_app(Services(_conf.ScriptedClient(), _conf.RowsInMemory(), Settings()))  # type: ignore[arg-type]
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        said.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "OPTIONS", "scheme": "http", "path": "*", "raw_path": b"*",
        "query_string": b"", "root_path": "", "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    await app(scope, receive, send)  # type: ignore[arg-type]
    assert said[0]["status"] == 204 and b"GET" in dict(said[0]["headers"])[b"allow"]


async def test_pages_of_listed_origins_may_ask_first():
    services = Services(_conf.ScriptedClient(), _conf.RowsInMemory(), Settings(origins=("https://shop.example",)))  # type: ignore[arg-type]
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(create_app(services)), base_url="http://127.0.0.1") as http:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,idempotency-key"}
        r = await http.options("/v1/instances", headers={"Origin": "https://shop.example", **asked})
        assert r.status_code == 204 and r.headers["access-control-allow-origin"] == "https://shop.example"
        r = await http.get("/v1/instances", headers={"Origin": "https://shop.example"})
        assert r.headers["access-control-allow-origin"] == "https://shop.example"
        assert (await http.options("/v1/instances", headers={"Origin": "https://evil.example", **asked})).status_code == 403


async def test_one_word_for_a_definition_in_every_path(http, client, reads):
    row = {"key": "5", "id": "order", "kind": "process", "version": 1, "status": "draft", "tenant": ""}
    reads.rows["definitions"] = [row]
    for name in ("5", "order"):
        assert (await http.post(f"/v1/definitions/{name}/publish")).status_code == 200
        assert client.last == c.ChangeDefinition(key=5, move="publish")
        assert (await http.put(f"/v1/definitions/{name}", json={"content": "<x/>"})).status_code == 200
        assert (await http.delete(f"/v1/definitions/{name}")).status_code == 200 and client.last.key == 5
        assert (await http.post(f"/v1/instances/{KEY}/migrate", json={"definition": name})).status_code == 200
        assert client.last == c.MigrateInstance(key=KEY, definition=5, elements={}, same_ids=True)
        assert (await http.get(f"/v1/definitions/{name}")).json()["id"] == "5"
        assert (await http.post("/v1/conditions/evaluate", json={"definition": name})).status_code == 200 and client.last.definition == 5
    listed = (await http.get("/v1/definitions")).json()["items"]
    assert [(d["id"], d["key"], d["definition_id"], d["process"]) for d in listed] == [("5", "5", "order", "order")]
    r = await http.post("/v1/definitions/nobody/publish")
    assert r.status_code == 404 and "nobody" in r.json()["detail"]


async def test_what_was_just_deployed_is_meant_by_its_name(http, client):
    definition = {"key": 6, "id": "order", "kind": "process", "version": 2}
    client.answers["Deploy"] = {"deployment": 3, "definitions": [definition], "position": "0-3"}
    await http.post("/v1/deployments", json={"resources": [{"name": "a.bpmn", "content": "<x/>"}]})
    assert (await http.post("/v1/definitions/order/deprecate")).status_code == 200 and client.last.key == 6


@pytest.mark.req("D-API-006")
async def test_who_has_waited_in_vain_gets_the_id(http, client):
    def start(command):
        if command.wait:
            return Rejected(RejectionCode.DEADLINE_EXCEEDED, "no answer")
        return {"key": KEY, "status": "running", "position": "2-9"}

    client.answers["StartInstance"] = start
    r = await http.post("/v1/instances", json={"definition": "p", "wait_ms": 20}, headers={"Idempotency-Key": "k"})
    problem = r.json()
    assert (
        r.status_code == 504
        and problem["id"] == str(KEY)
        and problem["status"] == 504
        and problem["position"] == "2-9"
        and str(KEY) in problem["detail"]
    )
    first, second = client.calls
    assert first[2]["id"] == second[2]["id"] == "k" and first[2]["partition"] == second[2]["partition"]
    client.answers["CreateTask"] = lambda t: {"task": 8} if not t.wait else Rejected(RejectionCode.DEADLINE_EXCEEDED, "no answer")
    r = await http.post("/v1/tasks", json={"name": "n", "wait_ms": 20})
    assert r.status_code == 504 and r.json()["id"] == "8"


async def test_who_still_sends_when_the_server_goes_down_is_told():
    closing = Closing()
    never = asyncio.Event()

    async def body():
        with closing.interrupts():
            await never.wait()

    reading = asyncio.ensure_future(body())
    await asyncio.sleep(0.01)
    closing.set()
    with pytest.raises(Problem) as e:
        await reading
    assert e.value.status == 503 and e.value.headers()["Retry-After"]
    other = Closing()
    cancelled = asyncio.ensure_future(_within(other, never))
    await asyncio.sleep(0.01)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled


async def _within(closing, never):
    with closing.interrupts():
        await never.wait()

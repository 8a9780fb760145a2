"""Subscriptions, long polls and what surrounds each request, over a real socket where it matters."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import httpx2
import pytest
import uvicorn
import websockets

from flowledger.api import dependencies
from flowledger.events import flow, task, workflow
from flowledger.events.base import Envelope, Recorded
from flowledger.infra.blobs import blobs_of
from flowledger.infra.settings import Settings

KEY = 2 << 51 | 7


def at(offset, event, tenant="", partition=2):
    return Recorded(event, Envelope(time_us=1_790_000_000_000_000, tenant=tenant, actor="ann"), partition, offset)


STARTED = workflow.WorkflowStarted(key=KEY, process="order", definition=5, token=KEY + 1, element="s")
TAKEN = flow.FlowTaken(key=KEY, token=KEY + 1, flow="f", source="s", target="a")
CREATED = task.TaskCreated(key=KEY, task=KEY + 2, token=KEY + 1, element="a", type="user_task")
OTHER = workflow.WorkflowStarted(key=9, process="other", definition=6)


@pytest.fixture
async def server(app) -> AsyncIterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    serving = asyncio.ensure_future(running.serve([listener]))
    while not running.started:
        await asyncio.sleep(0.01)
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    running.should_exit = True
    await serving


async def sse(server: str, query: str, count: int, headers: dict[str, str] | None = None) -> list[dict[str, str]]:
    found, event = [], {}
    async with httpx2.AsyncClient() as http, http.stream("GET", f"http://{server}/v1/events?{query}", headers=headers, timeout=30) as r:
        assert r.status_code == 200 and r.headers["content-type"].startswith("text/event-stream")
        async for line in r.aiter_lines():
            name, _, value = line.partition(": ")
            if not line and "data" in event:
                found.append(event)
                event = {}
                if len(found) == count:
                    return found
            elif line:
                event[name] = value
    return found


async def test_events_are_streamed_with_filters_and_resumed(server, client):
    await client.happen(at(0, STARTED), at(1, TAKEN), at(0, OTHER, partition=0), at(2, CREATED))
    first = await sse(server, "position=start&definition=order&type=workflow_started,task.*", 3)
    assert [e["event"] for e in first] == ["subscribed", "workflow.started", "task.created"]
    event = json.loads(first[1]["data"])
    assert (event["id"], event["instance"], event["actor"], event["data"]["token"]) == ("2-0", str(KEY), "ann", str(KEY + 1))
    again = await sse(server, "", 3, {"Last-Event-ID": first[1]["id"]})
    assert [json.loads(e["data"]).get("id") for e in again] == [None, "2-1", "2-2"], "after the first event, nothing twice"


@pytest.mark.req("APG-API-004", "D-API-029")
async def test_new_events_come_at_once_over_a_websocket(server, client):
    async with websockets.connect(f"ws://{server}/v1/events?instance={KEY}") as ws:
        assert json.loads(await ws.recv())["type"] == "subscribed"
        await client.happen(at(0, OTHER, partition=0), at(0, STARTED), at(1, TAKEN, tenant="foreign"), at(2, TAKEN))
        got = [json.loads(await asyncio.wait_for(ws.recv(), 2)) for _ in range(2)]
    assert [g["id"] for g in got] == ["2-0", "2-2"] and got[1]["cursor"] == "0-0,2-2"


async def test_a_bad_subscription_is_told_why(server):
    async with websockets.connect(f"ws://{server}/v1/events?type=nonsense") as ws:
        said = json.loads(await ws.recv())
        assert said["type"].startswith("urn:") or said["code"] == "MALFORMED"
        assert "nonsense" in said["detail"]
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await ws.recv()
        assert closed.value.rcvd.code == 4400


async def test_subscriptions_are_bounded_and_their_seats_given_back(server, services):
    services.subscribers = services.settings.subscribers_max
    async with httpx2.AsyncClient() as http:
        r = await http.get(f"http://{server}/v1/events")
        assert r.status_code == 429 and r.headers["retry-after"] == "5"
    services.subscribers = 0
    async with websockets.connect(f"ws://{server}/v1/events") as ws:
        await ws.recv()
        assert services.subscribers == 1
    for _ in range(100):
        await asyncio.sleep(0.02)
        if services.subscribers == 0:
            break
    assert services.subscribers == 0


async def test_a_subscription_ends_when_its_time_is_over_and_nothing_is_missed(server, client, services):
    services.settings = services.settings.model_copy(update={"subscription_s_max": 1.5})
    await client.happen(at(0, STARTED), at(1, TAKEN))
    first = await sse(server, "position=start&type=workflow.*", 10)
    assert [e["event"] for e in first] == ["subscribed", "workflow.started"], "then it was over"
    again = await sse(server, "", 10, {"Last-Event-ID": first[-1]["id"]})
    assert [e["event"] for e in again] == ["subscribed", "flow.taken"]
    async with websockets.connect(f"ws://{server}/v1/events") as ws:
        await ws.recv()
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await ws.recv()
        assert closed.value.rcvd.code == 1001 and "last cursor" in closed.value.rcvd.reason


async def test_a_long_poll_ends_when_the_caller_hangs_up(server, client):
    async with httpx2.AsyncClient() as http:
        with pytest.raises(httpx2.ReadTimeout):
            await http.post(f"http://{server}/v1/jobs/activate", json={"type": "t", "worker": "w", "wait_ms": 5000}, timeout=0.2)
    for _ in range(100):
        await asyncio.sleep(0.02)
        if client.cancelled:
            break
    assert client.cancelled == 1


async def test_a_long_poll_ends_when_the_server_goes_down(server, services):
    async with httpx2.AsyncClient() as http:
        poll = asyncio.ensure_future(http.post(f"http://{server}/v1/jobs/activate", json={"type": "t", "worker": "w", "wait_ms": 5000}))
        await asyncio.sleep(0.2)
        services.closing.set()
        assert (await poll).status_code == 503


async def test_a_long_poll_that_finds_nothing_is_empty(server):
    async with httpx2.AsyncClient() as http:
        r = await http.post(f"http://{server}/v1/jobs/activate", json={"type": "t", "worker": "w", "wait_ms": 50})
        assert r.status_code == 200 and r.json() == {"jobs": []}


# --- the guard


async def test_security_headers_and_correlation(http):
    r = await http.get("/health/live")
    assert r.headers["x-content-type-options"] == "nosniff" and r.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in r.headers["content-security-policy"] and len(r.headers["x-correlation-id"]) == 32
    for path in ("/health/live", "/v1/instances", "/v1/nothing"):
        assert (await http.get(path)).headers["cache-control"] == "no-store", path
    r = await http.get("/health/live", headers={"X-Correlation-Id": "mine"})
    assert r.headers["x-correlation-id"] == "mine"
    r = await http.get("/health/live", headers={"X-Correlation-Id": "with space"})
    assert r.headers["x-correlation-id"] != "with space"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8080"}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://127.0.0.1:8080"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_web_pages_of_others_are_kept_out(http, headers, status):
    r = await http.get("/v1/incidents", headers=headers)
    assert r.status_code == status
    if status != 200:
        assert r.headers["content-type"] == "application/problem+json" and r.headers["x-frame-options"] == "DENY"


async def test_probes_and_figures_answer_under_any_name(http):
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert (await http.get(path, headers={"Host": "10.1.2.3:8080"})).status_code == 200


async def test_a_foreign_page_gets_no_websocket(server):
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(f"ws://{server}/v1/events", origin="https://evil.example")


async def test_health_says_why_it_is_not_ready(http, client, reads):
    assert (await http.get("/health/ready")).json()["status"] == "ready"
    reads.trouble = "PostgreSQL doesn't answer"
    r = await http.get("/health/ready")
    assert r.status_code == 200 and r.json()["status"] == "degraded" and r.json()["execution"] is True and r.json()["queries"] is False
    assert r.json()["reasons"] == ["PostgreSQL doesn't answer"]
    assert r.json()["parts"]["owners"]["ok"] and r.json()["parts"]["projections"] == {"ok": False, "why": "PostgreSQL doesn't answer"}
    client.ready = {"ready": False, "reasons": ["partition 3 is being taken over"]}
    r = await http.get("/health/ready")
    assert r.status_code == 503 and r.json()["execution"] is False and len(r.json()["reasons"]) == 2
    assert (await http.get("/health/live")).status_code == 200


@pytest.mark.req("D-CON-007")
async def test_health_lists_what_the_server_stands_on(http, client, reads, monkeypatch, tmp_path):
    monkeypatch.setattr(dependencies, "FRESH_S", 0.0)
    found = (await http.get("/health/ready")).json()
    assert {n: (p["ok"], p["kind"]) for n, p in found["parts"].items() if "kind" in p} == {
        "events": (True, "embedded"), "threads": (True, "ledger"), "postgres": (True, "embedded"), "cache": (True, "none"), "files": (True, "none"),
    }  # fmt: skip
    client.away = "the broker is away"
    found = (await http.get("/health/ready")).json()
    assert (
        found["parts"]["events"] == {"ok": False, "why": "the broker is away", "kind": "embedded"} and not found["parts"]["threads"]["ok"]
    )
    assert found["status"] == "degraded" and found["reasons"] == ["the log: the broker is away"] and found["parts"]["postgres"]["ok"]
    client.away, reads.trouble = "", "PostgreSQL doesn't answer"
    found = (await http.get("/health/ready")).json()
    assert [n for n, p in found["parts"].items() if not p["ok"]] == ["projections", "threads", "postgres"]
    reads.trouble = "queries: the projector hasn't made the tables yet"
    found = (await http.get("/health/ready")).json()
    assert [n for n, p in found["parts"].items() if not p["ok"]] == ["projections", "threads"], "the database itself is there"


@pytest.mark.req("D-CON-007")
async def test_a_store_of_files_that_is_away_keeps_nobody_waiting(tmp_path, monkeypatch):
    (place := tmp_path / "blobs").write_text("a file stands where the folder should")

    class Silent:
        ends = asyncio.Event().wait

    look = dependencies.Dependencies(Silent, object, lambda: blobs_of(Settings(data=tmp_path)))
    assert "Not a directory" in await look.files.why()
    place.unlink()
    assert "Not a directory" in await look.files.why(), "it is believed for a moment"
    monkeypatch.setattr(dependencies, "FRESH_S", 0.0)
    again = dependencies.Dependencies(Silent, object, lambda: blobs_of(Settings(data=tmp_path)))
    assert await again.files.why() == ""
    monkeypatch.setattr(dependencies, "WAIT_S", 0.01)
    assert await again.log.why() == "it has not answered within 0.01 s"
    again.log._task.cancel()


@pytest.mark.req("D-MON-003")
async def test_requests_and_commands_are_counted(http, client):
    await http.post("/v1/incidents/7/resolve")
    await http.get("/v1/instances/7")
    r = await http.get("/metrics")
    assert r.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8", "each parameter once, as a scraper reads it"
    text = r.text
    assert 'flowledger_http_commands_total{command="ResolveIncident",outcome="ok"} 1.0' in text
    assert 'flowledger_http_requests_total{method="GET",route="/v1/instances/{id}",status="404"} 1.0' in text
    r = await http.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert r.text.endswith("# EOF\n") and r.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"


async def test_a_trace_goes_through(http, client):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await http.post("/v1/incidents/7/resolve", headers={"traceparent": trace})
    assert client.calls[-1][1].trace == trace, "without a collector the caller's trace goes on as it is"
    await http.post("/v1/incidents/7/resolve", headers={"traceparent": "nonsense"})
    assert client.calls[-1][1].trace == ""


async def test_with_tracing_each_request_is_a_span_below_the_caller(services, client):
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from flowledger.api.app import create_app
    from flowledger.infra.telemetry import Tracer

    spans = InMemorySpanExporter()
    services.telemetry.tracer = Tracer(processor=SimpleSpanProcessor(spans))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(create_app(services)), base_url="http://127.0.0.1") as http:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        r = await http.post("/v1/incidents/7/resolve", headers={"traceparent": trace})
    (span,) = spans.get_finished_spans()
    assert span.parent.span_id == 0xB7AD6B7169203331 and span.attributes["http.route"] == "/v1/incidents/{key}/resolve"
    assert client.calls[-1][1].trace == r.headers["traceparent"] == f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"


async def test_the_openapi_document_has_every_path(http):
    r = await http.get("/v1/openapi.json")
    doc = r.json()
    assert doc["openapi"].startswith("3.1") and "Problem" in doc["components"]["schemas"]
    wanted = """deployments definitions definitions/{id} definitions/{id}/source definitions/{id}/diagram definitions/{id}/diff definitions/{id}/{move}
      instances instances/{id}
      instances/{id}/status instances/{id}/variables instances/{id}/events instances/{id}/tree instances/{id}/metrics instances/{id}/state
      instances/{id}/suspend instances/{id}/resume instances/{id}/pause instances/{id}/unpause instances/{id}/cancel instances/{id}/modify
      instances/{id}/migrate tasks tasks/{id} tasks/{id}/complete tasks/{id}/fail tasks/{id}/{move} jobs/activate jobs/{key}/complete
      jobs/{key}/fail jobs/{key}/error jobs/{key}/extend messages signals incidents incidents/{key} incidents/{key}/resolve
      decisions/evaluate events""".split()
    assert {f"/v1/{p}" for p in wanted} <= set(doc["paths"]) and {"/health/live", "/health/ready", "/metrics"} <= set(doc["paths"])
    ids = [o["operationId"] for p in doc["paths"].values() for o in p.values()]
    assert len(ids) == len(set(ids))
    start = doc["paths"]["/v1/instances"]["post"]
    assert start["responses"]["409"]["content"]["application/problem+json"] and any(
        p["name"] == "Idempotency-Key" for p in start["parameters"]
    )
    assert "multipart/form-data" in doc["paths"]["/v1/deployments"]["post"]["requestBody"]["content"]

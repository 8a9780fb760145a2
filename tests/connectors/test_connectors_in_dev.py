"""The connectors of a whole `flowledger dev`, from outside: what runs, what is an incident, a killed process, and that no secret is ever written."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from flowledger.connectors.catalogue import CONFIGS
from flowledger.connectors.templates import template

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(280)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "connectors"
TOKEN, PASSWORD = "tok-9f86d081884c7d659a2f", "p&ss w\u00f6rd/+"
HEAD = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d"
 targetNamespace="t">{errors}<process id="{id}" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="call"/>
 <serviceTask id="call"><extensionElements><zeebe:taskDefinition type="{type}" retries="3"/><zeebe:ioMapping>{inputs}</zeebe:ioMapping>
 <zeebe:taskHeaders>{headers}</zeebe:taskHeaders></extensionElements></serviceTask>{more}
 <sequenceFlow id="f2" sourceRef="call" targetRef="e"/><endEvent id="e"/></process></definitions>"""


def model(
    id: str, inputs: dict[str, str], headers: dict[str, str] | None = None, type: str = "flowledger:http", errors: str = "", more: str = ""
) -> str:
    def quoted(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;")

    ins = "".join(f"<zeebe:input source='{quoted(v)}' target='{k}'/>" for k, v in inputs.items())
    heads = "".join(f"<zeebe:header key='{k}' value='{quoted(v)}'/>" for k, v in (headers or {}).items())
    return HEAD.format(id=id, type=type, inputs=ins, headers=heads, errors=errors, more=more)


class Dev:
    def __init__(self, folder: Path, postgres: str) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.http = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60)
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        env = {
            **os.environ, "FLOWLEDGER_GRPC_PORT": "0", "FLOWLEDGER_PARTITIONS": "2", "FLOWLEDGER_LOG_LEVEL": "debug", "FLOWLEDGER_LOG_FORMAT": "json",
            "FLOWLEDGER_ACCESS_LOG": "all", "FLOWLEDGER_SECRETS": f"env,folder:{self.secrets}", "FLOWLEDGER_EGRESS_PRIVATE": "127.0.0.1",
            "FLOWLEDGER_SECRET_PASSWORD": PASSWORD,
        }  # fmt: skip
        with (folder / "dev.log").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flowledger", "dev", "--port", str(port), "--data", str(folder / "data"), "--postgres", postgres],
                env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip

    def said(self) -> str:
        return (self.folder / "dev.log").read_text(errors="replace")[-4000:]

    async def until(self, look, what: str, seconds: float = 90) -> Any:
        end = time.monotonic() + seconds
        while True:
            try:
                if found := await look():
                    return found
            except httpx2.HTTPError:
                pass
            assert self.process.poll() is None and time.monotonic() < end, f"{what}: {self.said()}"
            await asyncio.sleep(0.1)

    async def ready(self) -> None:
        async def look() -> bool:
            return (await self.http.get("/health/ready")).status_code == 200

        await self.until(look, "ready")

    def connectors(self) -> int:
        """The process of the connectors; 0: there is none."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if b"flowledger.calls" in path.read_bytes() and f"PPid:\t{self.process.pid}\n" in (path.parent / "status").read_text():
                    return int(path.parent.name)
            except OSError:
                continue
        return 0

    async def deploy(self, *models: str) -> httpx2.Response:
        return await self.http.post(
            "/v1/deployments", json={"resources": [{"name": f"m{n}.bpmn", "content": m} for n, m in enumerate(models)]}
        )

    async def start(self, definition: str, **variables: Any) -> str:
        r = await self.http.post("/v1/instances", json={"definition": definition, "variables": variables})
        assert r.status_code == 201, r.text
        return r.json()["id"]

    async def ended(self, id: str) -> dict[str, Any]:
        async def look() -> Any:
            found = (await self.http.get(f"/v1/instances/{id}")).json()
            return found if found.get("status") == "completed" else None

        await self.until(look, f"instance {id} ends")
        return (await self.http.get(f"/v1/instances/{id}/variables")).json()["variables"]

    async def incident(self, id: str) -> dict[str, Any]:
        async def look() -> Any:
            rows = (await self.http.get("/v1/incidents", params={"instance": id})).json().get("items")
            return rows[0] if rows else None

        return await self.until(look, f"an incident of {id}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        finally:
            self.process.kill()


@pytest.fixture
async def dev(tmp_path, database):
    found = Dev(tmp_path, database)
    try:
        await found.ready()
        yield found
    finally:
        found.process.kill()
        found.process.wait()
        await found.http.aclose()


CAUGHT = """= {you: error.variables.response.body.you,
  found: if error.code = "404" then bpmnError("GONE", you, {why: you}) else null}.found"""
ERROR = '<error id="gone" errorCode="GONE"/>'
BOUNDARY = """<boundaryEvent id="b" attachedToRef="call"><errorEventDefinition errorRef="gone"/></boundaryEvent>
 <sequenceFlow id="f3" sourceRef="b" targetRef="e2"/><endEvent id="e2"/>"""


async def the_example(dev: Dev) -> None:
    (dev.secrets / "CARRIER_TOKEN").write_text("carrier-7c4a8d09ca37")
    carrier = subprocess.Popen(
        [sys.executable, str(EXAMPLE / "carrier.py")],
        env={**os.environ, "CARRIER_TOKEN": "carrier-7c4a8d09ca37"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert carrier.stdout is not None
        url = carrier.stdout.readline().strip()
        assert (await dev.deploy((EXAMPLE / "book-transport.bpmn").read_text())).status_code == 201
        booked = await dev.ended(await dev.start("book-transport", carrier=url, from_town="A", to_town="B", weight=2))
        assert (booked["price"], booked["tracking"]) == (14.5, "T1")
        refused = await dev.ended(await dev.start("book-transport", carrier=url, from_town="A", to_town="Xanadu", weight=2))
        assert "tracking" not in refused
    finally:
        carrier.kill()
        carrier.wait()


@pytest.mark.req("APG-RES-009", "APG-RES-006", "D-RES-003", "WSM-RES-006", "WOS-RES-006", "D-SEC-004", "APG-SEC-004")
async def test_connectors_in_dev(dev, target, tmp_path, database):
    held = asyncio.Event()

    async def hold(request, writer) -> None:
        if len([s for s in target.seen if s.path == "/held"]) == 1:
            await held.wait()  # the first one never gets an answer
        writer.write(b"HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n")

    tries: list[int] = []
    target.routes |= {
        "/held": hold,
        "/busy": lambda r: (tries.append(1), (503, {"retry-after": "0"}, b"") if len(tries) < 3 else (200, {}, {"n": 1}))[1],
        "/404": lambda r: (404, {}, {"you": r.headers.get("authorization", "")}),
    }
    url = f'= "{target.url}/" + path'
    auth = {"authentication.type": "bearer", "authentication.token": "{{secrets.TOKEN}}"}
    good = model(
        "good", {"url": url, "method": "POST", "body": '= {order: order, text: "{{secrets.TOKEN}}"}', **auth}, {"resultVariable": "out"}
    )
    camunda = model(
        "camunda", {"url": url, "method": "GET", "headers": '= {"x-pass": "Pass " + secrets.PASSWORD}'},
        {"resultExpression": "= {seen: response.body.headers, code: response.status}"}, type="io.camunda:http-json:1",
    )  # fmt: skip
    caught = model("caught", {"url": url, **auth}, {"errorExpression": CAUGHT},
                   errors=ERROR, more=BOUNDARY)  # fmt: skip
    plain = model("plain", {"url": url, "method": "POST", **auth})
    r = await dev.deploy(good, caught, plain)
    assert r.status_code == 201, r.text

    # a missing secret is an incident with its name; once it is there the work goes on, without a restart
    waiting = await dev.start("good", path="echo", order={"id": 7})
    found = await dev.incident(waiting)
    assert "'TOKEN'" in found["message"] and "SECRET_MISSING" in found["message"]
    (dev.secrets / "TOKEN").write_text(TOKEN)
    assert (await dev.http.post(f"/v1/incidents/{found['id']}/resolve")).status_code == 200
    out = (await dev.ended(waiting))["out"]
    assert target.seen[0].headers["authorization"] == f"Bearer {TOKEN}" and TOKEN in target.seen[0].body.decode()
    assert out["body"]["headers"]["authorization"] == "Bearer ***" and '"text":"***"' in out["body"]["body"].replace(" ", "")

    # models of Camunda 8; FEEL with references
    r = await dev.deploy(camunda)
    assert r.status_code == 201, r.text
    assert (await dev.ended(await dev.start("camunda", path="echo")))["code"] == 200
    sent = target.seen[-1].headers["x-pass"].encode("latin-1").decode()
    assert sent == f"Pass {PASSWORD}"

    # an answer that says "later" is tried again with the same key; an error of the model's own is caught; another one is an incident
    await dev.ended(await dev.start("plain", path="busy"))
    keys = {s.headers["idempotency-key"] for s in target.seen if s.path == "/busy"}
    assert len(tries) >= 3 and len(keys) == 1
    assert (await dev.ended(await dev.start("caught", path="404")))["why"] == "Bearer ***"
    failing = await dev.incident(await dev.start("plain", path="404"))
    assert "404" in failing["message"]

    # the process of the connectors is killed in the middle of a call: another one takes the job up, with the same key
    first = dev.connectors()
    assert first
    cut = await dev.start("plain", path="held")

    async def under_way() -> bool:
        return any(s.path == "/held" for s in target.seen)

    await dev.until(under_way, "the call")
    os.kill(first, signal.SIGKILL)
    await dev.ended(cut)
    both = [s.headers["idempotency-key"] for s in target.seen if s.path == "/held"]
    assert len(both) >= 2 and len(set(both)) == 1 and dev.connectors() not in (0, first)
    held.set()

    # the example, against its own API
    await the_example(dev)

    # what is wrong is said at deployment, and figures come with those of the node
    r = await dev.deploy(model("bad", {"url": "http://x", "method": "YELL"}))
    assert r.status_code == 422 and "CONNECTOR_CONFIGURATION" in r.text
    assert 'flowledger_connector_calls_total{connector="http"' in (await dev.http.get("/metrics")).text
    made = await dev.http.get("/v1/connectors/http/template")
    assert made.json() == template("http") and (await dev.http.get("/v1/connectors/none")).status_code == 404
    assert [row["job_type"] for row in (await dev.http.get("/v1/connectors")).json()["items"]] == [f"flowledger:{name}" for name in CONFIGS]
    seen_by_people = ""
    for path in (
        "/v1/instances?limit=100",
        "/v1/incidents?limit=100",
        f"/v1/instances/{waiting}/events",
        f"/v1/instances/{waiting}/state",
        "/v1/workers",
        "/metrics",
    ):
        seen_by_people += (await dev.http.get(path)).text
    dev.stop()

    # nothing that was written has a secret in any form
    forms = [
        f for v in (TOKEN, PASSWORD) for f in (v.encode(), base64.b64encode(v.encode()), v.encode().hex().encode(), v.encode("utf-16-le"))
    ]
    files = [p for p in tmp_path.rglob("*") if p.is_file() and dev.secrets not in p.parents]
    assert any(p.name == "log.sqlite3" for p in files) and b'"call"' in (tmp_path / "dev.log").read_bytes()
    for path in files:
        data = path.read_bytes()
        assert not [f for f in forms if f in data], path
    assert not [f for f in forms if f.decode("latin-1") in seen_by_people]
    rows = 0
    with psycopg.connect(database) as db:
        tables = db.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            for (text,) in db.execute(f"SELECT t::text FROM {table} t").fetchall():
                rows += 1
                assert TOKEN not in text and PASSWORD not in text and TOKEN.encode().hex() not in text, table
    assert rows > 50

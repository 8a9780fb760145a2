"""A whole server with sign-in: all doors, the command line, the SDK; what stands on the log and in the output afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import httpx2
import pytest
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import flowledger.signin
from flowledger.infra.oidc import keys
from flowledger.infra.settings import Settings, SettingsError
from flowledger.sdk import Client, Flow, Worker
from flowledger.system import System
from tests.cli.conftest import running, settings_for
from tests.signin.conftest import PASSWORD, first_admin
from tests.signin.issuer import StubIssuer

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(240), pytest.mark.req("APG-SEC-009", "WOS-SEC-001")]
FLOW = Flow("signed").start().service("do", job="signed-job").end()


@pytest.fixture(scope="module")
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def issuer():
    found = StubIssuer()
    yield found
    found.close()


@pytest.fixture(scope="module")
def server(empty_database: Any, tmp_path_factory: pytest.TempPathFactory, said: io.StringIO, issuer: StubIssuer):
    """With an issuer beside the accounts of its own: what holds of those holds with it, too."""

    class Errors:
        """Where the process says its one-time link."""

        stderr = said

    kept, flowledger.signin.sys = flowledger.signin.sys, Errors  # type: ignore[assignment, attr-defined]
    try:
        with empty_database() as url:
            file = tmp_path_factory.mktemp("issuers") / "issuers.toml"
            file.write_text(
                f'[[issuers]]\nname = "company"\nissuer = "{issuer.url}"\naudiences = ["flowledger"]\ndevice_client_id = "cli"\n'
            )
            roles = ("api", "owner", "projector", "grpc")
            settings = settings_for(tmp_path_factory.mktemp("signin"), url, roles=roles, auth="oidc", oidc_file=str(file))
            with running(settings) as found:
                yield found
    finally:
        flowledger.signin.sys = kept  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def admin(server, said):
    return first_admin(server.url, said)


async def all_end(lines, streaming, *sockets) -> None:
    """Who they were is not known any more: a subscription, a stream of jobs, WebSockets."""
    async for _ in lines:
        pass
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await streaming
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    for socket in sockets:
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await socket.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401


def key_of(admin: httpx2.Client, *roles: str, actor: str = "robot") -> dict[str, Any]:
    made = admin.post("/v1/api-keys", json={"name": "test", "actor": actor, "roles": list(roles)})
    assert made.status_code == 201, made.text
    return made.json()


def bearer(key: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {key['key']}"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org", ""])
async def test_without_sign_in_only_loopback_is_listened_on(tmp_path, host):
    for roles in (("api", "owner"), ("grpc",)):
        with pytest.raises(SettingsError, match=r"host is .* auth is none.*FLOWLEDGER_AUTH=local"):
            async with System(Settings(data=tmp_path / "d", host=host, port=0, grpc_port=0, roles=roles)):
                pass
    assert not (tmp_path / "d").exists(), "nothing was touched"


@pytest.mark.parametrize(
    ("host", "is_it"), [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False)]
)
def test_what_loopback_is(host, is_it):
    assert Settings(host=host).loopback is is_it


def test_the_command_says_it_in_a_sentence(tmp_path):
    env = {**os.environ, "FLOWLEDGER_DATA": str(tmp_path / "d")}
    done = subprocess.run(
        [sys.executable, "-m", "flowledger", "serve", "--host", "0.0.0.0"], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2 and "FLOWLEDGER_AUTH=local" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.req("D-CMP-007")
def test_the_review_of_who_may_do_what(server, admin):
    unused, used = key_of(admin, "viewer", actor="review-unused"), key_of(admin, "author", "task-worker", actor="review-used")
    assert httpx2.get(f"{server.url}/v1/evidence/access", headers=bearer(unused)).status_code == 403
    assert httpx2.put(f"{server.url}/v1/legal-holds/x", json={"reason": "r"}, headers=bearer(used)).status_code == 403
    admin.put("/v1/legal-holds/review", json={"reason": "for the review"})
    deadline = time.monotonic() + 60
    while True:
        rows = {(r["kind"], r["actor"]): r for r in admin.get("/v1/evidence/access").json()["items"]}
        if rows["user", "admin"]["operations"] and rows["key", "review-used"]["used_at"]:
            break
        assert time.monotonic() < deadline
        time.sleep(0.5)
    mine = rows["user", "admin"]
    assert {"administrator", "conflicting_rights"} <= set(mine["remarks"]) and mine["used_at"] and "users:write" in mine["rights"]
    assert (
        rows["key", "review-used"]["roles"] == ["author", "task-worker"] and "conflicting_rights" in rows["key", "review-used"]["remarks"]
    )
    conflicts = admin.get("/v1/evidence/duties").json()["rights"]
    assert {"first": "definitions:write", "second": "tasks:work"}.items() <= next(
        c for c in conflicts if c["account"] == used["id"]
    ).items()
    assert all(c["account"] != unused["id"] for c in conflicts)
    admin.delete(f"/v1/api-keys/{unused['id']}")
    table = admin.get("/v1/evidence/access", params={"format": "csv"}).text
    assert "review-unused" in table and "revoked" in table and "flk_" not in table


async def test_a_worker_and_a_client_by_key_and_what_they_did_stands_under_its_name(server, admin):
    author, machine = key_of(admin, "author", actor="builder"), key_of(admin, "machine")
    async with Client(server.url, api_key=author["key"], actor="somebody-else") as client:
        await client.deploy(FLOW)
    worker = Worker(server.url, api_key=machine["key"])

    @worker.job("signed-job")
    async def do() -> dict[str, Any]:
        return {"done": True}

    working = asyncio.create_task(worker.run())
    async with Client(server.url, api_key=machine["key"]) as client:
        ended = await client.start("signed", {}, wait_s=60)
    assert ended["variables"] == {"done": True}
    await worker.stop()
    await working
    found = admin.get(f"/v1/instances/{ended['id']}/events", params={"wait_for": ended["position"]}).json()["items"]
    assert {e["actor"] for e in found} == {"robot"}


async def test_sockets_and_streams_end_with_the_key(server, admin):
    key = key_of(admin, "machine", "viewer")
    base = server.url.replace("http", "ws")
    for path in ("/v1/events", "/v1/jobs/stream", "/v1/events/", "/v1//events", "/v1/jobs/stream/"):
        for headers in ({}, {"authorization": "Bearer garbage"}):
            with pytest.raises(InvalidStatus) as e:
                async with connect(base + path, additional_headers=headers):
                    pass
            assert e.value.response.status_code == 401 and b"UNAUTHENTICATED" in e.value.response.body
    with pytest.raises(InvalidStatus) as e:
        async with connect(f"{base}/v1/events", additional_headers=bearer(key_of(admin, "machine", actor="m2"))):
            pass
    assert e.value.response.status_code == 403 and b"events:read" in e.value.response.body
    session = admin.cookies["flowledger_session"]
    with pytest.raises(InvalidStatus) as e:  # a page of another site would have the cookie, and another origin
        async with connect(f"{base}/v1/events", additional_headers={"cookie": f"flowledger_session={session}"}):
            pass
    assert e.value.response.status_code == 403
    async with connect(f"{base}/v1/events", additional_headers={"cookie": f"flowledger_session={session}"}, origin=server.url) as own:
        assert json.loads(await own.recv())["type"] == "subscribed"
    async with contextlib.AsyncExitStack() as stack:
        events = await stack.enter_async_context(connect(f"{base}/v1/events", additional_headers=bearer(key)))
        jobs = await stack.enter_async_context(connect(f"{base}/v1/jobs/stream", additional_headers=bearer(key)))
        http = await stack.enter_async_context(httpx2.AsyncClient(base_url=server.url, headers=bearer(key), timeout=120))
        assert json.loads(await events.recv())["type"] == "subscribed"
        sse = await stack.enter_async_context(http.stream("GET", "/v1/events"))
        lines = sse.aiter_lines()
        assert (await anext(lines)).startswith("retry")
        polling = asyncio.ensure_future(http.post("/v1/jobs/activate", json={"type": "never", "worker": "w", "wait_ms": 60_000}))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(server.system.grpc_address))
        call = GatewayStub(channel).StreamActivatedJobs(
            pb.StreamActivatedJobsRequest(type="never", worker="w", timeout=1000), metadata=[("authorization", f"Bearer {key['key']}")]
        )
        streaming = asyncio.ensure_future(call.read())
        await asyncio.sleep(0.5)
        assert not polling.done() and not streaming.done()
        assert (await asyncio.to_thread(admin.delete, f"/v1/api-keys/{key['id']}")).status_code == 200
        await all_end(lines, streaming, events, jobs)
        assert (await polling).status_code == 401


@pytest.mark.req("D-SEC-001", "APG-SEC-001")
async def test_tokens_of_an_issuer_on_all_doors_until_its_key_is_taken_back(server, issuer, monkeypatch):
    monkeypatch.setattr(keys, "AGAIN_S", 0.0)
    token = issuer.token(roles=["machine", "viewer"])
    given = {"authorization": f"Bearer {token}"}
    base = server.url.replace("http", "ws")
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient(base_url=server.url, headers=given, timeout=120))
        said = (await http.get("/v1/me")).json()
        assert (said["auth"], said["kind"], said["name"]) == ("oidc", "token", "olga")
        wrong = {"authorization": f"Bearer {issuer.token(aud='billing')}"}
        for path in ("/v1/events", "/v1/jobs/stream"):
            with pytest.raises(InvalidStatus) as e:
                async with connect(base + path, additional_headers=wrong):
                    pass
            assert e.value.response.status_code == 401
        events = await stack.enter_async_context(connect(f"{base}/v1/events", additional_headers=given))
        jobs = await stack.enter_async_context(connect(f"{base}/v1/jobs/stream", additional_headers=given))
        assert json.loads(await events.recv())["type"] == "subscribed"
        sse = await stack.enter_async_context(http.stream("GET", "/v1/events"))
        lines = sse.aiter_lines()
        assert (await anext(lines)).startswith("retry")
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(server.system.grpc_address))
        stub, metadata = GatewayStub(channel), [("authorization", f"Bearer {token}")]
        assert (await stub.Topology(pb.TopologyRequest(), metadata=metadata)).partitionsCount == 2
        call = stub.StreamActivatedJobs(pb.StreamActivatedJobsRequest(type="never", worker="w", timeout=1000), metadata=metadata)
        streaming = asyncio.ensure_future(call.read())
        await asyncio.sleep(0.5)
        assert not streaming.done()
        issuer.rotate()
        new = {"authorization": f"Bearer {issuer.token(roles=['viewer'])}"}
        assert (await http.get("/v1/instances", headers=new)).status_code == 200, "the new key is asked for"
        await all_end(lines, streaming, events, jobs)
        assert (await http.get("/v1/instances")).status_code == 401


def test_the_command_line_takes_a_token(server, issuer, tmp_path):
    token = issuer.token(roles=["viewer"], preferred_username="clive")
    said = flowledger_cli(server, tmp_path, "whoami", "--json", FLOWLEDGER_TOKEN=token)
    assert said.returncode == 0 and json.loads(said.stdout)["name"] == "clive"


@pytest.mark.req("APG-SEC-001")
def test_the_command_line_signs_in_by_the_issuer_s_device_flow(server, issuer, tmp_path):
    file = tmp_path / "flowledger" / "tokens.json"

    def waiting(*words: str) -> subprocess.Popen[str]:
        env = {**os.environ, "FLOWLEDGER_SERVER": server.url, "XDG_CONFIG_HOME": str(tmp_path)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([sys.executable, "-m", "flowledger", "login", "--oidc", *words], env=env, text=True, **pipes)  # type: ignore[call-overload,no-any-return]

    refused = flowledger_cli(server, tmp_path, "login", "--oidc", "--issuer", "nobody")
    assert refused.returncode == 1 and "company" in refused.stderr
    issuer.person = {"sub": "2", "preferred_username": "dora", "roles": ["viewer"]}
    issuer.lifetime, issuer.approved = 300, False
    process = waiting("--json")
    deadline = time.monotonic() + 100
    while issuer.asked.count("/token") < 2:  # it asks, is told to wait, and asks again
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.05)
    issuer.approved = True
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0 and json.loads(out)["name"] == "dora" and "ABCD-EFGH" in err and f"{issuer.url}/activate" in err
    assert file.stat().st_mode & 0o077 == 0
    who = flowledger_cli(server, tmp_path, "whoami", "--json")
    assert json.loads(who.stdout)["kind"] == "token", who

    kept = json.loads(file.read_text())
    first = kept[server.url]["access"]
    kept[server.url]["expires"] = 0
    file.write_text(json.dumps(kept))
    assert flowledger_cli(server, tmp_path, "instances").returncode == 0
    now = json.loads(file.read_text())[server.url]
    assert now["access"] != first and now["refresh"] != kept[server.url]["refresh"] and file.stat().st_mode & 0o077 == 0, "refreshed"

    file.write_text(json.dumps(kept))  # as if somebody had taken the old one, which is good once
    over = flowledger_cli(server, tmp_path, "instances")
    assert over.returncode == 1 and "login --oidc" in over.stderr and "Traceback" not in over.stderr
    file.write_text(json.dumps({server.url: now}))
    assert flowledger_cli(server, tmp_path, "logout").returncode == 0 and not file.exists()
    assert now["refresh"] not in issuer._refresh, "taken back, not only forgotten"
    assert flowledger_cli(server, tmp_path, "whoami").returncode == 1


async def test_zeebe_s_clients_bring_a_bearer_token(server, admin):
    key = key_of(admin, "machine", actor="zeebe-worker")
    async with grpc.aio.insecure_channel(server.system.grpc_address) as channel:
        stub, metadata = GatewayStub(channel), [("authorization", f"Bearer {key['key']}")]
        assert (await stub.Topology(pb.TopologyRequest(), metadata=metadata)).partitionsCount == 2
        for wrong, code in (
            ([], "UNAUTHENTICATED"),
            ([("authorization", "Bearer no")], "UNAUTHENTICATED"),
            (metadata, "PERMISSION_DENIED"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as e:
                await stub.ResolveIncident(pb.ResolveIncidentRequest(incidentKey=7), metadata=wrong)
            assert e.value.code().name == code
        assert "incidents:resolve" in e.value.details()
        with pytest.raises(grpc.aio.AioRpcError) as e:
            await stub.CreateProcessInstance(
                pb.CreateProcessInstanceRequest(bpmnProcessId="signed", version=-1, tenantId="other"), metadata=metadata
            )
        assert e.value.code().name == "PERMISSION_DENIED"
        health = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert await health(b"") is not None


def flowledger_cli(server, home: Path, *words: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    more = {"FLOWLEDGER_SERVER": server.url, "XDG_CONFIG_HOME": str(home), **env}
    return subprocess.run(
        [sys.executable, "-m", "flowledger", *words], input=stdin, env={**os.environ, **more}, capture_output=True, text=True, timeout=120
    )


def test_the_command_line_signs_in_and_out(server, admin, tmp_path):
    said = flowledger_cli(server, tmp_path, "instances")
    assert said.returncode == 1 and "login" in said.stderr and "FLOWLEDGER_API_KEY" in said.stderr
    assert flowledger_cli(server, tmp_path, "login", "--name", "admin", stdin="wrong wrong wrong\n").returncode == 1
    said = flowledger_cli(server, tmp_path, "login", "--name", "admin", stdin=f"{PASSWORD}\n")
    assert said.returncode == 0 and "administrator" in said.stdout + said.stderr, said
    file = tmp_path / "flowledger" / "keys.json"
    assert file.stat().st_mode & 0o077 == 0
    who = json.loads(flowledger_cli(server, tmp_path, "whoami", "--json").stdout)
    assert (who["name"], who["kind"]) == ("admin", "key") and flowledger_cli(server, tmp_path, "instances").returncode == 0
    key = json.loads(file.read_text())[server.url]
    assert flowledger_cli(server, tmp_path / "other", "whoami", FLOWLEDGER_API_KEY=key).returncode == 0
    assert flowledger_cli(server, tmp_path, "logout").returncode == 0 and not file.exists()
    assert flowledger_cli(server, tmp_path, "whoami", FLOWLEDGER_API_KEY=key).returncode == 1, "revoked, not only forgotten"
    by_key = key_of(admin, "viewer", actor="laptop")
    assert flowledger_cli(server, tmp_path, "login", "--key", stdin=by_key["key"]).returncode == 0
    assert flowledger_cli(server, tmp_path, "login", "--key", stdin="flk_no").returncode == 1


def test_probes_are_open_and_figures_are_not(server, admin):
    http = httpx2.Client(base_url=server.url, timeout=60)
    assert [http.get(p).status_code for p in ("/health/live", "/health/ready", "/metrics")] == [200, 200, 401]
    assert (
        admin.get("/metrics").status_code == 200
        and http.get("/metrics", headers=bearer(key_of(admin, "machine", actor="m3"))).status_code == 403
    )
    shown = {s["name"]: s["value"] for s in admin.get("/v1/settings").json()["items"]}
    assert shown["auth"] == "oidc"


async def test_subscribers_see_changes_of_accounts_only_with_the_right_and_never_a_verifier(server, admin):
    seen: dict[str, list[str]] = {}
    for role in ("auditor", "viewer"):
        key = key_of(admin, role, actor=f"look-{role}")
        async with connect(f"{server.url.replace('http', 'ws')}/v1/events?position=start", additional_headers=bearer(key)) as socket:
            seen[role] = []
            await asyncio.to_thread(admin.post, "/v1/messages", json={"name": f"mark-{role}"})
            while f"mark-{role}" not in (text := await asyncio.wait_for(socket.recv(), 60)):
                seen[role].append(text)
    accounts = [t for t in seen["auditor"] if '"registry":"identity"' in t.replace(" ", "")]
    assert any("api-key:" in t and "look-auditor" in t for t in accounts) and any("user:admin" in t for t in accounts)
    assert not any("identity" in t for t in seen["viewer"])


def test_no_secret_stands_on_the_log_or_in_what_was_logged(server, admin, said, capfd):
    key = key_of(admin, "viewer", actor="last")
    httpx2.get(f"{server.url}/v1/me", headers=bearer(key))
    rows = server.system.accounts.known
    verifiers = [k.verifier for k in rows.keys.values()] + [u.password.encode() for u in rows.users.values() if u.password]
    session = admin.cookies["flowledger_session"]
    opens = [PASSWORD, key["key"], key["key"].split("_", 2)[2], session, admin.headers["x-csrf-token"], "$argon2"]
    out = capfd.readouterr()
    files = [p.read_bytes() for p in server.data.rglob("*") if p.is_file() and "postgres" not in p.parts]
    assert files and any(b"identity" in f for f in files), "what is looked for is looked for in the right place"
    for data in (*files, out.out.encode(), out.err.encode()):
        assert not any(secret.encode() in data for secret in opens) and not any(v in data or v.hex().encode() in data for v in verifiers)
    assert said.getvalue().count("/sign-in#") == 1

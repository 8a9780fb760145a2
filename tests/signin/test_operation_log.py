"""The log of operations of a whole server with sign-in: what was granted and what was refused at each door is found with all that it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import grpc
import httpx2
import pytest
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from flowledger.processors.sparing import EACH_MAX
from flowledger.sdk import Flow
from tests.signin.conftest import PASSWORD, first_admin, local_server

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(240)]
WAITS = Flow("waits").start().user("wait").end()
WORKS = Flow("works").start().service("do", job="op-job").end()


@pytest.fixture(scope="module")
def server(empty_database: Any, tmp_path_factory: pytest.TempPathFactory):
    with local_server(empty_database, tmp_path_factory.mktemp("operations")) as found:
        yield found


@pytest.fixture(scope="module")
def admin(server):
    http = first_admin(server.url, server.system.said)
    files = [{"name": f"{f.id}.bpmn", "content": f.xml().decode()} for f in (WAITS, WORKS)]
    made = http.post("/v1/deployments", json={"resources": files})
    assert made.status_code == 201, made.text
    return http


@pytest.fixture(scope="module")
def keys(admin) -> dict[str, dict[str, Any]]:
    """Role -> its key; who has it is called by it."""
    made = {}
    for role in ("operator", "viewer", "machine", "auditor"):
        answer = admin.post("/v1/api-keys", json={"name": "t", "actor": f"the-{role}", "roles": [role]})
        assert answer.status_code == 201, answer.text
        made[role] = answer.json()
    return made


def http_of(server, key: dict[str, Any], agent: str = "tests/1.0") -> httpx2.Client:
    return httpx2.Client(base_url=server.url, timeout=60, headers={"authorization": f"Bearer {key['key']}", "user-agent": agent})


def started(admin, process: str = "waits") -> str:
    made = admin.post("/v1/instances", json={"definition": process, "variables": {"id": "x", "amount": 1}})
    assert made.status_code == 201, made.text
    return made.json()["id"]


def found(http: httpx2.Client, wanted: int = 1, **query: Any) -> list[dict[str, Any]]:
    """What the log says, once there are so many rows: refusals at a door are told by somebody whom nobody waits for."""
    deadline = time.monotonic() + 60
    while True:
        answer = http.get("/v1/operations", params=query)
        assert answer.status_code == 200, answer.text
        items = answer.json()["items"]
        if len(items) >= wanted:
            return items
        assert time.monotonic() < deadline, (query, items)
        time.sleep(0.05)


SHARED = ("actor", "operation", "kind", "subject", "instance", "outcome", "door", "address", "agent", "roles", "credential")


@pytest.mark.req("D-SEC-002", "APG-DAT-006", "D-API-008", "D-API-010")
def test_over_http_what_was_granted_and_what_was_refused(server, admin, keys):
    instance, operator, viewer = started(admin), http_of(server, keys["operator"]), http_of(server, keys["viewer"])
    auditor = http_of(server, keys["auditor"])
    done = operator.post(f"/v1/instances/{instance}/suspend", json={"reason": "the till is shut"})
    again = operator.post(f"/v1/instances/{instance}/suspend", json={"reason": "once more"})
    forbidden = viewer.post(f"/v1/instances/{instance}/cancel", json={"reason": "I don't like it"})
    missing = admin.post("/v1/definitions/no-such/archive", json={})
    assert [a.status_code for a in (done, again, forbidden, missing)] == [200, 409, 403, 404]
    assert found(auditor, 1, subject="no-such")[0]["operation"] == "archive_definition", "refused by the door: there is no command about it"
    told = {(o["operation"], o["outcome"]): o for o in found(auditor, 3, instance=instance)}
    me = (instance, instance, "http", "127.0.0.1", "tests/1.0")
    shared = {n: tuple(o[k] if k != "roles" else tuple(o[k]) for k in SHARED) for n, o in told.items()}
    by = {r: ((r,), f"key:{keys[r]['id']}") for r in ("operator", "viewer")}
    assert shared == {
        (name, outcome): (f"the-{who}", name, "instance", *me[:2], outcome, *me[2:], *by[who])
        for name, outcome, who in (
            ("suspend_instance", "granted", "operator"),
            ("suspend_instance", "refused", "operator"),
            ("cancel_instance", "refused", "viewer"),
        )
    } | {("start_instance", "granted"): shared[("start_instance", "granted")]}
    person = told[("start_instance", "granted")]
    assert (person["actor"], person["credential"], person["roles"]) == ("admin", "session", ["administrator"]), "a person's start has a row"
    suspended, refused = told[("suspend_instance", "granted")], told[("suspend_instance", "refused")]
    assert suspended["reason"] == "the till is shut" and refused["reason"] == "once more"
    assert (refused["code"], refused["before"], refused["after"]) == ("INVALID_STATE", None, None) and "suspended" in refused["message"]
    no_right = told[("cancel_instance", "refused")]
    assert (
        no_right["code"] == "FORBIDDEN" and "instances:control" in no_right["message"] and no_right["details"]["path"].endswith("/cancel")
    )
    assert suspended["after"] == done.json()["position"] and suspended["causation_id"].startswith("request:") and suspended["time"]
    before, after = (
        auditor.get(f"/v1/instances/{instance}/state", params={"at": suspended[k]}).json()["status"] for k in ("before", "after")
    )
    assert (before, after) == ("running", "suspended"), "the links lead to how it was, and how it became"
    events = auditor.get(f"/v1/instances/{instance}/events").json()["items"]
    assert not any(e["type"].startswith("operation.") for e in events), "from where somebody came isn't part of the instance's history"


@pytest.mark.req("D-SEC-002")
def test_over_grpc_what_was_granted_and_what_was_refused(server, admin, keys):
    instance = started(admin)
    operator, machine = ([("authorization", f"Bearer {keys[r]['key']}")] for r in ("operator", "machine"))
    with grpc.insecure_channel(server.system.grpc_address) as channel:
        stub = GatewayStub(channel)
        wish = pb.CancelProcessInstanceRequest(processInstanceKey=int(instance))
        with pytest.raises(grpc.RpcError):
            stub.CancelProcessInstance(wish, metadata=machine)
        stub.CancelProcessInstance(wish, metadata=operator)
        with pytest.raises(grpc.RpcError):
            stub.CancelProcessInstance(wish, metadata=operator)
        with pytest.raises(grpc.RpcError):
            stub.CreateProcessInstance(
                pb.CreateProcessInstanceRequest(bpmnProcessId="waits", version=-1, tenantId="elsewhere"), metadata=machine
            )
    auditor = http_of(server, keys["auditor"])
    rows = found(auditor, 3, instance=instance, operation="cancel_instance")
    assert {(o["actor"], o["outcome"], o["code"], o["door"], tuple(o["roles"]), o["credential"]) for o in rows} == {
        ("the-machine", "refused", "FORBIDDEN", "grpc", ("machine",), f"key:{keys['machine']['id']}"),
        ("the-operator", "granted", "", "grpc", ("operator",), f"key:{keys['operator']['id']}"),
        ("the-operator", "refused", "NOT_FOUND", "grpc", ("operator",), f"key:{keys['operator']['id']}"),
    }
    assert all(o["address"] == "127.0.0.1" and "grpc" in o["agent"] for o in rows)
    foreign = found(auditor, 1, actor="the-machine", operation="start_instance", door="grpc", outcome="refused")
    assert (foreign[0]["code"], foreign[0]["subject"]) == ("FORBIDDEN", "waits") and "elsewhere" in foreign[0]["message"]


def cli(server, key: dict[str, Any], *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "FLOWLEDGER_SERVER": server.url, "FLOWLEDGER_API_KEY": key["key"]}
    return subprocess.run([sys.executable, "-m", "flowledger", *words], env=env, capture_output=True, text=True, timeout=120)


@pytest.mark.req("D-SEC-002")
def test_by_the_command_line_it_is_done_and_it_is_read(server, admin, keys):
    instance = started(admin)
    assert cli(server, keys["viewer"], "cancel", instance, "--reason", "no").returncode != 0
    assert cli(server, keys["operator"], "cancel", instance, "--reason", "asked by the shop").returncode == 0
    found(http_of(server, keys["auditor"]), 3, instance=instance)
    said = cli(server, keys["auditor"], "operations", "--instance", instance, "--json")
    assert said.returncode == 0, said.stderr
    rows = json.loads(said.stdout)
    told = {(o["actor"], o["outcome"]): o for o in rows if o["operation"] == "cancel_instance"}
    assert set(told) == {("the-viewer", "refused"), ("the-operator", "granted")}
    assert told[("the-operator", "granted")]["reason"] == "asked by the shop"
    assert all(o["agent"].startswith("flowledger-cli/") for o in told.values())
    shown = cli(server, keys["auditor"], "operations", "--instance", instance, "--operation", "cancel_instance")
    assert shown.returncode == 0 and "the-operator" in shown.stdout and "refused" in shown.stdout, shown.stdout
    refused = cli(server, keys["viewer"], "operations")
    assert refused.returncode != 0 and "operations:read" in refused.stderr


def test_who_changed_this_variable_is_one_query(server, admin, keys):
    instance, operator, machine = started(admin, "works"), http_of(server, keys["operator"]), http_of(server, keys["machine"])
    changed = operator.patch(f"/v1/instances/{instance}/variables", json={"variables": {"amount": 5}, "reason": "a typing error"})
    operator.patch(f"/v1/instances/{instance}/variables", json={"variables": {"other": 5}})
    jobs = machine.post("/v1/jobs/activate", json={"type": "op-job", "worker": "w", "max": 100, "wait_ms": 5000}).json()["jobs"]
    for job in jobs:
        machine.post(f"/v1/jobs/{job['key']}/complete", json={"variables": {"amount": 7}})
    assert changed.status_code == 200 and instance in {job["instance"] for job in jobs}
    rows = found(http_of(server, keys["auditor"]), 3, instance=instance, variable="amount")
    assert [(o["operation"], o["actor"], o["recorded"]) for o in rows] == [
        ("complete_task", "the-machine", "history"), ("set_variables", "the-operator", "operation"), ("start_instance", "admin", "operation"),
    ]  # fmt: skip
    assert rows[1]["reason"] == "a typing error" and rows[1]["names"] == ["amount"]
    states = [operator.get(f"/v1/instances/{instance}/state", params={"at": o["after"]}).json()["variables"]["amount"] for o in rows]
    assert states == [7, 5, 1]


def test_what_services_do_all_day_adds_nothing_and_is_read_from_the_history(server, admin, keys):
    machine, auditor = http_of(server, keys["machine"]), http_of(server, keys["auditor"])
    made = machine.post("/v1/instances", json={"definition": "works", "variables": {}}).json()
    jobs = machine.post("/v1/jobs/activate", json={"type": "op-job", "worker": "w", "max": 100, "wait_ms": 5000}).json()["jobs"]
    for job in jobs:
        last = machine.post(f"/v1/jobs/{job['key']}/complete", json={}).json()["position"]
    instance = made["id"]
    assert found(auditor, 0, instance=instance, wait_for=last) == []
    rows = found(auditor, 2, instance=instance, services="true")
    assert [(o["operation"], o["actor"], o["recorded"], o["outcome"]) for o in rows] == [
        ("complete_task", "the-machine", "history", "granted"), ("start_instance", "the-machine", "history", "granted"),
    ]  # fmt: skip
    some = found(auditor, 1, services="true", since=rows[1]["time"], operation="start_instance", limit=1000)
    assert instance in {o["instance"] for o in some}
    assert auditor.get("/v1/operations", params={"services": "true"}).status_code == 422


def test_filters_and_pages(server, admin, keys):
    operator, auditor = http_of(server, keys["operator"]), http_of(server, keys["auditor"])
    instance = started(admin)
    for n in range(5):
        operator.patch(f"/v1/instances/{instance}/variables", json={"variables": {f"v{n}": n}, "reason": str(n)})
    rows = found(auditor, 5, instance=instance, operation="set_variables")
    assert [o["reason"] for o in rows] == ["4", "3", "2", "1", "0"]
    pages, cursor = [], None
    while True:
        query = {"instance": instance, "operation": "set_variables", "limit": 2, "cursor": cursor}
        page = auditor.get("/v1/operations", params={k: v for k, v in query.items() if v is not None}).json()
        pages.append([o["reason"] for o in page["items"]])
        if (cursor := page["cursor"]) is None:
            break
    assert pages == [["4", "3"], ["2", "1"], ["0"]]
    for query, n in (
        ({"actor": "the-operator"}, 5), ({"actor": "nobody"}, 0), ({"kind": "instance", "subject": instance}, 6), ({"variable": "v3"}, 1),
        ({"outcome": "refused"}, 0), ({"outcome": "granted"}, 6), ({"door": "grpc"}, 0), ({"since": rows[1]["time"]}, 2), ({"until": rows[4]["time"]}, 1),
        ({"code": "FORBIDDEN"}, 0), ({"operation": "set_variables,start_instance"}, 6),
    ):  # fmt: skip
        answer = auditor.get("/v1/operations", params={"instance": instance, **query})
        assert answer.status_code == 200 and len(answer.json()["items"]) == n, (query, answer.text)


@pytest.mark.req("APG-TEN-002")
def test_a_tenant_sees_its_own_and_who_lacks_the_right_sees_none(server, admin, keys):
    made = admin.post("/v1/users", json={"name": "tina", "roles": ["operator"], "tenants": ["acme"]})
    assert made.status_code == 201, made.text
    tina = httpx2.Client(base_url=server.url, timeout=60)
    said = tina.post("/v1/session/link", json={"link": made.json()["link"].partition("#")[2], "password": PASSWORD})
    tina.headers["x-csrf-token"] = said.json()["csrf"]
    instance = started(admin)
    assert tina.post(f"/v1/instances/{instance}/cancel", json={"reason": "not mine"}).status_code == 404
    rows = found(tina, 1)
    assert {(o["actor"], o["code"], o["subject"], o["credential"]) for o in rows} == {("tina", "NOT_FOUND", instance, "session")}
    assert not any(o["actor"] == "tina" for o in found(http_of(server, keys["auditor"]), 1, instance=instance))
    for role in ("viewer", "machine"):
        assert http_of(server, keys[role]).get("/v1/operations").status_code == 403
    assert found(admin, 1, kind="account") and found(http_of(server, keys["operator"]), 0, kind="account") == []


def test_what_nobody_asked_for_is_refused_as_ever(server, admin, keys):
    """Doors that are open to all: a password that is too short, by a link that is not good."""
    http = httpx2.Client(base_url=server.url, timeout=60)
    for path, body in (
        ("/v1/session/link", {"link": "x", "password": "short"}),
        ("/callbacks/none", {}),
        ("/v1/session", {"name": "x", "password": "y"}),
    ):
        assert 400 <= http.post(path, json=body).status_code < 500, path


def test_nobody_can_flood_the_log(server, admin, keys):
    made = admin.post("/v1/api-keys", json={"name": "t", "actor": "the-flood", "roles": ["operator"]}).json()
    flood, auditor = http_of(server, made), http_of(server, keys["auditor"])
    instance = started(admin)
    for _ in range(EACH_MAX + 30):
        assert flood.post(f"/v1/instances/{instance}/resume", json={}).status_code == 409
        assert flood.delete("/v1/users/nobody").status_code == 403
    found(auditor, 2 * EACH_MAX, actor="the-flood", limit=1000)
    time.sleep(0.5)
    rows = found(auditor, 0, actor="the-flood", limit=1000)
    assert len(rows) == 2 * EACH_MAX, "so many by the door, and so many by the partition"


def assistant(server, key: dict[str, Any], *calls: tuple[str, dict[str, Any]], more: tuple[str, ...] = ()) -> list[Any]:
    """What `flowledger mcp` says to an assistant that calls these tools: (failed, text)."""
    asked = [
        {
            "jsonrpc": "2.0",
            "id": 0,
            "method": "initialize",
            "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {}},
        }
    ]
    asked.append({"jsonrpc": "2.0", "method": "notifications/initialized"})
    asked += [
        {"jsonrpc": "2.0", "id": i, "method": "tools/call", "params": {"name": n, "arguments": a}} for i, (n, a) in enumerate(calls, 1)
    ]
    env = {**os.environ, "FLOWLEDGER_SERVER": server.url, "FLOWLEDGER_API_KEY": key["key"]}
    lines = "".join(json.dumps(a) + "\n" for a in asked)
    said = subprocess.run(
        [sys.executable, "-m", "flowledger", "mcp", *more], env=env, input=lines, capture_output=True, text=True, timeout=120
    )
    assert said.returncode == 0 and said.stderr == "", said.stderr
    first, *rest = [json.loads(line) for line in said.stdout.splitlines()]
    assert first["id"] == 0 and first["result"]["serverInfo"]["name"] == "flowledger"
    return [(r["result"]["isError"], r["result"]["content"][0]["text"]) if "result" in r else r["error"]["message"] for r in rest]


@pytest.mark.req("D-SEC-002")
def test_an_assistant_may_do_what_its_key_may(server, admin, keys):
    """By `flowledger mcp`: a refusal is the tool's error, and the log of operations has both."""
    [(failed, text)] = assistant(server, keys["viewer"], ("start_waits", {"variables": {}}))
    assert failed and "instances:start" in text, text
    [(failed, text)] = assistant(server, keys["operator"], ("start_waits", {"business_key": "by-mcp"}))
    assert not failed, text
    instance = json.loads(text)["id"]
    found(http_of(server, keys["auditor"]), 1, actor="the-viewer", operation="start_instance", outcome="refused")
    [(failed, text)] = assistant(server, keys["viewer"], ("get_instance", {"id": instance}))
    assert not failed and (json.loads(text)["id"], json.loads(text)["initiator"]) == (instance, "the-operator")
    assert assistant(server, keys["operator"], ("start_waits", {}), more=("--read-only",)) == ["there is no tool start_waits"]

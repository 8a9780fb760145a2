"""What requests become as commands, and answers as JSON."""

from __future__ import annotations

from decimal import Decimal

import pytest

from flowledger.events import commands as c
from flowledger.events.base import RejectionCode

KEY = 2 << 51 | 7


@pytest.mark.req("D-API-006")
async def test_start_answers_with_a_text_key_and_a_place(http, client):
    client.answers["StartInstance"] = {
        "key": KEY,
        "definition": 5,
        "process": "order",
        "version": 2,
        "status": "running",
        "position": "2-17",
    }
    body = {"definition": "order", "variables": {"amount": 1.10, "n": 3}, "priority": "high", "business_key": "b"}
    r = await http.post("/v1/instances", json=body, headers={"X-Actor": "ann", "X-Tenant": "acme", "X-Correlation-Id": "corr-1"})
    assert r.status_code == 201
    assert r.json() == {"id": str(KEY), "definition": "5", "process": "order", "version": 2, "status": "running", "position": "2-17"}
    assert r.headers["location"] == f"/v1/instances/{KEY}"
    command, caller, how = client.calls[-1]
    assert (command.id, command.definition, command.priority, command.wait) == ("order", 0, 60, False)
    assert command.variables["amount"] == Decimal("1.1") and isinstance(command.variables["amount"], Decimal)
    assert (caller.actor, caller.tenant, caller.correlation) == ("ann", "acme", "corr-1")
    assert how["id"] == "" and how["partition"] is None


async def test_exact_numbers_survive_both_ways(http, client):
    client.answers["StartInstance"] = lambda s: {"key": 1, "variables": s.variables, "position": ""}
    r = await http.post(
        "/v1/instances",
        content=b'{"definition": "p", "variables": {"x": 0.1234567890123456789}}',
        headers={"Content-Type": "application/json"},
    )
    assert b"0.1234567890123456789" in r.content


async def test_start_by_key_and_with_wait(http, client):
    client.answers["StartInstance"] = {"key": 9, "status": "completed", "variables": {"id": 3}, "position": "0-1"}
    r = await http.post("/v1/instances", json={"definition": "123", "wait_ms": 700, "fetch": ["id"]})
    assert r.json()["variables"] == {"id": 3}, "callers' data isn't touched"
    command, _, how = client.calls[-1]
    assert (command.definition, command.id, command.wait, command.fetch) == (123, "", True, ["id"])
    assert how["timeout_s"] == 0.7


async def test_an_idempotency_key_goes_along_and_always_to_the_same_partition(http, client):
    client.answers["StartInstance"] = {"key": 9, "position": "0-1"}
    for _ in range(2):
        await http.post("/v1/instances", json={"definition": "p"}, headers={"Idempotency-Key": "abc"})
    first, second = (how for _, _, how in client.calls)
    assert first == second and first["id"] == "abc" and first["partition"] in range(4)
    r = await http.post("/v1/instances", json={"definition": "p"}, headers={"Idempotency-Key": "x" * 201})
    assert r.status_code == 400 and "200 characters" in r.json()["detail"]


async def test_tenants_do_not_share_idempotency_keys(http, client):
    client.answers["StartInstance"] = {"key": 9, "position": "0-1"}
    await http.post("/v1/instances", json={"definition": "p"}, headers={"Idempotency-Key": "abc", "X-Tenant": "t"})
    assert client.calls[-1][2]["id"] == "t/abc"


@pytest.mark.parametrize(
    ("method", "path", "body", "command"),
    [
        ("POST", f"/v1/instances/{KEY}/cancel", {"reason": "r", "force": True}, c.CancelInstance(key=KEY, reason="r", force=True)),
        ("POST", f"/v1/instances/{KEY}/cancel", None, c.CancelInstance(key=KEY)),
        ("POST", f"/v1/instances/{KEY}/suspend", {"reason": "r"}, c.ControlInstance(key=KEY, move="suspend", reason="r")),
        ("POST", f"/v1/instances/{KEY}/resume", None, c.ControlInstance(key=KEY, move="resume")),
        ("POST", f"/v1/instances/{KEY}/pause", None, c.ControlInstance(key=KEY, move="pause")),
        ("POST", f"/v1/instances/{KEY}/unpause", None, c.ControlInstance(key=KEY, move="unpause")),
        ("PATCH", f"/v1/instances/{KEY}/variables", {"variables": {"a": 1}}, c.SetVariables(key=KEY, variables={"a": 1})),
        (
            "PATCH",
            f"/v1/instances/{KEY}/variables",
            {"variables": {"a": 1}, "scope": "77", "local": True, "reason": "r"},
            c.SetVariables(key=77, variables={"a": 1}, local=True, reason="r"),
        ),
        (
            "POST",
            f"/v1/instances/{KEY}/modify",
            {"activate": [{"element": "e", "variables": {"v": 1}, "scope": "8"}], "terminate": ["9"], "reason": "r"},
            c.ModifyInstance(key=KEY, activate=[{"element": "e", "variables": {"e": {"v": 1}}, "ancestor": 8}], terminate=[9], reason="r"),
        ),
        (
            "POST",
            f"/v1/instances/{KEY}/migrate",
            {"definition": "5", "elements": {"a": "b"}, "reason": "r"},
            c.MigrateInstance(key=KEY, definition=5, elements={"a": "b"}, reason="r", same_ids=True),
        ),
        ("POST", "/v1/tasks/7/complete", {"variables": {"ok": True}}, c.CompleteTask(task=7, variables={"ok": True})),
        ("POST", "/v1/tasks/7/complete", None, c.CompleteTask(task=7, variables={})),
        (
            "POST",
            "/v1/tasks/7/fail",
            {"message": "m", "escalation_required": True},
            c.FailTask(task=7, message="m", details={"escalation_required": True}),
        ),
        (
            "POST",
            "/v1/tasks/7/assign",
            {"assignee": "ann", "row_version": 3},
            c.MoveTask(task=7, move="assign", details={"assignee": "ann"}, row_version=3),
        ),
        ("POST", "/v1/tasks/7/claim", None, c.MoveTask(task=7, move="claim")),
        ("POST", "/v1/tasks/7/progress", {"percent": 40}, c.MoveTask(task=7, move="progress", details={"percent": 40.0})),
        ("POST", "/v1/tasks/7/update", {"priority": "urgent"}, c.MoveTask(task=7, move="update", details={"priority": 100})),
        ("POST", "/v1/tasks", {"name": "call", "priority": 80}, c.CreateTask(name="call", priority=80)),
        ("POST", "/v1/jobs/7/complete", {"variables": {"x": 1}, "fence": 2}, c.CompleteTask(task=7, variables={"x": 1}, fence=2)),
        (
            "POST",
            "/v1/jobs/7/complete",
            {"status": "partial_success", "result": {"summary": "half"}},
            c.CompleteTask(task=7, variables={}, status="partial_success", result={"summary": "half"}),
        ),
        (
            "POST",
            "/v1/jobs/7/fail",
            {"message": "m", "retries": 0, "backoff_ms": 5},
            c.FailTask(task=7, message="m", retries=0, backoff_ms=5),
        ),
        ("POST", "/v1/jobs/7/error", {"code": "E"}, c.ThrowTaskError(task=7, code="E")),
        ("POST", "/v1/jobs/7/extend", {"timeout_ms": 10}, c.ExtendLease(task=7, timeout_ms=10)),
        ("POST", "/v1/jobs/7/retries", {"retries": 2}, c.UpdateRetries(task=7, retries=2)),
        (
            "POST",
            "/v1/messages",
            {"name": "paid", "correlation_key": "o-1", "ttl_ms": 9, "message_id": "i"},
            c.PublishMessage(name="paid", correlation_key="o-1", variables={}, ttl_ms=9, message_id="i"),
        ),
        ("POST", "/v1/signals", {"name": "stop"}, c.BroadcastSignal(name="stop", variables={})),
        ("POST", "/v1/conditions/evaluate", {"variables": {"level": 3}}, c.EvaluateConditions(variables={"level": 3})),
        ("POST", "/v1/incidents/7/resolve", None, c.ResolveIncident(key=7)),
        ("POST", "/v1/decisions/evaluate", {"decision": "d", "inputs": {"a": 1}}, c.EvaluateDecision(id="d", variables={"a": 1})),
        ("POST", "/v1/definitions/7/publish", None, c.ChangeDefinition(key=7, move="publish")),
        ("PUT", "/v1/definitions/7", {"content": "<x/>"}, c.ChangeDefinition(key=7, move="draft", content="<x/>")),
        ("DELETE", "/v1/definitions/7?reason=old", None, c.ChangeDefinition(key=7, move="delete", reason="old")),
        (
            "POST",
            "/v1/definitions",
            {"name": "a.bpmn", "content": "<x/>"},
            c.Deploy(resources=[c.Resource("a.bpmn", "<x/>")], status="draft"),
        ),
    ],
)
async def test_each_request_is_one_command(http, client, method, path, body, command):
    r = await http.request(method, path, **({"json": body} if body is not None else {}))
    assert r.status_code in (200, 201), r.text
    assert client.last == command
    assert r.json()["position"] == "2-41"


@pytest.mark.req("D-API-001")
async def test_deploy_as_json_and_as_files(http, client):
    client.answers["Deploy"] = {
        "deployment": 3,
        "definitions": [{"key": 4, "id": "order", "kind": "process", "version": 1, "resource": "a.bpmn", "duplicate": False}],
        "position": "0-3",
    }
    r = await http.post("/v1/deployments", json={"resources": [{"name": "a.bpmn", "content": "<x/>"}]})
    assert r.status_code == 201
    assert r.json()["deployment"] == "3" and r.json()["definitions"] == [
        {
            "id": "4",
            "key": "4",
            "definition_id": "order",
            "process": "order",
            "kind": "process",
            "version": 1,
            "resource": "a.bpmn",
            "duplicate": False,
        }
    ]
    one = client.last
    r = await http.post("/v1/deployments", files={"resources": ("a.bpmn", b"<x/>", "text/xml")})
    assert r.status_code == 201 and client.last == one
    r = await http.post("/v1/deployments", files=[("f", ("a.bpmn", b"<x/>")), ("f", ("b.dmn", b"<y/>"))], data={"status": "draft"})
    assert [x.name for x in client.last.resources] == ["a.bpmn", "b.dmn"] and client.last.status == "draft"
    r = await http.post("/v1/deployments", files={"resources": ("a.bpmn", b"<x>\xff</x>", "text/xml")})
    assert r.status_code == 400 and r.json()["errors"][0]["where"] == "file a.bpmn"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (RejectionCode.NOT_FOUND, 404),
        (RejectionCode.INVALID_ARGUMENT, 422),
        (RejectionCode.INVALID_STATE, 409),
        (RejectionCode.ALREADY_EXISTS, 409),
        (RejectionCode.STALE, 409),
        (RejectionCode.FORBIDDEN, 403),
        (RejectionCode.RESOURCE_EXHAUSTED, 429),
        (RejectionCode.UNAVAILABLE, 503),
        (RejectionCode.DEADLINE_EXCEEDED, 504),
    ],
)
async def test_rejections_are_problem_details(http, client, code, status):
    from flowledger.events.base import Rejected

    client.answers["ResolveIncident"] = Rejected(code, "expected this, found that", 1500 if status in (429, 503) else 0)
    r = await http.post("/v1/incidents/7/resolve")
    assert r.status_code == status and r.headers["content-type"].startswith("application/problem+json")
    assert (r.json()["code"], r.json()["detail"], r.json()["status"]) == (code, "expected this, found that", status)
    assert r.headers.get("retry-after") == ("2" if status in (429, 503) else None)


def test_every_rejection_code_has_a_status():
    from flowledger.api.problems import STATUS

    assert {v for k, v in vars(RejectionCode).items() if k.isupper()} <= set(STATUS)


async def test_findings_of_a_bad_model_come_as_a_list(http, client):
    from flowledger.events.base import Rejected

    client.answers["Deploy"] = Rejected(
        RejectionCode.MODEL_INVALID, '[{"code": "NO_START", "message": "m", "severity": "error", "line": 4}]'
    )
    r = await http.post("/v1/deployments", json={"resources": [{"name": "a", "content": "<x/>"}]})
    assert r.status_code == 422 and r.json()["findings"][0]["code"] == "NO_START" and r.json()["detail"] == "1 error: see findings"


async def test_jobs_have_text_keys_and_a_readable_deadline(http, client):
    client.jobs = [
        {
            "key": KEY, "type": "pay", "instance": KEY + 1, "definition": 5, "element": "t", "headers": {"key": "v"},
            "variables": {"id": 1},
            "attempt": 1, "retries": 3, "deadline": 1_790_000_000_000_000, "idempotency_key": f"{KEY}-1", "fence": 1,
        }
    ]  # fmt: skip
    r = await http.post("/v1/jobs/activate", json={"type": "pay", "worker": "w", "max": 5, "timeout_ms": 1000, "variables": ["id"]})
    (job,) = r.json()["jobs"]
    assert job["key"] == str(KEY) and job["instance"] == str(KEY + 1) and job["definition"] == "5"
    assert job["headers"] == {"key": "v"} and job["variables"] == {"id": 1}
    assert job["deadline"] == "2026-09-21T14:13:20.000000Z"
    assert client.activations == [("pay", "w", 5, 1000, 0, ["id"])]


async def test_a_dmn_text_is_evaluated_without_deploying(http, client):
    dmn = """<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="d" namespace="n">
      <inputData id="i" name="amount"><variable name="amount" typeRef="number"/></inputData>
      <decision id="big" name="Big"><variable name="Big" typeRef="boolean"/>
        <informationRequirement id="r"><requiredInput href="#i"/></informationRequirement>
        <literalExpression><text>amount &gt; 100</text></literalExpression></decision></definitions>"""
    r = await http.post("/v1/decisions/evaluate", json={"dmn": dmn, "decision": "Big", "inputs": {"amount": 101}})
    assert r.status_code == 200 and r.json()["output"] is True, r.text
    r = await http.post("/v1/decisions/evaluate", json={"dmn": "<x>", "decision": "Big"})
    assert r.status_code == 422 and not client.calls


async def test_a_start_is_asked_for_once_and_a_change_says_who_has_not_heard(http, client):
    from flowledger.events.base import Rejected

    client.answers["StartInstance"] = Rejected(RejectionCode.NOT_FOUND, "no process")
    client.answers["Deploy"] = {"deployment": 3, "definitions": [{"key": 4, "id": "fresh"}], "position": "0-3", "epoch": 7, "waiting": [2]}
    r = await http.post("/v1/deployments", json={"resources": [{"name": "a.bpmn", "content": "<x/>"}]})
    assert r.json()["epoch"] == 7 and r.json()["waiting"] == [2]
    r = await http.post("/v1/instances", json={"definition": "fresh"}, headers={"Idempotency-Key": "k"})
    assert r.status_code == 404 and len([1 for _, _, how in client.calls if how["id"] == "k"]) == 1

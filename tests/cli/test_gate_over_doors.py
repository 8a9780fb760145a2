"""The gate over all doors: every route of the OpenAPI document, both streams of events, the stream of jobs and every call of the gateway, asked by a
foreign tenant for the things of another. None shows one, none acts: the log has no event of the other tenant more than before."""

from __future__ import annotations

import asyncio
import json
import time

import grpc
import httpx2
import pytest
from google.protobuf.message import Message
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from flowledger.processors.log import COMMANDS, Group
from flowledger.processors.recovery import counted
from flowledger.sdk import Flow
from flowledger.stores import make_log

pytestmark = [pytest.mark.req("APG-TEN-002", "D-SEC-002"), pytest.mark.timeout(240)]
MARK = "ours-of-bb"  # stands in every name and value of tenant b
OF_B = '"tenant":"b"'  # in each event of it
B, A = {"X-Tenant": "b", "X-Actor": f"{MARK}-ann"}, {"X-Tenant": "a", "X-Actor": "mallory"}
WAITS = f"""<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<message id="m" name="{MARK}-paid"><extensionElements><zeebe:subscription correlationKey="=k"/></extensionElements></message>
<signal id="g" name="{MARK}-go"/><process id="{MARK}-waits" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="w"/>
<eventBasedGateway id="w"/><sequenceFlow id="f2" sourceRef="w" targetRef="c1"/><sequenceFlow id="f3" sourceRef="w" targetRef="c2"/>
<intermediateCatchEvent id="c1"><messageEventDefinition messageRef="m"/></intermediateCatchEvent>
<intermediateCatchEvent id="c2"><signalEventDefinition signalRef="g"/></intermediateCatchEvent></process></definitions>"""
DMN = f"""<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="{MARK}-d" name="d" namespace="n"><decision id="{MARK}-dec"
 name="dec"><variable name="dec"/><literalExpression><text>"{MARK}"</text></literalExpression></decision></definitions>"""
WORK = Flow(f"{MARK}-work").start().service("do", job=f"{MARK}-job", retries=3).end().xml().decode()
BAD = Flow(f"{MARK}-bad").start().service("do", job="=missing + 1").end().xml().decode()
DRAFT = Flow(f"{MARK}-draft").start().end().xml().decode()
TRIGGER = json.dumps({
    "format": "flowledger/trigger@1", "name": MARK, "source": {"schedule": {"cron": "0 7 1 1 *"}}, "start": {"process": f"{MARK}-work"},
})  # fmt: skip
RULES = json.dumps({
    "format": "flowledger/rules@1", "name": MARK, "title": MARK,
    "rules": [{"id": "a", "on": "task", "severity": "info", "applies": {"definitions": ["none"]}, "holds": "true", "message": MARK}],
})  # fmt: skip
WEBHOOK = {"url": f"https://{MARK}.example/", "secrets": ["{{secrets.HOOK}}"], "types": ["workflow.completed"]}
APPROVAL, ADVICE = "a" * 24, "b" * 16
ALERT = {"measure": "failed", "above": 1000000, "title": MARK}


@pytest.fixture(scope="module")
def door(server_with_grpc):
    return server_with_grpc


class World:
    """Everything of tenant b. `of`: what the parameters of a path are filled with, by the noun before them."""

    def __init__(self, door) -> None:
        self.door, self.http = door, httpx2.Client(base_url=door.url, timeout=60)
        made = {}
        for name, content in (
            ("w.bpmn", WORK),
            ("s.bpmn", WAITS),
            ("b.bpmn", BAD),
            ("d.dmn", DMN),
            ("t.trigger.json", TRIGGER),
            ("r.rules.json", RULES),
        ):
            for d in self.b("POST", "/v1/deployments", {"resources": [{"name": f"{MARK}-{name}", "content": content}]})["definitions"]:
                made[d["definition_id"]] = d["id"]
        self.definition, self.decision = made[f"{MARK}-work"], made[f"{MARK}-dec"]
        self.draft = self.b("POST", "/v1/definitions", {"name": f"{MARK}.bpmn", "content": DRAFT})["definitions"][0]["id"]
        self.drawing = self.b("POST", "/v1/drafts", {"name": MARK, "content": DRAFT})["id"]
        values = {"secret": MARK, "k": f"{MARK}-k"}
        started = [
            self.b("POST", "/v1/instances", {"definition": f"{MARK}-{p}", "variables": values}) for p in ("work", "waits", "bad", "work")
        ]
        self.instance = started[0]["id"]
        self.task = self.b("POST", "/v1/tasks", {"name": MARK, "details": {"candidate_groups": [MARK]}})["task"]
        self.job = self.b("POST", "/v1/jobs/activate", {"type": f"{MARK}-job", "worker": MARK, "timeout_ms": 600_000, "wait_ms": 9_000})[
            "jobs"
        ][0]["key"]
        self.b("PUT", f"/v1/directory/users/{MARK}", {"groups": [MARK]})
        self.b("PUT", f"/v1/task-definitions/{MARK}", {"type": "human_task", "name": MARK})
        asyncio.run(self.write(COMMANDS, json.dumps({"tenant": "b", "command": {"$": "CreateTask", "name": 7, "x": MARK}}).encode()))
        self.letter = self.until(lambda: self.b("GET", "/v1/dead-letters")["items"])[0]["id"]
        self.incident = self.until(lambda: self.b("GET", "/v1/incidents")["items"])[0]["id"]
        self.b("PUT", f"/v1/webhooks/{MARK}", WEBHOOK)
        self.b("PUT", f"/v1/alerts/{MARK}", ALERT)
        self.b("PUT", f"/v1/kpis/{MARK}", {"kind": "sla", "within": "PT1S", "description": MARK})
        self.b("PUT", f"/v1/saved-reports/{MARK}", {"measure": "started", "description": MARK})
        self.b("PUT", f"/v1/capabilities/{MARK}", {"operations": {"go": {}}})
        self.b("PUT", f"/v1/profiles/{MARK}", {"base_url": "https://api.example"})
        self.b("PUT", f"/v1/legal-holds/{MARK}", {"reason": MARK})
        self.b("PUT", f"/v1/subjects/{MARK}/consents/{MARK.lower()}", {"how": MARK})
        self.b("PUT", f"/v1/retention/{MARK.lower()}", {"after": "P99Y", "reason": MARK, "definition": MARK})
        waits = {
            "operation": "cancel_instance", "right": "", "method": "POST", "path": MARK, "digest": "d", "by": MARK, "reason": MARK, "at_us": 1,
            "until_us": 9 * 10**15, "status": "waiting",
        }  # fmt: skip
        record = {"$": "StoreRecord", "registry": "approval", "name": f"b/{APPROVAL}", "value": waits}
        asyncio.run(self.write(COMMANDS, json.dumps({"tenant": "b", "actor": MARK, "command": record}).encode()))
        self.until(lambda: self.http.get(f"/v1/approvals/{APPROVAL}", headers=B).status_code == 200)
        gain = {"what": "cycle_time", "by": "history", "mean_ms": 1, "from_ms": 1, "to_ms": 1, "of_ms": 9, "share": 0.1, "sure": True}
        told = {
            "id": ADVICE, "process": MARK, "version": 1, "kind": "staff", "elements": [MARK], "about": MARK, "evidence": {}, "gain": gain, "caution": "", "draft": {},
            "setting": {}, "scenario": {}, "state": "open", "found_us": 1, "learned_from": 1,
        }  # fmt: skip
        record = {"$": "StoreRecord", "registry": "advice", "name": f"b/{ADVICE}", "value": told}
        asyncio.run(self.write(COMMANDS, json.dumps({"tenant": "b", "actor": MARK, "command": record}).encode()))
        self.until(lambda: self.http.get(f"/v1/advice/{ADVICE}", headers=B).status_code == 200)
        assert self.http.post("/v1/tenants", json={"name": "b", "title": MARK}).status_code == 201
        self.of = {
            "tenants": "b",
            "instances": self.instance, "definitions": self.draft, "tasks": self.task, "jobs": self.job, "incidents": self.incident,
            "dead-letters": self.letter, "task-definitions": MARK, "users": MARK, "connectors": "http", "triggers": MARK, "webhooks": MARK, "capabilities": MARK,
            "profiles": MARK, "alerts": MARK, "kpis": MARK, "saved-reports": MARK, "subjects": MARK, "legal-holds": MARK, "retention": MARK.lower(),
            "approvals": APPROVAL, "advice": ADVICE, "drafts": self.drawing, "rules": MARK,
            "saved-views": self.b("POST", "/v1/saved-views", {"name": MARK, "page": "instances", "query": {"business_key": MARK}, "shared": "all"})["id"],
            "batches": self.b("POST", "/v1/batches", {"action": "cancel", "ids": [started[3]["id"]], "reason": MARK})["id"],
            "holds": self.b("POST", "/v1/holds", {"scope": "job_type", "key": f"{MARK}-none", "reason": MARK})["id"],
        }  # fmt: skip

    def b(self, method, path, body=None):
        for _ in range(100):
            r = self.http.request(method, path, json=body, headers=B)
            if r.status_code not in (429, 503):
                break
            time.sleep(0.2)
        assert r.status_code < 300, (path, r.text)
        return r.json()

    def until(self, look):
        deadline = time.monotonic() + 60
        while not (found := look()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return found

    async def write(self, topic, value):
        log = make_log(self.door.system.settings)
        await log.open()
        await log.append(topic, 0, Group([b"k"], [value]))
        await log.close()

    def events(self) -> list[tuple]:
        """Of tenant b, on the log; but for what the engine does by its clock."""

        async def read():
            log = make_log(self.door.system.settings, readonly=True)
            await log.open()
            out = [
                (p, r.offset, type(r.event).__name__, r.envelope.actor)
                for p in (0, 1) async for batch in counted(log, p) for r in batch if r.envelope.tenant == "b"
            ]  # fmt: skip
            await log.close()
            return out

        return asyncio.run(read())


@pytest.fixture(scope="module")
def world(door):
    found = World(door)
    yield found
    found.http.close()


def bodies(w: World) -> dict[str, dict]:
    """Bodies that the owner of the things could send."""
    return {
        "run_simulation": {"process": f"{MARK}-work"},
        "learn_predictions": {"process": f"{MARK}-work"},
        "use_prediction": {"process": f"{MARK}-work", "model": 1},
        "find_advice": {"process": f"{MARK}-work"},
        "evaluate_conditions": {"variables": {"x": 1}, "definition": w.definition}, "discard_dead_letter": {"reason": "x"},
        "replay_dead_letter": {"command": {"command": {"$": "CreateTask", "name": "x"}}}, "evaluate_decision": {"decision": f"{MARK}-dec", "inputs": {}},
        "place_hold": {"scope": "instance", "key": w.instance, "reason": "x"},
        "create_draft": {"name": "a", "content": "a"}, "save_draft": {"content": "stolen"}, "comment_draft": {"text": "a"},
        **{k: {"name": "a.bpmn", "content": DRAFT.replace(MARK, "aa")} for k in ("check_model", "convert_model", "compare_model")},
        "try_models": {"models": [{"name": "a.bpmn", "content": WORK.replace(MARK, "aa")}]},
        "create_definition": {"name": "a.bpmn", "content": DRAFT.replace(MARK, "aa")}, "edit_definition": {"content": DRAFT},
        "deploy": {"resources": [{"name": "a.bpmn", "content": WORK.replace(MARK, "aa")}]}, "put_entry": {"groups": ["x"]},
        **{k: {"name": "aa", "page": "tasks", "query": {}} for k in ("make_saved_view", "change_saved_view")},
        "start_instance": {"definition": w.definition}, "migrate_instance": {"definition": w.definition, "elements": {"do": "do"}},
        "make_tenant": {"name": "aa"}, "suspend_tenant": {"reason": "x"}, "change_tenant": {"title": "stolen"},
        "roll_back_instance": {"steps": 1}, "rerun_instance": {"element": "do"}, "plan_migration": {"from": w.definition, "to": w.definition},
        "modify_instance": {"activate": [{"element": "do"}]}, "comment_instance": {"text": "stolen"}, "set_variables": {"variables": {"secret": "stolen"}},
        "activate_jobs": {"type": f"{MARK}-job", "worker": "mallory", "max": 10, "timeout_ms": 60_000}, "error_job": {"code": "X"},
        "extend_job": {"timeout_ms": 1_000}, "retries_job": {"retries": 2}, "put_limit": {"concurrency": 1},
        "put_trigger": {"content": TRIGGER.replace(MARK, "aa")}, "test_trigger": {"context": {}},
        "put_webhook": {**WEBHOOK, "url": "https://aa.example/"}, "redeliver_webhook": {"dead": True}, "discard_webhook": {"dead": True},
        "put_alert": {**ALERT, "title": "aa"}, "silence_alert": {"minutes": 5},
        "replay_parked": {"ids": ["1"]}, "discard_parked": {"ids": ["1"]},
        "publish_message": {"name": f"{MARK}-paid", "correlation_key": f"{MARK}-k"}, "broadcast_signal": {"name": f"{MARK}-go"},
        "put_capability": {"operations": {"go": {}}}, "tell_capability": {"id": "1", "type": "x"}, "put_profile": {"base_url": "https://aa.example"},
        "put_kpi": {"kind": "time"}, "put_saved_report": {"measure": "wip"}, "try_report": {"report": {"measure": "wip", "group": "process"}},
        "put_report_schedule": {"cron": "0 7 * * *", "mail": {"host": "mail.example", "from": "a@aa.example", "to": ["b@aa.example"]}},
        **{k: {"reason": "x"} for k in ("erase_subject", "export_subject", "put_legal_hold")},
        "put_consent": {"how": "stolen"}, **{k: {"after": "P99Y", "reason": "x"} for k in ("put_retention", "preview_retention")},
        "put_task_definition": {"type": "human_task", "name": "x"}, "create_task": {"name": "x"},
        "create_batch": {"action": "cancel", "ids": [w.instance]}, "resolve_group_incident": {"confirm": 1}, "error": {"code": "X"},
    }  # fmt: skip


#: operations on what has a name: the same name is another thing with another tenant
OWN = frozenset(
    {
        "put_entry",
        "delete_entry",
        "put_task_definition",
        "delete_task_definition",
        "put_capability",
        "delete_capability",
        "put_profile",
        "delete_profile",
        "put_kpi",
        "delete_kpi",
        "put_saved_report",
        "delete_saved_report",
        "put_trigger",
        "put_webhook",
        "put_alert",
        "get_subject",
        "erase_subject",
        "export_subject",
        "put_legal_hold",
        "remove_legal_hold",
        "list_consents",
        "put_consent",
        "withdraw_consent",
        "put_retention",
        "preview_retention",
        "remove_retention",
    }
)
#: what any tenant may ask, for itself or of the server
OPEN = frozenset({
    "get_live", "get_ready", "get_metrics", "create_definition", "deploy", "activate_jobs", "publish_message", "broadcast_signal", "create_task",
    "list_workers", "workload", "try_report", "list_entries", "get_connector", "get_template", "list_uses",
    "create_draft", "make_saved_view", "check_model", "convert_model", "compare_model", "try_models", "create_batch", "apply_retention", "check_rules",
})  # fmt: skip
#: of one process, here another tenant's
REPORTS = frozenset({"heatmap", "bottlenecks", "comparison", "list_variants", "export", "list_forecasts", "list_anomalies"})
#: without sign-in there are none; with it: tests/signin
ACCOUNTS = frozenset({"me", "session", "users", "api-keys", "step-ups"})
MOVES = {"tasks": "claim", "definitions": "publish"}


def routes(w: World) -> list[tuple[str, str, str]]:
    paths = w.http.get("/v1/openapi.json").json()["paths"]
    return [(m.upper(), p, o["operationId"]) for p, ms in paths.items() for m, o in ms.items() if p != "/v1/events"]


def several(w: World) -> list[str]:
    """Reads in one, of what is another tenant's."""
    of_instance = [f"/instances/{w.instance}{part}" for part in ("", "/state", "/variables", "/events")]
    return [
        *of_instance,
        f"/tasks/{w.task}",
        f"/definitions/{w.definition}/source",
        f"/drafts/{w.drawing}",
        "/tasks",
        "/definitions",
        "/incidents/groups",
    ]


def test_no_route_shows_or_moves_what_is_another_tenants(world):
    before, said, known, wrong = world.events(), bodies(world), routes(world), []
    assert len(known) > 60
    for method, path, operation in known:
        noun = path.split("/")[2] if path.startswith("/v1/") else ""
        filled = path.replace("{kind}", "users").replace("{move}", MOVES.get(noun, ""))
        thing = world.of["users" if noun == "directory" else noun] if noun in world.of or noun == "directory" else ""
        if operation in ("put_trigger", "put_webhook", "put_alert"):
            thing = "aa"  # as its body says: b's could not be put by its name alone
        for name in ("id", "key", "name"):
            filled = filled.replace(f"{{{name}}}", str(thing))
        filled = filled.replace("{purpose}", MARK.lower())
        query = (
            {"target": f"tenant:{MARK}"}
            if path == "/v1/limits" and method != "GET"
            else {"to": world.draft}
            if path.endswith("/diff")
            else {"scope": "definition", "key": f"{MARK}-work"}
            if path == "/v1/holds/preview"
            else {"get": several(world)}
            if operation == "gathered"
            else {"process": f"{MARK}-work", **({"before": 1, "after": 2} if operation == "comparison" else {})}
            if operation in REPORTS
            else {}
        )
        found = world.http.request(
            method, filled, json=said.get(operation, {}) if method in ("POST", "PUT", "PATCH") else None, headers=A, params=query
        )
        about = (method, filled, operation, found.status_code, found.text[:300])
        # figures name processes and job types: they are the operator's, at the root, for a scraper (docs/operations.md)
        # the log of operations, and the report from it, say again what the stranger asked for in its own words, and nothing that others did
        shown = (
            found.text
            if found.status_code < 300 and operation not in OWN | {"get_metrics", "list_operations", "get_evidence_report"}
            else ""
        )
        if operation in REPORTS:  # some say what they were asked for
            shown = shown.replace(query["process"], "")
        if operation == "list_operations":
            assert {o["actor"] for o in found.json()["items"]} <= {A["X-Actor"]}, about
        if operation == "get_evidence_report":
            assert {o["actor"] for o in found.json()["actors"]} <= {A["X-Actor"]}, about
        if noun in ACCOUNTS and operation not in ("me", "list_issuers"):
            right = found.status_code in (400, 404, 405)
        elif operation == "resolve_group_incident":  # of what is open and one's own, of which there is none
            right = found.status_code == 409 and found.json()["count"] == 0
        elif "{" in path and operation not in OWN | OPEN:
            right = found.status_code == 404
        elif operation in OWN:
            right = found.status_code in (200, 404)
        elif method == "GET" or operation in OPEN:
            right = found.status_code < 300 or found.status_code == 403
        else:
            right = found.status_code in (403, 404) or found.json().get("instances") == []
        if not right or MARK in shown:
            wrong.append(about)
    assert not wrong, "\n".join(map(str, wrong))
    for query in ({"instance": world.instance}, {"definition": f"{MARK}-work"}, {"var.secret": MARK}, {"assignee": MARK}):
        for noun in ("instances", "tasks", "incidents", "dead-letters", "definitions"):
            found = world.http.get(f"/v1/{noun}", params=query, headers=A)
            assert found.status_code == 400 or found.json()["items"] == [], (noun, query, found.text[:300])
    assert world.events() == before, "nothing of b has changed"
    for noun, thing in world.of.items():
        if noun not in ("users", "task-definitions", "jobs", "legal-holds"):
            assert world.http.get(f"/v1/{noun}/{thing}", headers=B).status_code == 200, "b sees its own"


def test_no_stream_shows_what_is_another_tenants(world):
    from httpx2 import ReadTimeout

    url = world.door.url
    for query in (
        {},
        {"instance": world.instance},
        {"definition": f"{MARK}-work"},
        {"definition": world.definition},
        {"task": str(world.task)},
    ):
        for tenant, sees in ((A, False), (B, True)):
            if tenant is B and query:
                continue
            seen = ""
            try:
                with httpx2.stream(
                    "GET", f"{url}/v1/events", params={**query, "position": "start"}, headers=tenant, timeout=httpx2.Timeout(1.5)
                ) as r:
                    for chunk in r.iter_text():
                        seen += chunk
                        if OF_B in seen:
                            break
            except ReadTimeout:
                pass
            assert "subscribed" in seen and (OF_B in seen) is sees, (query, seen[:300])
    asyncio.run(_sockets(url, world))


async def _sockets(url, world):
    from websockets.asyncio.client import connect

    from flowledger.sdk import frames as f

    base = url.replace("http", "ws")
    for headers, sees in ((A, False), (B, True)):
        async with connect(f"{base}/v1/events?position=start", additional_headers=headers) as ws:
            seen = ""
            try:
                while OF_B not in seen:
                    seen += str(await asyncio.wait_for(ws.recv(), 1.5))
            except TimeoutError:
                pass
            assert "subscribed" in seen and (OF_B in seen) is sees, seen[:300]
    async with connect(f"{base}/v1/jobs/stream", additional_headers=A) as ws:
        hello = f.Hello(worker="mallory", subscriptions=[f.Subscription(type=f"{MARK}-job", timeout_ms=1000, credit=5)])
        await ws.send(f.encode(hello))
        try:
            while True:
                told = await asyncio.wait_for(ws.recv(), 1.5)
                assert MARK.encode() not in (told if isinstance(told, bytes) else told.encode()), told
        except TimeoutError:
            pass


def calls(w: World) -> dict[str, Message]:
    job, instance, definition = int(w.job), int(w.instance), int(w.definition)
    start = pb.CreateProcessInstanceRequest(processDefinitionKey=definition)
    return {
        "DeleteResource": pb.DeleteResourceRequest(resourceKey=definition), "CreateProcessInstance": start,
        "CreateProcessInstanceWithResult": pb.CreateProcessInstanceWithResultRequest(request=start, requestTimeout=2_000),
        "CancelProcessInstance": pb.CancelProcessInstanceRequest(processInstanceKey=instance),
        "ModifyProcessInstance": pb.ModifyProcessInstanceRequest(
            processInstanceKey=instance, activateInstructions=[pb.ModifyProcessInstanceRequest.ActivateInstruction(elementId="do")]
        ),
        "MigrateProcessInstance": pb.MigrateProcessInstanceRequest(
            processInstanceKey=instance, migrationPlan=pb.MigrateProcessInstanceRequest.MigrationPlan(targetProcessDefinitionKey=definition)
        ),
        "SetVariables": pb.SetVariablesRequest(elementInstanceKey=instance, variables='{"secret": "stolen"}'),
        "ResolveIncident": pb.ResolveIncidentRequest(incidentKey=int(w.incident)), "CompleteJob": pb.CompleteJobRequest(jobKey=job),
        "FailJob": pb.FailJobRequest(jobKey=job, retries=1), "ThrowError": pb.ThrowErrorRequest(jobKey=job, errorCode="X"),
        "UpdateJobRetries": pb.UpdateJobRetriesRequest(jobKey=job, retries=2),
        "UpdateJobTimeout": pb.UpdateJobTimeoutRequest(jobKey=job, timeout=1_000),
        "EvaluateDecision": pb.EvaluateDecisionRequest(decisionId=f"{MARK}-dec"),
        # for the caller itself: they find nothing of b
        "PublishMessage": pb.PublishMessageRequest(name=f"{MARK}-paid", correlationKey=f"{MARK}-k"),
        "BroadcastSignal": pb.BroadcastSignalRequest(signalName=f"{MARK}-go"),
        "DeployProcess": pb.DeployProcessRequest(processes=[pb.ProcessRequestObject(name="g.bpmn", definition=DRAFT.replace(MARK, "gg").encode())]),
        "DeployResource": pb.DeployResourceRequest(resources=[pb.Resource(name="g.bpmn", content=DRAFT.replace(MARK, "gg").encode())]),
        "Topology": pb.TopologyRequest(),
        "ActivateJobs": pb.ActivateJobsRequest(type=f"{MARK}-job", worker="m", timeout=1_000, maxJobsToActivate=9, requestTimeout=500),
        "StreamActivatedJobs": pb.StreamActivatedJobsRequest(type=f"{MARK}-job", worker="m", timeout=1_000),
    }  # fmt: skip


FOR_ONESELF = frozenset(
    {"PublishMessage", "BroadcastSignal", "DeployProcess", "DeployResource", "Topology", "ActivateJobs", "StreamActivatedJobs"}
)


def test_no_call_of_the_gateway_shows_or_moves_what_is_another_tenants(world):
    before, asked = world.events(), calls(world)
    service = pb.DESCRIPTOR.services_by_name["Gateway"]
    assert {m.name for m in service.methods} == set(asked), "a call without a row"
    with grpc.insecure_channel(world.door.system.grpc_address) as channel:
        stub = GatewayStub(channel)
        for name, request in asked.items():
            for named in ((), ("b",)):  # with the metadata of a, and naming b in the request as well
                if named and "tenantId" in request.DESCRIPTOR.fields_by_name:
                    request.tenantId = "b"
                elif named and "tenantIds" in request.DESCRIPTOR.fields_by_name:
                    request.tenantIds.append("b")
                elif named:
                    continue
                try:
                    answer = getattr(stub, name)(request, metadata=(("x-tenant", "a"),), timeout=4)
                    answers = [answer] if isinstance(answer, Message) else list(answer)
                    assert name in FOR_ONESELF and (not named or not answers or name == "ActivateJobs"), (name, answers)
                    assert all(not getattr(found, "jobs", ()) for found in answers) and MARK not in str(answers), (name, answers)
                except grpc.RpcError as e:
                    refused = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED)
                    if name == "StreamActivatedJobs" and e.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                        continue
                    assert e.code() in refused, (name, named, e.code(), e.details())
    assert world.events() == before, "nothing of b has changed"

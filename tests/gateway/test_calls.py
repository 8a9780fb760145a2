"""Each call of the protocol with the real pyzeebe client and grpcio, over a socket, on both wires."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import grpc
import pytest
from pyzeebe import ZeebeClient, ZeebeWorker, create_insecure_channel
from pyzeebe.errors import (
    InvalidJSONError,
    JobAlreadyDeactivatedError,
    JobNotFoundError,
    MessageAlreadyExistsError,
    ProcessDefinitionNotFoundError,
    ProcessInvalidError,
    ProcessTimeoutError,
    ZeebeBackPressureError,
    ZeebeGatewayUnavailableError,
)
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from flowledger.api.grpc.gateway import Gateway
from flowledger.api.grpc.http2 import listen
from flowledger.api.grpc.methods import METHODS, SERVICE
from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.kernel.limits import LEASE_MS_MAX
from flowledger.processors.client import Caller

KEY = (2 << 51) + 17


@pytest.fixture
async def gateway(engine):
    g = Gateway(engine)
    server = await listen(g, port=0)
    yield g
    await server.close(0.2)


@pytest.fixture
async def channel(gateway):
    channel = create_insecure_channel(grpc_address=f"127.0.0.1:{gateway.port}")
    yield channel
    await channel.close()


@pytest.fixture
async def stub(channel):
    return GatewayStub(channel)


@pytest.fixture
async def client(channel):
    return ZeebeClient(channel, max_connection_retries=-1)


def test_every_call_of_the_service_is_answered_by_exactly_one_function():
    assert {m.name for m in SERVICE.methods} <= {m.name for m in METHODS.values()}
    for m in METHODS.values():
        assert (m.unary is None) != (m.stream is None), m.name


async def test_topology_and_health(client, gateway, engine):
    t = await client.topology()
    assert (t.cluster_size, t.partitions_count, len(t.brokers[0].partitions)) == (1, 3, 3)
    assert {p.partition_id for p in t.brokers[0].partitions} == {1, 2, 3} and t.brokers[0].port == gateway.port
    assert (await client.healthcheck()).status == 1
    engine.ready = False
    assert (await client.healthcheck()).status == 2


async def test_an_instance_is_created_with_exact_numbers(client, engine):
    engine.answers[c.StartInstance] = {"key": KEY, "definition": 5, "process": "order", "version": 3, "status": "running"}
    r = await client.run_process("order", {"total": 1.10, "big": 2**60}, tenant_id="acme")
    assert (r.process_instance_key, r.process_definition_key, r.version, r.tenant_id) == (KEY, 5, 3, "acme")
    (command, caller) = engine.calls[-1]
    assert command.variables == {"total": Decimal("1.1"), "big": 2**60} and command.version == 0 and caller.tenant == "acme"
    await client.run_process("order", version=2, tenant_id="<default>")
    (command, caller) = engine.calls[-1]
    assert command.version == 2 and caller.tenant == ""


async def test_an_instance_with_its_result(client, engine):
    engine.answers[c.StartInstance] = lambda command: {
        "key": KEY, "definition": 5, "process": "order", "version": 3, "status": "completed", "variables": {"x": Decimal("0.30")},
    }  # fmt: skip
    r = await client.run_process_with_result("order", variables_to_fetch=["x"], timeout=5000)
    assert r.variables == {"x": 0.3}
    assert engine.calls[-1][0].wait and engine.calls[-1][0].fetch == ["x"]
    engine.answers[c.StartInstance] = Rejected("DEADLINE_EXCEEDED", "no answer within 5 s")
    with pytest.raises(ProcessTimeoutError):
        await client.run_process_with_result("order", timeout=5000)


@pytest.mark.parametrize(
    ("rejected", "error"),
    [
        (Rejected("NOT_FOUND", "no"), ProcessDefinitionNotFoundError),
        (Rejected("INVALID_ARGUMENT", "no"), InvalidJSONError),
        (Rejected("RESOURCE_EXHAUSTED", "too many", 100), ZeebeBackPressureError),
        (Rejected("UNAVAILABLE", "no owner"), ZeebeGatewayUnavailableError),
    ],
)
async def test_refusals_are_the_errors_that_clients_know(client, engine, rejected, error):
    engine.answers[c.StartInstance] = rejected
    with pytest.raises(error):
        await client.run_process("order")


@pytest.mark.parametrize("text", ["[1]", "7", '"x"', "true", "1.5", "{oops", '{"a":1}x'])
async def test_variables_are_a_json_object(stub, engine, text):
    with pytest.raises(grpc.aio.AioRpcError) as e:
        await stub.CreateProcessInstance(pb.CreateProcessInstanceRequest(bpmnProcessId="order", version=-1, variables=text))
    assert e.value.code() is grpc.StatusCode.INVALID_ARGUMENT and "variables" in e.value.details()
    assert not engine.calls


@pytest.mark.parametrize(("version", "taken"), [(-1, 0), (-7, 0), (1, 1), (2**31 - 1, 2**31 - 1), (0, None)])
async def test_less_than_0_is_the_latest_version_and_0_is_none_as_in_zeebe(stub, engine, version, taken):
    engine.answers[c.StartInstance] = {"key": KEY, "definition": 5, "process": "order", "version": 3}
    request = pb.CreateProcessInstanceRequest(bpmnProcessId="order", version=version)
    if taken is not None:
        await stub.CreateProcessInstance(request)
        assert engine.calls[-1][0].version == taken
        return
    for call, wish in (
        (stub.CreateProcessInstance, request),
        (stub.CreateProcessInstanceWithResult, pb.CreateProcessInstanceWithResultRequest(request=request)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as e:
            await call(wish)
        assert e.value.code() is grpc.StatusCode.NOT_FOUND and not engine.calls
        assert "process definition with process ID 'order' and version '0', but none found" in e.value.details()


async def test_start_needs_a_definition_and_takes_start_elements(stub, engine):
    with pytest.raises(grpc.aio.AioRpcError) as e:
        await stub.CreateProcessInstance(pb.CreateProcessInstanceRequest())
    assert e.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    engine.answers[c.StartInstance] = {"key": KEY, "definition": 5, "process": "order", "version": 3}
    start = pb.ProcessInstanceCreationStartInstruction(elementId="b")
    await stub.CreateProcessInstance(pb.CreateProcessInstanceRequest(processDefinitionKey=5, startInstructions=[start]))
    assert engine.calls[-1][0].start_at == ["b"] and engine.calls[-1][0].definition == 5


async def test_deploy_tells_kinds_apart_and_shows_findings(client, stub, engine, tmp_path):
    file = tmp_path / "order.bpmn"
    file.write_text("<x>ü</x>", encoding="utf-8")
    common = {"version": 1, "version_tag": "", "hash": "", "duplicate": False}
    engine.answers[c.Deploy] = {
        "deployment": 11,
        "definitions": [
            {"key": 1, "id": "order", "kind": "process", "name": "Order", "resource": "order.bpmn", **common},
            {"key": 2, "id": "g", "kind": "drg", "name": "G", "resource": "d.dmn", **common},
            {"key": 3, "id": "d", "kind": "decision", "name": "D", "resource": "d.dmn", **common},
            {"key": 4, "id": "f", "kind": "form", "name": "", "resource": "f.form", **common},
        ],
    }
    r = await client.deploy_resource(str(file))
    assert r.key == 11 and [type(d).__name__ for d in r.deployments] == [
        "ProcessMetadata", "DecisionMetadata", "DecisionRequirementsMetadata", "FormMetadata",
    ]  # fmt: skip
    assert r.deployments[1].decision_requirements_key == 2
    assert engine.calls[-1][0].resources == [c.Resource(name="order.bpmn", content="<x>ü</x>")]
    old = await stub.DeployProcess(pb.DeployProcessRequest(processes=[pb.ProcessRequestObject(name="a.bpmn", definition=b"<x/>")]))
    assert [p.bpmnProcessId for p in old.processes] == ["order"]

    engine.answers[c.Deploy] = Rejected(
        "MODEL_INVALID", json.dumps([{"file": "order.bpmn", "line": 3, "column": 1, "element": "t", "severity": "error", "message": "bad"}])
    )
    with pytest.raises(ProcessInvalidError) as e:
        await client.deploy_resource(str(file))
    assert "'order.bpmn' line 3:1: - Element: t\n    - ERROR: bad" in e.value.__cause__.details()


async def test_messages_and_signals(client, engine):
    engine.answers[c.PublishMessage] = {"key": KEY}
    engine.answers[c.BroadcastSignal] = {"key": KEY + 1}
    assert (await client.publish_message("paid", "42", {"a": 1}, 5000, "id-1")).key == KEY
    assert engine.calls[-1][0] == c.PublishMessage(name="paid", correlation_key="42", variables={"a": 1}, ttl_ms=5000, message_id="id-1")
    assert (await client.broadcast_signal("all", {"a": 1})).key == KEY + 1
    engine.answers[c.PublishMessage] = Rejected("ALREADY_EXISTS", "known")
    with pytest.raises(MessageAlreadyExistsError):
        await client.publish_message("paid", "42", message_id="id-1")


async def test_decisions_are_told_with_their_rules(client, engine):
    hit = {"index": 1, "id": "r1", "outputs": {"discount": Decimal("0.1")}}
    table = {"id": "t", "hit_policy": "FIRST", "inputs": [{"id": "i", "label": "total", "value": 5}], "matched": [hit], "value": 1}
    engine.answers[c.EvaluateDecision] = {
        "decision": "d", "version": 2, "key": 3, "output": Decimal("0.1"),
        "trace": [
            {"kind": "decision", "id": "base", "name": "Base", "inputs": {}, "value": 1},
            {"kind": "bkm", "id": "b", "name": "B", "inputs": {}, "value": 1},
            {"kind": "decision", "id": "d", "name": "D", "inputs": {}, "value": Decimal("0.1"), "tables": [table]},
        ],
    }  # fmt: skip
    r = await client.evaluate_decision(None, "d", {"total": 5})
    assert (r.decision_id, r.decision_key, r.decision_output, len(r.evaluated_decisions)) == ("d", 3, 0.1, 2)
    top = r.evaluated_decisions[1]
    assert top.decision_type == "DECISION_TABLE" and top.matched_rules[0].evaluated_outputs[0].output_value == 0.1
    assert top.evaluated_inputs[0].input_value == 5


async def test_the_other_calls_become_our_commands(stub, engine):
    activate = pb.ModifyProcessInstanceRequest.ActivateInstruction(
        elementId="b", variableInstructions=[pb.ModifyProcessInstanceRequest.VariableInstruction(variables='{"a":1}', scopeId="s")]
    )
    terminate = pb.ModifyProcessInstanceRequest.TerminateInstruction(elementInstanceKey=8)
    mapping = pb.MigrateProcessInstanceRequest.MappingInstruction(sourceElementId="a", targetElementId="b")
    plan = pb.MigrateProcessInstanceRequest.MigrationPlan(targetProcessDefinitionKey=6, mappingInstructions=[mapping])
    table = [
        (stub.CancelProcessInstance, pb.CancelProcessInstanceRequest(processInstanceKey=KEY), c.CancelInstance(key=KEY)),
        (
            stub.SetVariables,
            pb.SetVariablesRequest(elementInstanceKey=KEY, variables='{"a":1}', local=True),
            c.SetVariables(key=KEY, variables={"a": 1}, local=True),
        ),
        (stub.ResolveIncident, pb.ResolveIncidentRequest(incidentKey=KEY), c.ResolveIncident(key=KEY)),
        (stub.UpdateJobRetries, pb.UpdateJobRetriesRequest(jobKey=KEY, retries=2), c.UpdateRetries(task=KEY, retries=2)),
        (stub.DeleteResource, pb.DeleteResourceRequest(resourceKey=5), c.ChangeDefinition(key=5, move="delete")),
        (
            stub.ModifyProcessInstance,
            pb.ModifyProcessInstanceRequest(processInstanceKey=KEY, activateInstructions=[activate], terminateInstructions=[terminate]),
            c.ModifyInstance(
                key=KEY,
                activate=[{"element": "b", "ancestor": 0, "variables": {"s": {"a": 1}}}],
                terminate=[8],
                force=True,  # as Zeebe does, nobody looks whether it can go on
            ),
        ),
        (
            stub.MigrateProcessInstance,
            pb.MigrateProcessInstanceRequest(processInstanceKey=KEY, migrationPlan=plan),
            c.MigrateInstance(key=KEY, definition=6, elements={"a": "b"}),
        ),
    ]
    for call, request, command in table:
        await call(request)
        assert engine.calls[-1][0] == command
    with pytest.raises(grpc.aio.AioRpcError) as e:
        await stub.UpdateJobRetries(pb.UpdateJobRetriesRequest(jobKey=KEY, retries=0))
    assert e.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_worker_polls_completes_fails_and_throws(channel, gateway, engine):
    worker = ZeebeWorker(channel, "w1", request_timeout=500, poll_retry_delay=0)
    seen = []

    @worker.task("pay", exception_handler=lambda *a: None)
    async def pay(a: int) -> dict:
        seen.append(a)
        return {"paid": a}

    @worker.task("fail")
    async def fail() -> None:
        raise ValueError("no money")

    keys = engine.add(3)
    engine.add(1, "fail", retries=1)
    running = asyncio.create_task(worker.work())
    async with asyncio.timeout(5):
        while len(engine.asked(c.CompleteTask)) < 3 or not engine.asked(c.FailTask):
            await asyncio.sleep(0.01)
    done = engine.asked(c.CompleteTask)
    assert {d.task for d in done} == set(keys) and all(d.variables == {"paid": 1} and d.fence == 1 for d in done)
    failed = engine.asked(c.FailTask)[0]
    assert failed.retries == 0 and "no money" in failed.message
    assert {w["worker"] for w in gateway.workers.listing()} == {"w1"}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_streaming_worker_gets_jobs_at_once_and_leaves_cleanly(channel, gateway, engine):
    worker = ZeebeWorker(channel, "w2", request_timeout=-1, stream_enabled=True)
    stub = GatewayStub(channel)
    stream = stub.StreamActivatedJobs(pb.StreamActivatedJobsRequest(type="pay", worker="w2", timeout=60_000))
    reader = aiter(stream)
    first = asyncio.ensure_future(anext(reader))
    async with asyncio.timeout(5):
        while not engine.streams:
            await asyncio.sleep(0.01)
        (key,) = engine.add(1)
        job = await first
        assert (job.key, job.variables, job.customHeaders, job.bpmnProcessId) == (key, '{"a":1}', '{"h":"1"}', "order")
        assert gateway.workers.listing()[0]["holds"][0]["key"] == str(key)
        await worker.zeebe_adapter.complete_job(key, {"x": 1})
        assert gateway.workers.listing()[0]["holds"] == [] and gateway.workers.listing()[0]["completed"] == 1
        with pytest.raises(JobNotFoundError):
            await worker.zeebe_adapter.complete_job(key, {})
        stream.cancel()
        while engine.streams:
            await asyncio.sleep(0.01)
    assert gateway.workers.listing() == []


async def test_a_late_answer_is_refused_when_another_worker_has_the_job(gateway, engine):
    one, two = (create_insecure_channel(grpc_address=f"127.0.0.1:{gateway.port}", channel_options=(("grpc.client_id", i),)) for i in (1, 2))
    (key,) = engine.add(1)
    request = pb.ActivateJobsRequest(type="pay", worker="a", timeout=1000, maxJobsToActivate=5, requestTimeout=1000)
    assert [j.key async for r in GatewayStub(one).ActivateJobs(request) for j in r.jobs] == [key]
    engine.expire(key)
    assert [j.key async for r in GatewayStub(two).ActivateJobs(request) for j in r.jobs] == [key]
    late, right = ZeebeWorker(one, "a").zeebe_adapter, ZeebeWorker(two, "b").zeebe_adapter
    with pytest.raises(JobAlreadyDeactivatedError):
        await late.complete_job(key, {"late": True})
    await right.complete_job(key, {"late": False})
    assert not engine.held
    await one.close()
    await two.close()


async def test_long_polling(stub, engine):
    async def ask(request_timeout: int, **more) -> int:
        request = {"type": "pay", "worker": "a", "timeout": 1000, "maxJobsToActivate": 5, "requestTimeout": request_timeout, **more}
        return len([j async for r in stub.ActivateJobs(pb.ActivateJobsRequest(**request)) for j in r.jobs])

    start = asyncio.get_running_loop().time()
    assert await ask(-1) == 0 and await ask(50) == 0
    assert asyncio.get_running_loop().time() - start < 8
    waiting = asyncio.create_task(ask(0))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    engine.add(2)
    assert await asyncio.wait_for(waiting, 20) == 2
    engine.add(1, tenant="b")
    assert await ask(300, tenantIds=["a", "b"]) == 1
    for wrong in ({"type": " "}, {"worker": " "}, {"timeout": 0}, {"maxJobsToActivate": 0}):
        with pytest.raises(grpc.aio.AioRpcError) as e:
            await ask(0, **wrong)
        assert e.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("timeout", [LEASE_MS_MAX + 1, 2**62, 2**63 - 1])
async def test_a_lease_that_would_end_in_no_year_is_refused_and_not_waited_for(stub, engine, timeout):
    engine.add(1)
    poll = stub.ActivateJobs(pb.ActivateJobsRequest(type="pay", worker="a", timeout=timeout, maxJobsToActivate=1))
    stream = stub.StreamActivatedJobs(pb.StreamActivatedJobsRequest(type="pay", worker="a", timeout=timeout))
    for call in (poll, stream):
        with pytest.raises(grpc.aio.AioRpcError, match=f"at most {LEASE_MS_MAX} ms, but it was '{timeout}'") as e:
            await call.read()
        assert e.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_id_goes_before_a_key(stub, engine):
    engine.answers[c.StartInstance] = {"key": KEY, "definition": 5, "process": "order", "version": 3}
    await stub.CreateProcessInstance(pb.CreateProcessInstanceRequest(bpmnProcessId="order", processDefinitionKey=9, version=-1))
    assert (engine.calls[-1][0].id, engine.calls[-1][0].definition) == ("order", 0)
    with pytest.raises(grpc.aio.AioRpcError, match="but both 'rate' and '9' were provided") as e:
        await stub.EvaluateDecision(pb.EvaluateDecisionRequest(decisionId="rate", decisionKey=9))
    assert e.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_many_large_jobs_come_in_messages_that_clients_accept(stub, engine):
    engine.add(6, variables={"blob": "x" * 1_000_000})
    request = pb.ActivateJobsRequest(type="pay", worker="a", timeout=60_000, maxJobsToActivate=10)
    sizes = [len(r.jobs) async for r in stub.ActivateJobs(request)]
    assert sum(sizes) == 6 and len(sizes) == 2


async def test_a_large_request_and_a_large_answer(stub, engine):
    engine.answers[c.StartInstance] = lambda command: {
        "key": KEY, "definition": 5, "process": "o", "version": 1, "status": "completed", "variables": command.variables,
    }  # fmt: skip
    text = json.dumps({"blob": "y" * 3_000_000})
    request = pb.CreateProcessInstanceRequest(bpmnProcessId="o", version=-1, variables=text)
    r = await stub.CreateProcessInstanceWithResult(pb.CreateProcessInstanceWithResultRequest(request=request))
    assert json.loads(r.variables) == json.loads(text)


async def test_an_unexpected_failure_is_internal_and_says_nothing_of_the_inside(stub, engine):
    def broken(command):
        raise RuntimeError("secret")

    engine.answers[c.ResolveIncident] = broken
    with pytest.raises(grpc.aio.AioRpcError) as e:
        await stub.ResolveIncident(pb.ResolveIncidentRequest(incidentKey=1))
    assert e.value.code() is grpc.StatusCode.INTERNAL and "secret" not in e.value.details()


async def test_who_calls(engine):
    def authenticate(metadata, address):
        if metadata.get("authorization") != "Bearer t":
            raise PermissionError("expected a bearer token")
        return Caller("ann", "acme")

    gateway = Gateway(engine, authenticate=authenticate)
    server = await listen(gateway, port=0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        stub = GatewayStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as e:
            await stub.ResolveIncident(pb.ResolveIncidentRequest(incidentKey=1))
        assert e.value.code() is grpc.StatusCode.UNAUTHENTICATED
        metadata = (("authorization", "Bearer t"), ("traceparent", "00-" + "a" * 32 + "-" + "b" * 16 + "-01"))
        await stub.ResolveIncident(pb.ResolveIncidentRequest(incidentKey=1), metadata=metadata)
    caller = engine.calls[-1][1]
    assert (caller.actor, caller.tenant, caller.trace[:4]) == ("ann", "acme", "00-a")
    await server.close(0.1)

"""The real pyzeebe client and worker against the real engine on the log in memory, over a socket."""

import asyncio
import itertools
import json
import time

import grpc
import pytest
from pyzeebe import Job, JobController, ZeebeClient, ZeebeWorker, create_insecure_channel
from pyzeebe.errors import (
    DecisionNotFoundError,
    JobNotFoundError,
    MessageAlreadyExistsError,
    ProcessDefinitionNotFoundError,
    ProcessInstanceNotFoundError,
    ProcessInvalidError,
    ProcessTimeoutError,
)
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from flowledger.api.grpc.gateway import Gateway
from flowledger.api.grpc.http2 import listen
from flowledger.events import commands as c
from flowledger.infra.log_memory import MemoryLog
from flowledger.processors.engine import Engine

HEAD = (
    '<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" targetNamespace="t" id="d">'
)


def job(id: str, type: str, retries: str = "") -> str:
    more = f' retries="{retries}"' if retries else ""
    return (
        f'<bpmn:serviceTask id="{id}"><bpmn:extensionElements><zeebe:taskDefinition type="{type}"{more}/>'
        '<zeebe:taskHeaders><zeebe:header key="h" value="1"/></zeebe:taskHeaders></bpmn:extensionElements></bpmn:serviceTask>'
    )


def flow(*nodes: str) -> str:
    return "".join(f'<bpmn:sequenceFlow id="f_{a}_{b}" sourceRef="{a}" targetRef="{b}"/>' for a, b in itertools.pairwise(nodes))


def process(id: str, body: str, outside: str = "") -> str:
    return f'{HEAD}{outside}<bpmn:process id="{id}" isExecutable="true"><bpmn:startEvent id="s"/>{body}</bpmn:process></bpmn:definitions>'


ORDER = process(
    "order",
    job("pay", "pay")
    + '<bpmn:boundaryEvent id="b" attachedToRef="pay"><bpmn:errorEventDefinition errorRef="err"/></bpmn:boundaryEvent>'
    + '<bpmn:endEvent id="e"/>'
    + '<bpmn:endEvent id="e2"/>'
    + flow("s", "pay", "e")
    + flow("b", "e2"),
    '<bpmn:error id="err" errorCode="NO_MONEY"/>',
)
TWO = process("pair", job("one", "one") + job("two", "two") + '<bpmn:endEvent id="e"/>' + flow("s", "one", "two", "e"))
EMPTY = process("empty", '<bpmn:endEvent id="e"/>' + flow("s", "e"))
WAIT = process(
    "wait",
    '<bpmn:intermediateCatchEvent id="m"><bpmn:messageEventDefinition messageRef="msg"/></bpmn:intermediateCatchEvent>'
    '<bpmn:endEvent id="e"/>' + flow("s", "m", "e"),
    '<bpmn:message id="msg" name="paid"><bpmn:extensionElements><zeebe:subscription correlationKey="=orderId"/>'
    "</bpmn:extensionElements></bpmn:message>",
)
SIGNAL = process(
    "sig",
    '<bpmn:intermediateCatchEvent id="m"><bpmn:signalEventDefinition signalRef="g"/></bpmn:intermediateCatchEvent>'
    '<bpmn:endEvent id="e"/>' + flow("s", "m", "e"),
    '<bpmn:signal id="g" name="go"/>',
)
USER = process(
    "human",
    '<bpmn:userTask id="u"><bpmn:extensionElements><zeebe:assignmentDefinition assignee="ann"/></bpmn:extensionElements></bpmn:userTask>'
    '<bpmn:endEvent id="e"/>' + flow("s", "u", "e"),
)
DMN = """<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="drg" name="Drg" namespace="n">
<inputData id="in" name="total"><variable name="total" typeRef="number"/></inputData>
<decision id="rate" name="Rate"><variable name="Rate"/>
<informationRequirement id="q"><requiredInput href="#in"/></informationRequirement>
<decisionTable id="t" hitPolicy="FIRST"><input id="i"><inputExpression typeRef="number"><text>total</text></inputExpression></input>
<output id="o" name="rate" typeRef="number"/>
<rule id="r1"><inputEntry><text>&gt; 100</text></inputEntry><outputEntry><text>0.1</text></outputEntry></rule>
<rule id="r2"><inputEntry><text>-</text></inputEntry><outputEntry><text>0</text></outputEntry></rule>
</decisionTable></decision></definitions>"""


class World:
    def __init__(self, engine, gateway, server, channel):
        self.engine, self.gateway, self.server, self.channel = engine, gateway, server, channel
        self.client, self.stub = ZeebeClient(channel, max_connection_retries=-1), GatewayStub(channel)

    async def deploy(self, *contents):
        resources = [pb.Resource(name=f"r{i}.{'dmn' if 'DMN' in c[:200] else 'bpmn'}", content=c.encode()) for i, c in enumerate(contents)]
        return await self.stub.DeployResource(pb.DeployResourceRequest(resources=resources))

    async def take(self, type, n=1, timeout=60_000):
        request = pb.ActivateJobsRequest(type=type, worker="t", timeout=timeout, maxJobsToActivate=n, requestTimeout=2000)
        return [j async for r in self.stub.ActivateJobs(request) for j in r.jobs]

    def instance(self, key):
        for owner in self.engine.owners.values():
            if key in owner.state.instances:
                return owner.state.instances[key]
        return None

    def incidents(self):
        return [i for owner in self.engine.owners.values() for i in owner.state.incidents.values()]


async def until(condition, seconds=15.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        await asyncio.sleep(0.005)


@pytest.fixture
async def world():
    engine = Engine(MemoryLog(), partitions=2)
    await engine.start()
    gateway = Gateway(engine)
    server = await listen(gateway, port=0)
    channel = create_insecure_channel(grpc_address=f"127.0.0.1:{gateway.port}")
    yield World(engine, gateway, server, channel)
    await channel.close()
    await server.close(0.2)
    await engine.kill()


async def test_deploy_start_work_and_result(world, tmp_path):
    file = tmp_path / "order.bpmn"
    file.write_text(ORDER)
    first = await world.client.deploy_resource(str(file))
    again = await world.client.deploy_resource(str(file))
    assert [d.bpmn_process_id for d in first.deployments] == ["order"] and again.deployments[0].version == 1
    worker = ZeebeWorker(world.channel, "w", request_timeout=1000, stream_enabled=True)
    seen = []

    @worker.task("pay", timeout_ms=10_000)
    async def pay(total: float, job: Job) -> dict:
        seen.append((job.custom_headers["h"], job.element_id, job.bpmn_process_id, job.retries))
        return {"paid": total * 2}

    running = asyncio.create_task(worker.work())
    result = await world.client.run_process_with_result("order", {"total": 1.5}, variables_to_fetch=["paid"], timeout=15_000)
    assert result.variables == {"paid": 3.0} and seen == [("1", "pay", "order", 3)]
    keys = await asyncio.gather(*(world.client.run_process("order", {"total": i}) for i in range(50)))
    assert len({k.process_instance_key for k in keys}) == 50
    await until(lambda: len(seen) == 51 and not any(o.state.instances for o in world.engine.owners.values()))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_errors_retries_incident_and_its_repair(world):
    await world.deploy(ORDER)
    worker = ZeebeWorker(world.channel, "w", request_timeout=500)

    async def trouble(error: Exception, job: Job, job_controller: JobController) -> None:
        if isinstance(error, LookupError):
            await job_controller.set_error_status("broke", "NO_MONEY", {"left": 0})
        else:
            await job_controller.set_failure_status(f"{error}")

    @worker.task("pay", exception_handler=trouble)
    async def pay(how: str) -> dict:
        if how == "error":
            raise LookupError
        if how == "bug":
            raise ValueError("no route")
        return {}

    running = asyncio.create_task(worker.work())
    r = await world.client.run_process_with_result("order", {"how": "error"}, timeout=15_000)
    assert r.variables.get("how") == "error"
    poison = await world.client.run_process("order", {"how": "bug"})
    await until(lambda: world.incidents(), 10)
    assert (await world.client.run_process_with_result("order", {"how": "ok"}, timeout=15_000)).process_instance_key  # nothing is held up
    (incident,) = world.incidents()
    assert incident.instance == poison.process_instance_key and "no route" in incident.message
    await world.client.cancel_process_instance(poison.process_instance_key)
    with pytest.raises(ProcessInstanceNotFoundError):
        await world.client.cancel_process_instance(poison.process_instance_key)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_incident_is_resolved_with_new_retries(world):
    await world.deploy(ORDER)
    r = await world.client.run_process("order", {})
    (j,) = await world.take("pay")
    await world.stub.FailJob(pb.FailJobRequest(jobKey=j.key, retries=0, errorMessage="stop"))
    await until(lambda: world.incidents())
    await world.stub.UpdateJobRetries(pb.UpdateJobRetriesRequest(jobKey=j.key, retries=2))
    await world.stub.ResolveIncident(pb.ResolveIncidentRequest(incidentKey=world.incidents()[0].key))
    (again,) = await world.take("pay")
    assert again.key == j.key and again.processInstanceKey == r.process_instance_key
    await world.stub.UpdateJobTimeout(pb.UpdateJobTimeoutRequest(jobKey=j.key, timeout=90_000))
    await world.stub.CompleteJob(pb.CompleteJobRequest(jobKey=j.key))
    with pytest.raises(grpc.aio.AioRpcError) as e:
        await world.stub.CompleteJob(pb.CompleteJobRequest(jobKey=j.key))
    assert e.value.code() is grpc.StatusCode.NOT_FOUND
    assert e.value.details() == (
        f"Command 'COMPLETE' rejected with code 'NOT_FOUND': Expected to complete job with key '{j.key}', but no such job was found"
    )


async def test_back_off(world):
    await world.deploy(ORDER)
    await world.client.run_process("order", {})
    (j,) = await world.take("pay")
    failed = time.monotonic()
    await world.stub.FailJob(pb.FailJobRequest(jobKey=j.key, retries=2, retryBackOff=300, variables='{"tried":1}'))
    (again,) = await world.take("pay")
    assert time.monotonic() - failed > 0.28 and again.retries == 2 and json.loads(again.variables)["tried"] == 1


async def test_what_is_not_there_and_what_is_wrong(world):
    with pytest.raises(ProcessDefinitionNotFoundError):
        await world.client.run_process("nobody")
    with pytest.raises(DecisionNotFoundError):
        await world.client.evaluate_decision(None, "nobody", {})
    adapter = ZeebeWorker(world.channel).zeebe_adapter
    for call in (adapter.complete_job(77, {}), adapter.fail_job(77, 1, "x", 0, {}), adapter.throw_error(77, "x", {}, "E")):
        with pytest.raises(JobNotFoundError):
            await call
    with pytest.raises(grpc.aio.AioRpcError) as e:
        await world.deploy("<oops")
    assert e.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(ProcessInvalidError):
        raise ProcessInvalidError from e.value
    await world.deploy(WAIT)
    with pytest.raises(ProcessTimeoutError):
        await world.client.run_process_with_result("wait", {"orderId": "1"}, timeout=300)


async def test_messages_and_signals(world):
    await world.deploy(WAIT, SIGNAL)
    waiting = asyncio.create_task(world.client.run_process_with_result("wait", {"orderId": "7"}, timeout=15_000))
    await asyncio.sleep(0.05)
    await world.client.publish_message("paid", "7", {"amount": 5}, 60_000, "m1")
    assert (await waiting).variables["amount"] == 5
    await world.client.publish_message("paid", "8", {"amount": 6}, 60_000, "m2")
    with pytest.raises(MessageAlreadyExistsError):
        await world.client.publish_message("paid", "8", {"amount": 6}, 60_000, "m2")
    assert (await world.client.run_process_with_result("wait", {"orderId": "8"}, timeout=15_000)).variables["amount"] == 6
    both = [asyncio.create_task(world.client.run_process_with_result("sig", {}, timeout=15_000)) for _ in range(2)]
    await asyncio.sleep(0.05)
    await world.client.broadcast_signal("go", {"by": "me"})
    assert [r.variables["by"] for r in await asyncio.gather(*both)] == ["me", "me"]


async def test_decisions(world):
    deployed = await world.deploy(DMN)
    decision = next(d.decision for d in deployed.deployments if d.WhichOneof("Metadata") == "decision")
    assert decision.dmnDecisionId == "rate" and decision.decisionRequirementsKey
    r = await world.client.evaluate_decision(None, "rate", {"total": 200})
    assert r.decision_output == 0.1 and r.evaluated_decisions[-1].matched_rules[0].rule_id == "r1"
    raw = await world.stub.EvaluateDecision(pb.EvaluateDecisionRequest(decisionId="rate", variables='{"total": 200}'))
    assert [d.decisionKey for d in raw.evaluatedDecisions] == [
        decision.decisionKey
    ] and raw.decisionRequirementsKey == decision.decisionRequirementsKey
    [output] = raw.evaluatedDecisions[0].matchedRules[0].evaluatedOutputs
    assert output.outputId and output.outputId != output.outputName, "the id of the column, not its name"
    assert (await world.client.evaluate_decision(decision.decisionKey, None, {"total": 2})).decision_output == 0
    await world.stub.DeleteResource(pb.DeleteResourceRequest(resourceKey=decision.decisionRequirementsKey))
    with pytest.raises(grpc.aio.AioRpcError) as e:  # a requirements graph goes with its decisions
        await world.stub.EvaluateDecision(pb.EvaluateDecisionRequest(decisionId="rate", variables="{}"))
    assert e.value.code() is grpc.StatusCode.NOT_FOUND


TOP = (
    '<decision id="top" name="Top"><variable name="Top"/><informationRequirement id="r9"><requiredDecision href="#rate"/></informationRequirement>'
    '<context><contextEntry><variable name="a"/><literalExpression><text>Rate * 2</text></literalExpression></contextEntry></context></decision>'
)
FORM = '{"id":"f1","type":"default","schemaVersion":16,"components":[]}'


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as e:
        await call
    return e.value.code().name, e.value.details()


async def test_what_a_deployment_answers_stands_in_zeebes_order_and_each_decision_has_its_key(world):
    named = {"f.form": FORM, "d.dmn": DMN.replace('<decision id="rate"', TOP + '<decision id="rate"'), "o.bpmn": ORDER}
    for _ in range(2):  # the second time nothing is new, and all is told again
        resources = [pb.Resource(name=name, content=text.encode()) for name, text in named.items()]
        deployed = (await world.stub.DeployResource(pb.DeployResourceRequest(resources=resources))).deployments
        assert [d.WhichOneof("Metadata") for d in deployed] == ["process", "decision", "decision", "decisionRequirements", "form"]
        drg = deployed[3].decisionRequirements
        assert {d.decision.decisionRequirementsKey for d in deployed[1:3]} == {drg.decisionRequirementsKey} and drg.version == 1
    keys = {d.decision.dmnDecisionId: d.decision.decisionKey for d in deployed[1:3]}
    raw = await world.stub.EvaluateDecision(pb.EvaluateDecisionRequest(decisionId="top", variables='{"total": 200}'))
    assert [(d.decisionId, d.decisionKey, d.decisionType) for d in raw.evaluatedDecisions] == [
        ("rate", keys["rate"], "DECISION_TABLE"), ("top", keys["top"], "CONTEXT"),
    ]  # fmt: skip
    assert (raw.decisionKey, raw.decisionRequirementsId, raw.decisionRequirementsKey) == (keys["top"], "drg", drg.decisionRequirementsKey)
    code, text = await refused(world.stub.DeleteResource(pb.DeleteResourceRequest(resourceKey=keys["rate"])))
    assert code == "NOT_FOUND" and f"no resource found with key `{keys['rate']}`" in text, "a decision is no resource"
    await world.stub.DeleteResource(pb.DeleteResourceRequest(resourceKey=drg.decisionRequirementsKey))
    for ask in ({"decisionId": "rate"}, {"decisionId": "top"}, {"decisionKey": keys["rate"]}):
        assert (await refused(world.stub.EvaluateDecision(pb.EvaluateDecisionRequest(**ask))))[0] == "NOT_FOUND"
    await world.stub.DeleteResource(pb.DeleteResourceRequest(resourceKey=deployed[4].form.formKey))


async def test_what_is_missing_is_named(world):
    process = (await world.deploy(TWO)).deployments[0].process
    key = (await world.client.run_process("pair")).process_instance_key
    request = pb.MigrateProcessInstanceRequest
    plan = request.MigrationPlan(targetProcessDefinitionKey=424242)
    assert (
        "no process definition found with key '424242'"
        in (await refused(world.stub.MigrateProcessInstance(request(processInstanceKey=key, migrationPlan=plan))))[1]
    )
    plan = request.MigrationPlan(targetProcessDefinitionKey=process.processDefinitionKey)
    assert (
        "no process instance found with key '424242'"
        in (await refused(world.stub.MigrateProcessInstance(request(processInstanceKey=424242, migrationPlan=plan))))[1]
    )
    for target in ("one", "two"):
        plan.mappingInstructions.append(request.MappingInstruction(sourceElementId="one", targetElementId=target))
    code, text = await refused(world.stub.MigrateProcessInstance(request(processInstanceKey=key, migrationPlan=plan)))
    assert code == "INVALID_ARGUMENT" and "duplicate source element ids 'one'" in text
    change = pb.ModifyProcessInstanceRequest
    put = change.ActivateInstruction(elementId="two", variableInstructions=[change.VariableInstruction(variables="{}", scopeId="zz")])
    code, text = await refused(world.stub.ModifyProcessInstance(change(processInstanceKey=key, activateInstructions=[put])))
    assert code == "INVALID_ARGUMENT" and "found the scope 'zz'" in text
    code, text = await refused(world.deploy(TWO.replace('targetRef="two"', 'targetRef="zz"')))
    assert code == "INVALID_ARGUMENT" and "- Element: f_one_two" in text and "None" not in text
    assert "None" not in (await refused(world.deploy("<a/>")))[1]


async def test_what_a_later_protocol_says_is_refused_by_name_and_not_dropped(world):
    await world.deploy(EMPTY)
    start = pb.CreateProcessInstanceRequest(bpmnProcessId="empty", version=-1)
    tagged = pb.CreateProcessInstanceRequest.FromString(start.SerializeToString() + b"\x4a\x01x")
    assert await refused(world.stub.CreateProcessInstance(tagged)) == (
        "INVALID_ARGUMENT",
        "Command 'CreateProcessInstance' rejected with code 'INVALID_ARGUMENT': Expected no fields but those of the protocol of Zeebe 8.6, "
        "but the field 'tags' was given",
    )
    waiting = pb.CreateProcessInstanceWithResultRequest(request=tagged)
    assert "'tags'" in (await refused(world.stub.CreateProcessInstanceWithResult(waiting)))[1]
    denied = pb.CompleteJobRequest.FromString(pb.CompleteJobRequest(jobKey=5).SerializeToString() + b"\x1a\x02\x08\x01")
    assert "'result'" in (await refused(world.stub.CompleteJob(denied)))[1]
    odd = pb.CancelProcessInstanceRequest.FromString(b"\x98\x06\x01")
    assert "'number 99'" in (await refused(world.stub.CancelProcessInstance(odd)))[1]
    await world.stub.Topology(pb.TopologyRequest.FromString(b"\x98\x06\x01"))


@pytest.mark.req("D-MOD-005")
async def test_start_at_modify_set_variables_and_migrate(world):
    await world.deploy(TWO)
    start = [pb.ProcessInstanceCreationStartInstruction(elementId="two")]
    r = await world.stub.CreateProcessInstance(pb.CreateProcessInstanceRequest(bpmnProcessId="pair", version=-1, startInstructions=start))
    (j,) = await world.take("two")
    assert j.processInstanceKey == r.processInstanceKey
    await world.stub.SetVariables(pb.SetVariablesRequest(elementInstanceKey=r.processInstanceKey, variables='{"x":1}'))
    assert world.instance(r.processInstanceKey).vars["x"] == 1
    activate = pb.ModifyProcessInstanceRequest.ActivateInstruction(
        elementId="one", variableInstructions=[pb.ModifyProcessInstanceRequest.VariableInstruction(variables='{"y":2}')]
    )
    terminate = pb.ModifyProcessInstanceRequest.TerminateInstruction(elementInstanceKey=j.elementInstanceKey)
    await world.stub.ModifyProcessInstance(
        pb.ModifyProcessInstanceRequest(
            processInstanceKey=r.processInstanceKey, activateInstructions=[activate], terminateInstructions=[terminate]
        )
    )
    (one,) = await world.take("one")
    assert json.loads(one.variables) == {"x": 1, "y": 2}
    target = (await world.deploy(TWO.replace("one", "uno"))).deployments[0].process
    plan = pb.MigrateProcessInstanceRequest.MigrationPlan(
        targetProcessDefinitionKey=target.processDefinitionKey,
        mappingInstructions=[pb.MigrateProcessInstanceRequest.MappingInstruction(sourceElementId="one", targetElementId="uno")],
    )
    nowhere = pb.MigrateProcessInstanceRequest.MigrationPlan(targetProcessDefinitionKey=77)
    with pytest.raises(grpc.aio.AioRpcError, match="no process definition found with key '77'"):
        await world.stub.MigrateProcessInstance(
            pb.MigrateProcessInstanceRequest(processInstanceKey=r.processInstanceKey, migrationPlan=nowhere)
        )
    await world.stub.MigrateProcessInstance(pb.MigrateProcessInstanceRequest(processInstanceKey=r.processInstanceKey, migrationPlan=plan))
    assert world.instance(r.processInstanceKey).version == 2
    await world.stub.CompleteJob(pb.CompleteJobRequest(jobKey=one.key))
    assert len(await world.take("two")) == 1
    with pytest.raises(grpc.aio.AioRpcError, match="has running instances"):
        await world.stub.DeleteResource(pb.DeleteResourceRequest(resourceKey=target.processDefinitionKey))
    await world.stub.CancelProcessInstance(pb.CancelProcessInstanceRequest(processInstanceKey=r.processInstanceKey))
    await world.stub.DeleteResource(pb.DeleteResourceRequest(resourceKey=target.processDefinitionKey))
    with pytest.raises(grpc.aio.AioRpcError) as e:
        await world.stub.DeleteResource(pb.DeleteResourceRequest(resourceKey=99))
    assert e.value.code() is grpc.StatusCode.NOT_FOUND


async def test_user_tasks_without_zeebe_user_task_are_jobs(world):
    await world.deploy(USER)
    r = await world.client.run_process("human", {})
    (j,) = await world.take("io.camunda.zeebe:userTask")
    assert j.processInstanceKey == r.process_instance_key
    await world.stub.CompleteJob(pb.CompleteJobRequest(jobKey=j.key))
    await until(lambda: world.instance(r.process_instance_key) is None)


async def test_a_killed_worker_s_job_goes_to_another_once(world):
    await world.deploy(ORDER)
    r = await world.client.run_process("order", {})
    dead = create_insecure_channel(grpc_address=f"127.0.0.1:{world.gateway.port}", channel_options=(("grpc.client_id", 9),))
    request = pb.StreamActivatedJobsRequest(type="pay", worker="dead", timeout=400)
    stream = GatewayStub(dead).StreamActivatedJobs(request)
    first = await asyncio.wait_for(stream.read(), 3)
    await dead.close()
    await until(lambda: not any(w["worker"] == "dead" for w in world.gateway.workers.listing()))
    (again,) = await world.take("pay")
    assert again.key == first.key
    assert await world.take("pay", timeout=1000) == []
    await world.stub.CompleteJob(pb.CompleteJobRequest(jobKey=again.key))
    await until(lambda: world.instance(r.process_instance_key) is None)


async def test_clients_come_back_after_the_gateway_was_away(world):
    await world.deploy(ORDER)
    worker = ZeebeWorker(world.channel, "w", request_timeout=500, stream_enabled=True, max_connection_retries=-1)
    done = []

    @worker.task("pay")
    async def pay(job: Job) -> dict:
        done.append(job.key)
        return {}

    from pyzeebe.worker import job_poller

    job_poller.asyncio.sleep, sleep = (lambda s, sleep=asyncio.sleep: sleep(min(s, 0.1))), asyncio.sleep
    try:
        running = asyncio.create_task(worker.work())
        await world.client.run_process_with_result("order", {}, timeout=15_000)
        await world.server.close(0.1)
        world.server = await listen(world.gateway, port=world.gateway.port)
        async with asyncio.timeout(10):
            while True:
                try:
                    await world.client.run_process_with_result("order", {}, timeout=15_000)
                    break
                except Exception:
                    await sleep(0.1)
        assert len(done) >= 2
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    finally:
        job_poller.asyncio.sleep = sleep


async def test_a_job_that_fits_into_no_message_is_an_incident_and_the_small_ones_are_delivered(world):
    """Case 111: one job of 5 MB made each poll fail, and the small jobs leased with it were lost until their leases ended."""
    both = job("f", "fill") + job("w", "work") + '<bpmn:endEvent id="e"/>' + flow("s", "f", "w", "e")
    await world.deploy(process("big", both))

    async def start(size: int) -> None:
        """One command carries 4 MiB at the most; variables of an instance grow beyond by several."""
        await world.engine.call(c.StartInstance(id="big", variables={"a": "x" * (size // 2)}))
        [fill] = await world.engine.activate("fill", "w", 1, 60_000, 2_000, ["none"])
        await world.engine.call(c.CompleteTask(task=fill["key"], variables={"b": "x" * (size - size // 2)}, fence=fill["fence"]))

    sizes = (100, 5_000_000, 200, 3_900_000, 4_300_000)
    for size in sizes:
        await start(size)
    got = []
    while len(got) < 3:
        got += [len(j.variables) for j in await world.take("work", 32)]
    assert sorted(n // 100 for n in got) == [1, 2, 39_000]
    await until(lambda: len(world.incidents()) == 2)
    assert all("fetchVariable" in i.message and "bytes" in i.message for i in world.incidents())
    stream = world.stub.StreamActivatedJobs(pb.StreamActivatedJobsRequest(type="work", worker="s", timeout=60_000))
    for size in (5_000_000, 20):
        await start(size)
    found = await asyncio.wait_for(aiter(stream).__anext__(), 10)
    assert len(found.variables) < 100
    stream.cancel()


@pytest.mark.parametrize("wait_ms", [50])
async def test_polls_with_short_waits_swallow_no_job(world, wait_ms):
    await world.deploy(process("many", job("w", "work") + '<bpmn:endEvent id="e"/>' + flow("s", "w", "e")))
    got: list[int] = []

    async def worker(name):
        while len(got) < 60:
            request = pb.ActivateJobsRequest(type="work", worker=name, timeout=600_000, maxJobsToActivate=2, requestTimeout=wait_ms)
            got.extend([j.key async for r in world.stub.ActivateJobs(request) for j in r.jobs])

    workers = [asyncio.create_task(worker(f"w{n}")) for n in range(3)]
    for _ in range(60):
        await world.client.run_process("many", {})
    await asyncio.wait_for(asyncio.gather(*workers), 20)
    assert len(got) == len(set(got)) == 60

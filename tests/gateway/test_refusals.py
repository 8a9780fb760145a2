"""What Zeebe's clients are told when a call can't be done: codes and sentences, each against the real engine; so a change of our own words shows here."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import grpc
import pytest
from pyzeebe.proto import gateway_pb2 as pb

from flowledger.api.grpc import wording
from flowledger.kernel.limits import TTL_MS_MAX

from .test_real_engine import HEAD, TWO, World, flow, job, process, world

__all__ = ["world"]
PARENT = process(
    "parent",
    '<bpmn:callActivity id="c"><bpmn:extensionElements><zeebe:calledElement processId="pair"/></bpmn:extensionElements></bpmn:callActivity>'
    '<bpmn:endEvent id="e"/>' + flow("s", "c", "e"),
)
NO_NONE_START = (
    f'{HEAD}<bpmn:message id="m" name="go"/><bpmn:process id="told" isExecutable="true"><bpmn:startEvent id="s">'
    f'<bpmn:messageEventDefinition messageRef="m"/></bpmn:startEvent>{job("w", "w")}{flow("s", "w")}</bpmn:process></bpmn:definitions>'
)
Migrate, Modify = pb.MigrateProcessInstanceRequest, pb.ModifyProcessInstanceRequest


class Place(NamedTuple):
    """What the requests of the table are about: of `pair` an instance with a job under lease, and one that was called."""

    definition: int
    instance: int
    called: int
    root: int
    job: int


@pytest.fixture
async def place(world: World) -> Place:
    key = (await world.deploy(TWO)).deployments[0].process.processDefinitionKey
    await world.deploy(PARENT, NO_NONE_START)
    instance = (await world.client.run_process("pair")).process_instance_key
    (taken,) = await world.take("one")
    root = (await world.client.run_process("parent")).process_instance_key
    (below,) = await world.take("one")
    return Place(key, instance, below.processInstanceKey, root, taken.key)


def migration(p: Place, *pairs: tuple[str, str]) -> Any:
    steps = [Migrate.MappingInstruction(sourceElementId=a, targetElementId=b) for a, b in pairs]
    return Migrate(
        processInstanceKey=p.instance,
        migrationPlan=Migrate.MigrationPlan(targetProcessDefinitionKey=p.definition, mappingInstructions=steps),
    )


def start(id: str, *at: str, version: int = -1) -> Any:
    return pb.CreateProcessInstanceRequest(
        bpmnProcessId=id, version=version, startInstructions=[pb.ProcessInstanceCreationStartInstruction(elementId=x) for x in at]
    )


def modification(p: Place, activate: str = "", ancestor: int = 0, terminate: int = 0) -> Any:
    steps = [Modify.ActivateInstruction(elementId=activate, ancestorElementInstanceKey=ancestor)] if activate else []
    ends = [Modify.TerminateInstruction(elementInstanceKey=terminate)] if terminate else []
    return Modify(processInstanceKey=p.instance, activateInstructions=steps, terminateInstructions=ends)


#: (call, request, status, what the text has; `{name}`: of the place)
REFUSED: list[tuple[str, Callable[[Place], Any], str, str]] = [
    ("CreateProcessInstance", lambda p: start("told"), "FAILED_PRECONDITION",
     "Command 'CREATE' rejected with code 'INVALID_STATE': Expected to create instance of process with none start event, but there is no such event"),
    ("CreateProcessInstanceWithResult", lambda p: pb.CreateProcessInstanceWithResultRequest(request=start("told")), "FAILED_PRECONDITION", "with none start event"),
    ("CreateProcessInstance", lambda p: start("pair", "zz"), "INVALID_ARGUMENT",
     "Expected to create instance of process with start instructions but no element found with id 'zz'."),
    ("CreateProcessInstance", lambda p: start("pair", version=7), "NOT_FOUND", "process ID 'pair' and version '7', but none found"),
    ("CancelProcessInstance", lambda p: pb.CancelProcessInstanceRequest(processInstanceKey=p.called), "FAILED_PRECONDITION",
     "Expected to cancel a process instance with key '{called}', but it is created by a parent process instance. "
     "Cancel the root process instance '{root}' instead."),
    ("MigrateProcessInstance", lambda p: migration(p), "FAILED_PRECONDITION",
     "Expected to migrate process instance '{instance}' but no mapping instruction defined for active element with id 'one'. "
     "Elements cannot be migrated without a mapping."),
    ("MigrateProcessInstance", lambda p: migration(p, ("zz", "one")), "INVALID_ARGUMENT",
     "Expected to migrate process instance '{instance}' but mapping instructions contain a non-existing source element id 'zz'. "
     "Elements provided in mapping instructions must exist in the source process definition."),
    ("MigrateProcessInstance", lambda p: migration(p, ("one", "zz")), "INVALID_ARGUMENT", "a non-existing target element id 'zz'"),
    ("MigrateProcessInstance", lambda p: migration(p, ("one", "")), "INVALID_ARGUMENT", "a non-existing target element id ''"),
    ("MigrateProcessInstance", lambda p: migration(p, ("", "one")), "INVALID_ARGUMENT", "a non-existing source element id ''"),
    ("MigrateProcessInstance", lambda p: migration(p, ("one", "s")), "FAILED_PRECONDITION", "Command 'MIGRATE' rejected with code 'INVALID_STATE'"),
    ("ModifyProcessInstance", lambda p: modification(p, "zz"), "INVALID_ARGUMENT",
     "Expected to modify instance of process 'pair' but it contains one or more activate instructions with an element that could not be found: 'zz'"),
    ("ModifyProcessInstance", lambda p: modification(p, "two", ancestor=5), "INVALID_ARGUMENT", "Command 'MODIFY'"),
    ("ModifyProcessInstance", lambda p: modification(p, terminate=5), "INVALID_ARGUMENT", "Command 'MODIFY'"),
    ("UpdateJobTimeout", lambda p: pb.UpdateJobTimeoutRequest(jobKey=7, timeout=5), "NOT_FOUND", "no such job was found"),
    ("UpdateJobRetries", lambda p: pb.UpdateJobRetriesRequest(jobKey=p.job, retries=-1), "INVALID_ARGUMENT", "but the amount given was '-1'"),
    ("SetVariables", lambda p: pb.SetVariablesRequest(elementInstanceKey=p.instance, variables="[1]"), "INVALID_ARGUMENT", "but was 'ARRAY'"),
    ("StreamActivatedJobs", lambda p: pb.StreamActivatedJobsRequest(type=" ", worker="w", timeout=5), "INVALID_ARGUMENT", "but it was blank"),
]  # fmt: skip


async def refused(call: Awaitable[Any]) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as e:
        await call
    return e.value.code().name, e.value.details() or ""


async def test_each_refusal_has_the_code_and_the_words_that_clients_know(world: World, place: Place) -> None:
    wrong = []
    for n, (name, request, status, text) in enumerate(REFUSED):
        call = getattr(world.stub, name)(request(place))
        code, said = await refused(anext(aiter(call)) if name.startswith("Stream") else call)
        if (code, True) != (status, text.format(**place._asdict()) in said):
            wrong.append(f"{n} {name}: {code} {said}")
    assert not wrong, "\n".join(wrong)
    assert world.instance(place.instance) is not None, "nothing of it was done"


async def test_a_job_that_is_not_in_hand(world: World, place: Place) -> None:
    """Given back by a failure: not active; without attempts: failed."""
    await world.stub.FailJob(pb.FailJobRequest(jobKey=place.job, retries=1))
    code, said = await refused(world.stub.UpdateJobTimeout(pb.UpdateJobTimeoutRequest(jobKey=place.job, timeout=5_000)))
    assert (code, said.partition(": ")[2]) == (
        "FAILED_PRECONDITION",
        f"Expected to update the timeout of job with key '{place.job}', but it is not active",
    )
    await world.take("one")
    await world.stub.FailJob(pb.FailJobRequest(jobKey=place.job, retries=0))
    for call, verb in (
        (world.stub.CompleteJob(pb.CompleteJobRequest(jobKey=place.job)), "complete"),
        (world.stub.FailJob(pb.FailJobRequest(jobKey=place.job)), "fail"),
    ):
        code, said = await refused(call)
        assert (code, said.partition(": ")[2]) == (
            "FAILED_PRECONDITION",
            f"Expected to {verb} job with key '{place.job}', but it is in state 'FAILED'",
        )


async def test_a_message_is_published_once_by_its_id_and_kept_as_long_as_anything_is(world: World) -> None:
    message = pb.PublishMessageRequest(name="a 'b'", correlationKey="k", timeToLive=2**63 - 1, messageId="x")
    first = await world.stub.PublishMessage(message)
    (kept,) = [m for owner in world.engine.owners.values() for m in owner.state.messages.values()]
    assert kept.key == first.key and kept.expires_us > TTL_MS_MAX * 1000
    assert (await refused(world.stub.PublishMessage(message))) == (
        "ALREADY_EXISTS",
        "Command 'PUBLISH' rejected with code 'ALREADY_EXISTS': Expected to publish a new message with id 'x', "
        "but a message with that id was already published",
    )
    message.correlationKey = "other"
    await world.stub.PublishMessage(message)


def test_what_is_in_no_table_keeps_our_words() -> None:
    assert wording.said("COMPLETE", "can't complete task 5: it is suspended", 5) == "can't complete task 5: it is suspended"
    assert wording.said("RESOLVE", "nobody has the lease of task 5", 5) == "nobody has the lease of task 5"
    names = list(itertools.chain.from_iterable(wording._SAID.values()))
    assert len(names) == len({ours + theirs for ours, theirs in names})

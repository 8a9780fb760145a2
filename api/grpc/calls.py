"""The calls of the gateway with one answer: each is a command of ours, said in Zeebe's words.

Every function takes (gateway, request, call) and answers the reply message, or raises `Refused`. The table `UNARY` lists them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from flowledger.api.grpc.gateway import Call, Gateway
from flowledger.api.grpc.status import (
    DEADLINE_EXCEEDED,
    FAILED_PRECONDITION,
    INVALID_ARGUMENT,
    NOT_FOUND,
    Intent,
    Refused,
    invalid,
    refusal,
)
from flowledger.api.grpc.tenants import for_tenant, tenant_name
from flowledger.api.grpc.wording import not_mapped
from flowledger.api.veil import masked_values
from flowledger.events import commands as c
from flowledger.events.avro import decode_json, encode_json
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.limits import TTL_MS_MAX
from flowledger.kernel.model.encodings import decode
from flowledger.processors.client import Caller
from flowledger.sdk.zeebe_stubs import load

pb = load()

#: release of Zeebe whose protocol this is; clients may look at it
ZEEBE_VERSION = "8.6.0"
#: `CreateProcessInstanceWithResult` without a time-out waits as long as a Zeebe gateway does by default
WITH_RESULT_TIMEOUT_MS = 15_000


def variables_of(text: str, what: str = "variables") -> dict[str, Any] | None:
    """A JSON object as text; empty text is none. Raises: Refused(INVALID_ARGUMENT)."""
    if not text or text == "{}":
        return None
    try:
        value = decode_json(text)
    except msgspec.DecodeError as e:
        raise Refused(INVALID_ARGUMENT, f"Property '{what}' is invalid: Invalid JSON value: {text[:200]} ({e})") from None
    if value is None:
        return None
    if type(value) is not dict:
        kind = _MSGPACK_NAMES.get(type(value), "FLOAT")
        raise Refused(INVALID_ARGUMENT, f"Property '{what}' is invalid: Expected document to be a root level object, but was '{kind}'")
    return value


_MSGPACK_NAMES = {list: "ARRAY", str: "STRING", bool: "BOOLEAN", int: "INTEGER"}


async def ask(
    g: Gateway, command: c.AnyCommand, caller: Caller, intent: Intent, subject: Any = "", timeout_s: float = 30.0
) -> dict[str, Any]:
    answer = await g.ask(command, caller, timeout_s)
    if isinstance(answer, Rejected):
        raise refusal(answer, intent, subject)
    return answer


# --- jobs -----------------------------------------------------------------------------------------------------------------

COMPLETE = Intent("COMPLETE", "Expected to complete job with key '{}', but no such job was found")
FAIL = Intent("FAIL", "Expected to fail job with key '{}', but no such job was found")
THROW = Intent("THROW_ERROR", "Expected to throw an error for job with key '{}', but no such job was found")
RETRIES = Intent("UPDATE_RETRIES", "Expected to update retries for job with key '{}', but no such job was found")
TIMEOUT = Intent("UPDATE_TIMEOUT", "Expected to update timeout of job with key '{}', but no such job was found")


async def complete_job(g: Gateway, r: Any, call: Call) -> Any:
    key = r.jobKey
    answer = await g.ask(c.CompleteTask(task=key, variables=variables_of(r.variables), fence=call.fence(key)), call.answering(key))
    if type(answer) is Rejected:
        raise refusal(answer, COMPLETE, key)
    g.workers.settled(key)
    return g.completed


async def fail_job(g: Gateway, r: Any, call: Call) -> Any:
    command = c.FailTask(
        task=r.jobKey,
        retries=max(r.retries, 0),
        backoff_ms=max(r.retryBackOff, 0),
        message=r.errorMessage,
        variables=variables_of(r.variables),
        fence=call.fence(r.jobKey),
    )
    await ask(g, command, call.answering(r.jobKey), FAIL, r.jobKey)
    g.workers.settled(r.jobKey, completed=False)
    return pb.FailJobResponse()


async def throw_error(g: Gateway, r: Any, call: Call) -> Any:
    command = c.ThrowTaskError(
        task=r.jobKey, code=r.errorCode, message=r.errorMessage, variables=variables_of(r.variables), fence=call.fence(r.jobKey)
    )
    await ask(g, command, call.answering(r.jobKey), THROW, r.jobKey)
    g.workers.settled(r.jobKey, completed=False)
    return pb.ThrowErrorResponse()


async def update_job_retries(g: Gateway, r: Any, call: Call) -> Any:
    if r.retries < 1:
        raise invalid(
            "UPDATE_RETRIES",
            f"Expected to update retries for job with key '{r.jobKey}' "
            f"with a positive amount of retries, but the amount given was '{r.retries}'",
        )
    await ask(g, c.UpdateRetries(task=r.jobKey, retries=r.retries), call.answering(r.jobKey), RETRIES, r.jobKey)
    return pb.UpdateJobRetriesResponse()


async def update_job_timeout(g: Gateway, r: Any, call: Call) -> Any:
    await ask(
        g, c.ExtendLease(task=r.jobKey, timeout_ms=r.timeout, fence=call.fence(r.jobKey)), call.answering(r.jobKey), TIMEOUT, r.jobKey
    )
    return pb.UpdateJobTimeoutResponse()


# --- instances ------------------------------------------------------------------------------------------------------------

CREATE = Intent("CREATE", "Expected to find process definition with {}, but none found")
CANCEL = Intent("CANCEL", "Expected to cancel a process instance with key '{}', but no such process was found")
SET_VARIABLES = Intent("UPDATE", "Expected to update variables for element with key '{}', but no such element was found")
RESOLVE = Intent("RESOLVE", "Expected to resolve incident with key '{}', but no such incident was found")
MODIFY = Intent("MODIFY", "Expected to modify process instance but no process instance found with key '{}'")
MIGRATE_TARGET = Intent(
    "MIGRATE", "Expected to migrate process instance to process definition but no process definition found with key '{}'"
)
MIGRATE = Intent("MIGRATE", "Expected to migrate process instance but no process instance found with key '{}'")


def start_of(r: Any, wait: bool = False, fetch: list[str] | None = None) -> tuple[c.StartInstance, str]:
    """The command, and how a refusal names the definition. An id goes before a key, as in Zeebe."""
    if r.bpmnProcessId:
        subject = f"process ID '{r.bpmnProcessId}'" + (f" and version '{r.version}'" if r.version >= 0 else "")
    elif r.processDefinitionKey > 0:
        subject = f"key '{r.processDefinitionKey}'"
    else:
        raise invalid(
            "CREATE",
            "Expected at least a bpmnProcessId or a key greater than -1, but none given",
        )
    start_at = [i.elementId for i in r.startInstructions] if r.startInstructions else None
    command = c.StartInstance(
        id=r.bpmnProcessId,
        definition=0 if r.bpmnProcessId else max(r.processDefinitionKey, 0),
        version=max(r.version, 0) if r.bpmnProcessId else 0,
        variables=variables_of(r.variables),
        start_at=start_at,
        wait=wait,
        fetch=fetch,
    )
    if r.bpmnProcessId and r.version == 0:  # Zeebe looks for a version 0, which there never is; -1 (and less) is the latest
        raise Refused(NOT_FOUND, f"Command '{CREATE.name}' rejected with code 'NOT_FOUND': {CREATE.missing.format(subject)}")
    return command, subject


async def create_process_instance(g: Gateway, r: Any, call: Call) -> Any:
    command, subject = start_of(r)
    caller = for_tenant(call.caller, r.tenantId)
    a = await ask(g, command, caller, CREATE, subject)
    return pb.CreateProcessInstanceResponse(
        processDefinitionKey=a["definition"],
        bpmnProcessId=a["process"],
        version=a["version"],
        processInstanceKey=a["key"],
        tenantId=tenant_name(caller.tenant),
    )


async def create_with_result(g: Gateway, r: Any, call: Call) -> Any:
    command, subject = start_of(r.request, wait=True, fetch=list(r.fetchVariables) or None)
    caller = for_tenant(call.caller, r.request.tenantId)
    timeout_ms = r.requestTimeout if r.requestTimeout > 0 else WITH_RESULT_TIMEOUT_MS
    a = await ask(g, command, caller, CREATE, subject, timeout_s=timeout_ms / 1000)
    status = a.get("status", "completed")
    if status != "completed":
        # A Zeebe gateway never answers here and the client runs into its time-out; to say so at once is kinder.
        what = "is still running" if status in ("running", "pending", "suspended", "paused") else f"ended as '{status}'"
        raise Refused(
            DEADLINE_EXCEEDED if what.startswith("is") else FAILED_PRECONDITION,
            f"Command 'CREATE_WITH_AWAITING_RESULT' rejected with code 'INVALID_STATE': "
            f"Expected the result of process instance with key '{a['key']}', but it {what}",
        )
    return pb.CreateProcessInstanceWithResultResponse(
        processDefinitionKey=a["definition"],
        bpmnProcessId=a["process"],
        version=a["version"],
        processInstanceKey=a["key"],
        variables=encode_json(masked_values(a.get("variables") or {})),
        tenantId=tenant_name(caller.tenant),
    )


async def cancel_process_instance(g: Gateway, r: Any, call: Call) -> Any:
    await ask(g, c.CancelInstance(key=r.processInstanceKey), call.caller, CANCEL, r.processInstanceKey)
    return pb.CancelProcessInstanceResponse()


async def set_variables(g: Gateway, r: Any, call: Call) -> Any:
    command = c.SetVariables(key=r.elementInstanceKey, variables=variables_of(r.variables) or {}, local=r.local)
    a = await ask(g, command, call.caller, SET_VARIABLES, r.elementInstanceKey)
    return pb.SetVariablesResponse(key=a.get("key", r.elementInstanceKey))


async def resolve_incident(g: Gateway, r: Any, call: Call) -> Any:
    await ask(g, c.ResolveIncident(key=r.incidentKey), call.caller, RESOLVE, r.incidentKey)
    return pb.ResolveIncidentResponse()


def by_scope(instructions: Any) -> dict[str, dict[str, Any]]:
    """Scope (an element id; empty: the instance) -> variables to set there."""
    found: dict[str, dict[str, Any]] = {}
    for i in instructions:
        found.setdefault(i.scopeId, {}).update(variables_of(i.variables) or {})
    return found


async def modify_process_instance(g: Gateway, r: Any, call: Call) -> Any:
    activate = [
        {
            "element": i.elementId,
            "ancestor": max(i.ancestorElementInstanceKey, 0),
            "variables": by_scope(i.variableInstructions),
        }
        for i in r.activateInstructions
    ]
    command = c.ModifyInstance(
        key=r.processInstanceKey,
        activate=activate,
        terminate=[i.elementInstanceKey for i in r.terminateInstructions],
        force=True,
    )
    await ask(g, command, call.caller, MODIFY, r.processInstanceKey)
    return pb.ModifyProcessInstanceResponse()


_NO_ELEMENT = re.compile(r"expected an element of '.*' version \d+, found '(.*)'", re.DOTALL)


async def migrate_process_instance(g: Gateway, r: Any, call: Call) -> Any:
    plan = r.migrationPlan
    elements: dict[str, str] = {}
    for m in plan.mappingInstructions:
        if m.sourceElementId in elements:
            raise invalid(
                "MIGRATE",
                f"Expected to migrate process instance '{r.processInstanceKey}' but mapping instructions contain duplicate source element ids "
                f"'{m.sourceElementId}'",
            )
        for which, id in (("source", m.sourceElementId), ("target", m.targetElementId)):
            if not id:  # ours takes no target for a token that is to go
                raise invalid("MIGRATE", not_mapped(r.processInstanceKey, which, id))
        elements[m.sourceElementId] = m.targetElementId
    command = c.MigrateInstance(key=r.processInstanceKey, definition=plan.targetProcessDefinitionKey, elements=elements)
    answer = await g.ask(command, call.caller)
    if isinstance(answer, Rejected):
        if found := _NO_ELEMENT.fullmatch(answer.message):
            which = "source" if found[1] in elements else "target"
            raise invalid("MIGRATE", not_mapped(r.processInstanceKey, which, found[1]))
        unknown_target = answer.code == RejectionCode.NOT_FOUND and "process definition" in answer.message
        raise refusal(answer, MIGRATE_TARGET if unknown_target else MIGRATE, command.definition if unknown_target else r.processInstanceKey)
    return pb.MigrateProcessInstanceResponse()


# --- messages and signals -------------------------------------------------------------------------------------------------

PUBLISH = Intent("PUBLISH")
BROADCAST = Intent("BROADCAST")


async def publish_message(g: Gateway, r: Any, call: Call) -> Any:
    caller = for_tenant(call.caller, r.tenantId)
    command = c.PublishMessage(
        name=r.name,
        correlation_key=r.correlationKey,
        variables=variables_of(r.variables),
        ttl_ms=min(max(r.timeToLive, 0), TTL_MS_MAX),
        message_id=r.messageId,
    )
    a = await ask(g, command, caller, PUBLISH, r.name)
    return pb.PublishMessageResponse(key=a["key"], tenantId=tenant_name(caller.tenant))


async def broadcast_signal(g: Gateway, r: Any, call: Call) -> Any:
    caller = for_tenant(call.caller, r.tenantId)
    a = await ask(g, c.BroadcastSignal(name=r.signalName, variables=variables_of(r.variables)), caller, BROADCAST, r.signalName)
    return pb.BroadcastSignalResponse(key=a["key"], tenantId=tenant_name(caller.tenant))


# --- resources ------------------------------------------------------------------------------------------------------------

DEPLOY = Intent("CREATE")
DELETE = Intent("DELETE", "Expected to delete resource but no resource found with key `{}`")


def text_of(name: str, content: bytes) -> str:
    """A resource as text, by its byte order mark or XML declaration, else UTF-8."""
    try:
        return decode(content)
    except ValueError as e:
        raise invalid("CREATE", f"'{name}': {e}") from None


async def deploy(g: Gateway, named: list[tuple[str, bytes]], caller: Caller) -> dict[str, Any]:
    if not named:
        raise invalid("CREATE", "Expected to deploy at least one resource, but none given")
    resources = [c.Resource(name=name, content=text_of(name, content)) for name, content in named]
    return await ask(g, c.Deploy(resources=resources), caller, DEPLOY, timeout_s=60.0)


def process_metadata(d: dict[str, Any], tenant: str) -> Any:
    return pb.ProcessMetadata(
        bpmnProcessId=d["id"], version=d["version"], processDefinitionKey=d["key"], resourceName=d["resource"], tenantId=tenant
    )


def drg_of(d: dict[str, Any], all_of_it: list[dict[str, Any]]) -> dict[str, Any]:
    """The decision requirements graph that came in the same file as decision `d`."""
    return next((o for o in all_of_it if o["kind"] == "drg" and o["resource"] == d["resource"]), {"id": "", "key": 0})


async def deploy_process(g: Gateway, r: Any, call: Call) -> Any:
    a = await deploy(g, [(p.name, p.definition) for p in r.processes], call.caller)
    processes = [process_metadata(d, tenant_name(call.caller.tenant)) for d in a["definitions"] if d["kind"] == "process"]
    return pb.DeployProcessResponse(key=a["deployment"], processes=processes)


def _process(d: dict[str, Any], _: list[dict[str, Any]], tenant: str) -> Any:
    return pb.Deployment(process=process_metadata(d, tenant))


def _decision(d: dict[str, Any], others: list[dict[str, Any]], tenant: str) -> Any:
    drg = drg_of(d, others)
    return pb.Deployment(
        decision=pb.DecisionMetadata(
            dmnDecisionId=d["id"],
            dmnDecisionName=d["name"],
            version=d["version"],
            decisionKey=d["key"],
            dmnDecisionRequirementsId=drg["id"],
            decisionRequirementsKey=drg["key"],
            tenantId=tenant,
        )
    )


def _drg(d: dict[str, Any], _: list[dict[str, Any]], tenant: str) -> Any:
    return pb.Deployment(
        decisionRequirements=pb.DecisionRequirementsMetadata(
            dmnDecisionRequirementsId=d["id"],
            dmnDecisionRequirementsName=d["name"],
            version=d["version"],
            decisionRequirementsKey=d["key"],
            resourceName=d["resource"],
            tenantId=tenant,
        )
    )


def _form(d: dict[str, Any], _: list[dict[str, Any]], tenant: str) -> Any:
    return pb.Deployment(
        form=pb.FormMetadata(formId=d["id"], version=d["version"], formKey=d["key"], resourceName=d["resource"], tenantId=tenant)
    )


#: kind of definition -> what the answer says of it, in Zeebe's order; kinds that Zeebe doesn't know are left out
DEPLOYED: dict[str, Callable[[dict[str, Any], list[dict[str, Any]], str], Any]] = {
    "process": _process,
    "decision": _decision,
    "drg": _drg,
    "form": _form,
}


async def deploy_resource(g: Gateway, r: Any, call: Call) -> Any:
    caller = for_tenant(call.caller, r.tenantId)
    a = await deploy(g, [(x.name, x.content) for x in r.resources], caller)
    tenant = tenant_name(caller.tenant)
    definitions = a["definitions"]
    deployments = [DEPLOYED[kind](d, definitions, tenant) for kind in DEPLOYED for d in definitions if d["kind"] == kind]
    return pb.DeployResourceResponse(key=a["deployment"], deployments=deployments, tenantId=tenant)


async def delete_resource(g: Gateway, r: Any, call: Call) -> Any:
    """A decision is no resource: it goes with its requirements graph."""
    if (g.client.definition(r.resourceKey) or {}).get("kind") == "decision":
        raise refusal(Rejected(RejectionCode.NOT_FOUND, ""), DELETE, r.resourceKey)
    await ask(g, c.ChangeDefinition(key=r.resourceKey, move="delete"), call.caller, DELETE, r.resourceKey)
    return pb.DeleteResourceResponse()


async def topology(g: Gateway, r: Any, call: Call) -> Any:
    """One broker that leads all partitions: which node owns which is not the client's business. Zeebe counts partitions from 1."""
    health = g.client.health()
    up = health.get("partitions") or {}
    partitions = [
        pb.Partition(
            partitionId=p + 1,
            role=pb.Partition.LEADER,
            health=pb.Partition.HEALTHY if p in up else pb.Partition.UNHEALTHY,
        )
        for p in range(g.client.partitions)
    ]
    broker = pb.BrokerInfo(nodeId=0, host=g.host, port=g.port, partitions=partitions, version=ZEEBE_VERSION)
    return pb.TopologyResponse(
        brokers=[broker], clusterSize=1, partitionsCount=len(partitions), replicationFactor=1, gatewayVersion=ZEEBE_VERSION
    )


UNARY: dict[str, Callable[[Any, Any, Any], Awaitable[Any]]] = {
    "Topology": topology,
    "DeployProcess": deploy_process,
    "DeployResource": deploy_resource,
    "DeleteResource": delete_resource,
    "CreateProcessInstance": create_process_instance,
    "CreateProcessInstanceWithResult": create_with_result,
    "CancelProcessInstance": cancel_process_instance,
    "ModifyProcessInstance": modify_process_instance,
    "MigrateProcessInstance": migrate_process_instance,
    "SetVariables": set_variables,
    "ResolveIncident": resolve_incident,
    "PublishMessage": publish_message,
    "BroadcastSignal": broadcast_signal,
    "CompleteJob": complete_job,
    "FailJob": fail_job,
    "ThrowError": throw_error,
    "UpdateJobRetries": update_job_retries,
    "UpdateJobTimeout": update_job_timeout,
}

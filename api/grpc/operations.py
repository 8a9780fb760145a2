"""The calls of the gateway that are operations, in our words: for the log of operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowledger.api.refusals import credential_of
from flowledger.events.commands import Origin

#: call -> (operation, what it is about, the field that names it)
NAMES: dict[str, tuple[str, str, str]] = {
    "CancelProcessInstance": ("cancel_instance", "instance", "processInstanceKey"),
    "ModifyProcessInstance": ("modify_instance", "instance", "processInstanceKey"),
    "MigrateProcessInstance": ("migrate_instance", "instance", "processInstanceKey"),
    "SetVariables": ("set_variables", "instance", "elementInstanceKey"),
    "ResolveIncident": ("resolve_incident", "incident", "incidentKey"),
    "BroadcastSignal": ("broadcast_signal", "signal", "signalName"),
    "UpdateJobRetries": ("update_retries", "task", "jobKey"),
    "ThrowError": ("throw_task_error", "task", "jobKey"),
    "DeployProcess": ("deploy", "definition", ""),
    "DeployResource": ("deploy", "definition", ""),
    "DeleteResource": ("delete_definition", "definition", "resourceKey"),
    # what services do all day: told only where they had no right to it
    "CreateProcessInstance": ("start_instance", "instance", "bpmnProcessId"),
    "CreateProcessInstanceWithResult": ("start_instance", "instance", "request"),
    "CompleteJob": ("complete_task", "task", "jobKey"),
    "FailJob": ("fail_task", "task", "jobKey"),
    "UpdateJobTimeout": ("extend_lease", "task", "jobKey"),
    "PublishMessage": ("publish_message", "message", "name"),
    "ActivateJobs": ("activate_tasks", "task", ""),
    "StreamActivatedJobs": ("activate_tasks", "task", ""),
}
#: those of which each says from where it came
FROM_WHERE = frozenset(list(NAMES)[:11])


def origin_of(address: str, metadata: Mapping[str, str], identity: Any = None, rates: Any = None) -> Origin:
    """`rates`: knows which proxies are trusted to say whom they had before them."""
    agent = metadata.get("user-agent", "")[:200]
    host = address.rpartition(":")[0] or address
    if rates is not None:
        host = rates.host_of(host, metadata.get("x-forwarded-for", ""))
    return Origin("grpc", host, agent, list(identity.roles) if identity else [], credential_of(identity) if identity else "")


def subject_of(method: str, request: Any) -> str:
    """The key or name in the request, as text."""
    field = NAMES[method][2]
    found = getattr(request, field, "") if field else ""
    return str(getattr(found, "bpmnProcessId", found))

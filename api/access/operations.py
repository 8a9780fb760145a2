"""What each operation of each door needs. One table; who is not in it is refused, and the application does not start.

An operation is `METHOD /path`, as routes are written, or `WS /path`, or the name of a gRPC call. Its value is a right, or `PUBLIC` (anybody), or
`SIGNED_IN` (whoever has shown who they are). Where one path does several things, `BY_MOVE` has the right of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PUBLIC: Final = "public"
SIGNED_IN: Final = "signed in"

HTTP: dict[str, str] = {
    "GET /health/live": PUBLIC,
    "GET /health/ready": PUBLIC,
    "GET /metrics": "metrics:read",
    "POST /v1/session": PUBLIC,
    "POST /v1/session/link": PUBLIC,
    "GET /v1/session/issuers": PUBLIC,
    "POST /callbacks/{token}": PUBLIC,
    "POST /callbacks/{token}/error": PUBLIC,
    "DELETE /v1/session": SIGNED_IN,
    "GET /v1/me": SIGNED_IN,
    "PUT /v1/me/password": SIGNED_IN,
    "GET /v1/roles": SIGNED_IN,
    "GET /v1/openapi.json": SIGNED_IN,
    "GET /v1/users": "users:read",
    "POST /v1/users": "users:write",
    "GET /v1/users/{name}": "users:read",
    "PATCH /v1/users/{name}": "users:write",
    "DELETE /v1/users/{name}": "users:write",
    "POST /v1/users/{name}/reset": "users:write",
    "GET /v1/api-keys": "keys:own",
    "POST /v1/api-keys": "keys:own",
    "DELETE /v1/api-keys/{id}": "keys:own",
    "POST /v1/deployments": "definitions:write",
    "GET /v1/definitions": "definitions:read",
    "POST /v1/definitions": "definitions:write",
    "GET /v1/definitions/{id}": "definitions:read",
    "PUT /v1/definitions/{id}": "definitions:write",
    "DELETE /v1/definitions/{id}": "definitions:write",
    "GET /v1/definitions/{id}/source": "definitions:read",
    "GET /v1/definitions/{id}/diff": "definitions:read",
    "POST /v1/definitions/{id}/replay": "definitions:write",
    "POST /v1/definitions/{id}/{move}": "definitions:write",
    "GET /v1/definitions/{id}/versions": "definitions:read",
    "POST /v1/definitions/{id}/rollout": "definitions:rollout",
    "GET /v1/drafts": "definitions:read",
    "POST /v1/drafts": "definitions:write",
    "GET /v1/drafts/{id}": "definitions:read",
    "PUT /v1/drafts/{id}": "definitions:write",
    "DELETE /v1/drafts/{id}": "definitions:write",
    "GET /v1/drafts/{id}/versions": "definitions:read",
    "GET /v1/drafts/{id}/comments": "definitions:read",
    "POST /v1/drafts/{id}/comments": "definitions:write",
    "POST /v1/models/check": "definitions:read",
    "POST /v1/models/convert": "definitions:read",
    "POST /v1/models/compare": "definitions:read",
    "POST /v1/models/try": "definitions:write",
    "GET /v1/connectors": "definitions:read",
    "GET /v1/connectors/{name}": "definitions:read",
    "GET /v1/connectors/{name}/template": "definitions:read",
    "GET /v1/instances": "instances:read",
    "POST /v1/instances": "instances:start",
    "GET /v1/instances/{id}": "instances:read",
    "GET /v1/instances/{id}/variables": "instances:read",
    "PATCH /v1/instances/{id}/variables": "instances:control",
    "POST /v1/instances/{id}/cancel": "instances:control",
    "POST /v1/instances/{id}/suspend": "instances:control",
    "POST /v1/instances/{id}/resume": "instances:control",
    "POST /v1/instances/{id}/pause": "instances:control",
    "POST /v1/instances/{id}/unpause": "instances:control",
    "POST /v1/instances/{id}/release": "instances:control",
    "POST /v1/instances/{id}/modify": "instances:control",
    "POST /v1/instances/{id}/rollback": "instances:control",
    "POST /v1/instances/{id}/rerun": "instances:control",
    "POST /v1/migrations/plan": "definitions:read",
    "POST /v1/instances/{id}/migrate": "instances:control",
    "GET /v1/instances/{id}/events": "instances:read",
    "GET /v1/instances/{id}/state": "instances:read",
    "GET /v1/instances/{id}/context": "instances:read",
    "GET /v1/instances/{id}/status": "instances:read",
    "GET /v1/instances/{id}/metrics": "instances:read",
    "GET /v1/instances/{id}/tree": "instances:read",
    "GET /v1/tasks": "tasks:read",
    "POST /v1/tasks": "tasks:manage",
    "GET /v1/tasks/{id}": "tasks:read",
    "GET /v1/tasks/{id}/events": "tasks:read",
    "GET /v1/tasks/{id}/metrics": "tasks:read",
    "POST /v1/tasks/{id}/complete": "tasks:work",
    "POST /v1/tasks/{id}/fail": "tasks:work",
    "POST /v1/tasks/{id}/{move}": "tasks:work",
    "GET /v1/directory/{kind}": "directory:read",
    "GET /v1/directory/{kind}/{name}": "directory:read",
    "PUT /v1/directory/{kind}/{name}": "directory:write",
    "DELETE /v1/directory/{kind}/{name}": "directory:write",
    "GET /v1/task-definitions": "definitions:read",
    "GET /v1/task-definitions/{name}": "definitions:read",
    "PUT /v1/task-definitions/{name}": "definitions:write",
    "DELETE /v1/task-definitions/{name}": "definitions:write",
    "GET /v1/limits": "limits:read",
    "PUT /v1/limits": "limits:write",
    "DELETE /v1/limits": "limits:write",
    "GET /v1/breakers": "limits:read",
    "GET /v1/workload": "limits:read",
    "POST /v1/jobs/activate": "jobs:work",
    "POST /v1/jobs/{key}/complete": "jobs:work",
    "POST /v1/jobs/{key}/fail": "jobs:work",
    "POST /v1/jobs/{key}/error": "jobs:work",
    "POST /v1/jobs/{key}/extend": "jobs:work",
    "POST /v1/jobs/{key}/callback": "jobs:work",
    "POST /v1/jobs/{key}/retries": "jobs:retry",
    "POST /v1/messages": "messages:publish",
    "POST /v1/signals": "messages:publish",
    "POST /v1/conditions/evaluate": "messages:publish",
    "GET /v1/incidents": "incidents:read",
    "GET /v1/incidents/{key}": "incidents:read",
    "POST /v1/incidents/{key}/resolve": "incidents:resolve",
    "GET /v1/incidents/{key}/chain": "incidents:read",
    "GET /v1/incidents/groups": "incidents:read",
    "POST /v1/incidents/groups/{id}/resolve": "incidents:resolve",
    "GET /v1/holds": "holds:read",
    "GET /v1/holds/preview": "holds:read",
    "GET /v1/holds/{id}": "holds:read",
    "POST /v1/holds": "holds:control",
    "POST /v1/holds/{id}/release": "holds:control",
    "GET /v1/dead-letters": "letters:read",
    "GET /v1/dead-letters/{id}": "letters:read",
    "POST /v1/dead-letters/{id}/replay": "letters:control",
    "POST /v1/dead-letters/{id}/discard": "letters:control",
    "GET /v1/operations": "operations:read",
    "POST /v1/batches": "batches:write",
    "GET /v1/batches": "batches:read",
    "GET /v1/batches/{id}": "batches:read",
    "GET /v1/batches/{id}/items": "batches:read",
    "POST /v1/batches/{id}/pause": "batches:write",
    "POST /v1/batches/{id}/resume": "batches:write",
    "POST /v1/batches/{id}/abort": "batches:write",
    "POST /v1/decisions/evaluate": "decisions:evaluate",
    "GET /v1/decisions/{id}/evaluations": "decisions:read",
    "GET /v1/events": "events:read",
    "GET /v1/settings": "settings:read",
    "GET /v1/workers": "workers:read",
}
SOCKETS: dict[str, str] = {"WS /v1/events": "events:read", "WS /v1/jobs/stream": "jobs:work"}
GRPC: dict[str, str] = {
    "ActivateJobs": "jobs:work",
    "StreamActivatedJobs": "jobs:work",
    "CompleteJob": "jobs:work",
    "FailJob": "jobs:work",
    "ThrowError": "jobs:work",
    "UpdateJobTimeout": "jobs:work",
    "UpdateJobRetries": "jobs:retry",
    "CreateProcessInstance": "instances:start",
    "CreateProcessInstanceWithResult": "instances:start",
    "CancelProcessInstance": "instances:control",
    "ModifyProcessInstance": "instances:control",
    "MigrateProcessInstance": "instances:control",
    "SetVariables": "instances:control",
    "ResolveIncident": "incidents:resolve",
    "PublishMessage": "messages:publish",
    "BroadcastSignal": "messages:publish",
    "EvaluateDecision": "decisions:evaluate",
    "DeployProcess": "definitions:write",
    "DeployResource": "definitions:write",
    "DeleteResource": "definitions:write",
    "Topology": SIGNED_IN,
    "Check": PUBLIC,
    "Watch": PUBLIC,
}
#: operation -> what is done -> the right, where it isn't the operation's own
BY_MOVE: dict[str, dict[str, str]] = {
    "POST /v1/tasks/{id}/{move}": dict.fromkeys(("assign", "cancel", "skip", "retry"), "tasks:manage"),
}
#: action of a batch -> the right that it needs beside: that of doing it to one
BY_ACTION: dict[str, str] = {
    **dict.fromkeys(("cancel", "terminate", "suspend", "resume", "set_variables", "modify", "migrate"), "instances:control"),
    **dict.fromkeys(("retry", "resolve"), "incidents:resolve"),
    "assign": "tasks:manage",
    "escalate": "tasks:work",
    "redeliver": "letters:control",
}
ALL = {**HTTP, **SOCKETS, **GRPC}


def needed(operation: str, path_params: Mapping[str, str]) -> str:
    """The right that an operation needs. Raises: KeyError: the table doesn't have it."""
    moves = BY_MOVE.get(operation)
    if moves is not None and (right := moves.get(str(path_params.get("move", "")))) is not None:
        return right
    return HTTP[operation]


def lacking(routes: list[tuple[str, str]]) -> list[str]:
    """Operations that the table doesn't have. What the framework answers itself (OPTIONS) and the console's files need nothing."""
    return [f"{method} {path}" for method, path in routes if f"{method} {path}" not in ALL]

"""From where something is asked, and what doors refuse before it is a command: both for the log of operations.

A door that refuses (no right, nothing that it could be about) has somebody tell it on the ledger, as far as one caller may write there
(`processors/sparing.py`). Nobody waits for that, and it fails alone.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from litestar.connection import ASGIConnection

from flowledger.api.access.door import CALLER, IDENTITY, PROOF
from flowledger.api.access.known import Identity
from flowledger.api.openapi import operation_id
from flowledger.events.base import Rejected, RejectionCode
from flowledger.events.commands import NoteRefusal, Origin
from flowledger.kernel.tasks.privacy import digest_of
from flowledger.logs import log
from flowledger.processors.client import Caller, Client
from flowledger.processors.sparing import Sparing

log_ = log("access")
#: of a request that changes something: statuses by which a door says no to what was understood
SAID_NO = frozenset((403, 404, 409, 412, 422))
#: in the scope of a request: a partition has decided, and has told it itself; why it was refused
DECIDED, REFUSED = "flowledger_decided", "flowledger_refused"
#: one-time addresses (`api/callbacks.py`) begin so
ONE_TIME = "/callbacks/"
#: routes whose `name` is the reference of a subject: the ledger has its digest alone, since it forgets nothing (docs/privacy.md)
OF_SUBJECTS = ("/v1/subjects/{name}", "/v1/legal-holds/{name}")
#: refusals on their way to the ledger; all further ones are left out
UNDER_WAY_MAX = 100
NOTE_S = 10.0


#: operations of the API that the ledger has under another name, or of which the name doesn't say what they are about: as `kernel/operations.py` names them, so that
#: one query finds what was granted and what a door refused
_AS: dict[str, tuple[str, str]] = {
    "set_variables": ("set_variables", "instance"), "roll_back_instance": ("roll_back_instance", "instance"),
    "rerun_instance": ("rerun_element", "instance"), "delete_instance": ("remove_from_views", "instance"), "comment_instance": ("comment_instance", "instance"),
    "roll_out_definition": ("change_rollout", "definition"), "deploy": ("deploy", "definition"), "create_definition": ("deploy", "definition"),
    "edit_definition": ("draft_definition", "definition"), "remove_definition": ("delete_definition", "definition"),
    "complete_job": ("complete_task", "task"), "fail_job": ("fail_task", "task"), "error_job": ("throw_task_error", "task"),
    "extend_job": ("extend_lease", "task"), "retries_job": ("update_retries", "task"), "make_job": ("make_callback", "task"),
    "activate_jobs": ("activate_tasks", "tasks"), "resolve_group_incident": ("create_batch", "batch"),
    "evaluate_conditions": ("evaluate_conditions", "condition"),
    "put_instance_file": ("change_files", "instance"), "remove_instance_file": ("change_files", "instance"),
    **{name: (name, "account") for name in (
        "begin_passkey", "add_passkey", "remove_passkey", "remove_passkeys", "begin_sign_in", "sign_in_by_passkey", "show_step_up", "make_person", "replace_person",
        "change_person", "remove_person", "make_group", "replace_group", "change_group", "remove_group",
    )},
    "delete_rule_pack": ("delete_definition", "definition"), "check_rules": ("check_rules", "definition"),
    "put_task_file": ("attach_task", "task"), "remove_task_file": ("attach_task", "task"),
}  # fmt: skip


def named(operation: str) -> tuple[str, str]:
    """(operation, kind) of an operation of the API, as the ledger names it."""
    return _AS.get(operation) or (operation, operation.partition("_")[2])


def shown_path(path: str) -> str:
    """As logs and the ledger may have it: whoever knows the whole of a one-time address may do what it is for."""
    return f"{ONE_TIME}…" if path.startswith(ONE_TIME) else path


def about(scope: Any, tenant: str) -> tuple[str, str]:
    """(subject, path) of a request, as the ledger may have them."""
    params, template = scope.get("path_params") or {}, scope["path_template"]
    subject = str(params.get("id") or params.get("key") or params.get("name") or "")
    if template.startswith(OF_SUBJECTS):
        subject = digest_of(tenant, subject)
        return subject, str(template.replace("{name}", subject))
    return subject, shown_path(scope["path"])


def operation_of(scope: Any) -> tuple[str, str]:
    """(operation, kind) of a request, as the ledger names them."""
    operation, kind = named(operation_id(scope["route_handler"], scope["method"], []))
    if move := (scope.get("path_params") or {}).get("move"):
        operation = f"{move}_{kind}"
    return operation, kind


def credential_of(identity: Any) -> str:
    return f"{identity.kind}:{identity.id}" if identity.kind in ("key", "token", "guest", "certificate") else "session"


def origin_of(connection: Any, door: str = "http") -> Origin:
    """Of a request or a socket."""
    scope = connection.scope
    identity: Identity | None = scope.get(IDENTITY)
    return Origin(
        door, _host(connection), connection.headers.get("user-agent", "")[:200], list(identity.roles) if identity else [],
        credential_of(identity) if identity else "", scope.get(PROOF),
    )  # fmt: skip


def _host(connection: Any) -> str:
    """Behind proxies that are trusted whom they had before them."""
    scope = connection.scope
    peer = client[0] if (client := scope.get("client")) else ""
    app = scope.get("litestar_app")
    rates = getattr(app.state.get("services"), "rates", None) if app is not None else None
    if rates is None:
        return peer
    return str(rates.host_of(peer, ", ".join(connection.headers.getall("x-forwarded-for", []))))


def by_a_person(connection: Any) -> bool:
    """Somebody has signed in with a password, or works on tasks."""
    identity: Identity | None = connection.scope.get(IDENTITY)
    return (identity is not None and identity.kind in ("user", "guest")) or str(connection.scope.get("path_template", "")).startswith(
        "/v1/tasks"
    )


class Refusals:
    """Of one process."""

    def __init__(self, client: Client) -> None:
        self._client, self._sparing = client, Sparing()
        self._under_way: set[asyncio.Task[None]] = set()

    def note(self, operation: str, kind: str, subject: str, code: str, message: str, caller: Caller, **details: Any) -> None:
        if len(self._under_way) >= UNDER_WAY_MAX:
            return
        skipped = self._sparing.take((caller.tenant, caller.actor), time.time_ns() // 1000)
        if skipped < 0:
            return
        command = NoteRefusal(
            operation=operation[:255], kind=kind[:255], subject=subject[:255], code=code[:255], message=message[:2000], skipped=skipped,
            details=details or None,
        )  # fmt: skip
        task = asyncio.get_running_loop().create_task(self._tell(command, caller))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _tell(self, command: NoteRefusal, caller: Caller) -> None:
        answer = await self._client.call(command, caller, timeout_s=NOTE_S)
        if isinstance(answer, Rejected):
            log_.warning("a refusal is not on the ledger", operation=command.operation, actor=caller.actor, why=answer.message)

    def http(self, scope: Any, status: int, identify: Any) -> None:
        """What was refused over HTTP, when no partition has had its say."""
        if status not in SAID_NO or scope.get(DECIDED) or "route_handler" not in scope or scope.get("path_template") is None:
            return
        if b"dry_run=true" in scope.get("query_string", b""):  # who only looks asks for no change
            return
        connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection(scope)
        identity: Identity | None = scope.get(IDENTITY)
        if (caller := scope.get(CALLER)) is None:
            caller = identify(connection) if identity is None else _as_oneself(identity, scope)
        caller.origin = origin_of(connection)
        operation, kind = operation_of(scope)
        code, message = scope.get(REFUSED, ("", ""))
        if code == RejectionCode.STEP_UP_NEEDED:  # it is asked again with what is needed
            return
        subject, path = about(scope, caller.tenant)
        self.note(operation, kind, subject, code, message, caller, method=scope["method"], path=path[:500])


def _as_oneself(identity: Identity, scope: Any) -> Caller:
    """Of one who was refused before it was said for which tenant: the one asked for, when it is theirs."""
    wanted = dict(scope["headers"]).get(b"x-tenant", b"").decode("latin-1")
    tenant = wanted if wanted in identity.tenants else next(iter(identity.tenants), "")
    return Caller(identity.actor, tenant, scope.get("flowledger_correlation", ""), scope.get("flowledger_trace", ""))

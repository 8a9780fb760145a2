"""The log of operations: who asked for what, from where and why, and what came of it. Reading it is no operation."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Response, get
from litestar.params import Parameter

from flowledger.api import answers as a
from flowledger.api.access.door import IDENTITY
from flowledger.api.edge import ApiRequest, reply
from flowledger.api.lists import Cursor, KeyFilter, Limit, WaitFor, listing
from flowledger.api.problems import senseless

Since = Annotated[datetime | None, Parameter(description="At or after this time")]
Until = Annotated[datetime | None, Parameter(description="Before this time")]


@get("/operations", summary="Who asked for what")
async def list_operations(
    request: ApiRequest,
    actor: Annotated[str | None, Parameter(description="Who asked")] = None,
    operation: Annotated[list[str] | None, Parameter(description="One or several, like cancel_instance")] = None,
    kind: Annotated[str | None, Parameter(description="What it was about: instance, task, definition, incident ...")] = None,
    subject: Annotated[str | None, Parameter(description="Key or name of what it was about")] = None,
    instance: KeyFilter = None,
    variable: Annotated[str | None, Parameter(description="Operations that set this variable; with `instance` all that changed it")] = None,
    outcome: Literal["granted", "refused"] | None = None,
    code: Annotated[str | None, Parameter(description="Why it was refused, like FORBIDDEN")] = None,
    door: Literal["http", "grpc", "stream", "batch"] | None = None,
    since: Since = None,
    until: Until = None,
    services: Annotated[
        bool | None,
        Parameter(description="true: also what services ask for all day, from the history; needs `instance` or `since`"),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[a.Operation]]:
    """Newest first, granted and refused. `before` and `after` are positions: how an instance was then and became is its state at them."""
    if services and instance is None and since is None:
        raise senseless("an instance or a time (since) was expected with services, found neither", "query services")
    filters = {
        "actor": actor, "operation": operation, "kind": kind, "subject": subject, "instance": instance, "variable": variable,
        "outcome": outcome, "code": code, "door": door, "since": since, "until": until, "services": services,
    }  # fmt: skip
    identity = request.scope.get(IDENTITY)
    if identity is not None and "users:read" not in identity.rights:  # type: ignore[attr-defined]
        filters["not_kind"] = "account"
    return reply(await listing(request, "operations", filters, limit, cursor, wait_for))


HANDLERS: list[Any] = [list_operations]

"""The HTTP application: all routes, and what holds for each of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from litestar import Litestar, Response, Router, get
from litestar.config.cors import CORSConfig
from litestar.exceptions import HTTPException
from litestar.exceptions.base_exceptions import LitestarDeprecationWarning
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import License

from flowledger import __version__
from flowledger.api import (
    accounts,
    advice,
    against,
    alerts,
    approvals,
    batches,
    callbacks,
    capability_events,
    capacity,
    consents,
    control,
    dead_letters,
    decisions,
    definitions,
    deployments,
    directory,
    drafts,
    events,
    evidence,
    files,
    forecasts,
    gathered,
    health,
    holds,
    incidents,
    insight,
    instance_views,
    instances,
    issuers,
    jobs,
    kpis,
    messages,
    metrics,
    models,
    operations,
    overview,
    passkeys,
    predictions,
    presence,
    recommendations,
    report_schedules,
    retention,
    rollouts,
    rules,
    saved_reports,
    saved_views,
    scim,
    settings,
    signals,
    simulations,
    subjects,
    tasks,
    tenants,
    triggers,
    watchdog,
    webhooks,
)
from flowledger.api.access.door import uncovered
from flowledger.api.edge import ApiRequest, encode
from flowledger.api.guard import Guard
from flowledger.api.hooks import door as hooks
from flowledger.api.lists import before
from flowledger.api.openapi import document, operation_id
from flowledger.api.previews import Previewed, preview_handler
from flowledger.api.problems import HANDLERS
from flowledger.api.services import Services
from flowledger.api.short import Short
from flowledger.api.together import socket as together

#: noun -> its handlers below /v1
NOUNS: dict[str, list[Any]] = {
    "overview": overview.HANDLERS,
    "gathered": gathered.HANDLERS,
    "drafts": drafts.HANDLERS,
    "models": models.HANDLERS,
    "presence": presence.HANDLERS,
    "together": together.HANDLERS,
    "deployments": deployments.HANDLERS,
    "definitions": definitions.HANDLERS + rollouts.HANDLERS + against.HANDLERS,
    "instances": instances.HANDLERS + instance_views.HANDLERS + control.HANDLERS + files.INSTANCES,
    "migrations": control.MIGRATIONS,
    "tasks": tasks.HANDLERS + recommendations.HANDLERS + files.TASKS,
    "directory": directory.HANDLERS + capability_events.HANDLERS,
    "saved-views": saved_views.HANDLERS,
    "subjects": subjects.HANDLERS + consents.HANDLERS,
    "legal-holds": subjects.HOLDS,
    "evidence": evidence.HANDLERS,
    "rules": rules.HANDLERS,
    "retention": retention.HANDLERS,
    "retention-steps": retention.STEPS,
    "jobs": jobs.HANDLERS + callbacks.HANDLERS,
    "messages": messages.HANDLERS,
    "signals": signals.HANDLERS,
    "incidents": incidents.HANDLERS,
    "dead-letters": dead_letters.HANDLERS,
    "operations": operations.HANDLERS,
    "holds": holds.HANDLERS,
    "watchdog": watchdog.HANDLERS,
    "batches": batches.HANDLERS,
    "triggers": triggers.HANDLERS,
    "webhooks": webhooks.HANDLERS,
    "alerts": alerts.HANDLERS,
    "approvals": approvals.HANDLERS,
    "decisions": decisions.HANDLERS,
    "events": events.HANDLERS,
    "settings": settings.HANDLERS,
    "tenants": tenants.HANDLERS,
    **{**insight.HANDLERS, "reports": insight.HANDLERS["reports"] + kpis.REPORTS + capacity.HANDLERS},
    "kpis": kpis.HANDLERS,
    "saved-reports": [*saved_reports.HANDLERS, *report_schedules.HANDLERS],
    **predictions.HANDLERS,
    **simulations.HANDLERS,
    **advice.HANDLERS,
    **forecasts.HANDLERS,
    **accounts.HANDLERS,
    "me": accounts.HANDLERS["me"] + passkeys.HANDLERS["me"],
    "session": accounts.HANDLERS["session"] + passkeys.HANDLERS["session"],
    "users": accounts.HANDLERS["users"] + passkeys.HANDLERS["users"],
    "step-ups": passkeys.HANDLERS["step-ups"],
}
DESCRIPTION = """Keys are texts. Errors are problem details (RFC 9457) with a `code`. Every answer to a command has the `position` of its
last event; give it as `wait_for` to a query to read your own write. `Idempotency-Key` makes a repeated command get the first answer."""


def create_app(services: Services, more: Sequence[Any] = (), at_root: Sequence[Any] = (), short: bool = True) -> Any:
    """The ASGI application.

    Args:
        more: further handlers below /v1 (the job stream, GraphQL, the list of workers).
        at_root: further handlers at the root (the console).
        short: the busiest requests go their short way (`api/short.py`).
    """
    v1 = Router("/v1", route_handlers=[Router("/", route_handlers=h, tags=[noun]) for noun, h in NOUNS.items()] + [*more, openapi])
    with warnings.catch_warnings():
        # parameters told by their annotations: the style of all 2.x; what replaces it in 3.0 doesn't exist in the oldest release we allow
        warnings.simplefilter("ignore", LitestarDeprecationWarning)
        app = _app(services, v1, at_root)
    if services.settings.second_person:
        approvals.check(approvals.names_of(app.routes), services.settings.second_person)
        short = False  # the short way passes by what looks for a second person
    if services.settings.step_up:
        approvals.check(approvals.names_of(app.routes), services.settings.step_up, "step_up")
    if services.door is not None and (open_ := uncovered(app, look_before)):
        raise RuntimeError(f"operations that no right guards (api/access/operations.py): {', '.join(open_)}")
    if short:
        around: Any = app.asgi_handler
        while around.app is not app.asgi_router:
            around = around.app
        around.app = Short(app.asgi_router, app)
    app.asgi_handler = Guard(app.asgi_handler, services)  # around the router too: what has no route gets its headers and figures as well
    return app


def _cors(services: Services) -> CORSConfig | None:
    """Pages of the listed origins may call; without this their browsers ask in vain first. All others are refused by the guard."""
    if not (origins := list(services.settings.origins)):
        return None
    headers = [
        "Content-Type",
        "Idempotency-Key",
        "If-Match",
        "X-Actor",
        "X-Tenant",
        "X-Clear-Text",
        "X-Correlation-Id",
        "Authorization",
        "Last-Event-ID",
    ]
    shown = ["Location", "ETag", "Retry-After", "X-Correlation-Id"]
    return CORSConfig(allow_origins=origins, allow_headers=headers, expose_headers=shown)


def _app(services: Services, v1: Router, at_root: Sequence[Any]) -> Litestar:
    return Litestar(
        route_handlers=[
            v1,
            *health.HANDLERS,
            *metrics.HANDLERS,
            *callbacks.AT_ROOT,
            *hooks.AT_ROOT,
            *issuers.AT_ROOT,
            *scim.AT_ROOT,
            *at_root,
        ],
        request_class=ApiRequest,
        exception_handlers={**HANDLERS, HTTPException: scim.http_handler, Previewed: preview_handler},
        before_request=_before(services),
        request_max_body_size=services.settings.body_bytes_max,
        cors_config=_cors(services),
        openapi_config=OpenAPIConfig(
            title="Flowledger",
            version=__version__,
            description=DESCRIPTION,
            license=License("Apache-2.0"),
            render_plugins=[],
            path="/v1/docs",
            operation_id_creator=operation_id,
        ),
        state=_state(services),
        debug=False,
        pdb_on_exception=False,
        logging_config=None,
    )


def _before(services: Services) -> Any:
    return look_before if services.door is not None else second_before if services.settings.second_person else before


async def second_before(request: ApiRequest) -> None:
    await before(request)
    await approvals.second(request)


async def look_before(request: ApiRequest) -> None:
    """Who is it, and may they? Then what holds for each request. (The framework's own guards copy the handler for each request: 60 us.)"""
    services = request.app.state["services"]
    await services.door.look(request)
    await before(request)
    await passkeys.look(request, services)
    if services.settings.second_person:
        await approvals.second(request)


def _state(services: Services) -> Any:
    from litestar.datastructures import State

    return State({"services": services})


@get("/openapi.json", include_in_schema=False, gives=("application/vnd.oai.openapi+json", "application/json"))
async def openapi(request: ApiRequest) -> Response[Any]:
    """OpenAPI 3.1, made from the handlers."""
    found = request.app.state.get("openapi_bytes")
    if found is None:
        found = request.app.state["openapi_bytes"] = encode(document(request.app))
    return Response(found, media_type="application/vnd.oai.openapi+json")

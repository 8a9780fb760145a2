"""Alerts: rules on measures, put, seen, silenced, deleted; when they fired; tried on the past before they are switched on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, post, put
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.access.door import IDENTITY, forbidden
from flowledger.api.definitions import ReasonBody
from flowledger.api.edge import ApiRequest, Body, Moment, NamePath, Words, reply
from flowledger.api.lists import Cursor, Limit, WaitFor, listing
from flowledger.api.problems import Problem, senseless
from flowledger.api.services import services_of
from flowledger.api.view import answer_view
from flowledger.events import alerts as al
from flowledger.events.base import RejectionCode
from flowledger.kernel import limits
from flowledger.kernel.alerts import action as ac
from flowledger.kernel.alerts import rule as ar
from flowledger.projections.reader import iso

Text = Annotated[str, Meta(min_length=1, max_length=255)]
#: whoever lets a rule act
HOLDS = "holds:control"
Duration = Annotated[str, Meta(max_length=40)]
Number = Annotated[float, Meta(ge=-1e15, le=1e15)]


class Maintenance(Body):
    """Nothing fires anew from `from` to `to` (`22:00`, up to `24:00`; over midnight it is of the day on which it begins), on `days` [default: each day]."""

    from_: Annotated[str, Meta(pattern="^[0-9]{2}:[0-9]{2}$")] = msgspec.field(name="from")
    to: Annotated[str, Meta(pattern="^[0-9]{2}:[0-9]{2}$")]
    days: Annotated[list[Literal[ar.DAYS]], Meta(min_length=1, max_length=7)] | msgspec.UnsetType = msgspec.UNSET  # type: ignore[valid-type]
    zone: Text | msgspec.UnsetType = msgspec.UNSET


class ActionBody(Body, omit_defaults=True):
    """What is done when it fires: what fires (its process, element or job type, by `scope`) is held `for` so long, or until it is over. `mode`, `starts`: those of a
    hold. `most_per_hour`: of one rule. It is tried on the past and does nothing until it is `enabled`, which needs the right `holds:control`."""

    kind: Literal[ac.KINDS]  # type: ignore[valid-type]
    scope: Literal[tuple(ac.SCOPES)]  # type: ignore[valid-type]
    for_: Duration = msgspec.field(name="for")
    mode: Literal[ac.MODES] | msgspec.UnsetType = msgspec.UNSET  # type: ignore[valid-type]
    starts: Literal[ac.STARTS] | msgspec.UnsetType = msgspec.UNSET  # type: ignore[valid-type]
    most_per_hour: Annotated[int, Meta(ge=1, le=ac.PER_HOUR_MAX)] | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET


class RuleBody(Body, omit_defaults=True):
    """`measure`: one of `GET /v1/measures`, `kpi` (the `figure` of the KPI named `kpi`), `anomalies` (how many hours of a process were unlike before, of `kinds`),
    or `lag` (of the rows behind the log, in seconds). `above` or `below`: a number, or a duration for times and lag (a
    number is seconds). `window`: over which it is measured; `for`: how long it must be beyond the limit to fire; `keep`: how long it must not be to be over.
    `least`: on fewer cases nothing is said; `no_data`: what it means where there is no figure: ok, keep (as it was), fire."""

    measure: Literal[ar.MEASURES]  # type: ignore[valid-type]
    kpi: Annotated[str, Meta(min_length=1, max_length=100)] | msgspec.UnsetType = msgspec.UNSET
    kinds: Annotated[list[Literal[ar.KINDS]], Meta(min_length=1, max_length=len(ar.KINDS))] | msgspec.UnsetType = msgspec.UNSET  # type: ignore[valid-type]
    figure: Literal[tuple(dict.fromkeys((*ar.FIGURES, *ar.KPI_FIGURES)))] | msgspec.UnsetType = msgspec.UNSET  # type: ignore[valid-type]
    process: Text | msgspec.UnsetType = msgspec.UNSET
    version: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] | msgspec.UnsetType = msgspec.UNSET
    element: Text | msgspec.UnsetType = msgspec.UNSET
    job_type: Text | msgspec.UnsetType = msgspec.UNSET
    value: Text | msgspec.UnsetType = msgspec.UNSET
    group: Annotated[list[Literal[ar.GROUPS]], Meta(min_length=1, max_length=len(ar.GROUPS))] | msgspec.UnsetType = msgspec.UNSET  # type: ignore[valid-type]
    above: Number | Duration | msgspec.UnsetType = msgspec.UNSET
    below: Number | Duration | msgspec.UnsetType = msgspec.UNSET
    window: Duration | msgspec.UnsetType = msgspec.UNSET
    for_: Duration | msgspec.UnsetType = msgspec.field(name="for", default=msgspec.UNSET)
    keep: Duration | msgspec.UnsetType = msgspec.UNSET
    least: Annotated[int, Meta(ge=0, le=1_000_000_000)] | msgspec.UnsetType = msgspec.UNSET
    no_data: Literal[ar.NO_DATA] | msgspec.UnsetType = msgspec.UNSET  # type: ignore[valid-type]
    severity: Literal[ar.SEVERITIES] | msgspec.UnsetType = msgspec.UNSET  # type: ignore[valid-type]
    title: Text | msgspec.UnsetType = msgspec.UNSET
    description: Annotated[str, Meta(max_length=2_000)] | msgspec.UnsetType = msgspec.UNSET
    maintenance: Annotated[list[Maintenance], Meta(min_length=1, max_length=limits.ALERT_MAINTENANCE_MAX)] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    action: ActionBody | msgspec.UnsetType = msgspec.UNSET


class SilenceBody(Body):
    """Until `until`, or for so many `minutes`."""

    until: Moment | None = None
    minutes: Annotated[int, Meta(ge=1, le=limits.ALERT_SILENCE_DAYS_MAX * 24 * 60)] | None = None
    reason: Words = ""


class TrialBody(Body):
    """`days`: so many of the past. `rule`: one that isn't stored yet, else the one that is."""

    days: Annotated[int, Meta(ge=1, le=366)] = 7
    rule: RuleBody | None = None


class Alert(msgspec.Struct, kw_only=True):
    """`status`: active, off, deleted. `firing`: how many groups fire by now; `fired`: how many have so far. `error`: why its figures can't be looked at."""

    id: a.Key
    name: str
    status: str
    rule: dict[str, Any]
    severity: str
    title: str
    firing: int = 0
    fired: int = 0
    silenced_until: str | None = None
    error: str = ""
    last_at: str | None = None
    reason: str = ""
    changed_by: str = ""
    created_at: str | None = None
    position: str | None = None


class Acted(msgspec.Struct, kw_only=True):
    """What was done when it fired (or would have been): `hold` over `subject` of `scope`, until then or until the alert is over; released by hand as any hold is.
    `refused`: why not: `most_per_hour`, `stands` (what an earlier firing did), `nothing` (the group names none), else in words."""

    kind: str
    scope: str
    subject: str
    until: str
    hold: a.Key | None = None
    refused: str = ""


class Firing(msgspec.Struct, kw_only=True):
    """`status`: firing, resolved. `group`: whose figure it is; `value`: the figure, times in milliseconds, lag in seconds; `cases`: on how many it stood. `why`: it
    was over because the rule was `deleted` or switched `off`."""

    id: a.Key
    status: str
    severity: str
    group: dict[str, Any]
    value: float | None = None
    cases: int = 0
    created_at: str | None = None
    resolved_at: str | None = None
    resolved_value: float | None = None
    why: str = ""
    action: Acted | None = None


class WouldFire(msgspec.Struct, kw_only=True):
    group: dict[str, str]
    fired_at: str
    resolved_at: str | None
    value: float | None
    cases: int | None
    action: Acted | None = None


class Trial(msgspec.Struct, kw_only=True):
    """`items`: 500 at most, the first ones; `fired`: how many in all, of `groups` groups; `silent`: kept from it by times of maintenance;
    `acted`: how often the rule's action would have been done, as if it were enabled. `step_ms`: between two
    looks."""

    items: list[WouldFire]
    fired: int
    silent: int
    groups: int
    acted: int
    step_ms: int
    from_: str = msgspec.field(name="from")
    to: str
    position: str | None = None


def _view(row: dict[str, Any]) -> dict[str, Any]:
    found = dict(row)
    rule = found["rule"]
    found["firing"], found["fired"] = int(found.pop("firing_count") or 0), int(found.pop("fired_count") or 0)
    return {**found, "severity": rule.get("severity", "warning"), "title": rule.get("title") or found["name"]}


def _firing(row: dict[str, Any]) -> dict[str, Any]:
    return _acted({"group": row["grouped"], **{k: v for k, v in row.items() if k not in ("alert_id", "slot", "grouped")}})


def _acted(row: dict[str, Any]) -> dict[str, Any]:
    if not (done := row.get("action")):
        return row
    until = iso(datetime.fromtimestamp(done["until_us"] / 1_000_000, UTC))
    shown = {**{k: v for k, v in done.items() if k != "until_us"}, "until": until, "hold": str(done["hold"]) if done.get("hold") else None}
    return {**row, "action": shown}


async def _find(request: ApiRequest, name: str, wait_for: str | None = None) -> dict[str, Any]:
    """Raises: Problem (404)."""
    page = await listing(request, "alerts", {"name": name}, 2, None, wait_for)
    row = next((r for r in page["items"] if r["status"] != "deleted"), None)
    if row is None:
        raise Problem(RejectionCode.NOT_FOUND, f"no alert {name}")
    return {**row, "position": page.get("position")}


def _rule(data: RuleBody) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(data)
    return found


@put("/alerts/{name:str}", status_code=200, summary="Put an alert")
async def put_alert(request: ApiRequest, name: NamePath, data: RuleBody) -> Response[a.Put]:
    """Makes it, or changes it: what fires by now goes on to fire until the figures say that it is over. An `action` that is enabled needs the right to place holds."""
    if data.action is not msgspec.UNSET and data.action.enabled is True:
        identity: Any = request.scope.get(IDENTITY)
        if identity is not None and HOLDS not in identity.rights:
            raise forbidden(HOLDS, identity)
    return reply(answer_view(await services_of(request).call(al.PutAlert(name=name, rule=_rule(data)), request)))


@get("/alerts", summary="List alerts")
async def list_alerts(
    request: ApiRequest, firing: bool | None = None, limit: Limit = 50, cursor: Cursor = None, wait_for: WaitFor = None
) -> Response[a.Page[Alert]]:
    """Newest first; `firing`: those that fire by now, or don't."""
    given = {} if firing is None else {"firing": "true" if firing else "false"}
    page = await listing(request, "alerts", given, limit, cursor, wait_for)
    return reply({**page, "items": [_view(row) for row in page["items"]]})


@get("/alerts/{name:str}", summary="Get an alert")
async def get_alert(request: ApiRequest, name: NamePath, wait_for: WaitFor = None) -> Response[Alert]:
    return reply(_view(await _find(request, name, wait_for)))


@delete("/alerts/{name:str}", status_code=200, summary="Delete an alert")
async def delete_alert(request: ApiRequest, name: NamePath, reason: str = "") -> Response[a.Done]:
    """What fires for it is over."""
    return reply(answer_view(await services_of(request).call(al.DeleteAlert(name=name, reason=reason), request)))


@get("/alerts/{name:str}/firings", summary="When an alert fired")
async def list_firings(
    request: ApiRequest,
    name: NamePath,
    status: list[Literal["firing", "resolved"]] | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[Firing]]:
    """Its last 5,000, newest first."""
    row = await _find(request, name, wait_for)
    page = await listing(request, "alert_firings", {"alert": row["id"], "status": status}, limit, cursor, None)
    return reply({**page, "items": [_firing(item) for item in page["items"]]})


@post("/alerts/{name:str}/silence", status_code=200, summary="Silence an alert")
async def silence_alert(request: ApiRequest, name: NamePath, data: SilenceBody) -> Response[a.Done]:
    """Nothing fires anew for it until then; what fires by now is still told to be over."""
    if (data.until is None) == (data.minutes is None):
        raise senseless("until or minutes was expected, one of them", "body until")
    until = data.until or datetime.now(UTC) + timedelta(minutes=data.minutes or 0)
    command = al.SilenceAlert(name=name, until_us=max(1, int(until.timestamp() * 1_000_000)), reason=data.reason)
    return reply(answer_view(await services_of(request).call(command, request)))


@post("/alerts/{name:str}/unsilence", status_code=200, summary="Let a silenced alert fire again")
async def unsilence_alert(request: ApiRequest, name: NamePath, data: ReasonBody | None = None) -> Response[a.Done]:
    command = al.SilenceAlert(name=name, reason=data.reason if data else "")
    return reply(answer_view(await services_of(request).call(command, request)))


@post("/alerts/{name:str}/test", status_code=200, summary="Try an alert on the past")
async def test_alert(request: ApiRequest, name: NamePath, data: TrialBody | None = None) -> Response[Trial]:
    """When it would have fired, by the figures of the past; nothing is changed and nobody is told. Without `rule` the one that is stored is tried."""
    data = data or TrialBody()
    s = services_of(request)
    rule = _rule(data.rule) if data.rule is not None else (await _find(request, name))["rule"]
    if wrong := ar.problem(name, rule):
        raise senseless(wrong, "body rule")
    if rule["measure"] == ar.LAG:
        raise senseless("of lag no history is kept, so it can't be tried on the past", "body rule")
    now = datetime.now(UTC)
    given = {"from": (now - timedelta(days=data.days)).isoformat(), "to": now.isoformat()}
    found = await s.reads.trial(name, rule, given, s.identify(request).tenant)
    return reply({**found, "items": [_acted(item) for item in found["items"]]})


HANDLERS: list[Any] = [
    put_alert, list_alerts, get_alert, delete_alert, list_firings, silence_alert, unsilence_alert, test_alert,
]  # fmt: skip

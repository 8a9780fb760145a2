"""Saved reports sent at set times: a schedule is put, seen and deleted (docs/insight.md#sent-by-schedule). What it is made of is a process and a trigger."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, put
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.directory import _one
from flowledger.api.edge import ApiRequest, Body, reply
from flowledger.api.lists import WaitFor, listing
from flowledger.api.problems import Problem, malformed, senseless
from flowledger.api.saved_reports import FORMATS, ReportName
from flowledger.api.services import Services, services_of
from flowledger.api.triggers import _find as trigger_of
from flowledger.api.triggers import _view, remove
from flowledger.api.view import deployment_view
from flowledger.events.base import RejectionCode
from flowledger.events.commands import Deploy, Resource
from flowledger.kernel import model, report_schedules
from flowledger.kernel import saved_reports as sr
from flowledger.kernel.model.connectors import REFERENCE
from flowledger.kernel.model.encodings import utf8

#: of what was sent, so much is told; the rest stands in the list of instances
SENT = 10
Line = Annotated[str, Meta(max_length=998, pattern=r"^[^\x00-\x1f\x7f]*$")]
Short = Annotated[str, Meta(max_length=253, pattern=r"^[^\x00-\x1f\x7f]*$")]
Address = Annotated[str, Meta(min_length=3, max_length=320, pattern=r"^[^\x00-\x1f\x7f]+$")]
Addresses = Annotated[list[Address], Meta(max_length=100)]
Text = Annotated[str, Meta(max_length=100_000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]


class ReportMail(Body, rename={"from_": "from"}):
    """`password` is a reference, `{{secrets.NAME}}`. Without a subject it is the report's title."""

    host: Annotated[Short, Meta(min_length=1)]
    from_: Address
    to: Annotated[Addresses, Meta(min_length=1)]
    port: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    security: Literal["starttls", "tls", "off"] = "starttls"
    username: Short = ""
    password: Short = ""
    cc: Addresses = []
    bcc: Addresses = []
    subject: Line = ""
    text: Text = ""


class ReportWebhook(Body):
    """The file is the body of a POST. `secret`, a reference, signs it; `authentication` is that of the HTTP connector, its secrets by reference."""

    url: Annotated[str, Meta(min_length=1, max_length=8192, pattern=r"^[^\x00-\x20\x7f]+$")]
    secret: Short = ""
    headers: Annotated[dict[Annotated[str, Meta(pattern=r"^[!#$%&'*+^_`|~0-9A-Za-z-]+$", max_length=256)], Line], Meta(max_length=50)] = {}
    authentication: dict[str, Line] | None = None


class ScheduleBody(Body, omit_defaults=True, rename={"except_": "except"}):
    """When (`cron`, `zone`, `except`, `catch_up` and `within`, as of a trigger's schedule) and to whom: one of `mail` and `webhook`."""

    cron: Annotated[str, Meta(min_length=1, max_length=500)]
    zone: Short = ""
    except_: Annotated[list[Short], Meta(max_length=400)] = []
    catch_up: Literal["none", "last", "all"] = "last"
    within: Short = ""
    format: FORMATS = "csv"
    mail: ReportMail | None = None
    webhook: ReportWebhook | None = None


class Sending(msgspec.Struct, kw_only=True):
    """One of the times that came: the instance that sends it. `problem`: why it isn't sent; resolved like any other incident. `attempts`: how often it was tried."""

    id: a.Key
    scheduled: str
    status: str
    problem: str = ""
    attempts: int = 0
    created_at: str | None = None
    ended_at: str | None = None


class Schedule(msgspec.Struct, kw_only=True):
    """`schedule`: as it was put. `process` sends it, `trigger` starts that. The newest of what was `sent`."""

    name: str
    schedule: a.Json
    process: str
    trigger: str
    status: str
    next_at: str | None = None
    last_at: str | None = None
    skipped_from: str | None = None
    error: str = ""
    sent: list[Sending] = []
    position: str | None = None


def _resources(s: Services, name: str, title: str, spec: dict[str, Any]) -> list[Resource]:
    """Raises: Problem (400; 422 with findings)."""
    if ("mail" in spec) == ("webhook" in spec):
        raise malformed("one of mail and webhook was expected", "body")
    if where := report_schedules.misplaced(spec, REFERENCE):
        raise senseless("a reference such as {{secrets.NAME}} was expected", f"body {where}")
    texts = {f"{report_schedules.process_of(name)}.bpmn": report_schedules.process(name, title, spec)}
    texts[f"{report_schedules.TRIGGER}{name}.trigger.yaml"] = report_schedules.trigger(name, spec)
    found = []
    for file, text in texts.items():
        graph, findings = model.read(utf8(text), file)
        found += [f for f in [*findings, *s.findings_of(graph, file)] if f.severity == "error"]
    if found:
        words = "; ".join(f.message for f in found[:3])
        raise Problem(RejectionCode.MODEL_INVALID, f"a schedule can't be made of it: {words}", findings=msgspec.to_builtins(found))
    return [Resource(file, text) for file, text in texts.items()]


@put("/saved-reports/{name:str}/schedule", status_code=200, summary="Send a saved report at set times")
async def put_report_schedule(request: ApiRequest, name: ReportName, data: ScheduleBody) -> Response[a.Deployment]:
    """Deploys the process that sends it and the trigger that starts that, both or neither. Each time is sent once; what was missed, as `catch_up` says."""
    s = services_of(request)
    report = await _one(request, sr.REGISTRY, name)
    resources = await asyncio.to_thread(_resources, s, name, str(report.get("title") or ""), msgspec.to_builtins(data))
    answer = await s.call(Deploy(resources=resources), request)
    s.deployed(answer, s.identify(request).tenant)
    return reply(deployment_view(answer))


@get("/saved-reports/{name:str}/schedule", summary="When a saved report is sent, and what was")
async def get_report_schedule(request: ApiRequest, name: ReportName, wait_for: WaitFor = None) -> Response[Schedule]:
    await _one(request, sr.REGISTRY, name)
    s, process = services_of(request), report_schedules.process_of(name)
    row = _view(await trigger_of(s, request, f"{report_schedules.TRIGGER}{name}", wait_for))
    made = await listing(request, "definitions", {"kind": "process", "definition_id": process}, 1, None, None)
    found = await s.reads.source(str(made["items"][0]["key"]), s.identify(request).tenant) if made["items"] else None
    spec = await asyncio.to_thread(report_schedules.spec_of, found["content"]) if found else None
    if spec is None:
        raise Problem(RejectionCode.NOT_FOUND, f"expected the process {process} as a schedule makes it, found none")
    sent = (await listing(request, "instances", {"definition": process}, SENT, None, None))["items"]
    open_ = (await listing(request, "incidents", {"definition": process, "status": "open"}, s.settings.page_max, None, None))["items"]
    tasks = (await listing(request, "tasks", {"definition": process}, SENT, None, None))["items"]
    why, tried = {i["instance"]: i["message"] for i in open_}, {i["instance"]: i["attempts"] or 0 for i in tasks}
    sending = [
        {"id": i["id"], "scheduled": i["business_key"] or "", "status": i["status"], "problem": why.get(i["id"], ""), "attempts": tried.get(i["id"], 0),
         "created_at": i.get("created_at"), "ended_at": i.get("completed_at") or i.get("cancelled_at")} for i in sent
    ]  # fmt: skip
    told = {k: row.get(k) for k in ("status", "next_at", "last_at", "skipped_from", "error", "position")}
    return reply({"name": name, "schedule": spec, "process": process, "trigger": row["name"], "sent": sending, **told})


@delete("/saved-reports/{name:str}/schedule", status_code=200, summary="Send a saved report no more")
async def delete_report_schedule(request: ApiRequest, name: ReportName, reason: str = "") -> Response[a.Done]:
    """The process stays, with what it has sent."""
    await _one(request, sr.REGISTRY, name)
    return reply(await remove(request, f"{report_schedules.TRIGGER}{name}", reason))


HANDLERS: list[Any] = [put_report_schedule, get_report_schedule, delete_report_schedule]

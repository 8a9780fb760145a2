"""Holds: keep from going on what an operator names, look at what is held, let it go on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Response, get, post
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, Body, KeyPath, Moment, is_key, key_of, reply
from flowledger.api.lists import Cursor, KeyFilter, Limit, WaitFor, listing
from flowledger.api.problems import senseless
from flowledger.api.services import services_of
from flowledger.api.view import answer_view
from flowledger.events.commands import PlaceHold, ReleaseHold

HOLD = "hold"
Scope = Literal["instance", "definition", "version", "element", "job_type", "target", "tenant"]
Mode = Literal["pause", "suspend"]
SUBJECT_MAX = 512
Why = Annotated[str, Meta(max_length=2_000)]
Subject = Annotated[str, Meta(max_length=SUBJECT_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
SubjectQuery = Annotated[str, Parameter(max_length=SUBJECT_MAX, description="What the hold is over, as when it is placed")]


class HoldBody(Body):
    """`key`: of scope instance or version its key, definition the id of a process, element `PROCESS/ELEMENT` (process id or version key), job_type the
    type, target `job:`, `tenant:`, `endpoint:` or `assignee:` and a name as in limits, tenant its name (empty: that without one; `*`: all).

    `mode`: pause (no new work is handed out, the rest goes on) or suspend (nothing moves). `starts`, of scopes tenant, definition and version: new
    instances are held as pending, or refused. `children` false: called instances don't follow. `until`: it ends by itself then.
    """

    scope: Scope
    key: Subject
    reason: Annotated[str, Meta(min_length=1, max_length=2_000)]
    mode: Mode = "suspend"
    starts: Literal["hold", "refuse"] = "hold"
    children: bool = True
    until: Moment | None = None


class ReleaseBody(Body):
    """`rate`: so many instances a second over all partitions, the oldest first; 0: as fast as it goes."""

    rate: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    reason: Why = ""


@get("/holds", summary="List holds")
async def list_holds(
    request: ApiRequest,
    status: Annotated[list[Literal["held", "resuming", "released"]] | None, Parameter(description="One or several")] = None,
    scopes: Annotated[list[Scope] | None, Parameter(query="scope", description="One or several")] = None,
    mode: Mode | None = None,
    key: Annotated[str | None, Parameter(max_length=SUBJECT_MAX)] = None,
    instance: KeyFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[a.Hold]]:
    """Newest first."""
    filters = {"status": status, "scope": scopes, "mode": mode, "key": key, "instance": instance}
    return reply(await listing(request, "holds", filters, limit, cursor, wait_for))


@get("/holds/preview", summary="How many a hold would be over")
async def preview(
    request: ApiRequest, over: Annotated[Scope, Parameter(query="scope")], key: SubjectQuery, wait_for: WaitFor = None
) -> Response[a.Held]:
    """Open instances, and open tasks of theirs; of scopes element, job_type and target those where a token stands. Nothing is held by this."""
    s = services_of(request)
    if over in ("instance", "version"):
        if not is_key(key):
            raise senseless(f"a key (a positive integer) was expected, found {key!r}", "query key")
    if over == "element" and not key.partition("/")[2]:
        raise senseless(f"PROCESS/ELEMENT was expected, found {key!r}", "query key")
    await s.wait_for(wait_for)
    return reply(await s.reads.held(over, key, s.identify(request).tenant))


@get("/holds/{id:str}", summary="Get a hold")
async def get_hold(request: ApiRequest, id: KeyPath, wait_for: WaitFor = None) -> Response[a.Hold]:
    s = services_of(request)
    return reply(await s.find("holds", key_of(id, HOLD), s.identify(request).tenant, wait_for))


@post("/holds", previews=True, summary="Place a hold")
async def place(request: ApiRequest, data: HoldBody) -> Response[a.Hold]:
    """One record, however many it is over. It is in force on the partition that answers, and on all others once they have heard of it."""
    until = int(data.until.timestamp() * 1_000_000) if data.until is not None else 0
    command = PlaceHold(
        scope=data.scope, subject=data.key, mode=data.mode, starts=data.starts, children=data.children, until_us=until, reason=data.reason,
    )  # fmt: skip
    found = _view(await services_of(request).call(command, request))
    return reply(found, 201, Location=f"/v1/holds/{found['id']}")


def _view(answer: dict[str, Any]) -> dict[str, Any]:
    found = answer_view(answer)
    if "subject" in found:
        found["key"] = found.pop("subject")
    found["status"] = found.pop("state")
    return found


@post("/holds/{id:str}/release", status_code=200, previews=True, summary="Release a hold")
async def release(request: ApiRequest, id: KeyPath, data: ReleaseBody | None = None) -> Response[a.Done]:
    """What it held goes on, and what was kept is applied in the order in which it came. What another hold is over stays held. A second release
    while it is resuming only changes its rate."""
    data = data or ReleaseBody()
    command = ReleaseHold(key=key_of(id, HOLD), rate=data.rate, reason=data.reason)
    return reply(_view(await services_of(request).call(command, request)))


HANDLERS: list[Any] = [list_holds, preview, get_hold, place, release]

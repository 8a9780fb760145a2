"""Versions in service: what runs on each, and which one new work is for (docs/control.md)."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.control import OperationBody
from flowledger.api.definitions import DefinitionPath
from flowledger.api.edge import ApiRequest, is_key, reply
from flowledger.api.lists import WaitFor
from flowledger.api.problems import Problem, malformed
from flowledger.api.services import definition_key, services_of
from flowledger.api.view import answer_view
from flowledger.events.base import RejectionCode
from flowledger.events.control import ChangeRollout

#: percent; two digits behind the point
Percent = Annotated[float, Meta(ge=0, le=100)]


class RolloutBody(OperationBody):
    """`version`: a number; without it that of the key in the address, with an id in the address all versions (only to stop or open them). One of `share`
    (percent of new root starts by id, two digits behind the point) and `default` (true: it is the default and gets all; false: none is pinned, the newest
    is meant), or `stop_starts`, which may stand alone or beside."""

    version: Annotated[int, Meta(ge=1)] | None = None
    share: Percent | None = None
    default: bool | None = None
    stop_starts: bool | None = None


@get("/definitions/{id:str}/versions", summary="Versions in service")
async def versions(
    request: ApiRequest,
    id: DefinitionPath,
    counts: Annotated[bool, Parameter(description="false: nothing is told of instances")] = True,
    wait_for: WaitFor = None,
) -> Response[a.Versions]:
    """What runs on each version, which share of new starts it gets, and how far it is from running dry. The newest first, 1,000 at most."""
    s = services_of(request)
    tenant = s.identify(request).tenant
    key = await definition_key(s, request, id, "definition", wait_for)
    await s.find("definitions", key, tenant, wait_for)
    found = await s.reads.get("versions" if counts else "version_list", str(key), tenant)
    if found is None:
        raise Problem(RejectionCode.NOT_FOUND, f"no definition {id}")
    return reply(found)


@post("/definitions/{id:str}/rollout", status_code=200, previews=True, summary="Say which version new work is for")
async def roll_out(request: ApiRequest, id: DefinitionPath, data: RolloutBody) -> Response[a.RolledOut]:
    """Answered when all partitions have heard of it. What runs already goes on as it is."""
    if data.share is not None and abs(round(data.share * 100) - data.share * 100) > 1e-6:
        raise malformed(f"a share with at most two digits behind the point was expected, found {data.share}", "body share")
    s = services_of(request)
    key = await definition_key(s, request, id, "definition")
    version = data.version if data.version is not None else -1 if is_key(id) else 0
    command = ChangeRollout(
        key=key, version=version, share=-1.0 if data.share is None else data.share, default=data.default, stop_starts=data.stop_starts, reason=data.reason
    )  # fmt: skip
    answer = dict(await s.call(command, request, plan=data.asked))
    found = answer_view({**answer, "definition_id": answer.pop("id")})
    return reply(found)


HANDLERS: list[Any] = [versions, roll_out]

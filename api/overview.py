"""What a first look shows, in one answer: is it well, what is mine to do, what is stuck, what runs.

Of each part what the caller may see. Parts that queries can't answer now are left out as well, and the rest is told: whether it is well must be seen
above all when it isn't.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Any

from litestar import Response, get
from litestar.params import Parameter

from flowledger.api import answers as a
from flowledger.api.access.door import IDENTITY
from flowledger.api.edge import ApiRequest, position_of, reply
from flowledger.api.health import state
from flowledger.api.lists import WaitFor
from flowledger.api.problems import Problem
from flowledger.api.services import services_of
from flowledger.api.tasks import OPEN
from flowledger.api.watchdog import found_by
from flowledger.events.base import RejectionCode

#: rows of each part, at most
ROWS_MAX = 20
#: how long a partition may take to tell what its watchdog has found (seconds): whether it is well is told without it
FINDINGS_S = 1.0
#: tasks that people do
PEOPLE = "user_task,human_task,manual_task"
#: part -> the right that it needs: that of asking for it alone
NEEDS = {"tasks": "tasks:read", "incidents": "incidents:read", "instances": "instances:read", "findings": "watchdog:read"}
Rows = Annotated[int, Parameter(ge=1, le=ROWS_MAX, description="Rows of each part at most")]


@get("/overview", summary="What a first look shows")
async def overview(request: ApiRequest, limit: Rows = 6, wait_for: WaitFor = None) -> Response[a.Overview]:
    """`tasks`: open tasks of people, those of the caller where it has a name; `incidents`: open ones; `instances`: whatever status they have; the newest
    first. `findings`: how many the watchdog has. A part that isn't told is null, and `unseen` says why: FORBIDDEN (its right lacks) or UNAVAILABLE."""
    s = services_of(request)
    caller = s.identify(request)
    identity: Any = request.scope.get(IDENTITY)
    unseen = {part: "FORBIDDEN" for part, right in NEEDS.items() if identity is not None and right not in identity.rights}
    mine = {"assignee": caller.actor} if caller.actor else {}
    wanted = {
        "tasks": {"type": PEOPLE, "status": ",".join(OPEN), **mine},
        "incidents": {"status": "open"},
        "instances": {},
    }

    async def rows(part: str) -> Any:
        return await s.reads.list(part, wanted[part], limit, "", caller.tenant)

    try:
        await s.wait_for(wait_for)
    except Problem as p:
        if p.code != RejectionCode.UNAVAILABLE:
            raise
        unseen |= {part: str(p.code) for part in wanted if part not in unseen}
    asked: dict[str, Awaitable[Any]] = {part: rows(part) for part in wanted if part not in unseen}
    if "findings" not in unseen:
        asked["findings"] = found_by(s, caller, FINDINGS_S)
    health, *answers = await asyncio.gather(state(s), *asked.values(), return_exceptions=True)
    if isinstance(health, BaseException):
        raise health
    told: dict[str, Any] = {}
    positions = []
    for part, answer in zip(asked, answers, strict=True):
        if isinstance(answer, Problem) and answer.code == RejectionCode.UNAVAILABLE:
            unseen[part] = str(answer.code)
        elif isinstance(answer, BaseException):
            raise answer
        elif part == "findings":
            told[part] = sum(answer.counts.values())
        else:
            told[part] = answer["items"]
            positions.append(answer["position"])
    return reply({"health": health, **dict.fromkeys(NEEDS), **told, "unseen": unseen, "position": _oldest(positions)})


def _oldest(positions: list[str]) -> str | None:
    """What all parts are at least as new as; each was read at its own moment."""
    read = [position_of(text) for text in positions if text]
    if not read or len(read) < len(positions):
        return None
    places = {p: min(at[p] for at in read) for p in sorted(set.intersection(*map(set, read)))}
    return ",".join(f"{p}-{offset}" for p, offset in places.items()) or None


HANDLERS: list[Any] = [overview]

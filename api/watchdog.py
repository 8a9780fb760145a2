"""What the watchdog has found, over all partitions, and repairs (docs/control.md, "Watchdog")."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, NamedTuple

from litestar import Response, get, post
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.control import OperationBody
from flowledger.api.edge import ApiRequest, reply, time_text
from flowledger.api.lag import KIND as LAG
from flowledger.api.lists import KeyFilter
from flowledger.api.problems import Problem
from flowledger.api.services import Services, services_of
from flowledger.events import control as co
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.watchdog.kinds import KINDS, parts_of
from flowledger.processors.client import Caller

#: how long a partition may take to tell what it has found (seconds)
ANSWER_S = 5.0
ID_PATTERN = r"^[0-9]{1,3}-[a-z_]{1,40}-[0-9]{1,19}$"
FindingId = Annotated[str, Parameter(schema_extra={"pattern": ID_PATTERN})]
Word = Annotated[str, Meta(pattern="^[a-z_]{0,40}$")]


class RepairBody(OperationBody):
    """`repair`: one of those that the finding names; without one the first. `reason` stands in the log of operations."""

    repair: Word = ""


@get("/watchdog", summary="List what doesn't hold")
async def list_findings(
    request: ApiRequest,
    kinds: Annotated[list[str] | None, Parameter(query="kind", description=f"One or several of {', '.join(KINDS)}")] = None,
    instance: KeyFilter = None,
) -> Response[a.Findings]:
    """The oldest first; of each partition 1,000 at most, `counts` has all. They are looked for all the time, and go by themselves when they hold again.
    `partitions`: how far each is; one that doesn't answer is `silent`."""
    s = services_of(request)
    found = await found_by(s, s.identify(request), ANSWER_S)
    wanted = [_view(r) for r in sorted(found.rows, key=lambda r: (r["since_us"], r["id"])) if not kinds or r["kind"] in kinds]
    if instance is not None:
        wanted = [r for r in wanted if r["instance"] == instance]
    return reply({"items": wanted, "counts": found.counts, "found": sum(found.counts.values()), "partitions": found.partitions})


class Found(NamedTuple):
    rows: list[dict[str, Any]]
    counts: dict[str, int]
    partitions: list[dict[str, Any]]


async def found_by(s: Services, caller: Caller, timeout_s: float) -> Found:
    """What the watchdog of each partition has found; a partition that doesn't tell in time is silent."""
    asked = [s.client.call(co.ListFindings(), caller, partition=p, timeout_s=timeout_s) for p in range(s.client.partitions)]
    rows: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    partitions: list[dict[str, Any]] = []
    for p, answer in enumerate(await asyncio.gather(*asked)):
        if isinstance(answer, Rejected):
            partitions.append({"partition": p, "silent": True, "rounds": None, "round_s": None, "looked_at": None, "why": answer.message})
            continue
        rows += answer["findings"]
        for kind, n in answer.get("counts", {}).items():
            counts[kind] = counts.get(kind, 0) + n
        partitions.append({"partition": p, "silent": False, "why": None, **{k: answer.get(k) for k in ("rounds", "round_s", "looked_at")}})
    if s.lag is not None and not caller.tenant:
        late = s.lag.findings()
        rows += late
        if late:
            counts[LAG] = len(late)
    return Found(rows, counts, partitions)


def _view(row: dict[str, Any]) -> dict[str, Any]:
    found = {**row, "instance": str(row["instance"]) if row["instance"] else None, "since": time_text(row["since_us"])}
    del found["since_us"]
    return found


@post("/watchdog/{id:str}/repair", status_code=200, previews=True, summary="Repair what doesn't hold")
async def repair_finding(request: ApiRequest, id: FindingId, data: RepairBody | None = None) -> Response[a.Repaired]:
    """An operation of its own: refused when the finding doesn't hold any more. Ask first by `dry_run`."""
    data = data or RepairBody()
    s = services_of(request)
    parts = parts_of(id)
    if parts is None or parts[0] >= s.client.partitions or (parts[1] == LAG and (s.lag is None or not s.lag.known(id))):
        raise Problem(RejectionCode.NOT_FOUND, f"no finding {id} that still holds: look again")
    answer = await s.call(co.RepairFinding(id=id, repair=data.repair, reason=data.reason), request, plan=data.asked)
    if parts[1] == LAG:
        await s.reads.restart_projector()
    return reply(answer)


HANDLERS: list[Any] = [list_findings, repair_finding]

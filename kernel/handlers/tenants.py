"""Tenants are made, changed, suspended, resumed and removed: partition 0 decides, the others hear of the record (`kernel/tenants.py`)."""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import ledger as le
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import tenants
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers import holds
from flowledger.kernel.tasks import registry
from flowledger.kernel.tasks.shapes import unknown

#: move -> statuses from which it goes
FROM = {
    "create": ("", tenants.REMOVED), "change": (tenants.ACTIVE, tenants.SUSPENDED), "suspend": (tenants.ACTIVE,), "resume": (tenants.SUSPENDED,),
    "remove": (tenants.SUSPENDED,),
}  # fmt: skip
#: of `default`, which is always there
OF_DEFAULT = ("change",)
#: what a limit of a tenant's jobs has (`kernel/tasks/guards.py`)
JOBS = frozenset({"concurrency", "rate", "ageing_ms"})


def control(d: Decision, e: co.ControlTenant) -> Rejected | None:
    if (wrong := _wrong(e)) is not None:
        return wrong
    was = tenants.of(d.state, e.name)
    status = was["status"] if was is not None else tenants.ACTIVE if e.name == tenants.DEFAULT else ""
    if e.move == "create" and status and status != tenants.REMOVED:
        return Rejected(RejectionCode.ALREADY_EXISTS, f"tenant '{e.name}' is there already")
    if status in ("", tenants.REMOVED) and e.move != "create":
        return Rejected(RejectionCode.NOT_FOUND, f"expected a tenant named '{e.name}', found none")
    if status not in FROM[e.move]:
        return Rejected(
            RejectionCode.INVALID_STATE, f"can't {e.move} tenant '{e.name}': it is {status}, expected {' or '.join(FROM[e.move])}"
        )
    if e.move == "create" and was is None and len(d.state.registry.get(tenants.REGISTRY) or ()) >= tenants.TENANTS_MAX:
        return Rejected(RejectionCode.RESOURCE_EXHAUSTED, f"expected at most {tenants.TENANTS_MAX} tenants")
    made = _made(d, e, was if e.move != "create" else None)
    if e.move == "suspend" or (e.leave and int(made.get("hold") or 0) not in d.state.holds):
        hold = _hold(d, e)
        if isinstance(hold, Rejected):
            return hold
        made["hold"] = str(hold)
    elif (e.move == "resume" or (e.move == "remove" and not e.leave) or e.move == "create") and was is not None:
        _let_go(d, was, e.reason)
        made.pop("hold", None)
    _store(d, tenants.REGISTRY, e.name, made)
    if e.jobs is not None or e.move == "remove":
        _limit(d, e.name, e.jobs or None)
    d.answer = {"name": e.name, **made}
    return None


def _made(d: Decision, e: co.ControlTenant, was: dict[str, Any] | None) -> dict[str, Any]:
    """The record as it is to be."""
    now = d.facts.now_us
    made = {
        "status": tenants.ACTIVE,
        "title": "",
        "metadata": {},
        "quotas": {},
        "created_us": now,
        **(was or {}),
        "updated_us": now,
        "reason": e.reason,
    }
    made |= {"status": {"suspend": tenants.SUSPENDED, "resume": tenants.ACTIVE, "remove": tenants.REMOVED}.get(e.move, made["status"])}
    for field in ("title", "metadata", "unknown", "quotas"):
        if (value := getattr(e, field)) is not None:
            made[field] = value
    return made


def _hold(d: Decision, e: co.ControlTenant) -> int | Rejected:
    """New instances wait, so that nothing is lost that timers and messages start meanwhile."""
    held = holds.place(d, c.PlaceHold(scope="tenant", subject=e.name, mode="suspend", starts="hold", reason=e.reason))
    return held if held is not None else int(d.answer["key"])


def _let_go(d: Decision, was: dict[str, Any], reason: str) -> None:
    key = int(was.get("hold") or 0)
    if key in d.state.holds:  # somebody may have released it by itself
        holds.release(d, c.ReleaseHold(key=key, reason=reason))


def _limit(d: Decision, name: str, jobs: dict[str, Any] | None) -> None:
    """The tenant's share of work is a limit as any other."""
    target = f"tenant:{name}"
    there = (d.state.registry.get("limit") or {}).get(target)
    if there is None and not jobs:
        return
    kept = {k: v for k, v in (there or {}).items() if k not in JOBS}
    _store(d, "limit", target, {**kept, **jobs} if jobs else kept or None)


def _store(d: Decision, kind: str, name: str, value: dict[str, Any] | None) -> None:
    d.record(le.RecordStored(registry=kind, name=name, value=value))
    meta = d.state.meta
    for to in range(meta.partitions):
        if to != meta.partition:
            d.send(to, c.StoreRecord(registry=kind, name=name, value=value, relayed=True))


def _wrong(e: co.ControlTenant) -> Rejected | None:
    if e.move not in FROM:
        return _invalid(f"a move of {', '.join(FROM)}, found '{e.move}'")
    if not name_fits(e.name):
        return _invalid(
            f"a name of 1 to {tenants.NAME_MAX} characters without /, * and control characters, found '{e.name[: tenants.NAME_MAX]}'"
        )
    if e.name == tenants.DEFAULT and e.move not in OF_DEFAULT:
        return Rejected(RejectionCode.INVALID_STATE, f"the tenant '{tenants.DEFAULT}' is always there: it can't be {_PAST[e.move]}")
    if e.unknown is not None and e.name != tenants.DEFAULT:
        return _invalid(f"'unknown' for the tenant '{tenants.DEFAULT}' alone, where it is said for all")
    if e.unknown is not None and e.unknown not in tenants.UNKNOWN:
        return _invalid(f"unknown: {' or '.join(tenants.UNKNOWN)}, found '{e.unknown}'")
    if e.title is not None and len(e.title) > tenants.TITLE_MAX:
        return _invalid(f"a title of at most {tenants.TITLE_MAX} characters, found {len(e.title)}")
    if e.metadata is not None and len(e.metadata) > tenants.METADATA_MAX:
        return _invalid(f"at most {tenants.METADATA_MAX} entries in metadata, found {len(e.metadata)}")
    if e.jobs is not None:
        if e.name == tenants.DEFAULT:
            return _invalid("jobs for tenants with a name: limits of job types and endpoints hold for all")
        if wrong := unknown(e.jobs, JOBS, "jobs") or registry.problems("limit", f"tenant:{e.name}", e.jobs):
            return Rejected(RejectionCode.INVALID_ARGUMENT, "; ".join(wrong))
    if e.quotas is not None and (wrong := registry.quota_problems(e.quotas)):
        return Rejected(RejectionCode.INVALID_ARGUMENT, "; ".join(wrong))
    if e.leave and e.move != "remove":
        return _invalid("leave with remove alone")
    return None


_PAST = {"create": "made", "suspend": "suspended", "resume": "resumed", "remove": "removed"}


def name_fits(name: str) -> bool:
    """Records of a tenant are named `tenant/name`, and holds know `*` as all of them."""
    return 0 < len(name) <= tenants.NAME_MAX and not any(x in "/*" or ord(x) < 32 or ord(x) == 127 for x in name) and name == name.strip()


def _invalid(expected: str) -> Rejected:
    return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected {expected}")

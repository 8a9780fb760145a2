"""A tenant's instances at once, and how many begin in a time: quotas of its record (`kernel/tenants.py`), over all partitions.

They go by permits of a home partition, as a person's maximum does (`permits.py`, `people.py`): what counts is what runs, so a permit has no end. Only
instances that nobody called count; called ones are part of their caller's work. One that finds no place is pending, and begins when there is one, in order; where
too many wait (`waiting`, in each partition) callers hear so. What timers, messages and signals start is never refused.

Target: `instances:` and the tenant's name. Nothing of this is looked at unless a tenant has quotas.
"""

from __future__ import annotations

from typing import Any

from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import tenants, undo
from flowledger.kernel.state import Instance, Partition
from flowledger.kernel.tasks import permits, stock

PREFIX = stock.INSTANCES
#: fields of a tenant's quotas
FIELDS = frozenset({"instances", "share", "starts", "storage", "waiting"})
#: of those, what is said of instances; a share is of turns (`processors/inbox.py`), storage is looked at by doors (`api/storage.py`)
COUNTED = frozenset({"instances", "starts", "waiting"})
#: instances of a tenant that wait in a partition, unless its quotas say another number; and the highest
WAITING, WAITING_MAX = 1_000, 10_000
UNBOUNDED = 1 << 60


class Quota:
    """Of one tenant. Made from its record; `open` and `waiting` follow from the instances. Implements `stock.Limit`."""

    __slots__ = ("ageing_us", "burst", "interval_us", "most", "open", "target", "tenant", "waiting", "waiting_max")

    counts = True

    def __init__(self, tenant: str, config: dict[str, Any]) -> None:
        self.tenant, self.target = tenant, PREFIX + tenant
        self.most = int(config.get("instances") or UNBOUNDED)
        rate = config.get("starts") or {}
        self.burst = int(rate.get("max") or 0)
        self.interval_us = max(1, int(rate.get("per_ms") or 1000) * 1000 // self.burst) if self.burst else 0
        self.waiting_max = int(config.get("waiting") or WAITING)
        self.ageing_us = UNBOUNDED  # no instance is more urgent than another: partitions have their turns
        #: instances that run, and those that wait, in order
        self.open: dict[int, None] = {}
        self.waiting: dict[int, None] = {}

    def held(self, p: Partition) -> int:
        return len(self.open)

    def room(self, p: Partition, now_us: int, wanted: int) -> tuple[int, int]:
        """(how many may begin now, when it is worth to look again; 0: something else will wake us)."""
        if stock.away(p, self.target):
            record = p.records.get((stock.HERE, self.target))
            if record is None:
                return 0, 0
            free = record["n"] - len(self.open)
            if self.burst:
                free = min(free, record["tokens"] if record["fresh_us"] > now_us else 0)
            return max(0, min(wanted, free)), 0
        n, wake_us = min(wanted, self.most - len(self.open) - stock.out(p, self.target)), 0
        if self.burst and n > 0:
            n, wake_us = stock.in_time(p, self, now_us, n)
        return max(0, n), wake_us


def tenant_of(name: str) -> str:
    """Of a record: `default` is the one without name."""
    return "" if name == tenants.DEFAULT else name


def of(p: Partition, tenant: str) -> Quota | None:
    found: Quota | None = p.quotas.get(PREFIX + tenant)
    return found


# --- kept by the fold ---------------------------------------------------------------------------------------------------------


def stored(p: Partition, name: str) -> None:
    """A tenant's record came or changed."""
    tenant = tenant_of(name)
    target = PREFIX + tenant
    config = _config(p, name)
    if config:
        _make(p, tenant, config)
    elif undo.drop(p, p.quotas, target) is None:
        return
    undo.add(p, p.unsettled_limits, target)


def _config(p: Partition, name: str) -> dict[str, Any]:
    record = tenants.of(p, name) or {}
    found = (record.get("quotas") or {}) if record.get("status") != tenants.REMOVED else {}
    return {k: v for k, v in found.items() if k in COUNTED}


def _make(p: Partition, tenant: str, config: dict[str, Any]) -> None:
    quota = Quota(tenant, config)
    for key in sorted(p.instances):
        i = p.instances[key]
        if i.tenant == tenant and _counts(i):
            (quota.waiting if i.status == "pending" else quota.open)[key] = None
    undo.put(p, p.quotas, quota.target, quota)


def rebuild(p: Partition) -> None:
    """After a checkpoint was loaded."""
    for name in sorted(p.registry.get(tenants.REGISTRY) or ()):
        if config := _config(p, name):
            _make(p, tenant_of(name), config)
            p.unsettled_limits.add(PREFIX + tenant_of(name))


def _counts(i: Instance) -> bool:
    return not (i.parent or (i.request or {}).get("parent"))


def created(p: Partition, i: Instance) -> None:
    """It waits."""
    if (quota := of(p, i.tenant)) is not None and _counts(i):
        undo.put(p, quota.waiting, i.key, None)
        undo.add(p, p.unsettled_limits, quota.target)  # the home is asked for it


def began(p: Partition, i: Instance) -> None:
    if (quota := of(p, i.tenant)) is None or not _counts(i):
        return
    undo.drop_queued(p, quota.waiting, i.key)
    undo.put(p, quota.open, i.key, None)
    if stock.away(p, quota.target):
        permits.leased(p, quota)
        return
    if quota.burst:
        permits.spent(p, quota, i.started_us)
    permits.had(p, quota.target)


def ended(p: Partition, i: Instance) -> None:
    if (quota := of(p, i.tenant)) is None:
        return
    undo.drop_queued(p, quota.waiting, i.key)
    undo.drop(p, quota.open, i.key)
    undo.add(p, p.unsettled_limits, quota.target)


# --- used by decisions --------------------------------------------------------------------------------------------------------


def waits(p: Partition, tenant: str, now_us: int) -> bool:
    """A further instance of the tenant has no place now, or others wait for one already."""
    quota = of(p, tenant)
    if quota is None:
        return False
    return bool(quota.waiting) or permits.contested(p, quota.target) or quota.room(p, now_us, 1)[0] < 1


def full(p: Partition, tenant: str) -> Rejected | None:
    """Too many wait already."""
    quota = of(p, tenant)
    if quota is None or len(quota.waiting) < quota.waiting_max:
        return None
    text = f"{len(quota.waiting)} instances of tenant '{tenant or tenants.DEFAULT}' wait for a place here already, its quota"
    return Rejected(RejectionCode.RESOURCE_EXHAUSTED, text, 1_000)


def has_place(p: Partition, i: Instance, now_us: int) -> bool:
    """For one that waits."""
    quota = of(p, i.tenant)
    return quota is None or not _counts(i) or quota.room(p, now_us, 1)[0] > 0

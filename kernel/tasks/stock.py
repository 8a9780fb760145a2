"""What each side knows of permits, as the fold keeps it: see `permits.py`."""

from __future__ import annotations

from typing import Any, Protocol

from flowledger.events import commands as c
from flowledger.kernel.state import Partition

#: registries: permits that are here, and at a home those that are out and who waits
HERE, HOME = "permits", "permits_home"
#: prefixes of targets whose permits have no end: what a person holds, and a tenant's instances
PEOPLE, INSTANCES = "person:", "instances:"
ENDLESS = (PEOPLE, INSTANCES)


class Limit(Protocol):
    """Of one target: a `Guard` of leases, or a `Person`."""

    target: str
    #: the bucket of a rate, 0: none
    burst: int
    interval_us: int
    #: waiting so long counts as one point of priority
    ageing_us: int

    @property
    def counts(self) -> bool: ...
    def room(self, p: Partition, now_us: int, wanted: int) -> tuple[int, int]: ...


def home(p: Partition, target: str) -> int:
    return c.partition_of_text(target, p.meta.partitions)


def away(p: Partition, target: str) -> bool:
    """Whether another partition decides on this target."""
    return p.meta.partitions > 1 and home(p, target) != p.meta.partition


def out(p: Partition, target: str) -> int:
    """At the home: permits that others have."""
    record = p.records.get((HOME, target))
    return sum(x["n"] for x in record["out"].values()) if record is not None else 0


def in_time(p: Partition, limit: Limit, now_us: int, wanted: int) -> tuple[int, int]:
    """At the home of a rate: (how many of these tokens the bucket has, when the next one comes; 0: it has all of them)."""
    left_us = limit.burst * limit.interval_us - max(0, (p.records.get(("rate", limit.target)) or {"tat_us": 0})["tat_us"] - now_us)
    free = left_us // limit.interval_us
    return (wanted, 0) if free >= wanted else (free, now_us + limit.interval_us - left_us % limit.interval_us)


def idle(p: Partition, limit: Limit, now_us: int) -> int:
    """Elsewhere: how many leases may begin now by the permits that are here."""
    record = p.records.get((HERE, limit.target))
    if record is None or record["until_us"] <= now_us:
        return 0
    n: int = record["n"] - record["used"]
    if limit.burst:
        n = min(n, record["tokens"] if record["fresh_us"] > now_us else 0)
    return max(0, n)


def until(p: Partition, target: str) -> int:
    """No lease under a permit ends later (0: none is needed here)."""
    record = p.records.get((HERE, target))
    return int(record["until_us"]) if record is not None else 0


def nothing() -> dict[str, Any]:
    """A record of `HERE`."""
    return {"n": 0, "used": 0, "tokens": 0, "fresh_us": 0, "until_us": 0, "period": 1, "freed": 0, "asked": 0, "asked_us": 0}

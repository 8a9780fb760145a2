"""A person's maximum (`max_concurrent` of their record in the directory): open tasks that they hold, over all partitions.

It goes by permits of a home partition, as other limits do (`permits.py`), with these differences. What counts is what somebody holds, not what is leased:
a task is open until it ends, so a permit has no end. Who is given a task by hand gets it in any case; the home is told afterwards, and gives nothing more
until they are below their maximum again. A choice that falls on somebody whose home has not been asked waits for its answer: a permit, or that there is
no room now, upon which the choice is made anew.

Target: `person:` and the name of the record, with its tenant if it is a tenant's own.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel import undo
from flowledger.kernel.state import Partition
from flowledger.kernel.tasks import index, stock

PREFIX = stock.PEOPLE
#: prefixes of registry `directory`
PEOPLE = ("user", "agent", "service", "tool", "api")
AGEING_US = 30_000_000
NEVER = 1 << 62


class Person:
    """Somebody who has a maximum. Implements `stock.Limit`."""

    __slots__ = ("most", "record", "target")

    counts, burst, interval_us, ageing_us = True, 0, 0, AGEING_US

    def __init__(self, record: str, most: int) -> None:
        self.record, self.most = record, most
        self.target = PREFIX + record

    def held(self, p: Partition) -> int:
        """Open tasks of theirs here."""
        _, _, name = self.record.rpartition("/")
        kind, _, bare = name.partition(":")
        count = 0
        for alias in (name, bare) if kind == "user" or bare in p.by_assignee else (name,):
            tasks = p.by_assignee.get(alias)
            if not tasks:
                continue
            if kind == "user" and index.OWNED not in p.registry:
                count += len(tasks)
            else:  # others may have the same name
                count += sum(1 for k in tasks if _is(find(p, p.tasks[k].tenant, alias), self.record))
        return count

    def total(self, p: Partition) -> int:
        """As far as it is known here."""
        return self.held(p) + stock.out(p, self.target)

    def room(self, p: Partition, now_us: int, wanted: int) -> tuple[int, int]:
        if stock.away(p, self.target):
            record = p.records.get((stock.HERE, self.target))
            free = record["n"] - self.held(p) if record is not None else 0
        else:
            free = self.most - self.total(p)
        return max(0, min(wanted, free)), 0

    def queued(self, p: Partition) -> bool:
        """Whether the home knows that more is wanted here, or this is the home: what comes is told."""
        record = p.records.get((stock.HERE, self.target))
        return not stock.away(p, self.target) or (record is not None and bool(record["asked"]))

    def unasked(self, p: Partition) -> bool:
        """Elsewhere than at home: whether the home may have room, for all that is known here."""
        if not stock.away(p, self.target):
            return False
        record = p.records.get((stock.HERE, self.target))
        return record is None or not (record["asked"] and record.get("full"))


def _is(found: tuple[str, Any] | None, record: str) -> bool:
    return found is not None and found[0] == record


def find(p: Partition, tenant: str, name: str) -> tuple[str, dict[str, Any]] | None:
    """Name and value of the directory's record of somebody. A bare name is a user, an agent, a service ... in this order; a tenant's own comes first."""
    table = p.registry.get("directory")
    if not table:
        return None
    for full in (name,) if ":" in name else [f"{prefix}:{name}" for prefix in PEOPLE]:
        for key in (f"{tenant}/{full}", full) if tenant else (full,):
            if (found := table.get(key)) is not None:
                return key, found
    return None


def balance(record: dict[str, Any], name: str) -> Any:
    """`weight` or `max_concurrent` of a record, by itself or in its `load_balancing`."""
    own = record.get("load_balancing")
    return record[name] if record.get(name) is not None else own.get(name) if isinstance(own, dict) else None


def limit(p: Partition, tenant: str, name: str) -> Person | None:
    """None: nobody, or somebody without a maximum."""
    found = find(p, tenant, name)
    return _person(found[0], found[1]) if found is not None else None


def of_target(p: Partition, target: str) -> Person | None:
    record = (p.registry.get("directory") or {}).get(target[len(PREFIX) :])
    return _person(target[len(PREFIX) :], record) if isinstance(record, dict) else None


def _person(full: str, record: dict[str, Any]) -> Person | None:
    most = balance(record, "max_concurrent")
    return Person(full, most) if isinstance(most, int) and most > 0 else None


def name_of(target: str) -> str:
    """As tasks name them."""
    return target[len(PREFIX) :].rpartition("/")[2].removeprefix("user:")


# --- the fold ---------------------------------------------------------------------------------------------------------------


def changed(p: Partition, tenant: str, name: str) -> None:
    """They hold more or fewer tasks: counted at the end of the decision."""
    if p.meta.partitions > 1 and (person := limit(p, tenant, name)) is not None:
        undo.add(p, p.unsettled_limits, person.target)


def stored(p: Partition, registry: str, name: str) -> None:
    """A record came or went, and perhaps a maximum."""
    if registry != "directory" or p.meta.partitions == 1:
        return
    for target in {PREFIX + name, PREFIX + name.rpartition("/")[2]}:  # with a tenant's own record those of the common one are fewer
        if of_target(p, target) is not None or (stock.HERE, target) in p.records or (stock.HOME, target) in p.records:
            undo.add(p, p.unsettled_limits, target)

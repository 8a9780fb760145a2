"""What is in force: KPIs and calendars as the log has told of them up to an event, and what of them applies to a process.

They are records of registries, which each partition's log has (`record.stored`): so a figure stands on what was in force when it came about, whoever counts
it and whenever. A record without tenant is for all tenants; one's own of the same name goes before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from flowledger.kernel import kpis
from flowledger.kernel.expressions import Expression, feel_expression
from flowledger.kernel.model.trigger_fields import duration_us
from flowledger.kernel.tasks import calendars

#: money and values are whole numbers of millionths, so that sums are exact
MICRO = 1_000_000
_CALENDARS = "calendar:"
Record = dict[str, Any]
#: what expressions find beside variables: the instance by now, the work
TOLD = frozenset({"this", "task"})


class Kpi(NamedTuple):
    """A record, read. `calendar`: None where all time counts. Rates in millionths an hour, `each` in millionths. `told`: which of `TOLD` its expressions read."""

    name: str
    kind: str
    of: str
    at: str
    process: str
    element: str
    within_us: int
    calendar: Record | None
    value: Expression | None
    when: Expression | None
    by: str
    values: frozenset[str]
    rates: Mapping[str, Mapping[str, int]]
    otherwise: int
    told: frozenset[str]

    @property
    def reads(self) -> frozenset[str]:
        """Variables."""
        found = {self.by} if self.by else set[str]()
        for each in (self.value, self.when):
            if each is not None:
                found |= each.reads
        return frozenset(found - TOLD)

    def lasted(self, from_us: int, to_us: int) -> int:
        return max(0, to_us - from_us) if self.calendar is None else calendars.between(self.calendar, from_us, to_us)

    def rate_of(self, job_type: str, who: str, groups: tuple[str, ...]) -> int:
        """An hour of it: of whom does it, else of the dearest group that it is for, else of its job type."""
        if who in self.rates["people"]:
            return self.rates["people"][who]
        of_groups = [self.rates["groups"][g] for g in groups if g in self.rates["groups"]]
        return max(of_groups) if of_groups else self.rates["job_types"].get(job_type, self.otherwise)


class Plan(NamedTuple):
    """What applies to a process. `timed`: elements of which it must be known when work was in hand."""

    wanted: frozenset[str]
    starts: tuple[Kpi, ...]
    ends: tuple[Kpi, ...]
    visits: Mapping[str, tuple[Kpi, ...]]
    works: Mapping[str, tuple[Kpi, ...]]
    costs: tuple[Kpi, ...]
    timed: frozenset[str]


def _micro(value: Any) -> int:
    return int((Decimal(str(value)) * MICRO).to_integral_value())


def read(name: str, record: Record, calendar: Record | None) -> Kpi:
    """As it was checked by `kernel.kpis`."""
    value, when = (feel_expression(record[each]) if each in record else None for each in ("value", "when"))
    return Kpi(
        name=name,
        kind=record["kind"],
        of=record.get("of", "cycle"),
        at=record.get("at", "end"),
        process=record.get("process", ""),
        element=record.get("element", ""),
        within_us=duration_us(record["within"]) if "within" in record else 0,
        calendar=calendar,
        value=value,
        when=when,
        by=record.get("by", ""),
        values=frozenset(kpis.value_text(v) for v in record.get("values", ())),
        rates={k: {n: _micro(v) for n, v in (record.get(k) or {}).items()} for k in ("job_types", "people", "groups", "each")},
        otherwise=_micro(record.get("otherwise", 0)),
        told=TOLD & frozenset[str]().union(*(each.reads for each in (value, when) if each is not None)),
    )


def own(records: Mapping[tuple[str, str], Record], tenant: str, registry: str, prefix: str = "") -> Iterator[tuple[str, Record]]:
    """(name, record) that a tenant has, by name."""
    found: dict[str, Record] = {}
    for (where, full), record in records.items():
        owner, _, name = full.rpartition("/")
        if where == registry and owner in ("", tenant) and name.startswith(prefix) and (owner == tenant or name not in found):
            found[name] = record
    yield from sorted(found.items())


def applying(records: Mapping[tuple[str, str], Record], tenant: str, process: str = "") -> Iterator[Kpi]:
    """KPIs that a tenant has; `process`: those of it. What names a calendar that isn't there doesn't count."""
    for name, record in own(records, tenant, kpis.REGISTRY):
        if not record.get("enabled", True) or (process and record.get("process", process) != process):
            continue
        calendar = None
        if "calendar" in record:
            full = f"{_CALENDARS}{record['calendar']}"
            calendar = records.get(("directory", f"{tenant}/{full}")) or records.get(("directory", full))
            if calendar is None:
                continue
        yield read(name, record, calendar)


class Terms:
    """Of a tenant on a partition."""

    __slots__ = ("_plans", "_records", "tenant")

    def __init__(self, tenant: str, records: dict[tuple[str, str], Record]) -> None:
        self.tenant, self._records = tenant, records
        self._plans: dict[str, Plan | None] = {}

    def plan(self, process: str) -> Plan | None:
        """None: nothing applies."""
        try:
            return self._plans[process]
        except KeyError:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            made = self._plans[process] = self._made(process)
            return made

    def changed(self) -> None:
        self._plans.clear()

    def _made(self, process: str) -> Plan | None:
        found = list(applying(self._records, self.tenant, process))[: kpis.PROCESS_MAX]
        if not found:
            return None
        visits: dict[str, tuple[Kpi, ...]] = {}
        works: dict[str, tuple[Kpi, ...]] = {}
        for k in found:
            if k.element:
                table = visits if k.kind in ("sla", "time") and k.of == "cycle" else works
                table[k.element] = (*table.get(k.element, ()), k)
        whole = [k for k in found if not k.element and k.kind != "cost"]
        return Plan(
            wanted=frozenset[str]().union(*(k.reads for k in found)),
            starts=tuple(k for k in whole if k.at == "start"),
            ends=tuple(k for k in whole if k.at != "start"),
            visits=visits,
            works=works,
            costs=tuple(k for k in found if k.kind == "cost"),
            timed=frozenset(k.element for k in found if k.element and k.calendar is not None and k.of != "cycle"),
        )


#: processes of a tenant whose plans are kept at hand
PLANS_MAX = 5_000


class Book:
    """All terms, by partition."""

    __slots__ = ("_records", "_terms")

    def __init__(self) -> None:
        self._records: dict[int, dict[tuple[str, str], Record]] = {}
        self._terms: dict[int, dict[str, Terms]] = {}

    def put(self, partition: int, registry: str, name: str, value: Any) -> bool:
        """A record was stored, or removed (None). False: it is no term."""
        if registry != kpis.REGISTRY and (registry != "directory" or not name.rpartition("/")[2].startswith(_CALENDARS)):
            return False
        records = self._records.setdefault(partition, {})
        if isinstance(value, dict):
            records[registry, name] = value
        else:
            records.pop((registry, name), None)
        for terms in self._terms.get(partition, {}).values():
            terms.changed()
        return True

    def of(self, partition: int, tenant: str) -> Terms:
        known = self._terms.setdefault(partition, {})
        found = known.get(tenant)
        if found is None:
            found = known[tenant] = Terms(tenant, self._records.setdefault(partition, {}))
        return found


#: of a trace that nobody told of any
NO_TERMS = Terms("", {})

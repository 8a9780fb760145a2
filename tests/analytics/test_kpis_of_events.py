"""KPIs of a drawn history are what was planned: promises, times by calendars, costs and values, told by a variable; counted a second time, from the plan."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest
from truth import EPOCH_US

from flowledger.analytics import fold as af
from flowledger.analytics.figures import Figures
from flowledger.analytics.terms import Book
from flowledger.analytics.trace import Trace
from flowledger.bench.histories import DUE_US, HOUR, REGIONS, START_US, History
from flowledger.events import ledger as le
from flowledger.events import task as ta
from flowledger.events import workflow as wf
from flowledger.kernel import kpis
from flowledger.kernel.tasks import calendars

OFFICE = {
    "zone": "Europe/Berlin", "days": {**{key: ["08:00-12:00", "13:00-17:00"] for key in ("mon", "tue", "wed", "thu")}, "fri": ["08:00-14:00"]},
    "holidays": ["2026-01-06"],
}  # fmt: skip
TERMS = {
    ("directory", "calendar:office"): OFFICE,
    ("kpi", "promised"): {"kind": "sla", "process": "order", "within": "PT3H"},
    ("kpi", "promised-office"): {"kind": "sla", "process": "order", "within": "PT2H", "calendar": "office", "by": "region", "values": ["DE", "AT"]},
    ("kpi", "approved"): {"kind": "sla", "process": "order", "element": "approve", "of": "waiting", "within": "PT1H", "calendar": "office"},
    ("kpi", "packing"): {"kind": "time", "process": "order", "element": "pack", "calendar": "office"},
    ("kpi", "cost"): {
        "kind": "cost", "people": {"ann": 90}, "groups": {"boss": 70}, "job_types": {"order.check": 12.5, "stock.pack": 30}, "otherwise": 6,
        "each": {"money.bill": 0.25}, "unit": "EUR",
    },
    ("kpi", "big-orders"): {"kind": "value", "process": "order", "value": "amount", "when": 'this.outcome = "completed" and amount > 500'},
    ("kpi", "success"): {"kind": "value", "value": '= this.outcome = "completed"', "by": "region", "values": list(REGIONS)},
    ("kpi", "asked"): {"kind": "value", "at": "start", "value": "amount / 3"},
    ("kpi", "checked"): {"kind": "value", "process": "order", "element": "check", "at": "work", "value": "if ok then task.working else 0"},
    ("kpi", "elsewhere"): {"kind": "time", "process": "another"},
    ("kpi", "off"): {"kind": "time", "enabled": False},
    ("kpi", "no-calendar"): {"kind": "time", "calendar": "none"},
    ("kpi", "acme/promised"): {"kind": "sla", "process": "order", "within": "PT30M"},
}  # fmt: skip


def fold(records, terms=True, reload=False) -> Figures:
    """As the projector does: partition by partition, each with what its log has told of."""
    figures, book = Figures(), Book()
    for partition, log in records.items():
        traces, tasks = dict[int, Trace](), dict[int, int]()
        for r in log:
            e, us = r.event, r.envelope.time_us
            if type(e) is le.RecordStored:
                if terms:
                    book.put(partition, e.registry, e.name, e.value)
            elif type(e) is wf.WorkflowStarted:
                traces[e.key] = af.started(e, r.envelope.tenant, us, figures, book.of(partition, r.envelope.tenant))
            elif type(e) in af.OF_TASKS:
                for task in e.tasks:
                    af.apply_task(traces[tasks[task]], task, e, us, figures)
            elif (t := traces.get(e.key)) is not None:
                if type(e) is ta.TaskCreated:
                    tasks[e.task] = e.key
                af.apply(t, e, us, figures)
                if reload and not t.outcome:  # as over a restart
                    t = traces[e.key] = Trace.load(e.key, t.tenant, t.dump())
                    t.terms = book.of(partition, t.tenant)
    return figures


def office_us(since: int, until: int) -> int:
    """Working time, by windows that are written out: the clocks of Berlin are an hour ahead all winter."""
    found, day = 0, date(2025, 12, 1)
    while day < date(2026, 3, 20):
        hours = [(8, 14)] if day.weekday() == 4 else [] if day.weekday() > 4 or day == date(2026, 1, 6) else [(8, 12), (13, 17)]
        midnight = (datetime(day.year, day.month, day.day, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
            microseconds=1
        ) - HOUR
        for a, b in hours:
            found += max(0, min(until, midnight + b * HOUR) - max(since, midnight + a * HOUR))
        day += timedelta(days=1)
    return found


def planned(cases) -> dict[tuple[str, str, str, str], list]:
    """(tenant, KPI, element, told by) -> [how many, kept, sum in millionths]."""
    found: dict[tuple[str, str, str, str], list] = defaultdict(lambda: [0, 0, 0])

    def add(c, name, element, by, total, kept=False):
        row = found[c.tenant, name, element, by]
        for n, v in enumerate((1, int(kept), total)):
            row[n] += v

    hourly = {"order.check": 12_500_000, "stock.pack": 30_000_000}
    for c in cases:
        add(c, "asked", "", "", round(c.amount * 1_000_000 / 3))
        lasted = c.ended - c.started
        if c.outcome == "completed":
            add(c, "promised", "", "", lasted, lasted <= (HOUR // 2 if c.tenant else 3 * HOUR))
            office = office_us(c.started, c.ended)
            add(c, "promised-office", "", c.region if c.region in ("DE", "AT") else "other", office, office <= 2 * HOUR)
            if c.amount > 500:
                add(c, "big-orders", "", "", c.amount * 1_000_000)
        if c.outcome:
            add(c, "success", "", c.region, 1_000_000 * (c.outcome == "completed"))
        for element, since, until, how in c.visits:
            if element == "pack" and how == "completed":
                add(c, "packing", "pack", "", office_us(since, until))
        done = {(element, made): (until, worked) for element, _, made, until, _, worked in c.work}
        cost = 0
        for element, job, made in {(e, j, m) for e, j, m, *_ in c.hands}:
            hands = [(a, b) for e, _, m, a, b in c.hands if (e, m) == (element, made)]
            if element == "approve":
                until, worked = done[element, made]
                waited = office_us(made, until) - sum(office_us(a, b) for a, b in hands)
                add(c, "approved", "approve", "", waited, waited <= HOUR)
                add(c, "due", "approve", "", until - made, until - made <= DUE_US)
            rate = 90_000_000 if element == "approve" else hourly.get(job, 6_000_000)
            paid = -(-sum(b - a for a, b in hands) * rate // HOUR) + (250_000 if element == "bill" and (element, made) in done else 0)
            cost += paid
            add(c, "cost", element, "", paid)
            if element == "check" and (element, made) in done:
                add(c, "checked", "check", "", done[element, made][1])
        if c.outcome:
            add(c, "cost", "", "", cost)
    return {k: v for k, v in found.items()}


def counted(figures: Figures, grain: str) -> dict[tuple[str, str, str, str], list]:
    found: dict[tuple[str, str, str, str], list] = defaultdict(lambda: [0, 0, 0])
    for (s, name, by, _), row in figures.kpis.rolled(grain).items():
        known = found[s.tenant, name, s.element, by]
        for n in range(3):
            known[n] += row[n]
    return dict(found)


@pytest.mark.req("APG-MON-009")
@pytest.mark.parametrize("reload", [False, True], ids=["in one go", "over restarts"])
def test_each_kpi_is_what_was_planned(reload):
    history = History(41, 300, 12, partitions=2, terms=TERMS)
    figures = fold(history.records(), reload=reload)
    truth = planned(history.truth)
    for grain in ("minute", "hour", "day"):
        assert counted(figures, grain) == truth
    assert {name for _, name, _, _ in truth} >= {"promised", "approved", "packing", "cost", "success"}  # none of them is empty
    late = [c for c in history.truth if c.outcome == "completed" and not c.tenant and c.ended - c.started > 3 * HOUR]
    broken = {(b.instance, b.over_us) for b in figures.kpis.broken if b.name == "promised" and not b.place.series.tenant}
    assert late and broken == {(c.key, c.ended - c.started - 3 * HOUR) for c in late}
    due = [(b.instance, b.at) for b in figures.kpis.broken if b.name == "due"]
    ends = [(c.key, until) for c in history.truth for e, _, made, until, *_ in c.work if e == "approve" and until - made > DUE_US]
    assert due and sorted(due) == sorted(ends)


def test_least_and_most_are_kept_by_window():
    history = History(42, 120, 2, tenants=("",), terms={("kpi", "all"): {"kind": "time"}})
    figures, days = fold(history.records()), defaultdict(list)
    for c in history.truth:
        if c.outcome == "completed":
            days[(c.ended - EPOCH_US) // (24 * HOUR)].append(c.ended - c.started)
    found = defaultdict(list)
    for (_, name, _, at), row in figures.kpis.rolled("day").items():
        if name == "all":
            found[at // (24 * HOUR)].append((row[3], row[4]))
    assert {d: (min(a for a, _ in r), max(b for _, b in r)) for d, r in found.items()} == {d: (min(r), max(r)) for d, r in days.items()}


def test_without_kpis_nothing_is_remembered_or_counted_but_what_is_due():
    history = History(43, 40, 1)
    figures = fold(history.records())
    assert {name for _, name, _, _ in figures.kpis.minutes} == {"due"}


def one(record, variables, then=(), name="k", until=5_000_000):
    """(how many, kept, sum) of one instance with these variables."""
    assert kpis.problems(name, record) == []
    figures, book = Figures(), Book()
    book.put(0, "kpi", name, record)
    t = af.started(
        wf.WorkflowStarted(key=1, process="p", definition=7, version=1, token=2, element="s", variables=variables),
        "",
        0,
        figures,
        book.of(0, ""),
    )
    for e in then:
        af.apply(t, e, 1_000_000, figures)
    af.apply(t, wf.WorkflowCompleted(key=1, token=2, element="s"), until, figures)
    return [tuple(row[:3]) for (_, n, _, _), row in figures.kpis.minutes.items() if n == name]


@pytest.mark.parametrize(
    "value, variables, expected",
    [
        ("a + b", {"a": 1, "b": 2}, [(1, 0, 3_000_000)]),
        ("a", {"a": True}, [(1, 0, 1_000_000)]),
        ("a", {"a": "text"}, []),
        ("a", {}, []),
        ("a.b[1].c", {"a": {"b": [{"c": 7}]}}, [(1, 0, 7_000_000)]),
        ("a", {"a": 10**12}, [(1, 0, 10**18)]),
        ("a", {"a": 10**12 + 1}, []),
        ("string length(a)", {"a": "x" * 16_382}, [(1, 0, 16_382_000_000)]),
        ("string length(a)", {"a": "x" * 16_383}, []),
        ("this.duration", {}, [(1, 0, 5_000_000)]),
        ("count(for i in 1..100000 return i)", {}, []),
    ],
)
def test_a_value_is_a_number_or_no_figure(value, variables, expected):
    assert one({"kind": "value", "value": value}, variables) == expected


def test_what_is_set_later_counts_and_what_is_sealed_is_none():
    record = {"kind": "value", "value": "a"}
    assert one(record, {"a": 1}, [wf.VariableSet(key=1, scope=1, variables={"a": 5})]) == [(1, 0, 5_000_000)]
    assert one(record, {"a": 1}, [wf.VariableSet(key=1, scope=9, variables={"a": 5})]) == [(1, 0, 1_000_000)]
    seal = "flk1.personal.k1.1.YQ.AAAA"
    from flowledger.kernel.protection import sealed

    assert sealed(seal) is not None
    assert one({"kind": "value", "value": "if a = null then 1 else 2"}, {"a": seal}) == [(1, 0, 1_000_000)]


def test_a_kpi_that_reads_variables_counts_from_the_instances_that_begin_with_it():
    figures, book = Figures(), Book()
    starts = [
        wf.WorkflowStarted(key=n, process="p", definition=7, version=1, token=n + 10, element="s", variables={"a": n}) for n in (1, 2)
    ]
    before = af.started(starts[0], "", 0, figures, book.of(0, ""))
    book.put(0, "kpi", "v", {"kind": "value", "value": "a"})
    book.put(0, "kpi", "t", {"kind": "time"})
    after = af.started(starts[1], "", 0, figures, book.of(0, ""))
    for t in (before, after):
        af.apply(t, wf.WorkflowCompleted(key=t.key, token=t.key + 10, element="s"), 10, figures)
    assert {name: (row[0], row[2]) for (_, name, _, _), row in figures.kpis.minutes.items()} == {"v": (1, 2_000_000), "t": (2, 20)}
    book.put(0, "kpi", "v", None)
    assert [k.name for k in book.of(0, "").plan("p").ends] == ["t"]


@pytest.mark.parametrize(
    "record, wrong",
    [
        ({}, "kind"), ({"kind": "x"}, "kind"), ({"kind": "sla"}, "within"), ({"kind": "sla", "within": "P1M"}, "within"),
        ({"kind": "sla", "within": "PT1H", "value": "1"}, "value"), ({"kind": "time", "element": "e"}, "element"),
        ({"kind": "time", "by": "a"}, "by, values"), ({"kind": "value"}, "value"), ({"kind": "value", "value": "1 +"}, "value"),
        ({"kind": "value", "value": "1", "at": "work"}, "element"), ({"kind": "cost"}, "job_types"), ({"kind": "cost", "otherwise": -1}, "otherwise"),
        ({"kind": "time", "of": "waiting", "calendar": "office"}, "calendar"), ({"kind": "time", "by": "a", "values": ["x"] * 51}, "values"),
        ({"kind": "time", "colour": "red"}, "colour"), ({"kind": "sla", "within": "PT1H", "goal": 1.5}, "goal"),
    ],
)  # fmt: skip
def test_a_record_that_is_wrong_is_told_where(record, wrong):
    (first, *_) = kpis.problems("k", record)
    assert first.startswith(wrong)
    assert (
        kpis.problems("due", {"kind": "time"})
        and kpis.problems("x" * 101, {"kind": "time"})
        and kpis.problems("x" * 100, {"kind": "time"}) == []
    )


def test_working_time_between_and_before_is_what_the_windows_say():
    monday = START_US  # 00:00 UTC
    for since, until in (
        (monday, monday + 24 * HOUR),
        (monday - 90 * HOUR, monday + 200 * HOUR),
        (monday + 10 * HOUR, monday + 10 * HOUR + 1),
    ):
        assert calendars.between(OFFICE, since, until) == office_us(since, until)
    assert calendars.between(None, 5, 9) == 4 and calendars.between(OFFICE, 9, 5) == 0
    for until in (monday + 9 * HOUR, monday + 80 * HOUR):
        for span in (1, HOUR, 30 * HOUR):
            at = calendars.before(OFFICE, until, span)
            assert office_us(at, until) >= span > office_us(at + 1, until)
    assert calendars.before(None, 100, 40) == 60

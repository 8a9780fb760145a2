"""What KPIs cost whoever counts them: calls of functions, which a busy machine can't change. `flowledger.bench.projections --kpis` has the times."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from flowledger.analytics import fold as af
from flowledger.analytics.figures import Figures
from flowledger.analytics.terms import Book
from flowledger.bench.projections import records, values
from flowledger.events import ledger as le
from flowledger.events import task as ta
from flowledger.events import workflow as wf
from flowledger.events.avro import Decoder
from flowledger.events.base import Event
from flowledger.kernel.tasks import calendars
from tests.counting import Calls, undisturbed

INSTANCES = 40


def _folded(told: list[Event]) -> tuple[Figures, int]:
    """The figures of some instances with one task, and how many functions were called for them."""
    decoder, book, figures, traces, of = Decoder(), Book(), Figures(), dict[int, Any](), dict[int, int]()
    events = [decoder.recorded(v, 0, n) for n, v in enumerate(v for phase in values(INSTANCES, 1, 1_750, told) for v in phase)]
    count = Calls(native=True)

    def fold(e: Any, us: int) -> None:
        if type(e) is wf.WorkflowStarted:
            traces[e.key] = af.started(e, "", us, figures, book.of(0, ""))
        elif type(e) in af.OF_TASKS:
            for task in e.tasks:
                af.apply_task(traces[of[task]], task, e, us, figures)
        elif (t := traces.get(getattr(e, "key", 0))) is not None:
            if type(e) is ta.TaskCreated:
                of[e.task] = e.key
            af.apply(t, e, us, figures)

    with undisturbed():
        for r in events:
            if type(r.event) is le.RecordStored:
                assert book.put(0, r.event.registry, r.event.name, r.event.value)
                continue
            sys.setprofile(count)
            try:
                fold(r.event, r.envelope.time_us)
            finally:
                sys.setprofile(None)
    return figures, count.found


def test_kpis_of_another_process_cost_nothing() -> None:
    _, without = _folded([])
    figures, elsewhere = _folded(records(20, "elsewhere"))
    assert not figures.kpis.minutes
    # once: whether any applies
    assert elsewhere - without < 20 * 20 + 100, (without, elsewhere)
    assert _folded(records(40, "elsewhere"))[1] - elsewhere < 20 * 20 + 100


def test_what_a_kpi_costs_is_paid_for_what_it_counts() -> None:
    """Each counts what the others count in the same bounds: twenty cost about twice what ten do, and one a small part of it."""
    without, one, ten, twenty = (_folded(records(n, "order"))[1] if n else _folded([])[1] for n in (0, 1, 10, 20))
    assert one - without < INSTANCES * 40, (without, one)
    assert ten - without < INSTANCES * 400, (without, ten)
    assert twenty - without < 2.2 * (ten - without), (ten, twenty)


def test_hours_of_a_day_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    spans = calendars.spans
    calendars._of_day.cache_clear()
    monkeypatch.setattr(calendars, "spans", lambda hours: read.append(hours) or spans(hours))
    figures, _ = _folded(records(10, "order"))
    assert {name for _, name, _, _ in figures.kpis.minutes} == {f"k{n}" for n in range(10)}
    assert 1 <= len(read) <= 3, read

"""Courses that are read from rows are those of the events; and where a running instance stands is what its events say."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest
from test_measure_rows import Drawn, History, caught_up, running

from flowledger.analytics.predict.course import without_hands
from flowledger.analytics.simulate.learned import History as Past
from flowledger.api.learning import Learning
from flowledger.api.reads import SqlReads
from flowledger.events.wire import NAMES
from flowledger.infra.learned import MODELS_MAX, Learned
from flowledger.projections import courses as pc
from flowledger.projections.reader import Reader

sys.path.insert(0, str(Path(__file__).parents[1] / "analytics"))
sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
from drawn_courses import courses, planned
from order_model import events_of

from schemas import sample

pytestmark = pytest.mark.postgres


async def test_rows_tell_the_same_courses_as_the_events(db, dsn, schema):
    log = Drawn(History(31, 300, 5, partitions=2))
    async with running(log, dsn, schema, (0, 1)) as runner:
        await caught_up(log, runner)
    of = {c.key: c for c in courses(History(31, 300, 5, partitions=2))}
    plan = {c.key: c for c in log.history.truth}
    async with Reader(dsn, schema) as reader:
        for tenant in ("", "acme"):
            found = await pc.courses(reader.of(tenant), tenant, "order")
            mine = [c for c in plan.values() if c.tenant == tenant and c.outcome]
            assert {c.key for c in found} == {c.key for c in mine}
            assert all(c == of[c.key] for c in found)
            assert await pc.courses(reader.of(tenant), tenant, "another") == []
            (row,) = await pc.ended(reader, tenant, "order")
            assert row["ended"] == len(mine)
            last = max(c.started_us for c in found)
            assert [c.key for c in await pc.courses(reader.of(tenant), tenant, "order", pc.moment(last - 1))] == [
                c.key for c in found if c.started_us == last
            ]
        stand = [c for c in plan.values() if not c.outcome]
        assert stand
        for case in stand:
            there = await pc.standing(reader.of(case.tenant), case.tenant, case.key)
            assert set(without_hands(there["state"]).split("+")) == planned(case, 1 << 61)
            assert there["state"] == of[case.key].steps[-1].state and there["since_us"] == of[case.key].steps[-1].us
            other = "acme" if not case.tenant else ""
            assert await pc.standing(reader.of(other), other, case.key) is None


@pytest.fixture
async def store(dsn):
    at = iter(range(1, 10_000))
    made = Learned(dsn, lambda: next(at))
    await made.open()
    await made.rows("DELETE FROM models WHERE tenant LIKE 'test-%%' OR tenant IN ('', 'acme') RETURNING number")
    await made.rows("DELETE FROM choices WHERE tenant LIKE 'test-%%' OR tenant IN ('', 'acme') RETURNING number")
    yield made
    await made.close()


@pytest.mark.req("APG-AI-005", "APG-AI-002")
async def test_learned_in_the_background_by_one_at_a_time_numbered_and_taken_back(db, dsn, schema, store):
    log = Drawn(History(32, 700, 14, steady=True, tenants=("acme",)))
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    async with Reader(dsn, schema) as reader:
        school = Learning(SqlReads(reader), store)
        async with store.alone() as mine, store.alone() as others:
            assert mine and not others
        assert await school.look() == 1
        assert await school.look() == 0  # nothing has ended since
        row, (model, before) = await school.known("acme", "order")
        assert row["number"] == 1 and row["card"]["remaining"]["offered"] and row["drift"]["drifted"] is False
        assert row["looked_us"] > row["made_us"]
        again = await school.learn("acme", "order", "ann", 700)
        assert again["number"] == 2 and again["card"] == row["card"]  # the same history teaches the same
        assert (await school.known("acme", "order"))[0]["number"] == 2
        assert await store.choose("acme", "order", 1, "ann", "as before") and not await store.choose("acme", "order", 9, "ann", "")
        assert (await school.known("acme", "order"))[0]["number"] == 1
        assert (await Learning(SqlReads(reader), store).known("acme", "order"))[1] == (model, before)  # another node, from what is stored
        assert (await store.choices("acme", "order"))[0]["reason"] == "as before"
        assert await school.known("", "order") is None and await store.models("", "order") == []
        # a model that has drifted is told of as one
        await store.note("acme", "order", 1, {"cases": 100, "drifted": True, "why": "coverage"})
        assert (await school.known("acme", "order"))[0]["drift"]["drifted"]


async def test_only_the_last_models_are_kept_and_the_chosen_one(store):
    card, model = {"to_us": 1}, {"model": {}, "baseline": []}
    for n in range(1, MODELS_MAX + 4):
        assert await store.keep("test-a", "p", "", 0, card, model) == n
        if n == 2:
            assert await store.choose("test-a", "p", 2, "ann", "")
    kept = [row["number"] for row in await store.models("test-a")]
    assert kept == [*range(MODELS_MAX + 3, 3, -1), 2]
    assert (await store.in_use("test-a", "p"))["number"] == 2
    assert await store.choose("test-a", "p", 0, "ann", "the newest again")
    assert (await store.in_use("test-a", "p"))["number"] == MODELS_MAX + 3


async def test_a_past_of_rows_is_that_of_the_events(db, dsn, schema):
    log = Drawn(History(33, 200, 5, tenants=("acme",)))
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    ended = {c.key for c in log.history.truth if c.outcome}
    past = Past()
    for key, events in events_of(History(33, 200, 5, tenants=("acme",))).items():
        if key in ended:
            past.add(events)
    async with Reader(dsn, schema) as reader:
        found = await pc.past(reader.of("acme"), "acme", "order")
    assert found.plan(100) == past.plan(100) and len(found.started) == len(ended)
    plan = {e: sorted(w[5] for c in log.history.truth if c.outcome for w in c.work if w[0] == e) for e in found.works}
    assert {e: sorted(w) for e, w in found.works.items()} == plan


@pytest.mark.parametrize("cls", sorted(pc._KINDS, key=lambda cls: cls.__name__), ids=lambda cls: cls.__name__)
def test_each_event_is_read_without_the_values_of_variables(cls):
    """As the question leaves them out, whatever its other fields are."""
    data = {k: v for k, v in msgspec.to_builtins(sample(cls)).items() if k not in (*pc._LEFT_OUT, "key")}
    found = pc._event({"event_type": NAMES[cls], "key": 7, "data": data})
    told = {**msgspec.structs.asdict(sample(cls)), **{k: getattr(found, k) for k in pc._LEFT_OUT if hasattr(found, k)}, "key": 7}
    assert msgspec.structs.asdict(found) == told

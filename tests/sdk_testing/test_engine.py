"""The engine of the test kit: clock, mocks, messages, what people do."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from flowledger.sdk import Worker
from flowledger.sdk.flows import Flow
from flowledger.sdk.testing import NO_ANSWER, BpmnError, Endless, Engine, Job, JobFailed, ModelInvalid, Refused, assert_that

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def engine() -> Engine:
    return Engine(folder=EXAMPLES)


class Order(msgspec.Struct):
    id: str
    amount: float


def one_job(job: str = "work") -> Flow:
    return Flow("p").start("s").service("a", job=job).end("e")


# --- the clock


def test_what_falls_due_on_the_way_happens_in_order_each_at_its_time(engine):
    flow = Flow("p").start("s").parallel("fork").wait("late", "PT3H").service("second", job="note").end("e1")
    flow.at("fork").wait("early", "PT1H").service("first", job="note").end("e2")
    engine.deploy(flow)
    seen = []
    engine.on_job("note", lambda job: seen.append((job.element, engine.now)))
    run = engine.start("p")
    assert_that(run).is_waiting_only_at("late", "early")
    began = engine.now
    engine.advance("PT2H")
    assert seen == [("first", began + timedelta(hours=1))]
    engine.advance(timedelta(hours=4))
    assert seen[1:] == [("second", began + timedelta(hours=3))] and engine.now == began + timedelta(hours=6)
    assert_that(run).is_completed()


def test_the_clock_stands_still_unless_moved_and_never_goes_back(engine):
    assert engine.now == datetime(2026, 1, 5, 8, tzinfo=UTC)
    engine.deploy(one_job())
    engine.start("p")
    assert engine.now == datetime(2026, 1, 5, 8, tzinfo=UTC)
    engine.advance_to("2026-01-06T00:00:00Z")
    with pytest.raises(ValueError, match="forward only"):
        engine.advance_to("2026-01-05T23:59:59Z")
    with pytest.raises(ValueError, match="no ISO 8601 duration"):
        engine.advance("1 hour")


def test_a_month_is_a_calendar_month(engine):
    engine = Engine(now="2026-01-31T00:00:00Z")
    engine.advance("P1M")
    assert engine.now == datetime(2026, 2, 28, tzinfo=UTC)


def test_to_the_next_thing_that_is_due(engine):
    engine.deploy(Flow("p").start("s").wait("w", "P2D").end("e"))
    run = engine.start("p")
    assert engine.advance_to_next() == datetime(2026, 1, 7, 8, tzinfo=UTC)
    assert_that(run).is_completed()
    with pytest.raises(AssertionError, match="nothing is due"):
        engine.advance_to_next()


def test_a_timer_of_no_time_fires_at_once(engine):
    engine.deploy(Flow("p").start("s").wait("w", "PT0S").end("e"))
    assert_that(engine.start("p")).is_completed()


def test_timers_start_instances(engine):
    engine.deploy(Flow("p").start("s", cron="0 9 * * *").end("e"))
    engine.advance("P3D")
    assert len(engine.instances) == 3 and all(i.status == "completed" for i in engine.instances)


# --- jobs


def test_retries_wait_for_their_back_off(engine):
    engine.deploy(one_job())
    work = engine.on_job("work", [JobFailed("later", backoff_s=60), {"done": True}])
    run = engine.start("p")
    assert_that(run).is_waiting_at("a")
    engine.advance(59)
    assert work.count == 1
    engine.advance(1)
    assert_that(work).was_called(2)
    assert work.last.attempt == 2
    assert_that(run).is_completed().has_variables(done=True)


def test_a_worker_that_dies_loses_its_lease_and_the_job_comes_again(engine):
    engine.deploy(one_job())
    work = engine.on_job("work", [NO_ANSWER, {}], timeout="PT1M")
    run = engine.start("p")
    engine.advance("PT59S")
    assert_that(run).is_waiting_at("a")
    engine.advance("PT1S")
    assert_that(run).is_completed()
    assert [j.fence for j in work.calls] == [1, 2]


def test_the_last_failure_raises_an_incident_that_can_be_resolved(engine):
    engine.deploy(one_job())
    boom = engine.on_job("work", lambda: 1 / 0)
    run = engine.start("p")
    assert_that(boom).was_called(3)
    assert_that(run).is_running().has_incident(element="a", message="division by zero")
    engine.on_job("work", {"ok": 1})
    run.resolve()
    assert_that(run).has_no_incident().is_completed().has_variables(ok=1)


def test_a_handler_is_called_as_a_worker_calls_it(engine):
    async def by_shape(order: Order) -> dict:
        return {"label": f"{order.id}/{order.amount}"}

    def by_name(amount: int, job: Job, **rest: object) -> dict:
        return {"twice": amount * 2, "seen": sorted(rest), "element_seen": job.element}

    engine.deploy(Flow("p").start("s").service("a", job="x").service("b", job="y").end("e"))
    engine.on_job("x", by_shape)
    engine.on_job("y", by_name)
    run = engine.start("p", {"id": "7", "amount": 4})
    assert_that(run).is_completed().has_variables(label="7/4.0", twice=8, seen=["id", "label"], element_seen="b")


async def test_async_handlers_run_in_async_tests_too(engine):
    async def work() -> dict:
        return {"x": 1}

    engine.deploy(one_job())
    engine.on_job("work", work)
    assert_that(engine.start("p")).has_variables(x=1)


def test_the_real_handlers_of_a_worker(engine):
    worker = Worker("http://nowhere.invalid")

    @worker.job("work", result="sum")
    def add(a: int, b: int) -> int:
        return a + b

    engine.deploy(one_job())
    engine.use(worker)
    assert_that(engine.start("p", {"a": 2, "b": 3})).has_variables(sum=5)
    assert_that(engine.start("p", {"a": 2})).has_incident(message="expected a variable 'b'")


def test_an_assertion_in_a_mock_is_the_tests_own(engine):
    def work(job):
        assert job.variables == {"a": 2}

    engine.deploy(one_job())
    engine.on_job("work", work)
    with pytest.raises(AssertionError):
        engine.start("p", {"a": 1})


def test_jobs_by_hand_and_on_demand():
    engine = Engine(auto=False)
    engine.deploy(one_job())
    mock = engine.on_job("work", {"x": 1})
    runs = [engine.start("p") for _ in range(3)]
    assert mock.count == 0
    assert engine.run_jobs("work", most=2) == 2
    assert [r.status for r in runs] == ["completed", "completed", "running"]
    runs[2].job("a").fail("no", retries=0)
    assert_that(runs[2]).has_incident()
    with pytest.raises(KeyError):
        engine.mocks.clear()
        engine.start("p")
        engine.run_jobs("work")


def test_a_business_error_goes_to_the_boundary_event(engine):
    flow = Flow("p").start("s").service("a", job="work").end("e")
    flow.on("a", "bad", error="BAD").end("e2")
    engine.deploy(flow)
    engine.on_job("work", BpmnError("BAD", variables={"why": "x"}))
    assert_that(engine.start("p")).is_completed().has_passed("bad", "e2").has_withdrawn("a").has_not_passed("a", "e")


def test_values_are_what_json_makes_of_them(engine):
    engine.deploy(one_job())
    engine.on_job("work", {"price": 0.1, "when": datetime(2026, 1, 1, tzinfo=UTC), "pair": (1, 2)})
    assert_that(engine.start("p")).has_variables(price=0.1, when="2026-01-01T00:00:00Z", pair=[1, 2])
    with pytest.raises(TypeError):
        engine.start("p", {"x": object()})


@pytest.mark.parametrize("answer", [[], 3, ValueError, "done"])
def test_mocks_that_mean_nothing_are_refused(engine, answer):
    with pytest.raises((TypeError, ValueError)):
        engine.on_job("work", answer)


def test_a_process_that_runs_in_circles_is_stopped(engine, monkeypatch):
    monkeypatch.setattr("flowledger.sdk.testing.engine.ROUNDS_MAX", 50)
    engine.deploy(Flow("p").start("s").service("a", job="work").to("a"))
    engine.on_job("work")
    with pytest.raises(Endless, match="more than 50"):
        engine.start("p")


def test_one_that_goes_round_without_a_job_is_stopped_too(engine, monkeypatch):
    """Steps that follow by themselves are one after the other, not one within the other."""
    monkeypatch.setattr("flowledger.sdk.testing.engine.FOLLOW_UPS_MAX", 50)
    engine.deploy(Flow("p").start("s").script("a", "1", result="n").to("a"))
    with pytest.raises(Endless, match="more than 50 steps"):
        engine.start("p")


# --- messages, signals, decisions, called processes


def test_messages_find_the_instance_by_its_key(engine):
    engine.deploy(Flow("p").start("s").wait("w", message="paid", key="order").end("e"))
    first, second = engine.start("p", {"order": "1"}), engine.start("p", {"order": "2"})
    assert_that(first).is_waiting_for_message("paid", 1)
    engine.publish("paid", 2, {"sum": 5})
    assert_that(first).is_waiting_at("w")
    assert_that(second).is_completed().has_variables(sum=5)
    first.receive("paid", {"sum": 6})
    assert_that(first).is_completed().has_variables(sum=6)
    with pytest.raises(AssertionError, match="to wait for message 'paid'"):
        first.receive("paid")


def test_a_message_is_kept_for_its_time_to_live(engine):
    engine.deploy(Flow("p").start("s").wait("w", message="paid", key="order").end("e"))
    engine.publish("paid", "1", ttl="PT1H")
    engine.publish("paid", "2", ttl="PT1H")
    engine.advance("PT59M")
    assert_that(engine.start("p", {"order": "1"})).is_completed()
    engine.advance("PT1M")
    assert_that(engine.start("p", {"order": "2"})).is_running()


def test_a_partner_that_answers_a_message(engine):
    engine.deploy(Flow("p").start("s", message="asked").service("a", job="work").end("e"))
    engine.on_job("work", lambda job: engine.publish("answered", "7", {"n": job.variables["n"] + 1}))
    heard = []
    engine.on_message("answered", heard.append)
    engine.publish("asked", "7", {"n": 1})
    assert_that(engine.only("p")).is_completed()
    assert [(t.name, t.correlation, t.variables) for t in heard] == [("answered", "7", {"n": 2})]
    assert [m.name for m in engine.messages] == ["asked", "answered"]


def test_signals_reach_all_who_listen(engine):
    engine.deploy(Flow("p").start("s").wait("w", signal="go").end("e"))
    runs = [engine.start("p"), engine.start("p")]
    assert_that(runs[0]).is_waiting_for_signal("go")
    told = []
    engine.on_signal("go", told.append)
    engine.signal("go", {"x": 1})
    assert [r.status for r in runs] == ["completed"] * 2 and runs[0].variables == {"x": 1} and len(told) == len(engine.signals) == 1


def test_a_decision_is_mocked_before_and_after_its_deployment(engine):
    engine.deploy(Flow("p").start("s").decision("d", "level", "got").end("e"))
    calls = engine.on_decision("level", lambda v: {"for": v["amount"]})
    assert_that(engine.start("p", {"amount": 3})).is_completed().has_variables(got={"for": 3})
    assert calls == [{"amount": 3}]
    engine.on_decision("level", "high")
    assert_that(engine.start("p", {"amount": 3})).has_variables(got="high")
    engine.deploy("approval-level.dmn")
    assert engine.evaluate("approval-level", {"amount": 60000, "risk": "low"}) == "executive"
    engine.on_decision("approval-level", "nobody")
    assert engine.evaluate("approval-level", {"amount": 60000, "risk": "low"}) == "nobody"


def test_a_called_process_is_mocked_or_real(engine):
    engine.deploy(Flow("p").start("s").call("c", "child").end("e"))
    child = engine.on_process("child", {"answer": 42})
    run = engine.start("p", {"question": 6})
    assert_that(run).is_completed().has_variables(answer=42).has_called("child")
    assert_that(child).was_called_with(question=6)
    assert [r.process for r in engine.coverage.rows] == ["p"]
    engine.deploy(Flow("child").start("s").user("t").end("e"))
    run = engine.start("p")
    run.child().task().complete({"answer": 43})
    assert_that(run).is_completed().has_variables(answer=43)


# --- people, refusals


def test_a_person_claims_and_completes(engine):
    engine.deploy(Flow("p").start("s").user("t", groups=["g"], due='= now() + duration("PT8H")').end("e"))
    run = engine.start("p")
    task = run.task()
    assert (task.status, task.candidate_groups, task.due) == ("created", ["g"], datetime(2026, 1, 5, 16, tzinfo=UTC))
    task.claim("ann")
    assert (task.status, task.assignee) == ("assigned", "ann")
    with pytest.raises(Refused):
        task.claim("bob")
    task.complete({"ok": True}, by="ann")
    assert not task.is_open and task.status == "done"
    assert [v.actor for e, v in engine.journal if type(e).__name__ == "TaskCompleted"] == ["ann"]
    assert_that(run).is_completed()


def test_tasks_that_are_not_there_say_what_it_waits_for_instead(engine):
    engine.deploy(Flow("p").start("s").user("t", name="Look", groups=["g"]).end("e"))
    run = engine.start("p")
    with pytest.raises(AssertionError, match=r"open job.*found none[\s\S]*task 'Look' created \(g\)"):
        run.job("t")
    with pytest.raises(AssertionError, match="no element 'tt'; did you mean 't'"):
        run.task("tt")


def test_variables_of_the_instance_and_of_a_token(engine):
    engine.deploy(Flow("p").start("s").service("a", job="work", inputs={"local": "= x + 1"}).end("e"))
    run = engine.start("p", {"x": 1})
    run.set_variables({"x": 5, "y": None})
    run.set_variables({"z": 1}, element="a")
    assert_that(run).has_variables({"x": 5, "y": None}).has_no_variables("local", "z").has_local_variables("a", local=2, z=1)


def test_refusals_are_told(engine):
    with pytest.raises(Refused, match="NOT_FOUND"):
        engine.start("nothing")
    with pytest.raises(ModelInvalid) as e:
        engine.deploy({"bad.bpmn": "<definitions/>"})
    assert e.value.findings and "bad.bpmn" in str(e.value)
    with pytest.raises(OSError):
        engine.deploy("missing.bpmn")


def test_other_formats_and_the_real_examples(engine):
    engine.deploy("purchase-order-approval.bpmn", "approval-level.dmn")
    engine.deploy("employee-onboarding.json")
    engine.deploy("pipeline.yaml")
    engine.on_job("ai_orchestration.predict", {"prediction": {"risk": "low"}})
    run = engine.start("purchase-order-approval", {"po_number": "1", "requester": "a", "vendor": "v", "amount": 60000, "description": "d"})
    assert_that(run).has_passed("assess", "fork").is_waiting_at("vendor_check", "compliance_check")


def test_cancelled_instances_keep_their_last_state(engine):
    engine.deploy(one_job())
    run = engine.start("p", {"x": 1})
    run.cancel("no longer needed")
    assert_that(run).is_cancelled().has_variables(x=1).has_withdrawn("a").has_not_passed("a")


def test_a_test_takes_milliseconds(engine):
    engine.deploy("order.bpmn")
    for type in ("order.check", "stock.reserve", "payment.charge", "order.ship"):
        engine.on_job(type)
    order = {"order_id": "1", "customer": "c", "amount": 5, "items": []}
    engine.start("order", order)
    began = time.perf_counter()
    for _ in range(20):
        assert_that(engine.start("order", order)).is_completed()
    assert (time.perf_counter() - began) / 20 < 0.05  # 1 ms when nobody else is at work

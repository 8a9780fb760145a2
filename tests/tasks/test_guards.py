"""Breakers, rates, concurrency, batches and ageing: what is handed out when; and that nothing of it is there unless configured."""

import pytest
from workbench import MINUTE, SECOND, Bench

from flowledger.events import commands as c
from flowledger.events import task as ta


def jobs(b: Bench, n: int, type: str = "work", **fields) -> list[int]:
    return [b.create(name=f"{type}{i}", job_type=type, **fields) for i in range(n)]


def run(b: Bench, outcomes: str, type: str = "work") -> None:
    """One job after the other: `.` completes, `x` fails (with attempts to spare)."""
    for outcome in outcomes:
        jobs(b, 1, type)
        (job,) = b.lease(type, max=1)
        finish(b, job, outcome == ".")


def finish(b: Bench, job: dict, ok: bool) -> None:
    command = c.CompleteTask(task=job["key"]) if ok else c.FailTask(task=job["key"], retries=3, backoff_ms=3_600_000, message="down")
    b.do(command, tenant=job["tenant"])


def state(b: Bench, target: str = "job:work") -> str:
    return (b.p.records.get(("breaker", target)) or {"state": "closed"})["state"]


@pytest.mark.req("WOS-RES-008")
@pytest.mark.parametrize(
    ("breaker", "outcomes", "after"),
    [
        ({"min_calls": 4, "error_share": 0.5}, "..xx", "open"),
        ({"min_calls": 4, "error_share": 0.5}, "..x.", "closed"),
        ({"min_calls": 5, "error_share": 0.5}, "xxxx", "closed"),
        ({"min_calls": 100, "failures": 3}, "xx.xx", "closed"),
        ({"min_calls": 100, "failures": 3}, "xx.xxx", "open"),
        ({"min_calls": 4, "window": 4}, "......xx", "closed"),
        ({"min_calls": 4, "window": 4}, "......xxx", "open"),
    ],
)
def test_it_opens_by_error_share_or_failures_in_a_row(breaker, outcomes, after):
    b = Bench()
    b.store("limit", "job:work", circuit_breaker=breaker)
    run(b, outcomes)
    assert state(b) == after


@pytest.mark.req("D-RES-005", "APG-RES-002")
def test_it_parks_work_half_opens_and_releases_gradually():
    b = Bench()
    b.store("limit", "job:work", circuit_breaker={"failures": 2, "open_ms": 10_000, "full": 4})
    run(b, "xx")
    waiting = jobs(b, 20)
    assert state(b) == "open" and b.lease() == []
    assert b.until(10 * SECOND) == ["+10s BreakerChanged"] and state(b) == "half_open"
    released = []
    while state(b) == "half_open":
        got = b.lease()
        assert b.lease() == [], "no more than released"
        released.append(len(got))
        for job in got:
            finish(b, job, True)
    assert released == [1, 2, 4] and state(b) == "closed" and len(b.lease()) == len(waiting) - 7
    assert [e.state for e in b.events(ta.BreakerChanged)] == ["open", "half_open", "half_open", "half_open", "closed"]


def test_a_failure_while_half_open_opens_it_for_longer():
    b = Bench()
    b.store("limit", "job:work", circuit_breaker={"failures": 1, "open_ms": 10_000, "open_ms_max": 30_000})
    run(b, "x")
    jobs(b, 5)
    opened = []
    for _ in range(4):
        record = b.p.records[("breaker", "job:work")]
        opened.append((record["until_us"] - b.now_us) // SECOND)
        b.until(record["until_us"] - b.now_us)
        (job,) = b.lease()
        finish(b, job, False)
    assert opened == [10, 20, 30, 30]


def test_a_lost_worker_counts_as_a_failure():
    b = Bench()
    b.store("limit", "job:work", circuit_breaker={"failures": 2})
    jobs(b, 2)
    b.lease()
    b.until(MINUTE)
    assert state(b) == "open"


def test_errors_that_are_the_caller_s_are_not_counted():
    b = Bench()
    b.store("limit", "job:work", circuit_breaker={"failures": 1, "ignore": ["BAD_*"]})
    jobs(b, 1)
    b.do(c.FailTask(task=b.lease()[0]["key"], code="BAD_INPUT", retries=1))
    assert state(b) == "closed"


def test_an_open_endpoint_parks_its_tasks_only():
    b = Bench()
    b.store("limit", "endpoint:https://a", circuit_breaker={"failures": 1, "open_ms": 10_000})
    bad = jobs(b, 3, headers={"endpoint": "https://a"})
    (job,) = b.lease(max=1)
    finish(b, job, False)
    later = jobs(b, 1, headers={"endpoint": "https://a"})
    good = jobs(b, 2, headers={"endpoint": "https://b"})
    assert set(b.p.parked["endpoint:https://a"]) == {*bad[1:], *later}
    assert [j["key"] for j in b.lease()] == good
    b.until(10 * SECOND)
    (job,) = b.lease()
    assert job["key"] == bad[1]
    b.move(later[0], "cancel")
    finish(b, job, True)
    assert [j["key"] for j in b.lease()] == bad[2:] and not b.p.parked


def test_when_the_setting_goes_the_parked_come_back():
    b = Bench()
    b.store("limit", "endpoint:x", circuit_breaker={"failures": 1})
    jobs(b, 2, headers={"endpoint": "x"})
    finish(b, b.lease(max=1)[0], False)
    assert b.lease() == []
    b.do(c.StoreRecord(registry="limit", name="endpoint:x"))
    assert len(b.lease()) == 1 and not b.p.guards
    b.until(MINUTE)
    assert state(b, "endpoint:x") == "closed"


def test_concurrency():
    b = Bench()
    b.store("task_definition", "work", execution={"parallelism": 2})
    jobs(b, 5)
    first = b.lease()
    assert len(first) == 2 and b.lease() == []
    b.p.job_listener.clear()
    finish(b, first[0], True)
    assert ("", "work") in b.p.job_listener, "who waits is told that there is room"
    assert len(b.lease()) == 1
    b.until(MINUTE)
    assert len(b.lease()) == 2


def test_a_rate_is_kept_over_any_stretch():
    b = Bench()
    b.store("limit", "job:work", rate={"max": 5, "per_ms": 1000})
    jobs(b, 40)
    given: list[int] = []
    for _ in range(60):
        given += [b.now_us] * len(b.lease(timeout_ms=3_600_000))
        b.until(100_000)
    assert len(given) >= 34, "the full rate is used"
    for at in given:
        assert sum(at <= x < at + SECOND for x in given) <= 2 * 5, "a burst, and what is refilled"


def test_a_worker_that_waits_is_woken_when_the_rate_allows():
    b = Bench()
    b.store("limit", "job:work", rate={"max": 2, "per_ms": 1000})
    jobs(b, 5)
    assert len(b.lease()) == 2 and b.lease() == [] and b.lease() == []
    assert len(b.p.timers) == 1, "one timer, however often one asks"
    b.p.job_listener.clear()
    b.until(500_000)
    assert ("", "work") in b.p.job_listener and len(b.lease()) == 1


def test_a_tenant_at_its_limit_lets_others_pass():
    b = Bench()
    b.store("limit", "tenant:acme", concurrency=1)
    for tenant in ("acme", "acme", "other"):
        b.do(c.CreateTask(job_type="work"), tenant=tenant)
    both = ["acme", "other"]
    got = b.lease(tenants=both)
    assert sorted(j["tenant"] for j in got) == both and b.lease(tenants=both) == []
    finish(b, next(j for j in got if j["tenant"] == "acme"), True)
    assert [j["tenant"] for j in b.lease(tenants=both)] == ["acme"]


@pytest.mark.req("D-PER-005")
def test_batches_by_size_and_by_time():
    b = Bench()
    b.store("task_definition", "work", execution={"mode": "batch", "batch": {"size": 3, "wait_ms": 5_000}})
    jobs(b, 2)
    assert b.lease() == [] and len(b.p.timers) == 1
    jobs(b, 2)
    assert len(b.lease()) == 3, "one call gets a batch"
    assert b.lease() == []
    b.until(5 * SECOND)
    assert len(b.lease()) == 1, "the rest after the longest wait"


@pytest.mark.req("D-STA-005")
def test_the_urgent_first_the_oldest_first_and_nobody_starves():
    b = Bench()
    b.store("limit", "job:work", ageing_ms=1_000)
    (low,) = jobs(b, 1, priority=20)
    b.now_us += 10 * SECOND
    high = jobs(b, 2, priority=80)
    assert [j["key"] for j in b.lease(max=2)] == high
    waited = 0
    while True:  # urgent work keeps coming, faster than it is done
        jobs(b, 2, priority=80)
        (job,) = b.lease(max=1)
        if job["key"] == low:
            break
        b.now_us += SECOND
        waited += 1
        assert waited < 200, "starved"
    assert waited > 20


def test_nothing_is_kept_unless_configured():
    b = Bench()
    run(b, ".x.x")
    assert not b.p.guards and not b.p.parked and not b.p.registry
    assert not [k for k in b.p.records if k[0] in ("breaker", "rate", "history")]


def test_hand_out_does_not_slow_down_with_what_waits():
    """The number of tasks looked at is what counts: the first key of a lane from which many were taken is found at once."""
    b = Bench(check=False)
    for n in range(3_000):
        b.do(c.CreateTask(job_type=f"t{n % 3}", priority=n % 2))
    lane = b.p.ready["", "t0"][0]
    looked = 0

    class Counting(type(lane)):  # type: ignore[misc]
        def __iter__(self):
            nonlocal looked
            for key in super().__iter__():
                looked += 1
                yield key

    b.p.ready["", "t0"] = {0: Counting(lane)}
    for _ in range(400):
        assert len(b.lease("t0", max=1)) == 1
    assert looked <= 800


def test_two_records_for_one_job_type_and_the_limit_wins():
    b = Bench()
    b.store("task_definition", "work", execution={"parallelism": 5, "ageing_ms": 10})
    b.store("limit", "job:work", concurrency=1)
    jobs(b, 3)
    assert len(b.lease()) == 1 and b.p.guards["job:work"].ageing_us == 10_000

"""Back-off series, the words of the four seeds, and what follows the last attempt."""

import pytest
from workbench import SECOND, Bench, bpmn, one, service, user

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.kernel import retries
from flowledger.kernel.retries import Policy, delay_ms, normalise


@pytest.mark.parametrize(
    ("strategy", "series"),
    [
        ("fixed", [100, 100, 100, 100, 100, 100]),
        ("linear", [100, 200, 300, 400, 500, 500]),
        ("exponential", [100, 200, 400, 500, 500, 500]),
        ("fibonacci", [100, 100, 200, 300, 500, 500]),
    ],
)
@pytest.mark.req("D-STA-008")
def test_the_four_series_capped(strategy, series):
    policy = Policy(strategy=strategy, initial_ms=100, max_ms=500)
    assert [delay_ms(policy, n, 1) for n in range(1, 7)] == series


@pytest.mark.parametrize("strategy", retries.SERIES)
def test_a_series_never_falls_and_never_passes_the_cap(strategy):
    for initial in (0, 1, 333):
        for multiplier in (1.0, 1.5, 10.0):
            policy = Policy(strategy=strategy, initial_ms=initial, multiplier=multiplier)
            series = [delay_ms(policy, n, 7) for n in (1, 2, 3, 10, 100, 10_000)]
            assert series == sorted(series) and series[-1] <= retries.BACKOFF_MS_MAX


def test_jitter_is_a_hash_spread_within_its_share():
    policy = Policy(initial_ms=1000, jitter=0.2, max_ms=1100)
    delays = [delay_ms(policy, 1, key) for key in range(2000)]
    assert delays == [delay_ms(policy, 1, key) for key in range(2000)], "no chance in it"
    assert 800 <= min(delays) < 820 and max(delays) == 1100, "the cap holds after the jitter too"
    assert 980 < sum(delays) / 2000 < 1000 and len({delay_ms(policy, n, 5) for n in range(1, 9)}) == 8


WANTED = {"max_attempts": 4, "initial_ms": 2000}


@pytest.mark.parametrize(
    "raw",
    [
        {"max_attempts": 4, "initial_delay_ms": 2000},  # 000, retry configuration
        {"max_retries": 3, "retry_delay_seconds": 2},  # 000, execution configuration
        {"maxRetries": 3, "baseIntervalMs": 2000},  # 002
        {"retry_attempts": 3, "interval": "PT2S"},  # 004
        {"retries": "3", "initialMs": "2000"},  # a model's attributes
        {"maxAttempts": 4, "max_retries": 3, "delay": "PT2S", "initial_ms": 2000},  # twice the same
    ],
)
@pytest.mark.req("D-TSK-004")
def test_the_words_of_the_seeds_are_one_policy(raw):
    policy, problems = normalise(raw)
    assert not problems and {k: getattr(policy, k) for k in WANTED} == WANTED


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({"max_attempts": 3, "max_retries": 3}, "disagree: 3 and 4"),
        ({"delay_ms": 5, "delay_seconds": 5}, "disagree"),
        ({"exponential": True, "strategy": "linear"}, "disagree"),
        ({"patience": 3}, "no setting"),
        ({"jitter": 2}, "share from 0 to 1"),
        ({"multiplier": 0.5}, "from 1 to 1000"),
        ({"initial_ms": -1}, "milliseconds"),
        ({"delay": "P1M"}, "ISO 8601"),
        ({"on_exhausted": "cry"}, "incident"),
        ("often", "an object"),
    ],
)
def test_what_is_wrong_is_said(raw, why):
    assert why in "; ".join(normalise(raw)[1])


def failing(ext: str, *errors: str, more: str = "") -> Bench:
    """A service task that fails with these codes, each as soon as it may be tried."""
    b = Bench(one(service(f"<flowledger:retry {ext}/>"), more))
    b.start()
    for code in errors:
        b.until(3600 * SECOND)
        (job,) = b.lease()
        b.do(c.FailTask(task=job["key"], code=code, message=f"it said {code}", fence=job["fence"]))
    return b


@pytest.mark.req("D-RES-002", "D-RES-003", "WOS-RES-003")
def test_delays_of_a_failing_task():
    b = failing('maxAttempts="4" strategy="exponential" initialMs="1000" maxMs="3000"', "X", "X", "X")
    said = [(e.retry_at_us - v.time_us) // SECOND for e, v in b.log if isinstance(e, ta.TaskFailed)]
    assert said == [1, 2, 3] and b.task().retries == 1


@pytest.mark.req("D-RES-002", "TES-RES-002")
@pytest.mark.parametrize(
    ("ext", "code", "left"),
    [
        ('maxAttempts="3" codes="HTTP_5*,BUSY"', "HTTP_503", 2),
        ('maxAttempts="3" codes="HTTP_5*,BUSY"', "HTTP_404", 0),
        ('maxAttempts="3" codes="HTTP_5*,BUSY"', "", 0),
        ('maxAttempts="3" never="BAD_INPUT"', "BAD_INPUT", 0),
        ('maxAttempts="3" never="BAD_INPUT"', "BUSY", 2),
    ],
)
def test_conditions_by_error_code(ext, code, left):
    b = failing(ext, code)
    assert b.task().retries == left and bool(b.p.incidents) is (left == 0)


def test_total_time_ends_the_attempts():
    b = Bench(one(service('<flowledger:retry maxAttempts="100" initialMs="10000" totalMs="25000"/>')))
    b.start()
    for left in (99, 98, 0):
        (job,) = b.lease()
        assert b.do(c.FailTask(task=job["key"]))["retries"] == left
        b.until(10 * SECOND)
    assert b.p.incidents


@pytest.mark.req("D-API-034")
@pytest.mark.parametrize(("given", "left"), [(9, 2), (1, 1), (0, 0), (-1, 2)])
def test_the_worker_can_only_lower_the_attempts(given, left):
    b = Bench(one(service('<flowledger:retry maxAttempts="3"/>')))
    b.start()
    assert b.do(c.FailTask(task=b.lease()[0]["key"], retries=given))["retries"] == left


@pytest.mark.req("D-API-034")
def test_not_recommended_means_no_further_attempt_and_escalation_always_escalates():
    b = Bench(one(service('<flowledger:retry maxAttempts="3"/>')))
    b.start()
    assert b.do(c.FailTask(task=b.lease()[0]["key"], details={"retry_recommended": False}))["retries"] == 0
    b = Bench(one(service()))
    b.start()
    b.do(c.FailTask(task=b.lease()[0]["key"], message="odd", details={"escalation_required": True}))
    assert b.events(ta.TaskEscalated) and b.lease() == [] and b.details()["error"]["message"] == "odd"
    b.do(c.CompleteTask(task=b.task().key), "ann")
    assert not b.p.instances


CATCH = (
    '<boundaryEvent id="b" attachedToRef="t"><errorEventDefinition errorRef="err"/></boundaryEvent>'
    '<sequenceFlow id="f3" sourceRef="b" targetRef="h"/><userTask id="h"><extensionElements><zeebe:userTask/></extensionElements></userTask>'
)
STEP = '<userTask id="other"><extensionElements><zeebe:userTask/></extensionElements></userTask>'


@pytest.mark.req("D-RES-004", "WSM-RES-008")
@pytest.mark.parametrize(
    ("ext", "more", "at"),
    [
        ('maxAttempts="1"', "", "t incident JOB_NO_RETRIES"),
        ('maxAttempts="1" onExhausted="error"', CATCH, "h"),  # the failure's own code
        ('maxAttempts="1" onExhausted="error" errorCode="E1"', CATCH, "h"),
        ('maxAttempts="1" onExhausted="error" errorCode="E2"', CATCH, "t incident UNHANDLED_ERROR_EVENT"),
        ('maxAttempts="1" fallback="other"', STEP, "other"),
        ('maxAttempts="1" fallback="nowhere"', "", "t incident FALLBACK_NOT_FOUND"),
        ('maxAttempts="1" handlers="E9=e,E1=other"', STEP, "other"),
        ('maxAttempts="1" onExhausted="skip"', "", ""),
        ('maxAttempts="1" onExhausted="manual" group="ops"', "", "t for ops"),
    ],
)
def test_what_follows_the_last_attempt(ext, more, at):
    b = failing(ext, "E1", more=more)
    found = " ".join(t.element for t in b.p.tasks.values())
    found += "".join(f" incident {i.code}" for i in b.p.incidents.values())
    if b.p.tasks and "candidate_groups" in b.details():
        found += f" for {b.details()['candidate_groups'][0]}"
        assert b.details()["error"] == {"code": "E1", "message": "it said E1", "attempts": 1} and b.lease() == []
    assert found == at


def test_a_bad_policy_is_a_finding_at_deployment():
    made = Bench().ask(c.Deploy(resources=[c.Resource("m.bpmn", one(service('<flowledger:retry strategy="hope" wish="1"/>')))]))
    assert "RETRY_INVALID" in made.message and "hope" in made.message and "wish" in made.message


def test_a_task_without_workflow_gets_an_incident_after_the_last_attempt():
    b = Bench()
    key = b.create(name="x", job_type="work", retries=1)
    b.lease()
    b.do(c.FailTask(task=key, message="no"))
    (incident,) = b.p.incidents.values()
    assert incident.task == key and b.task(key).status == "failed" and b.lease() == []
    b.do(c.ResolveIncident(key=incident.key))
    assert len(b.lease()) == 1
    b.do(c.CompleteTask(task=key))
    assert not b.p.tasks and not b.p.incidents


@pytest.mark.req("TES-TSK-004", "D-TSK-002", "WSM-RES-006")
def test_two_failures_and_a_success_are_three_attempts():
    b = failing('maxAttempts="5" initialMs="10"', "A", "B")
    b.until(SECOND)
    b.do(c.CompleteTask(task=b.lease()[0]["key"]))
    assert [type(e).__name__ for e in b.events(ta.TaskFailed, ta.TaskCompleted)] == ["TaskFailed", "TaskFailed", "TaskCompleted"]
    assert not b.p.instances


def test_plain_zeebe_jobs_are_as_ever():
    b = Bench(bpmn('<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="t"/>' + service()))
    b.start()
    (job,) = b.lease()
    assert b.do(c.FailTask(task=job["key"], retries=7, backoff_ms=1500)) == {"retries": 7, "retry_at_us": b.now_us + 1_500_000}
    assert b.lease() == []
    b.until(2 * SECOND)
    assert b.lease()[0]["retries"] == 7


@pytest.mark.req("WOS-CFG-002")
@pytest.mark.parametrize(
    ("ext", "stored", "left", "after_s"),
    [
        ("", None, 4, 7),  # nobody says anything: the setting
        ('<flowledger:retry maxAttempts="2" initialMs="1000"/>', None, 1, 1),  # the model does
        ("", {"retry": {"max_attempts": 3, "initial_ms": 2000}}, 2, 2),  # the definition of the job type does
        ("", {"retries": 9}, 8, 0),  # it says how often, and so all of it
    ],
)
def test_the_setting_is_for_those_of_whom_nobody_says_how_they_are_tried_again(ext, stored, left, after_s):
    b = Bench(one(service(ext)), retry={"max_attempts": 5, "delay": "PT7S"})
    if stored:
        b.store("task_definition", "work", **stored)
    b.start()
    (job,) = b.lease()
    answer = b.do(c.FailTask(task=job["key"], code="X"))
    assert answer["retries"] == left
    assert (answer.get("retry_at_us") or b.now_us) - b.now_us == after_s * SECOND
    b.retry = {"max_attempts": 1}
    b.until(10 * SECOND)
    b.do(c.FailTask(task=b.lease()[0]["key"], code="X"))
    assert b.task().retries == left - 1, "what a task began with stays"


@pytest.mark.parametrize("model", [one(service().replace('type="work"', 'type="work" retries="7"')), one(user())])
def test_attempts_of_a_model_and_the_work_of_people_are_not_touched_by_the_setting(model):
    b = Bench(model, retry={"max_attempts": 5})
    b.start()
    assert "retry" not in (b.task().details or {}) and b.task().retries == (7 if 'retries="7"' in model else 3)


@pytest.mark.parametrize(
    ("defined", "asked", "given"), [(0, 60_000, 9_000), (0, 5_000, 5_000), (20_000, 60_000, 20_000), (3_000, 60_000, 3_000)]
)
def test_an_attempt_takes_as_long_as_the_setting_says_where_no_definition_does(defined, asked, given):
    b = Bench(one(service()), attempt_ms=9_000)
    if defined:
        b.store("task_definition", "work", timeout_ms=defined)
    b.start()
    b.lease(timeout_ms=asked)
    assert b.task().deadline_us - b.now_us == given * 1_000

"""Attempts used up lead where the step says, by its retry policy; declared business states move along (issue 5, item 5; WSM-STA-004)."""

from pathlib import Path

import pytest
from converted import xml
from scenario import Scenario

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events import workflow as wf

PIPELINE = Path(__file__).parents[2] / "examples" / "pipeline.yaml"


def started(text: str | bytes, id: str = "p", **variables) -> Scenario:
    s = Scenario(xml(text))
    s.start(id, **variables)
    return s


def use_up(s: Scenario, element: str) -> int:
    """Fail the step until no attempt is left; the number of attempts."""
    for attempt in range(1, 10):
        task = s.task(element)
        s.do(c.FailTask(task=task.key, code="BROKEN", message="no"))
        if task.key not in s.p.tasks:
            return attempt
        if due := s.p.tasks[task.key].retry_at_us:
            s.now_us = max(s.now_us, due)
            s.do(c.ReadyTasks(tasks=[task.key]))
    raise AssertionError(f"{element} is tried for ever")


def states_of(s: Scenario) -> list[str]:
    return [e.variables["businessState"] for e, _ in s.log if isinstance(e, wf.VariableSet) and "businessState" in e.variables]


TWO = "id: p\nsteps:\n - {id: a, type: x, retry: {max_attempts: 2, initial_ms: 500}, %s}\n - {id: b, type: y}"


@pytest.mark.req("WOS-RES-005")
def test_attempts_used_up_lead_to_the_fallback():
    s = started(TWO % "fallback: {type: z}")
    assert use_up(s, "a") == 2
    assert not s.p.incidents
    s.moves("complete a_fallback ok=true", "complete b")
    assert s.tasks == "a a_fallback b" and s.empty


def test_attempts_used_up_pass_an_optional_step_over():
    s = started(TWO % "optional: true")
    assert use_up(s, "a") == 2
    assert s.i.vars["a"]["status"] == "failed" and not s.p.incidents
    s.moves("complete b")
    assert s.empty


def test_without_any_of_these_attempts_used_up_are_an_incident():
    s = started(TWO % "timeout: 1h")
    s.do(c.FailTask(task=s.task("a").key, retries=0, code="BROKEN", message="no"))
    assert [x.code for x in s.p.incidents.values()] == ["JOB_NO_RETRIES"]


@pytest.mark.req("WSM-RES-003", "WSM-RES-008")
def test_the_pipeline_goes_to_a_person_when_the_analysis_has_failed():
    s = started(PIPELINE.read_bytes(), "code-pipeline", task="t", repository="r")
    assert use_up(s, "analysis") == 3
    waits = [e.retry_at_us - v.time_us for e, v in s.log if isinstance(e, ta.TaskFailed) and e.retry_at_us]
    assert [round(w / 1e6) for w in waits] == [1, 2] and waits != [1_000_000, 2_000_000], "exponential, spread by the jitter"
    assert states_of(s) == ["CREATED", "ANALYZING", "ANALYSIS_FAILED", "MANUAL_REVIEW"] and not s.p.incidents
    s.moves('complete review decision="again"', "complete generation", "complete validation passed=true", "complete publish")
    assert states_of(s)[4:] == ["GENERATING_CODE", "CODE_GENERATED", "VALIDATING", "VALIDATION_PASSED", "COMPLETED"] and s.empty


@pytest.mark.parametrize("way", ["a time limit", "an error"])
def test_the_pipeline_knows_a_failed_generation(way):
    s = started(PIPELINE.read_bytes(), "code-pipeline", task="t", repository="r")
    s.moves("complete analysis", "tick generation_timeout" if way == "a time limit" else "error generation BAD")
    assert states_of(s)[-2:] == ["CODE_GENERATION_FAILED", "MANUAL_REVIEW"]


@pytest.mark.req("WSM-STA-004")
def test_the_loop_of_the_pipeline_is_bounded_and_its_states_follow_the_table():
    s = started(PIPELINE.read_bytes(), "code-pipeline", task="t", repository="r")
    s.moves("complete analysis")
    for _ in range(4):
        s.moves("complete generation", "complete validation passed=false")
    assert s.tasks.split()[-1] == "review" and s.tasks.split().count("generation") == 4
    around = ["GENERATING_CODE", "CODE_GENERATED", "VALIDATING", "VALIDATION_FAILED"]
    assert states_of(s) == ["CREATED", "ANALYZING", "ANALYZED", *around * 4, "MANUAL_REVIEW"] and not s.p.incidents
    s.moves('complete review decision="stop"')
    assert states_of(s)[-1] == "FAILED" and s.empty

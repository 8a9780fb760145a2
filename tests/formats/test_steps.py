"""Steps: order, conditions, dependencies, what skips and what takes over; results under the step's id; business states; findings."""

import pytest
from converted import codes, run, xml

LIST = """
id: p
steps:
  - {id: a, type: x}
  - {id: b, type: y, parameters: {n: "= a.output.n + 1"}}
"""
DAG = """
id: p
steps:
  - {id: d, type: y, dependencies: [b, c]}
  - {id: a, type: x, dependencies: []}
  - {id: b, type: y, dependencies: [a], optional: true, timeout: 5m}
  - {id: c, type: y, dependencies: [a], when: "= a.output.go", fallback: {type: zz}}
"""
LOOP = """
id: p
steps:
  - {id: make, type: x, next: test}
  - id: test
    type: y
    next: [{to: end, when: "= test.output.ok"}, {to: make, when: "= make.runs < 3"}, {to: help}]
  - {id: help, type: human, assignee: boss, next: [ship, bill]}
  - {id: ship, type: x, next: last}
  - {id: bill, type: x, next: last}
  - {id: last, type: x, join: all}
"""


@pytest.mark.req("WOS-DAG-001", "WOS-DAG-002")
def test_results_stand_under_the_id_of_the_step():
    s = run(LIST, "complete a n=1")
    assert s.vars["a"] == {"status": "success", "output": {"n": 1}, "completed_at": "2026-01-01T00:00:00.003Z", "runs": 1}
    assert s.task("b").job_type == "y"
    assert s.i.tokens[s.token("b")].vars == {"n": 2}
    s.move("complete b output=7")
    assert s.vars["b"]["output"] == 7 and s.empty


@pytest.mark.req("WSM-DAG-002")
@pytest.mark.parametrize(
    ("moves", "tasks", "status"),
    [
        ("complete a go=true;complete b;complete c;complete d", "a b c d", {"b": "success", "c": "success"}),
        ("complete a go=false;complete b;complete d", "a b d", {"b": "success", "c": "skipped"}),
        ("complete a go=true;error b E;error c E;complete c_fallback;complete d", "a b c c_fallback d", {"b": "failed", "c": "fallback"}),
        ("complete a go=false;tick;complete d", "a b d", {"b": "failed", "c": "skipped"}),
    ],
)
def test_dependencies_wait_for_all_and_failures_are_taken_over(moves, tasks, status):
    s = run(DAG, moves)
    assert sorted(s.tasks.split()) == sorted(tasks.split()) and s.tasks.split()[0] == "a"
    assert {k: s.vars[k]["status"] for k in status} == status
    assert s.line.endswith("done") and s.empty


def test_a_step_waits_for_every_dependency():
    assert "d" not in run(DAG, "complete a go=true;complete b").tasks.split()


@pytest.mark.req("WOS-DAG-003")
@pytest.mark.parametrize(
    ("moves", "tasks"),
    [
        ("complete make;complete test ok=true", "make test"),
        ("complete make;complete test ok=false;complete make;complete test ok=true", "make test make test"),
        ("complete make;complete test ok=false;" * 3 + "complete help;complete ship;complete bill;complete last",
         "make test make test make test help ship bill last"),
    ],
)  # fmt: skip
def test_next_with_conditions_loops_and_joins(moves, tasks):
    s = run(LOOP, moves)
    assert s.tasks == tasks and s.line.endswith("done") and s.empty


@pytest.mark.req("WSM-RES-004")
def test_a_time_limit_without_a_way_on_fails_the_step():
    s = run("{id: p, steps: [{id: a, type: x, timeout: 100}]}", "tick")
    assert s.line.endswith("a_timeout>a_timed_out ?UNHANDLED_ERROR_EVENT")
    assert "STEP_TIMEOUT" in next(iter(s.p.incidents.values())).message


@pytest.mark.req("WOS-RES-004", "APG-RES-007")
def test_on_error_leads_elsewhere_and_the_workflow_has_a_limit():
    text = "{id: p, timeout: 1h, steps: [{id: a, type: x, on_error: c, next: b}, {id: b, type: x}, {id: c, type: x}]}"
    assert run(text, "error a E").tasks == "a c"
    assert run(text, "tick").line.endswith("terminated") or run(text, "tick").empty


@pytest.mark.req("TES-RES-002")
def test_retry_words_become_one_policy():
    text = xml(
        "{id: p, steps: [{id: a, type: x, retry: {max_retries: 2, backoff: fibonacci, delay_seconds: 3, max_delay: PT1M, codes: [E1, E2]}}]}"
    )
    assert 'type="x" retries="3"' in text
    assert 'maxAttempts="3" strategy="fibonacci" initialMs="3000" maxMs="60000" codes="E1,E2"' in text


STATES = """
id: p
states:
  initial: A
  final: [C]
  transitions: {A: [B], B: [C, A], C: []}
steps:
  - {id: a, type: x, states: {start: B, success: %s}, next: %s}
  - {id: b, type: x, state: B}
"""


@pytest.mark.parametrize(
    ("success", "next", "found"),
    [
        ("A", "b", []),
        ("C", "end", ["STEPS_STEP_UNREACHABLE 9"]),
        ("C", "b", ["STEPS_STATE_MOVE 8"]),
        ("D", "b", ["STEPS_STATE_UNKNOWN 8"]),
        ("A", "[{to: b, state: C}]", ["STEPS_STATE_MOVE 8", "STEPS_STATE_MOVE 8"]),
    ],
)
def test_business_states_are_checked(success, next, found):
    assert codes(STATES % (success, next)) == found


def test_states_stand_in_the_model():
    text = xml(STATES % ("A", "b"))
    assert '<flowledger:states initial="A">' in text and '<flowledger:move to="C"/>' in text
    assert '<flowledger:businessState enter="B" success="A"/>' in text


@pytest.mark.req("WSM-STA-005")
def test_a_state_has_a_name_of_ones_own_and_says_what_it_means():
    text = """
id: p
states:
  initial: Waiting for the bank
  final: [Paid \u2714]
  transitions:
    Waiting for the bank: {to: ["Paid \u2714"], description: Nobody has confirmed the transfer}
    "Paid \u2714": {final: true}
steps: [{id: a, type: x, timeout: 5m, states: {success: "Paid \u2714"}}]
"""
    assert codes(text) == []
    assert 'name="Waiting for the bank" description="Nobody has confirmed the transfer"' in xml(text)
    s = run(text, "set z=1")
    assert s.vars["businessState"] == "Waiting for the bank"
    assert run(text, "complete a").vars["businessState"] == "Paid \u2714"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("id: p\nsteps: []\n", ["STEPS_STEPS_NONE 2"]),
        ("id: p\n", ["FORMAT_UNKNOWN 1"]),
        ("steps: [{id: a, type: x}]", ["STEPS_KEY_MISSING 1"]),
        ("id: p\nsteps:\n - {id: a, type: x}\n - {id: a, type: x}\n", ["STEPS_ID_DUPLICATE 4"]),
        ("id: p\nsteps:\n - {id: a, type: x, dependencies: [c]}\n - {id: b, type: x, dependencies: [a]}\n - {id: c, dependencies: [b]}",
         ["STEPS_DEPENDENCY_CYCLE 3"]),
        ("id: p\nsteps:\n - {id: a, type: x, dependencies: [a]}", ["STEPS_DEPENDENCY_CYCLE 3"]),
        ("id: p\nsteps:\n - {id: a, type: x, dependencies: [zz]}", ["STEPS_REFERENCE_MISSING 3"]),
        ("id: p\nsteps:\n - {id: a, type: x, next: zz}", ["STEPS_REFERENCE_MISSING 3"]),
        ("id: p\nsteps:\n - {id: a, type: x, next: b}\n - {id: b, dependencies: [a]}", ["STEPS_STEPS_MIXED 3"]),
        ("id: p\nsteps:\n - {id: a, type: x, tiemout: 5m}", ["STEPS_KEY_UNKNOWN 3"]),
        ("id: p\nsteps:\n - {id: a, type: x, timeout: soon}", ["STEPS_DURATION_INVALID 3"]),
        ("id: p\nsteps:\n - {id: a, type: x, when: '= 1 +'}", ["STEPS_EXPRESSION_INVALID 3"]),
        ("id: p\nsteps:\n - {id: a, type: x, retries: 2, max_attempts: 2}", ["STEPS_RETRY_DISAGREES 3"]),
        ("id: p\nsteps:\n - {id: a, type: x, retry: {strategy: []}}", ["STEPS_VALUE_INVALID 3"]),
        ("id: p\nsteps:\n - {id: a, type: x, optional: true, fallback: {type: y}}", ["STEPS_FAILURE_TWICE 3"]),
        ("id: p\nsteps:\n - {id: a, type: x, fallback: a}", ["STEPS_FALLBACK_SELF 3"]),
        ("id: p\nsteps:\n - {id: a, type: x, next: end}\n - {id: b, type: x}", ["STEPS_STEP_UNREACHABLE 4"]),
        ("id: p\nsteps:\n - {id: a, dependencies: []}\n - {id: b, dependencies: [], parameters: {x: '= a.output'}}", ["STEPS_READ_UNDECLARED 4"]),
        ("id: p\nsteps: [", ["STEPS_TEXT_INVALID 3"]),
    ],
)  # fmt: skip
def test_findings_with_their_lines(text, found):
    assert codes(text) == found


@pytest.mark.req("WSM-DAG-007")
def test_who_reads_what_it_does_not_depend_on_is_told():
    text = "id: p\nsteps:\n - {id: a, type: x, dependencies: []}\n - {id: b, type: y, dependencies: [%s], parameters: {n: '= a.output'}}"
    assert codes(text % "") == ["STEPS_READ_UNDECLARED 4"] and codes(text % "a") == []


@pytest.mark.req("WSM-CFG-004")
@pytest.mark.parametrize(
    ("workflow", "step", "found"),
    [("", "", ["STEPS_TIMEOUT_NONE 4"]), ("", ", timeout: 5m", []), ("timeout: 1h", "", []), ("", ", timeout_seconds: 60", [])],
)
def test_work_that_has_no_time_limit_is_told(workflow, step, found):
    text = f"id: p\n{workflow}\nsteps:\n - {{id: a, type: x{step}}}\n"
    assert codes(text, severities=("info",)) == found


@pytest.mark.req("WSM-PER-006")
@pytest.mark.parametrize(
    ("second", "found"),
    [
        ("", ["STEPS_PARALLEL_POSSIBLE 5"]),
        (", parameters: {n: '= a.output'}", []),  # it needs what the first one gives
        (", when: '= ready'", []),  # whether it goes at all may hang on the time
    ],
)
def test_steps_that_could_go_side_by_side_are_told(second, found):
    text = f"id: p\ntimeout: 1h\nsteps:\n - {{id: a, type: x}}\n - {{id: b, type: y{second}}}\n"
    assert codes(text, severities=("info",)) == found


PIPELINE = """
id: p
steps:
  - {id: analysis, name: Analyse, type: analysis, dependencies: [], timeout: 5m, retries: 2, parameters: {depth: full}}
  - {id: generation, name: Generate, type: codegen, dependencies: [analysis], timeout: 10m, retries: 3, parameters: {plan: "= analysis.output.plan"}}
  - {id: lint, name: Look over it, type: custom, dependencies: [generation], timeout: 2m, retries: 1, parameters: {strict: true}}
  - {id: validation, name: Validate, type: validation, dependencies: [generation], timeout: 5m, retries: 1, parameters: {code: "= generation.output.code"}}
"""


@pytest.mark.req("WSM-DAG-001", "WSM-DAG-004", "WSM-DAG-005")
def test_analysis_generation_validation_and_a_step_of_ones_own():
    s = run(PIPELINE, 'complete analysis plan="p"')
    task = s.task("generation")
    assert task.job_type == "codegen" and s.i.tokens[s.token("generation")].vars == {"plan": "p"}
    [timer] = s.p.timers.values()
    assert 9.9 * 60_000_000 < timer.due_us - s.now_us <= 10 * 60_000_000
    s.move('complete generation code="c"')
    assert s.task("lint").job_type == "custom" and s.i.tokens[s.token("lint")].vars == {"strict": True}
    assert s.i.tokens[s.token("validation")].vars == {"code": "c"}, "beside one another"
    s.move("complete lint")
    s.move("complete validation passed=true")
    assert s.line.endswith("done") and s.empty and s.vars["validation"]["output"] == {"passed": True}


@pytest.mark.req("WSM-DAG-003")
def test_the_cycle_is_named():
    from flowledger.kernel import model

    _, findings = model.read(b"id: p\nsteps: [{id: a, dependencies: [b]}, {id: b, dependencies: [a]}]", "f.yaml")
    assert findings[0].message == "the dependencies go in a circle: a -> b -> a"
    assert findings[0].file == "f.yaml" and findings[0].hint


def test_several_limits_the_smallest_holds():
    assert '<bpmn:timeDuration xsi:type="bpmn:tFormalExpression">PT1M</bpmn:timeDuration>' in xml(
        "{id: p, steps: [{id: a, type: x, timeout: 5m, timeout_seconds: 60}]}"
    )

"""Who gets a task, and why; each constraint excludes somebody who would be chosen otherwise, and says so."""

import random

import pytest
from workbench import HOUR, MINUTE, START_US, Bench, one, service, user

from flowledger.events import commands as c
from flowledger.events import task as ta


def people(b: Bench, /, **who: dict) -> Bench:
    for name, record in who.items():
        b.store("directory", f"user:{name}", **record)
    return b


def asked(b: Bench, more: dict | None = None, **assignment: object) -> dict:
    """The assignment record of a new task."""
    return b.details(b.create(name="x", details={**(more or {}), "settings": {"assignment": assignment}}))["assignment"]


CREW = {"ann": {"groups": ["clerks"]}, "bob": {"groups": ["clerks"]}, "cy": {"roles": ["boss"]}}


@pytest.mark.req("D-ASG-005", "APG-ASG-002")
@pytest.mark.parametrize(
    ("strategy", "chosen"),
    [
        ("role", "ann ann bob".split()),
        ("least_loaded", "ann bob ann".split()),
        ("round_robin", "ann bob ann".split()),
        ("first", "bob bob bob".split()),
    ],
)
def test_strategies(strategy, chosen):
    b = people(Bench(), **{**CREW, **({"bob": {"groups": ["clerks"], "max_concurrent": 2}} if strategy == "role" else {})})
    if strategy == "role":  # ann takes none of bob's share until bob is the freer one
        b.store("directory", "user:ann", groups=["clerks"], max_concurrent=4)
    users = {"users": ["bob", "ann"]} if strategy == "first" else {"groups": ["clerks"]}
    got = [asked(b, strategy=strategy, **users)["assignee"] for _ in range(3)]
    assert got == (chosen if strategy != "role" else ["ann", "bob", "ann"])


@pytest.mark.req("APG-ASG-002")
def test_skill_goes_to_the_highest_level():
    b = people(
        Bench(), ann={"capabilities": {"sql": 2, "python": 1}}, bob={"capabilities": {"sql": 5}}, cy={"capabilities": ["sql", "python"]}
    )
    made = asked(b, strategy="skill", required_capabilities=["sql:2", "python"])
    assert made["assignee"] == "ann" and made["excluded"] == {"bob": "lacks the capability python", "cy": "lacks the capability sql 2"}
    assert "highest skill" in made["why"]


@pytest.mark.req("APG-ASG-002")
@pytest.mark.parametrize(
    ("strategy", "chosen", "behind"),
    [
        ("skill", "bob", {"ann": "skill 2, 0 open tasks", "cy": "skill 1, 0 open tasks of 4"}),
        ("least_loaded", "ann", {"bob": "0 open tasks", "cy": "0 open tasks of 4"}),
        ("round_robin", "ann", {"bob": "later in turn", "cy": "later in turn"}),
        ("weighted", "ann", {"bob": "score 0.062", "cy": "score 0.062"}),
    ],
)
def test_who_could_have_had_it_and_by_what_they_stood_behind(strategy, chosen, behind):
    b = people(
        Bench(), ann={"capabilities": {"sql": 2}}, bob={"capabilities": {"sql": 5}}, cy={"capabilities": ["sql"], "max_concurrent": 4}
    )
    made = asked(b, strategy=strategy, required_capabilities=["sql"])
    assert (made["assignee"], made["behind"]) == (chosen, behind)


def test_of_many_who_stood_behind_twenty_are_told_and_of_one_nobody():
    b = people(Bench(), **{f"u{n:02}": {} for n in range(40)})
    assert len(asked(b, strategy="role")["behind"]) == 20
    b = people(Bench(), ann={})
    assert "behind" not in asked(b, strategy="role")


@pytest.mark.req("D-ASG-004")
@pytest.mark.parametrize(
    ("ann", "needs", "why"),
    [
        ({"active": False}, {}, "is not active"),
        ({"kind": "ai_agent"}, {"kind": "human"}, "is ai_agent, needed is human"),
        ({"capabilities": ["java"]}, {"required_capabilities": "python"}, "lacks the capability python"),
        ({"capabilities": ["python"], "capabilities_down": ["python"]}, {"required_capabilities": "python"}, "lacks the capability python"),
        ({"permissions": ["read"]}, {"required_permissions": ["approve"]}, "lacks the permission approve"),
        ({"place": "DE"}, {"place": "FR,CH"}, "is in DE, needed is FR or CH"),
        ({"calendar": "nights"}, {}, "does not work now (calendar nights)"),
        ({"max_concurrent": 1}, {}, "has 1 tasks, at most 1 at once"),
        ({"resources": {"cpu": 1}}, {"resources": {"cpu": 2}}, "lacks resources: cpu 1 of 2"),
    ],
)
def test_each_constraint_excludes_and_says_why(ann, needs, why):
    able = {"groups": ["g"], "capabilities": ["python"], "permissions": ["approve"], "place": "CH", "resources": {"cpu": 4}}
    b = people(Bench(), ann={"groups": ["g"], **ann}, bob=able)
    b.store("directory", "calendar:nights", zone="UTC", days={"mon": ["00:00-06:00"]})
    if "max_concurrent" in ann:
        b.create(name="other", details={"assignee": "ann"})
    made = asked(b, strategy="first", users=["ann", "bob"], **needs)
    assert made["assignee"] == "bob" and made["excluded"] == {"ann": why}


@pytest.mark.req("TES-ASG-001")
def test_nobody_is_eligible_and_the_reasons_stand_on_the_log():
    b = people(Bench(), ann={"groups": ["clerks"], "active": False})
    key = b.create(name="x", details={"settings": {"assignment": {"strategy": "role", "groups": "clerks"}}})
    (said,) = b.events(ta.TaskReleased)
    assert said.reason == "nobody of 1 candidates is eligible" and said.details["assignment"]["excluded"] == {"ann": "is not active"}
    assert b.task(key).status == "created"


@pytest.mark.req("D-ASG-003")
def test_fallbacks_in_order_after_refusal_and_silence():
    b = people(Bench(), ann={"groups": ["g"]}, bob={}, cy={})
    key = b.create(
        name="x", details={"settings": {"assignment": {"strategy": "role", "groups": "g", "fallback": ["bob", "cy"], "timeout": "PT10M"}}}
    )
    assert b.details(key)["assignee"] == "ann"
    b.move(key, "refuse", "ann", "on leave")
    assert b.details(key)["assignee"] == "bob" and b.events(ta.TaskAssigned)[-1].reason == "ann refused: on leave"
    assert b.refused(c.MoveTask(task=key, move="refuse"), "ann").code == "FORBIDDEN"
    assert b.until(10 * MINUTE) == ["+600s TaskAssigned", "+600s TaskUpdated"]
    assert b.details(key)["assignee"] == "cy" and b.details(key)["assignment"]["why"] == "is fallback 2"
    b.until(10 * MINUTE)
    assert b.task(key).status == "created" and "assignee" not in b.details(key), "after the last it is free for all"


def test_whoever_started_is_left_alone():
    b = people(Bench(), ann={"groups": ["g"]}, bob={})
    key = b.create(name="x", details={"settings": {"assignment": {"groups": "g", "fallback": ["bob"], "timeout": "PT10M"}}})
    b.move(key, "start", "ann")
    assert b.until(HOUR) == [] and b.details(key)["assignee"] == "ann"


def test_a_failed_agent_is_followed_by_its_fallback_with_fresh_attempts():
    b = Bench(
        one(
            user(
                '<flowledger:task><assignment assignee="agent:a" fallback="agent:b"/></flowledger:task>'.replace(
                    "<assign", "<flowledger:assign"
                )
            )
        )
    )
    for name in "ab":
        b.store("directory", f"agent:{name}", kind="ai_agent", job_type=f"agent-{name}", endpoint=f"https://{name}", credential="secret:x")
    b.start()
    (job,) = b.lease("agent-a")
    assert job["details"]["endpoint"] == "https://a" and job["details"]["credential"] == "secret:x"
    b.do(c.FailTask(task=job["key"], retries=0, message="overloaded"))
    assert not b.p.incidents and b.details()["assignee"] == "agent:b"
    (job,) = b.lease("agent-b")
    b.do(c.CompleteTask(task=job["key"]))
    assert not b.p.instances


def test_what_an_agent_gives_back_is_no_job_any_more():
    b = Bench()
    b.store("directory", "agent:a", kind="ai_agent")
    key = b.create(name="x", details={"settings": {"assignment": {"users": "agent:a"}}})
    assert len(b.lease("agent:a")) == 1
    b.until(2 * MINUTE)
    b.move(key, "release")
    assert b.lease("agent:a") == [] and b.task(key).status == "created"
    b.move(key, "claim", "ann")
    assert b.details(key)["assignee"] == "ann"


def test_lanes_and_candidates_of_the_model_feed_the_choice():
    lane = '<laneSet id="ls"><lane id="l" name="clerks"><flowNodeRef>t</flowNodeRef></lane></laneSet>'
    b = people(Bench(one(user('<flowledger:task strategy="least_loaded"/>'), lane)), **CREW)
    b.start()
    assert b.details()["assignee"] == "ann" and b.details()["assignment"]["considered"] == 2
    candidates = '<zeebe:assignmentDefinition candidateGroups="boss"/><flowledger:task strategy="least_loaded"/>'
    b = people(Bench(one(user(candidates))), **CREW)
    b.start()
    assert b.details()["assignee"] == "cy"


def test_without_a_strategy_the_model_s_assignee_stands():
    b = people(Bench(one(user('<zeebe:assignmentDefinition assignee="zoe" candidateGroups="clerks"/>'))), **CREW)
    b.start()
    assert b.details()["assignee"] == "zoe" and b.task().status == "assigned" and not b.events(ta.TaskAssigned)


TWO = (
    '<startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="a"/><userTask id="a"><extensionElements><zeebe:userTask/></extensionElements>'
    '</userTask><sequenceFlow id="f2" sourceRef="a" targetRef="t"/>{0}<sequenceFlow id="f3" sourceRef="t" targetRef="e"/><endEvent id="e"/>'
)


@pytest.mark.req("D-API-033")
@pytest.mark.parametrize(
    ("ext", "wish", "used", "assignee"),
    [
        ("", "zoe", True, "zoe"),
        ('<zeebe:assignmentDefinition candidateUsers="ann"/>', "zoe", False, None),
        ('<zeebe:assignmentDefinition candidateUsers="ann"/>', "ann", True, "ann"),
        ('<zeebe:assignmentDefinition assignee="cy"/>', "ann", False, "cy"),
        ('<flowledger:task strategy="first" groups="clerks"/>', "bob", True, "bob"),
        ('<flowledger:task strategy="first" groups="clerks"/>', "cy", False, "ann"),
    ],
)
def test_the_wish_for_the_next_assignee(ext, wish, used, assignee):
    from workbench import bpmn

    b = people(Bench(bpmn(TWO.format(user(ext)))), **CREW)
    b.start()
    b.do(c.CompleteTask(task=b.task().key, result={"next_assignee": wish}))
    details = b.details()
    assert details.get("assignee") == assignee and details["assignment"]["wish"]["used"] is used
    assert used or details["assignment"]["wish"]["reason"]
    assert not (b.p.instances[b.key].stores or {}).get("next_assignee"), "a wish is for one task"


def test_people_of_another_tenant_are_never_asked():
    b = Bench()
    b.store("directory", "acme/user:ann", groups=["g"])
    b.store("directory", "other/user:bob", groups=["g"])
    made = b.do(c.CreateTask(name="x", details={"settings": {"assignment": {"groups": "g"}}}), tenant="acme")
    assert b.details(made["task"])["assignee"] == "ann" and b.details(made["task"])["assignment"]["considered"] == 1


def waits(strategy: str, seed: int, crew: dict[str, tuple[int, float]], *, most: int | None = None) -> tuple[float, float]:
    """300 tasks, one in eight minutes: the mean wait until one is begun, and until it is done, in minutes; who has several does one after the other, `most` at
    a time. `crew`: minutes that a task takes, and the share that is done badly and again."""
    b, rng = Bench(check=False), random.Random(seed)
    people(b, **{name: {"groups": ["g"], **({"max_concurrent": most} if most else {})} for name in crew})
    free = dict.fromkeys(crew, START_US)
    open_: list[tuple[int, int]] = []
    waited = done = 0
    for n in range(300):
        b.now_us = START_US + n * 8 * MINUTE
        for at, key in sorted(o for o in open_ if o[0] <= b.now_us):
            open_.remove((at, key))
            now, b.now_us = b.now_us, max(at, b.p.meta.now_us)
            b.do(c.CompleteTask(task=key))
            b.now_us = max(now, b.now_us)
        key = b.create(name="x", details={"settings": {"assignment": {"strategy": strategy, "groups": "g"}}})
        name = b.details(key)["assignee"]
        lasts, again = crew[name]
        minutes = lasts * rng.uniform(0.7, 1.3)
        while rng.random() < again:
            minutes += lasts
        begins = max(free[name], b.now_us)
        free[name] = begins + round(minutes * MINUTE)
        waited, done = waited + begins - b.now_us, done + free[name] - b.now_us
        open_.append((free[name], key))
    return waited / 300 / MINUTE, done / 300 / MINUTE


@pytest.mark.req("D-ASG-006")
def test_a_choice_by_skill_load_and_history_beats_round_robin():
    """Six people of whom three are slow or fail often: mean time from creation to success."""
    crew = {"a": (20, 0.0), "b": (25, 0.05), "c": (30, 0.1), "d": (90, 0.3), "e": (120, 0.2), "f": (150, 0.4)}
    (_, by_history), (_, in_turn) = (waits(strategy, 7, crew, most=8) for strategy in ("weighted", "round_robin"))
    assert by_history < in_turn * 0.8, (by_history, in_turn)


@pytest.mark.req("D-ASG-001")
def test_five_kinds_of_assignees_serve_one_process():
    kinds = {"human": "ann", "ai_agent": "agent:a", "service": "service:s", "tool": "tool:t", "external_api": "api:x"}
    from workbench import bpmn

    nodes = "".join(
        f'<userTask id="t{n}"><extensionElements><zeebe:userTask/><flowledger:task strategy="first" users="{who}"/></extensionElements></userTask>'
        for n, who in enumerate(kinds.values())
    )
    flows = "".join(
        f'<sequenceFlow id="f{n}" sourceRef="{"s" if not n else f"t{n - 1}"}" targetRef="{"e" if n == 5 else f"t{n}"}"/>' for n in range(6)
    )
    b = Bench(bpmn(f'<startEvent id="s"/>{nodes}{flows}<endEvent id="e"/>'))
    for name in kinds.values():
        b.store("directory", name if ":" in name else f"user:{name}")
    b.start()
    for kind, who in kinds.items():
        task = b.task()
        assert task.details["assignee"] == who and task.details["assignment"]["type"] == kind
        if kind != "human":
            (job,) = b.lease(who)
            assert job["key"] == task.key
        b.do(c.CompleteTask(task=task.key), who)
    assert not b.p.instances


@pytest.mark.parametrize(
    ("registry", "name", "value", "why"),
    [
        ("directory", "ann", {}, "expected user:NAME"),
        ("directory", "user:ann", {"shoe": 43}, "'shoe' is not known"),
        ("directory", "user:ann", {"kind": "cat"}, "expected one of human"),
        ("directory", "user:ann", {"max_concurrent": 0}, "1 or more"),
        ("directory", "calendar:c", {"days": {"mon": ["9-5"]}}, "no span of a day"),
        ("directory", "calendar:c", {"days": {"mon": ["09:00-12:00", "11:00-13:00"]}}, "overlap"),
        ("directory", "calendar:c", {"days": {"moon": []}, "zone": "Mars/X", "holidays": ["x"]}, "no time zone"),
        ("task_definition", "t", {"colour": 1}, "'colour' is not known"),
        ("task_definition", "t@1", {}, "before a version"),
        ("task_definition", "t", {"type": "magic"}, "expected one of"),
        ("task_definition", "t", {"input_schema": {"type": "strin"}}, "input_schema.type"),
        ("task_definition", "t", {"retry": {"strategy": "hope"}}, "retry: expected one of fixed"),
        ("task_definition", "t", {"execution": {"mode": "magic"}}, "synchronous"),
        ("task_definition", "t", {"execution": {"speed": 9}}, "'speed' is not known"),
        ("task_definition", "t", {"execution": {"circuit_breaker": {"error_share": 2}}}, "at most 1"),
        ("task_definition", "t", {"assignment": {"strategy": "magic"}}, "assignment.strategy"),
        ("task_definition", "t", {"escalation": [{"to": "x"}]}, "either `after` or `after_due`"),
        ("task_definition", "t", {"sla": "soon"}, "sla"),
        ("limit", "everything", {}, "job:TYPE"),
        ("limit", "job:x", {"rate": {"max": 0}}, "rate.max"),
        ("limit", "job:x", {"batch": {"size": 0}}, "batch.size"),
    ],
)
def test_a_wrong_record_is_refused(registry, name, value, why):
    assert why in Bench().refused(c.StoreRecord(registry=registry, name=name, value=value)).message


@pytest.mark.req("TES-TSK-007", "TES-TSK-009")
def test_task_definitions_have_versions_and_give_what_the_model_leaves_open():
    b = Bench(one(service(type="charge")))
    assert (
        b.store("task_definition", "charge", retries=5, priority=80, headers={"h": "1"}, resources={"cpu": 2}, version_tag="1.0.0")[
            "version"
        ]
        == 1
    )
    assert b.store("task_definition", "charge", retries=7, retry={"strategy": "fixed", "initial_ms": 10})["version"] == 2
    b.start()
    assert (b.task().retries, b.task().priority, b.details()["definition"]) == (7, 40, {"name": "charge", "version": 2})
    old = b.create(name="x", details={"definition": "charge@1"}, job_type="charge")
    assert (b.task(old).retries, b.task(old).priority, b.task(old).headers, b.details(old)["resources"]) == (5, 80, {"h": "1"}, {"cpu": 2})
    assert "a task definition 'nothing'" in b.refused(c.CreateTask(details={"definition": "nothing"})).message


def test_no_attempt_takes_longer_than_the_definition_allows():
    b = Bench(one(service(type="charge")))
    b.store("task_definition", "charge", timeout_ms=90_000, execution={"timeout_seconds": 30}, resources={"timeout_seconds": 45})
    b.start()
    (job,) = b.lease("charge", timeout_ms=600_000)
    assert job["deadline_us"] == b.now_us + 30_000_000, "the smallest of several limits holds"
    assert b.lease("charge") == []
    b.until(MINUTE)
    (job,) = b.lease("charge", timeout_ms=10_000)
    assert job["deadline_us"] == b.now_us + 10_000_000


SCHEMA = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number", "minimum": 1}}}


@pytest.mark.req("TES-TSK-008")
def test_bad_input_is_refused_before_anybody_works_on_it():
    b = Bench(one(service(type="charge")))
    b.store("task_definition", "charge", input_schema=SCHEMA)
    assert (
        "INPUT_INVALID: amount: expected at least 1, found 0" in b.refused(c.CreateTask(job_type="charge", variables={"amount": 0})).message
    )
    b.start(amount="much")
    (incident,) = b.p.incidents.values()
    assert incident.code == "INPUT_INVALID" and not b.p.tasks
    b.do(c.SetVariables(key=b.key, variables={"amount": 5}))
    b.do(c.ResolveIncident(key=incident.key))
    assert len(b.p.tasks) == 1


@pytest.mark.req("TES-TSK-008")
def test_a_bad_result_is_refused_by_name():
    b = Bench(one(service(type="charge")))
    b.store("task_definition", "charge", output_schema=SCHEMA)
    b.start()
    (job,) = b.lease("charge")
    assert b.refused(c.CompleteTask(task=job["key"], variables={"amount": "x"})).message.startswith("OUTPUT_INVALID")
    b.do(c.CompleteTask(task=job["key"], variables={"amount": 3}))
    assert not b.p.instances


def test_a_form_s_schema_is_checked():
    b = Bench()
    task = b.create(name="x", details={"form": {"schema": SCHEMA}})
    assert "'amount' is missing" in b.refused(c.CompleteTask(task=task)).message
    b.do(c.CompleteTask(task=task, variables={"amount": 2}))

"""Due dates by working calendars, reminders, escalation over several levels, in simulated time."""

from datetime import UTC, datetime

import pytest
from workbench import HOUR, MINUTE, START_US, Bench, one, user

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.kernel.tasks import calendars

OFFICE = {
    "zone": "Europe/Berlin",
    "days": {d: ["09:00-12:00", "13:00-17:00"] for d in ("mon", "tue", "wed", "thu", "fri")},
    "holidays": ["2026-01-06"],
}


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        ("2026-01-05T08:00", 1, "2026-01-05T09:00"),  # 9 to 10 in Berlin
        ("2026-01-05T10:30", 1, "2026-01-05T12:30"),  # over the break
        ("2026-01-05T15:00", 2, "2026-01-07T09:00"),  # over the evening and a holiday
        ("2026-01-09T16:30", 1, "2026-01-12T09:00"),  # from after hours on a Friday to Monday
        ("2026-03-27T15:30", 1, "2026-03-30T07:30"),  # the clocks change over the weekend
        ("2026-01-05T08:00", 0, "2026-01-05T08:00"),
        ("2026-01-05T08:00", 7 * 5, "2026-01-12T16:00"),
    ],
)
def test_working_time(start, hours, due):
    assert calendars.add(OFFICE, us(start), hours * HOUR) == us(due)


def test_working_time_adds_up_from_any_moment():
    for minutes in range(0, 7 * 24 * 60, 97):
        start = START_US + minutes * MINUTE
        once = calendars.add(OFFICE, start, 5 * HOUR)
        assert calendars.add(OFFICE, calendars.add(OFFICE, start, 2 * HOUR), 3 * HOUR) == once
        assert once >= start + 5 * HOUR and calendars.open_at(OFFICE, once - 1)


def test_without_a_calendar_all_time_counts():
    assert calendars.add(None, START_US, HOUR) == START_US + HOUR and calendars.open_at(None, 0)


LEVELS = [
    {"after": "PT30M", "to": "group:leads"},
    {"after": "PT1H", "to": "boss", "priority": 100},
    {"after_due": "PT1H", "to": "director", "notify": True},
]


@pytest.mark.req("APG-HUM-002", "APG-TSK-002")
def test_a_path_of_three_levels_fires_at_the_set_times():
    b = Bench()
    key = b.create(name="x", details={"assignee": "ann", "settings": {"sla": "PT2H", "reminders": "PT90M,PT15M", "escalation": LEVELS}})
    assert b.details(key)["due_us"] == START_US + 2 * HOUR
    assert b.until(4 * HOUR) == [
        "+1800s TaskUpdated", "+1800s TaskEscalated", "+3600s TaskEscalated", "+6300s TaskUpdated", "+7200s SlaBreached", "+10800s TaskEscalated",
    ]  # fmt: skip
    levels = b.events(ta.TaskEscalated)
    assert [(e.details["escalation"]["level"], e.details["escalation"]["to"], e.status) for e in levels] == [
        (1, ["group:leads"], "created"), (2, ["boss"], "assigned"), (3, ["director"], "assigned"),
    ]  # fmt: skip
    assert b.details(key)["assignee"] == "boss" and b.task(key).priority == 100 and b.details(key)["candidate_groups"] == ["leads"]
    assert b.details(key)["breached_us"] == START_US + 2 * HOUR


def test_the_same_in_a_workflow_by_the_model():
    ext = (
        '<flowledger:task sla="PT2H" calendar="office"><flowledger:reminder before="PT30M"/>'
        '<flowledger:escalation afterDue="PT0S" to="group:leads"/></flowledger:task>'
    )
    b = Bench(one(user(ext)))
    b.store("directory", "calendar:office", **OFFICE)
    b.start()  # 11:00 in Berlin: an hour, the break, an hour
    assert b.until(5 * HOUR) == ["+9000s TaskUpdated", "+10800s SlaBreached", "+10800s TaskEscalated"]
    b.do(c.CompleteTask(task=b.task().key))
    assert not b.p.timers and not b.p.instances


def test_completing_withdraws_what_was_planned():
    b = Bench()
    key = b.create(name="x", details={"settings": {"sla": "PT2H", "escalation": LEVELS}})
    assert len(b.p.timers) == 4
    b.do(c.CompleteTask(task=key))
    assert not b.p.timers and b.until(5 * HOUR) == []


def test_a_new_due_date_moves_its_timers():
    b = Bench()
    key = b.create(name="x", details={"due_us": START_US + HOUR, "settings": {"reminders": ["PT10M"]}})
    b.until(HOUR)
    b.move(key, "update", due_us=START_US + 3 * HOUR, follow_up_us=START_US + 2 * HOUR)
    assert b.until(3 * HOUR) == ["+7200s TaskUpdated", "+10200s TaskUpdated", "+10800s SlaBreached"]


def test_suspending_stops_the_clock():
    b = Bench()
    key = b.create(name="x", details={"settings": {"sla": "PT2H", "escalation": LEVELS[:2]}})
    b.until(20 * MINUTE)
    b.move(key, "suspend")
    assert not b.p.timers and b.until(10 * HOUR) == []
    b.move(key, "resume")
    # 20 of 30 minutes had passed: the first level comes 10 minutes later
    assert b.until(3 * HOUR) == ["+37800s TaskEscalated", "+39600s TaskEscalated", "+43200s SlaBreached"]


def test_a_level_can_throw_a_bpmn_escalation():
    boundary = (
        '<boundaryEvent id="b" attachedToRef="t" cancelActivity="false"><escalationEventDefinition escalationRef="late"/></boundaryEvent>'
        '<sequenceFlow id="f3" sourceRef="b" targetRef="n"/><userTask id="n"><extensionElements><zeebe:userTask/></extensionElements></userTask>'
    )
    b = Bench(one(user('<flowledger:task><flowledger:escalation after="PT1H" code="LATE"/></flowledger:task>'), boundary))
    b.start()
    b.until(HOUR)
    assert sorted(t.element for t in b.p.tasks.values()) == ["n", "t"]


@pytest.mark.req("D-API-022")
def test_escalating_by_hand_follows_the_path_and_the_timer_does_not_repeat_it():
    b = Bench()
    key = b.create(name="x", details={"assignee": "ann", "settings": {"escalation": LEVELS[:2]}})
    b.move(key, "escalate", "ann", "too hard")
    assert b.details(key)["escalation"] == {"level": 1, "to": ["group:leads"], "from": "ann", "notify": False, "at_us": b.now_us}
    assert b.until(2 * HOUR) == ["+3600s TaskEscalated"]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"sla": "P1M"}, "months"),
        ({"reminders": ["soon"]}, "reminders"),
        ({"escalation": [{"after": "PT1H"}]}, "expected `to`, `code` or `notify`"),
        ({"escalation": [{"after": "PT1H", "after_due": "PT1H", "to": "x"}]}, "either"),
        ({"assignment": {"strategy": "best"}}, "strategy"),
        ({"assignment": {"timeout": "1h"}}, "timeout"),
        ("text", "an object"),
    ],
)
def test_wrong_settings_are_refused(settings, why):
    assert why in Bench().refused(c.CreateTask(name="x", details={"settings": settings})).message


def test_wrong_settings_of_a_model_are_findings():
    made = Bench().ask(c.Deploy(resources=[c.Resource("m.bpmn", one(user('<flowledger:task sla="soon" strategy="best"/>')))]))
    assert "TASK_SETTINGS" in made.message and "sla" in made.message and "strategy" in made.message

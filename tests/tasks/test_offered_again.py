"""A task that found nobody is offered again when something changes that could help (APG-ASG-001); fallbacks and load of the assignee's own record."""

from __future__ import annotations

import pytest
from workbench import HOUR, MINUTE, SECOND, Bench, one, user

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.kernel import Partition
from flowledger.kernel.checkpoint import Mark, fingerprint, restore
from flowledger.kernel.tasks import again as again_
from flowledger.kernel.tasks import index
from flowledger.kernel.undo import roll_back

pytestmark = pytest.mark.req("APG-ASG-001", "D-ASG-003")


def keys(b: Bench) -> list[int]:
    """Of the tasks that wait for somebody, in the order in which they are offered."""
    return [t.key for t in index.unassigned(b.p)]


def waiting(b: Bench, **assignment: object) -> int:
    """A task that finds nobody."""
    key = b.create(name="x", details={"settings": {"assignment": assignment or {"groups": ["clerks"]}}})
    assert b.details(key).get("assignee") is None and keys(b) == [key]
    return key


def who(b: Bench, key: int) -> str | None:
    return b.details(key).get("assignee")


BUSY = {"groups": ["clerks"], "max_concurrent": 1}


def busy() -> tuple[Bench, int, int]:
    """Ann holds as many tasks as she may, and one more waits."""
    b = Bench()
    b.store("directory", "user:ann", **BUSY)
    held = b.create(name="first", details={"settings": {"assignment": {"groups": ["clerks"]}}})
    return b, held, waiting(b)


@pytest.mark.parametrize(
    "frees",
    [
        lambda b, held: b.do(c.CompleteTask(task=held)),
        lambda b, held: b.move(held, "cancel"),
        lambda b, held: b.move(held, "skip"),
        lambda b, held: b.move(held, "transfer", assignee="somebody"),
        lambda b, held: b.move(held, "delegate", assignee="somebody"),
        lambda b, held: b.store("directory", "user:ann", groups=["clerks"], max_concurrent=2),
        lambda b, held: b.store("directory", "user:bob", groups=["clerks"]),
        lambda b, held: b.store("directory", "group:clerks", description="Clerks") and b.do(c.CompleteTask(task=held)),
    ],
    ids="complete cancel skip transfer delegate capacity newcomer group".split(),
)
def test_somebody_is_freed_or_comes(frees):
    b, held, key = busy()
    frees(b, held)
    assert who(b, key) in ("ann", "bob") and not b.p.unassigned
    assert any(e.reason.startswith("offered again") for e in b.events(ta.TaskAssigned))


def test_what_does_not_help_changes_nothing():
    b, held, key = busy()
    other = b.create(name="other", details={"assignee": "zoe"})
    b.do(c.CompleteTask(task=other))
    b.store("directory", "user:dan", groups=["drivers"])
    assert who(b, key) is None and keys(b) == [key]


def test_the_most_urgent_first():
    b, held, low = busy()
    b.do(c.CreateTask(name="urgent", priority=100, details={"settings": {"assignment": {"groups": ["clerks"]}}}))
    urgent = max(b.p.tasks)
    b.do(c.CompleteTask(task=held))
    assert who(b, urgent) == "ann" and who(b, low) is None


@pytest.mark.parametrize(
    ("record", "change"),
    [
        ({"active": False}, {"active": True}),
        ({"capabilities": []}, {"capabilities": ["sql"]}),
        ({"capabilities": ["sql"], "capabilities_down": ["sql"]}, {"capabilities": ["sql"]}),
    ],
)
def test_a_record_changes(record, change):
    b = Bench()
    b.store("directory", "user:ann", groups=["clerks"], **record)
    key = waiting(b, groups=["clerks"], required_capabilities=["sql"] if "capabilities" in record else [])
    b.store("directory", "user:ann", groups=["clerks"], **change)
    assert who(b, key) == "ann"


def test_somebody_comes_on_duty():
    b = Bench()
    b.store(
        "directory", "calendar:office", zone="UTC", days={d: ["18:00-22:00"] for d in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    )
    b.store("directory", "user:ann", groups=["clerks"], calendar="office")
    key = waiting(b)
    b.until(7 * HOUR)
    assert who(b, key) is None
    b.until(2 * HOUR)
    assert who(b, key) == "ann"


CLERKS = {"groups": ["clerks"]}
OF_A_MODEL = user('<flowledger:task strategy="first" groups="clerks"/>')


def of_instance() -> tuple[Bench, int, int]:
    """Ann holds as many tasks as she may; the task of an instance waits."""
    b = Bench(one(OF_A_MODEL))
    b.store("directory", "user:ann", **BUSY)
    held = b.create(name="x", details={"settings": {"assignment": CLERKS}})
    b.start()
    key = max(b.p.tasks)
    assert who(b, held) == "ann" and keys(b) == [key]
    return b, held, key


@pytest.mark.parametrize(
    ("stop", "go"),
    [
        (
            lambda b, key: b.do(c.ControlInstance(key=b.key, move="suspend")),
            lambda b, key: b.do(c.ControlInstance(key=b.key, move="resume")),
        ),
        (
            lambda b, key: b.do(c.ControlInstance(key=b.key, move="pause")),
            lambda b, key: b.do(c.ControlInstance(key=b.key, move="unpause")),
        ),
        (lambda b, key: b.move(key, "suspend"), lambda b, key: b.move(key, "resume")),
    ],
    ids=["instance suspended", "instance paused", "task suspended"],
)
def test_what_came_while_it_stood_still(stop, go):
    b, held, key = of_instance()
    stop(b, key)
    b.do(c.CompleteTask(task=held))
    assert who(b, key) is None
    go(b, key)
    assert who(b, key) == "ann"


@pytest.mark.parametrize(
    "ends",
    [
        lambda b, first: b.do(c.CancelInstance(key=first.instance)),
        lambda b, first: b.do(c.ModifyInstance(key=first.instance, terminate=[first.token])),
        lambda b, first: b.until(HOUR - 30 * SECOND),
        lambda b, first: b.move(first.key, "refuse", actor="ann"),
    ],
    ids=["instance cancelled", "token terminated", "interrupted by a timer", "refused"],
)
def test_a_task_goes_with_its_token(ends):
    late = '<boundaryEvent id="hour" attachedToRef="t"><timerEventDefinition><timeDuration>PT1H</timeDuration></timerEventDefinition></boundaryEvent>'
    b = Bench(one(OF_A_MODEL, late))
    b.store("directory", "user:ann", **BUSY)
    b.start()
    first = b.task(max(b.p.tasks))
    b.until(MINUTE)
    b.start()
    key = max(b.p.tasks)
    assert who(b, first.key) == "ann" and who(b, key) is None
    ends(b, first)
    assert who(b, key) == "ann"


@pytest.mark.parametrize("asked", [{}, {"timeout": "PT5M"}], ids=["refused", "not begun in time"])
def test_nobody_else_was_there(asked):
    """Not again to who had it; to who comes."""
    b = Bench()
    b.store("directory", "user:ann", **CLERKS)
    key = b.create(name="x", details={"settings": {"assignment": {**CLERKS, **asked}}})
    if asked:
        b.until(6 * MINUTE)
    else:
        b.move(key, "refuse", actor="ann")
    b.store("directory", "user:ann", **CLERKS, capabilities=["x"])
    assert who(b, key) is None and "nobody else is eligible" in b.details(key)["assignment"]["why"]
    b.store("directory", "user:bob", **CLERKS)
    assert who(b, key) == "bob"


@pytest.mark.parametrize(
    ("needs", "record"),
    [
        ({"required_permissions": ["sign"]}, {"permissions": ["sign"]}),
        ({"place": "rome"}, {"place": "rome"}),
        ({"resources": {"cpu": 4}}, {"resources": {"cpu": 8}}),
        ({"required_capabilities": ["sql:3"]}, {"capabilities": {"sql": 3}}),
        ({"kind": "ai_agent"}, {"kind": "ai_agent"}),
    ],
)
@pytest.mark.parametrize("relayed", [False, True], ids=["here", "stored on another partition"])
def test_each_constraint_may_be_met_later(needs, record, relayed):
    b = Bench()
    b.store("directory", "user:ann", **CLERKS)
    key = waiting(b, **CLERKS, **needs)
    b.do(c.StoreRecord(registry="directory", name="user:ann", value={**CLERKS, **record}, relayed=relayed))
    assert who(b, key) == "ann"


def test_the_record_of_the_preferred_one_names_another():
    b = Bench()
    b.store("directory", "user:bob")
    b.store("directory", "user:ann", active=False)
    key = waiting(b, assignee="ann", users=["ann"])
    b.store("directory", "user:ann", active=False, fallback=["bob"])
    assert who(b, key) == "bob"


@pytest.mark.parametrize(
    "change", [{"days": {d: ["00:00-23:59"] for d in ("mon", "tue", "wed", "thu", "fri")}}, None], ids=["opens", "gone"]
)
def test_a_calendar_changes(change):
    b = Bench()
    b.store("directory", "calendar:office", zone="UTC", days={"sun": ["00:00-01:00"]})
    b.store("directory", "user:ann", **CLERKS, calendar="office")
    key = waiting(b)
    b.do(c.StoreRecord(registry="directory", name="calendar:office", value=change and {"zone": "UTC", **change}))
    assert who(b, key) == "ann"


def test_a_tenant_s_own_record_goes():
    b = Bench()
    b.store("directory", "user:ann", **CLERKS)
    b.store("directory", "acme/user:ann", **CLERKS, active=False)
    key = b.do(c.CreateTask(name="x", details={"settings": {"assignment": CLERKS}}), tenant="acme")["task"]
    assert who(b, key) is None
    b.do(c.StoreRecord(registry="directory", name="acme/user:ann", value=None))
    assert who(b, key) == "ann"


def test_they_wait_by_urgency_then_age_also_after_another_priority_a_refusal_and_a_checkpoint():
    b = Bench()
    made = [b.create(name="x", priority=p, details={"settings": {"assignment": CLERKS}}) for p in (40, 80, 40, 5)]
    assert keys(b) == [made[1], made[0], made[2], made[3]]
    b.move(made[3], "update", priority=80)
    assert keys(b) == [made[1], made[3], made[0], made[2]]
    b.move(made[1], "update", priority=40)
    assert keys(b) == [made[3], *made[:3]]
    b.p.undo = []
    index.unheld(b.p, b.p.tasks[made[3]])
    index.unheld(b.p, b.p.tasks[made[1]])
    assert keys(b) == [made[0], made[2]]
    roll_back(b.p)
    b.p.undo = None
    assert keys(b) == [made[3], *made[:3]]
    again = Partition(0, 1)
    restore(again, {k: v for k, v in fingerprint(b.p).items() if v is not None}, Mark(end=0, chain=b"", source=0, live=0, meta=b.p.meta))
    assert [t.key for t in index.unassigned(again)] == keys(b)


def test_one_who_is_freed_costs_a_look_at_the_first_tasks_however_many_wait(monkeypatch):
    b, looked = Bench(), []
    held = b.create(name="y", details={"assignee": "bob"})
    made = [b.create(name="x", details={"settings": {"assignment": {"users": ["zoe"]}}}) for _ in range(30)]
    monkeypatch.setattr(again_, "FOR_ONE", 10)
    monkeypatch.setattr(again_, "_helps", lambda d, task, *_: looked.append(task.key))
    b.do(c.CompleteTask(task=held))
    assert looked == made[:10]


def test_a_task_that_ends_waits_no_more():
    b, held, key = busy()
    b.move(key, "cancel")
    assert not b.p.unassigned
    b.do(c.CompleteTask(task=held))


# --- what the assignee's record says ----------------------------------------------------------------------------------


def test_the_fallbacks_of_the_preferred_one_s_record():
    b = Bench()
    b.store("directory", "user:ann", active=False, fallback=["bob", "cy"])
    b.store("directory", "user:bob", active=False)
    b.store("directory", "user:cy")
    key = b.create(name="x", details={"settings": {"assignment": {"assignee": "ann", "users": ["ann"]}}})
    assert who(b, key) == "cy"


def test_a_record_that_names_a_stand_in_while_its_own_person_is_full():
    b = Bench()
    b.store("directory", "user:ann", max_concurrent=1)
    b.store("directory", "user:bob")
    settings = {"settings": {"assignment": {"assignee": "ann", "users": ["ann"]}}}
    first, second = (b.create(name="x", details=settings) for _ in range(2))
    assert who(b, first) == "ann" and not who(b, second)
    b.store("directory", "user:ann", max_concurrent=1, fallback=["bob"])
    assert who(b, second) == "bob"


def test_the_fallbacks_of_who_refuses():
    b = Bench()
    b.store("directory", "user:ann", fallback=["bob"])
    b.store("directory", "user:bob")
    b.store("directory", "user:eve")
    key = b.create(name="x", details={"assignee": "ann"})
    b.move(key, "refuse", actor="ann")
    assert who(b, key) == "bob"


def test_load_balancing_of_a_record():
    b = Bench()
    b.store("directory", "user:ann", groups=["clerks"], load_balancing={"max_concurrent": 1})
    first = b.create(name="x", details={"settings": {"assignment": {"groups": ["clerks"]}}})
    key = waiting(b)
    assert who(b, first) == "ann" and "at most 1" in str(b.details(key)["assignment"]["excluded"])
    assert "load_balancing" in b.refused(c.StoreRecord(registry="directory", name="user:bob", value={"load_balancing": {"x": 1}})).message

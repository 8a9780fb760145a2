"""A task that found nobody is offered again when something changes that could help (APG-ASG-001); fallbacks and load of the assignee's own record."""

from __future__ import annotations

import pytest
from workbench import HOUR, Bench

from flowledger.events import commands as c
from flowledger.events import task as ta

pytestmark = pytest.mark.req("APG-ASG-001", "D-ASG-003")


def waiting(b: Bench, **assignment: object) -> int:
    """A task that finds nobody."""
    key = b.create(name="x", details={"settings": {"assignment": assignment or {"groups": ["clerks"]}}})
    assert b.details(key).get("assignee") is None and b.p.unassigned == {key: None}
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
    assert who(b, key) is None and b.p.unassigned == {key: None}


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

"""Ended instances are removed from the views, alone and by batches: those that go on are not, whoever takes over meanwhile."""

import random

import pytest
from test_batches import World, in_order

from flowledger.events import batch as ba
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import operations as op
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected
from flowledger.kernel import checkpoint


def test_one_that_has_ended_and_no_other():
    w = World(2)
    key = next(k for k in w.start(4) if c.partition_of_key(k) == 1)
    refused = w.ask(1, co.RemoveFromViews(key=key))
    assert isinstance(refused, Rejected) and refused.code == "INVALID_STATE" and "has not ended" in refused.message, refused
    w.ask(1, c.ControlInstance(key=key, move="suspend"))
    assert "it is suspended" in w.ask(1, co.RemoveFromViews(key=key)).message
    assert w.ask(1, co.RemoveFromViews(key=key), tenant="b").code == "NOT_FOUND", "a stranger's isn't there"
    w.ask(1, c.CancelInstance(key=key, force=True))
    before = checkpoint.fingerprint(w.parts[1])
    assert w.ask(1, co.RemoveFromViews(key=key), plan=c.DRY_RUN)["counts"] is not None and not w.events(wf.WorkflowRemovedFromViews)
    assert w.ask(1, co.RemoveFromViews(key=key, reason="the law"), actor="eve") == {"key": key}
    told = [(e, v.actor) for e, v in w.log[1] if isinstance(e, wf.WorkflowRemovedFromViews)]
    assert told == [(wf.WorkflowRemovedFromViews(key=key, reason="the law"), "eve")]
    asked = [e for e in w.events(op.OperationAsked) if e.operation == "remove_from_views"]
    assert [(e.kind, e.subject, e.instance, e.reason) for e in asked] == [("instance", str(key), key, "the law")]
    assert checkpoint.fingerprint(w.parts[1]) != "" and before is not None and key not in w.parts[1].instances
    # what was never given, or is another partition's, isn't there
    for wrong in (key + 1_000_000, key & ((1 << c.PARTITION_BITS) - 1), 1 << c.PARTITION_BITS, 0, -5):
        assert w.ask(1, co.RemoveFromViews(key=wrong)).code == "NOT_FOUND", wrong


@pytest.mark.parametrize(("home", "rate"), [(0, 0), (1, 0), (0, 100_000)])
def test_a_batch_of_which_nothing_is_there_comes_to_its_end(home, rate):
    """No result of another partition brings it on."""
    w = World(2)
    keys = [(k % 2 << c.PARTITION_BITS) + 1 + k // 2 for k in range(5_000)]
    batch = w.batch("delete", keys, home=home, rate=rate, chunk=1_000, missing=set(keys))
    w.settle()
    assert set(w.outcomes(batch).values()) == {("skipped", "NOT_FOUND")} and len(w.outcomes(batch)) == 5_000
    [why] = [e for e in w.events(ba.BatchItemsDone) if "0" in (e.why or {})]
    assert why.why["0"] == ["NOT_FOUND", "expected an ended instance with key 1, found none"]
    w.check_empty()


def test_while_everything_is_held_what_has_ended_is_removed_all_the_same():
    w = World(1)
    [key] = w.start(1)
    w.ask(0, c.CancelInstance(key=key))
    w.ask(0, c.PlaceHold(scope="tenant", subject="*"))
    assert w.ask(0, co.RemoveFromViews(key=key)) == {"key": key}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.req("D-API-019")
def test_by_a_batch_each_once_whoever_takes_over(seed):
    rng = random.Random(seed)
    n = rng.choice([1, 2, 4])
    w = World(n, seed, crashes=rng.choice([0.05, 0.3, 1.0]))
    keys = w.start(rng.randint(1, 60))
    ended = set(rng.sample(keys, len(keys) // 2))
    for key in ended:
        w.ask(c.partition_of_key(key), c.CancelInstance(key=key))
    ghosts = [(rng.randrange(n) << c.PARTITION_BITS) + 500_000 + k for k in range(rng.randint(0, 20))]
    # what no owner can tell from an instance that has ended: a stranger's, one that is deleted already, a task's key; its door knows
    unknown = set(rng.sample(sorted(ended), len(ended) // 3)) if rng.random() < 0.7 else set(ended)
    items = in_order([*keys, *ghosts])
    batch = w.batch("delete", items, home=rng.randrange(n), rate=rng.choice([0, 300]), missing=unknown)
    w.settle()
    found = w.outcomes(batch)
    for number, key in enumerate(items):
        gone = key in ghosts or key in unknown
        expected = ("skipped", "NOT_FOUND") if gone else ("succeeded", "") if key in ended else ("failed", "INVALID_STATE")
        assert found[number] == expected, (number, key)
    assert sorted(e.key for e in w.events(wf.WorkflowRemovedFromViews)) == sorted(ended - unknown)
    assert all(v.cause == f"batch:{batch}" for log in w.log for e, v in log if isinstance(e, wf.WorkflowRemovedFromViews))
    w.check_empty()

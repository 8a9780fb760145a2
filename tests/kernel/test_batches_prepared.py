"""Roll-backs by a batch: a door brings what each item needs; each is done once, whichever door dies, whoever takes over, whatever is brought twice."""

import random

import msgspec
import pytest
from test_batches import World, in_order, words

from flowledger.events import batch as ba
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import ledger as le
from flowledger.events import operations as op
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected
from flowledger.kernel import checkpoint, limits
from flowledger.kernel.batches import items as its
from flowledger.kernel.stored import encode_state

STEPS = "startEvent s\nserviceTask a\nserviceTask b\nendEvent e\ns > a > b > e"


class Door:
    """What a door does: it has folded how each instance was, asks for what is next, and brings it."""

    def __init__(self, w, batch, images, seed=0):
        self.w, self.batch, self.images = w, batch, images
        self.home = c.partition_of_key(batch)
        self.rng = random.Random(seed)
        self.at, self.ready = 0, []

    def item(self, key):
        image = self.images.get(key)
        return (
            [key, {"image": image, "position": "0-5"}]
            if image is not None
            else [key, None, "NOT_FOUND", f"expected a running instance with key {key}"]
        )

    def turn(self, items=None):
        """It brings what it has, and looks up what it hears to be next."""
        return self.brought(
            self.w.ask(
                self.home, co.PrepareBatchItems(batch=self.batch, at=self.at, items=self.ready if items is None else items), rights=["*"]
            )
        )

    def brought(self, answer):
        if isinstance(answer, dict):
            self.at, self.ready = answer["next"], [self.item(k) for k in answer["items"]]
        return answer

    def until_end(self, most=5_000):
        for _ in range(most):
            answer = self.turn()
            if isinstance(answer, Rejected):
                assert answer.code == "NOT_FOUND", answer
                return
            if answer["wait_ms"] or not answer["items"]:
                if self.w.later or any(self.w.queues.values()):
                    self.w.one()
                else:
                    self.w.now_us += max(1, answer["wait_ms"]) * 1_000
        raise AssertionError("it does not end")


def gone_on(w, count):
    """Instances at `b`, and the state of each as it stood at `a`."""
    keys, images = w.start(count), {}
    for key in keys:
        p = w.parts[c.partition_of_key(key)]
        images[key] = msgspec.json.decode(encode_state(checkpoint.image(p, p.instances[key])))
    for key in keys:
        k = c.partition_of_key(key)
        [task] = [t.key for t in w.parts[k].tasks.values() if t.instance == key]
        assert isinstance(w.ask(k, c.CompleteTask(task=task)), dict)
    w.settle()
    return keys, images


def at(w, key):
    i = w.parts[c.partition_of_key(key)].instances.get(key)
    return [t.element for t in i.tokens.values()] if i is not None else []


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.req("D-API-009")
def test_each_is_as_it_was_and_who_asked_stands_with_it(n):
    w = World(n, 0, STEPS)
    keys, images = gone_on(w, 4 * n + 3)
    made = w.ask(0, co.CreateBatch(action="roll_back", total=len(keys), params={"steps": 1}, reason="a wrong rate"), actor="ada")
    w.ask(0, co.AddBatchItems(batch=made["key"], at=0, items=in_order(keys)), actor="ada")
    w.settle()
    assert not w.outcomes(made["key"]) and w.parts[0].batches[made["key"]].next == 0, "it waits for a door"
    assert {e for k in keys for e in at(w, k)} == {"b"}
    Door(w, made["key"], images).until_end()
    w.settle()
    assert words(w.outcomes(made["key"])) == ["succeeded"] * len(keys) and w.ended(made["key"]).status == "completed"
    assert {e for k in keys for e in at(w, k)} == {"a"}
    told = [(e.key, e.reason, v.actor, v.cause) for log in w.log for e, v in log if isinstance(e, wf.WorkflowRolledBack)]
    assert sorted(told) == [(k, "a wrong rate", "ada", f"batch:{made['key']}") for k in sorted(keys)]
    asked = [e for e in w.events(op.OperationAsked) if e.operation == "roll_back_instance"]
    assert len(asked) == len(keys) and {e.door for e in asked} == {"batch"}
    assert not [e for e in w.events(op.OperationAsked) if "prepare" in e.operation], "a door's part is no operation"
    w.check_empty()


@pytest.mark.parametrize("n", [1, 3])
def test_what_cannot_be_prepared_or_restored_says_why(n):
    w = World(n, 0, STEPS)
    keys, images = gone_on(w, 6)
    keys = in_order(keys)
    w.ask(c.partition_of_key(keys[0]), c.CancelInstance(key=keys[0]))  # meanwhile
    del images[keys[1]]
    images[keys[2]] = {"no": "state"}
    images[keys[3]] = images[keys[4]]  # another's
    batch = w.batch("roll_back", keys, steps=1)
    Door(w, batch, images).until_end()
    w.settle()
    found = w.outcomes(batch)
    assert [found[k] for k in range(6)] == [
        ("skipped", "NOT_FOUND"), ("skipped", "NOT_FOUND"), ("failed", "INVALID_ARGUMENT"), ("failed", "INVALID_ARGUMENT"), ("succeeded", ""), ("succeeded", ""),
    ]  # fmt: skip
    assert w.ended(batch).status == "partial" and [at(w, k) for k in keys[1:]] == [["b"], ["b"], ["b"], ["a"], ["a"]]
    w.check_empty()


def test_what_a_door_may_not_bring():
    w = World(2, 0, STEPS)
    keys, images = gone_on(w, 4)
    keys = in_order(keys)
    batch = w.batch("roll_back", keys, steps=1)
    door = Door(w, batch, images)
    for command, code, text in (
        (co.PrepareBatchItems(batch=batch, at=1, items=[door.item(keys[1])]), "INVALID_STATE", "from number 0 on"),
        (co.PrepareBatchItems(batch=batch, items=[door.item(keys[1])]), "INVALID_ARGUMENT", f"expected item {keys[0]} next"),
        (co.PrepareBatchItems(batch=batch, items=[[keys[0]]]), "INVALID_ARGUMENT", "expected [key"),
        (co.PrepareBatchItems(batch=batch, items=[7]), "INVALID_ARGUMENT", "expected [key"),
        (co.PrepareBatchItems(batch=batch, items=[["x", None]]), "INVALID_ARGUMENT", "expected [key"),
        (co.PrepareBatchItems(batch=batch, items=[door.item(keys[0])] * (limits.BATCH_PREPARE_MAX + 1)), "INVALID_ARGUMENT", "at most 10"),
        (co.PrepareBatchItems(batch=batch, items=[[keys[0], "x" * limits.BATCH_PREPARED_BYTES_MAX]]), "INVALID_ARGUMENT", "bytes"),
        (co.PrepareBatchItems(batch=77), "NOT_FOUND", "a batch that has not ended"),
    ):
        refused = w.ask(0, command)
        assert isinstance(refused, Rejected) and refused.code == code and text in refused.message, refused
    assert w.ask(0, co.PrepareBatchItems(batch=batch), tenant="b").code == "NOT_FOUND"
    other = w.batch("suspend", [*keys, *((1 << c.PARTITION_BITS) + 900_000 + k for k in range(200))])
    assert "need nothing" in w.ask(0, co.PrepareBatchItems(batch=other)).message
    assert not w.outcomes(batch) and w.parts[0].batches[batch].next == 0
    for wrong in ({}, {"steps": 1, "undo": True}, {"steps": 0}, {"to": ""}, {"undo": False}, {"steps": 1, "force": 1}):
        refused = w.ask(0, co.CreateBatch(action="roll_back", total=1, params=wrong))
        assert isinstance(refused, Rejected) and "params" in refused.message, wrong
    door.until_end()
    w.settle()
    w.check_empty()


def test_at_most_a_record_of_one_for_each_partition_is_under_way_and_a_rate_is_kept():
    w = World(5, 0, STEPS)
    keys, images = gone_on(w, 40)
    batch = w.batch("roll_back", keys, steps=1)
    door = Door(w, batch, images)
    door.turn()
    assert len(door.ready) == 5
    door.turn()
    b = w.parts[0].batches[batch]
    assert b.next == 5 and len(b.in_hand) == 4, "the home's own is done at once"
    sizes = [
        len(r.items)
        for e in w.events(le.Outbound)
        if isinstance(r := msgspec.json.decode(e.command, type=c.Request).command, co.DoBatchItems)
    ]
    assert set(sizes) == {1}
    door.until_end()
    w.settle()
    assert w.ended(batch).succeeded == 40
    w = World(2, 0, STEPS)
    keys, images = gone_on(w, 30)
    batch = w.batch("roll_back", keys, rate=10, steps=1)
    began = w.now_us
    Door(w, batch, images).until_end(100_000)
    w.settle()
    assert w.ended(batch).succeeded == 30 and 2.8 <= (w.now_us - began) / 1e6 <= 4.5


def test_one_decision_does_no_more_than_it_has_room_for(monkeypatch):
    w = World(1, 0, STEPS)
    keys, images = gone_on(w, 9)
    batch = w.batch("roll_back", keys, steps=1)
    monkeypatch.setattr(its, "full", lambda d: True)
    door = Door(w, batch, images)
    door.turn()
    door.turn()
    assert w.parts[0].batches[batch].next == 1, "one, and the door brings the others again"
    door.until_end()
    assert w.ended(batch).succeeded == 9
    w.check_empty()


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.req("D-API-009")
def test_each_once_whichever_door_dies_and_whoever_takes_over(seed):
    rng = random.Random(seed)
    n = rng.choice([1, 2, 4])
    w = World(n, seed, STEPS, crashes=rng.choice([0.05, 0.3, 1.0]))
    keys, images = gone_on(w, rng.randint(1, 30))
    ghosts = [(rng.randrange(n) << c.PARTITION_BITS) + 500_000 + k for k in range(rng.randint(0, 10))]
    gone = set(rng.sample(keys, len(keys) // 4))
    for key in gone:
        w.ask(c.partition_of_key(key), c.CancelInstance(key=key))
    batch = w.batch("roll_back", [*keys, *ghosts], home=rng.randrange(n), rate=rng.choice([0, 0, 400]), steps=1)
    home = c.partition_of_key(batch)
    doors = [Door(w, batch, images, seed) for _ in range(2)]
    abort = rng.random() < 0.25
    for _ in range(20_000):
        p = rng.random()
        if p < 0.35:
            door = rng.choice(doors)
            before = (door.at, door.ready)
            answer = door.turn()
            if isinstance(answer, dict) and answer["wait_ms"]:
                w.now_us += 1_000
            if rng.random() < 0.2:  # it doesn't hear the answer, and brings the same again; the other one may have gone on
                door.at, door.ready = before
            if rng.random() < 0.1:  # it dies, and knows nothing
                door.at, door.ready = 0, []
        elif p < 0.38:
            w.ask(home, co.ControlBatch(batch=batch, move=rng.choice(["pause", "resume"])))
        elif p < 0.381 and abort:
            w.ask(home, co.ControlBatch(batch=batch, move="abort"))
        elif not w.one() and batch not in w.parts[home].batches:
            break
    else:
        w.ask(home, co.ControlBatch(batch=batch, move="resume"))
        doors[0].until_end()
    w.settle()
    found, items = w.outcomes(batch), in_order([*keys, *ghosts])
    aborted = bool(w.events(ba.BatchAborted))
    rolled = [e.key for e in w.events(wf.WorkflowRolledBack)]
    assert len(rolled) == len(set(rolled)), "each once"
    done = {items[k] for k, (outcome, _) in found.items() if outcome == "succeeded"}
    assert done == set(rolled) and (aborted or set(found) == set(range(len(items))))
    for number, key in enumerate(items):
        if number in found:
            assert found[number] == (("skipped", "NOT_FOUND") if key in gone or key in ghosts else ("succeeded", "")), (number, key)
    for key in set(keys) - gone:
        assert at(w, key) == (["a"] if key in done else ["b"])
    assert w.ended(batch).status == ("aborted" if aborted else "completed")
    w.check_empty()


def test_items_that_a_timer_or_a_result_sends_on_are_asked_by_who_began_the_batch():
    for rate in (0, 200):
        w = World(2, 0, STEPS)
        keys = w.start(120)
        made = w.ask(0, co.CreateBatch(action="suspend", total=len(keys), rate=rate), actor="ada", correlation="c7")
        w.ask(0, co.AddBatchItems(batch=made["key"], at=0, items=in_order(keys)), actor="ada")
        w.settle()
        said = [(v.actor, v.cause) for log in w.log for e, v in log if isinstance(e, wf.WorkflowSuspended)]
        assert said == [("ada", f"batch:{made['key']}")] * len(keys), rate

"""Batches on one partition and on several: each item once, whatever arrives twice, whoever takes over, whatever is paused or aborted meanwhile."""

import random

import msgspec
import pytest
from notation import bpmn
from scenario import Resources

from flowledger.events import batch as ba
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import ledger as le
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Broken, Rejected
from flowledger.events.group import Place
from flowledger.kernel import checkpoint, limits
from flowledger.kernel.batches import actions, home
from flowledger.kernel.decide import decide, record_broken
from flowledger.kernel.decision import Facts
from flowledger.kernel.fold import evolve
from flowledger.kernel.state import Partition
from flowledger.kernel.stored import decode_state

_request = msgspec.json.Decoder(c.Request)
WORK = "startEvent s\nserviceTask t\nendEvent e\ns > t > e"
PERSON = "process human {\nstartEvent hs\nuserTask u\nendEvent he\nhs > u > he\n}"


class World:
    """Partitions, the sends between them, and a clock. `crashes`: how often, of each step, an owner is replaced by one that has only what is kept."""

    def __init__(self, n, seed=0, *models, crashes=0.0):
        self.rng, self.crashes = random.Random(seed), crashes
        self.library = Resources()
        self.parts = [Partition(k, n) for k in range(n)]
        self.log = [[] for _ in range(n)]
        self.queues = {}
        self.later = []
        self.now_us = 1_000_000
        files = [c.Resource(f"m{k}.bpmn", bpmn(m)) for k, m in enumerate(models or (WORK, PERSON))]
        self.ask(0, c.Deploy(resources=files))
        self.settle()

    def facts(self, p):
        return Facts(
            self.now_us,
            self.library.processes(p),
            self.library.decisions(p),
            self.library.read,
            forms=self.library.forms(p),
            triggers=self.library.triggers(p),
        )

    def step(self, k, request):
        self.now_us += 10
        p = self.parts[k]
        d = decide(p, request, self.facts(p))
        if isinstance(d, Rejected):
            return d
        if isinstance(d, Broken):
            d = record_broken(p, request, self.facts(p), d)
        for e, envelope in zip(d.events, d.envelopes, strict=True):
            self.log[k].append((e, envelope))
            if isinstance(e, le.Outbound):
                self.queues.setdefault((k, e.to), []).append(_request.decode(e.command))
        self.later += [(k, c.Request(command=command)) for command in d.later]
        if self.rng.random() < self.crashes:
            self.crash(k)
        return d.answer

    def crash(self, k):
        """Somebody else takes over: by half of the times from a checkpoint, else from the log."""
        p = self.parts[k]
        fresh = Partition(k, len(self.parts))
        if self.rng.random() < 0.5:
            for e, envelope in self.log[k]:
                evolve(fresh, e, envelope)
        else:
            standing = checkpoint.Standing()
            standing.stale = True
            place = Place(p.meta.epoch, p.meta.owner, b"", 0, 0, 0, 1)
            entries = standing.next(p, ())
            standing.take(entries)
            mark = decode_state(checkpoint.mark(p, place, standing), checkpoint.Mark)
            assert max((len(v) for _, v in entries if v), default=0) < 1_000_000, "no record is large"
            checkpoint.restore(fresh, {key: v for key, v in entries if v is not None}, mark)
        assert checkpoint.fingerprint(fresh) == checkpoint.fingerprint(p), "what is kept is the state"
        self.parts[k] = fresh

    def ask(self, k, command, **more):
        answer = self.step(k, c.Request(command=command, **more))
        return answer

    def due(self):
        found = [(t.due_us, k, t.key) for k, p in enumerate(self.parts) for t in p.timers.values() if t.element.startswith("batch:")]
        return min((x for x in found if not self.is_collecting(x[1], x[2])), default=None)

    def is_collecting(self, k, timer):
        p = self.parts[k]
        return any(b.timer == timer and b.status != "running" for b in p.batches.values())

    def one(self):
        """One thing happens; False: nothing is left that could."""
        live = [q for q in self.queues.items() if q[1]]
        if self.later:
            self.step(*self.later.pop(0))
            return True
        timer = self.due()
        if timer is not None and (not live or timer[0] <= self.now_us):
            self.now_us = max(self.now_us, timer[0])
            self.step(timer[1], c.Request(command=c.FireTimers(timers=[timer[2]])))
            return True
        if not live:
            return False
        (_, to), queue = self.rng.choice(live)
        request = queue.pop(0)
        assert not isinstance(self.step(to, request), Rejected)
        if self.rng.random() < 0.2:  # a send that comes twice changes nothing
            assert isinstance(self.step(to, request), Rejected)
        return True

    def settle(self):
        while self.one():
            pass

    # --- batches

    def start(self, count, id="p"):
        n = len(self.parts)
        keys = [self.ask(k % n, c.StartInstance(id=id, variables={"n": k}))["key"] for k in range(count)]
        self.settle()
        return keys

    def batch(self, action, keys, home=0, rate=0, chunk=7, missing=(), **params):
        """Made and filled; its key. `missing`: those that its door knows not to be there."""
        keys = in_order(keys)
        made = self.ask(home, co.CreateBatch(action=action, total=len(keys), params=params or None, rate=rate, reason="why not"))
        assert isinstance(made, dict), made
        for at in range(0, len(keys), chunk):
            some = keys[at : at + chunk]
            command = co.AddBatchItems(batch=made["key"], at=at, items=some, missing=[k for k in some if k in missing])
            assert isinstance(self.ask(home, command), dict)
            if self.rng.random() < 0.3:
                assert isinstance(self.ask(home, command), dict | Rejected), "sent again"
        return made["key"]

    def events(self, *kinds):
        return [e for log in self.log for e, _ in log if isinstance(e, kinds)]

    def outcomes(self, batch):
        """Number -> (outcome, code), as the projection has it; each number once."""
        found = {}
        for e in self.events(ba.BatchItemsDone):
            if e.batch == batch:
                why = e.why or {}
                for number, outcome in zip(e.numbers, e.outcomes, strict=True):
                    assert number not in found, f"item {number} was done twice"
                    found[number] = (outcome, (why.get(str(number)) or [""])[0])
        return found

    def ended(self, batch):
        [end] = [e for e in self.events(ba.BatchEnded) if e.batch == batch]
        return end

    def check_empty(self):
        for p in self.parts:
            assert not p.batches and not p.batch_items
            assert not [t for t in p.timers.values() if t.element.startswith("batch:")]


def in_order(keys):
    return sorted(keys, key=lambda k: (k & ((1 << c.PARTITION_BITS) - 1), k >> c.PARTITION_BITS))


def words(outcomes):
    return [outcomes[n][0] for n in sorted(outcomes)]


ONE_AND_SEVERAL = pytest.mark.parametrize("n", [1, 2, 5])


# --- actions ------------------------------------------------------------------------------------------------------------------


def _suspended(w, keys):
    for key in keys:
        w.ask(c.partition_of_key(key), c.ControlInstance(key=key, move="suspend"))


def _incidents(w, keys):
    tasks = _tasks(w, keys)
    for task in tasks:
        w.ask(c.partition_of_key(task), c.FailTask(task=task, retries=0, message="no"))
    return [x.key for p in w.parts for x in p.incidents.values()]


def _tasks(w, keys):
    return [t.key for p in w.parts for t in p.tasks.values() if t.instance in keys]


def _assigned(w, keys):
    tasks = _tasks(w, keys)
    for task in tasks:
        w.ask(c.partition_of_key(task), c.MoveTask(task=task, move="assign", details={"assignee": "ada"}))
    return tasks


def _instances(w, keys):
    return [w.parts[c.partition_of_key(k)].instances.get(k) for k in keys]


def _cancelled(w, keys):
    for key in keys:
        w.ask(c.partition_of_key(key), c.CancelInstance(key=key))


def _letters(w, keys):
    found = []
    for k, p in enumerate(w.parts):
        from flowledger.kernel.decide import record_unreadable

        command = b'{"command":{"$":"StartInstance","id":"p"}}'
        d = record_unreadable(p, w.facts(p), le.DeadLettered(source=5, reason="broken", command=command, size=len(command)), "")
        w.log[k] += list(zip(d.events, d.envelopes, strict=True))
        found.append(c.key_of_letter(k, 5))
    return found


#: action -> (process, what is done before: -> the items, parameters, what holds afterwards of (world, instances, items))
ACTIONS = {
    "cancel": ("p", None, {}, lambda w, keys, items: not any(_instances(w, keys)) and len(w.events(wf.WorkflowCancelled)) == len(keys)),
    "terminate": ("p", None, {}, lambda w, keys, items: len(w.events(wf.WorkflowTerminated)) == len(keys)),
    "suspend": ("p", None, {}, lambda w, keys, items: {i.status for i in _instances(w, keys)} == {"suspended"}),
    "resume": ("p", _suspended, {}, lambda w, keys, items: {i.status for i in _instances(w, keys)} == {"running"}),
    "set_variables": ("p", None, {"variables": {"x": 1}}, lambda w, keys, items: {i.vars["x"] for i in _instances(w, keys)} == {1}),
    "modify": (
        "p", None, {"activate": [{"element": "e"}], "terminate": ["t"]}, lambda w, keys, items: len(w.events(wf.WorkflowCompleted)) == len(keys),
    ),
    "retry": ("p", lambda w, keys: _incidents(w, keys) and None, {}, lambda w, keys, items: _all_wait(w, keys, 1)),
    "retry incidents": ("p", _incidents, {"retries": 3}, lambda w, keys, items: _all_wait(w, keys, 3)),
    "retry jobs": ("p", lambda w, keys: _incidents(w, keys) and _tasks(w, keys), {"retries": 2}, lambda w, keys, items: _all_wait(w, keys, 2)),
    "resolve": (
        "p", _incidents, {"variables": {"mended": True}},
        lambda w, keys, items: _all_wait(w, keys, 1) and all(i.vars["mended"] for i in _instances(w, keys)),
    ),
    "resolve with retries": ("p", _incidents, {"retries": 5}, lambda w, keys, items: _all_wait(w, keys, 5)),
    "assign": (
        "human", _tasks, {"assignee": "ada"},
        lambda w, keys, items: {t.details["assignee"] for p in w.parts for t in p.tasks.values()} == {"ada"},
    ),
    "claim": (
        "human", _tasks, {"assignee": "ada"},
        lambda w, keys, items: {(t.details["assignee"], t.status) for p in w.parts for t in p.tasks.values()} == {("ada", "assigned")},
    ),
    "release": (
        "human", lambda w, keys: _assigned(w, keys), {},
        lambda w, keys, items: {(t.details.get("assignee"), t.status) for p in w.parts for t in p.tasks.values()} == {(None, "created")},
    ),
    "complete": ("human", _tasks, {"variables": {"ok": True}}, lambda w, keys, items: len(w.events(wf.WorkflowCompleted)) == len(keys)),
    "escalate": (
        "human", _tasks, {"assignee": "eve"},
        lambda w, keys, items: {t.details["assignee"] for p in w.parts for t in p.tasks.values()} == {"eve"},
    ),
    "delete": ("p", _cancelled, {}, lambda w, keys, items: {e.key for e in w.events(wf.WorkflowRemovedFromViews)} == set(keys)),
    "redeliver": ("p", _letters, {}, lambda w, keys, items: not any(p.letters for p in w.parts)),
}  # fmt: skip


def _all_wait(w, keys, retries):
    tasks = [t for p in w.parts for t in p.tasks.values()]
    return not any(p.incidents for p in w.parts) and len(tasks) == len(keys) and {t.retries for t in tasks} == {retries}


@ONE_AND_SEVERAL
@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.req("D-API-009")
def test_an_action_is_done_to_each_item_and_once_more_to_none(name, n):
    process, before, params, holds = ACTIONS[name]
    action = name.partition(" ")[0]
    w = World(n)
    keys = w.start(2 * n + 1, process)
    found = before(w, keys) if before else None
    items = in_order(found or keys)
    w.settle()
    batch = w.batch(action, items, **params)
    w.settle()
    assert words(w.outcomes(batch)) == ["succeeded"] * len(items), w.outcomes(batch)
    assert w.ended(batch).status == "completed" and w.ended(batch).succeeded == len(items)
    assert holds(w, keys, items)
    again = w.batch(action, items, home=n - 1, **params)
    w.settle()
    skips = {"cancel", "terminate", "suspend", "resume", "modify", "retry incidents", "retry", "resolve", "assign", "claim", "release", "complete",
             "redeliver"}  # fmt: skip
    if name in skips:
        assert words(w.outcomes(again)) == ["skipped"] * len(items), w.outcomes(again)
        assert w.ended(again).status == "completed"
    w.check_empty()


@ONE_AND_SEVERAL
def test_migrate_takes_what_can_be_carried_and_says_why_of_the_rest(n):
    w = World(n)
    keys = w.start(2 * n)
    other = "startEvent s\nserviceTask t2\nendEvent e\ns > t2 > e"
    made = w.ask(0, c.Deploy(resources=[c.Resource("m0.bpmn", bpmn(other))]))["definitions"]
    w.settle()
    new = next(x["key"] for x in made if x["id"] == "p")
    refused = w.batch("migrate", keys, definition=new)
    w.settle()
    assert words(w.outcomes(refused)) == ["failed"] * len(keys) and w.ended(refused).status == "failed"
    moved = w.batch("migrate", keys, definition=new, elements={"t": "t2"})
    w.settle()
    assert w.ended(moved).status == "completed" and {i.definition for i in _instances(w, keys)} == {new}
    w.check_empty()


@pytest.mark.req("APG-HUM-008")
def test_tasks_with_a_form_and_of_machines_are_left_to_themselves():
    """Each fails alone, and says why; the others are done."""
    w = World(2)
    keys = w.start(4, "human")
    jobs = _tasks(w, w.start(2, "p"))
    formed, *plain = in_order(_tasks(w, keys))
    task = w.parts[c.partition_of_key(formed)].tasks[formed]
    task.details = {**(task.details or {}), "form": {"formId": "f"}}
    batch = w.batch("complete", [formed, *plain, *jobs])
    w.settle()
    by_item = dict(zip(in_order([formed, *plain, *jobs]), (w.outcomes(batch)[n] for n in sorted(w.outcomes(batch))), strict=True))
    assert by_item == {
        **dict.fromkeys([formed, *jobs], ("failed", "INVALID_STATE")), **dict.fromkeys(plain, ("succeeded", "")),
    }, by_item  # fmt: skip
    why = " ".join(text for e in w.events(ba.BatchItemsDone) for _, text in (e.why or {}).values())
    assert "it has a form" in why and "a task of people" in why
    claimed = w.batch("claim", jobs)
    w.settle()
    assert words(w.outcomes(claimed)) == ["failed"] * 2


# --- what an item may come to -------------------------------------------------------------------------------------------------


@ONE_AND_SEVERAL
def test_one_fails_others_vanish_and_the_rest_is_done(n):
    """Case 31 and 33: nobody's failure is a neighbour's."""
    w = World(n)
    keys = in_order(w.start(6 * n))
    gone, still = keys[::3], keys[1::3]
    for key in gone:
        w.ask(c.partition_of_key(key), c.CancelInstance(key=key))
    for key in still:
        w.ask(c.partition_of_key(key), c.ControlInstance(key=key, move="suspend"))
    nowhere = [(n << c.PARTITION_BITS) + 77, 999_999]
    batch = w.batch("modify", [*keys, *nowhere], activate=[{"element": "e"}], terminate=["t"])
    bad = w.batch("modify", keys, activate=[{"element": "nowhere"}])
    w.settle()
    items, found = in_order([*keys, *nowhere]), w.outcomes(batch)
    for number, key in enumerate(items):
        expected = ("skipped", "NOT_FOUND") if key in gone or key in nowhere else ("succeeded", "")
        assert found[number] == expected, (number, key)
    assert {x for x in w.outcomes(bad).values()} <= {("failed", "INVALID_ARGUMENT"), ("skipped", "NOT_FOUND")}
    assert w.ended(bad).status in ("failed", "completed")
    why = [text for e in w.events(ba.BatchItemsDone) for _, text in (e.why or {}).values()]
    assert all(why) and any("nowhere" in text for text in why)
    w.check_empty()


def test_some_failed_is_partial_and_all_failed_is_failed():
    """Case 32."""
    w = World(1)
    keys = in_order(w.start(4))
    w.ask(0, c.SetVariables(key=keys[0], variables={"x": 0}))
    called = World(1, 0, 'startEvent s\ncallActivity a\n<zeebe:calledElement processId="q"/>\nendEvent e\ns > a > e',
                   "process q {\nstartEvent qs\nserviceTask t\nendEvent qe\nqs > t > qe\n}")  # fmt: skip
    called.start(3)
    children = [i.key for i in called.parts[0].instances.values() if i.parent]
    parents = [i.key for i in called.parts[0].instances.values() if not i.parent]
    failed = called.batch("cancel", children)
    assert called.ended(failed).status == "failed" and called.ended(failed).failed == 3
    partial = called.batch("cancel", [children[0], *parents[1:]])
    called.settle()
    assert called.ended(partial).status == "partial" and called.ended(partial).succeeded == 2
    empty = w.batch("cancel", [])
    assert w.ended(empty).status == "completed"
    w.check_empty()


def test_a_defect_in_one_item_holds_its_instance_and_no_other(monkeypatch):
    w = World(2)
    keys = in_order(w.start(8))

    def make(p, key, params, reason):
        if key in keys[2:4]:
            raise ZeroDivisionError("a defect of ours")
        return [c.ControlInstance(key=key, move="suspend")]

    monkeypatch.setitem(actions.ACTIONS, "suspend", actions.ACTIONS["suspend"]._replace(make=make))
    batch = w.batch("suspend", keys)
    w.settle()
    assert [x for _, x in sorted(w.outcomes(batch).items())] == [
        ("failed", "INTERNAL") if k in keys[2:4] else ("succeeded", "") for k in keys
    ]
    assert {k for k in keys if w.parts[c.partition_of_key(k)].instances[k].status == "quarantined"} == set(keys[2:4])
    assert w.ended(batch).status == "partial"
    w.check_empty()


def test_what_breaks_a_whole_record_of_items_is_told_to_their_home(monkeypatch):
    from flowledger.kernel.handlers import HANDLERS

    w = World(2)
    keys = in_order(w.start(8))

    def broken(d, e):
        raise ZeroDivisionError("a defect of ours")

    monkeypatch.setitem(HANDLERS, co.DoBatchItems, broken)
    batch = w.batch("suspend", keys)
    w.settle()
    assert {x for n, x in w.outcomes(batch).items() if keys[n] >> c.PARTITION_BITS} == {("failed", "INTERNAL")}
    assert w.ended(batch).succeeded == 4 and w.ended(batch).failed == 4
    w.check_empty()


@ONE_AND_SEVERAL
def test_who_asked_goes_with_each_item(n):
    """A stranger's thing isn't there; and each event names who asked, and the batch as its cause."""
    w = World(n)
    keys = in_order(w.start(2 * n))
    made = w.ask(0, co.CreateBatch(action="suspend", total=len(keys)), tenant="other", actor="mallory")
    w.ask(0, co.AddBatchItems(batch=made["key"], at=0, items=keys), tenant="other", actor="mallory")
    w.settle()
    assert set(w.outcomes(made["key"]).values()) == {("skipped", "NOT_FOUND")}
    for stranger in (co.ControlBatch(batch=made["key"], move="pause"), co.AddBatchItems(batch=made["key"], at=0, items=keys)):
        assert w.ask(0, stranger).code == "NOT_FOUND"
    mine = w.ask(0, co.CreateBatch(action="suspend", total=len(keys), reason="stop"), actor="ada", correlation="c1")
    assert w.ask(0, co.AddBatchItems(batch=mine["key"], at=0, items=keys), tenant="other").code == "NOT_FOUND"
    w.ask(0, co.AddBatchItems(batch=mine["key"], at=0, items=keys), actor="ada")
    w.settle()
    said = [(e.reason, v.actor, v.cause) for log in w.log for e, v in log if isinstance(e, wf.WorkflowSuspended)]
    assert said == [("stop", "ada", f"batch:{mine['key']}")] * len(keys)
    said = (ba.BatchCreated, ba.BatchItemsDone, ba.BatchEnded)
    assert {v.tenant for log in w.log for e, v in log if isinstance(e, said) and e.batch == made["key"]} == {"other"}


def test_rights_of_who_asked_go_with_the_batch():
    """A task that somebody holds is moved by whoever may, on any partition."""
    for rights, expected in ((None, "failed"), (["operator"], "succeeded")):
        w = World(2)
        tasks = in_order(_tasks(w, w.start(4, "human")))
        for task in tasks:
            w.ask(c.partition_of_key(task), c.MoveTask(task=task, move="assign", details={"assignee": "bob"}), actor="bob")
            w.ask(0, c.StoreRecord(registry="directory", name="ada", value={"kind": "person"}))
        w.settle()
        who = {"actor": "ada", "rights": [*(rights or ()), "signed-in"]}
        made = w.ask(0, co.CreateBatch(action="assign", total=len(tasks), params={"assignee": "ada"}), **who)
        w.ask(0, co.AddBatchItems(batch=made["key"], at=0, items=tasks), **who)
        w.settle()
        assert {x for x, _ in w.outcomes(made["key"]).values()} == {expected}


# --- steering -----------------------------------------------------------------------------------------------------------------


def test_pause_resume_and_abort():
    w = World(3)
    keys = in_order(w.start(90))
    batch = w.batch("suspend", keys, rate=100, chunk=1000)
    w.one()
    assert w.ask(0, co.ControlBatch(batch=batch, move="pause"))["status"] == "paused"
    assert w.ask(0, co.ControlBatch(batch=batch, move="pause")).code == "INVALID_STATE"
    w.settle()
    some = len(w.outcomes(batch))
    assert 0 < some < 90 and not w.parts[0].batches[batch].in_hand
    assert w.ask(0, co.ControlBatch(batch=batch, move="fly")).code == "INVALID_ARGUMENT"
    assert w.ask(0, co.ControlBatch(batch=batch, move="resume"))["status"] == "running"
    w.one()
    w.ask(0, co.ControlBatch(batch=batch, move="abort"))
    w.settle()
    done = w.outcomes(batch)
    assert some <= len(done) < 90 and w.ended(batch).status == "aborted" and w.ended(batch).succeeded == len(done)
    assert sum(i.status == "suspended" for i in _instances(w, keys)) == len(done), "what is done stays done; nothing else was"
    assert w.ask(0, co.ControlBatch(batch=batch, move="resume")).code == "NOT_FOUND"
    w.check_empty()


@pytest.mark.parametrize("rate", [1, 3, 7, 9, 11, 100, 3_000])
@ONE_AND_SEVERAL
def test_a_rate_is_kept_by_the_time_of_the_log(n, rate):
    w = World(n)
    keys = w.start(40)
    began = w.now_us
    batch = w.batch("suspend", keys, rate=rate, chunk=1000)
    w.settle()
    assert w.ended(batch).succeeded == 40
    allowed = max(1, rate // 10)  # what may be made up for at once
    took_s = (w.now_us - began) / 1e6
    assert took_s >= (40 - allowed - 1) / rate, took_s
    if rate <= 100:
        assert took_s <= 40 / rate + 1.5, "and it isn't slower than that"


@pytest.mark.parametrize(("n", "most"), [(2, 30), (5, 75), (60, 600)])
def test_so_many_are_in_hand_and_not_more(n, most):
    """A record for each partition: others' commands wait behind few of them."""
    w = World(n)
    keys = [k for k in w.start(30 * n) if k >> c.PARTITION_BITS]
    far = [(1 + k % (n - 1) << c.PARTITION_BITS) + 1_000_000 + k for k in range(2 * most)]
    batch = w.batch("suspend", [*keys, *far], chunk=500)
    b = w.parts[0].batches[batch]
    assert len(b.in_hand) == home.in_hand_max(n) == most
    sizes = [len(_request.decode(e.command).command.items) for e in w.events(le.Outbound) if b"DoBatchItems" in e.command]
    assert max(sizes) == min(limits.BATCH_SEND_MAX, -(-most // (n - 1)))
    w.settle()
    assert w.ended(batch).succeeded == len(keys) and w.ended(batch).skipped == len(far)
    w.check_empty()


def test_a_decision_that_has_no_room_leaves_the_rest_for_the_next(monkeypatch):
    monkeypatch.setattr(limits, "EVENTS_MAX", 12)
    for n in (1, 3):
        w = World(n)
        keys = w.start(20 * n)
        batch = w.batch("cancel", keys)
        w.settle()
        assert words(w.outcomes(batch)) == ["succeeded"] * len(keys)
        assert len(w.events(wf.WorkflowCancelled)) == len(keys)
        w.check_empty()


# --- what can't be asked ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (co.CreateBatch(action="fly", total=1), "expected one of cancel"),
        (co.CreateBatch(action="cancel", total=-1), "expected 0 to"),
        (co.CreateBatch(action="cancel", total=limits.BATCH_ITEMS_MAX + 1), "expected 0 to"),
        (co.CreateBatch(action="cancel", total=1, rate=-1), "items a second"),
        (co.CreateBatch(action="cancel", total=1, rate=limits.BATCH_RATE_MAX + 1), "items a second"),
        (co.CreateBatch(action="cancel", total=1, of="tasks"), "cancel takes instances"),
        (co.CreateBatch(action="cancel", total=1, params={"x": 1}), "cancel takes none"),
        (co.CreateBatch(action="assign", total=1), "assign needs assignee"),
        (co.CreateBatch(action="assign", total=1, params={"assignee": ""}), "a text that isn't empty"),
        (co.CreateBatch(action="assign", total=1, params={"assignee": 7}), "a text that isn't empty"),
        (co.CreateBatch(action="retry", total=1, params={"retries": 0}), "a whole number"),
        (co.CreateBatch(action="retry", total=1, params={"retries": True}), "a whole number"),
        (co.CreateBatch(action="retry", total=1, params={"retries": limits.RETRIES_MAX + 1}), "a whole number"),
        (co.CreateBatch(action="modify", total=1), "activate or terminate"),
        (co.CreateBatch(action="modify", total=1, params={"terminate": [7]}), "a list of texts"),
        (co.CreateBatch(action="modify", total=1, params={"activate": [{"elephant": "e"}]}), "elements to activate"),
        (co.CreateBatch(action="migrate", total=1, params={"definition": "x"}), "a key"),
        (co.CreateBatch(action="migrate", total=1, params={"definition": 7, "elements": {"a": 1}}), "an object of texts"),
        (co.CreateBatch(action="set_variables", total=1, params={"variables": {"x": "y" * limits.BATCH_PARAMS_BYTES_MAX}}), "bytes"),
        (co.CreateBatch(action="set_variables", total=1, params={"variables": {}, "local": 1}), "true or false"),
        (co.CreateBatch(action="cancel", total=1, filter={"x": "y" * limits.BATCH_PARAMS_BYTES_MAX}), "bytes"),
    ],
)  # fmt: skip
def test_a_batch_that_makes_no_sense_is_refused_with_what_was_expected(command, expected):
    w = World(1)
    refused = w.ask(0, command)
    assert isinstance(refused, Rejected) and refused.code == "INVALID_ARGUMENT" and expected in refused.message, refused
    assert not w.parts[0].batches and not w.events(ba.BatchCreated)


@pytest.mark.parametrize(
    ("at", "items", "expected"),
    [
        (1, [5], "from number 0 on"), (0, [5, 5], "each once"), (0, [5, 4], "each once"), (0, [0, 5], "keys"), (0, [-5], "keys"), (0, [1, 2, 3, 4], "3 more"),
        (0, [1, (1 << 51) + 1, 1], "each once"),
    ],
)  # fmt: skip
def test_items_come_in_order_and_each_once(at, items, expected):
    w = World(1)
    made = w.ask(0, co.CreateBatch(action="cancel", total=3))
    refused = w.ask(0, co.AddBatchItems(batch=made["key"], at=at, items=items))
    assert isinstance(refused, Rejected) and expected in refused.message, refused
    ok = w.ask(0, co.AddBatchItems(batch=made["key"], at=0, items=[7, 8, 9]))
    assert ok["items"] == 3 and w.ended(made["key"]).skipped == 3
    assert w.ask(0, co.AddBatchItems(batch=77, at=0, items=[1])).code == "NOT_FOUND"


def test_a_batch_whose_items_never_come_is_given_up():
    w = World(1)
    made = w.ask(0, co.CreateBatch(action="cancel", total=3))
    w.ask(0, co.AddBatchItems(batch=made["key"], at=0, items=[7]))
    [timer] = w.parts[0].timers.values()
    w.now_us = timer.due_us
    w.ask(0, c.FireTimers(timers=[timer.key]))
    assert w.ended(made["key"]).status == "aborted" and "1 of its 3" in w.ended(made["key"]).reason
    w.check_empty()


def test_so_many_batches_at_once_and_not_more(monkeypatch):
    monkeypatch.setattr(limits, "BATCHES_MAX", 2)
    w = World(1)
    made = [w.ask(0, co.CreateBatch(action="cancel", total=1)) for _ in range(3)]
    assert made[2].code == "RESOURCE_EXHAUSTED" and made[2].retry_after_ms
    w.ask(0, co.ControlBatch(batch=made[0]["key"], move="abort"))
    assert isinstance(w.ask(0, co.CreateBatch(action="cancel", total=1)), dict)


# --- at random ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(24))
def test_each_item_once_whoever_takes_over(seed):
    """Owners are replaced at each step, sends come twice, two batches meet at the same things, and operators pause and resume."""
    rng = random.Random(seed)
    n = rng.choice([1, 2, 4])
    w = World(n, seed, crashes=rng.choice([0.05, 0.3, 1.0]))
    keys = w.start(rng.randint(1, 70))
    extra = [(rng.randrange(n) << c.PARTITION_BITS) + 500_000 + k for k in range(rng.randint(0, 40))]
    for key in rng.sample(keys, len(keys) // 4):
        w.ask(c.partition_of_key(key), c.CancelInstance(key=key))
    alive = {key for key in keys if w.parts[c.partition_of_key(key)].instances.get(key)}
    made = [
        w.batch("set_variables", [*keys, *extra], home=rng.randrange(n), rate=rng.choice([0, 0, 200]), variables={"x": 1}),
        w.batch("suspend", keys, home=rng.randrange(n), rate=rng.choice([0, 500])),
    ]
    homes = {b: k for b in made for k in range(n) if b >> c.PARTITION_BITS == k}
    moving = True
    while moving:
        moving = w.one()
        if rng.random() < 0.05:
            b = rng.choice(made)
            w.ask(homes[b], co.ControlBatch(batch=b, move=rng.choice(["pause", "resume"])))
        if not moving:
            for b in made:
                if (held := w.parts[homes[b]].batches.get(b)) is not None and held.status == "paused":
                    w.ask(homes[b], co.ControlBatch(batch=b, move="resume"))
                    moving = True
    sets = [e.key for e in w.events(wf.VariableSet)]
    assert sorted(sets) == sorted(alive), "each that was there once, and no other"
    assert sorted(e.key for e in w.events(wf.WorkflowSuspended)) == sorted(alive)
    for b, items in zip(made, ([*keys, *extra], keys), strict=True):
        found = w.outcomes(b)
        assert set(found) == set(range(len(items)))
        assert {items[0] for items in [found[n] for n, k in enumerate(in_order(items)) if k in alive]} <= {"succeeded"}
        assert {found[n] for n, k in enumerate(in_order(items)) if k not in alive} <= {("skipped", "NOT_FOUND")}
        end = w.ended(b)
        assert (end.status, end.succeeded, end.failed, end.skipped) == ("completed", len(alive), 0, len(items) - len(alive))
    assert not w.events(wa.IncidentRaised)
    w.check_empty()

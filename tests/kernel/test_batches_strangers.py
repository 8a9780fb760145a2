"""Whatever a batch does: a key of another tenant's thing is answered as one that was never given, in the same words."""

import pytest
from notation import bpmn
from test_batches import PERSON, WORK, World

from flowledger.events import batch as ba
from flowledger.events import commands as c
from flowledger.events import waiting as wa
from flowledger.kernel.batches.actions import ACTIONS

PARAMS = {
    "set_variables": {"variables": {"x": 1}}, "modify": {"terminate": ["t"]}, "assign": {"assignee": "ann"}, "roll_back": {"steps": 1},
}  # fmt: skip
NEVER = 1_000_000


def world():
    """What tenant b has: instances at a job and at a person's task, one suspended, one with an incident, one being cancelled is none of ours."""
    w = World(1)
    w.ask(0, c.Deploy(resources=[c.Resource("m.bpmn", bpmn(WORK)), c.Resource("h.bpmn", bpmn(PERSON))]), tenant="b")
    p = w.parts[0]
    of = {d.id: d.key for d in p.definitions.values() if d.tenant == "b"}
    keys = [w.ask(0, c.StartInstance(definition=of[id]), tenant="b")["key"] for id in ("p", "p", "human", "human")]
    [failing] = [t.key for t in p.tasks.values() if t.instance == keys[1]]
    w.ask(0, c.FailTask(task=failing, retries=0, message="no"), tenant="b")
    [person] = [t.key for t in p.tasks.values() if t.instance == keys[2]]
    w.ask(0, c.MoveTask(task=person, move="assign", details={"assignee": "ann"}), tenant="b")
    w.ask(0, c.ControlInstance(key=keys[3], move="suspend"), tenant="b")
    assert p.incidents and p.instances[keys[3]].status == "suspended"
    theirs = [*keys, *p.tasks, *p.incidents, *(t.key for k in keys for t in p.instances[k].tokens.values())]
    return w, of["p"], theirs


@pytest.mark.req("D-API-019", "APG-TEN-001")
@pytest.mark.parametrize("action", [a for a in ACTIONS if a != "roll_back"])
def test_a_strangers_thing_is_not_there(action):
    w, definition, theirs = world()
    for params in [{"definition": definition}, {"definition": 2}] if action == "migrate" else [PARAMS.get(action, {})]:
        before = len(w.log[0])
        batch = w.batch(action, [*theirs, NEVER], **params)
        w.settle()
        why = {}
        for e in w.events(ba.BatchItemsDone):
            why |= e.why or {} if e.batch == batch else {}
        keys = sorted([*theirs, NEVER])
        [never] = [why[str(n)] for n, k in enumerate(keys) if k == NEVER]
        for n, key in enumerate(keys):
            if action == "delete" and key not in w.parts[0].instances and key != NEVER:
                continue  # no owner can tell it from an instance that has ended: its door does (test_delete_by_api.py)
            assert why[str(n)] == [never[0], never[1].replace(str(NEVER), str(key))] and never[0] == "NOT_FOUND", (key, why[str(n)])
        assert not [e for e, v in w.log[0][before:] if v.tenant == "b"]


def test_a_migration_to_what_is_not_there_fails_and_is_not_passed_over():
    w, theirs, _ = world()
    keys = w.start(2)
    for definition in (theirs, NEVER):
        batch = w.batch("migrate", keys, definition=definition)
        w.settle()
        assert set(w.outcomes(batch).values()) == {("failed", "INVALID_ARGUMENT")}
    assert not w.events(wa.IncidentResolved)

"""A decision is whole or never was: a defect at any event of any decision leaves the state, its indexes and its order as they were."""

import copy
import os
import random

import pytest
from scenario import Scenario
from test_random_models import Model, drive

from flowledger.events import commands as c
from flowledger.events.base import Broken, Rejected, RejectionCode
from flowledger.kernel import Decision, Partition, decide, record_broken
from flowledger.kernel.checkpoint import fingerprint
from flowledger.kernel.handlers import HANDLERS
from flowledger.kernel.ledger import recording

RUNS = int(os.environ.get("TRANSACTION_RUNS", "25"))
#: what may be larger than the truth, or is looked through for what is true
LOOSE = {"changed", "job_listener", "due", "leases", "retrying", "undo", "weights"}


def whole(p: Partition) -> dict:
    """All that a partition holds, orders included; tables by key have none."""
    found = {}
    for name in set(Partition.__slots__) - LOOSE:
        value = getattr(p, name, None)
        if name in (
            "instances",
            "tasks",
            "timers",
            "subscriptions",
            "incidents",
            "messages",
            "awaited",
            "definitions",
            "records",
            "outbox",
        ):
            value = dict(sorted(value.items()))
        elif name in ("by_signal", "by_start", "by_condition", "by_assignee", "by_message", "by_awaited", "ready"):
            value = {
                k: {x: sorted(y) if isinstance(y, dict) else y for x, y in sorted(v.items(), key=str)}
                for k, v in sorted(value.items(), key=str)
            }
        found[name] = repr(value)
    return found


class Sabotage(Exception):
    pass


class Breaking(Scenario):
    """Before each command, on a twin: the same command breaks at its n-th event, for each n in turn (or some of them)."""

    #: decisions that broke, and left no trace
    broke = 0

    def _made(self, request, settle):
        if self.check and self.log:
            count = self._breaks_at(request, 10**9, None)
            for n in range(count) if count < 6 else sorted(random.Random(count).sample(range(count), 6)):
                self._breaks_at(request, n, count)
        return super()._made(request, settle)

    def _breaks_at(self, request, n, count):
        twin = copy.deepcopy(self.p)
        before, image = whole(twin), fingerprint(twin)
        real, seen = recording._WAYS, [0]

        class Table(dict):
            def __getitem__(self, cls):
                seen[0] += 1
                if seen[0] == n + 1:
                    raise Sabotage(f"at {cls.__name__}")
                return real[cls]

        recording._WAYS = Table()
        try:
            made = decide(twin, request, self.facts(twin))
        finally:
            recording._WAYS = real
        if count is None:
            return seen[0]
        assert twin.undo is None
        if isinstance(made, Decision):  # one of several things broke: it is held, the others went on
            assert made.events
            return 0
        assert isinstance(made, Broken | Rejected), made
        Breaking.broke += isinstance(made, Broken)
        assert whole(twin) == before and fingerprint(twin) == image
        if isinstance(made, Broken):
            held = record_broken(twin, request, self.facts(twin), made)
            assert [type(e).__name__ for e in held.events] in (["WorkflowQuarantined", "IncidentRaised"], ["IncidentRaised"])
            if made.key in twin.instances:
                assert twin.instances[made.key].status == "quarantined"
        return 0


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_defect_at_any_event_leaves_no_trace(seed, monkeypatch):
    monkeypatch.setattr("test_random_models.Scenario", Breaking)
    Breaking.broke = 0
    drive(seed)
    assert Model is not None and Breaking.broke > 5, "nothing was broken: the test shows nothing"


NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t"'


def model(body: str, id: str = "p", roots: str = "") -> str:
    return f'<definitions {NS}>{roots}<process id="{id}" isExecutable="true">{body}</process></definitions>'


JOB = model("""<startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/><serviceTask id="t"><extensionElements>
<zeebe:taskDefinition type="w"/></extensionElements></serviceTask><sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/>""")


def quarantined() -> Scenario:
    s = Scenario(JOB)
    s.start("p")
    broken = Broken(s.key, "KeyError", "'gone'", "0-1")
    d = record_broken(s.p, c.Request(command=c.CompleteTask(task=next(iter(s.p.tasks)))), s.facts(s.p), broken)
    s._take(d)
    return s


def test_a_quarantined_instance_hands_out_no_job_until_it_is_released():
    s = quarantined()
    i = s.p.instances[s.key]
    assert (i.status, s.p.ready, len(s.p.incidents)) == ("quarantined", {}, 1)
    assert "reference 0-1" in next(iter(s.p.incidents.values())).message
    assert s.do(c.ActivateTasks(job_type="w", worker="x"))["jobs"] == []
    s.do(c.ReleaseInstance(key=s.key))
    assert (i.status, s.p.incidents) == ("running", {})
    job = s.do(c.ActivateTasks(job_type="w", worker="x"))["jobs"][0]
    s.do(c.CompleteTask(task=job["key"]))
    assert s.key not in s.p.instances and s.empty


def test_a_quarantined_instance_can_be_cancelled():
    s = quarantined()
    s.do(c.CancelInstance(key=s.key))
    assert s.key not in s.p.instances and not s.p.incidents and s.empty


def test_quarantine_survives_a_checkpoint_and_a_replay():
    s = quarantined()
    before = fingerprint(s.p)
    from flowledger.kernel import checkpoint

    mark = checkpoint.Mark(end=1, chain=b"", source=-1, live=0, meta=s.p.meta)
    again = Partition(0, 1)
    checkpoint.restore(again, {k: v for k, v in before.items() if v is not None}, mark)
    assert fingerprint(again) == before and not again.ready


def test_a_called_process_that_only_a_message_starts_is_an_incident_of_the_caller():
    called = """<startEvent id="s"><messageEventDefinition messageRef="M"/></startEvent><sequenceFlow id="f" sourceRef="s" targetRef="e"/>
    <endEvent id="e"/>"""
    caller = """<startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="c"/><callActivity id="c"><extensionElements>
    <zeebe:calledElement processId="m"/></extensionElements></callActivity><sequenceFlow id="f2" sourceRef="c" targetRef="e"/><endEvent id="e"/>"""
    s = Scenario(model(caller), model(called, "m", '<message id="M" name="M"/>'))
    s.start("p")
    (incident,) = s.p.incidents.values()
    assert incident.element == "c" and incident.instance == s.key and "m" in incident.message


def test_what_a_rejected_command_has_recorded_is_taken_back(monkeypatch):
    s = Scenario(JOB)
    s.start("p")
    before, journal = whole(s.p), len(s.log)
    complete = HANDLERS[c.CompleteTask]

    def refuses_late(d, e):
        assert complete(d, e) is None and d.events
        return Rejected(RejectionCode.INVALID_STATE, "too late")

    monkeypatch.setitem(HANDLERS, c.CompleteTask, refuses_late)
    made = decide(s.p, c.Request(command=c.CompleteTask(task=next(iter(s.p.tasks))), id="x"), s.facts(s.p))
    assert isinstance(made, Rejected) and (whole(s.p), len(s.log)) == (before, journal)

"""In whose name things are said: what was kept while its instance was held, and what several causes bring about in one step."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
from notation import bpmn
from test_put_off_rules import Pure

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.operations import OperationAsked
from flowledger.kernel.decision import Decision

pytestmark = pytest.mark.req("D-EVT-002", "APG-CMP-003")
WORK = """startEvent s
parallelGateway f
serviceTask t
intermediateCatchEvent m : message M = order
intermediateThrowEvent told : message TOLD = order
endEvent e1
endEvent e2
s > f > t > told > e1
f > m > e2"""
HEARS = "process r {\nstartEvent rs : message TOLD\nendEvent re\nrs > re\n}"


def said(made: Decision, kind: type[Any]) -> list[tuple[str, str]]:
    """Actor and cause of each event of this kind."""
    return [(v.actor, v.cause) for e, v in zip(made.events, made.envelopes, strict=True) if isinstance(e, kind)]


def held() -> tuple[Pure, int]:
    """A suspended instance, for which a result and a message arrive; each from somebody else."""
    w = Pure(c.Resource("p.bpmn", bpmn(WORK)), c.Resource("r.bpmn", bpmn(HEARS)))
    key = w.do(c.StartInstance(id="p", variables={"order": "o"}), actor="ann", id="start").answer["key"]
    [job] = w.do(c.ActivateTasks(job_type="t", worker="worker-1")).answer["jobs"]
    w.do(c.ControlInstance(key=key, move="suspend"), actor="eve")
    w.do(c.CompleteTask(task=job["key"], fence=job["fence"]))
    w.do(c.PublishMessage(name="M", correlation_key="o", ttl_ms=60_000), actor="bob", id="m-1")
    return w, key


@pytest.mark.parametrize("loaded", [False, True])
def test_what_was_kept_is_applied_in_the_name_of_whoever_asked(loaded):
    w, key = held()
    i = w.p.instances[key]
    assert i.kept is not None and len(i.kept) == 2
    task = i.kept[0]["task"]
    if loaded:  # a checkpoint of a release before this one doesn't say who it was: whoever releases, as it was then
        i.kept_for = w.folded.instances[key].kept_for = None
    made = w.do(c.ControlInstance(key=key, move="resume"), actor="oscar", id="go-on")
    release = ("oscar", "request:go-on")
    assert said(made, wf.WorkflowResumed) == [release]
    assert said(made, ta.TaskCompleted) == [release if loaded else ("worker-1", f"task:{task}")]
    assert said(made, wa.MessageCorrelated) == [release if loaded else ("bob", "request:m-1")]
    assert {actor for actor, _ in said(made, wf.WorkflowStarted)} == {"oscar" if loaded else "worker-1"}, "also what it sends is its own"
    assert said(made, OperationAsked) == [release], "what is said of the release itself is the operator's"
    assert not w.p.instances


def test_what_several_timers_bring_about_is_said_of_each():
    """Two are due in one decision; each throws a message that starts an instance on the same partition, in the same step."""
    thrower = (
        "startEvent s\nintermediateCatchEvent t : timer PT1S\nintermediateThrowEvent d : message TOLD = order\nendEvent e\ns > t > d > e"
    )
    w = Pure(c.Resource("p.bpmn", bpmn(thrower)), c.Resource("r.bpmn", bpmn(HEARS)))
    for order in "ab":
        w.do(c.StartInstance(id="p", variables={"order": order}))
    timers = list(w.p.timers)
    w.now_us += 2_000_000
    made = w.do(c.FireTimers(timers=timers))
    assert [cause for _, cause in said(made, wf.WorkflowStarted)] == [f"timer:{key}" for key in timers]

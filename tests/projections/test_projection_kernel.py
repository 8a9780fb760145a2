"""The rows say the same as the kernel's state: random runs of a model with scopes, loops, timers, errors and incidents."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest

from flowledger.events import commands as c
from flowledger.events.base import Recorded
from flowledger.kernel.elements.outline import outline
from flowledger.kernel.state import Instance, Token
from flowledger.projections.changes import Changes
from flowledger.projections.context import ACTIVITY, Context
from flowledger.projections.fold import Fold
from flowledger.projections.tracker import Folder
from flowledger.projections.views import VIEWS

sys.path.insert(0, str(Path(__file__).parent.parent / "kernel"))  # for `scenario`
from scenario import Refused, Scenario

MODEL = """
startEvent s
parallelGateway split
serviceTask a
boundaryEvent late on=a : timer PT1H
subProcess sp {
  startEvent si
  serviceTask b
  boundaryEvent nag on=b cancel=false : timer PT5M
  serviceTask nagging
  endEvent ei
  si > b > ei
  nag > nagging
}
boundaryEvent stop on=sp : timer PT2H
serviceTask many
<zeebe:loopCharacteristics inputCollection="= [1, 2, 3]" inputElement="item"/>
.<multiInstanceLoopCharacteristics><extensionElements>\
<zeebe:loopCharacteristics inputCollection="= [1, 2, 3]" inputElement="item"/></extensionElements></multiInstanceLoopCharacteristics>
userTask u
parallelGateway join
exclusiveGateway ask
endEvent e
endEvent e2
endEvent e3
s > split > a > join
split > sp > join
split > many > join
split > u > join
join > ask
ask > e ? x > 0
late > e2
stop > e3
"""
#: what the engine does itself: calls, scopes of all kinds, messages, scripts, loops over them, and errors out of them
ENGINES_OWN = """
process p {
startEvent s
parallelGateway split
scriptTask sum
<zeebe:script expression="= 1 + 1" resultVariable="two"/>
callActivity call
<zeebe:calledElement processId="q"/>
boundaryEvent bad on=call : error E
subProcess each {
  startEvent ei
  manualTask look
  serviceTask a
  endEvent ee
  ei > look > a > ee
}
.<multiInstanceLoopCharacteristics><extensionElements>\
<zeebe:loopCharacteristics inputCollection="= [1, 2]" inputElement="item"/></extensionElements></multiInstanceLoopCharacteristics>
adHocSubProcess some {
  serviceTask b
  task c
}
<zeebe:adHoc activeElementsCollection='= ["b", "c"]'/>
subProcess ev event=true {
  startEvent es interrupting=false : timer R2/PT10M
  scriptTask note
<zeebe:script expression="= 3" resultVariable="three"/>
  endEvent eve
  es > note > eve
}
parallelGateway join
endEvent e
endEvent e2
s > split > sum > join
split > call > join
split > each > join
split > some > join
join > e
bad > e2
}
process q {
startEvent qs
serviceTask many
<zeebe:taskDefinition type="many"/>
exclusiveGateway ok
endEvent qe
endEvent qx : error E
qs > many > ok
ok > qe ? x > 0
ok > qx !
}
"""
OPEN_TASKS = ("created", "assigned", "started", "in_progress", "suspended", "failed", "timed_out")


def one_move(s: Scenario, rng: random.Random) -> None:
    p = s.p
    tasks = sorted(p.tasks)
    kind = rng.choice(
        [
            "start",
            "complete",
            "complete",
            "complete",
            "fail",
            "dead",
            "tick",
            "set",
            "cancel",
            "resolve",
            "lease",
            "expire",
            "people",
            "hold",
        ]
    )
    if kind == "start" or (kind != "tick" and not p.instances):
        s.start("p", n=rng.randint(0, 9))
    elif kind == "complete" and tasks:
        s.do(c.CompleteTask(task=rng.choice(tasks), variables={"x": rng.randint(-1, 1)}))
    elif kind in ("fail", "dead") and tasks:
        s.do(c.FailTask(task=rng.choice(tasks), retries=0 if kind == "dead" else 2, backoff_ms=0, message="m", variables={"why": "f"}))
    elif kind == "tick" and p.timers:
        s.move("tick")
    elif kind == "set" and p.instances:
        s.do(c.SetVariables(key=rng.choice(sorted(p.instances)), variables={"x": rng.randint(0, 3)}))
    elif kind == "cancel" and p.instances and rng.random() < 0.3:
        s.do(c.CancelInstance(key=rng.choice(sorted(p.instances)), force=rng.random() < 0.5))
    elif kind == "resolve" and p.incidents:
        s.do(c.ResolveIncident(key=rng.choice(sorted(p.incidents))))
    elif kind == "lease":
        s.do(c.ActivateTasks(job_type=rng.choice(["a", "b", "many"]), worker=f"w{rng.randint(1, 2)}", max=2))
    elif kind == "expire" and (leased := [t.key for t in p.tasks.values() if t.worker]):
        s.now_us += 10**9
        s.do(c.ExpireLeases(tasks=leased[:2]))
    elif kind == "people" and (people := [t.key for t in p.tasks.values() if t.type == "user_task"]):
        move, details = rng.choice(
            [
                ("assign", {"assignee": "bob"}),
                ("claim", None),
                ("release", None),
                ("start", None),
                ("progress", {"progress": {"percent": 5}}),
            ]
        )
        s.do(c.MoveTask(task=rng.choice(people), move=move, details=details, reason="r"))
    elif kind == "hold" and p.instances:
        s.do(c.ControlInstance(key=rng.choice(sorted(p.instances)), move=rng.choice(["pause", "unpause", "suspend", "resume"])))


OUTLINES: dict[int, dict[str, Any]] = {}


def has_row(s: Scenario, i: Instance, t: Token) -> bool:
    """The token is in an activity that the engine does itself, or is the body of a loop."""
    about = OUTLINES.setdefault(i.definition, outline(s.library.processes(s.p)[i.definition])).get(t.element, {})
    return bool(about.get("own") or (about.get("loop") and not t.index)) and "inner" not in (t.data or {}) and t.handler_of != t.key


def compare(s: Scenario, rows: Changes) -> None:
    p = s.p
    tables = {name: rows.inserts.get(name, {}) for name in ("workflow_instances", "tasks", "timers", "incidents")}
    running = {k: r for k, r in tables["workflow_instances"].items() if r["status"] in ("pending", "running", "suspended")}
    assert set(running) == set(p.instances)
    for key, i in p.instances.items():
        row = running[key]
        assert (row["status"], row["paused"], row["variables"], row["incidents"]) == (i.status, i.paused, i.vars, len(i.incidents or ())), (
            row
        )
    tasks = {k: r for k, r in tables["tasks"].items() if r["status"] in OPEN_TASKS and k < ACTIVITY}
    activities = {(r["token_id"], r["definition_key"]) for k, r in tables["tasks"].items() if r["status"] == "started" and k >= ACTIVITY}
    assert activities == {(t.key, t.element) for i in p.instances.values() for t in i.tokens.values() if has_row(s, i, t)}
    assert set(tasks) == set(p.tasks)
    for key, t in p.tasks.items():
        row = tasks[key]
        told = (row["definition_key"], row.get("worker") or "", row["fence"], row["retries"], row["row_version"], row.get("assignee") or "")
        assert told == (t.element, t.worker, t.fence, t.retries, t.row_version, (t.details or {}).get("assignee") or ""), row
        if row["status"] not in ("failed", "started"):
            assert row["status"] == t.status
    assert {k for k, r in tables["timers"].items() if r["status"] == "scheduled"} == set(p.timers)
    assert {k for k, r in tables["incidents"].items() if r["status"] == "open"} == set(p.incidents)
    values = {(r["scope_id"], r["name"]): r["value"] for kind in (rows.inserts, rows.upserts) for r in kind.get("variables", {}).values()}
    for i in p.instances.values():
        assert {n: values[(i.key, n)] for n in i.vars} == i.vars


@pytest.mark.parametrize("model", [MODEL, ENGINES_OWN], ids=["work", "own"])
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.req("WOS-ENG-012", "APG-ENG-010")
def test_rows_equal_the_kernels_state(seed: int, model: str) -> None:
    rng = random.Random(seed)
    s = Scenario(model)
    s.check = False
    OUTLINES.clear()
    f, folder, done = Fold(Context()), Folder(VIEWS.values()), 0
    moved = 0
    for _ in range(120):
        try:
            one_move(s, rng)
            moved += 1
        except Refused:
            continue
        finally:
            new = [Recorded(e, v, 0, done + n) for n, (e, v) in enumerate(s.log[done:])]
            folder.fold(new, f)
            done = len(s.log)
            f.context.forget(f.context.take_ended())
            compare(s, f.changes)
    assert moved > 40 and len(f.changes.inserts["workflow_instances"]) > 3
    lines = f.changes.lines["workflow_events"]
    about = {k for k in f.changes.inserts["workflow_instances"]}
    of_log = sum(1 for e, _ in s.log if e.key in about) + sum(
        len({r["workflow_instance_id"] for k, r in f.changes.inserts["tasks"].items() if k in set(e.tasks)})
        for e, _ in s.log
        if hasattr(e, "tasks")
    )
    assert len(lines) == of_log

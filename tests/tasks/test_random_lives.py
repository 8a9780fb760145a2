"""Random moves of people, workers and time on tasks with limits, breakers, assignments and clocks: after every step the live state, its fold and its
checkpoint are the same, and in the end everything is done and nothing is left behind.

Reproduce: SIM_SEED=<seed> SIM_RUNS=1 pytest tests/tasks/test_random_lives.py
"""

import os
import random

import pytest
from workbench import MINUTE, Bench, one, service, user

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.kernel.handlers import moves

BASE, RUNS = int(os.environ.get("SIM_SEED", "1")), int(os.environ.get("SIM_RUNS", "25"))
PEOPLE = ["ann", "bob", "cy", "agent:x"]
SETTINGS = (
    '<flowledger:task strategy="{0}" groups="g" fallback="bob,agent:x" assignTimeout="PT5M" sla="PT20M"><flowledger:reminder before="PT5M"/>'
    '<flowledger:escalation after="PT10M" to="cy"/></flowledger:task>'
)
RETRY = '<flowledger:retry maxAttempts="3" strategy="fibonacci" initialMs="2000" jitter="0.5" onExhausted="{0}"/>'


def world(rng: random.Random) -> Bench:
    people = one(user(SETTINGS.format(rng.choice(["role", "round_robin", "weighted", "least_loaded"])))).replace('id="p"', 'id="people"')
    headers = '<zeebe:taskHeaders><zeebe:header key="endpoint" value="e1"/></zeebe:taskHeaders>'
    machine = one(service(headers + RETRY.format(rng.choice(["incident", "skip", "manual"]))))
    b = Bench(people, machine.replace('id="p"', 'id="machine"'))
    for name in PEOPLE:
        full = name if ":" in name else f"user:{name}"
        b.store("directory", full, groups=["g"], max_concurrent=rng.choice([1, 3, 50]))
    for target, value in {
        "job:work": {"concurrency": rng.choice([1, 3]), "circuit_breaker": {"failures": 2, "open_ms": 20_000, "full": 4}},
        "endpoint:e1": {"circuit_breaker": {"min_calls": 3, "error_share": 0.5, "open_ms": 10_000}, "rate": {"max": 3, "per_ms": 1000}},
        "assignee:agent:x": {"circuit_breaker": {"failures": 1, "open_ms": 5_000}},
    }.items():
        if rng.random() < 0.7:
            b.store("limit", target, **value)
    return b


def step(b: Bench, rng: random.Random) -> None:
    tasks = list(b.p.tasks.values())
    what = rng.random()
    if what < 0.25 or not tasks:
        b.ask(c.StartInstance(id=rng.choice(["people", "machine"])))
    elif what < 0.3:
        b.ask(c.CreateTask(name="x", job_type=rng.choice(["", "work"]), priority=rng.choice([20, 80]), headers={"endpoint": "e1"}))
    elif what < 0.5:
        made = b.ask(c.ActivateTasks(job_type=rng.choice(["work", "agent:x"]), worker="w", max=rng.randint(1, 4), timeout_ms=60_000))
        assert not isinstance(made, Rejected)
    elif what < 0.65:
        task = rng.choice(tasks)
        b.ask(c.FailTask(task=task.key, code="E") if rng.random() < 0.6 else c.CompleteTask(task=task.key, fence=task.fence))
    elif what < 0.8:
        b.until(rng.choice([1, 10, 60, 600]) * MINUTE // 60)
    else:
        move = rng.choice([m for m in moves.MOVES if m not in ("complete", "fail")])
        details = {
            "assignee": rng.choice(PEOPLE),
            "text": "t",
            "name": "n",
            "uri": "u",
            "draft": {},
            "percent": 5,
            "priority": rng.choice([20, 60]),
        }
        wanted = {"assign": ["assignee"], "claim": ["assignee"], "delegate": ["assignee"], "transfer": ["assignee"], "escalate": ["assignee"],
                  "comment": ["text"], "attach": ["name", "uri"], "draft": ["draft"], "progress": ["percent"], "update": ["priority"]}  # fmt: skip
        b.ask(c.MoveTask(task=rng.choice(tasks).key, move=move, details={k: details[k] for k in wanted.get(move, [])} or None))


@pytest.mark.req("D-STA-004")
@pytest.mark.parametrize("seed", range(BASE, BASE + RUNS))
def test_random_lives(seed):
    rng = random.Random(seed)
    b = world(rng)
    for _ in range(80):
        step(b, rng)
    for _ in range(300):  # now all is finished: incidents resolved, suspended resumed, everything completed
        if not b.p.tasks and not b.p.incidents:
            break
        for incident in list(b.p.incidents):
            b.do(c.ResolveIncident(key=incident))
        for task in list(b.p.tasks.values()):
            if task.status == "suspended":
                b.move(task.key, "resume")
            elif task.status != "failed":
                b.ask(c.CompleteTask(task=task.key))
    assert not b.p.tasks and not b.p.instances and not b.p.incidents and not b.p.ready and not b.p.parked and not b.p.by_assignee
    b.until(60 * MINUTE)
    assert not b.p.timers, [t.element for t in b.p.timers.values()]
    assert all(g.leased == 0 and not g.out for g in b.p.guards.values()), {t: (g.leased, list(g.out)) for t, g in b.p.guards.items()}

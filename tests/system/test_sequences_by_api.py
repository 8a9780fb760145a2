"""The order in which a start and a piece of work go, as the log has it and as a caller sees it; and that each engine inside tells of itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from asking import Caller
from test_lines_by_api import TABLE, deploy, job

from flowledger.sdk import Flow

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
async def x(place, database, tmp_path) -> AsyncIterator[Caller]:
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (_, http):
        yield Caller(http, place)


async def told(x: Caller, instance: str, after: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await x.ok("GET", f"instances/{instance}/events", limit=200, wait_for=after))["items"]
    return found


async def start(x: Caller, **variables: Any) -> dict[str, Any]:
    """Under the trace of whoever asks."""
    body, headers = {"definition": "p", "variables": variables}, {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    r = await x.http.post("/v1/instances", json=body, headers=headers)
    assert r.status_code == 201, r.text
    made: dict[str, Any] = r.json()
    return made


async def complete(x: Caller, taken: dict[str, Any], **variables: Any) -> dict[str, Any]:
    r = await x.http.post(f"/v1/jobs/{taken['key']}/complete", json={"variables": variables}, headers={"traceparent": taken["trace"]})
    assert r.status_code == 200, r.text
    done: dict[str, Any] = r.json()
    return done


@pytest.mark.req("D-ENG-004")
async def test_a_start_is_answered_before_any_work_begins(x):
    """The definition is looked up, the context is there with the start, and the caller has the instance while its first work waits for somebody."""
    for n in (1, 2):
        newest = await deploy(x, Flow("p").start().service("a", job=f"w{n}").end())
    made = await start(x, n=1)
    assert (made["definition"], made["version"], made["status"]) == (newest["p"]["key"], 2, "running"), (
        "the newest version, found by its id"
    )
    first, *rest = await told(x, made["id"], made["position"])
    assert [first["type"], *(e["type"] for e in rest)] == ["workflow.started", "flow.taken", "task.created"]
    assert first["data"]["variables"] == {"n": 1} and first["data"]["definition"] == made["definition"]
    assert rest[-1]["id"] == made["position"], "all of the start was on the log when it was answered, and nobody had begun"
    taken = await job(x, "w2")
    assert taken["variables"] == {"n": 1}
    done = await complete(x, taken)
    leased = next(e for e in await told(x, made["id"], done["position"]) if e["type"] == "task.leased")
    assert order(leased) > order({"id": made["position"]})


def order(e: dict[str, Any]) -> int:
    """Within a partition."""
    return int(e["id"].partition("-")[2])


@pytest.mark.req("D-ENG-005")
async def test_a_task_goes_from_its_making_to_the_next_one_under_one_trace(x):
    """Picked, assigned, called with the context, its result taken into the context, completed, and the next one is asked for; for a person alike."""
    await deploy(x, Flow("p").start().service("a", job="w").user("u", assignee="ann").service("b", job="w").end())
    made = await start(x, n=1)
    taken = await job(x, "w")
    assert taken["variables"] == {"n": 1} and taken["trace"].split("-")[1] == TRACE, "the worker has the context, and the trace"
    done = await complete(x, taken, m=2)
    assert (await x.ok("GET", f"instances/{made['id']}", wait_for=done["position"]))["variables"] == {"n": 1, "m": 2}
    [person] = [t for t in (await x.ok("GET", "tasks", instance=made["id"]))["items"] if t["element"] == "u"]
    assert person["assignee"] == "ann"
    await x.ok("POST", f"tasks/{person['id']}/start", {})
    await x.ok("POST", f"tasks/{person['id']}/complete", {"variables": {"k": 3}})
    last = await job(x, "w")
    assert last["variables"] == {"n": 1, "m": 2, "k": 3}
    over = await complete(x, last)
    events = await told(x, made["id"], over["position"])
    steps = [e["type"] for e in events if e["type"] != "flow.taken"]
    machine, by_person = ["task.created", "task.leased", "task.completed"], ["task.created", "task.started", "task.completed"]
    assert steps == ["workflow.started", *machine, *by_person, *machine, "workflow.completed"]
    completed = next(e for e in events if e["type"] == "task.completed")
    assert completed["data"]["variables"] == {"m": 2} and completed["data"]["merged"] == made["id"], "result and context in one step"
    assert [order(e) for e in events] == sorted({order(e) for e in events})
    assert {e["trace"].split("-")[1] for e in events} == {TRACE}
    of_task = (await x.ok("GET", f"tasks/{taken['key']}/events"))["items"]
    assert [e["type"] for e in of_task] == machine and {e["trace"].split("-")[1] for e in of_task} == {TRACE}
    leases = (await x.ok("GET", f"instances/{made['id']}/events", type="task.leased"))["items"]
    assert len(leases) == 2 and {e["trace"].split("-")[1] for e in leases} == {TRACE}


#: each engine inside, by its own figures
FIGURES = {
    "workflow": (
        'flowledger_instances{partition="',
        "flowledger_instance_outcomes_total{",
        'flowledger_events_total{type="workflow.completed"}',
    ),
    "task": ('flowledger_ready_jobs{type="w"}', 'flowledger_leases{partition="', 'flowledger_events_total{type="task.completed"}'),
    "rules": ('flowledger_events_total{type="decision.evaluated"}', 'flowledger_element_seconds_count{element="rule"'),
    "scheduling": ('flowledger_timers{partition="', 'flowledger_events_total{type="timer.triggered"}'),
    "circuit breaker": ('flowledger_open_breakers{partition="', 'flowledger_events_total{type="breaker.changed"}'),
}


@pytest.mark.req("D-ENG-007")
async def test_each_engine_inside_has_figures_of_its_own(x):
    flow = Flow("p").start().decision("rule", "level", "level").wait("soon", "PT0.2S").service("a", job="w").end()
    await deploy(x, flow, rules=TABLE)
    await x.ok("PUT", "limits", {"circuit_breaker": {"failures": 1, "open_ms": 600_000}}, target="job:bad")
    await deploy(x, Flow("q").start().service("b", job="bad").end())
    await x.start("p", 2, variables={"sum": 1})
    await x.start("q", 1)
    done = await complete(x, await job(x, "w"))
    failing = await job(x, "bad")
    await x.ok("POST", f"jobs/{failing['key']}/fail", {"message": "no"})

    async def shown() -> dict[str, dict[str, float]] | None:
        lines = (await x.http.get("/metrics")).text.splitlines()
        figures = {k: float(v) for k, v in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}
        found = {of: {n: sum(v for k, v in figures.items() if k.startswith(n)) for n in names} for of, names in FIGURES.items()}
        whole = found["circuit breaker"][FIGURES["circuit breaker"][0]] == 1 and found["workflow"][FIGURES["workflow"][1]] == 1
        return found if whole and found["task"][FIGURES["task"][0]] == 1 and found["rules"][FIGURES["rules"][1]] == 2 else None

    await x.ok("GET", "instances", wait_for=done["position"])
    found = await x.place.until(shown, 120)
    assert found["workflow"][FIGURES["workflow"][2]] == 1 and found["rules"][FIGURES["rules"][0]] == 2
    assert found["scheduling"][FIGURES["scheduling"][1]] == 2 and found["circuit breaker"][FIGURES["circuit breaker"][1]] >= 1

"""Lines of the catalogue that are one round by hand each: definitions, tasks, metrics, decisions and control over HTTP, as a client sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import psycopg
import pytest
from asking import Caller

from flowledger.projections.rebuild import rebuild
from flowledger.projections.schema import SCHEMA
from flowledger.sdk import Flow
from flowledger.stores import make_log, source_of

TABLE = """<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="urn:m" id="m">
<inputData id="sum" name="sum"><variable name="sum" typeRef="number"/></inputData>
<decision id="level" name="level"><variable name="level" typeRef="string"/><informationRequirement><requiredInput href="#sum"/></informationRequirement>
<decisionTable hitPolicy="UNIQUE"><input><inputExpression typeRef="number"><text>sum</text></inputExpression></input><output/>
<rule><inputEntry><text>&lt; 100</text></inputEntry><outputEntry><text>"clerk"</text></outputEntry></rule>
<rule><inputEntry><text>&gt;= 100</text></inputEntry><outputEntry><text>"board"</text></outputEntry></rule></decisionTable></decision></definitions>"""


@pytest.fixture
async def x(place, database, tmp_path) -> AsyncIterator[Caller]:
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (_, http):
        yield Caller(http, place)


async def deploy(x: Caller, *flows: Flow, **files: str) -> dict[str, Any]:
    found = [{"name": f"{n}.bpmn", "content": f.xml().decode()} for n, f in enumerate(flows)]
    answer = await x.ok("POST", "deployments", {"resources": [*found, *({"name": f"{k}.dmn", "content": v} for k, v in files.items())]})
    return {d["process"] if "process" in d else d["name"]: d for d in answer["definitions"]}


async def job(x: Caller, type: str, worker: str = "w") -> dict[str, Any]:
    [found] = (await x.ok("POST", "jobs/activate", {"type": type, "worker": worker, "max": 1, "wait_ms": 10_000}))["jobs"]
    return found


async def done(x: Caller, type: str, **variables: Any) -> dict[str, Any]:
    found = await job(x, type)
    return found | await x.ok("POST", f"jobs/{found['key']}/complete", {"variables": variables})


async def open_tasks(x: Caller, instance: str, after: str = "") -> list[dict[str, Any]]:
    rows = (await x.ok("GET", "tasks", instance=instance, **({"wait_for": after} if after else {})))["items"]
    return [r for r in rows if r["status"] in ("created", "assigned", "started")]


@pytest.mark.req("D-API-002", "D-API-003")
async def test_a_definition_is_read_edited_as_a_draft_and_gets_a_new_version_once_published(x):
    one, two = (Flow("p").start().service("w", job=f"type-{n}").end().xml().decode() for n in (1, 2))
    made = await x.ok("POST", "definitions", {"name": "p.bpmn", "content": one})
    key = made["definitions"][0]["key"]
    first = await x.ok("GET", f"definitions/{key}", wait_for=made["position"])
    assert (first["status"], first["version"]) == ("draft", 1) and first["versions"]
    edited = await x.ok("PUT", f"definitions/{key}", {"content": two})
    assert (await x.ok("GET", f"definitions/{key}", wait_for=edited["position"]))["version"] == 1, "edited in place"
    source = await x.http.get(f"/v1/definitions/{key}/source")
    assert "type-2" in source.text and "type-1" not in source.text
    published = await x.ok("POST", f"definitions/{key}/publish", {})
    assert (await x.ok("GET", f"definitions/{key}", wait_for=published["position"]))["status"] == "published"
    assert (await x.ask("PUT", f"definitions/{key}", {"content": one}))[0] == 409, "frozen"
    again = await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": one}]})
    newest = await x.ok("GET", "definitions/p", wait_for=again["position"])
    assert newest["version"] == 2 and len(newest["versions"]) == 2


@pytest.mark.req("D-API-014", "D-API-017", "D-TSK-006", "TES-TSK-006")
async def test_a_persons_task_is_made_started_and_cancelled(x):
    """The first task of an instance goes to its assignee; who starts it is recorded; a cancelled one goes on by the error that the model catches."""
    await deploy(
        x, Flow("p").start().user("u", assignee="ann").end("e").on("u", "b", error="TASK_CANCELLED").user("v", assignee="eve").end("e2")
    )
    [key] = await x.start("p", 1)
    [task] = await open_tasks(x, key)
    assert (task["element"], task["assignee"], task["status"]) == ("u", "ann", "assigned")
    started = await x.ok("POST", f"tasks/{task['id']}/start", {})
    row = await x.ok("GET", f"tasks/{task['id']}", wait_for=started["position"])
    assert row["status"] == "started" and row["assignments"][-1]["assignee"] == "ann" and row["started_at"]
    moments = [row[name] for name in ("created_at", "updated_at", "started_at")]
    assert all("T" in m and datetime.fromisoformat(m).tzinfo is not None for m in moments) and moments[0] <= moments[2] <= moments[1]
    gone = await x.ok("POST", f"tasks/{task['id']}/cancel", {"reason": "not needed"})
    assert (await x.ok("GET", f"tasks/{task['id']}", wait_for=gone["position"]))["status"] == "cancelled"
    assert [t["element"] for t in await open_tasks(x, key, gone["position"])] == ["v"]
    [told] = [e for e in (await x.ok("GET", f"tasks/{task['id']}/events"))["items"] if e["type"] == "task.cancelled"]
    assert told["data"]["reason"] == "not needed"


@pytest.mark.req("D-API-016", "D-API-024", "D-API-025", "D-API-028", "WSM-SCO-001", "WOS-SCO-001", "TES-TSK-003")
async def test_parallel_steps_of_which_one_fails_run_to_the_end_after_a_retry(x):
    """A failure is tried again while attempts are left, then an incident, or the error that it names; what each took is told of the task and the instance."""
    flow = Flow("p").start().parallel("split").service("a", job="a").parallel("join")
    await deploy(x, flow.at("split").service("b", job="b").to("join").at("join").service("c", job="c").end())
    [key] = await x.start("p", 1)
    failing = await job(x, "b")
    again = await x.ok("POST", f"jobs/{failing['key']}/fail", {"message": "no network", "retries": 1})
    await x.ok("GET", "instances", wait_for=again["position"])
    await done(x, "a", a=1)
    second = await job(x, "b", "other")
    assert second["key"] == failing["key"]
    over = await x.ok("POST", f"jobs/{second['key']}/fail", {"message": "no network", "retries": 0})
    [incident] = (await x.ok("GET", "incidents", instance=key, status="open", wait_for=over["position"]))["items"]
    assert incident["element"] == "b"
    await x.ok("POST", f"incidents/{incident['id']}/resolve", {"retries": 1})
    await done(x, "b", b=2)
    last = await done(x, "c")
    row = await x.ok("GET", f"instances/{key}", wait_for=last["position"])
    assert row["status"] == "completed"

    metrics = await x.ok("GET", f"tasks/{failing['key']}/metrics")
    assert metrics["attempts"] == 3 and [r["worker"] for r in metrics["results"]] == ["w", "other", "w"]
    assert (
        metrics["duration_ms"] == pytest.approx(metrics["wait_ms"] + metrics["work_ms"], abs=1)
        and metrics["wait_ms"] >= 0 < metrics["work_ms"]
    )
    of_instance = await x.ok("GET", f"instances/{key}/metrics")
    assert (
        {e["element"] for e in of_instance["elements"]} >= {"a", "b", "c"} and of_instance["wait_ms"] >= 0 and of_instance["work_ms"] >= 0
    )

    events = (await x.ok("GET", f"tasks/{failing['key']}/events"))["items"]
    failed = (await x.ok("GET", f"tasks/{failing['key']}/events", type="task.failed"))["items"]
    assert [e for e in events if e["type"] == "task.failed"] == failed and len(failed) == 2
    rows = (await x.ok("GET", f"instances/{key}/events", limit=200))["items"]
    told = [name for e in rows for name in (e["data"].get("source"), e["data"].get("element"), e["data"].get("target"))]
    moves = [told.index(name) for name in ("start", "split", "join", "c", "end")]
    assert moves == sorted(moves) and {"a", "b"} <= set(told), "each move is logged, in its order"


@pytest.mark.req("APG-ELM-002", "D-VAR-005")
@pytest.mark.parametrize(("total", "changed", "who"), [(20, None, "clerk"), (200, None, "board"), (20, 200, "board")])
async def test_a_decision_table_drives_a_gateway_and_sees_what_was_changed_meanwhile(x, total, changed, who):
    flow = Flow("p").start().service("w", job="w").decision("d", decision="level", result="level").exclusive("x")
    await deploy(x, flow.when('level = "board"').user("board").end("e1").at("x").otherwise().user("clerk").end("e2"), level=TABLE)
    [key] = await x.start("p", 1, variables={"sum": total})
    if changed is not None:
        await x.ok("PATCH", f"instances/{key}/variables", {"variables": {"sum": changed}})
    over = await done(x, "w")
    assert [t["element"] for t in await open_tasks(x, key, over["position"])] == [who]


@pytest.mark.req("D-API-020", "WSM-ENG-002", "D-ENG-009")
async def test_pause_resume_and_roll_back_in_any_order(x):
    await deploy(x, Flow("p").start().service("a", job="a").service("b", job="b").service("c", job="c").end())
    [key] = await x.start("p", 1)
    await done(x, "a")
    paused = await x.ok("POST", f"instances/{key}/pause", {})
    assert (await x.ok("GET", f"instances/{key}", wait_for=paused["position"]))["paused"]
    assert (await x.ok("POST", "jobs/activate", {"type": "b", "worker": "w", "max": 1}))["jobs"] == [], "no further step is handed out"
    back = await x.ok("POST", f"instances/{key}/rollback", {"steps": 1})
    resumed = await x.ok("POST", f"instances/{key}/unpause", {})
    assert not (await x.ok("GET", f"instances/{key}", wait_for=resumed["position"]))["paused"]
    await done(x, "a")
    held = await x.ok("POST", f"instances/{key}/suspend", {})
    assert (await x.ok("GET", f"instances/{key}", wait_for=held["position"]))["status"] == "suspended"
    await x.ok("POST", f"instances/{key}/resume", {})
    await done(x, "b")
    again = await x.ok("POST", f"instances/{key}/rollback", {"steps": 1})
    assert again["position"] != back["position"]
    await done(x, "b")
    last = await done(x, "c")
    assert (await x.ok("GET", f"instances/{key}", wait_for=last["position"]))["status"] == "completed"
    types = [e["type"] for e in (await x.ok("GET", f"instances/{key}/events", limit=200))["items"]]
    assert types.count("workflow.rolled_back") == 2 and types[-1] == "workflow.completed"


#: child, the column that names its parent, the parent
RELATIONS = [
    ("workflow_instances", "definition_id", "workflow_definitions"),
    ("tasks", "workflow_instance_id", "workflow_instances"),
    ("task_assignments", "task_id", "tasks"),
    ("task_results", "task_id", "tasks"),
    ("task_events", "task_id", "tasks"),
    ("workflow_events", "workflow_instance_id", "workflow_instances"),
]


@pytest.mark.req("WSM-DAT-002", "D-DAT-021")
async def test_the_state_survives_a_restart_and_each_row_has_its_parent_after_a_rebuild(place, database, tmp_path):
    settings = dict(data=tmp_path, postgres=database, partitions=2)
    async with place.system(**settings) as (_, http):
        x = Caller(http, place)
        await deploy(
            x,
            Flow("q").start().service("w", job="w").end(),
            Flow("p").start().user("u", assignee="ann").call("c", "q").user("v", assignee="ann").end(),
        )
        keys = await x.start("p", 4, variables={"n": 1})
        for key in keys[:3]:
            [task] = await open_tasks(x, key)
            over = await x.ok("POST", f"tasks/{task['id']}/complete", {"variables": {"n": 2}})
        failing = await job(x, "w")
        over = await x.ok("POST", f"jobs/{failing['key']}/fail", {"message": "no", "retries": 1})
        await done(x, "w")
        over = await done(x, "w")
        await x.ok("GET", "instances", wait_for=over["position"])
        names = ("status", "process", "version", "started_at", "business_key")
        before = {
            k: ([(await x.ok("GET", f"instances/{k}"))[n] for n in names], (await x.ok("GET", f"instances/{k}/variables"))["variables"])
            for k in keys
        }
        waiting = {k: [t["id"] for t in await open_tasks(x, k)] for k in keys}
    async with place.system(**settings) as (system, http):
        x = Caller(http, place)
        after = {
            k: ([(await x.ok("GET", f"instances/{k}"))[n] for n in names], (await x.ok("GET", f"instances/{k}/variables"))["variables"])
            for k in keys
        }
        assert after == before and {k: [t["id"] for t in await open_tasks(x, k)] for k in keys} == waiting
        [task] = await open_tasks(x, keys[3])
        await x.ok("POST", f"tasks/{task['id']}/complete", {})
        while not all([await open_tasks(x, k) for k in keys]):
            over = await done(x, "w")
            await x.ok("GET", "instances", wait_for=over["position"])
        for key in keys:
            [task] = await open_tasks(x, key)
            over = await x.ok("POST", f"tasks/{task['id']}/complete", {})
            assert (await x.ok("GET", f"instances/{key}", wait_for=over["position"]))["status"] == "completed"
        log = make_log(system.settings)
        await log.open()
        await rebuild(database, source_of(log, follow=False), range(2))
        await log.close()
        async with await psycopg.AsyncConnection.connect(database) as db:
            await db.execute(f"SET search_path TO {SCHEMA}")
            for child, column, parent in RELATIONS:
                lost = f"NOT EXISTS (SELECT FROM {parent} p WHERE p.id = c.{column} AND p.tenant_id = c.tenant_id)"
                counted = f"SELECT count(*), count(*) FILTER (WHERE {lost}) FROM {child} c"
                rows, orphans = await (await db.execute(counted)).fetchone()
                assert rows > 0 and orphans == 0, (child, rows, orphans)

"""Lines of the catalogue that are one round by hand each: definitions, tasks, metrics, decisions and control over HTTP, as a client sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import psycopg
import pytest
from asking import Caller, latest

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
async def x(place, database, tmp_path) -> AsyncIterator[Asker]:
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (_, http):
        yield Asker(http, place)


class Asker(Caller):
    async def found(self, **query: Any) -> list[dict[str, Any]]:
        return (await self.ok("GET", "instances", **query))["items"]

    async def over(self, instance: str) -> bool:
        return (await self.ok("GET", f"instances/{instance}"))["status"] == "completed"


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
            await x.ok("POST", f"tasks/{task['id']}/complete", {"variables": {"n": 2}})
        failing = await job(x, "w")
        failed = await x.ok("POST", f"jobs/{failing['key']}/fail", {"message": "no", "retries": 1})
        over = [failed, *[await done(x, "w") for _ in range(2)]]

        async def at_rest() -> bool:
            """Two are past what they called, one waits for it, one hasn't come there; what is called may be on another partition."""
            return sorted([t["element"] for k in keys for t in await open_tasks(x, k)]) == ["u", "v", "v"]

        await place.until(at_rest)
        await x.ok("GET", "instances", wait_for=latest(o["position"] for o in over))
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
        for _ in range(2):
            await done(x, "w")

        async def all_open() -> bool:
            return all([await open_tasks(x, k) for k in keys])

        await place.until(all_open)
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


# --- instances: metadata, state, who works, what depends on what ---------------------------------------------------------


@pytest.mark.req("D-ENG-003")
async def test_an_instance_is_found_by_each_of_its_metadata(x):
    await deploy(x, Flow("child").start().user("u").end(), Flow("p").start().call("c", process="child").end())
    for n in range(3):
        about = {"project_id": f"project-{n}", "environment": "production" if n else "test", "extra": {"n": n}}
        body = {"definition": "p", "business_key": f"key-{n}", "metadata": about}
        made = await x.http.post("/v1/instances", json=body, headers={"X-Correlation-Id": f"corr-{n}"})
        assert made.status_code == 201, made.text
        parent = made.json()
        [child] = await x.place.until(lambda of=parent["id"]: x.found(parent=of))
        for by in ({"project_id": f"project-{n}"}, {"where": f'run.project_id = "project-{n}"'}):
            assert [i["id"] for i in await x.found(**by)] == [parent["id"]], by
        for by in ({"correlation_id": f"corr-{n}"}, {"business_key": f"key-{n}"}):  # a child keeps them
            assert {i["id"] for i in await x.found(**by)} == {parent["id"], child["id"]}, by
    tests, rest = await x.found(environment="test"), await x.found(environment="production")
    assert [i["business_key"] for i in tests] == ["key-0"] and {i["business_key"] for i in rest} == {"key-1", "key-2"}
    assert await x.found(project_id="project-" + "9" * 5_000) == [] and await x.found(environment="Test") == []
    long = "long" * 500
    await x.start("child", 1, metadata={"project_id": long})
    assert len(await x.found(project_id=long)) == 1 and await x.found(project_id=long[:300]) == []


@pytest.mark.req("WSM-ENG-001")
async def test_one_state_is_told_by_all_that_tell_it(x):
    await deploy(x, Flow("p").start().service("a", job="w").user("u", assignee="ann").end())
    [key] = await x.start("p", 1, variables={"n": 1})
    over = await done(x, "w", m=2)
    row = await x.ok("GET", f"instances/{key}", wait_for=over["position"])
    state = await x.ok("GET", f"instances/{key}/state")
    tasks = [t["id"] for t in await open_tasks(x, key)]
    assert state["status"] == row["status"] == "running" and state["variables"] == row["variables"] == {"n": 1, "m": 2}
    assert [t["task"] for t in state["tasks"]] == tasks and [t["element"] for t in state["tokens"]] == ["u"]
    assert (await x.ok("GET", f"instances/{key}/variables"))["variables"] == state["variables"]


@pytest.mark.req("D-ENG-001", "WOS-ENG-010")
async def test_work_goes_to_whoever_has_time_for_it(x):
    """Two services for one kind of work: who is slow keeps what it has, the other gets all the rest; what each has in hand is told."""
    await deploy(x, Flow("p").start().service("a", job="w").end())
    await x.start("p", 9)
    kept = {worker: (await job(x, "w", worker))["key"] for worker in ("slow", "fast")}

    async def told() -> dict[str, Any]:
        return {w["worker"]: w for w in (await x.ok("GET", "workers"))["items"]}

    assert {name: [h["key"] for h in w["holds"]] for name, w in (await told()).items()} == {name: [key] for name, key in kept.items()}
    for _ in range(7):
        taken = await job(x, "w", "fast")
        await x.ok("POST", f"jobs/{taken['key']}/complete", {})
    now = await told()
    assert (now["slow"]["completed"], now["fast"]["completed"]) == (0, 7) and [h["key"] for h in now["slow"]["holds"]] == [kept["slow"]]


DEPENDS = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<message id="m" name="ready"><extensionElements><zeebe:subscription correlationKey="=order"/></extensionElements></message>
<process id="first" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="a"/>
<serviceTask id="a"><extensionElements><zeebe:taskDefinition type="press"/></extensionElements></serviceTask>
<sequenceFlow id="g" sourceRef="a" targetRef="e"/><endEvent id="e"><messageEventDefinition messageRef="m"/></endEvent></process></definitions>"""


@pytest.mark.req("APG-ENG-007")
async def test_workflows_wait_for_one_another_and_exclude_one_another(x):
    """A dependency: one goes on when the other is over. Exclusion: of all instances, one at a time has the press."""
    await x.ok("PUT", "limits", {"concurrency": 1}, target="job:press")
    second = Flow("second").start().wait("until", message="ready", key="=order").service("b", job="press").end()
    await x.ok(
        "POST",
        "deployments",
        {"resources": [{"name": "first.bpmn", "content": DEPENDS}, {"name": "second.bpmn", "content": second.xml().decode()}]},
    )
    waiting = [key for n in range(3) for key in await x.start("second", 1, variables={"order": n})]
    for n in range(3):
        await x.start("first", 1, variables={"order": n})
    order = []
    for _ in range(6):
        taken = await job(x, "press")
        nobody = await x.ok("POST", "jobs/activate", {"type": "press", "worker": "other", "max": 5, "wait_ms": 300})
        assert nobody["jobs"] == [], "one has it, of all instances on all partitions"
        order.append((taken["element"], taken["variables"]["order"]))
        await x.ok("POST", f"jobs/{taken['key']}/complete", {})
    assert sorted(order) == [(e, n) for e in "ab" for n in range(3)], order
    assert all(order.index(("a", n)) < order.index(("b", n)) for n in range(3)), "each waited for the one that it depends on"
    for key in waiting:
        await x.place.until(lambda of=key: x.over(of))


@pytest.mark.req("WSM-RES-010")
async def test_work_that_nobody_catches_is_told_before_it_is_deployed(x):
    bare = Flow("p").start().service("a", job="w").end()
    caught = Flow("p").start().service("a", job="w").end().on("a", "b", error="E").end("e2")
    for flow, told in ((bare, True), (caught, False)):
        answer = await x.ok("POST", "models/check", {"name": "p.bpmn", "content": flow.xml().decode()})
        found = [f for f in answer["findings"] if f["code"] == "TASK_WITHOUT_ERROR_PATH"]
        assert [(f["element"], f["severity"]) for f in found] == ([("a", "info")] if told else []), answer["findings"]

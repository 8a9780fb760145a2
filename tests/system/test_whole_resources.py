"""What an instance, a task, a context and a definition say of themselves, on a whole server (D-ENG-002, D-VAR-001 to 003, D-TSK-001 to 003, D-MOD-001)."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.req(
    "D-ENG-002", "D-VAR-001", "D-VAR-002", "D-VAR-003", "D-TSK-001", "D-TSK-002", "D-TSK-003", "D-MOD-001", "D-MOD-002"
)

JOB = '<serviceTask id="{0}"><extensionElements><zeebe:taskDefinition type="{0}" retries="4"/></extensionElements></serviceTask>'
MODEL = f"""<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="p" name="Whole" isExecutable="true"><documentation>All there is</documentation><startEvent id="s"/>
<scriptTask id="sum"><extensionElements><zeebe:script expression="= a + 1" resultVariable="b"/></extensionElements></scriptTask>
<parallelGateway id="fork"/><parallelGateway id="join"/>
<subProcess id="sp"><startEvent id="si"/>{JOB.format("inner")}<endEvent id="ei"/>
<sequenceFlow id="i1" sourceRef="si" targetRef="inner"/><sequenceFlow id="i2" sourceRef="inner" targetRef="ei"/></subProcess>
<boundaryEvent id="late" attachedToRef="sp"><timerEventDefinition><timeDuration>PT1H</timeDuration></timerEventDefinition></boundaryEvent>
{JOB.format("work")}<endEvent id="e"/><endEvent id="e2"/>
<sequenceFlow id="f1" sourceRef="s" targetRef="sum"/><sequenceFlow id="f2" sourceRef="sum" targetRef="fork"/>
<sequenceFlow id="f3" sourceRef="fork" targetRef="sp"/><sequenceFlow id="f4" sourceRef="fork" targetRef="work"/>
<sequenceFlow id="f5" sourceRef="sp" targetRef="join"/><sequenceFlow id="f6" sourceRef="work" targetRef="join"/>
<sequenceFlow id="f7" sourceRef="join" targetRef="e"/><sequenceFlow id="f8" sourceRef="late" targetRef="e2"/></process></definitions>"""


@pytest.mark.postgres
async def test_each_resource_is_whole(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (_, http):

        async def get(path: str, **query: str) -> dict:
            answer = await http.get(f"/v1{path}", params=query)
            assert answer.status_code == 200, answer.text
            return answer.json()

        deployed = await http.post("/v1/deployments", json={"resources": [{"name": "p.bpmn", "content": MODEL}]})
        assert deployed.status_code < 300, deployed.text
        started = (await http.post("/v1/instances", json={"definition": "p", "variables": {"a": 1}})).json()
        id, position = started["id"], started["position"]

        definition = await get(f"/definitions/{started['definition']}", wait_for=position)
        assert len(definition["graph_hash"]) == 64 and definition["validation_result"]["valid"] is True

        listed = (await get("/tasks", instance=id, wait_for=position))["items"]
        assert sorted(t["element"] for t in listed) == ["inner", "work"]
        rows = {t["element"]: t for t in (await get("/tasks", instance=id, activities="true"))["items"]}
        assert {e: (t["type"], t["status"]) for e, t in rows.items()} == {
            "sum": ("script_task", "completed"), "sp": ("sub_process", "started"), "inner": ("service_task", "created"), "work": ("service_task", "created"),
        }  # fmt: skip
        assert rows["inner"]["parent"] == rows["sp"]["id"] and sorted(t["sequence_number"] for t in rows.values()) == [1, 2, 3, 4]
        for move in ("claim", "complete", "fail", "cancel"):
            refused = await http.post(f"/v1/tasks/{rows['sp']['id']}/{move}", json={})
            assert refused.status_code == 409 and "the engine does itself" in refused.text, refused.text

        work = await get(f"/tasks/{rows['work']['id']}")
        assert work["input"] == {"a": 1, "b": 2} and work["dependencies"] == ["sum"] and work["parallel_group"] == "fork"
        assert work["execution_config"]["max_retries"] == 4 and work["execution_config"]["job_type"] == "work"
        sp = await get(f"/tasks/{rows['sp']['id']}")
        assert sp["dependencies"] == ["sum"] and sp["parallel_group"] == "fork" and sp["input"] == {"a": 1, "b": 2}

        instance = await get(f"/instances/{id}", include="tasks")
        assert instance["description"] == "All there is" and instance["input"] == {"a": 1} and instance["output"] is None
        assert instance["tasks"]["count"] == 2 and instance["tasks"]["activities"] == 2 and len(instance["tasks"]["items"]) == 4
        assert instance["events"]["count"] > 5 and instance["execution_context"]["active_tasks"] == 2

        context = await get(f"/instances/{id}/context")
        state = context["workflow_state"]
        assert set(state["current"]) == {"inner", "work"} and [b["element"] for b in state["boundary_events"]] == ["late"]
        assert {w["kind"] for t in state["tokens"] for w in t["waits_for"]} >= {"task", "tokens"}

        for job_type in ("inner", "work"):
            jobs = (
                await http.post(
                    "/v1/jobs/activate", json={"type": job_type, "worker": "w", "max": 1, "timeout_ms": 60_000, "wait_ms": 5_000}
                )
            ).json()["jobs"]
            done = await http.post(f"/v1/jobs/{jobs[0]['key']}/complete", json={"variables": {job_type: True}})
            assert done.status_code == 200, done.text
        position = done.json()["position"]
        ended = await get(f"/instances/{id}", wait_for=position)
        assert ended["status"] == "completed" and ended["output"]["inner"] is True and ended["output"]["b"] == 2
        after = await get(f"/instances/{id}/context")
        assert after["status"] == "completed" and after["errors"]["count"] == 0
        assert [s["element"] for s in after["runtime"]["execution_path"]][:3] == ["s", "sum", "fork"]
        assert after["task_state"]["counts"]["completed"] == 2
        rows = {t["element"]: t for t in (await get("/tasks", instance=id, activities="true"))["items"]}
        assert {t["status"] for t in rows.values()} == {"completed"} and all(t["duration_ms"] is not None for t in rows.values())

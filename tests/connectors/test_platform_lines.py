"""What processes do with the platform: a prediction decides, tenants learn together, an escalation is told, an event of one service leads to another's work."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from flowledger.connectors.stubs.catalogue import records
from flowledger.events import commands as c
from flowledger.processors.client import Caller
from flowledger.sdk import Flow
from tests.connectors.conftest import running
from tests.connectors.test_capabilities import TOKEN, done, engine, register, stubs  # noqa: F401 - fixtures
from tests.connectors.test_connectors_in_dev import dev, model  # noqa: F401 - a fixture

pytestmark = pytest.mark.timeout(120)
SIX_KINDS = Path(__file__).parents[2] / "examples" / "capabilities" / "six-kinds.yaml"


@pytest.fixture
async def platform(engine, stubs, monkeypatch):  # noqa: F811 - fixtures
    monkeypatch.setattr("flowledger.connectors.capabilities.LOOK_S", 0.1)
    monkeypatch.setenv("FLOWLEDGER_SECRET_PLATFORM", TOKEN)
    await register(engine, records(stubs.url, "PLATFORM"))
    return stubs.platform


async def run(engine: Any, flow: Flow | str, of: str = "", **variables: Any) -> dict[str, Any]:  # noqa: F811
    """The variables of an instance at its end."""
    text = flow if isinstance(flow, str) else flow.xml().decode()
    name, id = ("f.yaml", text.split()[1]) if isinstance(flow, str) else ("f.bpmn", flow.id)
    await done(engine, c.Deploy(resources=[c.Resource(name, text)]), Caller(tenant=of))
    answer = await done(engine, c.StartInstance(id=id, variables=variables, wait=True), Caller(tenant=of))
    assert answer["status"] == "completed"
    return answer["variables"]


@pytest.mark.req("APG-CON-005", "APG-AI-001", "APG-CON-001")
@pytest.mark.parametrize(("amount", "who"), [(50, "clerk"), (20_000, "board")])
async def test_a_prediction_decides_which_way_is_taken(amount, who, engine, platform):  # noqa: F811
    flow = (
        Flow("order").start().service("ask", job="ai_orchestration.predict", inputs={"model": '="risk"', "features": "={amount: amount}"})
    )
    flow.exclusive("which").when('=prediction.risk = "high"').script("board", '="board"', "who").end("e1")
    flow.at("which").otherwise().script("clerk", '="clerk"', "who").end("e2")
    async with running(engine):
        assert (await run(engine, flow, amount=amount))["who"] == who


@pytest.mark.req("APG-CON-006", "APG-AI-001")
async def test_two_tenants_learn_together_and_share_weights_only(engine, platform, stubs):  # noqa: F811
    step = "{id: %s, type: capability, capability: federated_learning, operation: %s, parameters: %s}"
    gives = step % ("give", "contribute", '{model: m, tenant: "= tenant", weights: "= weights"}')
    text = f"id: round\nsteps: [{gives}, {step % ('learn', 'aggregate', '{model: m}')}]"
    async with running(engine, connector_tenants=("north", "south")):
        await run(engine, text, "north", tenant="north", weights=[1, 4], customers=["Ann Secret"])
        learned = await run(engine, text, "south", tenant="south", weights=[3, 8], customers=["Bob Secret"])
    assert learned["learn"]["output"] == {"weights": [2, 6], "tenants": 2}, "the second has the mean of both"
    sent = [given for name, _, given in stubs.calls if name == "federated_learning"]
    assert len(sent) == 4 and "Secret" not in str(sent), "nothing of the data goes there"


@pytest.mark.req("APG-CON-008")
async def test_an_escalation_is_told_by_a_notice(engine, platform):  # noqa: F811
    flow = Flow("late").start().user("look", assignee="ann")
    flow.on("look", "overdue", timeout="PT0.2S", interrupting=False)
    flow.service("tell", job="notification_engine.send", inputs={"to": '="boss"', "text": '="order " + string(order) + " is late"'}).end(
        "told"
    )
    flow.at("look").end()
    await done(engine, c.Deploy(resources=[c.Resource("f.bpmn", flow.xml().decode())]))
    async with running(engine):
        await done(engine, c.StartInstance(id="late", variables={"order": 7}))
        async with asyncio.timeout(20):
            while not platform.notices.get("boss"):
                await asyncio.sleep(0.05)
    assert platform.notices == {"boss": ["order 7 is late"]}
    assert [t for o in engine.owners.values() for t in o.state.tasks.values() if t.element == "look"], "the task goes on"


@pytest.mark.req("APG-CON-010")
async def test_a_measure_is_exported_and_its_trend_read_back(engine, platform):  # noqa: F811
    flow = Flow("measure").start().service("write", job="time_series_analytics.write", inputs={"series": '="amounts"', "value": "=value"})
    flow.each("=amounts", "value", parallel=False)
    flow.service("read", job="time_series_analytics.trend", inputs={"series": '="amounts"'}).end()
    async with running(engine):
        found = await run(engine, flow, amounts=[1, 3, 5])
    assert (found["mean"], found["slope"], found["count"]) == (3, 2, 3) and platform.series == {"amounts": [1, 3, 5]}


@pytest.mark.req("D-CON-008")
async def test_one_process_has_work_for_all_six_kinds_of_those_who_do_it(engine, platform, stubs, target):  # noqa: F811
    """As the example that ships says it; each of them is seen at its work."""
    text = SIX_KINDS.read_text()
    target.routes["/rates/EUR"] = (200, {}, {"rate": 2})
    platform.data["C-7"].append(50)
    platform.tools["sales-tax"] = ("sales-tax", "amount * 0.2")
    await done(engine, c.Deploy(resources=[c.Resource("six-kinds.yaml", text)]))
    async with running(engine):
        started = await done(engine, c.StartInstance(id="six-kinds", variables={"customer": "C-7", "bank": target.url}))
        async with asyncio.timeout(30):
            while not (open_ := [t for o in engine.owners.values() for t in o.state.tasks.values() if t.element == "approve"]):
                assert not (wrong := [i.message for o in engine.owners.values() for i in o.state.incidents.values()]), wrong
                await asyncio.sleep(0.05)
    [task] = open_
    assert task.instance == started["key"] and task.type == "user_task" and task.details["candidate_groups"] == ["sales"], "the person"
    assert stubs.calls[-1][2] == {"question": "An offer of 120 to C-7?"}, "by what each of the others gave"
    called = [f"{name}.{operation}" for name, operation, _ in stubs.calls]
    assert called == ["data_manager.get", "model_manager.run", "tool_manager.call", "agent_assistance.ask"]
    assert [r.path for r in target.seen] == ["/rates/EUR"], "and somebody's API"
    await done(engine, c.CompleteTask(task=task.key))
    assert not any(started["key"] in o.state.instances for o in engine.owners.values()), "and then it is over"


@pytest.mark.req("D-CON-001")
async def test_what_a_provider_of_context_knows_decides_the_way_and_who_gets_the_work(engine, platform):  # noqa: F811
    flow = Flow("call").start().service("look", job="context_manager.context", inputs={"subject": "=customer"})
    flow.exclusive("which").when('=context.mood = "angry"').user("calm", groups="=[context.team]").end("e1")
    flow.at("which").otherwise().user("answer", groups="=[context.team]").end("e2")
    await done(engine, c.Deploy(resources=[c.Resource("f.bpmn", flow.xml().decode())]))
    found = []
    async with running(engine):
        for mood, team in (("angry", "seniors"), ("fine", "desk")):
            platform.contexts["C-7"].update(mood=mood, team=team)
            started = await done(engine, c.StartInstance(id="call", variables={"customer": "C-7"}))
            async with asyncio.timeout(30):
                while not (
                    mine := [
                        t for o in engine.owners.values() for t in o.state.tasks.values() if t.instance == started["key"] and not t.job_type
                    ]
                ):
                    await asyncio.sleep(0.05)
            found += [(t.element, t.details["candidate_groups"]) for t in mine]
    assert found == [("calm", ["seniors"]), ("answer", ["desk"])], "the same process and the same input: what is known made the difference"


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(280)
@pytest.mark.req("D-CON-006")
async def test_a_draft_of_the_designer_is_deployed_and_its_start_asks_the_context(dev, stubs):  # noqa: F811 - fixtures
    """As the designer does it: a draft is made and saved, then what stands in it is deployed and started."""
    stubs.token = ""
    stubs.platform.contexts["C-7"]["vip"] = True
    [record] = [r for name, r in records(stubs.url).items() if name == "context_manager"]
    assert (await dev.http.put("/v1/capabilities/context_manager", json=record)).status_code == 200
    first, flow = (
        Flow("welcome").start().service("know", job=job, inputs={"subject": "=customer"}) for job in ("nobody", "context_manager.context")
    )
    draft = (await dev.http.post("/v1/drafts", json={"name": "Welcome", "content": first.end().xml().decode()})).json()
    flow.exclusive("g").when("=context.vip = true").script("best", '="champagne"', "gift").end("e1")
    flow.at("g").otherwise().script("plain", '="water"', "gift").end("e2")
    saved = await dev.http.put(f"/v1/drafts/{draft['id']}", json={"content": flow.xml().decode(), "comment": "asks the context"})
    assert saved.json()["version"] == 2, saved.text
    kept = (await dev.http.get(f"/v1/drafts/{draft['id']}")).json()
    assert stubs.calls == [] and (await dev.deploy(kept["content"])).status_code == 201
    assert (await dev.ended(await dev.start("welcome", customer="C-7")))["gift"] == "champagne"
    assert [(name, operation, given["subject"]) for name, operation, given in stubs.calls] == [("context_manager", "context", "C-7")]


STORES = """id: stores
steps: [{id: put, type: capability, capability: document_management, operation: store, parameters: {name: contract, content: "= text"}}]"""
TELLS = """id: tells
steps: [{id: say, type: capability, capability: notification_engine, operation: send, parameters: {to: archive, text: '= document + " is stored"'}}]"""
ON_STORED = """format: flowledger/trigger@1
name: on-stored
source: {capability: {name: document_management, events: [document.stored]}}
start: {process: tells, variables: {document: =event.data.document}}
"""
ASKS = model("asks", {"question": '="Is it?"'}, {"answer_to": "{{callback.url}}"}, "agent_assistance.ask_later")


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(280)
@pytest.mark.req("APG-CON-012", "APG-TRG-004", "D-CON-003", "D-CON-009", "APG-TRG-001")
async def test_services_tell_what_happens_and_answer_later(dev, tmp_path):  # noqa: F811 - a fixture
    """As users run it: a server, `flowledger stubs --register` beside it. A document is stored, so that somebody is told; an agent answers a waiting task."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = [("stores.yaml", STORES), ("tells.yaml", TELLS), ("on-stored.trigger.yaml", ON_STORED), ("asks.bpmn", ASKS)]
    r = await dev.http.post("/v1/deployments", json={"resources": [{"name": n, "content": t} for n, t in told]})
    assert r.status_code == 201, r.text
    env = {**os.environ, "FLOWLEDGER_SERVER": str(dev.http.base_url)}
    with (tmp_path / "stubs.log").open("wb") as out:
        command = [sys.executable, "-m", "flowledger", "stubs", "--port", str(port), "--register"]
        stubs = subprocess.Popen(command, env=env, stdout=out, stderr=out)
    try:
        await dev.ended(await dev.start("stores", text="whereas"))

        async def heard() -> Any:
            rows = (await dev.http.get("/v1/instances", params={"definition": "tells"})).json()["items"]
            return rows and rows[0]["status"] == "completed" and rows[0]

        found = await dev.until(heard, "what was stored is told")
        variables = (await dev.http.get(f"/v1/instances/{found['id']}/variables")).json()["variables"]
        assert variables["document"] == "contract", variables
        async with httpx2.AsyncClient() as web:
            notices = await web.post(f"http://127.0.0.1:{port}/notification_engine/notices", json={"to": "archive"})
            assert notices.json() == {"notices": ["contract is stored"]}
        answer = await dev.ended(await dev.start("asks"))
        assert (answer["answer"], answer["confidence"]) == ("Is it? Yes.", 0.5)
        # what is told there is found by its address, as a platform's registry would be
        discover = [sys.executable, "-m", "flowledger", "capabilities", "discover", f"http://127.0.0.1:{port}/"]
        again = subprocess.run(discover, env=env, capture_output=True, text=True, check=False)
        assert again.returncode == 0 and "document_management" in again.stdout, again.stdout + again.stderr
        wrong = subprocess.run([*discover[:-1], f"{discover[-1]}nowhere"], env=env, capture_output=True, text=True, check=False)
        assert wrong.returncode == 1 and "404" in wrong.stderr
    finally:
        stubs.kill()
        stubs.wait()

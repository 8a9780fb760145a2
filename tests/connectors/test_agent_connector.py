"""Agents on an engine: what the model is told, limits, failures, people, and that nothing is done twice. The stub holds requests to the makers' rules."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flowledger.connectors import serve
from flowledger.connectors.agent import memory as memory_of
from flowledger.connectors.agent.connector import CALLS_MAX, AgentConnector
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.processors.engine import Engine
from flowledger.sdk.job import JobFailed, Result
from tests.connectors.agents import Place, Scripted
from tests.connectors.conftest import Target, running
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.test_llm_connector import LlmRig
from tests.connectors.wire import Wire

HEAD = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="answer-complaint" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="agent"/>
<adHocSubProcess id="agent"><extensionElements><zeebe:taskDefinition type="flowledger:agent" retries="3"/><zeebe:ioMapping>
<zeebe:input source="=models.api" target="api"/><zeebe:input source="=models.url" target="url"/><zeebe:input source="m" target="model"/>
<zeebe:input source="{{secrets.MODELS}}" target="apiKey"/><zeebe:input source="go" target="prompt"/>%s</zeebe:ioMapping><zeebe:taskHeaders>%s
<zeebe:header key="resultVariable" value="out"/><zeebe:header key="retryBackoff" value="PT0S"/></zeebe:taskHeaders></extensionElements>
<serviceTask id="work"><documentation>Works</documentation><extensionElements><zeebe:taskDefinition type="work"/><zeebe:ioMapping>
<zeebe:input source='=fromAi(toolCall.n, "How much", "integer", {minimum: 1})' target="n"/></zeebe:ioMapping></extensionElements></serviceTask>
<userTask id="person"><extensionElements><zeebe:userTask/><zeebe:ioMapping><zeebe:input source='=toolCall.question' target="question"/>
<zeebe:output source="=answer" target="toolCallResult"/></zeebe:ioMapping></extensionElements></userTask>
<scriptTask id="big"><extensionElements><zeebe:script expression='=string join(for i in 1..3000 return "abcdefghij")' resultVariable="toolCallResult"/>
</extensionElements></scriptTask></adHocSubProcess><sequenceFlow id="g" sourceRef="agent" targetRef="e"/><endEvent id="e"/></process></definitions>"""


class Agent(Place):
    async def deploy(self, headers: dict[str, str] | None = None, **inputs: Any) -> None:
        ins = "".join(f"<zeebe:input source='{v}' target='{k}'/>" for k, v in inputs.items())
        heads = "".join(f"<zeebe:header key='{k}' value='{v}'/>" for k, v in (headers or {}).items())
        done = await self.engine.call(c.Deploy(resources=[c.Resource("p.bpmn", HEAD % (ins, heads))]))
        assert isinstance(done, dict), done

    async def complete(self, element: str, variables: dict[str, Any]) -> None:
        task = await self.until(lambda: self.task(element))
        done = await self.engine.call(c.CompleteTask(task=task.key, variables=variables))
        assert isinstance(done, dict), done

    async def incident(self) -> Any:
        return await self.until(lambda: next(iter(self.engine.owners[0].state.incidents.values()), None))


@pytest.fixture
async def agent(target: Target, tmp_path: Path) -> AsyncIterator[Agent]:
    engine = Engine(MemoryLog(MemoryStore(1)))
    await engine.start()
    (tmp_path / "MODELS").write_text(SECRET)
    made = Agent(engine, target, tmp_path)
    async with running(engine, secrets=(f"folder:{tmp_path}",), data=tmp_path / "data"):
        yield made
    await made.engine.stop()


class AgentRig(LlmRig):
    connector = "agent"

    def checked(self, answer: Any) -> None:
        assert (answer["text"], answer["steps"], answer["usage"]) == ("Hello", 1, {"input": 1000, "output": 200, "cost": None})


class TestContract(Contract):
    @pytest.fixture(params=["openai", "anthropic"])
    async def rig(self, target: Target, request) -> Rig:
        return AgentRig(target, request.param)


# --- what happens is on the log --------------------------------------------------------------------------------------------------------------------


async def test_every_thought_and_every_call_is_an_event(agent: Agent):
    await agent.deploy()
    agent.models.script = [("Two things are to be done.", [("work", {"n": 1}), ("work", {"n": 2})]), ("All is done.", [])]
    going = asyncio.ensure_future(agent.start())
    for n in (1, 2):
        task = await agent.until(lambda n=n: next((t for t in agent.engine.owners[0].state.tasks.values() if t.element == "work"), None))
        await agent.engine.call(c.CompleteTask(task=task.key, variables={"toolCallResult": {"did": n}}))
    assert (await going)["variables"]["out"]["text"] == "All is done."
    steps = [e for e in await agent.events(ta.TaskCompleted) if e.element == "agent"]
    assert [e.result.get("summary") for e in steps] == ["Two things are to be done.", "All is done."]
    assert [(e.result["metrics"]["step"], e.result["metrics"]["tokens_in"], e.result["metrics"]["tokens_out"]) for e in steps] == [
        (1, 100, 20), (2, 100, 20),
    ]  # fmt: skip
    chosen = [e["variables"]["toolCall"] for e in steps[0].result["activateElements"]]
    assert chosen == [{"n": n, "_meta": {"id": f"s1-{n}", "name": "work"}} for n in (1, 2)]
    begun = [e.variables["toolCall"]["n"] for e in await agent.events(fl.ElementActivated) if e.variables and "toolCall" in e.variables]
    assert begun == [1, 2] and steps[1].result["isCompletionConditionFulfilled"] is True
    assert SECRET not in str(await agent.events(object))


async def test_tools_side_by_side_are_answered_together(agent: Agent):
    """The model is asked again when all have answered, in its own order; none has the result of another."""
    await agent.deploy()
    agent.models.script = [("", [("work", {"n": 1}), ("person", {}), ("work", {"n": 3})]), ("Done.", [])]
    going = asyncio.ensure_future(agent.start("anthropic"))

    def works() -> list[Any]:
        found = [t for t in agent.engine.owners[0].state.tasks.values() if t.element in ("work", "person")]
        return found if len(found) == 3 else []

    tasks = await agent.until(works)
    for n, task in reversed(list(enumerate(tasks))):
        assert len(agent.models.seen) == 1
        await agent.engine.call(c.CompleteTask(task=task.key, variables={"answer" if n == 1 else "toolCallResult": f"r{n}"}))
    assert (await going)["variables"]["out"]["steps"] == 2
    assert list(agent.models.told().items()) == [("s1-1", "r0"), ("s1-2", "r1"), ("s1-3", "r2")]


# --- what the model gets wrong ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("nothing", {}), "There is no tool 'nothing'. There are: work, person, big"), (("finish", {}), "There is no tool 'finish'"), (("work", {}), "'n'"),
        (("work", {"n": 0}), "1"), (("work", {"n": "x"}), "integer"), (("work", {"n": 1, "more": 2}), "more"), (("work", '{"n": 1'), "no JSON"),
        (("work", "[1]"), "no object"), (("big", {"x": 1}), "x"),
    ],
)  # fmt: skip
async def test_what_can_not_be_done_is_told_and_is_a_step(agent: Agent, call: Any, words: str):
    await agent.deploy()
    agent.models.script = [("", [call]), ("So be it.", [])]
    done = await agent.start("openai")
    assert (done["variables"]["out"]["text"], done["variables"]["out"]["steps"]) == ("So be it.", 2)
    assert words in agent.models.told()["s1-1"]
    assert not [e for e in await agent.events(fl.ElementActivated) if e.variables]


async def test_of_many_calls_those_are_made_that_can_be(agent: Agent):
    await agent.deploy()
    agent.models.script = [("", [("big", {})] * CALLS_MAX + [("big", {}), ("gone", {})]), ("Done.", [])]
    await agent.start("anthropic")
    told = agent.models.told()
    assert len(told) == CALLS_MAX + 2 and f"at most {CALLS_MAX}" in told[f"s1-{CALLS_MAX + 1}"]
    assert sum(text.startswith("abcdefghij") for text in told.values()) == CALLS_MAX
    assert {text[20_000:] for text in told.values() if text.startswith("abc")} == {" [cut off after 20000 of 30000 characters]"}


async def test_an_answer_in_a_shape_is_held_to_it(agent: Agent):
    await agent.deploy(schema='={type: "object", required: ["n"], properties: {n: {type: "number"}}}')
    right = ("finish", {"answer": {"n": 1}})
    agent.models.script = [("I think 1.", []), ("", [("finish", {"answer": {}})]), ("", [("big", {}), right]), ("", [right])]
    done = await agent.start("anthropic")
    assert (done["variables"]["out"]["value"], done["variables"]["out"]["steps"]) == ({"n": 1}, 4)
    assert "by the tool finish" in str(agent.models.seen[1]) and "'n'" in agent.models.told(2)["s2-1"]
    assert "called alone" in agent.models.told(3)["s3-2"] and agent.models.told(3)["s3-1"].startswith("abc")


# --- a person ------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["It is 2", None])
async def test_who_is_not_sure_asks_a_person(agent: Agent, answer: str | None):
    await agent.deploy({"ask": "person"}, minConfidence="0.5")
    agent.models.script = [
        ("", [("finish", {"answer": "It is 1", "confidence": 0.49})]), ("", [("finish", {"answer": "It is 2", "confidence": 0.5})]),
    ]  # fmt: skip
    going = asyncio.ensure_future(agent.start())
    await agent.complete("person", {"answer": answer})
    out = (await going)["variables"]["out"]
    assert (out["text"], out["steps"], str(out["confidence"])) == ("It is 2", 2, "0.5")
    asked = [e.variables["toolCall"] for e in await agent.events(fl.ElementActivated) if e.variables]
    assert [(a["answer"], str(a["confidence"])) for a in asked] == [("It is 1", "0.49")] and "is this right? It is 1" in asked[0][
        "question"
    ]
    said = agent.models.seen[1][1]["messages"][-1]
    assert said["role"] == "user" and (answer or "without a result") in said["content"]


# --- limits, each at its edge -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "code"), [(3, ""), (2, "STEP_LIMIT")])
async def test_steps(agent: Agent, most: int, code: str):
    await agent.deploy(maxSteps=str(most))
    agent.models.script = [("", [("big", {})]), ("", [("big", {})]), ("Done.", [])]
    if not code:
        assert (await agent.start())["variables"]["out"]["steps"] == 3
        return
    started = await agent.start(wait=False)
    incident = await agent.incident()
    assert code in incident.message and "2 is the most" in incident.message and len(agent.models.seen) == 2
    # an operator gives it more, and it goes on where it stood
    scope = next(t for t in agent.engine.owners[0].state.instances[started["key"]].tokens.values() if t.element == "agent")
    assert isinstance(await agent.engine.call(c.SetVariables(key=scope.key, variables={"maxSteps": 3}, local=True)), dict)
    assert isinstance(await agent.engine.call(c.ResolveIncident(key=incident.key)), dict)
    await agent.until(lambda: started["key"] not in agent.engine.owners[0].state.instances)
    assert len(agent.models.seen) == 3


PRICES = {"prices": "={input: 10000, output: 0}"}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"maxTotalTokens": "={0}"}, "TOKEN_LIMIT"), ({"maxCost": "=({0} - 50) * 10000 / 1000000", **PRICES}, "COST_LIMIT"),
        ({"maxInputTokens": "={0} - 170"}, "TOKEN_LIMIT"),
    ],
)  # fmt: skip
async def test_tokens_and_cost_of_all_steps(agent: Agent, given: dict[str, str], code: str):
    """100 + 20 tokens were used; the next step is reckoned by its bytes and by what it may answer."""
    from flowledger.connectors.llm import reckoned

    await agent.deploy(maxTokens="50")
    agent.models.script = [("", [("person", {})]), ("Done.", [])] * 3
    going = asyncio.ensure_future(agent.start())
    await agent.complete("person", {"answer": "x"})
    await going
    edge = 100 + 20 + reckoned(agent.models.seen[1][1]) + 50
    if "prices" in given:
        edge -= 20
    for most in (edge, edge - 1):
        await agent.deploy(maxTokens="50", **{k: v.replace("{0}", str(most)) for k, v in given.items()})
        going = asyncio.ensure_future(agent.start(wait=most == edge))
        await agent.complete("person", {"answer": "x"})
        done = await going
        if most == edge:
            assert done["variables"]["out"]["steps"] == 2
        else:
            incident = await agent.incident()
            assert code in incident.message and len(agent.models.seen) == 5, incident.message


async def test_time(agent: Agent, bench):
    agent.models.script = [("", [("work", {"n": 1})]), ("Done.", []), ("Done.", [])]
    run = bench("agent")
    now = [1_000.0]
    run.connector._clock = lambda: now[0]
    given = {"url": f"{agent.target.url}/v1", "apiKey": SECRET, "model": "m", "prompt": "p", "maxSeconds": 60}
    heads = {"tools": json.dumps([{"id": "work", "description": "", "schema": {"type": "object"}}]), **OUT}
    first = await run(given, heads)
    more = {**given, **first.variables, "toolCallResults": [{"id": "s1-1", "content": 7}]}
    now[0] += 30
    assert (await run(more, heads)).variables["out"]["text"] == "Done."
    now[0] += 30
    with pytest.raises(JobFailed, match="the 60 s of maxSeconds are over: the model is not asked again") as e:
        await run(more, heads)
    assert (e.value.code, e.value.retries) == ("TIME_LIMIT", 0) and len(agent.models.seen) == 2


async def test_a_model_that_answers_too_late_is_not_waited_for(agent: Agent, bench):
    """The call gets what is left of the agent's time, however long its own limit is, and no other attempt is made."""
    wire = await Wire(("127.0.0.1", agent.target.port)).start()
    wire.mode = "hold"
    run = bench("agent")
    given = {
        "url": f"http://127.0.0.1:{wire.port}/v1",
        "apiKey": SECRET,
        "model": "m",
        "prompt": "p",
        "maxSeconds": 1,
        "timeoutInSeconds": 120,
    }
    async with asyncio.timeout(60):
        with pytest.raises(
            JobFailed, match="the 1 s of maxSeconds are over: the answer of the model that was under way was not waited for"
        ) as e:
            await run(given, OUT)
    assert (e.value.code, e.value.retries) == ("TIME_LIMIT", 0) and wire.connections == 1
    await wire.close()


async def test_cost_is_summed(agent: Agent, bench):
    agent.models.script = [("", [("gone", {})]), ("Done.", [])]
    run = bench("agent")
    given = {"url": f"{agent.target.url}/v1", "apiKey": SECRET, "model": "m", "prompt": "p", "prices": {"input": 10, "output": 50}}
    first = await run(given, OUT)
    assert isinstance(first, Result) and first.details["metrics"]["cost"] == Decimal("0.002")
    second = await run({**given, **first.variables}, OUT)
    assert second.variables["out"]["usage"] == {"input": 200, "output": 40, "cost": Decimal("0.004")}


# --- the model is away ------------------------------------------------------------------------------------------------------------------------------


async def test_a_model_that_is_down_is_asked_again(agent: Agent):
    await agent.deploy()
    busy = lambda asked: (529, {}, {"error": {"type": "overloaded_error", "message": "Overloaded"}})  # noqa: E731
    agent.models.script = [("", [("big", {})]), busy, ("Done.", [])]
    assert (await agent.start("anthropic"))["variables"]["out"]["steps"] == 2
    keys = [key for key, _ in agent.models.seen]
    assert len(keys) == 3 and keys[0] != keys[1] == keys[2]
    assert len([e for e in await agent.events(fl.ElementActivated) if e.element == "big"]) == 1


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [(401, {"message": "who"}, "AUTHENTICATION"), (429, {"code": "insufficient_quota", "message": "pay"}, "QUOTA")],
)
async def test_what_another_attempt_does_not_mend_is_an_incident(agent: Agent, status: int, error: dict[str, Any], code: str):
    await agent.deploy()
    agent.models.script = [lambda asked: (status, {}, {"error": error})]
    await agent.start(wait=False)
    assert code in (await agent.incident()).message and len(agent.models.seen) == 1


async def test_the_model_of_the_process_says_what_becomes_of_a_failure(agent: Agent):
    await agent.deploy({"errorExpression": '=if error.code = "STEP_LIMIT" then ignoreError({"gaveUp": true}) else null'}, maxSteps="1")
    agent.models.script = [("", [("big", {})])]
    assert (await agent.start())["variables"]["gaveUp"] is True


# --- crashes, holds, ends -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.req("D-RES-001")
async def test_who_dies_with_an_answer_in_hand_has_called_nothing(target: Target, tmp_path: Path, monkeypatch):
    """The first process of connectors gets the model's answer and dies before the engine has it; the engine itself is begun anew from the log later on."""
    monkeypatch.setattr(serve, "GRACE_S", 0.0)
    (tmp_path / "MODELS").write_text(SECRET)
    store = MemoryStore(1)
    engine = Engine(MemoryLog(store))
    await engine.start()
    place = Agent(engine, target, tmp_path)
    await place.deploy()
    answered, kept = asyncio.Event(), AgentConnector.call

    async def dies(self: Any, config: Any, call: Any) -> Any:
        await kept(self, config, call)
        answered.set()
        await asyncio.sleep(3600)

    settings = {"secrets": (f"folder:{tmp_path}",), "data": tmp_path / "data"}
    place.models.script = [("", [("work", {"n": 1})]), ("", [("work", {"n": 2})]), ("", [("person", {})]), ("Done.", [])]
    async with asyncio.timeout(60):
        with monkeypatch.context() as m:
            m.setattr(AgentConnector, "call", dies)
            async with running(engine, **settings):
                started = await place.start(wait=False)
                await answered.wait()
        assert not [e for e in await place.events(fl.ElementActivated) if e.element == "work"]
        async with running(engine, **settings):
            await place.complete("work", {"toolCallResult": "did"})
            await place.until(lambda: place.task("person"))
    await engine.stop()
    place.engine = Engine(MemoryLog(store))
    await place.engine.start()
    async with running(place.engine, **settings):
        await place.complete("person", {"answer": "yes"})
        await place.until(lambda: started["key"] not in place.engine.owners[0].state.instances)
    (keys, n) = ([key for key, _ in place.models.seen], len(place.models.seen))
    assert n == 4 and keys[0] == keys[1] and len(set(keys)) == 3  # the same step was asked twice, by one key
    called = [e.variables["toolCall"] for e in await place.events(fl.ElementActivated) if e.variables]
    assert [(x["_meta"]["id"], x.get("n")) for x in called] == [("s1-1", 2), ("s2-1", None)]
    await place.engine.stop()


@pytest.mark.parametrize("ended", ["cancel", "suspend"])
async def test_what_the_model_says_to_one_that_was_stopped_begins_nothing(agent: Agent, monkeypatch, ended: str):
    """Cancelled, it ends with the call under way; suspended, the answer is kept, and its tools begin when it goes on."""
    await agent.deploy()
    asked, let_go, kept = asyncio.Event(), asyncio.Event(), AgentConnector.call

    async def held(self: Any, config: Any, call: Any) -> Any:
        found = await kept(self, config, call)
        asked.set()
        await let_go.wait()
        return found

    monkeypatch.setattr(AgentConnector, "call", held)
    agent.models.script = [("", [("person", {})]), ("Done.", [])]
    key = (await agent.start(wait=False))["key"]
    await asked.wait()
    stop = c.CancelInstance(key=key) if ended == "cancel" else co.PlaceHold(scope="instance", subject=str(key), mode="suspend")
    stopped = await agent.engine.call(stop)
    assert isinstance(stopped, dict), stopped
    let_go.set()
    if ended == "suspend":
        await agent.until(lambda: agent.engine.owners[0].state.instances[key].kept)
    assert agent.task("person") is None
    if ended == "cancel":
        assert not agent.engine.owners[0].state.tasks and key not in agent.engine.owners[0].state.instances
        return
    assert isinstance(await agent.engine.call(co.ReleaseHold(key=stopped["key"])), dict)
    await agent.complete("person", {"answer": "x"})
    await agent.until(lambda: key not in agent.engine.owners[0].state.instances)
    assert len(agent.models.seen) == 2


async def test_a_tool_that_an_operator_withdraws_is_told(agent: Agent):
    await agent.deploy()
    agent.models.script = [("", [("person", {})]), ("Done.", [])]
    key = (await agent.start(wait=False))["key"]
    await agent.until(lambda: agent.task("person"))
    done = await agent.engine.call(co.ModifyInstance(key=key, instructions=[{"cancel": "person"}]))
    assert isinstance(done, dict), done
    await agent.until(lambda: key not in agent.engine.owners[0].state.instances)
    assert "withdrawn" in agent.models.told()["s1-1"]


# --- memory ----------------------------------------------------------------------------------------------------------------------------------------------


async def test_a_long_conversation_becomes_a_file(agent: Agent):
    """At the edge: 16 KiB stay in the variable; the model is told all of it again, from wherever it is."""
    await agent.deploy()
    big = memory_of.INLINE_BYTES
    agent.models.script = [("x" * (big // 2), [("big", {})]), ("y", [("big", {})]), ("Done.", [])]
    await agent.start()
    kept = [
        e.variables["agentMemory"]
        for e in await agent.events(ta.TaskCompleted)
        if e.element == "agent" and "agentMemory" in (e.variables or {})
    ]
    assert "turns" in kept[0] and kept[1]["file"]["name"].startswith("agent-") and "turns" not in kept[1]
    sent = agent.models.seen[2][1]["messages"]
    assert [m["role"] for m in sent] == ["system", "user", "assistant", "tool", "assistant", "tool"] and sent[2]["content"] == "x" * (
        big // 2
    )


async def test_a_secret_that_a_model_repeats_is_in_no_file(agent: Agent, tmp_path: Path):
    await agent.deploy()
    agent.models.script = [(f"The key is {SECRET}. " + "x" * memory_of.INLINE_BYTES, [("big", {})]), ("Done.", [])]
    await agent.start()
    kept = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert any(b"The key is ***. xx" in data for data in kept) and not any(SECRET.encode() in data for data in kept)
    assert agent.models.seen[1][1]["messages"][2]["content"].startswith("The key is ***. xx")


async def test_a_memory_that_somebody_else_wrote_is_an_incident(bench, target: Target):
    run, models = bench("agent"), Scripted(target)
    given = {"url": f"{target.url}/v1", "model": "m", "prompt": "p", "agentMemory": {"steps": "many"}}
    with pytest.raises(JobFailed, match="expected agentMemory as the agent itself keeps it") as e:
        await run(given, OUT)
    assert (e.value.code, e.value.retries, models.seen) == ("MEMORY_DAMAGED", 0, [])

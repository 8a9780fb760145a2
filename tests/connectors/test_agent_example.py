"""`examples/connectors/answer-complaint.bpmn` on an engine: an agent with two tools and a person, by both makers' interfaces."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from flowledger.connectors.agent.config import AgentConfig
from flowledger.connectors.check import findings
from flowledger.connectors.llm import LlmConfig
from flowledger.connectors.templates import template
from flowledger.events import commands as c
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.infra.settings import Settings
from flowledger.kernel.model import read
from flowledger.processors.engine import Engine
from flowledger.system import System
from tests.connectors.agents import MODEL, Place
from tests.connectors.conftest import Target, running
from tests.connectors.contract import SECRET


@pytest.fixture
async def place(target: Target, tmp_path: Path) -> AsyncIterator[Place]:
    engine = Engine(MemoryLog(MemoryStore(1)))
    await engine.start()
    (tmp_path / "MODELS").write_text(SECRET)
    assert isinstance(await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)])), dict)
    async with running(engine, secrets=(f"folder:{tmp_path}",), data=tmp_path / "data"):
        yield Place(engine, target, tmp_path)
    await engine.stop()


def test_it_has_no_findings():
    graph, found = read(MODEL.encode(), "answer-complaint.bpmn")
    assert not [f for f in found if f.severity != "info"] and findings(graph, "answer-complaint.bpmn") == []


DONE = ("", [("finish", {"answer": {"reply": "It is lost; you get it back.", "refund": 30}, "confidence": 0.9})])


@pytest.mark.parametrize("api", ["openai", "anthropic"])
async def test_two_tools_and_an_answer(place: Place, api: str):
    place.models.script = [
        ("I look at the order.", [("find_order", {"number": "2"})]),
        ("", [("track_parcel", {"parcel": "P7"}), ("find_order", {"number": "9"})]),
        DONE,
    ]
    done = await place.start(api)
    assert {k: done["variables"][k] for k in ("reply", "refund", "steps")} == {
        "reply": "It is lost; you get it back.",
        "refund": 30,
        "steps": 3,
    }
    assert not {"toolCallResult", "toolCallResults", "agentMemory", "toolCall"} & set(done["variables"])
    told = place.models.told()
    assert '"parcel":"P7"' in told["s1-1"] and "lost" in told["s2-1"] and told["s2-2"] == "Done, without a result"
    assert len({key for key, _ in place.models.seen}) == 3  # each step has a key of its own


PAGE = (Path(__file__).parents[2] / "docs" / "agents.md").read_text()


@pytest.mark.parametrize("api", ["anthropic"])
async def test_what_the_page_shows_runs(place: Place, api: str):
    (snippet,) = re.findall(r"^```xml\n(.*?)^```", PAGE, re.M | re.S)
    model = (
        '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">'
        f'<process id="meet" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="agent"/>{snippet}'
        '<sequenceFlow id="g" sourceRef="agent" targetRef="e"/><endEvent id="e"/></process></definitions>'
    )
    graph, found = read(model.encode(), "meet.bpmn")
    assert not [f for f in found if f.severity != "info"] and findings(graph, "meet.bpmn") == []
    assert isinstance(await place.engine.call(c.Deploy(resources=[c.Resource("meet.bpmn", model)])), dict)
    place.models.script = [("", [("free_times", {"day": "2026-03-02"}), ("ask", {"question": "9 or 14?"})]), ("Monday at 9", [])]
    given = {"models": f"{place.target.url}/v1", "wish": "an hour on Monday", "calendar": {"2026-03-02": [9, 14]}}
    going = asyncio.ensure_future(place.engine.call(c.StartInstance(id="meet", variables=given, wait=True), timeout_s=60))
    task = await place.until(lambda: place.task("ask"))
    assert isinstance(await place.engine.call(c.CompleteTask(task=task.key, variables={"answer": "9"})), dict)
    assert (await going)["variables"]["time"] == "Monday at 9"
    assert place.models.told() == {"s1-1": "[9,14]", "s1-2": "9"}


def test_the_page_names_the_fields_of_an_agent():
    own = set(AgentConfig.model_fields) - set(LlmConfig.model_fields) | {"max_cost"}
    names = {
        AgentConfig.model_fields[n].alias for n in own if (AgentConfig.model_fields[n].json_schema_extra or {}).get("template") is not False
    }
    assert names <= set(re.findall(r"^\| `(\w+)`", PAGE, re.M))
    for code in ("STEP_LIMIT", "TOKEN_LIMIT", "COST_LIMIT", "TIME_LIMIT", "MEMORY_LIMIT"):
        assert code in PAGE


def test_its_template_is_for_ad_hoc_sub_processes():
    made = template("agent")
    assert made["elementType"] == {"value": "bpmn:AdHocSubProcess"} and made["appliesTo"] == ["bpmn:SubProcess", "bpmn:AdHocSubProcess"]
    shown = {p.get("id") for p in made["properties"]}
    assert {"maxSteps", "ask", "minConfidence"} <= shown and not {"tools", "agentMemory", "toolCallResults"} & shown


async def test_a_person_is_asked(place: Place):
    place.models.script = [("", [("ask_clerk", {"question": "Refund?"})]), DONE]
    going = asyncio.ensure_future(place.start())
    task = await place.until(lambda: place.task("ask_clerk"))
    assert isinstance(await place.engine.call(c.CompleteTask(task=task.key, variables={"answer": "Yes, all of it"})), dict)
    assert (await going)["variables"]["refund"] == 30
    assert place.models.told()["s1-1"] == "Yes, all of it"


def process_of_connectors() -> int:
    """The one that this process has begun."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if b"flowledger.calls" in path.read_bytes() and f"PPid:\t{os.getpid()}\n" in (path.parent / "status").read_text():
                return int(path.parent.name)
    raise AssertionError("no process of connectors")


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_on_kafka_the_process_of_connectors_is_killed_while_the_model_thinks(kafka_bootstrap, target: Target, tmp_path: Path):
    """Owners on one node, connectors on another: the step is asked again with the same key, and each tool is called once for what counts."""
    (tmp_path / "MODELS").write_text(SECRET)
    told = {"kafka": kafka_bootstrap, "prefix": f"t{uuid.uuid4().hex[:8]}", "partitions": 1, "port": 0, "egress_private": ("127.0.0.1",),
            "secrets": (f"folder:{tmp_path}",)}  # fmt: skip
    owners, elsewhere = (
        Settings(**told, data=tmp_path / "a", roles=("owner",)),
        Settings(**told, data=tmp_path / "b", roles=("connectors",)),
    )
    asked: list[str] = []
    held = asyncio.Event()

    async def hold(request: Any, writer: Any) -> None:
        asked.append(request.headers["idempotency-key"])
        held.set()
        await asyncio.sleep(3600)

    async with System(owners) as system, System(elsewhere):
        assert isinstance(await system.engine.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)])), dict)
        place = Place(system.engine, target, tmp_path)
        place.models.script = [("", [("track_parcel", {"parcel": "P7"}), ("find_order", {"number": "2"})]), DONE]
        target.routes["/v1/messages"] = hold
        async with asyncio.timeout(200):
            going = asyncio.ensure_future(place.start("anthropic", timeout_s=180))
            await held.wait()
            target.routes["/v1/messages"] = place.models.message
            os.kill(process_of_connectors(), signal.SIGKILL)
            done = await going
    assert done["variables"]["steps"] == 2 and len([r for r in target.seen if r.path.startswith("/parcels/")]) == 1
    keys = [key for key, _ in place.models.seen]
    assert len(keys) == 2 and keys[0] == asked[0] != keys[1]

"""`examples/connectors/answer-complaint.bpmn` on an engine: an agent with two tools and a person, by both makers' interfaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowledger.connectors.check import findings
from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel.model import read
from flowledger.processors.engine import Engine
from tests.connectors.agents import Scripted
from tests.connectors.conftest import Target, running
from tests.connectors.contract import SECRET

MODEL = (Path(__file__).parents[2] / "examples" / "connectors" / "answer-complaint.bpmn").read_text()
ORDERS = [{"number": "1", "article": "tea", "price": 9}, {"number": "2", "article": "cup", "price": 30, "parcel": "P7"}]
CASE = {"complaint": "Where is my order 2?", "orders": ORDERS}


class Place:
    """An engine with its connectors, and what happened on its log."""

    def __init__(self, engine: Engine, target: Target, folder: Path) -> None:
        self.engine, self.target, self.models, self.folder = engine, target, Scripted(target, SECRET), folder
        target.routes["/parcels/P7"] = (200, {}, {"parcel": "P7", "state": "lost"})

    async def start(self, api: str = "openai", **more: Any) -> Any:
        given = {**CASE, "carrier": self.target.url, "models": {"api": api, "url": f"{self.target.url}/v1", "model": "m"}, **more}
        return await self.engine.call(c.StartInstance(id="answer-complaint", variables=given, wait=True), timeout_s=60)

    def events(self) -> list[Any]:
        return [e for e, _ in self.engine.owners[0].history] if hasattr(self.engine.owners[0], "history") else []

    async def until(self, look: Any) -> Any:
        async with asyncio.timeout(60):
            while not (found := look()):
                await asyncio.sleep(0.02)
            return found

    def task(self, element: str) -> Any:
        return next((t for t in self.engine.owners[0].state.tasks.values() if t.element == element), None)


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
    assert {k: done["variables"][k] for k in ("reply", "refund", "steps")} == {"reply": "It is lost; you get it back.", "refund": 30, "steps": 3}
    assert not {"toolCallResult", "toolCallResults", "agentMemory", "toolCall"} & set(done["variables"])
    told = place.models.told()
    assert '"parcel":"P7"' in told["s1-1"] and "lost" in told["s2-1"] and told["s2-2"] == "Done, without a result"
    assert len({key for key, _ in place.models.seen}) == 3  # each step has a key of its own


async def test_a_person_is_asked(place: Place):
    place.models.script = [("", [("ask_clerk", {"question": "Refund?"})]), DONE]
    going = asyncio.ensure_future(place.start())
    task = await place.until(lambda: place.task("ask_clerk"))
    assert isinstance(await place.engine.call(c.CompleteTask(task=task.key, variables={"answer": "Yes, all of it"})), dict)
    assert (await going)["variables"]["refund"] == 30
    assert place.models.told()["s1-1"] == "Yes, all of it"

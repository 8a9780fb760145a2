"""The watchdog over HTTP, on a real engine in memory whose state is operated on: found while it serves, asked about, repaired, told in the log of operations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from flowledger.api import lag as lags
from flowledger.api.app import create_app
from flowledger.api.services import Services
from flowledger.events import commands as c
from flowledger.events.operations import OperationAsked, OperationRefused
from flowledger.infra.log_memory import MemoryLog
from flowledger.infra.settings import Settings
from flowledger.processors import watchdog as wd
from flowledger.processors import watching
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine
from flowledger.processors.owner import Settings as OwnerSettings
from flowledger.sdk import Flow
from tests.api.conftest import RowsInMemory

pytestmark = [pytest.mark.req("D-MON-005", "WSM-ENG-003"), pytest.mark.timeout(120)]
CALLS = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="calls" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="ca"/>
<callActivity id="ca"><extensionElements><zeebe:calledElement processId="one"/></extensionElements></callActivity></process></definitions>"""


class Place:
    """`engine` and `http`; `until(look)` waits for what the watchdog does in its own time."""

    def __init__(self, engine: Engine, http: Any, rows: RowsInMemory, services: Services) -> None:
        self.engine, self.http, self.rows, self.services = engine, http, rows, services
        self.events: list[Any] = []

    def state(self, key: int | str) -> Any:
        return self.engine.owners[c.partition_of_key(int(key))].state

    async def start(self, id: str = "one", tenant: str = "") -> str:
        r = await self.http.post("/v1/instances", json={"definition": id}, headers={"X-Tenant": tenant})
        assert r.status_code == 201, r.text
        return str(r.json()["id"])

    async def findings(self, tenant: str = "", **query: Any) -> list[dict[str, Any]]:
        r = await self.http.get("/v1/watchdog", params=query, headers={"X-Tenant": tenant})
        assert r.status_code == 200, r.text
        return list(r.json()["items"])

    async def until(self, look: Any) -> Any:
        deadline = time.monotonic() + 60
        while not (found := await look()):
            assert time.monotonic() < deadline, "it did not come about"
            await asyncio.sleep(0.02)
        return found

    async def gone(self) -> bool:
        return not await self.findings()

    async def repair(self, id: str, expect: int = 200, tenant: str = "", **body: Any) -> Any:
        r = await self.http.post(f"/v1/watchdog/{id}/repair", json=body, headers={"X-Tenant": tenant, "X-Actor": "ann"})
        assert r.status_code == expect, r.text
        return r.json()

    def loses_its_job(self, instance: str) -> None:
        p = self.state(instance)
        token = next(iter(p.instances[int(instance)].tokens.values()))
        for key in token.holds or ():
            task = p.tasks.pop(key)
            p.ready[(task.tenant, task.job_type)][task.priority].pop(key)
        token.holds = None


@pytest.fixture
async def place(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    for name, value in (
        ("REST_S", 0.05),
        ("ROUND_S", 0.2),
        ("TICK_S", 0.01),
        ("CONFIRM_US", 150_000),
        ("SEND_US", 400_000),
        ("COMMANDS_US", 300_000),
    ):
        monkeypatch.setattr(wd, name, value)
    monkeypatch.setattr(watching, "ASK_S", 0.05)
    monkeypatch.setattr(watching, "TOPIC_S", 0.05)
    engine = Engine(MemoryLog(), partitions=2, settings=OwnerSettings(spread=True))
    await engine.start()
    rows = RowsInMemory()
    services = Services(engine, rows, Settings(port=0))  # type: ignore[arg-type]
    app = create_app(services)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1:8080") as http:
        found = Place(engine, http, rows, services)

        async def tail() -> None:
            async for batch in engine.events({0: 0, 1: 0}):
                found.events += [r.event for r in batch]

        tailing = asyncio.ensure_future(tail())
        xml = Flow("one").start().service("t", job="work").end().xml().decode()
        for tenant in ("", "b"):
            files = [c.Resource("one.bpmn", xml), c.Resource("calls.bpmn", CALLS)]
            assert isinstance(await engine.call(c.Deploy(resources=files), Caller(tenant=tenant)), dict)
        yield found
        tailing.cancel()
    await engine.stop()


async def test_found_asked_about_repaired_and_told(place: Place) -> None:
    one = await place.start()
    whole = (await place.http.get("/v1/watchdog")).json()
    assert whole["items"] == [] and whole["found"] == 0 and {p["partition"] for p in whole["partitions"]} == {0, 1}
    place.loses_its_job(one)
    [f] = await place.until(place.findings)
    p = c.partition_of_key(int(one))
    assert (f["kind"], f["instance"], f["element"], f["process"], f["partition"]) == ("token_stuck", one, "t", "one", p)
    assert f["id"] == f"{p}-token_stuck-{f['subject']}" and [r["repair"] for r in f["repairs"]] == ["enter", "withdraw", "incident"]
    assert f["since"].endswith("Z") and f["explanation"] and "waits for nothing" in f["says"]
    assert await place.findings(kind=["token_stuck", "timer_overdue"], instance=one) == [f]
    assert await place.findings(kind="timer_overdue") == [] == await place.findings(instance="7")
    plan = await place.repair(f["id"], dry_run=True)
    assert plan["dry_run"] and [(r["kind"], r["element"]) for r in plan["created"]] == [("task", "t")] and await place.findings() == [f]
    other = await place.repair(f["id"], dry_run=True, repair="withdraw")
    assert other["plan"] != plan["plan"]
    assert (await place.repair(f["id"], 409, plan=other["plan"]))["code"] == "STALE"
    assert (await place.repair(f["id"], 422, repair="fire"))["code"] == "INVALID_ARGUMENT"
    done = await place.repair(f["id"], plan=plan["plan"], reason="it was lost")
    assert (done["id"], done["repair"], bool(done["did"])) == (f["id"], "enter", True) and done["position"].startswith(f"{p}-")
    await place.until(place.gone)
    assert (await place.repair(f["id"], 404))["code"] == "NOT_FOUND"
    [job] = await place.engine.activate("work", "w", 9, 60_000)
    assert isinstance(await place.engine.call(c.CompleteTask(task=job["key"])), dict) and not place.state(one).instances

    async def told() -> list[Any]:
        return [e for e in place.events if isinstance(e, OperationAsked) and e.operation == "repair_finding"]

    [asked] = await place.until(told)
    assert (asked.subject, asked.instance, asked.reason, asked.door) == (f["id"], int(one), "it was lost", "http")

    async def refused() -> list[Any]:
        return [e for e in place.events if isinstance(e, OperationRefused) and e.operation == "repair_finding"]

    assert {e.code for e in await place.until(refused)} <= {"STALE", "INVALID_ARGUMENT", "NOT_FOUND"}


async def test_a_tenant_sees_and_repairs_its_own(place: Place) -> None:
    mine, theirs = await place.start(), await place.start(tenant="b")
    place.loses_its_job(mine)
    place.loses_its_job(theirs)
    [a] = await place.until(place.findings)
    [b] = await place.until(lambda: place.findings("b"))
    assert a["instance"] == mine and b["instance"] == theirs and b["tenant"] == "b"
    assert (await place.repair(b["id"], 404))["code"] == (await place.repair(a["id"], 404, "b"))["code"] == "NOT_FOUND"
    await place.repair(b["id"], tenant="b")
    await place.repair(a["id"])
    await place.until(place.gone)


async def test_a_family_over_partitions(place: Place) -> None:
    """The called instance is gone on its partition, and the caller hears of it by asking; then the caller is gone."""
    parent = await place.start("calls")

    def children() -> list[Any]:
        return [i for o in place.engine.owners.values() for i in o.state.instances.values() if i.parent == int(parent)]

    async def called() -> Any:
        token = next(iter(place.state(parent).instances[int(parent)].tokens.values()))
        return children() and (token.data or {}).get("child")

    child = await place.until(called)
    assert c.partition_of_key(child) != c.partition_of_key(int(parent)), "it is on the other one"
    place.loses_its_job(str(child))
    del place.state(child).instances[child]
    [f] = await place.until(place.findings)
    assert (f["kind"], f["instance"]) == ("call_without_child", parent)
    await place.repair(f["id"])
    await place.until(place.gone)
    again = await place.until(called)
    assert again != child
    del place.state(parent).instances[int(parent)]
    [f] = await place.until(place.findings)
    assert (f["kind"], f["instance"], f["process"]) == ("child_without_parent", str(again), "one")
    await place.repair(f["id"])
    await place.until(place.gone)
    assert not children()


async def test_an_owner_that_takes_no_commands_is_let_take_over_anew(place: Place) -> None:
    owner = place.engine.owners[1]
    epoch = owner.epoch
    assert owner.machine is not None
    machine = owner.machine
    machine.source = -5  # as if it had stopped reading

    async def found() -> list[Any]:
        machine.source = -5
        return await place.findings(kind="commands_lag")

    await place.start("calls")  # something stands on the topic
    [f] = await place.until(found)
    assert f["id"] == "1-commands_lag-1" and [r["repair"] for r in f["repairs"]] == ["take_over"]
    assert (await place.repair(f["id"], 404, "b"))["code"] == "NOT_FOUND", "a partition is the operator's"
    await place.repair(f["id"])

    async def anew() -> bool:
        return owner.epoch > epoch and owner.ready.is_set()

    await place.until(anew)
    assert not await place.findings(kind="commands_lag")


async def test_rows_that_do_not_catch_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    lag = place.services.lag = lags.Lag(place.engine, place.rows.positions, now_s=lambda: now[0])
    ended: list[int] = []

    async def restart() -> int:
        ended.append(1)
        return 1

    monkeypatch.setattr(place.rows, "restart_projector", restart, raising=False)
    place.rows.at = {0: -1, 1: -1}
    await place.start()
    for _ in range(20):
        now[0] += 5
        await lag.look()
    rows = await place.findings()
    assert {f["kind"] for f in rows} == {"projection_lag"} and [f["id"] for f in rows] == ["0-projection_lag-0", "1-projection_lag-1"]
    plan = await place.repair("0-projection_lag-0", dry_run=True)
    assert plan["dry_run"] and not ended
    assert (await place.repair("0-projection_lag-0"))["repair"] == "restart" and ended == [1]
    place.rows.at = {0: 1_000_000, 1: 1_000_000}
    now[0] += 5
    await lag.look()
    assert not await place.findings()
    await place.repair("0-projection_lag-0", 404)


LOOKS = [
    ("nothing is behind", [(n, n) for n in range(20)], False),
    ("close behind steady traffic", [(n * 1000 + 200, n * 1000) for n in range(20)], False),
    ("stands", [(100, 10)] * 20, True),
    ("stands, and more comes", [(100 + n, 10) for n in range(20)], True),
    ("works through what came while it was away", [(10_000, n * 400) for n in range(20)], False),
    ("is slower than what comes", [(10_000 + n * 500, n * 400) for n in range(20)], True),
    ("stands for less than half a minute", [(0, 0)] * 15 + [(100, 10)] * 5, False),
    ("catches up in the end", [(100, 10)] * 19 + [(100, 100)], False),
]


@pytest.mark.parametrize(("looks", "late"), [row[1:] for row in LOOKS], ids=[row[0] for row in LOOKS])
def test_what_is_late_and_does_not_shrink(looks: list[tuple[int, int]], late: bool) -> None:
    now = [0.0]
    lag = lags.Lag(None, None, now_s=lambda: now[0])  # type: ignore[arg-type]
    for end, position in looks:
        now[0] += lags.LOOK_S
        lag.seen(0, end, position)
    assert bool(lag.findings()) is late and lag.known("0-projection_lag-0") is late


@pytest.mark.parametrize("id", ["x", "0-token_stuck", "0-nothing-1", "9-token_stuck-1", "0-projection_lag-0", "0-token_stuck-1"])
async def test_what_is_no_finding_is_not_repaired(place: Place, id: str) -> None:
    assert (await place.repair(id, 404))["code"] == "NOT_FOUND"
    assert (await place.http.post(f"/v1/watchdog/{id}/repair", json={"repair": "Drop Table"})).status_code in (400, 422)

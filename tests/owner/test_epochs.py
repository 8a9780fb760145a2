"""Deployments have an epoch (docs/decisions/0007): what needs a definition waits on a partition until that has heard of it, for a bounded time;
a change is answered when all have heard; deletion counts the running instances of all partitions."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel import Partition
from flowledger.kernel.handlers import spreading
from flowledger.processors import epochs
from flowledger.processors.engine import Engine
from flowledger.processors.epochs import Epochs
from flowledger.processors.flight import Pending
from flowledger.processors.intake import encode_request
from flowledger.processors.log import COMMANDS, Group
from flowledger.processors.owner import Owner, Settings

NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t"'
JOB = '<serviceTask id="t"><extensionElements><zeebe:taskDefinition type="work"/></extensionElements></serviceTask>'
CALL = '<callActivity id="t"><extensionElements><zeebe:calledElement processId="p"/></extensionElements></callActivity>'
P, Q = 4, 2


def model(id: str = "p", version: int = 1, inner: str = JOB, start: str = "") -> str:
    return f"""<definitions {NS}><message id="msg" name="go"/><process id="{id}" name="v{version}" isExecutable="true">
<startEvent id="s">{start}</startEvent><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>{inner}
<sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/></process></definitions>"""


DMN = """<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="d" namespace="t"><decision id="answer" name="answer">
<variable name="answer"/><literalExpression><text>42</text></literalExpression></decision></definitions>"""


async def running(store: MemoryStore | None = None, **settings: Any) -> Engine:
    engine = Engine(MemoryLog(store or MemoryStore(P)), partitions=P, settings=Settings(**settings))
    await engine.start()
    return engine


async def deploy(engine: Engine, *texts: str, **fields: Any) -> dict[str, Any]:
    resources = [c.Resource(f"{n}.{'dmn' if 'DMN/' in text else 'bpmn'}", text) for n, text in enumerate(texts)]
    answer = await engine.call(c.Deploy(resources=resources, **fields))
    assert not isinstance(answer, Rejected), answer
    return answer


class Deaf:
    """A partition that hears nothing of what comes by the topic: it is behind."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = asyncio.Event()
        self.open.set()
        consumed = Owner._consumed

        async def late(owner: Owner, machine: Any, pending: list[Pending]) -> None:
            if owner.partition == Q:
                await self.open.wait()
            await consumed(owner, machine, pending)

        monkeypatch.setattr(Owner, "_consumed", late)

    def __enter__(self) -> Deaf:
        self.open.clear()
        return self

    def __exit__(self, *exc: object) -> None:
        self.open.set()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochs, "WAIT_US", 300_000)


NEEDS: dict[str, Callable[[dict[str, int], int], c.AnyCommand]] = {
    "start by id": lambda keys, i: c.StartInstance(id="p"),
    "start by key": lambda keys, i: c.StartInstance(definition=keys["p"]),
    "start by version": lambda keys, i: c.StartInstance(id="p", version=2),
    "start and wait": lambda keys, i: c.StartInstance(id="quick", wait=True),
    "start elsewhere in it": lambda keys, i: c.StartInstance(id="p", start_at=["t"]),
    "message": lambda keys, i: c.PublishMessage(name="go", ttl_ms=0),
    "migrate": lambda keys, i: c.MigrateInstance(key=i, definition=keys["p"], elements={"t": "t"}),
    "decision": lambda keys, i: c.EvaluateDecision(id="answer", variables={}),
}


async def two_versions(engine: Engine) -> tuple[int, Any]:
    """An instance of version 1 on Q, and the coroutine that deploys the rest."""
    await deploy(engine, model())
    started = await engine.call(c.StartInstance(id="p"), partition=Q)
    quick = model("quick", inner='<task id="t"/>')
    by_message = model("m", start='<messageEventDefinition messageRef="msg"/>')
    return started["key"], deploy(engine, model(version=2), quick, by_message, DMN)


@pytest.mark.req("WOS-ENG-016")
@pytest.mark.parametrize("need", NEEDS)
async def test_what_needs_a_definition_waits_until_its_partition_has_heard(need, short, monkeypatch):
    deaf = Deaf(monkeypatch)
    engine = await running()
    instance, more = await two_versions(engine)
    with deaf:
        answer = await more
        assert answer["waiting"] == [Q] and answer["epoch"] == 2
        monkeypatch.setattr(epochs, "WAIT_US", 60_000_000)
        keys = {d["id"]: d["key"] for d in answer["definitions"]}
        asked = asyncio.ensure_future(engine.call(NEEDS[need](keys, instance), partition=Q))
        await asyncio.sleep(0.15)
        assert not asked.done(), "it waits"
        other = await engine.call(c.StartInstance(id="p"), partition=1)
        assert other["version"] == 2, "and nobody else does"
    found = await asyncio.wait_for(asked, 60)
    assert not isinstance(found, Rejected), found
    if need.startswith("start by"):
        assert found["version"] == 2
    await engine.stop()


@pytest.mark.parametrize("need", NEEDS)
async def test_the_wait_is_bounded_and_ends_with_one_clear_error(need, short, monkeypatch):
    deaf = Deaf(monkeypatch)
    engine = await running()
    instance, more = await two_versions(engine)
    with deaf:
        keys = {d["id"]: d["key"] for d in (await more)["definitions"]}
        began = time.monotonic()
        refused = await engine.call(NEEDS[need](keys, instance), partition=Q)
        assert isinstance(refused, Rejected) and refused.code == "UNAVAILABLE" and time.monotonic() - began > 0.2
        assert refused.message == "partition 2 has not heard of the definitions of epoch 2 within 0.3 s, it knows those of 1: try again"
        alive = await engine.call(c.CompleteTask(task=next(iter(engine.owners[Q].state.tasks))), partition=Q)
        assert not isinstance(alive, Rejected), "what needs no definition goes on"
    await engine.stop()


async def test_what_nobody_deployed_is_refused_at_once():
    engine = await running()
    await deploy(engine, model())
    began = time.monotonic()
    for p in range(P):
        refused = await engine.call(c.StartInstance(id="nobody"), partition=p)
        assert isinstance(refused, Rejected) and refused.code == "NOT_FOUND"
    assert time.monotonic() - began < epochs.WAIT_US / 1e6 / 2
    await engine.stop()


async def test_a_call_of_what_the_other_partition_has_not_heard_of_waits_there(monkeypatch):
    """A send between partitions carries the epoch of its sender; what comes behind it from there keeps its turn."""
    deaf = Deaf(monkeypatch)
    engine = await running(spread=True)
    await deploy(engine, model("caller", inner=CALL))
    monkeypatch.setattr(epochs, "WAIT_US", 200_000)
    with deaf:
        await deploy(engine, model())
        monkeypatch.setattr(epochs, "WAIT_US", 60_000_000)
        callers = [await engine.call(c.StartInstance(id="caller"), partition=p) for p in (0, 1, 3) * P]
        assert not any(isinstance(a, Rejected) for a in callers)
        await asyncio.sleep(0.1)
        called = [i for o in engine.owners.values() for i in o.state.instances.values() if i.process == "p"]
        assert 0 < len(called) < 3 * P
    for _ in range(200):
        called = [i for o in engine.owners.values() for i in o.state.instances.values() if i.process == "p"]
        if len(called) == 3 * P:
            break
        await asyncio.sleep(0.01)
    assert len(called) == 3 * P
    assert not any(o.state.incidents for o in engine.owners.values())
    await engine.stop()


@pytest.mark.req("APG-HA-008")
async def test_an_owner_that_takes_over_hears_first_what_stands_on_the_topic(monkeypatch):
    """Also a caller that knows no epoch (a node that just began) is not told that there is nothing."""
    store = MemoryStore(P)
    deaf = Deaf(monkeypatch)
    monkeypatch.setattr(epochs, "WAIT_US", 200_000)
    engine = await running(store)
    with deaf:
        answer = await deploy(engine, model())
        assert answer["waiting"] == [Q]
        await engine.kill()
    monkeypatch.setattr(epochs, "WAIT_US", 60_000_000)
    for n in range(3):  # and through restarts: the epoch is on the log, and in checkpoints
        engine = await running(store)
        started = await engine.call(c.StartInstance(id="p"), partition=Q)
        assert not isinstance(started, Rejected), started
        assert [engine.owners[p].state.meta.definitions for p in range(P)] == [1] * P
        if n == 1:
            await engine.owners[Q].checkpoint()
        await engine.kill() if n % 2 else await engine.stop()


async def test_what_waits_and_came_by_the_topic_is_read_again_by_the_next_owner(monkeypatch):
    """Nothing behind it counts as consumed, whatever was decided meanwhile."""
    store = MemoryStore(P)
    engine = await running(store)
    await deploy(engine, model())
    for n, epoch in enumerate((1, 99, 1)):  # nobody has heard of the second one, the third keeps its place behind it
        request = c.Request(command=c.StartInstance(id="p", business_key=str(n)), id=f"s{n}", epoch=epoch)
        await engine.log.append(COMMANDS, Q, Group([None], [encode_request(request)]))
    await asyncio.sleep(0.2)
    direct = await engine.call(c.StartInstance(id="p", business_key="direct"), partition=Q)
    assert not isinstance(direct, Rejected)
    await deploy(engine, model("other"))  # what tells of it stands behind them on the topic, and is taken before them
    names = [i.business_key for i in engine.owners[Q].state.instances.values()]
    assert names == ["0", "direct"]
    await engine.owners[Q].checkpoint()
    await engine.kill()
    monkeypatch.setattr(epochs, "WAIT_US", 200_000)
    engine = await running(store)
    for _ in range(200):
        names = [i.business_key for i in engine.owners[Q].state.instances.values()]
        if len(names) == 3:
            break
        await asyncio.sleep(0.01)
    assert names == ["0", "direct", "2"], "each once, and the one that waited in vain was refused"
    await engine.stop()


# --- life cycle over all partitions -----------------------------------------------------------------------------------------


async def test_right_after_a_deprecation_no_partition_starts_it():
    engine = await running()
    for _ in range(3):
        [made] = (await deploy(engine, model(version=random.random())))["definitions"]
        assert (await engine.call(c.ChangeDefinition(key=made["key"], move="deprecate")))["status"] == "deprecated"
        for p in range(P):
            refused = await engine.call(c.StartInstance(definition=made["key"]), partition=p)
            assert isinstance(refused, Rejected) and refused.code == "INVALID_STATE", p
    await engine.stop()


async def test_right_after_a_deletion_no_partition_starts_it():
    engine = await running()
    [first] = (await deploy(engine, model()))["definitions"]
    [second] = (await deploy(engine, model(version=2)))["definitions"]
    answer = await engine.call(c.ChangeDefinition(key=second["key"], move="delete"))
    assert answer["status"] == "deleted" and "waiting" not in answer
    for p in range(P):
        refused = await engine.call(c.StartInstance(definition=second["key"]), partition=p)
        assert isinstance(refused, Rejected) and refused.code == "NOT_FOUND", p
        assert (await engine.call(c.StartInstance(id="p"), partition=p))["definition"] == first["key"], "the older one is the newest again"
    await engine.stop()


@pytest.mark.parametrize("where", range(P))
async def test_a_running_instance_anywhere_keeps_its_definition(where):
    engine = await running()
    [made] = (await deploy(engine, model()))["definitions"]
    started = await engine.call(c.StartInstance(id="p"), partition=where)
    refused = await engine.call(c.ChangeDefinition(key=made["key"], move="delete"))
    assert isinstance(refused, Rejected) and refused.code == "INVALID_STATE" and f"running instances: {started['key']}" in refused.message
    for p in range(P):
        more = await engine.call(c.StartInstance(id="p"), partition=p)
        assert not isinstance(more, Rejected), "it can be started as before"
        await engine.call(c.CancelInstance(key=more["key"]))
    await engine.call(c.CancelInstance(key=started["key"]))
    assert (await engine.call(c.ChangeDefinition(key=made["key"], move="delete")))["status"] == "deleted"
    await engine.stop()


async def test_starts_that_race_a_deletion_are_either_there_or_refused():
    """Deleted means that no instance runs, wherever it was started meanwhile."""
    outcomes = set()
    for seed in range(12):
        dice = random.Random(seed)
        engine = await running()
        [made] = (await deploy(engine, model()))["definitions"]

        async def some(p: int, delay: float, engine: Engine = engine, key: int = made["key"]) -> Any:
            await asyncio.sleep(delay)
            return await engine.call(c.StartInstance(definition=key), partition=p)

        within = (0.03, 0.003, 0.0)[seed // 4]  # a machine with nothing else to do has deleted it in a millisecond
        starts = [some(dice.randrange(P), dice.random() * within) for _ in range(6 * (seed % 3))]
        gone, *answers = await asyncio.gather(engine.call(c.ChangeDefinition(key=made["key"], move="delete")), *starts)
        live = [i.key for o in engine.owners.values() for i in o.state.instances.values()]
        begun = [a["key"] for a in answers if not isinstance(a, Rejected)]
        assert sorted(live) == sorted(begun)
        assert isinstance(gone, Rejected) is bool(live), (gone, live)
        if not isinstance(gone, Rejected):
            assert all(o.state.definitions[made["key"]].deleted for o in engine.owners.values())
        else:
            assert all(o.state.definitions[made["key"]].status == "published" for o in engine.owners.values())
        outcomes.add(isinstance(gone, Rejected))
        await engine.stop()
    assert outcomes == {True, False}


async def test_a_deletion_outlives_the_owners(monkeypatch):
    store = MemoryStore(P)
    deaf = Deaf(monkeypatch)
    engine = await running(store)
    [made] = (await deploy(engine, model()))["definitions"]
    monkeypatch.setattr(epochs, "WAIT_US", 200_000)
    with deaf:
        answer = await engine.call(c.ChangeDefinition(key=made["key"], move="delete"), id="gone")
        assert answer["status"] == "deleting" and answer["waiting"] == [Q]
        refused = await engine.call(c.StartInstance(id="p"), partition=1)
        assert isinstance(refused, Rejected)
        await engine.kill()
    engine = await running(store)
    for _ in range(300):
        if all(o.state.definitions[made["key"]].deleted for o in engine.owners.values()):
            break
        await asyncio.sleep(0.01)
    assert all(o.state.definitions[made["key"]].deleted for o in engine.owners.values())
    again = await engine.call(c.ChangeDefinition(key=made["key"], move="delete"), id="gone")
    assert again["status"] == "deleted", "asked again with its id: what came of it"
    await engine.stop()


# --- what was written before ------------------------------------------------------------------------------------------------


async def test_partitions_of_before_know_epoch_0_and_go_on(monkeypatch):
    """A log without epochs: sends and requests carry none, and everything is known."""
    store = MemoryStore(P)
    engine = await running(store)

    def old(d: Any, those: list[dict[str, Any]]) -> None:
        for to in range(1, P):
            d.send(to, c.DefineElsewhere(definitions=those))

    monkeypatch.setattr(spreading, "tell_others", old)
    answer = await deploy(engine, model())
    assert answer["epoch"] == 0
    monkeypatch.undo()
    await engine.kill()
    engine = await running(store)
    for p in range(P):
        assert not isinstance(await engine.call(c.StartInstance(id="p"), partition=p), Rejected)
    assert (await deploy(engine, model(version=2)))["epoch"] == 1
    for p in range(P):
        assert (await engine.call(c.StartInstance(id="p"), partition=p))["version"] == 2
    await engine.stop()


def test_one_partition_alone_pays_nothing():
    alone = Epochs(Partition(0, 1), -1, 50, 0)
    assert not alone.gated and alone.tells(c.Deploy(resources=[]), None, print) is None  # type: ignore[arg-type]

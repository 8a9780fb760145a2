"""Doors and owners with the socket between them: both ends here, the processes in `tests/system/test_owner_process.py`."""

import asyncio
import contextlib
import os
import socket
import stat
from decimal import Decimal

import pytest

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.processors.admission import FEW, LOW, NEW, RUNNING, Admission
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine
from flowledger.processors.link import wire as w
from flowledger.processors.link.client import LinkClient
from flowledger.processors.link.host import Host
from flowledger.processors.windows import LEAST

NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t"'
MODEL = f"""<definitions {NS}><process id="p" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>
<serviceTask id="t"><extensionElements><zeebe:taskDefinition type="job"/></extensionElements></serviceTask>
<sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/></process></definitions>"""


class Pair:
    """An engine with its host, and doors to it."""

    def __init__(self, path, partitions):
        self.path, self.store = path, MemoryStore(partitions)
        self.doors = []

    async def up(self):
        self.engine = Engine(MemoryLog(self.store), partitions=self.store.partitions)
        health = lambda: {**self.engine.health(), "log_partitions": self.engine.partitions}  # noqa: E731
        self.host = Host(self.engine, self.path, health, lambda: b'[["flowledger_x",[]]]')
        await self.engine.start()
        await self.host.start()

    async def down(self):
        for session in list(self.host.sessions):
            session.wire.abort("killed")
        await self.host.close()
        await self.engine.kill()

    async def door(self):
        client = LinkClient([self.path], MemoryLog(self.store), 1)
        client.start()
        await asyncio.wait_for(client.doors[0].up.wait(), 5)
        await client.log.open()
        client.opened.set()
        self.doors.append(client)
        return client


@pytest.fixture
async def pair(tmp_path):
    found = Pair(tmp_path / "run" / "o.sock", 2)
    await found.up()
    yield found
    for door in found.doors:
        await door.stop()
    await found.down()


async def until(look, seconds=5.0):
    end = asyncio.get_running_loop().time() + seconds
    while not (found := look()):
        assert asyncio.get_running_loop().time() < end, "it did not come about in time"
        await asyncio.sleep(0.005)
    return found


async def deployed(client):
    answer = await client.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]))
    assert answer["definitions"][0]["id"] == "p", answer
    return answer["definitions"][0]["key"]


async def test_commands_jobs_and_looks_go_over_the_socket_as_in_one_process(pair):
    client = await pair.door()
    key = await deployed(client)
    assert client.definition(key)["id"] == "p" and client.definition(1) is None
    exact = Decimal("12345678901234567890.123456789")
    started = await client.call(c.StartInstance(id="p", variables={"n": exact, "t": "ä"}), id="once")
    again = await client.call(c.StartInstance(id="p", variables={"n": exact, "t": "ä"}), id="once", partition=started["key"] >> 51)
    assert again["key"] == started["key"] and started["position"]
    partition, offset = map(int, started["position"].split("-"))
    assert client.health()["partitions"][partition]["position"] > offset, "health is never behind an answer"
    [job] = await client.activate("job", "w", 5, 60_000, wait_ms=2000)
    assert job["variables"]["n"] == exact and job["variables"]["t"] == "ä" and job["key"] >> 51 == partition
    stale = await client.call(c.CompleteTask(task=job["key"], fence=job["fence"] + 1))
    assert isinstance(stale, Rejected) and stale.code == "STALE"
    assert "position" in await client.call(c.CompleteTask(task=job["key"], fence=job["fence"], variables={"a": 1}))
    assert client.health()["ready"] and client.partitions == 2
    assert await client.figures() == [[["flowledger_x", []]]]
    seen = []
    async with contextlib.aclosing(client.events({0: 0, 1: 0})) as batches:
        async for batch in batches:
            seen += [type(r.event).__name__ for r in batch]
            if "TaskCompleted" in seen:
                break
    assert await client.activate("job", "w", 5, 60_000, wait_ms=20) == []
    with pytest.raises(ValueError, match="job type"):
        await client.activate("", "w", 1, 1)


@pytest.mark.parametrize(
    "variables",
    [{"t": "\ud800"}, {"deep": None}, {"\udfff": 1}, {"o": object()}],
    ids=["surrogate", "deep", "surrogate name", "no json"],
)
async def test_what_cant_be_said_harms_its_own_call_only(pair, variables):
    client = await pair.door()
    await deployed(client)
    if "deep" in variables:
        value = []
        for _ in range(100_000):
            value = [value]
        variables["deep"] = value
    good = client.submit(c.StartInstance(id="p"))
    bad = client.submit(c.StartInstance(id="p", variables=variables))
    also = client.submit(c.StartInstance(id="p"))
    found = await asyncio.wait_for(asyncio.gather(good, bad, also), 5)
    assert "key" in found[0] and "key" in found[2]
    assert isinstance(found[1], Rejected) and found[1].code == "INVALID_ARGUMENT"


async def test_a_command_that_is_too_large_is_refused_and_the_connection_lives(pair, monkeypatch):
    client = await pair.door()
    await deployed(client)
    monkeypatch.setattr(w, "BODY_BYTES_MAX", 1000)
    refused = await client.call(c.StartInstance(id="p", variables={"a": "x" * 1001}))
    assert refused.code == "INVALID_ARGUMENT" and "1000" in refused.message
    assert "key" in await client.call(c.StartInstance(id="p", variables={"a": "x" * 500}))


async def test_calls_in_flight_are_bounded(pair, monkeypatch):
    client = await pair.door()
    await deployed(client)
    monkeypatch.setattr(w, "IN_FLIGHT_MAX", 10)
    answers = await asyncio.gather(*(client.call(c.StartInstance(id="p")) for _ in range(30)))
    refused = [a for a in answers if isinstance(a, Rejected)]
    assert len(refused) == 20 and all(a.code == "RESOURCE_EXHAUSTED" and a.retry_after_ms for a in refused)
    assert "key" in await client.call(c.StartInstance(id="p"))


@pytest.mark.req("WOS-RES-010", "WOS-PER-002")
async def test_who_would_wait_too_long_for_the_owners_is_refused_at_the_door(pair):
    client = await pair.door()
    await deployed(client)
    await client.call(c.StartInstance(id="p"))
    [job] = await client.activate("job", "w", 1, 600_000, wait_ms=3000)
    door = client.doors[0]
    now = [0]
    door.admission = admission = Admission(lambda: now[0])
    waiting = client.submit(c.StartInstance(id="p"), id="slow")  # on its way
    for _ in range(FEW):
        admission.began(0)
    assert admission.in_hand == FEW + 1 and client.late(NEW) == 0.0
    now[0] = 500_000
    assert client.late(LOW) >= 0.5 and client.late(NEW) >= 0.5 and client.late(RUNNING) == 0.0
    refused = await client.call(c.StartInstance(id="p"))
    assert (
        isinstance(refused, Rejected)
        and refused.code == "RESOURCE_EXHAUSTED"
        and "the server is busy" in refused.message
        and refused.retry_after_ms
    )
    assert "position" in await client.call(c.CompleteTask(task=job["key"], fence=job["fence"])), "work on what runs goes on"
    assert "key" in await waiting
    door._wire.abort("lost")
    await until(lambda: door.admission is not admission)
    assert door.admission.in_hand == 0, "what waited there is gone"


def _of(tenant):
    return Caller("ann", tenant)


def _sent(door, monkeypatch):
    """Numbers of calls as they go to the owners."""
    found, send = [], door._wire.send

    def sends(kind, partition, number, body=b""):
        if kind == w.CALL:
            found.append(number)
        send(kind, partition, number, body)

    monkeypatch.setattr(door._wire, "send", sends)
    return found


@pytest.mark.req("APG-TEN-004")
async def test_of_a_tenant_that_floods_a_window_goes_to_the_owners_and_others_go_past_the_rest(pair, monkeypatch):
    client = await pair.door()
    for tenant in ("flood", "few"):
        await client.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]), _of(tenant))
    door = client.doors[0]
    sent = _sent(door, monkeypatch)
    few = [client.submit(c.StartInstance(id="p"), _of("few"))]
    flood = [client.submit(c.StartInstance(id="p"), _of("flood")) for _ in range(100)]
    few.append(client.submit(c.StartInstance(id="p"), _of("few")))
    assert len(sent) == 1 + LEAST + 1 and door.windows.count == 100 - LEAST
    left = flood.pop(50)
    left.cancel()
    answers = await asyncio.gather(*flood, *few)
    assert all("key" in a for a in answers) and len({a["key"] for a in answers}) == 101
    assert sent[LEAST + 1] == sent[0] + 101, "the other's goes before the rest"
    assert [*sent[: LEAST + 1], *sent[LEAST + 2 :]] == sorted({*sent} - {sent[0] + 101}), "which goes in its order"
    await until(lambda: not door.admission.in_hand)
    assert len(sent) == 101 and not door.windows.count and not door._calls, "whoever left has begun nothing"


async def test_a_lone_tenant_has_no_window(pair, monkeypatch):
    client = await pair.door()
    await deployed(client)
    door = client.doors[0]
    sent = _sent(door, monkeypatch)
    monkeypatch.delattr(type(door.windows), "holds")
    monkeypatch.delattr(type(door.windows), "sent")
    answers = [client.submit(c.StartInstance(id="p")) for _ in range(100)]
    assert len(sent) == 100
    assert all("key" in a for a in await asyncio.gather(*answers))


async def test_what_waits_for_its_window_is_told_when_the_owners_die(pair):
    client = await pair.door()
    await deployed(client)
    door = client.doors[0]
    calls = [client.submit(c.StartInstance(id="p"), _of(t)) for t in ("few", *["flood"] * 50)]
    assert door.windows.count == 50 - LEAST
    door._wire.abort("lost")
    answers = await asyncio.gather(*calls)
    assert all(isinstance(a, Rejected) and a.code == "UNAVAILABLE" for a in answers[-30:])
    assert not door.windows.count and not door.admission.in_hand


@pytest.mark.parametrize(
    ("command", "counts"),
    [
        (c.StartInstance(id="p"), True),
        (c.StartInstance(id="p", wait=True), False),
        (c.Deploy(resources=[c.Resource("q.bpmn", MODEL)]), False),
    ],
    ids=["start", "start that waits for its end", "deployment"],
)
async def test_what_waits_for_more_than_its_turn_says_nothing_about_the_queue(pair, command, counts):
    client = await pair.door()
    await deployed(client)
    admission = client.doors[0].admission
    call = client.submit(command)
    assert admission.in_hand == counts
    if not getattr(command, "wait", False):
        await call
    assert admission.in_hand == 0
    call.cancel()


async def test_a_dead_door_gives_up_its_polls_streams_and_what_is_on_the_way_to_it(pair):
    dead, lives = await pair.door(), await pair.door()
    await deployed(lives)
    dead.stream("job", "dead", 600_000, None, credit=100)
    poll = asyncio.create_task(dead.activate("job", "dead", 100, 600_000, wait_ms=60_000))
    await asyncio.sleep(0.05)
    dead.doors[0]._wire._transport.pause_reading()  # it hangs: jobs are written and nobody takes them
    for _ in range(20):
        await lives.call(c.StartInstance(id="p"))
    dead.doors[0]._task.cancel()  # it doesn't come back
    dead.doors[0]._wire.abort("kill -9")
    got = set()
    for _ in range(20):
        if len(got) == 20:
            break
        got |= {j["key"] for j in await asyncio.wait_for(lives.activate("job", "lives", 100, 600_000, wait_ms=3000), 5)}
    assert len(got) == 20
    await until(lambda: not [p for queue in pair.engine.pollers.by_lane.values() for p in queue if p.worker == "dead"] or poll.done())
    poll.cancel()


async def test_owners_that_die_are_said_and_their_callers_may_send_again(pair):
    client = await pair.door()
    await deployed(client)
    stream = client.stream("job", "s", 600_000, None, credit=2)
    jobs = aiter(stream)
    poll = asyncio.create_task(client.activate("other", "w", 1, 60_000, wait_ms=1500))
    asked = client.submit(c.StartInstance(id="p"), id="mine", partition=0)
    await pair.down()
    gone = await asyncio.wait_for(asked, 5)
    refused = await client.call(c.StartInstance(id="p"), id="mine", partition=0)
    assert all(
        isinstance(a, Rejected) and a.code == "UNAVAILABLE" and "same id" in a.message for a in (refused, gone) if type(a) is not dict
    )
    assert not client.health()["ready"] and client.health()["reasons"]
    await pair.up()
    await asyncio.wait_for(client.doors[0].up.wait(), 5)
    await until(lambda: client.health()["ready"])
    first = await client.call(c.StartInstance(id="p"), id="mine", partition=0)
    assert (await client.call(c.StartInstance(id="p"), id="mine", partition=0))["key"] == first["key"]
    [job] = await asyncio.wait_for(anext(jobs), 5)  # the stream goes on
    assert job["instance"] == first["key"]
    assert await poll == [], "a poll lasts until its own time"
    await stream.close()


async def test_a_stream_gets_as_much_as_its_credit_also_over_a_lost_connection(pair):
    client = await pair.door()
    await deployed(client)
    stream = client.stream("job", "s", 600_000, None, credit=3)
    jobs, got = aiter(stream), []
    for _ in range(10):
        await client.call(c.StartInstance(id="p"))
    while len(got) < 3:
        got += await asyncio.wait_for(anext(jobs), 5)
    client.doors[0]._wire.abort("lost")
    await asyncio.sleep(0.1)
    await asyncio.wait_for(client.doors[0].up.wait(), 5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task := asyncio.ensure_future(anext(jobs))), 0.3)
    stream.credit(2)
    got += await asyncio.wait_for(task, 5)
    while len(got) < 5:
        got += await asyncio.wait_for(anext(jobs), 5)
    assert len({j["key"] for j in got}) == len(got) == 5
    await stream.close()


async def test_a_poll_that_is_cancelled_leaves_no_lease_behind(pair):
    client = await pair.door()
    await deployed(client)
    for wait in (0.0, 0.001, 0.003, 0.01):
        poll = asyncio.create_task(client.activate("job", "leaves", 5, 600_000, wait_ms=60_000))
        await asyncio.sleep(0.01)
        started = client.submit(c.StartInstance(id="p"))
        await asyncio.sleep(wait)
        poll.cancel()
        taken = []
        with contextlib.suppress(asyncio.CancelledError):
            taken = await poll
        await started
        if not taken:
            taken = await asyncio.wait_for(client.activate("job", "stays", 1, 600_000, wait_ms=3000), 5)
        assert len(taken) == 1
        await client.call(c.CompleteTask(task=taken[0]["key"], fence=taken[0]["fence"]))


async def test_only_its_user_and_its_version_get_in(pair):
    mode = os.stat(pair.path)
    assert stat.S_IMODE(mode.st_mode) == 0o600 and stat.S_IMODE(os.stat(pair.path.parent).st_mode) == 0o700
    for said in (b"GET / HTTP/1.1\r\n\r\n" * 4, w.HEADER.pack(15, w.HELLO, 0, 0) + b'{"version": 99}', w.HEADER.pack(2**31, w.CALL, 0, 0)):
        reader, writer = await asyncio.open_unix_connection(str(pair.path))
        writer.write(said)
        with contextlib.suppress(ConnectionError):
            assert w.CALL not in await asyncio.wait_for(reader.read(), 5)
        writer.close()
    client = await pair.door()
    await deployed(client)
    assert client.health()["ready"]


async def test_doors_are_bounded(pair, monkeypatch):
    monkeypatch.setattr(w, "CONNECTIONS_MAX", 2)
    await pair.door()
    await pair.door()
    third = LinkClient([pair.path], MemoryLog(pair.store), 1)
    third.start()
    await asyncio.sleep(0.2)
    assert not third.doors[0].up.is_set() and not third.health()["ready"]
    await third.stop()


async def test_a_socket_left_behind_by_a_dead_process_is_no_hindrance(tmp_path):
    path = tmp_path / "run" / "o.sock"
    path.parent.mkdir()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    pair = Pair(path, 1)
    await pair.up()
    client = await pair.door()
    await deployed(client)
    await client.stop()
    await pair.down()

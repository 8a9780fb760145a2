"""Webhooks sent by a real engine to a real receiver: signatures, whatever a receiver does wrong, senders that die, order, redelivery, secrets."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from collections import Counter
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from flowledger.connectors.webhooks import post, sender, serve, signing, told
from flowledger.events import commands as c
from flowledger.events import webhooks as wh
from flowledger.events.base import Rejected
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.infra.settings import Settings
from flowledger.kernel.webhooks import schedule
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine
from tests.connectors.conftest import at_work

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="PROCESS" isExecutable="true"><startEvent id="s"/><serviceTask id="t"><extensionElements><zeebe:taskDefinition type="w"/></extensionElements>
</serviceTask><endEvent id="e"/><sequenceFlow id="a" sourceRef="s" targetRef="t"/><sequenceFlow id="b" sourceRef="t" targetRef="e"/></process></definitions>"""
OLD, NEW = (
    "whsec_" + base64.b64encode(b"old-secret-of-24-bytes!!").decode(),
    "whsec_" + base64.b64encode(b"new-secret-of-24-bytes!!").decode(),
)


@pytest.fixture
async def engine():
    made = Engine(MemoryLog(MemoryStore(3)))
    await made.start()
    for tenant in ("", "acme"):
        for process in ("p", "q"):
            files = [c.Resource(f"{process}.bpmn", MODEL.replace("PROCESS", process))]
            assert isinstance(await made.call(c.Deploy(resources=files), Caller(tenant=tenant)), dict)
    yield made
    await made.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Days in a moment."""
    monkeypatch.setattr(schedule, "PAUSES_S", (0.05,) * len(schedule.PAUSES_S))
    monkeypatch.setattr(serve, "LOOK_S", 0.05)
    monkeypatch.setattr(sender, "LOOK_S", 0.02)
    monkeypatch.setattr(sender, "TELL_S", 0.02)
    monkeypatch.setattr(sender, "AGAIN_S", 0.05)
    monkeypatch.setattr(sender, "KEEP_S", 0.5)
    monkeypatch.setattr(sender, "PAUSE_S", (0.05, 0.2))
    monkeypatch.setattr(post, "TIMEOUT_S", 0.5)


@pytest.fixture
def secrets(tmp_path):
    (tmp_path / "OLD").write_text(OLD)
    (tmp_path / "NEW").write_text(NEW)
    return tmp_path


class Hooks:
    """What a test does with them."""

    def __init__(self, engine: Engine, folder: Any) -> None:
        self.engine, self.folder = engine, folder

    def running(self, **settings: Any):
        told_ = Settings(**{"egress_private": ("127.0.0.1",), "secrets": (f"folder:{self.folder}",), **settings})
        return at_work(serve.Webhooks(self.engine, told_))

    async def put(self, url: str, tenant: str = "", name: str = "h", **fields: Any) -> dict[str, Any]:
        ends = {str(p): n for p, n in (await self.engine.ends()).items()}
        command = wh.PutWebhook(**{"name": name, "url": url, "secrets": ["OLD"], "cursors": ends, **fields})
        return await self.do(command, tenant)

    async def do(self, command: Any, tenant: str = "") -> dict[str, Any]:
        answer = await self.engine.call(command, Caller(tenant=tenant))
        assert isinstance(answer, dict), answer
        return answer

    async def start(self, count: int, process: str = "p", tenant: str = "", **variables: Any) -> list[int]:
        return [(await self.do(c.StartInstance(id=process, variables=variables), tenant))["key"] for _ in range(count)]

    def state(self, name: str = "h", tenant: str = "") -> Any:
        for owner in self.engine.owners.values():
            if (key := owner.state.webhook_names.get((tenant, name))) is not None:
                return owner.state.webhooks[key]
        return None


@pytest.fixture
def hooks(engine, secrets):
    return Hooks(engine, secrets)


async def until(true: Any, seconds: float = 20.0) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := true()):
            await asyncio.sleep(0.01)
        return found


class Receiver:
    """Behind a route of the test's target. `says`: number of the request -> what it answers; the last one goes on."""

    def __init__(self, target: Any, *says: Any, path: str = "/in") -> None:
        self.says = list(says) or [200]
        self.got: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        target.routes[path] = self
        self.url = f"{target.url}{path}"

    def __call__(self, request: Any) -> tuple[int, dict[str, str], bytes]:
        self.headers.append(request.headers)
        self.got.append({**json.loads(request.body), "_body": request.body, "_id": request.headers["webhook-id"]})
        say = self.says[min(len(self.got), len(self.says)) - 1]
        say = say(self.got[-1]) if callable(say) else say
        status, headers = say if isinstance(say, tuple) else (say, {})
        return status, headers, b""

    def ids(self) -> list[str]:
        return [g["_id"] for g in self.got]


# --- what is sent -----------------------------------------------------------------------------------------------------------


@pytest.mark.req("APG-EVT-001", "APG-EVT-002")
async def test_events_are_sent_as_the_standard_has_it(hooks, target):
    receiver = Receiver(target)
    await hooks.put(receiver.url, types=["workflow.started", "task.created"], definitions=["p"])
    async with hooks.running():
        (key,) = await hooks.start(1, password="p1", n=3)
        await hooks.start(1, "q")
        await hooks.start(1, "p", "acme")
        await until(lambda: len(receiver.got) == 2 and hooks.state().count == 2)
    started, created = sorted(receiver.got, key=lambda g: g["type"], reverse=True)
    assert (started["type"], created["type"]) == ("workflow.started", "task.created")
    assert {g["process"] for g in receiver.got} == {"p"} and {g["instance"] for g in receiver.got} == {str(key)} and started["tenant"] == ""
    assert started["data"]["variables"] == {"password": "***", "n": 3}, "what is named as a secret is masked"
    for got, headers in zip(receiver.got, receiver.headers, strict=True):
        assert Webhook(OLD).verify(got["_body"], headers)["id"] == got["id"]
        assert headers["webhook-id"] == f"{hooks.state().key}-{got['id']}" and headers["content-type"] == "application/json"
        with pytest.raises(WebhookVerificationError):
            Webhook(NEW).verify(got["_body"], headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(OLD).verify(got["_body"].replace(b"p", b"q"), headers)
    assert not hooks.state().waiting and hooks.state().sender == 1 and hooks.state().until_us == 0, "given back"


async def test_a_filter_lets_through_what_it_is_true_for(hooks, target):
    receiver = Receiver(target)
    await hooks.put(receiver.url, types=["workflow.started"], filter='=process = "q" and data.variables.n > 1')
    async with hooks.running():
        await hooks.start(2, "p", n=5)
        await hooks.start(1, "q", n=1)
        await hooks.start(1, "q", n=2)
        await hooks.start(1, "q")
        await until(lambda: receiver.got)
        await asyncio.sleep(0.3)
    assert [g["data"]["variables"] for g in receiver.got] == [{"n": 2}]


async def test_a_filter_that_takes_too_long_parks_the_event_and_the_next_has_its_turn(hooks, target, monkeypatch):
    monkeypatch.setattr(told, "FILTER_STEPS_MAX", 3_000)
    receiver = Receiver(target)
    await hooks.put(receiver.url, types=["workflow.started"], filter="=count(for i in 1..data.variables.n return i) > 0")
    async with hooks.running():
        await hooks.start(1, n=100_000)
        await hooks.start(1, n=3)
        await until(lambda: receiver.got and hooks.state().dead)
    assert [g["data"]["variables"]["n"] for g in receiver.got] == [3] and [i.code for i in hooks.state().dead.values()] == ["FILTER"]


async def test_each_webhook_sees_its_own_tenants_events_only(hooks, target):
    ours, theirs = Receiver(target, path="/ours"), Receiver(target, path="/theirs")
    await hooks.put(ours.url)
    await hooks.put(theirs.url, "acme")
    async with hooks.running():
        await hooks.start(3)
        await hooks.start(2, tenant="acme")
        await until(lambda: Counter(g["type"] for g in ours.got)["task.created"] == 3)
        await until(lambda: Counter(g["type"] for g in theirs.got)["task.created"] == 2)
    assert {g["tenant"] for g in ours.got} == {""} and {g["tenant"] for g in theirs.got} == {"acme"}
    assert not {g["type"].split(".")[0] for g in ours.got} & {"webhook", "operation", "partition", "ledger", "record"}


async def test_a_body_that_is_too_large_goes_without_its_data(hooks, target):
    receiver = Receiver(target)
    await hooks.put(receiver.url, types=["workflow.started"])
    async with hooks.running():
        await hooks.start(1, text="x" * told.BODY_BYTES_MAX)
        await until(lambda: receiver.got)
    assert receiver.got[0]["data"] is None and receiver.got[0]["truncated"] is True and receiver.got[0]["instance"]


@pytest.mark.req("APG-SEC-010")
async def test_while_a_secret_takes_the_others_place_both_sign(hooks, target, secrets):
    receiver = Receiver(target)
    await hooks.put(receiver.url, types=["workflow.started"], secrets=["OLD", "NEW"])
    async with hooks.running():
        await hooks.start(1)
        await until(lambda: receiver.got)
        for secret in (OLD, NEW):
            Webhook(secret).verify(receiver.got[0]["_body"], receiver.headers[0])
        await hooks.put(receiver.url, types=["workflow.started"], secrets=["NEW"])
        await until(lambda: hooks.state().secrets == ["NEW"])
        await asyncio.sleep(0.3)
        await hooks.start(1)
        await until(lambda: len(receiver.got) == 2)
        Webhook(NEW).verify(receiver.got[1]["_body"], receiver.headers[1])
        with pytest.raises(WebhookVerificationError):
            Webhook(OLD).verify(receiver.got[1]["_body"], receiver.headers[1])
        (secrets / "NEW").write_text(OLD)  # a value that was rotated is used by the next request
        await hooks.start(1)
        await until(lambda: len(receiver.got) == 3)
    Webhook(OLD).verify(receiver.got[2]["_body"], receiver.headers[2])


def test_a_secret_is_base64_behind_its_prefix_or_a_text():
    assert signing.key_of(OLD) == b"old-secret-of-24-bytes!!" and signing.key_of("plain text") == b"plain text"
    for wrong in ("whsec_", "whsec_%%%"):
        with pytest.raises(ValueError):
            signing.key_of(wrong)


# --- receivers --------------------------------------------------------------------------------------------------------------


@pytest.mark.req("APG-EVT-003")
@pytest.mark.parametrize("says", [500, 404, 301, 503])
async def test_what_isnt_taken_is_sent_again_with_the_same_id(hooks, target, says):
    receiver = Receiver(target, (says, {"location": "/elsewhere"}), says, 200)
    elsewhere = Receiver(target, path="/elsewhere")
    await hooks.put(receiver.url, types=["workflow.started"])
    async with hooks.running():
        await hooks.start(1)
        await until(lambda: len(receiver.got) == 3 and hooks.state().count == 3)
    assert len(set(receiver.ids())) == 1 and not hooks.state().waiting and not elsewhere.got
    stamps = [h["webhook-timestamp"] for h in receiver.headers]
    assert all(Webhook(OLD).verify(g["_body"], h) for g, h in zip(receiver.got, receiver.headers, strict=True)) and stamps == sorted(stamps)


async def test_what_is_never_taken_is_a_dead_letter_and_the_others_are_told(hooks, target):
    receiver = Receiver(target, lambda got: 400 if got["data"]["variables"] == {"bad": True} else 200)
    await hooks.put(receiver.url, types=["workflow.started"])
    async with hooks.running():
        await hooks.start(1, bad=True)
        await hooks.start(5)
        await until(lambda: hooks.state().dead)
        assert len(receiver.got) == schedule.ATTEMPTS_MAX + 5
        receiver.says = [200]
        assert (await hooks.do(wh.SettleDelivery(name="h", move="redeliver", dead=True)))["count"] == 1
        await until(lambda: not hooks.state().dead and not hooks.state().waiting and len(receiver.got) == schedule.ATTEMPTS_MAX + 6)
    assert receiver.got[-1]["data"]["variables"] == {"bad": True} and receiver.ids().count(receiver.ids()[-1]) == schedule.ATTEMPTS_MAX + 1


async def test_a_receiver_that_is_gone_is_told_no_more(hooks, target):
    receiver = Receiver(target, 410)
    await hooks.put(receiver.url, types=["workflow.started"])
    async with hooks.running() as work:
        await hooks.start(1)
        await until(lambda: hooks.state().paused == "gone" and not work.senders)
        await hooks.start(3)
        await asyncio.sleep(0.3)
        assert len(receiver.got) == 1
        receiver.says = [200]
        await hooks.do(wh.ControlWebhook(name="h", move="resume"))
        await until(lambda: len(set(receiver.ids())) == 4 and not hooks.state().waiting)


@pytest.mark.req("APG-EVT-003")
async def test_a_receiver_that_asks_for_time_gets_it(hooks, target):
    at: list[float] = []

    def say(got: Any) -> Any:
        at.append(time.monotonic())
        return (429, {"retry-after": "1"}) if len(at) == 1 else 200

    receiver = Receiver(target, say)
    await hooks.put(receiver.url, types=["workflow.started"])
    async with hooks.running():
        await hooks.start(1)
        await until(lambda: at)
        await until(lambda: hooks.state().waiting)
        await hooks.start(3)
        await until(lambda: len(set(receiver.ids())) == 4 and not hooks.state().waiting)
    assert at[1] - at[0] >= 0.9, "and so do the other events"


async def test_slow_cut_and_silent_receivers_are_tried_again(hooks, target):
    good = Receiver(target, path="/good")
    ways: list[str] = []

    async def route(request: Any, writer: Any) -> None:
        ways.append(request.headers["webhook-id"])
        if len(ways) == 1:
            await asyncio.sleep(1.0)  # longer than the time for all of a request
        elif len(ways) == 2:
            writer.write(b"HTTP/1.1 200 OK\r\n")
            writer.close()
        elif len(ways) == 3:
            writer.close()
        elif len(ways) == 4:
            writer.write(b"no http at all\r\n\r\n")
            writer.close()
        elif len(ways) == 5:
            for _ in range(30):
                writer.write(b"H")
                await writer.drain()
                await asyncio.sleep(0.05)
        else:  # its answer goes on for ever: what is known already stays known
            writer.write(
                b"HTTP/1.1 204 x\r\n\r\n" if len(ways) % 2 else b"HTTP/1.1 200 x\r\ncontent-length: 9999999\r\n\r\n" + b"x" * 50_000
            )
            await writer.drain()

    target.routes["/bad"] = route
    await hooks.put(f"{target.url}/bad", types=["workflow.started"])
    async with hooks.running() as work:
        work.post.timeout_s = 0.5
        await hooks.start(1)
        await until(lambda: hooks.state().count == 6)
    assert len(set(ways)) == 1 and len(ways) == 6 and not hooks.state().waiting and not hooks.state().dead
    assert not good.got


async def test_a_receiver_that_nobody_can_trust_or_reach_is_tried_again(hooks, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=context)
    await hooks.put(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", types=["workflow.started"])
    closed = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = closed.sockets[0].getsockname()[1]
    closed.close()
    await hooks.put(f"http://127.0.0.1:{port}/", types=["workflow.started"], name="closed")
    async with hooks.running():
        await hooks.start(1)
        await until(lambda: hooks.state().dead and hooks.state("closed").dead)
    server.close()
    assert [i.code for i in hooks.state().dead.values()] == ["TLS"] and [i.code for i in hooks.state("closed").dead.values()] == ["CONNECT"]


async def test_a_receiver_in_trouble_is_spared_and_nothing_is_lost(hooks, target, monkeypatch):
    monkeypatch.setattr(schedule, "PAUSES_S", (600.0,) * 9)
    monkeypatch.setattr(sender, "PAUSE_S", (0.1, 0.2))
    receiver = Receiver(target, 500)
    await hooks.put(receiver.url, types=["workflow.started"])
    async with hooks.running():
        await hooks.start(60)
        await until(lambda: len(receiver.got) >= sender.TROUBLE)
        await asyncio.sleep(0.5)
        assert len(receiver.got) <= sender.TROUBLE + sender.CALLS + 8, "one at a time, with pauses"
        receiver.says = [200]
        taken = len(receiver.got)
        await until(lambda: len(hooks.state().waiting) + len(receiver.got) - taken == 60)
        await hooks.do(wh.SettleDelivery(name="h", move="redeliver", ids=list(hooks.state().waiting)))
        await until(lambda: not hooks.state().waiting and len(set(receiver.ids())) == 60)


# --- what keeps it from sending ---------------------------------------------------------------------------------------------


async def test_where_nothing_can_be_sent_it_says_why_and_loses_nothing(hooks, target, secrets, capfd):
    receiver = Receiver(target)
    (secrets / "OLD").unlink()
    await hooks.put(receiver.url, types=["workflow.started"])
    async with hooks.running():
        await hooks.start(2)
        await until(lambda: "no secret 'OLD'" in hooks.state().error)
        assert not receiver.got and not hooks.state().waiting, "no attempt is used up"
        (secrets / "OLD").write_text(OLD)
        await until(lambda: len(set(receiver.ids())) == 2 and not hooks.state().error)
    log = [r.value for p in range(3) async for batch in hooks.engine.log.read("events", p, 0, 10_000) for r in batch]
    out, err = capfd.readouterr()
    assert not any(OLD.encode() in value for value in log) and OLD not in out + err


@pytest.mark.req("APG-SEC-007")
async def test_the_gate_lets_it_call_only_what_may_be_called(hooks, target):
    receiver = Receiver(target)
    await hooks.put(receiver.url, types=["workflow.started"])
    async with hooks.running(egress_private=()):
        await hooks.start(1)
        await until(lambda: "egress_private" in hooks.state().error)
        at = (await hooks.do(wh.TestWebhook(name="h")))["event"]
        await until(lambda: at not in hooks.state().waiting)
    assert not receiver.got
    async with hooks.running():
        await until(lambda: receiver.got and not hooks.state().error)


# --- senders ----------------------------------------------------------------------------------------------------------------


@pytest.mark.req("APG-EVT-003")
async def test_a_sender_that_dies_in_the_middle_loses_none(hooks, target, monkeypatch):
    """It is cut down again and again, without a word; each that follows waits for the lease of the one before."""
    monkeypatch.setattr(sender, "TTL_S", 1.0)
    monkeypatch.setattr(sender, "LAST_S", 0.01)
    receiver = Receiver(target, lambda got: 200 if hash(got["_id"]) % 3 or receiver.ids().count(got["_id"]) > 1 else 500)
    await hooks.put(receiver.url, types=["workflow.started"])
    (await hooks.start(1))
    keys: list[int] = []
    for _ in range(4):
        work = serve.Webhooks(hooks.engine, Settings(egress_private=("127.0.0.1",), secrets=(f"folder:{hooks.folder}",)))
        task = asyncio.create_task(work.run())
        before = len(receiver.got)
        keys += await hooks.start(20)
        await until(lambda n=before: len(receiver.got) > n + 5)
        for s in work.senders.values():  # a process that is killed says nothing
            s.client = Dead()
        task.cancel()
        await asyncio.wait({task})
    async with hooks.running():
        await until(lambda: {g["instance"] for g in receiver.got} >= set(map(str, keys)) and not hooks.state().waiting, 60)
    counts = Counter(receiver.ids())
    assert len(counts) == 81 and max(counts.values()) > 1, "some came again, with the id that they had"
    assert hooks.state().sender == 5


class Dead:
    async def call(self, *_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()


async def test_one_process_sends_and_another_takes_over(hooks, target):
    receiver = Receiver(target)
    await hooks.put(receiver.url, types=["workflow.started"])
    async with hooks.running() as first:
        await until(lambda: first.senders)
        async with hooks.running() as second:
            await hooks.start(10)
            await until(lambda: len(receiver.got) == 10)
            await asyncio.sleep(0.3)
            assert len(receiver.got) == 10 and not second.senders
        await hooks.do(wh.ControlWebhook(name="h", move="pause"))
        await until(lambda: not first.senders)
        await hooks.start(2)
        await hooks.do(wh.ControlWebhook(name="h", move="resume"))
        await until(lambda: len(receiver.got) == 12)
        await hooks.do(wh.DeleteWebhook(name="h"))
        await until(lambda: not first.senders)
    assert isinstance(await hooks.engine.call(wh.TestWebhook(name="h")), Rejected)


async def test_what_nobody_asked_for_makes_no_reports(hooks, target):
    receiver = Receiver(target)
    await hooks.put(receiver.url, types=["workflow.completed"])
    async with hooks.running():
        await hooks.start(3)
        await until(lambda: hooks.state().until_us)
        await asyncio.sleep(0.5)
        ends = await hooks.engine.ends()
        await asyncio.sleep(0.4)
        now = await hooks.engine.ends()
        assert sum(now.values()) - sum(ends.values()) <= 4, "only its lease is kept: telling leads to no telling"


# --- order, redelivery, tests -----------------------------------------------------------------------------------------------


async def test_events_of_an_instance_come_in_their_order_if_that_is_asked(hooks, target):
    def say(got: Any) -> int:
        return 500 if receiver.ids().count(got["_id"]) < 3 and hash(got["id"]) % 4 == 0 else 200

    receiver = Receiver(target, say)
    await hooks.put(receiver.url, types=["workflow.*", "element.*", "task.*"], order="instance")
    async with hooks.running():
        keys = await hooks.start(8)
        for key in keys:
            await hooks.do(c.CancelInstance(key=key))

        def all_ended() -> bool:
            return {g["instance"] for g in taken() if g["type"] == "workflow.cancelled"} >= set(map(str, keys))

        def taken() -> list[dict[str, Any]]:
            """As they were taken: the last of each."""
            return list({g["_id"]: g for g in receiver.got}.values())

        await until(lambda: all_ended() and not hooks.state().waiting, 40)
    at: dict[str, list[tuple[int, ...]]] = {}
    seen: set[str] = set()
    for got in receiver.got:
        if got["_id"] not in seen:
            seen.add(got["_id"])
            at.setdefault(got["instance"], []).append(tuple(map(int, got["id"].split("-"))))
    assert all(places == sorted(places) for places in at.values()) and all(len(places) >= 5 for places in at.values())


async def test_any_event_is_sent_again_by_its_id_and_all_from_a_place(hooks, target):
    receiver = Receiver(target)
    begin = {str(p): n for p, n in (await hooks.engine.ends()).items()}
    await hooks.put(receiver.url, types=["workflow.started"])
    async with hooks.running():
        await hooks.start(6)
        await until(lambda: len(receiver.got) == 6 and hooks.state().count == 6)
        ids = [receiver.got[0]["id"], receiver.got[3]["id"]]
        await hooks.do(wh.SettleDelivery(name="h", move="redeliver", ids=ids))
        await until(lambda: len(receiver.got) == 8)
        assert [g["id"] for g in receiver.got[6:]] == ids or [g["id"] for g in receiver.got[6:]] == ids[::-1]
        assert {g["_body"] for g in receiver.got[6:]} == {receiver.got[0]["_body"], receiver.got[3]["_body"]}
        await hooks.do(wh.SettleDelivery(name="h", move="redeliver", cursors=begin))
        await until(lambda: len(receiver.got) == 14 and hooks.state().rewinds == 1)
        other = next(f"{p}-{n - 1}" for p, n in (await hooks.engine.ends()).items() if n)
        await hooks.do(wh.SettleDelivery(name="h", move="redeliver", ids=[other, "0-123456"]))
        await until(lambda: len(hooks.state().dead) == 2)
    assert {i.code for i in hooks.state().dead.values()} == {"NOT_ON_LOG"}, "what isn't there, and what isn't for this webhook"


async def test_a_test_goes_out_at_once(hooks, target):
    receiver = Receiver(target, 500)
    await hooks.put(receiver.url, types=["workflow.started"])
    async with hooks.running():
        at = (await hooks.do(wh.TestWebhook(name="h")))["event"]
        await until(lambda: receiver.got and at not in hooks.state().waiting)
    assert receiver.got[0]["type"] == "webhook.test" and len(receiver.got) == 1
    Webhook(OLD).verify(receiver.got[0]["_body"], receiver.headers[0])

"""A queue of SQS as a source, on moto's server: the contract, and what is its own: receipts, visibility, messages that come again."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowledger.connectors.sources import sqs_queue as source
from flowledger.events.triggers import TakeItems
from flowledger.kernel.model import read
from tests.connectors.conftest import Target, bench, boto, moto, target  # noqa: F401 - fixtures
from tests.connectors.wire import Wire
from tests.triggers.conftest import place_of
from tests.triggers.contract import GatedContract, QueueContract, Wired, given_back, opened, quick  # noqa: F401 - a fixture for all

pytestmark = [pytest.mark.req("APG-TRG-002", "APG-CON-017"), pytest.mark.timeout(300)]


class Sqs(Wired):
    NUMBER = "number(payload.n)"

    def __init__(self, place: Any, server: tuple[str, int], wire: Wire) -> None:
        super().__init__(place, wire)
        self.sqs = boto("sqs", server)
        self.name, self.visibility, self.more, self.origin = f"in-{uuid.uuid4().hex[:10]}", "PT2S", "", ""

    async def start(self, **attributes: str) -> None:
        self.place.secret("AWS", "a-secret-key")
        made = await asyncio.to_thread(self.sqs.create_queue, QueueName=self.name, Attributes=attributes)
        self.url = made["QueueUrl"]

    def queue(self) -> str:
        """Its address, and who asks."""
        path = self.url.split("/", 3)[3]
        who = 'region: us-east-1, access_key: AKIDEXAMPLE, secret_key: "{{secrets.AWS}}"'
        return f'queue: "{self.origin or f"http://127.0.0.1:{self.wire.port}"}/{path}", {who}, visibility: {self.visibility}{self.more}'

    def source(self) -> str:
        return f"{{sqs: {{{self.queue()}}}}}"

    async def put(self, *numbers: int, **more: Any) -> None:
        for n in numbers:
            await self.send(json.dumps({"n": n, **more}))

    async def send(self, body: str, **more: Any) -> None:
        await asyncio.to_thread(self.sqs.send_message, QueueUrl=self.url, MessageBody=body, **more)

    async def waits(self) -> tuple[int, int]:
        """Messages that anybody could have, and those that somebody was handed."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = (await asyncio.to_thread(self.sqs.get_queue_attributes, QueueUrl=self.url, AttributeNames=names))["Attributes"]
        return int(told[names[0]]), int(told[names[1]])

    async def empty(self) -> None:
        async def nothing() -> bool:
            return await self.waits() == (0, 0)

        await self.place.until(nothing, 60)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "WAIT_S", 1)
    monkeypatch.setattr(source, "ASK_S", 0.05)


@pytest.fixture
async def world(tmp_path: Path, moto: tuple[str, int], short: None) -> AsyncIterator[Sqs]:  # noqa: F811
    wire = await Wire(("127.0.0.1", moto[1])).start()
    async with place_of(tmp_path, egress_private=("127.0.0.1",)) as place, opened(Sqs(place, moto, wire)) as found:
        await found.start()
        yield found
    await wire.close()


class TestSqs(GatedContract, QueueContract):
    async def test_what_stands_in_a_message(self, world):
        await world.deploy(
            "start: {process: p, variables: {n: =payload.n, all: '={a: attributes, q: queue, r: received}', id: =message_id, sent: =sent}}\n"
        )
        await world.node()
        await world.reading()
        attributes = {"kind": {"DataType": "String", "StringValue": "paid"}, "raw": {"DataType": "Binary", "BinaryValue": b"\xff\x00"}}
        before = int(time.time() * 1000) - 5_000
        await world.send('{"n": 1}', MessageAttributes=attributes)
        await world.come(1)
        [found] = await world.place.started()
        assert found["all"] == {"a": {"kind": "paid", "raw": "/wA="}, "q": world.name, "r": 1}
        assert found["sent"] >= before and len(found["id"]) == 36

    async def test_what_cannot_be_read_is_parked_deleted_and_taken_as_text_by_another_version(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        for body in ("{", "text", '{"n":1,"n":2}'):
            await world.send(body)
        await world.put(7)
        await world.come(7)
        assert len(world.place.parked("t")) == 3
        await world.empty()

    async def test_the_same_key_counts_once(self, world):
        await world.deploy(key="=string(payload.n)")
        await world.node()
        await world.reading()
        await world.put(5, 5, 6, 5)
        await world.come(5, 6)
        await world.empty()

    async def test_one_that_dies_without_a_word_leaves_its_messages_to_the_next_when_their_time_is_over(self, world, monkeypatch):
        async def gone(self: source.SqsQueue) -> None:
            self._keeper.cancel()
            await self.client.aclose()

        await world.deploy()
        first = await world.node("n1", takes=3)
        await world.reading()
        with monkeypatch.context() as m:
            m.setattr(source.SqsQueue, "close", gone)
            await world.put(*range(6))
            await asyncio.wait_for(first.client.dead.wait(), 30)
            await first.kill()
            world.nodes.remove(first)
        await world.node("n2")
        await world.come(*range(6))
        await world.empty()

    async def test_what_is_held_while_the_log_is_away_is_kept_out_of_sight(self, world, monkeypatch):
        """Longer than the visibility time: it is renewed, and it is deleted by the receipt of the first time."""
        world.visibility = "PT1S"
        renewed: list[Any] = []
        ask = source.SqsQueue.call

        async def listened(self: source.SqsQueue, action: str, *given: Any, **more: Any) -> Any:
            told = await ask(self, action, *given, **more)
            if action == "ChangeMessageVisibilityBatch" and not told.get("Failed"):
                renewed.extend(e["VisibilityTimeout"] for e in more["Entries"])
            return told

        monkeypatch.setattr(source.SqsQueue, "call", listened)
        await world.deploy()
        node = await world.node()
        await world.reading()
        call, stands = node.client._client.call, asyncio.Event()

        async def late(command: Any, *given: Any, **more: Any) -> Any:
            if isinstance(command, TakeItems) and any(not i.passed for i in command.items):
                await stands.wait()
            return await call(command, *given, **more)

        node.client.call = late
        await world.put(1)

        async def often() -> bool:
            return len(renewed) >= 5

        await world.place.until(often, 60)
        assert set(renewed) == {1}
        stands.set()
        await world.come(1)
        await world.empty()

    async def test_a_reader_that_ends_gives_back_what_it_holds(self, world):
        world.visibility = "PT1H"

        async def handed_out() -> bool:
            return (await world.waits())[1] > 0

        async def back() -> bool:
            return (await world.waits())[0] == 5

        await given_back(world, handed_out, back)

    async def test_a_queue_that_is_not_there_is_told_and_one_that_comes_is_read(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        await asyncio.to_thread(world.sqs.delete_queue, QueueUrl=world.url)
        await world.tells("SQS can't be read")
        await world.start()
        await world.put(2)
        await world.come(2)

    async def test_a_secret_that_is_missing_is_told_and_one_that_comes_needs_no_restart(self, world, tmp_path):
        (tmp_path / "secrets" / "AWS").unlink()
        await world.deploy()
        await world.node()
        await world.tells("no secret 'AWS'")
        world.place.secret("AWS", "a-secret-key")
        await world.put(1)
        await world.come(1)


async def test_a_queue_in_order_gives_each_group_in_its_order(world):
    world.name += ".fifo"
    await world.start(FifoQueue="true")
    await world.deploy("start: {process: p, variables: {n: =payload.n, group: =group, id: =deduplication_id}}\n")
    for n in range(6):
        for _ in range(2):  # the same deduplication id: the service itself takes it once
            await world.send(json.dumps({"n": n}), MessageGroupId=f"g{n % 2}", MessageDeduplicationId=f"d{n}")
    await world.node()
    await world.come(*range(6))
    started = await world.place.started()
    assert {(s["n"], s["group"], s["id"]) for s in started} == {(n, f"g{n % 2}", f"d{n}") for n in range(6)}
    await world.empty()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((403, {}, {"__type": "com.amazon.coral.service#InvalidClientTokenId", "message": "no"}), "does not let us in: InvalidClientTokenId"),
        ((400, {}, {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "gone"}), "400 QueueDoesNotExist gone"),
        ((400, {}, {"__type": "com.amazonaws.sqs#RequestThrottled", "message": "slow"}), "400 RequestThrottled slow"),
        ((503, {}, b"<html>"), "answered 503"), ((200, {}, b"<html>"), "what is no JSON"), ((307, {"location": "http://10.0.0.1/"}, b""), "answered 307"),
    ],
)  # fmt: skip
async def test_what_the_service_refuses_is_told(world, target: Target, answer, words):  # noqa: F811
    """By a stub: moto takes any key."""
    target.routes["/"] = answer
    world.origin = target.url
    await world.deploy()
    await world.node()
    await world.tells(words)
    assert "a-secret-key" not in str(world.place.trigger("t").error) and all(r.path == "/" for r in target.seen)


GOOD = 'queue: "https://sqs.eu-west-1.amazonaws.com/123456789012/orders", region: eu-west-1, access_key: A'
KEY = ', secret_key: "{{secrets.S}}"'


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (GOOD, "secret_key: expected it"), (f"{GOOD}, secret_key: plain", "a reference"), (f"{GOOD}{KEY}, visibility: PT0S", "a duration from PT1S to PT12H"),
        (f"{GOOD.replace('/orders', '')}{KEY}", "the address of a queue"), (f"{GOOD}{KEY}, prefetch: 5", "one of queue"),
        (f"{GOOD}{KEY}, value: xml", "one of json, text, base64"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_a_finding(config, words):
    text = f"format: flowledger/trigger@1\nname: t\nsource: {{sqs: {{{config}}}}}\nsignal: {{name: s}}\n"
    _, found = read(text.encode(), "t.trigger.yaml")
    assert "TRIGGER_SOURCE" in {f.code for f in found} and any(words in f.message for f in found), found

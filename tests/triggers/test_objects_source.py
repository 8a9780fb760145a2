"""Events of an object store as a source: S3 and SQS of moto's server. The contract, and what is its own: what notifications look like, and contents."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowledger.events.triggers import TriggerParked
from flowledger.kernel.model import read
from tests.connectors.conftest import boto, moto  # noqa: F401 - a fixture
from tests.connectors.wire import Wire
from tests.triggers.conftest import place_of
from tests.triggers.contract import QueueContract, opened, quick  # noqa: F401 - a fixture for all
from tests.triggers.test_sqs_source import Sqs, short  # noqa: F401 - a fixture

pytestmark = [pytest.mark.req("APG-TRG-002"), pytest.mark.timeout(300)]


class Bucket(Sqs):
    """Each number is an object whose content is read."""

    def __init__(self, place: Any, server: tuple[str, int], wire: Wire) -> None:
        super().__init__(place, server, wire)
        self.s3, self.bucket, self.told = boto("s3", server), f"b{self.name}", "content: json"

    async def start(self, **attributes: str) -> None:
        await super().start(**attributes)
        arn = f"arn:aws:sqs:us-east-1:123456789012:{self.name}"
        await asyncio.to_thread(self.s3.create_bucket, Bucket=self.bucket)
        events = [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]
        await asyncio.to_thread(
            self.s3.put_bucket_notification_configuration, Bucket=self.bucket, NotificationConfiguration={"QueueConfigurations": events}
        )

    def source(self) -> str:
        storage = f', storage: "http://127.0.0.1:{self.wire.port}"' if self.told.startswith("content") else ""
        return f"{{s3: {{{self.queue()}, {self.told}{storage}}}}}"

    async def put(self, *numbers: int, **more: Any) -> None:
        for n in numbers:
            await self.object(f"orders/{n} \u00fc+.json", json.dumps({"n": n, **more}).encode())

    async def object(self, key: str, content: bytes) -> None:
        await asyncio.to_thread(self.s3.put_object, Bucket=self.bucket, Key=key, Body=content)

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self.s3.delete_object, Bucket=self.bucket, Key=key)


@pytest.fixture
async def world(tmp_path: Path, moto: tuple[str, int], short: None) -> AsyncIterator[Bucket]:  # noqa: F811
    wire = await Wire(("127.0.0.1", moto[1])).start()
    async with place_of(tmp_path, egress_private=("127.0.0.1",)) as place, opened(Bucket(place, moto, wire)) as found:
        await found.start()
        yield found
    await wire.close()


class TestObjects(QueueContract):
    async def test_what_stands_in_an_event_and_which_are_told(self, world):
        world.told = "events: [created, deleted]"
        await world.deploy(
            "start: {process: p, variables: {n: =1, all: '={event: event, type: type, bucket: bucket, key: key, size: size, payload: payload}'}}\n"
        )
        await world.node()
        await world.reading()
        await world.object("in/a b+\u00fc.txt", b"12345")
        await world.come(1)
        await world.delete("in/a b+\u00fc.txt")
        await world.come(1, 1)
        first, second = sorted((s["all"] for s in await world.place.started()), key=lambda a: a["event"])
        same = {"bucket": world.bucket, "key": "in/a b+\u00fc.txt", "payload": None}
        assert first == {**same, "event": "created", "type": "ObjectCreated:Put", "size": 5}
        assert {k: second[k] for k in (*same, "event", "type")} == {**same, "event": "deleted", "type": "ObjectRemoved:Delete"}
        await world.empty()

    async def test_only_what_is_created_where_nothing_is_said_and_the_rest_leaves_the_queue(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        await world.put(1)
        await world.come(1)
        await world.delete("orders/1 \u00fc+.json")
        await world.send(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}))
        await world.empty()
        await world.put(2)
        await world.come(1, 2)
        assert not world.place.parked("t")

    async def test_contents_that_cannot_be_used_are_parked(self, world):
        await world.deploy()
        await world.place.pause("t")
        await world.object("gone.json", b'{"n": 9}')
        await world.delete("gone.json")
        await world.object("large.json", json.dumps({"n": 8, "more": "x" * 1_200_000}).encode())
        await world.object("odd.json", b"no JSON")
        await world.send("no notification")
        await world.put(1)
        await world.place.pause("t", "resume")
        await world.node()
        await world.come(1)
        assert len(world.place.parked("t")) == 4
        reasons = [e.reason for e in await world.place.events(TriggerParked)]
        for words in ("can't be read as json", "no notification of S3", "is gone", "too large"):
            assert sum(words in reason for reason in reasons) == 1, (words, reasons)
        await world.empty()

    async def test_one_event_that_is_told_by_two_messages_counts_once(self, world):
        world.told = "events: created"
        await world.deploy("start: {process: p, variables: {n: =size}}\n")
        await world.node()
        await world.reading()
        for size, sequencer in ((1, "0A"), (1, "0A"), (2, "0B")):
            await world.send(json.dumps({"Records": [record(size=size, sequencer=sequencer)]}))
        await world.come(1, 2)
        await world.empty()

    async def test_several_in_one_message_and_by_way_of_a_topic_and_of_eventbridge(self, world):
        world.told = "events: [created, deleted, other]"
        await world.deploy("start: {process: p, variables: {n: =size, what: '={event: event, key: key, version: version}'}}\n")
        await world.node()
        await world.reading()
        several = json.dumps(
            {"Records": [record(size=1, versionId="v1"), record("s3:ObjectTagging:Put", size=2), record(size=3, key="a%2Bb+c")]}
        )
        await world.send(json.dumps({"Type": "Notification", "TopicArn": "arn", "Message": several}))
        bridge = {
            "detail-type": "Object Deleted", "source": "aws.s3", "time": "2026-11-30T00:00:00Z",
            "detail": {"bucket": {"name": "b"}, "object": {"key": "a+b c", "size": 4, "version-id": "v2", "sequencer": "00"}},
        }  # fmt: skip
        await world.send(json.dumps(bridge))
        await world.come(1, 2, 3, 4)
        found = {s["n"]: s["what"] for s in await world.place.started()}
        assert found[1] == {"event": "created", "key": "k", "version": "v1"} and found[2]["event"] == "other"
        assert found[3]["key"] == "a+b c" and found[4] == {"event": "deleted", "key": "a+b c", "version": "v2"}


def record(name: str = "ObjectCreated:Put", **what: Any) -> dict[str, Any]:
    told = {"bucket": {"name": "b"}, "object": {"key": "k", "sequencer": f"{what}", **what}}
    return {"eventName": name, "eventTime": "2026-11-30T00:00:00.000Z", "s3": told}


GOOD = 'queue: "https://sqs.eu-west-1.amazonaws.com/123456789012/orders", region: eu-west-1, access_key: A, secret_key: "{{secrets.S}}"'


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (f"{GOOD}, events: made", "one of created"), (f"{GOOD}, storage: \"https://s3.example\"", "storage is of content"),
        (f"{GOOD}, content: xml", "one of none, text, json"), (f"{GOOD}, content: text, storage: s3", "the address of the store"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_a_finding(config, words):
    text = f"format: flowledger/trigger@1\nname: t\nsource: {{s3: {{{config}}}}}\nsignal: {{name: s}}\n"
    _, found = read(text.encode(), "t.trigger.yaml")
    assert "TRIGGER_SOURCE" in {f.code for f in found} and any(words in f.message for f in found), found

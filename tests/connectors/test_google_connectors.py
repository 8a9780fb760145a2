"""Google Pub/Sub and Cloud Tasks against a stub that holds requests to the published discovery documents; and Pub/Sub as a source."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from flowledger.connectors.google.service import TOKEN_S, Tokens
from flowledger.connectors.sources import figures
from flowledger.connectors.sources import pubsub_subscription as source
from tests.connectors.conftest import Target
from tests.connectors.contract import OUT, Contract, Rig
from tests.connectors.google_cloud import FIRST, SECOND, WRONG, Cloud
from tests.connectors.test_http_connector import failure
from tests.triggers.conftest import place_of
from tests.triggers.contract import QueueContract, World, opened, quick  # noqa: F401 - a fixture for all

pytestmark = pytest.mark.req("APG-CON-017")


class PubSubRig(Rig):
    connector = "pubsub"
    secret_at = "serviceAccount"
    first, wrong, second = FIRST, WRONG, SECOND

    def __init__(self, target: Target) -> None:
        self.cloud, self.to = Cloud(target), ("127.0.0.1", target.port)

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {
            "endpoint": f"http{'s' if tls else ''}://{host}:{port}",
            "project": "shop-1",
            "serviceAccount": "{{secrets.KEY}}",
            **self.more(),
        }

    def more(self) -> dict[str, Any]:
        return {"topic": "orders", "message": {"weight": Decimal("7.10")}}

    def checked(self, answer: Any) -> None:
        assert int(answer["messageId"]) > 0

    async def rotate(self, value: str) -> None:
        self.cloud.key = value

    async def effects(self) -> list[str]:
        return [m["attributes"]["idempotency-key"] for m in self.cloud.published]


class TasksRig(PubSubRig):
    connector = "cloudtasks"

    def more(self) -> dict[str, Any]:
        return {"location": "europe-west3", "queue": "calls", "url": "https://shop.example/hook", "body": {"weight": 7}}

    def checked(self, answer: Any) -> None:
        assert answer["name"].startswith("projects/shop-1/locations/europe-west3/queues/calls/tasks/")

    async def effects(self) -> list[str]:
        return list(self.cloud.tasks)


class TestPubSub(Contract):
    @pytest.fixture
    async def rig(self, target: Target) -> Rig:
        return PubSubRig(target)


class TestCloudTasks(Contract):
    @pytest.fixture
    async def rig(self, target: Target) -> Rig:
        return TasksRig(target)


@pytest.fixture
async def send(target: Target, bench) -> AsyncIterator[Any]:
    rigs = {"pubsub": PubSubRig(target)}
    rigs["cloudtasks"] = TasksRig(target)
    rigs["cloudtasks"].cloud = rigs["pubsub"].cloud = Cloud(target)
    runs = {name: bench(name) for name in rigs}

    async def call(name: str, key: str = "4711", **more: Any) -> Any:
        return (await runs[name]({**rigs[name].call("127.0.0.1", target.port), "serviceAccount": FIRST, **more}, OUT, key=key))["out"]

    call.cloud = rigs["pubsub"].cloud  # type: ignore[attr-defined]
    yield call


async def test_what_stands_in_a_message_and_a_token_serves_many(send):
    for n in range(3):
        assert await send("pubsub", message=f"text \u00fc {n}", attributes={"kind": "order", "n": 7, "none": None}, orderingKey="k") == {
            "messageId": str(n + 1)
        }
    first = send.cloud.published[0]
    assert base64.b64decode(first["data"]).decode() == "text \u00fc 0"
    assert (first["attributes"], first["orderingKey"]) == ({"kind": "order", "n": "7", "idempotency-key": "4711"}, "k")
    assert len(set(send.cloud.tokens)) == 1


async def test_what_stands_in_a_task_and_it_is_there_once(send):
    more = {"oidcAccount": "caller@shop-1.iam.gserviceaccount.com", "delaySeconds": 60, "headers": {"x-one": "1"}, "deadlineSeconds": 15}
    made = await send("cloudtasks", **more)
    assert made["duplicate"] is False and await send("cloudtasks", **more) == {**made, "duplicate": True}
    (task,) = send.cloud.tasks.values()
    asked = task["httpRequest"]
    assert (
        json.loads(base64.b64decode(asked["body"])) == {"weight": 7}
        and task["dispatchDeadline"] == "15s"
        and task["scheduleTime"].endswith("Z")
    )
    assert asked["headers"] == {"Content-Type": "application/json", "Idempotency-Key": "4711", "x-one": "1"}
    assert asked["oidcToken"] == {"serviceAccountEmail": "caller@shop-1.iam.gserviceaccount.com", "audience": "https://shop.example/hook"}


async def test_what_the_service_refuses(send):
    send.cloud.fails = 1
    found = await failure(send("pubsub"))
    assert (found.code, found.retries) == ("503", None) and "UNAVAILABLE" in found.message
    gone = await failure(send("pubsub", topic="nothing"))
    assert (gone.code, gone.retries) == ("404", 0)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("pubsub", {"message": "x" * (4 * 1024 * 1024 + 1)}), ("pubsub", {"message": ""}), ("pubsub", {"topic": "a/b"}), ("pubsub", {"project": "X"}),
        ("pubsub", {"attributes": {str(i): "v" for i in range(100)}}), ("pubsub", {"attributes": {"a": "x" * 1025}}),
        ("cloudtasks", {"body": "x" * 100_000}), ("cloudtasks", {"delaySeconds": 30 * 86_400 + 1}), ("cloudtasks", {"deadlineSeconds": 14}),
        ("cloudtasks", {"queue": "a_b"}),
    ],
)  # fmt: skip
async def test_configurations_that_are_refused(send, name: str, wrong: dict[str, Any]):
    assert (await failure(send(name, **wrong))).code == "CONFIGURATION" and not send.cloud.tokens


async def test_limits_at_their_edge(send):
    await send("pubsub", message="x" * (4 * 1024 * 1024))
    await send("cloudtasks", delaySeconds=30 * 86_400, deadlineSeconds=1800)


@pytest.mark.parametrize(
    "key", ["no json", "{}", json.dumps({**json.loads(FIRST), "private_key": "x"}), json.dumps({**json.loads(FIRST), "type": "user"})]
)
async def test_what_is_no_key_of_a_service_account(send, key: str):
    found = await failure(send("pubsub", serviceAccount=key))
    assert (found.code, found.retries) == ("SECRET_UNUSABLE", 0) and "PRIVATE" not in found.message


def test_a_token_is_made_anew_before_it_ends_and_by_a_rotated_key():
    now = [1_000_000.0]
    tokens = Tokens(lambda: now[0])
    first = tokens.of(FIRST, "https://a/")
    now[0] += TOKEN_S - 301
    assert tokens.of(FIRST, "https://a/") == first and tokens.of(FIRST, "https://b/") != first != tokens.of(SECOND, "https://a/")
    now[0] += 1
    assert tokens.of(FIRST, "https://a/") != first


# --- Pub/Sub as a source ------------------------------------------------------------------------------------------------


class Subscription(World):
    NUMBER = "number(payload.n)"

    def __init__(self, place: Any, target: Target) -> None:
        super().__init__(place)
        self.cloud, self.port = Cloud(target), target.port

    def source(self) -> str:
        here = f'"http://127.0.0.1:{self.port}"'
        return f'{{pubsub: {{project: shop-1, subscription: orders-in, endpoint: {here}, figures: {here}, service_account: "{{{{secrets.GOOGLE}}}}"}}}}'

    async def put(self, *numbers: int, **more: Any) -> None:
        for n in numbers:
            self.cloud.put(json.dumps({"n": n, **more}).encode(), f"m{n}")

    async def away(self, is_away: bool) -> None:
        self.cloud.fails = 1 << 60 if is_away else 0

    async def empty(self) -> None:
        async def look() -> bool:
            return not self.cloud.waiting and not self.cloud.out

        await self.place.until(look, 60)


@pytest.fixture
async def world(tmp_path, target: Target, monkeypatch) -> AsyncIterator[Subscription]:
    monkeypatch.setattr(source, "REST_S", 0.05)
    monkeypatch.setattr(figures, "EVERY_S", 0.05)
    async with place_of(tmp_path, egress_private=("127.0.0.1",)) as place, opened(Subscription(place, target)) as found:
        place.secret("GOOGLE", FIRST)
        yield found


@pytest.mark.req("APG-TRG-002")
@pytest.mark.timeout(300)
class TestSubscription(QueueContract):
    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch):
        """What a reader that died had is handed out again after the deadline."""
        monkeypatch.setattr(source, "DEADLINE_S", 1)

    async def test_what_stands_in_a_message(self, world):
        await world.deploy(
            "start: {process: p, variables: {n: =payload.n, all: '={a: attributes, b: message_id, c: published, d: ordering_key, e: subscription}'}}\n"
        )
        await world.node()
        world.cloud.put(b'{"n": 1}', "m-1", attributes={"kind": "order"}, orderingKey="k")
        world.cloud.put(b"{", "m-2")
        await world.come(1)
        [found] = await world.place.started()
        assert found["all"] == {"a": {"kind": "order"}, "b": "m-1", "c": "2026-11-30T10:00:00Z", "d": "k", "e": "orders-in"}
        assert len(world.place.parked("t")) == 1
        await world.empty()

    async def test_a_key_that_is_not_taken_is_told_and_a_new_one_needs_no_restart(self, world):
        world.cloud.key = SECOND
        await world.deploy()
        await world.node()
        await world.tells("does not let us in")
        world.place.secret("GOOGLE", SECOND)
        await world.put(1)
        await world.come(1)

    async def test_what_waits_is_told_and_that_it_is_not_known_stops_nothing(self, world):
        async def lag(n: int) -> None:
            await world.place.until(lambda: _is(world.place.trigger("t").lag == n), 60)

        world.cloud.figure = 200, {"timeSeries": [{"points": [{"value": {"int64Value": "41"}}, {"value": {"int64Value": "7"}}]}]}
        await world.deploy()
        await world.node()
        await lag(41)
        asked = world.cloud.asked[-1]
        assert asked["filter"] == [
            'metric.type="pubsub.googleapis.com/subscription/num_undelivered_messages" AND resource.labels.subscription_id="orders-in"'
        ]
        began, ended = (datetime.fromisoformat(asked[f"interval.{k}Time"][0]) for k in ("start", "end"))
        assert ended - began == timedelta(minutes=10)
        denied = {"error": {"code": 403, "message": "Permission denied", "status": "PERMISSION_DENIED"}}
        for n, told in enumerate(((403, denied), (200, {"timeSeries": [{"points": []}]}), (200, {}), (200, b"no json"))):
            world.cloud.figure = told
            await lag(-1)
            await world.put(n + 1)
            await world.come(*range(1, n + 2))
            assert world.place.trigger("t").error == ""
            world.cloud.figure = 200, {"timeSeries": [{"points": [{"value": {"int64Value": "3"}}]}]}
            await lag(3)


async def _is(value: bool) -> bool:
    return value

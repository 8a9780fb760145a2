"""A stream of a real Redis as a source: the contract, and what is its own: fields, ids, streams that were made anew or trimmed."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis

from flowledger.connectors.sources import redis_stream as source
from flowledger.kernel.model import read
from tests.connectors.conftest import redis_server  # noqa: F401 - a fixture
from tests.connectors.wire import Wire
from tests.triggers.conftest import place_of
from tests.triggers.contract import Contract, Wired, opened, quick  # noqa: F401 - a fixture for all

pytestmark = pytest.mark.req("APG-TRG-002", "APG-CON-018")


class Stream(Wired):
    NUMBER = "number(payload.n)"
    LAG = False

    def __init__(self, place: Any, admin: redis.Redis, wire: Wire) -> None:
        super().__init__(place, wire)
        self.admin, self.more = admin, ""
        self.stream = f"in.{uuid.uuid4().hex[:10]}"

    def source(self) -> str:
        return f'{{redis: {{host: 127.0.0.1, port: {self.wire.port}, tls: "off", stream: {self.stream}{self.more}}}}}'

    async def put(self, *numbers: int, **more: Any) -> None:
        for n in numbers:
            self.admin.xadd(self.stream, {"n": n, **more})


@pytest.fixture
async def world(tmp_path: Path, redis_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stream]:  # noqa: F811
    monkeypatch.setattr(source, "LOOK_MS", 50)
    admin = redis.Redis(port=int(redis_server["port"]))
    wire = await Wire(("127.0.0.1", int(redis_server["port"]))).start()
    async with place_of(tmp_path, egress_private=("127.0.0.1",)) as place, opened(Stream(place, admin, wire)) as found:
        yield found
    admin.delete(found.stream)
    await wire.close()


class TestRedis(Contract):
    async def test_fields_as_they_are_and_one_that_is_json(self, world):
        world.more = ", field: data"
        await world.deploy("start: {process: p, variables: {n: =payload.n, id: =id, more: =fields}}\n")
        await world.node()
        await world.reading()
        world.admin.xadd(world.stream, {"data": b'{"n": 1, "x": 1.10}', "by": "ann", "raw": b"\xff"}, id="*")
        await world.come(1)
        [found] = await world.place.started()
        assert found["more"] == {"by": "ann", "raw": "/w=="} and "-" in found["id"]
        for raw in ({"data": b"{"}, {"data": b"\xff"}, {"data": b'{"n":1,"n":2}'}, {"other": "x"}):
            world.admin.xadd(world.stream, raw)
        world.admin.xadd(world.stream, {"data": b'{"n": 7}'})
        await world.come(1, 7)
        assert len(world.place.parked("t")) == 4

    async def test_many_of_one_millisecond_and_more_than_one_look_takes(self, world, monkeypatch):
        monkeypatch.setattr(source, "ENTRIES_MAX", 7)
        await world.deploy()
        first = await world.node("n1", 30)
        await world.reading()
        pipe = world.admin.pipeline()
        base = 1 << 41  # a time that is still to come, so that it is after all others
        for n in range(100):
            pipe.xadd(world.stream, {"n": n}, id=f"{base}-{n + 1}")
        pipe.execute()
        await world.place.until(lambda: _set(first.client.dead))
        await world.node("n2")
        await world.come(*range(100))
        assert world.place.trigger("t").places["stream"] == base << source.NUMBER_BITS | 100
        await first.kill()

    async def test_a_stream_that_was_made_anew_is_told(self, world):
        await world.deploy()
        first = await world.node()
        await world.reading()
        await world.put(1)
        await world.come(1)
        await first.stop()
        world.admin.delete(world.stream)
        world.admin.xadd(world.stream, {"n": 2}, id="5-1")
        await world.node("n2")
        await world.tells("made anew")

    async def test_a_stream_that_is_not_there_yet_is_waited_for_and_one_that_was_emptied_goes_on(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        await world.put(1)
        await world.come(1)
        world.admin.delete(world.stream)
        await world.put(2)
        await world.come(1, 2)
        world.admin.xtrim(world.stream, maxlen=0)
        await world.put(3)
        await world.come(1, 2, 3)

    async def test_from_the_start(self, world):
        world.more = ", from: start"
        await world.put(1, 2)
        await world.deploy()
        await world.node()
        await world.come(1, 2)

    @pytest.mark.parametrize(
        ("more", "words"),
        [(', password: "{{secrets.GONE}}"', "no secret 'GONE'"), (", database: 9999", "can't be read"), ("", "expected a stream")],
    )
    async def test_what_cannot_be_read_is_told(self, world, more, words):
        world.more = more
        if not more:
            world.admin.set(world.stream, "x")
        await world.deploy()
        await world.node()
        await world.tells(words)

    async def test_an_id_beyond_all_is_told(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        world.admin.xadd(world.stream, {"n": 1}, id=f"5000000000000-{1 << 21}")
        await world.tells("beyond what can be remembered")


async def _set(event: Any) -> bool:
    return bool(event.is_set())


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{stream: a}", "host: expected it"), ("{host: a}", "stream: expected it"), ("{host: a, stream: a, password: b}", "a reference"),
        ("{host: a, stream: a, value: xml, field: a}", "json, text"), ("{host: a, stream: a, value: json}", "value is of field"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_a_finding(config, words):
    text = f"format: flowledger/trigger@1\nname: t\nsource: {{redis: {config}}}\nsignal: {{name: s}}\n"
    _, found = read(text.encode(), "t.trigger.yaml")
    assert "TRIGGER_SOURCE" in {f.code for f in found} and any(words in f.message for f in found), found

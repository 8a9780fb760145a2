"""What holds of each source that is read. A test module of a source subclasses `Contract` and gives a `world` fixture with a `World` of its own."""

from __future__ import annotations

import asyncio
import contextlib
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from flowledger.connectors.sources import readers as r
from flowledger.connectors.sources.catalogue import KINDS
from flowledger.events import triggers as tr
from flowledger.infra.blobs import blobs_of
from flowledger.infra.egress import Gate
from flowledger.infra.secrets import secrets_of
from tests.connectors.wire import Certificates, Wire

START = "start: {process: p, variables: {n: =NUMBER}}\n"
Look = Callable[[], Awaitable[bool]]


class Mortal:
    """A client of a node that can die: from then on nothing that it asks is heard, and it hears nothing. `takes`: it dies when so many of its items have
    been taken, before it hears of that."""

    def __init__(self, client: Any, takes: int = 1 << 60) -> None:
        self._client, self.takes = client, takes
        self.dead = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def call(self, command: Any, *given: Any, **more: Any) -> Any:
        if self.dead.is_set():
            await asyncio.Event().wait()
        answer = await self._client.call(command, *given, **more)
        if isinstance(command, tr.TakeItems):
            self.takes -= sum(not i.passed for i in command.items)
            if self.takes <= 0:
                self.dead.set()
        if self.dead.is_set():
            await asyncio.Event().wait()
        return answer


class Node:
    """A process with the role `connectors`, as far as triggers go."""

    def __init__(self, place: Any, name: str, takes: int = 1 << 60, kinds: Any = None) -> None:
        self.client = Mortal(place.engine, takes)
        s = place.settings
        self.readers = r.Readers(self.client, s, Gate.of(s), secrets_of(s), kinds or KINDS, name, blobs_of(s))  # type: ignore[arg-type]
        self.task = asyncio.create_task(self.readers.run())

    async def kill(self) -> None:
        self.client.dead.set()
        tasks = [self.task, *(reader.task for reader in self.readers.held.values())]
        for reader in self.readers.held.values():
            reader.number = 0  # it gives nothing back
            reader.stop = _nothing  # type: ignore[method-assign]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=10)

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


async def _nothing() -> None:
    pass


class World(ABC):
    """`NUMBER`: FEEL over an item that gives what `put` was told. `kinds`: who opens sources, in place of the product's own."""

    NUMBER = ""
    #: whether it says how much waits
    LAG = True

    def __init__(self, place: Any) -> None:
        self.place = place
        self.kinds: Any = None
        self.nodes: list[Node] = []

    @abstractmethod
    def source(self) -> str:
        """As YAML in one line."""

    @abstractmethod
    async def put(self, *numbers: int, **more: Any) -> None:
        """Each happens in the source. `more`: further fields of the payload."""

    @abstractmethod
    async def away(self, is_away: bool) -> None:
        """The source can't be read for a while."""

    async def tells(self, words: str) -> None:
        """The trigger says so as its error."""

        async def told() -> bool:
            return words in self.place.trigger("t").error

        await self.place.until(told, 60)

    async def deploy(self, start: str = START, **fields: Any) -> None:
        lines = "".join(f"{name}: {value}\n" for name, value in fields.items())
        text = f"format: flowledger/trigger@1\nname: t\nsource: {self.source()}\n{lines}{start}".replace("NUMBER", self.NUMBER)
        answer = await self.place.deploy(text)
        assert isinstance(answer, dict), answer

    async def node(self, name: str = "n1", takes: int = 1 << 60) -> Node:
        node = Node(self.place, name, takes, self.kinds)
        self.nodes.append(node)
        return node

    async def reading(self) -> None:
        """Somebody reads it, from where it is."""

        async def look() -> Any:
            t = self.place.trigger("t")
            return t is not None and t.until_us and any(x.source is not None for n in self.nodes for x in n.readers.held.values())

        await self.place.until(look)
        await self.place.until(self._begun)

    async def _begun(self) -> bool:
        """The home knows from where on."""
        return "" in self.place.trigger("t").places

    async def numbers(self) -> list[int]:
        return sorted(int(v["n"]) for v in await self.place.started() if "n" in v and v.get("of") != "source")

    async def come(self, *expected: int) -> None:
        async def look() -> bool:
            return len(await self.numbers()) >= len(expected)

        await self.place.until(look, 60)
        await asyncio.sleep(0.3)
        assert await self.numbers() == sorted(expected)

    async def come_any(self, count: int) -> None:
        async def look() -> bool:
            return len(await self.place.started()) >= count

        await self.place.until(look, 60)

    async def close(self) -> None:
        for node in self.nodes:
            await node.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LOOK_S", 0.05), ("LEASE_S", 1.0), ("RENEW_S", 0.3), ("BACK_OFF_S", (0.05, 0.2)), ("CALL_S", 3.0)):
        monkeypatch.setattr(r, name, value)


class Wired(World):
    """What is read stands behind a wire that may be cut."""

    def __init__(self, place: Any, wire: Wire) -> None:
        super().__init__(place)
        self.wire = wire

    async def away(self, is_away: bool) -> None:
        self.wire.mode = "drop" if is_away else "pass"
        if is_away:
            for task in set(self.wire._tasks):
                task.cancel()


class Contract:
    async def test_each_item_starts_one(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        await world.put(*range(1, 21))
        await world.come(*range(1, 21))
        t = world.place.trigger("t")
        assert t.places and t.node == "n1"

    async def test_what_was_there_before_is_left_alone_and_what_comes_while_nobody_reads_is_not(self, world):
        await world.put(98, 99)
        await world.deploy()
        first = await world.node()
        await world.reading()
        await first.stop()
        await world.put(1, 2)
        await world.node("n2")
        await world.come(1, 2)

    async def test_a_filter_and_a_key(self, world):
        await world.deploy(filter="=NUMBER > 5", key="=modulo(NUMBER, 3)")
        await world.node()
        await world.reading()
        await world.put(*range(1, 13))

        async def all_classes() -> bool:
            return len(await world.numbers()) == 3

        await world.place.until(all_classes)
        await asyncio.sleep(0.3)
        found = await world.numbers()
        assert sorted(n % 3 for n in found) == [0, 1, 2] and min(found) > 5

    async def test_what_cannot_be_used_is_parked_and_the_next_passes_and_it_is_replayed_by_a_new_version(self, world):
        await world.deploy(START.replace("=NUMBER", "'=assert(NUMBER, NUMBER != 2)'"))
        await world.node()
        await world.reading()
        await world.put(1, 2, 3)
        await world.come(1, 3)
        (letter,) = world.place.parked("t")
        await world.deploy()
        answer = await world.place.call(tr.SettleParked(name="t", letters=[letter.key], move="replay"))
        assert answer["outcomes"][str(letter.key)]["outcome"] == "started", answer
        await world.come(1, 2, 3)

    async def test_it_rests_while_it_is_paused_and_loses_nothing(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        await world.put(1)
        await world.come(1)
        await world.place.pause("t")
        await world.put(2, 3)
        await asyncio.sleep(0.5)
        assert await world.numbers() == [1]
        await world.place.pause("t", "resume")
        await world.come(1, 2, 3)

    async def test_a_new_version_goes_on_where_the_one_of_before_was(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        for n in range(0, 30, 3):
            await world.put(n, n + 1, n + 2)
            await world.deploy(description=f"number {n}")
        await world.come(*range(30))

    @pytest.mark.parametrize("takes", [1, 5, 8])
    async def test_a_reader_that_dies_between_the_log_and_the_source_doubles_nothing(self, world, takes):
        await world.deploy()
        first = await world.node("n1", takes)
        await world.reading()
        await world.put(*range(10))
        await asyncio.wait_for(first.client.dead.wait(), 30)
        await world.node("n2")
        await world.come(*range(10))
        await first.kill()

    async def test_kills_under_load_lose_and_double_nothing(self, world):
        rng = random.Random(7)
        await world.deploy()
        node = await world.node("n0")
        await world.reading()
        done = 0
        for k in range(1, 6):
            for _ in range(4):
                await world.put(*range(done, done + 10))
                done += 10
                await asyncio.sleep(rng.random() * 0.1)
            node.client.takes = rng.randint(1, 30) if rng.random() < 0.5 else node.client.takes
            await asyncio.sleep(rng.random() * 0.3)
            await node.kill()
            node = await world.node(f"n{k}")
        await world.come(*range(done))

    async def test_of_two_nodes_one_reads_and_the_other_takes_over(self, world):
        await world.deploy()
        first = await world.node("n1")
        await world.reading()
        second = await world.node("n2")
        await world.put(1)
        await world.come(1)
        await asyncio.sleep(0.3)
        assert not any(x.source for x in second.readers.held.values())
        await first.stop()
        await world.put(2)
        await world.come(1, 2)
        assert world.place.trigger("t").node == "n2"

    async def test_a_source_that_is_away_is_told_and_comes_back_by_itself(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        await world.put(1)
        await world.come(1)
        await world.away(True)

        async def told() -> str:
            return world.place.trigger("t").error

        await world.place.until(told, 60)
        assert "\n" not in await told()
        await world.away(False)
        await world.put(2)
        await world.come(1, 2)

        async def well() -> bool:
            return not await told() and (world.place.trigger("t").lag >= 0 or not world.LAG)

        await world.place.until(well)
        assert not world.place.parked("t")

    async def test_the_last_payload_is_shown_without_what_is_secret(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        await world.put(1, password="geheim")
        await world.come(1)
        shown = [e.sample for e in await world.place.events(tr.TriggerTaken) if e.sample]
        assert shown and "***" in str(shown[-1]) and "geheim" not in str(shown)


class QueueContract(Contract):
    """Of a source whose items are handed out and acknowledged. Its world has `empty`: nothing waits there, and nothing is handed out any more."""

    async def test_what_was_there_before_is_left_alone_and_what_comes_while_nobody_reads_is_not(self, world):
        """A queue keeps what is still to be done: what was there before counts, too."""
        await world.put(98, 99)
        await world.deploy()
        first = await world.node()
        await world.come(98, 99)
        await first.stop()
        await world.put(1, 2)
        await world.node("n2")
        await world.come(1, 2, 98, 99)
        await world.empty()

    @pytest.mark.parametrize("takes", [1, 5, 8])
    async def test_a_reader_that_dies_between_the_log_and_the_source_doubles_nothing(self, world, takes):
        """What it was handed comes back when its connection is gone, as it is with the process."""
        await world.deploy()
        first = await world.node("n1", takes)
        await world.reading()
        await world.put(*range(10))
        await asyncio.wait_for(first.client.dead.wait(), 30)
        assert 1 <= len(await world.numbers()) <= 10
        await first.kill()
        world.nodes.remove(first)
        await world.node("n2")
        await world.come(*range(10))
        await world.empty()


async def given_back(world: World, handed_out: Look, back: Look) -> None:
    """A reader has been handed items and nothing that it asks is heard; when it ends they are still the source's, and come to the next."""
    await world.deploy()
    first = await world.node()
    await world.reading()
    first.client.dead.set()
    await world.put(*range(5))
    await world.place.until(handed_out)
    assert await world.numbers() == []
    await first.kill()
    await world.place.until(back)
    await world.node("n2")
    await world.come(*range(5))
    await world.empty()


class HandedOutContract(QueueContract):
    """Of a source whose world has `waits`, how many items nobody has been handed, and `more`, further settings of the source."""

    async def test_nothing_is_acknowledged_before_the_log_has_it(self, world):
        """The engine hears nothing: all that was handed out is still the server's, and comes to the next reader."""

        async def handed_out() -> bool:
            return await world.waits() == 0

        async def back() -> bool:
            return await world.waits() == 5

        await given_back(world, handed_out, back)

    async def test_no_more_is_handed_out_than_prefetch_says(self, world):
        world.more = ", prefetch: 3"
        await world.deploy()
        node = await world.node()
        await world.reading()
        node.client.dead.set()
        await world.put(*range(10))

        async def held() -> bool:
            return await world.waits() == 7

        await world.place.until(held)
        await asyncio.sleep(0.3)
        assert await world.waits() == 7
        await node.kill()
        await world.node("n2")
        await world.come(*range(10))


@contextlib.asynccontextmanager
async def opened(world: World) -> AsyncIterator[World]:
    try:
        yield world
    finally:
        await world.close()


class GatedContract:
    """Of a source that is called over the network."""

    async def test_the_gate_is_asked(self, world):
        world.place.settings = world.place.settings.model_copy(update={"egress_private": ()})
        await world.deploy()
        await world.node()
        await world.tells("private or loopback")


class TlsContract(GatedContract):
    """Of one that speaks TLS, and whose world is `Wired`: `port` is the server's own, `host` and `tls` stand in `source`, `TLS` is what `tls` is then."""

    async def test_by_tls_and_only_from_who_it_says(self, world, tmp_path, monkeypatch):
        authority = Certificates(tmp_path)

        async def here(name: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        monkeypatch.setattr("flowledger.infra.egress.system_resolve", here)
        other = await Wire(("127.0.0.1", world.port), authority.server("server.example")).start()
        world.wire, world.tls, world.host = other, world.TLS, "server.example"
        world.place.settings = world.place.settings.model_copy(update={"egress_ca_file": str(authority.file)})
        await world.deploy()
        await world.node()
        await world.reading()
        await world.put(1)
        await world.come(1)
        for node in list(world.nodes):
            await node.stop()
        world.place.settings = world.place.settings.model_copy(update={"egress_ca_file": ""})
        await world.node("n2")
        await world.tells("the server is not who it says")
        await other.close()

"""Changes of rows in a real PostgreSQL as a source: the contract, and what is theirs alone: transactions, kinds of values, slots, how soon."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from flowledger.connectors.sources import changes as source
from flowledger.connectors.sources import pgoutput
from flowledger.infra import postgres_server
from flowledger.kernel.model import read
from tests.connectors.wire import Wire
from tests.triggers.conftest import place_of
from tests.triggers.contract import Contract, Wired, opened, quick  # noqa: F401 - a fixture for all

pytestmark = [pytest.mark.postgres, pytest.mark.req("APG-TRG-006", "APG-TRG-002")]
SEEN = (
    "start: {process: p, variables: {n: =NUMBER, op: =operation, table: '=schema + \".\" + table', new: =new, old: =old, lsn: =lsn, "
    "unchanged: =unchanged, committed: =committed}}\n"
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """One of its own, whose log tells what changes. Not below pytest's folder: each session that begins closes that to PostgreSQL's own user."""
    place = Path(tempfile.mkdtemp(prefix="flowledger-logical-"))
    place.chmod(0o755)
    folder = place / "postgres"
    url = postgres_server.start(folder, long_lived=True)
    with psycopg.connect(url, autocommit=True) as c:
        c.execute("ALTER SYSTEM SET wal_level = 'logical'")
        c.execute("ALTER SYSTEM SET max_replication_slots = 100")
        c.execute("ALTER SYSTEM SET fsync = off")
        c.execute("CREATE ROLE reader LOGIN REPLICATION")  # as docs/triggers.md has it: no more than that
    postgres_server.stop(folder)
    yield postgres_server.start(folder, long_lived=True)
    postgres_server.stop(folder)
    shutil.rmtree(place, ignore_errors=True)


class Rows(Wired):
    NUMBER = "if new = null then old.n else new.n"
    LAG = False

    def __init__(self, place: Any, url: str, wire: Wire) -> None:
        super().__init__(place, wire)
        self.url, self.more, self.user = url, "", "reader"
        place.secret("SHOP", "geheimnis")

    def source(self) -> str:
        at = f"host: 127.0.0.1, port: {self.wire.port}, database: {conninfo_to_dict(self.url)['dbname']}, username: {self.user}"
        return f'{{postgresql: {{{at}, password: "{{{{secrets.SHOP}}}}", tls: "off", publication: shop{self.more}}}}}'

    async def do(self, *statements: str) -> None:
        """In one transaction."""
        async with await psycopg.AsyncConnection.connect(self.url) as c:
            for each in statements:
                await c.execute(each)  # type: ignore[call-overload]

    async def put(self, *numbers: int, **more: Any) -> None:
        for n in numbers:
            await self.do(f"INSERT INTO t VALUES ({n}, '{more.get('password', '')}')")

    async def slots(self) -> list[str]:
        async with await psycopg.AsyncConnection.connect(self.url) as c:
            return [
                r[0]
                for r in await (
                    await c.execute("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()")
                ).fetchall()
            ]

    async def seen(self, count: int) -> list[dict[str, Any]]:
        await self.come_any(count)
        await asyncio.sleep(0.3)
        found = await self.place.started()
        assert len(found) == count, found
        return found


@pytest.fixture
async def world(tmp_path: Path, server: str) -> AsyncIterator[Rows]:
    name = f"shop_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(server, autocommit=True) as c:
        c.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    url = psycopg.conninfo.make_conninfo(server, dbname=name)
    info = conninfo_to_dict(url)
    wire = await Wire(f"{info['host']}/.s.PGSQL.{info.get('port', 5432)}").start()
    with psycopg.connect(url) as c:
        c.execute("CREATE TABLE t (n int PRIMARY KEY, password text)")
        c.execute("CREATE PUBLICATION shop FOR TABLE t")
    try:
        async with place_of(tmp_path, egress_private=("127.0.0.1",)) as place, opened(Rows(place, url, wire)) as found:
            yield found
    finally:
        await wire.close()
        with psycopg.connect(server, autocommit=True) as c:
            mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            c.execute(mine, (name,))
            dropped = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s AND NOT active"
            for _ in range(50):
                c.execute(dropped, (name,))
                if not c.execute("SELECT 1 FROM pg_replication_slots WHERE database = %s", (name,)).fetchall():
                    break
                time.sleep(0.1)
        with psycopg.connect(server, autocommit=True) as c:
            c.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


class TestPostgreSql(Contract):
    async def test_the_last_payload_is_shown_without_what_is_secret(self, world):
        await super().test_the_last_payload_is_shown_without_what_is_secret(world)

    async def test_a_change_has_started_an_instance_within_a_second(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        took = []
        for n in range(30):
            began = time.monotonic()
            await world.put(n)
            while len(await world.numbers()) <= n:
                await asyncio.sleep(0.005)
            took.append(time.monotonic() - began)
        took.sort()
        print(f"change to started instance: p50 {took[15] * 1000:.0f} ms, p95 {took[28] * 1000:.0f} ms, max {took[-1] * 1000:.0f} ms")
        assert took[28] < 1.0, took

    async def test_transactions_come_whole_in_the_order_of_their_ends_and_what_is_rolled_back_never(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        early = await psycopg.AsyncConnection.connect(world.url)
        await early.execute("INSERT INTO t VALUES (1)")
        await world.do("INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)")
        lost = await psycopg.AsyncConnection.connect(world.url)
        await lost.execute("INSERT INTO t VALUES (9)")
        await lost.rollback()
        await world.come(2, 3)
        await early.execute("INSERT INTO t VALUES (4)")
        await early.commit()
        await world.come(1, 2, 3, 4)
        assert [int(v["n"]) for v in await world.place.started()][:2] in ([2, 3], [3, 2])
        await early.close()
        await lost.close()

    async def test_updates_deletes_truncates_and_values_as_they_are(self, world):
        await world.do(
            "CREATE TABLE v (n int PRIMARY KEY, b bool, i bigint, d numeric, f float8, j jsonb, t text, at timestamptz, raw bytea, big text, none int)",
            "ALTER TABLE v ALTER COLUMN big SET STORAGE EXTERNAL", "ALTER TABLE v REPLICA IDENTITY FULL", "ALTER PUBLICATION shop ADD TABLE v",
            "CREATE TABLE other (n int PRIMARY KEY)", "ALTER PUBLICATION shop ADD TABLE other",
        )  # fmt: skip
        world.more = ", tables: [v, public.t], operations: [insert, update, delete, truncate]"
        await world.deploy(SEEN)
        await world.node()
        await world.reading()
        await world.do(
            "INSERT INTO v VALUES (1, true, "
            "9007199254740993, 1.10, 'NaN', '{\"a\": [1.10, null]}', 'é''\"', '2026-01-31 12:00:00+00', '\\xff00', repeat('x', 5000), NULL)",
            "UPDATE v SET t = 'new', b = false", "INSERT INTO other VALUES (1)", "UPDATE t SET password = 'x' WHERE n = 77",
            "INSERT INTO t VALUES (7, 'y')", "DELETE FROM t WHERE n = 7", "DELETE FROM v", "TRUNCATE v",
        )  # fmt: skip
        found = await world.seen(6)
        assert [(v["op"], v["table"]) for v in found] == [
            ("insert", "public.v"), ("update", "public.v"), ("insert", "public.t"), ("delete", "public.t"), ("delete", "public.v"), ("truncate", "public.v"),
        ]  # fmt: skip
        new = found[0]["new"]
        assert (new["b"], new["i"], new["d"], new["f"], new["t"], new["none"]) == (
            True,
            9007199254740993,
            Decimal("1.10"),
            "NaN",
            "é'\"",
            None,
        )
        assert new["j"] == {"a": [Decimal("1.10"), None]} and new["raw"] == "\\xff00" and len(new["big"]) == 5000
        assert found[1]["unchanged"] == ["big"] and "big" not in found[1]["new"] and found[1]["new"]["t"] == "new"
        assert found[1]["old"]["t"] == "é'\"" and found[3]["old"] == {"n": 7} and found[5]["new"] is None
        assert len({v["lsn"] for v in found}) == 1 and found[0]["committed"].startswith("20")

    @pytest.mark.parametrize("takes", [1, 99, 100, 101, 250])
    async def test_who_dies_in_the_middle_of_a_transaction_loses_and_doubles_nothing_of_it(self, world, takes):
        await world.deploy()
        first = await world.node("n1", takes)
        await world.reading()
        await world.do("INSERT INTO t SELECT g FROM generate_series(1, 300) g")
        await asyncio.wait_for(first.client.dead.wait(), 30)
        await world.node("n2")
        await world.come(*range(1, 301))
        await first.kill()

    async def test_a_transaction_of_more_changes_than_a_place_can_count(self, world, monkeypatch):
        monkeypatch.setattr(source, "NUMBER_BITS", 5)
        await world.deploy()
        first = await world.node("n1", 70)
        await world.reading()
        await world.do("INSERT INTO t SELECT g FROM generate_series(1, 100) g")
        await asyncio.wait_for(first.client.dead.wait(), 30)
        await world.node("n2")
        await world.come(*range(1, 101))
        await world.put(101)
        await world.come(*range(1, 102))
        assert sorted(world.place.trigger("t").places) == ["", "lsn", "lsn1", "lsn2", "lsn3"]
        await first.kill()

    async def test_what_one_look_has_no_room_for_comes_with_the_next_though_nobody_writes(self, world, monkeypatch):
        monkeypatch.setattr(source, "CHANGES_MAX", 3)
        await world.deploy()
        first = await world.node()
        await world.reading()
        await first.stop()
        await world.put(*range(20))
        await world.node("n2")
        await world.come(*range(20))

    async def test_the_slot_moves_on_also_when_others_write(self, world, monkeypatch):
        monkeypatch.setattr(source, "ON_S", 0.2)
        await world.do("CREATE TABLE silent (x text)")
        await world.deploy()
        await world.node()
        await world.reading()

        async def behind() -> int:
            async with await psycopg.AsyncConnection.connect(world.url) as c:
                row = await (
                    await c.execute(
                        "SELECT pg_current_wal_flush_lsn() - confirmed_flush_lsn FROM pg_replication_slots WHERE database = current_database()"
                    )
                ).fetchone()
                return int(row[0])

        for _ in range(5):
            await world.do("INSERT INTO silent SELECT repeat('x', 1000) FROM generate_series(1, 1000)")

        async def near() -> bool:
            return await behind() < 100_000

        await world.place.until(near)
        await world.put(1)
        await world.come(1)

    async def test_a_slot_that_is_gone_is_told_and_nothing_is_read_as_if_all_were_well(self, world):
        await world.deploy()
        first = await world.node()
        await world.reading()
        await world.put(1)
        await world.come(1)
        await first.stop()
        [slot] = await world.slots()

        async def dropped() -> bool:
            try:
                await world.do(f"SELECT pg_drop_replication_slot('{slot}')")
            except psycopg.errors.ObjectInUse:
                return False
            return True

        await world.place.until(dropped)
        await world.node("n2")

        async def told() -> bool:
            return "is gone" in world.place.trigger("t").error

        await world.place.until(told)
        assert await world.slots() == []

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            (", publication: none", "no publication none"),
            (", host: 169.254.169.254", "never called"),
            (', password: "{{secrets.GONE}}"', "no secret 'GONE'"),
        ],
    )
    async def test_what_may_not_or_cannot_be_read_is_told(self, world, more, words):
        name = more.split(":")[0].strip(", ")
        text = world.source()
        old = {"publication": "publication: shop", "host": "host: 127.0.0.1", "password": 'password: "{{secrets.SHOP}}"'}[name]
        world.source = lambda: text.replace(old, more.strip(", "))
        await world.deploy()
        await world.node()

        async def told() -> bool:
            return words in world.place.trigger("t").error

        await world.place.until(told)


async def test_a_server_whose_log_does_not_tell_is_told(tmp_path: Path, database: str):
    info = conninfo_to_dict(database)
    wire = await Wire(f"{info['host']}/.s.PGSQL.{info.get('port', 5432)}").start() if str(info.get("host", "")).startswith("/") else None
    if wire is None:
        pytest.skip("not asked for: a PostgreSQL that is not ours")
    async with place_of(tmp_path, egress_private=("127.0.0.1",)) as place:
        world = Rows(place, database, wire)
        world.user = info["user"]
        async with opened(world):
            await world.deploy()
            await world.node()

            async def told() -> bool:
                return "expected logical" in place.trigger("t").error

            await place.until(told)
    await wire.close()


@pytest.mark.parametrize("message", [b"", b"I", b"B\0", b"I\0\0\0\7N\0\1", b"R\0\0\0\1public", b"C" + b"\xff" * 9])
def test_what_is_no_message_of_the_protocol_is_told(message):
    with pytest.raises(pgoutput.Unreadable):
        pgoutput.Decoder().add(message)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{}", "it: it is missing"), ("{host: a b}", "the name or address"), ('{password: "x"}', "a reference"), ("{slot: A}", "a-z, 0-9"),
        ("{operations: [drop]}", "insert, update"), ("{port: 0}", "from 1 to"), ("{tls: maybe}", "verify, off"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_a_finding(config, words):
    text = f"format: flowledger/trigger@1\nname: t\nsource: {{postgresql: {config}}}\nsignal: {{name: s}}\n"
    _, found = read(text.encode(), "t.trigger.yaml")
    assert "TRIGGER_SOURCE" in {f.code for f in found} and any(words in f.message for f in found), found

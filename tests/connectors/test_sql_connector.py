"""The SQL connector against PostgreSQL and MariaDB: parameters, types, transactions, limits, and what it says when a database refuses."""

from __future__ import annotations

import asyncio
import sys
import uuid
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from flowledger.connectors.sql.config import KEY
from flowledger.infra.settings import Settings
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure
from tests.connectors.wire import Certificates, Wire

#: of this process: others share the servers
USER = f"flowledger_c{uuid.uuid4().hex[:8]}"
BOOK = f"insert into bookings (id, weight) values (%({KEY})s, %(weight)s)"


class SqlRig(Rig):
    connector = "sql"
    secret_at = "password"
    kind = ""
    database = ""
    once = ""

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {
            "databaseType": self.kind, "host": host, "port": port, "database": self.database, "username": USER, "password": "{{secrets.KEY}}",
            "tls": "verify" if tls else "off", "parameters": {"weight": 7},
        }  # fmt: skip

    def headers(self) -> dict[str, Any]:
        return {"statements.1": BOOK + self.once, "statements.2": "select id, weight from bookings where weight = %(weight)s limit 1"}

    def checked(self, answer: Any) -> None:
        assert answer["results"][1]["rows"][0]["weight"] == 7

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.call(host, port), {"statement": "select repeat('x', 5000) as t"}

    async def effects(self) -> list[str]:
        return [str(row[0]) for row in self.do("select id from bookings", rows=True)]

    @abstractmethod
    def do(self, statement: str, rows: bool = False) -> Any:
        """By the rig's own connection, beside the connector. `rows`: all that came."""


class PostgresRig(SqlRig):
    kind = "postgresql"
    once = " on conflict do nothing"

    def __init__(self, url: str) -> None:
        self.url = url
        with psycopg.connect(url) as c:
            self.database = c.info.dbname
            self.to = f"{c.info.host}/.s.PGSQL.{c.info.port}" if c.info.host.startswith("/") else (c.info.host, c.info.port)
        self.do(f"grant all on schema public to {USER}")
        self.do(f"create table bookings (id text primary key, weight int check (weight > 0)); grant all on bookings to {USER}")

    def do(self, statement: str, rows: bool = False) -> Any:
        with psycopg.connect(self.url, autocommit=True) as c:
            cursor = c.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if rows else None

    async def rotate(self, value: str) -> None:
        self.do(f"alter role {USER} password '{value}'")

    async def tls_wire(self, folder: Path) -> tuple[Wire, str]:
        authority = Certificates(folder)
        return await Wire(self.to, authority.server("server.example"), asked=b"S").start(), str(authority.file)


class MariaRig(SqlRig):
    kind = "mysql"
    once = " on duplicate key update weight = weight"

    def __init__(self, server: dict[str, str]) -> None:
        self.server, self.database = server, f"t{uuid.uuid4().hex[:10]}"
        self.to = ("127.0.0.1", int(server["port"]))
        self.user = f"'{USER}'@'%'"
        self.do(f"create database {self.database} character set utf8mb4", None)
        self.do(f"create or replace user {self.user} identified by '{SECRET}'")
        self.do(f"grant all on {self.database}.* to {self.user}")
        self.do("create table bookings (id varchar(100) primary key, weight int check (weight > 0))")

    def do(self, statement: str, rows: bool | None = False) -> Any:
        with pymysql.connect(unix_socket=self.server["socket"], user="root", database=None if rows is None else self.database) as c:
            cursor = c.cursor()
            cursor.execute(statement)
            c.commit()
            return cursor.fetchall() if rows else None

    async def rotate(self, value: str) -> None:
        self.do(f"alter user {self.user} identified by '{value}'")

    async def tls_wire(self, folder: Path) -> tuple[Wire, str]:
        return await Wire(self.to).start(), self.server["ca"]  # the server's own TLS


@pytest.fixture(scope="module")
def password_needed(postgres_url: str) -> None:
    """The session's server trusts whoever gets at its socket: but for this role."""
    with psycopg.connect(postgres_url, autocommit=True) as c:
        if not c.info.host.startswith("/"):
            pytest.skip("not asked for: a PostgreSQL whose rules of access the tests may not write")
        if not c.execute("select 1 from pg_roles where rolname = %s", (USER,)).fetchone():
            c.execute(f"create role {USER} login")  # type: ignore[call-overload]
        c.execute(f"alter role {USER} password '{SECRET}'")  # type: ignore[call-overload]
        rules = Path(c.execute("show hba_file").fetchone()[0])  # type: ignore[index]
        line = "local all /^flowledger_c scram-sha-256\n"
        if line not in rules.read_text():
            rules.write_text(line + rules.read_text())
            c.execute("select pg_reload_conf()")


@pytest.fixture(scope="module")
def postgres(password_needed: None, empty_database: Any) -> Iterator[PostgresRig]:
    with empty_database() as url:
        yield PostgresRig(url)


@pytest.fixture(scope="module")
def maria(mariadb_server: dict[str, str]) -> Iterator[MariaRig]:
    rig = MariaRig(mariadb_server)
    yield rig
    rig.do(f"drop database {rig.database}", None)


@pytest.fixture
def postgres_rig(postgres: PostgresRig) -> PostgresRig:
    postgres.do("delete from bookings")
    return postgres


@pytest.fixture
def maria_rig(maria: MariaRig) -> MariaRig:
    maria.do("delete from bookings")
    return maria


class TestPostgres(Contract):
    @pytest.fixture
    def rig(self, postgres_rig: PostgresRig) -> Rig:
        return postgres_rig


class TestMaria(Contract):
    @pytest.fixture
    def rig(self, maria_rig: MariaRig) -> Rig:
        return maria_rig


@pytest.fixture(params=["postgresql", "mysql"])
def rig(request: pytest.FixtureRequest) -> SqlRig:
    return request.getfixturevalue("postgres_rig" if request.param == "postgresql" else "maria_rig")


@pytest.fixture
async def ask(rig: SqlRig, bench) -> AsyncIterator[Any]:
    wire = await Wire(rig.to).start()
    run = bench("sql", connector_timeout_s=30)

    async def call(statement: str | list[str], parameters: dict[str, Any] | None = None, key: str = "77", **more: Any) -> Any:
        variables = {**rig.call("127.0.0.1", wire.port), "password": SECRET, "parameters": parameters or {}, **more}
        texts = {"statement": statement} if isinstance(statement, str) else {f"statements.{i}": s for i, s in enumerate(statement, 1)}
        return (await run(variables, {**texts, **OUT}, key=key))["out"]

    call.wire, call.run = wire, run  # type: ignore[attr-defined]
    yield call
    await wire.close()


NASTY = [
    "'",
    "'; drop table bookings; --",
    '"',
    "\\",
    "\\'",
    "%s %(a)s %%",
    "a\nb\0"[:3],
    "\u00e9\U0001f600",
    "{{secrets.X}}",
    ":a",
    "$1",
    "?",
    "",
]


async def test_values_are_data_whatever_stands_in_them(rig: SqlRig, ask):
    for i, text in enumerate(NASTY):
        await ask(BOOK, {"weight": i + 1}, key=str(1000 + i))
        found = await ask("select %(text)s as t, '100%%' as p", {"text": text})
        assert found["rows"] == [{"t": text, "p": "100%"}], text
    assert len(rig.do("select id from bookings", rows=True)) == len(NASTY)


async def test_lists_are_data_too(rig: SqlRig, ask):
    if rig.kind == "postgresql":
        found = await ask("select t from unnest(%(all)s::text[]) as t where t = any(%(all)s)", {"all": NASTY})
        assert [r["t"] for r in found["rows"]] == NASTY
        return
    for mode in ("STRICT_ALL_TABLES", "NO_BACKSLASH_ESCAPES"):
        for text in NASTY:
            texts = [f"set session sql_mode = '{mode}'", "select %(t)s as t, %(t)s in %(all)s as there, 'x' in %(none)s as empty"]
            found = (await ask(texts, {"t": text, "all": [text, "\\' or 1=1 -- "], "none": []}))["results"][1]["rows"]
            assert found == [{"t": text, "there": 1, "empty": None}], (mode, text)


async def test_statements_come_from_headers_of_the_model_only(rig: SqlRig, ask):
    variables = {
        **rig.call("127.0.0.1", ask.wire.port),
        "password": SECRET,
        "statement": "delete from bookings",
        "statements": {"1": "delete from bookings"},
    }
    await ask(BOOK, {"weight": 1})
    assert (await failure(ask.run(variables, OUT))).code == "CONFIGURATION"
    assert (await ask.run(variables, {"statement": "select 1 as a", **OUT}))["out"]["rows"] == [{"a": 1}]
    assert len(rig.do("select id from bookings", rows=True)) == 1


async def test_types(rig: SqlRig, ask):
    moment = "timestamp '2026-02-03 04:05:06'"
    parts = {
        "i": ("1", 1), "d": ("cast(1.10 as decimal(5,2))", Decimal("1.10")), "f": ("0.1::float8" if rig.kind == "postgresql" else "0.1e0", Decimal("0.1")),
        "t": ("'x'", "x"), "n": ("null", None), "day": ("date '2026-02-03'", "2026-02-03"), "at": (moment, "2026-02-03T04:05:06"),
    }  # fmt: skip
    if rig.kind == "postgresql":
        parts |= {
            "b": ("true", True), "j": ("""'{"a": [1, 1.10]}'::jsonb""", {"a": [1, Decimal("1.10")]}), "raw": ("'\\x0001'::bytea", "AAE="), "l": ("array[1,2]", [1, 2]),
            "u": ("'00000000-0000-0000-0000-000000000001'::uuid", str(uuid.UUID(int=1))),
            "z": ("timestamptz '2026-02-03 04:05+00' at time zone 'Z'", "2026-02-03T04:05:00"),
            "span": ("interval '90 seconds'", "PT90S"), "nan": ("'NaN'::float8", "nan"),
        }  # fmt: skip
    else:
        parts |= {"raw": ("x'0001'", "AAE="), "span": ("time '00:01:30'", "PT90S")}
    found = await ask("select " + ", ".join(f"{sql} as {name}" for name, (sql, _) in parts.items()))
    assert found == {"rows": [{name: value for name, (_, value) in parts.items()}], "rowCount": 1}


async def test_parameters_of_many_kinds(rig: SqlRig, ask):
    listed = "%(ids)s" if rig.kind == "mysql" else "any(%(ids)s)"
    for weight in (1, 2, 3):
        await ask(BOOK, {"weight": weight}, key=str(weight))
    found = await ask(
        f"select weight from bookings where weight {'in' if rig.kind == 'mysql' else '='} {listed} order by weight", {"ids": [1, 3]}
    )
    assert [r["weight"] for r in found["rows"]] == [1, 3]
    cast = "" if rig.kind == "mysql" else "::jsonb"
    found = await ask(
        f"select %(d)s as d, %(n)s{'' if rig.kind == 'mysql' else '::text'} as n, %(j)s{cast} as j",
        {"d": Decimal("1.10"), "n": None, "j": {"a": 1}},
    )
    assert found["rows"] == [{"d": Decimal("1.10"), "n": None, "j": '{"a": 1}' if rig.kind == "mysql" else {"a": 1}}]


async def test_counts_of_rows(rig: SqlRig, ask):
    found = await ask(
        [
            BOOK,
            "update bookings set weight = weight + 1",
            "delete from bookings where weight > 100",
            "select * from bookings where weight > 100",
        ],
        {"weight": 1},
    )
    assert [(r["rowCount"], r["rows"]) for r in found["results"]] == [(1, []), (1, []), (0, []), (0, [])]
    if rig.kind == "postgresql":
        found = await ask("with a as (update bookings set weight = 9 returning id) insert into bookings select id || 'x', 1 from a")
        assert found == {"rows": [], "rowCount": 0}  # how many is not told there
        found = await ask("update bookings set weight = 5 returning weight")
        assert found["rows"] == [{"weight": 5}] * 2


async def test_several_statements_are_one_transaction(rig: SqlRig, ask):
    found = await failure(ask([BOOK, "insert into bookings (id, weight) values ('second', -1)"], {"weight": 1}))
    assert found.retries == 0 and found.code in ("23514", "4025")
    assert rig.do("select id from bookings", rows=True) in ([], ())


@pytest.mark.parametrize("statement", [BOOK, "create table other (a int)", "update bookings set weight = 2"])
async def test_read_only(rig: SqlRig, ask, statement: str):
    found = await failure(ask(statement, {"weight": 1}, readOnly=True))
    assert (found.code, found.retries) == ("READ_ONLY", 0), found.message
    assert (await ask("select count(*) as n from bookings", readOnly=True))["rows"] == [{"n": 0}]


async def test_limits_of_rows_and_bytes_are_held_while_rows_come(rig: SqlRig, ask):
    many = {
        "postgresql": "select n, repeat('x', 100) as t from generate_series(1, %(n)s::int) as n",
        "mysql": "with recursive s(n) as (select 1 union all select n + 1 from s where n < %(n)s) select n, repeat('x', 100) as t from s",
    }[rig.kind]
    assert (await ask(many, {"n": 100}, maxRows=100))["rowCount"] == 100
    found = await failure(ask(many, {"n": 101}, maxRows=100))
    assert (found.code, found.retries) == ("ANSWER_TOO_LARGE", 0) and "maxRows" in found.message
    before = ask.wire.back
    assert (await failure(ask(many, {"n": 100_000}, maxRows=1))).code == "ANSWER_TOO_LARGE"
    assert ask.wire.back - before < 8_000_000


async def test_time_is_limited_on_the_server_too(rig: SqlRig, ask):
    slow = "select pg_sleep(30)" if rig.kind == "postgresql" else "select sleep(30)"
    found = await failure(ask(slow, timeoutInSeconds=1))
    assert (found.code, found.retries) == ("TIMEOUT", None)
    running = (
        "select count(*) from pg_stat_activity where query like 'select pg_sleep%%' and state = 'active'"
        if rig.kind == "postgresql"
        else "select count(*) from information_schema.processlist where info = 'select sleep(30)'"
    )
    for _ in range(60):
        if (await ask(running))["rows"][0].popitem()[1] == 0:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the server still works on it")


@pytest.mark.parametrize(
    ("statement", "codes", "again"),
    [
        ("select nothing from bookings", ("42703", "1054"), False), ("selec 1", ("42601", "1064"), False), ("select * from none", ("42P01", "1146"), False),
        ("select %(missing)s as a", ("CONFIGURATION",), False), ("select 1 as a; select 2 as b", ("42601", "1064"), False),
    ],
)  # fmt: skip
async def test_what_a_database_refuses_is_an_incident_with_its_code(rig: SqlRig, ask, statement: str, codes: tuple[str, ...], again: bool):
    found = await failure(ask(statement))
    assert found.code in codes and (found.retries is None) == again, (found.code, found.message)


async def test_a_conflict_is_tried_again(rig: SqlRig, ask):
    if rig.kind == "postgresql":
        found = await failure(ask("do $$ begin raise exception using errcode = '40001'; end $$"))
    else:
        found = await failure(ask("signal sqlstate '40001' set mysql_errno = 1213, message_text = 'Deadlock found'"))
    assert (found.code, found.retries) == ("CONFLICT", None)


async def test_a_duplicate_may_be_a_bpmn_error_of_the_model(rig: SqlRig, ask):
    code = "23505" if rig.kind == "postgresql" else "1062"
    variables = {**rig.call("127.0.0.1", ask.wire.port), "password": SECRET, "parameters": {"weight": 1}}
    headers = {"statement": BOOK, "errorExpression": f'= if error.code = "{code}" then ignoreError({{known: true}}) else null'}
    assert [await ask.run(variables, headers, key="9") for _ in range(2)] == [{}, {"known": True}]


@pytest.mark.parametrize(
    "wrong",
    [{}, {"statement": "a", "statements.1": "b"}, {"statements.x": "a"}, {"statement": ""}, {f"statements.{i}": "a" for i in range(21)}],
)
async def test_headers_that_are_refused(bench, wrong):
    variables = {"host": "127.0.0.1", "database": "d", "username": "u"}
    assert (await failure(bench("sql")(variables, wrong))).code == "CONFIGURATION"


async def test_a_driver_that_lacks_is_told(bench, monkeypatch):
    monkeypatch.delitem(sys.modules, "flowledger.connectors.sql.mysql", raising=False)
    monkeypatch.setitem(sys.modules, "aiomysql", None)
    variables = {"databaseType": "mysql", "host": "127.0.0.1", "database": "d", "username": "u"}
    found = await failure(bench("sql")(variables, {"statement": "select 1"}))
    assert (found.code, found.retries) == ("NOT_INSTALLED", 0) and "flowledger[connectors]" in found.message


async def test_past_a_proxy_only_private_places_are_called(bench):
    run = bench("sql", egress_proxy="http://127.0.0.1:1")
    variables = {"host": "93.184.216.34", "database": "d", "username": "u"}
    found = await failure(run(variables, {"statement": "select 1"}))
    assert found.code == "EGRESS_REFUSED" and "proxy" in found.message
    assert (await failure(run({**variables, "host": "127.0.0.1", "port": 1}, {"statement": "select 1"}))).code == "CONNECT"


def test_rules_may_name_the_service():
    assert Settings(egress_allow=("postgresql://db.example:5432",)).egress_allow


GOOD = {"host": "db", "database": "d", "username": "u", "password": "{{secrets.P}}", "parameters.id": "= id"}


@pytest.mark.parametrize(
    ("inputs", "headers", "words"),
    [
        (GOOD, {"statement": "select 1"}, ""), (GOOD, {"statements.1": "select 1", "statements.2": "select 2"}, ""),
        ({**GOOD, "host": "= h"}, {"statement": "select 1"}, ""), ({**GOOD, "statement": "= text"}, {}, "header"), ({**GOOD, "statement": "select 1"}, {}, "header"),
        (GOOD, {"statements.first": "x"}, "statements.1"), ({**GOOD, "tls": "maybe"}, {"statement": "select 1"}, "tls"),
        ({**GOOD, "port": "70000"}, {"statement": "select 1"}, "port"),
    ],
)  # fmt: skip
def test_findings(inputs, headers, words: str):
    found = said(inputs, headers, "flowledger:sql")
    assert bool(found) == bool(words) and (not words or words in found[0][2]), found

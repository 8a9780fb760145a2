"""The SQL connector for Oracle: the real driver as far as no server is needed for it, and a stand-in behind it (`oracle_stand_in.py`)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import oracledb
import pytest

from flowledger.connectors.sql.config import KEY
from flowledger.connectors.sql.oracle import _NUMBERS, Oracle
from tests.connectors import oracle_stand_in as stand_in
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure
from tests.connectors.wire import Wire, nobody

pytestmark = pytest.mark.req("APG-CON-016")
BOOK = f"insert into bookings (id, weight) select %({KEY})s, %(weight)s from dual where not exists (select 1 from bookings where id = %({KEY})s)"


class OracleRig(Rig):
    connector = "sql"
    secret_at = "password"

    def __init__(self, server: stand_in.Server) -> None:
        self.server, self.to = server, server.to
        server.password = self.first

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {
            "databaseType": "oracle", "host": host, "port": port, "database": "XEPDB1", "username": "flows", "password": "{{secrets.KEY}}",
            "tls": "verify" if tls else "off", "parameters": {"weight": 7},
        }  # fmt: skip

    def headers(self) -> dict[str, Any]:
        return {"statements.1": BOOK, "statements.2": "select id, weight from bookings where weight = %(weight)s"}

    def checked(self, answer: Any) -> None:
        assert answer["results"][1]["rows"][0]["weight"] == 7

    async def rotate(self, value: str) -> None:
        self.server.password = value

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        self.server.answers["select big"] = [{"T": ("varchar", "x" * 5000)}]
        return self.call(host, port), {"statement": "select big"}

    async def effects(self) -> list[str]:
        return [row[0] for row in await self.server.committed("select id from bookings")]


@pytest.fixture
async def server(monkeypatch) -> AsyncIterator[stand_in.Server]:
    monkeypatch.setattr(oracledb, "connect_async", stand_in.connect_async)
    made = await stand_in.Server().start()
    yield made
    await made.close()


class TestContract(Contract):
    @pytest.fixture
    def rig(self, server: stand_in.Server) -> Rig:
        return OracleRig(server)


@pytest.fixture
async def ask(server: stand_in.Server, bench) -> Any:
    rig, run = OracleRig(server), bench("sql", connector_timeout_s=30)

    async def call(*statements: str, headers: dict[str, Any] | None = None, key: str = "77", **more: Any) -> Any:
        variables = {**rig.call(*server.to), "password": SECRET, "parameters": {}, **more}
        texts = {"statement": statements[0]} if len(statements) == 1 else {f"statements.{i}": s for i, s in enumerate(statements, 1)}
        return (await run(variables, {**texts, **OUT, **(headers or {})}, key=key))["out"]

    return call


async def test_values_go_beside_the_statement(server: stand_in.Server, ask):
    for text in ("'", "'; drop table bookings; --", ":p1", "%(a)s", "\u00e9\U0001f600", "", "{{secrets.X}}"):
        found = await ask("select %(text)s as t, %(text)s || '100%%' as p, ':x' as c from dual", parameters={"text": text, "more": 1})
        assert found["rows"] == [{"t": text, "p": f"{text}100%", "c": ":x"}]
        assert server.log[-2] == ("select :p1 as t, :p1 || '100%' as p, ':x' as c from dual", {"p1": text})
    await ask(
        "select %(date)s as a, %(l)s as l, %(t)s as t, %(d)s as d from dual",
        parameters={"date": 1, "l": [1, {"a": Decimal("1.5")}], "t": True, "d": Decimal("1.10")},
    )
    assert server.log[-2][1] == {
        "p1": 1,
        "p2": '[1, {"a": 1.5}]',
        "p3": 1,
        "p4": "1.10",
    }  # words such as date are no names of Oracle's parameters


async def test_types(server: stand_in.Server, ask):
    server.answers["select all from dual"] = [{
        "N": ("number", "12345678901234567890.123456789012345678"), "I": ("number", "7"), "V": ("varchar", "x"), "NIL": ("varchar", None),
        "D": ("date", "2026-02-03T04:05:06"), "TS": ("timestamp", "2026-02-03T04:05:06.123456"), "L": ("ltz", "2026-02-03T04:05:06"),
        "TZ": ("tz", "2026-02-03T04:05:06+01:00"), "R": ("raw", "0001"), "C": ("clob", "long"), "B": ("blob", "0001"), "F": ("double", "0.1"),
        "S": ("interval", "90"),
    }]  # fmt: skip
    (row,) = (await ask("select all from dual"))["rows"]
    assert row == {
        "N": Decimal("12345678901234567890.123456789012345678"), "I": 7, "V": "x", "NIL": None, "D": "2026-02-03T04:05:06",
        "TS": "2026-02-03T04:05:06.123456", "L": "2026-02-03T04:05:06+00:00", "TZ": "2026-02-03T04:05:06+01:00", "R": "AAE=", "C": "long", "B": "AAE=",
        "F": Decimal("0.1"), "S": "PT90S",
    }  # fmt: skip
    assert ("alter session set time_zone = '+00:00'", {}) in server.log


async def test_a_zone_that_the_driver_drops_is_no_wrong_time(server: stand_in.Server, ask):
    server.answers["select tz from dual"] = [{"AT": ("tz", "2026-02-03T04:05:06")}]
    found = await failure(ask("select tz from dual"))
    assert (found.code, found.retries) == ("TYPE", 0) and "sys_extract_utc(AT)" in found.message


async def test_a_large_object_is_looked_at_before_it_is_fetched(server: stand_in.Server, bench, monkeypatch):
    reads: list[int] = []
    kept = stand_in.Lob.read

    async def read(self: Any) -> Any:
        reads.append(1)
        return await kept(self)

    monkeypatch.setattr(stand_in.Lob, "read", read)
    run = bench("sql", connector_answer_bytes_max=1024)
    for size, code in ((900, ""), (1025, "ANSWER_TOO_LARGE")):
        server.answers["select lob"] = [{"C": ("clob", "x" * size)}]
        given = ({**OracleRig(server).call(*server.to), "password": SECRET}, {"statement": "select lob", **OUT})
        if code:
            assert (await failure(run(*given))).code == code
        else:
            await run(*given)
    assert len(reads) == 1


@pytest.mark.parametrize("number", sorted({*_NUMBERS, 1, 942, 2290}))
async def test_errors_by_their_number(server: stand_in.Server, ask, number: int):
    server.answers["select wrong"] = number
    found = await failure(ask("select wrong"))
    code, _, again = _NUMBERS.get(number, (f"ORA-{number:05}", "", False))
    assert (found.code, found.retries is None) == (code, again) and SECRET not in found.message


async def test_several_statements_are_one_transaction(server: stand_in.Server, ask):
    found = await failure(ask(BOOK, "insert into bookings (id, weight) values ('second', -1)", parameters={"weight": 1}))
    assert (found.code, found.retries) == ("ORA-02290", 0)
    assert await OracleRig(server).effects() == []


@pytest.mark.parametrize(
    "statement", ["delete from bookings", "create table other (a int)", "begin null; end;", "-- select\nupdate bookings set weight = 2"]
)
async def test_read_only(server: stand_in.Server, ask, statement: str):
    found = await failure(ask(statement, readOnly=True))
    assert (found.code, found.retries) == ("READ_ONLY", 0) and server.log == []
    assert (await ask("with a as (select 1 as n from dual) select n from a", readOnly=True))["rows"] == [{"n": 1}]
    assert ("set transaction read only", {}) in server.log


@pytest.mark.parametrize("statement", ["select %(none)s from dual", "select :own from dual"])
async def test_parameters_that_do_not_fit(ask, statement: str):
    found = await failure(ask(statement))
    assert (found.code, found.retries) == ("CONFIGURATION", 0), found.message


async def test_rows_and_time_are_limited(server: stand_in.Server, ask):
    server.answers["select many"] = [{"N": ("number", str(n))} for n in range(3)]
    assert (await ask("select many", maxRows=3))["rowCount"] == 3
    assert (await failure(ask("select many", maxRows=2))).code == "ANSWER_TOO_LARGE"
    found = await failure(ask("sleep", timeoutInSeconds=1))
    assert (found.code, found.retries) == ("TIMEOUT", None)


# --- the real driver ------------------------------------------------------------------------------------------------------------------------------


def given(port: int, tls: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    inputs = {
        "databaseType": "oracle",
        "host": "127.0.0.1",
        "port": port,
        "database": "x",
        "username": "u",
        "password": SECRET,
        "tls": "verify" if tls else "off",
    }
    return {**inputs, "timeoutInSeconds": 3}, {"statement": "select 1 from dual", **OUT}


@pytest.mark.parametrize("tls", [False, True])
async def test_the_real_driver_where_nobody_is(bench, tls: bool):
    found = await failure(bench("sql")(*given(await nobody(), tls)))
    assert (found.code, found.retries) == ("CONNECT", None), found.message


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(("mode", "codes"), [("drop", {"CUT", "CONNECT"}), ("hold", {"TIMEOUT", "CONNECT_TIMEOUT"})])
async def test_the_real_driver_over_a_bad_wire(server: stand_in.Server, bench, monkeypatch, tls: bool, mode: str, codes: set[str]):
    monkeypatch.undo()
    wire = await Wire(server.to).start()
    wire.mode = mode
    try:
        found = await failure(bench("sql")(*given(wire.port, tls)))
        assert found.code in codes and found.retries is None, (found.code, found.message)
    finally:
        await wire.close()


async def test_the_real_driver_holds_a_server_to_its_name(server: stand_in.Server, bench, monkeypatch, tmp_path):
    monkeypatch.undo()
    server.greeting = b""
    rig = OracleRig(server)
    wire, authority = await rig.tls_wire(tmp_path)
    run = bench("sql", egress_ca_file=authority)
    try:
        for host, code in (("server.example", {"CUT", "TIMEOUT", "CONNECT"}), ("other.example", {"TLS"})):

            async def resolve(name: str, port: int) -> list[str]:
                return ["127.0.0.1"]

            run.runner.gate._resolve = resolve
            inputs, headers = given(wire.port, tls=True)
            found = await failure(run({**inputs, "host": host}, headers))
            assert found.code in code, (host, found.code, found.message)
    finally:
        await wire.close()


async def test_the_real_driver_is_not_sent_elsewhere(server: stand_in.Server, bench, monkeypatch):
    """A listener may name another address: nobody has checked it."""
    monkeypatch.undo()
    came: list[int] = []
    other = await asyncio.start_server(lambda r, w: came.append(1), "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    data = f"(ADDRESS=(PROTOCOL=tcp)(HOST=127.0.0.1)(PORT={port}))\0(CONNECT_DATA=(SERVICE_NAME=x))".encode()
    server.greeting = bytes((0, 10 + len(data), 0, 0, 5, 0, 0, 0)) + len(data).to_bytes(2, "big") + data
    found = await failure(bench("sql")(*given(server.to[1])))
    other.close()
    assert (found.code, found.retries, came) == ("REDIRECTED", 0, [])


async def test_without_the_driver_a_task_says_what_lacks(bench, monkeypatch):
    monkeypatch.delitem(sys.modules, "flowledger.connectors.sql.oracle", raising=False)
    monkeypatch.setitem(sys.modules, "oracledb", None)
    found = await failure(bench("sql")(*given(1)))
    assert (found.code, found.retries) == ("NOT_INSTALLED", 0) and "oracledb" in found.message


def test_what_is_no_error_of_the_driver_is_somebody_elses():
    assert Oracle().failed(ValueError("x")) is None
    inputs = {"databaseType": "oracle", "host": "h", "database": "d", "username": "u"}
    assert said(inputs, {"statement": "select 1 from dual"}, "flowledger:sql") == []

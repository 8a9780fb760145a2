"""SQL for analysts: the page's questions, asked as an analyst, have the answers of the plan; and there is no way past the walls."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from test_measure_rows import START_US, Drawn, History, at, caught_up, running

from flowledger.projections import analysts as an
from flowledger.projections import event_logs, overtime
from flowledger.projections.reader import Reader
from flowledger.projections.rebuild import rebuild

pytestmark = [pytest.mark.postgres, pytest.mark.req("D-ANA-008")]
PAGE = (Path(__file__).parents[2] / "docs/sql.md").read_text()
DAY = 86_400_000_000
an_mark = an._MARK
SEALED = "flk1.personal.a2V5.77.mail.Ynl0ZXM"


def questions(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
async def history(db, dsn, schema):
    log = Drawn(History(61, 300, 6, terms={("kpi", "promised"): {"kind": "sla", "process": "order", "within": "PT3H"}}))
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    yield log
    await db.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema + an.INSIGHT)))
    for (role,) in await (await db.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'test\\_ann%'")).fetchall():
        await db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (role,))
        await db.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@asynccontextmanager
async def analyst(db, dsn, schema, *tenants, name="test_ann", **more):
    password = await an.add(db, schema, name, tenants, **more)
    async with await psycopg.AsyncConnection.connect(make_conninfo(dsn, user=name, password=password), autocommit=True) as conn:
        yield conn


async def all_of(conn, query, values=()):
    return await (await conn.execute(query, values or None)).fetchall()


async def test_the_pages_questions_have_the_planned_answers(history, db, dsn, schema, tmp_path):
    cases = [c for c in history.history.truth if c.tenant == "acme"]
    async with analyst(db, dsn, schema, "acme") as conn:
        by_version, waits, by_region, ways = [await all_of(conn, question) for question in questions("sql")]
        done = {v: [(c.ended - c.started) / 1e6 for c in cases if c.outcome == "completed" and c.version == v] for v in (1, 2)}
        assert [(v, n) for v, n, *_ in by_version] == [(v, len(times)) for v, times in done.items()]
        assert [float(mean) for _, _, mean, _ in by_version] == pytest.approx([sum(t) / len(t) for t in done.values()])
        waited: dict[tuple, list[int]] = {}
        for c in cases:
            for element, _, _, until, wait, _ in c.work:
                waited.setdefault((datetime.fromtimestamp(until / 1e6, UTC).date(), element), []).append(wait)
        assert {(day, e): float(s) for day, e, s in waits if s is not None} == {
            k: pytest.approx(sum(w) / len(w) / 1e6) for k, w in waited.items()
        }
        assert {r: n for r, n, _ in by_region} == Counter(c.region for c in cases)
        paths = Counter(c.path for c in cases if c.outcome)
        assert [n for _, n in ways] == [n for _, n in paths.most_common(5)] and all(paths[tuple(p)] == n for p, n in ways)
        # what a time promised, and what was broken
        promised = await all_of(conn, "SELECT sum(n), sum(kept) FROM kpis_day WHERE name = 'promised'")
        kept = sum(t <= 3 * 3600 for times in done.values() for t in times)
        assert promised == [(sum(map(len, done.values())), kept)]
        assert await all_of(conn, "SELECT count(*) FROM promises_broken WHERE name = 'promised'") == [
            (sum(map(len, done.values())) - kept,)
        ]
        assert await all_of(conn, "SELECT count(*), count(started_at) FROM instances") == [(len(cases), len(cases))]
    async with Reader(dsn, schema) as reader:
        for what in ("steps", "instances"):
            asked = {"process": "order", "from": at(START_US), "to": at(START_US + 9 * DAY), "format": "parquet", "what": what}
            (tmp_path / f"{what}.parquet").write_bytes((await event_logs.export(reader, "acme", asked))["content"])
    (question,) = questions("duckdb")
    with duckdb.connect() as duck:
        answers = duck.execute(re.sub(r"'(\w+\.parquet)'", rf"'{tmp_path}/\1'", question)).fetchall()
    assert {(v, e): n for v, e, n in answers} == Counter((c.version, w[0]) for c in cases for w in c.work)


async def test_the_page_names_each_view_and_column(history, db, dsn, schema):
    rows = {}
    for line in PAGE.splitlines():
        if line.startswith("| `"):
            names, _, columns = [cell.strip() for cell in line.strip("| ").split(" | ")]
            rows |= dict.fromkeys(re.findall(r"`(\w+)`", names), re.findall(r"`(\w+)`", columns))
    async with analyst(db, dsn, schema, "acme") as conn:
        for view in an.VIEWS:
            found = (await conn.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sql.Identifier(view)))).description
            assert [c.name for c in found or []] == ["tenant", *rows.pop(view)], view
    assert rows == {}


async def test_whoever_asks_sees_their_tenants_and_finds_no_way_past(history, db, dsn, schema):
    truth = Counter(c.tenant for c in history.history.truth)
    assert len(truth) > 1
    async with analyst(db, dsn, schema, "acme") as conn:
        for view in an.VIEWS:
            tenants = {row[0] for row in await all_of(conn, sql.SQL("SELECT DISTINCT tenant FROM {}").format(sql.Identifier(view)))}
            assert tenants <= {"acme"}, view
        await conn.execute("SET flowledger.tenant = ''")  # the setting of the server's readers
        await conn.execute("SET default_transaction_read_only = off")
        assert await all_of(conn, "SELECT tenant, count(*) FROM instances GROUP BY 1") == [("acme", truth["acme"])]
        place = sql.Identifier(schema + an.INSIGHT, "analysts")
        for wrong in (
            sql.SQL("SELECT * FROM {}").format(place), sql.SQL("INSERT INTO {} VALUES ('test_ann', '')").format(place),
            sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, "traces")), sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, "variables")),
            sql.SQL("DELETE FROM instances"), sql.SQL("UPDATE variables SET type = 'null'"), sql.SQL("SET ROLE flowledger_reader"),
            sql.SQL("SET SESSION AUTHORIZATION postgres"), sql.SQL("CREATE TABLE {} (a int)").format(sql.Identifier(schema + an.INSIGHT, "mine")),
            sql.SQL("ALTER ROLE test_ann CONNECTION LIMIT 500"), sql.SQL("CREATE ROLE another"), sql.SQL("COPY instances TO '/tmp/x'"),
            sql.SQL("SELECT pg_read_file('postgresql.conf')"), sql.SQL("DROP VIEW instances"),
        ):  # fmt: skip
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)):
                await conn.execute(wrong)
        # a cheap function of one's own is shown no foreign row: the view is a barrier
        await conn.execute(
            "CREATE FUNCTION pg_temp.look(t text) RETURNS bool LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'saw %', t; RETURN true; END $$"
        )
        seen: list[str] = []
        conn.add_notice_handler(lambda n: seen.append(n.message_primary or ""))
        await conn.execute("SELECT count(*) FROM instances WHERE pg_temp.look(tenant)")
        assert set(seen) == {"saw acme"}
        # a role that has been let go is gone, at once
        await an.remove(db, schema, "test_ann")
        with pytest.raises(psycopg.OperationalError):
            await all_of(conn, "SELECT 1")
    async with analyst(db, dsn, schema, "acme", "", name="test_ann_two") as conn:
        assert dict(await all_of(conn, "SELECT tenant, count(*) FROM instances GROUP BY 1")) == dict(truth)
    await an.add(db, schema, "test_ann_two", ["nobody"])
    assert await an.analysts(db, schema) == [{"name": "test_ann_two", "tenants": ["nobody"]}]
    assert await all_of(db, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema + an.INSIGHT, "instances"))) == [(0,)]


async def test_what_is_protected_does_not_come_out(history, db, dsn, schema):
    async with analyst(db, dsn, schema, "acme") as conn:
        ((one, two, three),) = await all_of(conn, "SELECT min(instance), max(instance), count(*) FROM variables WHERE name = 'region'")
        assert three > 2
        await db.execute(
            "UPDATE variables SET value = to_jsonb(%s::text), search = %s WHERE name = 'region' AND workflow_instance_id = %s",
            (SEALED, SEALED[:64], one),
        )
        await db.execute(
            "UPDATE variables SET value = jsonb_build_object('mail', jsonb_build_array(%s::text), 'n', 5) WHERE name = 'region' AND workflow_instance_id = %s",
            (SEALED, two),
        )
        await db.execute("UPDATE workflow_instances SET business_key = %s WHERE id = %s", (SEALED, one))
        found = dict(
            (i, (v, p))
            for i, v, p in await all_of(
                conn, "SELECT instance, value, protected FROM variables WHERE name = 'region' AND instance IN (%s, %s)", (one, two)
            )
        )
        assert found == {one: ("[protected]", True), two: ({"mail": ["[protected]"], "n": 5}, True)}
        assert await all_of(conn, "SELECT business_key FROM instances WHERE id = %s", (one,)) == [("[protected]",)]
        for view in an.VIEWS:
            text = sql.SQL("SELECT count(*) FROM {} v WHERE v::text LIKE '%flk1.%'").format(sql.Identifier(view))
            assert await all_of(conn, text) == [(0,)], view
        assert await all_of(conn, "SELECT count(*) FROM variables WHERE NOT protected AND name = 'region'") == [(three - 2,)]


async def test_a_long_query_is_stopped_and_a_rebuild_keeps_the_views(history, db, dsn, schema):
    async with analyst(db, dsn, schema, "acme", timeout_s=1) as conn:
        with pytest.raises(psycopg.errors.QueryCanceled):
            await conn.execute("SELECT count(*) FROM instances a, instances b, instances c, instances d, instances e")
        assert await all_of(conn, "SHOW default_transaction_read_only") == [("on",)]
        before = await all_of(conn, "SELECT * FROM instances ORDER BY id")
        await rebuild(dsn, history.source, history.records, ["measures"], schema=schema)
        assert await all_of(conn, "SELECT * FROM instances ORDER BY id") == before and before
        # of another release
        await db.execute(sql.SQL("COMMENT ON VIEW {} IS 'older'").format(sql.Identifier(schema + an.INSIGHT, "tasks")))
        await an.mend(db, schema)
        assert await all_of(conn, "SELECT count(*) > 0 FROM tasks") == [(True,)]


async def test_a_limit_that_a_session_lifts_holds_all_the_same(history, db, dsn, schema, monkeypatch):
    monkeypatch.setattr(overtime, "LOOK_S", 0.1)
    monkeypatch.setattr(overtime, "GRACE_S", 0.2)
    monkeypatch.setattr(overtime, "INSIST_S", 3.0)
    monkeypatch.setattr(overtime, "IDLE", "1s")
    watching = asyncio.create_task(overtime.watch(dsn, schema))
    lifted = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0"
    stubborn = "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$"
    async with analyst(db, dsn, schema, "acme", timeout_s=1) as conn:
        await conn.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await conn.execute(sql.SQL("UPDATE {} SET timeout_s = 3600").format(sql.Identifier(schema + an.INSIGHT, "analysts")))
        await conn.execute(lifted)
        with pytest.raises(psycopg.errors.QueryCanceled):
            await conn.execute("SELECT pg_sleep(60)")
        assert await all_of(conn, "SELECT 1") == [(1,)], "the session stays"
        with pytest.raises(psycopg.OperationalError):
            await conn.execute(stubborn)
        assert conn.closed
    async with analyst(db, dsn, schema, "acme", timeout_s=1) as conn:
        await conn.execute(lifted)
        await conn.execute("BEGIN")
        pid = conn.info.backend_pid
        while await all_of(db, "SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)):
            await asyncio.sleep(0.05)
        await conn.close()
    async with analyst(db, dsn, schema, "acme", timeout_s=3600) as conn:  # others are left in peace
        assert await all_of(conn, "SELECT 1 FROM pg_sleep(3)") == [(1,)]
    assert not watching.done()
    watching.cancel()


@pytest.mark.parametrize(
    ("name", "tenants", "timeout", "words"),
    [("An", [""], 60, "name"), ("postgres", [""], 60, "no analyst's"), ("x" * 41, [""], 60, "name"), ("test_ann", [], 60, "tenant"),
     ("test_ann", ["t"] * 101, 60, "tenant"), ("test_ann", [""], 3601, "timeout"), ("test_ann", [""], 0, "timeout")],
)  # fmt: skip
async def test_what_is_wrong_is_said(history, db, schema, name, tenants, timeout, words):
    with pytest.raises(an.Refused, match=words):
        await an.add(db, schema, name, tenants, timeout)
    with pytest.raises(an.Refused, match="analyst"):
        await an.remove(db, schema, name)


async def test_without_rows_there_is_nothing_to_read(db, schema):
    with pytest.raises(an.Refused, match="projector"):
        await an.add(db, f"{schema}_none", "test_ann", [""])
    assert await an.analysts(db, schema) == []


async def test_a_dump_that_was_brought_to_a_database_without_the_roles(history, db, dsn, schema, monkeypatch):
    """Views of a release before, and no role of analysts: rows are served, and whoever is added then can read."""
    async with analyst(db, dsn, schema, "acme"):
        pass
    monkeypatch.setattr(an, "GROUP", "test_ann_group")
    monkeypatch.setattr(an, "_MARK", "another release")
    await an.mend(db, schema)
    monkeypatch.setattr(an, "_MARK", an_mark)
    async with analyst(db, dsn, schema, "acme", name="test_anna") as conn:
        assert (await all_of(conn, "SELECT count(*) FROM instances"))[0][0] > 0
    await an.remove(db, schema, "test_anna")
    await db.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier("test_ann_group")))

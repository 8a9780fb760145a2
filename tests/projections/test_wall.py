"""The second wall: what reads for a tenant sees no other's rows in the database itself, whatever the query says."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from projection_story import rich
from psycopg import sql
from psycopg.conninfo import make_conninfo

from flowledger.api.reads import SqlReads
from flowledger.projections import queries as q
from flowledger.projections import schema as sc
from flowledger.projections import wall
from flowledger.projections.context import Context
from flowledger.projections.projector import Projector
from flowledger.projections.reader import UNKNOWN, NoWall, Reader
from flowledger.projections.views import TABLES, VIEWS

pytestmark = [pytest.mark.postgres, pytest.mark.req("APG-TEN-002", "APG-TEN-001")]
TENANTS = ("a", "b", "")


async def fill(db: Any) -> dict[str, dict[str, int]]:
    """A row of each table for each tenant. Returns table -> tenant -> how many."""
    found: dict[str, dict[str, int]] = {}
    months = [(t.name, "2026-11") for t in TABLES.values() if t.month]
    await sc.make_partitions(db, TABLES, months)
    checks = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND conislocal AND connamespace = current_schema()::regnamespace"
    for name, constraint in await (await db.execute(checks)).fetchall():
        await db.execute(f"ALTER TABLE {name} DROP CONSTRAINT {constraint}")
    for name, table in TABLES.items():
        for tenant in TENANTS:
            values = {c: _some(c, kind, tenant) for c, kind in table.columns.items()}
            await db.execute(
                sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                    sql.Identifier(name),
                    sql.SQL(", ").join(map(sql.Identifier, values)),
                    sql.SQL(", ").join(sql.Placeholder() * len(values)),
                ),
                list(values.values()),
            )
            found.setdefault(name, {})[tenant] = 1
    return found


def _some(column: str, kind: str, tenant: str) -> Any:
    if column == "tenant_id":
        return tenant
    if kind.startswith("timestamp"):
        return "2026-11-20 12:00:00+00"
    if kind == "boolean":
        return False
    if kind in ("jsonb", "text[]"):
        return "{}"
    if kind == "bytea":
        return b""
    return str(7 + TENANTS.index(tenant))


@pytest.fixture
async def reader(db: Any, dsn: str, schema: str) -> AsyncIterator[Reader]:
    async with Reader(dsn, schema, size=2, wall="required") as r:
        yield r


async def test_a_query_without_its_where_finds_nothing_foreign_in_any_table(db, reader):
    there = await fill(db)
    assert set(there) == set(TABLES), "each table that has a tenant"
    for name in TABLES:
        text = sql.SQL("SELECT tenant_id FROM {}").format(sql.Identifier(name))
        assert sorted(r["tenant_id"] for r in await reader.rows(text)) == ["", "a", "b"], "the owner sees all"
        for tenant in TENANTS:
            seen = {r["tenant_id"] for r in await reader.of(tenant).rows(text)}
            assert seen == ({tenant, ""} if name in wall.COMMON else {tenant}), (name, tenant)
        assert {r["tenant_id"] for r in await reader.of("nobody").rows(text)} <= ({""} if name in wall.COMMON else set())


async def test_the_lists_of_the_api_with_their_where_taken_out(db, reader, monkeypatch):
    log, _ = rich()
    projector = Projector(db, VIEWS.values(), Context())
    for partition, records in log.records.items():
        await projector.apply([(partition, records, len(records))], ())
    mine = {name: (await ask(reader.of(""), "", {}, 1000))["items"] for name, ask in _LISTS.items()}
    assert all(mine[name] for name in ("instances", "tasks", "definitions", "incidents")), "there is something to be seen"
    rows = Reader.rows

    async def without(self: Reader, query: Any, values: Any = (), **more: Any) -> Any:
        text = query.as_string(None) if isinstance(query, sql.Composable) else query
        return await rows(self, _MINE.sub("%s::text IS NOT NULL", text), values, **more)

    monkeypatch.setattr(Reader, "rows", without)
    for name, ask in _LISTS.items():
        everybodys = (await ask(reader, "eve", {}, 1000))["items"]
        assert len(everybodys) == len(mine[name]), f"without the wall the mistake would show all: {name}"
        assert (await ask(reader.of("eve"), "eve", {}, 1000))["items"] == [], name
        assert len((await ask(reader.of(""), "", {}, 1000))["items"]) == len(mine[name]), name


_MINE = re.compile(r"(\w+\.)?tenant_id = %s")
_LISTS = {"instances": q.list_instances, "tasks": q.list_tasks, "definitions": q.list_definitions, "incidents": q.list_incidents}


async def test_two_tenants_on_one_connection_never_meet(db, dsn, schema):
    await fill(db)
    text = "SELECT tenant_id FROM workflow_instances"
    async with Reader(dsn, schema, size=1, wall="required") as reader:

        async def many(tenant: str) -> None:
            for _ in range(40):
                assert {r["tenant_id"] for r in await reader.of(tenant).rows(text)} == {tenant}

        await asyncio.gather(*(many(t) for t in (*TENANTS, "a", "b")))
        for _ in range(30):  # cut off anywhere: nothing of it is trusted
            cut = asyncio.ensure_future(reader.of("a").rows(text))
            await asyncio.sleep(0)
            cut.cancel()
            await asyncio.gather(cut, return_exceptions=True)
            assert {r["tenant_id"] for r in await reader.of("b").rows(text)} == {"b"}
        async with reader.pool.connection() as conn:
            conn.stands = UNKNOWN
        assert {r["tenant_id"] for r in await reader.of("a").rows(text)} == {"a"}
        with pytest.raises(psycopg.Error):
            await reader.of("a").rows("SELECT no_such_column FROM workflow_instances")
        assert {r["tenant_id"] for r in await reader.of("b").rows(text)} == {"b"}


async def test_the_role_reads_and_does_nothing_else(db, reader, schema):
    await fill(db)
    for text in (
        "INSERT INTO workflow_instances (id) VALUES (1)",
        "DELETE FROM tasks",
        "UPDATE holds SET mode = 'x'",
        "TRUNCATE variables",
        "CREATE TABLE x ()",
    ):
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)):
            await reader.of("a").rows(text)
    for text in ("SET default_transaction_read_only = off", "DELETE FROM tasks"):
        try:
            await reader.of("a").rows(text)
        except (psycopg.errors.InsufficientPrivilege, psycopg.ProgrammingError) as e:
            assert "DELETE" not in text or isinstance(e, psycopg.errors.InsufficientPrivilege)
    row = await (
        await db.execute("SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = %s", (wall.ROLE,))
    ).fetchone()
    assert row == (False, False, False, False)


async def test_nobody_says_of_which_tenant_and_no_row_is_seen(db, dsn, schema):
    await fill(db)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute(f"SET search_path = {schema}")
        await conn.execute(f"SET ROLE {wall.ROLE}")
        for said in (None, "", wall.NOBODY):
            if said is not None:
                await conn.execute("SELECT set_config(%s, %s, false)", (wall.SETTING, said))
            rows = await (await conn.execute("SELECT tenant_id FROM workflow_instances")).fetchall()
            assert rows == ([("",)] if said == "" else []), "the empty name is the operator's, and said"


async def _unseen(db: Any, schema: str) -> list[str]:
    """Tables that a reader has to read past its views."""
    asked = {"schema": schema, "rows": schema + wall.ROWS, "role": wall.ROLE}
    return [name for (name,) in await (await db.execute(wall._UNSEEN, asked)).fetchall()]


async def test_views_are_read_and_what_is_below_them_stays_closed(db, dsn, schema, reader):
    await fill(db)
    assert await _unseen(db, schema) == []
    mine = reader.of("a")
    found = await mine.rows(
        "SELECT c.relkind, c.relname FROM unnest(%s::text[]) AS n(name) JOIN pg_class c ON c.oid = to_regclass(n.name)", (list(TABLES),)
    )
    assert {(r["relkind"], r["relname"]) for r in found} == {("v", name) for name in TABLES}, "each table that has a tenant"
    for name in TABLES:
        for place in (schema, schema + wall.ROWS):
            seen = {r["tenant_id"] for r in await mine.rows(sql.SQL("SELECT tenant_id FROM {}").format(sql.Identifier(place, name)))}
            assert seen == ({"a", ""} if name in wall.COMMON else {"a"}), (place, name)
    for text in ("INSERT INTO {} (id) VALUES (1)", "UPDATE {} SET id = 1", "DELETE FROM {}"):
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
            await conn.execute(f"SET ROLE {wall.ROLE}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await conn.execute(sql.SQL(text).format(sql.Identifier(schema + wall.ROWS, "incidents")))


async def test_views_that_are_missing_or_lack_a_column_are_made_anew(db, schema, reader):
    await fill(db)
    await db.execute(f"DROP VIEW {schema}{wall.ROWS}.incidents")
    await db.execute("ALTER TABLE holds ADD COLUMN more text NOT NULL DEFAULT 'x'")
    await db.execute(f"REVOKE ALL ON {schema}{wall.ROWS}.batches FROM {wall.ROLE}")
    assert await _unseen(db, schema) == ["batches", "holds", "incidents"]
    assert {r["tenant_id"] for r in await reader.of("a").rows("SELECT tenant_id FROM incidents")} == {"a"}, (
        "read behind its policy meanwhile"
    )
    await sc.migrate(db, schema)
    assert await _unseen(db, schema) == []
    assert {r["more"] for r in await reader.of("a").rows("SELECT * FROM holds")} == {"x"}
    assert {r["tenant_id"] for r in await reader.of("a").rows("SELECT tenant_id FROM batches")} == {"a"}


async def test_months_that_are_archived_and_views_that_are_built_anew_have_it_too(db, reader, schema):
    await fill(db)
    moved = await sc.detach_before(db, "2026-12", schema)
    assert "workflow_events_m202611" in moved
    for name in moved:
        place = sql.SQL("SELECT tenant_id FROM {}").format(sql.Identifier(schema + sc.ARCHIVE, name))
        assert {r["tenant_id"] for r in await reader.of("a").rows(place)} <= {"a"}
        assert len(await reader.rows(place)) == 3
    events = sql.SQL("SELECT tenant_id FROM {}").format(sql.Identifier(schema + sc.ARCHIVE, "workflow_events_m202611"))
    assert [r["tenant_id"] for r in await reader.of("a").rows(events)] == ["a"]
    beside = schema + sc.NEXT
    await db.execute(f"CREATE SCHEMA {beside}")
    await sc.use_schema(db, beside)
    await sc.make_view(db, VIEWS["incidents"])
    await sc.use_schema(db, schema)
    async with db.transaction():
        await sc.swap_in(db, schema, VIEWS["incidents"])
    await db.execute("INSERT INTO incidents (tenant_id, id, workflow_instance_id, definition_id, process_id, element, code, message, status, created_at) "
                     "VALUES ('b', 1, 1, 1, 'p', 'e', 'c', 'm', 'open', now())")  # fmt: skip
    assert await _unseen(db, schema) == []
    assert await reader.of("a").rows("SELECT * FROM incidents") == [] and len(await reader.of("b").rows("SELECT * FROM incidents")) == 1


async def test_a_database_of_an_earlier_release_gets_it(db, dsn, schema):
    await fill(db)
    await db.execute("DROP POLICY common_rows ON holds")
    await db.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {wall.ROLE}")
    await db.execute(f"REVOKE ALL ON SCHEMA {schema} FROM {wall.ROLE}")
    async with (
        Reader(dsn, schema, wall="auto") as before,
        Reader(dsn, schema, wall="required") as strict,
        Reader(dsn, schema, wall="off") as off,
    ):
        text = "SELECT tenant_id FROM holds"
        assert len(await before.of("a").rows(text)) == 3, "until the projector has come by, queries alone keep them apart"
        with pytest.raises(NoWall, match=r"docs/security\.md"):
            await strict.of("a").rows(text)
        assert await strict.positions() == {}, "what is of no tenant is read all the same"
        await sc.migrate(db, schema)
        before.wall.look_at = strict.wall.look_at = 0.0
        assert (
            {r["tenant_id"] for r in await before.of("a").rows(text)}
            == {r["tenant_id"] for r in await strict.of("a").rows(text)}
            == {"a", ""}
        )
        assert len(await off.of("a").rows(text)) == 3


@pytest.mark.parametrize(("may_make_roles", "may_make_views"), [(True, True), (False, True), (False, False)])
async def test_an_owner_that_is_no_superuser(may_make_roles, may_make_views, postgres_url, database):
    """As it is at those who run databases for others. Without the right to make roles an operator has made ours, and granted it; where the
    schema of the views is somebody else's, the tables are read behind their policies."""
    name = database.rsplit("dbname=", 1)[-1].split()[0] if "dbname=" in database else database.rsplit("/", 1)[-1]
    user = f"app_{name[-12:]}"
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as conn:
        await conn.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'x' {'CREATEROLE' if may_make_roles else ''}")
        await conn.execute(f"ALTER DATABASE {name} OWNER TO {user}")
        if not may_make_views:
            async with await psycopg.AsyncConnection.connect(database, autocommit=True) as operator:
                await operator.execute(f"CREATE SCHEMA flowledger{wall.ROWS}")
        with contextlib.suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            await conn.execute(f"CREATE ROLE {wall.ROLE} NOLOGIN")
        await conn.execute(f"GRANT {wall.ROLE} TO {user}" + (" WITH ADMIN OPTION" if may_make_roles else ""))
    own = make_conninfo(database, user=user, password="x")
    try:
        async with await psycopg.AsyncConnection.connect(own, autocommit=True) as db:
            await sc.migrate(db, "flowledger")
            await sc.use_schema(db, "flowledger")
            await fill(db)
            async with Reader(own, wall="required") as reader:
                assert {r["tenant_id"] for r in await reader.of("a").rows("SELECT tenant_id FROM tasks")} == {"a"}
                assert len(await reader.rows("SELECT tenant_id FROM tasks")) == 3
            assert (await _unseen(db, "flowledger") == []) == may_make_views
    finally:
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as conn:
            await conn.execute(f"REASSIGN OWNED BY {user} TO CURRENT_USER")
            await conn.execute(f"DROP OWNED BY {user}")
            await conn.execute(f"DROP ROLE {user}")


async def test_the_port_of_the_api_reads_for_its_tenant(db, reader, monkeypatch):
    """Each question of `SqlReads` that names a tenant goes by a reader of that tenant."""
    seen: list[str | None] = []
    rows = Reader.rows

    async def noted(self: Reader, query: Any, values: Any = (), **more: Any) -> Any:
        if self.pool is reader.pool:  # servers that other tests have in this process read as well
            seen.append(self.tenant)
        return await rows(self, query, values, **more)

    monkeypatch.setattr(Reader, "rows", noted)
    reads = SqlReads(reader)
    for noun in reads._lists:
        seen.clear()
        filters = {"batch_items": {"batch": "7"}, "evaluations": {"decision": "x"}}.get(noun, {})
        try:
            await reads.list(noun, filters, 5, "", "a")
        except KeyError:
            continue
        assert set(seen) <= {"a"}, noun
    for noun in reads._gets:
        seen.clear()
        await reads.get(noun, "7", "a")
        assert seen and set(seen) == {"a"}, noun
    for question in (
        reads.belongings("a"),
        reads.held("tenant", "a", "a"),
        reads.variables(7, "a"),
        reads.source("7", "a"),
        reads.known([7], "a"),
    ):
        seen.clear()
        await question
        assert seen and set(seen) == {"a"}
    for report in (*reads._reports, "counts"):
        seen.clear()
        await reads.report(report, 7, "a")
        assert seen and set(seen) == {"a"}, report

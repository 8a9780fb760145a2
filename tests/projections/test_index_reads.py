"""What a page of a list reads, counted by PostgreSQL itself: a few rows, found by an index, whatever is asked for and however much there is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from flowledger.bench import queries as bench
from flowledger.bench.plans import Explainer, Read
from flowledger.projections import by_variables, indexes
from flowledger.projections import filters as fi
from flowledger.projections import queries as q
from flowledger.projections import schema as sc
from flowledger.projections.reader import Reader
from flowledger.projections.views import TABLES

pytestmark = pytest.mark.postgres

PAGE = 20
#: rows of each kind: two tenants with as many, and one with few beside them
ROWS, FEW = 12_000, 40
TENANTS = {"one": ROWS, "other": ROWS, "small": FEW}
#: rows that a page may read: its own from each of some ranges of an index, some times over for what a second condition lets go
ROWS_MAX = 40 * PAGE
#: partitions of five months and the ranges of a list of statuses take some blocks each, though they hold nothing
BLOCKS_MAX = 1_600
#: No index has these orders: see `docs/projections.md`. Ranges look through the newest first, and through all that pass within half a day; where two
#: lists meet, the newest of each are counted. Definitions are few beside instances.
MET = (2 * (by_variables.SEEN + by_variables.SEEN_RANGED), BLOCKS_MAX)
DEARER = {
    # as many lists as there are alternatives, each as dear as by itself
    "search: or of two variables": (2 * MET[0], 2 * MET[1]),
    "search: or of a variable": (2 * MET[0], 2 * MET[1]),
    "search: begins with": (2 * by_variables.LOOK + ROWS // 10, BLOCKS_MAX),
    "search: text": (2 * ROWS_MAX, 3 * BLOCKS_MAX),
    "var.x (boolean) ": MET,
    "var.x[gt] var.y": MET,
    "status var.x": MET,
    "definition var.x": MET,
    "initiator var.x": MET,
    "has_incident var.x": MET,
    "version var.x": MET,
    "started_from var.x": MET,
    "var.x[": (2 * by_variables.LOOK + ROWS // 10, BLOCKS_MAX),
    # tags and pieces of names are found in those of all tenants, or all are walked in the order of the list, whichever the planner takes for less
    "definitions tag": (2 * bench.DEFINITIONS, BLOCKS_MAX),
    "definitions latest name": (2 * bench.DEFINITIONS, BLOCKS_MAX),
    "definitions name": (2 * bench.DEFINITIONS, BLOCKS_MAX),
}
_LARGE = (q.list_instances, q.list_tasks, q.list_incidents)
#: Months have partitions: of the oldest there are few rows, or of the newest. What the planner knows is what is there (`bench.fill`), the same each time.
MOMENTS = {
    "few of the oldest month": datetime(2026, 11, 29, 20, 15, tzinfo=UTC),
    "a month just began": datetime(2026, 11, 1, 0, 20, tzinfo=UTC),
}
UNTIL = MOMENTS["few of the oldest month"]


@pytest.fixture(params=MOMENTS.values(), ids=MOMENTS)
def until(request: pytest.FixtureRequest) -> datetime:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
async def filled(dsn: str, schema: str, until: datetime) -> AsyncIterator[str]:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await bench.fill(conn, TENANTS, schema, until)
        yield schema
        await conn.execute(f"DROP SCHEMA {schema} CASCADE")  # type: ignore[arg-type]


@pytest.mark.req("APG-PER-016", "D-API-005", "D-API-011", "D-API-018", "TES-DAT-002", "TES-DAT-003", "TES-DAT-004")
async def test_each_filter_and_the_usual_pairs_read_a_few_rows_by_an_index(dsn: str, filled: str, until: datetime) -> None:
    chance = random.Random(3)
    wrong: list[str] = []
    async with Explainer(dsn, filled, wall="required") as pool:
        for case in bench.cases(ROWS, until):
            most = next((n for name, n in DEARER.items() if name in case.name), (ROWS_MAX, BLOCKS_MAX))
            few = 12 * FEW if case.ask in _LARGE else 2 * bench.DEFINITIONS
            for tenant, rows_max, blocks_max in (("other", *most), ("small", few, BLOCKS_MAX)):
                reader: Any = pool.of(tenant)
                given: Any = case.given(chance)
                cursor = None
                for page in (1, 2):
                    reader.read = read = Read()
                    cursor = (await case.ask(reader, tenant, given, PAGE, cursor))["cursor"]
                    if read.scans or read.rows > rows_max or read.blocks > blocks_max:
                        wrong.append(f"{case.name} {given} of {tenant}, page {page}: {read.rows} rows, {read.blocks} blocks, {read.scans}")
                    if cursor is None:
                        break
    assert not wrong, "\n".join(wrong)


RANGES: list[tuple[dict[str, str], str]] = [
    ({"var.amount[gt]": "9900"}, "amount > 9900"), ({"var.amount[lte]": "5"}, "amount <= 5"), ({"var.amount[gt]": "100"}, "amount > 100"),
    ({"var.amount[gte]": "4000", "var.amount[lt]": "4100"}, "amount >= 4000 AND amount < 4100"), ({"var.number[lt]": "300"}, "number < 300"),
    ({"var.number[gte]": "1000", "var.number[lte]": "1100"}, "number BETWEEN 1000 AND 1100"), ({"var.number[gt]": "99999"}, "FALSE"),
    ({"var.customer[gt]": "c99"}, "customer > 'c99'"), ({"var.customer[lte]": "c1002"}, "customer <= 'c1002'"), ({"var.customer[gt]": "5"}, "FALSE"),
    ({"var.number[lt]": "1000", "status": "running"}, "number < 1000 AND status = 'running'"),
    ({"var.amount[lt]": "500", "var.customer[gt]": "c5"}, "amount < 500 AND customer > 'c5'"),
    ({"var.express": "true", "var.amount[gt]": "5000"}, "express = 'true' AND amount > 5000"),
    ({"var.express": "false", "var.amount[gt]": "5000", "status": "completed"}, "express = 'false' AND amount > 5000 AND status = 'completed'"),
    ({"var.express": "true", "initiator": "user-7"}, "express = 'true' AND initiator = 'user-7'"),
    ({"var.express": "false", "definition": "process-7"}, "express = 'false' AND process_id = 'process-7'"),
    ({"var.express": "false", "status": "failed,cancelled,running"}, "express = 'false' AND status IN ('failed', 'cancelled', 'running')"),
    ({"var.express": "false", "has_incident": "true"}, "express = 'false' AND incidents > 0"),
    ({"var.amount[gt]": "2000", "has_incident": "true"}, "amount > 2000 AND incidents > 0"),
    ({"var.number[lte]": "900", "version": "2"}, "number <= 900 AND version = 2"),
    ({"var.number[gt]": "1500", "var.amount[lt]": "5000"}, "number > 1500 AND amount < 5000"),
    ({"var.customer[ne]": "c5", "var.express[ne]": "true"}, "customer <> 'c5' AND express <> 'true'"),
    ({"var.number[ne]": "7", "var.number[lt]": "50"}, "number <> 7 AND number < 50"),
    ({"var.number": "7", "var.number[lt]": "50"}, "number = 7"), ({"var.number": "7", "var.amount[gt]": "0"}, "number = 7 AND amount > 0"),
    ({"var.express": '"true"', "status": "completed"}, "FALSE"), ({"var.express": "true", "var.missing": "1"}, "FALSE"),
    ({"var.number[lt]": "1000", "started_from": "{at 1500}"}, "FALSE"),
    ({"var.number[gt]": "800", "started_to": "{at 1500}"}, "number > 800 AND i.created_at < '{at 1500}'::timestamptz - interval '1 second'"),
]  # fmt: skip
_PASSES = """
SELECT i.id::text FROM workflow_instances i JOIN LATERAL (SELECT max(number) FILTER (WHERE name = 'amount') AS amount,
    max(number) FILTER (WHERE name = 'number') AS number, max(search) FILTER (WHERE name = 'customer') AS customer,
    max(search) FILTER (WHERE name = 'express') AS express
    FROM variables v WHERE v.workflow_instance_id = i.id) v ON TRUE WHERE {} ORDER BY i.created_at DESC, i.id DESC
"""


#: the ways in which lists are met: as it is decided, by the instances' own rows, by the rows of a variable's list, all of them read beside the leader; where
#: the rows' own variables are too large to be read, too
_FREE = {"FEW": 0, "WALK": 0.0, "LOOK_UP": 0.0}
WAYS: dict[str, dict[str, Any]] = {
    "as decided": {}, "walked": _FREE, "walked, large rows": {**_FREE, "fi.KEPT_BYTES": 0}, "looked up": {**_FREE, "WALK": 1e9, "READ": 1e9, "READ_RANGED": 1e9},
    "read beside": {"FEW": 0, "WALK": 1e9, "LOOK_UP": 1e9, "READ": 0.0, "READ_RANGED": 0.0, "OPEN_SLICE": 0.0},
}  # fmt: skip


@pytest.mark.req("D-API-018", "TES-DAT-003")
async def test_variables_miss_and_repeat_nothing(dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the width of a range, wherever what passes lies in time, and whatever else is asked for: all pages together are what passes, in order."""
    rows = 3_000
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await bench.fill(conn, {"": rows}, schema, UNTIL)
        at = await (await conn.execute("SELECT started_at FROM workflow_instances WHERE id = 1500")).fetchone()
        assert at is not None
        moment = at[0].astimezone(UTC).isoformat()
        async with Reader(dsn, schema) as reader:
            for given_, passes_ in RANGES:
                given = {name: value.replace("{at 1500}", moment) for name, value in given_.items()}
                passes = passes_.replace("{at 1500}", moment)
                expected = [id for (id,) in await (await conn.execute(_PASSES.format(passes))).fetchall()]  # type: ignore[arg-type]
                assert expected or passes == "FALSE", given
                for way, settings in WAYS.items():
                    with monkeypatch.context() as patch:
                        for name, value in settings.items():
                            patch.setattr(*(fi, name[3:]) if name.startswith("fi.") else (by_variables, name), value)
                        found: list[str] = []
                        cursor = None
                        while True:
                            page = await q.list_instances(reader, "", given, 70 if len(expected) < 700 else 500, cursor)
                            found += [row["id"] for row in page["items"]]
                            if (cursor := page["cursor"]) is None:
                                break
                    assert found == expected, (given, way)
        await conn.execute(f"DROP SCHEMA {schema} CASCADE")  # type: ignore[arg-type]


#: nearly all rows of the tenant are of one process, one element, one person and one kind; statuses that nothing has are asked for, too
ALIKE = {
    "workflow_instances": "process_id = 'order', definition_id = 7, initiator = 'ann', version = 1",
    "tasks": "process_id = 'order', workflow_definition_id = 7, definition_key = 'ship', assignee = 'ann', type = 'user_task', category = 'human', "
    "job_type = 'ship', candidate_groups = '{clerks}', reference = 'Acme'",
    "incidents": "process_id = 'order', definition_id = 7, element = 'ship', code = 'OUT', group_id = 'aa'",
}
OF_ALL: dict[str, list[dict[str, str]]] = {
    "instances": [
        {"definition": "order"}, {"definition": "7"}, {"initiator": "ann"}, {"version": "1"}, {"definition": "order", "version": "2"},
        {"definition": "order", "has_incident": "true"}, {"initiator": "ann", "status": "suspended"},
    ],
    "tasks": [
        {"definition": "order"}, {"definition": "7"}, {"element": "ship"}, {"assignee": "ann"}, {"type": "user_task"}, {"type": "user_task,send_task"},
        {"category": "human"}, {"job_type": "ship"}, {"reference": "Acme"}, {"candidate_group": "clerks"}, {"definition": "order", "element": "ship"},
        {"assignee": "ann", "sort": "due"}, {"candidate_group": "clerks", "sort": "priority"}, {"result_status": "failure,timeout"},
    ],
    "incidents": [{"definition": "order"}, {"definition": "7"}, {"element": "ship"}, {"code": "OUT"}, {"group": "aa"}],
}  # fmt: skip
STATUSES = {
    "instances": ("", "running", "suspended", "quarantined", "failed,suspended,terminated"),
    "tasks": ("", "created", "suspended", "skipped", bench.OPEN),
    "incidents": ("", "open", "resolved"),
}


@pytest.mark.req("APG-PER-016", "D-API-011", "D-API-018")
async def test_what_nearly_all_rows_have_is_read_as_little(dsn: str, filled: str) -> None:
    asks = {"instances": q.list_instances, "tasks": q.list_tasks, "incidents": q.list_incidents}
    wrong: list[str] = []
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        for table, sets in ALIKE.items():
            await conn.execute(f"UPDATE {filled}.{table} SET {sets} WHERE tenant_id = 'one' AND id % 500 > 0")  # type: ignore[arg-type]
            await conn.execute("SET default_statistics_target = 1000")
            await conn.execute(f"VACUUM ANALYZE {filled}.{table}")  # type: ignore[arg-type]
    async with Explainer(dsn, filled, wall="required") as pool:
        reader: Any = pool.of("one")
        for noun, all_given in OF_ALL.items():
            for given in all_given:
                for status in STATUSES[noun]:
                    asked, cursor = {**given, "status": given.get("status", status)}, None
                    for page in (1, 2):
                        reader.read = read = Read()
                        wanted = {k: v for k, v in asked.items() if v}
                        cursor = (await asks[noun](reader, "one", wanted, PAGE, cursor))["cursor"]
                        if read.scans or read.rows > ROWS_MAX or read.blocks > BLOCKS_MAX:
                            wrong.append(f"{noun} {wanted}, page {page}: {read.rows} rows, {read.blocks} blocks, {read.scans}")
                        if cursor is None:
                            break
    assert not wrong, "\n".join(wrong)


OLD = """
DROP INDEX workflow_instances_by_process;
CREATE INDEX workflow_instances_by_process ON workflow_instances (tenant_id, process_id, created_at, id);
DROP INDEX tasks_open_by_group;
DROP INDEX incidents_by_element;
CREATE INDEX incidents_by_element ON incidents (tenant_id, element, created_at, id);
CREATE INDEX workflow_instances_by_start ON workflow_instances (tenant_id, started_at);
CREATE INDEX of_somebody_else ON tasks (tenant_id, worker);
DELETE FROM migrations WHERE name LIKE 'indexes %'
"""


async def _texts(db: psycopg.AsyncConnection[Any], schema: str) -> dict[str, tuple[str, bool]]:
    return {name: (index.text, index.valid) for name, index in (await indexes.found(db, schema)).items()}


@pytest.mark.req("D-DAT-011")
async def test_the_indexes_of_an_older_release_are_brought_to_this_ones(db: Any, dsn: str, schema: str) -> None:
    """Different, missing, not needed any more, and of somebody else; a new month comes in between."""
    new = await _texts(db, schema)
    for statement in OLD.split(";"):
        await db.execute(statement)
    assert not await indexes.fit(db)
    both = await asyncio.gather(indexes.bring(dsn, schema), indexes.bring(dsn, schema))
    assert sorted(both, key=len) == [[], ["incidents_by_element", "tasks_open_by_group", "workflow_instances_by_process"]]
    await sc.make_partitions(db, TABLES, [("tasks", "2031-05"), ("workflow_instances", "2031-05")])
    there = await _texts(db, schema)
    assert there.pop("of_somebody_else")[1]
    assert there == new and all(valid for _, valid in there.values())
    assert await indexes.fit(db) and await indexes.bring(dsn, schema) == []


@pytest.mark.req("D-DAT-011")
async def test_what_was_cut_off_is_begun_anew(db: Any, dsn: str, schema: str) -> None:
    """An index that hangs over some months only, one of a month that is there and not below it, and one that never became whole."""
    new = await _texts(db, schema)
    await db.execute("DROP INDEX tasks_by_parent, tasks_by_result, tasks_by_job_type")
    await db.execute("CREATE INDEX tasks_by_parent_new ON ONLY tasks (tenant_id, parent_id, created_at, id) WHERE parent_id IS NOT NULL")
    await db.execute("CREATE INDEX tasks_by_result_new ON ONLY tasks (tenant_id, result_status)")
    text, _ = new["tasks_by_job_type"]
    await db.execute("CREATE INDEX tasks_by_job_type ON ONLY tasks " + text)
    (partition, _), *_ = await sc.partitions_of(db, schema, "tasks")
    text, _ = new["tasks_by_parent"]
    short = indexes.short(indexes.Index("tasks", text, True, True))
    await db.execute(f"CREATE INDEX tasks_by_parent_{short}{partition.removeprefix('tasks')} ON {partition} (tenant_id)")
    await db.execute("DELETE FROM migrations WHERE name LIKE 'indexes %'")
    assert set(await indexes.bring(dsn, schema)) == {"tasks_by_parent", "tasks_by_result", "tasks_by_job_type"}
    assert await _texts(db, schema) == new


async def test_a_reader_who_takes_long_is_waited_for(db: Any, dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old index is in use: others read on meanwhile, and it changes as soon as it can."""
    monkeypatch.setattr(indexes, "LOCK_S", 0.2)
    await db.execute("DROP INDEX incidents_by_code")
    await db.execute("CREATE INDEX incidents_by_code ON incidents (tenant_id, code)")
    await db.execute("DELETE FROM migrations WHERE name LIKE 'indexes %'")
    async with db.transaction():
        await db.execute("SELECT 1 FROM incidents")
        bringing = asyncio.create_task(indexes.bring(dsn, schema))
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as other:
            await sc.use_schema(other, schema)
            for _ in range(5):
                await asyncio.sleep(0.2)
                await other.execute("SELECT 1 FROM incidents")
        assert not bringing.done()
    assert await bringing == ["incidents_by_code"]

"""How lists meet: what a page reads doesn't grow with what lies between it and the page before; the instance is looked at first; a plan that is kept is good for
any value and any tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from flowledger.bench import queries as bench
from flowledger.bench.plans import Explainer, Read, nodes
from flowledger.projections import by_variables
from flowledger.projections import filters as fi
from flowledger.projections import queries as q
from flowledger.projections.reader import Reader

pytestmark = pytest.mark.postgres

ROWS = 12_000
UNTIL = datetime(2026, 11, 29, 20, 15, tzinfo=UTC)
BESIDE: dict[str, float] = {"FEW": 0, "WALK": 1e9, "LOOK_UP": 1e9, "READ": 0.0, "READ_RANGED": 0.0, "OPEN_SLICE": 0.0}
LOOKED_UP: dict[str, float] = {"FEW": 0, "WALK": 1e9, "READ": 1e9, "READ_RANGED": 0.0, "OPEN_SLICE": 0.0}


@pytest.fixture
async def filled(dsn: str, schema: str) -> AsyncIterator[str]:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await bench.fill(conn, {"one": ROWS, "other": ROWS // 10}, schema, UNTIL)
        yield schema
        await conn.execute(f"DROP SCHEMA {schema} CASCADE")


async def _ask(reader: Any, tenant: str, given: dict[str, str], limit: int, cursor: str | None = None) -> Any:
    return await q.list_instances(reader, tenant, given, limit, cursor)


@pytest.mark.req("D-API-018", "TES-DAT-003")
async def test_lists_that_meet(dsn: str, filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Explainer(dsn, filled, wall="required") as pool:
        reader: Any = pool.of("one")
        with monkeypatch.context() as patch:
            for name, value in BESIDE.items():
                patch.setattr(by_variables, name, value)
            for given in ({"var.express": "false", "var.amount[gt]": "9900"}, {"status": "completed", "var.amount[gt]": "9900"}):
                reader.read = whole = Read()
                everything = await _ask(reader, "one", given, 500)
                first = await _ask(reader, "one", given, 2)
                reader.read = rest = Read()
                following = await _ask(reader, "one", given, 500, first["cursor"])
                assert [*first["items"], *following["items"]] == everything["items"] and len(following["items"]) > 50
                # to the end of time, as the whole: no slice begins at the cursor
                assert rest.blocks <= whole.blocks * 1.1, (given, rest.blocks, whole.blocks)
        with monkeypatch.context() as patch:
            for name, value in LOOKED_UP.items():
                patch.setattr(by_variables, name, value)
            reader.read = read = Read()
            given = {"var.express": "true", "status": "completed", "var.amount[gt]": "8000"}
            items = (await _ask(reader, "one", given, 20))["items"]
            looked_up = [
                n for n in nodes(read.plans[-1]) if "pkey" in n.get("Index Name", "") and n.get("Index Name", "").startswith("variables")
            ]
            # of some hundred rows that lead those alone whose own variables pass
            assert len(items) == 20 and looked_up and sum(n["Actual Loops"] for n in looked_up) == 21

        met = by_variables._Plan(fi.variable("amount", "gt", 5_000), [fi.variable("express", "eq", True)], True)
        with monkeypatch.context() as patch:
            patch.setattr(by_variables, "FEW", 0)
            patch.setattr(by_variables, "_cheapest", lambda *_: met)
            reader.read = read = Read()
            found = (await _ask(reader, "one", {"var.express": "true", "status": "running", "var.amount[gt]": "5000"}, 500))["items"]
        looked_up = [
            n for n in nodes(read.plans[-1]) if "pkey" in n.get("Index Name", "") and n.get("Index Name", "").startswith("variables")
        ]
        assert found and sum(n["Actual Loops"] for n in looked_up) == len(found)  # and not once for each that is in both lists


_KEPT = "SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements WHERE strpos(statement, 'generate_series') > 0"


@pytest.mark.req("D-API-018", "TES-DAT-003")
async def test_plans_that_are_kept(dsn: str, filled: str) -> None:
    """Planned once for all values of a connection, and for whichever tenant it reads."""
    async with Reader(dsn, filled, size=1, wall="required") as pool, await psycopg.AsyncConnection.connect(dsn, autocommit=True) as owner:
        for least in ("9200.5", "9900.5"):
            for tenant in ("one", "other"):
                for express in ("true", "false"):
                    given = {"var.express": express, "var.amount[gt]": least}
                    found = [row["id"] for row in (await _ask(pool.of(tenant), tenant, given, 1_000))["items"]]
                    wanted = await owner.execute(
                        f"SELECT id::text FROM {filled}.workflow_instances i WHERE tenant_id = %s AND (variables ->> 'amount')::numeric > %s "
                        "AND variables ->> 'express' = %s ORDER BY created_at DESC, id DESC",
                        (tenant, least, express),
                    )
                    assert found == [id for (id,) in await wanted.fetchall()], (tenant, given)
        kept = await pool.of("one").rows(_KEPT)
    peeked = [row for row in kept if "WITH there" in row["statement"]]
    assert len(peeked) == 1 and peeked[0]["generic_plans"] == 8
    assert all(not row["custom_plans"] for row in kept)


def test_the_cheapest_way_for_what_is_narrow_and_for_three() -> None:
    """Of a million instances: a narrow range has its few rows looked up, a wider one is read beside the truth, and of three the sparsest are met."""
    narrow, express, status = fi.variable("amount", "gte", 9_999), fi.variable("express", "eq", True), None
    seconds, every = 5_184_000.0, 1_000_000.0

    def lists(**rows: float) -> list[by_variables._List]:
        named = {"narrow": narrow, "express": express, "status": status}
        return sorted((by_variables._List(named[name], n / seconds, n) for name, n in rows.items()), key=lambda each: each.rate)

    def plan(**rows: float) -> tuple[str, list[str]]:
        found = by_variables._cheapest(lists(**rows), every / seconds, 50)
        return found.leader.name if found.leader else "", [v.name if v else "" for v in found.beside]

    assert plan(narrow=100, express=50_000) == ("amount", [])
    assert plan(narrow=2_000, express=50_000) == ("amount", ["express"])
    assert plan(narrow=25_000, express=50_000, status=60_000) == ("amount", ["express", ""])
    assert plan(narrow=500_000, express=50_000, status=60_000) == ("express", [""])
    assert plan(narrow=900_000, status=10_000) == ("", [])
    assert plan(narrow=0, express=50_000) == ("amount", [])

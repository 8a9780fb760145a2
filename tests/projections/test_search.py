"""Searches: AND, OR, paths, operators, and a text wherever it stands; what can't be asked is said with its place."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from projection_story import Log

from flowledger.events import waiting as wa
from flowledger.projections import filters as fi
from flowledger.projections import queries as q
from flowledger.projections import search, where
from flowledger.projections.context import Context
from flowledger.projections.projector import Projector
from flowledger.projections.reader import BadQuery, Reader, TookTooLong, within
from flowledger.projections.reader import _Connection as Connection
from flowledger.projections.views import VIEWS

pytestmark = pytest.mark.postgres

GOLD = {
    "order": {"amount": Decimal("250.5"), "items": [{"sku": "A-1", "n": 2}, {"sku": "B 2", "n": 9}], "odd name": 'say "hi"'},
    "tier": "gold",
}
PLAIN = {
    "order": {"amount": 20, "items": []},
    "tier": "plain",
    "express": True,
    "note": "call Müller before noon",
    "tags": ["red", "blue"],
    "none": None,
}
SILVER = {"order": {"amount": "250"}, "tier": "silver", "n": 7, "long": "x" * 70 + "tail"}


@pytest.fixture
async def reader(db: Any, dsn: str, schema: str) -> Any:
    async with Reader(dsn, schema) as r:
        yield r


@pytest.fixture
async def three(db: psycopg.AsyncConnection[Any]) -> dict[str, int]:
    log = Log()
    order, claim = log.definition("order"), log.definition("claim", 2)
    gold, token = log.start(order, GOLD, process="order", business_key="ORD_1")
    plain, _ = log.start(claim, PLAIN, process="claim", business_key="ORD%2")
    silver, _ = log.start(order, SILVER, process="order", business_key="7")
    log.add(wa.IncidentRaised(key=gold, incident=log.key(), token=token, element="work", code="X", message="it broke"))
    projector = Projector(db, VIEWS.values(), Context())
    for partition, records in log.records.items():
        for view in VIEWS.values():
            row = (view.name, partition, view.version, len(records))
            await db.execute("INSERT INTO positions (view, partition, version, next_offset) VALUES (%s, %s, %s, %s)", row)
        await projector.apply([(partition, records, len(records))], ())
    return {"gold": gold, "plain": plain, "silver": silver}


WHERE = [
    ('tier = "gold"', "gold"),
    ('"gold" = tier', "gold"),
    ('tier != "gold"', "plain silver"),
    ('tier = "gold" or tier = "plain"', "gold plain"),
    ('tier in ["gold", "silver"]', "gold silver"),
    ('tier in ("gold", "silver") and order.amount > 100', "gold"),
    ("order.amount > 100", "gold"),
    ("order.amount >= 20 and order.amount < 250.6", "gold plain"),
    ("100 < order.amount", "gold"),
    ('order.amount = "250"', "silver"),
    ('order.amount > "2"', "silver"),
    ("order.amount between 1 and 30", "plain"),
    ("order.amount in [1..20]", "plain"),
    ("order.amount in [1..20)", ""),
    ("order.amount in (< 21)", "plain"),
    ('order.items.sku = "B 2"', "gold"),
    ('order.items[1].sku = "A-1"', "gold"),
    ('order.items[1].sku = "B 2"', ""),
    ('order.items[-1].sku = "B 2"', "gold"),
    ("order.items.n > 8", "gold"),
    ('order.`odd name` = "say \\"hi\\""', "gold"),
    ('starts with(order.items.sku, "B")', "gold"),
    ('contains(order.items.sku, " ")', "gold"),
    ('contains(order.items.sku, ".")', ""),
    ('contains(note, "Müller")', "plain"),
    ('contains(note, "M.ller")', ""),
    ('starts with(note, "call")', "plain"),
    ('starts with(tier, "g") or starts with(tier, "s")', "gold silver"),
    (f'starts with(long, "{"x" * 70}t")', "silver"),
    (f'starts with(long, "{"x" * 70}u")', ""),
    ('tags = "red"', ""),
    ('contains(tags, "red")', "plain"),
    ("express", "plain"),
    ("express = true", "plain"),
    ("none = null", "plain"),
    ("is defined(express)", "plain"),
    ("is defined(order.items)", "gold plain"),
    ("is defined(order.items[2])", "gold"),
    ("n = 7.0", "silver"),
    ('run.status = "running"', "gold plain silver"),
    ('run.status != "running"', ""),
    ('run.status in ["running", "failed"] and run.status != "failed"', "gold plain silver"),
    ("run.has_incident = true", "gold"),
    ('run.process = "claim" or order.amount > 100', "gold plain"),
    ('(run.process = "claim" or tier = "gold") and (order.amount < 100 or express = true)', "plain"),
    ('run.business_key = "7"', "silver"),
    ('starts with(run.business_key, "ORD")', "gold plain"),
    ('starts with(run.business_key, "ORD_")', "gold"),
    ('starts with(run.business_key, "ORD%")', "plain"),
    ('run.started >= "2020-01-01T00:00:00Z" and tier = "gold"', "gold"),
    ('run.started < "2020-01-01T00:00:00Z"', ""),
    ("run.version = 1", "gold plain silver"),
    ("run.priority >= 50", ""),
]


@pytest.mark.req("D-API-011")
async def test_what_is_asked_is_found(reader: Reader, three: dict[str, int]) -> None:
    names = {str(key): name for name, key in three.items()}
    for asked, expected in WHERE:
        found = await q.list_instances(reader, "", {"where": asked})
        assert {names[i["id"]] for i in found["items"]} == set(expected.split()), asked
        assert len(found["items"]) == len(expected.split()), asked
    assert (await q.list_instances(reader, "other", {"where": 'tier = "gold" or n = 7'}))["items"] == []
    both = await q.list_instances(reader, "", {"where": 'tier = "gold" or tier = "plain"', "definition": "order"})
    assert [i["id"] for i in both["items"]] == [str(three["gold"])]


@pytest.mark.req("D-API-011")
async def test_a_text_is_found_wherever_it_stands(reader: Reader, three: dict[str, int]) -> None:
    names = {str(key): name for name, key in three.items()}
    cases: list[tuple[dict[str, str], str]] = [
        ({"text": "gold"}, "gold"), ({"text": "ORD"}, "gold plain"), ({"text": "7"}, "silver"), ({"text": "claim"}, "plain"),
        ({"text": str(three["plain"])}, "plain"), ({"text": "x" * 70 + "tail"}, "silver"), ({"text": "x" * 70}, ""), ({"text": "true"}, "plain"),
        ({"text": "order", "where": 'tier = "gold"'}, "gold"), ({"text": "gold", "where": 'tier = "plain" or n = 7'}, ""),
        ({"text": "gold", "status": "completed"}, ""), ({"text": "' OR '1'='1"}, ""),
    ]  # fmt: skip
    for given, expected in cases:
        found = await q.list_instances(reader, "", given)
        assert [names[i["id"]] for i in found["items"]] == sorted(expected.split(), key=list(three).index, reverse=True), given


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("", "FEEL"), ("tier =", "FEEL"), ("tier = 'gold'", "FEEL"), ("1 = 1", "name of a variable"), ("tier", None), ("tier + 1 > 2", "path"),
        ("not(tier = 1)", "contains"), ("tier = other", "to compare with"), ("tier = [1]", "to compare with"), ('tier > true', "numbers and texts"),
        ("matches(tier, \"a\")", "contains"), ('contains(tier, "")', "isn't empty"), ('run.colour = "red"', "expected one of status"),
        ('run.status = "odd"', "pending"), ('run.status > "failed"', "compared by = or !="), ('run.started = "2020-01-01T00:00:00Z"', "compared by >="),
        ('run.version = "x"', "number"), ("run.has_incident = 1", "true or false"), ('run.started >= "soon"', "time"), ('items[0] = 1', "path"),
        ('items[tier] = 1', "path"), (f"{'n' * 256} = 1", "255"), ("x = 1e2000", "hold"), ('x = "\\u0000"', "hold"), ('x = "\\uD800"', None),
        ("if a then b else c", "joined by"), (" or ".join(f"n = {n}" for n in range(17)), "16 alternatives"), ("a" * 2_001, "2000 characters"),
        ("(" * 900 + "n = 1" + ")" * 900, None), (".".join("a" * 22) + " = 1", "20 parts"), ("x in []", "among"), ('x["a"] = 1', "path"),
        (" and ".join(["n in [1, 2]"] * 5), "16 alternatives"), ("a.b.c(1) = 2", "path"), ("run = 1", None), ('run.business_key = null', "value"),
    ],
)  # fmt: skip
async def test_what_cannot_be_asked_is_said(reader: Reader, asked: str, said: str | None) -> None:
    """One clear error, or rows; nothing else."""
    try:
        await q.list_instances(reader, "", {"where": asked})
    except BadQuery as e:
        assert str(e).startswith("where: ") and (said is None or said in str(e)), str(e)
    else:
        assert said is None


@pytest.mark.parametrize("text", ["", "  ", "a" * 201, "a\0b"])
async def test_a_text_has_bounds(reader: Reader, text: str) -> None:
    with pytest.raises(BadQuery, match=r"text: expected 1 to 200 characters"):
        await q.list_instances(reader, "", {"text": text})


@pytest.mark.req("D-API-005", "D-API-011")
async def test_pages_of_alternatives_have_each_instance_once(
    db: psycopg.AsyncConnection[Any], reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    log.keys[0] = 5_000  # no key is like a value
    d = log.definition("order")
    made = []
    for n in range(200):
        made.append(log.start(d, {"n": n, "half": n % 2, "third": n % 3, "o": {"n": n}}, process="order", business_key=f"K{n % 7}")[0])
        log.now_us += 3_600_000_000
    projector = Projector(db, VIEWS.values(), Context())
    for partition, records in log.records.items():
        await projector.apply([(partition, records, len(records))], ())
    cases: list[tuple[dict[str, str], Any]] = [
        ({"where": "half = 0 or third = 0"}, lambda n: n % 2 == 0 or n % 3 == 0),
        ({"where": "n > 150 or o.n < 20 or n = 77"}, lambda n: n > 150 or n < 20 or n == 77),
        ({"where": 'half = 1 and starts with(run.business_key, "K3")'}, lambda n: n % 2 == 1 and n % 7 == 3),
        ({"text": "1"}, lambda n: n == 1 or n % 2 == 1 or n % 3 == 1),
        ({"text": "1", "where": "n > 100 or third = 2"}, lambda n: (n == 1 or n % 2 == 1 or n % 3 == 1) and (n > 100 or n % 3 == 2)),
        ({"text": "1", "status": "running", "definition": "order"}, lambda n: n == 1 or n % 2 == 1 or n % 3 == 1),
    ]  # fmt: skip
    for common in (search.COMMON, 20):  # whether few have it, or many
        monkeypatch.setattr(search, "COMMON", common)
        for given, passes in cases:
            seen: list[int] = []
            cursor = None
            while True:
                page = await q.list_instances(reader, "", given, 30, cursor)
                seen += [int(i["id"]) for i in page["items"]]
                cursor = page["cursor"]
                if cursor is None:
                    break
                assert len(page["items"]) == 30
            assert seen == [key for n, key in reversed(list(enumerate(made))) if passes(n)], given


async def test_a_search_ends_in_time(reader: Reader, three: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "SEARCH_S", 0.2)
    monkeypatch.setattr(
        where, "_defined", lambda place: lambda w: w.variable(fi.Variable(place.name, where.sql.SQL("pg_sleep(30) IS NULL").format(), []))
    )
    with pytest.raises(TookTooLong, match=r"longer than 0\.2 s: ask for less"):
        await q.list_instances(reader, "", {"where": "is defined(tier)"})
    assert len((await q.list_instances(reader, "", {"where": 'tier = "gold"'}))["items"]) == 1


@pytest.mark.req("APG-PER-016")
async def test_a_search_asks_the_database_once_for_each_place_where_a_text_may_stand(
    reader: Reader, three: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once for its position; what is to be otherwise for it is told in one question, by the first of them."""
    asked: list[str] = []
    execute = Connection.execute

    async def noted(conn: Connection, query: Any, *values: Any, **more: Any) -> Any:
        asked.append(query if isinstance(query, str) else query.as_string(None))
        return await execute(conn, query, *values, **more)

    async with Reader(reader.pool.conninfo, reader.schema, size=1) as one:
        await q.list_instances(one, "", {"text": "gold"})
        monkeypatch.setattr(Connection, "execute", noted)
        for _ in range(2):
            asked.clear()
            assert len((await q.list_instances(one, "", {"text": "gold"}))["items"]) == 1
            told = [text for text in asked if "set_config" in text]
            # two places need no sort and are found in no order: from one to the other is a word more
            assert len(asked) - len(told) == 1 + len(search._stands("gold")) == 6 and len(told) <= 4, asked


@pytest.mark.req("APG-PER-016")
async def test_the_time_of_a_search_binds_no_question_after_it(
    reader: Reader, three: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Reader(reader.pool.conninfo, reader.schema, size=1) as one:
        show = "SELECT name, setting FROM pg_settings WHERE name IN ('statement_timeout', 'enable_sort', 'enable_nestloop')"

        async def settings(**asked: bool) -> dict[str, str]:
            return {row["name"]: row["setting"] for row in await one.rows(show, **asked)}

        for ended in (False, True):
            with contextlib.suppress(TookTooLong), within(1.6):
                inside = await settings(sorts=False, nested=False)
                left_ms = int(inside.pop("statement_timeout"))
                assert 0 < left_ms <= 1600 and left_ms % 100 == 0  # sixteen steps; the one that has begun counts
                assert inside == {"enable_sort": "off", "enable_nestloop": "off"}
                if ended:
                    await one.rows("SELECT pg_sleep(30)")
            assert await settings() == {"statement_timeout": "0", "enable_sort": "on", "enable_nestloop": "on"}
            assert await one.estimate("SELECT 1 FROM workflow_instances") >= 1

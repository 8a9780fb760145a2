"""The connector of MongoDB against FerretDB, which speaks its protocol (over SQLite): what is found, changed and kept, and what nobody may say."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest
from bson import Decimal128, Int64, ObjectId
from pydantic import ValidationError
from pymongo import MongoClient

from flowledger.connectors.mongodb import query
from flowledger.connectors.mongodb.config import MongoConfig
from tests.connectors import servers
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.test_http_connector import failure

ROOT = {"username": "root", "password": servers.FERRET_PASSWORD}


class MongoRig(Rig):
    connector = "mongodb"
    secret_at = "password"

    def __init__(self, port: int) -> None:
        self.to = ("127.0.0.1", port)
        self.admin: MongoClient[Any] = MongoClient("127.0.0.1", port, authSource="test", **ROOT)
        self.user, self.base = f"u{uuid.uuid4().hex[:10]}", f"d{uuid.uuid4().hex[:10]}"
        self.admin["admin"].command("createUser", self.user, pwd=SECRET, roles=[])
        self.rows = self.admin[self.base]["bookings"]

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {
            "host": host, "port": port, "tls": "verify" if tls else "off", "username": self.user, "password": "{{secrets.KEY}}", "database": self.base,
            "collection": "bookings", "documents": {"town": "Ulm", "weight": 7},
        }  # fmt: skip

    def headers(self) -> dict[str, Any]:
        return {"operation": "insert"}

    def checked(self, answer: Any) -> None:
        assert answer["inserted"] == (0 if answer["duplicate"] else 1) and len(answer["ids"]) == 1, answer

    async def rotate(self, value: str) -> None:
        self.admin["admin"].command("updateUser", self.user, pwd=value)

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        self.admin[self.base]["big"].insert_one({"text": "x" * 500_000})
        return {k: v for k, v in self.call(host, port).items() if k != "documents"} | {"collection": "big"}, {"operation": "find"}

    async def effects(self) -> list[str]:
        return [row["_id"] for row in self.rows.find()]

    def close(self) -> None:
        self.admin.drop_database(self.base)
        self.admin["admin"].command("dropUser", self.user)
        self.admin.close()


@pytest.fixture
def mongo(ferretdb_server: dict[str, str]) -> Iterator[MongoRig]:
    rig = MongoRig(int(ferretdb_server["port"]))
    yield rig
    rig.close()


class TestContract(Contract):
    @pytest.fixture
    def rig(self, mongo: MongoRig) -> Rig:
        return mongo


@pytest.fixture
async def do(mongo: MongoRig, bench) -> AsyncIterator[Any]:
    benches: dict[str, Any] = {}

    async def call(operation: str, *, key: str = "4711", settings: dict[str, Any] | None = None, **given: Any) -> Any:
        run = benches.setdefault(str(settings), None) or bench("mongodb", **(settings or {}))
        base = {k: v for k, v in mongo.call(*mongo.to).items() if k != "documents"}
        words = {
            k: v if isinstance(v, str) else json.dumps(v)
            for k, v in given.items()
            if k in ("filter", "update", "pipeline", "projection", "sort")
        }
        rest = {k: v for k, v in given.items() if k not in words}
        return (await run({**base, "password": SECRET, **rest}, {"operation": operation, **words, **OUT}, key=key))["out"]

    yield call


@pytest.mark.req("D-CON-002")
async def test_documents_are_inserted_found_changed_and_deleted(mongo: MongoRig, do):
    lines = [{"town": "Ulm", "weight": 7, "price": Decimal("1.10"), "tags": ["a", None]}, {"_id": "own", "town": "Bonn", "weight": 2**40}]
    assert await do("insert", documents=lines) == {"inserted": 2, "ids": ["4711-0", "own"], "duplicate": False}
    found = await do("find", filter={"town": {"$param": "town"}}, parameters={"town": "Ulm"})
    assert found == {"documents": [{"_id": "4711-0", **lines[0]}]}
    found = await do("find", sort={"weight": -1}, projection={"town": 1, "_id": 0})
    assert found == {"documents": [{"town": "Bonn"}, {"town": "Ulm"}]}
    assert (await do("find", sort={"weight": 1}, skip=1))["documents"][0]["weight"] == 2**40
    changed = await do(
        "update", filter={}, update={"$inc": {"weight": {"$param": "n"}}, "$set": {"seen": True}}, many=True, parameters={"n": 1}
    )
    assert changed == {"matched": 2, "modified": 2, "upserted": None}
    changed = await do("update", filter={"_id": "new"}, update={"$set": {"town": "Kiel"}}, upsert=True)
    assert (changed["matched"], changed["upserted"]) == (0, "new")
    assert await do("delete", filter={"town": {"$in": {"$param": "towns"}}}, parameters={"towns": ["Kiel", "Rome"]}) == {"deleted": 1}
    assert sorted(row["weight"] for row in mongo.rows.find()) == [8, 2**40 + 1]
    stages = [{"$match": {"seen": True}}, {"$group": {"_id": "$town", "n": {"$sum": 1}}}, {"$sort": {"_id": 1}}]
    assert await do("aggregate", pipeline=stages) == {"documents": [{"_id": "Bonn", "n": 1}, {"_id": "Ulm", "n": 1}]}


async def test_what_was_inserted_by_a_delivery_is_not_inserted_by_the_next(mongo: MongoRig, do):
    mongo.rows.insert_one({"_id": "4711-1", "town": "of the first delivery"})
    assert await do("insert", documents=[{"n": 0}, {"n": 1}]) == {"inserted": 1, "ids": ["4711-0", "4711-1"], "duplicate": False}
    assert (await do("insert", documents=[{"n": 0}, {"n": 1}]))["duplicate"] is True
    assert mongo.rows.count_documents({}) == 2
    found = await failure(do("insert", documents=[{"_id": "4711-0"}], key="78"))
    assert (found.code, found.retries) == ("DUPLICATE", 0)
    mongo.rows.create_index("town", unique=True)
    found = await failure(do("insert", documents=[{"town": "of the first delivery"}], key="79"))
    assert (found.code, found.retries) == ("DUPLICATE", 0), "another index has it"


async def test_values_go_there_and_come_back(mongo: MongoRig, do):
    id = ObjectId()
    mongo.rows.insert_one({"_id": id, "long": Int64(2**62), "raw": b"\xff", "double": 0.1})
    text = '{"_id": {"$param": "id", "as": "objectId"}}'
    assert (await do("find", filter=text, parameters={"id": str(id)}))["documents"] == [
        {"_id": str(id), "long": 2**62, "raw": "/w==", "double": Decimal("0.1")}
    ]
    assert (await do("find", filter={"_id": {"$oid": str(id)}}))["documents"][0]["long"] == 2**62
    update = '{"$set": {"at": {"$param": "at", "as": "date"}, "sum": {"$param": "sum"}}}'
    await do(
        "update", filter={"_id": {"$oid": str(id)}}, update=update, parameters={"at": "2026-11-30T12:00:00+01:00", "sum": Decimal("0.10")}
    )
    row = mongo.rows.find_one({"_id": id})
    assert row is not None and (row["at"].isoformat(), row["sum"]) == ("2026-11-30T11:00:00", 0.1)
    assert (await do("find"))["documents"][0]["at"] == "2026-11-30T11:00:00+00:00"


@pytest.mark.req("APG-SEC-007")
@pytest.mark.parametrize(
    "value", [{"$ne": None}, {"$where": "1"}, [{"$gt": ""}], {"a": {"$regex": "."}}]
)  # fmt: skip
async def test_data_is_no_operator(mongo: MongoRig, do, value: Any):
    mongo.rows.insert_one({"_id": 1, "password": "x"})
    found = await failure(do("find", filter={"password": {"$param": "p"}}, parameters={"p": value}))
    assert (found.code, found.retries) == ("REQUEST_INVALID", 0) and "stands in the model only" in found.message
    found = await failure(do("insert", documents=[{"a": value}]))
    assert found.code == "REQUEST_INVALID" and mongo.rows.count_documents({}) == 1
    found = await failure(do("find", filter={"$expr": {"$eq": ["$password", {"$param": "p"}]}}, parameters={"p": "$password"}))
    assert (found.code, found.retries) == ("REQUEST_INVALID", 0) and "means a field" in found.message


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"filter": '{"$where": "sleep(1)"}'}, "code isn't run"), ({"filter": '{"a": {"b": [{"$where": 1}]}}'}, "code isn't run"),
        ({"filter": '{"$expr": {"$function": {}}}'}, "code isn't run"),
        ({"filter": '{"a": {"$code": "x"}}'}, "code and references"), ({"filter": "[]"}, "expected an object"),
        ({"filter": "{"}, "expected JSON"), ({"filter": '{"a": {"$param": 1}}'}, "expected {"), ({"filter": '{"$param": "all"}'}, "expected an object"),
        ({"filter": '{"a":' * 51 + "1" + "}" * 51}, "at most 50 levels"), ({"filter": "x" * 100_001}, "at most 100000"), ({"sort": '{"a": 2}'}, "1 or -1"),
        ({"operation": "aggregate", "pipeline": '[{"$out": "a"}]'}, "only read"), ({"operation": "aggregate", "pipeline": '[{"$merge": "a"}]'}, "only read"),
        ({"operation": "aggregate", "pipeline": '[{"$facet": {"a": [{"$out": "b"}]}}]'}, "only read"),
        ({"operation": "aggregate", "pipeline": '[{"$lookup": {"from": "a", "as": "b", "pipeline": [{"$merge": "c"}]}}]'}, "only read"),
        ({"operation": "aggregate", "pipeline": '[{"$unionWith": "system.profile"}]'}, "of an application in $unionWith"),
        ({"operation": "aggregate", "pipeline": '[{"$unionWith": {"$param": "any"}}]'}, "of an application in $unionWith"),
        ({"operation": "aggregate", "pipeline": '[{"$facet": {"a": [{"$lookup": {"from": {"db": "x", "coll": "y"}, "as": "b"}}]}}]'}, "of an application in $lookup"),
        ({"operation": "aggregate", "pipeline": '[{"$graphLookup": {"from": "system.users"}}]'}, "of an application in $graphLookup"),
        ({"operation": "aggregate", "pipeline": '[{"$currentOp": {}}]'}, "only read"), ({"operation": "aggregate", "pipeline": "[]"}, "list of stages"),
        ({"operation": "aggregate", "pipeline": '[{"$group": {"_id": 1, "x": {"$accumulator": {}}}}]'}, "code isn't run"),
        ({"operation": "update", "filter": "{}", "update": '{"a": 1}'}, "operators of a change"), ({"operation": "update", "filter": "{}"}, "update: update needs it"),
        ({"operation": "delete"}, "{} for all"), ({"operation": "insert"}, "documents: insert needs it"), ({"operation": "insert", "filter": "{}"}, "insert takes none"),
        ({"operation": "mapReduce"}, "operation"), ({"database": "admin"}, "of an application"),
        ({"database": "a/b"}, "database"), ({"collection": "system.users"}, "of an application"),
        ({"collection": "a$b"}, "collection"), ({"username": "x"}, "expected username and password"), ({"maxDocuments": 10_001}, "10000"),
        ({"operation": "insert", "documents": [{}] * 1_001}, "at most 1000"),
    ],
)  # fmt: skip
def test_configurations_that_are_refused(given: dict[str, Any], words: str):
    with pytest.raises(ValidationError) as e:
        MongoConfig.model_validate({"host": "h", "database": "d", "collection": "c", **given})
    assert words in str(e.value), str(e.value)


def test_at_the_edge_of_the_limits():
    MongoConfig.model_validate(
        {"host": "h", "database": "d", "collection": "c", "filter": '{"a":' * 50 + "1" + "}" * 50, "maxDocuments": 10_000}
    )
    MongoConfig.model_validate({"host": "h", "database": "d", "collection": "c", "operation": "insert", "documents": [{}] * 1_000})
    with pytest.raises(ValueError, match="'n' is missing"):
        query.filled(query.parsed('{"a": {"$param": "n"}}'), {"m": 1})
    deep: Any = 1
    for _ in range(query.DEPTH_MAX):
        deep = [deep]
    assert query.data(deep, "x") == deep
    with pytest.raises(ValueError, match="at most 50 levels"):
        query.data([deep], "x")
    for value in (Decimal("0.1"), Decimal("1E+400"), Decimal("0.12345678901234567890"), 2**63):
        assert query.plain(query.data(value, "x")) == value
    exact = query.filled(query.parsed('{"a": {"$param": "n", "as": "decimal"}}'), {"n": "1.230"})
    assert exact == {"a": Decimal128("1.230")} and str(query.plain(exact)["a"]) == "1.230", "FerretDB has none"
    with pytest.raises(ValueError, match="expected objectId"):
        query.filled(query.parsed('{"a": {"$param": "n", "as": "objectId"}}'), {"n": "none"})


@pytest.mark.req("APG-SEC-007")
@pytest.mark.parametrize("value", ["$secret", "$$ROOT", ["$secret"], {"a": ["$secret"]}])
def test_data_names_no_field(value: Any):
    """In an expression a text that begins with $ means a field: data that says so would show one, or be equal to everything."""
    for text, expression in (
        ('{"$expr": {"$eq": ["$owner", {"$param": "p"}]}}', False), ('[{"$project": {"x": {"$param": "p"}}}]', True),
        ('[{"$match": {"$expr": {"$eq": ["$owner", {"$param": "p"}]}}}]', True), ('{"x": {"$param": "p"}}', True),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="means a field there"):
            query.filled(query.parsed(text), {"p": value}, expression)
    for text in ('[{"$match": {"owner": {"$param": "p"}}}]', '[{"$set": {"x": {"$literal": {"$param": "p"}}}}]'):
        assert str(value) in str(query.filled(query.parsed(text), {"p": value}, True))
    assert query.filled(query.parsed('{"owner": {"$param": "p"}}'), {"p": value}) == {"owner": value}
    assert {"pipeline", "projection"} == query.EXPRESSIONS


@pytest.mark.parametrize("value", [10**40 + 1, Decimal(10**40 + 1), Decimal("1E+7000")])
def test_a_number_that_bson_has_not(value: Any):
    with pytest.raises(ValueError, match="at most 34 digits"):
        query.data(value, "documents.0")


async def test_answers_have_limits(mongo: MongoRig, do):
    mongo.rows.insert_many([{"_id": i, "text": "x" * 100} for i in range(300)])
    assert len((await do("find", maxDocuments=300))["documents"]) == 300
    found = await failure(do("find", maxDocuments=299))
    assert (found.code, found.retries) == ("ANSWER_TOO_LARGE", 0) and "299 documents" in found.message
    found = await failure(do("find", settings={"connector_answer_bytes_max": 10_000}))
    assert (found.code, found.retries) == ("ANSWER_TOO_LARGE", 0)


async def test_what_the_server_refuses(mongo: MongoRig, do):
    mongo.rows.insert_one({"_id": 1, "a": "text"})
    found = await failure(do("update", filter={}, update={"$inc": {"a": 1}}))
    assert (found.code, found.retries) == ("MONGODB", 0) and "(code" in found.message, found.message

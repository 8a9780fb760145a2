"""One operation on one collection, by MongoDB's own driver over a connection of ours."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from flowledger.connectors import reach
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.mongodb import query
from flowledger.connectors.mongodb.config import MongoConfig
from flowledger.connectors.mongodb.relay import Relay, cause
from flowledger.connectors.outcomes import SENT
from flowledger.infra.egress import SERVICES

#: server's codes: who we are; what the user may not; another attempt may help (not the primary now, going down, a conflict of transactions, no room)
_NOT_LET_IN, _NOT_ALLOWED, _DUPLICATE, _EXPIRED = {11, 18, 8000}, {13, 33}, 11_000, 50
_AGAIN = {6, 7, 64, 89, 91, 112, 189, 202, 9001, 10107, 11600, 11602, 13435, 13436}
#: seconds that the driver gets to notice that it is not wanted any more
BYE_S = 2.0


class MongoConnector:
    name = "mongodb"
    job_type = "flowledger:mongodb"
    aliases: tuple[str, ...] = ()
    config: type[Config] = MongoConfig

    async def call(self, config: MongoConfig, call: Call) -> dict[str, Any]:
        """`{documents}`, `{inserted, ids}`, `{matched, modified, upserted}` or `{deleted}`. Raises: Failed, and what `outcomes` knows."""
        try:
            import pymongo  # noqa: F401 - it is there
        except ImportError:
            raise reach.lacking("pymongo") from None
        try:
            wanted = {name: query.filled(text, config.parameters, name in query.EXPRESSIONS) for name, text in config.said().items()}
            documents = [query.data(document, f"documents.{i}") for i, document in enumerate(config.documents)]
        except ValueError as e:
            raise Failed("REQUEST_INVALID", str(e)) from None
        relay = Relay(call, config.host, config.port or SERVICES["mongodb"], config.tls == "verify")
        async with reach.within(config.timeout_in_seconds, call), relay.open():
            work = asyncio.create_task(_done(config, call, relay, wanted, documents))
            broken = asyncio.create_task(relay.broken.wait())
            try:
                await asyncio.wait({work, broken}, return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    raise cause(relay)
                return work.result()
            except Exception as e:
                raise _failed(e, relay) from e
            finally:
                work.cancel()
                broken.cancel()
                await asyncio.wait({work, broken}, timeout=BYE_S)


async def _done(config: MongoConfig, call: Call, relay: Relay, wanted: dict[str, Any], documents: list[dict[str, Any]]) -> dict[str, Any]:
    from bson.codec_options import CodecOptions
    from pymongo import AsyncMongoClient

    ms = max(1, int(min(config.timeout_in_seconds, call.seconds_max) * 1000))
    who: dict[str, Any] = (
        {"username": config.username, "password": config.password, "authSource": config.auth_database} if config.username else {}
    )
    place = f"mongodb://{quote(relay.path, safe='')}"
    # one server, no others that it names; no second attempt of the driver's own: jobs have theirs
    client: Any = AsyncMongoClient(
        place, directConnection=True, retryWrites=False, retryReads=False, serverSelectionTimeoutMS=ms, appname="flowledger", maxPoolSize=1,
        tz_aware=True, **who,
    )  # fmt: skip
    try:
        collection = client[config.database].get_collection(config.collection, codec_options=CodecOptions(tz_aware=True))
        found: dict[str, Any] = await _ASKED[config.operation](config, call, collection, wanted, documents, ms)
        return found
    finally:
        await client.close()


async def _find(config: MongoConfig, call: Call, collection: Any, wanted: dict[str, Any], _: Any, ms: int) -> dict[str, Any]:
    cursor = collection.find(
        wanted["filter"] or {}, wanted["projection"], skip=config.skip, sort=wanted["sort"], limit=config.max_documents + 1, max_time_ms=ms
    )
    return await _all(config, call, cursor)


async def _aggregate(config: MongoConfig, call: Call, collection: Any, wanted: dict[str, Any], _: Any, ms: int) -> dict[str, Any]:
    return await _all(config, call, await collection.aggregate(wanted["pipeline"], maxTimeMS=ms, allowDiskUse=False))


async def _all(config: MongoConfig, call: Call, cursor: Any) -> dict[str, Any]:
    found: list[Any] = []
    size = 0
    async with cursor:
        async for document in cursor:
            if len(found) == config.max_documents:
                raise Failed("ANSWER_TOO_LARGE", f"expected at most {config.max_documents} documents (maxDocuments), found more")
            made = query.plain(document)
            size += reach.size(made)
            if size > call.answer_bytes_max:
                raise reach.too_large(call.answer_bytes_max)
            found.append(made)
    return {"documents": found}


async def _insert(_: MongoConfig, call: Call, collection: Any, __: Any, documents: list[dict[str, Any]], ___: int) -> dict[str, Any]:
    """Documents without an id get one of the work's key: a second delivery finds them there."""
    from pymongo.errors import BulkWriteError

    made = [d if "_id" in d else {"_id": f"{call.key}-{i}", **d} for i, d in enumerate(documents)]
    there = 0
    try:
        # not in order: what the first delivery has not reached is inserted by the second
        await collection.insert_many(made, ordered=False)
    except BulkWriteError as e:
        wrong = e.details.get("writeErrors", ())
        for row in wrong:
            if row.get("code") != _DUPLICATE or "_id" in documents[row["index"]]:
                raise Failed(*_words(row.get("code"), str(row.get("errmsg")))) from None
        ids = [made[row["index"]]["_id"] for row in wrong]
        there = await collection.count_documents({"_id": {"$in": ids}})
        if there != len(ids):  # it was another index that has it
            raise Failed(*_words(_DUPLICATE, str(wrong[0].get("errmsg")))) from None
    return {"inserted": len(made) - there, "ids": [query.plain(d["_id"]) for d in made], "duplicate": there == len(made)}


async def _update(config: MongoConfig, _: Call, collection: Any, wanted: dict[str, Any], __: Any, ___: int) -> dict[str, Any]:
    do = collection.update_many if config.many else collection.update_one
    found = await do(wanted["filter"], wanted["update"], upsert=config.upsert)
    return {"matched": found.matched_count, "modified": found.modified_count, "upserted": query.plain(found.upserted_id)}


async def _delete(config: MongoConfig, _: Call, collection: Any, wanted: dict[str, Any], __: Any, ___: int) -> dict[str, Any]:
    do = collection.delete_many if config.many else collection.delete_one
    return {"deleted": (await do(wanted["filter"])).deleted_count}


_ASKED: dict[str, Any] = {"find": _find, "aggregate": _aggregate, "insert": _insert, "update": _update, "delete": _delete}


def _words(code: int | None, said: str) -> tuple[str, str]:
    said = " ".join(said.split())[:300]
    if code in _NOT_LET_IN:
        return "AUTHENTICATION", f"the server does not let us in: {said}"
    if code in _NOT_ALLOWED:
        return "AUTHENTICATION", f"the user may not do that: {said}"
    if code == _DUPLICATE:
        return "DUPLICATE", f"there is such a document already: {said}"
    return "MONGODB", f"the server refuses it: {said}{f' (code {code})' if code is not None else ''}"


def _failed(e: Exception, relay: Relay) -> Exception:
    """What the way knows says more than what the driver makes of it."""
    from pymongo import errors

    if isinstance(e, Failed):
        return e
    if isinstance(e, errors.OperationFailure) and not isinstance(e, errors.NotPrimaryError):
        if e.code in _AGAIN or e.has_error_label("TransientTransactionError"):
            return Failed("BUSY", f"the server can't now: {_words(e.code, str(e))[1]}", again=True)
        if e.code == _EXPIRED:
            return Failed("TIMEOUT", "the server ended its work after its time", again=True)
        return Failed(*_words(e.code, str(e)))
    if isinstance(e, errors.NotPrimaryError):
        return Failed("BUSY", "the server is not the primary now", again=True)
    if isinstance(e, (errors.AutoReconnect, errors.NetworkTimeout, errors.ServerSelectionTimeoutError)):
        found = relay.error
        return found if isinstance(found, Exception) else Failed("CUT", f"the connection broke{SENT}", again=True)
    if isinstance(e, (errors.PyMongoError, OverflowError)) or type(e).__module__.startswith("bson"):
        return Failed("REQUEST_INVALID", f"the driver can't send it: {' '.join(str(e).split())[:300]}")
    return e

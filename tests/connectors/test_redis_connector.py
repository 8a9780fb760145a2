"""The connector of Redis against a real server: commands, transactions, what is done once, and what nobody may say."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import redis

from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure


class RedisRig(Rig):
    connector = "redis"
    secret_at = "password"

    def __init__(self, server: dict[str, str]) -> None:
        self.to = ("127.0.0.1", int(server["port"]))
        self.admin = redis.Redis(port=int(server["port"]), decode_responses=True)
        self.user, self.prefix = f"u{uuid.uuid4().hex[:10]}", uuid.uuid4().hex[:10]
        self.admin.execute_command("ACL", "SETUSER", self.user, "on", f">{SECRET}", "~*", "&*", "+@all")

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {
            "host": host, "port": port, "tls": "verify" if tls else "off", "username": self.user, "password": "{{secrets.KEY}}", "onceForSeconds": 60,
            "commands": [{"command": "rpush", "arguments": [self.prefix, {"weight": 7}]}, {"command": "GET", "arguments": ["none"]}],
        }  # fmt: skip

    def checked(self, answer: Any) -> None:
        assert answer == {"duplicate": True} or (answer["results"][0] >= 1 and answer["results"][1] is None)

    async def rotate(self, value: str) -> None:
        self.admin.execute_command("ACL", "SETUSER", self.user, "resetpass", f">{value}")

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        self.admin.set(f"{self.prefix}-big", "x" * 100_000)
        base = {k: v for k, v in self.call(host, port).items() if k not in ("commands", "onceForSeconds")}
        return {**base, "command": "GET", "arguments": [f"{self.prefix}-big"]}, {}

    async def effects(self) -> list[str]:
        return [f"{i}" for i, _ in enumerate(self.admin.lrange(self.prefix, 0, -1))]


@pytest.fixture
def redis_rig(redis_server: dict[str, str]) -> RedisRig:
    rig = RedisRig(redis_server)
    rig.admin.flushall()
    return rig


class TestContract(Contract):
    @pytest.fixture
    def rig(self, redis_rig: RedisRig) -> Rig:
        return redis_rig


@pytest.fixture
async def do(redis_rig: RedisRig, bench) -> AsyncIterator[Any]:
    run = bench("redis")

    async def call(*words: Any, key: str = "4711", **more: Any) -> Any:
        base = {k: v for k, v in redis_rig.call(*redis_rig.to).items() if k not in ("commands", "onceForSeconds")}
        given = {"command": words[0], "arguments": list(words[1:])} if words else {}
        return (await run({**base, "password": SECRET, **given, **more}, OUT, key=key))["out"]

    yield call


async def test_values_and_answers(redis_rig: RedisRig, do):
    assert await do("SET", "a", "\u00fc 'x' \r\nGET b") == {"result": "OK"}
    assert await do("get", "a") == {"result": "\u00fc 'x' \r\nGET b"}
    await do("HSET", "h", "n", Decimal("1.50"), "b", True, "j", {"a": [1]})
    assert await do("HGETALL", "h") == {"result": {"n": "1.50", "b": "true", "j": '{"a":[1]}'}}
    await do("SADD", "s", "b", "a")
    assert sorted((await do("SMEMBERS", "s"))["result"]) == ["a", "b"], "the server's order of a set is its own"
    await do("ZADD", "z", 1.5, "m")
    assert await do("ZSCORE", "z", "m") == {"result": Decimal("1.5")}
    redis_rig.admin.set("raw", b"\xff\x00")
    assert await do("GET", "raw") == {"result": "/wA="}
    assert (await do("XADD", "x", "*", "k", "v"))["result"].count("-") == 1
    assert await do("MGET", "a", "none") == {"result": ["\u00fc 'x' \r\nGET b", None]}


async def test_several_are_one_transaction(redis_rig: RedisRig, do):
    both = [{"command": "SET", "arguments": ["a", 1]}, {"command": "INCR", "arguments": ["a"]}]
    assert await do(commands=both) == {"results": ["OK", 2]}
    found = await failure(do(commands=[{"command": "SET", "arguments": ["b", 1]}, {"command": "SET", "arguments": ["b"]}]))
    assert (found.code, found.retries) == ("REDIS", 0) and redis_rig.admin.get("b") is None


async def test_once(redis_rig: RedisRig, do):
    assert await do("INCR", "n", onceForSeconds=60) == {"result": 1}
    assert await do("INCR", "n", onceForSeconds=60) == {"duplicate": True}
    assert await do("INCR", "n", onceForSeconds=60, key="78") == {"result": 2}
    assert 0 < redis_rig.admin.ttl("flowledger:done:4711") <= 60
    wrong = await failure(do("INCR", "n", "m", onceForSeconds=60, key="79"))
    assert wrong.code == "REDIS" and await do("INCR", "n", onceForSeconds=60, key="79") == {"result": 3}


@pytest.mark.parametrize(
    "name", ["FLUSHALL", "CONFIG", "EVAL", "KEYS", "BLPOP", "SUBSCRIBE", "SHUTDOWN", "MULTI", "AUTH", "SCRIPT", "SET\r\nFLUSHALL", ""]
)
async def test_what_nobody_may_say(redis_rig: RedisRig, do, name: str):
    redis_rig.admin.set("kept", "1")
    found = await failure(do(name, "kept"))
    assert (found.code, found.retries) == ("CONFIGURATION", 0) and redis_rig.admin.get("kept") == "1"


async def test_what_the_server_refuses(redis_rig: RedisRig, do):
    redis_rig.admin.set("a", "text")
    assert (await failure(do("LPUSH", "a", "x"))).code == "REDIS"
    redis_rig.admin.execute_command("ACL", "SETUSER", redis_rig.user, "-incr")
    assert (await failure(do("INCR", "b"))).code == "AUTHENTICATION"
    assert (await failure(do("GET", "a", database=99))).code in ("REDIS", "CUT")


GOOD = {"host": "r", "command": "SET", "arguments": "= args"}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [(GOOD, ""), ({**GOOD, "command": "KEYS"}, "command"), ({"host": "r"}, "command"), ({**GOOD, "database": "-1"}, "database")],
)
def test_findings(inputs, words: str):
    found = said(inputs, {}, "flowledger:redis")
    assert bool(found) == bool(words) and (not words or words in found[0][2]), found

"""Commands for Redis (or Valkey) on one connection, several of them as one transaction; only commands that read or change data by key."""

from __future__ import annotations

import asyncio
import base64
from decimal import Decimal
from typing import Annotated, Any, Self

import msgspec
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from flowledger.connectors import reach
from flowledger.connectors.fields import Host, Index, Port, Seconds, Secret, Tls
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.outcomes import SENT
from flowledger.infra.egress import SERVICES

COMMANDS_MAX = 50
ARGUMENTS_MAX = 1_000
#: what a model may say; nothing that waits, looks at all keys, runs code or changes the server
ALLOWED = frozenset(
    "APPEND DECR DECRBY DEL EXISTS EXPIRE EXPIREAT GET GETDEL GETEX GETRANGE GETSET HDEL HEXISTS HGET HGETALL HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET "
    "HSET HSETNX HVALS INCR INCRBY INCRBYFLOAT LINDEX LINSERT LLEN LMOVE LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM MGET MSET MSETNX PERSIST PEXPIRE "
    "PING PSETEX PTTL PUBLISH RENAME RENAMENX RPOP RPUSH RPUSHX SADD SCARD SDIFF SET SETEX SETNX SETRANGE SINTER SISMEMBER SMEMBERS SMISMEMBER SMOVE "
    "SPOP SRANDMEMBER SREM STRLEN SUNION TTL TYPE UNLINK XADD XDEL XLEN XRANGE XREVRANGE XTRIM ZADD ZCARD ZCOUNT ZINCRBY ZMSCORE ZPOPMAX ZPOPMIN ZRANGE "
    "ZRANK ZREM ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANK ZSCORE".split()
)
#: beginnings of errors after which another attempt may help
_AGAIN = ("LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "OOM")
_encode = msgspec.json.Encoder(decimal_format="number").encode


def _known(name: str) -> str:
    found = name.strip().upper()
    if found not in ALLOWED:
        raise ValueError("expected a command that reads or changes data by key, such as GET, SET, HSET, LPUSH, XADD, PUBLISH")
    return found


def _argument(value: Any) -> Any:
    """As Redis takes it: a text."""
    if isinstance(value, bool) or isinstance(value, (dict, list)):
        return _encode(value).decode()
    return format(value, "f") if isinstance(value, Decimal) else str(value) if isinstance(value, (int, float)) else value


Command = Annotated[str, Field(min_length=1, max_length=20), AfterValidator(_known)]
Arguments = Annotated[list[Annotated[str, BeforeValidator(_argument)]], Field(max_length=ARGUMENTS_MAX)]


class One(Config):
    command: Command
    arguments: Arguments = []


class RedisConfig(Config):
    """Reads or changes data of Redis or Valkey."""

    model_config = ConfigDict(title="Redis")

    host: Host = Field(description="Name or address of the server", title="Host")
    port: Port | None = Field(None, description="Empty: 6379", title="Port")
    tls: Tls = Field("verify", description="verify: TLS, and the server is who it says; off: only where the way is safe", title="TLS")
    database: Index = Field(0, description="Its number", title="Database")
    username: Annotated[str, Field(max_length=256)] = Field("", description="Empty: the default user", title="User")
    password: Secret | None = Field(None, description="A reference: {{secrets.NAME}}", title="Password")
    command: Command | None = Field(None, description="One command, such as SET", title="Command")
    arguments: Arguments = Field([], description="A list; contexts and lists in it go as JSON", title="Arguments")
    commands: Annotated[list[One], Field(max_length=COMMANDS_MAX)] = Field(
        [], description="Several, as one transaction: list of {command, arguments}", title="Commands"
    )
    once_for_seconds: Index = Field(
        0, description="So long the work is known by its key, and a second delivery does nothing; 0: not at all", title="Once for (s)"
    )
    timeout_in_seconds: Seconds = Field(20, description="For all of the call", title="Time limit (s)")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.command is None) == (not self.commands):
            raise ValueError("expected command, or commands")
        return self

    @property
    def all(self) -> list[tuple[str, list[str]]]:
        return [(one.command, one.arguments) for one in self.commands] or [(self.command or "", self.arguments)]


class RedisConnector:
    name = "redis"
    job_type = "flowledger:redis"
    aliases: tuple[str, ...] = ()
    config: type[Config] = RedisConfig

    async def call(self, config: RedisConfig, call: Call) -> dict[str, Any]:
        """`{result}` or `{results}`; `{duplicate: true}` of what was done before. Raises: Failed, and what `outcomes` knows."""
        try:
            import redis.asyncio  # noqa: F401 - it is there
        except ImportError:
            raise reach.lacking("redis") from None
        async with reach.within(config.timeout_in_seconds, call):
            port = config.port or SERVICES["redis"]
            places = await reach.addresses(call, "redis", config.host, port)
            connected = await reach.each(places, lambda place: reach.socket_to(place, port))
            try:
                found = await _done(config, call, connected)
            except Exception as e:
                raise _failed(e) from e
            finally:
                connected.close()
        if found is None:
            return {"duplicate": True}
        values = [_plain(value) for value in found]
        if reach.size(values) > call.answer_bytes_max:
            raise reach.too_large(call.answer_bytes_max)
        return {"results": values} if config.commands else {"result": values[0]}


async def _done(config: RedisConfig, call: Call, connected: Any) -> list[Any] | None:
    """What each command answers; None: all of it was done before."""
    connection = _connection(config, call, connected)
    await connection.connect()
    try:
        if config.once_for_seconds:
            mark = f"flowledger:done:{call.key}"
            await _asked(connection, "WATCH", mark)
            if await _asked(connection, "EXISTS", mark):
                return None
            commands = [("SET", [mark, "1", "EX", str(config.once_for_seconds)]), *config.all]
            return (await _together(connection, commands))[1:]
        if config.commands:
            return await _together(connection, config.all)
        name, arguments = config.all[0]
        return [await _asked(connection, name, *arguments)]
    finally:
        await connection.disconnect(nowait=True)


async def _asked(connection: Any, *words: str) -> Any:
    await connection.send_command(*words)
    return await connection.read_response()


async def _together(connection: Any, commands: list[tuple[str, list[str]]]) -> list[Any]:
    """Raises: what the first wrong one says; then none of them is done, unless it is wrong for the value that it finds."""
    await _asked(connection, "MULTI")
    for name, arguments in commands:
        await _asked(connection, name, *arguments)
    found = await _asked(connection, "EXEC")
    if found is None:  # somebody else set the mark meanwhile
        raise Failed("CONFLICT", "another delivery of the work was in the way", again=True)
    for value in found:
        if isinstance(value, Exception):
            raise value
    return list(found)


def _connection(config: RedisConfig, call: Call, connected: Any) -> Any:
    from redis.asyncio import Connection
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    class Way(Connection):
        async def _connect(self) -> None:
            tls = config.tls == "verify"
            self._reader, self._writer = await reach.streams(connected, call.gate.tls if tls else None, config.host, call.answer_bytes_max)

    return Way(
        host=config.host, db=config.database, username=config.username or None, password=config.password, retry=Retry(NoBackoff(), 0),
        protocol=3, decode_responses=False, client_name="flowledger", socket_timeout=None,
    )  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            return base64.b64encode(bytes(value)).decode()
    if isinstance(value, dict):
        return {str(_plain(k)): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (set, frozenset)):  # as one of the library's parsers has them; the other gives a list in the server's order
        return sorted((_plain(v) for v in value), key=str)
    return reach.plain(value)


def _failed(e: Exception) -> Exception:
    from redis import exceptions as lib

    cause: BaseException | None = e
    while cause is not None:
        if isinstance(cause, Failed):
            return cause
        cause = cause.__cause__ or cause.__context__
    said = str(e)[:300]
    if isinstance(e, (lib.AuthenticationError, lib.NoPermissionError)) or said.startswith(
        ("WRONGPASS", "NOAUTH", "invalid username-password")
    ):
        return Failed("AUTHENTICATION", f"the server does not let us in: {said}")
    if reach.tls_of(e) is not None:
        return Failed("TLS", f"the server is not who it says, or speaks no TLS: {reach.tls_of(e)}")
    if isinstance(e, lib.BusyLoadingError) or said.startswith(_AGAIN):
        return Failed("BUSY", f"the server can't now: {said}", again=True)
    if isinstance(e, (lib.TimeoutError, asyncio.TimeoutError)):
        return Failed("TIMEOUT", f"no answer within the time{SENT}", again=True)
    if isinstance(e, (lib.ConnectionError, ConnectionError)):
        return Failed("CUT", f"the connection broke{SENT}", again=True)
    if isinstance(e, lib.RedisError):
        return Failed("REDIS", f"the server refuses the command: {said}")
    return e

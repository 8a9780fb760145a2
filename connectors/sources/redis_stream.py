"""A stream of Redis (or Valkey) as a source. A place is an entry's id as one number; it stands on the trigger's home, so no consumer group is made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from flowledger.connectors import reach
from flowledger.connectors.frame import Failed
from flowledger.connectors.sources.frame import Away, Got, Opening, beginning, begun
from flowledger.connectors.sources.shared import addresses, secret, text, value_of, why
from flowledger.events.triggers import TriggerItem
from flowledger.infra.egress import SERVICES
from flowledger.logs import log

#: how long a look waits for more (milliseconds), how many entries it takes at most, and how long an answer may take (seconds)
LOOK_MS, ENTRIES_MAX, PATIENCE_S = 500, 200, 10.0
#: of an id `MS-N` the second number has so many bits
NUMBER_BITS = 20
PART = "stream"
log_ = log("sources")


def place_of(id: bytes | str) -> int:
    """Raises: Away."""
    first, _, second = (id.decode() if isinstance(id, bytes) else id).partition("-")
    ms, number = int(first), int(second or 0)
    if number >> NUMBER_BITS or ms >= 1 << (62 - NUMBER_BITS):
        raise Away(f"the entry {first}-{second} has an id beyond what can be remembered: expected those that the server makes")
    return ms << NUMBER_BITS | number


def id_of(place: int) -> str:
    return f"{place >> NUMBER_BITS}-{place & ((1 << NUMBER_BITS) - 1)}"


async def open_stream(opening: Opening) -> RedisStream:
    try:
        from redis.exceptions import RedisError
    except ImportError:
        raise Away(reach.lacking("redis").message) from None
    config = opening.config
    host, port = config["host"], config.get("port", SERVICES["redis"])
    places = await addresses(opening.gate, "redis", host, port)
    password = await secret(opening, config["password"]) if "password" in config else None
    try:
        async with asyncio.timeout(PATIENCE_S):
            connected = await reach.each(places, lambda place: reach.socket_to(place, port))
    except (OSError, Failed) as e:
        raise Away(f"Redis can't be read: {why(e)}") from None
    tls = opening.gate.tls if config.get("tls", "verify") == "verify" else None
    found = RedisStream(opening, _connection(config, password, connected, tls))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await found.start()
    except BaseException as e:
        await found.close()
        connected.close()
        if isinstance(e, (RedisError, OSError)):
            raise Away(f"Redis can't be read: {why(e)}") from None
        raise
    return found


def _connection(config: Any, password: str | None, connected: Any, tls: Any) -> Any:
    from redis.asyncio import Connection
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    class Way(Connection):
        async def _connect(self) -> None:
            self._reader, self._writer = await asyncio.open_connection(
                sock=connected, ssl=tls, server_hostname=config["host"] if tls is not None else None
            )

    return Way(
        host=config["host"], db=config.get("database", 0), username=config.get("username") or None, password=password, retry=Retry(NoBackoff(), 0),
        protocol=3, decode_responses=False, client_name="flowledger", socket_timeout=None,
    )  # fmt: skip


class RedisStream:
    def __init__(self, opening: Opening, connection: Any) -> None:
        config = opening.config
        self.connection = connection
        self.stream: str = config["stream"]
        self._field: str = config.get("field", "")
        self._value: str = config.get("value", "json" if self._field else "text")
        self._from_now = config.get("from") != "start" and not begun(opening)
        self._place = opening.places.get(PART)
        self._first: list[Got] = []

    async def _ask(self, *words: Any) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            await self.connection.send_command(*words)
            return await self.connection.read_response()

    async def start(self) -> None:
        """Raises: Away."""
        await self.connection.connect()
        about: dict[str, Any] = {}
        if (kind := await self._ask("TYPE", self.stream)) == b"stream":
            told = await self._ask("XINFO", "STREAM", self.stream)
            pairs = told.items() if isinstance(told, dict) else zip(told[::2], told[1::2], strict=True)
            about = {bytes(k).decode(): v for k, v in pairs}
        elif kind != b"none":
            raise Away(f"{self.stream} is a {kind.decode()}, expected a stream")
        last = place_of(about.get("last-generated-id", b"0-0"))
        if self._place is not None and about and last < self._place:
            raise Away(
                f"the stream {self.stream} ends at {id_of(last)}, and was read up to {id_of(self._place)}: it was made anew; delete the trigger and put it "
                "again to read what is there now"
            )
        if self._place is not None and place_of(about.get("max-deleted-entry-id", b"0-0")) > self._place:
            log_.warning("entries were gone before they were read", stream=self.stream, after=id_of(self._place))
        if self._place is None:
            self._place = last if self._from_now else 0
        if self._from_now:
            self._first = beginning({PART: self._place + 1})

    async def batches(self) -> AsyncIterator[Got]:
        from redis.exceptions import RedisError

        for got in self._first:
            yield got
        assert self._place is not None, "it is started"
        try:
            while True:
                found = await self._ask("XREAD", "COUNT", ENTRIES_MAX, "BLOCK", LOOK_MS, "STREAMS", self.stream, id_of(self._place))
                for _, entries in (found.items() if isinstance(found, dict) else found) if found else ():
                    items = [self._item(id, fields or []) for id, fields in entries]
                    if items:
                        yield Got(PART, items)
                        self._place = items[-1].place
        except (RedisError, OSError) as e:
            raise Away(f"Redis can't be read: {why(e)}") from None

    def _item(self, id: bytes, fields: list[bytes]) -> TriggerItem:
        told = {text(name): value for name, value in zip(fields[::2], fields[1::2], strict=False)}
        context: dict[str, Any] = {"payload": {k: text(v) for k, v in told.items()}, "id": id.decode(), "stream": self.stream}
        reason = ""
        if self._field:
            context["fields"] = {k: v for k, v in context["payload"].items() if k != self._field}
            if (raw := told.get(self._field)) is None:
                context["payload"], reason = None, f"it has no field {self._field}"
            else:
                try:
                    context["payload"] = value_of(raw, self._value)
                except (ValueError, RecursionError) as e:
                    context["payload"], reason = text(raw), f"its field {self._field} can't be read as {self._value}: {str(e)[:200]}"
        return TriggerItem(context=context, place=place_of(id), reason=reason)

    async def acknowledge(self, got: Got) -> None:
        """The stream keeps what was read."""

    def lag(self) -> int:
        return -1

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            await self.connection.disconnect(nowait=True)

"""A queue of RabbitMQ (AMQP 0-9-1) as a source. A queue has no places: a message is acknowledged once the log has what became of it, and one that comes
again is known by its message id, or by the key of the trigger.

aiormq is the client below aio-pika: it takes a way to connect of ours, so that addresses stay those that the gate has checked, and coming back after a
loss is the reader's (`readers.py`), as with all sources.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import time
from collections.abc import AsyncIterator
from typing import Any

from flowledger.connectors import amqp, reach
from flowledger.connectors.frame import Failed
from flowledger.connectors.sources.frame import BEGUN, Away, Got, Opening, begun
from flowledger.connectors.sources.shared import addresses, secret, text, value_of, why
from flowledger.events.triggers import TriggerItem

PART = "queue"
#: messages that are told at once; that the server hands out beforehand, where the trigger says nothing; how often it is asked how many wait (seconds)
MESSAGES_MAX, PREFETCH, ASK_S = 200, 100, 5.0
PATIENCE_S = 10.0
DEPTH_MAX = 20
AGAIN = "it comes again and has no message id: it may have been taken before"


async def open_queue(opening: Opening) -> RabbitQueue:
    try:
        import aiormq.exceptions as lib
    except ImportError:
        raise Away(reach.lacking("aiormq").message) from None
    config = opening.config
    tls = opening.gate.tls if config.get("tls", "verify") == "verify" else None
    host, port = config["host"], config.get("port", amqp.PORTS["off" if tls is None else "verify"])
    places = await addresses(opening.gate, "amqp", host, port)
    password = await secret(opening, config["password"])
    try:
        async with asyncio.timeout(PATIENCE_S):
            connected = await reach.each(places, lambda place: reach.socket_to(place, port))
    except (OSError, Failed) as e:
        raise Away(f"RabbitMQ can't be read: {why(e)}") from None
    found = RabbitQueue(opening, amqp.connection(connected, tls, host, config["username"], password, config.get("virtual_host", "/")))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await found.start()
    except BaseException as e:
        await found.close()
        connected.close()
        if isinstance(e, (lib.AMQPError, OSError, asyncio.CancelledError)) and not _ours(e):
            raise Away(f"RabbitMQ can't be read: {_why(e)}") from None
        raise
    return found


def _ours(e: BaseException) -> bool:
    """We are cancelled; else it is the library, which ends its own waits so."""
    task = asyncio.current_task()
    return isinstance(e, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _why(e: BaseException) -> str:
    if isinstance(e, asyncio.CancelledError):
        return "the connection broke"
    if (broken := reach.tls_of(e)) is not None:
        return f"the server is not who it says, or speaks no TLS: {broken}"
    return amqp.not_let_in(e) or why(e)


class RabbitQueue:
    def __init__(self, opening: Opening, connection: Any) -> None:
        config = opening.config
        self.connection = connection
        self.queue: str = config["queue"]
        self._value: str = config.get("value", "json")
        self._prefetch: int = config.get("prefetch", PREFETCH)
        self._parks = config.get("redelivered") == "park"
        self._begun = begun(opening)
        self._come: asyncio.Queue[Any] = asyncio.Queue()
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._last = 0
        self._lag = -1

    async def start(self) -> None:
        """Raises: what aiormq raises."""
        await self.connection.connect()
        self.channel = await self.connection.channel(publisher_confirms=False)
        self._lag = (await self.channel.queue_declare(self.queue, passive=True)).message_count or 0
        await self.channel.basic_qos(prefetch_count=self._prefetch)
        self.channel.on_consumer_cancel_callbacks.add(self._cancelled)
        for end in (self.channel.closing, self.connection.closing):
            end.add_done_callback(self._ended)
        await self.channel.basic_consume(self.queue, self._come.put)

    async def _cancelled(self, frame: Any) -> None:
        self._tell(f"the queue {self.queue} is gone, or has moved")

    def _ended(self, end: asyncio.Future[Any]) -> None:
        error = None if end.cancelled() else end.exception()
        self._tell("the connection has ended" if error is None else _why(error))

    def _tell(self, words: str) -> None:
        if not self._lost.done():
            self._lost.set_result(words)

    async def batches(self) -> AsyncIterator[Got]:
        import aiormq.exceptions as lib

        if not self._begun:
            yield BEGUN
        asked = time.monotonic()
        try:
            while True:
                messages = await self._some()
                if messages:
                    self._last = messages[-1].delivery.delivery_tag
                    yield Got(PART, [self._item(m) for m in messages])
                if time.monotonic() - asked > ASK_S:
                    asked = time.monotonic()
                    async with asyncio.timeout(PATIENCE_S):
                        told = await self.channel.queue_declare(self.queue, passive=True)
                    self._lag = (told.message_count or 0) + self._come.qsize()
        except (lib.AMQPError, OSError) as e:
            raise Away(f"RabbitMQ can't be read: {_why(e)}") from None
        except asyncio.CancelledError as e:
            if _ours(e):
                raise
            raise Away("RabbitMQ can't be read: the connection broke") from None

    async def _some(self) -> list[Any]:
        """What has come, after a while also nothing. Raises: Away."""
        waiting = asyncio.ensure_future(self._come.get())
        try:
            await asyncio.wait({waiting, self._lost}, timeout=ASK_S, return_when=asyncio.FIRST_COMPLETED)
            # what was handed out before it was lost goes to another anyway: its acknowledgement would not be heard
            if self._lost.done():
                raise Away(f"RabbitMQ can't be read: {self._lost.result()}")
            if not waiting.done():
                return []
            found = [waiting.result()]
        finally:
            waiting.cancel()
        while len(found) < MESSAGES_MAX and not self._come.empty():
            found.append(self._come.get_nowait())
        return found

    def _item(self, message: Any) -> TriggerItem:
        properties, delivery = message.header.properties, message.delivery
        context: dict[str, Any] = {
            "payload": None, "headers": _plain(properties.headers or {}), "queue": self.queue, "exchange": delivery.exchange or "",
            "routing_key": delivery.routing_key or "", "redelivered": bool(delivery.redelivered),
        }  # fmt: skip
        for name in ("message_id", "correlation_id", "content_type", "message_type", "app_id", "reply_to", "priority", "timestamp"):
            context["type" if name == "message_type" else name] = _plain(getattr(properties, name))
        reason = ""
        try:
            context["payload"] = value_of(message.body, self._value)
        except (ValueError, RecursionError) as e:  # what it was is kept as text, for a version that takes it so
            context["payload"], reason = text(message.body), f"its body can't be read as {self._value}: {str(e)[:200]}"
        key = str(properties.message_id or "")
        if not key and delivery.redelivered and self._parks:
            reason = reason or AGAIN
        return TriggerItem(context=context, key=key, reason=reason)

    async def acknowledge(self, got: Got) -> None:
        import aiormq.exceptions as lib

        if got.part != PART:
            return
        try:
            await self.channel.basic_ack(self._last, multiple=True)
        except (lib.AMQPError, lib.ChannelInvalidStateError, OSError) as e:
            raise Away(f"RabbitMQ can't be read: {_why(e)}") from None
        except asyncio.CancelledError as e:
            if _ours(e):
                raise
            raise Away("RabbitMQ can't be read: the connection broke") from None
        self._lag = max(0, self._lag - len(got.items))

    def lag(self) -> int:
        return self._lag

    async def close(self) -> None:
        """What is handed out and not acknowledged goes back to the queue."""
        with contextlib.suppress(asyncio.CancelledError):
            await amqp.closed(self.connection)


def _plain(value: Any, depth: int = 0) -> Any:
    """Fields of AMQP as JSON has them."""
    if depth > DEPTH_MAX:
        return None
    if isinstance(value, (bytes, bytearray)):
        return text(bytes(value))
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(_plain(k)): _plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v, depth + 1) for v in value]
    return reach.plain(value)

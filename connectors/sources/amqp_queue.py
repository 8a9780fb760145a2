"""A queue of a broker of AMQP 1.0, or of Azure Service Bus, as a source. A queue has no places: a message is settled once the log has what became of it,
and one that comes again is known by its message id, or by the key of the trigger."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Self

from flowledger.connectors import reach
from flowledger.connectors.amqp10 import servicebus
from flowledger.connectors.amqp10.client import MESSAGE_BYTES_MAX, Connection, Link, NotLetIn, Refused
from flowledger.connectors.amqp10.connector import PORTS
from flowledger.connectors.amqp10.message import read
from flowledger.connectors.frame import Failed
from flowledger.connectors.sources import figures
from flowledger.connectors.sources.frame import BEGUN, Away, Got, Opening, begun
from flowledger.connectors.sources.shared import addresses, secret, why
from flowledger.events.triggers import TriggerItem

PART = "queue"
#: messages that are told at once, and bytes of them, since they are read in one go; that the server hands out beforehand, where the trigger says nothing
MESSAGES_MAX, BYTES_MAX, PREFETCH = 200, 4 * 1024 * 1024, 100
PATIENCE_S = 10.0
AGAIN = "it comes again and has no message id: it may have been taken before"


async def open_queue(opening: Opening) -> AmqpQueue:
    config = opening.config
    return await AmqpQueue(opening, config["address"]).start(
        config["host"], (config.get("hostname", ""), config.get("username", "")), config.get("password", "")
    )


async def open_bus(opening: Opening) -> ServiceBusQueue:
    config = opening.config
    entity = f"{config['entity']}/Subscriptions/{config['subscription']}" if "subscription" in config else config["entity"]
    return (await ServiceBusQueue(opening, entity).start(config["namespace"], ("", ""), "")).counted()


class AmqpQueue:
    #: what the address is told to be
    KIND = "queue"
    connection: Connection
    link: Link

    def __init__(self, opening: Opening, address: str) -> None:
        config = opening.config
        self.opening, self.address = opening, address
        self._value: str = config.get("value", "json")
        self._prefetch: int = config.get("prefetch", PREFETCH)
        self._parks = config.get("redelivered") == "park"
        self._begun = begun(opening)
        self._held = (0, 0, 0)

    async def start(self, host: str, who: tuple[str, str], password: str) -> Self:
        """Raises: Away."""
        tls = self.opening.gate.tls if self.opening.config.get("tls", "verify") == "verify" else None
        port = self.opening.config.get("port", PORTS["off" if tls is None else "verify"])
        places = await addresses(self.opening.gate, "amqp", host, port)
        found = await secret(self.opening, password) if password else ""
        try:
            async with asyncio.timeout(PATIENCE_S):
                connected = await reach.each(places, lambda place: reach.socket_to(place, port))
                try:
                    self.connection = await Connection.over(connected, tls, host, *who, found)
                except BaseException:
                    connected.close()
                    raise
                try:
                    await self.let_in()
                    self.link = await self.connection.attach(self.address, receives=True, kind=self.KIND)
                    await self.connection.allow(self.link, self._prefetch)
                except BaseException:
                    await self.connection.close()
                    raise
        except (OSError, EOFError, Refused, Failed) as e:
            raise _away(e) from None
        return self

    async def let_in(self) -> None:
        """What a server asks for before a link. Raises: Away, Refused, OSError, EOFError."""

    async def batches(self) -> AsyncIterator[Got]:
        if not self._begun:
            yield BEGUN
        while True:
            try:
                await self._come()
            except (OSError, EOFError, Refused) as e:
                raise _away(e) from None
            # what was handed out before it was lost goes to another anyway: that it is settled would not be heard
            if self.connection.lost is not None:
                raise _away(self.connection.lost)
            found = [self.link.come.popleft()]
            size = len(found[0][1] or b"")
            while self.link.come and len(found) < MESSAGES_MAX and (size := size + len(self.link.come[0][1] or b"")) <= BYTES_MAX:
                found.append(self.link.come.popleft())
            self._held = (found[0][0], found[-1][0], len(found))
            yield Got(PART, [self._item(raw) for _, raw in found])

    async def _come(self) -> None:
        await self.connection.come(self.link)

    def _item(self, raw: bytes | None) -> TriggerItem:
        if raw is None:
            return TriggerItem(context={"payload": None, "address": self.address}, reason=f"it has more than {MESSAGE_BYTES_MAX} bytes")
        context, reason = read(raw, self._value)
        key = str(context["message_id"] or "")
        if not key and context["redelivered"] and self._parks:
            reason = reason or AGAIN
        return TriggerItem(context={**context, "address": self.address}, key=key, reason=reason)

    async def acknowledge(self, got: Got) -> None:
        if got.part != PART:
            return
        first, last, count = self._held
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.connection.accept(first, last)
                self._held = (first, last, 0)
                await self.connection.allow(self.link, self.link.credit + count)
        except (OSError, EOFError, Refused) as e:
            raise _away(e) from None

    def lag(self) -> int:
        """What the server says that waits, with what it has handed out; -1: it says nothing of it (AMQP 1.0 leaves that to it)."""
        waiting = self.connection.waiting(self.link)
        return waiting if waiting < 0 else waiting + len(self.link.come) + self._held[2]

    async def close(self) -> None:
        """What is handed out and not settled goes back to the queue."""
        await self.connection.close()


class ServiceBusQueue(AmqpQueue):
    KIND = ""
    _figure: figures.Figure | None = None

    def counted(self) -> Self:
        """Its protocol doesn't tell how much waits; its description does."""
        config = self.opening.config
        where = config.get("figures") or ("" if config.get("tls") == "off" else f"https://{config['namespace']}")
        if where:  # an emulator has none
            self._figure = figures.Active(self.opening, where, self.address)
        return self

    def lag(self) -> int:
        """As the service said last; what is handed out counts."""
        return -1 if self._figure is None else self._figure.waiting

    async def close(self) -> None:
        if self._figure is not None:
            await self._figure.close()
        await super().close()

    async def let_in(self) -> None:
        config = self.opening.config
        key = await secret(self.opening, config["key"])
        self._again_s = time.monotonic() + servicebus.AGAIN_S
        await servicebus.let_in(self.connection, config["namespace"], self.address, config["key_name"], key, int(time.time()))

    async def _come(self) -> None:
        """The token is renewed meanwhile, and where there is always something as well."""
        while True:
            if (left := self._again_s - time.monotonic()) <= 0:
                async with asyncio.timeout(PATIENCE_S):
                    await self.let_in()
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    return await self.connection.come(self.link)


def _away(e: BaseException) -> Away:
    if (broken := reach.tls_of(e)) is not None:
        return Away(f"the queue can't be read: the server is not who it says, or speaks no TLS: {broken}")
    if isinstance(e, EOFError):
        return Away("the queue can't be read: the connection broke")
    return Away(f"the queue can't be read: {e.description if isinstance(e, NotLetIn) else why(e)}")

"""A message for a broker of AMQP 1.0, settled by it; and for Azure Service Bus, which is one of them."""

from __future__ import annotations

import time
from typing import Any

from flowledger.connectors import reach
from flowledger.connectors.amqp10 import servicebus
from flowledger.connectors.amqp10.client import MESSAGE_BYTES_MAX, Connection, NotLetIn, Refused
from flowledger.connectors.amqp10.config import AmqpConfig, MessageConfig, ServiceBusConfig
from flowledger.connectors.amqp10.message import Header, body_of, written
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.outcomes import SENT

PORTS = {"verify": 5671, "off": 5672}
KINDS = {"queue": "queue", "topic": "topic", "any": ""}
#: words of the protocol after which another attempt may help, and our code
_AGAIN = {
    "amqp:resource-limit-exceeded": "BUSY", "amqp:internal-error": "BUSY", "com.microsoft:server-busy": "BUSY", "com.microsoft:timeout": "BUSY",
    "amqp:connection:forced": "CUT", "amqp:link:detach-forced": "CUT", "amqp:session:window-violation": "CUT", "amqp:connection:framing-error": "CUT",
}  # fmt: skip
_NEVER = {
    "amqp:not-found": "404", "amqp:unauthorized-access": "403", "com.microsoft:entity-disabled": "403", "amqp:precondition-failed": "406",
    "amqp:link:message-size-exceeded": "413", "com.microsoft:auth-failed": "AUTHENTICATION",
}  # fmt: skip
#: what a broker says of a message that it did not take
_GIVEN_BACK = "the broker gave the message back: nobody takes it at this address now"


class AmqpConnector:
    name = "amqp"
    job_type = "flowledger:amqp"
    aliases: tuple[str, ...] = ()
    config: type[Config] = AmqpConfig

    async def call(self, config: AmqpConfig, call: Call) -> dict[str, Any]:
        """`{messageId, settled}`. Raises: Failed, and what `outcomes` knows."""
        port = config.port or PORTS[config.tls]

        async def sent(connection: Connection, payload: bytes) -> Any:
            link = await connection.attach(config.address, receives=False, settled=not config.confirmed, kind=KINDS[config.kind])
            return await connection.send(link, payload, settled=not config.confirmed)

        properties = {"to": config.to, "group_id": config.group_id}
        payload = _payload(config, call, properties, Header(config.durable, config.priority), as_text=config.body_as == "text")
        who = (config.hostname, config.username, config.password or "")
        await _over(call, config, config.host, port, config.tls, who, sent, payload)
        return {"messageId": call.key, "settled": config.confirmed}


class ServiceBusConnector:
    name = "servicebus"
    job_type = "flowledger:servicebus"
    aliases: tuple[str, ...] = ()
    config: type[Config] = ServiceBusConfig

    async def call(self, config: ServiceBusConfig, call: Call) -> dict[str, Any]:
        """`{messageId}`. Raises: Failed, and what `outcomes` knows."""

        async def sent(connection: Connection, payload: bytes) -> Any:
            await servicebus.let_in(connection, config.namespace, config.entity, config.key_name, config.key, int(time.time()))
            return await connection.send(await connection.attach(config.entity, receives=False), payload)

        payload = _payload(config, call, {"group_id": config.session_id}, Header())
        await _over(call, config, config.namespace, config.port, config.tls, ("", "", ""), sent, payload)
        return {"messageId": call.key}


def _payload(config: MessageConfig, call: Call, properties: dict[str, str], header: Header, as_text: bool = False) -> bytes:
    """Raises: Failed."""
    body = body_of(config.message)
    if len(body) > MESSAGE_BYTES_MAX:
        raise Failed("CONFIGURATION", f"message: expected at most {MESSAGE_BYTES_MAX} bytes, found {len(body)}")
    properties |= {
        "message_id": call.key, "subject": config.subject, "correlation_id": config.correlation_id, "reply_to": config.reply_to,
        "content_type": config.content_type or ("text/plain" if isinstance(config.message, str) else "application/json"),
    }  # fmt: skip
    ttl_ms = min(config.time_to_live_seconds * 1000, 2**32 - 1)
    return written(body.decode() if as_text else body, properties, dict(config.application_properties), header._replace(ttl_ms=ttl_ms))


async def _over(
    call: Call, config: MessageConfig, host: str, port: int, tls: str, who: tuple[str, str, str], sent: Any, payload: bytes
) -> None:
    """Raises: Failed, and what `outcomes` knows."""
    async with reach.within(config.timeout_in_seconds, call):
        places = await reach.addresses(call, "amqp", host, port)
        connected = await reach.each(places, lambda place: reach.socket_to(place, port))
        try:
            connection = await Connection.over(connected, call.gate.tls if tls == "verify" else None, host, *who)
            try:
                outcome = await sent(connection, payload)
            finally:
                await connection.close()
        except Refused as e:
            raise failed(e) from e
        finally:
            connected.close()
    word, error = outcome
    if word == "accepted":
        return
    if word == "rejected":
        found = failed(error) if error is not None else Failed("REJECTED", "the broker refuses the message")
        raise found if found.again else Failed("REJECTED", found.message)
    raise Failed("RELEASED", _GIVEN_BACK, again=True)


def failed(e: Refused) -> Failed:
    if isinstance(e, NotLetIn):
        return Failed("AUTHENTICATION", e.description)
    if e.condition in _AGAIN:
        return Failed(_AGAIN[e.condition], f"{e}{SENT}", again=True)
    code = _NEVER.get(e.condition) or e.condition.rsplit(":", 1)[-1].replace("-", "_").upper()[:64]
    return Failed(code, f"the server refuses it: {e}")

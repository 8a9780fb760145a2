"""A message for an exchange of RabbitMQ (AMQP 0-9-1), confirmed by the broker."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from pydantic import BeforeValidator, ConfigDict, Field, field_validator

from flowledger.connectors import amqp, reach
from flowledger.connectors.fields import Flag, Host, Port, Seconds, Secret, Text, Tls, dropped
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.outcomes import SENT

HEADERS_MAX = 50
BYTES_MAX = 4 * 1024 * 1024
_encode = msgspec.json.Encoder(decimal_format="number").encode
Name = Annotated[str, Field(max_length=255)]


class RabbitConfig(Config):
    """Sends a message to an exchange or a queue of RabbitMQ."""

    model_config = ConfigDict(title="RabbitMQ: send a message")

    host: Host = Field(description="Name or address of the server", title="Host")
    port: Port | None = Field(None, description="Empty: 5671 with TLS, 5672 without", title="Port")
    tls: Tls = Field("verify", description="verify: TLS, and the server is who it says; off: only where the way is safe", title="TLS")
    virtual_host: Name = Field("/", description="Virtual host", title="Virtual host")
    username: Annotated[str, Field(min_length=1, max_length=256)] = Field(description="Who we are to the server", title="User")
    password: Secret = Field(description="A reference: {{secrets.NAME}}", title="Password")
    exchange: Name = Field("", description="Empty: the default one, which leads to the queue that the routing key names", title="Exchange")
    routing_key: Name = Field("", description="By which the exchange finds queues", title="Routing key")
    message: Any = Field(None, description="A text as it is, else JSON", title="Message")
    headers: Annotated[dict[str, Text], BeforeValidator(dropped), Field(max_length=HEADERS_MAX)] = Field(
        {}, description="A context of texts", title="Headers"
    )
    content_type: Name = Field("", description="Empty: application/json, of a text text/plain", title="Content type")
    correlation_id: Name = Field("", description="What the message belongs to", title="Correlation id")
    reply_to: Name = Field("", description="Queue that an answer goes to", title="Reply to")
    persistent: Flag = Field(True, description="It outlives a restart of the broker, in a durable queue", title="Persistent")
    routed: Flag = Field(True, description="A message that no queue gets is an incident", title="Must be routed")
    timeout_in_seconds: Seconds = Field(30, description="For all of the call", title="Time limit (s)")

    @field_validator("routing_key", "exchange", "virtual_host")
    @classmethod
    def _short(cls, text: str) -> str:
        if len(text.encode()) > 255:
            raise ValueError("expected at most 255 bytes")
        return text


class RabbitConnector:
    name = "rabbitmq"
    job_type = "flowledger:rabbitmq"
    aliases: tuple[str, ...] = ()
    config: type[Config] = RabbitConfig

    async def call(self, config: RabbitConfig, call: Call) -> dict[str, Any]:
        """`{messageId}`. Raises: Failed, and what `outcomes` knows."""
        try:
            import aiormq
        except ImportError:
            raise reach.lacking("aiormq") from None
        body = config.message.encode() if isinstance(config.message, str) else _encode(config.message)
        if len(body) > BYTES_MAX:
            raise Failed("CONFIGURATION", f"message: expected at most {BYTES_MAX} bytes, found {len(body)}")
        async with reach.within(config.timeout_in_seconds, call):
            port = config.port or amqp.PORTS[config.tls]
            places = await reach.addresses(call, "amqp", config.host, port)
            connected = await reach.each(places, lambda place: reach.socket_to(place, port))
            try:
                tls = call.gate.tls if config.tls == "verify" else None
                connection = amqp.connection(connected, tls, config.host, config.username, config.password, config.virtual_host)
                try:
                    await connection.connect()
                    channel = await connection.channel(publisher_confirms=True)
                    await channel.basic_publish(
                        body, exchange=config.exchange, routing_key=config.routing_key, mandatory=config.routed,
                        properties=aiormq.spec.Basic.Properties(
                            content_type=config.content_type or ("text/plain" if isinstance(config.message, str) else "application/json"),
                            headers=dict(config.headers) or None, delivery_mode=2 if config.persistent else 1, message_id=call.key,
                            correlation_id=config.correlation_id or None, reply_to=config.reply_to or None,
                        ),
                    )  # fmt: skip
                finally:
                    await amqp.closed(connection)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                raise Failed("CUT", f"the connection broke{SENT}", again=True) from None  # the library ends its own waits so
            except Exception as e:
                raise _failed(e) from e
            finally:
                connected.close()
        return {"messageId": call.key}


def _failed(e: Exception) -> Exception:
    import aiormq.exceptions as lib

    said = amqp.said(e)
    if why := amqp.not_let_in(e):
        return Failed("AUTHENTICATION", why)
    if isinstance(e, lib.PublishError):
        return Failed("UNROUTABLE", "no queue gets the message: no binding of the exchange fits the routing key")
    if isinstance(e, lib.DeliveryError):
        return Failed("BUSY", "the broker does not take the message now", again=True)
    for kind, code in ((lib.ChannelAccessRefused, "403"), (lib.ChannelNotFoundEntity, "404"), (lib.ChannelPreconditionFailed, "406")):
        if isinstance(e, kind):
            return Failed(code, f"the server refuses the message: {said}")
    if reach.tls_of(e) is not None:
        return Failed("TLS", f"the server is not who it says, or speaks no TLS: {reach.tls_of(e)}")
    if isinstance(e, (lib.AMQPError, lib.ChannelInvalidStateError)):
        return Failed("CUT", f"the connection broke{SENT}", again=True)
    return e

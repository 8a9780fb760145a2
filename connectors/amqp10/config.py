"""What a message for a broker of AMQP 1.0, or for Azure Service Bus, is told by."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from flowledger.connectors.amqp10.message import LONG_MAX
from flowledger.connectors.fields import Flag, Host, Index, Port, Seconds, Secret, Tls, dropped
from flowledger.connectors.frame import Config

PROPERTIES_MAX, TTL_S_MAX = 50, 366 * 86_400
Short = Annotated[str, Field(max_length=256)]
Named = Annotated[str, Field(min_length=1, max_length=256)]


def _fits(value: str | bool | int | Decimal) -> str | bool | int | Decimal:
    if isinstance(value, (int, Decimal)) and not -LONG_MAX - 1 <= value <= LONG_MAX:
        raise ValueError(f"expected a number from {-LONG_MAX - 1} to {LONG_MAX}")
    return value


Simple = Annotated[str | bool | int | Decimal, AfterValidator(_fits)]
Properties = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=128)], Simple], BeforeValidator(dropped), Field(max_length=PROPERTIES_MAX)
]


class MessageConfig(Config):
    message: Any = Field(None, description="A text as it is, else JSON", title="Message")
    application_properties: Properties = Field(
        {}, description="A context of texts, numbers and truth values (headers of the application)", title="Application properties"
    )
    content_type: Short = Field("", description="Empty: application/json, of a text text/plain", title="Content type")
    subject: Short = Field("", description="What it is about (JMSType, label)", title="Subject")
    correlation_id: Short = Field("", description="What the message belongs to", title="Correlation id")
    reply_to: Short = Field("", description="Address that an answer goes to", title="Reply to")
    time_to_live_seconds: Annotated[Index, Field(le=TTL_S_MAX)] = Field(
        0, description="Nobody gets it after so long; 0: the broker's own", title="Lives for (s)"
    )
    timeout_in_seconds: Seconds = Field(30, description="For all of the call", title="Time limit (s)")


class AmqpConfig(MessageConfig):
    """Sends a message to a broker that speaks AMQP 1.0: Artemis, ActiveMQ, Qpid, Solace, IBM MQ, RabbitMQ."""

    model_config = ConfigDict(title="AMQP 1.0: send a message")

    host: Host = Field(description="Name or address of the server", title="Host")
    port: Port | None = Field(None, description="Empty: 5671 with TLS, 5672 without", title="Port")
    tls: Tls = Field("verify", description="verify: TLS, and the server is who it says; off: only where the way is safe", title="TLS")
    hostname: Short = Field(
        "", description="What the server is called in the protocol (of RabbitMQ vhost:NAME); empty: the host", title="Virtual host"
    )
    username: Short = Field("", description="Who we are to the server; empty: nobody (ANONYMOUS)", title="User")
    password: Secret | None = Field(None, description="A reference: {{secrets.NAME}}", title="Password")
    address: Named = Field(description="Queue or topic, as the broker writes it", title="Address")
    kind: Literal["queue", "topic", "any"] = Field(
        "queue", description="What the address is, for brokers that make it when it is asked for; any: it is not told", title="Address is a"
    )
    body_as: Literal["bytes", "text"] = Field(
        "bytes", description="bytes: a data section (JMS: BytesMessage); text: a text of AMQP (JMS: TextMessage)", title="Body as"
    )
    to: Short = Field("", description="Property of this name; empty: none", title="To")
    group_id: Short = Field("", description="Messages of one group stay in order with one receiver (JMSXGroupID)", title="Group")
    durable: Flag = Field(True, description="It outlives a restart of the broker", title="Durable")
    priority: Annotated[Index, Field(le=9)] | None = Field(None, description="0 to 9; empty: the broker's own", title="Priority")
    confirmed: Flag = Field(
        True, description="Done when the broker has taken it; false: it is sent settled, and may be lost", title="Confirmed"
    )

    @model_validator(mode="after")
    def _who(self) -> Self:
        if bool(self.username) != (self.password is not None):
            raise ValueError("username and password: expected both or none")
        return self


class ServiceBusConfig(MessageConfig):
    """Sends a message to a queue or topic of Azure Service Bus."""

    model_config = ConfigDict(title="Azure Service Bus: send a message")

    namespace: Host = Field(description="NAME.servicebus.windows.net", title="Namespace")
    port: Port = Field(5671, description="5671 but for an emulator", title="Port")
    tls: Tls = Field("verify", description="off: only for an emulator on this machine", title="TLS")
    entity: Named = Field(description="Name of the queue or topic", title="Queue or topic")
    key_name: Named = Field(description="Name of a shared access policy with the right Send", title="Policy")
    key: Secret = Field(description="Its key, a reference: {{secrets.NAME}}", title="Key")
    session_id: Annotated[str, Field(max_length=128)] = Field("", description="Of a queue with sessions", title="Session")

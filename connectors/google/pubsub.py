"""A message for a topic of Google Pub/Sub (REST, v1)."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import msgspec
from pydantic import BeforeValidator, ConfigDict, Field

from flowledger.connectors import reach
from flowledger.connectors.fields import Text, dropped
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.google import service
from flowledger.connectors.way import Way

HOST = "pubsub.googleapis.com"
#: of the service: a message, its attributes (one of which is the key of the work), a name of one, its value
BYTES_MAX, ATTRIBUTES_MAX, NAME_MAX, VALUE_MAX = 4 * 1024 * 1024, 99, 256, 1024
RESOURCE = r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}"
Attributes = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=NAME_MAX)], Annotated[Text, Field(max_length=VALUE_MAX)]],
    BeforeValidator(dropped), Field(max_length=ATTRIBUTES_MAX),
]  # fmt: skip
_encode = msgspec.json.Encoder(decimal_format="number").encode


class PubSubConfig(service.GoogleConfig):
    """Publishes a message to a topic of Google Pub/Sub."""

    model_config = ConfigDict(title="Google Pub/Sub: publish a message")

    topic: Annotated[str, Field(pattern=f"^{RESOURCE}$")] = Field(description="Its name, without that of the project", title="Topic")
    message: Any = Field(None, description="A text as it is, else JSON", title="Message")
    attributes: Attributes = Field({}, description="A context of texts: filters of subscriptions look at them", title="Attributes")
    ordering_key: Annotated[str, Field(max_length=1024)] = Field(
        "", description="Messages of one key come in their order", title="Ordering key"
    )
    idempotency_attribute: Annotated[str, Field(max_length=NAME_MAX)] = Field(
        "idempotency-key", description="Attribute that carries the key of the work; empty: none", title="Idempotency attribute"
    )


class PubSubConnector:
    name = "pubsub"
    job_type = "flowledger:pubsub"
    aliases: tuple[str, ...] = ()
    config: type[Config] = PubSubConfig

    def __init__(self) -> None:
        self.tokens = service.Tokens()

    async def call(self, config: PubSubConfig, call: Call) -> dict[str, Any]:
        """`{messageId}`. Raises: Failed, and what httpx2 and the gate raise."""
        data = config.message.encode() if isinstance(config.message, str) else _encode(config.message)
        if not data or len(data) > BYTES_MAX:
            raise Failed("CONFIGURATION", f"message: expected 1 to {BYTES_MAX} bytes, found {len(data)}")
        attributes = dict(config.attributes) | ({config.idempotency_attribute: call.key} if config.idempotency_attribute else {})
        message = {"data": base64.b64encode(data).decode(), "attributes": attributes}
        if config.ordering_key:
            message["orderingKey"] = config.ordering_key
        path = f"/v1/projects/{config.project}/topics/{config.topic}:publish"
        async with reach.within(config.timeout_in_seconds, call):
            way = Way.of(call, config.timeout_in_seconds)
            asked = service.Request(HOST, config.endpoint, path, {"messages": [message]}, config.service_account)
            told = await service.send(way, self.tokens, asked)
        ids = told.get("messageIds")
        if not isinstance(ids, list) or len(ids) != 1:
            raise Failed("ANSWER_UNREADABLE", "expected the id of one message from Pub/Sub")
        return {"messageId": str(ids[0])}

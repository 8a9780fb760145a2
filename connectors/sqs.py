"""A message for a queue of SQS, over the HTTP connector's client."""

from __future__ import annotations

from typing import Annotated, Any, Self

import msgspec
from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from flowledger.connectors import aws, reach
from flowledger.connectors.fields import Index, Text, dropped
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.way import Way

BYTES_MAX = 1024 * 1024
#: the service takes ten; one is for the key of the work
ATTRIBUTES_MAX = 9
_encode = msgspec.json.Encoder(decimal_format="number").encode
Attributes = Annotated[dict[str, Text], BeforeValidator(dropped), Field(max_length=ATTRIBUTES_MAX)]
AttributeName = Annotated[str, Field(pattern=r"^$|^[A-Za-z0-9_.-]{1,256}$")]
Group = Annotated[str, Field(pattern=r"^[!-~]{0,128}$")]


class SqsConfig(aws.AwsConfig):
    """Sends a message to a queue of SQS."""

    model_config = ConfigDict(title="SQS: send a message")

    queue: Annotated[str, Field(pattern=r"^https?://[^/?#\s]+/[0-9]{1,20}/[A-Za-z0-9_-]{1,80}(\.fifo)?$")] = Field(
        description="Its address: https://HOST/ACCOUNT/NAME", title="Queue"
    )
    message: Any = Field(None, description="A text as it is, else JSON", title="Message")
    attributes: Attributes = Field({}, description="A context of texts", title="Attributes")
    group: Group = Field("", description="Of a queue in order: messages of one group come in their order", title="Group")
    delay_seconds: Annotated[Index, Field(le=900)] = Field(0, description="For so long nobody gets it", title="Delay (s)")
    idempotency_attribute: AttributeName = Field(
        "idempotency-key", description="Attribute that carries the key of the work; empty: none", title="Idempotency attribute"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        in_order = self.queue.endswith(".fifo")
        if in_order != bool(self.group):
            raise ValueError(f"group: {'a queue in order needs one' if in_order else 'is for queues in order, whose names end in .fifo'}")
        if in_order and self.delay_seconds:
            raise ValueError("delay_seconds: a queue in order has one of its own")
        if self.endpoint:
            raise ValueError("endpoint: the queue's address says where it is")
        return self


class SqsConnector:
    name = "sqs"
    job_type = "flowledger:sqs"
    aliases: tuple[str, ...] = ()
    config: type[Config] = SqsConfig

    async def call(self, config: SqsConfig, call: Call) -> dict[str, Any]:
        """`{messageId, sequence}`. A queue in order takes the key of the work once. Raises: Failed, and what httpx2 and the gate raise."""
        asked: dict[str, Any] = {
            "QueueUrl": config.queue,
            "MessageBody": text_of(config.message, "message"),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value}
                for name, value in with_key(config.attributes, config.idempotency_attribute, call.key).items()
            },
        }
        if config.group:
            asked |= {"MessageGroupId": config.group, "MessageDeduplicationId": call.key}
        elif config.delay_seconds:
            asked["DelaySeconds"] = config.delay_seconds
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.SendMessage"}
        origin = "/".join(config.queue.split("/", 3)[:3])
        async with reach.within(config.timeout_in_seconds, call):
            way = Way.of(call, config.timeout_in_seconds)
            response, found = await aws.send(way, config, aws.Request("sqs", origin, "POST", "/", {}, headers, _encode(asked)))
        if response.status_code >= 300:
            raise aws.refused("SendMessage", response, found)
        try:
            told = msgspec.json.decode(found, type=dict[str, Any])
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise Failed("ANSWER_UNREADABLE", "expected an object in JSON from SQS") from None
        return {"messageId": told.get("MessageId"), "sequence": told.get("SequenceNumber")}


def text_of(message: Any, field: str) -> str:
    """A text as it is, else JSON. Raises: Failed."""
    text = message if isinstance(message, str) else _encode(message).decode()
    if not text or len(text.encode()) > BYTES_MAX:
        raise Failed("CONFIGURATION", f"{field}: expected 1 to {BYTES_MAX} bytes, found {len(text.encode())}")
    return text


def with_key(attributes: dict[str, str], name: str, key: str) -> dict[str, str]:
    """Texts that are empty are left out: the services take none."""
    return {k: v for k, v in attributes.items() if v} | ({name: key} if name else {})

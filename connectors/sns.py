"""A message for a topic of SNS, over the HTTP connector's client."""

from __future__ import annotations

from typing import Annotated, Any, Self
from urllib.parse import urlencode

from pydantic import ConfigDict, Field, model_validator

from flowledger.connectors import aws, reach
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.sqs import AttributeName, Attributes, Group, text_of, with_key
from flowledger.connectors.way import Way


class SnsConfig(aws.AwsConfig):
    """Publishes a message to a topic of SNS."""

    model_config = ConfigDict(title="SNS: publish a message")

    topic: Annotated[str, Field(pattern=r"^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{1,20}:[A-Za-z0-9_-]{1,256}(\.fifo)?$")] = Field(
        description="Its name: arn:aws:sns:REGION:ACCOUNT:NAME", title="Topic"
    )
    message: Any = Field(None, description="A text as it is, else JSON", title="Message")
    subject: Annotated[str, Field(pattern=r"^([!-~][ -~]{0,98})?$")] = Field(
        "", description="Of a mail: ASCII, up to 99 characters", title="Subject"
    )
    attributes: Attributes = Field({}, description="A context of texts: filters of subscriptions look at them", title="Attributes")
    group: Group = Field("", description="Of a topic in order: messages of one group come in their order", title="Group")
    idempotency_attribute: AttributeName = Field(
        "idempotency-key", description="Attribute that carries the key of the work; empty: none", title="Idempotency attribute"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        in_order = self.topic.endswith(".fifo")
        if in_order != bool(self.group):
            raise ValueError(f"group: {'a topic in order needs one' if in_order else 'is for topics in order, whose names end in .fifo'}")
        return self


class SnsConnector:
    name = "sns"
    job_type = "flowledger:sns"
    aliases: tuple[str, ...] = ()
    config: type[Config] = SnsConfig

    async def call(self, config: SnsConfig, call: Call) -> dict[str, Any]:
        """`{messageId, sequence}`. A topic in order takes the key of the work once. Raises: Failed, and what httpx2 and the gate raise."""
        asked = {"Action": "Publish", "Version": "2010-03-31", "TopicArn": config.topic, "Message": text_of(config.message, "message")}
        if config.subject:
            asked["Subject"] = config.subject
        if config.group:
            asked |= {"MessageGroupId": config.group, "MessageDeduplicationId": call.key}
        for i, (name, value) in enumerate(with_key(config.attributes, config.idempotency_attribute, call.key).items(), 1):
            entry = f"MessageAttributes.entry.{i}"
            asked |= {f"{entry}.Name": name, f"{entry}.Value.DataType": "String", f"{entry}.Value.StringValue": value}
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        endpoint = config.endpoint or aws.endpoint("sns", config.region)
        async with reach.within(config.timeout_in_seconds, call):
            way = Way.of(call, config.timeout_in_seconds)
            response, found = await aws.send(way, config, aws.Request("sns", endpoint, "POST", "/", {}, headers, urlencode(asked).encode()))
        if response.status_code >= 300:
            raise aws.refused("Publish", response, found)
        if not (id := aws.told(found, "MessageId")):
            raise Failed("ANSWER_UNREADABLE", "expected a MessageId in XML from SNS")
        return {"messageId": id, "sequence": aws.told(found, "SequenceNumber") or None}

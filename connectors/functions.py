"""A call of a function of AWS Lambda, over the HTTP connector's client."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from pydantic import ConfigDict, Field

from flowledger.connectors import aws, reach
from flowledger.connectors.fields import Seconds
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.http import body
from flowledger.connectors.way import Way

BYTES_MAX = 4 * 1024 * 1024
WORDS_MAX = 300
_encode = msgspec.json.Encoder(decimal_format="number").encode


class LambdaConfig(aws.AwsConfig):
    """Calls a function of AWS Lambda."""

    model_config = ConfigDict(title="AWS Lambda")

    function: Annotated[str, Field(pattern=r"^(arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{1,20}:function:)?[A-Za-z0-9_-]{1,64}$")] = Field(
        description="Its name, or arn:aws:lambda:REGION:ACCOUNT:function:NAME", title="Function"
    )
    qualifier: Annotated[str, Field(pattern=r"^(\$LATEST|[A-Za-z0-9_-]{0,128})$")] = Field(
        "", description="A version or an alias", title="Version"
    )
    payload: Any = Field(None, description="What the function is given, as JSON", title="Payload")
    mode: Literal["answer", "event"] = Field(
        "answer", description="answer: waits for what it gives back; event: the service has taken it, and tries by itself", title="Mode"
    )
    timeout_in_seconds: Seconds = Field(60, description="For all of the call", title="Time limit (s)")


class LambdaConnector:
    name = "lambda"
    job_type = "flowledger:lambda"
    aliases: tuple[str, ...] = ()
    config: type[Config] = LambdaConfig

    async def call(self, config: LambdaConfig, call: Call) -> dict[str, Any]:
        """`{status, payload, version, requestId}`. The key of the work is in the client context. Raises: Failed, and what httpx2 and the gate raise."""
        data = _encode(config.payload)
        if len(data) > BYTES_MAX:
            raise Failed("CONFIGURATION", f"payload: expected at most {BYTES_MAX} bytes, found {len(data)}")
        context = _encode({"custom": {"idempotency-key": call.key, **({"traceparent": call.trace} if call.trace else {})}})
        headers = {
            "content-type": "application/json", "x-amz-client-context": base64.b64encode(context).decode(),
            "x-amz-invocation-type": "Event" if config.mode == "event" else "RequestResponse",
        }  # fmt: skip
        path = f"/2015-03-31/functions/{quote(config.function, safe=aws.PLAIN)}/invocations"
        query = {"Qualifier": config.qualifier} if config.qualifier else {}
        endpoint = config.endpoint or aws.endpoint("lambda", config.region)
        async with reach.within(config.timeout_in_seconds, call):
            way = Way.of(call, config.timeout_in_seconds)
            response, found = await aws.send(way, config, aws.Request("lambda", endpoint, "POST", path, query, headers, data))
        if response.status_code >= 300:
            raise aws.refused("Invoke", response, found)
        answer = {
            "status": response.status_code, "payload": body.value_of(found, "application/json") if found.strip() else None,
            "version": response.headers.get("x-amz-executed-version"), "requestId": response.headers.get("x-amzn-requestid"),
        }  # fmt: skip
        if response.headers.get("x-amz-function-error"):
            told = answer["payload"] if isinstance(answer["payload"], dict) else {}
            words = " ".join(f"{told.get('errorType', '')} {told.get('errorMessage', '')}".split())[:WORDS_MAX]
            raise Failed("FUNCTION", f"the function failed: {words or 'without words'}", response=answer)
        return answer

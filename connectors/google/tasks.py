"""A task for a queue of Google Cloud Tasks (REST, v2): an HTTP call that the service makes later, and again until it goes well."""

from __future__ import annotations

import base64
import hashlib
from typing import Annotated, Any, Literal

import msgspec
from pydantic import ConfigDict, Field

from flowledger.connectors import reach
from flowledger.connectors.fields import Index
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.google import service
from flowledger.connectors.http.config import Headers, Url
from flowledger.connectors.way import Way

HOST = "cloudtasks.googleapis.com"
#: of the service: a task in all; how far ahead it may lie
BYTES_MAX, DELAY_S_MAX = 100 * 1024, 30 * 86_400
_encode = msgspec.json.Encoder(decimal_format="number").encode


class CloudTasksConfig(service.GoogleConfig):
    """Puts a task into a queue of Google Cloud Tasks."""

    model_config = ConfigDict(title="Google Cloud Tasks: create a task")

    location: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")] = Field(
        description="As the service names it: europe-west3", title="Location"
    )
    queue: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$")] = Field(description="Its name", title="Queue")
    url: Url = Field(description="What the service calls", title="URL")
    method: Literal["POST", "GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] = Field("POST", description="HTTP method", title="Method")
    headers: Headers = Field({}, description="Headers of the call; Idempotency-Key is the key of the work", title="Headers")
    body: Any = Field(None, description="A text as it is, else JSON", title="Body")
    oidc_account: Annotated[str, Field(pattern=r"^$|^[^@\s]+@[^@\s]+$", max_length=256)] = Field(
        "", description="E-mail of the service account by whose token the call shows who it is; empty: nobody", title="Calls as"
    )
    oidc_audience: Annotated[str, Field(max_length=1024)] = Field("", description="Of that token; empty: the URL", title="Audience")
    delay_seconds: Annotated[Index, Field(le=DELAY_S_MAX)] = Field(0, description="Not before so long", title="Delay (s)")
    deadline_seconds: Annotated[Index, Field(ge=15, le=1800)] = Field(
        600, description="What one call of the service may take", title="Deadline (s)"
    )


class CloudTasksConnector:
    name = "cloudtasks"
    job_type = "flowledger:cloudtasks"
    aliases: tuple[str, ...] = ()
    config: type[Config] = CloudTasksConfig

    def __init__(self) -> None:
        self.tokens = service.Tokens()

    async def call(self, config: CloudTasksConfig, call: Call) -> dict[str, Any]:
        """`{name, duplicate}`. The task's name is made of the key of the work, so that it is there once. Raises: Failed, and what httpx2 and the gate raise."""
        import datetime

        queue = f"projects/{config.project}/locations/{config.location}/queues/{config.queue}"
        # a hash, since names that follow each other make the service slow
        name = f"{queue}/tasks/{hashlib.sha256(call.key.encode()).hexdigest()[:40]}"
        request: dict[str, Any] = {
            "url": config.url, "httpMethod": config.method, "headers": {"Content-Type": "application/json", "Idempotency-Key": call.key, **config.headers},
        }  # fmt: skip
        if config.body is not None and config.method in ("POST", "PUT", "PATCH"):
            request["body"] = base64.b64encode(config.body.encode() if isinstance(config.body, str) else _encode(config.body)).decode()
        if config.oidc_account:
            request["oidcToken"] = {"serviceAccountEmail": config.oidc_account, "audience": config.oidc_audience or config.url}
        task: dict[str, Any] = {"name": name, "httpRequest": request, "dispatchDeadline": f"{config.deadline_seconds}s"}
        if config.delay_seconds:
            at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=config.delay_seconds)
            task["scheduleTime"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        if (size := len(_encode(task))) > BYTES_MAX:
            raise Failed("CONFIGURATION", f"body: expected a task of at most {BYTES_MAX} bytes in all, found {size}")
        asked = service.Request(HOST, config.endpoint, f"/v2/{queue}/tasks", {"task": task}, config.service_account)
        try:
            async with reach.within(config.timeout_in_seconds, call):
                await service.send(Way.of(call, config.timeout_in_seconds), self.tokens, asked)
        except Failed as e:
            if e.code != "ALREADY_EXISTS":
                raise
            return {"name": name, "duplicate": True}
        return {"name": name, "duplicate": False}

"""Objects of S3 and of what speaks as it does (MinIO, Ceph): put, get, look at, delete, list, over the HTTP connector's client.

Addresses are `https://endpoint/bucket/key`, which all of
them know. What comes back is text, JSON or base64, within the limit of answers.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

import httpx2
from pydantic import ConfigDict, Field, model_validator

from flowledger.connectors import aws, reach
from flowledger.connectors.aws import PLAIN
from flowledger.connectors.fields import Flag, Index, Seconds, Secret
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.http import body
from flowledger.connectors.http.config import Url
from flowledger.connectors.outcomes import AGAIN
from flowledger.connectors.way import Way

KEYS_MAX = 1_000
BYTES_MAX = 4 * 1024 * 1024


class S3Config(Config):
    """Puts, gets, looks at, deletes or lists objects of S3."""

    model_config = ConfigDict(title="S3")

    endpoint: Url = Field(description="Such as https://s3.eu-central-1.amazonaws.com", title="Endpoint")
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")] = Field("us-east-1", description="As the service names it", title="Region")
    access_key: Annotated[str, Field(min_length=1, max_length=256)] = Field(description="Id of the key", title="Access key")
    secret_key: Secret = Field(description="A reference: {{secrets.NAME}}", title="Secret key")
    session_token: Secret | None = Field(None, description="Of temporary credentials", title="Session token")
    operation: Literal["get", "put", "head", "delete", "list"] = Field("get", description="What to do", title="Operation")
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] = Field(description="Name of the bucket", title="Bucket")
    key: Annotated[str, Field(max_length=1024)] = Field("", description="Of the object; of list: what keys begin with", title="Key")
    content: Any = Field(None, description="To put: a text as it is, else JSON", title="Content")
    content_base64: str | None = Field(None, description="To put: bytes as base64", title="Content (base64)")
    content_type: Annotated[str, Field(max_length=256, pattern=r"^[^\r\n\x00]*$")] = Field(
        "", description="Empty: application/json, of a text text/plain, of bytes application/octet-stream", title="Content type"
    )
    only_new: Flag = Field(
        False, description="To put: an object of this key stays as it is, and the call ends with 412", title="Only if new"
    )
    as_base64: Flag = Field(False, description="To get: bytes as base64, whatever the type says", title="As base64")
    max_keys: Annotated[Index, Field(le=KEYS_MAX)] = Field(100, description="To list: at most so many", title="Keys at most")
    timeout_in_seconds: Seconds = Field(60, description="For all of the call", title="Time limit (s)")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.operation != "list" and not self.key:
            raise ValueError(f"key: {self.operation} needs it")
        if self.content is not None and self.content_base64 is not None:
            raise ValueError("expected content or contentBase64, found both")
        if any(part in (".", "..") for part in self.key.split("/")) or "\0" in self.key:
            raise ValueError("key: expected no part '.' or '..'")
        return self


class S3Connector:
    name = "s3"
    job_type = "flowledger:s3"
    aliases: tuple[str, ...] = ()
    config: type[Config] = S3Config

    async def call(self, config: S3Config, call: Call) -> dict[str, Any]:
        """What `_answer` says. Raises: Failed, and what httpx2 and the gate raise."""
        data, kind = _content(config)
        query = {"list-type": "2", "max-keys": str(config.max_keys), "prefix": config.key} if config.operation == "list" else {}
        path = "/" + quote(config.bucket, safe=PLAIN) + ("" if config.operation == "list" else "/" + quote(config.key, safe=PLAIN + "/"))
        headers = {"content-type": kind} if kind else {}
        if config.only_new and config.operation == "put":
            headers["if-none-match"] = "*"
        method = {"get": "GET", "put": "PUT", "head": "HEAD", "delete": "DELETE", "list": "GET"}[config.operation]
        way = Way.of(call, config.timeout_in_seconds)
        async with reach.within(config.timeout_in_seconds, call):
            response, found = await aws.send(way, config, aws.Request("s3", config.endpoint, method, path, query, headers, data))
        call.status = str(response.status_code)
        if response.status_code >= 300:
            raise _refused(config, response.status_code, found)
        return _answer(config, response, found)


def _content(config: S3Config) -> tuple[bytes, str]:
    """What is put, and its type. Raises: Failed."""
    if config.operation != "put":
        return b"", ""
    if config.content_base64 is not None:
        try:
            data, kind = base64.b64decode(config.content_base64, validate=True), "application/octet-stream"
        except binascii.Error:
            raise Failed("CONFIGURATION", "contentBase64: expected base64") from None
    elif isinstance(config.content, str):
        data, kind = config.content.encode(), "text/plain; charset=utf-8"
    else:
        parts = body.parts_of(config.content, "application/json")
        data, kind = parts.get("content", b""), "application/json"
    if len(data) > BYTES_MAX:
        raise Failed("CONFIGURATION", f"expected a content of at most {BYTES_MAX} bytes, found {len(data)}")
    return data, config.content_type or kind


def _refused(config: S3Config, status: int, found: bytes) -> Failed:
    code, words = aws.told(found, "Code"), aws.told(found, "Message")
    if code in aws.LOGIN or (status in (401, 403) and not code):
        return Failed("AUTHENTICATION", f"the server does not let us in: {code or status} {words}"[:300])
    return Failed(str(status), f"{config.operation} answered {status} {code} {words}".strip()[:300], again=status in AGAIN)


def _answer(config: S3Config, response: httpx2.Response, found: bytes) -> dict[str, Any]:
    """`{key, size, etag, ...}`; of get with `content`; of list `{objects, more}`."""
    etag = response.headers.get("etag", "").strip('"')
    if config.operation == "put":
        return {"bucket": config.bucket, "key": config.key, "etag": etag, "version": response.headers.get("x-amz-version-id")}
    if config.operation == "delete":
        return {"bucket": config.bucket, "key": config.key}
    if config.operation == "list":
        return _listed(found)
    kind = response.headers.get("content-type", "")
    told = {
        "bucket": config.bucket, "key": config.key, "etag": etag, "contentType": kind, "lastModified": response.headers.get("last-modified"),
        "size": int(response.headers.get("content-length") or len(found)),
    }  # fmt: skip
    if config.operation == "get":
        plain = body.media_type(kind)[0]
        text = not config.as_base64 and (
            plain.startswith("text/") or plain == "application/json" or plain.endswith(("+json", "/xml", "+xml"))
        )
        told["content"] = body.value_of(found, kind) if text else None
        told["contentBase64"] = None if text else base64.b64encode(found).decode()
    return told


def _listed(data: bytes) -> dict[str, Any]:
    root = aws.root_of(data)
    if root is None:
        raise Failed("ANSWER_UNREADABLE", "expected a list of objects in XML")
    rows = [
        {
            "key": one.findtext("{*}Key") or "",
            "size": int(one.findtext("{*}Size") or 0),
            "etag": (one.findtext("{*}ETag") or "").strip('"'),
            "lastModified": one.findtext("{*}LastModified"),
        }
        for one in root.iterfind("{*}Contents")
    ]
    return {"objects": rows, "more": root.findtext("{*}IsTruncated") == "true"}

"""A message for a queue of IBM MQ by its messaging REST API (v3), which needs no library of IBM's: `mqweb` beside the queue manager serves it."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from pydantic import BeforeValidator, ConfigDict, Field

from flowledger.connectors import reach
from flowledger.connectors.fields import Flag, Index, Seconds, Secret
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.http.config import Url
from flowledger.connectors.outcomes import AGAIN
from flowledger.connectors.way import Way

BYTES_MAX, WORDS_MAX = 4 * 1024 * 1024, 200
NAME = r"^[A-Za-z0-9./_%]{1,48}$"
#: reasons of MQ after which another attempt may help: the queue is full, puts are inhibited, the queue manager stops, no storage
_AGAIN = frozenset({2053, 2051, 2161, 2162, 2203, 2071, 2102, 2059, 2009})
#: that we may not
_NOT_ALLOWED, _UNKNOWN = 2035, frozenset({2085, 2058})
_encode = msgspec.json.Encoder(decimal_format="number").encode


class IbmMqConfig(Config):
    """Puts a message on a queue of IBM MQ."""

    model_config = ConfigDict(title="IBM MQ: send a message")

    endpoint: Url = Field(description="Where mqweb is: https://HOST:9443", title="Endpoint")
    queue_manager: Annotated[str, Field(pattern=NAME)] = Field(description="Its name", title="Queue manager")
    queue: Annotated[str, Field(pattern=NAME)] = Field(description="Its name", title="Queue")
    username: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^:\x00-\x1f]+$")] = Field(
        description="A user with the role MQWebUser", title="User"
    )
    password: Secret = Field(description="A reference: {{secrets.NAME}}", title="Password")
    message: Any = Field(None, description="A text as it is, else JSON", title="Message")
    correlation_id: Annotated[
        str, BeforeValidator(lambda v: v.lower() if isinstance(v, str) else v), Field(pattern=r"^([0-9a-f]{48})?$")
    ] = Field("", description="48 hexadecimal digits; empty: made of the key of the work", title="Correlation id")
    reply_to: Annotated[str, Field(pattern=r"^([A-Za-z0-9./_%]{1,48}(@[A-Za-z0-9./_%]{1,48})?)?$")] = Field(
        "", description="Queue that an answer goes to, QUEUE or QUEUE@MANAGER", title="Reply to"
    )
    persistent: Flag = Field(True, description="It outlives a restart of the queue manager", title="Persistent")
    priority: Annotated[Index, Field(le=9)] | None = Field(None, description="0 to 9; empty: the queue's own", title="Priority")
    expires_after_ms: Annotated[Index, Field(le=99_999_999_900)] = Field(
        0, description="Nobody gets it after so long; 0: never", title="Expires after (ms)"
    )
    timeout_in_seconds: Seconds = Field(30, description="For all of the call", title="Time limit (s)")


class IbmMqConnector:
    name = "ibmmq"
    job_type = "flowledger:ibmmq"
    aliases: tuple[str, ...] = ()
    config: type[Config] = IbmMqConfig

    async def call(self, config: IbmMqConfig, call: Call) -> dict[str, Any]:
        """`{messageId, correlationId}`. Raises: Failed, and what httpx2 and the gate raise."""
        data = config.message.encode() if isinstance(config.message, str) else _encode(config.message)
        if len(data) > BYTES_MAX:
            raise Failed("CONFIGURATION", f"message: expected at most {BYTES_MAX} bytes, found {len(data)}")
        correlation = config.correlation_id or hashlib.sha256(call.key.encode()).hexdigest()[:48]
        login = base64.b64encode(f"{config.username}:{config.password}".encode()).decode()
        call.mask.add(login)
        headers = {
            "authorization": f"Basic {login}", "ibm-mq-rest-csrf-token": "flowledger", "accept": "application/json",
            "content-type": f"{'text/plain' if isinstance(config.message, str) else 'application/json'};charset=utf-8",
            "ibm-mq-md-correlationid": correlation, "ibm-mq-md-persistence": "persistent" if config.persistent else "nonPersistent",
            "ibm-mq-md-expiry": str(config.expires_after_ms) if config.expires_after_ms else "unlimited",
        }  # fmt: skip
        if config.priority is not None:
            headers["ibm-mq-md-priority"] = str(config.priority)
        if config.reply_to:
            headers["ibm-mq-md-replyto"] = config.reply_to
        path = f"/ibmmq/rest/v3/messaging/qmgr/{quote(config.queue_manager, safe='')}/queue/{quote(config.queue, safe='')}/message"
        async with reach.within(config.timeout_in_seconds, call):
            way = Way.of(call, config.timeout_in_seconds)
            response, found = await way.send("POST", way.to(config.endpoint.rstrip("/") + path), headers, data)
        if response.status_code >= 300:
            raise _refused(response.status_code, found)
        if not (id := response.headers.get("ibm-mq-md-messageid")):
            raise Failed("ANSWER_UNREADABLE", "expected the header ibm-mq-md-messageId from IBM MQ")
        return {"messageId": id, "correlationId": correlation}


def _refused(status: int, found: bytes) -> Failed:
    """Of `{"error": [{"msgId", "message", "reasonCode"}]}`."""
    try:
        error = msgspec.json.decode(found, type=dict[str, list[dict[str, Any]]])["error"][0]
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError, IndexError):
        error = {}
    reason = error.get("reasonCode") if isinstance(error.get("reasonCode"), int) else None
    words = " ".join(str(error.get("message") or "").split())[:WORDS_MAX]
    line = f"IBM MQ answered {status}{f' reason {reason}' if reason else ''} {re.sub(r'^MQW[A-Z][0-9]+[A-Z]: ', '', words)}".strip()
    if status == 401:
        return Failed("AUTHENTICATION", f"the server does not let us in: {words}"[:300])
    if reason in _AGAIN or (status in AGAIN and reason is None):
        return Failed("BUSY" if reason in _AGAIN else str(status), line, again=True)
    return Failed("404" if reason in _UNKNOWN else "403" if reason == _NOT_ALLOWED or status == 403 else str(status), line)

"""Azure Service Bus: AMQP 1.0 where a signed token (SAS) is put to the node `$cbs` before a link is made."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from urllib.parse import quote

from flowledger.connectors.amqp10.client import Connection, NotLetIn, Refused
from flowledger.connectors.amqp10.message import sections, written
from flowledger.connectors.amqp10.types import Garbled

#: how long a token is good, and when a reader puts a new one (seconds)
TOKEN_S, AGAIN_S = 3600, 1800
ANSWERS = "flowledger-cbs"


def token(uri: str, key_name: str, key: str, until_s: int) -> str:
    """https://learn.microsoft.com/azure/service-bus-messaging/service-bus-sas"""
    place = quote(uri, safe="")
    signed = hmac.digest(key.encode(), f"{place}\n{until_s}".encode(), hashlib.sha256)
    return f"SharedAccessSignature sr={place}&sig={quote(base64.b64encode(signed).decode(), safe='')}&se={until_s}&skn={quote(key_name, safe='')}"


async def let_in(connection: Connection, namespace: str, entity: str, key_name: str, key: str, now_s: int) -> None:
    """For `TOKEN_S`. Raises: NotLetIn, Refused, OSError, EOFError."""
    uri = f"amqps://{namespace}/{entity}"
    asks = await connection.attach("$cbs", receives=False)
    hears = await connection.attach("$cbs", receives=True, own=ANSWERS)
    await connection.allow(hears, 1)
    said = {"operation": "put-token", "type": "servicebus.windows.net:sastoken", "name": uri}
    await connection.send(
        asks, written(token(uri, key_name, key, now_s + TOKEN_S), {"message_id": str(uuid.uuid4()), "reply_to": ANSWERS}, dict(said))
    )
    await connection.come(hears)
    number, raw = hears.come.popleft()
    try:
        told = sections(raw or b"").get(0x74, [{}])[0]
        status, words = int(told["status-code"]), str(told.get("status-description") or "")
    except (Garbled, ValueError, TypeError, KeyError):
        raise ConnectionError("the answer to our token can't be read") from None
    await connection.accept(number, number)
    for link in (asks, hears):
        await connection.detach(link)
    if status in (401, 403, 404):
        raise NotLetIn("amqp:unauthorized-access", f"the key of the policy is not taken: {status} {words}"[:200])
    if not 200 <= status < 300:
        raise Refused("amqp:internal-error", f"the token is not taken now: {status} {words}"[:200])

"""What speaks to a service of Google Cloud: who we are, a call of a method, and what an answer of refusal means.

Who we are is a service account. Its key signs a token by itself, for the service that it is shown to (https://google.aip.dev/auth/4111), so no server of
tokens is asked. The metadata of a machine are never asked for tokens.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import httpx2
import msgspec
from pydantic import Field

from flowledger.connectors.fields import Seconds, Secret
from flowledger.connectors.frame import Config, Failed
from flowledger.connectors.http.config import Url
from flowledger.connectors.outcomes import AGAIN, after_s
from flowledger.connectors.way import Way

if TYPE_CHECKING:
    from flowledger.infra.secrets.mask import Mask

#: how long a token is good (the most that the services take), when it is made anew, and how many are kept
TOKEN_S, EARLY_S, TOKENS_MAX = 3600, 300, 1_000
Project = Annotated[str, Field(pattern=r"^([a-z][a-z0-9.:-]{4,98}[a-z0-9])$")]
_encode = msgspec.json.Encoder(decimal_format="number").encode


class GoogleConfig(Config):
    """What the connectors of its services have in common."""

    endpoint: Url | None = Field(None, description="Where the service is; empty: Google's own", title="Endpoint")
    project: Project = Field(description="Its id", title="Project")
    service_account: Secret = Field(
        description="The key of a service account as JSON, a reference: {{secrets.NAME}}", title="Service account"
    )
    timeout_in_seconds: Seconds = Field(30, description="For all of the call", title="Time limit (s)")


class Account(msgspec.Struct):
    """What a file of a key has of use here."""

    client_email: str
    private_key: str
    private_key_id: str
    type: str = "service_account"


class Tokens:
    """Signed with a key for a service, kept until shortly before they end; a rotated key signs anew."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def of(self, key: str, audience: str, mask: Mask | None = None) -> str:
        """Raises: Failed."""
        name = hashlib.sha256(f"{audience} {key}".encode()).hexdigest()
        now = self._clock()
        if (kept := self._kept.get(name)) is None or kept[1] <= now:
            kept = self._kept[name] = self._made(key, audience, int(now), mask), now + TOKEN_S - EARLY_S
            self._kept.move_to_end(name)
            while len(self._kept) > TOKENS_MAX:
                self._kept.popitem(last=False)
        if mask is not None:
            mask.add(kept[0])
        return kept[0]

    @staticmethod
    def _made(key: str, audience: str, now: int, mask: Mask | None) -> str:
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import RSAKey

        try:
            account = msgspec.json.decode(key, type=Account)
            if mask is not None:
                mask.add(account.private_key)
            if account.type != "service_account":
                raise ValueError
            header = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
            claims = {"iss": account.client_email, "sub": account.client_email, "aud": audience, "iat": now, "exp": now + TOKEN_S}
            return jwt.encode(header, claims, RSAKey.import_key(account.private_key))
        except (msgspec.MsgspecError, ValueError, TypeError, JoseError):  # its words may have the key
            raise Failed(
                "SECRET_UNUSABLE", "service_account: expected the key of a service account as JSON, with a private key of RSA"
            ) from None


class Request(NamedTuple):
    """`host`: of the service, such as `pubsub.googleapis.com`, which a token is signed for; `endpoint`: where it is instead."""

    host: str
    endpoint: str | None
    path: str
    data: Any
    key: str


async def send(way: Way, tokens: Tokens, asked: Request) -> dict[str, Any]:
    """A POST. Raises: Failed, and what httpx2 and the gate raise."""
    url = way.to((asked.endpoint or f"https://{asked.host}").rstrip("/") + asked.path)
    token = tokens.of(asked.key, f"https://{asked.host}/", way.call.mask if way.call is not None else None)
    headers = {
        "authorization": f"Bearer {token}", "content-type": "application/json", "accept": "application/json",
        **({"traceparent": way.call.trace} if way.call is not None and way.call.trace else {}),
    }  # fmt: skip
    response, found = await way.send("POST", url, headers, _encode(asked.data))
    if response.status_code >= 300:
        raise refused(response, found)
    return object_of(found, asked.host)


def object_of(found: bytes, host: str) -> dict[str, Any]:
    """Raises: Failed."""
    try:
        return msgspec.json.decode(found, type=dict[str, Any]) if found.strip() else {}
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise Failed("ANSWER_UNREADABLE", f"expected an object in JSON from {host}") from None


def refused(response: httpx2.Response, found: bytes) -> Failed:
    """Of `{"error": {"code", "message", "status"}}` (google.rpc.Status); the code is the service's word."""
    try:
        error = msgspec.json.decode(found, type=dict[str, dict[str, Any]]).get("error", {})
    except (msgspec.DecodeError, msgspec.ValidationError):
        error = {}
    status, words = str(error.get("status") or ""), " ".join(str(error.get("message") or "").split())[:200]
    if response.status_code == 401:
        return Failed("AUTHENTICATION", f"the service does not let us in: {words}"[:300])
    line = f"the service answered {response.status_code} {status} {words}".strip()
    if response.status_code in AGAIN:
        return Failed(str(response.status_code), line, again=True, after_s=after_s(response.headers.get("retry-after"), time.time()))
    return Failed(status if status.replace("_", "").isalpha() else str(response.status_code), line)

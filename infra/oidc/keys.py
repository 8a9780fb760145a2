"""Keys of one issuer: found by discovery, kept, read again from time to time and when a token names one that isn't known.

An issuer that is away takes nobody's good keys at once: they are believed for `stale_s`. A key that it lists no more is good no more.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable
from typing import Any

import httpx2
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from flowledger.infra.oidc.config import Issuer, reachable
from flowledger.logs import log

log_ = log("oidc")
#: how often keys are read again, and how soon after the last time a token may make us do it (seconds)
REFRESH_S, AGAIN_S = 300.0, 5.0
#: how long an answer may take (seconds), its size (bytes), and how many keys are taken
ANSWER_S, ANSWER_BYTES_MAX, KEYS_MAX = 5.0, 512 * 1024, 100
RSA_BITS_MIN = 2048

PublicKey = RSAKey | ECKey | OKPKey


class Away(Exception):
    """The issuer can't be asked, or what it answers is of no use."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """OpenID Connect Discovery 1.0, 3. What else it names is looked at too: an address that nobody should be sent to makes all of it doubtful."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    device_authorization_endpoint: str = ""
    end_session_endpoint: str = ""


class Keys:
    """`clock`: seconds, monotonic."""

    def __init__(self, issuer: Issuer, client: httpx2.AsyncClient, clock: Callable[[], float] = time.monotonic) -> None:
        self.issuer, self._client, self._clock = issuer, client, clock
        #: by key id, or by thumbprint where the issuer gives none
        self.keys: dict[str, PublicKey] = {}
        #: when they were read, and when they were asked for the last time
        self._read, self._asked = -math.inf, -math.inf
        self.failed = "it has not been asked yet"
        self._fetching: asyncio.Task[None] | None = None
        #: where its endpoints are, as last read
        self.document: Document | None = None

    @property
    def believable(self) -> bool:
        return self._clock() - self._read <= self.issuer.stale_s

    def may_ask(self) -> bool:
        """Whether an unknown key is a reason to ask (again)."""
        return self._fetching is not None or self._clock() - self._asked >= AGAIN_S

    def ask(self) -> asyncio.Task[None]:
        """Read them again; whoever asks meanwhile waits for the same answer. The task raises nothing: `failed` says why it came to nothing."""
        if self._fetching is None:
            self._asked = self._clock()
            self._fetching = asyncio.create_task(self._fetch(), name=f"keys of {self.issuer.name}")
            self._fetching.add_done_callback(self._fetched)
        return self._fetching

    def _fetched(self, _: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        try:
            document = await self._discovered()
            keys = self._taken(await self._answer(document.jwks_uri))
        except Away as e:
            if not self.failed:
                log_.warning(
                    "an issuer's keys can't be read; those that are known are believed for a while", issuer=self.issuer.name, why=str(e)
                )
            self.failed = str(e)
            return
        if gone := self.keys.keys() - keys.keys():
            log_.info("an issuer has taken keys back", issuer=self.issuer.name, keys=", ".join(sorted(gone))[:500])
        self.keys, self.document, self._read, self.failed = keys, document, self._clock(), ""

    async def _discovered(self) -> Document:
        found = await self._answer(self.issuer.issuer.rstrip("/") + "/.well-known/openid-configuration")
        try:
            document = msgspec.convert(found, Document)
        except msgspec.ValidationError as e:
            raise Away(f"its configuration: {e}") from None
        if document.issuer != self.issuer.issuer:
            raise Away(f"its configuration is of another issuer: {document.issuer[:200]!r} instead of {self.issuer.issuer!r}")
        for name in Document.__struct_fields__[1:]:
            if (url := getattr(document, name)) and (why := reachable(url)):
                raise Away(f"{name} of its configuration: {why}")
        return document

    async def _answer(self, url: str) -> Any:
        try:
            async with asyncio.timeout(2 * ANSWER_S), self._client.stream("GET", url, headers={"accept": "application/json"}) as response:
                if response.status_code != 200:
                    raise Away(f"{url} answers {response.status_code}")
                data = bytearray()
                async for part in response.aiter_bytes():
                    data += part
                    if len(data) > ANSWER_BYTES_MAX:
                        raise Away(f"{url} answers more than {ANSWER_BYTES_MAX} bytes")
            return json.loads(data)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError) as e:
            raise Away(f"{url}: {type(e).__name__}") from None
        except (ValueError, RecursionError):
            raise Away(f"{url} doesn't answer JSON") from None

    def _taken(self, found: Any) -> dict[str, PublicKey]:
        """Those that can check signatures; a key that is still the same stays the same object. Raises: Away."""
        listed = found.get("keys") if isinstance(found, dict) else None
        if not isinstance(listed, list):
            raise Away("its keys: a list was expected as `keys`")
        keys: dict[str, PublicKey] = {}
        for each in listed[:KEYS_MAX]:
            if (key := _usable(each)) is None:
                continue
            id = key.kid or key.thumbprint()
            known = self.keys.get(id)
            keys[id] = known if known is not None and known.thumbprint() == key.thumbprint() and known.alg == key.alg else key
        return keys


def _usable(found: Any) -> PublicKey | None:
    """Never a shared secret, never a key for encryption, never a short one. What we don't know is passed over, as RFC 7517, 5 wants it."""
    if not isinstance(found, dict) or found.get("kty") not in ("RSA", "EC", "OKP") or found.get("use", "sig") != "sig":
        return None
    kid = found.get("kid")
    if kid is not None and not isinstance(kid, str):
        return None
    try:
        key = JWKRegistry.import_key(found)
        if isinstance(key, RSAKey) and key.public_key.key_size < RSA_BITS_MIN:
            return None
    except (JoseError, ValueError, TypeError, KeyError) as e:
        log_.warning("a key of an issuer can't be used", key=str(kid)[:100], why=type(e).__name__)
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


async def keep_fresh(all_keys: list[Keys]) -> None:
    """For ever. An issuer that was away is asked more often."""
    while True:
        await asyncio.gather(*(k.ask() for k in all_keys))
        await asyncio.sleep(30 if any(k.failed for k in all_keys) else REFRESH_S)

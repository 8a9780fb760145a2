"""The authorisation code flow with PKCE, by which a browser signs in (OpenID Connect Core 1.0, 3.1; RFC 7636; RFC 9207), and signing out
(RP-Initiated and Back-Channel Logout 1.0). authlib speaks the protocol."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from flowledger.infra.oidc.config import secret_of
from flowledger.infra.oidc.keys import ANSWER_S, Away, Document, Keys
from flowledger.infra.oidc.tokens import KeyUnknown, Refused, Verified, Verifier

#: exchanges at once; each asks an issuer
EXCHANGES_MAX = 20


class Busy(Exception):
    """Too many codes are being exchanged now."""


class Asked(NamedTuple):
    """What one sign-in is known again by: none of it is told to anybody but the browser and the issuer."""

    redirect_uri: str
    state: str
    nonce: str
    verifier: str


class Codes:
    """`tls`: whom an issuer's certificate is shown to."""

    def __init__(self, verifier: Verifier, tls: ssl.SSLContext | bool = True) -> None:
        self.verifier, self._tls = verifier, tls
        self._room = asyncio.Semaphore(EXCHANGES_MAX)

    async def address(self, keys: Keys, asked: Asked) -> str:
        """Where the browser goes. Raises: Away."""
        document = await self._document(keys)
        if not document.authorization_endpoint or not document.token_endpoint:
            raise Away("its configuration names no authorization_endpoint, or no token_endpoint")
        async with self._client(keys, asked.redirect_uri) as client:
            url, _ = client.create_authorization_url(
                document.authorization_endpoint, state=asked.state, code_verifier=asked.verifier, nonce=asked.nonce
            )
        return str(url)

    async def claims(self, keys: Keys, asked: Asked, code: str, now: int) -> dict[str, Any]:
        """Of the ID token, and of the access token where that is for us: many issuers say roles there only. Raises: Away, Busy, KeyUnknown, Refused."""
        document = await self._document(keys)
        if self._room.locked():
            raise Busy
        async with self._room, self._client(keys, asked.redirect_uri) as client:
            try:
                async with asyncio.timeout(2 * ANSWER_S):
                    answer = await client.fetch_token(document.token_endpoint, code=code, code_verifier=asked.verifier)
            except OAuthError as e:
                raise Refused(f"the issuer refuses the code ({str(e.error)[:100]})") from None
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError, ValueError) as e:
                raise Away(f"{document.token_endpoint}: {type(e).__name__}") from None
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise Refused("an ID token was expected, found none")
        found = await self._with_keys(keys, lambda: self.verifier.sign_in(token, keys, asked.nonce, now))
        try:
            more = self.verifier.access(str(answer.get("access_token") or ""), now)
        except (Refused, KeyUnknown):
            return found.claims
        return {**more.claims, **found.claims} if more.keys is keys and more.claims["sub"] == found.claims["sub"] else found.claims

    async def signed_out(self, keys: Keys, text: str, now: int) -> dict[str, Any]:
        """Claims of a logout token. Raises: KeyUnknown, Refused."""
        return (await self._with_keys(keys, lambda: self.verifier.sign_out(text, keys, now))).claims

    @staticmethod
    async def _with_keys(keys: Keys, look: Any) -> Verified:
        """With its keys read again where it names one that isn't known."""
        try:
            return look()  # type: ignore[no-any-return]
        except KeyUnknown:
            if not keys.may_ask():
                raise
            await asyncio.shield(keys.ask())
            return look()  # type: ignore[no-any-return]

    @staticmethod
    def end_address(keys: Keys, back: str) -> str | None:
        """Where a browser signs out at the issuer; None: nowhere."""
        end = keys.document.end_session_endpoint if keys.document is not None else ""
        if not end:
            return None
        query = urlencode({"client_id": keys.issuer.client_id, "post_logout_redirect_uri": back})
        return f"{end}{'&' if '?' in end else '?'}{query}"

    @staticmethod
    async def _document(keys: Keys) -> Document:
        if keys.document is None:
            await asyncio.shield(keys.ask())
        if keys.document is None:
            raise Away(keys.failed or "its configuration has not been read")
        return keys.document

    def _client(self, keys: Keys, redirect_uri: str) -> Any:
        issuer = keys.issuer
        secret = secret_of(issuer) if issuer.client_secret else None
        return AsyncOAuth2Client(
            issuer.client_id, secret, token_endpoint_auth_method="client_secret_basic" if secret else "none", scope=" ".join(issuer.scopes),
            redirect_uri=redirect_uri, code_challenge_method="S256", verify=self._tls, timeout=ANSWER_S, follow_redirects=False, trust_env=False,
        )  # fmt: skip

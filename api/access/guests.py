"""Sign-in of browsers at an issuer: where they are sent, what they come back with, the session that it makes, and its end.

Between the two stands a cookie of ten minutes with what the answer must fit: nothing is kept here of who only began.
"""

from __future__ import annotations

import base64
import hmac
import secrets as chance
from typing import Any

import msgspec

from flowledger.api.access.known import away
from flowledger.api.access.rights import ROLES
from flowledger.api.access.tokens import Tokens
from flowledger.api.problems import Problem
from flowledger.infra.accounts import secrets
from flowledger.infra.accounts.store import Guest
from flowledger.infra.oidc.code import Asked, Busy, Codes
from flowledger.infra.oidc.config import Unfit
from flowledger.infra.oidc.keys import Away, Keys
from flowledger.infra.oidc.tokens import KeyUnknown, Refused
from flowledger.infra.own_tables import AWAY
from flowledger.logs import log

log_ = log("access")
#: how long somebody may take at the issuer (seconds), and the longest that is read of what they bring back (characters)
BEGUN_S, BROUGHT_MAX = 600, 4_000
#: sessions of one person; of more the oldest end
SESSIONS_MAX = 20


class Begun(msgspec.Struct):
    """What the cookie holds. `to`: the page that was wanted."""

    issuer: str
    redirect_uri: str
    state: str
    nonce: str
    verifier: str
    to: str


class Failed(Exception):
    """A sign-in that came to nothing: a word for the page that says so."""


class Guests:
    def __init__(self, tokens: Tokens, codes: Codes, session_us: int) -> None:
        self.tokens, self.codes, self.known, self._session_us = tokens, codes, tokens.known, session_us
        self._issuers = {k.issuer.name: k for k in tokens.issuers if k.issuer.client_id}
        self.known.issuers |= frozenset(self._issuers)

    def issuer(self, name: str) -> Keys:
        """Raises: Problem (404)."""
        if (found := self._issuers.get(name)) is None:
            raise Problem("NOT_FOUND", f"no issuer {name[:80]!r} signs in here")
        return found

    async def begin(self, name: str, redirect_uri: str, to: str) -> tuple[str, str]:
        """(where to go, the cookie). Raises: Problem (404, 503)."""
        keys = self.issuer(name)
        begun = Begun(name, redirect_uri, chance.token_urlsafe(32), chance.token_urlsafe(32), chance.token_urlsafe(48), to)
        try:
            url = await self.codes.address(keys, _asked(begun))
        except Away as e:
            raise away(f"the issuer {name}: {e}") from None
        return url, base64.urlsafe_b64encode(msgspec.json.encode(begun)).decode().rstrip("=")

    async def finish(self, name: str, cookie: str, brought: dict[str, str]) -> tuple[str, Guest, str]:
        """(the session's text, the session, the page that was wanted). Raises: Problem (404), Failed."""
        keys = self.issuer(name)
        begun = _begun(cookie)
        state = brought.get("state", "")
        if begun is None or begun.issuer != name or not hmac.compare_digest(begun.state.encode(), state.encode()):
            raise self._failed("again", keys, "it didn't begin in this browser, or too long ago")
        if brought.get("iss", keys.issuer.issuer) != keys.issuer.issuer:  # RFC 9207
            raise self._failed("refused", keys, "the answer is of another issuer")
        if "error" in brought or not brought.get("code"):
            raise self._failed("refused", keys, f"the issuer says {brought.get('error', 'nothing')[:100]!r}")
        try:
            claims = await self.codes.claims(keys, _asked(begun), brought["code"], self.known.now_us() // 1_000_000)
            return *await self._session(keys, claims), begun.to
        except (Refused, Unfit) as e:
            raise self._failed("refused", keys, str(e)) from None
        except Problem as p:
            raise self._failed("taken" if p.status == 403 else "away" if p.status == 503 else "refused", keys, p.detail) from None
        except (Away, Busy, KeyUnknown, *AWAY) as e:
            raise self._failed("away", keys, str(e) or type(e).__name__) from None

    @staticmethod
    def _failed(word: str, keys: Keys, why: str) -> Failed:
        log_.warning("a sign-in at an issuer came to nothing", issuer=keys.issuer.name, why=why)
        return Failed(word)

    async def _session(self, keys: Keys, claims: dict[str, Any]) -> tuple[str, Guest]:
        who = self.tokens.who_of(keys, claims)
        self.known.stranger(who.actor)
        text, now_us = secrets.token(), self.known.now_us()
        guest = Guest(
            verifier=secrets.verifier(text), name=who.actor, csrf=secrets.token(), began_us=now_us, seen_us=now_us,
            expires_us=now_us + self._session_us, issuer=keys.issuer.name, subject=str(claims["sub"])[:500], sid=_text(claims.get("sid")),
            roles=[r for r in who.roles if r in ROLES], groups=who.groups, tenants=who.tenants,
        )  # fmt: skip
        await self.known.store.begin_guest(guest, SESSIONS_MAX)
        log_.info("a session has begun", name=who.actor, issuer=keys.issuer.name)
        return text, guest

    def end_address(self, name: str, back: str) -> str | None:
        """Where a browser signs out at the issuer, too."""
        keys = self._issuers.get(name)
        return self.codes.end_address(keys, back) if keys is not None else None

    async def signed_out(self, name: str, text: str) -> None:
        """The issuer says that somebody, or a sign-in of theirs, is over. Raises: Problem (400, 404, 503)."""
        keys = self.issuer(name)
        try:
            claims = await self.codes.signed_out(keys, text, self.known.now_us() // 1_000_000)
            await self.known.store.end_guests(name, _text(claims.get("sub")), _text(claims.get("sid")))
            await self.known.refresh()
        except Refused as e:
            log_.warning("a logout token was refused", issuer=name, why=str(e))
            raise Problem("MALFORMED", str(e), where="form logout_token") from None
        except KeyUnknown:
            raise away(f"the keys of the issuer {name}") from None
        except AWAY as e:
            raise away(type(e).__name__) from None


def _asked(begun: Begun) -> Asked:
    return Asked(begun.redirect_uri, begun.state, begun.nonce, begun.verifier)


def _text(value: Any) -> str:
    return value[:500] if isinstance(value, str) else ""


def _begun(cookie: str) -> Begun | None:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cookie[:BROUGHT_MAX] + "=" * (-len(cookie) % 4)), type=Begun)
    except (ValueError, msgspec.DecodeError):
        return None


def local(to: str) -> str:
    """A page of ours, or the first one: nobody is sent elsewhere by an address that begins with ours."""
    good = to.startswith("/") and not to.startswith(("//", "/\\")) and len(to) <= 1_000 and to.isprintable() and "\\" not in to
    return to if good else "/"

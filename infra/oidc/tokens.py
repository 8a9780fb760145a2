"""What a token says, once it has shown that its issuer said it, to us, and now. joserfc checks; what is refused and why stands here.

Only what is named in the file of issuers counts: its algorithms, its keys. What a token says of keys (`jku`, `jwk`, `x5u`, `x5c`) is not looked at.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from joserfc import jws
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwt import JWTClaimsRegistry

from flowledger.infra.oidc.config import Issuer
from flowledger.infra.oidc.keys import Keys, PublicKey

#: longest token that is looked at, characters
TOKEN_MAX = 16 * 1024
#: the year 9999; a token may say any number
TIME_MAX = 253_402_300_799
#: what only a token about a sign-in has (OpenID Connect Core 1.0, 2 and 3.3.2.11): it is for the client, and opens no API
OF_SIGN_IN = ("nonce", "at_hash", "c_hash", "s_hash")
#: of the claims that are looked at, those that have to be there
ESSENTIAL = ("iss", "aud", "exp", "sub")


#: the event of a logout token, and for how long it is good when it doesn't say (seconds)
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_S = 300


class Refused(Exception):
    """This token is not good. Its text never has a part of it."""


class KeyUnknown(Exception):
    """It names a key that we don't have (yet), or have been told of too long ago."""

    def __init__(self, keys: Keys) -> None:
        super().__init__(keys.issuer.name)
        self.keys = keys


class Verified(NamedTuple):
    keys: Keys
    #: the key that it was checked with, and under which name that stands among the issuer's
    key: PublicKey
    key_id: str
    claims: dict[str, Any]

    @property
    def expires_us(self) -> int:
        return int(min(self.claims["exp"], TIME_MAX) + self.keys.issuer.skew_s) * 1_000_000


class Verifier:
    def __init__(self, issuers: list[Keys]) -> None:
        self.issuers = {k.issuer.issuer: k for k in issuers}
        self._registries = {k.issuer.issuer: _registry(k.issuer) for k in issuers}

    def access(self, text: str, now: int) -> Verified:
        """Of an access token. `now`: seconds UTC. Raises: Refused, KeyUnknown."""
        header, found = self._verified(text)
        issuer = found.keys.issuer
        if _media(header.get("typ", "")) not in map(_media, issuer.types):
            raise Refused(f"an access token ({' or '.join(t or 'of no type' for t in issuer.types)}) was expected, found another type")
        if any(name in found.claims for name in OF_SIGN_IN) or found.claims.get("typ", "Bearer") not in ("Bearer", "DPoP"):
            raise Refused("an access token was expected, found a token about a sign-in, or to refresh one")
        if "cnf" in found.claims:  # RFC 7800: good only together with a proof, which we don't ask for
            raise Refused("this token is bound to a key of its holder, which isn't taken here")
        _claims(found, issuer.audiences, now)
        return found

    def sign_in(self, text: str, keys: Keys, nonce: str, now: int) -> Verified:
        """Of an ID token that was asked for with this nonce. Raises: Refused, KeyUnknown."""
        _, found = self._verified(text)
        issuer = found.keys.issuer
        if found.keys is not keys:
            raise Refused("the token about the sign-in is of another issuer than was asked")
        if found.claims.get("nonce") != nonce:
            raise Refused("the token about the sign-in is not of this sign-in")
        _claims(found, [issuer.client_id], now)
        audiences = found.claims["aud"]
        if found.claims.get("azp", issuer.client_id if not isinstance(audiences, list) or len(audiences) == 1 else "") != issuer.client_id:
            raise Refused("the token about the sign-in is for another client")
        return found

    def sign_out(self, text: str, keys: Keys, now: int) -> Verified:
        """Of a logout token (Back-Channel Logout 1.0, 2.4 and 2.6). Raises: Refused, KeyUnknown."""
        header, found = self._verified(text)
        if found.keys is not keys or _media(header.get("typ", "JWT")) not in ("logout+jwt", "jwt"):
            raise Refused("a logout token of this issuer was expected")
        events = found.claims.get("events")
        if not isinstance(events, dict) or LOGOUT not in events or "nonce" in found.claims:
            raise Refused("a logout token was expected, found another")
        if not any(isinstance(found.claims.get(name), str) and found.claims[name] for name in ("sub", "sid")):
            raise Refused("a logout token says who or which session (sub, sid), this one doesn't")
        _claims(found, [found.keys.issuer.client_id], now, ("iss", "aud", "iat"))
        if found.claims["iat"] < now - LOGOUT_S - found.keys.issuer.skew_s:
            raise Refused("this logout token is too old")
        return found

    def _verified(self, text: str) -> tuple[dict[str, Any], Verified]:
        """Whose signature it is, and that it is one."""
        if len(text) > TOKEN_MAX or not text.isascii():
            raise Refused(f"a token of {TOKEN_MAX} characters at most was expected")
        try:
            token = jws.extract_compact(text.encode("ascii"))
            header, payload = token.headers(), token.payload
            claims = json.loads(payload or b"", parse_constant=_no_number)
        except (JoseError, ValueError, TypeError, RecursionError):
            raise Refused("an API key or a signed token was expected, found something else") from None
        if not isinstance(claims, dict) or not isinstance(header, dict):
            raise Refused("an API key or a signed token was expected, found something else")
        if "crit" in header:  # RFC 7515, 4.1.11
            raise Refused("this token has an extension that must be understood, and isn't here")
        iss = claims.get("iss")
        keys = self.issuers.get(iss) if isinstance(iss, str) else None
        if keys is None:
            raise Refused("this token is of an issuer that isn't known here")
        algorithm = header.get("alg")
        if algorithm not in keys.issuer.algorithms:
            raise Refused(f"a token signed by {' or '.join(keys.issuer.algorithms)} was expected, found another algorithm")
        if not keys.believable:
            raise KeyUnknown(keys)
        id, key = _key_of(keys, header.get("kid"))
        try:
            good = jws.validate_compact(token, key, registry=self._registries[keys.issuer.issuer])
        except (JoseError, ValueError, TypeError):
            good = False
        if not good:
            raise Refused("the signature of this token is not good")
        return header, Verified(keys, key, id, claims)


def _media(typ: Any) -> str:
    """RFC 7515, 4.1.9: `application/` may lack, and case is nothing."""
    return str(typ).lower().removeprefix("application/")


def _key_of(keys: Keys, id: Any) -> tuple[str, PublicKey]:
    if id is None and len(keys.keys) == 1:  # RFC 7515, 4.1.4: it may lack
        return next(iter(keys.keys.items()))
    if not isinstance(id, str):
        raise Refused("this token doesn't say by which key it is signed")
    if (key := keys.keys.get(id)) is None:
        raise KeyUnknown(keys)
    return id, key


def _registry(issuer: Issuer) -> jws.JWSRegistry:
    return jws.JWSRegistry(algorithms=issuer.algorithms, strict_check_header=False)


def _no_number(text: str) -> Any:
    raise ValueError(text)  # NaN and Infinity are no JSON


def _claims(found: Verified, audiences: list[str], now: int, essential: tuple[str, ...] = ESSENTIAL) -> None:
    issuer = found.keys.issuer
    wanted: dict[str, Any] = {name: {"essential": True} for name in essential}
    wanted["iss"]["value"], wanted["aud"]["values"] = issuer.issuer, audiences
    # whole seconds: of the skew none is lost
    registry = JWTClaimsRegistry(now=now, leeway=int(issuer.skew_s), **wanted)
    try:
        registry.validate(found.claims)
    except ExpiredTokenError:
        raise Refused("this token has expired") from None
    except MissingClaimError as e:
        raise Refused(f"a token with {', '.join(essential)} was expected: {e.description}") from None
    except InvalidClaimError as e:
        raise Refused(_WHY.get(e.claim, f"the claim {e.claim} of this token is not good")) from None
    except JoseError:
        raise Refused("the claims of this token are not good") from None


_WHY = {
    "aud": "this token is for another audience",
    "nbf": "this token is not good yet",
    "iat": "this token was made in the future: do the clocks agree?",
}

"""Who sends: signature, password or token of a request to a webhook, against secrets by reference. What isn't good is refused without a word about why;
the log has it. Comparisons take as long as they take, whatever the difference.

Sources: Standard Webhooks 1.0; RFC 7617 (basic), 6750 (bearer), 7515, 7518 and 7519 (JWT; joserfc checks those), 8725 (best practices of tokens).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey
from joserfc.jwt import JWTClaimsRegistry

from flowledger.infra.secrets import SecretError, Secrets
from flowledger.kernel.model.trigger_fields import duration_us, secret_name
from flowledger.kernel.model.trigger_webhook import SHARED, Signing, signing

#: signatures of a header that are looked at, characters of a token, bytes of a key that both have (RFC 7518, 3.2)
SIGNATURES_MAX = 10
TOKEN_MAX = 16 * 1024
SHARED_BYTES_MIN = 32
_WHSEC = "whsec_"


class Refused(Exception):
    """The text is for the log."""


class Unusable(Exception):
    """A secret can't be had or used: nobody can be known. The text names it and never has its value."""


class Sender(NamedTuple):
    """`key`: what a repeated request is known by; `claims`: of a token. `hidden`: headers that are nobody else's business."""

    key: str = ""
    claims: dict[str, Any] | None = None
    hidden: frozenset[str] = frozenset()


async def known(authentication: Mapping[str, Any], headers: Mapping[str, str], body: bytes, secrets: Secrets, now_s: float) -> Sender:
    """`headers` by their small names. Raises: Refused, Unusable."""
    kind = authentication["type"]
    if kind == "none":
        return Sender()
    field = {"hmac": "secret", "basic": "password", "bearer": "token", "jwt": "key"}[kind]
    wanted = authentication[field]
    names = [secret_name(reference) for reference in (wanted if isinstance(wanted, list) else [wanted])]
    try:
        found = await secrets.resolve(names)
    except SecretError as e:
        raise Unusable(e.message) from None
    values = [found[name] for name in names]
    return _KINDS[kind](authentication, headers, body, values, now_s)


def _same(given: bytes, wanted: Iterable[bytes]) -> bool:
    """Each is looked at, however early one fits."""
    return any([hmac.compare_digest(given, each) for each in wanted])


# --- signatures ----------------------------------------------------------------------------------------------------------


def _hmac(authentication: Mapping[str, Any], headers: Mapping[str, str], body: bytes, secrets: list[str], now_s: float) -> Sender:
    s = signing(authentication)
    given = _given(s, headers)
    timestamp, id = "", ""
    if s.timestamp:
        timestamp = _timestamp(s, headers, now_s)
    if s.id and not (id := headers.get(s.id.lower(), "")):
        raise Refused(f"no header {s.id}")
    signed = b"".join(_filled(s.signed, timestamp, id, body))
    good = [_written(s, hmac.digest(_secret(s, secret), signed, s.algorithm)) for secret in secrets]
    if not any([_same(each, good) for each in given]):
        raise Refused("the signature is not good")
    key = f"{s.id.lower()}:{id}" if id else f"signed:{hashlib.sha256(signed).hexdigest()}"
    return Sender(key, hidden=frozenset((s.header.lower(),)))


def _given(s: Signing, headers: Mapping[str, str]) -> list[bytes]:
    text = headers.get(s.header.lower(), "")
    parts = [p.strip() for p in (text.split(s.separator) if s.separator else [text])]
    found = [p[len(s.prefix) :] for p in parts if p.startswith(s.prefix)]
    if not 0 < len(found) <= SIGNATURES_MAX:
        raise Refused(f"expected 1 to {SIGNATURES_MAX} signatures in the header {s.header}, found {len(found)}")
    return [(p.lower() if s.encoding == "hex" else p).encode("latin-1", "replace") for p in found]


def _timestamp(s: Signing, headers: Mapping[str, str], now_s: float) -> str:
    text = headers.get(s.timestamp.lower(), "")
    if s.timestamp_prefix:
        parts = [p.strip() for p in (text.split(s.separator) if s.separator else [text])]
        text = next((p[len(s.timestamp_prefix) :] for p in parts if p.startswith(s.timestamp_prefix)), "")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise Refused(f"no time in the header {s.timestamp}")
    seconds = int(text) / (1000 if len(text) > 11 else 1)
    if abs(now_s - seconds) > duration_us(s.tolerance) / 1_000_000:
        raise Refused(f"its time is {now_s - seconds:.0f} s away from ours, more than {s.tolerance}")
    return text


def _filled(signed: str, timestamp: str, id: str, body: bytes) -> Iterable[bytes]:
    """In one pass: what is put in is not looked at again."""
    rest = signed
    while rest:
        before, brace, rest = rest.partition("{")
        yield before.encode()
        name, end, after = rest.partition("}")
        value = {"body": body, "timestamp": timestamp.encode(), "id": id.encode("latin-1", "replace")}.get(name) if end else None
        if value is not None:
            yield value
            rest = after
        else:
            yield brace.encode()


def _secret(s: Signing, text: str) -> bytes:
    try:
        if s.key_in == "base64":
            return base64.b64decode(text.removeprefix(_WHSEC), validate=True)
        return bytes.fromhex(text) if s.key_in == "hex" else text.encode()
    except (ValueError, binascii.Error):
        raise Unusable(f"the secret is not in {s.key_in}") from None


def _written(s: Signing, digest: bytes) -> bytes:
    return digest.hex().encode() if s.encoding == "hex" else base64.b64encode(digest)


# --- passwords and tokens -----------------------------------------------------------------------------------------------


def _basic(authentication: Mapping[str, Any], headers: Mapping[str, str], body: bytes, secrets: list[str], now_s: float) -> Sender:
    scheme, _, text = headers.get("authorization", "").partition(" ")
    try:
        given = base64.b64decode(text.strip(), validate=True) if scheme.lower() == "basic" else b""
    except (ValueError, binascii.Error):
        given = b""
    if not _same(given, [f"{authentication['username']}:{secret}".encode() for secret in secrets]):
        raise Refused("the name or the password is not good")
    return Sender()


def _bearer(authentication: Mapping[str, Any], headers: Mapping[str, str], body: bytes, secrets: list[str], now_s: float) -> Sender:
    header = authentication.get("header", "authorization").lower()
    text = headers.get(header, "")
    given = _token(text) if header == "authorization" else text
    if not _same(given.encode("latin-1", "replace"), [secret.encode() for secret in secrets]):
        raise Refused("the token is not good")
    return Sender(hidden=frozenset((header,)))


def _token(text: str) -> str:
    scheme, _, token = text.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _jwt(authentication: Mapping[str, Any], headers: Mapping[str, str], body: bytes, secrets: list[str], now_s: float) -> Sender:
    text = _token(headers.get("authorization", ""))
    algorithms = authentication["algorithms"] if isinstance(authentication["algorithms"], list) else [authentication["algorithms"]]
    if not text or len(text) > TOKEN_MAX or not text.isascii():
        raise Refused("no token")
    try:
        token = jws.extract_compact(text.encode("ascii"))
        header = token.headers()
        claims = json.loads(token.payload or b"", parse_constant=_no_number)
    except (JoseError, ValueError, TypeError, RecursionError):
        raise Refused("a signed token was expected, found something else") from None
    if not isinstance(claims, dict) or header.get("alg") not in algorithms or "crit" in header:
        raise Refused(f"a token signed by {' or '.join(algorithms)} was expected, found another")
    registry = jws.JWSRegistry(algorithms=algorithms, strict_check_header=False)
    if not any([_signed(token, key, registry) for secret in secrets for key in _keys(secret, header)]):
        raise Refused("the signature of the token is not good")
    wanted: dict[str, Any] = {
        "iss": {"essential": True, "value": authentication["issuer"]}, "aud": {"essential": True, "value": authentication["audience"]},
        "exp": {"essential": True},
    }  # fmt: skip
    try:
        JWTClaimsRegistry(now=int(now_s), leeway=duration_us(authentication.get("leeway", "PT30S")) // 1_000_000, **wanted).validate(claims)
    except JoseError as e:
        raise Refused(f"the token is not good: {type(e).__name__} {getattr(e, 'claim', '')}".strip()) from None
    key = ""
    if authentication.get("once"):
        if not isinstance(jti := claims.get("jti"), str) or not jti:
            raise Refused("a token with jti was expected, as each is good once")
        key = f"jti:{jti}"
    return Sender(key, claims)


def _signed(token: Any, key: Any, registry: jws.JWSRegistry) -> bool:
    try:
        return bool(jws.validate_compact(token, key, registry=registry))
    except (JoseError, ValueError, TypeError):
        return False


def _keys(text: str, header: Mapping[str, Any]) -> list[Any]:
    """A PEM, a JWK or a set of them; for HS* the secret as it is. Raises: Unusable."""
    algorithm = str(header["alg"])
    try:
        if algorithm in SHARED:
            if text.lstrip().startswith(("-----BEGIN", "{")) or len(text.encode()) < SHARED_BYTES_MIN:
                raise Unusable(f"for {algorithm} a secret of {SHARED_BYTES_MIN} bytes or more is needed that is no key of an issuer")
            return [OctKey.import_key(text.encode())]
        if text.lstrip().startswith("{"):
            found = json.loads(text)
            all_keys = KeySet.import_key_set(found if "keys" in found else {"keys": [found]}).keys
            return [k for k in all_keys if k.key_type in ("RSA", "EC", "OKP") and header.get("kid", k.kid) == k.kid]
        kind: Any = RSAKey if algorithm[:2] in ("RS", "PS") else ECKey if algorithm.startswith("ES") else OKPKey
        return [kind.import_key(text.encode())]
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as e:
        raise Unusable(f"the key can't be read: {type(e).__name__}") from None


def _no_number(text: str) -> Any:
    raise ValueError(text)  # NaN and Infinity are no JSON


_KINDS = {"hmac": _hmac, "basic": _basic, "bearer": _bearer, "jwt": _jwt}

"""What a webhook is told: its path, by what it knows a sender, and what a body may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from flowledger.kernel.model import trigger_fields as f
from flowledger.kernel.model.trigger_fields import Field

#: bytes of a body that are taken, where the trigger doesn't say, and at most; items that are taken in a second, likewise
BYTES, BYTES_MAX = 262_144, 1_048_576
RATE, RATE_MAX = 1_000, 100_000
SECRETS_MAX = 5
_HEADER = f.text(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", "the name of a header")
_PATH = f.text(r"(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*", "a path such as orders/new", 200)
#: of signatures with keys of the issuer, and with a secret that both have
KEY_PAIRS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
SHARED = ("HS256", "HS384", "HS512")


class Signing(NamedTuple):
    """How a sender signs. Its header has signatures behind `prefix`, parted by `separator`; `signed` is the text that is signed. `timestamp` and
    `id`: the headers that they stand in; `timestamp_prefix`: what the time stands behind, where its header has more than that."""

    header: str
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    separator: str = ""
    signed: str = "{body}"
    timestamp: str = ""
    timestamp_prefix: str = ""
    tolerance: str = "PT5M"
    id: str = ""
    key_in: str = "text"


#: what some of those who send do; each field may be said otherwise
SCHEMES: dict[str, dict[str, str]] = {
    "standard": {
        "header": "webhook-signature", "encoding": "base64", "prefix": "v1,", "separator": " ", "signed": "{id}.{timestamp}.{body}",
        "timestamp": "webhook-timestamp", "id": "webhook-id", "key_in": "base64",
    },
    "github": {"header": "x-hub-signature-256", "prefix": "sha256="},
    "stripe": {
        "header": "stripe-signature", "prefix": "v1=", "separator": ",", "signed": "{timestamp}.{body}", "timestamp": "stripe-signature",
        "timestamp_prefix": "t=",
    },
    "slack": {
        "header": "x-slack-signature", "prefix": "v0=", "signed": "v0:{timestamp}:{body}", "timestamp": "x-slack-request-timestamp",
    },
}  # fmt: skip

_SECRETS = Field(f.several(f.secret, SECRETS_MAX), True)
_SHORT = f.text(r"[\x20-\x7e]{0,100}", "a text of at most 100 characters")
_SOMEBODY = f.text(r"[^\x00-\x1f\x7f:]{1,200}", "a name without a colon")
#: type -> its fields
AUTHENTICATION: dict[str, dict[str, Field]] = {
    "none": {},
    "hmac": {
        "secret": _SECRETS, "scheme": Field(f.one_of(*SCHEMES)), "header": Field(_HEADER),
        "algorithm": Field(f.one_of("sha1", "sha256", "sha384", "sha512")), "encoding": Field(f.one_of("hex", "base64")), "prefix": Field(_SHORT),
        "separator": Field(f.one_of("", " ", ",")), "signed": Field(_SHORT), "timestamp": Field(_HEADER), "timestamp_prefix": Field(_SHORT),
        "tolerance": Field(f.within("PT1S", "P1D")), "id": Field(_HEADER), "key_in": Field(f.one_of("text", "base64", "hex")),
    },
    "basic": {"username": Field(_SOMEBODY, True), "password": _SECRETS},
    "bearer": {"token": _SECRETS, "header": Field(_HEADER)},
    "jwt": {
        "key": _SECRETS, "algorithms": Field(f.several(f.one_of(*KEY_PAIRS, *SHARED), 20), True), "issuer": Field(_SHORT, True),
        "audience": Field(_SHORT, True), "leeway": Field(f.within("PT0S", "PT5M")), "once": Field(f.flag),
    },
}  # fmt: skip


def signing(authentication: Mapping[str, Any]) -> Signing:
    """Of `type: hmac`."""
    told = {k: v for k, v in authentication.items() if k not in ("type", "scheme", "secret")}
    return Signing(**{"header": "", **SCHEMES.get(authentication.get("scheme", ""), {}), **told})


def _authentication(value: Any) -> str:
    if not isinstance(value, dict) or value.get("type") not in AUTHENTICATION:
        return f"an object with the type {', '.join(AUTHENTICATION)}"
    kind = value["type"]
    wrong = f.problems({"type": Field(f.one_of(kind)), **AUTHENTICATION[kind]}, value)
    if wrong:
        return f"of {kind}, {wrong[0][0]}: {wrong[0][1]}"
    if kind == "hmac":
        return _hmac(signing(value))
    if kind == "jwt":
        algorithms = value["algorithms"] if isinstance(value["algorithms"], list) else [value["algorithms"]]
        if len({a in SHARED for a in algorithms}) > 1:  # RFC 8725, 3.1: else a public key could be taken for the secret
            return "algorithms of one kind: with a secret that both have (HS*), or with a key of the issuer"
    return ""


def _hmac(s: Signing) -> str:
    if not s.header:
        return "a header, or a scheme that has one"
    if "{body}" not in s.signed:
        return "{body} in what is signed"
    for name, header in (("timestamp", s.timestamp), ("id", s.id)):
        if bool(header) != (f"{{{name}}}" in s.signed):
            return f"{name} as a header and as {{{name}}} in what is signed, both or none"
    return ""


def whole(config: Mapping[str, Any]) -> str:
    """What is wrong with all fields together."""
    a = config["authentication"]
    if "id" in config and ((a["type"] == "hmac" and signing(a).timestamp) or a.get("once")):
        return "id: expected none, as what is signed tells requests apart; a header that isn't signed would let the same come again"
    return ""


def replay_us(config: Mapping[str, Any]) -> int:
    """For how long what was signed once is good: so long its key has to be remembered (0: for ever, or it isn't signed with a time)."""
    a = config["authentication"]
    return 2 * f.duration_us(signing(a).tolerance) if a["type"] == "hmac" and signing(a).timestamp else 0


FIELDS: dict[str, Field] = {
    "path": Field(_PATH, True), "authentication": Field(_authentication, True), "id": Field(_HEADER),
    "body": Field(f.one_of("auto", "json", "form", "text")), "bytes": Field(f.whole(1, BYTES_MAX)), "rate": Field(f.whole(1, RATE_MAX)),
}  # fmt: skip

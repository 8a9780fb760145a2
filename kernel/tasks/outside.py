"""What records of the registries that name services outside (capabilities, API profiles) have in common: addresses, authentication, headers."""

from __future__ import annotations

import re
from typing import Any

from flowledger.kernel.model.connectors import REFERENCE
from flowledger.kernel.tasks.shapes import is_text, unknown

NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
HEADERS_MAX, TEXT_MAX = 20, 2_000
#: type of authentication -> its fields; those of the second set are secrets, so they are references
AUTHENTICATION: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "basic": (frozenset({"username", "password"}), frozenset({"password"})),
    "bearer": (frozenset({"token"}), frozenset({"token"})),
    "apiKey": (frozenset({"name", "value", "apiKeyLocation"}), frozenset({"value"})),
    "oauth-client-credentials-flow": (
        frozenset({"oauthTokenEndpoint", "clientId", "clientSecret", "audience", "scopes", "clientAuthentication"}), frozenset({"clientSecret"}),
    ),
}  # fmt: skip
_URL = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?")


def named(name: str) -> list[str]:
    """`name`: with the tenant before it, where it is one's own."""
    own = name.rpartition("/")[2]
    return [] if NAME.fullmatch(own) else [f"name: expected small letters, digits, _ and -, at most 64, found '{own[:100]}'"]


def texts(value: dict[str, Any], *keys: str) -> list[str]:
    return [
        f"{key}: expected a text of at most {TEXT_MAX} characters" for key in keys if key in value and not is_text(value[key], TEXT_MAX)
    ]


def address(value: Any, where: str) -> list[str]:
    good = is_text(value, TEXT_MAX) and _URL.fullmatch(value)
    return [] if good else [f"{where}: expected an http or https URL without user, query and fragment"]


def headers(value: Any) -> list[str]:
    good = value is None or (isinstance(value, dict) and len(value) <= HEADERS_MAX and all(is_text(v, TEXT_MAX) for v in value.values()))
    return [] if good else [f"headers: expected an object of at most {HEADERS_MAX} texts"]


def references(value: dict[str, Any], keys: list[str], where: str) -> list[str]:
    return [
        f"{where}.{key}: expected a reference to a secret, {{{{secrets.NAME}}}}, and nothing else"
        for key in keys
        if not isinstance(value.get(key), str) or not REFERENCE.fullmatch(value[key])
    ]


def authentication(value: Any) -> list[str]:
    if value is None:
        return []
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in AUTHENTICATION:
        return [f"authentication.type: expected one of {', '.join(AUTHENTICATION)}"]
    fields, secret = AUTHENTICATION[kind]
    return unknown(value, fields | {"type"}, "authentication") + references(value, sorted(secret), "authentication")

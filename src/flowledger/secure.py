"""The profile `secure`: a start is refused where anything would be plain text, believed unasked, or open by a password that everybody knows.

All that is wrong is said at once, each with the setting that mends it (docs/security.md#the-profile-secure).
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from flowledger.infra.secret_text import by_reference
from flowledger.infra.settings import LOOPBACK, Settings, SettingsError

#: passwords of examples, images and first tries
KNOWN = frozenset(
    "postgres password passw0rd flowledger changeme change-me admin secret root test guest default letmein kafka example 123456 12345678".split()
)
#: modes of libpq in which the server is checked
CHECKED = ("verify-full", "verify-ca")


def check(s: Settings) -> None:
    """Raises: SettingsError, with a line for each."""
    if s.profile == "secure" and (wrong := problems(s)):
        raise SettingsError("\n".join(f"profile secure: {line}" for line in wrong))


def problems(s: Settings) -> list[str]:
    """What doesn't fit the profile; nothing is opened for it."""
    roles = set(s.roles)
    out: list[str] = []
    if s.auth == "none" and roles & {"api", "grpc"}:
        out.append("auth is none, callers would name themselves: expected local or oidc (FLOWLEDGER_AUTH)")
    if not s.tls_cert_file and ("api" in roles or not s.loopback):
        out.append("the HTTP port would speak plain text: expected a certificate (FLOWLEDGER_TLS_CERT_FILE)")
    if "grpc" in roles and not s.grpc_cert_file:
        out.append("the gateway would speak plain text: expected a certificate (FLOWLEDGER_GRPC_CERT_FILE)")
    if s.metrics_open:
        out.append("figures would be open to anybody: expected metrics_open false (FLOWLEDGER_METRICS_OPEN)")
    out += [f"{name} {url!r} is plain text: expected https" for name, url in _urls(s) if _plain(url)]
    return out + _kafka(s) + _postgres(s)


def _urls(s: Settings) -> list[tuple[str, str]]:
    return [
        ("callback_url", s.callback_url),
        ("otlp_endpoint", s.otlp_endpoint),
        ("protect_kms_endpoint", s.protect_kms_endpoint),
        *(("protect_key", part.removeprefix("vault:")) for part in s.protect_key.replace(",", " ").split() if part.startswith("vault:")),
        *((n, url) for n in ("origins", "embed_origins") for url in getattr(s, n)),
    ]


def _plain(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and (parts.hostname or "") not in LOOPBACK


def _kafka(s: Settings) -> list[str]:
    if not s.kafka:
        return []
    out = []
    if s.kafka_security not in ("SSL", "SASL_SSL"):
        out.append(f"Kafka is spoken to by {s.kafka_security}: expected SSL or SASL_SSL (FLOWLEDGER_KAFKA_SECURITY)")
    elif not s.kafka_check_hostname:
        out.append("any broker with a certificate would be believed: expected kafka_check_hostname true (FLOWLEDGER_KAFKA_CHECK_HOSTNAME)")
    if s.kafka_password and by_reference(s.kafka_password, "kafka_password").lower() in KNOWN:
        out.append("the password for Kafka is one that everybody knows (FLOWLEDGER_KAFKA_PASSWORD)")
    return out


def _postgres(s: Settings) -> list[str]:
    if not s.postgres:  # the embedded one listens on a socket of its own folder
        return []
    try:
        found = {k: str(v) for k, v in conninfo_to_dict(s.postgres).items() if v is not None}
    except ProgrammingError as e:
        raise SettingsError(f"setting postgres can't be read: {e}") from None
    host = found.get("host", "") or found.get("hostaddr", "")
    mode = found.get("sslmode") or os.environ.get("PGSSLMODE", "prefer")
    out = []
    if host and not all(each.startswith("/") for each in host.split(",")) and mode not in CHECKED:
        out.append(f"PostgreSQL is spoken to with sslmode {mode}: expected {' or '.join(CHECKED)} in its URL (FLOWLEDGER_POSTGRES)")
    if found.get("password", "").lower() in KNOWN:
        out.append("the password for PostgreSQL is one that everybody knows (FLOWLEDGER_POSTGRES)")
    return out

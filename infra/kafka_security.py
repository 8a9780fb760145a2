"""TLS and SASL to Kafka, by the settings `kafka_*`: what each aiokafka client is given."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from aiokafka.abc import AbstractTokenProvider

from flowledger.infra.secret_text import by_reference
from flowledger.infra.settings import Settings, SettingsError


class Token(AbstractTokenProvider):  # type: ignore[misc]
    """OAUTHBEARER with a token that something else keeps fresh: it is read again for each connection."""

    def __init__(self, reference: str) -> None:
        self._reference = reference

    async def token(self) -> str:
        return await asyncio.to_thread(by_reference, self._reference, "kafka_token")


def security_of(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of aiokafka's clients. Raises: SettingsError."""
    s = settings
    protocol = s.kafka_security
    out: dict[str, Any] = {"security_protocol": protocol}
    tls, sasl = protocol.endswith("SSL"), protocol.startswith("SASL")
    if not tls and (s.kafka_ca_file or s.kafka_cert_file or s.kafka_key_file):
        raise SettingsError(f"setting kafka_security is {protocol}, but certificates are set: expected SSL or SASL_SSL")
    if not sasl and (s.kafka_mechanism or s.kafka_user or s.kafka_password or s.kafka_token):
        raise SettingsError(f"setting kafka_security is {protocol}, but a user or token is set: expected SASL_SSL or SASL_PLAINTEXT")
    if tls:
        out["ssl_context"] = _context(s)
    if sasl:
        out |= _login(s)
    return out


def _context(s: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=s.kafka_ca_file or None)
        if s.kafka_cert_file:
            password = by_reference(s.kafka_key_password, "kafka_key_password") if s.kafka_key_password else None
            context.load_cert_chain(s.kafka_cert_file, s.kafka_key_file or None, (lambda: password or ""))
        elif s.kafka_key_file:
            raise SettingsError("setting kafka_key_file is set without kafka_cert_file")
    except (OSError, ValueError) as e:  # SSLError is an OSError
        if isinstance(e, SettingsError):
            raise
        raise SettingsError(f"settings kafka_ca_file, kafka_cert_file, kafka_key_file: {e}") from None
    context.check_hostname = s.kafka_check_hostname
    return context


def _login(s: Settings) -> dict[str, Any]:
    mechanism = s.kafka_mechanism
    if mechanism == "OAUTHBEARER":
        if not s.kafka_token:
            raise SettingsError("setting kafka_token: OAUTHBEARER needs it, as file:PATH or env:NAME")
        _checked(s.kafka_token, "kafka_token")
        return {"sasl_mechanism": mechanism, "sasl_oauth_token_provider": Token(s.kafka_token)}
    if not mechanism:
        raise SettingsError(
            "setting kafka_mechanism: expected PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER with kafka_security SASL_*"
        )
    if not s.kafka_user or not s.kafka_password:
        raise SettingsError(f"settings kafka_user and kafka_password: {mechanism} needs both; the password as file:PATH or env:NAME")
    password = _checked(s.kafka_password, "kafka_password")
    return {"sasl_mechanism": mechanism, "sasl_plain_username": s.kafka_user, "sasl_plain_password": password}


def _checked(reference: str, setting: str) -> str:
    try:
        return by_reference(reference, setting)
    except ValueError as e:
        raise SettingsError(str(e)) from None

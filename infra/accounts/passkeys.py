"""Passkeys (WebAuthn) by the library `webauthn`: what a browser is asked, and whether what it answers is good. Rows are the store's.

A passkey is of one person: of a user here (`issuer` is empty), or of a name that an issuer gives. A challenge is made for one purpose and one person, is good once and
for five minutes. That of a step-up is SHA-256 of a nonce and the hash of the request, so the signature says which request it is for.
"""

from __future__ import annotations

import hashlib
import re
import secrets as chance
from typing import Any
from urllib.parse import urlsplit

import msgspec
import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, options_to_json_dict
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from flowledger.infra.accounts.store import Passkey

#: how long a challenge is good (seconds)
CHALLENGE_S = 300
#: characters of each part of what a browser answers
PART_MAX = 8_000
VERIFIED = UserVerificationRequirement.REQUIRED
NUMBERS = re.compile(r"[0-9.]+")
#: a passkey's id (up to 1,023 bytes), as base64url
ID = re.compile(r"[A-Za-z0-9_-]{1,1364}")
TRANSPORTS = frozenset(t.value for t in AuthenticatorTransport)


class Bad(Exception):
    """What a browser has answered is not good; its text says why."""


class Site(msgspec.Struct, frozen=True):
    """This server as browsers know it. `id`: the name that passkeys are for; `origin`: the only one whose pages may use them."""

    id: str
    origin: str


def site_of(base: str) -> Site:
    """Raises: Bad: browsers have no passkeys for an address of numbers."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    if not host or ":" in host or NUMBERS.fullmatch(host):
        raise Bad(
            f"passkeys are for names, not for the address {host or 'of nobody'}: open the server by its name (on this machine http://localhost)"
        )
    return Site(host, f"{parts.scheme}://{parts.netloc}".lower())


def handle_of(issuer: str, name: str) -> bytes:
    """What an authenticator keeps of whose a passkey is: no name."""
    return hashlib.sha256(f"{issuer}\n{name}".encode()).digest()


def challenge_of(nonce: bytes, request: bytes) -> bytes:
    return hashlib.sha256(nonce + request).digest()


def new_nonce() -> bytes:
    return chance.token_bytes(32)


def _known(passkeys: list[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=base64url_to_bytes(p.id), transports=[AuthenticatorTransport(t) for t in p.transports if t in TRANSPORTS] or None
        )
        for p in passkeys
    ]


def to_make(site: Site, issuer: str, name: str, challenge: bytes, had: list[Passkey]) -> dict[str, Any]:
    """Options for `navigator.credentials.create`, as JSON (WebAuthn Level 3, 5.1.8)."""
    return options_to_json_dict(
        webauthn.generate_registration_options(
            rp_id=site.id, rp_name="Flowledger", user_name=name, user_id=handle_of(issuer, name), challenge=challenge, timeout=CHALLENGE_S * 1000,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED, user_verification=VERIFIED
            ),
            exclude_credentials=_known(had),
        )
    )  # fmt: skip


def to_show(site: Site, challenge: bytes, passkeys: list[Passkey]) -> dict[str, Any]:
    """Options for `navigator.credentials.get`. No passkeys: whichever the authenticator has for this server."""
    return options_to_json_dict(
        webauthn.generate_authentication_options(
            rp_id=site.id, challenge=challenge, timeout=CHALLENGE_S * 1000, user_verification=VERIFIED, allow_credentials=_known(passkeys)
        )
    )


def _checked(answer: dict[str, Any]) -> None:
    """It is kept and told in parts: none is longer than it may be. Raises: Bad."""
    response = answer.get("response")
    if not isinstance(response, dict):
        raise Bad("`response` was expected as an object")
    for where, part in (*answer.items(), *response.items()):
        if isinstance(part, str) and len(part) > PART_MAX:
            raise Bad(f"`{where}` has {len(part)} characters, at most {PART_MAX} are looked at")
        if isinstance(part, str) and "\0" in part:  # the library passes it over, and no text of the database has it
            raise Bad(f"`{where}` was expected as base64url")


class Made(msgspec.Struct, frozen=True):
    id: str
    public_key: bytes
    sign_count: int
    transports: list[str]
    backed_up: bool


def made(site: Site, challenge: bytes, answer: dict[str, Any]) -> Made:
    """Raises: Bad."""
    _checked(answer)
    try:
        found = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.id,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as e:
        raise Bad(str(e) or type(e).__name__) from None
    given = (answer.get("response") or {}).get("transports")
    transports = [t for t in given if isinstance(t, str) and t in TRANSPORTS] if isinstance(given, list) else []
    return Made(
        bytes_to_base64url(found.credential_id), found.credential_public_key, found.sign_count, transports, found.credential_backed_up
    )


def shown(site: Site, challenge: bytes, answer: dict[str, Any], passkey: Passkey) -> int:
    """The new count of signatures. Raises: Bad."""
    if passkey.rp_id != site.id:
        raise Bad(f"this passkey is for {passkey.rp_id}, not for {site.id}")
    _checked(answer)
    try:
        found = webauthn.verify_authentication_response(
            credential=answer, expected_challenge=challenge, expected_rp_id=site.id, expected_origin=site.origin,
            credential_public_key=passkey.public_key, credential_current_sign_count=passkey.sign_count, require_user_verification=True,
        )  # fmt: skip
    except (WebAuthnException, ValueError, KeyError, TypeError) as e:
        raise Bad(str(e) or type(e).__name__) from None
    return found.new_sign_count

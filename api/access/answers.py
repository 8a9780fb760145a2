"""Answers of the routes about accounts, as the document of the API shows them."""

from __future__ import annotations

from typing import Any

import msgspec


class Me(msgspec.Struct, kw_only=True):
    """`auth`: none, local or oidc. `kind`: user, guest (a session that an issuer has vouched for), key, token (of an issuer), certificate (of a program), or
    nobody (without sign-in everybody may do everything). `csrf`: of a session: what changes something by it shows this as `X-CSRF-Token`.
    `second_person`: operations that wait here until somebody else has approved them."""

    auth: str
    kind: str
    name: str
    roles: list[str]
    rights: list[str]
    tenant: str
    tenants: list[str]
    csrf: str | None = None
    second_person: list[str] = []
    expires_at: str | None = None


class PasskeyRow(msgspec.Struct, kw_only=True):
    """`site`: the name of the server that it is for. `backed_up`: its maker keeps it on several devices."""

    id: str
    title: str
    site: str
    backed_up: bool
    created_at: str | None = None
    used_at: str | None = None


class ToSign(msgspec.Struct, kw_only=True):
    """`id`: of the challenge. `public_key`: options for the browser, as JSON (WebAuthn Level 3, 5.1)."""

    id: str
    public_key: dict[str, Any]


class StepUp(msgspec.Struct, kw_only=True):
    """`operation`, `path`: what was asked for; `request`: SHA-256 of all of it. `proven`: it was signed."""

    id: str
    operation: str
    path: str
    request: str
    begun_at: str | None = None
    expires_at: str | None = None
    proven: bool
    public_key: dict[str, Any] | None = None


class AccountRow(msgspec.Struct, kw_only=True):
    """`password`: one has been chosen. `locked`: too many wrong ones lately."""

    name: str
    roles: list[str]
    tenants: list[str]
    active: bool
    password: bool
    locked: bool
    created_at: str | None = None
    created_by: str | None = None
    signed_in_at: str | None = None


class AccountMade(AccountRow, kw_only=True):
    """`link`: an address of this server by which a password can be chosen, once. It is told here only."""

    link: str
    link_expires_at: str | None = None


class Link(msgspec.Struct, kw_only=True):
    name: str
    link: str
    link_expires_at: str | None = None


class KeyRow(msgspec.Struct, kw_only=True):
    """`actor`: whose name stands on what is done with it."""

    id: str
    name: str
    actor: str
    roles: list[str]
    tenant: str
    created_at: str | None = None
    created_by: str | None = None
    expires_at: str | None = None
    revoked_at: str | None = None
    revoked_by: str | None = None
    used_at: str | None = None


class KeyMade(KeyRow, kw_only=True):
    """`key`: what goes behind `Authorization: Bearer`. It is told here only."""

    key: str


class IssuerRow(msgspec.Struct, kw_only=True):
    """An issuer whose tokens are taken. `device_client_id`: the client of its device flow; empty: it has none for us. `browser`: it signs in at
    the console, by `GET /v1/session/issuers/{name}`."""

    name: str
    title: str
    issuer: str
    device_client_id: str
    scopes: list[str]
    browser: bool


class RoleRow(msgspec.Struct, kw_only=True):
    name: str
    description: str
    rights: list[str]


class Gone(msgspec.Struct, kw_only=True):
    name: str


class SignedOut(Gone, kw_only=True):
    """`issuer_url`: where the browser goes to be signed out at the issuer, too; null: nothing is to be done there."""

    issuer_url: str | None = None

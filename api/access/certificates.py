"""Programs that are known by the certificate of their connection (mutual TLS): the file of people says who shows which (`infra/people.py`).

A certificate comes along with whatever a program sends, so it counts only where nothing else was shown, and never for a request that a browser's page has made:
pages of other sites could use it.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from flowledger.api.access.known import Identity, Known, unknown
from flowledger.api.access.rights import rights_of
from flowledger.api.problems import Problem
from flowledger.infra.people import People

#: in the state of a connection: what its client has shown
SHOWN = "flowledger_certificate"
#: headers that pages of browsers send, and programs don't
OF_PAGES = (b"origin", b"sec-fetch-site")
_NAMES = {"DNS": "dns", "URI": "uri", "email": "email"}


class Shown:
    """The certificate of one connection, which the handshake has checked; `identity`: whose it is, once somebody has asked."""

    __slots__ = ("certificate", "identity")

    def __init__(self, certificate: Mapping[str, Any]) -> None:
        self.certificate = certificate
        self.identity: Identity | None = None


def shown_by(transport: Any) -> Shown | None:
    """None: plain text, or a client that has shown none."""
    found = transport.get_extra_info("peercert")
    return Shown(found) if found else None


def names_in(certificate: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(kind, value), as the file of people has them: names of the subject, then its common name."""
    names = [(_NAMES[kind], value) for kind, value in certificate.get("subjectAltName", ()) if kind in _NAMES]
    return names + [("common_name", value) for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]


class Certificates:
    def __init__(self, people: People, known: Known) -> None:
        self._known = known
        self._by = {c.shown: c for c in people.certificates}

    def of(self, shown: Shown) -> Identity:
        """Raises: Problem (401, 403)."""
        if shown.identity is None:
            shown.identity = self._first(shown)
        identity = shown.identity
        if identity.expires_us <= self._known.now_us():
            raise unknown("the certificate of this connection has expired")
        if identity.actor in self._known.users:
            raise Problem("FORBIDDEN", f"the name {identity.actor} that the file of people gives is that of a user here")
        return identity

    def _first(self, shown: Shown) -> Identity:
        names = names_in(shown.certificate)
        for name in names:
            if (found := self._by.get(name)) is not None:
                expires_us = int(ssl.cert_time_to_seconds(shown.certificate["notAfter"])) * 1_000_000
                return Identity(
                    "certificate", found.actor, found.roles, rights_of(found.roles), found.tenants, b"", expires_us, id=":".join(name)[:200]
                )
        listed = ", ".join(":".join(n) for n in names)[:200] or "without a name"
        raise unknown(f"nobody is known by the certificate of this connection ({listed})")

"""TLS of the HTTP port and of the Zeebe gateway, by the settings `tls_*` and `grpc_*`: certificates are files, and a password is named, never written out.

Files that change (cert-manager, certbot, new lists of revoked certificates) are read again at the next connection; new ones that can't be read leave the old
ones in use. Nobody goes on with the session of an earlier connection where a certificate is asked for: it would not be looked at again.
"""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flowledger.infra.secret_text import by_reference
from flowledger.infra.settings import Settings, SettingsError
from flowledger.logs import log

_END = b"-----END X509 CRL-----"
#: the files are looked at so often at most (seconds)
LOOK_S = 1.0
#: door -> prefix of its settings, what it is called, what is spoken above TLS
_DOORS = {"grpc": ("grpc_", "the gateway", "h2"), "http": ("tls_", "the HTTP port", "http/1.1")}


def server_tls(settings: Settings, door: str) -> ssl.SSLContext | None:
    """None: the door speaks plain text. Raises: SettingsError."""
    prefix, name, _ = _DOORS[door]
    if not getattr(settings, f"{prefix}cert_file"):
        given = [
            f"{prefix}{n}" for n in ("key_file", "key_password", "client_ca_file", "client_crl_file") if getattr(settings, f"{prefix}{n}")
        ]
        if given:
            raise SettingsError(f"setting {given[0]} is set without {prefix}cert_file: {name} would speak plain text")
        return None
    if getattr(settings, f"{prefix}client_crl_file") and not getattr(settings, f"{prefix}client_ca_file"):
        raise SettingsError(
            f"setting {prefix}client_crl_file is set without {prefix}client_ca_file: no certificate of a client is asked for"
        )
    return _Certificates(settings, door).context


class _Certificates:
    """Those of the newest state of the files. `context` is the first; a handshake is moved to a newer one."""

    def __init__(self, settings: Settings, door: str) -> None:
        self._prefix, self._name, self._spoken = _DOORS[door]
        self._cert, self._key, self._password, self._clients, self._revoked = (
            str(getattr(settings, f"{self._prefix}{n}"))
            for n in ("cert_file", "key_file", "key_password", "client_ca_file", "client_crl_file")
        )
        self._optional = getattr(settings, f"{self._prefix}clients") == "optional"
        self._files = [Path(f) for f in (self._cert, self._key, self._clients, self._revoked) if f]
        self._seen, self._looked = self._state(), time.monotonic()
        self.context = self._newest = self._load()

    def _settings(self, *names: str) -> str:
        return "settings " + ", ".join(f"{self._prefix}{n}" for n in names)

    def _state(self) -> list[tuple[int, int]]:
        """Raises: SettingsError."""
        try:
            return [(s.st_mtime_ns, s.st_ino) for s in (f.stat() for f in self._files)]
        except OSError as e:
            raise SettingsError(f"{self._settings('cert_file', 'key_file', 'client_ca_file', 'client_crl_file')}: {e}") from None

    def _load(self) -> ssl.SSLContext:
        """Raises: SettingsError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols([self._spoken])
        context.sni_callback = self._handshake
        try:
            password = by_reference(self._password, f"{self._prefix}key_password") if self._password else ""
            context.load_cert_chain(self._cert, self._key or None, lambda: password)
            if self._clients:
                context.verify_mode = ssl.CERT_OPTIONAL if self._optional else ssl.CERT_REQUIRED
                context.load_verify_locations(self._clients)
                context.options |= ssl.OP_NO_TICKET
                context.num_tickets = 0
            if self._revoked:
                self._revocations(context)
        except (OSError, ValueError) as e:  # SSLError is an OSError
            raise SettingsError(
                f"{self._settings('cert_file', 'key_file', 'key_password', 'client_ca_file', 'client_crl_file')}: {e}"
            ) from None
        return context

    def _revocations(self, context: ssl.SSLContext) -> None:
        """Raises: SettingsError, OSError."""
        from cryptography import x509

        context.minimum_version = ssl.TLSVersion.TLSv1_3  # sessions of 1.2 go on by their ids, which can't be turned off
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
        context.load_verify_locations(self._revoked)
        lists = [part + _END for part in Path(self._revoked).read_bytes().split(_END)[:-1]]
        if not lists or context.cert_store_stats()["crl"] < 1:
            raise SettingsError(
                f"{self._settings('client_crl_file')}: a list of revoked certificates was expected (BEGIN X509 CRL) in {self._revoked}"
            )
        now = datetime.now(UTC)
        for each in map(x509.load_pem_x509_crl, lists):
            if each.next_update_utc is not None and each.next_update_utc < now:
                whose = each.issuer.rfc4514_string()
                log("tls").error(
                    "a list of revoked certificates is over: none of its authority is let in", door=self._name, authority=whose
                )

    def _handshake(self, connection: Any, name: str | None, context: ssl.SSLContext) -> None:
        now = time.monotonic()
        if now - self._looked >= LOOK_S:
            self._looked = now
            try:
                if (state := self._state()) != self._seen:
                    self._seen, self._newest = state, self._load()
                    log("tls").info("certificates were read again", door=self._name, file=self._cert)
            except SettingsError as e:
                log("tls").error("new certificates can't be used; the old ones stay", door=self._name, why=str(e))
        connection.context = self._newest

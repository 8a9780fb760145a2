"""TLS of the Zeebe gateway, by the settings `grpc_*`: certificates are files, and a password is named, never written out.

Files that change (cert-manager, certbot) are read again at the next connection; new ones that can't be read leave the old ones in use.
"""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Any

from flowledger.infra.secret_text import by_reference
from flowledger.infra.settings import Settings, SettingsError
from flowledger.logs import log

#: the files are looked at so often at most (seconds)
LOOK_S = 1.0


def server_tls(settings: Settings) -> ssl.SSLContext | None:
    """None: the gateway speaks plain text. Raises: SettingsError."""
    s = settings
    if not s.grpc_cert_file:
        given = [n for n in ("grpc_key_file", "grpc_key_password", "grpc_client_ca_file") if getattr(s, n)]
        if given:
            raise SettingsError(f"setting {given[0]} is set without grpc_cert_file: the gateway would speak plain text")
        return None
    return _Certificates(s).context


class _Certificates:
    """Those of the newest state of the files. `context` is the first; a handshake is moved to a newer one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files = [Path(f) for f in (settings.grpc_cert_file, settings.grpc_key_file, settings.grpc_client_ca_file) if f]
        self._seen, self._looked = self._state(), time.monotonic()
        self.context = self._newest = self._load()

    def _state(self) -> list[tuple[int, int]]:
        """Raises: SettingsError."""
        try:
            return [(s.st_mtime_ns, s.st_ino) for s in (f.stat() for f in self._files)]
        except OSError as e:
            raise SettingsError(f"settings grpc_cert_file, grpc_key_file, grpc_client_ca_file: {e}") from None

    def _load(self) -> ssl.SSLContext:
        """Raises: SettingsError."""
        s = self._settings
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2"])
        context.sni_callback = self._handshake
        try:
            password = by_reference(s.grpc_key_password, "grpc_key_password") if s.grpc_key_password else ""
            context.load_cert_chain(s.grpc_cert_file, s.grpc_key_file or None, lambda: password)
            if s.grpc_client_ca_file:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(s.grpc_client_ca_file)
        except (OSError, ValueError) as e:  # SSLError is an OSError
            raise SettingsError(f"settings grpc_cert_file, grpc_key_file, grpc_key_password, grpc_client_ca_file: {e}") from None
        return context

    def _handshake(self, connection: Any, name: str | None, context: ssl.SSLContext) -> None:
        now = time.monotonic()
        if now - self._looked >= LOOK_S:
            self._looked = now
            try:
                if (state := self._state()) != self._seen:
                    self._seen, self._newest = state, self._load()
                    log("gateway").info("the gateway's certificates were read again", file=self._settings.grpc_cert_file)
            except SettingsError as e:
                log("gateway").error("the gateway's new certificates can't be used; the old ones stay", why=str(e))
        connection.context = self._newest

"""What wraps data keys: the key encryption key, which stands nowhere beside what it wraps.

file:PATH, env:NAME     one or several keys of 32 bytes in base64, a line each: the first one wraps, any unwraps. So it is changed without a stop:
                        the new one on top, `flowledger protection rotate`, then the old one goes
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from flowledger.infra.secret_text import by_reference
from flowledger.infra.secrets.encrypted import _keys as keys_of
from flowledger.infra.secrets.encrypted import new_key
from flowledger.infra.settings import Settings, SettingsError

NONE = "none"
_NONCE = 12


class Wrapper(Protocol):
    """Wraps and unwraps data keys; may block."""

    def wrap(self, id: str, key: bytes) -> tuple[str, bytes]:
        """(which key wrapped it, the wrapped key)."""

    def unwrap(self, id: str, by: str, wrapped: bytes) -> bytes:
        """Raises: ValueError: none of the keys that there are has wrapped it."""

    @property
    def newest(self) -> str:
        """The one that wraps."""


class ByReference:
    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._read()  # what is wrong with it is said at the start

    def _read(self) -> dict[str, AESGCM]:
        text = by_reference(self._reference, "protect_key")
        return {_name(line): key for line, key in zip(text.split(), keys_of(text), strict=True)}

    @property
    def newest(self) -> str:
        return next(iter(self._read()))

    def wrap(self, id: str, key: bytes) -> tuple[str, bytes]:
        by, wrapper = next(iter(self._read().items()))
        nonce = secrets.token_bytes(_NONCE)
        return by, nonce + wrapper.encrypt(nonce, key, id.encode())

    def unwrap(self, id: str, by: str, wrapped: bytes) -> bytes:
        wrapper = self._read().get(by)
        if wrapper is None:
            raise ValueError(f"it was wrapped by the key {by}, which protect_key doesn't have any more")
        try:
            return wrapper.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], id.encode())
        except InvalidTag:
            raise ValueError("it was changed since it was wrapped") from None


def _name(line: str) -> str:
    """Which key it is, and nothing about it."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"flowledger.protect.1\x00" + base64.b64decode(line))
    return digest.finalize().hex()[:12]


def reference_of(settings: Settings) -> str:
    """Where the key is: as the setting says, a file of the data folder for the embedded log, else nowhere."""
    if settings.protect_key == NONE or (not settings.protect_key and settings.kafka):
        return ""
    return settings.protect_key or f"file:{Path(settings.data).resolve() / 'keys' / 'protect.keys'}"


def wrapper_of(settings: Settings) -> Wrapper | None:
    """None: this server protects nothing. Raises: SettingsError."""
    if not (reference := reference_of(settings)):
        return None
    if not settings.protect_key:
        _first(Path(reference.removeprefix("file:")))
    try:
        return ByReference(reference)
    except (ValueError, OSError) as e:
        raise SettingsError(f"setting protect_key: {e}") from None


def _first(path: Path) -> None:
    """A development server makes its own."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(new_key() + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(fresh, path)  # two processes may start at once: one of the keys is taken
    except FileExistsError:
        pass
    finally:
        fresh.unlink()

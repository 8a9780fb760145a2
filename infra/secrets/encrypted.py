"""An encrypted file of secrets: JSON, each value by AES-256-GCM with its name as associated data, so values can't be swapped or moved.

The key is 32 bytes in base64, given by reference. What the key refers to may have several lines: the first one encrypts, any decrypts, so a key is
changed by adding the new one on top and setting the values again. Source: NIST SP 800-38D (nonces of 96 random bits).
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FILE_BYTES_MAX = 16 * 1024 * 1024
COUNT_MAX = 1_000
_NONCE = 12


def new_key() -> str:
    """For the file or variable that the setting `secrets_key` refers to."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _keys(text: str) -> list[AESGCM]:
    found = []
    for line in text.split():
        try:
            raw = base64.b64decode(line, validate=True)
        except binascii.Error:
            raw = b""
        if len(raw) != 32:
            raise ValueError("the key (setting secrets_key) must be 32 bytes in base64: `flowledger secrets key` makes one")
        found.append(AESGCM(raw))
    if not found:
        raise ValueError("the key (setting secrets_key) is empty")
    return found


class EncryptedFile:
    """`key` reads the key, each time that the file or a value is read."""

    def __init__(self, path: Path, key: Callable[[], str]) -> None:
        self.name, self.path, self._key = f"file:{path}", path, key
        self._read: tuple[tuple[int, int, int], dict[str, str]] | None = None

    def names(self) -> list[str]:
        return sorted(self._values())

    def get(self, name: str) -> str | None:
        """Raises: OSError, ValueError."""
        text = self._values().get(name)
        if text is None:
            return None
        try:
            raw = base64.b64decode(text, validate=True)
        except binascii.Error:
            raw = b""
        for key in _keys(self._key()):
            try:
                return key.decrypt(raw[:_NONCE], raw[_NONCE:], name.encode()).decode()
            except (InvalidTag, ValueError):
                continue
        raise ValueError("it can't be decrypted: another key, or the file was changed")

    def put(self, name: str, value: str) -> None:
        """Raises: OSError, ValueError."""
        key = _keys(self._key())[0]
        with self._changing() as values:
            if name not in values and len(values) >= COUNT_MAX:
                raise ValueError(f"expected at most {COUNT_MAX} secrets in a file")
            nonce = secrets.token_bytes(_NONCE)
            values[name] = base64.b64encode(nonce + key.encrypt(nonce, value.encode(), name.encode())).decode()

    def remove(self, name: str) -> bool:
        """Whether there was one. Raises: OSError, ValueError."""
        with self._changing() as values:
            return values.pop(name, None) is not None

    def _values(self) -> dict[str, str]:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return {}
        mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if self._read is None or self._read[0] != mark:
            if stat.st_size > FILE_BYTES_MAX:
                raise ValueError(f"expected a file of at most {FILE_BYTES_MAX} bytes, found {stat.st_size}")
            self._read = mark, _parsed(self.path.read_bytes(), self.path)
        return self._read[1]

    @contextmanager
    def _changing(self) -> Iterator[dict[str, str]]:
        """One at a time, and the file is the old one or the new one, never half of it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._read = None
            values = dict(self._values())
            yield values
            fresh = self.path.with_name(self.path.name + ".new")
            fresh.unlink(missing_ok=True)
            out = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(out, "w", encoding="utf-8") as file:
                json.dump({"version": 1, "secrets": values}, file, indent=1, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
            self._read = None
        finally:
            os.close(lock)


def _parsed(data: bytes, path: Path) -> dict[str, str]:
    try:
        found = json.loads(data)
        values = found["secrets"]
        if found["version"] != 1 or not all(isinstance(k, str) and isinstance(v, str) for k, v in values.items()):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"expected an encrypted file of secrets (version 1) in {path}") from None
    return dict(values)

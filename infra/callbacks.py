"""One-time addresses by which somebody outside ends a job that waits: `POST {base}/callbacks/{token}`.

A token says which job, of which tenant, until when, and is signed (HMAC-SHA256); it holds for that job alone, so that the first answer that counts
ends its use. Keys are lines of a file, 32 bytes or more in hexadecimal: the first signs, all are believed, so that a new one is put on top and
an old one taken out when its addresses are over.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from flowledger.infra.settings import Settings, SettingsError

#: longest life of an address, and longest token (characters)
DAYS_MAX = 366
TOKEN_MAX = 1_000
KEY_BYTES_MIN = 32
KEYS_MAX = 20
_LABEL = b"flowledger.callback.1\0"
_MAC = 32


class NoCallback(Exception):
    """It is none of ours."""


class Expired(NoCallback):
    """It was, and its time is over."""


class Target(NamedTuple):
    job: int
    tenant: str
    until_s: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Target).decode


class Callbacks:
    """`base`: the address of this server as the outside knows it."""

    def __init__(self, keys: Sequence[bytes], base: str) -> None:
        self._keys, self._base = tuple(keys), base.rstrip("/")

    def url(self, target: Target) -> str:
        said = _encode(target)
        return f"{self._base}/callbacks/{_text(said + self._mac(self._keys[0], said))}"

    def read(self, token: str, now_s: float) -> Target:
        """Raises: NoCallback, Expired."""
        if len(token) > TOKEN_MAX:
            raise NoCallback
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise NoCallback from None
        if _text(raw) != token:  # one token has one spelling
            raise NoCallback
        said, mac = raw[:-_MAC], raw[-_MAC:]
        if not any([hmac.compare_digest(self._mac(key, said), mac) for key in self._keys]):  # each of them, however early one fits
            raise NoCallback
        target = _decode(said)
        if now_s >= target.until_s:
            raise Expired
        return target

    @staticmethod
    def _mac(key: bytes, said: bytes) -> bytes:
        return hmac.digest(key, _LABEL + said, hashlib.sha256)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def callbacks_of(settings: Settings) -> Callbacks:
    """With the keys of `callback_key`; the default file is made by whoever needs it first. Raises: SettingsError."""
    path = Path(settings.callback_key) if settings.callback_key else settings.data / "keys" / "callback.keys"
    try:
        if not settings.callback_key and not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"setting callback_key: {path} can be read by others than its owner: chmod 600")
        lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except OSError as e:
        raise SettingsError(f"setting callback_key: {path}: {e.strerror}") from None
    try:
        keys = [bytes.fromhex(line) for line in lines]
    except ValueError:
        raise SettingsError(f"setting callback_key: {path}: expected lines of hexadecimal digits") from None
    if not 1 <= len(keys) <= KEYS_MAX or any(len(key) < KEY_BYTES_MIN for key in keys):
        raise SettingsError(f"setting callback_key: {path}: expected 1 to {KEYS_MAX} keys of {KEY_BYTES_MIN} bytes or more")
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else f"[{settings.host}]" if ":" in settings.host else settings.host  # noqa: S104
    return Callbacks(keys, settings.callback_url or f"http://{host}:{settings.port}")


def _make(path: Path) -> None:
    """Several processes may start at once: the first one's file stands, and it is whole from its first moment."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    own = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(KEY_BYTES_MIN) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(own, path)
    except FileExistsError:
        pass
    finally:
        own.unlink()

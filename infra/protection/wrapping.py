"""What wraps data keys: the key encryption keys, which stand nowhere beside what they wrap.

file:PATH, env:NAME     one or several keys of 32 bytes in base64, a line each: the first one wraps, any unwraps
vault:URL, kms:WHERE    a key that stays with a provider (`remote.py`)

Several of these may be named, with spaces between: the first one wraps, any unwraps. So the wrapping key, and the provider, is changed without a stop:
the new one in front, `flowledger protection rotate`, then the old one goes.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import Sequence
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
#: keys that are read here, and asked of nobody
LOCAL = frozenset({"file"})
#: how long a data key that a provider has unwrapped is used: so long may a provider be away, and so long does a data key outlive what it was wrapped by
REUSE_S = 600.0
PLACES_MAX = 8
_NEXT = re.compile(r"[\s,]+(?=(?:file|env|vault|kms):)")
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

    @property
    def reuse_s(self) -> float:
        """For how long what was unwrapped may be used before it is to be unwrapped again."""


class Place(Protocol):
    """One of them. What it raises: ValueError, OSError (away)."""

    kind: str

    @property
    def newest(self) -> str: ...
    def owns(self, by: str) -> bool: ...
    def wrap(self, id: str, key: bytes) -> tuple[str, bytes]: ...
    def unwrap(self, id: str, by: str, wrapped: bytes) -> bytes: ...


class Several:
    """The first one wraps, any unwraps."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.places = tuple(places)

    @property
    def newest(self) -> str:
        return self.places[0].newest

    @property
    def reuse_s(self) -> float:
        return REUSE_S if any(place.kind not in LOCAL for place in self.places) else 0.0

    def wrap(self, id: str, key: bytes) -> tuple[str, bytes]:
        return self.places[0].wrap(id, key)

    def unwrap(self, id: str, by: str, wrapped: bytes) -> bytes:
        for place in self.places:
            if place.owns(by):
                return place.unwrap(id, by, wrapped)
        raise ValueError(f"it was wrapped by the key {by}, which protect_key doesn't have any more")

    def checked(self) -> list[tuple[str, str, str]]:
        """(kind, the key that wraps there, what is wrong) of each, tried by a key that nobody uses."""
        out = []
        for place in self.places:
            by = wrong = ""
            try:
                key = secrets.token_bytes(32)
                by, wrapped = place.wrap("check", key)
                if place.unwrap("check", by, wrapped) != key or place.newest != by:
                    wrong = "what it unwraps is not what it has wrapped"
            except (ValueError, OSError) as e:
                wrong = str(e).removeprefix("[Errno 0] ")
            out.append((place.kind, by, wrong))
        return out


class ByReference:
    kind = "file"

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._read()  # what is wrong with it is said at the start

    def _read(self) -> dict[str, AESGCM]:
        text = by_reference(self._reference, "protect_key")
        return {_name(line): key for line, key in zip(text.split(), keys_of(text), strict=True)}

    @property
    def newest(self) -> str:
        return next(iter(self._read()))

    def owns(self, by: str) -> bool:
        return by in self._read()

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


def wrapper_of(settings: Settings) -> Several | None:
    """None: this server protects nothing. Raises: SettingsError."""
    if not (reference := reference_of(settings)):
        return None
    if not settings.protect_key:
        _first(Path(reference.removeprefix("file:")))
    try:
        parts = _NEXT.split(reference.strip())
        if len(parts) > PLACES_MAX:
            raise ValueError(f"expected at most {PLACES_MAX} places, found {len(parts)}")
        return Several([_place(text, settings) for text in parts])
    except (ValueError, OSError) as e:
        raise SettingsError(f"setting protect_key: {e}") from None


def _place(text: str, settings: Settings) -> Place:
    """What is wrong with how it is told is said at the start; whether a provider is there, when it is needed."""
    kind, _, where = text.partition(":")
    if kind == "vault":
        from flowledger.infra.protection.remote import Transit

        token = settings.protect_vault_token or settings.secrets_vault_token
        if not token:
            raise ValueError("a key of vault needs the setting protect_vault_token (or secrets_vault_token): file:PATH or env:NAME")
        by_reference(token, "protect_vault_token")
        return Transit(where, lambda: by_reference(token, "protect_vault_token"), settings.egress_ca_file)
    if kind == "kms":
        from flowledger.infra.protection.remote import Kms

        if not (who := settings.protect_aws_key):
            raise ValueError("a key of kms needs the setting protect_aws_key: file:PATH or env:NAME")
        by_reference(who, "protect_aws_key")
        return Kms(where, lambda: by_reference(who, "protect_aws_key"), settings.protect_kms_endpoint, settings.egress_ca_file)
    if kind not in ("file", "env"):
        raise ValueError("expected file:PATH, env:NAME, vault:https://HOST:PORT/MOUNT/KEY or kms:REGION/KEY; a key itself is not taken")
    return ByReference(text)


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

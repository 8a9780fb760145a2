"""The key that signs heads: an Ed25519 private key in a PEM file that only its owner may read. The log never sees more than its public half.

Beside `KEY` stands `KEY.keys`, one JSON line for each key that there has been: its id, its public bytes, and the signature by which the one
before it named it as the next. Rotation makes a new key, lets the old one sign it, and takes the old private key away.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from flowledger.events.heads import key_id, key_message
from flowledger.events.ledger import KeyIntroduced

KEY_BYTES_MAX = 10_000


class KeyUnusable(ValueError):
    """A key file that can't be used; the text says why and what to do."""


class Known(msgspec.Struct, frozen=True):
    """A line of `KEY.keys`: bytes in hex."""

    id: str
    public: str
    by: str = ""
    signature: str = ""


class KeyFile:
    """A private key with its history. Raises: KeyUnusable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        _finish_rotation(path)
        self._key = _read(path)
        self.public = _public(self._key)
        self.id = key_id(self.public)
        self.known = _history(path)
        if not self.known:  # made by another tool: it says of itself what it is
            self.known = [_first(self._key)]
            _write_history(path, self.known)
        if self.known[-1].id != self.id:
            raise KeyUnusable(
                f"{_beside(path)} ends with the key {self.known[-1].id}, but {path} holds {self.id}: bring back the file that goes with it"
            )

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def introductions(self, known: str) -> list[KeyIntroduced]:
        ids = [k.id for k in self.known]
        after = self.known[ids.index(known) + 1 :] if known in ids else self.known
        return [KeyIntroduced(id=k.id, public=bytes.fromhex(k.public), by=k.by, signature=bytes.fromhex(k.signature)) for k in after]


def generate(path: Path) -> KeyFile:
    """A new key in a new file, mode 0600. Raises: KeyUnusable (there is one already, or it can't be written)."""
    key = Ed25519PrivateKey.generate()
    _write_key(path, key)
    _write_history(path, [_first(key)])
    return KeyFile(path)


def rotate(path: Path) -> KeyFile:
    """The next key takes the place of the one in `path`, which vouches for it and is then gone."""
    old = KeyFile(path)
    key = Ed25519PrivateKey.generate()
    public = _public(key)
    line = Known(key_id(public), public.hex(), old.id, old.sign(key_message(public, old.id)).hex())
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    _write_key(new, key)
    _write_history(path, [*old.known, line])
    os.replace(new, path)
    return KeyFile(path)


def _finish_rotation(path: Path) -> None:
    """A rotation that was cut short after the history was written is completed."""
    new = path.with_name(path.name + ".new")
    known = _history(path)
    if known and new.exists() and key_id(_public(_read(new))) == known[-1].id:
        os.replace(new, path)


def check(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_keys(path: Path) -> list[Known]:
    """Keys that a person trusts: a private key's file (its history counts), a `.keys` file, a public key in PEM, or 64 hex digits in a file.

    Raises: KeyUnusable.
    """
    if path.suffix == ".keys":
        found = _history(path.with_name(path.name.removesuffix(".keys")))
        if not found:
            raise KeyUnusable(f"{path} is empty or not there")
        return found
    data = _bytes(path)
    with contextlib.suppress(ValueError, TypeError):
        key = serialization.load_pem_public_key(data)
        if isinstance(key, Ed25519PublicKey):
            return [_bare(key.public_bytes_raw())]
    with contextlib.suppress(ValueError):
        raw = bytes.fromhex(data.decode("ascii").strip())
        if len(raw) == 32:
            return [_bare(raw)]
    return KeyFile(path).known


def _bare(public: bytes) -> Known:
    return Known(key_id(public), public.hex())


def _first(key: Ed25519PrivateKey) -> Known:
    public = _public(key)
    return Known(key_id(public), public.hex(), "", key.sign(key_message(public, "")).hex())


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".keys")


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(KEY_BYTES_MAX)
    except OSError as e:
        raise KeyUnusable(f"key file {path}: {e.strerror}") from None


def _read(path: Path) -> Ed25519PrivateKey:
    data = _bytes(path)
    if os.name == "posix" and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        raise KeyUnusable(f"key file {path} has mode {mode:04o}: others may read it. Expected 0600 (chmod 600 {path})")
    try:
        key = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError) as e:
        raise KeyUnusable(f"key file {path}: expected an Ed25519 private key in PEM without a password ({e})") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"key file {path}: expected an Ed25519 key, found {type(key).__name__}")
    return key


def _write_key(path: Path, key: Ed25519PrivateKey) -> None:
    data = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as e:
        raise KeyUnusable(f"key file {path} can't be written: {e.strerror}") from None


def _history(path: Path) -> list[Known]:
    beside = _beside(path)
    try:
        lines = beside.read_bytes().splitlines()
        return [msgspec.json.decode(line, type=Known) for line in lines if line.strip()]
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as e:
        raise KeyUnusable(f"{beside}: {e}") from None


def _write_history(path: Path, known: list[Known]) -> None:
    beside = _beside(path)
    new = beside.with_name(beside.name + ".new")
    try:
        new.write_bytes(b"".join(msgspec.json.encode(k) + b"\n" for k in known))
        os.replace(new, beside)
    except OSError as e:
        raise KeyUnusable(f"{beside} can't be written: {e.strerror}") from None

"""Seals and opens protected values: AES-256-GCM under the data key of a subject.

The nonce is made of the value and of all that it is bound to, by HMAC-SHA-256 under a key of its own (as SIV modes do, RFC 5297): a decision that is made again
gives the same bytes, and two values share a nonce by a chance of one in 2 to the 96th only. What it shows: that the same variable of the same instance
was set to the same value again.
The associated data binds a value to its tenant, class, key, instance and variable. Data keys are in memory for `KEEP_S` and are then asked for again, so that
one that was destroyed elsewhere is gone here as well.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from flowledger.events.avro import decode_json, encode_json
from flowledger.events.base import Heavy
from flowledger.infra.protection.store import SEARCH, Away, Row
from flowledger.infra.protection.wrapping import Wrapper
from flowledger.kernel.protection import PREFIX, Erased, KeysAway, Sealed, bytes_of, sealed, sealed_text
from flowledger.kernel.tasks.privacy import digest_of

#: how long a key is used before the store is asked for it again (seconds): so long may one that was destroyed elsewhere go on opening
KEEP_S = 30.0
#: keys, subjects and opened values in memory
KEYS_MAX, SUBJECTS_MAX, OPENED_MAX = 10_000, 50_000, 10_000
#: a number of more digits is found by how it was written only
NUMBER_DIGITS = 400
#: a value of no more characters is remembered opened
_SHORT = 2_000
_NONCE, _KEY = 12, 32


class Keys(Protocol):
    """As `store.PostgresKeys` has them. Each raises `Away`."""

    def of_subject(self, tenant: str, subject: str, cls: str) -> Row | None: ...
    def get(self, id: str) -> Row | None: ...
    def put(self, id: str, tenant: str, subject: str, cls: str, wrapped_by: str, wrapped: bytes, now_us: int) -> None: ...
    def destroy(self, tenant: str, subject: str, now_us: int) -> list[str]: ...
    def all_of(self, tenant: str, subject: str) -> list[tuple[str, int]]: ...
    def not_wrapped_by(self, newest: str, many: int) -> list[Row]: ...
    def wrapped_anew(self, id: str, before: str, wrapped_by: str, wrapped: bytes) -> None: ...


#: and the key of its nonces
Cipher = tuple[AESGCM, bytes]


class Held(NamedTuple):
    """A key in memory. `cipher` None: it was destroyed. `subject`: the digest."""

    tenant: str
    cipher: Cipher | None
    until: float
    subject: str = ""
    cls: str = ""
    #: what it was unwrapped from, and until when it needn't be unwrapped again
    wrapped: bytes = b""
    reuse: float = 0.0


class Vault:
    """One for a process; threads may share it."""

    def __init__(self, keys: Keys, wrapper: Wrapper, clock: Callable[[], float] = time.monotonic) -> None:
        self.keys, self._wrapper, self._clock = keys, wrapper, clock
        self._lock = threading.Lock()
        self._held: OrderedDict[str, Held] = OrderedDict()
        #: (tenant, digest, class) -> (id of the key that seals now, until when)
        self._subjects: OrderedDict[tuple[str, str, str], tuple[str, float]] = OrderedDict()
        self._opened: OrderedDict[str, tuple[str, bytes]] = OrderedDict()

    # --- as the kernel asks (`kernel/protection.Vault`)

    def key_of(self, tenant: str, subject: str, cls: str, soft: bool) -> str:
        return self._key_of(tenant, digest_of(tenant, subject), cls, soft)

    def _key_of(self, tenant: str, digest: str, cls: str, soft: bool) -> str:
        known = self._subjects.get((tenant, digest, cls))
        if known is not None and known[1] > self._clock():
            return known[0]
        if soft:
            raise Heavy("a key of protected variables")
        try:
            row = self.keys.of_subject(tenant, digest, cls)
            if row is None:
                id = secrets.token_urlsafe(9)
                by, wrapped = self._wrapper.wrap(id, AESGCM.generate_key(bit_length=8 * _KEY))
                self.keys.put(id, tenant, digest, cls, by, wrapped, time.time_ns() // 1000)
                row = self.keys.of_subject(tenant, digest, cls)
        except (Away, ValueError, OSError) as e:
            raise KeysAway(_why(e)) from None
        if row is None:
            raise KeysAway("the key was destroyed while it was made")
        self._hold(row)
        _keep(self._subjects, (tenant, digest, cls), (row.id, self._clock() + KEEP_S), SUBJECTS_MAX, self._lock)
        return row.id

    def seal(self, tenant: str, key: str, cls: str, origin: int, name: str, value: Any, soft: bool = False) -> str:
        held, cipher = self._cipher(tenant, key, soft)
        if held.cls not in ("", cls):  # of the same subject, the one that is of this class
            key = self._key_of(tenant, held.subject, cls, soft)
            held, cipher = self._cipher(tenant, key, soft)
        text, bound = encode_json(value), _bound(tenant, Sealed(cls, key, origin, name))
        nonce = hmac.digest(cipher[1], len(bound).to_bytes(4, "big") + bound + text, "sha256")[:_NONCE]
        sealed_ = cipher[0].encrypt(nonce, text, bound)
        return sealed_text(Sealed(cls, key, origin, name), nonce + sealed_)

    def open(self, tenant: str, text: str, soft: bool) -> Any:
        about = sealed(text)
        if about is None:
            return text
        _, (cipher, _) = self._cipher(tenant, about.key, soft)
        known = self._opened.get(text)
        if known is not None and known[0] == tenant:
            return decode_json(known[1])
        try:
            data = bytes_of(text)
            value = cipher.decrypt(data[:_NONCE], data[_NONCE:], _bound(tenant, about))
        except (InvalidTag, ValueError):
            return text  # it only looks like one, or was moved or changed
        if len(text) <= _SHORT:
            _keep(self._opened, text, (tenant, value), OPENED_MAX, self._lock)
        return decode_json(value)

    def digest(self, tenant: str, name: str, value: Any) -> str:
        """By which a value of a variable is found, under a key of the tenant; empty: of what isn't found (lists, contexts, true and false). May block.

        Raises: KeysAway."""
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
            return ""
        kind, text = ("s", value) if isinstance(value, str) else ("n", search_number(value))
        try:
            _, cipher = self._cipher(tenant, self.key_of(tenant, "", SEARCH, False), False)
        except Erased:
            raise KeysAway("the tenant's key of searches was destroyed") from None
        # what nonces are made of begins with a length, which is never this one
        told = b"\xff\xff\xff\xff" + "\x00".join(("flowledger.found.1", tenant, name, kind, text)).encode()
        return base64.urlsafe_b64encode(hmac.digest(cipher[1], told, "sha256")).rstrip(b"=").decode()

    # --- life of keys

    def destroy(self, tenant: str, subject: str) -> list[str]:
        """Raises: KeysAway."""
        try:
            gone = self.keys.destroy(tenant, subject, time.time_ns() // 1000)
        except Away as e:
            raise KeysAway(str(e)) from None
        with self._lock:
            digest = digest_of(tenant, subject)
            for place in [p for p in self._subjects if p[:2] == (tenant, digest)]:
                del self._subjects[place]
        self._forget(tenant, gone)
        return gone

    def destroy_keys(self, tenant: str, ids: list[str]) -> list[str]:
        """Those of them that were there and retired. Raises: KeysAway."""
        gone: list[str] = self.asked("destroy_keys", ids, time.time_ns() // 1000)
        self._forget(tenant, gone)
        return gone

    def asked(self, what: str, *given: Any) -> Any:
        """Of the store (`store.PostgresKeys`). Raises: KeysAway."""
        try:
            return getattr(self.keys, what)(*given)
        except Away as e:
            raise KeysAway(str(e)) from None

    def _forget(self, tenant: str, gone: list[str]) -> None:
        with self._lock:
            for id in gone:
                self._held[id] = Held(tenant, None, float("inf"))
            self._opened.clear()

    def keys_of(self, tenant: str, subject: str) -> list[tuple[str, int]]:
        """(id, when it was destroyed in microseconds UTC, 0: it is there) of each key that the subject has had. Raises: KeysAway."""
        try:
            return self.keys.all_of(tenant, subject)
        except Away as e:
            raise KeysAway(str(e)) from None

    def rotate(self, many: int = 1_000) -> int:
        """Wrap anew what an older key has wrapped, while all goes on: how many. Raises: KeysAway."""
        done = 0
        try:
            while rows := self.keys.not_wrapped_by(self._wrapper.newest, many):  # a provider may have changed its own meanwhile
                for row in rows:
                    by, wrapped = self._wrapper.wrap(row.id, self._wrapper.unwrap(row.id, row.wrapped_by, row.wrapped))
                    self.keys.wrapped_anew(row.id, row.wrapped_by, by, wrapped)
                done += len(rows)
        except (Away, ValueError, OSError) as e:
            raise KeysAway(f"{_why(e)} ({done} were wrapped anew)") from None
        return done

    def _cipher(self, tenant: str, key: str, soft: bool) -> tuple[Held, Cipher]:
        """Raises: KeysAway, Erased, Heavy."""
        held = self._held.get(key)
        if held is None or held.until <= self._clock():
            if soft:
                raise Heavy("a key of protected variables")
            try:
                row = self.keys.get(key)
            except Away as e:
                raise KeysAway(str(e)) from None
            held = self._hold(row) if row is not None else Held(tenant, None, self._clock() + KEEP_S)
        if held.cipher is None or held.tenant != tenant:
            raise Erased(key)
        return held, held.cipher

    def _hold(self, row: Row) -> Held:
        cipher: Cipher | None = None
        now, known, reuse = self._clock(), self._held.get(row.id), 0.0
        if not row.destroyed_us:
            if known is not None and known.wrapped == row.wrapped and known.reuse > now:
                cipher, reuse = known.cipher, known.reuse
            else:
                try:
                    key = self._wrapper.unwrap(row.id, row.wrapped_by, row.wrapped)
                    cipher = AESGCM(key), hmac.digest(key, b"flowledger.nonce.1", "sha256")
                except (ValueError, OSError) as e:
                    raise KeysAway(f"the key {row.id}: {_why(e)}") from None
                reuse = now + self._wrapper.reuse_s
        held = Held(row.tenant, cipher, now + KEEP_S if cipher is not None else float("inf"), row.subject, row.cls, row.wrapped, reuse)
        if cipher is None:
            with self._lock:
                self._opened.clear()
        _keep(self._held, row.id, held, KEYS_MAX, self._lock)
        return held


def search_number(value: int | float | Decimal) -> str:
    """One text for equal numbers: 1, 1.0 and 1e0."""
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or abs(number.adjusted()) > NUMBER_DIGITS:
        return str(number)
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _why(e: Exception) -> str:
    return (e.strerror if isinstance(e, OSError) else None) or str(e)


def _bound(tenant: str, about: Sealed) -> bytes:
    return "\x00".join((PREFIX, tenant, about.cls, about.key, str(about.origin), about.name)).encode()


def _keep(table: OrderedDict[Any, Any], key: Any, value: Any, most: int, lock: threading.Lock) -> None:
    with lock:
        table[key] = value
        while len(table) > most:
            table.popitem(last=False)

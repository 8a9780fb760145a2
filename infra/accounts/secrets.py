"""Secrets: made by chance, kept as what they can be checked by. Passwords by Argon2id (RFC 9106), what is random by SHA-256.

What `token` makes has 256 bits of chance, so a plain hash of it can't be guessed back; a password has few, so its hash must be slow.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets as chance
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

P = ParamSpec("P")
R = TypeVar("R")
KEY_PREFIX = "flk_"
#: longest text that is looked at as a key, a session or a link
TOKEN_MAX = 200
PASSWORD_MIN, PASSWORD_MAX = 12, 256
#: passwords that are hashed at a time in a process (each takes 64 MiB), and that may wait for it
HASHING_MAX, WAITING_MAX = 2, 50


class Busy(Exception):
    """Too many passwords wait to be looked at."""


def token() -> str:
    return chance.token_urlsafe(32)


def key_of(id: str) -> str:
    """An API key: a mark by which scanners know it, its id, its secret."""
    return f"{KEY_PREFIX}{id}_{token()}"


def new_id() -> str:
    return chance.token_hex(8)


def verifier(text: str) -> bytes:
    """What a random text is kept as and found by. The hash is what is compared, so the time that it takes tells nothing of the text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class Passwords:
    """Hashing takes 50 ms and 64 MiB: it happens beside the event loop, a few at a time."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(type=Type.ID)
        self._room = asyncio.Semaphore(HASHING_MAX)
        self._waiting = 0
        self._nobodys = self._hasher.hash(token())

    async def hash(self, password: str) -> str:
        """Raises: Busy."""
        return await self._beside(self._hasher.hash, password)

    async def fits(self, kept: str, password: str) -> bool:
        """Whether it is the one; without one to compare with (`kept` is empty) that takes just as long. Raises: Busy."""
        found = await self._beside(self._fits, kept or self._nobodys, password)
        return found and bool(kept)

    def _fits(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _beside(self, work: Callable[P, R], *values: P.args, **named: P.kwargs) -> R:
        if self._waiting >= WAITING_MAX:
            raise Busy
        self._waiting += 1
        try:
            async with self._room:
                return await asyncio.to_thread(work, *values, **named)
        finally:
            self._waiting -= 1

"""What connectors read once and use for a while: documents of a server, by name; one question, however many calls wait for it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import httpx2

from flowledger.connectors.frame import Call, Failed
from flowledger.infra.egress import SCHEMES

T = TypeVar("T")
#: what was fetched is used for so long (seconds); while its server is away, on; how many are kept
FRESH_S, KEPT_MAX = 300.0, 50


class Kept(Generic[T]):
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._there: OrderedDict[str, tuple[T, float]] = OrderedDict()
        self._coming: dict[str, asyncio.Lock] = {}

    async def of(self, name: str, fetch: Callable[[], Awaitable[T]]) -> T:
        """Raises: what `fetch` raises, where nothing is kept or another attempt doesn't help."""
        lock = self._coming.setdefault(name, asyncio.Lock())
        try:
            async with lock:
                kept = self._there.get(name)
                if kept is not None and kept[1] > self._clock():
                    return kept[0]
                try:
                    made = await fetch()
                except (Failed, httpx2.TransportError) as e:
                    if kept is None or (isinstance(e, Failed) and not e.again):
                        raise
                    made = kept[0]
                self._keep(name, made)
                return made
        finally:
            if not lock.locked():
                self._coming.pop(name, None)

    def _keep(self, name: str, made: T) -> None:
        self._there[name] = made, self._clock() + FRESH_S
        self._there.move_to_end(name)
        while len(self._there) > KEPT_MAX:
            self._there.popitem(last=False)


async def named(address: str, profile: str, call: Call) -> str:
    """What a document is kept by. Who may read it is the profile's: what one was shown is not another one's. Raises: Failed."""
    if not profile or call.profile is None:
        return address
    about = await call.profile(profile)
    told = f"{about.base_url}\0{about.version}\0{about.name}\0{about.authentication!r}\0{sorted(about.tls.items())!r}"
    return f"{hashlib.sha256(told.encode()).hexdigest()} {address}"


def same_server(one: str, other: str) -> bool:
    """Whether both addresses are of one server."""
    try:
        a, b = httpx2.URL(one), httpx2.URL(other)
    except httpx2.InvalidURL:
        return False
    return (a.scheme, a.raw_host, a.port or SCHEMES.get(a.scheme)) == (b.scheme, b.raw_host, b.port or SCHEMES.get(b.scheme))

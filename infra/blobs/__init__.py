"""Files beside the ledger, by their content: a file is known by its SHA-256, is written once and never changed. A tenant's files stand in an area of its own, so
that nobody learns from what another one has (docs/files.md, docs/decisions/0012).

The setting `blobs` says where they are kept: `folder:PATH`, or `NAME:WHERE` of a plug-in. A store keeps bytes under names; what is said here holds whatever
the store: limits, the hash that is looked at with each reading, and what is deleted.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flowledger.events.files import area
from flowledger.infra.blobs.folder import Folder
from flowledger.infra.blobs.store import Kept, Store
from flowledger.infra.settings import Settings, SettingsError

PIECE_BYTES = 256 * 1024
#: how long the count of a tenant's files is believed (seconds)
COUNT_S = 30.0
#: names that are asked for at once when what nobody needs is looked for
ASK_MAX = 500


class Blob(NamedTuple):
    sha256: str
    size: int


class TooLarge(Exception):
    """More bytes than a file may have."""


class Full(Exception):
    """More files than a tenant may have."""


class Damaged(Exception):
    """What is kept isn't what was put."""


class Blobs:
    """Raises in all: OSError when the store is away. `folder`: for files that are on their way in."""

    def __init__(self, store: Store, folder: Path, bytes_max: int, count_max: int) -> None:
        self.store, self.folder, self.bytes_max, self.count_max = store, folder, bytes_max, count_max
        #: area -> (until when it is believed, files)
        self._counts: dict[str, tuple[float, int]] = {}

    async def used(self, tenant: str) -> int:
        """Bytes of a tenant's files."""
        return await asyncio.to_thread(lambda: sum(k.size for k in self.store.kept(area(tenant))))

    async def put(self, tenant: str, pieces: AsyncIterator[bytes], room: int | None = None) -> Blob:
        """`room`: bytes that the tenant may still store. Raises: TooLarge, Full, and what `pieces` raises; nothing is kept then."""
        of = area(tenant)
        await self._room(of)
        handle, path = await asyncio.to_thread(self._begun)
        digest, size = hashlib.sha256(), 0
        try:
            with os.fdopen(handle, "wb") as file:
                async for piece in pieces:
                    size += len(piece)
                    if size > self.bytes_max:
                        raise TooLarge(f"a file has at most {self.bytes_max} bytes")
                    if room is not None and size > room:
                        raise Full(f"the tenant's quota of storage has room for {max(0, room)} bytes, and the file has more")
                    digest.update(piece)
                    await asyncio.to_thread(file.write, piece)
            found = Blob(digest.hexdigest(), size)
            await asyncio.to_thread(self.store.put, f"{of}/{found.sha256}", path)
        finally:
            await asyncio.to_thread(path.unlink, True)
        until, count = self._counts[of]
        self._counts[of] = (until, count + 1)
        return found

    def _begun(self) -> tuple[int, Path]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix="in-", dir=self.folder)
        return handle, Path(name)

    async def _room(self, of: str) -> None:
        known = self._counts.get(of)
        if known is None or known[0] < time.monotonic():
            count = await asyncio.to_thread(lambda: sum(1 for _ in self.store.kept(of)))
            known = self._counts[of] = (time.monotonic() + COUNT_S, count)
        if known[1] >= self.count_max:
            raise Full(
                f"there are {known[1]} files, and {self.count_max} is the most: those that nothing refers to are deleted after a while"
            )

    async def read(self, tenant: str, sha256: str) -> AsyncIterator[bytes]:
        """Its last piece comes when the hash of all is right. Raises: FileNotFoundError, Damaged."""
        file = await asyncio.to_thread(self.store.open, f"{area(tenant)}/{sha256}")
        try:
            digest, last = hashlib.sha256(), b""
            while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
                if last:
                    yield last
                digest.update(piece)
                last = piece
            if digest.hexdigest() != sha256:
                raise Damaged(f"the file {sha256} is kept with other bytes than it was put with")
            yield last
        finally:
            await asyncio.to_thread(file.close)

    async def sweep(self, needed: Callable[[Sequence[str]], Awaitable[set[str]]], before_s: float) -> int:
        """Deletes what was put before that moment and nothing needs. `needed`: of names those that something refers to."""
        old = await asyncio.to_thread(lambda: [k.name for k in self.store.kept() if k.at_s < before_s])
        gone = 0
        for n in range(0, len(old), ASK_MAX):
            some = old[n : n + ASK_MAX]
            for name in sorted(set(some) - await needed(some)):
                gone += await asyncio.to_thread(self.store.delete, name, before_s)
        await asyncio.to_thread(self._forget, before_s)
        return gone

    def _forget(self, before_s: float) -> None:
        """Files on their way in whose process died."""
        for path in self.folder.glob("in-*"):
            try:
                if path.stat().st_mtime < before_s:
                    path.unlink()
            except FileNotFoundError:
                pass


#: kind -> who opens the store of that kind
MAKERS: dict[str, Callable[[str, Settings], Any]] = {"folder": lambda where, settings: Folder(Path(where))}


def _place(settings: Settings) -> tuple[str, str]:
    """Kind of the store, and where it is."""
    kind, _, where = (settings.blobs or f"folder:{_own(settings)}").partition(":")
    return kind, where


def _own(settings: Settings) -> Path:
    return Path(settings.data) / "blobs"


def folder_of(settings: Settings) -> Folder | None:
    """Where the files are, when they are in a folder."""
    kind, where = _place(settings)
    return Folder(Path(where)) if kind == "folder" and where else None


def blobs_of(settings: Settings) -> Blobs:
    """Raises: SettingsError."""
    kind, where = _place(settings)
    if kind not in MAKERS or not where:
        raise SettingsError(f"setting blobs: expected {', '.join(f'{k}:WHERE' for k in MAKERS)}; found {settings.blobs!r}")
    try:
        store = MAKERS[kind](where, settings)
    except ValueError as e:
        raise SettingsError(f"setting blobs: {e}") from None
    folder = (Path(where) if kind == "folder" else _own(settings)) / "coming"
    return Blobs(store, folder, settings.blob_bytes_max, settings.blobs_max)


__all__ = ["MAKERS", "Blob", "Blobs", "Damaged", "Full", "Kept", "Store", "TooLarge", "blobs_of", "folder_of"]

"""What a store of files is; one more is a plug-in (docs/plugins.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol


class Kept(NamedTuple):
    """`at_s`: when it was put last (seconds since 1970)."""

    name: str
    size: int
    at_s: float


class Store(Protocol):
    """Keeps bytes under names: an area, a slash and a hash. All may block and are called in threads, several at once. Raises in all: OSError when it is away."""

    def put(self, name: str, file: Path) -> None:
        """Takes the file at a path (which may be gone then): whole or not at all, and on the disk. One of that name has the same bytes; it counts as put now."""

    def open(self, name: str) -> BinaryIO:
        """Raises: FileNotFoundError."""

    def delete(self, name: str, before_s: float) -> bool:
        """Unless it was put at or after that moment. False: it stays, or is not there."""

    def kept(self, of: str = "") -> Iterator[Kept]:
        """Those of an area, or all."""

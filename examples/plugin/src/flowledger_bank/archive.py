"""`archive:PATH` in the setting `blobs`: files as zlib has them, for documents that are mostly text."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from flowledger.plugin import BlobStore


class Archive:
    """`AREA/SHA256.z` in a folder."""

    def __init__(self, path: str) -> None:
        if not path:
            raise ValueError("expected archive:PATH")
        self._root = Path(path)

    def put(self, name: str, file: Path) -> None:
        """Whole in its place or not at all: first beside it, then renamed."""
        path = self._root / f"{name}.z"
        path.parent.mkdir(parents=True, exist_ok=True)
        near = path.with_suffix(f".{os.getpid()}-{file.name}")
        with near.open("wb") as out:
            out.write(zlib.compress(file.read_bytes()))
            out.flush()
            os.fsync(out.fileno())
        near.replace(path)

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(zlib.decompress((self._root / f"{name}.z").read_bytes()))

    def delete(self, name: str, before_s: float) -> bool:
        path = self._root / f"{name}.z"
        try:
            if path.stat().st_mtime >= before_s:
                return False
            path.unlink()
        except FileNotFoundError:
            return False
        return True

    def kept(self, of: str = "") -> Iterator[tuple[str, int, float]]:
        for path in self._root.glob(f"{of or '*'}/*.z"):
            yield f"{path.parent.name}/{path.stem}", len(zlib.decompress(path.read_bytes())), path.stat().st_mtime


ARCHIVE = BlobStore(api=1, name="archive", open=Archive, doc="Files, compressed, in a folder", example="{folder}/archive")

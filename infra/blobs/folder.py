"""Files in a folder of this machine, or of one that several share: `AREA/AB/SHA256`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from flowledger.infra.blobs.store import Kept


class Folder:
    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, name: str) -> Path:
        of, _, sha256 = name.partition("/")
        return self.root / of / sha256[:2] / sha256

    @contextlib.contextmanager
    def _alone(self, how: int) -> Iterator[None]:
        """What is put just now isn't deleted by who has looked at it before."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.root / "lock").open("ab") as file:
            fcntl.flock(file, how)
            yield

    def put(self, name: str, file: Path) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if file.stat().st_dev != path.parent.stat().st_dev:  # from another disk: whole, and then in its place
            near = path.with_suffix(f".{os.getpid()}.{file.name}")
            try:
                shutil.copyfile(file, near)
                return self.put(name, near)
            finally:
                near.unlink(missing_ok=True)
        with file.open("rb") as written:
            os.fsync(written.fileno())
        with self._alone(fcntl.LOCK_SH):
            os.utime(file)
            file.replace(path)
        for folder in (path.parent, path.parent.parent, self.root):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        return None

    def open(self, name: str) -> BinaryIO:
        return self._path(name).open("rb")

    def delete(self, name: str, before_s: float) -> bool:
        path = self._path(name)
        with self._alone(fcntl.LOCK_EX):
            try:
                if path.stat().st_mtime >= before_s:
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
        return True

    def kept(self, of: str = "") -> Iterator[Kept]:
        areas = [self.root / of] if of else [p for p in self._folders(self.root) if p.name == "none" or p.name.startswith("t-")]
        for place in areas:
            for part in self._folders(place):
                try:
                    found = list(os.scandir(part))
                except FileNotFoundError:
                    continue
                for entry in found:
                    if "." in entry.name:  # on its way in from another disk
                        continue
                    with contextlib.suppress(FileNotFoundError):
                        about = entry.stat()
                        yield Kept(f"{place.name}/{entry.name}", about.st_size, about.st_mtime)

    def copy_to(self, other: Folder) -> None:
        """Those that are there already have the same bytes. What is on its way in, or is deleted meanwhile, is no part of it."""
        for kept in self.kept():
            place = other._path(kept.name)
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy2(self._path(kept.name), place)

    @staticmethod
    def _folders(place: Path) -> list[Path]:
        try:
            return [Path(e.path) for e in os.scandir(place) if e.is_dir()]
        except FileNotFoundError:
            return []

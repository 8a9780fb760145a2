"""Files of a folder as a source: each that is created, changed or deleted, once.

A part is a file by its path below the folder, a place the time at which its contents or its facts changed last (ctime, nanoseconds), as the home has it of
each: so what was there before, what is new and what is gone is told by who reads next, whoever died. The folder is looked at again and again, which holds on
network drives too; a file counts when it has stayed as it is for a while, so that one that is being written is left alone.
"""

from __future__ import annotations

import asyncio
import fnmatch
import hashlib
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from flowledger.connectors.sources.frame import BEGUN, Away, Got, Opening, begun
from flowledger.connectors.sources.shared import value_of
from flowledger.events.triggers import FILE, GONE, TriggerItem
from flowledger.kernel import limits
from flowledger.kernel.model.trigger_fields import duration_us

#: between two looks (seconds)
LOOK_S = 1.0
SETTLE_S = 2.0
#: files of one folder; what is done with should be moved away
FILES_MAX = limits.TRIGGER_PLACES_MAX - 1_000
#: what is being written is often called so: it is no file yet
UNFINISHED = (".*", "~*", "*~", "*.part", "*.partial", "*.tmp", "*.crdownload", "*.filepart")


def _any_of(patterns: Iterable[str]) -> Callable[[str], object]:
    """Whether one of them fits a name: said once for all names of all looks."""
    return re.compile("|".join(map(fnmatch.translate, patterns))).match


_unfinished = _any_of(UNFINISHED)


class About(NamedTuple):
    """`at`: ctime in nanoseconds; `path` below the folder. A file whose other facts are the same has the same contents."""

    inode: int
    size: int
    modified_ns: int
    at: int
    path: str = ""

    def same(self, other: About | None) -> bool:
        return other is not None and self[:3] == other[:3]


async def open_folder(opening: Opening) -> FolderSource:
    root = Path(opening.config["folder"])
    allowed = opening.settings.trigger_folders
    real, within = await asyncio.to_thread(_real, root, allowed)
    if not within:
        told = ", ".join(allowed) or "none"
        raise Away(f"the folder {root} may not be read: expected one below those of the setting trigger_folders ({told})")
    found = FolderSource(opening, real)
    await found.look()
    return found


def _real(root: Path, allowed: tuple[str, ...]) -> tuple[Path, bool]:
    """Where it is, links followed, and whether that is below what is allowed."""
    real = Path(os.path.realpath(root))
    return real, any(real.is_relative_to(os.path.realpath(each)) for each in allowed)


class FolderSource:
    def __init__(self, opening: Opening, root: Path) -> None:
        config = opening.config
        self.root = root
        patterns = config.get("pattern", "*")
        self._wanted = _any_of(patterns if isinstance(patterns, list) else [patterns])
        told = config.get("events", "created")
        self._told = frozenset(told if isinstance(told, list) else [told])
        self._deep = bool(config.get("subfolders"))
        self._content: str = config.get("content", "none")
        self._settle_s = duration_us(config["settle"]) / 1e6 if "settle" in config else SETTLE_S
        #: file -> its place, as the home has it
        self.places = {part: place for part, place in opening.places.items() if part.startswith(FILE)}
        self._begun = begun(opening)
        self._all = config.get("from") == "start"
        #: file -> what it was when it was told, and what it is since when (None: it isn't there); known to this reader alone
        self._known: dict[str, About] = {}
        self._since: dict[str, tuple[About | None, float]] = {}
        self._waiting = 0

    # --- what is there --------------------------------------------------------------------------------------------------

    async def look(self) -> dict[str, About]:
        """Raises: Away."""
        try:
            return await asyncio.to_thread(self._look)
        except OSError as e:
            raise Away(f"the folder {self.root} can't be read: {e.strerror or type(e).__name__}") from None

    def _look(self) -> dict[str, About]:
        found: dict[str, About] = {}
        above = len(os.path.join(self.root, ""))
        folders = [str(self.root)]
        while folders:
            folder = folders.pop()
            with os.scandir(folder) as entries:
                for entry in entries:
                    if _unfinished(entry.name):
                        continue
                    try:
                        if self._deep and entry.is_dir(follow_symlinks=False):
                            folders.append(entry.path)
                            continue
                        if not entry.is_file(follow_symlinks=False) or not self._wanted(entry.name):
                            continue
                        about = os.stat(entry.path, follow_symlinks=False)  # on network drives an entry's own may be old
                    except FileNotFoundError:
                        continue
                    path = entry.path[above:]
                    found[part_of(path)] = About(about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns, path)
                    if len(found) > FILES_MAX:
                        raise Away(f"the folder {self.root} has more than {FILES_MAX} files: move away what is done with")
        return found

    # --- what happens ---------------------------------------------------------------------------------------------------

    async def batches(self) -> AsyncIterator[Got]:
        if not self._begun:
            if not self._all:  # what is there now is known, and told of nothing
                for part, about in (await self.look()).items():
                    yield Got(part, [TriggerItem(context={}, place=about.at, passed=True)])
                    self._taken(part, about)
            yield BEGUN
        while True:
            found = await self.look()
            now = time.monotonic()
            ready = self._ready(found, now)
            for part, what in ready:
                got = await self._got(part, what)
                if got is None:
                    continue
                yield Got(part, [got])
                self._taken(part, what)
            self._waiting = len(self._since)
            await asyncio.sleep(LOOK_S)

    def _ready(self, found: dict[str, About], now: float) -> list[tuple[str, About | None]]:
        """What has changed, and has stayed so for a while, the oldest first."""
        new: dict[str, tuple[About | None, float]] = {}
        ready: list[tuple[str, About | None]] = []
        for part in found.keys() | self.places.keys():
            about = found.get(part)
            if about is not None and self._is_known(part, about):
                continue
            was = self._since.get(part)
            same = was is not None and (about.same(was[0]) if about is not None else was[0] is None)
            since = was[1] if same and was is not None else now
            new[part] = (about, since)
            if now - since >= self._settle_s:
                ready.append((part, about))
        self._since = new
        return sorted(ready, key=lambda r: (r[1].modified_ns if r[1] is not None else 0, r[0]))

    def _is_known(self, part: str, about: About) -> bool:
        if (known := self._known.get(part)) is not None:
            return about == known
        return part in self.places and about.at <= self.places[part]

    def _taken(self, part: str, about: About | None) -> None:
        self._since.pop(part, None)
        if about is None:
            self.places.pop(part, None)
            self._known.pop(part, None)
        else:
            self.places[part] = max(about.at, self.places.get(part, -1) + 1) if part in self.places else about.at
            self._known[part] = about

    async def _got(self, part: str, about: About | None) -> TriggerItem | None:
        """None: it is being changed just now. Raises: Away."""
        if about is None:
            return TriggerItem(context=self._context("deleted", part, None), place=GONE, passed="deleted" not in self._told)
        before = self.places.get(part)
        event = "created" if before is None else "changed"
        place = about.at if before is None else max(about.at, before + 1)  # also where the clock was set back
        only_facts = about.same(self._known.get(part))  # a right, an owner: the same contents
        if event not in self._told or only_facts:
            return TriggerItem(context={}, place=place, passed=True)
        context, reason = self._context(event, part, about), ""
        if self._content != "none":
            try:
                context["payload"], reason = await asyncio.to_thread(self._read, self.root / about.path, about)
            except FileNotFoundError:
                return None
            except OSError as e:
                raise Away(f"the file {part.removeprefix(FILE)} can't be read: {e.strerror or type(e).__name__}") from None
            except _Changing:
                return None
        return TriggerItem(context=context, place=place, reason=reason)

    def _context(self, event: str, part: str, about: About | None) -> dict[str, Any]:
        path = part.removeprefix(FILE)
        modified = (
            datetime.fromtimestamp(about.modified_ns // 1_000_000_000, UTC).isoformat().replace("+00:00", "Z")
            if about is not None
            else None
        )
        return {
            "event": event, "name": path.rpartition("/")[2], "path": path, "folder": str(self.root), "size": about.size if about is not None else None,
            "modified": modified, "payload": None,
        }  # fmt: skip

    def _read(self, path: Path, about: About) -> tuple[Any, str]:
        """Contents, and why they can't be used."""
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            raw = file.read(limits.TRIGGER_ITEM_BYTES_MAX + 1)
            now = os.fstat(file.fileno())
        if not About(now.st_ino, now.st_size, now.st_mtime_ns, 0).same(about):
            raise _Changing
        if len(raw) > limits.TRIGGER_ITEM_BYTES_MAX:
            return None, f"it has {about.size} bytes, more than the {limits.TRIGGER_ITEM_BYTES_MAX} that are taken"
        try:
            return value_of(raw, self._content), ""
        except (ValueError, RecursionError) as e:
            return None, f"it can't be read as {self._content}: {str(e)[:200]}"

    async def acknowledge(self, got: Got) -> None:
        """The folder keeps what was read."""

    def lag(self) -> int:
        return self._waiting

    async def close(self) -> None:
        """Nothing is held."""


class _Changing(Exception):
    """It is not the file that was looked at."""


def part_of(path: str) -> str:
    """By what the home knows a file: its path, whatever its bytes; of a long one the end and a hash."""
    raw = os.fsencode(path)
    shown = raw.decode("utf-8", "backslashreplace")
    most = limits.NAME_MAX - len(FILE)
    return FILE + (shown if len(shown) <= most else f"{hashlib.sha256(raw).hexdigest()[:32]}...{shown[-(most - 40) :]}")

"""`source: lines: {file: PATH}`: each line that is added to a file is an item. Its place is where the line ends, so each is taken once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from flowledger.connectors.sources.frame import Away, Got, Opening
from flowledger.events.triggers import TriggerItem
from flowledger.plugin import Source

LOOK_S = 0.2
READ_BYTES = 1024 * 1024


class Lines:
    def __init__(self, path: Path, place: int) -> None:
        self._path, self._place = path, place

    async def batches(self) -> AsyncIterator[Got]:
        while True:
            if items := await asyncio.to_thread(self._read):
                yield Got("", items)
            else:
                await asyncio.sleep(LOOK_S)

    def _read(self) -> list[TriggerItem]:
        """Whole lines only: what is still being written has no end of line."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._place)
                data = file.read(READ_BYTES)
        except OSError as e:
            raise Away(f"the file can't be read: {e.strerror}") from None
        items = []
        for line in data[: data.rfind(b"\n") + 1].splitlines(keepends=True):
            self._place += len(line)
            items.append(TriggerItem(context={"payload": line.decode("utf-8", "replace").rstrip("\r\n")}, place=self._place))
        return items

    async def acknowledge(self, got: Got) -> None:
        """A file needs none: what was taken is told at the next start."""

    def lag(self) -> int:
        return -1

    async def close(self) -> None:
        """Nothing is held open."""


async def open_lines(opening: Opening) -> Lines:
    return Lines(Path(opening.config["file"]), max(0, opening.places.get("", 0)))


def a_path(value: Any) -> str:
    return "" if isinstance(value, str) and value.startswith("/") and len(value) < 500 else "an absolute path of a file"


LINES = Source(
    api=1,
    name="lines",
    open=open_lines,
    doc="Lines that are added to a file",
    fields={"file": (a_path, True)},
    example={"file": "/var/log/app.log"},
)

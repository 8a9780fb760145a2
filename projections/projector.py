"""Batches of events -> changes -> statements, with one connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

import psycopg

from flowledger.events.base import Recorded
from flowledger.logs import log
from flowledger.projections import schema as sc
from flowledger.projections.changes import Changes
from flowledger.projections.context import Context, Instance
from flowledger.projections.fold import Fold, View
from flowledger.projections.load import Missing, load
from flowledger.projections.store import Connection, Copy, Move, Statement, Writer, month_needs
from flowledger.projections.tracker import Folder

log_ = log("projections")

#: Counted events of a partition from an offset, in batches, with the offset after each batch. It waits at the end of the log.
Source = Callable[[int, int], AsyncIterator[tuple[Sequence[Recorded], int]]]
Batch = tuple[int, Sequence[Recorded], int]

#: Events of one write.
BATCH_EVENTS = 10_000
#: Events folded without letting others run, in the process that may also be an owner's.
SLICE_EVENTS = 256


class Projector:
    """Folds batches and writes them, with one connection. `lookup` false: what isn't in memory is not looked for in rows (rebuild)."""

    def __init__(self, conn: Connection, views: Iterable[View], context: Context, *, lookup: bool = True) -> None:
        self.conn, self.context, self.lookup = conn, context, lookup
        self.folder = Folder(views)
        self.tables = {t.name: t for v in self.folder.views for t in v.tables}
        self.writer = Writer(
            self.tables, [text for v in self.folder.views for text in v.removed], [v.late for v in self.folder.views if v.late]
        )
        self._months: set[tuple[str, str]] = set()

    async def apply(self, batches: Sequence[Batch], moves: Sequence[Move]) -> int:
        """Fold and write. Returns the number of events. Raises as `Writer.write`."""
        folded = await self.fold(batches)
        await self.write(folded, moves)
        return folded.events

    async def fold(self, batches: Sequence[Batch], written: Callable[[], Awaitable[None]] | None = None) -> Folded:
        """Into changes. The batch before may still be on its way to the database: `written` waits for it, before anything is looked up."""
        f = Fold(self.context)
        events = sum(len(records) for _, records, _ in batches)
        if self.lookup:
            look = Missing(self.context)
            for _, records, _ in batches:
                look.scan(records)
            if look.wanted:
                if written is not None:
                    await written()
                await load(self.conn, self.context, look.wanted)
        for _, records, _ in batches:
            for start in range(0, len(records), SLICE_EVENTS):
                self.folder.fold(records[start : start + SLICE_EVENTS], f)
                await asyncio.sleep(0)
        self.folder.close(f)
        statements: list[Copy | Statement] = []
        for part in self.writer.parts(f.changes):
            statements += part
            await asyncio.sleep(0)
        return Folded(f.changes, statements, self.context.take_ended(), events)

    async def write(self, folded: Folded, moves: Sequence[Move]) -> None:
        changes = folded.changes
        if needs := month_needs(self.tables, changes) - self._months:
            await sc.make_partitions(self.conn, self.tables, needs)
            self._months |= needs
        try:
            await self.writer.write(self.conn, folded.statements, changes, moves)
        except psycopg.DataError as error:
            log_.warning("a value doesn't fit, the batch is written carefully", why=str(error))
            statements = self.writer.render(changes, carefully=True)
            await self.writer.write(self.conn, statements, changes, moves)
        self.context.forget(folded.ended)


class Folded(NamedTuple):
    """A batch on its way from the fold to the database."""

    changes: Changes
    statements: list[Copy | Statement]
    ended: list[Instance]
    events: int

"""Row changes of a batch, merged while they are collected: a row that is made and changed within one batch is written once.

Nothing here knows of a database. `store.py` writes them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

#: What a pending update does to a column: set it (plain name), merge a JSON object into it (`name||`), or add to it (`name+`).
MERGE, ADD = "||", "+"

Row = dict[str, Any]
Key = Any
#: The values of the key columns of a row, and of the column by which its table is partitioned (if it is).
Ident = tuple[Any, ...]


class Ended(NamedTuple):
    """An instance (`element` is empty) or the work of an element that came to its end, or an attempt of it that failed: for figures, not for rows."""

    process: str
    element: str
    outcome: str
    #: None: it never began
    seconds: float | None


class Changes:
    """For each table: rows to insert, rows to upsert, rows to insert unless they exist, updates by key, finished COPY lines.

    Methods take `key` (unique in the table) and `ident`, the values of the key columns as in `Table.key`.
    """

    __slots__ = (
        "deleted_scopes",
        "elsewhere",
        "ended",
        "ensured",
        "inserts",
        "lines",
        "months",
        "removed",
        "tallies",
        "updates",
        "upserts",
    )

    def __init__(self) -> None:
        self.inserts: dict[str, dict[Key, Row]] = {}
        self.upserts: dict[str, dict[Key, Row]] = {}
        self.ensured: dict[str, dict[Key, Row]] = {}
        self.updates: dict[str, dict[Key, tuple[Ident, Row]]] = {}
        self.lines: dict[str, list[str]] = {}
        #: rows that are added to what stands under their keys; each key once
        self.tallies: dict[str, list[Row]] = {}
        #: months (YYYY-MM) of the events, in which the lines fall
        self.months: set[str] = set()
        #: instances whose scope rows go
        self.deleted_scopes: list[int] = []
        #: instances whose rows go, as (tenant, key): after all other changes, since nothing comes of them any more
        self.removed: list[tuple[str, int]] = []
        #: instances of other partitions of which lines tell: their rows may be gone already
        self.elsewhere: set[tuple[str, int]] = set()
        self.ended: list[Ended] = []

    def __bool__(self) -> bool:
        return bool(
            self.inserts
            or self.upserts
            or self.ensured
            or self.updates
            or self.lines
            or self.tallies
            or self.deleted_scopes
            or self.removed
        )

    def insert(self, table: str, key: Key, row: Row) -> Row:
        """A row that can't exist yet."""
        rows = self.inserts.get(table)
        if rows is None:
            rows = self.inserts[table] = {}
        rows[key] = row
        return row

    def upsert(self, table: str, key: Key, row: Row) -> None:
        """A row that may exist: all columns of `row` are overwritten."""
        pending = self.pending(table, key)
        if pending is not None:
            pending.update(row)
            return
        ensured = self.ensured.get(table)
        if ensured:
            ensured.pop(key, None)
        if (updated := self.updates.get(table, {}).get(key)) is not None:  # of before: it is written after the upserts
            for name in row:
                for pending_name in (name, name + MERGE, name + ADD):
                    updated[1].pop(pending_name, None)
        self.upserts.setdefault(table, {})[key] = row

    def ensure(self, table: str, key: Key, row: Row) -> None:
        """A row that is written only when there is none."""
        if self.pending(table, key) is None:
            self.ensured.setdefault(table, {}).setdefault(key, row)

    def pending(self, table: str, key: Key) -> Row | None:
        """The row, if this batch writes it as a whole."""
        rows = self.inserts.get(table)
        if rows is not None and (row := rows.get(key)) is not None:
            return row
        rows = self.upserts.get(table)
        return rows.get(key) if rows is not None else None

    def _update(self, table: str, key: Key, ident: Ident) -> Row:
        updates = self.updates.get(table)
        if updates is None:
            updates = self.updates[table] = {}
        found = updates.get(key)
        if found is None:
            found = updates[key] = (ident, {})
        return found[1]

    def update(self, table: str, key: Key, ident: Ident, columns: Row) -> None:
        """Set columns of a row that exists (no row: nothing happens)."""
        row = self.pending(table, key)
        if row is None:
            row = self._update(table, key, ident)
            for name in columns:
                row.pop(name + MERGE, None)
                row.pop(name + ADD, None)
        row.update(columns)

    def merge(self, table: str, key: Key, ident: Ident, column: str, values: Row) -> None:
        """Merge `values` into a JSON object, name by name, as PostgreSQL's `||` does."""
        row = self.pending(table, key)
        if row is None:
            row = self._update(table, key, ident)
            if column not in row:
                column += MERGE
        row[column] = {**(row.get(column) or {}), **values}

    def add(self, table: str, key: Key, ident: Ident, column: str, amount: int) -> None:
        row = self.pending(table, key)
        if row is None:
            row = self._update(table, key, ident)
            if column not in row:
                column += ADD
        row[column] = (row.get(column) or 0) + amount

    def line(self, table: str, line: str) -> None:
        """A finished line of an append-only table."""
        lines = self.lines.get(table)
        if lines is None:
            lines = self.lines[table] = []
        lines.append(line)

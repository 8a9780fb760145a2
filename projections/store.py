"""Writes a batch: all its row changes and the positions in one transaction. Nothing else in this package writes rows.

New rows go by COPY, changed ones by one statement for each set of changed columns. A position is moved only from where this writer
believes it to be, so two projectors can't apply an event twice, whatever happens: the second one finds the position moved, and nothing of
its batch is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from flowledger.events.avro import encode_json
from flowledger.projections import careful
from flowledger.projections.changes import ADD, MERGE, Changes
from flowledger.projections.tables import Table, line_of

Connection = psycopg.AsyncConnection[Any]
Fit = Callable[[Table, dict[str, Any]], dict[str, Any]]
#: rows of one UPDATE or upsert: keeps a parameter below some megabytes
ROWS_PER_STATEMENT = 2_000


class Overtaken(Exception):
    """Another projector wrote, or a view was rebuilt by another release: what is in memory is stale."""


class Move(NamedTuple):
    """One position: from what is believed to what it becomes."""

    view: str
    partition: int
    version: int
    expected: int
    next_offset: int
    event_time: str | None


class Statement(NamedTuple):
    """`rows` go as one JSON parameter."""

    text: bytes
    rows: list[dict[str, Any]]


class Copy(NamedTuple):
    text: bytes
    data: str


def _columns(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(n) for n in names)


def _recordset(table: Table, names: Iterable[str]) -> sql.Composed:
    """`jsonb_to_recordset(parameter) AS r(column type, ...)`."""
    parts = [sql.SQL("{} {}").format(sql.Identifier(n), sql.SQL(table.columns[n])) for n in names]
    return sql.SQL("jsonb_to_recordset(%s::jsonb) AS r({})").format(sql.SQL(", ").join(parts))


class Writer:
    """Renders changes to statements and runs them. `tables`: only these are written (a rebuild writes some views). `removed`, `late`: as views have them."""

    def __init__(self, tables: Mapping[str, Table], removed: Sequence[str] = (), late: Sequence[str] = ()) -> None:
        self.tables = tables
        self._removed, self._late = [_gone(text) for text in removed], [_gone(text) for text in late]
        self._lines: dict[str, Callable[[dict[str, Any]], str]] = {name: line_of(t) for name, t in tables.items()}
        self._copy = {
            name: sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(name), _columns(t.columns)).as_bytes()
            for name, t in tables.items()
        }
        self._sql: dict[tuple[Any, ...], bytes] = {}
        #: names of what is changed, as they come -> in their order, and the columns that they are of
        self._shapes: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[str, ...]]] = {}

    # --- rendering

    def render(self, changes: Changes, *, carefully: bool = False) -> list[Copy | Statement]:
        """`carefully`: values that PostgreSQL can't hold (NUL, texts that are too long, giant numbers) are made to fit."""
        return [statement for part in self.parts(changes, carefully=carefully) for statement in part]

    def parts(self, changes: Changes, *, carefully: bool = False) -> Iterator[list[Copy | Statement]]:
        """The same table by table, so that others can run in between."""
        fit = careful.fit if carefully else None
        for name, table in self.tables.items():
            yield self._table(name, table, changes, fit)

    def _table(self, name: str, table: Table, changes: Changes, fit: Fit | None) -> list[Copy | Statement]:
        out: list[Copy | Statement] = []
        lines = list(changes.lines.get(name, ()))
        if lines and fit:
            lines = [careful.fit_line(table, line) for line in lines]
        rows = changes.inserts.get(name)
        if rows:
            line = self._lines[name]
            lines += [line(fit(table, r) if fit else r) for r in rows.values()]
        if lines:
            lines.append("")
            out.append(Copy(self._copy[name], "\n".join(lines)))
        for pending, statement in ((changes.upserts, self._upsert), (changes.ensured, self._ensure)):
            found = pending.get(name)
            if found:
                by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
                for row in found.values():
                    by_columns.setdefault(tuple(row), []).append(fit(table, row) if fit else row)
                for columns, group in by_columns.items():
                    out += self._split(statement(table, columns), group)
        if tallies := changes.tallies.get(name):
            out += self._split(self._tally(table), [fit(table, row) for row in tallies] if fit else tallies)
        updates = changes.updates.get(name)
        if updates:
            out += self._updates(table, updates.values(), fit)
        return out

    @staticmethod
    def _split(text: bytes, rows: list[dict[str, Any]]) -> list[Statement]:
        return [Statement(text, rows[n : n + ROWS_PER_STATEMENT]) for n in range(0, len(rows), ROWS_PER_STATEMENT)]

    def _upsert(self, table: Table, columns: tuple[str, ...]) -> bytes:
        key = ("upsert", table.name, columns)
        if key not in self._sql:
            sets = [sql.SQL("{0} = excluded.{0}").format(sql.Identifier(c)) for c in columns if c not in table.key + table.keep]
            self._sql[key] = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT ({}) DO UPDATE SET {}").format(
                sql.Identifier(table.name), _columns(columns), _columns(columns), _recordset(table, columns), _columns(table.key),
                sql.SQL(", ").join(sets),
            ).as_bytes()  # fmt: skip
        return self._sql[key]

    def _tally(self, table: Table) -> bytes:
        key = ("tally", table.name)
        if key not in self._sql:
            ways = {
                "t.{0} + excluded.{0}": table.adds,
                "least(t.{0}, excluded.{0})": table.least,
                "greatest(t.{0}, excluded.{0})": table.most,
            }
            sets = [sql.SQL("{0} = " + way).format(sql.Identifier(c)) for way, columns in ways.items() for c in columns]
            self._sql[key] = sql.SQL("INSERT INTO {} AS t ({}) SELECT {} FROM {} ON CONFLICT ({}) DO UPDATE SET {}").format(
                sql.Identifier(table.name), _columns(table.columns), _columns(table.columns), _recordset(table, table.columns),
                _columns(table.key), sql.SQL(", ").join(sets),
            ).as_bytes()  # fmt: skip
        return self._sql[key]

    def _ensure(self, table: Table, columns: tuple[str, ...]) -> bytes:
        key = ("ensure", table.name, columns)
        if key not in self._sql:
            self._sql[key] = (
                sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT DO NOTHING")
                .format(sql.Identifier(table.name), _columns(columns), _columns(columns), _recordset(table, columns))
                .as_bytes()
            )
        return self._sql[key]

    def _updates(self, table: Table, updates: Iterable[tuple[tuple[Any, ...], dict[str, Any]]], fit: Fit | None) -> list[Statement]:
        by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for ident, changed in updates:
            if not changed:
                continue
            given = tuple(changed)
            shape = self._shapes.get(given)
            if shape is None:
                shape = self._shapes[given] = tuple(sorted(given)), tuple(n.rstrip("|+") for n in given)
            names = shape[0]
            row = dict(zip(shape[1], changed.values(), strict=True))
            if fit:
                row = fit(table, row)
            row.update(zip(table.key, ident, strict=True))
            by_columns.setdefault(names, []).append(row)
        out: list[Statement] = []
        for names, rows in by_columns.items():
            out += self._split(self._update(table, names), rows)
        return out

    def _update(self, table: Table, names: tuple[str, ...]) -> bytes:
        key = ("update", table.name, names)
        if key not in self._sql:
            sets = []
            for name in names:
                column = sql.Identifier(name.rstrip("|+"))
                if name.endswith(MERGE):
                    sets.append(sql.SQL("{0} = coalesce(t.{0}, '{{}}') || r.{0}").format(column))
                elif name.endswith(ADD):
                    sets.append(sql.SQL("{0} = coalesce(t.{0}, 0) + r.{0}").format(column))
                else:
                    sets.append(sql.SQL("{0} = r.{0}").format(column))
            columns = [n.rstrip("|+") for n in names] + [k for k in table.key if k not in names]
            match = [sql.SQL("t.{0} = r.{0}").format(sql.Identifier(k)) for k in table.key]
            self._sql[key] = (
                sql.SQL("UPDATE {} AS t SET {} FROM {} WHERE {}")
                .format(sql.Identifier(table.name), sql.SQL(", ").join(sets), _recordset(table, columns), sql.SQL(" AND ").join(match))
                .as_bytes()
            )
        return self._sql[key]

    # --- writing

    async def write(self, conn: Connection, statements: Sequence[Copy | Statement], changes: Changes, moves: Sequence[Move]) -> None:
        """All in one transaction. Raises: Overtaken, psycopg.DataError (a value that doesn't fit), psycopg.OperationalError."""
        deleted_scopes, removed = changes.deleted_scopes, changes.removed if self._removed else []
        elsewhere = changes.elsewhere if self._late else set()
        async with conn.transaction(), conn.cursor() as cursor:
            await move_positions(cursor, moves)
            if removed or elsewhere:  # rows that one partition brings and another removes: one projector after the other
                await cursor.execute(_REMOVING if removed else _BRINGING)
            for item in statements:
                if isinstance(item, Copy):
                    async with cursor.copy(item.text) as copy:
                        await copy.write(item.data)
                else:
                    await cursor.execute(item.text, (encode_json(item.rows).decode(),))
            if deleted_scopes and "instance_scopes" in self.tables:
                await cursor.execute("DELETE FROM instance_scopes WHERE instance_id = ANY(%s)", (list(deleted_scopes),))
            for texts, those in ((self._removed, removed), (self._late, elsewhere)):
                if those:
                    keys = encode_json([{"tenant_id": tenant, "id": key} for tenant, key in sorted(those)]).decode()
                    for text in texts:
                        await cursor.execute(text, (keys,))


def _gone(text: str) -> bytes:
    """A statement of a view, with the instances that it is about."""
    return b"WITH gone AS (SELECT * FROM jsonb_to_recordset(%s::jsonb) AS g(tenant_id varchar, id bigint)) " + text.encode()


_LOCK = "SELECT pg_advisory_xact_lock{}(hashtextextended('flowledger.removals.' || current_schema(), 0))"
_REMOVING, _BRINGING = _LOCK.format("").encode(), _LOCK.format("_shared").encode()


_MOVE = """
UPDATE positions p SET next_offset = r.next_offset, event_time = coalesce(r.event_time, p.event_time), updated_at = now()
FROM jsonb_to_recordset(%s::jsonb)
  AS r(view text, partition integer, version integer, expected bigint, next_offset bigint, event_time timestamptz)
WHERE p.view = r.view AND p.partition = r.partition AND p.version = r.version AND p.next_offset = r.expected
"""


async def move_positions(cursor: psycopg.AsyncCursor[Any], moves: Sequence[Move]) -> None:
    """First in the transaction: it locks the rows, so that a second writer waits and then finds them moved."""
    if moves:
        await cursor.execute(_MOVE, (encode_json([m._asdict() for m in moves]).decode(),))
        if cursor.rowcount != len(moves):
            raise Overtaken(f"expected to move {len(moves)} positions, {cursor.rowcount} were where they should be")


def month_needs(tables: Mapping[str, Table], changes: Changes) -> set[tuple[str, str]]:
    """(table, month as YYYY-MM) of all rows that this batch inserts into partitioned tables."""
    needs: set[tuple[str, str]] = set()
    for name, table in tables.items():
        if not table.month:
            continue
        for rows in (changes.inserts.get(name), changes.upserts.get(name)):
            if rows:
                needs |= {(name, row[table.month][:7]) for row in rows.values()}
        needs |= {(name, row[table.month][:7]) for row in changes.tallies.get(name, ())}
        if name in changes.lines:
            needs |= {(name, month) for month in changes.months}
    return needs

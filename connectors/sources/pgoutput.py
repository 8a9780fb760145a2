"""What PostgreSQL's logical decoding says by its plug-in `pgoutput`, version 1 of the protocol (Logical Replication Message Formats): changes of rows, by transaction."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from flowledger.events import avro

#: microseconds of PostgreSQL count from here
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Unreadable(ValueError):
    """No message of this protocol."""


class Column(NamedTuple):
    name: str
    type: int


class Relation(NamedTuple):
    schema: str
    table: str
    columns: list[Column]


class Change(NamedTuple):
    """`unchanged`: large columns that stayed as they were, which the log doesn't repeat."""

    operation: str
    schema: str
    table: str
    new: dict[str, Any] | None
    old: dict[str, Any] | None
    unchanged: list[str]


class Transaction(NamedTuple):
    """`lsn`: of its commit; `end`: behind it."""

    xid: int
    lsn: int
    end: int
    committed: datetime
    changes: list[Change]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, form: str) -> Any:
        try:
            (found,) = struct.unpack_from(f"!{form}", self.data, self.at)
        except struct.error:
            raise Unreadable("a message ends too soon") from None
        self.at += struct.calcsize(f"!{form}")
        return found

    def char(self) -> str:
        return str(self.take("c").decode("latin-1"))

    def text(self) -> str:
        end = self.data.index(b"\0", self.at)
        found, self.at = self.data[self.at : end].decode(), end + 1
        return found

    def raw(self) -> bytes:
        size = self.take("i")
        found = self.data[self.at : self.at + size]
        if len(found) < size:
            raise Unreadable("a value ends too soon")
        self.at += size
        return found


class Decoder:
    """Takes the messages of one look in their order; `transactions` are those that are whole."""

    def __init__(self) -> None:
        self.transactions: list[Transaction] = []
        self._relations: dict[int, Relation] = {}
        self._begun: tuple[int, datetime] = (0, EPOCH)
        self._changes: list[Change] = []
        self._kinds: dict[str, Callable[[_Reader], None]] = {
            "B": self._begin, "C": self._commit, "R": self._relation, "I": self._insert, "U": self._update, "D": self._delete, "T": self._truncate,
        }  # fmt: skip

    def add(self, message: bytes) -> None:
        """Raises: Unreadable."""
        r = _Reader(message)
        if (read := self._kinds.get(r.char())) is not None:  # origins, types and messages of others are passed over
            try:
                read(r)
            except (ValueError, KeyError, UnicodeDecodeError) as e:
                raise Unreadable(f"PostgreSQL said what can't be read: {type(e).__name__}") from None

    def _begin(self, r: _Reader) -> None:
        r.take("q")
        at = EPOCH + timedelta(microseconds=r.take("q"))
        self._begun, self._changes = (r.take("I"), at), []

    def _commit(self, r: _Reader) -> None:
        r.take("b")
        lsn, end = r.take("q"), r.take("q")
        self.transactions.append(Transaction(self._begun[0], lsn, end, self._begun[1], self._changes))
        self._changes = []

    def _relation(self, r: _Reader) -> None:
        oid = r.take("I")
        schema, table = r.text(), r.text()
        r.take("c")
        columns = []
        for _ in range(r.take("h")):
            r.take("b")
            name, kind = r.text(), r.take("I")
            r.take("i")
            columns.append(Column(name, kind))
        self._relations[oid] = Relation(schema or "pg_catalog", table, columns)

    def _row(self, r: _Reader, relation: Relation, unchanged: list[str]) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for n in range(r.take("h")):
            column, how = relation.columns[n], r.char()
            if how == "n":
                row[column.name] = None
            elif how == "u":
                unchanged.append(column.name)
            else:
                row[column.name] = value_of(r.raw().decode(), column.type)
        return row

    def _insert(self, r: _Reader) -> None:
        relation, unchanged = self._relations[r.take("I")], list[str]()
        r.char()
        self._changes.append(Change("insert", relation.schema, relation.table, self._row(r, relation, unchanged), None, []))

    def _update(self, r: _Reader) -> None:
        relation, unchanged = self._relations[r.take("I")], list[str]()
        old, how = None, r.char()
        if how in "KO":
            old = self._old(r, relation, how)
            r.char()
        new = self._row(r, relation, unchanged)
        self._changes.append(Change("update", relation.schema, relation.table, new, old, unchanged))

    def _delete(self, r: _Reader) -> None:
        relation = self._relations[r.take("I")]
        old = self._old(r, relation, r.char())
        self._changes.append(Change("delete", relation.schema, relation.table, None, old, []))

    def _old(self, r: _Reader, relation: Relation, how: str) -> dict[str, Any]:
        """Of a key alone the other columns come as null, though they were not."""
        row = self._row(r, relation, [])
        return {k: v for k, v in row.items() if v is not None} if how == "K" else row

    def _truncate(self, r: _Reader) -> None:
        count = r.take("i")
        r.take("b")
        for _ in range(count):
            relation = self._relations[r.take("I")]
            self._changes.append(Change("truncate", relation.schema, relation.table, None, None, []))


def _number(text: str) -> Any:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return text
    return found if found.is_finite() else text


#: type of a column -> its value as JSON; others are texts, as PostgreSQL writes them
_VALUES: dict[int, Callable[[str], Any]] = {
    16: lambda t: t == "t", 20: int, 21: int, 23: int, 26: int, 700: _number, 701: _number, 1700: _number,
    114: lambda t: avro.decode_json(t.encode()), 3802: lambda t: avro.decode_json(t.encode()),
}  # fmt: skip


def value_of(text: str, kind: int) -> Any:
    read = _VALUES.get(kind)
    return text if read is None else read(text)

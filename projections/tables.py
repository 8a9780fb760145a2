"""What the tables look like to the writer: columns with their types, in the order in which they are copied.

The tables themselves are made by `sql/*.sql`; `tests/projections/` holds both against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from flowledger.events.avro import encode_json

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Moments beyond what PostgreSQL's clients can read are written as the last readable one.
LAST_STAMP = "9999-12-31 23:59:59.999999+00:00"
LAST_US = 253_402_300_799_999_999

_STAMPS: dict[int, str] = {}
_TEXTS: dict[str, str] = {}
_CACHE_MAX = 20_000


class Table(NamedTuple):
    """`key` identifies a row; `month` is the column by which the table is partitioned (`""`: it isn't).

    An upsert leaves the columns of `keep` as they are. `widths` are those of `varchar(n)` columns, for values that don't fit. `adds`, `least`, `most`: columns
    of which a tally (`Changes.tally`) adds to what is there, or keeps the smaller or the larger.
    """

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...] = ("tenant_id", "id")
    month: str = ""
    keep: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    least: tuple[str, ...] = ()
    most: tuple[str, ...] = ()

    @property
    def widths(self) -> dict[str, int]:
        return {c: int(t[8:-1]) for c, t in self.columns.items() if t.startswith("varchar")}


def stamp(us: int) -> str:
    """Microseconds since the epoch (UTC) as PostgreSQL reads them, exactly."""
    found = _STAMPS.get(us)
    if found is None:
        if len(_STAMPS) >= _CACHE_MAX:
            _STAMPS.clear()
        found = LAST_STAMP if us > LAST_US else (EPOCH + timedelta(microseconds=max(0, us))).isoformat(" ")
        _STAMPS[us] = found
    return found


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def text(s: str) -> str:
    """Escaped for COPY. Ids and names recur, so short ones are kept."""
    found = _TEXTS.get(s)
    if found is None:
        found = s.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
        if len(s) <= 64:
            if len(_TEXTS) >= _CACHE_MAX:
                _TEXTS.clear()
            _TEXTS[s] = found
    return found


def json_text(value: Any) -> str:
    """JSON escaped for COPY: control characters are escaped by JSON already, so only backslashes are left."""
    out = encode_json(value).decode()
    return out.replace("\\", "\\\\") if "\\" in out else out


def array_text(values: list[str]) -> str:
    items = ",".join('"' + str(v).replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values)
    return text("{" + items + "}")


def bool_text(value: bool) -> str:
    return "t" if value else "f"


def format_of(kind: str) -> Callable[[Any], str]:
    if kind.startswith("varchar") or kind == "text":
        return text
    formats: dict[str, Callable[[Any], str]] = {"jsonb": json_text, "text[]": array_text, "boolean": bool_text}
    return formats.get(kind, str)


def line_of(table: Table) -> Callable[[dict[str, Any]], str]:
    """A function that writes one row as a line for COPY; what is absent or None is null. Made once, from our own column names."""
    names = list(table.columns)
    space: dict[str, Any] = {f"f{n}": format_of(kind) for n, kind in enumerate(table.columns.values())}
    parts = ", ".join(f"(f{n}(v) if (v := g({name!r})) is not None else N)" for n, name in enumerate(names))
    source = f"def line(row):\n    g = row.get\n    return join(({parts},))\n"
    space |= {"N": "\\N", "join": "\t".join}
    exec(compile(source, f"<line of {table.name}>", "exec"), space)  # noqa: S102 - made of our own column names
    made: Callable[[dict[str, Any]], str] = space["line"]
    return made

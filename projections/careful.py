"""Makes values fit that PostgreSQL can't hold: used for a batch that it refused, so that no value of a user stops the projection.

NUL characters become U+FFFD, texts are cut to their column, numbers beyond what `numeric` takes become texts. The log keeps what was said.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flowledger.events.avro import decode_json
from flowledger.projections.tables import Table, json_text, text

#: digits before and after the point that PostgreSQL's `numeric` takes in any case
DIGITS_MAX = 16_000
ESCAPES = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}


def fit_json(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {fit_json(k): fit_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [fit_json(v) for v in value]
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        if not isinstance(exponent, int) or abs(exponent) + len(value.as_tuple().digits) > DIGITS_MAX:
            return str(value)
    return value


def fit_text(value: str, width: int | None) -> str:
    value = value.replace("\0", "\ufffd")
    return value if width is None else value[:width]


def fit(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    widths = table.widths
    out: dict[str, Any] = {}
    for name, value in row.items():
        kind = table.columns.get(name, "")
        if isinstance(value, str) and kind != "jsonb":
            out[name] = fit_text(value, widths.get(name)) if kind.startswith("varchar") or kind == "text" else value
        else:
            out[name] = fit_json(value)
    return out


def unescape(field: str) -> str:
    out, i = [], 0
    while (j := field.find("\\", i)) >= 0:
        out += [field[i:j], ESCAPES.get(field[j : j + 2], field[j + 1 : j + 2])]
        i = j + 2
    return "".join([*out, field[i:]])


def fit_line(table: Table, line: str) -> str:
    """The same for a finished line of COPY."""
    widths = table.widths
    fields = []
    for (name, kind), field in zip(table.columns.items(), line.split("\t"), strict=True):
        if field == "\\N":
            fields.append(field)
        elif kind == "jsonb":
            fields.append(json_text(fit_json(decode_json(unescape(field)))))
        elif kind.startswith("varchar"):
            fields.append(text(fit_text(unescape(field), widths[name])))
        else:
            fields.append(field)
    return "\t".join(fields)

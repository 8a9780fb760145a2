"""What a statement finds."""

from __future__ import annotations

from typing import Any

from flowledger.connectors import reach
from flowledger.connectors.frame import Call, Failed
from flowledger.connectors.sql.config import SqlConfig


class Found:
    """Rows of one statement, counted while they come: no more than the bounds is ever held."""

    def __init__(self, config: SqlConfig, call: Call) -> None:
        self._rows_max, self._bytes_max, self._bytes = config.max_rows, call.answer_bytes_max, 0
        self.rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        """Raises: Failed."""
        if len(self.rows) == self._rows_max:
            raise Failed("ANSWER_TOO_LARGE", f"expected at most {self._rows_max} rows (maxRows), found more")
        made = reach.plain(row)
        self._bytes += reach.size(made)
        if self._bytes > self._bytes_max:
            raise reach.too_large(self._bytes_max)
        self.rows.append(made)

    def answer(self, count: int) -> dict[str, Any]:
        return {"rows": self.rows, "rowCount": count if count >= 0 else len(self.rows)}

"""Texts in tables that spreadsheets open."""

from __future__ import annotations

from typing import Any


def cell(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula is told as a text: ids and names are whatever their authors wrote."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value

"""What may stand in records, as texts that say what was expected."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from flowledger.kernel.tasks.schemas import kind_of


def unknown(value: Any, known: Collection[str], where: str) -> list[str]:
    """Of an object that has other fields than these, or is none."""
    if not isinstance(value, dict):
        return [f"{where}: expected an object, found {kind_of(value)}"]
    return [f"{where}: '{k}' is not known; known are {', '.join(sorted(known))}" for k in value if k not in known]


def is_text(value: Any, most: int, least: int = 0) -> bool:
    return isinstance(value, str) and least <= len(value) <= most


def are_texts(value: Any, count: int, most: int) -> bool:
    """A list of at most `count` texts, none of them empty."""
    return isinstance(value, list) and len(value) <= count and all(is_text(v, most, 1) for v in value)

"""Which variables are marked, and how: what a model says (`kernel/model/protect.py`), and what is found by it (`kernel/protection.py`)."""

from __future__ import annotations

import re

from flowledger.kernel.expressions import Expression

CLASS = re.compile(r"[a-z][a-z0-9_-]{0,39}")
#: the class without a word of one's own
PERSONAL = "personal"
_SEEN_MAX = 10_000


class Names:
    """What is protected in a tenant. `subjects`: (process, expression) by which the subject of an instance is told."""

    __slots__ = ("_patterns", "_seen", "exact", "subjects")

    def __init__(self) -> None:
        self.exact: dict[str, str] = {}
        self.subjects: list[tuple[str, Expression]] = []
        self._patterns: list[tuple[re.Pattern[str], str]] = []
        self._seen: dict[str, str] = {}

    def add(self, name: str, cls: str) -> None:
        if "*" in name or "?" in name:
            self._patterns.append((re.compile(re.escape(name).replace(r"\*", ".*").replace(r"\?", ".")), cls))
        else:
            self.exact.setdefault(name, cls)

    def of(self, name: str) -> str:
        """The class of a variable; empty: it has none."""
        if (found := self.exact.get(name)) is not None or not self._patterns:
            return found or ""
        if name not in self._seen:
            if len(self._seen) >= _SEEN_MAX:
                self._seen.clear()
            self._seen[name] = next((cls for pattern, cls in self._patterns if pattern.fullmatch(name)), "")
        return self._seen[name]

"""Names in scope, found by the longest match over tokens (DMN 1.5, 10.3.1.5)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from flowledger.kernel.feel.lexer import KEYWORDS, Token, words


@lru_cache(maxsize=4096)
def split(name: str) -> tuple[str, ...]:
    return words(name)


class NameIndex:
    """Names of more than one token, by their first token. A name of one token needs no index."""

    __slots__ = ("by_first", "names")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.by_first: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        self.names: set[str] = set()
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        self.names.add(name)
        if name.isidentifier():
            return
        parts = split(name)
        if len(parts) < 2:
            return
        entries = self.by_first.setdefault(parts[0], [])
        if (parts, name) not in entries:
            entries.append((parts, name))
            entries.sort(key=lambda e: -len(e[0]))

    def longest(self, tokens: list[Token], at: int) -> tuple[int, str] | None:
        """(number of tokens, name) of the longest name of several tokens that starts at `at`."""
        for parts, name in self.by_first.get(tokens[at].text, ()):
            if at + len(parts) < len(tokens) and all(tokens[at + i].text == part for i, part in enumerate(parts)):
                return len(parts), name
        return None


def has_keyword(name: str) -> bool:
    return any(part in KEYWORDS for part in split(name))

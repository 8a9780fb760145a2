"""Patterns of forms, which are JavaScript's regular expressions: whether one is found in a text, in time linear in it.

RE2 reads nearly all of them alike. What looks ahead at the beginning (`^(?=.*[A-Z])(?=.*[0-9]).{8,}$`, the usual rule of a password) is asked for apart:
each of it must be found there, or must not. References back and what looks around elsewhere are nothing for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from flowledger.kernel.tasks.schemas import pattern_of

#: any character, which JavaScript writes as the class of none that is left out
_ANY = re.compile(r"\[\^\]")
_AHEAD = ("(?=", "(?!")


def found_in(pattern: str, text: str) -> bool | None:
    """None: the pattern can't be asked so."""
    parts = _parts(pattern)
    return None if parts is None else all((part.search(text) is not None) is wanted for part, wanted in parts)


@lru_cache(512)
def _parts(pattern: str) -> list[tuple[Any, bool]] | None:
    rest, parts = _ANY.sub(r"[\\s\\S]", pattern), []
    try:
        if rest.startswith("^"):
            at = 1
            while rest.startswith(_AHEAD, at):
                end = _closing(rest, at)
                parts.append((pattern_of(f"^(?:{rest[at + 3 : end]})"), rest[at + 2] == "="))
                at = end + 1
            if parts and _splits(rest[at:]):  # `^(?=a)b|c`: what looks ahead is of the first alternative alone
                return None
            rest = "^" + rest[at:]
        return [*parts, (pattern_of(rest), True)]
    except ValueError:
        return None


def _closing(pattern: str, at: int) -> int:
    """Where the group that opens at `at` ends. Raises: ValueError."""
    depth = 0
    for n, c in _signs(pattern, at):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return n
    raise ValueError("a group is not closed")


def _splits(pattern: str) -> bool:
    """Whether it has alternatives outside of any group."""
    depth = 0
    for _, c in _signs(pattern, 0):
        depth += (c == "(") - (c == ")")
        if c == "|" and depth == 0:
            return True
    return False


def _signs(pattern: str, at: int) -> Iterator[tuple[int, str]]:
    """Each character from a place on that is neither escaped nor of a class."""
    inside = False
    while at < len(pattern):
        c = pattern[at]
        if c == "\\":
            at += 1
        elif inside:
            inside = c != "]"
        elif c == "[":
            inside = True
        else:
            yield at, c
        at += 1

"""What JSON lets pass and a caller can't have meant: a name that stands twice in one object (RFC 8259, 4: unpredictable), values nested
without end. Cheap for what is usual: one pass of a regular expression over the bytes; only bodies in which a name recurs are read twice.
"""

from __future__ import annotations

import json
import re
from typing import Any

#: levels of nesting of a body; enough for any value that people make, and far from what a reader of the log could stumble over
DEPTH_MAX = 100
_STRING = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"([ \t\r\n]*:)?', re.DOTALL)
_BRACKET = re.compile(rb"[][{}]")


class Refused(ValueError):
    """The text says what was expected and what was found."""


def check(body: bytes) -> None:
    """`body` is JSON that can be read. Raises: Refused."""
    strings = _STRING.findall(body)
    names = [name for name, colon in strings if colon]
    if len(names) != len(set(names)) or any(b"\\" in name for name in names):
        _no_name_twice(body)
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX:
        _not_too_deep(_STRING.sub(b"", body))


def _not_too_deep(brackets: bytes) -> None:
    depth = 0
    for found in _BRACKET.findall(brackets):
        depth += 1 if found in b"[{" else -1
        if depth > DEPTH_MAX:
            raise Refused(f"expected at most {DEPTH_MAX} levels of nesting, found more")


def _pairs(pairs: list[tuple[str, Any]]) -> None:
    names = {name for name, _ in pairs}
    if len(names) == len(pairs):
        return
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise Refused(f"expected each name once in an object, found {name!r} twice")
        seen.add(name)


def _number(text: str) -> None:
    return None


_reader = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_number, parse_int=_number)


def _no_name_twice(body: bytes) -> None:
    try:
        _reader.decode(body.decode("utf-8"))
    except RecursionError:
        raise Refused(f"expected at most {DEPTH_MAX} levels of nesting, found more") from None
    except json.JSONDecodeError as e:  # msgspec takes what the standard library doesn't: never seen, but no reason for a 500
        raise Refused(f"expected JSON: {e}") from None

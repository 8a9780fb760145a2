"""String functions (DMN 1.5, 10.3.4.3). Positions count code points from 1, negative ones from the end."""

from __future__ import annotations

from decimal import Decimal

from flowledger.kernel.feel import regex
from flowledger.kernel.feel.builtins.registry import builtin
from flowledger.kernel.feel.runtime import Runtime


@builtin("substring", "string: string, start position: number, length??: number")
def substring(r: Runtime, string: str, start: Decimal, length: Decimal | None) -> str:
    """`length` (or all) characters from `start position` on."""
    begin, end = span(len(string), start, length, "string")
    return string[begin:end]


def span(size: int, start: Decimal, length: Decimal | None, what: str) -> tuple[int, int]:
    """Start and end, from 0, of a part. Raises ValueError if it starts outside of the whole."""
    first = int(start) if abs(start) <= size else 0
    if not first:
        raise ValueError(f"no position {start} in a {what} of {size}")
    begin = first - 1 if first > 0 else size + first
    if length is None:
        return begin, size
    count = int(length) if length < size else size
    if count < 1:
        raise ValueError(f"no length {length}")
    return begin, min(size, begin + count)


@builtin("string length", "string: string")
def string_length(r: Runtime, string: str) -> Decimal:
    """Number of characters (code points)."""
    return Decimal(len(string))


@builtin("upper case", "string: string")
def upper_case(r: Runtime, string: str) -> str:
    """The text in capitals."""
    return string.upper()


@builtin("lower case", "string: string")
def lower_case(r: Runtime, string: str) -> str:
    """The text in small letters."""
    return string.lower()


@builtin("substring before", "string: string, match: string")
def substring_before(r: Runtime, string: str, match: str) -> str:
    """What stands before the first `match`, nothing if there is none."""
    before, found, _ = string.partition(match) if match else ("", "", "")
    return before if found else ""


@builtin("substring after", "string: string, match: string")
def substring_after(r: Runtime, string: str, match: str) -> str:
    """What stands after the first `match`, nothing if there is none."""
    return string.partition(match)[2] if match else string


@builtin("replace", "input: string, pattern: string, replacement: string, flags??: string")
def replace(r: Runtime, input_: str, pattern: str, replacement: str, flags: str | None) -> str:
    """All that matches the pattern replaced; `$1` stands for a group."""
    return regex.replace(r, input_, pattern, replacement, flags or "")


@builtin("contains", "string: string, match: string")
def contains(r: Runtime, string: str, match: str) -> bool:
    """Whether `match` is a part of the text."""
    return match in string


@builtin("starts with", "string: string, match: string")
def starts_with(r: Runtime, string: str, match: str) -> bool:
    """Whether the text starts with `match`."""
    return string.startswith(match)


@builtin("ends with", "string: string, match: string")
def ends_with(r: Runtime, string: str, match: str) -> bool:
    """Whether the text ends with `match`."""
    return string.endswith(match)


@builtin("matches", "input: string, pattern: string, flags??: string")
def matches(r: Runtime, input_: str, pattern: str, flags: str | None) -> bool:
    """Whether a part of the text matches the pattern."""
    return regex.matches(r, input_, pattern, flags or "")


@builtin("split", "string: string, delimiter: string")
def split(r: Runtime, string: str, delimiter: str) -> list[str]:
    """The parts between the matches of the pattern `delimiter`."""
    return regex.split(r, string, delimiter)


@builtin("string join", "list: list, delimiter??: string")
def string_join(r: Runtime, items: list[str | None], delimiter: str | None) -> str:
    """The texts one after the other with `delimiter` between them; nulls are left out."""
    texts = [i for i in items if i is not None]
    if not all(type(i) is str for i in texts):
        raise ValueError("not all items are strings")
    r.text(sum(map(len, texts)) + len(delimiter or "") * len(texts))
    return (delimiter or "").join(texts)

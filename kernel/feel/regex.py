"""Regular expressions of XPath 2.0 (Functions and Operators, 7.6; XML Schema Part 2, appendix F), which FEEL's functions take.

A pattern is parsed here, so that what XPath calls an error is one. It runs on Python's `re` where that can't take long, else on an
automaton that is bounded (`automaton`). Raises ValueError for what XPath calls an error, which FEEL turns into null.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NoReturn

from flowledger.kernel.feel import automaton, charclass, limits
from flowledger.kernel.feel.runtime import Runtime

PATTERN_CHARS_MAX = 2_000
REPEAT_MAX = 1_000
NESTING_MAX = 40
#: Steps of backtracking up to which Python's `re` is trusted.
BACKTRACKING_MAX = 200_000
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
_SINGLE = frozenset("\\|.?*+(){}-[]^$")
_SPACE = "\t\n\r "

# Nodes are tuples: ("class", text), ("sequence", nodes), ("choice", nodes), ("repeat", node, least, most, greedy), ("group", number, node),
# ("back", number), ("line start",), ("line end",). The text of a class is one for Python's `re`.
Node = tuple[Any, ...]


class _Parser:
    def __init__(self, pattern: str, flags: str) -> None:
        self.text, self.at = pattern, 0
        self.dot_all, self.ignore_case = "s" in flags, "i" in flags
        self.groups = 0
        self.closed: set[int] = set()
        self.depth = 0

    def fail(self, message: str) -> NoReturn:
        raise ValueError(f"pattern: {message}")

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        c = self.text[self.at : self.at + 1]
        if not c:
            self.fail("ends too early")
        self.at += 1
        return c

    def parse(self) -> Node:
        node = self.choice()
        if self.peek():
            self.fail(f"unexpected {self.peek()!r}")
        return node

    def choice(self) -> Node:
        self.depth += 1
        if self.depth > NESTING_MAX:
            self.fail("nested too deep")
        branches = [self.branch()]
        while self.peek() == "|":
            self.at += 1
            branches.append(self.branch())
        self.depth -= 1
        return branches[0] if len(branches) == 1 else ("choice", branches)

    def branch(self) -> Node:
        nodes: list[Node] = []
        while self.peek() not in ("", "|", ")"):
            nodes.append(self.piece())
        return nodes[0] if len(nodes) == 1 else ("sequence", nodes)

    def piece(self) -> Node:
        node = self.atom()
        c = self.peek()
        if c in ("?", "*", "+") and c:
            self.at += 1
            least, most = {"?": (0, 1), "*": (0, None), "+": (1, None)}[c]
        elif c == "{":
            m = re.compile(r"\{([0-9]{1,9})(?:(,)([0-9]{1,9})?)?\}").match(self.text, self.at)
            if not m:
                self.fail("bad quantity")
            self.at = m.end()
            least = int(m[1])
            most = int(m[3]) if m[3] else None if m[2] else least
            if (most is not None and most < least) or max(least, most or 0) > REPEAT_MAX:
                self.fail("bad quantity")
        else:
            return node
        greedy = self.peek() != "?"
        self.at += not greedy
        if self.peek() in ("?", "*", "+", "{") and self.peek():
            self.fail("a quantifier follows a quantifier")
        return ("repeat", node, least, most, greedy)

    def atom(self) -> Node:
        c = self.take()
        if c == "(":
            if self.text.startswith("?:", self.at):
                self.at += 2
                inner = self.choice()
                self.close()
                return inner if inner[0] in ("group", "class") else ("sequence", [inner])
            self.groups += 1
            number = self.groups
            inner = self.choice()
            self.close()
            self.closed.add(number)
            return ("group", number, inner)
        if c == "[":
            return ("class", self.bracket())
        if c == ".":
            return ("class", r"[\s\S]" if self.dot_all else r"[^\n\r]")
        if c == "^":
            return ("line start",)
        if c == "$":
            return ("line end",)
        if c == "\\":
            return self.escape()
        if c in "?*+{}])":
            self.fail(f"unexpected {c!r}")
        return ("class", charclass.one(c))

    def close(self) -> None:
        if self.peek() != ")":
            self.fail("a group isn't closed")
        self.at += 1

    def escape(self) -> Node:
        c = self.peek()
        if c and c in "123456789":
            self.at += 1
            number = int(c)
            # `\12` is group 12 if there is one, else group 1 and a 2.
            while (digit := self.peek()).isascii() and digit.isdigit() and number * 10 + int(digit) <= self.groups:
                number = number * 10 + int(self.take())
            if number not in self.closed:
                self.fail(f"no group {number} before its use")
            return ("back", number)
        return ("class", self.class_escape())

    def class_escape(self) -> str:
        """A class for Python's `re` from what follows a backslash."""
        c = self.take()
        if c in _ESCAPED:
            return charclass.one(_ESCAPED[c])
        if c in _SINGLE:
            return charclass.one(c)
        if c in "pP":
            end = self.text.find("}", self.at)
            if self.peek() != "{" or end < 0:
                self.fail("bad property")
            name = self.text[self.at + 1 : end]
            self.at = end + 1
            return charclass.named(name, c == "P")
        found = charclass.multi(c)
        if found is None:
            self.fail(f"unknown escape \\{c}")
        return found

    def bracket(self) -> str:
        """What follows `[`: members as one alternative each, since Python has no classes within classes."""
        negated = self.peek() == "^"
        self.at += negated
        ranges: list[str] = []
        others: list[str] = []
        minus = ""
        first = True
        while True:
            c = self.take()
            if c == "]":
                if first:
                    self.fail("an empty class")
                break
            if c == "-" and self.peek() == "[":
                if first:
                    self.fail("nothing to subtract from")
                self.at += 1
                minus = self.bracket()
                if self.peek() != "]":
                    self.fail("a subtraction must be the last part of a class")
                self.at += 1
                break
            if c == "[":
                self.fail("'[' in a class")
            low = c
            if c == "\\":
                if self.peek().isascii() and self.peek().isdigit():
                    self.fail("a group can't be named in a class")
                low = self.class_escape()
                if len(low) > 1 and not low.startswith("\\"):
                    others.append(low)
                    first = False
                    continue
                low = charclass.plain(low)
            if (
                self.peek() == "-"
                and self.text[self.at + 1 : self.at + 2] not in ("]", "[")
                and not (c == "-" and not first and low == "-")
            ):
                self.at += 1
                high = self.take()
                if high == "\\":
                    high = charclass.plain(self.class_escape())
                if len(high) != 1 or high < low:
                    self.fail(f"bad range {low}-{high}")
                ranges.append(f"{charclass.one(low)}-{charclass.one(high)}")
            else:
                if c == "-" and not first and self.peek() not in ("]", "["):
                    self.fail("'-' within a class")
                ranges.append(charclass.one(low))
            first = False
        parts = ([f"[{''.join(ranges)}]"] if ranges else []) + others
        text = parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"
        if negated:
            text = rf"(?!{text})[\s\S]"
        return f"(?:(?!{minus}){text})" if minus else f"(?:{text})" if negated else text


def _strip(pattern: str) -> str:
    """The flag x: white space outside of classes doesn't count."""
    out, depth, escaped = [], 0, False
    for c in pattern:
        if escaped:
            # White space may stand between a backslash and its letter.
            if depth == 0 and c in _SPACE:
                continue
            escaped = False
        elif c == "\\":
            escaped = True
        elif c == "[":
            depth += 1
        elif c == "]" and depth:
            depth -= 1
        elif depth == 0 and c in _SPACE:
            continue
        out.append(c)
    return "".join(out)


class Pattern:
    """A compiled pattern."""

    def __init__(self, pattern: str, flags: str) -> None:
        if len(pattern) > PATTERN_CHARS_MAX:
            raise ValueError(f"a pattern of more than {PATTERN_CHARS_MAX} characters")
        if not set(flags) <= set("smix"):
            raise ValueError(f"unknown flags {flags!r}")
        parser = _Parser(_strip(pattern) if "x" in flags else pattern, flags)
        self.node = parser.parse()
        self.groups = parser.groups
        self.multiline = "m" in flags
        self.ignore_case = "i" in flags
        if _size(self.node) > 20_000:
            raise ValueError("a pattern that is too large")
        self.python = re.compile(self._emit(self.node), re.IGNORECASE if self.ignore_case else 0)
        self.power, self.ways = _ways(self.node)
        self.program: automaton.Program | None = None
        self.matches_empty = _may_be_empty(self.node)

    def _emit(self, node: Node) -> str:
        kind = node[0]
        if kind == "class":
            shown: str = node[1]
            return shown
        if kind == "sequence":
            return "(?:" + "".join(map(self._emit, node[1])) + ")"
        if kind == "choice":
            return "(?:" + "|".join(map(self._emit, node[1])) + ")"
        if kind == "group":
            return f"({self._emit(node[2])})"
        if kind == "repeat":
            least, most = node[2], node[3]
            return f"(?:{self._emit(node[1])}){{{least},{'' if most is None else most}}}" + ("" if node[4] else "?")
        if kind == "back":
            # A group that took no part matches nothing, unlike in Python.
            return f"(?:(?({node[1]})\\{node[1]}|))"
        if kind == "line start":
            return r"(?:\A|(?<=\n)(?!\Z))" if self.multiline else r"\A"
        return r"(?=\n|\Z)" if self.multiline else r"\Z"

    def find(self, r: Runtime, text: str) -> Iterator[Any]:
        """All matches from left to right: objects with start(), end() and group(n). Raises LimitReached."""
        cost = self.ways * (len(text) + 2) ** (self.power + 1) if self.power < 8 else 10**30
        if cost <= BACKTRACKING_MAX or (self.power == 0 and self.ways == 1):
            r.tick(1 + min(cost, BACKTRACKING_MAX) // 512)
            yield from self.python.finditer(text)
            return
        if self.program is None:
            self.program = automaton.Program(self.node, self.groups, self.ignore_case, self.multiline)
        yield from self.program.find(r, text)


#: Stands for "may be exponential".
_ENDLESS = (99, 1)


def _ways(node: Node) -> tuple[int, int]:
    """How the time of backtracking grows with the text: a power, one for each repetition, and a factor for what is optional or a choice."""
    kind = node[0]
    if kind in ("sequence", "choice"):
        power, ways = 0, 1 if kind == "sequence" else 0
        for inner_power, inner_ways in map(_ways, node[1]):
            power += inner_power
            ways = min(10**12, ways * inner_ways if kind == "sequence" else ways + inner_ways)
        return min(99, power), max(1, ways)
    if kind == "group":
        return _ways(node[2])
    if kind == "repeat":
        inner, most = node[1], node[3]
        if most is not None and most <= 1:
            power, ways = _ways(inner)
            return power, ways * 2
        while inner[0] == "group" or (inner[0] == "sequence" and len(inner[1]) == 1):
            inner = inner[2] if inner[0] == "group" else inner[1][0]
        return (1, 1) if _fixed(inner) else _ENDLESS
    return (1, 1) if kind == "back" else (0, 1)


def _may_be_empty(node: Node) -> bool:
    """Whether the empty text matches."""
    kind = node[0]
    if kind == "sequence":
        return all(map(_may_be_empty, node[1]))
    if kind == "choice":
        return any(map(_may_be_empty, node[1]))
    if kind == "group":
        return _may_be_empty(node[2])
    if kind == "repeat":
        least: int = node[2]
        return least == 0 or _may_be_empty(node[1])
    return bool(kind != "class")


def _fixed(node: Node) -> bool:
    """Whether there is one way only to match it."""
    if node[0] == "sequence":
        return bool(node[1]) and all(map(_fixed, node[1]))
    if node[0] == "group":
        return _fixed(node[2])
    return bool(node[0] == "class")


def _size(node: Node) -> int:
    kind = node[0]
    if kind in ("sequence", "choice"):
        return 1 + sum(map(_size, node[1]))
    if kind == "group":
        return 1 + _size(node[2])
    if kind == "repeat":
        most: int = max(1, node[2], node[3] or 1)
        return 1 + _size(node[1]) * most
    return 1


@lru_cache(maxsize=512)
def compiled(pattern: str, flags: str) -> Pattern:
    return Pattern(pattern, flags)


def matches(r: Runtime, text: str, pattern: str, flags: str) -> bool:
    return next(compiled(pattern, flags).find(r, text), None) is not None


def split(r: Runtime, text: str, pattern: str) -> list[str]:
    p = compiled(pattern, "")
    if p.matches_empty:
        raise ValueError("the delimiter matches nothing at all")
    out, at = [], 0
    for m in p.find(r, text):
        r.tick()
        out.append(text[at : m.start()])
        at = m.end()
    return [*out, text[at:]]


def replace(r: Runtime, text: str, pattern: str, replacement: str, flags: str) -> str:
    p = compiled(pattern, flags)
    if p.matches_empty:
        raise ValueError("the pattern matches nothing at all")
    parts = _replacement(replacement, p.groups)
    out, at, size = [], 0, 0
    for m in p.find(r, text):
        made = "".join(part if isinstance(part, str) else (m.group() if part == 0 else m.group(part) or "") for part in parts)
        size += m.start() - at + len(made)
        r.tick()
        if size > limits.string_chars_max:
            break
        out += [text[at : m.start()], made]
        at = m.end()
    r.text(size + len(text) - at)
    return "".join(out) + text[at:]


def _replacement(text: str, groups: int) -> list[str | int]:
    """Texts and numbers of groups. Raises ValueError for a `$` or a backslash that means nothing."""
    out: list[str | int] = []
    at = 0
    while at < len(text):
        c = text[at]
        after = text[at + 1 : at + 2]
        if c == "\\":
            if after not in ("\\", "$"):
                raise ValueError("replacement: '\\' must be followed by '\\' or '$'")
            out.append(after)
            at += 2
        elif c == "$":
            m = re.compile("[0-9]+").match(text, at + 1)
            if not m:
                raise ValueError("replacement: '$' must be followed by a number")
            digits = m[0][:9]
            # As many digits as make the number of a group; the others are text.
            while len(digits) > 1 and int(digits) > groups:
                digits = digits[:-1]
            out.append(int(digits) if int(digits) <= groups else "")
            at += 1 + len(digits)
        else:
            out.append(c)
            at += 1
    return out

"""Patterns without backtracking: a machine whose time is bounded by the sizes of text and pattern, for those on which `re` could take ages.

Each state of the pattern is visited at most once for each character (Thompson's construction, with the groups carried along by priority, so
that the result is the one that backtracking gives). References to groups need memory that such a machine hasn't: they are followed by
backtracking, where each step counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flowledger.kernel.feel.runtime import Runtime

# Instructions: ("class", index), ("split", first, second), ("jump", to), ("save", slot), ("start",), ("end",), ("match",), ("back",
# number).


class Match:
    __slots__ = ("text", "slots")

    def __init__(self, text: str, slots: tuple[int, ...]) -> None:
        self.text, self.slots = text, slots

    def start(self) -> int:
        return self.slots[0]

    def end(self) -> int:
        return self.slots[1]

    def group(self, n: int = 0) -> str | None:
        a, b = self.slots[2 * n], self.slots[2 * n + 1]
        return None if a < 0 or b < 0 else self.text[a:b]


class Program:
    def __init__(self, node: Any, groups: int, ignore_case: bool, multiline: bool) -> None:
        self.code: list[tuple[Any, ...]] = []
        self.classes: list[re.Pattern[str]] = []
        self.known: dict[str, int] = {}
        self.members: dict[tuple[int, str], bool] = {}
        self.flags = re.IGNORECASE if ignore_case else 0
        self.ignore_case, self.multiline = ignore_case, multiline
        self.slots = 2 * groups + 2
        self.has_back = False
        self.emit(node)
        self.code += [("save", 1), ("match",)]

    def emit(self, node: Any) -> None:
        kind = node[0]
        code = self.code
        if kind == "class":
            index = self.known.setdefault(node[1], len(self.classes))
            if index == len(self.classes):
                self.classes.append(re.compile(node[1], self.flags))
            code.append(("class", index))
        elif kind == "sequence":
            for n in node[1]:
                self.emit(n)
        elif kind == "group":
            code.append(("save", 2 * node[1]))
            self.emit(node[2])
            code.append(("save", 2 * node[1] + 1))
        elif kind == "choice":
            jumps = []
            for n in node[1][:-1]:
                split = self.hole()
                self.emit(n)
                jumps.append(self.hole())
                code[split] = ("split", split + 1, len(code))
            self.emit(node[1][-1])
            for j in jumps:
                code[j] = ("jump", len(code))
        elif kind == "repeat":
            self.repeat(*node[1:])
        elif kind == "back":
            self.has_back = True
            code.append(("back", node[1]))
        else:
            code.append(("start",) if kind == "line start" else ("end",))

    def repeat(self, node: Any, least: int, most: int | None, greedy: bool) -> None:
        code = self.code
        for _ in range(least):
            self.emit(node)
        if most is None:
            split = self.hole()
            self.emit(node)
            code.append(("jump", split))
            code[split] = ("split", split + 1, len(code)) if greedy else ("split", len(code), split + 1)
            return
        splits = []
        for _ in range(most - least):
            splits.append(self.hole())
            self.emit(node)
        for s in splits:
            code[s] = ("split", s + 1, len(code)) if greedy else ("split", len(code), s + 1)

    def hole(self) -> int:
        self.code.append(("jump", 0))
        return len(self.code) - 1

    def is_in(self, index: int, c: str) -> bool:
        key = index, c
        found = self.members.get(key)
        if found is None:
            if len(self.members) > 10_000:
                self.members.clear()
            found = self.members[key] = self.classes[index].fullmatch(c) is not None
        return found

    def holds(self, kind: str, text: str, at: int) -> bool:
        if kind == "start":
            return at == 0 or (self.multiline and text[at - 1] == "\n" and at < len(text))
        return at == len(text) or (self.multiline and text[at] == "\n")

    def find(self, r: Runtime, text: str) -> Iterator[Match]:
        at = 0
        while at <= len(text):
            found = self.backtrack(r, text, at) if self.has_back else self.run(r, text, at)
            if found is None:
                return
            yield Match(text, found)
            at = found[1] if found[1] > found[0] else found[1] + 1

    def run(self, r: Runtime, text: str, at: int) -> tuple[int, ...] | None:
        """The first match at or after a position."""
        code, empty = self.code, (-1,) * self.slots
        threads: list[tuple[int, tuple[int, ...]]] = []
        best: tuple[int, ...] | None = None
        while True:
            seen: set[int] = set()
            ready: list[tuple[int, tuple[int, ...]]] = []
            if best is None:
                threads = [*threads, (0, (at, *empty[1:]))]
            for start, slots in threads:
                self.follow(start, slots, text, at, seen, ready)
            r.tick(4 + len(seen) // 2)
            threads = []
            c = text[at : at + 1]
            for pc, slots in ready:
                if code[pc][0] == "match":
                    best = slots
                    break
                if c and self.is_in(code[pc][1], c):
                    threads.append((pc + 1, slots))
            if not c or (best is not None and not threads):
                return best
            at += 1

    def follow(
        self, start: int, slots: tuple[int, ...], text: str, at: int, seen: set[int], ready: list[tuple[int, tuple[int, ...]]]
    ) -> None:
        """All states that are reached without reading a character, by priority."""
        stack = [(start, slots)]
        while stack:
            pc, s = stack.pop()
            while pc not in seen:
                seen.add(pc)
                step = self.code[pc]
                kind = step[0]
                if kind == "jump":
                    pc = step[1]
                elif kind == "split":
                    stack.append((step[2], s))
                    pc = step[1]
                elif kind == "save":
                    s = (*s[: step[1]], at, *s[step[1] + 1 :])
                    pc += 1
                elif kind in ("start", "end"):
                    if not self.holds(kind, text, at):
                        break
                    pc += 1
                else:
                    ready.append((pc, s))
                    break

    def backtrack(self, r: Runtime, text: str, start: int) -> tuple[int, ...] | None:
        """As `run`, for patterns that refer to their groups."""
        for begin in range(start, len(text) + 1):
            stack = [(0, begin, (begin, *(-1,) * (self.slots - 1)))]
            seen: set[tuple[int, int, tuple[int, ...]]] = set()
            while stack:
                pc, at, s = stack.pop()
                r.tick(8)
                if (pc, at, s) in seen:
                    continue
                seen.add((pc, at, s))
                step = self.code[pc]
                kind = step[0]
                if kind == "match":
                    return s
                if kind == "jump":
                    stack.append((step[1], at, s))
                elif kind == "split":
                    stack += [(step[2], at, s), (step[1], at, s)]
                elif kind == "save":
                    stack.append((pc + 1, at, (*s[: step[1]], at, *s[step[1] + 1 :])))
                elif kind in ("start", "end"):
                    if self.holds(kind, text, at):
                        stack.append((pc + 1, at, s))
                elif kind == "back":
                    a, b = s[2 * step[1]], s[2 * step[1] + 1]
                    part = text[a:b] if 0 <= a <= b else ""
                    there = text[at : at + len(part)]
                    if there == part or (self.ignore_case and there.casefold() == part.casefold()):
                        stack.append((pc + 1, at + len(part), s))
                elif at < len(text) and self.is_in(step[1], text[at]):
                    stack.append((pc + 1, at + 1, s))
        return None

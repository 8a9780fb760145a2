"""JSON and YAML as values that know their line and column. Both are read without recursion: depth, size and aliases are bounded.

JSON by RFC 8259 (duplicate keys are refused); YAML 1.2 core schema for plain scalars, so `no` and `on` stay text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

DEPTH_MAX = 100
VALUES_MAX = 500_000


class BadText(Exception):
    """Not JSON or YAML that may be read."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


class Value:
    """A value with its place. `data` is a dict of Values, a list of Values, text, int, Decimal, bool or None."""

    __slots__ = ("column", "data", "keys", "line")

    def __init__(self, data: Any, line: int, column: int) -> None:
        self.data, self.line, self.column = data, line, column
        #: of a dict: where each key stands
        self.keys: dict[str, tuple[int, int]] = {}

    def __contains__(self, key: str) -> bool:
        return isinstance(self.data, dict) and key in self.data

    def get(self, key: str) -> Value | None:
        return self.data.get(key) if isinstance(self.data, dict) else None

    def items(self) -> Iterator[tuple[str, Value]]:
        return iter(self.data.items()) if isinstance(self.data, dict) else iter(())

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.data, dict):
            return {k: v.plain() for k, v in self.data.items()}
        if isinstance(self.data, list):
            return [v.plain() for v in self.data]
        return self.data

    def kind(self) -> str:
        """In words, for messages."""
        d = self.data
        if d is None:
            return "null"
        if isinstance(d, bool):
            return "true" if d else "false"
        if isinstance(d, str):
            return f"the text '{d if len(d) <= 40 else d[:37] + '...'}'"
        return "an object" if isinstance(d, dict) else "a list" if isinstance(d, list) else f"the number {d}"


def parse(data: bytes) -> Value:
    """Raises: BadText."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise BadText(f"expected UTF-8, found the byte {data[e.start]:#04x} at position {e.start}") from None
    return _json(text) if text.lstrip()[:1] in ("{", "[") and _looks_json(text) else _yaml(text)


def parse_object(data: bytes) -> Value:
    """Whose `data` is a dict. Raises: BadText."""
    root = parse(data)
    if not isinstance(root.data, dict):
        raise BadText(f"expected an object, found {root.kind()}", root.line, root.column)
    return root


def _looks_json(text: str) -> bool:
    """YAML's flow style may start with a brace too, then its keys are mostly unquoted."""
    rest = text.lstrip()[1:].lstrip()
    return rest[:1] in ('"', "{", "[", "}", "]", "") or text.lstrip()[0] == "["


_JSON = re.compile(r'[ \t\r\n]*(?:(?P<punct>[{}\[\]:,])|(?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")|(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)'
                   r"|(?P<word>true|false|null))")  # fmt: skip
_WORDS = {"true": True, "false": False, "null": None}


class _Lines:
    """Offset -> line and column, asked in ascending order."""

    def __init__(self, text: str) -> None:
        self.text, self.line, self.start, self.at = text, 1, 0, 0

    def __call__(self, offset: int) -> tuple[int, int]:
        newlines = self.text.count("\n", self.at, offset)
        if newlines:
            self.line += newlines
            self.start = self.text.rfind("\n", self.at, offset) + 1
        self.at = max(self.at, offset)
        return self.line, offset - self.start + 1


def _json(text: str) -> Value:
    where = _Lines(text)
    stack: list[tuple[Value, str | None]] = []
    key: str | None = None
    result: Value | None = None
    expect = "value"
    offset = count = 0
    end = len(text.rstrip(" \t\r\n"))
    while offset < end:
        m = _JSON.match(text, offset)
        if not m:
            skipped = re.compile(r"[ \t\r\n]*").match(text, offset).end()  # type: ignore[union-attr]
            raise BadText(
                f"not JSON: expected {_expected(expect)}, found '{text[skipped : skipped + 20].splitlines()[0]}'", *where(skipped)
            )
        token_at = m.start(m.lastgroup)  # type: ignore[arg-type]
        line, column = where(token_at)
        offset = m.end()
        punct = m["punct"]
        if result is not None and not stack:
            raise BadText("not JSON: expected the end of the file after the value", line, column)
        if punct in ("}", "]"):
            container = stack[-1][0] if stack else None
            closes = container is not None and isinstance(container.data, dict if punct == "}" else list)
            if not closes or expect not in ("comma", "first key" if punct == "}" else "first value"):
                raise BadText(f"not JSON: expected {_expected(expect)}, found '{punct}'", line, column)
            _, key = stack.pop()
            expect = "comma"
            continue
        if punct == ",":
            if expect != "comma":
                raise BadText(f"not JSON: expected {_expected(expect)}, found ','", line, column)
            expect = "key" if isinstance(stack[-1][0].data, dict) else "value"
            continue
        if punct == ":":
            if expect != "colon":
                raise BadText(f"not JSON: expected {_expected(expect)}, found ':'", line, column)
            expect = "value"
            continue
        if expect in ("key", "first key"):
            if m["string"] is None:
                raise BadText(f"not JSON: expected {_expected(expect)}, found '{m.group().strip()}'", line, column)
            key = _string(m["string"], line, column)
            holder = stack[-1][0]
            if key in holder.data:
                raise BadText(f"the key '{key}' is given twice (first at line {holder.keys[key][0]})", line, column)
            holder.keys[key] = (line, column)
            expect = "colon"
            continue
        if expect not in ("value", "first value"):
            raise BadText(f"not JSON: expected {_expected(expect)}, found '{m.group().strip()[:20]}'", line, column)
        made = Value(_scalar(m, line, column), line, column)
        count += 1
        if count > VALUES_MAX:
            raise BadText(f"expected at most {VALUES_MAX} values", line, column)
        if stack:
            holder = stack[-1][0]
            if isinstance(holder.data, dict):
                holder.data[key] = made
            else:
                holder.data.append(made)
        else:
            result = made
        expect = "comma"
        if punct:
            stack.append((made, key))
            if len(stack) > DEPTH_MAX:
                raise BadText(f"expected at most {DEPTH_MAX} levels of nesting", line, column)
            expect = "first key" if punct == "{" else "first value"
    if stack or result is None:
        raise BadText(f"not JSON: the file ends where {_expected(expect)} is expected", *where(end))
    return result


def _expected(state: str) -> str:
    return {"comma": "',' or the closing bracket", "colon": "':'", "key": "a key in quotes", "first key": "a key in quotes or '}'",
            "first value": "a value or ']'"}.get(state, "a value")  # fmt: skip


def _scalar(m: re.Match[str], line: int, column: int) -> Any:
    if m["punct"]:
        return {} if m["punct"] == "{" else []
    if m["string"] is not None:
        return _string(m["string"], line, column)
    if m["word"]:
        return _WORDS[m["word"]]
    return _number(m["number"])


def _string(quoted: str, line: int, column: int) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError as e:
        raise BadText(f"not JSON: {e}", line, column) from None


def _number(text: str) -> Any:
    return int(text) if text.isascii() and text.lstrip("-").isdigit() and len(text) <= 40 else Decimal(text)


_INT, _FLOAT = re.compile(r"[-+]?\d+"), re.compile(r"[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?")
_YAML_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True, "false": False,
               "False": False, "FALSE": False}  # fmt: skip


def _plain_scalar(text: str) -> Any:
    if text in _YAML_WORDS:
        return _YAML_WORDS[text]
    if _INT.fullmatch(text):
        return _number(text.lstrip("+"))
    if _FLOAT.fullmatch(text):
        return Decimal(text)
    return text


def _yaml(text: str) -> Value:
    import yaml  # here: whoever reads BPMN and JSON only need not wait for it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    stack: list[list[Any]] = []  # [value, pending key or None, key place, anchor]
    anchors: dict[str, tuple[Value, int]] = {}
    result: Value | None = None
    count = documents = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            mark = event.start_mark
            line, column = mark.line + 1, mark.column + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise BadText("expected one document in the file, found a second", line, column)
                continue
            if isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                value, _, _, anchor, began = stack.pop()
                if anchor:
                    anchors[anchor] = (value, count - began)
                continue
            if isinstance(event, yaml.AliasEvent):
                if event.anchor not in anchors:
                    raise BadText(f"the alias '*{event.anchor}' names no complete value before it", line, column)
                made, size = anchors[event.anchor]
                count += size
            elif isinstance(event, yaml.ScalarEvent):
                made = Value(_plain_scalar(event.value) if event.implicit[0] and not event.style else event.value, line, column)
                if event.anchor:
                    anchors[event.anchor] = (made, 1)
            elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
                made = Value([] if isinstance(event, yaml.SequenceStartEvent) else {}, line, column)
            else:
                continue
            count += 1
            if count > VALUES_MAX:
                raise BadText(f"expected at most {VALUES_MAX} values (aliases counted)", line, column)
            if not stack:
                result = made
            elif isinstance(stack[-1][0].data, list):
                stack[-1][0].data.append(made)
            elif stack[-1][1] is None:
                holder = stack[-1][0]
                if isinstance(made.data, (dict, list)):
                    raise BadText("expected a text as key, found a collection", line, column)
                key = event.value if isinstance(event, yaml.ScalarEvent) else str(made.data)
                if key in holder.data:
                    raise BadText(f"the key '{key}' is given twice (first at line {holder.keys[key][0]})", line, column)
                holder.keys[key] = (line, column)
                stack[-1][1] = key
                continue
            else:
                stack[-1][0].data[stack[-1][1]] = made
                stack[-1][1] = None
            if isinstance(event, yaml.CollectionStartEvent):
                stack.append([made, None, None, event.anchor, count])
                if len(stack) > DEPTH_MAX:
                    raise BadText(f"expected at most {DEPTH_MAX} levels of nesting", line, column)
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        raise BadText(f"not YAML: {e.problem or e.context}", mark.line + 1 if mark else 0, mark.column + 1 if mark else 0) from None
    except yaml.YAMLError as e:
        raise BadText(f"not YAML: {e}") from None
    if result is None:
        raise BadText("the file is empty")
    return result

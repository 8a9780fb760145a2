"""Text with `${...}` -> a template: literal texts and expression trees.

Grammar and precedence: EL 2.2, chapter 1.14 and 1.19. Strings may hold braces and quotes; `\\${` is a literal `${`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, NamedTuple

#: characters of a template, and depth of an expression
LENGTH_MAX = 20_000
DEPTH_MAX = 60


class JuelError(Exception):
    """What isn't JUEL; `at` is the place in the text."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(f"{message} (at character {at + 1})")
        self.at = at


class Node(NamedTuple):
    """`kind`: literal, name, property, index, call, unary, binary, choice. Parts by kind, see `Parser`."""

    kind: str
    value: Any
    parts: tuple[Node, ...] = ()


#: texts and expressions in turn; a template that is one expression keeps that expression's type
Template = tuple[str | Node, ...]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+)"
    r"|(?P<string>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<name>[A-Za-z_$][\w$]*)"
    r"|(?P<op>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()\[\]{}]))"
)
_WORDS = {"and": "&&", "or": "||", "not": "!", "eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">=", "div": "/", "mod": "%"}
_LITERALS = {"true": True, "false": False, "null": None}
#: binary operators, loosest first
_LEVELS = (("||",), ("&&",), ("==", "!="), ("<", ">", "<=", ">="), ("+", "-"), ("*", "/", "%"))
_ESCAPED = re.compile(r"\\(.)", re.S)


def parse(text: str) -> Template:
    """Raises: JuelError."""
    if len(text) > LENGTH_MAX:
        raise JuelError(f"expected at most {LENGTH_MAX} characters, found {len(text)}", LENGTH_MAX)
    parts: list[str | Node] = []
    plain: list[str] = []
    i = 0
    while i < len(text):
        if text[i] == "\\" and text[i + 1 : i + 3] in ("${", "#{"):
            plain.append(text[i + 1 : i + 3])
            i += 3
        elif text[i : i + 2] in ("${", "#{"):
            if plain:
                parts.append("".join(plain))
                plain = []
            parser = Parser(text, i + 2)
            parts.append(parser.whole())
            i = parser.i
        else:
            plain.append(text[i])
            i += 1
    if plain:
        parts.append("".join(plain))
    return tuple(parts)


class Parser:
    """One expression, up to its closing brace; `i` is then behind it."""

    def __init__(self, text: str, start: int) -> None:
        self.text, self.i, self.depth = text, start, 0
        self.kind, self.token, self.at = "", "", start
        self.step()

    def step(self) -> None:
        """The next token. Raises: JuelError."""
        m = _TOKEN.match(self.text, self.i)
        if m is None:
            rest = self.text[self.i :].strip()
            raise JuelError(f"'{rest[:12]}' is not understood" if rest else "the expression does not end: expected '}'", self.i)
        self.kind = m.lastgroup or ""
        self.token = m[self.kind]
        self.at, self.i = m.start(self.kind), m.end()
        if self.kind == "name" and self.token in _WORDS:
            self.kind, self.token = "op", _WORDS[self.token]

    def is_op(self, *ops: str) -> bool:
        return self.kind == "op" and self.token in ops

    def expect(self, op: str) -> None:
        if not self.is_op(op):
            raise JuelError(f"expected '{op}', found '{self.token}'", self.at)

    def whole(self) -> Node:
        found = self.choice()
        self.expect("}")
        return found

    def choice(self) -> Node:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise JuelError(f"expected at most {DEPTH_MAX} levels", self.at)
        found = self.binary(0)
        if self.is_op("?"):
            self.step()
            yes = self.choice()
            self.expect(":")
            self.step()
            found = Node("choice", None, (found, yes, self.choice()))
        self.depth -= 1
        return found

    def binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self.unary()
        found = self.binary(level + 1)
        while self.is_op(*_LEVELS[level]):
            op = self.token
            self.step()
            found = Node("binary", op, (found, self.binary(level + 1)))
        return found

    def unary(self) -> Node:
        empty = self.kind == "name" and self.token == "empty"
        if empty or self.is_op("-", "!"):
            self.depth += 1
            if self.depth > DEPTH_MAX:
                raise JuelError(f"expected at most {DEPTH_MAX} levels", self.at)
            op = "empty" if empty else self.token
            self.step()
            found = Node("unary", op, (self.unary(),))
            self.depth -= 1
            return found
        return self.postfix(self.primary())

    def postfix(self, found: Node) -> Node:
        while self.is_op(".", "["):
            if self.token == ".":
                self.step()
                if self.kind != "name":
                    raise JuelError(f"expected a name behind '.', found '{self.token}'", self.at)
                name = self.token
                self.step()
                found = Node("call", name, (found, *self.arguments())) if self.is_op("(") else Node("property", name, (found,))
            else:
                self.step()
                key = self.choice()
                self.expect("]")
                self.step()
                found = Node("index", None, (found, key))
        return found

    def arguments(self) -> list[Node]:
        """From `(` to behind `)`."""
        self.step()
        found: list[Node] = []
        while not self.is_op(")"):
            found.append(self.choice())
            if self.is_op(","):
                self.step()
            elif not self.is_op(")"):
                raise JuelError(f"expected ',' or ')', found '{self.token}'", self.at)
        self.step()
        return found

    def primary(self) -> Node:
        kind, token, at = self.kind, self.token, self.at
        if self.is_op("("):
            self.step()
            found = self.choice()
            self.expect(")")
            self.step()
            return found
        if kind not in ("number", "string", "name"):
            raise JuelError(f"expected a value, found '{token}'", at)
        self.step()
        if kind == "number":
            return Node("literal", int(token) if token.isascii() and token.isdigit() else Decimal(token))
        if kind == "string":
            return Node("literal", _ESCAPED.sub(r"\1", token[1:-1]))
        if token in _LITERALS:
            return Node("literal", _LITERALS[token])
        if token == "instanceof":
            raise JuelError("'instanceof' is a reserved word", at)
        if self.is_op("("):
            return Node("call", token, (Node("literal", None), *self.arguments()))._replace(kind="function")
        if self.is_op(":"):
            m = _TOKEN.match(self.text, self.i)  # `prefix:function(`
            if m is not None and m["name"] and self.text[m.end() : m.end() + 1] == "(":
                raise JuelError(f"the function '{token}:{m['name']}' is not known", at)
        return Node("name", token)

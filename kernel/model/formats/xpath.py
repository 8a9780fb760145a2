"""XPath 1.0, the part that BPML models use, to FEEL: operators, functions, variables and simple paths.

What FEEL has no word for (axes, unions, predicates other than a position, `position()`, `translate()` ...) raises Untranslatable with the place.
Source: XPath 1.0, chapter 3; design notes of BPML 1.0, section 5 (functions of `bpmlx`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

_TOKEN = re.compile(
    r"\s*(?:(?P<literal>\"[^\"]*\"|'[^']*')|(?P<number>\d+(?:\.\d*)?|\.\d+)|(?P<variable>\$[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?)"
    r"|(?P<name>[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?)|(?P<op>//|::|\.\.|!=|<=|>=|[-+*/=<>()\[\],|@.]))"
)
#: binary operators by binding strength
_LEVELS: list[dict[str, str]] = [
    {"or": "or"}, {"and": "and"}, {"=": "=", "!=": "!="}, {"<": "<", "<=": "<=", ">": ">", ">=": ">="}, {"+": "+", "-": "-"},
    {"*": "*", "div": "/", "mod": "mod"},
]  # fmt: skip
DEPTH_MAX = 60


class Untranslatable(Exception):
    """`at`: position of the character from 1."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message, self.at = message, at


#: function -> (least, most arguments, FEEL from the arguments)
FUNCTIONS: dict[str, tuple[int, int, Callable[[list[str]], str]]] = {
    "true": (0, 0, lambda a: "true"),
    "false": (0, 0, lambda a: "false"),
    "not": (1, 1, lambda a: f"not({a[0]})"),
    "boolean": (1, 1, lambda a: f"(if {a[0]} instance of boolean then {a[0]} else {a[0]} != null and {a[0]} != \"\" and {a[0]} != 0)"),
    "number": (1, 1, lambda a: f"(if {a[0]} instance of string then number({a[0]}) else {a[0]})"),
    "string": (1, 1, lambda a: f"string({a[0]})"),
    "concat": (2, 99, lambda a: "(" + " + ".join(f"string({x})" for x in a) + ")"),
    "contains": (2, 2, lambda a: f"contains({a[0]}, {a[1]})"),
    "starts-with": (2, 2, lambda a: f"starts with({a[0]}, {a[1]})"),
    "substring": (2, 3, lambda a: f"substring({', '.join(a)})"),
    "substring-before": (2, 2, lambda a: f"substring before({a[0]}, {a[1]})"),
    "substring-after": (2, 2, lambda a: f"substring after({a[0]}, {a[1]})"),
    "string-length": (1, 1, lambda a: f"string length({a[0]})"),
    "normalize-space": (1, 1, lambda a: f'replace(replace({a[0]}, "\\s+", " "), "^ | $", "")'),
    "sum": (1, 1, lambda a: f"sum({a[0]})"),
    "count": (1, 1, lambda a: f"count({a[0]})"),
    "floor": (1, 1, lambda a: f"floor({a[0]})"),
    "ceiling": (1, 1, lambda a: f"ceiling({a[0]})"),
    "round": (1, 1, lambda a: f"floor({a[0]} + 0.5)"),
    "bpmlx:now": (0, 0, lambda a: "now()"),
    "bpmlx:instant-add": (2, 2, lambda a: f"date and time({a[0]}) + duration({a[1]})"),
    "bpmlx:instant-compare": (
        2, 2,
        lambda a: f"(if date and time({a[0]}) < date and time({a[1]}) then -1 else if date and time({a[0]}) > date and time({a[1]}) then 1 else 0)",
    ),
}  # fmt: skip


class Translator:
    """`variable(qname, at)` gives the FEEL for a variable, or raises Untranslatable; `context` is the FEEL of the context node, `""` when empty."""

    def __init__(self, text: str, variable: Callable[[str, int], str], context: str = "", canonical: Callable[[str], str] = str) -> None:
        self.text, self.variable, self.context, self.canonical = text, variable, context, canonical
        self.tokens: list[tuple[str, str, int]] = []
        at = 0
        stripped = text.rstrip()
        while at < len(stripped):
            m = _TOKEN.match(stripped, at)
            if not m:
                raise Untranslatable(f"'{stripped[at : at + 10].strip()}' is not understood", at + 1)
            kind = m.lastgroup or "op"
            self.tokens.append((kind, m[kind], m.start(kind) + 1))
            at = m.end()
        self.tokens.append(("end", "", len(text) + 1))
        self.i = 0
        self.depth = 0

    def run(self) -> str:
        if len(self.tokens) == 1:
            raise Untranslatable("the expression is empty", 1)
        out = self.level(0)
        if self.tokens[self.i][0] != "end":
            raise Untranslatable(f"unexpected '{self.tokens[self.i][1]}'", self.tokens[self.i][2])
        return out

    def peek(self, *ops: str) -> bool:
        return self.tokens[self.i][0] == "op" and self.tokens[self.i][1] in ops

    def expect(self, op: str) -> None:
        if not self.peek(op):
            raise Untranslatable(
                f"expected '{op}'" + (f", found '{self.tokens[self.i][1]}'" if self.tokens[self.i][1] else ""), self.tokens[self.i][2]
            )
        self.i += 1

    def level(self, n: int) -> str:
        if n == len(_LEVELS):
            return self.unary()
        left = self.level(n + 1)
        while self.tokens[self.i][1] in _LEVELS[n] and self.tokens[self.i][0] in ("op", "name"):
            op = _LEVELS[n][self.tokens[self.i][1]]
            self.i += 1
            right = self.level(n + 1)
            left = f"modulo({left}, {right})" if op == "mod" else f"({left} {op} {right})" if n > 2 else f"{left} {op} {right}"
            if n <= 2:
                left = f"({left})"
        return left

    def unary(self) -> str:
        if self.peek("-"):
            self.i += 1
            return f"-({self.unary()})"
        return self.path()

    def path(self) -> str:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise Untranslatable(f"more than {DEPTH_MAX} levels of nesting", self.tokens[self.i][2])
        kind, text, at = self.tokens[self.i]
        if kind == "op" and text in ("/", "//", "..", "@"):
            raise Untranslatable(f"the path '{text}' has no FEEL counterpart", at)
        if kind == "op" and text == ".":
            self.i += 1
            base = self._context(at)
        elif kind == "op" and text == "(":
            self.i += 1
            base = f"({self.level(0)})"
            self.expect(")")
        elif kind == "literal":
            self.i += 1
            escaped = text[1:-1].replace("\\", "\\\\").replace('"', '\\"')
            base = f'"{escaped}"'
        elif kind == "number":
            self.i += 1
            base = text.rstrip(".") if not text.startswith(".") else "0" + text
        elif kind == "variable":
            self.i += 1
            base = self.variable(text[1:], at)
        elif kind == "name":
            self.i += 1
            base = self._call(text, at) if self.peek("(") else f"{self._context(at)}.{_step(text, at)}"
        else:
            raise Untranslatable(f"expected a value, found '{text}'" if text else "the expression ends too early", at)
        base = self._steps(base)
        self.depth -= 1
        return base

    def _context(self, at: int) -> str:
        if not self.context:
            raise Untranslatable("a path needs a context node; here there is none (name a property: $name/...)", at)
        return self.context

    def _steps(self, base: str) -> str:
        while True:
            if self.peek("["):
                self.i += 1
                kind, text, at = self.tokens[self.i]
                if kind != "number" or self.tokens[self.i + 1][1] != "]":
                    raise Untranslatable("only a position may stand in []", at)
                self.i += 2
                base = f"{base}[{text}]"
            elif self.peek("/"):
                self.i += 1
                kind, text, at = self.tokens[self.i]
                if kind == "op" and text == "@":
                    self.i += 1
                    kind, text, at = self.tokens[self.i]
                if kind != "name" or self.tokens[self.i + 1][1] in ("(", "::"):
                    raise Untranslatable(f"'{text}' can't follow '/'", at)
                self.i += 1
                base = f"{base}.{_step(text, at)}"
            elif self.peek("|", "//", "::"):
                raise Untranslatable(f"'{self.tokens[self.i][1]}' has no FEEL counterpart", self.tokens[self.i][2])
            else:
                return base

    def _call(self, name: str, at: int) -> str:
        self.i += 1
        arguments: list[str] = []
        first = self.tokens[self.i]
        while not self.peek(")"):
            arguments.append(self.level(0))
            if not self.peek(","):
                break
            self.i += 1
        self.expect(")")
        name = self.canonical(name)
        if name == "bpmlx:property" and first[0] == "literal" and len(arguments) == 1:
            return self.variable(first[1][1:-1], at)
        if name not in FUNCTIONS:
            raise Untranslatable(f"unknown function '{name}'", at)
        least, most, make = FUNCTIONS[name]
        if not arguments and least == 1 and name in ("string", "number", "string-length", "normalize-space"):
            arguments = [self._context(at)]
        if not least <= len(arguments) <= most:
            raise Untranslatable(f"'{name}' takes {least if least == most else f'{least} to {most}'} arguments, found {len(arguments)}", at)
        return make(arguments)


def _step(name: str, at: int) -> str:
    local = name.rsplit(":", 1)[-1]
    if not re.fullmatch(r"\w+", local):
        raise Untranslatable(f"the name '{local}' is no FEEL name", at)
    return local


def to_feel(text: str, variable: Callable[[str, int], str], context: str = "", canonical: Callable[[str], str] = str) -> str:
    """Raises: Untranslatable."""
    return Translator(text, variable, context, canonical).run()

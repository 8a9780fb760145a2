"""FEEL -> XPath 1.0, as far as XPath has the words: the other way of `xpath.py`. What it has none for is None, and stays FEEL."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from flowledger.kernel import feel
from flowledger.kernel.feel import tree as t
from flowledger.kernel.model.formats import xpath
from flowledger.kernel.model.formats.bpml_expressions import CURRENT
from flowledger.kernel.model.formats.bpml_shapes import meant

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LEVELS = {"or": 0, "and": 1, "=": 2, "!=": 2, "<": 3, "<=": 3, ">": 3, ">=": 3, "+": 4, "-": 4, "*": 5, "/": 5}
_OPERATORS = {"/": "div"}
_CALLS = {"not": "not", "string": "string", "contains": "contains", "starts with": "starts-with", "substring": "substring",
          "substring before": "substring-before", "substring after": "substring-after", "string length": "string-length", "sum": "sum",
          "count": "count", "floor": "floor", "ceiling": "ceiling", "now": "bpmlx:now"}  # fmt: skip
_UNARY = 6
_INSTANCE = {CURRENT: "inst:current", "loopCounter": "inst:iteration"}
_VARIABLES = {name: variable for variable, name in _INSTANCE.items()}
_NESTING_MAX = 40


def is_name(text: str) -> bool:
    """Whether a variable can be a property."""
    return _NAME.fullmatch(text) is not None and text not in _INSTANCE


def is_feel(text: str) -> bool:
    try:
        feel.compile(text)
    except feel.FeelSyntaxError:
        return False
    return True


def written(text: str, context: str = "") -> tuple[str, set[str]] | None:
    """The XPath that reads as this FEEL, with the variables in it. `context`: the variable whose content paths begin at."""
    try:
        tree = feel.parse(text)
    except feel.FeelSyntaxError:
        return None
    names: set[str] = set()
    try:
        found = _print(tree, context, names, 0)[0]
        back = xpath.to_feel(found, lambda name, _: _VARIABLES.get(name, name), context)
    except (_Wordless, xpath.Untranslatable):
        return None
    return (found, names) if meant(back) == meant(text) else None


class _Wordless(Exception):
    pass


def _print(node: Any, context: str, names: set[str], depth: int) -> tuple[str, int]:
    """(text, how strongly it binds)."""
    if depth > _NESTING_MAX:
        raise _Wordless

    def inner(part: Any, least: int) -> str:
        text, binds = _print(part, context, names, depth + 1)
        return text if binds >= least else f"({text})"

    if isinstance(node, t.Literal):
        return _literal(node.value), 9
    if isinstance(node, t.Name):
        if not _NAME.fullmatch(node.name) or context:
            raise _Wordless
        if node.name not in _INSTANCE:
            names.add(node.name)
        return f"${_INSTANCE.get(node.name, node.name)}", 9
    if isinstance(node, t.Path) and _NAME.fullmatch(node.name):
        if context and isinstance(node.base, t.Name) and node.base.name == context:
            return node.name, 9
        return f"{inner(node.base, 9)}/{node.name}", 9
    if isinstance(node, t.Filter) and isinstance(node.condition, t.Literal) and isinstance(node.condition.value, Decimal):
        return f"{inner(node.base, 9)}[{node.condition.value}]", 9
    if isinstance(node, t.Negate):
        return f"-{inner(node.operand, 9)}", _UNARY
    if (texts := _concatenated(node)) is not None:
        return f"concat({', '.join(inner(a, 0) for a in texts)})", 9
    if isinstance(node, t.Binary) and node.operator in _LEVELS:
        level = _LEVELS[node.operator]
        return f"{inner(node.left, level)} {_OPERATORS.get(node.operator, node.operator)} {inner(node.right, level + 1)}", level
    if isinstance(node, t.Call) and isinstance(node.function, t.Name) and not node.names:
        if node.function.name == "modulo" and len(node.arguments) == 2:
            return f"{inner(node.arguments[0], 5)} mod {inner(node.arguments[1], 6)}", 5
        if (word := _CALLS.get(node.function.name)) is not None:
            return f"{word}({', '.join(inner(a, 0) for a in node.arguments)})", 9
    raise _Wordless


def _concatenated(node: Any) -> list[Any] | None:
    """What is put together, of texts alone."""
    found: list[Any] = []
    while isinstance(node, t.Binary) and node.operator == "+":
        found.insert(0, node.right)
        node = node.left
    found.insert(0, node)
    of = [
        a.arguments[0]
        if isinstance(a, t.Call) and isinstance(a.function, t.Name) and a.function.name == "string" and len(a.arguments) == 1
        else None
        for a in found
    ]
    return of if len(of) > 1 and None not in of else None


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true()" if value else "false()"
    if isinstance(value, Decimal) and value >= 0:
        return format(value, "f")
    if isinstance(value, str):
        for quote in "'\"":
            if quote not in value:
                return f"{quote}{value}{quote}"
    raise _Wordless


def literal_of(text: str) -> Any:
    """The constant that a FEEL text is, in a tuple; None: it is more than that."""
    try:
        tree = feel.parse(text)
    except feel.FeelSyntaxError:
        return None
    return (tree.value,) if isinstance(tree, t.Literal) and (tree.value is None or isinstance(tree.value, (bool, str, Decimal))) else None


def names_in(text: str) -> set[str]:
    try:
        todo: list[Any] = [feel.parse(text)]
    except feel.FeelSyntaxError:
        return set()
    found = set()
    while todo:
        node = todo.pop()
        if isinstance(node, t.Name):
            found.add(node.name)
        todo += t.children(node)
    return found

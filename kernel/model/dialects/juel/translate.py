"""JUEL in FEEL's words, for conversion: where both mean the same for values of the types that the expression itself shows.

FEEL does not turn texts into numbers; a converted comparison is exact for a variable of the literal's own type. What FEEL has no words for stays.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from flowledger.kernel.model.dialects.juel.evaluate import variable_asked
from flowledger.kernel.model.dialects.juel.parser import Node, Template


class Untranslatable(Exception):
    """FEEL has no words for it."""


_OPERATORS = {
    "&&": "and",
    "||": "or",
    "==": "=",
    "!=": "!=",
    "<": "<",
    ">": ">",
    "<=": "<=",
    ">=": ">=",
    "+": "+",
    "-": "-",
    "*": "*",
    "/": "/",
}
#: how tightly each binds in FEEL
_TIGHT = {"||": 1, "&&": 2, "==": 3, "!=": 3, "<": 3, ">": 3, "<=": 3, ">=": 3, "+": 4, "-": 4, "*": 5, "/": 5}
_NAME = re.compile(r"[A-Za-z_]\w*\Z")
_METHODS = {
    ("size", 0): "count({0})", ("length", 0): "string length({0})", ("get", 1): "", ("contains", 1): "", ("equals", 1): "{0} = {1}",
    ("startsWith", 1): "starts with({0}, {1})", ("endsWith", 1): "ends with({0}, {1})", ("toLowerCase", 0): "lower case({0})",
    ("toUpperCase", 0): "upper case({0})", ("trim", 0): "trim({0})", ("toString", 0): "string({0})",
    ("containsKey", 1): "list contains(get entries({0}).key, {1})",
}  # fmt: skip


def template_to_feel(template: Template) -> str:
    """FEEL without the leading `=`. Raises: Untranslatable."""
    if len(template) == 1 and isinstance(template[0], Node):
        return _feel(template[0])[0]
    return " + ".join(_quoted(p) if isinstance(p, str) else f"string({_feel(p)[0]})" for p in template)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _feel(node: Node) -> tuple[str, int]:
    """The text, and how tightly it binds (9: as a name)."""
    kind, parts = node.kind, node.parts
    if kind == "literal":
        return _value(node.value), 9
    if kind == "name":
        if node.value in ("execution", "task") or not _NAME.match(node.value):
            raise Untranslatable(f"the object '{node.value}'")
        if node.value == "loopCounter":  # from 0 there, from 1 here
            return "loopCounter - 1", 4
        return node.value, 9
    if kind == "property":
        return f"{_tight(parts[0], 9)}.{node.value}", 9
    if kind == "index":
        return _indexed(*parts)
    if kind == "call":
        return _called(node)
    if kind == "unary":
        return _unary(node)
    if kind == "binary":
        if node.value not in _OPERATORS:
            raise Untranslatable(f"the operator '{node.value}'")
        level = _TIGHT[node.value]
        left, right = _tight(parts[0], level), _tight(parts[1], level + 1)
        return f"{left} {_OPERATORS[node.value]} {right}", level
    if kind == "choice":
        condition, yes, no = (_feel(p)[0] for p in parts)
        return f"if {condition} then {yes} else {no}", 0
    if node.value in ("now", "dateTime") and len(parts) == 1:
        return "now()", 9
    raise Untranslatable(f"the function '{node.value}'")


def _tight(node: Node, level: int) -> str:
    text, found = _feel(node)
    return text if found >= level else f"({text})"


def _indexed(base: Node, key: Node) -> tuple[str, int]:
    if key.kind == "literal" and isinstance(key.value, int) and not isinstance(key.value, bool) and key.value >= 0:
        return f"{_tight(base, 9)}[{key.value + 1}]", 9
    if key.kind == "literal" and isinstance(key.value, str):
        return f"get value({_feel(base)[0]}, {_quoted(key.value)})", 9
    raise Untranslatable("an index that is a list's or a map's by what a variable holds")


def _called(node: Node) -> tuple[str, int]:
    asked = variable_asked(node)
    if asked is not None:
        return (f"{asked} != null", 3) if node.value.startswith("has") else (asked, 9)
    on, *arguments = node.parts
    if node.value == "isEmpty" and not arguments:
        return _empty(on)
    form = _METHODS.get((node.value, len(arguments)))
    if node.value == "get" and len(arguments) == 1:
        return _indexed(on, arguments[0])
    if not form:
        raise Untranslatable(f"call of the method '{node.value}'")
    if node.value == "equals":
        return f"{_tight(on, 4)} = {_tight(arguments[0], 4)}", 3
    return form.format(*(_feel(p)[0] for p in node.parts)), 9


def _unary(node: Node) -> tuple[str, int]:
    [operand] = node.parts
    if node.value == "empty":
        return _empty(operand)
    if node.value == "!":
        return f"not({_feel(operand)[0]})", 9
    return f"-{_tight(operand, 8)}", 7


def _empty(node: Node) -> tuple[str, int]:
    text = _tight(node, 4)
    return f'({text} = null or {text} = "" or {text} = [] or {text} = {{}})', 9

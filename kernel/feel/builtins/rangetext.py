"""The text of a range, for `range(from)` (DMN 1.5, 10.3.4.1): its ends are literals, and one of them may be missing."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.feel import tree as t
from flowledger.kernel.feel.builtins.registry import BUILTINS, builtin
from flowledger.kernel.feel.errors import FeelSyntaxError
from flowledger.kernel.feel.names import NameIndex
from flowledger.kernel.feel.operators import negate
from flowledger.kernel.feel.parser import Parser
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.values import ORDERED, Range

_LITERAL_CALLS = frozenset(("date", "time", "date and time", "duration"))


def _endpoint(text: str) -> Any:
    """The value of a literal. Raises ValueError for anything else."""
    try:
        parser = Parser(text, NameIndex(), NameIndex(), NameIndex(("date and time",)))
        node = parser.expression()
        parser.end()
    except FeelSyntaxError as error:
        raise ValueError(f"{text!r} is no literal") from error
    value = _value(node)
    if type(value) not in ORDERED:
        raise ValueError(f"{text!r} can't be the end of a range")
    return value


def _value(node: t.Node) -> Any:
    if isinstance(node, t.Literal):
        return node.value
    if isinstance(node, t.Negate):
        return negate(_value(node.operand))
    if (
        isinstance(node, t.Call)
        and isinstance(node.function, t.Name)
        and node.function.name in _LITERAL_CALLS
        and not node.names
        and all(isinstance(a, t.Literal) for a in node.arguments)
    ):
        return BUILTINS[node.function.name].invoke(Runtime(), [_value(a) for a in node.arguments])
    return None


def _split(text: str) -> tuple[str, str]:
    """The texts of both ends: `..` may also stand in a string."""
    quoted = False
    for i, c in enumerate(text):
        if c == '"' and text[i - 1 : i] != "\\":
            quoted = not quoted
        elif not quoted and text.startswith("..", i):
            return text[:i].strip(), text[i + 2 :].strip()
    raise ValueError("no '..' in the range")


@builtin("range", "from: string")
def range_(r: Runtime, from_: str) -> Range:
    """The range of a text such as `[1..10]`; its ends are literals, and one may be missing."""
    text = from_.strip()
    if len(text) < 4 or text[0] not in "[(]" or text[-1] not in "])[":
        raise ValueError(f"{from_!r} is no range")
    low, high = _split(text[1:-1])
    start_included, end_included = text[0] == "[", text[-1] == "]"
    if (not low and not high) or (not low and start_included) or (not high and end_included):
        raise ValueError(f"{from_!r} has no ends")
    if not low:
        return Range.unary("<=" if end_included else "<", _endpoint(high))
    if not high:
        return Range.unary(">=" if start_included else ">", _endpoint(low))
    start, end = _endpoint(low), _endpoint(high)
    if type(start) is not type(end) or start > end:
        raise ValueError("the ends don't make a range")
    return Range(start, end, start_included, end_included)

"""The typed tree of an expression. Every node knows its position in the text (code points from 0)."""

from __future__ import annotations

from typing import Any

import msgspec


class Node(msgspec.Struct, frozen=True, eq=False):
    pos: int


class Literal(Node, frozen=True, eq=False):
    """A constant: number, string, boolean, null or an at-literal's value."""

    value: Any


class BadLiteral(Node, frozen=True, eq=False):
    """An at-literal that is no temporal value: null with a warning."""

    text: str


class Name(Node, frozen=True, eq=False):
    name: str


class Path(Node, frozen=True, eq=False):
    base: Node
    name: str


class Filter(Node, frozen=True, eq=False):
    base: Node
    condition: Node


class Call(Node, frozen=True, eq=False):
    """Positional, or named if `names` isn't empty."""

    function: Node
    arguments: tuple[Node, ...]
    names: tuple[str, ...] = ()


class Negate(Node, frozen=True, eq=False):
    operand: Node


class Binary(Node, frozen=True, eq=False):
    """`operator` is one of + - * / ** = != < <= > >= and or."""

    operator: str
    left: Node
    right: Node


class Between(Node, frozen=True, eq=False):
    value: Node
    low: Node
    high: Node


class In(Node, frozen=True, eq=False):
    """`tests` of which one must hold."""

    value: Node
    tests: tuple[Node, ...]


class InstanceOf(Node, frozen=True, eq=False):
    value: Node
    type: TypeNode


class If(Node, frozen=True, eq=False):
    condition: Node
    then: Node
    otherwise: Node


class Iteration(msgspec.Struct, frozen=True, eq=False):
    """`name in start`, or `name in start..end`."""

    name: str
    start: Node
    end: Node | None = None


class For(Node, frozen=True, eq=False):
    iterations: tuple[Iteration, ...]
    body: Node
    uses_partial: bool


class Quantified(Node, frozen=True, eq=False):
    every: bool
    iterations: tuple[Iteration, ...]
    body: Node


class List(Node, frozen=True, eq=False):
    items: tuple[Node, ...]


class Context(Node, frozen=True, eq=False):
    entries: tuple[tuple[str, Node], ...]


class RangeNode(Node, frozen=True, eq=False):
    start: Node
    end: Node
    start_included: bool
    end_included: bool


class UnaryRange(Node, frozen=True, eq=False):
    """`< 10` and its like, as a test or, in parentheses, as a value."""

    operator: str
    endpoint: Node


class FunctionNode(Node, frozen=True, eq=False):
    parameters: tuple[tuple[str, TypeNode | None], ...]
    body: Node
    external: bool = False


class UnaryTests(Node, frozen=True, eq=False):
    """No tests at all stand for `-`."""

    tests: tuple[Node, ...]
    negated: bool = False


class TypeNode(msgspec.Struct, frozen=True, eq=False):
    """A type expression (rule 52): a name, or list, range, context or function with `arguments` and, for context, `names`."""

    pos: int
    name: str
    arguments: tuple[TypeNode, ...] = ()
    names: tuple[str, ...] = ()
    result: TypeNode | None = None
    #: Whether it had angle brackets.
    generic: bool = False


def children(node: Node) -> list[Node]:
    """The nodes directly below."""
    out: list[Node] = []

    def add(value: Any) -> None:
        if isinstance(value, Node):
            out.append(value)
        elif isinstance(value, tuple):
            for v in value:
                add(v)
        elif isinstance(value, Iteration):
            add(value.start)
            add(value.end)

    for field in node.__struct_fields__:
        add(getattr(node, field))
    return out


def uses_question(node: Node) -> bool:
    stack = [node]
    while stack:
        n = stack.pop()
        if isinstance(n, Name) and n.name == "?":
            return True
        stack.extend(children(n))
    return False


def escapes(body: Node) -> bool:
    """Whether `partial` is used other than as `partial[...]`, so that it must be copied."""
    stack: list[Node] = [body]
    while stack:
        n = stack.pop()
        if isinstance(n, Name) and n.name == "partial":
            return True
        if isinstance(n, FunctionNode):
            stack.append(n.body)
        elif isinstance(n, Filter) and isinstance(n.base, Name) and isinstance(n.condition, Literal):
            continue
        else:
            stack.extend(children(n))
    return False


def height(node: Node) -> int:
    """Levels of the tree, without recursion."""
    most, stack = 0, [(node, 1)]
    while stack:
        n, level = stack.pop()
        most = max(most, level)
        stack.extend((child, level + 1) for child in children(n))
    return most


#: Operators and what they cost, in steps; any other that isn't a name or literal costs one.
_COSTS = {"*": 2, "/": 2, "**": 8}
#: Operators that an iteration or a call has for nothing.
_FREE = 2


def work(node: Node) -> int:
    """What one evaluation of the tree costs at most beside its iteration or call, in steps; what is iterated or called in it counts once."""
    count, stack = -_FREE, [node]
    while stack:
        n = stack.pop()
        below = children(n)
        if isinstance(n, Binary):
            count += _COSTS.get(n.operator, 1)
        elif isinstance(n, (Filter, In, InstanceOf, RangeNode)):
            count += 2
        elif below:
            count += 1 + (len(below) if isinstance(n, (Context, List)) else 0)
        stack.extend(below)
    return max(0, count)

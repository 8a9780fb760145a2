"""Camunda 7's dialect (`camunda:`) and its relatives (Flowable, Activiti): what it says, in our terms.

`${...}` runs with its own meaning (`juel/`): lists count from 0, texts and numbers are compared as JUEL does.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.expressions import Expression, literal
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.dialects.juel import JuelError, compile_template, parse
from flowledger.kernel.model.graph import Mapping


def juel(text: str, reader: Any, at: Any) -> Expression:
    """Text with `${...}`: one expression keeps its type, several parts make a text."""
    source = text.strip()
    try:
        return Expression(source, compile_template(source, parse(source)))
    except JuelError as e:
        reader.finding("CLASSIC_EXPRESSION", f"the expression '{source}' can't be kept: {e}", at, hint="write it as FEEL, with a leading =")
        return literal(None)


class Collected:
    """A list or a map of expressions, as one."""

    def __init__(self, parts: list[Expression], keys: list[str] | None) -> None:
        self._parts, self._keys = parts, keys
        self.reads: frozenset[str] = frozenset().union(*(p.reads for p in parts))

    def __call__(self, variables: dict[str, Any], facts: Any = None, warnings: Any = None, run: Any = None) -> Any:
        values = [p(variables, facts) for p in self._parts]
        return values if self._keys is None else dict(zip(self._keys, values, strict=True))


def mappings(reader: Any, node: Any, element: Any) -> None:
    """`camunda:inputOutput`: text, expression, list and map parameters."""
    for into, tag in ((node.inputs, "inputParameter"), (node.outputs, "outputParameter")):
        for p in x.classic_ext(element, "inputOutput", tag):
            name = p.get("name", "")
            if len(p):
                kid = p[0]
                if x.local(kid) in ("list", "map"):
                    entries = [v for v in kid if isinstance(v.tag, str)]
                    parts = [reader.expression(x.text_of(v), node) for v in entries]
                    keys = [v.get("key", "") for v in entries] if x.local(kid) == "map" else None
                    into.append(Mapping(Expression(f"{x.local(kid)} of parameter '{name}'", Collected(parts, keys)), name))
                    continue
                reader.finding(
                    "CLASSIC_PARAMETER", f"the {x.local(kid)} of parameter '{name}' can't be kept", node, hint="write it as a FEEL mapping"
                )
                continue
            into.append(Mapping(reader.expression(x.text_of(p), node, f"parameter {name}"), name))

"""Expressions of models: FEEL (with a leading `=`) or literal text, compiled once at deployment.

The engine's variables are JSON values with exact numbers; FEEL's own types become JSON on their way back (`docs/feel.md`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from flowledger.kernel import feel
from flowledger.kernel.feel.values import to_json


class Failure(Exception):
    """The model or its data is wrong: becomes an incident. Raised before anything of the step was recorded."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Expression:
    """`static` is the value of literal text; otherwise `compiled` is called with the variables in scope."""

    __slots__ = ("asserts", "compiled", "reads", "static", "text")

    def __init__(self, text: str, compiled: Any = None, static: Any = None) -> None:
        self.text, self.compiled, self.static = text, compiled, static
        self.reads: frozenset[str] = compiled.reads if compiled is not None else frozenset()
        #: Whether it calls `assert`, whose failing is more than a null.
        self.asserts = compiled is not None and "assert(" in text.replace(" ", "")

    def __call__(self, variables: dict[str, Any], facts: Any) -> Any:
        """The value as FEEL gives it; None on any error."""
        return self.compiled(variables, facts) if self.compiled is not None else self.static

    def json(self, variables: dict[str, Any], facts: Any) -> Any:
        """The value as a JSON value. Raises: Failure (an `assert` of the expression failed)."""
        if self.compiled is None:
            return self.static
        if not self.asserts:
            return to_json(self.compiled(variables, facts))
        warnings: list[Any] = []
        value = to_json(self.compiled(variables, facts, warnings))
        for w in warnings:
            if w.code == "ASSERTION_FAILED":
                raise Failure("ASSERTION_FAILED", f"{self.text}: {w.message}")
        return value

    def explain(self, variables: dict[str, Any], facts: Any) -> str:
        """What FEEL warned of, for an incident's message."""
        if self.compiled is None:
            return ""
        warnings: list[Any] = []
        self.compiled(variables, facts, warnings)
        return "; ".join(str(getattr(w, "message", w)) for w in warnings)


def literal(value: Any) -> Expression:
    return Expression(str(value), static=value)


@lru_cache(maxsize=16_384)
def _compiled(source: str) -> Any:
    # the same few texts stand in many places of a model, and a model is read again by each partition; what is compiled never changes
    return feel.compile(source)


def feel_expression(text: str) -> Expression:
    """FEEL text, with or without the leading `=`. Raises: feel.FeelSyntaxError."""
    source = text.strip()
    if source.startswith("="):
        source = source[1:].strip()
    return Expression(source, _compiled(source))


def expression(text: str) -> Expression:
    """FEEL when it starts with `=`, else the text itself."""
    return feel_expression(text) if text.lstrip().startswith("=") else Expression(text, static=text)

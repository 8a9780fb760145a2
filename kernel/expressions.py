"""Expressions of models: FEEL (with a leading `=`) or literal text, compiled once at deployment.

The engine's variables are JSON values with exact numbers; FEEL's own types become JSON on their way back (`docs/feel.md`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from flowledger.events.base import Heavy
from flowledger.kernel import feel
from flowledger.kernel.feel import limits as feel_limits
from flowledger.kernel.feel.errors import LimitReached
from flowledger.kernel.feel.runtime import Runtime
from flowledger.kernel.feel.values import to_json


class Failure(Exception):
    """The model or its data is wrong: becomes an incident. Raised before anything of the step was recorded."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def shortened(text: str) -> str:
    return text if len(text) <= 200 else text[:199] + "…"


def within(facts: Any, text: str, evaluate: Callable[[Runtime], Any]) -> Any:
    """Evaluate by the steps that are left to the decision. Raises: Failure EXPRESSION_LIMIT; Heavy when the soft bound is spent."""
    left = getattr(facts, "feel_left", feel_limits.steps_max)
    r = Runtime(facts)
    r.steps = start = min(feel_limits.steps_max, left)
    try:
        return evaluate(r)
    except LimitReached as limit:
        if limit.code == "LIMIT_STEPS" and getattr(facts, "feel_soft", False):
            raise Heavy(text) from None
        why = f"it took more than {start} steps, all that a decision has" if limit.code == "LIMIT_STEPS" else str(limit)
        raise Failure("EXPRESSION_LIMIT", f"'{shortened(text)}': {why}") from None
    finally:
        if facts is not None:
            facts.feel_left = left - (start - max(0, r.steps))


class Expression:
    """`static` is the value of literal text; otherwise `compiled` is called with the variables in scope."""

    __slots__ = ("asserts", "compiled", "reads", "static", "text")

    def __init__(self, text: str, compiled: Any = None, static: Any = None) -> None:
        self.text, self.compiled, self.static = text, compiled, static
        self.reads: frozenset[str] = compiled.reads if compiled is not None else frozenset()
        #: Whether it calls `assert`, whose failing is more than a null.
        self.asserts = compiled is not None and "assert(" in text.replace(" ", "")

    def __call__(self, variables: dict[str, Any], facts: Any) -> Any:
        """The value as FEEL gives it; None on any error. Raises: Failure EXPRESSION_LIMIT, Heavy."""
        return self.static if self.compiled is None else within(facts, self.text, lambda r: self.compiled(variables, facts, None, r))

    def json(self, variables: dict[str, Any], facts: Any) -> Any:
        """The value as a JSON value. Raises: Failure EXPRESSION_LIMIT, ASSERTION_FAILED; Heavy."""
        if self.compiled is None:
            return self.static
        warnings: list[Any] | None = [] if self.asserts else None
        try:
            value = within(facts, self.text, lambda r: to_json(self._told(variables, facts, warnings, r), r))
        except ValueError as e:
            raise Failure("EXPRESSION_LIMIT", f"'{shortened(self.text)}': {e}") from None
        for w in warnings or ():
            if getattr(w, "code", "") == "ASSERTION_FAILED":
                raise Failure("ASSERTION_FAILED", f"'{shortened(self.text)}': {w.message}")
        return value

    def _told(self, variables: dict[str, Any], facts: Any, warnings: list[Any] | None, r: Runtime) -> Any:
        r.warnings = warnings
        return self.compiled(variables, facts, None, r)

    def explain(self, variables: dict[str, Any], facts: Any) -> str:
        """What FEEL warned of, for an incident's message."""
        if self.compiled is None:
            return ""
        warnings: list[Any] = []
        within(facts, self.text, lambda r: self._told(variables, facts, warnings, r))
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

"""Decisions (DMN) evaluated within a decision of the engine: by the steps that are left to it, and never null for want of them."""

from __future__ import annotations

from typing import Any

from flowledger.events.base import Heavy
from flowledger.kernel.dmn.evaluation import Evaluation
from flowledger.kernel.expressions import Failure, shortened
from flowledger.kernel.feel.values import to_json

_LIMITS = frozenset({"LIMIT_STEPS", "LIMIT_SIZE", "LIMIT_DEPTH"})


def evaluate(model: Any, id: str, variables: dict[str, Any], facts: Any) -> tuple[Evaluation, Any]:
    """(evaluation, its value as JSON). Raises: Failure EXPRESSION_LIMIT; Heavy when the soft bound is spent."""
    evaluation: Evaluation = model.evaluate(id, variables, facts=facts, replace_decisions=False)
    facts.feel_left = max(0, facts.feel_left - getattr(evaluation, "steps", 0))
    for w in evaluation.warnings:
        if getattr(w, "code", "") in _LIMITS:
            if w.code == "LIMIT_STEPS" and facts.feel_soft:
                raise Heavy(id)
            raise Failure("EXPRESSION_LIMIT", f"decision '{shortened(id)}': {w.message}")
    try:
        return evaluation, to_json(evaluation.value)
    except ValueError as e:
        raise Failure("EXPRESSION_LIMIT", f"decision '{shortened(id)}': {e}") from None

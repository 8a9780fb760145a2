"""Decisions (DMN) evaluated within a decision of the engine: by the steps that are left to it, and never null for want of them."""

from __future__ import annotations

from typing import Any

from flowledger.events.base import Heavy
from flowledger.kernel.dmn import model as m
from flowledger.kernel.dmn import rows as dmn_rows
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


def rows(model: Any, id: str, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Of the decision that was evaluated. Raises: Failure DECISION_EVALUATION_ERROR, EXPRESSION_LIMIT."""
    try:
        found: list[dict[str, Any]] = to_json(dmn_rows.of(model, id, evaluation))
        return found
    except dmn_rows.Contradiction as e:
        raise Failure("DECISION_EVALUATION_ERROR", f"decision '{shortened(id)}': {e}") from None
    except ValueError as e:
        raise Failure("EXPRESSION_LIMIT", f"decision '{shortened(id)}': {e}") from None


def gives_several(model: Any, id: str) -> bool:
    element = model.root.element(id, m.Decision)
    return isinstance(element, m.Decision) and isinstance(element.expression, m.Table) and dmn_rows.several(element.expression)


def shaped(rows: list[dict[str, Any]], shape: str, of: str) -> Any:
    """As Camunda 7 maps it: `singleEntry`, `singleResult`, `collectEntries` or `resultList`. Raises: Failure DECISION_RESULT."""
    if shape == "resultList":
        return rows
    if shape == "collectEntries":
        names = list(dict.fromkeys(name for row in rows for name in row))
        if len(names) > 1:
            raise Failure("DECISION_RESULT", f"{of}: expected one output, found {', '.join(map(str, names[:8]))}")
        return [row[names[0]] for row in rows] if names else []
    if len(rows) > 1:
        raise Failure("DECISION_RESULT", f"{of}: expected one rule that matches at most, found {len(rows)}")
    if shape == "singleResult" or not rows:
        return rows[0] if rows else None
    if len(rows[0]) > 1:
        raise Failure("DECISION_RESULT", f"{of}: expected one output, found {', '.join(list(rows[0])[:8])}")
    return next(iter(rows[0].values()), None)

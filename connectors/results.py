"""What becomes of an answer: variables, a BPMN error, or another attempt. Headers and functions as Camunda's connectors name them.

resultVariable     the whole answer goes to this variable
resultExpression   FEEL over the answer (`response`, and its own entries by name): the context that it makes goes to variables
errorExpression    FEEL over `response`, `error` ({code, message, variables}) and `job` ({retries}): null, or one of
                   bpmnError(code, message?, variables?)   jobError(message, variables?, retries?, retryBackoff?)   ignoreError(variables?)
"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from flowledger.connectors.frame import Failed
from flowledger.kernel import times
from flowledger.kernel.expressions import Expression, Failure, expression, feel_expression
from flowledger.kernel.feel import FeelFunction, FeelSyntaxError
from flowledger.sdk.job import BpmnError, JobFailed

#: characters of a `resultVariable`
NAME_MAX = 256


def _maker(kind: str, parameters: tuple[str, ...], least: int) -> FeelFunction:
    return FeelFunction(
        parameters, lambda *values: {"errorType": kind, **dict(zip(parameters, values, strict=True))}, name=kind, least=least
    )


FUNCTIONS = {
    "bpmnError": _maker("bpmnError", ("code", "message", "variables"), 1),
    "jobError": _maker("jobError", ("message", "variables", "retries", "retryBackoff"), 1),
    "ignoreError": _maker("ignoreError", ("variables",), 0),
}


def compiled(text: str, header: str) -> Expression:
    """Of a header, with or without the leading `=`. Raises: Failed."""
    try:
        return expression(text) if text.lstrip().startswith("=") else feel_expression(text)
    except FeelSyntaxError as e:
        raise Failed("CONFIGURATION", f"{header}: {e}") from None


def evaluated(text: str, header: str, context: dict[str, Any]) -> Any:
    try:
        return compiled(text, header).json(context, SimpleNamespace(now_us=time.time_ns() // 1000))
    except Failure as e:
        raise Failed("RESULT", f"{header}: {e.message}") from None


def told(headers: dict[str, Any]) -> bool:
    """Whether the model says what becomes of the answer."""
    return bool(headers.get("resultVariable") or headers.get("resultExpression"))


def variables_of(headers: dict[str, Any], answer: Any) -> dict[str, Any]:
    """What the answer leaves in the process. Raises: Failed."""
    found: dict[str, Any] = {}
    if name := headers.get("resultVariable"):
        if not isinstance(name, str) or len(name) > NAME_MAX or not name.isidentifier():
            raise Failed("CONFIGURATION", f"expected the name of a variable as resultVariable, found {str(name)[:50]!r}")
        found[name] = answer
    if text := headers.get("resultExpression"):
        made = evaluated(str(text), "resultExpression", {**(answer if isinstance(answer, dict) else {}), "response": answer})
        if made is not None and not isinstance(made, dict):
            raise Failed("RESULT", f"expected a context from resultExpression, found {type(made).__name__}: {{name: response.body}}")
        found.update(made or {})
    return found


def judged(headers: dict[str, Any], answer: Any, failure: Failed | None, retries: int) -> dict[str, Any] | None:
    """What `errorExpression` makes of an answer or a failure; None: it has nothing to say, or there is none.

    Returns: the variables of `ignoreError`. Raises: BpmnError, JobFailed (as it says), Failed (the expression is wrong).
    """
    text = headers.get("errorExpression")
    if not text:
        return None
    response = failure.response if failure is not None else answer
    context: dict[str, Any] = {**FUNCTIONS, "response": response, "job": {"retries": retries}, "error": None}
    if failure is not None:
        context["error"] = {"code": failure.code, "message": failure.message, "variables": {"response": response}}
    elif isinstance(answer, dict):
        context = {**answer, **context}
    made = evaluated(str(text), "errorExpression", context)
    if not isinstance(made, dict) or "errorType" not in made:
        return None
    variables = made.get("variables") if isinstance(made.get("variables"), dict) else None
    if made["errorType"] == "bpmnError":
        code = made.get("code")
        if not isinstance(code, str) or not code:
            raise Failed("RESULT", "expected a code as the first argument of bpmnError in errorExpression")
        raise BpmnError(code, str(made.get("message") or ""), variables)
    if made["errorType"] == "ignoreError":
        return variables or {}
    left = made.get("retries")
    raise JobFailed(
        str(made.get("message") or ""),
        code=failure.code if failure is not None else "JOB_ERROR",
        retries=int(left) if isinstance(left, int) and not isinstance(left, bool) and left >= 0 else None,
        backoff_s=seconds(made.get("retryBackoff"), "retryBackoff"),
        variables=variables,
    )


def seconds(text: Any, what: str) -> float | None:
    """Of an ISO 8601 duration without months; None: there is none. Raises: Failed."""
    if text is None or text == "":
        return None
    try:
        months, us = times.duration(str(text))
        if months or us < 0:
            raise ValueError
    except (ValueError, Failure):
        raise Failed("CONFIGURATION", f"expected a duration such as PT30S as {what}, found {str(text)[:50]!r}") from None
    return us / 1e6

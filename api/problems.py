"""What callers are told when something is wrong: problem details (RFC 9457) with a stable `code`.

No stack traces and no texts of unexpected exceptions leave the process: those go to the log, with the request's correlation id.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from flowledger.events.base import Rejected, RejectionCode

MEDIA_TYPE = "application/problem+json"
#: The request itself can't be understood: no JSON, an unknown name, a wrong type. The caller must change it.
MALFORMED = "MALFORMED"
INTERNAL = "INTERNAL"

#: rejection code -> (status, title)
STATUS: dict[str, tuple[int, str]] = {
    RejectionCode.NOT_FOUND: (404, "Not found"),
    RejectionCode.INVALID_ARGUMENT: (422, "Can't be done with these values"),
    RejectionCode.MODEL_INVALID: (422, "The model has errors"),
    RejectionCode.INVALID_STATE: (409, "Not possible in this state"),
    RejectionCode.ALREADY_EXISTS: (409, "Exists already"),
    RejectionCode.STALE: (409, "Somebody else was faster"),
    RejectionCode.ID_REUSED: (422, "The id stands for another request"),
    RejectionCode.FORBIDDEN: (403, "Not allowed"),
    RejectionCode.STEP_UP_NEEDED: (403, "To be shown by a passkey"),
    RejectionCode.RESOURCE_EXHAUSTED: (429, "Too much at once"),
    RejectionCode.UNAVAILABLE: (503, "Not available now"),
    RejectionCode.DEADLINE_EXCEEDED: (504, "No answer in time"),
    MALFORMED: (400, "The request can't be understood"),
    INTERNAL: (500, "An error of ours"),
}
#: codes of errors that the framework finds
BY_STATUS = {
    400: MALFORMED, 401: "UNAUTHENTICATED", 403: "FORBIDDEN", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 406: "NOT_ACCEPTABLE",
    408: "TIMEOUT", 413: "BODY_TOO_LARGE", 431: "HEAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE", 421: "WRONG_HOST", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE",
}  # fmt: skip
TITLES = {
    401: "Who are you?", 410: "No longer there", 403: "Not allowed", 405: "Method not allowed", 406: "Not in this form",
    408: "It did not come in time", 413: "The body is too large",
    431: "The headers are too large", 415: "Wrong media type", 421: "Not a name of this server",
}  # fmt: skip
#: seconds for `Retry-After` when the rejection names none
RETRY_AFTER_S = 1


class Problem(Exception):
    """One clear error: what was expected, what was found, and where."""

    def __init__(self, code: str, detail: str, *, status: int = 0, where: str = "", retry_after_ms: int = 0, **extra: Any) -> None:
        super().__init__(detail)
        self.code, self.detail, self.retry_after_ms, self.extra = code, detail, retry_after_ms, extra
        self.status, self.title = STATUS.get(code, (500, "Error"))
        if status:
            self.status, self.title = status, TITLES.get(status, self.title)
        if where:
            self.extra["errors"] = [{"where": where, "message": detail}]

    def body(self, path: str = "") -> dict[str, Any]:
        found = {"type": f"urn:flowledger:problem:{self.code}", "title": self.title, "status": self.status, "code": self.code}
        found |= {"detail": self.detail, "instance": path, "retry_after_ms": self.retry_after_ms or None} | self.extra
        return {k: v for k, v in found.items() if v not in ("", None)}

    def headers(self) -> dict[str, str]:
        if self.status == 401:
            return {"WWW-Authenticate": 'Bearer realm="flowledger"'}
        if self.status in (429, 503):
            return {"Retry-After": str(max(1, -(-self.retry_after_ms // 1000)) if self.retry_after_ms else RETRY_AFTER_S)}
        return {}

    def response(self, path: str = "") -> Response[bytes]:
        return Response(encode_problem(self, path), status_code=self.status, media_type=MEDIA_TYPE, headers=self.headers())


def encode_problem(problem: Problem, path: str) -> bytes:
    return msgspec.json.encode(problem.body(path))


def malformed(detail: str, where: str = "") -> Problem:
    return Problem(MALFORMED, detail, where=where)


def senseless(detail: str, where: str = "") -> Problem:
    """Each part is as the schema says, but they don't go together, which no schema tells."""
    return Problem(RejectionCode.INVALID_ARGUMENT, detail, where=where)


def problem_of(rejected: Rejected) -> Problem:
    """A refused command. Findings of a model stand as a list in `findings`."""
    extra: dict[str, Any] = {}
    detail = rejected.message
    if rejected.code == RejectionCode.MODEL_INVALID:
        try:
            findings = msgspec.json.decode(rejected.message)
        except msgspec.DecodeError:
            findings = None
        if isinstance(findings, list):
            extra["findings"] = findings
            errors = sum(1 for f in findings if isinstance(f, dict) and f.get("severity", "error") == "error")
            detail = f"{errors} error{'s' if errors != 1 else ''}: see findings" if errors else "nothing in it can be run: see findings"
    code = rejected.code if rejected.code in STATUS else INTERNAL
    return Problem(code, detail, retry_after_ms=rejected.retry_after_ms, **extra)


def problem_handler(request: Request[Any, Any, Any], error: Problem) -> Response[bytes]:
    request.scope["flowledger_refused"] = (error.code, error.detail)  # type: ignore[typeddict-unknown-key]  # `api/refusals.py`
    return error.response(request.url.path)


def http_handler(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the framework refuses: unknown path, wrong method, wrong parameter."""
    if error.detail == "client disconnected prematurely":
        return Problem("GONE", "the caller left before the body had come", status=499).response(request.url.path)  # nobody reads it
    code = BY_STATUS.get(error.status_code, INTERNAL if error.status_code >= 500 else MALFORMED)
    problem = Problem(code, error.detail if error.status_code < 500 else "", status=error.status_code)
    if isinstance(error, ValidationException):
        found = [e for e in error.extra or () if isinstance(e, dict)]
        if [e.get("message") for e in found] == ["'data'"]:  # its word for it
            return malformed("a JSON object was expected, found no body", "body").response(request.url.path)
        problem.extra["errors"] = [
            {"where": f"{_word(e.get('source'))} {e.get('key', '')}".strip(), "message": e.get("message", "")} for e in found
        ]
        problem.detail = "; ".join(f"{e['where']}: {e['message']}" for e in problem.extra["errors"]) or error.detail
    elif error.status_code == 404:
        problem.title, problem.detail = "Not found", f"nothing is at {request.url.path}"
    elif error.status_code == 405:
        allowed = str((error.headers or {}).get("allow", ""))
        problem.detail = f"{allowed.replace('GET', 'GET, HEAD')} was expected, found {request.method}"
    elif error.status_code == 413:
        problem.detail = f"a body of at most {request.app.state['services'].settings.body_bytes_max} bytes was expected, found more"
    response = problem.response(request.url.path)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


def _word(value: Any) -> str:
    return str(getattr(value, "value", value or ""))


def bug_handler(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    from flowledger.logs import log

    reference = request.scope.get("flowledger_correlation", "")
    log("api").error("request failed", path=request.url.path, method=request.method, correlation=reference, exc_info=error)
    return Problem(INTERNAL, f"it is in the server's log as {reference}", status=500).response(request.url.path)


HANDLERS: dict[Any, Any] = {Problem: problem_handler, HTTPException: http_handler, Exception: bug_handler}

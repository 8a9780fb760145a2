"""What the server refuses, as exceptions: one class for each code, all of them `ApiError`s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class ApiError(Exception):
    """The server said no. `code` is for programs, `status` the HTTP status, `problem` the whole answer (RFC 9457)."""

    def __init__(self, status: int, code: str, message: str, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message, self.problem = status, code, message, problem

    @property
    def findings(self) -> Sequence[Mapping[str, Any]]:
        """Of a model that was refused."""
        return self.problem.get("findings") or ()

    def __str__(self) -> str:
        lines = [f"{self.code}: {self.message}"]
        for f in self.findings:
            place = ":".join(str(x) for x in (f.get("file"), f.get("line"), f.get("column")) if x)
            about = f" {f['element']}:" if f.get("element") else ""
            hint = f" ({f['hint']})" if f.get("hint") else ""
            lines.append(f"  {place} {f.get('severity', 'error')}:{about} {f.get('message', '')} [{f.get('code', '')}]{hint}")
        return "\n".join(lines)


class Malformed(ApiError):
    """The request can't be understood: `problem["errors"]` says where. Asking again changes nothing."""


class InvalidArgument(ApiError):
    """Well-formed, but it can't be done with these values."""


class ModelInvalid(InvalidArgument):
    """A model has errors; they stand in `findings` and in the text."""


class NotFound(ApiError):
    """No such thing, or it is done already."""


class InvalidState(ApiError):
    """Not possible in its present status."""


class AlreadyExists(ApiError):
    """Known already."""


class Stale(ApiError):
    """Somebody else was faster: a fence or a row version is not the present one."""


class Forbidden(ApiError):
    """Not allowed."""


class Exhausted(ApiError):
    """Too much at once; it was tried several times."""


class Unavailable(ApiError):
    """Not now; it was tried several times."""


class TimedOut(ApiError):
    """No answer in time; whether it happened is open, but for `id`: what was begun goes on under this key."""

    @property
    def id(self) -> str:
        return str(self.problem.get("id") or "")


class NotCompleted(Exception):
    """`run` was to give a result, and the instance ended otherwise. `instance` is its answer."""

    def __init__(self, instance: Mapping[str, Any]) -> None:
        why = f": {instance['error_message']}" if instance.get("error_message") else ""
        super().__init__(f"instance {instance.get('id')} is {instance.get('status')}{why}")
        self.instance = instance


BY_CODE: dict[str, type[ApiError]] = {
    "MALFORMED": Malformed, "INVALID_ARGUMENT": InvalidArgument, "MODEL_INVALID": ModelInvalid, "NOT_FOUND": NotFound,
    "INVALID_STATE": InvalidState, "ALREADY_EXISTS": AlreadyExists, "STALE": Stale, "FORBIDDEN": Forbidden, "STEP_UP_NEEDED": Forbidden, "STEP_UP_FAILED": Forbidden,
    "RESOURCE_EXHAUSTED": Exhausted, "UNAVAILABLE": Unavailable, "DEADLINE_EXCEEDED": TimedOut,
}  # fmt: skip


def error_of(status: int, answer: Any) -> ApiError:
    problem = answer if isinstance(answer, dict) else {}
    code = str(problem.get("code") or status)
    detail = str(problem.get("detail") or problem.get("title") or "")
    return BY_CODE.get(code, ApiError)(status, code, detail, problem)

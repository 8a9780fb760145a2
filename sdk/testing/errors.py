"""What goes wrong in a test before any assertion."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """The engine refused a wish. `code` is one of `RejectionCode`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class ModelInvalid(Refused):
    """A model has errors; `findings` are all of them."""

    def __init__(self, findings: list[dict[str, Any]]) -> None:
        lines = [
            f"{f.get('file') or 'model'}:{f.get('line', 0)} {f.get('severity', '')} {f.get('code', '')}: {f.get('message', '')}"
            for f in findings
        ]
        super().__init__("MODEL_INVALID", "\n" + "\n".join(lines))
        self.findings = findings


class Endless(AssertionError):
    """The process goes round without waiting for anything."""


class UnknownElement(AssertionError):
    """A test names an element that the process doesn't have: a wrong name must not pass as "was not passed"."""

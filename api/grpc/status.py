"""Refusals in Zeebe's manner: gRPC status codes, and the sentences that its clients know.

Source: Zeebe documentation, "Gateway service", technical error handling, and the rejection texts of Zeebe 8.6 as its clients see them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.api.grpc.wording import said
from flowledger.events.base import Rejected, RejectionCode

# gRPC status codes (grpc.io, "Status codes and their use in gRPC")
OK = 0
CANCELLED = 1
UNKNOWN = 2
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
ALREADY_EXISTS = 6
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
FAILED_PRECONDITION = 9
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
UNAUTHENTICATED = 16


class Refused(Exception):
    """A call that ends with a status other than OK. `retry_ms`: when the client may come again (0: nothing is said of it)."""

    def __init__(self, status: int, message: str, retry_ms: int = 0) -> None:
        super().__init__(message)
        self.status, self.message, self.retry_ms = status, message, retry_ms


def invalid(intent: str, message: str) -> Refused:
    return Refused(INVALID_ARGUMENT, f"Command '{intent}' rejected with code 'INVALID_ARGUMENT': {message}")


#: our rejection -> (gRPC status, the word Zeebe uses for it in its text)
CODES: dict[str, tuple[int, str]] = {
    RejectionCode.NOT_FOUND: (NOT_FOUND, "NOT_FOUND"),
    RejectionCode.INVALID_ARGUMENT: (INVALID_ARGUMENT, "INVALID_ARGUMENT"),
    RejectionCode.INVALID_STATE: (FAILED_PRECONDITION, "INVALID_STATE"),
    RejectionCode.STALE: (FAILED_PRECONDITION, "INVALID_STATE"),
    RejectionCode.ALREADY_EXISTS: (ALREADY_EXISTS, "ALREADY_EXISTS"),
    RejectionCode.FORBIDDEN: (PERMISSION_DENIED, "UNAUTHORIZED"),
    RejectionCode.STEP_UP_NEEDED: (PERMISSION_DENIED, "UNAUTHORIZED"),
    RejectionCode.RESOURCE_EXHAUSTED: (RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED"),
    RejectionCode.UNAVAILABLE: (UNAVAILABLE, "UNAVAILABLE"),
    RejectionCode.DEADLINE_EXCEEDED: (DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
    RejectionCode.MODEL_INVALID: (INVALID_ARGUMENT, "INVALID_ARGUMENT"),
}


class Intent:
    """How Zeebe names a command in its refusals, and what it says when the thing isn't there (`{}`: the key or id)."""

    __slots__ = ("missing", "name")

    def __init__(self, name: str, missing: str = "") -> None:
        self.name, self.missing = name, missing


def refusal(rejected: Rejected, intent: Intent, subject: Any) -> Refused:
    """What a Zeebe client is told."""
    status, word = CODES.get(rejected.code, (UNKNOWN, rejected.code))
    if status == RESOURCE_EXHAUSTED:
        return Refused(status, f"Reached maximum capacity of requests handled: {rejected.message}", rejected.retry_after_ms)
    if status == UNAVAILABLE:
        return Refused(status, rejected.message, rejected.retry_after_ms)
    if status == DEADLINE_EXCEEDED:
        return Refused(status, f"Time out between gateway and broker: {rejected.message}")
    message = rejected.message
    if status == NOT_FOUND and intent.missing:
        message = intent.missing.format(subject)
    elif rejected.code == RejectionCode.MODEL_INVALID:
        message = f"Expected to deploy new resources, but encountered the following errors:{findings_text(message)}"
    else:
        message = said(intent.name, message, subject)
    return Refused(status, f"Command '{intent.name}' rejected with code '{word}': {message}")


def findings_text(message: str) -> str:
    """Findings (JSON, see `Deploy`) as lines; a text that isn't such a list stays as it is."""
    try:
        findings = msgspec.json.decode(message)
    except msgspec.DecodeError:
        return "\n" + message
    if not isinstance(findings, list):
        return "\n" + message
    lines = []
    for f in findings:
        if isinstance(f, dict):
            place = f"'{f.get('file', '')}' line {f.get('line', 0)}:{f.get('column', 0)}"
            what = f"{str(f.get('severity', 'error')).upper()}: {f.get('message', '')}"
            element = f"- Element: {f['element']}\n    " if f.get("element") else ""
            lines.append(f"\n{place}: {element}- {what}")
        else:
            lines.append(f"\n{f}")
    return "".join(lines)

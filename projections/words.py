"""Words that rows use, and how values of events become one of them: a row must pass its checks whatever an event says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

TASK_TYPES = frozenset(
    "human_task user_task service_task script_task send_task receive_task manual_task business_rule_task call_activity sub_process".split()
)
TASK_STATUSES = frozenset("created assigned started in_progress suspended completed failed timed_out cancelled skipped".split())
INSTANCE_STATUSES = ("pending", "running", "suspended", "quarantined", "completed", "failed", "cancelled", "terminated")
INCIDENT_STATUSES = ("open", "resolved")
RESULT_STATUSES = frozenset("success partial_success failure timeout cancelled".split())
ASSIGNMENT_TYPES = frozenset("human ai_agent service tool external_api hybrid".split())
DEFINITION_STATUSES = frozenset("draft validated published deprecated archived".split())
CATEGORIES = {
    "human_task": "manual", "user_task": "manual", "manual_task": "manual", "send_task": "integration", "receive_task": "integration",
}  # fmt: skip
INT_MAX = 2**31 - 1
SEARCH_CHARS = 64


def priority_word(value: int) -> str:
    """The word of the class that a number falls into: low up to 20, normal up to 40, high up to 60, critical up to 80, urgent."""
    return "low" if value <= 20 else "normal" if value <= 40 else "high" if value <= 60 else "critical" if value <= 80 else "urgent"


def int4(value: Any) -> int:
    """What fits an `integer` column."""
    return max(-INT_MAX, min(INT_MAX, value)) if isinstance(value, int) else 0


def texts(value: Any) -> list[str] | None:
    """A list of texts, from a list or a text with commas; None when empty."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    return [str(v) for v in value if v not in (None, "")] or None if isinstance(value, list) else None


def word(value: Any) -> str | None:
    """A text for a text column, None when there is none."""
    return None if value in (None, "") else str(value)


def json_type(value: Any) -> str:
    """The type of a variable, in FEEL's words for JSON values."""
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | Decimal):
        return "number"
    if value is None:
        return "null"
    return "list" if isinstance(value, list | tuple) else "context"


def search_text(value: Any) -> str | None:
    """A scalar as text, equal for equal values (1, 1.0 and 1e0 are `1`), cut to what the index takes; None for what isn't searched."""
    if isinstance(value, str):
        return value[:SEARCH_CHARS]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)[:SEARCH_CHARS] if value.bit_length() < 256 else None
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > SEARCH_CHARS:
            return None
        if value == 0:
            return "0"
        text = format(value, "f")
        return ((text.rstrip("0").rstrip(".") if "." in text else text) or "0")[:SEARCH_CHARS]
    return None


#: letters of the longest piece of a name
PIECE = 3


def parts_of(name: str) -> list[str]:
    """Every piece of one to three letters of a name, in small letters: what it is found by when only a part of it is known."""
    small = name.lower()
    return sorted({small[at : at + n] for n in range(1, PIECE + 1) for at in range(len(small) - n + 1)})


def pieces_of(part: str) -> list[str]:
    """The pieces that a name with this part in it has: those of three letters, or the part itself when it is shorter."""
    small = part.lower()
    return sorted({small[at : at + PIECE] for at in range(max(1, len(small) - PIECE + 1))}) if small else []

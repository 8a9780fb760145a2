"""What a deployment's metadata says of its definitions: `category`, `tags`, `complexity_score`, `estimated_duration` (ISO 8601, or `estimated_duration_ms`) and
`dependencies`, by which they are found. All else in it is the author's own. Where no score is given, that of the process itself holds (`complexity`)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flowledger.kernel import times
from flowledger.kernel.model.graph import Process
from flowledger.kernel.values import shown

#: characters of a category, a tag, a dependency; how many there may be; the highest score
TEXT_MAX, TEXTS_MAX, SCORE_MAX = 255, 100, 1_000_000
#: of a duration that is expected: a hundred years of 365 days
MS_MAX = 100 * 365 * 86_400_000
#: days of a month, where a duration has months
MONTH_US = 30 * 86_400_000_000


def complexity(process: Process) -> int:
    """1, and one more for each further way that may be taken: at a split, by a boundary event, by a loop, by a further start or event sub-process."""
    score = 1
    for node in process.nodes.values():
        score += max(0, len(node.outgoing) - 1) + len(node.attached) + (node.loop is not None)
    return score + max(0, len(process.root.starts) - 1) + len(process.root.event_subs)


def problems(metadata: Any) -> list[str]:
    """What is wrong with what has a meaning here."""
    if not isinstance(metadata, dict):
        return []
    out = []
    if (category := metadata.get("category")) is not None and not _text(category):
        out.append(f"metadata.category: expected a text of 1 to {TEXT_MAX} characters, found {_found(category)}")
    if not isinstance(tags := metadata.get("tags"), str | None):
        out += _texts(tags, "tags")
    if (needs := metadata.get("dependencies")) is not None:
        out += _texts(needs, "dependencies")
    if (score := metadata.get("complexity_score")) is not None and not (_number(score) and 0 <= score <= SCORE_MAX):
        out.append(f"metadata.complexity_score: expected a number from 0 to {SCORE_MAX}, found {_found(score)}")
    return out + _duration(metadata)


def normal(metadata: Any) -> Any:
    """An expected duration that is written as ISO 8601 is told in milliseconds too: rows are looked for by one form."""
    if not isinstance(metadata, dict) or not isinstance(given := metadata.get("estimated_duration"), str):
        return metadata
    return {**metadata, "estimated_duration_ms": _ms(given)}


def _ms(text: str) -> int:
    """Raises: ValueError."""
    months, us = times.duration(text)
    return (months * MONTH_US + us) // 1000


def _duration(metadata: dict[str, Any]) -> list[str]:
    given, ms = metadata.get("estimated_duration"), metadata.get("estimated_duration_ms")
    if given is not None:
        try:
            told = _ms(given) if isinstance(given, str) else -1
        except ValueError:
            told = -1
        if not 0 <= told <= MS_MAX:
            return [f"metadata.estimated_duration: expected a duration such as PT15M, of 100 years at most, found {_found(given)}"]
        if ms is not None and ms != told:
            return [f"metadata.estimated_duration: {given} is {told} ms, and estimated_duration_ms is {_found(ms)}; expected one of them"]
    elif ms is not None and not (type(ms) is int and 0 <= ms <= MS_MAX):
        return [f"metadata.estimated_duration_ms: expected a whole number from 0 to {MS_MAX}, found {_found(ms)}"]
    return []


def _texts(value: Any, name: str) -> list[str]:
    if isinstance(value, list) and len(value) <= TEXTS_MAX and all(map(_text, value)):
        return []
    return [f"metadata.{name}: expected a list of at most {TEXTS_MAX} texts of 1 to {TEXT_MAX} characters, found {_found(value)}"]


def _text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= TEXT_MAX


def _number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _found(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str) and len(value) > TEXT_MAX:
        return f"{len(value)} characters"
    return shown(value)[:60]

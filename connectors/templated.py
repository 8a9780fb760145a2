"""Texts of a model with `{{ FEEL }}` in them, evaluated over data; for HTML each value is escaped."""

from __future__ import annotations

import html
import re
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from pydantic import AfterValidator, Field

from flowledger.connectors import results
from flowledger.connectors.frame import Failed

CHARS_MAX = 200_000
_SPOT = re.compile(r"\{\{(.+?)\}\}", re.DOTALL)
_encode = msgspec.json.Encoder(decimal_format="number").encode


def _compiles(text: str) -> str:
    for spot in _SPOT.findall(text):
        try:
            results.compiled(spot.strip(), f"{{{{{spot.strip()[:60]}}}}}")
        except Failed as e:
            raise ValueError(e.message) from None
    return text


#: a field that is one: it stands in a header of the task, so no variable changes it
Template = Annotated[str, Field(min_length=1, max_length=CHARS_MAX), AfterValidator(_compiles)]


def filled(text: str, data: dict[str, Any], escaped: bool = False) -> str:
    """Raises: Failed."""

    def value(match: re.Match[str]) -> str:
        found = shown(results.evaluated(match[1].strip(), match[0][:80], data))
        return html.escape(found) if escaped else found

    return _SPOT.sub(value, text)


def shown(value: Any) -> str:
    """As it stands in a text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return format(value, "f") if isinstance(value, Decimal) else _encode(value).decode()

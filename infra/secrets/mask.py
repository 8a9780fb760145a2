"""Values that must not be shown, in the forms in which they travel."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "***"
#: of a value with several lines (a key, a certificate) each such long line is hidden by itself
LINE_MIN = 16


class Mask:
    """What was added is replaced by `***` in texts and in JSON values. Nothing added: nothing is looked at."""

    def __init__(self) -> None:
        self._forms: list[str] = []

    def add(self, *values: str) -> None:
        """Each as it is, percent-encoded, as JSON writes it and in base64."""
        forms = set(self._forms)
        for value in values:
            if not value:
                continue
            forms |= {value, value.strip() or value, quote(value, safe=""), quote(value), quote_plus(value), json.dumps(value)[1:-1]}
            forms.add(json.dumps(value, ensure_ascii=False)[1:-1])
            raw = value.encode()
            forms |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode().rstrip("="), raw.hex()}
            lines = value.splitlines()
            if len(lines) > 1:
                forms |= {line for line in lines if len(line) >= LINE_MIN}
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        return text

    def value(self, value: Any) -> Any:
        """Of a JSON value, names and numbers too."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(k)): self.value(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.value(v) for v in value]
        if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
            return HIDDEN if (shown := self.text(str(value))) != str(value) and HIDDEN in shown else value
        return value

"""What can go wrong in FEEL, and how it is said.

FeelSyntaxError   the text can't be parsed; raised by `parse`, `compile`, `compile_unary`, and by nothing else
Warning           why a value is null; a value in a list, never raised
LimitReached      a bound of `limits` was met; inside of the package only, an evaluation turns it into null and a warning
"""

from __future__ import annotations

import msgspec


class FeelSyntaxError(ValueError):
    """A text that is no FEEL. `position` counts code points from 0; `line` and `column` from 1."""

    def __init__(self, message: str, text: str, position: int) -> None:
        position = max(0, min(position, len(text)))
        self.message = message
        self.position = position
        self.line = text.count("\n", 0, position) + 1
        self.column = position - (text.rfind("\n", 0, position) + 1) + 1
        super().__init__(f"{message} (line {self.line}, column {self.column})")


class Warning(msgspec.Struct, frozen=True):
    """Why a part of an expression is null. `code` is for programs, `message` for people, `position` counts code points from 0 (-1:
    unknown)."""

    code: str
    message: str
    position: int = -1


class LimitReached(Exception):
    """A bound of `limits` was met."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

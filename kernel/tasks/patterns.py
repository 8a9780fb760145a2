"""Patterns of forms, which are JavaScript's regular expressions: whether one is found in a text.

RE2 reads nearly all of them alike, in time linear in the text. What it can't read (it has no look-around and no references back) is asked of JavaScript
itself, in the sandbox of script tasks: with a limit on the length of the text, on the time, and on how often one form may ask.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from flowledger.kernel.scripts import Sandbox, ScriptError
from flowledger.kernel.tasks.schemas import PATTERN_MAX, pattern_of

#: characters of a text, times that one form may ask for, and seconds of a processor that each of them has
TEXT_MAX, ASKED_MAX, CPU_S = 10_000, 20, 0.05
#: any character, which JavaScript writes as the class of none that is left out
_ANY = re.compile(r"\[\^\]")
_ASK = "let __e; try { __e = new RegExp(pattern) } catch (e) { __e = null }; __e === null ? null : __e.test(text)"


class Unasked(Exception):
    """Nobody can say whether the pattern is found: the text says why."""


class Patterns:
    """Those of one form, while it is checked."""

    def __init__(self, sandbox: Sandbox | None) -> None:
        self._sandbox, self._left = sandbox, ASKED_MAX

    def refuse(self, pattern: str, text: str) -> bool:
        """A pattern that is none refuses nothing: it is the author's mistake, not the caller's. Raises: Unasked."""
        linear = _linear(pattern)
        return self._asked(pattern, text) if linear is None else linear.search(text) is None

    def _asked(self, pattern: str, text: str) -> bool:
        if len(pattern) > PATTERN_MAX:
            raise Unasked(f"the pattern has more than {PATTERN_MAX} characters")
        if len(text) > TEXT_MAX:
            raise Unasked(f"expected at most {TEXT_MAX} characters for a pattern like this, found {len(text)}")
        if self._sandbox is None:
            raise Unasked("this server runs no JavaScript (pip install 'flowledger[server]')")
        if self._left <= 0:
            raise Unasked("the form has too many patterns like this, or one before took too long")
        self._left -= 1
        try:
            found, _ = self._sandbox(_ASK, {"pattern": pattern, "text": text}, 0, 0, CPU_S)
        except ScriptError as e:
            self._left = 0  # what is refused already needn't take as long again
            raise Unasked(str(e)) from None
        return found is False


@lru_cache(512)
def _linear(pattern: str) -> Any:
    """None: RE2 doesn't read it."""
    try:
        return pattern_of(_ANY.sub(r"[\\s\\S]", pattern))
    except ValueError:
        return None

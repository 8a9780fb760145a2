"""Scripts in other languages than FEEL: the kernel knows their port only; `Facts.javascript` is the sandbox that the shell brings."""

from __future__ import annotations

from typing import Any, Protocol

JAVASCRIPT = frozenset({"javascript", "ecmascript", "js", "text/javascript", "application/javascript", "application/ecmascript"})


class ScriptError(Exception):
    """The script failed, or passed a limit."""


class Sandbox(Protocol):
    def __call__(self, source: str, variables: dict[str, Any], now_us: int, seed: int, cpu_s: float = ..., /) -> tuple[Any, dict[str, Any]]:
        """The script's value and the variables that it set. Same arguments, same answer. `cpu_s`: seconds of a processor. Raises: ScriptError."""

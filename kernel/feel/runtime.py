"""What one evaluation carries along: its bounds, its warnings and its facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.kernel.feel import limits
from flowledger.kernel.feel.errors import LimitReached, Warning
from flowledger.kernel.feel.types import BAD
from flowledger.kernel.feel.values import Budget, FeelFunction, convert, weigh


class Runtime(Budget):
    """One evaluation. DMN shares one between all expressions of a decision, so that the bounds hold for the whole."""

    __slots__ = ("facts", "warnings", "depth", "converted")

    def __init__(self, facts: Any = None, warnings: list[Warning] | None = None) -> None:
        self.facts = facts
        self.warnings = warnings
        self.steps = limits.steps_max
        self.depth = 0
        #: What `convert` has made of lists and contexts, by their id; the value itself is kept so that its id stays its own.
        self.converted: dict[int, tuple[Any, Any]] | None = None

    def convert(self, value: Any) -> Any:
        """A value of the context as a value of FEEL; lists and contexts are converted once. Raises LimitReached."""
        if type(value) is not list and type(value) is not dict:
            return convert(value, self)
        if self.converted is None:
            self.converted = {}
        known = self.converted.get(id(value))
        if known is None:
            known = self.converted[id(value)] = value, convert(value, self)
        return known[1]

    def warn(self, code: str, message: str, position: int = -1) -> None:
        if self.warnings is not None and len(self.warnings) < limits.warnings_max:
            self.warnings.append(Warning(code, message, position))

    def stopped(self, code: str, message: str) -> None:
        """Say why all is null: that matters more than the last of many warnings."""
        if self.warnings is not None and len(self.warnings) >= limits.warnings_max:
            self.warnings.pop()
        self.warn(code, message)

    def tick(self, count: int = 1) -> None:
        """Count work. Raises LimitReached."""
        self.steps -= count
        if self.steps < 0:
            self.steps = 0
            raise LimitReached("LIMIT_STEPS", f"more than {limits.steps_max} steps")

    def room(self, items: int) -> int:
        """Count a list that is about to be made. Raises LimitReached."""
        if items > limits.list_items_max:
            raise LimitReached("LIMIT_SIZE", f"a list of more than {limits.list_items_max} items")
        self.tick(items)
        return items

    def text(self, chars: int) -> int:
        """Count a string that is about to be made. Raises LimitReached."""
        if chars > limits.string_chars_max:
            raise LimitReached("LIMIT_SIZE", f"a string of more than {limits.string_chars_max} characters")
        self.tick(1 + chars // 64)
        return chars

    def deeper(self, levels: int) -> None:
        self.depth += levels
        if self.depth > limits.depth_max:
            raise LimitReached("LIMIT_DEPTH", "calls are nested too deep")

    def invoke(self, function: Any, arguments: list[Any], position: int = -1) -> Any:
        """Call a function value positionally; null and a warning if the arguments don't fit."""
        if not isinstance(function, FeelFunction):
            builtin: Callable[..., Any] | None = getattr(function, "invoke", None)
            if builtin is None:
                self.warn("NOT_A_FUNCTION", "what is called is not a function", position)
                return None
            return builtin(self, arguments, position)
        missing = len(function.parameters) - len(arguments)
        if 0 < missing <= len(function.parameters) - function.least:
            arguments = [*arguments, *[None] * missing]
        elif missing:
            self.warn(
                "FUNCTION_ARGUMENTS",
                f"{len(arguments)} arguments for {function.name or 'the function'}, which takes {len(function.parameters)}",
                position,
            )
            return None
        return self.apply(function, arguments, position)

    def invoke_named(self, function: Any, arguments: dict[str, Any], position: int = -1) -> Any:
        """Call a function value by the names of its parameters; those that are missing are null."""
        if not isinstance(function, FeelFunction):
            builtin = getattr(function, "invoke_named", None)
            if builtin is None:
                self.warn("NOT_A_FUNCTION", "what is called is not a function", position)
                return None
            return builtin(self, arguments, position)
        for name in arguments:
            if name not in function.parameters:
                self.warn("FUNCTION_ARGUMENTS", f"no parameter {name!r} in {function.name or 'the function'}", position)
                return None
        return self.apply(function, [arguments.get(p) for p in function.parameters], position)

    def apply(self, function: FeelFunction, arguments: list[Any], position: int) -> Any:
        self.tick()
        for i, type_ in enumerate(function.types):
            if type_ is not None:
                weigh(arguments[i], self)
                made = type_.coerce(arguments[i])
                if made is BAD:
                    self.warn("TYPE_MISMATCH", f"argument {function.parameters[i]!r} is no {getattr(type_, 'name', type_)}", position)
                    return None
                arguments[i] = made
        self.deeper(2)
        try:
            return function.inner(self, arguments) if function.inner is not None else convert(function.call(*arguments), self)
        finally:
            self.depth -= 2

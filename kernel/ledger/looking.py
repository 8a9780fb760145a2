"""What an expression of the model sees, and what is expected of its value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowledger.kernel import limits, protection, values
from flowledger.kernel.expressions import Expression, Failure
from flowledger.kernel.ledger.recording import Recording
from flowledger.kernel.model.graph import Process
from flowledger.kernel.state import Instance


class Looking(Recording):
    __slots__ = ()

    def process(self, i: Instance) -> Process:
        return self.facts.processes[i.definition]

    def variables(self, i: Instance, scope: int) -> dict[str, Any]:
        """What an expression in `scope` (a token or the instance) sees; inner names hide outer ones. Not to be changed."""
        self.facts.about = i
        if self.state.protection:
            return protection.opened_values(self, self.kept(i, scope))  # type: ignore[return-value]
        return self.kept(i, scope)

    def kept(self, i: Instance, scope: int) -> dict[str, Any]:
        """The same as it stands in the state: what is protected is sealed. For what goes on to another instance as it is."""
        root = i.key
        layers = []
        while scope != root:
            token = i.tokens.get(scope)
            if token is None:
                break
            if token.vars:
                layers.append(token.vars)
            scope = token.scope
        if not layers:
            return i.vars
        seen = dict(i.vars)
        for layer in reversed(layers):
            seen.update(layer)
        return seen

    def following(self, i: Instance, scope: int, reads: Iterable[str] | None, made: dict[str, Any]) -> dict[str, Any]:
        """What was made of the variables `reads` (None: any), to be set: as protected as they are."""
        return protection.follow(self, i, scope, reads, made) if self.state.protection else made

    def evaluate(self, e: Expression, i: Instance, scope: int) -> Any:
        """The value as FEEL gives it."""
        return e.static if e.compiled is None else e(self.variables(i, scope), self.facts)

    def text(self, e: Expression, i: Instance, scope: int, what: str) -> str:
        """A text that must be there. Raises: Failure EXTRACT_VALUE_ERROR."""
        value = self.evaluate(e, i, scope)
        if isinstance(value, str):
            return value if value.isascii() and len(value) <= limits.NAME_MAX else values.text(value, what, limits.NAME_MAX)
        if value is not None and not isinstance(value, (bool, list, dict)):
            return values.text(str(value), what, limits.NAME_MAX)
        why = f"{what}: expected a text from '{e.text}', found {values.shown(value)}. {self._why(e, i, scope)}"
        raise Failure("EXTRACT_VALUE_ERROR", why.rstrip(". "))

    def _why(self, e: Expression, i: Instance, scope: int) -> str:
        return e.explain(self.variables(i, scope), self.facts)

    def condition(self, e: Expression, i: Instance, scope: int, what: str) -> bool:
        """Raises: Failure CONDITION_NOT_BOOLEAN."""
        value = self.evaluate(e, i, scope)
        if value is True or value is False:
            return value
        why = self._why(e, i, scope)
        raise Failure(
            "CONDITION_NOT_BOOLEAN",
            f"{what}: expected true or false from '{e.text}', found {values.shown(value)}" + (f" ({why})" if why else ""),
        )

    def home_of(self, i: Instance, scope: int, name: str) -> int:
        """The innermost scope from `scope` outwards that has variable `name`; the root when none has."""
        while scope != i.key:
            token = i.tokens.get(scope)
            if token is None:
                break
            if token.vars and name in token.vars:
                return scope
            scope = token.scope
        return i.key

"""Callers that wait for the end of what they began. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from flowledger.events import commands as c
from flowledger.kernel import Partition
from flowledger.kernel.decision import Decision
from flowledger.processors.flight import Reply

#: (key, status, variables, message) of an instance or task that ended
Ended = tuple[int, str, dict[str, Any], str]


class Waiting:
    """By the key that they wait for."""

    __slots__ = ("_by_key",)

    def __init__(self) -> None:
        self._by_key: dict[int, list[tuple[Reply, dict[str, Any], list[str] | None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_key)

    def waits(self, state: Partition, command: Any, made: Decision, reply: Reply) -> bool:
        """Whether the caller of one of `WAITED` that has `wait` is to be answered later. If the end has come already, the answer says so."""
        key = made.answer.get("key") or made.answer.get("task")
        if key in state.instances or key in state.tasks:
            self._by_key.setdefault(key, []).append((reply, made.answer, command.fetch))
            return True
        for ended, status, variables, message in made.finished:
            if ended == key:
                made.answer = {**made.answer, **outcome(status, variables, message, command.fetch)}
        return False

    def ended(self, finished: Iterable[Ended], index: int) -> list[tuple[Reply, dict[str, Any], int]]:
        """Answers for who waited for these; `index`: of the event behind which they may be given."""
        return [
            (reply, {**answer, **outcome(status, variables, message, fetch)}, index)
            for key, status, variables, message in finished
            for reply, answer, fetch in self._by_key.pop(key, ())
        ]

    def all(self) -> Iterator[Reply]:
        return (reply for waiters in self._by_key.values() for reply, _, _ in waiters)


#: commands whose answer can wait for the end of what they began
WAITED = frozenset({c.StartInstance, c.CreateTask})


def outcome(status: str, variables: dict[str, Any], message: str, fetch: list[str] | None) -> dict[str, Any]:
    if fetch:
        variables = {name: variables[name] for name in fetch if name in variables}
    out: dict[str, Any] = {"status": status, "variables": variables}
    if message:
        out["message"] = message
    return out

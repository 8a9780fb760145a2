"""Stand-ins for decisions and called processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

import msgspec

from flowledger.events import commands as c
from flowledger.kernel.feel.values import convert
from flowledger.sdk.flows import Flow
from flowledger.sdk.testing.mocks import as_json


def decision(id: str) -> str:
    """A DMN file with a decision of this id, so that it is found; the mock says what it gives."""
    return (
        f'<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" id={quoteattr(f"{id}.mock")} name={quoteattr(f"{id}.mock")} '
        f'namespace="urn:flowledger:mock"><decision id={quoteattr(id)} name={quoteattr(id)}><variable name={quoteattr(id)}/>'
        "<literalExpression><text>null</text></literalExpression></decision></definitions>"
    )


def job_of(process: str) -> str:
    return f"mock.process.{process}"


def process(id: str) -> Flow:
    """A process that is one job of type `job_of(id)`."""
    return Flow(id).start("start").service("answer", job=job_of(id), retries=1).end("end")


class Evaluation(msgspec.Struct):
    """As of `kernel.dmn`."""

    value: Any
    trace: Any = None
    warnings: list[Any] = []


class DecisionMock:
    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls: list[dict[str, Any]] = []

    def evaluate(self, variables: dict[str, Any]) -> Evaluation:
        seen = dict(variables)
        self.calls.append(seen)
        value = self.answer(seen) if callable(self.answer) else self.answer
        return Evaluation(convert(as_json(value)), {"mocked": True})


class _Unit:
    """A compiled decision model of which some decisions are mocked."""

    def __init__(self, real: Any, mocks: dict[str, DecisionMock]) -> None:
        self._real, self._mocks = real, mocks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def evaluate(self, id: str, variables: dict[str, Any], **options: Any) -> Any:
        mock = self._mocks.get(id)
        return mock.evaluate(variables) if mock is not None else self._real.evaluate(id, variables, **options)


class Decisions(Mapping[int, Any]):
    """`Facts.decisions` with mocks before it."""

    def __init__(self, real: Mapping[int, Any]) -> None:
        self._real = real
        self.mocks: dict[str, DecisionMock] = {}

    def __getitem__(self, key: int) -> Any:
        found = self._real[key]
        return _Unit(found, self.mocks) if self.mocks else found

    def __iter__(self) -> Any:
        return iter(self._real)

    def __len__(self) -> int:
        return len(self._real)

    def missing(self, resources: list[c.Resource], library: Any, state: Any) -> list[str]:
        """Mocked decisions that the resources call in the same deployment but don't define: they get a stand-in there."""
        if not self.mocks or not any("bindingType" in r.content and '"deployment"' in r.content for r in resources):
            return []
        defined: set[str] = set()
        for r in resources:
            graph, _ = library.read(r.name, r.content)
            if graph is not None and graph.format == "dmn":
                defined |= {d.id or d.name for d in graph.decisions.definitions.decisions}
        return [id for id in self.mocks if id not in defined]

"""What models that are tried need and don't bring: what is deployed in the caller's tenant, as their deployment would find it (docs/http-api.md)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from flowledger.api.checking import settled
from flowledger.api.problems import Problem
from flowledger.api.services import Services
from flowledger.events.base import RejectionCode
from flowledger.kernel import limits
from flowledger.kernel.dmn.linking import imports_of
from flowledger.kernel.elements.calls import Call, calls_of
from flowledger.kernel.model import read
from flowledger.kernel.model.encodings import utf8
from flowledger.kernel.model.graph import contents

Row = dict[str, Any]
#: (kind, id, version tag, deployment), as `projections.deployed.Wanted`
Wanted = tuple[str, str, str, int]
#: definitions that are brought, and bytes of their files
BROUGHT_MAX, BYTES_MAX = limits.DMN_MODELS_MAX, limits.DMN_BYTES_MAX


class Lacks(NamedTuple):
    """`together`: (kind, id) of what is bound to the deployment of the models themselves, so it goes with them."""

    wanted: list[Wanted]
    namespaces: list[str]
    together: frozenset[tuple[str, str]]


def lacking(models: Mapping[str, str]) -> Lacks:
    graphs = [graph for graph, _ in (read(utf8(text), name) for name, text in models.items()) if graph is not None]
    here = {(kind, id) for graph in graphs for kind, id, *_ in contents(graph)}
    calls = [call for graph in graphs for call in calls_of(graph) if (call.kind, call.id) not in here]
    drgs = [graph.decisions.definitions for graph in graphs if graph.format == "dmn"]
    spaces = {namespace for one in drgs for namespace in imports_of(one)} - {one.namespace for one in drgs}
    return Lacks(
        [*dict.fromkeys(_wanted(call, 0) for call in calls)],
        sorted(spaces),
        frozenset((call.kind, call.id) for call in calls if call.binding == "deployment"),
    )


def _wanted(call: Call, deployment: int) -> Wanted:
    return (call.kind, call.id, call.tag, deployment if call.binding == "deployment" else 0)


def _below(rows: Sequence[Row]) -> list[Wanted]:
    """What is called by what is deployed."""
    graphs = [(row, read(utf8(row["content"]), row["resource"])[0]) for row in rows if row["kind"] == "process"]
    return [_wanted(call, row["deployment"]) for row, graph in graphs if graph is not None for call in calls_of(graph)]


async def needed(
    s: Services, tenant: str, models: Mapping[str, str], work: Callable[..., Awaitable[Any]]
) -> tuple[list[Row], dict[str, str]]:
    """Definitions (`projections/deployed.py`) that the models need, and files that go with them. `work`: what blocks, beside the loop.

    Raises: Problem (422: they are too many or too large; 503).
    """
    lacks: Lacks = await work(lacking, models)
    found: dict[int, Row] = {}
    asked: set[Wanted] = set()
    wanted, namespaces = lacks.wanted, lacks.namespaces
    if wanted or namespaces:
        await settled(s, tenant)
    while fresh := [one for one in dict.fromkeys(wanted) if one not in asked] or namespaces:
        asked.update(wanted)
        rows = await s.reads.deployed([one for one in fresh if not isinstance(one, str)], namespaces, tenant)
        new = [row for row in rows if row["key"] not in found]
        found |= {row["key"]: row for row in new}
        _bounded(found.values())
        wanted, namespaces = await work(_below, new), []
    return _apart([found[key] for key in sorted(found)], lacks.together)


def _bounded(rows: Iterable[Row]) -> None:
    files = {row["hash"]: len(row["content"].encode()) for row in rows}
    for what, n, most in (
        ("deployed definitions", len([*rows]), BROUGHT_MAX),
        ("bytes of deployed files", sum(files.values()), BYTES_MAX),
    ):
        if n > most:
            raise Problem(RejectionCode.INVALID_ARGUMENT, f"what the models call and import: expected at most {most} {what}, found {n}")


def _apart(rows: list[Row], together: frozenset[tuple[str, str]]) -> tuple[list[Row], dict[str, str]]:
    files = {row["hash"]: (called(row), row["content"]) for row in rows if (row["kind"], row["id"]) in together}
    return [row for row in rows if row["hash"] not in files], dict(files.values())


def called(row: Row) -> str:
    """The name of the file of what is deployed, beside those of a draft."""
    return f"deployed/{row['key']}/{row['resource']}"

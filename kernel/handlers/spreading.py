"""What partition 0 tells the others of definitions, by epochs (docs/decisions/0007)."""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import definition as de
from flowledger.kernel import lookup
from flowledger.kernel.decision import Decision
from flowledger.kernel.state import Definition


def tell_others(d: Decision, definitions: list[dict[str, Any]], rollouts: list[dict[str, Any]] | None = None) -> None:
    """A new epoch begins."""
    meta = d.state.meta
    if (definitions or rollouts) and meta.partitions > 1:
        d.record(de.EpochReached(epoch=meta.definitions + 1))
        for to in range(meta.partitions):
            if to != meta.partition:
                d.send(to, c.DefineElsewhere(definitions=definitions, epoch=meta.definitions, rollouts=rollouts or []))


def told(d: Decision, found: Definition, more: dict[str, Any] | None = None) -> None:
    """`more`: further fields of the event."""
    tell_others(d, [{**lookup.fields(found), "metadata": found.metadata, **(more or {})}])


def family(d: Decision, of: Definition, kind: str) -> list[Definition]:
    """What came of the same file in the same deployment, of a kind."""
    return [x for x in d.state.definitions.values() if x.deployment == of.deployment and x.resource == of.resource and x.kind == kind]


def decisions_of(d: Decision, found: Definition) -> list[Definition]:
    """A requirements graph goes with its decisions."""
    return family(d, found, "decision") if found.kind == "drg" else []

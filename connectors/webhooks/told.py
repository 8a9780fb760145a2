"""Which events a webhook tells, and in which words. Values in and values out."""

from __future__ import annotations

from typing import Any

from flowledger.api import veil
from flowledger.api.edge import OPAQUE, encode, time_text
from flowledger.api.view import event_view
from flowledger.events import wire
from flowledger.events.base import Recorded
from flowledger.kernel.expressions import Expression, Failure, feel_expression
from flowledger.kernel.ledger.facts import Facts
from flowledger.kernel.triggers.samples import masked
from flowledger.kernel.webhooks import record

#: bytes of a body; a larger one goes without its data
BODY_BYTES_MAX = 256 * 1024
#: steps of one look through a filter, about a microsecond each
FILTER_STEPS_MAX = 50_000
#: parts of an event that depend on what its instance runs
_OF_DEFINITION = frozenset({"process", "definition"})

YES, NO, BROKEN = "yes", "no", "broken"


class Wanted:
    """What the record of a webhook asks for."""

    def __init__(self, tenant: str, types: list[str], definitions: list[str], filter: str) -> None:
        self.tenant, self.types, self.definitions = tenant, record.of_types(types), frozenset(definitions)
        self.filter: Expression | None = feel_expression(filter) if filter else None
        #: whether it must be known what each instance runs, whatever it takes to know it
        self.by_definition = bool(definitions) or (self.filter is not None and bool(self.filter.reads & _OF_DEFINITION))

    def of_type(self, r: Recorded) -> bool:
        return r.envelope.tenant == self.tenant and wire.NAMES[type(r.event)] in self.types

    def takes(self, told: dict[str, Any]) -> tuple[str, str]:
        """(YES, NO or BROKEN, why its filter is broken)."""
        if self.definitions and told["process"] not in self.definitions and told["definition"] not in self.definitions:
            return NO, ""
        if self.filter is None:
            return YES, ""
        facts = Facts()
        facts.feel_left = FILTER_STEPS_MAX
        try:
            return (YES if self.filter(told, facts) is True else NO), ""
        except Failure as e:
            return BROKEN, e.message


def told_of(r: Recorded, definition: int, process: str) -> dict[str, Any]:
    """The event as receivers see it; values of fields that are named as secrets are masked. `data` is that of the event stream."""
    seen = event_view(r)
    instance = None if seen["type"].startswith("definition.") else seen["instance"]
    return {
        "type": seen["type"], "timestamp": seen["time"], "id": seen["id"], "tenant": seen["tenant"], "instance": instance,
        "definition": str(definition) if definition else None, "process": process or None, "actor": seen["actor"], "cause": seen["cause"],
        "correlation": seen["correlation"], "data": _data(seen["data"]),
    }  # fmt: skip


def _data(value: Any) -> Any:
    """Callers' own data is masked, not the engine's, whose tokens are no secrets."""
    if isinstance(value, dict):
        return {k: masked(v) if k in OPAQUE else _data(v) for k, v in value.items()}
    return [_data(v) for v in value] if isinstance(value, list) else value


def body_of(told: dict[str, Any]) -> bytes:
    body = veil.masked(encode(told))
    return body if len(body) <= BODY_BYTES_MAX else encode({**told, "data": None, "truncated": True})


def test_body(name: str, at: str, now_us: int) -> bytes:
    return encode({"type": record.TEST, "timestamp": time_text(now_us), "id": at, "data": {"webhook": name}})

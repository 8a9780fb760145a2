"""What a source is. A new kind is a row of `kernel/model/trigger_sources.py`, a module with a `Kind`, and a row of `KINDS` (`catalogue.py`); it has to pass
the contract suite (`tests/triggers/contract.py`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from flowledger.events import avro
from flowledger.events.triggers import TriggerItem
from flowledger.infra.blobs import Blobs
from flowledger.infra.egress import Gate
from flowledger.infra.secrets import Secrets
from flowledger.infra.settings import Settings
from flowledger.kernel import limits
from flowledger.processors.client import Client

#: bytes of the items of one command
COMMAND_BYTES = 2 * 1024 * 1024
#: of an item that is too large or can't be read, so many characters of each text are kept to know it by
KNOWN_CHARS = 200


class Away(Exception):
    """The source can't be read at the moment: it is tried again, and nothing is parked. The text is shown, so it has no secret."""


class Opening(NamedTuple):
    """What a reader starts from. `places`: part of the source -> the place up to which items are taken."""

    tenant: str
    name: str
    config: Mapping[str, Any]
    places: Mapping[str, int]
    client: Client
    settings: Settings
    gate: Gate
    secrets: Secrets
    #: where files are kept; None: nowhere
    blobs: Blobs | None = None


class Got(NamedTuple):
    """Items of one part of a source, in its order, each with its place."""

    part: str
    items: list[TriggerItem]


def begun(opening: Opening) -> bool:
    """Its place was told before: a part without one was empty then, or not there yet, and is read from its first item on."""
    return BEGUN.part in opening.places


def beginning(ends: Mapping[str, int]) -> list[Got]:
    """What a source that is read from now on tells first. `ends`: part -> place of its next item. That it has begun comes last, so that it is true."""
    return [Got(part, [TriggerItem(context={}, place=end - 1, passed=True)]) for part, end in ends.items() if end > 0] + [BEGUN]


BEGUN = Got("", [TriggerItem(context={}, place=0, passed=True)])


class Source(Protocol):
    """One source, open. It remembers nothing for good: what was taken is told in `Opening.places`."""

    def batches(self) -> AsyncIterator[Got]:
        """What comes, for ever; it waits while nothing does. An item that nobody wants is given as `passed`, so that its place is remembered. Raises: Away."""

    async def acknowledge(self, got: Got) -> None:
        """The log has what became of these. Raises: Away."""

    def lag(self) -> int:
        """Items that wait in the source; -1: not known."""

    async def close(self) -> None:
        """Gives back what it holds. May be called while `batches` waits."""


class Kind(Protocol):
    async def __call__(self, opening: Opening) -> Source:
        """Opens it at its places. Raises: Away."""


def fitting(item: TriggerItem) -> tuple[TriggerItem, int]:
    """As it is, with its bytes; one that is too large for the log, or can't be written, as one that can't be read, with what it is known by."""
    try:
        size = len(avro.encode_json(item.context))
        if size <= limits.TRIGGER_ITEM_BYTES_MAX:
            return item, size
        why = f"it has {size} bytes, more than the {limits.TRIGGER_ITEM_BYTES_MAX} that are taken"
    except (ValueError, TypeError, RecursionError) as e:
        why = f"it can't be written as JSON: {type(e).__name__}"
    known: dict[str, Any] = {k: v[:KNOWN_CHARS] for k, v in item.context.items() if isinstance(v, str)}
    known |= {k: v for k, v in item.context.items() if isinstance(v, int)}
    return msgspec.structs.replace(item, context=known, reason=item.reason or why), len(avro.encode_json(known))


def commands(items: list[TriggerItem]) -> list[list[TriggerItem]]:
    """Each as it fits; as many at once as a command has room for."""
    out: list[list[TriggerItem]] = [[]]
    size = 0
    for item, more in map(fitting, items):
        if out[-1] and (len(out[-1]) >= limits.TRIGGER_ITEMS_MAX or size + more > COMMAND_BYTES):
            out.append([])
            size = 0
        out[-1].append(item)
        size += more
    return [c for c in out if c]

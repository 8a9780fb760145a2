"""What an agent has in mind between two answers of the model: a variable of the ad-hoc sub-process, whose long conversation becomes a file of the instance."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec

from flowledger.connectors.frame import Call, Failed
from flowledger.events import avro

#: bytes of a conversation that stay in the variable, and that it may have at all
INLINE_BYTES, BYTES_MAX = 16 * 1024, 8 * 1024 * 1024
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Memory:
    """
    Attributes:
        steps, tokens_in, tokens_out, cost, since: what was used, and when it began (seconds UTC; 0: not yet).
        open: ids of calls whose results are to come, in the model's order -> name of the tool; `told`: what their results are without a tool.
        asked: the id of the call by which a person is asked what the agent isn't sure of; empty: none is.
        seen: results of tools that were read already.
        turns: what was said (`talk.py`).
        file: name of the file that they are kept in, once they are long.
    """

    def __init__(self, raw: dict[str, Any]) -> None:
        self.steps = int(raw.get("steps") or 0)
        self.tokens_in, self.tokens_out = int(raw.get("tokensIn") or 0), int(raw.get("tokensOut") or 0)
        cost = raw.get("cost")
        self.cost: Decimal | None = None if cost is None else Decimal(str(cost))
        self.since = int(raw.get("since") or 0)
        self.open: dict[str, str] = dict(raw.get("open") or {})
        self.told: dict[str, str] = dict(raw.get("told") or {})
        self.asked = str(raw.get("asked") or "")
        self.seen = int(raw.get("seen") or 0)
        self.turns: list[dict[str, Any]] = list(raw.get("turns") or [])
        self.file: dict[str, Any] = dict(raw.get("file") or {})

    async def kept(self, call: Call) -> dict[str, Any]:
        """As a variable. Raises: Failed."""
        found: dict[str, Any] = {
            "steps": self.steps, "tokensIn": self.tokens_in, "tokensOut": self.tokens_out, "cost": self.cost, "since": self.since, "open": self.open,
            "told": self.told, "asked": self.asked, "seen": self.seen,
        }  # fmt: skip
        turns = call.mask.value(self.turns)  # a file is written here and now: nobody looks through it later
        data = _encode(turns)
        if len(data) > BYTES_MAX:
            raise Failed("MEMORY_LIMIT", f"what was said has {len(data)} bytes, more than the {BYTES_MAX} that an agent keeps in mind")
        if len(data) <= INLINE_BYTES or call.keep is None:
            return {**found, "turns": turns}

        async def whole() -> AsyncIterator[bytes]:
            yield data

        name = self.file.get("name") or f"agent-{call.key}.json"
        return {**found, "file": await call.keep(name, "application/json", whole())}


async def recalled(raw: dict[str, Any] | None, call: Call) -> Memory:
    """Raises: Failed."""
    try:
        found = Memory(raw or {})
        if found.file:
            if call.kept is None:
                raise Failed("CONFIGURATION", "nobody keeps files here")
            found.turns = avro.decode_json(await call.kept(str(found.file["sha256"])))
    except (ValueError, TypeError, KeyError, ArithmeticError):
        raise Failed("MEMORY_DAMAGED", "expected agentMemory as the agent itself keeps it: nothing else may write it") from None
    return found

"""What to do with jobs whose worker is gone before it had them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from flowledger.events.commands import ExtendLease
from flowledger.processors.client import Client


async def give_back(client: Client, jobs: Sequence[dict[str, Any]]) -> None:
    """Make leased jobs available again, without counting an attempt: a lease of one millisecond is over at once.

    What can't be given back (refused, or the engine is away) is free when its lease ends.
    """
    await asyncio.gather(*(client.call(ExtendLease(task=job["key"], timeout_ms=1, fence=job.get("fence", 0))) for job in jobs))


async def close_source(client: Client, source: Any) -> None:
    """Close a `JobStream` and give back what it had leased but not yet handed over."""
    await source.close()

    async def rest() -> None:
        async for jobs in source:
            await give_back(client, jobs)

    with suppress(TimeoutError):
        await asyncio.wait_for(rest(), 1.0)

"""What to do with jobs whose worker is gone before it had them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from flowledger.events.commands import ReturnTasks, partition_of_key
from flowledger.processors.client import ENGINE, Client


async def give_back(client: Client, jobs: Sequence[dict[str, Any]]) -> None:
    """Make leased jobs available again, at once and without counting an attempt.

    What can't be given back (refused, or the engine is away) is free when its lease ends.
    """
    by_partition: dict[int, list[dict[str, Any]]] = {}
    for job in jobs:
        by_partition.setdefault(partition_of_key(job["key"]), []).append(job)
    await asyncio.gather(
        *(
            client.call(ReturnTasks(tasks=[j["key"] for j in those], fences=[j.get("fence", 0) for j in those]), ENGINE, partition=p)
            for p, those in by_partition.items()
        )
    )


async def close_source(client: Client, source: Any) -> None:
    """Close a `JobStream` and give back what it had leased but not yet handed over."""
    await source.close()

    async def rest() -> None:
        async for jobs in source:
            await give_back(client, jobs)

    with suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await rest()

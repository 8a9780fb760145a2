"""What to do with jobs whose worker is gone before it had them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from flowledger.events.base import Rejected
from flowledger.events.commands import ExtendLease, MoveTask
from flowledger.processors.client import Client


async def give_back(client: Client, jobs: Sequence[dict[str, Any]], reason: str = "the worker has left") -> None:
    """Make leased jobs available again, without counting an attempt. What can't be given back is free when its lease ends."""
    await asyncio.gather(*(_give_back(client, job["key"], job.get("fence", 0), reason) for job in jobs))


async def _give_back(client: Client, key: int, fence: int, reason: str) -> None:
    answer = await client.call(MoveTask(task=key, move="release", reason=reason, details={"fence": fence} if fence else None))
    if type(answer) is Rejected and answer.code not in ("NOT_FOUND", "STALE"):
        # A lease of one millisecond is over at once, and the job is handed out anew.
        await client.call(ExtendLease(task=key, timeout_ms=1, fence=fence))

"""Somebody who asks a system over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Caller:
    def __init__(self, http: Any, place: Any) -> None:
        self.http, self.place = http, place

    async def ask(self, method: str, path: str, body: Any = None, tenant: str = "", key: str = "", **query: Any) -> tuple[int, Any]:
        headers = {"X-Actor": "ann", "X-Tenant": tenant, **({"Idempotency-Key": key} if key else {})}
        r = await self.http.request(method, f"/v1/{path}", json=body, params=query, headers=headers)
        return r.status_code, r.json()

    async def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        status, told = await self.ask(method, path, body, **more)
        assert status in (200, 201), told
        return told

    async def start(self, process: str, count: int, **more: Any) -> list[str]:
        made = [await self.ok("POST", "instances", {"definition": process, **more}) for _ in range(count)]
        await self.ok("GET", "instances", wait_for=latest(m["position"] for m in made))
        return [m["id"] for m in made]

    async def ended(self, batch: str) -> dict[str, Any]:
        async def look() -> Any:
            row = await self.ok("GET", f"batches/{batch}")
            return row if row["ended_at"] else None

        return await self.place.until(look, 60)

    async def items(self, batch: str, **query: Any) -> list[dict[str, Any]]:
        found, cursor = [], {}
        while True:
            page = await self.ok("GET", f"batches/{batch}/items", **query, **cursor)
            found += page["items"]
            if page["cursor"] is None:
                return found
            cursor = {"cursor": page["cursor"]}


def latest(positions: Iterable[str]) -> str:
    """What `wait_for` takes for all of them: an answer's position is of its own partition, and says nothing of what others have on theirs."""
    top: dict[str, int] = {}
    for each in positions:
        partition, _, offset = each.partition("-")
        top[partition] = max(top.get(partition, 0), int(offset))
    return ",".join(f"{p}-{o}" for p, o in top.items())

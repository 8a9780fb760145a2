"""Learning is work that callers ask for: one at a time of each, a few wait."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
from litestar import Litestar

from flowledger.api import predictions
from flowledger.api.edge import ApiRequest
from flowledger.api.problems import HANDLERS
from flowledger.api.services import Services
from flowledger.processors.client import Caller


class School:
    def __init__(self) -> None:
        self.goes_on, self.at_once, self.most = asyncio.Event(), 0, 0

    async def learn(self, *_: Any) -> dict[str, Any]:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await self.goes_on.wait()
        self.at_once -= 1
        return {"process": "p", "number": 1, "card": {"from_us": 1, "to_us": 2}}


class Reads:
    async def ended(self, *_: Any) -> list[dict[str, Any]]:
        return [{"ended": 200}]


async def test_one_lesson_at_a_time_and_one_of_a_caller():
    school = School()
    s = Services(None, Reads(), None, None)  # type: ignore[arg-type]
    s.learning = school  # type: ignore[assignment]
    s.identify = lambda c: Caller(c.headers["x-actor"], "")
    app = Litestar([predictions.learn_predictions], request_class=ApiRequest, exception_handlers=HANDLERS)
    app.state["services"] = s
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://t") as http:

        async def ask(who: str) -> int:
            return (await http.post("/predictions", json={"process": "p"}, headers={"X-Actor": who})).status_code

        asked = [asyncio.create_task(ask(f"a{n}")) for n in range(5)]
        while s.lessons._by.total() < 5:
            await asyncio.sleep(0.01)
        assert await ask("a0") == 429 and await ask("more") == 429
        school.goes_on.set()
        assert await asyncio.gather(*asked) == [200] * 5 and school.most == 1
        assert await ask("a0") == 200

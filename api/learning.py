"""Models of what becomes of instances are learned in the background: one process at a time, by one node at a time, where enough has ended since the last one.

Each look also holds the model in use against what has ended since it was made; one that has drifted is no longer told, and learned anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from flowledger.analytics.predict import measured
from flowledger.analytics.predict.measured import CASES_MIN, Baseline
from flowledger.analytics.predict.model import Model
from flowledger.api.problems import Problem
from flowledger.api.reads import Reads
from flowledger.infra.learned import Learned
from flowledger.infra.own_tables import AWAY
from flowledger.logs import log

log_ = log("learning")
#: between two looks (seconds)
LOOK_S = 300.0
#: a new model is learned when so many more have ended, or this share of what had by then
MORE_MIN, MORE_SHARE = 100, 0.2
#: models that are kept in memory
KEPT_MAX = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Known = tuple[Model, Baseline]


class Learning:
    """`run` until cancelled; `learn` at once."""

    def __init__(self, reads: Reads, store: Learned, behind_s: Callable[[], float] = lambda: 0.0) -> None:
        self.reads, self.store, self.behind_s = reads, store, behind_s
        self._known: dict[tuple[str, str, int], Known] = {}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                async with self.store.alone() as alone:
                    if alone and self.behind_s() < LOOK_S:
                        await self.look()
            except AWAY as why:  # others tell that the database is away; it is looked at again
                log_.debug("what ended can't be learned from", why=str(why))

    async def look(self) -> int:
        """At all processes of all tenants; how many models were made."""
        made = 0
        for row in await self.reads.ended():
            tenant, process, ended = row["tenant_id"], row["process_id"], row["ended"]
            try:
                made += await self._look(tenant, process, ended)
            except Problem as why:
                log_.warning("a process can't be learned from", process=process, tenant=tenant, why=why.detail)
        return made

    async def _look(self, tenant: str, process: str, ended: int) -> bool:
        if ended < CASES_MIN:
            return False
        models = await self.store.models(tenant, process)
        drifted = False
        if models and (row := await self.store.in_use(tenant, process)) is not None:
            drifted = (await self._watch(tenant, row))["drifted"]
        more = ended - models[0]["ended"] if models else ended
        if more >= max(MORE_MIN, MORE_SHARE * models[0]["ended"] if models else 0) or (drifted and more >= MORE_MIN // 2):
            return await self.learn(tenant, process, "", ended) is not None
        return False

    async def _watch(self, tenant: str, row: dict[str, Any]) -> dict[str, Any]:
        known = await self._read(tenant, row)
        if known is None:  # it has just gone
            return {"drifted": False}
        model, before = known
        after = _EPOCH + timedelta(microseconds=row["card"]["to_us"])
        courses = await self.reads.courses(tenant, row["process"], after)
        found = await asyncio.to_thread(measured.drift, model, before, row["card"], courses)
        await self.store.note(tenant, row["process"], row["number"], found)
        if found["drifted"] and not (row["drift"] or {}).get("drifted"):
            log_.warning("predictions have drifted and are no longer told", process=row["process"], model=row["number"], why=found["why"])
        return found

    async def learn(self, tenant: str, process: str, actor: str, ended: int) -> dict[str, Any] | None:
        """The new model. None: too few have ended."""
        courses = await self.reads.courses(tenant, process)
        found = await asyncio.to_thread(measured.learn, courses)
        if found is None:
            return None
        model, before, card = found
        number = await self.store.keep(tenant, process, actor, ended, card, {"model": model.dump(), "baseline": list(before)})
        log_.info("learned", process=process, tenant=tenant, model=number, cases=card["cases"]["learned"])
        return {"process": process, "number": number, "card": card}

    async def _read(self, tenant: str, row: dict[str, Any]) -> Known | None:
        key = tenant, row["process"], row["number"]
        if (found := self._known.get(key)) is None:
            stored = await self.store.model(*key)
            if stored is None:
                return None
            if len(self._known) >= KEPT_MAX:
                self._known.clear()
            found = self._known[key] = Model.load(stored["model"]), Baseline(*stored["baseline"])
        return found

    async def known(self, tenant: str, process: str) -> tuple[dict[str, Any], Known] | None:
        """The model in use with its row."""
        row = await self.store.in_use(tenant, process)
        found = None if row is None else await self._read(tenant, row)
        return None if row is None or found is None else (row, found)

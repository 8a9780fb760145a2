"""Alerts are looked at: by one process for the rules of each partition, against the roll-ups. What fires and what is over is said to the rule's home,
which knows what fires already: whoever takes over in the middle tells nothing twice.

Nothing is remembered here but the lag of the last hours, of which no roll-up tells.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from flowledger.api.lag import Lag
from flowledger.api.problems import Problem
from flowledger.api.reads import Reads
from flowledger.events import alerts as al
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.alerts import rule as ar
from flowledger.logs import log
from flowledger.processors.client import ENGINE, Caller, Client
from flowledger.projections.alert_figures import SETTLE_US

log_ = log("alerts")

#: between two looks, how long one holds the rules of a partition, and how long a home may take (seconds)
LOOK_S, TTL_S, ASK_S = 5.0, 60.0, 10.0
#: while the rows are so far behind the log nothing is said of figures: they would be too small (seconds)
BEHIND_S = 60.0
#: looks at the lag that are remembered: a week, which is the longest `for`, would be 120,000
LAGS_MAX = 130_000


class Alerting:
    """`run` until cancelled."""

    def __init__(
        self, client: Client, reads: Reads, lag: Lag, node: str, now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        self.client, self.reads, self.lag, self.now_us = client, reads, lag, now_us
        self.node = f"{node}-{os.getpid()}"[:200]
        #: partition -> the number that we look by
        self.watches: dict[int, int] = {}
        #: (when, how far behind)
        self._lags: deque[tuple[int, float]] = deque(maxlen=LAGS_MAX)
        #: what was told of anomalies, by rule: it is of whole steps (hours, minutes), so it is asked once in each
        self._told: dict[tuple[str, str], tuple[tuple[int, int], Sequence[Any]]] = {}

    async def run(self) -> None:
        try:
            while True:
                for partition in range(self.client.partitions):
                    try:
                        await self.look(partition)
                    except Exception as why:  # noqa: BLE001 - the owners or the database are away, which others tell; it is looked at again
                        log_.debug("the alerts of a partition can't be looked at", partition=partition, why=str(why))
                await asyncio.sleep(LOOK_S)
        finally:
            for partition, watch in self.watches.items():
                await self._claim(partition, watch, ttl_ms=0)

    async def _claim(self, partition: int, watch: int, ttl_ms: int = int(TTL_S * 1000), after: list[str] | None = None) -> Any:
        command = al.ClaimAlerts(node=self.node, watch=watch, ttl_ms=ttl_ms, after=after or [])
        return await self.client.call(command, ENGINE, partition=partition, timeout_s=ASK_S)

    async def look(self, partition: int) -> None:
        """Once, at the rules of a partition, if nobody else does."""
        after: list[str] = []
        while True:
            answer = await self._claim(partition, self.watches.get(partition, 0), after=after)
            if isinstance(answer, Rejected):
                if answer.code == RejectionCode.STALE:
                    self.watches.pop(partition, None)
                return
            if not answer["watch"]:
                return
            self.watches[partition] = answer["watch"]
            behind = self.lag.behind_s()
            if not after:
                self._lags.append((self.now_us(), behind))
            for item in answer["items"]:
                await self._rule(partition, answer["watch"], item, behind)
            if not (after := answer["more"]):
                return

    async def _rule(self, partition: int, watch: int, item: dict[str, Any], behind: float) -> None:
        rule = ar.read(item["name"], item["rule"])
        if not rule.enabled:
            return
        now, error = self.now_us(), ""
        seen: list[al.Seen] = []
        try:
            seen = self._lagging(rule, item, behind) if rule.measure == ar.LAG else await self._figures(rule, item, now, behind)
        except Problem as p:
            if p.status == 503:  # the database is away for a moment
                return
            error = p.detail
        if not seen and error == item["error"]:
            return
        command = al.ReportAlert(
            name=item["name"], watch=watch, revision=item["revision"], seen=seen[: al.SEEN_MAX], at_us=now, error=error
        )
        answer = await self.client.call(command, Caller(actor="alerts", tenant=item["tenant"]), partition=partition, timeout_s=ASK_S)
        if isinstance(answer, dict) and (answer["fired"] or answer["resolved"]):
            log_.info("alert", name=item["name"], tenant=item["tenant"], fired=answer["fired"], resolved=answer["resolved"])

    async def _figures(self, rule: ar.Rule, item: dict[str, Any], now: int, behind: float) -> list[al.Seen]:
        """What has changed. Raises: Problem."""
        if behind > BEHIND_S:
            raise Problem(RejectionCode.INVALID_STATE, f"the rows are {behind:.0f} s behind the log: nothing is said of figures")
        out = []
        missing = dict(item["firing"])
        for group, points in await self._points(rule, item, now):
            key = ar.key_of(group)
            missing.pop(key, None)
            firing = key in item["firing"]
            turned = ar.turn(rule, [ar.breach(rule, p.value, p.cases) for p in points], firing)
            if turned != firing:
                out.append(al.Seen(key=key, firing=turned, group=group, value=points[-1].value, cases=points[-1].cases or 0))
        # of a group that isn't there any more nothing happened in the window
        out += [al.Seen(key=key, firing=False, group=group) for key, group in missing.items() if rule.no_data == "ok"]
        return out

    async def _points(self, rule: ar.Rule, item: dict[str, Any], now: int) -> Sequence[Any]:
        name, tenant = item["name"], item["tenant"]
        if rule.measure != ar.ANOMALIES:
            return await self.reads.figures(name, item["rule"], now, tenant)
        step = (item["revision"], (now - SETTLE_US) // rule.step_us * rule.step_us)
        if self._told.get((tenant, name), (None,))[0] != step:
            self._told = {k: v for k, v in self._told.items() if v[0][1] > now - 2 * ar.HOUR_US}
            self._told[tenant, name] = (step, await self.reads.figures(name, item["rule"], now, tenant))
        return self._told[tenant, name][1]

    def _lagging(self, rule: ar.Rule, item: dict[str, Any], behind: float) -> list[al.Seen]:
        firing = "" in item["firing"]
        since = self._lags[-1][0] - (rule.keep_us if firing else rule.for_us)
        looks = [value for us, value in self._lags if us >= since]
        if self._lags[0][0] > since or any(ar.breach(rule, value, None) is firing for value in looks):
            return []
        return [al.Seen(key="", firing=not firing, value=behind)]

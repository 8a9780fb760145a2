"""How much waits in a source whose own protocol doesn't say it: its service of figures is asked beside the reading, once a minute.

A figure is never worth the reading: whatever goes wrong here is told in the log, once until it changes, and the lag is not known meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from typing import Any
from urllib.parse import quote, urlencode

import httpx2

from flowledger.connectors import outcomes
from flowledger.connectors.amqp10 import servicebus
from flowledger.connectors.aws import told
from flowledger.connectors.frame import Failed
from flowledger.connectors.google import service
from flowledger.connectors.sources.frame import Away, Opening
from flowledger.connectors.sources.shared import secret, why
from flowledger.connectors.way import Way
from flowledger.infra.egress_transport import client_of
from flowledger.logs import log

#: how often it is asked, and how long an answer may take (seconds); bytes of one
EVERY_S, PATIENCE_S, ANSWER_BYTES_MAX = 60.0, 15.0, 256 * 1024
AGENT = "flowledger-triggers"
#: Cloud Monitoring has a figure each minute, and tells it up to four minutes later
MONITORING, LOOK_BACK_S = "monitoring.googleapis.com", 600
UNDELIVERED = "pubsub.googleapis.com/subscription/num_undelivered_messages"
#: of the descriptions of queues and subscriptions
_ENTITY_API = "2021-05"
log_ = log("sources")


class Figure(ABC):
    """`waiting`: as last told; -1: not known. `reference`: the secret, which is read anew each time."""

    def __init__(self, opening: Opening, reference: str) -> None:
        self._opening, self._reference = opening, reference
        self._client = client_of(opening.gate)
        self._told = ""
        self.waiting = -1
        self._task = asyncio.create_task(self._run(), name=f"figure of {opening.name}")

    @abstractmethod
    async def _ask(self, way: Way, key: str) -> int:
        """Raises: Failed, and what httpx2 and the gate raise."""

    async def _run(self) -> None:
        while True:
            reason = ""
            try:
                async with asyncio.timeout(PATIENCE_S):
                    key = await secret(self._opening, self._reference)
                    self.waiting = await self._ask(Way(self._opening.gate, self._client, AGENT, ANSWER_BYTES_MAX, PATIENCE_S), key)
            except Away as e:
                reason = str(e)
            except Exception as e:
                if (failure := outcomes.failed(e)) is None:
                    log_.error("a figure of a source can't be had", trigger=self._opening.name, tenant=self._opening.tenant, exc_info=e)
                reason = type(e).__name__ if failure is None else why(failure)
            if reason:
                self.waiting = -1
                if reason != self._told:
                    log_.warning(
                        "how much waits in a source is not known", trigger=self._opening.name, tenant=self._opening.tenant, why=reason
                    )
            self._told = reason
            await asyncio.sleep(EVERY_S)

    async def _get(self, way: Way, url: str, headers: dict[str, str]) -> tuple[httpx2.Response, bytes]:
        return await way.send("GET", way.to(url), headers, None)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        await self._client.aclose()


class Undelivered(Figure):
    """Of a subscription of Pub/Sub: what Cloud Monitoring has of it (`roles/monitoring.viewer`)."""

    def __init__(self, opening: Opening, where: str) -> None:
        config = opening.config
        named = f'metric.type="{UNDELIVERED}" AND resource.labels.subscription_id="{config["subscription"]}"'
        self._where, self._named, self._tokens = f"{where}/v3/projects/{config['project']}/timeSeries", named, service.Tokens()
        super().__init__(opening, config["service_account"])

    async def _ask(self, way: Way, key: str) -> int:
        now = int(time.time())
        span = {"interval.startTime": _time(now - LOOK_BACK_S), "interval.endTime": _time(now)}
        token = self._tokens.of(key, f"https://{MONITORING}/")
        asked = f"{self._where}?{urlencode({'filter': self._named, **span, 'pageSize': 1})}"
        response, found = await self._get(way, asked, {"authorization": f"Bearer {token}", "accept": "application/json"})
        if response.status_code >= 300:
            raise service.refused(response, found)
        return _latest(service.object_of(found, MONITORING))


def _latest(found: dict[str, Any]) -> int:
    """The newest point comes first; none: no figure was made yet."""
    try:
        series = found.get("timeSeries") or []
        return int(series[0]["points"][0]["value"]["int64Value"]) if series else -1
    except (KeyError, IndexError, TypeError, ValueError):
        raise Failed("ANSWER_UNREADABLE", f"expected series of figures from {MONITORING}") from None


def _time(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Active(Figure):
    """Of a queue or a subscription of Service Bus: what its description says (the policy needs the right *Manage*). What is handed out counts."""

    def __init__(self, opening: Opening, where: str, entity: str) -> None:
        self._where, self._entity = where, entity
        super().__init__(opening, opening.config["key"])

    async def _ask(self, way: Way, key: str) -> int:
        config, path = self._opening.config, quote(self._entity, safe="/")
        token = servicebus.token(f"https://{config['namespace']}/{path}", config["key_name"], key, int(time.time()) + servicebus.TOKEN_S)
        headers = {"authorization": token, "accept": "application/xml"}
        response, found = await self._get(way, f"{self._where}/{path}?{urlencode({'api-version': _ENTITY_API})}", headers)
        if response.status_code in (401, 403):
            raise Failed("AUTHENTICATION", "the policy of the key may not tell it: it lacks the right Manage")
        if response.status_code >= 300:
            raise Failed(str(response.status_code), f"the service answered {response.status_code}")
        if not (count := told(found, "ActiveMessageCount")).isdecimal():
            raise Failed("ANSWER_UNREADABLE", "expected the description of a queue or a subscription with its figures")
        return int(count)

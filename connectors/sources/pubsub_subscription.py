"""A subscription of Google Pub/Sub as a source (pull, REST v1): a message is acknowledged once the log has what became of it, and one that comes again is
known by its id, or by the key of the trigger."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from flowledger.connectors import outcomes
from flowledger.connectors.frame import Failed
from flowledger.connectors.google import service
from flowledger.connectors.google.pubsub import HOST
from flowledger.connectors.sources import figures
from flowledger.connectors.sources.frame import BEGUN, Away, Got, Opening, begun
from flowledger.connectors.sources.shared import secret, text, value_of, why
from flowledger.connectors.way import Way
from flowledger.events.triggers import TriggerItem
from flowledger.infra.egress_transport import client_of
from flowledger.kernel.model.trigger_fields import duration_us
from flowledger.logs import log

PART, AGENT = "subscription", "flowledger-triggers"
#: messages of one look; how long a look waits (the service answers before), and any other call; after a look without one (seconds)
MESSAGES_MAX, WAIT_S, PATIENCE_S, REST_S = 100, 100.0, 15.0, 1.0
DEADLINE_S = 60
#: bytes of an answer: the service gives no more than 10 MB at once, in base64
ANSWER_BYTES_MAX = 24 * 1024 * 1024
log_ = log("sources")


async def open_subscription(opening: Opening) -> PubSubSubscription:
    key = await secret(opening, opening.config["service_account"])
    return await PubSubSubscription(opening).start(key)


class PubSubSubscription:
    def __init__(self, opening: Opening) -> None:
        config = opening.config
        self._path = f"/v1/projects/{config['project']}/subscriptions/{config['subscription']}"
        self._endpoint: str | None = config.get("endpoint")
        self._value: str = config.get("value", "json")
        self._name: str = config["subscription"]
        self._deadline_s = duration_us(config["deadline"]) // 1_000_000 if "deadline" in config else DEADLINE_S
        self._begun = begun(opening)
        self._gate, self.client, self._tokens = opening.gate, client_of(opening.gate), service.Tokens()
        #: ids by which what is handed out is acknowledged
        self._held: list[str] = []
        self._keeper: asyncio.Task[None] | None = None
        self._figure: figures.Figure | None = None
        self._opening = opening

    async def start(self, key: str) -> PubSubSubscription:
        """Raises: Away."""
        self._key = key
        try:
            self._tokens.of(key, f"https://{HOST}/")
        except Failed as e:
            await self.client.aclose()
            raise Away(f"Pub/Sub can't be read: {why(e)}") from None
        self._keeper = asyncio.create_task(self._keep(), name=f"deadline of {self._name}")
        where = self._opening.config.get("figures") or ("" if self._endpoint else f"https://{figures.MONITORING}")
        if where:  # an emulator has none
            self._figure = figures.Undelivered(self._opening, where)
        return self

    async def call(self, method: str, seconds: float = PATIENCE_S, **data: Any) -> dict[str, Any]:
        """Raises: Away."""
        try:
            async with asyncio.timeout(seconds):
                way = Way(self._gate, self.client, AGENT, ANSWER_BYTES_MAX, seconds)
                return await service.send(
                    way, self._tokens, service.Request(HOST, self._endpoint, f"{self._path}:{method}", data, self._key)
                )
        except Exception as e:
            if (failure := outcomes.failed(e)) is None:
                raise
            raise Away(f"Pub/Sub can't be read: {why(failure)}") from failure

    async def batches(self) -> AsyncIterator[Got]:
        if not self._begun:
            yield BEGUN
        while True:
            try:
                messages = (await self.call("pull", WAIT_S, maxMessages=MESSAGES_MAX)).get("receivedMessages") or []
                self._held = [str(m["ackId"]) for m in messages]
                items = [self._item(m["message"], int(m.get("deliveryAttempt") or 0)) for m in messages]
            except (KeyError, TypeError, ValueError):
                raise Away("Pub/Sub can't be read: a message of another shape than its description has") from None
            if items:
                # what the subscription says may be shorter than what the log takes
                await self._due_in(self._deadline_s)
                yield Got(PART, items)
            else:
                await asyncio.sleep(REST_S)

    def _item(self, message: dict[str, Any], attempt: int) -> TriggerItem:
        raw = base64.b64decode(message.get("data") or "", validate=True)
        context: dict[str, Any] = {
            "payload": None, "attributes": {str(k): str(v) for k, v in (message.get("attributes") or {}).items()}, "message_id": message.get("messageId"),
            "published": message.get("publishTime"), "ordering_key": message.get("orderingKey"), "attempt": attempt or None, "subscription": self._name,
        }  # fmt: skip
        reason = ""
        try:
            context["payload"] = value_of(raw, self._value) if raw else None
        except (ValueError, RecursionError) as e:  # what it was is kept as text, for a version that takes it so
            context["payload"], reason = text(raw), f"its data can't be read as {self._value}: {str(e)[:200]}"
        return TriggerItem(context=context, key=str(message.get("messageId") or ""), reason=reason)

    async def _keep(self) -> None:
        """What is held is handed to nobody else however long the log takes."""
        while True:
            await asyncio.sleep(self._deadline_s / 3)
            try:
                await self._due_in(self._deadline_s)
            except Away as e:  # it comes again, and is known
                log_.warning("messages of a subscription may come again: their deadline is not moved", subscription=self._name, why=str(e))

    async def _due_in(self, seconds: int) -> None:
        """Raises: Away."""
        if self._held:
            await self.call("modifyAckDeadline", ackIds=list(self._held), ackDeadlineSeconds=seconds)

    async def acknowledge(self, got: Got) -> None:
        if got.part == PART and self._held:
            await self.call("acknowledge", ackIds=self._held)
            self._held = []

    def lag(self) -> int:
        """What its service of figures says, some minutes late; what is handed out counts."""
        return -1 if self._figure is None else self._figure.waiting

    async def close(self) -> None:
        """What is handed out goes back, so that nobody waits for it."""
        if self._figure is not None:
            await self._figure.close()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        with contextlib.suppress(Away):
            await self._due_in(0)
        await self.client.aclose()

"""A queue of SQS as a source. A queue has no places: a message is deleted once the log has what became of it, and one that comes again is known by its
id, or by the key of the trigger. While the log waits, what was handed out is kept out of others' sight."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec

from flowledger.connectors import aws, outcomes
from flowledger.connectors.runner import AGENT
from flowledger.connectors.sources.frame import BEGUN, Away, Got, Opening, begun
from flowledger.connectors.sources.shared import secret, text, value_of, why
from flowledger.connectors.way import Way
from flowledger.events.triggers import TriggerItem
from flowledger.infra.egress_transport import client_of
from flowledger.kernel.model.trigger_fields import duration_us
from flowledger.logs import log

PART = "queue"
#: messages of one look (the service's own most), how long a look waits for one, how often it is asked how many wait, and for an answer (seconds)
MESSAGES_MAX, WAIT_S, ASK_S, PATIENCE_S = 10, 20, 30.0, 15.0
VISIBILITY_S = 60
#: ten messages of the service's largest size, with what JSON adds
ANSWER_BYTES_MAX = 24 * 1024 * 1024
log_ = log("sources")

Message = dict[str, Any]
#: items of one message, none where nobody wants it
Items = Callable[[Message], Awaitable[list[TriggerItem]]]


async def open_queue(opening: Opening) -> SqsQueue:
    queue = await SqsQueue.of(opening)
    kind = opening.config.get("value", "json")

    async def items(message: Message) -> list[TriggerItem]:
        return [item_of(message, queue.name, kind)]

    return await queue.start(items)


async def keys_of(opening: Opening) -> aws.Keys:
    """Raises: Away."""
    config = opening.config
    token = await secret(opening, config["session_token"]) if "session_token" in config else None
    return aws.Keys(config["region"], config["access_key"], await secret(opening, config["secret_key"]), token)


class SqsQueue:
    def __init__(self, opening: Opening, keys: aws.Keys) -> None:
        self.url: str = opening.config["queue"]
        self.name = self.url.rpartition("/")[2]
        self.keys = keys
        self.client = client_of(opening.gate)
        self._gate = opening.gate
        self._visible_s = duration_us(opening.config["visibility"]) // 1_000_000 if "visibility" in opening.config else VISIBILITY_S
        self._begun = begun(opening)
        #: receipts of what is handed out and not deleted yet
        self._held: list[str] = []
        self._lag = -1
        self._keeper: asyncio.Task[None] | None = None

    @classmethod
    async def of(cls, opening: Opening) -> SqsQueue:
        """Raises: Away."""
        return cls(opening, await keys_of(opening))

    async def start(self, items: Items) -> SqsQueue:
        """Raises: Away."""
        self._items = items
        try:
            await self._count()
        except BaseException:
            await self.client.aclose()
            raise
        self._keeper = asyncio.create_task(self._keep(), name=f"visibility of {self.name}")
        return self

    async def call(self, action: str, seconds: float = PATIENCE_S, **more: Any) -> Any:
        """Raises: Away."""
        data = msgspec.json.encode({"QueueUrl": self.url, **more})
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"AmazonSQS.{action}"}
        origin = "/".join(self.url.split("/", 3)[:3])
        found = await self.send(aws.Request("sqs", origin, "POST", "/", {}, headers, data), action, ANSWER_BYTES_MAX, seconds)
        try:
            return msgspec.json.decode(found) if found else {}
        except msgspec.DecodeError:
            raise Away(f"SQS can't be read: {action} answered what is no JSON") from None

    async def send(self, asked: aws.Request, action: str, most: int, seconds: float = PATIENCE_S) -> bytes:
        """Raises: Away (with what failed as its cause)."""
        try:
            async with asyncio.timeout(seconds):
                way = Way(self._gate, self.client, AGENT, most, seconds)
                response, found = await aws.send(way, self.keys, asked)
            if response.status_code >= 300:
                raise aws.refused(action, response, found)
        except Exception as e:
            if (failure := outcomes.failed(e)) is None:
                raise
            raise Away(f"{asked.service.upper()} can't be read: {why(failure)}") from failure
        return found

    async def _count(self) -> None:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = (await self.call("GetQueueAttributes", AttributeNames=names)).get("Attributes") or {}
        self._lag = sum(int(told.get(name) or 0) for name in names)

    async def batches(self) -> AsyncIterator[Got]:
        if not self._begun:
            yield BEGUN
        asked = time.monotonic()
        while True:
            told = await self.call(
                "ReceiveMessage", WAIT_S + PATIENCE_S, MaxNumberOfMessages=MESSAGES_MAX, WaitTimeSeconds=WAIT_S, VisibilityTimeout=self._visible_s,
                AttributeNames=["All"], MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"],
            )  # fmt: skip
            messages = told.get("Messages") or []
            self._held = [m["ReceiptHandle"] for m in messages]
            items = [item for m in messages for item in await self._items(m)]
            if items:
                yield Got(PART, items)
            elif messages:  # nobody wants them
                await self._done()
            if time.monotonic() - asked > ASK_S:
                asked = time.monotonic()
                await self._count()

    async def _keep(self) -> None:
        """What is held stays out of others' sight however long the log takes."""
        while True:
            await asyncio.sleep(self._visible_s / 3)
            try:
                await self._seen_again_after(self._visible_s)
            except Away as e:  # it comes again, and is known
                log_.warning("messages of a queue may come again: they are not kept out of sight", queue=self.name, why=str(e))

    async def _seen_again_after(self, seconds: int) -> None:
        """Raises: Away."""
        if entries := [{"Id": str(i), "ReceiptHandle": r, "VisibilityTimeout": seconds} for i, r in enumerate(self._held)]:
            await self.call("ChangeMessageVisibilityBatch", Entries=entries)

    async def acknowledge(self, got: Got) -> None:
        if got.part == PART:
            await self._done()

    async def _done(self) -> None:
        """Raises: Away."""
        entries = [{"Id": str(i), "ReceiptHandle": r} for i, r in enumerate(self._held)]
        told = await self.call("DeleteMessageBatch", Entries=entries)
        self._lag = max(0, self._lag - len(entries))
        self._held = []
        if left := told.get("Failed"):
            log_.warning("messages were not deleted: they come again, and are known", queue=self.name, why=str(left[0].get("Code"))[:100])

    def lag(self) -> int:
        return self._lag

    async def close(self) -> None:
        """What is handed out goes back to the queue, so that nobody waits for it."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        with contextlib.suppress(Away):  # else it comes back when its time is over
            await self._seen_again_after(0)
        await self.client.aclose()


def item_of(message: Message, queue: str, kind: str) -> TriggerItem:
    raw = str(message.get("Body") or "")
    system = message.get("Attributes") or {}
    context: dict[str, Any] = {
        "payload": None, "attributes": _attributes(message.get("MessageAttributes") or {}), "message_id": message.get("MessageId"), "queue": queue,
        "sent": _number(system.get("SentTimestamp")), "received": _number(system.get("ApproximateReceiveCount")), "group": system.get("MessageGroupId"),
        "deduplication_id": system.get("MessageDeduplicationId"), "sequence": system.get("SequenceNumber"),
    }  # fmt: skip
    reason = ""
    try:
        context["payload"] = value_of(raw.encode(), kind)
    except (ValueError, RecursionError) as e:  # what it was is kept as text, for a version that takes it so
        context["payload"], reason = text(raw.encode()), f"its body can't be read as {kind}: {str(e)[:200]}"
    return TriggerItem(context=context, key=str(message.get("MessageId") or ""), reason=reason)


def _attributes(told: Mapping[str, Any]) -> dict[str, Any]:
    """Those that senders add: texts, bytes as base64."""
    found = {}
    for name, value in told.items():
        raw = value.get("BinaryValue")
        with contextlib.suppress(binascii.Error, ValueError):
            raw = text(base64.b64decode(raw, validate=True)) if raw is not None else None
        found[name] = raw if raw is not None else value.get("StringValue")
    return found


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else None

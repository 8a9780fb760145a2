"""Events of an object store as a source: the notifications of S3, which come by a queue of SQS: straight, by a topic of SNS, or by EventBridge."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_plus

from flowledger.connectors import aws
from flowledger.connectors.frame import Failed
from flowledger.connectors.sources.frame import Away, Opening
from flowledger.connectors.sources.shared import text, value_of
from flowledger.connectors.sources.sqs_queue import Message, SqsQueue
from flowledger.events import avro
from flowledger.events.triggers import TriggerItem
from flowledger.kernel import limits

#: what becomes of objects, by how the names of events begin (Amazon S3, "Event message structure"; EventBridge's detail types)
_KINDS = {
    "ObjectCreated:": "created", "Object Created": "created", "ObjectRemoved:": "deleted", "LifecycleExpiration:": "deleted", "Object Deleted": "deleted",
}  # fmt: skip
#: an envelope in an envelope in an envelope is nobody's
_ENVELOPES = 3


async def open_objects(opening: Opening) -> SqsQueue:
    queue = await SqsQueue.of(opening)
    return await queue.start(Objects(opening, queue).items)


class Objects:
    def __init__(self, opening: Opening, queue: SqsQueue) -> None:
        config = opening.config
        self._queue = queue
        events = config.get("events", "created")
        self._events = {events} if isinstance(events, str) else set(events)
        self._content: str = config.get("content", "none")
        self._storage: str = config.get("storage") or aws.endpoint("s3", config["region"])

    async def items(self, message: Message) -> list[TriggerItem]:
        """Raises: Away."""
        raw = str(message.get("Body") or "")
        try:
            records = _records(raw)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as e:
            reason = f"it is no notification of S3: {type(e).__name__} {e}"[:200]
            return [
                TriggerItem(
                    context={"payload": text(raw.encode()), "queue": self._queue.name}, key=str(message.get("MessageId")), reason=reason
                )
            ]
        found = []
        for context in records:
            if context["event"] not in self._events:
                continue
            reason = ""
            if self._content != "none" and context["event"] == "created":
                reason = await self._read(context)
            found.append(TriggerItem(context=context, key=_key(context), reason=reason))
        return found

    async def _read(self, context: dict[str, Any]) -> str:
        """The object's content to `payload`, or why it can't be used. Raises: Away."""
        path = f"/{quote(context['bucket'], safe=aws.PLAIN)}/{quote(context['key'], safe=aws.PLAIN + '/')}"
        query = {"versionId": context["version"]} if context["version"] else {}
        try:
            raw = await self._queue.send(
                aws.Request("s3", self._storage, "GET", path, query, {}, b""), "get", limits.TRIGGER_ITEM_BYTES_MAX
            )
        except Away as e:
            cause = e.__cause__
            if isinstance(cause, Failed) and not cause.again and cause.code in ("NoSuchKey", "NoSuchVersion", "404", "ANSWER_TOO_LARGE"):
                return f"the object can't be read: {'it is too large' if cause.code == 'ANSWER_TOO_LARGE' else 'it is gone'}"
            raise
        try:
            context["payload"] = value_of(raw, self._content)
        except (ValueError, RecursionError) as e:
            context["payload"] = text(raw)
            return f"its content can't be read as {self._content}: {str(e)[:200]}"
        return ""


def _records(raw: str, depth: int = 0) -> list[dict[str, Any]]:
    """Raises: ValueError, TypeError, KeyError, AttributeError, RecursionError."""
    told = avro.decode_json(raw.encode())
    if told.get("Event") == "s3:TestEvent":  # what the service says when a queue is named to it
        return []
    if "Records" in told:
        return [_of_s3(r) for r in told["Records"]]
    if told.get("Type") == "Notification" and depth < _ENVELOPES:
        return _records(told["Message"], depth + 1)
    if "detail-type" in told:
        return [_of_bridge(told)]
    raise ValueError("expected Records, an envelope of SNS, or an event of EventBridge")


def _kind(name: str) -> str:
    return next((kind for start, kind in _KINDS.items() if name.removeprefix("s3:").startswith(start)), "other")


def _of_s3(record: Mapping[str, Any]) -> dict[str, Any]:
    told, what = record["s3"], record["s3"]["object"]
    return {
        "event": _kind(record["eventName"]), "type": record["eventName"], "time": record.get("eventTime"), "bucket": str(told["bucket"]["name"]),
        "key": unquote_plus(what["key"]), "size": what.get("size"), "etag": what.get("eTag"), "version": what.get("versionId"),
        "sequencer": what.get("sequencer"), "payload": None,
    }  # fmt: skip


def _of_bridge(told: Mapping[str, Any]) -> dict[str, Any]:
    detail, what = told["detail"], told["detail"]["object"]
    return {
        "event": _kind(told["detail-type"]), "type": told["detail-type"], "time": told.get("time"), "bucket": str(detail["bucket"]["name"]),
        "key": str(what["key"]), "size": what.get("size"), "etag": what.get("etag"), "version": what.get("version-id"),
        "sequencer": what.get("sequencer"), "payload": None,
    }  # fmt: skip


def _key(context: Mapping[str, Any]) -> str:
    """The same event told twice, by two messages, is one."""
    names = ("bucket", "key", "type", "version", "sequencer", "time", "etag")
    return hashlib.sha256("\0".join(str(context[n]) for n in names).encode()).hexdigest()

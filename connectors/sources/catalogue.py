"""Which sources are read, and by whom."""

from __future__ import annotations

from flowledger.connectors.sources.folder import open_folder
from flowledger.connectors.sources.frame import Kind, Opening, Source
from flowledger.connectors.sources.own_events import open_events


async def _open_topic(opening: Opening) -> Source:
    from flowledger.connectors.sources.topic import open_topic  # its library is loaded by who needs it

    return await open_topic(opening)


async def _open_changes(opening: Opening) -> Source:
    from flowledger.connectors.sources.changes import open_changes

    return await open_changes(opening)


async def _open_stream(opening: Opening) -> Source:
    from flowledger.connectors.sources.redis_stream import open_stream

    return await open_stream(opening)


async def _open_queue(opening: Opening) -> Source:
    from flowledger.connectors.sources.rabbit_queue import open_queue

    return await open_queue(opening)


async def _open_amqp(opening: Opening) -> Source:
    from flowledger.connectors.sources.amqp_queue import open_queue

    return await open_queue(opening)


async def _open_bus(opening: Opening) -> Source:
    from flowledger.connectors.sources.amqp_queue import open_bus

    return await open_bus(opening)


async def _open_sqs(opening: Opening) -> Source:
    from flowledger.connectors.sources.sqs_queue import open_queue

    return await open_queue(opening)


async def _open_pubsub(opening: Opening) -> Source:
    from flowledger.connectors.sources.pubsub_subscription import open_subscription

    return await open_subscription(opening)


async def _open_objects(opening: Opening) -> Source:
    from flowledger.connectors.sources.objects import open_objects

    return await open_objects(opening)


async def _open_mailbox(opening: Opening) -> Source:
    from flowledger.connectors.sources.mailbox import open_mailbox

    return await open_mailbox(opening)


#: source (`kernel/model/trigger_sources.py`) -> who opens it
KINDS: dict[str, Kind] = {
    "events": open_events, "files": open_folder, "kafka": _open_topic, "postgresql": _open_changes, "redis": _open_stream,
    "rabbitmq": _open_queue, "amqp": _open_amqp, "servicebus": _open_bus, "sqs": _open_sqs, "pubsub": _open_pubsub, "s3": _open_objects, "imap": _open_mailbox,
}  # fmt: skip

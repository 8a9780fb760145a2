"""Sharing out partitions by a consumer group over `commands`, with aiokafka's sticky assignor: least movement.

aiokafka rebalances eagerly (everything is revoked, then assigned anew), but a partition that comes back was never away: only the
difference is told. What a member loses may be taken over in the same moment; the claims on the log keep that safe.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from flowledger.processors.log import Change, LogError

#: A member does not poll here, so it may never be thought idle (the largest that Kafka takes, milliseconds).
FOREVER_MS = 2**31 - 1


class KafkaOwnership(ConsumerRebalanceListener):
    def __init__(self, settings: Mapping[str, Any], topic: str, group: str, member: str, session_s: float) -> None:
        self.held: frozenset[int] = frozenset()
        self._assigned: frozenset[int] | None = None
        self._wake = asyncio.Event()
        self._left = False
        self._topic = topic
        # aiokafka keeps the last assignment on the class, so each member of one process needs a class of its own.
        assignor = type("Sticky", (StickyPartitionAssignor,), {})
        settings = {**settings, "client_id": member or settings.get("client_id")}
        self._consumer = AIOKafkaConsumer(
            group_id=group, enable_auto_commit=False, partition_assignment_strategy=(assignor,), max_poll_interval_ms=FOREVER_MS,
            session_timeout_ms=int(session_s * 1000), heartbeat_interval_ms=int(session_s * 1000 / 4),
            auto_offset_reset="latest", **settings,
        )  # fmt: skip

    async def __aenter__(self) -> KafkaOwnership:
        self._consumer.subscribe([self._topic], listener=self)
        try:
            await self._consumer.start()
        except KafkaError as error:
            await self._consumer.stop()
            raise LogError(f"the group of owners can't be joined: {error!r}") from error
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._left = True
        self._wake.set()
        self.held = frozenset()
        with contextlib.suppress(KafkaError):
            await self._consumer.stop()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Nothing: what is really lost is known when the new assignment comes."""

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        partitions = list(assigned)
        self._consumer.pause(*partitions)  # the commands are read elsewhere
        self._assigned = frozenset(tp.partition for tp in partitions)
        self._wake.set()

    def __aiter__(self) -> AsyncIterator[Change]:
        return self._changes()

    async def _changes(self) -> AsyncIterator[Change]:
        first = True
        while not self._left:
            self._wake.clear()
            now = self._assigned
            if now is not None and (first or now != self.held):
                change = Change(now - self.held, self.held - now, now)
                first, self.held = False, now
                yield change
            else:
                await self._wake.wait()

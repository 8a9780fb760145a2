"""Commands from the topic: read in order, each becomes a pending command or a dead letter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from flowledger.events import avro, requests
from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.logs import log
from flowledger.processors.flight import Dead, Pending, Reply
from flowledger.processors.log import COMMANDS, DEAD_LETTER, Group, Log, LogRecord
from flowledger.processors.ports import Observer
from flowledger.processors.sends import FROM, INSTANCE, SEQ, TOKEN

log_ = log("owner")

encode_request = msgspec.json.Encoder(decimal_format="number").encode
decode_request = msgspec.json.Decoder(c.Request, float_hook=avro._exact).decode


class Intake:
    """Of one partition. `reply_to`: how the caller of a command is answered."""

    def __init__(
        self, log: Log, partition: int, observer: Observer | None, reply_to: Callable[[c.Request], Reply] | None
    ) -> None:  # fmt: skip
        self._log, self._partition, self._observer, self._reply_to = log, partition, observer, reply_to
        #: offsets of commands that failed in the engine itself, alone in their group
        self.poison: set[int] = set()

    async def follow(
        self, source: int, take: Callable[[list[Pending]], Awaitable[None]], note: Callable[[str], None] | None = None
    ) -> None:
        """All behind offset `source`, for ever; `note` is told of those that are gone. Raises: LogError."""
        start, begin = source + 1, await self._log.begin(COMMANDS, self._partition)
        if 0 <= source and start < begin:  # whoever sent them was not answered; what another partition sent comes again
            why = f"commands {start} to {begin - 1} of partition {self._partition} were deleted before they were taken: keep them longer"
            log_.error("commands are gone", partition=self._partition, first=start, last=begin - 1)
            if note is not None:
                note(why)
        start = max(start, begin)
        async for batch in self._log.read(COMMANDS, self._partition, start, follow=True):
            await take([await self._read(record) for record in batch])

    async def _read(self, record: LogRecord) -> Pending:
        origin = number_of(record, FROM)
        if origin < 0 and record.header(FROM) is not None:
            return await self._dead_letter(record, f"header {FROM}: expected the number of a partition")
        request = requests.read(record.value, origin)
        if isinstance(request, requests.Unreadable):
            return await self._dead_letter(record, request.reason)
        if record.offset in self.poison:
            return await self._dead_letter(record, "it failed in the engine itself; its log tells why")
        reply = self._reply_to(request) if request.reply_to and self._reply_to is not None else None
        return Pending(request, reply, record.offset)

    async def _dead_letter(self, record: LogRecord, reason: str) -> Pending:
        """Its place in `commands` is consumed in order."""
        log_.error("dead letter", partition=self._partition, offset=record.offset, reason=reason)
        if self._observer is not None:
            self._observer.dead_letter(reason)
        headers = (("reason", reason.encode("utf-8", "backslashreplace")[:1000]), ("source", b"%d" % record.offset), *record.headers)
        await self._log.append(DEAD_LETTER, self._partition, Group([record.key], [record.value], headers))
        dead = Dead(letter_of(record, reason), requests.tenant_of(record.value))
        return Pending(c.Request(command=dead), None, record.offset)  # type: ignore[arg-type]


def number_of(record: LogRecord, header: str) -> int:
    """-1: it has none that could be."""
    text = record.header(header) or b""
    return int(text) if text.isdigit() and len(text) < 19 else -1


def letter_of(record: LogRecord, reason: str) -> le.DeadLettered:
    """What stands of it on the ledger."""
    sender, seq = number_of(record, FROM), number_of(record, SEQ)
    if not 0 <= sender < requests.PARTITIONS_MAX or seq < 1:  # of a caller, or a confirmation, which comes again
        return le.DeadLettered(source=record.offset, reason=reason, command=record.value, size=len(record.value))
    return le.DeadLettered(
        source=record.offset, reason=reason, command=record.value, size=len(record.value), sender=sender, seq=seq,
        instance=max(0, number_of(record, INSTANCE)), token=max(0, number_of(record, TOKEN)),
    )  # fmt: skip

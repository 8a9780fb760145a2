"""A claim between whose reading and writing the former owner wrote more: on Kafka nothing holds it off."""

from __future__ import annotations

from typing import Any

from flowledger.events import avro
from flowledger.events import group as rules
from flowledger.events import ledger as le
from flowledger.events.base import Envelope
from flowledger.infra.audit import verify_partition
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel import Partition
from flowledger.processors.log import EVENTS, Group
from flowledger.processors.recovery import claim, load


class Late(MemoryLog):
    """Lets somebody else write right before each of our appends, once."""

    before: Any = None

    async def append(self, topic: str, partition: int, group: Group, *, expected_end: int | None = None) -> Any:
        if self.before is not None:
            before, self.before = self.before, None
            await before()
        return await super().append(topic, partition, group, expected_end=expected_end)


async def take(log: MemoryLog, name: str, clock: int) -> tuple[rules.GroupReader, Partition, int]:
    state, reader, position = await load(log, 0)
    position = await claim(log, 0, state, reader, position, name, name, lambda: clock)
    return reader, state, position


async def write(log: MemoryLog, reader: rules.GroupReader, name: str, source: int) -> None:
    values = avro.encode([le.DeadLettered(source=source, reason="x")], Envelope(5, "", "", "", "", ""))
    seal = rules.Seal(reader.place())
    await log.append(EVENTS, 0, Group([b"k"], values, *seal.group([b"k"], values, source, 5), timestamp_ms=5))
    reader.chain, reader.number = seal.chain, seal.number


async def test_what_the_former_owner_wrote_meanwhile_counts_and_its_commands_are_not_done_again():
    store = MemoryStore(1)
    former, late = MemoryLog(store, compares=False), Late(store, compares=False)
    for log in (former, late):
        await log.open()
    owner, _, _ = await take(former, "former", 1)
    await write(former, owner, "former", 3)
    late.before = lambda: write(former, owner, "former", 7)
    new, state, position = await take(late, "new", 2)
    assert (new.epoch, new.owner, new.source, new.void) == (2, "new", 7, 0), "commands up to 7 were consumed by a group that counts"
    assert position == 4
    await write(late, new, "new", 8)
    await write(former, owner, "former", 8)  # a zombie: void
    report = await verify_partition(former, 0)
    assert (report.broken, report.groups, report.void, report.epoch) == ("", 5, 1, 2), report
    again, fresh, _ = await take(former, "third", 3)
    assert again.source == 8 and again.epoch == 3


async def test_a_claim_that_was_not_raced_has_to_fit_the_chain():
    store = MemoryStore(1)
    log = MemoryLog(store, compares=False)
    await log.open()
    owner, _, position = await take(log, "former", 1)
    value = avro.encode([le.PartitionClaimed(epoch=2, owner="forger", chain=2)], Envelope(1, "", "", "", "", ""))[0]
    at = rules.Place(1, "former", b"\x07" * 32, position, number=owner.number, version=2)
    await log.append(EVENTS, 0, Group([b"k"], [value], *rules.claim_headers(at, value, b"k", 2, "forger", position, 1), timestamp_ms=1))
    assert (await verify_partition(log, 0)).broken == f"0-{position}"

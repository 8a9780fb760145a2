"""What a take-over does with a checkpoint that was altered, a log that was cut, and a log of an older release."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.audit import verify_partition
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.kernel import checkpoint as images
from flowledger.processors.engine import Engine
from flowledger.processors.log import EVENTS, STATE, Appended, Group, LogRecord
from flowledger.processors.recovery import RecordsMissing, counted, load
from flowledger.processors.settings import Settings

pytestmark = pytest.mark.req("APG-CMP-001")
V1 = Path(__file__).parent / "samples" / "chain_v1.jsonl"


async def running(store: MemoryStore) -> Engine:
    engine = Engine(MemoryLog(store), partitions=1)
    await asyncio.wait_for(engine.start(), 10)
    return engine


async def tasks(engine: Engine, name: str, count: int = 5) -> None:
    for i in range(count):
        answer = await engine.call(c.CreateTask(job_type="w", variables={"amount": 100 + i}), id=f"{name}{i}")
        assert isinstance(answer, dict), answer


@pytest.fixture
async def store() -> MemoryStore:
    """Two checkpoints, what one of them does not say again, and a tail."""
    store = MemoryStore(1)
    engine = await running(store)
    await tasks(engine, "a")
    await engine.owners[0].checkpoint()
    await tasks(engine, "b")
    await engine.owners[0].checkpoint()
    await tasks(engine, "tail", 2)
    kept, stream = dict(latest(store)), store.stream(STATE, 0)
    await engine.stop()
    stream.latest.clear()
    stream.latest.update(kept)  # as if it had been killed: stopping writes a checkpoint
    return store


def latest(store: MemoryStore) -> dict[bytes, LogRecord]:
    return store.stream(STATE, 0).latest


def flip(record: LogRecord, byte: int, bit: int = 0) -> LogRecord:
    value = bytearray(record.value)
    value[byte % len(value)] ^= 1 << bit
    return msgspec.structs.replace(record, value=bytes(value))


async def test_checkpoints_stand_on_those_before_them(store):
    """Of the first one only the records are left, its mark is replaced: the second says only what changed."""
    state, reader, position = await load(MemoryLog(store), 0, standing := images.Standing())
    assert position > 0 and len(state.tasks) == 10 and not standing.stale
    assert standing.digests.keys() == latest(store).keys() - {images.MARK}
    assert images.decode_state(latest(store)[images.MARK].value, images.Mark).digest == standing.digest()


async def damaged(store: MemoryStore) -> tuple[int, list[str]]:
    engine = await running(store)
    health, owner = engine.health(), engine.owners[0]
    assert health["ready"], health
    amounts = sorted(t.vars["amount"] for t in owner.state.tasks.values() if t.vars)
    assert amounts == sorted([100, 101, 102, 103, 104] * 2 + [100, 101])
    await tasks(engine, "more", 1)
    await owner.checkpoint()
    await engine.stop()
    assert (await verify_partition(MemoryLog(store), 0)).findings == [], "the next checkpoint is whole, and the chain goes on"
    return len(owner.state.tasks), health["warnings"]


@pytest.mark.parametrize("byte", [0, 3, 11, 40, 77, -1])
@pytest.mark.parametrize("key", ["mark", "task", "answer"])
async def test_a_flipped_byte_of_a_checkpoint_is_found_and_the_log_is_folded_anew(store, key, byte):
    name = images.MARK if key == "mark" else next(k for k in latest(store) if k.startswith(key.encode()))
    latest(store)[name] = flip(latest(store)[name], byte)
    count, warnings = await damaged(store)
    assert count == 13 and warnings and "altered" in warnings[0] and "folded anew" in warnings[0], warnings


@pytest.mark.parametrize(
    "harm",
    [
        lambda x: x.pop(next(k for k in x if k.startswith(b"task"))),
        lambda x: x.update({b"task:999": msgspec.structs.replace(next(iter(x.values())), key=b"task:999")}),
        lambda x: x.update({k: msgspec.structs.replace(r, headers=tuple((n, b"x" if n == "epoch" else v) for n, v in r.headers)) for k, r in x.items()}),
        lambda x: x.update({images.MARK: msgspec.structs.replace(x[images.MARK], value=b"[]")}),
    ],
    ids=["a record is gone", "a record is added", "headers", "no mark at all"],
)  # fmt: skip
async def test_whatever_else_does_not_fit_is_found_too(store, harm):
    harm(latest(store))
    _, warnings = await damaged(store)
    assert warnings and "folded anew" in warnings[0], warnings
    state, _, position = await load(MemoryLog(store), 0)
    assert position and len(state.tasks) == 13, "what was added is gone with the next checkpoint"


async def test_a_mark_that_fits_itself_but_not_the_log_is_folded_anew(store):
    stream = store.stream(STATE, 0)
    mark = images.decode_state(stream.latest[images.MARK].value, images.Mark)
    value = images.encode_state(msgspec.structs.replace(mark, chain=b"\x01" * 32))
    headers = tuple((n, images.digest_of(images.MARK, value) if n == images.DIGEST else v) for n, v in stream.latest[images.MARK].headers)
    stream.latest[images.MARK] = msgspec.structs.replace(stream.latest[images.MARK], value=value, headers=headers)
    _, warnings = await damaged(store)
    assert "does not go with the log" in warnings[0], warnings
    assert (await verify_partition(MemoryLog(store), 0)).findings == []


async def refused(store: MemoryStore) -> str:
    engine = Engine(MemoryLog(store), partitions=1)
    starting = asyncio.ensure_future(engine.start())
    for _ in range(200):
        await asyncio.sleep(0.01)
        if engine.owners and "stopped" in engine.owners[0].reason:
            break
    health = engine.health()
    assert not health["ready"], health
    answer = await engine.call(c.CreateTask(job_type="w"), id="x", timeout_s=0.2)
    assert isinstance(answer, Rejected)
    starting.cancel()
    await engine.stop()
    assert store.stream(EVENTS, 0).end == store.stream(EVENTS, 0).end
    return health["reasons"][0]


@pytest.mark.parametrize("checkpoint", ["none", "damaged"])
async def test_a_trimmed_log_without_a_whole_checkpoint_is_not_served_and_says_what_is_missing(store, checkpoint):
    await MemoryLog(store).trim(EVENTS, 0, 4)
    if checkpoint == "none":
        latest(store).clear()
    else:
        latest(store).popitem()
    why = await refused(store)
    assert "events 0-0 to 0-3 are gone" in why and "restore" in why, why


async def test_a_trimmed_log_with_its_checkpoint_is_served(store):
    end = images.decode_state(latest(store)[images.MARK].value, images.Mark).end
    await MemoryLog(store).trim(EVENTS, 0, end)
    engine = await running(store)
    assert engine.health()["ready"] and len(engine.owners[0].state.tasks) == 12
    await engine.stop()
    with pytest.raises(RecordsMissing, match="0-0 to"):
        async for _ in counted(MemoryLog(store), 0):
            pass
    assert sum([len(b) async for b in counted(MemoryLog(store), 0, end)]) > 0, "who has read as far goes on, also behind the checkpoint"


async def test_a_log_that_lost_its_tail_is_not_served(store):
    end = images.decode_state(latest(store)[images.MARK].value, images.Mark).end
    stream = store.stream(EVENTS, 0)
    del stream.records[end - 3 :]
    stream.end = end - 3
    why = await refused(store)
    assert f"stands at {end}" in why and f"end at {end - 3}" in why, why


async def test_a_log_whose_beginning_was_cut_off_and_renumbered_is_not_served(store):
    latest(store).clear()
    stream = store.stream(EVENTS, 0)
    stream.records[:] = [msgspec.structs.replace(r, offset=i) for i, r in enumerate(stream.records[1:])]
    stream.end = len(stream.records)
    assert "the beginning is missing" in await refused(store)


async def test_a_record_that_cant_be_read_is_named(store):
    latest(store).clear()
    stream = store.stream(EVENTS, 0)
    stream.records[5] = msgspec.structs.replace(stream.records[5], headers=())
    why = await refused(store)
    assert "0-5" in why and "audit verify" in why, why


def v1() -> MemoryStore:
    """A log as the release before wrote it: its chain covers values only, its checkpoint has no digests."""
    store = MemoryStore(1)
    for line in V1.read_text().splitlines():
        r: dict[str, Any] = json.loads(line)
        headers = tuple((n, base64.b64decode(v)) for n, v in r["headers"])
        record = LogRecord(r["offset"], base64.b64decode(r["key"]), base64.b64decode(r["value"]), headers, r["timestamp_us"])
        stream = store.stream(r["topic"], 0)
        if r["topic"] == STATE:
            assert record.key is not None
            stream.latest[record.key] = record
        else:
            stream.records.append(record)
        stream.end = r["offset"] + 1
    return store


async def test_a_log_of_before_is_verified_served_and_goes_on_under_the_new_chain():
    store = v1()
    before = await verify_partition(MemoryLog(store), 0)
    assert before.findings == [] and before.older == before.events == 14 and before.claims == 2, before
    engine = await running(store)
    assert len(engine.owners[0].state.tasks) == 6
    assert any("older release" in w for w in engine.health()["warnings"])
    await tasks(engine, "new", 2)
    await engine.owners[0].checkpoint()
    await engine.stop()
    after = await verify_partition(MemoryLog(store), 0)
    assert after.findings == [] and after.older == 14 and after.events > 16 and after.number == after.groups, after
    assert (await load(MemoryLog(store), 0))[2] > 14
    records = store.stream(EVENTS, 0).records
    for i, code in (
        (-1, "CHAIN_BROKEN"),
        (3, ""),
    ):  # keys: under the new chain they are held, under the old one not, and the report says so
        kept = records[i]
        records[i] = msgspec.structs.replace(kept, key=b"another")
        assert [f.code for f in (await verify_partition(MemoryLog(store), 0)).findings] == ([code] if code else [])
        records[i] = kept
    records[3] = flip(records[3], 20)
    assert [f.code for f in (await verify_partition(MemoryLog(store), 0)).findings] == ["CHAIN_BROKEN"]


class Uncompacted(MemoryLog):
    """What was ever written to `state` stands there, as on Kafka until its cleaner comes."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.written: list[LogRecord] = []

    async def append(self, topic: str, partition: int, group: Group, *, expected_end: int | None = None) -> Appended:
        done = await super().append(topic, partition, group, expected_end=expected_end)
        if topic == STATE:
            self.written += [
                LogRecord(done.first + i, k, v or b"", group.headers_of(i), 0)
                for i, (k, v) in enumerate(zip(group.keys, group.values, strict=True))
            ]
        return done

    async def begin(self, topic: str, partition: int) -> int:
        return 0 if topic == STATE else await super().begin(topic, partition)

    async def read(self, topic: str, partition: int, start: int, stop: int | None = None, **how: Any) -> AsyncIterator[list[LogRecord]]:
        if topic == STATE:
            yield self.written
        else:
            async for batch in super().read(topic, partition, start, stop, **how):
                yield batch


async def uncompacted(store: MemoryStore, *names: str) -> Uncompacted:
    """A checkpoint behind the tasks of each name, by one owner each."""
    log = Uncompacted(store)
    for name in names:
        engine = Engine(log, partitions=1)
        await asyncio.wait_for(engine.start(), 10)
        await tasks(engine, f"{name}1", 2)
        await engine.owners[0].checkpoint()
        await tasks(engine, f"{name}2", 2)
        await engine.owners[0].checkpoint()
        await engine.kill()
        log._closed = False
    return log


async def test_of_the_checkpoints_of_one_owner_the_last_counts_also_before_the_cleaner_came():
    log = await uncompacted(MemoryStore(1), "a")
    notes: list[str] = []
    state, _, position = await load(log, 0, None, notes.append)
    assert len(state.tasks) == 4 and position == await log.end(EVENTS, 0) and notes == []


async def test_what_a_fenced_owner_writes_late_is_passed_over():
    log = await uncompacted(MemoryStore(1), "a", "b")
    marks = [i for i, r in enumerate(log.written) if r.key == images.MARK]
    assert len(marks) == 4
    log.written += [msgspec.structs.replace(r, offset=r.offset + 1_000) for r in log.written[: marks[1] + 1]]
    notes: list[str] = []
    state, reader, position = await load(log, 0, standing := images.Standing(), notes.append)
    assert (len(state.tasks), reader.epoch, position) == (8, 2, await log.end(EVENTS, 0)) and notes == [] and not standing.stale


@pytest.mark.parametrize("records", [1, 3])
async def test_a_checkpoint_that_was_cut_short_is_passed_over(records):
    log = await uncompacted(MemoryStore(1), "a")
    [first, second] = [i for i, r in enumerate(log.written) if r.key == images.MARK]
    end = images.decode_state(log.written[first].value, images.Mark).end
    del log.written[first + 1 + records :]
    notes: list[str] = []
    state, _, position = await load(log, 0, standing := images.Standing(), notes.append)
    assert (len(state.tasks), position, notes) == (2, end, []) and second
    assert len(standing.digests) > len(state.tasks), "what was cut short stands there too: the next checkpoint sees to it"


async def test_a_checkpoint_of_a_release_before_counts_its_records():
    """Such a mark has no digest: on a log that is trimmed the number of records is all there is."""
    store = v1()
    end = images.decode_state(latest(store)[images.MARK].value, images.Mark).end
    await MemoryLog(store).trim(EVENTS, 0, end)
    assert (await load(MemoryLog(store), 0))[2] == end
    latest(store).pop(next(k for k in latest(store) if k.startswith(b"task")))
    with pytest.raises(RecordsMissing, match="records stand, its mark says"):
        await load(MemoryLog(store), 0)


@pytest.mark.parametrize("byte", [6, 20, -1])
async def test_a_flipped_byte_of_the_log_is_not_served(store, byte):
    stream = store.stream(EVENTS, 0)
    stream.records[-1] = flip(stream.records[-1], byte)
    why = await refused(store)
    assert "audit verify" in why, why


def without_tail(store: MemoryStore) -> None:
    """The log ends where its checkpoint stands."""
    stream = store.stream(EVENTS, 0)
    stream.end = images.decode_state(latest(store)[images.MARK].value, images.Mark).end
    del stream.records[stream.end :]


def forge(record: LogRecord, value: bytes) -> LogRecord:
    """Another value with the digest that goes with it."""
    assert record.key is not None
    digest = images.digest_of(record.key, value)
    return msgspec.structs.replace(record, value=value, headers=tuple((n, digest if n == images.DIGEST else v) for n, v in record.headers))


async def test_a_mark_of_another_chain_is_found_also_when_nothing_stands_behind_it(store):
    """Else the next claim would go on from a chain value that the log has not got."""
    without_tail(store)
    mark = images.decode_state(latest(store)[images.MARK].value, images.Mark)
    latest(store)[images.MARK] = forge(latest(store)[images.MARK], images.encode_state(msgspec.structs.replace(mark, chain=b"\x01" * 32)))
    engine = await running(store)
    assert any("does not go with the log" in w for w in engine.health()["warnings"])
    await engine.stop()
    assert (await verify_partition(MemoryLog(store), 0)).findings == []


async def test_a_record_that_is_whole_in_itself_but_not_the_one_of_the_checkpoint_is_found(store):
    """As an older one of the same key, which a late writer put in the place of the newest."""
    key = next(k for k in latest(store) if k.startswith(b"task"))
    latest(store)[key] = forge(latest(store)[key], latest(store)[key].value.replace(b"100", b"999"))
    notes: list[str] = []
    state, _, position = await load(MemoryLog(store), 0, None, notes.append)
    assert position == 0 and not state.tasks and "its digest is another" in notes[0]


async def test_what_lies_between_the_checkpoint_and_the_oldest_record_is_missed(store):
    end = images.decode_state(latest(store)[images.MARK].value, images.Mark).end
    await MemoryLog(store).trim(EVENTS, 0, end + 2)
    with pytest.raises(RecordsMissing, match=f"it stands at {end}, but the log begins at {end + 2}"):
        await load(MemoryLog(store), 0)


async def test_a_reader_that_was_further_than_the_log_is_told(store):
    """The checkpoint stands where the log ends no more: who would start from there has to hear of it."""
    end = images.decode_state(latest(store)[images.MARK].value, images.Mark).end
    stream = store.stream(EVENTS, 0)
    del stream.records[end - 3 :]
    stream.end = end - 3
    with pytest.raises(RecordsMissing, match=f"was read up to {end}, but ends at {end - 3}"):
        async for _ in counted(MemoryLog(store), 0, end):
            pass


async def test_without_snapshots_nothing_is_written_for_the_next_owner_and_it_folds_all():
    store = MemoryStore(1)
    for name in ("a", "b"):
        engine = Engine(MemoryLog(store), partitions=1, settings=Settings(snapshots=False, checkpoint_changes=2))
        await asyncio.wait_for(engine.start(), 10)
        await tasks(engine, name)
        [owner] = engine.owners.values()
        assert len(owner.machine.state.changed) <= 2 + len("ab"), "what changed is not kept for a checkpoint that never comes"
        await engine.stop()
    assert not latest(store)
    engine = await running(store)  # one that writes them again
    assert len(engine.owners[0].state.tasks) == 10
    await engine.stop()
    assert latest(store)

"""What goes wrong below a log: lost answers, a full disk, a locked file, a broker that stalls, dies and comes back."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaProducer

from flowledger.infra.kafka_writing import KafkaWriting
from flowledger.infra.log_kafka import KafkaLog
from flowledger.infra.log_memory import LATE, LOST, UNACKNOWLEDGED, MemoryLog, MemoryStore
from flowledger.infra.log_sqlite import SqliteLog
from flowledger.processors.log import EVENTS, Appended, Conflict, Doubt, Group, Log, LogClosed, LogError


def values(*texts: bytes) -> Group:
    return Group([b"k"] * len(texts), list(texts))


async def read(log: Log, partition: int = 0) -> list[bytes]:
    return [r.value async for batch in log.read(EVENTS, partition, 0) for r in batch]


async def doubt_then_reopen(log: Log, *, expected_end: int) -> None:
    """After a doubt nothing checked goes out until the log is read and the writer reopened."""
    with pytest.raises(Doubt):
        log.submit(EVENTS, 0, values(b"too early"), expected_end=expected_end)
    await log.reopen(EVENTS, 0)
    end = await log.end(EVENTS, 0)
    assert (await log.append(EVENTS, 0, values(b"again"), expected_end=end)).alone(end)


@pytest.mark.parametrize(("fault", "before", "after"), [(LOST, [], []), (UNACKNOWLEDGED, [b"a"], []), (LATE, [], [b"a"])])
async def test_memory_loses_groups_and_answers(fault: str, before: list[bytes], after: list[bytes]):
    faults = iter([fault])
    log = MemoryLog(MemoryStore(), fault=lambda *_: next(faults, ""))
    first = log.submit(EVENTS, 0, values(b"a"), expected_end=0)
    behind = log.submit(EVENTS, 0, values(b"b"), expected_end=1)
    told = await asyncio.gather(first, behind, return_exceptions=True)
    assert [type(t) for t in told] == [Doubt, Doubt]
    await doubt_then_reopen(log, expected_end=2)
    log.store.release()
    assert await read(log) == [*before, b"again", *after]


async def test_memory_crash_leaves_half_a_group_like_kafka():
    store = MemoryStore()
    log = MemoryLog(store, compares=False, batch_records=2, manual=True)
    log.submit(EVENTS, 0, values(b"1", b"2", b"3", b"4", b"5"), expected_end=0)
    assert log.step() and log.step()
    log.crash()
    assert not log.step() and await read(MemoryLog(store)) == [b"1", b"2", b"3", b"4"]
    with pytest.raises(LogClosed):
        log.submit(EVENTS, 0, values(b"late"))


async def test_memory_interleaves_writers_like_kafka():
    store = MemoryStore()
    one, two = (MemoryLog(store, compares=False, batch_records=1, manual=True) for _ in range(2))
    answers = [log.submit(EVENTS, 0, values(name + b"1", name + b"2"), expected_end=0) for log, name in ((one, b"a"), (two, b"b"))]
    for log in (one, two, one, two):
        log.step()
    a, b = await asyncio.gather(*answers)
    assert (a, b) == ((0, 3, 2), (1, 4, 2)) and not a.alone(0), "the first offset fits, but somebody wrote in between"
    assert await read(one) == [b"a1", b"b1", b"a2", b"b2"]


# -- SQLite -----------------------------------------------------------------------------------------------------------------------------


async def test_sqlite_locked_by_another_program(tmp_path: Path):
    log = SqliteLog(tmp_path / "log.db", busy_s=0.2)
    await log.open()
    await log.create_topics(1)
    other = sqlite3.connect(log.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Doubt, match="locked"):
        await log.append(EVENTS, 0, values(b"a"), expected_end=0)
    other.execute("ROLLBACK")
    other.close()
    await doubt_then_reopen(log, expected_end=0)
    assert await read(log) == [b"again"]
    await log.close()


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another Python process with the names that these tests use."""
    head = "import asyncio, sys\nfrom flowledger.infra.log_sqlite import SqliteLog\nfrom flowledger.processors.log import *\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(code), *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )  # fmt: skip


async def lines(process: subprocess.Popen[str]) -> list[str]:
    out, _ = await asyncio.to_thread(process.communicate, None, 60)
    assert process.returncode == 0, out
    return out.split("\n")[:-1]


async def test_sqlite_on_a_full_disk_says_doubt_and_goes_on_when_there_is_room(tmp_path: Path):
    said = await lines(child("""
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        async def main():
            log = SqliteLog(sys.argv[1]); await log.open(); await log.create_topics(1)
            end = (await log.append(EVENTS, 0, Group([b"k"], [b"first"]), expected_end=0)).end
            resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
            try:
                while True:
                    end = (await log.append(EVENTS, 0, Group([b"k"], [b"x" * 50_000]), expected_end=end)).end
            except Doubt as doubt:
                print(type(doubt).__name__, end)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            await log.reopen(EVENTS, 0)
            found = await log.end(EVENTS, 0)
            print(found, (await log.append(EVENTS, 0, Group([b"k"], [b"room"]), expected_end=found)).first)
            await log.close()
        asyncio.run(main())
        """, tmp_path / "log.db"))  # fmt: skip
    assert said[0].split()[0] == "Doubt"
    end = said[0].split()[1]
    assert said[1] == f"{end} {end}", "what was acknowledged is there, what was in doubt is not"


WRITER = """
    async def main():
        log = SqliteLog(sys.argv[1]); await log.open()
        done, size = 0, 7
        while done < int(sys.argv[2]):
            end = await log.end(EVENTS, 0)
            try:
                await log.append(EVENTS, 0, Group([sys.argv[3].encode()] * size, [b"%d" % i for i in range(size)]), expected_end=end)
                done += 1
            except Conflict:
                await log.reopen(EVENTS, 0)
        print(done)
        await log.close()
    asyncio.run(main())
"""


async def test_sqlite_two_processes_never_write_into_each_other(tmp_path: Path):
    log = SqliteLog(tmp_path / "log.db")
    await log.open()
    await log.create_topics(1)
    writers = [child(WRITER, log.path, 100, name) for name in ("a", "b")]
    seen: list[bytes] = []
    async for batch in log.read(EVENTS, 0, 0, 2 * 100 * 7, follow=True):
        seen += [r.key + r.value for r in batch]
    assert [await lines(w) for w in writers] == [["100"], ["100"]]
    groups = [seen[i : i + 7] for i in range(0, len(seen), 7)]
    assert len(seen) == 1400 and all(g in ([b"a%d" % i for i in range(7)], [b"b%d" % i for i in range(7)]) for g in groups)
    await log.close()


async def test_sqlite_a_killed_process_leaves_whole_groups_only(tmp_path: Path):
    log = SqliteLog(tmp_path / "log.db")
    await log.open()
    await log.create_topics(1)
    writer = child(WRITER, log.path, 1_000_000, "a")
    async for batch in log.read(EVENTS, 0, 0, follow=True):
        if batch[-1].offset > 200:
            writer.kill()
            break
    await asyncio.to_thread(writer.wait)
    end = await log.end(EVENTS, 0)
    assert end % 7 == 0 and [int(v) for v in await read(log)] == list(range(7)) * (end // 7)
    assert (await log.append(EVENTS, 0, values(b"next"), expected_end=end)).first == end
    await log.close()


async def test_sqlite_is_read_beside_a_running_server_and_after_it(tmp_path: Path):
    server, auditor = SqliteLog(tmp_path / "log.db"), SqliteLog(tmp_path / "log.db", readonly=True)
    with pytest.raises(LogError, match="no log at"):
        await auditor.open()
    await server.open()
    await server.create_topics(1)
    await server.append(EVENTS, 0, values(b"a"))
    await auditor.open()
    assert auditor.partitions == 1 and await read(auditor) == [b"a"]
    with pytest.raises(LogClosed, match="reading only"):
        auditor.submit(EVENTS, 0, values(b"b"))
    await server.append(EVENTS, 0, values(b"c"))
    assert await read(auditor) == [b"a", b"c"]
    await auditor.close()
    await server.close()
    await auditor.open()
    assert await read(auditor) == [b"a", b"c"]
    await auditor.close()


async def test_sqlite_refuses_a_file_of_another_format(tmp_path: Path):
    log = SqliteLog(tmp_path / "log.db")
    await log.open()
    await log.close()
    db = sqlite3.connect(log.path)
    db.execute("UPDATE meta SET value = 99")
    db.commit()
    db.close()
    with pytest.raises(LogError, match="format 99"):
        await log.open()


# -- Kafka ------------------------------------------------------------------------------------------------------------------------------


async def test_kafka_stalls_dies_and_comes_back(own_broker):
    """One broker for the whole story: it takes seconds to start."""
    address = own_broker.address
    log, other = KafkaLog(address, timeout_s=1.0), KafkaLog(address, timeout_s=20.0)
    await log.open()
    await log.create_topics(2)
    await other.open()
    assert (await log.append(EVENTS, 0, values(b"a"), expected_end=0)).alone(0)

    own_broker.pause()  # a stalled network: connections stay, answers don't come
    futures = [log.submit(EVENTS, 0, values(b"in doubt"), expected_end=1), log.submit(EVENTS, 0, values(b"behind"), expected_end=2)]
    patient = other.submit(EVENTS, 1, values(b"patient"), expected_end=0)
    told = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(t) for t in told] == [Doubt, Doubt]
    own_broker.resume()
    assert (await patient).alone(0), "one that has more patience is not harmed"
    await doubt_then_reopen(log, expected_end=3)
    found = await read(log)
    assert [v for v in found if v != b"again"] in ([b"a"], [b"a", b"in doubt"], [b"a", b"in doubt", b"behind"]), found

    # A crash and restart under load: aiokafka sends again, the broker drops what it has.
    written, end = [], 1
    seen: list[bytes] = []

    async def follow() -> None:
        async for batch in other.read(EVENTS, 1, 0, 61, follow=True):
            seen.extend(r.value for r in batch)

    follower = asyncio.create_task(follow())
    async with asyncio.timeout(60):
        while not seen:  # it is connected before the broker dies
            await asyncio.sleep(0.01)
    for i in range(60):
        if i == 20:
            own_broker.kill()
        if i == 40:
            await asyncio.to_thread(own_broker.up)
        written.append(other.submit(EVENTS, 1, values(b"%d" % i), expected_end=end))
        end += 1
        await asyncio.sleep(0.005)
    answers = await asyncio.wait_for(asyncio.gather(*written), 40)
    assert [a.first for a in answers] == list(range(1, 61))
    assert await read(other, 1) == [b"patient"] + [b"%d" % i for i in range(60)]
    await asyncio.wait_for(follower, 30)
    assert seen == await read(other, 1), "a follower goes on by itself"

    own_broker.kill()
    with pytest.raises(Doubt):
        await log.append(EVENTS, 0, values(b"nobody there"), expected_end=len(found))
    await asyncio.wait_for(log.close(), 15)
    await asyncio.wait_for(other.close(), 15)
    with pytest.raises(LogError, match="no Kafka at"):
        await KafkaLog(address).open()


async def test_kafka_topics_that_somebody_else_made_are_checked(kafka_bootstrap: str):
    prefix = f"t{uuid.uuid4().hex[:8]}"
    small, log = KafkaLog(kafka_bootstrap, prefix=prefix, record_bytes_max=1_000_000), KafkaLog(kafka_bootstrap, prefix=prefix)
    await small.open()
    await log.open()
    assert len(await log.check_topics()) == 7 and "has 0 partitions" in (await log.check_topics())[0]
    await small.create_topics(2)
    assert await small.check_topics() == []
    assert f"topic {prefix}.events has max.message.bytes 1049600, expected at least 16777216" in await log.check_topics()
    await small.close()
    await log.close()


@pytest.mark.parametrize("compression", [None, "zstd", "lz4", "snappy", "gzip"])
async def test_kafka_compressed_batches_larger_than_they_may_be_are_split(kafka_bootstrap: str, compression: str | None):
    """`create_batch().append()` answers None when the batch is full: what did not fit goes into the next one."""
    log = KafkaLog(kafka_bootstrap, prefix=f"t{uuid.uuid4().hex[:8]}", compression=compression, batch_bytes_max=2_000)
    await log.open()
    await log.create_topics(1)
    sizes = [1, 40, 3, 1, 200, 7]
    futures = [log.submit(EVENTS, 0, values(*(b"%d.%03d" % (n, i) + b"y" * 90 for i in range(n)))) for n in sizes]
    big = log.submit(EVENTS, 0, values(b"z" * 300_000))
    answers = await asyncio.gather(*futures, big)
    assert [a.first for a in answers] == [sum(sizes[:i]) for i in range(7)]
    assert [len(v) for v in await read(log)][-1] == 300_000
    assert [v[:-90] for v in await read(log)][:-1] == [b"%d.%03d" % (n, i) for n in sizes for i in range(n)]
    await log.close()


async def test_kafka_groups_that_follow_each_other_at_once_share_a_request(kafka_bootstrap: str, monkeypatch):
    """Jobs that are handed out when a worker has credit again, and the starts that its answers let come: a request for each costs a third of the broker."""
    log = KafkaLog(kafka_bootstrap, prefix=f"t{uuid.uuid4().hex[:8]}")
    await log.open()
    await log.create_topics(1)
    await log.append(EVENTS, 0, values(b"first"))  # the producer stands
    sent, send = [], AIOKafkaProducer.send_batch
    monkeypatch.setattr(
        AIOKafkaProducer, "send_batch", lambda self, batch, *a, **k: sent.append(batch.record_count()) or send(self, batch, *a, **k)
    )
    futures = [log.submit(EVENTS, 0, values(b"a"))]
    await asyncio.sleep(0)
    futures.append(log.submit(EVENTS, 0, values(b"b", b"c")))
    assert [a.first for a in await asyncio.gather(*futures)] == [1, 2]
    assert sent == [3]
    await log.close()


async def test_what_comes_after_a_producer_was_given_up_is_not_written_by_it(monkeypatch):
    """Its lane was retired while it was about to write: what is queued since is another's, and would go out by both ways at once."""
    sent: list[tuple[str, int]] = []

    class Producer:
        def __init__(self, name: str) -> None:
            self.name = name

        async def partitions_for(self, topic: str) -> set[int]:
            if self.name == "old":
                writing._retire(lane, "given up")
                assert isinstance(first.exception(), Doubt)
                later.append(writing.submit(EVENTS, 0, values(b"b")))
            return {0}

        def create_batch(self) -> SimpleNamespace:
            return SimpleNamespace(append=lambda **record: record)

        async def send_batch(self, batch: object, topic: str, partition: int) -> asyncio.Future[SimpleNamespace]:
            sent.append((self.name, partition))
            done = asyncio.get_running_loop().create_future()
            done.set_result(SimpleNamespace(offset=7))
            return done

    names = iter(("old", "new"))

    async def producer(lane: object) -> Producer:
        return Producer(next(names))

    writing = KafkaWriting(str, {}, compression=None, batch_bytes_max=1000, record_bytes_max=1000, timeout_s=5)
    monkeypatch.setattr(writing, "_producer", producer)
    later: list[asyncio.Future[Appended]] = []
    first = writing.submit(EVENTS, 0, values(b"a"))
    lane = writing._lanes[EVENTS, 0]
    with pytest.raises(Doubt):
        await first
    assert (await later[0]).first == 7 and sent == [("new", 0)]


def test_conflict_says_what_it_expected_and_found():
    assert str(Conflict(EVENTS, 3, 7, 9)) == "events[3]: expected to append at 7, but the log ends at 9"

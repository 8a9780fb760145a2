"""The contract of the log port: every adapter passes the same tests."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from flowledger.processors.log import (
    COMMANDS,
    DEFINITIONS,
    EVENTS,
    STATE,
    TOPICS,
    Appended,
    Conflict,
    Group,
    Log,
    LogClosed,
    LogRecord,
    OutOfRange,
    RecordTooLarge,
    TopicsMissing,
    group,
)

SHARED = (("epoch", b"1"), ("owner", b"\x00\xff"))


def values(*texts: bytes) -> Group:
    return Group([b"k"] * len(texts), list(texts))


async def all_of(log: Log, topic: str = EVENTS, partition: int = 0, start: int = 0, stop: int | None = None) -> list[LogRecord]:
    return [record async for batch in log.read(topic, partition, start, stop) for record in batch]


async def test_offsets_count_from_zero_in_each_partition(log: Log):
    assert log.partitions == 4 and await log.check_topics() == []
    assert await log.append(EVENTS, 0, values(b"a", b"b"), expected_end=0) == Appended(0, 2, 2)
    assert await log.append(EVENTS, 0, values(b"c"), expected_end=2) == Appended(2, 3, 1)
    assert await log.append(EVENTS, 3, values(b"d"), expected_end=0) == Appended(0, 1, 1)
    assert [(r.offset, r.value) for r in await all_of(log)] == [(0, b"a"), (1, b"b"), (2, b"c")]
    assert (await log.begin(EVENTS, 0), await log.end(EVENTS, 0), await log.end(EVENTS, 1)) == (0, 3, 0)
    assert await all_of(log, partition=1) == []


async def test_keys_headers_and_time_come_back_as_they_were(log: Log):
    own = [(), (("seq", b"7"),), ()]
    await log.append(EVENTS, 0, Group([b"k", None, b""], [b"a", b"", b"c"], SHARED, (("last", b"1"),), own, timestamp_ms=1_700_000_000_123))
    a, b, c = await all_of(log)
    assert (a.key, a.value, a.headers) == (b"k", b"a", SHARED)
    assert (b.key, b.value, b.headers) == (None, b"", (*SHARED, ("seq", b"7")))
    assert (c.key, c.value, c.headers) == (b"", b"c", (*SHARED, ("last", b"1")))
    assert {r.timestamp_us for r in (a, b, c)} == {1_700_000_000_123_000}
    assert b.header("seq") == b"7" and b.header("none") is None


async def test_a_group_without_a_time_is_stamped(log: Log):
    before = time.time_ns() // 1_000_000 * 1000
    await log.append(EVENTS, 0, group([(b"k", b"v", [("h", b"1")])]))
    assert before <= (await all_of(log))[0].timestamp_us <= time.time_ns() // 1000


async def test_pipelined_groups_keep_their_order(log: Log):
    futures, end = [], 0
    for i in range(200):
        size = i % 5 + 1
        futures.append(log.submit(EVENTS, 0, values(*(b"%d.%d" % (i, j) for j in range(size))), expected_end=end))
        end += size
    done: list[int] = []
    for i, future in enumerate(futures):
        future.add_done_callback(lambda _, i=i: done.append(i))
    answers = await asyncio.gather(*futures)
    assert done == list(range(200))
    assert all(b.first == a.end for a, b in itertools.pairwise(answers)) and answers[-1].end == end
    assert [r.value for r in await all_of(log)] == [b"%d.%d" % (i, j) for i in range(200) for j in range(i % 5 + 1)]


async def test_a_group_larger_than_a_batch_is_whole_and_in_order(log: Log):
    first = log.submit(EVENTS, 0, values(b"before"), expected_end=0)
    big = Group([None] * 900, [b"%03d" % i + b"x" * 300 for i in range(900)], SHARED, (("last", b"1"),))  # some 300 KB
    second = log.submit(EVENTS, 0, big, expected_end=1)
    third = log.submit(EVENTS, 0, values(b"after"), expected_end=901)
    assert await first == (0, 1, 1) and await second == (1, 901, 900) and await third == (901, 902, 1)
    records = await all_of(log)
    assert [int(r.value[:3]) for r in records[1:901]] == list(range(900))
    assert [r.offset for r in records] == list(range(902))
    assert [r.offset for r in records if r.header("last")] == [900]


async def test_a_second_writer_is_told(connect):
    one, two = await connect(), await connect()
    await one.append(EVENTS, 0, values(b"a"), expected_end=0)
    if not two.compares:
        late = await two.append(EVENTS, 0, values(b"b", b"c"), expected_end=0)
        assert late == (1, 3, 2) and not late.alone(0)
        return
    with pytest.raises(Conflict) as told:
        await two.append(EVENTS, 0, values(b"b", b"c"), expected_end=0)
    assert (told.value.expected, told.value.found) == (0, 1)
    assert [r.value for r in await all_of(two)] == [b"a"], "nothing may be written"


async def test_what_was_submitted_behind_a_conflict_is_not_written(connect):
    one, two = await connect(), await connect()
    await two.append(EVENTS, 0, values(b"foreign"))
    # The second group's offset fits by chance: it expects one record of its own where the foreign one now is.
    futures = [one.submit(EVENTS, 0, values(b"%d" % i), expected_end=i) for i in range(3)]
    plain = one.submit(EVENTS, 0, values(b"unchecked"))
    told = await asyncio.gather(*futures, return_exceptions=True)
    if not one.compares:
        assert told == [(1, 2, 1), (2, 3, 1), (3, 4, 1)], "written behind the foreign one: each says so"
        assert not any(t.alone(i) for i, t in enumerate(told))
        return
    assert [type(t) for t in told] == [Conflict] * 3
    await plain
    with pytest.raises(Conflict):
        one.submit(EVENTS, 0, values(b"still"), expected_end=2)
    assert (await one.append(EVENTS, 1, values(b"other partition"), expected_end=0)).first == 0
    await one.reopen(EVENTS, 0)
    assert (await one.append(EVENTS, 0, values(b"again"), expected_end=2)).first == 2
    assert [r.value for r in await all_of(one)] == [b"foreign", b"unchecked", b"again"]


async def test_writers_without_an_expectation_share_a_partition(connect):
    one, two = await connect(), await connect()
    answers = await asyncio.gather(*(w.append(COMMANDS, 2, values(b"%d" % i)) for i in range(50) for w in (one, two)))
    assert sorted(a.first for a in answers) == list(range(100))
    assert len(await all_of(one, COMMANDS, 2)) == 100


async def test_read_takes_exactly_the_range_asked_for(log: Log):
    await log.append(EVENTS, 0, values(*(b"%d" % i for i in range(10))))
    await log.append(EVENTS, 0, values(*(b"%d" % i for i in range(10, 20))))
    for start, stop in ((0, 20), (3, 7), (5, 15), (10, 20), (19, 20), (7, 7), (12, 99)):
        assert [r.offset for r in await all_of(log, start=start, stop=stop)] == list(range(start, min(stop, 20)))
    assert [r.offset for r in await all_of(log, start=18)] == [18, 19]
    assert await all_of(log, start=20) == []
    with pytest.raises(OutOfRange):
        await all_of(log, start=21)


async def test_a_follower_wakes_up_quickly_also_for_another_process(connect):
    one, two = await connect(), await connect()
    await one.append(EVENTS, 0, values(b"old"))
    seen: asyncio.Queue[tuple[bytes, float]] = asyncio.Queue()

    async def follow(log: Log) -> None:
        async for batch in log.read(EVENTS, 0, 0, follow=True):
            for record in batch:
                seen.put_nowait((record.value, time.perf_counter()))

    tasks = [asyncio.create_task(follow(log)) for log in (one, two)]
    try:
        for _ in tasks:
            assert (await asyncio.wait_for(seen.get(), 10))[0] == b"old"
        waits = []
        for i in range(5):
            await asyncio.sleep(0.05)
            sent = time.perf_counter()
            await one.append(EVENTS, 0, values(b"new%d" % i))
            for _ in tasks:
                value, at = await asyncio.wait_for(seen.get(), 10)
                assert value == b"new%d" % i
                waits.append(at - sent)
        assert sorted(waits)[len(waits) // 2] < 0.25, waits
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_follow_ends_at_stop(log: Log):
    async def write() -> None:
        for i in range(3):
            await asyncio.sleep(0.02)
            await log.append(EVENTS, 0, values(b"%d" % i, b"x"))

    await log.append(EVENTS, 0, values(b"first", b"x"))
    writer = asyncio.create_task(write())
    got = [r.offset async for batch in log.read(EVENTS, 0, 1, 6, follow=True) for r in batch]
    await writer
    assert got == [1, 2, 3, 4, 5]


async def test_a_compacted_topic_gives_the_newest_of_each_key(log: Log):
    await log.append(STATE, 1, Group([b"a", b"b", b"c"], [b"1", b"2", b"3"]))
    await log.append(STATE, 1, Group([b"b", b"a"], [b"20", None]))
    await log.append(STATE, 1, Group([b"a"], [b"100"], SHARED))
    assert list((await log.load(STATE, 1)).items()) == [(b"c", b"3"), (b"b", b"20"), (b"a", b"100")]
    assert await log.load(STATE, 0) == {} and await log.end(STATE, 1) == 6
    records = await all_of(log, STATE, 1)
    assert (records[-1].offset, records[-1].headers) == (5, SHARED)
    newest = {r.key: r.value for r in records}
    assert newest == {b"c": b"3", b"b": b"20", b"a": b"100"}
    await log.append(DEFINITIONS, 0, Group([b"order"], [b"<bpmn/>"]))
    assert await log.load(DEFINITIONS, 0) == {b"order": b"<bpmn/>"}


async def test_a_record_that_is_too_large_is_refused_and_nothing_of_its_group_is_written(log: Log):
    assert (await log.append(EVENTS, 0, values(b"x" * 199_000), expected_end=0)).first == 0
    with pytest.raises(RecordTooLarge) as told:
        log.submit(EVENTS, 0, values(b"small", b"x" * 200_001), expected_end=1)
    assert told.value.limit == 200_000 < told.value.size
    assert (await log.append(EVENTS, 0, values(b"next"), expected_end=1)).first == 1
    assert [len(r.value) for r in await all_of(log)] == [199_000, 4]


@pytest.mark.parametrize(
    ("topic", "partition", "wrong"),
    [
        ("nothing", 0, values(b"a")),
        (EVENTS, 0, Group([], [])),
        (EVENTS, 0, Group([b"k"], [b"a", b"b"])),
        (EVENTS, 0, Group([b"k"], [None])),
        (EVENTS, 0, Group([b"k"], [b"v"], each=[(), ()])),
        (STATE, 0, Group([None], [b"v"])),
        (STATE, 0, Group([b"k"], [b""])),
        (DEFINITIONS, 1, Group([b"k"], [b"v"])),
    ],
)
async def test_a_group_that_makes_no_sense_is_refused_at_once(log: Log, topic: str, partition: int, wrong: Group):
    with pytest.raises(ValueError):
        log.submit(topic, partition, wrong)
    assert [await log.end(t, 0) for t in TOPICS] == [0] * len(TOPICS)


async def test_a_partition_that_is_not_there(log: Log):
    with pytest.raises(TopicsMissing):
        await log.append(EVENTS, 99, values(b"a"))
    with pytest.raises(TopicsMissing):
        await log.end(EVENTS, 99)


async def test_trimmed_heads_are_gone_and_the_rest_keeps_its_offsets(log: Log):
    for i in range(4):
        await log.append(COMMANDS, 0, values(b"%d" % i, b"x"))
    await log.trim(COMMANDS, 0, 4)
    assert (await log.begin(COMMANDS, 0), await log.end(COMMANDS, 0)) == (4, 8)
    assert [r.offset for r in await all_of(log, COMMANDS, start=4)] == [4, 5, 6, 7]
    for start, why in (
        (0, "records 0 to 3 are missing"),
        (3, "records 3 to 3 are missing"),
        (9, "asked to read from 9, but the log ends at 8"),
    ):
        with pytest.raises(OutOfRange, match=why):
            await all_of(log, COMMANDS, start=start)
    assert (await log.append(COMMANDS, 0, values(b"more"))).first == 8


async def test_a_follower_whose_next_record_is_trimmed_under_it_is_told_and_misses_nothing(log: Log):
    await log.append(COMMANDS, 0, values(b"a"))
    follower = log.read(COMMANDS, 0, 0, follow=True)
    assert [r.offset for r in await anext(follower)] == [0]
    for i in range(4):
        await log.append(COMMANDS, 0, values(b"%d" % i))
    await log.trim(COMMANDS, 0, 3)
    seen: list[int] = []
    try:
        async with asyncio.timeout(10):
            while len(seen) < 4:
                seen += [r.offset for r in await anext(follower)]
    except OutOfRange as gone:
        assert gone.start == (seen[-1] + 1 if seen else 1) and gone.begin == 3, gone
    assert seen == list(range(1, 1 + len(seen))), "they were read in time, or their loss is said: none is passed over"
    await follower.aclose()


async def test_topics_are_made_once_and_keep_their_partitions(connect):
    one = await connect()
    await one.append(EVENTS, 0, values(b"a"))
    two = await connect()
    await two.create_topics(2)
    assert two.partitions == 4 and await two.end(EVENTS, 0) == 1 and await two.check_topics() == []


async def test_a_closed_log_says_so_and_finished_what_was_submitted(connect):
    one = await connect()
    futures = [one.submit(EVENTS, 0, values(b"%d" % i)) for i in range(20)]
    await one.close()
    assert [f.result().first for f in futures] == list(range(20))
    with pytest.raises(LogClosed):
        one.submit(EVENTS, 0, values(b"late"))
    assert await (await connect()).end(EVENTS, 0) == 20

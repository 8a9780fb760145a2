"""The fold of a stream processor: over crashes at any point, and records that come again, its figures are those of the log."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from drawn_log import written
from truth import counted

from flowledger.analytics.figures import COUNTED, MINUTE_US
from flowledger.analytics.stream import KEEP_US, Lost, PartitionStream
from flowledger.bench.histories import History
from flowledger.processors.log import LogRecord


class Worker:
    """A table that keeps what was written, until it crashes; and who is told."""

    def __init__(self) -> None:
        self.table: dict[bytes, bytes] = {}
        self.seen: dict[tuple, list] = {}

    def tell(self, s: PartitionStream) -> None:
        for minute in s.untold:
            self.seen[s.partition, minute] = s.minutes[minute]
        s.told(dict(s.untold))

    def put(self, writes) -> None:
        for key, value in writes:
            if value is None:
                self.table.pop(key, None)
            else:
                self.table[key] = value


def totals(seen: dict[tuple, list]) -> dict:
    out: dict = {}
    for (_, (s, at)), numbers in seen.items():
        row = out.setdefault((s.tenant, s.definition, s.element, s.job_type, at), {})
        for name, n in zip(COUNTED, numbers, strict=False):
            row[name] = row.get(name, 0) + n
    return {k: {n: v for n, v in row.items() if v} for k, row in out.items() if any(row.values())}


def truth(history: History) -> dict:
    return {k: v for k, v in counted(history.truth, "minute").items() if v}


@pytest.mark.req("D-ANA-005")
@pytest.mark.parametrize("seed", range(3))
def test_over_crashes_at_any_point_it_is_what_was_planned(seed):
    history = History(seed, 120, 2, partitions=2)
    logs, worker, rng, crashes = written(history), Worker(), random.Random(seed), 0
    for p, log in logs.items():
        committed = n = 0
        stream = PartitionStream(p, worker.table.items())
        while n < len(log):
            writes = stream.take(log[n])
            n += 1
            if writes is None:
                continue
            if writes and rng.random() < 0.05:  # what was written is a beginning of what was to be; where it was read up to is older still
                worker.put(writes[: rng.randrange(len(writes))])
                crashes += 1
                stream = PartitionStream(p, worker.table.items())
                n = committed
                continue
            worker.put(writes)
            if rng.random() < 0.2:
                committed = n
            if rng.random() < 0.1:
                worker.tell(stream)
        worker.tell(stream)
        assert stream.end == len(log)
    assert crashes > 20
    assert totals(worker.seen) == truth(history)


def feed(s: PartitionStream, log: list[LogRecord], worker: Worker) -> Iterator[PartitionStream]:
    for record in log:
        worker.put(s.take(record) or ())
        yield s


@pytest.mark.req("D-ANA-005")
def test_what_was_told_is_forgotten_after_an_hour_and_nothing_else():
    history = History(3, 80, 2)
    log, worker = written(history)[0], Worker()
    s = PartitionStream(0)
    for _ in feed(s, log, worker):
        pass
    kept = len(s.minutes)
    assert kept == len(s.untold) == sum(b"/minute/" in key for key in worker.table)  # nobody was told
    s = PartitionStream(0)
    worker.table.clear()
    for _ in feed(s, log, worker):
        worker.tell(s)
    newest = max(at for _, at in s.minutes)
    assert len(s.minutes) < kept / 4 and min(at for _, at in s.minutes) >= newest - KEEP_US - 2 * MINUTE_US
    assert totals(worker.seen) == truth(history)


@pytest.mark.req("D-ANA-005")
def test_records_that_lack_or_were_altered_are_told():
    log, worker = written(History(4, 20, 1))[0], Worker()
    s = PartitionStream(0)
    with pytest.raises(Lost, match="expected the record at 0, found 5"):
        s.take(log[5])
    s = PartitionStream(0)
    for _ in feed(s, log[:20], worker):
        pass
    with pytest.raises(Lost, match="expected the record at 20, found 22"):
        s.take(log[22])
    s, broken = PartitionStream(0), [LogRecord(r.offset, b"other", r.value, r.headers, r.timestamp_us) if r.offset == 3 else r for r in log]
    with pytest.raises(Lost, match="the chain of partition 0 breaks"):
        for record in broken:
            s.take(record)

"""The fold rules one by one: which records of `events` count. The same for every reader."""

from __future__ import annotations

import pytest

from flowledger.events import avro
from flowledger.events import group as rules
from flowledger.events import ledger as le
from flowledger.events.base import Envelope
from flowledger.events.chain import VERSION
from flowledger.processors.log import LogRecord


class Log:
    """Records of one partition; whoever wants to writes them."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []

    def write(self, value: bytes, headers: rules.Headers) -> None:
        self.records.append(LogRecord(len(self.records), b"k", value, headers, 1_000_000))

    def claim(self, reader: rules.GroupReader, epoch: int, owner: str, chain: int = VERSION) -> None:
        value = avro.encode([le.PartitionClaimed(epoch=epoch, owner=owner, partition=0, partitions=1, chain=chain)], Envelope(1))[0]
        shared, last = rules.claim_headers(reader.place(), value, b"k", epoch, owner, reader.end, 1000)
        self.write(value, (*shared, *last))

    def group(self, at: rules.Place, source: int, values: int = 2, cut: int = 0) -> None:
        encoded = avro.encode([le.DeadLettered(source=source + n, reason="x") for n in range(values)], Envelope(2))
        shared, last = rules.Seal(at).group([b"k"] * values, encoded, source, 1000)
        for n, value in enumerate(encoded[: values - cut]):
            self.write(value, (*shared, *last) if n == values - 1 else shared)

    def read(self) -> rules.GroupReader:
        reader = rules.GroupReader()
        for record in self.records:
            found = reader.feed(record)
            assert found is None or found.whole
        return reader


@pytest.fixture
def log() -> Log:
    log = Log()
    log.claim(log.read(), 1, "first")
    log.group(log.read().place(), 3)
    return log


def test_a_group_of_the_current_claim_counts(log):
    assert (log.read().source, log.read().void) == (3, 0)


@pytest.mark.parametrize(("epoch", "owner"), [(0, "first"), (2, "first"), (1, "other"), (2, "other")])
def test_a_group_of_another_epoch_or_another_owner_is_void(log, epoch, owner):
    place = log.read().place()
    log.group(rules.Place(epoch, owner, place.chain, place.end, place.source, place.number, place.version), 9)
    reader = log.read()
    assert (reader.source, reader.void, reader.end) == (3, 2, 3)


@pytest.mark.parametrize("epoch", [1, 3, 7])
def test_a_claim_counts_only_as_the_next_epoch(log, epoch):
    log.claim(log.read(), epoch, "other")
    reader = log.read()
    assert (reader.owner, reader.epoch, reader.void) == ("first", 1, 1)


def test_of_two_claims_of_the_same_epoch_the_first_counts(log):
    before = log.read()
    log.claim(before, 2, "second")
    log.claim(before, 2, "third")
    assert (log.read().owner, log.read().epoch) == ("second", 2)


def test_a_claim_voids_what_its_former_owner_has_not_finished(log):
    log.group(log.read().place(), 5, values=3, cut=1)
    log.claim(log.read(), 2, "second")
    reader = log.read()
    assert (reader.source, reader.void, reader.epoch) == (3, 2, 2)
    log.group(reader.place(), 6)
    assert log.read().source == 6


def test_a_claim_of_an_older_chain_breaks_it(log):
    """It would take keys, headers and times out from under the hash."""
    log.claim(log.read(), 2, "second", chain=VERSION - 1)
    reader = rules.GroupReader()
    *_, last = [found for record in log.records if (found := reader.feed(record)) is not None]
    assert not last.whole

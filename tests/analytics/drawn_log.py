"""A drawn history as records of a log, with claims, groups and void groups."""

from __future__ import annotations

import random

from flowledger.bench.histories import History
from flowledger.events import avro
from flowledger.events.base import Envelope
from flowledger.events.group import START, GroupReader, Seal, claim_headers
from flowledger.events.ledger import PartitionClaimed
from flowledger.processors.log import LogRecord


def written(history: History) -> dict[int, list[LogRecord]]:
    """A log of groups of one command or several, each partition with two owners, the first of which goes on to write when it is one no more."""
    logs: dict[int, list[LogRecord]] = {}
    readers = {p: GroupReader() for p in range(history.partitions)}
    seals: dict[int, list[Seal]] = {}
    rng = random.Random(7)

    def add(p: int, keys, values, shared, last, us: int) -> None:
        log = logs.setdefault(p, [])
        for n, (key, value) in enumerate(zip(keys, values, strict=True)):
            headers = tuple(shared) + (tuple(last) if n == len(values) - 1 else ())
            log.append(LogRecord(len(log), key, value, headers, us // 1000 * 1000))
            readers[p].feed(log[-1])

    def claim(p: int, us: int) -> None:
        at = readers[p].place() if p in seals else START
        epoch = at.epoch + 1
        owner = f"o{epoch}"
        e = PartitionClaimed(epoch=epoch, owner=owner, node="n", partition=p, partitions=history.partitions, chain=2, boot="", boot_us=0)
        value = avro.encode([e], Envelope(us, "", "n", "", "", ""))[0]
        add(p, [b"c"], [value], *claim_headers(at, value, b"c", epoch, owner, at.end, us // 1000), us)
        seals.setdefault(p, []).append(Seal(readers[p].place()))

    waiting: dict[int, tuple[list[bytes], list[bytes]]] = {}
    for p, us, tenant, events in history.steps():
        if p not in seals:
            claim(p, us)
        elif len(seals[p]) == 1 and rng.random() < 0.003:
            claim(p, us)
        keys, values = waiting.setdefault(p, ([], []))
        keys += [b"%d" % e.key for e in events]
        values += avro.encode(events, Envelope(us, tenant, "worker", "", "", ""))
        if rng.random() < 0.3:
            if len(seals[p]) == 2 and rng.random() < 0.1:  # void: by the first owner
                add(p, keys[:1], values[:1], *seals[p][0].group(keys[:1], values[:1], -1, us // 1000), us)
            add(p, keys, values, *seals[p][-1].group(keys, values, -1, us // 1000), us)
            del waiting[p]
    for p, (keys, values) in waiting.items():
        add(p, keys, values, *seals[p][-1].group(keys, values, -1, us // 1000), us)
    return logs

"""What a decision sends to its own partition and can't do any more within its budget: it stands on the log, in the group of that decision, as a numbered
send of the partition to itself, and is decided in later steps, one by one, by whoever owns the partition then.

It goes by no topic: what the log says is all there is. Taking it (`partition.inbound`) confirms it in the same moment. While one waits, what is sent to
the partition itself waits behind it, so that these keep their order as those to other partitions do.
Source: `docs/log-protocol.md`, "What is put off".
"""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.events import requests
from flowledger.kernel.state import Partition


def waiting(p: Partition) -> int:
    """How many wait."""
    me, meta = p.meta.partition, p.meta
    return meta.sent.get(me, 0) - meta.taken.get(me, 0)


def first(p: Partition) -> tuple[int, bytes] | None:
    """The one whose turn it is: its number, and as it stands on the log. None: nothing waits, or its number was lost (the watchdog finds that)."""
    me = p.meta.partition
    seq = p.meta.taken.get(me, 0) + 1
    encoded = p.outbox.get((me, seq))
    return (seq, encoded) if encoded is not None else None


def read(p: Partition, encoded: bytes) -> c.Request | requests.Unreadable:
    """By the one reader of requests: what a release before this one wrote may be no command any more."""
    return requests.read(encoded, p.meta.partition)


def request(p: Partition) -> c.Request | None:
    """The one whose turn it is, for whoever decides without a log."""
    found = first(p)
    if found is None:
        return None
    made = read(p, found[1])
    assert isinstance(made, c.Request), made
    return made

"""Batches: one action for many items. These events stand on the partition that is the batch's home; what is done to an item is its own history."""

from __future__ import annotations

from flowledger.events.base import Event, Json


class BatchCreated(Event, frozen=True):
    """`action` is to be done to `total` items. `of`, `filter`: the list that they are from, and by what. `rate`: items a second, 0: no limit.

    `rights`, `groups`: of who asked, with which each item is done; null: not said. `timer`: until then its items have to come.
    """

    batch: int
    action: str
    total: int
    params: Json = None
    rate: int = 0
    of: str = ""
    filter: Json = None
    reason: str = ""
    rights: Json = None
    groups: Json = None
    timer: int = 0


class BatchItemsAdded(Event, frozen=True):
    """Keys of items from number `at` on, kept under the key `chunk`. With the last of them the batch runs. `missing`: numbers of those that aren't there,
    as the door knew."""

    batch: int
    chunk: int
    at: int
    items: list[int]
    missing: list[int] = []


class BatchItemsSent(Event, frozen=True):
    """`count` items from number `first` on are in hand. `paid_us`: up to when the rate is used up; `timer` (0: none new) goes on with it."""

    batch: int
    first: int
    count: int
    paid_us: int = 0
    timer: int = 0


class BatchItemsDone(Event, frozen=True):
    """`numbers` were tried, with these `outcomes` (succeeded, failed, skipped). `why`: number -> `[code, message]`, of those that did not succeed.

    `succeeded`, `failed`, `skipped`: how many by now, of all.
    """

    batch: int
    numbers: list[int]
    outcomes: list[str]
    why: Json = None
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0


class BatchPaused(Event, frozen=True):
    """What is in hand is finished; nothing else is sent."""

    batch: int
    reason: str = ""


class BatchResumed(Event, frozen=True):
    batch: int
    reason: str = ""


class BatchAborted(Event, frozen=True):
    """What is in hand is finished; the rest is not done."""

    batch: int
    reason: str = ""


class BatchEnded(Event, frozen=True):
    """`status`: completed, partial (some failed), failed (some failed, none succeeded), aborted."""

    batch: int
    status: str
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    reason: str = ""

"""Holds: what an operator keeps from going on (docs/decisions/0009), and what was kept meanwhile."""

from __future__ import annotations

from flowledger.events.base import Event


class HoldPlaced(Event, frozen=True):
    """Hold `hold` stands over `subject` of `scope` (instance, definition, version, element, job_type, target, tenant), in `mode` pause or suspend.

    `starts`: what becomes of new instances meanwhile, hold or refuse. `children`: called instances follow. `until_us` (0: none): its end.
    `of` (0: none): of a called instance, the hold of its caller that it follows. `key` is the instance of a hold over one.
    """

    hold: int
    scope: str
    subject: str
    mode: str
    starts: str = "hold"
    children: bool = True
    until_us: int = 0
    reason: str = ""
    of: int = 0


class HoldReleasing(Event, frozen=True):
    """What it held here goes on from now, in order of keys up to `upto`: `rate` a second over all partitions (0: as fast as it goes).

    `others`: at its home, partitions that are to say that they have released all of theirs.
    """

    hold: int
    upto: int
    rate: int = 0
    reason: str = ""
    others: list[int] = []


class HoldAdvanced(Event, frozen=True):
    """All up to key `cursor` went on. `done` (-1: none): at its home, a partition that has released all of its own."""

    hold: int
    cursor: int = 0
    done: int = -1


class HoldReleased(Event, frozen=True):
    """It holds nothing any more: on this partition; at its home, on all."""

    hold: int
    reason: str = ""


class WorkflowApplied(Event, frozen=True):
    """What was kept (`workflow.kept`) at place `at` was applied: its events stand before this one. -1: all of it was dropped.

    `refused`: why it could not be applied any more.
    """

    at: int = 0
    refused: str = ""

"""Events in, row changes out. No database, no clock: the same events give the same rows.

For each event the tracker (`tracker.py`) brings the context up to date, then each view's handler for its type makes rows, then what the
event ended without saying so (`Fold.gone`) goes to the views' `GONE` handlers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flowledger.analytics.figures import Figures
from flowledger.events.base import Envelope, Event
from flowledger.projections.changes import Changes
from flowledger.projections.context import Context, Held, Instance, Task
from flowledger.projections.tables import Table


class View(NamedTuple):
    """A question's tables. `version` is raised with any change of what is in the rows: the runner then builds them anew, beside the old.

    `all`: called for each event, after the handlers of its type. `settle`: called after some events (`SLICE_EVENTS` at most): what is done for all of them
    at once finds its code in the processor's cache. `close`: called when a batch is folded, before its changes are written.
    `removed`: statements that delete the rows of instances, which they find as `gone(tenant_id, id)`; they ask this view's tables alone, since views are built
    anew one by one. `late`: the same of rows that another partition brings when they have been removed.
    """

    name: str
    version: int
    sql: str
    tables: tuple[Table, ...]
    rows: Mapping[type[Event], Callable[[Fold, Any], None]]
    gone: Mapping[str, Callable[[Fold, Any], None]] = {}
    all: Callable[[Fold, Any], None] | None = None
    removed: tuple[str, ...] = ()
    late: str = ""
    settle: Callable[[Fold], None] | None = None
    close: Callable[[Fold], None] | None = None


class Fold:
    """What handlers see: the event's place and time, whom it is about, and where rows go.

    Attributes:
        tenant: the instance's; without instance the one of the envelope (the owner's own commands have none).
        us, now: the event's time in microseconds, and as text for rows.
        id: its position as one number, `partition << 51 | offset`.
        ref: the instance it is about; None when there is none (or the projection doesn't know it).
        task: the task it is about, also when it ended with this event.
        item: the timer or incident it is about, also when it ended with this event.
        each: for events about several tasks: those that are known.
        gone: what ended with this event, without an event of its own.
    """

    __slots__ = (
        "changes",
        "context",
        "each",
        "figures",
        "traces",
        "env",
        "gone",
        "id",
        "item",
        "now",
        "partition",
        "ref",
        "seen",
        "task",
        "tenant",
        "us",
        "cache",
    )

    def __init__(self, context: Context) -> None:
        self.context = context
        self.changes = Changes()
        self.env = Envelope()
        self.us = self.id = self.partition = 0
        self.now = self.tenant = ""
        self.ref: Instance | None = None
        self.task: Task | None = None
        self.item: Held | None = None
        self.each: list[Task] = []
        self.gone: list[Held] = []
        #: for the measures: what is to be measured yet (whose, of which task, 0: of none, event, its time; of nobody: what is in force from there on, and on
        #: which partition), what the batch adds, and the instances whose traces it has changed
        self.seen: list[tuple[Instance | None, int, Event, int]] = []
        self.figures, self.traces = Figures(), dict[int, Instance]()
        #: what a view keeps for the events of one envelope
        self.cache: dict[str, Any] = {}


#: About the partition or a definition, never about an instance: their keys need not be looked for.
NOT_ABOUT_INSTANCES = ("partition.", "record.", "definition.", "breaker.", "operation.")

"""What a fold must remember between events to write rows: which instances, tasks, timers and incidents are open, and what holds them.

The log says some things only once: a lease names tasks and not their instances, a token that moves on takes its open tasks and
timers with it without an event for each. The kernel's fold knows these from its state; this is the little of it that rows need.
It is filled by the fold itself, and after a restart from the rows (`load.py`), instance by instance, when first needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from flowledger.analytics.terms import Book
from flowledger.analytics.trace import Trace

#: Instances, tasks and timers kept in memory beyond which the oldest are read from the database again when needed.
OPEN_MAX = 200_000
#: keys of rows of activities are this and the position of the event that began them: no key of a partition is as high
ACTIVITY = 1 << 62
#: elements of a process that have rows of their own -> what its outline says of them
Activities = dict[str, dict[str, Any]]
UNKNOWN_MAX = 50_000


class Held:
    """Something open that a token waits for: it ends when the token leaves."""

    __slots__ = ("created", "instance", "key", "tenant", "token")
    kind = ""

    def __init__(self, key: int, instance: Instance | None, tenant: str, token: int, created: str) -> None:
        self.key, self.instance, self.tenant, self.token, self.created = key, instance, tenant, token, created


class Task(Held):
    """`status` is the one of people's moves; a leased task shows as `started`. `attempt_us`: when the current attempt began (0: it didn't).

    `hop` is the id of the current row of `task_assignments` (0: none), `assignee` its holder.
    `ending`: of an activity that the engine does itself (`own`), how it will have ended when it is gone.
    """

    __slots__ = (
        "assignee", "attempt_us", "category", "created_us", "element", "ending", "fence", "hop", "retries", "started", "status", "worker",
    )  # fmt: skip
    kind = "task"

    def __init__(self, key: int, instance: Instance | None, tenant: str, token: int, created: str, created_us: int, element: str) -> None:
        super().__init__(key, instance, tenant, token, created)
        self.created_us, self.element = created_us, element
        self.status, self.worker, self.assignee, self.category = "created", "", "", "automated"
        self.fence = self.attempt_us = self.hop = self.retries = 0
        self.started = False
        self.ending = "cancelled"

    @property
    def own(self) -> bool:
        """The engine does it itself: a row from the events of its element, not from a task of its own."""
        return self.key >= ACTIVITY

    @property
    def ident(self) -> tuple[str, int, str]:
        return (self.tenant, self.key, self.created)


class Timer(Held):
    __slots__ = ()
    kind = "timer"


class Incident(Held):
    __slots__ = ("task",)
    kind = "incident"

    def __init__(self, key: int, instance: Instance | None, tenant: str, token: int, created: str, task: int) -> None:
        super().__init__(key, instance, tenant, token, created)
        self.task = task


class Instance:
    """`held`: token -> what it waits for. `scopes`: token -> enclosing token, for tokens that aren't in the root scope; `kids` the reverse.

    `pending`: its row exists, and it waits to be started. `fresh`: its row is made by the event at hand. `over`: it has ended.
    `trace`: what the measures remember of it (`flowledger.analytics`), None when it isn't measured.
    `own`: the activities of its process that the engine does itself, None when there are none; `rows`: its rows of `tasks` so far.
    """

    __slots__ = (
        "business_key", "own", "rows", "created", "created_us", "definition", "fresh", "held", "key", "kids", "over", "pending", "process", "scopes", "started_us",
        "tenant", "trace", "version",
    )  # fmt: skip

    def __init__(self, key: int, tenant: str, created: str, created_us: int, definition: int, process: str, version: int) -> None:
        self.key, self.tenant, self.created, self.created_us = key, tenant, created, created_us
        self.definition, self.process, self.version = definition, process, version
        self.started_us = created_us
        self.held: dict[int, list[Held]] | None = None
        self.scopes: dict[int, int] | None = None
        self.kids: dict[int, set[int]] | None = None
        self.pending = self.fresh = self.over = False
        self.own: Activities | None = None
        self.trace: Trace | None = None
        self.rows = 0
        self.business_key = ""

    @property
    def ident(self) -> tuple[str, int, str]:
        return (self.tenant, self.key, self.created)

    def hold(self, item: Held) -> None:
        if self.held is None:
            self.held = {}
        items = self.held.get(item.token)
        if items is None:
            self.held[item.token] = [item]
        else:
            items.append(item)

    def release(self, item: Held) -> None:
        if self.held is not None and (items := self.held.get(item.token)) is not None and item in items:
            items.remove(item)
            if not items:
                del self.held[item.token]

    def activity_at(self, token: int) -> Task | None:
        """The activity of the engine's own that the token is in."""
        for item in (self.held or {}).get(token, ()):
            if isinstance(item, Task) and item.own:
                return item
        return None

    def activity_around(self, token: int) -> Task | None:
        """The innermost one that encloses the token."""
        scopes = self.scopes or {}
        while (scope := scopes.get(token)) is not None:
            if (found := self.activity_at(scope)) is not None:
                return found
            token = scope
        return None

    def enclose(self, token: int, scope: int) -> None:
        if self.scopes is None or self.kids is None:
            self.scopes, self.kids = {}, {}
        self.scopes[token] = scope
        self.kids.setdefault(scope, set()).add(token)

    def drop(self, token: int) -> list[Held]:
        """All that the token holds, which ends."""
        return self.held.pop(token, []) if self.held is not None else []

    def drop_below(self, token: int) -> list[Held]:
        """All that the token and the tokens inside of it hold. They are gone."""
        gone: list[Held] = []
        left = [token]
        while left:
            token = left.pop()
            gone += self.drop(token)
            if self.scopes is not None and self.kids is not None:
                left += sorted(self.kids.pop(token, ()))
                scope = self.scopes.pop(token, None)
                if scope is not None and (kids := self.kids.get(scope)) is not None:
                    kids.discard(token)
        return gone

    def drop_all(self) -> list[Held]:
        gone = [item for items in (self.held or {}).values() for item in items]
        self.held = self.scopes = self.kids = None
        return gone


class Context:
    """All that is open, by key. `bounded` false: nothing is forgotten, for a rebuild that must not look at rows."""

    __slots__ = (
        "book",
        "bounded",
        "contents",
        "descriptions",
        "ended",
        "incidents",
        "instances",
        "messages",
        "names",
        "outlines",
        "tasks",
        "timers",
        "unknown",
    )

    def __init__(self, *, bounded: bool = True) -> None:
        self.instances: dict[int, Instance] = {}
        self.tasks: dict[int, Task] = {}
        self.timers: dict[int, Timer] = {}
        self.incidents: dict[int, Incident] = {}
        #: definition -> its activities that have rows of their own, None when it has none
        self.outlines: dict[int, Activities | None] = {}
        #: definition -> what it says of itself, of those that do
        self.descriptions: dict[int, str] = {}
        #: definition -> its name, of those that have one
        self.names: dict[int, str] = {}
        #: resources of the last deployment whose events did not tell of their graphs: (deployment, hash) -> text
        self.contents: dict[tuple[int, str], str] = {}
        #: message -> tenant
        self.messages: dict[int, str] = {}
        #: keys that were looked for and aren't instances or tasks of the projection
        self.unknown: set[int] = set()
        #: instances that ended in this batch: forgotten once it is written
        self.ended: list[Instance] = []
        self.bounded = bounded
        #: KPIs and calendars that are in force
        self.book = Book()

    def table(self, kind: str) -> dict[int, Any]:
        tables: dict[str, dict[int, Any]] = {"task": self.tasks, "timer": self.timers, "incident": self.incidents}
        return tables[kind]

    def tell(self, definition: int, outline: Any, name: str = "") -> None:
        """What a definition says of its graph, and its name, unless that is what it was."""
        if name:
            self.names[definition] = name
        told = {k: v for k, v in outline.items() if isinstance(v, dict)} if isinstance(outline, dict) else {}
        self.outlines[definition] = {k: v for k, v in told.items() if k and (v.get("own") or v.get("loop"))} or None
        if text := (told.get("") or {}).get("description"):
            self.descriptions[definition] = text

    def close(self, item: Held) -> None:
        """It ended by an event of its own."""
        self.table(item.kind).pop(item.key, None)
        if item.instance is not None:
            item.instance.release(item)

    def take_ended(self) -> list[Instance]:
        """Instances that ended in the batch that was just folded. They stay known until it is written."""
        ended, self.ended = self.ended, []
        return ended

    def forget(self, ended: Iterable[Instance]) -> None:
        """After a batch was written: the ended, and the oldest beyond the limit (they can be loaded from their rows)."""
        for instance in ended:
            self.instances.pop(instance.key, None)
        if not self.bounded:
            return
        if len(self.instances) > OPEN_MAX:
            oldest = islice(self.instances.values(), len(self.instances) - OPEN_MAX)
            for instance in [i for i in oldest if not i.pending]:
                del self.instances[instance.key]
                for item in instance.drop_all():
                    self.table(item.kind).pop(item.key, None)
        for table in (self.tasks, self.timers, self.incidents):
            if len(table) > 2 * OPEN_MAX:
                for item in [i for i in table.values() if i.instance is None][:OPEN_MAX]:
                    del table[item.key]
        for message in list(islice(self.messages, max(0, len(self.messages) - OPEN_MAX))):
            del self.messages[message]
        if len(self.unknown) > UNKNOWN_MAX:
            self.unknown.clear()

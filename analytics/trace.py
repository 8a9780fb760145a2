"""An instance on its way: the little that must be remembered between its events to know how long things took.

What events do to it is in `fold.py`. A trace goes to rows and back by `dump` and `load`.

A visit is a token's stay at an element, from its arrival until it leaves. A loop as a whole is one visit; its runs are told by the work in them. Work
is a task: it waits until a worker has its lease or a person starts it, and is in hand until that ends.
"""

from __future__ import annotations

import hashlib
from typing import Any

from flowledger.analytics.figures import (
    CANCELLED,
    COMPLETED,
    FAILED,
    TERMINATED,
    Place,
    Places,
    places_of,
)
from flowledger.analytics.terms import NO_TERMS, Terms
from flowledger.events.avro import decode_json

#: elements of a path that are remembered; what comes after is counted alone
PATH_MAX = 300
#: stays of an instance that are followed at once; what is beyond counts in `left_out` and nowhere else
OPEN_MAX = 5_000
#: times that one piece of work was in hand which are remembered
HANDS_MAX = 200

#: outcome -> what counts it
ENDS = {"completed": COMPLETED, "failed": FAILED, "cancelled": CANCELLED, "terminated": TERMINATED}

Row = list[Any]


class Visit:
    """`element` empty: it isn't counted (a run of a loop, a token that only holds something). `place`: where it counts. `repeats`: it is inside of a loop."""

    __slots__ = ("element", "failing", "place", "repeats", "scope", "since_us", "tasks")

    def __init__(self, element: str, place: Place, scope: int, since_us: int, repeats: bool) -> None:
        self.element, self.place, self.scope, self.since_us, self.repeats = element, place, scope, since_us, repeats
        self.failing = False
        self.tasks: list[int] | None = None


class Work:
    """`hand_us`: since when it is in hand (0: it isn't); `worked_us`: how long it was before. `leased`: a worker has it. `places`: where it counts, as
    `Places.work` has them. `due_us`, `groups`, `who`: by when it is due, whom it is for, who has it (forgotten with it). `hands`: when it was in hand, where
    that must be known."""

    __slots__ = (
        "accepted_us", "created_us", "due_us", "element", "groups", "hand_us", "hands", "job_type", "leased", "listener", "places", "token", "who", "worked_us",
    )  # fmt: skip

    def __init__(self, places: tuple[Place, ...], token: int, element: str, job_type: str, created_us: int, listener: bool) -> None:
        self.places, self.token, self.element, self.job_type, self.created_us, self.listener = (
            places, token, element, job_type, created_us, listener,
        )  # fmt: skip
        self.hand_us = self.worked_us = self.accepted_us = self.due_us = 0
        self.leased = False
        self.who = ""
        self.groups: tuple[str, ...] = ()
        self.hands: list[tuple[int, int]] | None = None

    def put_down(self, us: int) -> None:
        """It is out of hand."""
        if self.hand_us:
            self.worked_us += max(0, us - self.hand_us)
            if self.hands is not None and len(self.hands) < HANDS_MAX:
                self.hands.append((self.hand_us, us))
            self.hand_us = 0


class Trace:
    """`key` is the instance's."""

    __slots__ = (
        "attempts", "costs", "definition", "ended_us", "errors", "fresh", "incidents", "key", "kids", "left_out", "more", "outcome", "path", "process", "retries",
        "reworked", "places", "started_us", "tenant", "terms", "times", "touched", "values", "version", "visits", "wait_us", "way", "work", "work_us", "worked",
    )  # fmt: skip

    def __init__(self, key: int, tenant: str, process: str, definition: int, version: int, started_us: int) -> None:
        self.key, self.tenant, self.started_us = key, tenant, started_us
        #: how it ended, and by which variant; empty until then
        self.outcome = self.way = ""
        self.visits: dict[int, Visit] = {}
        self.work: dict[int, Work] = {}
        self.kids: dict[int, dict[int, None]] = {}
        self.path: list[str] = []
        self.times: dict[str, int] = {}
        self.ended_us = self.wait_us = self.work_us = self.worked = 0
        self.attempts = self.retries = self.errors = self.incidents = self.reworked = self.left_out = self.more = 0
        #: for the shell: it has no row yet; it is among those that a batch has changed
        self.fresh = self.touched = False
        #: for KPIs: what is in force; what it has cost so far; variables that they read, as JSON (None: it began without KPIs)
        self.terms: Terms = NO_TERMS
        self.costs: dict[str, int] | None = None
        self.values: dict[str, str] | None = None
        self.under(process, definition, version)

    def under(self, process: str, definition: int, version: int) -> None:
        self.process, self.definition, self.version = process, definition, version
        self.places: Places = places_of(self.tenant, process, definition, version)

    def known(self) -> dict[str, Any]:
        """Variables that KPIs read."""
        return {name: decode_json(value) for name, value in (self.values or {}).items()}

    @property
    def variant(self) -> str:
        """Names the path: equal for equal paths."""
        return self.way or hashlib.sha256("\0".join((self.process, *self.path)).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def dump(self) -> Row:
        """As JSON."""
        visits = [[k, v.element, v.scope, v.since_us, v.repeats, v.failing] for k, v in self.visits.items()]
        work = [
            [
                k, w.token, w.element, w.job_type, w.created_us, w.listener, w.hand_us, w.worked_us, w.accepted_us, w.leased, w.due_us, w.who, list(w.groups),
                w.hands if w.hands is None else [list(h) for h in w.hands],
            ]
            for k, w in self.work.items()
        ]  # fmt: skip
        numbers = [
            self.wait_us,
            self.work_us,
            self.worked,
            self.attempts,
            self.retries,
            self.errors,
            self.incidents,
            self.reworked,
            self.left_out,
            self.more,
        ]
        return [
            self.process,
            self.definition,
            self.version,
            self.started_us,
            visits,
            work,
            list(self.path),
            dict(self.times),
            numbers,
            self.costs,
            self.values,
        ]

    @classmethod
    def load(cls, key: int, tenant: str, row: Row) -> Trace:
        process, definition, version, started_us, visits, work, path, times, numbers, costs, values = row
        t = cls(key, tenant, process, definition, version, started_us)
        for token, element, scope, since_us, repeats, failing in visits:
            v = stand(t, token, element, scope, since_us, repeats)
            v.failing = failing
        for (
            task,
            token,
            element,
            job_type,
            created_us,
            listener,
            hand_us,
            worked_us,
            accepted_us,
            leased,
            due_us,
            who,
            groups,
            hands,
        ) in work:
            w = hold(t, task, token, element, job_type, created_us, listener)
            w.hand_us, w.worked_us, w.accepted_us, w.leased, w.due_us, w.who, w.groups = (
                hand_us, worked_us, accepted_us, leased, due_us, who, tuple(groups),
            )  # fmt: skip
            w.hands = None if hands is None else [(a, b) for a, b in hands]
        t.path, t.times, t.costs, t.values = list(path), dict(times), costs, values
        (t.wait_us, t.work_us, t.worked, t.attempts, t.retries, t.errors, t.incidents, t.reworked, t.left_out, t.more) = numbers
        return t


def stand(t: Trace, token: int, element: str, scope: int, us: int, repeats: bool) -> Visit:
    v = t.visits[token] = Visit(element, t.places.element(element), scope, us, repeats)
    if scope != t.key:
        t.kids.setdefault(scope, {})[token] = None
    return v


def hold(t: Trace, task: int, token: int, element: str, job_type: str, us: int, listener: bool) -> Work:
    w = t.work[task] = Work(t.places.work(element, job_type), token, element, job_type, us, listener)
    if (v := t.visits.get(w.token)) is not None:
        v.tasks = [*(v.tasks or ()), task]
    return w

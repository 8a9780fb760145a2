"""One history against one model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events import wire
from flowledger.events import workflow as wf
from flowledger.events.commands import partition_of_key
from flowledger.kernel.library import Library
from flowledger.kernel.model.graph import contents
from flowledger.sdk.testing.errors import ModelInvalid
from flowledger.sdk.testing.replay import compare
from flowledger.sdk.testing.replay.desk import Desk, TooMuch
from flowledger.sdk.testing.replay.feed import Feed
from flowledger.sdk.testing.replay.record import Moment, Record, Unfit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: a history that can't be run again, and one whose run was broken off
NOT_RUN, BROKEN_OFF = "not_run", "broken_off"


class Source(msgspec.Struct):
    """A deployed model. `key` 0: the one that is tried, or what was given with it."""

    name: str
    content: str
    key: int = 0
    id: str = ""
    kind: str = "process"


def moments(rows: Iterable[Mapping[str, Any]]) -> list[Moment]:
    """Rows of the projection of events, in order. Events of kinds that this release doesn't know are passed over."""
    found = []
    for row in rows:
        known = wire.CURRENT.get(row["type"])
        if known is None or known[0] is wf.WorkflowCreated:
            continue
        e = msgspec.convert({**(row.get("data") or {}), "key": row.get("instance") or 0}, known[0], strict=False)
        at = (datetime.fromisoformat(row["time"]) - _EPOCH) // timedelta(microseconds=1)
        partition, _, offset = str(row["position"]).partition("-")
        if int(partition) != partition_of_key(e.key):
            continue  # what the partition of a message's key says of the instance
        found.append(Moment(e, at, int(partition), int(offset), row.get("causation_id") or ""))
    return found


class Replayer:
    """Runs histories against `model`, beside deployed `sources` (called processes, decisions, forms; for comparison the versions that they ran by)."""

    def __init__(
        self,
        model: list[Source],
        sources: Iterable[Source],
        process: str = "",
        tenant: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`process`: which of the model's, where it has several. Raises: ModelInvalid."""
        self.library, self.model, self.tenant, self.clock = Library(), model, tenant, clock
        self.sources: dict[int, Source] = {}
        self.models: dict[int, Any] = {}
        #: what was deployed for the last run
        self.resources: list[c.Resource] = []
        self.add(sources)
        desk = self._desk([], clock() + 60)
        mine = self._defined(model)
        found = [id for id in desk.processes() if ("process", id) in mine]
        if process not in found and len(found) != 1:
            text = f"expected a model with the process '{process}'" + (f", found {', '.join(found)}" if found else ", found no process")
            raise ModelInvalid([{"severity": "error", "code": "PROCESS_NOT_FOUND", "message": text}])
        self.process = process if process in found else found[0]

    def add(self, sources: Iterable[Source]) -> None:
        for s in sources:
            self.sources[s.key] = s
            graph, _ = self.library.read(s.name, s.content)
            if graph is not None and s.id in graph.processes:
                self.models[s.key] = graph.processes[s.id]

    def _defined(self, sources: Iterable[Source]) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for s in sources:
            graph, _ = self.library.read(s.name, s.content)
            found |= {(kind, id) for kind, id, _, _ in contents(graph)}
        return found

    def _desk(self, keys: Iterable[int], end: float) -> Desk:
        """With the model, and what else it may need: the versions `keys`, else the newest known."""
        taken = self._defined(self.model)
        chosen: list[Source] = []
        wanted = [self.sources[k] for k in keys if k in self.sources]
        for s in [*wanted, *sorted(self.sources.values(), key=lambda s: -s.key)]:
            defined = self._defined([s])
            if defined and not defined & taken:
                taken |= defined
                chosen.append(s)
        names: set[str] = set()
        resources = []
        for n, s in enumerate([*self.model, *chosen]):
            name = s.name if s.name not in names else f"{n}-{s.name}"
            names.add(name)
            resources.append(c.Resource(name, s.content))
        self.resources = resources
        return Desk(self.library, resources, self.tenant, end, self.clock)

    def run(
        self, root: int, histories: dict[int, list[Moment]], used: Iterable[int] = (), seconds: float = 10.0
    ) -> tuple[compare.Outcome, Feed | None]:
        """`used`: versions of decisions and forms that it ran by."""
        try:
            record = Record(root, histories, self.models)
        except Unfit as e:
            return compare.Outcome(NOT_RUN, message=str(e)), None
        called = {s.definition for s in record.family if s.place}
        desk = self._desk([*called, *used], self.clock() + seconds)
        feed = Feed(desk, record, self.process)
        try:
            feed.run()
        except TooMuch as e:
            return compare.Outcome(BROKEN_OFF, process=self.process, message=str(e)), feed
        found = compare.compare(record, desk, feed)
        if record.missing and found.outcome != compare.SAME:
            found.message = f"{found.message}; the history of called instance {record.missing[0]} is missing".lstrip("; ")
        return found, feed

"""A whole engine in one object: the same kernel that the server runs, on one partition, synchronous, with a clock that the test moves.

    engine = Engine()
    engine.deploy("order.bpmn")
    engine.on_job("order.check", {"checked": True})
    order = engine.start("order", {"amount": 50})
    engine.advance("PT4H")
    assert_that(order).is_waiting_at("approve")

After each call all mocked jobs have run and all tokens wait. The clock stands still unless it is moved, so that nothing depends on how quick a test is.
"""

from __future__ import annotations

import importlib.util
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path as File
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Broken, Envelope, Event, Rejected
from flowledger.kernel import Decision, Facts, Partition, decide, model, putoff, times
from flowledger.kernel.library import Library
from flowledger.kernel.model.encodings import decode, utf8
from flowledger.kernel.protection import TrialVault
from flowledger.sdk.flows import Flow
from flowledger.sdk.testing import stubs
from flowledger.sdk.testing.coverage import STAND_IN, Coverage
from flowledger.sdk.testing.errors import Endless, ModelInvalid, Refused
from flowledger.sdk.testing.instance import Instance
from flowledger.sdk.testing.mocks import JobMock, Mock, as_json

#: where the clock of a test begins: a Monday, so that calendars have a working week before them
START = "2026-01-05T08:00:00Z"
#: jobs and timers that one call may run before it is called endless
ROUNDS_MAX = 20_000
#: steps that may follow one command by themselves, each of some hundred moves, before a process is said to go round
FOLLOW_UPS_MAX = 2_000
#: of what is deployed elsewhere
_KNOWN = ("key", "id", "kind", "version", "hash", "name", "version_tag", "resource", "format", "deployment", "status")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Duration = str | float | timedelta
Source = str | File | Flow | Mapping[str, Any]


class Thrown(msgspec.Struct, frozen=True):
    """A message or signal that was published, by a process or by the test. `correlation` is `""` for signals."""

    name: str
    variables: dict[str, Any]
    correlation: str = ""


def _sandbox() -> Any:
    """The server's own, where it is installed (`pip install 'flowledger[server]'`)."""
    if importlib.util.find_spec("quickjs") is None:
        return None
    try:
        from flowledger.infra import javascript
    except ImportError:
        return None
    return javascript.run


class Engine:
    """
    Attributes:
        coverage: what was passed; share one between engines to add up.
        journal: all events with their envelopes, in order.
        messages, signals: what was published here, oldest first.
        auto: mocked jobs run by themselves; False: by `run_jobs`.
    """

    def __init__(
        self, *, now: str | datetime = START, tenant: str = "", auto: bool = True, coverage: Coverage | None = None, folder: str | File = ""
    ) -> None:
        self.state = Partition(0, 1)
        self.library = self._new_library()
        self.tenant, self.auto = tenant, auto
        self.folder = File(folder)
        self.coverage = coverage if coverage is not None else Coverage()
        self.journal: list[tuple[Event, Envelope]] = []
        self.messages: list[Thrown] = []
        self.signals: list[Thrown] = []
        self.mocks: dict[str, JobMock] = {}
        self._told: dict[tuple[str, str], Callable[..., Any]] = {}
        self._to_tell: list[tuple[str, Thrown]] = []
        self._instances: dict[int, Instance] = {}
        self._decisions = stubs.Decisions(self.library.decisions(self.state))
        self.facts = Facts(
            _micros(now), self.library.processes(self.state), self._decisions, self.library.read, javascript=_sandbox(),
            forms=self.library.forms(self.state), triggers=self.library.triggers(self.state), rules=self.library.rules(self.state), vault=TrialVault(), step_up=False,
        )  # fmt: skip
        self._settling = False

    # --- models

    def _new_library(self) -> Library:
        return _Library()

    def deploy(self, *sources: Source) -> dict[str, int]:
        """Deploy files (paths, relative to `folder`), flows of `sdk.flows`, or `{name: text or bytes}`, all together.

        Returns: id -> version of what is defined. Raises: ModelInvalid with all findings; Refused; OSError.
        """
        resources = [c.Resource(name, content) for source in sources for name, content in self._read(source)]
        for id in self._decisions.missing(resources, self.library, self.state):
            resources.append(c.Resource(f"{id}.mock.dmn", stubs.decision(id)))
        answer = self.do(c.Deploy(resources=resources))
        for d in answer["definitions"]:
            if d["kind"] == "process":
                self.coverage.deployed(self, d["key"])
        return {d["id"]: d["version"] for d in answer["definitions"]}

    def know(self, definitions: Sequence[Mapping[str, Any]]) -> None:
        """What is deployed elsewhere already: fields of its `definition.created` events, with the content of each. It keeps its keys and versions, and decision
        models stay bound to what they were bound to."""
        rows = [{name: row[name] for name in _KNOWN} | {"outline": row.get("outline")} for row in definitions]
        for row in definitions:
            graph, _ = self.library.read(row["resource"], row["content"])
            if graph is not None:
                self.library.graphs[row["hash"]] = graph
        if rows:
            self.do(c.DefineElsewhere(definitions=rows))

    def _read(self, source: Source) -> Iterator[tuple[str, str]]:
        if isinstance(source, Flow):
            yield f"{source._scope.id}.bpmn", source.xml().decode()
        elif isinstance(source, Mapping):
            for name, text in source.items():
                yield name, decode(text) if isinstance(text, bytes) else text
        else:
            file = self.folder / source
            yield file.name, decode(file.read_bytes())

    # --- mocks

    def on_job(
        self, type: str, answer: Mock = None, *, timeout: Duration = "PT5M", fetch: list[str] | None = None, result: str = ""
    ) -> JobMock:
        """From now on jobs of this type are answered so (see `JobMock`). `timeout` is the lease; `fetch` these variables only."""
        mock = self.mocks[type] = JobMock(self, type, answer, self._duration(timeout), fetch, result)
        self._settle()
        return mock

    def use(self, worker: Any) -> None:
        """All handlers of a `flowledger.sdk.Worker`: a process and its real handlers are tested together."""
        for type, handler in worker.handlers.items():
            self.on_job(type, handler.function, timeout=handler.lease_s, fetch=handler.fetch, result=handler.result)

    def on_decision(self, id: str, answer: Any) -> list[dict[str, Any]]:
        """The decision gives this value; a function gets the variables as a dict. Returns: the list of variables it was evaluated with."""
        self._decisions.mocks[id] = calls = stubs.DecisionMock(answer)
        if not self.state.process_versions.get((self.tenant, "decision", id)):
            self.do(c.Deploy(resources=[c.Resource(f"{id}.mock.dmn", stubs.decision(id))]))
        return calls.calls

    def on_process(self, id: str, answer: Mock = None) -> JobMock:
        """A stand-in for a called process: it ends at once with this answer (as of a job)."""
        mock = self.on_job(stubs.job_of(id), answer)
        self.deploy({f"{id}{STAND_IN}": stubs.process(id).xml()})
        return mock

    def on_message(self, name: str, handler: Callable[[Thrown], Any]) -> None:
        """Called with each message of this name after it was published; for partners that answer."""
        self._told["message", name] = handler

    def on_signal(self, name: str, handler: Callable[[Thrown], Any]) -> None:
        self._told["signal", name] = handler

    # --- doing

    def start(self, process: str, variables: Mapping[str, Any] | None = None, *, business_key: str = "", version: int = 0,
              version_tag: str = "", start_at: Iterable[str] = (), priority: int = 40, actor: str = "") -> Instance:  # fmt: skip
        """An instance by process id. `start_at`: before these elements instead of at the start event. Raises: Refused."""
        answer = self.do(
            c.StartInstance(
                id=process, variables=as_json(dict(variables or {})), business_key=business_key, version=version, version_tag=version_tag,
                start_at=list(start_at) or None, priority=priority,
            ),
            actor,
        )  # fmt: skip
        return self._instances[answer["key"]]

    def publish(
        self, name: str, key: Any = "", variables: Mapping[str, Any] | None = None, *, ttl: Duration = 0, message_id: str = ""
    ) -> None:
        """A message to whoever waits for it with this correlation key; kept for `ttl` for those who come later. Raises: Refused."""
        self.do(
            c.PublishMessage(
                name=name,
                correlation_key=str(key),
                variables=as_json(dict(variables or {})),
                ttl_ms=self._duration(ttl) // 1000,
                message_id=message_id,
            )
        )

    def signal(self, name: str, variables: Mapping[str, Any] | None = None) -> None:
        """A signal to all who listen."""
        self.do(c.BroadcastSignal(name=name, variables=as_json(dict(variables or {}))))

    def evaluate(self, decision: str, variables: Mapping[str, Any] | None = None) -> Any:
        """The output of a deployed decision. Raises: Refused."""
        return self.do(c.EvaluateDecision(id=decision, variables=as_json(dict(variables or {}))))["output"]

    def do(self, command: c.AnyCommand, actor: str = "") -> dict[str, Any]:
        """Any command; afterwards mocked jobs run. Returns: its answer. Raises: Refused, ModelInvalid."""
        answer = self._decide(command, actor)
        self._settle()
        return answer

    def run_jobs(self, type: str = "", most: int = ROUNDS_MAX) -> int:
        """With `auto=False`: run mocked jobs (of one type), at most so many. Returns: how many ran."""
        done = 0
        while done < most and self._run_job({type} if type else set(self.mocks)):
            done += 1
        return done

    # --- looking

    @property
    def instances(self) -> list[Instance]:
        """All that were started here, those by messages, timers and call activities too; oldest first."""
        return list(self._instances.values())

    def only(self, process: str = "") -> Instance:
        """The one instance (of a process). Raises: AssertionError when there is none or there are several."""
        found = [i for i in self.instances if not process or i.process == process]
        assert len(found) == 1, f"expected one instance{' of ' + process if process else ''}, found {len(found)}"
        return found[0]

    # --- the clock

    @property
    def now(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self.facts.now_us)

    def advance(self, by: Duration) -> None:
        """Move the clock (ISO 8601 duration, timedelta or seconds); what falls due on the way happens in order, each at its time."""
        self._move(self.facts.now_us + self._duration(by))

    def advance_to(self, moment: str | datetime) -> None:
        """Raises: ValueError when it lies in the past."""
        self._move(_micros(moment))

    def advance_to_next(self) -> datetime:
        """To the next thing that is due. Raises: AssertionError when nothing is."""
        due = [at for at, _, _ in self._due() if at > self.facts.now_us]
        assert due, "nothing is due: no timer, lease, retry or message waits for the clock"
        self._move(min(due))
        return self.now

    def _duration(self, by: Duration) -> int:
        if isinstance(by, str):
            months, us = times.duration(by)
            return times.after(self.facts.now_us, months, us) - self.facts.now_us
        return round((by.total_seconds() if isinstance(by, timedelta) else by) * 1_000_000)

    def _move(self, end: int) -> None:
        if end < self.facts.now_us:
            raise ValueError(
                f"time goes forward only: it is {self.now.isoformat()}, found {(_EPOCH + timedelta(microseconds=end)).isoformat()}"
            )
        self._settle()
        rounds = 0
        while True:
            due = [at for at, _, _ in self._due() if self.facts.now_us < at <= end]
            if not due:
                break
            self.facts.now_us = min(due)
            self._settle()
            rounds += 1
            if rounds > ROUNDS_MAX:
                raise Endless(f"more than {ROUNDS_MAX} things fell due before {(_EPOCH + timedelta(microseconds=end)).isoformat()}")
        self.facts.now_us = end

    def _due(self) -> Iterator[tuple[int, str, int]]:
        """(moment, kind, key) of all that waits for the clock. Tests are small: no heap is needed."""
        p = self.state
        yield from ((t.due_us, "timer", t.key) for t in p.timers.values())
        yield from ((m.expires_us, "message", m.key) for m in p.messages.values())
        for t in p.tasks.values():
            if t.worker:
                yield t.deadline_us, "lease", t.key
            if t.retry_at_us:
                yield t.retry_at_us, "retry", t.key

    # --- inside

    def _decide(self, command: Any, actor: str = "") -> dict[str, Any]:
        return self._made(self._request(command, actor))

    def _request(self, command: Any, actor: str = "") -> c.Request:
        return c.Request(command=command, time_us=self.facts.now_us, tenant=self.tenant, actor=actor)

    def _made(self, request: c.Request) -> dict[str, Any]:
        """The answer to it. What it leaves for later follows in its order, as it does on the server."""
        d = self._step(request)
        later, steps = deque(d.later), 0
        while (follows := self._request(later.popleft()) if later else putoff.request(self.state)) is not None:
            steps += 1
            if steps > FOLLOW_UPS_MAX:
                raise Endless(
                    f"more than {FOLLOW_UPS_MAX} steps followed by themselves: something goes round; instances: {self._running()}"
                )
            later += self._step(follows).later
        return d.answer

    def _step(self, request: c.Request) -> Decision:
        d = decide(self.state, request, self.facts)
        if isinstance(d, Rejected):
            if d.code == "MODEL_INVALID":
                raise ModelInvalid(msgspec.json.decode(d.message))
            raise Refused(d.code, d.message)
        if isinstance(d, Broken):
            raise RuntimeError(f"a defect of the engine: {d.defect}: {d.message}")
        for event, envelope in zip(d.events, d.envelopes, strict=True):
            self._heard(event, envelope)
        for key, status, variables, _ in d.finished:
            if key in self._instances:
                self._instances[key]._ended(status, variables)
        return d

    def _heard(self, e: Event, envelope: Envelope) -> None:
        self.journal.append((e, envelope))
        if isinstance(e, (wf.WorkflowStarted, wf.WorkflowCreated)):
            if e.key not in self._instances:
                self._instances[e.key] = Instance(self, e)
        elif isinstance(e, wa.MessageReceived):
            self._publish("message", self.messages, Thrown(e.name, e.variables or {}, e.correlation))
        elif isinstance(e, wa.SignalReceived) and not e.token:
            self._publish("signal", self.signals, Thrown(e.name, e.variables or {}))
        if e.key and (instance := self._instances.get(e.key)) is not None:
            steps = instance._heard(e)
            if steps:
                self.coverage.add(instance, steps)

    def _publish(self, kind: str, into: list[Thrown], thrown: Thrown) -> None:
        into.append(thrown)
        if (kind, thrown.name) in self._told:
            self._to_tell.append((kind, thrown))

    def _settle(self) -> None:
        """What is due at this moment, what partners answer, and mocked jobs, until all is quiet."""
        if self._settling:  # a mock or partner that uses the engine: the outer call goes on
            return
        self._settling = True
        try:
            tried: set[tuple[int, str, int]] = set()
            for _ in range(ROUNDS_MAX):
                if not (self._tell() or self._fire(tried) or (self.auto and self._run_job(set(self.mocks)))):
                    return
            raise Endless(f"more than {ROUNDS_MAX} jobs and timers ran without the clock being moved; instances: {self._running()}")
        finally:
            self._settling = False

    def _running(self) -> str:
        return "; ".join(f"{i.name} {i.path_text(20)}" for i in self.instances if i.is_running)

    def _tell(self) -> bool:
        if not self._to_tell:
            return False
        kind, thrown = self._to_tell.pop(0)
        self._told[kind, thrown.name](thrown)
        return True

    def _fire(self, tried: set[tuple[int, str, int]]) -> bool:
        now = self.facts.now_us
        due = sorted(x for x in self._due() if x[0] <= now and x not in tried)
        if not due:
            return False
        tried.add(due[0])
        _, kind, key = due[0]
        self._decide(_FIRE[kind]([key]))
        return True

    def _run_job(self, types: set[str]) -> bool:
        """The waiting job of the highest priority, the oldest of them, is handed out and answered."""
        waiting = [
            (-priority, next(iter(keys)), type)
            for (_, type), lanes in self.state.ready.items() if type in types
            for priority, keys in lanes.items() if keys
        ]  # fmt: skip
        for _, _, type in sorted(waiting):
            mock = self.mocks.get(type)
            if mock is None:
                raise KeyError(f"no mock for job '{type}'")
            answer = self._decide(
                c.ActivateTasks(job_type=type, worker="test", max=1, timeout_ms=max(1, mock.timeout_us // 1000), fetch=mock.fetch)
            )
            for job in answer["jobs"]:
                command = mock.run(job)
                if command is not None:
                    self._answered(command)
                return True
        return False

    def _answered(self, command: c.AnyCommand) -> None:
        """A mock may have changed the world under its own job (cancelled the instance): its answer is late then, as a worker's can be."""
        try:
            self._decide(command)
        except Refused as refused:
            if refused.code not in ("NOT_FOUND", "STALE"):
                raise


@lru_cache(maxsize=256)
def _compiled(name: str, content: str) -> tuple[Any, list[Any]]:
    """A session of tests deploys the same few models again and again; a graph never changes after it was made."""
    return model.read(utf8(content), name)


class _Library(Library):
    def read(self, name: str, content: str) -> tuple[Any, list[Any]]:
        graph, findings = _compiled(name, content)
        if graph is not None:
            self.graphs[graph.hash] = graph
        return graph, findings


_FIRE: dict[str, Callable[[list[int]], c.AnyCommand]] = {
    "timer": lambda keys: c.FireTimers(timers=keys),
    "message": lambda keys: c.ExpireMessages(messages=keys),
    "lease": lambda keys: c.ExpireLeases(tasks=keys),
    "retry": lambda keys: c.ReadyTasks(tasks=keys),
}


def _micros(moment: str | datetime) -> int:
    if isinstance(moment, str):
        return times.instant(moment)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)

"""Scenarios that read like the log: a model, moves, and the compact line of what happened.

After every command the log is folded anew and must give the same state (`encode_state`), and the same command on a copy must give the same
events. With `crash` the folded copy takes over after every command and only one token step runs per command.

Line: `+x` token made at x, `x>y` flow taken, `[x` task created, `x]` completed, `x^` cancelled, `x!CODE` error, `-x` token ended in x, `~x` token
withdrawn, `join x`, `loop x 3`, `item x 1`, `timer x`, `tick x`, `sub x`, `caught x`, `keep x` (can be compensated), `undo x y` (compensation
begins), `undone`, `esc CODE`, `?CODE` incident, `store s`, `done`, `failed CODE`, `cancelled`, `terminated`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import msgspec
from notation import bpmn

from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Broken, Envelope, Event, Rejected
from flowledger.kernel import checkpoint, putoff
from flowledger.kernel.decide import decide
from flowledger.kernel.decision import Decision, Facts
from flowledger.kernel.fold import evolve
from flowledger.kernel.library import Library
from flowledger.kernel.model import bpmn as bpmn_reader
from flowledger.kernel.model import dmn_resource, form_resource
from flowledger.kernel.soundness import problems
from flowledger.kernel.state import Instance, Partition
from flowledger.kernel.stored import encode_state
from flowledger.kernel.watchdog.looking import Look, everything

START_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


def _taken(e: fl.FlowTaken) -> str:
    return f"{e.source}>{e.target}"


WORDS: dict[type[Event], Any] = {
    wf.WorkflowStarted: lambda e: f"+{e.element}" if e.token else "start",
    wf.WorkflowCompleted: lambda e: "done",
    wf.WorkflowFailed: lambda e: f"failed {e.code}",
    wf.WorkflowCancelled: lambda e: "cancelled",
    wf.WorkflowTerminated: lambda e: "terminated",
    fl.FlowTaken: _taken,
    fl.GatewayReached: lambda e: f"join {e.element}" if e.consumed else "",
    fl.ElementCompleted: lambda e: f"-{e.element}",
    fl.ElementTerminated: lambda e: f"~{e.element}",
    fl.LoopStarted: lambda e: f"loop {e.element} {e.total}",
    fl.LoopItemCompleted: lambda e: f"item {e.index}",
    fl.ErrorOccurred: lambda e: f"{e.element}!{e.code}",
    fl.EscalationTriggered: lambda e: f"esc {e.code}",
    fl.CompensationRecorded: lambda e: f"keep {e.element}",
    fl.CompensationStarted: lambda e: "undo " + " ".join(str(a) for a in e.activities),
    fl.CompensationCompleted: lambda e: "undone",
    fl.DataWritten: lambda e: f"store {e.store}",
    ta.TaskCreated: lambda e: f"[{e.element}" + (f":{e.listener}" if e.listener else ""),
    ta.TaskCompleted: lambda e: f"{e.element}]",
    ta.TaskCancelled: lambda e: f"{e.element}^",
    wa.TimerScheduled: lambda e: f"timer {e.element}",
    wa.TimerTriggered: lambda e: f"tick {e.element}",
    wa.SubscriptionOpened: lambda e: f"sub {e.element}",
    wa.MessageCorrelated: lambda e: f"caught {e.element}",
    wa.SignalReceived: lambda e: f"caught {e.element}" if e.element else "",
    wa.ConditionTriggered: lambda e: f"caught {e.element}",
    wa.IncidentRaised: lambda e: f"?{e.code}",
}  # fmt: skip


class Resources(Library):
    """Reads BPMN and DMN without asking what format it is."""

    known: dict[tuple[str, str], tuple[Any, list[Any]]] = {}

    def read(self, name: str, content: str) -> tuple[Any, list[Any]]:
        found = self.known.get((name, content))
        if found is None:  # graphs never change: one reading serves all scenarios
            found = self.known[name, content] = (
                dmn_resource if name.endswith(".dmn") else form_resource if name.endswith(".form") else bpmn_reader
            ).read(content.encode(), name)
        graph, findings = found
        if graph is not None:
            graph = self.graphs.setdefault(graph.hash, graph)
        return graph, findings


class Refused(AssertionError):
    def __init__(self, rejected: Rejected) -> None:
        super().__init__(f"{rejected.code}: {rejected.message}")
        self.rejected = rejected


class Scenario:
    def __init__(
        self, *models: str, crash: bool = False, steps_max: int = 0, partitions: int = 1, resources: Iterable[tuple[str, str]] = ()
    ) -> None:
        self.library = Resources()
        self.p = Partition(0, partitions)
        self.crash = crash
        self.log: list[tuple[Event, Envelope]] = []
        self.words: list[str] = []
        self.now_us = START_US
        self.steps_max = steps_max or (1 if crash else 1_000)
        self.check = True
        #: the watchdog looks after every command, and finds nothing but these kinds
        self.watched, self.expected = True, frozenset[str]()
        self._folded: Partition | None = None
        files = [c.Resource(f"m{n}.bpmn", m if m.lstrip().startswith("<") else bpmn(m)) for n, m in enumerate(models)]
        files += [c.Resource(name, text) for name, text in resources]
        if files:
            self.deployed = self.do(c.Deploy(resources=files))["definitions"]
        self.words = []

    # --- commands

    def facts(self, p: Partition) -> Facts:
        return Facts(
            self.now_us,
            self.library.processes(p),
            self.library.decisions(p),
            self.library.read,
            steps_max=self.steps_max,
            forms=self.library.forms(p),
            triggers=self.library.triggers(p),
        )

    def do(self, command: c.AnyCommand, settle: bool = True) -> dict[str, Any]:
        """Raises: Refused."""
        return self._made(c.Request(command=command), settle)

    def _made(self, request: c.Request, settle: bool) -> dict[str, Any]:
        self.now_us += 1_000
        twin = copy.deepcopy(self.p) if self.check else None
        answer = decide(self.p, request, self.facts(self.p))
        assert not isinstance(answer, Broken), f"a defect: {answer.defect}: {answer.message}"
        if isinstance(answer, Rejected):
            assert twin is None or image(twin) == image(self.p), "a rejection leaves no trace"
            raise Refused(answer)
        if twin is not None:
            again = decide(twin, request, self.facts(twin))
            assert isinstance(again, Decision) and again.events == answer.events, "a decision must be repeatable"
        self._take(answer)
        assert all(isinstance(later, c.Continue) for later in answer.later), "what is put off stands on the log"
        while (put_off := putoff.request(self.p)) is not None:
            self._made(put_off, settle=False)
        while settle and self.p.unsettled:
            self.do(c.Continue(key=next(iter(self.p.unsettled))), settle=False)
        return answer.answer

    def _take(self, d: Decision) -> None:
        new = list(zip(d.events, d.envelopes, strict=True))
        self.log += new
        for e, _ in new:
            if (say := WORDS.get(type(e))) is not None and (word := say(e)):
                self.words.append(word)
        if not self.check:
            return
        if self._folded is None:
            self._folded = Partition(0, self.p.meta.partitions)
        for e, v in new:
            evolve(self._folded, e, v)
        assert image(self._folded) == image(self.p), "replay must give the same state"
        if self.watched:
            expected = self.expected | {"instance_idle"} if self.p.unsettled else self.expected  # a follow-up comes
            found = [f for f in everything(Look(self.p, self.library.processes(self.p), 0)) if f.kind not in expected]
            assert not found, f"a false alarm of the watchdog: {found}\n{self.line[-400:]}"
        if self.crash:
            unsettled = dict(self.p.unsettled)
            self.p, self._folded = self._folded, None
            self.p.unsettled.update(unsettled)
            fresh = Partition(0, self.p.meta.partitions)
            for e, v in self.log:
                evolve(fresh, e, v)
            self._folded = fresh

    def start(self, id: str = "p", /, **variables: Any) -> Scenario:
        self.key = self.do(c.StartInstance(id=id, variables=variables or None))["key"]
        return self

    def move(self, text: str) -> Scenario:
        """One move: `complete a x=1 y="t"`, `error a CODE`, `fail a`, `tick`, `message NAME [key] [x=1]`, `signal NAME [x=1]`, `set x=1`, `cancel`,
        `resolve`, `activate SCOPE a,b [x=1]`, `terminate a`, `conditions x=1`."""
        verb, *words = text.split()
        variables = {k: msgspec.json.decode(v) for k, _, v in (w.partition("=") for w in words if "=" in w)}
        names = [w for w in words if "=" not in w]
        getattr(self, f"_{verb}")(names, variables)
        return self

    def moves(self, *texts: str) -> Scenario:
        for text in texts:
            self.move(text)
        return self

    def task(self, element: str) -> Any:
        found = [t for t in self.p.tasks.values() if element in (t.element, t.job_type)]
        assert found, f"no task at {element}: {[t.element for t in self.p.tasks.values()]}"
        return min(found, key=lambda t: t.key)

    def _complete(self, names: list[str], variables: dict[str, Any]) -> None:
        self.do(c.CompleteTask(task=self.task(names[0]).key, variables=variables or None))

    def _error(self, names: list[str], variables: dict[str, Any]) -> None:
        self.do(c.ThrowTaskError(task=self.task(names[0]).key, code=names[1], variables=variables or None))

    def _tick(self, names: list[str], variables: dict[str, Any]) -> None:
        timer = min((t for t in self.p.timers.values() if not names or t.element == names[0]), key=lambda t: (t.due_us, t.key))
        self.now_us = max(self.now_us, timer.due_us)
        self.do(c.FireTimers(timers=[timer.key]))

    def _message(self, names: list[str], variables: dict[str, Any]) -> None:
        self.do(c.PublishMessage(name=names[0], correlation_key=names[1] if len(names) > 1 else "", variables=variables or None))

    def _signal(self, names: list[str], variables: dict[str, Any]) -> None:
        self.do(c.BroadcastSignal(name=names[0], variables=variables or None))

    def _set(self, names: list[str], variables: dict[str, Any]) -> None:
        self.do(c.SetVariables(key=self.key, variables=variables))

    def _conditions(self, names: list[str], variables: dict[str, Any]) -> None:
        self.do(c.EvaluateConditions(variables=variables))

    def _cancel(self, names: list[str], variables: dict[str, Any]) -> None:
        self.do(c.CancelInstance(key=self.key))

    def _resolve(self, names: list[str], variables: dict[str, Any]) -> None:
        self.do(c.ResolveIncident(key=min(self.p.incidents)))

    def _terminate(self, names: list[str], variables: dict[str, Any]) -> None:
        self.do(c.ModifyInstance(key=self.key, terminate=[self.token(names[0])]))

    def _activate(self, names: list[str], variables: dict[str, Any]) -> None:
        self.do(c.AdHocActivate(token=self.token(names[0]), elements=names[1].split(","), variables=variables or None))

    # --- looking

    @property
    def i(self) -> Instance:
        return self.p.instances[self.key]

    def token(self, element: str) -> int:
        return min(t.key for t in self.i.tokens.values() if t.element == element)

    @property
    def at(self) -> str:
        """Where tokens stand, in order of their elements' names."""
        return " ".join(sorted(t.element for i in self.p.instances.values() for t in i.tokens.values()))

    @property
    def line(self) -> str:
        return " ".join(self.words)

    def said(self, *prefixes: str) -> str:
        """The words of the line that begin so."""
        return " ".join(w for w in self.words if w.startswith(prefixes))

    @property
    def tasks(self) -> str:
        """Names of created tasks in order."""
        return " ".join(w[1:] for w in self.words if w.startswith("["))

    @property
    def empty(self) -> bool:
        p = self.p
        return not (
            p.instances or p.tasks or p.timers or p.incidents or p.awaited or any(not s.definition for s in p.subscriptions.values())
        )

    @property
    def vars(self) -> dict[str, Any]:
        """The variables of the last instance, also after its end (by the log)."""
        if self.key in self.p.instances:
            return self.i.vars
        found: dict[str, Any] = {}
        for e, _ in self.log:
            if e.key != self.key:
                continue
            if isinstance(e, wf.WorkflowStarted):
                found.update(e.variables or {})
            elif isinstance(e, wf.VariableSet) and e.scope == self.key:
                found.update(e.variables)
            elif isinstance(e, ta.TaskCompleted) and e.merged == self.key:
                found.update(e.variables or {})
        return found


def image(p: Partition) -> dict[str, Any]:
    """All of a partition's values as bytes, comparable."""
    tables = ("instances", "tasks", "timers", "subscriptions", "incidents", "messages", "awaited", "definitions", "holds")
    found: dict[str, Any] = {name: {k: _bytes(v) for k, v in getattr(p, name).items()} for name in tables}
    found["records"] = {k: msgspec.json.encode(v) for k, v in p.records.items()}
    found["meta"] = (p.meta.counter, dict(p.meta.sent))
    found["indexes"] = ({k: list(v) for k, v in p.by_signal.items() if v}, {k: list(v) for k, v in p.by_start.items() if v}, p.open)
    found["held"] = ({scope: {k: list(v) if isinstance(v, dict) else v for k, v in x.items()} for scope, x in p.holding.items()},
                     {k: list(v) for k, v in p.releasing.items()})  # fmt: skip
    return found


def _bytes(value: Any) -> bytes:
    if isinstance(value, Instance):
        value = copy.copy(value)
        value.tokens = {k: copy.copy(t) for k, t in value.tokens.items()}
        if value.compensable:  # by scope: its order means nothing
            value.compensable = dict(sorted(value.compensable.items()))
        for holder in (value, *value.tokens.values()):
            if isinstance(holder.kids, set):
                holder.kids = sorted(holder.kids)
    return encode_state(value)


def play(model: str | list[str], moves: str, id: str = "p", /, **variables: Any) -> Scenario:
    """Start and play moves (separated by `;`), once live and once with a crash after every step: both must end alike. Returns the live one."""
    models = [model] if isinstance(model, str) else model
    runs = []
    for crash in (False, True):
        s = Scenario(*models, crash=crash)
        s.start(id, **variables)
        for text in moves.split(";"):
            if text.strip():
                s.move(text.strip())
        runs.append(s)
    live, crashed = runs
    assert crashed.at == live.at and sorted(crashed.words) == sorted(live.words), f"a crash changed it:\n  {live.line}\n  {crashed.line}"
    return live


def moment(s: Scenario, at: int) -> Any:
    """The instance as it was after so many events of the log, as a door folds it: from its own events alone."""
    p = Partition(0)
    for e, v in s.log[:at]:
        if e.key == s.key:
            evolve(p, e, v)
    return msgspec.json.decode(encode_state(checkpoint.image(p, p.instances[s.key])))


def asked_first(s: Scenario, command: Any, may_end: bool = False) -> dict[str, Any]:
    """A dry run changes nothing; then the command itself leaves nothing that can't go on. Returns the plan. Raises: Refused."""
    before = image(s.p)
    plan = decide(s.p, c.Request(command=command, plan=c.DRY_RUN), s.facts(s.p))
    assert image(s.p) == before
    if isinstance(plan, Rejected):
        raise Refused(plan)
    assert isinstance(plan, Decision), plan
    s.do(command)
    assert (may_end and s.key not in s.p.instances) or not problems(Decision(s.p, s.facts(s.p), Envelope(), None), s.i)
    return dict(plan.answer)


def target(s: Scenario, model: str, process: str = "p") -> int:
    """Another version's key."""
    key: int = s.do(c.Deploy(resources=[c.Resource(f"t{len(s.log)}.bpmn", bpmn(model, process))]))["definitions"][0]["key"]
    return key


def migrate(s: Scenario, model: str, process: str = "p", elements: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """To another model; asked first. Returns the plan."""
    command = c.MigrateInstance(key=s.key, definition=target(s, model, process), elements=elements or {}, same_ids=True, **more)
    return asked_first(s, command)

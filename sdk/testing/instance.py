"""A run of a process as a test sees it: where it is, what it holds, and what people do with its tasks."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Event
from flowledger.sdk.testing.errors import UnknownElement
from flowledger.sdk.testing.mocks import as_json
from flowledger.sdk.testing.path import Path, Step

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode
#: characters of a variable's value in a message
SHOWN_MAX = 600


class Raised(msgspec.Struct, frozen=True):
    """An incident, open or resolved."""

    key: int
    code: str
    message: str
    element: str


class Instance:
    """Of an `Engine`. It stays what it is after its end: status, variables and path of the last moment."""

    def __init__(self, engine: Any, e: wf.WorkflowStarted | wf.WorkflowCreated) -> None:
        self.engine = engine
        self.key, self.process, self.definition, self.version, self.business_key = e.key, e.process, e.definition, e.version, e.business_key
        self.parent: int = getattr(e, "parent", 0)
        self.path = Path()
        self.incidents: list[Raised] = []
        #: events of this instance
        self.events: list[Event] = []
        #: by the coverage
        self.counted = False
        self._final: tuple[str, dict[str, Any]] | None = None

    # --- told by the engine

    def _heard(self, e: Event) -> list[Step]:
        self.events.append(e)
        if type(e) is wa.IncidentRaised:
            self.incidents.append(Raised(e.incident, e.code, e.message, e.element))
        return self.path.add(e)

    def _ended(self, status: str, variables: dict[str, Any]) -> None:
        self._final = (status, dict(variables))

    # --- looking

    @property
    def name(self) -> str:
        return f"{self.process} (instance {self.key})"

    @property
    def model(self) -> Any:
        """The compiled process: `nodes` and `flows` by id."""
        return self.engine.facts.processes[self.definition]

    @property
    def _state(self) -> Any:
        return self.engine.state.instances.get(self.key)

    @property
    def status(self) -> str:
        """pending, running, suspended; completed, failed, cancelled, terminated."""
        state = self._state
        if state is not None:
            status: str = state.status
            return status
        ends = self.path.names("end")
        return ends[-1] if ends else self._final[0] if self._final else "unknown"

    @property
    def is_running(self) -> bool:
        return self._state is not None

    @property
    def variables(self) -> dict[str, Any]:
        """Those of the whole instance; at its end if it has ended."""
        state = self._state
        if state is not None:
            return dict(state.vars)
        return dict(self._final[1]) if self._final else {}

    def local_variables(self, element: str) -> dict[str, Any]:
        """What belongs to the token at `element` alone (input mappings, a run's item). Raises: AssertionError when nothing stands there."""
        tokens = self._tokens_at(element)
        assert tokens, f"nothing stands at '{element}'\n{self.explain()}"
        return dict(tokens[-1].vars or {})

    @property
    def active(self) -> list[str]:
        """Elements at which tokens stand, outermost and oldest first; one for each token."""
        state = self._state
        return [t.element for t in sorted(state.tokens.values(), key=lambda t: t.key)] if state is not None else []

    @property
    def waiting(self) -> list[str]:
        """As `active`, without the scopes that only surround others."""
        state = self._state
        return [t.element for t in sorted(state.tokens.values(), key=lambda t: t.key) if not t.kids] if state is not None else []

    @property
    def children(self) -> list[Instance]:
        """Instances that its call activities started."""
        return [i for i in self.engine.instances if i.parent == self.key]

    def child(self, process: str = "") -> Instance:
        """The latest called instance (of a process). Raises: AssertionError."""
        found = [i for i in self.children if not process or i.process == process]
        assert found, f"{self.name} called no instance{' of ' + process if process else ''}"
        return found[-1]

    @property
    def open_incidents(self) -> list[Raised]:
        return [i for i in self.incidents if i.key in self.engine.state.incidents]

    def known(self, id: str, flow: bool = False) -> str:
        """Raises: UnknownElement unless the process has such an element (or flow)."""
        model = self.model
        table = model.flows if flow else model.nodes
        if id not in table:
            near = difflib.get_close_matches(id, table, 1)
            raise UnknownElement(
                f"process '{self.process}' has no {'flow' if flow else 'element'} '{id}'" + (f"; did you mean '{near[0]}'?" if near else "")
            )
        return id

    def _tokens_at(self, element: str) -> list[Any]:
        state = self._state
        self.known(element)
        return [t for t in state.tokens.values() if t.element == element] if state is not None else []

    # --- doing

    def task(self, element: str = "") -> Work:
        """The open task of a person at `element` (the only one, if not named). Raises: AssertionError."""
        return self._work(element, "task", lambda t: not t.job_type and not t.listener)

    def job(self, element: str = "") -> Work:
        """The open job at `element`, to answer by hand what no mock answers. Raises: AssertionError."""
        return self._work(element, "job", lambda t: bool(t.job_type))

    def _work(self, element: str, what: str, fits: Any, nth: int = 1) -> Work:
        """`nth`: of those that are open there, oldest first."""
        if element:
            self.known(element)
        found = [t for t in self.engine.state.tasks.values() if t.instance == self.key and fits(t) and element in ("", t.element)]
        if not element and len({t.element for t in found}) > 1:
            raise AssertionError(f"expected one open {what}, found {len(found)}: name the element\n{self.explain()}")
        if len(found) < max(1, nth):
            of = f"{nth} open of {what}" if nth > 1 else f"an open {what}"
            raise AssertionError(f"expected {of}{f' at {element!r}' if element else ''}, found {len(found) or 'none'}\n{self.explain()}")
        return Work(self, found[max(1, nth) - 1])

    def receive(self, name: str, variables: Mapping[str, Any] | None = None) -> None:
        """Publish message `name` with the correlation key that this instance waits with. Raises: AssertionError when it doesn't wait for it."""
        for s in self.engine.state.subscriptions.values():
            if s.instance == self.key and s.kind == "message" and s.name == name:
                self.engine.publish(name, s.correlation, variables)
                return
        raise AssertionError(f"expected {self.name} to wait for message '{name}', it doesn't\n{self.explain()}")

    def set_variables(self, variables: Mapping[str, Any], element: str = "") -> None:
        """In the whole instance; with `element` local to the token there."""
        key = self.key
        if element:
            tokens = self._tokens_at(element)
            assert tokens, f"nothing stands at '{element}'\n{self.explain()}"
            key = tokens[-1].key
        self.engine.do(c.SetVariables(key=key, variables=as_json(dict(variables)), local=bool(element)))

    def cancel(self, reason: str = "") -> None:
        self.engine.do(c.CancelInstance(key=self.key, reason=reason))

    def resolve(self, retries: int = 1) -> None:
        """What stands still goes on: jobs without retries get so many, then all open incidents are resolved."""
        assert self.open_incidents, f"{self.name} has no open incident"
        for i in self.open_incidents:
            incident = self.engine.state.incidents.get(i.key)
            task = self.engine.state.tasks.get(incident.task) if incident is not None else None
            if task is not None and task.retries < 1:
                self.engine.do(c.UpdateRetries(task=task.key, retries=retries))
            if i.key in self.engine.state.incidents:
                self.engine.do(c.ResolveIncident(key=i.key))

    # --- for people

    def path_text(self, last: int = 120) -> str:
        flows = self.model.flows
        return self.path.text(lambda f: f in flows and len(flows[f].source.outgoing) > 1, last)

    def waits_for(self) -> list[str]:
        """What each waiting token waits for, one sentence each."""
        state = self._state
        if state is None:
            return [f"nothing: it is {self.status}"]
        p, lines = self.engine.state, []
        for token in sorted(state.tokens.values(), key=lambda t: t.key):
            what = [text for key in token.holds or () if (text := self._held(p, key))]
            if token.incident and token.incident in p.incidents:
                incident = p.incidents[token.incident]
                what.append(f"incident {incident.code}: {incident.message}")
            if token.data and "child" in token.data and (child := self.engine._instances.get(token.data["child"])) is not None:
                what.append(f"called {child.name}: " + " | ".join(child.waits_for()))
            if what or not token.kids:
                lines.append(f"at {token.element}: {', '.join(what) or 'others (a join)'}")
        lines += [f"beside: {text}" for key in state.holds or () if (text := self._held(p, key))]
        return lines

    def _held(self, p: Any, key: int) -> str:
        if (task := p.tasks.get(key)) is not None:
            details = task.details or {}
            if task.job_type:
                return f"job '{task.job_type}' ({task.retries} retries left" + (", next later)" if task.retry_at_us else ")")
            who = details.get("assignee") or ", ".join([*details.get("candidate_users", ()), *details.get("candidate_groups", ())])
            return f"task '{details.get('name') or task.element}' {task.status}" + (f" ({who})" if who else "")
        if (timer := p.timers.get(key)) is not None and ":" not in timer.element:  # a colon: the clock of a task
            return f"timer {timer.element} due {(_EPOCH + timedelta(microseconds=timer.due_us)).isoformat()}"
        if (s := p.subscriptions.get(key)) is not None:
            return (
                f"{s.kind} '{s.name}'"
                + (f" with key '{s.correlation}'" if s.correlation else "")
                + (f" ({s.element})" if s.element else "")
            )
        return ""

    def explain(self) -> str:
        """Path, what it waits for, incidents and variables: the tail of each failed assertion."""
        shown = _encode(self.variables).decode()
        lines = [f"  path:      {self.path_text()}"]
        lines += [f"  {'waits:' if n == 0 else '':<10} {line}" for n, line in enumerate(self.waits_for())]
        lines += [f"  incident:  {i.code} at {i.element}: {i.message}" for i in self.open_incidents]
        lines.append(f"  variables: {shown if len(shown) <= SHOWN_MAX else shown[:SHOWN_MAX] + ' ...'}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<{self.name} {self.status}: {self.path_text(20)}>"


class Work:
    """An open task of a person, or a job that the test answers by hand."""

    def __init__(self, instance: Instance, task: Any) -> None:
        self.instance, self.engine = instance, instance.engine
        self.key, self.element, self.type, self.job_type = task.key, task.element, task.type, task.job_type

    @property
    def _task(self) -> Any:
        return self.engine.state.tasks.get(self.key)

    @property
    def is_open(self) -> bool:
        return self._task is not None

    @property
    def status(self) -> str:
        return self._task.status if self._task is not None else "done"

    @property
    def details(self) -> dict[str, Any]:
        """name, assignee, candidate_groups, candidate_users, due_us, form ...; only what is set."""
        return dict((self._task.details if self._task is not None else None) or {})

    @property
    def assignee(self) -> str:
        return self.details.get("assignee") or ""

    @property
    def candidate_groups(self) -> list[str]:
        return list(self.details.get("candidate_groups") or [])

    @property
    def due(self) -> datetime | None:
        us = self.details.get("due_us")
        return _EPOCH + timedelta(microseconds=us) if us else None

    @property
    def headers(self) -> dict[str, Any]:
        return dict((self._task.headers if self._task is not None else None) or {})

    @property
    def retries(self) -> int:
        return self._task.retries if self._task is not None else 0

    @property
    def priority(self) -> int:
        return self._task.priority if self._task is not None else 0

    def complete(self, variables: Mapping[str, Any] | None = None, *, by: str = "") -> None:
        self.engine.do(c.CompleteTask(task=self.key, variables=as_json(dict(variables or {}))), by)

    def fail(self, message: str = "", *, code: str = "", retries: int = -1, backoff_s: float = -1, by: str = "") -> None:
        """As a worker's `JobFailed`; `retries` -1: one less, `backoff_s` -1: by the retry policy."""
        self.engine.do(
            c.FailTask(
                task=self.key, message=message, code=code, retries=retries, backoff_ms=round(backoff_s * 1000) if backoff_s >= 0 else -1
            ),
            by,
        )

    def throw(self, code: str, message: str = "", variables: Mapping[str, Any] | None = None, *, by: str = "") -> None:
        """As a worker's `BpmnError`."""
        self.engine.do(c.ThrowTaskError(task=self.key, code=code, message=message, variables=as_json(dict(variables or {}))), by)

    def move(self, move: str, *, by: str = "", reason: str = "", **details: Any) -> None:
        """Any move of the table of moves: claim, release, start, progress, delegate, escalate, comment ..."""
        self.engine.do(c.MoveTask(task=self.key, move=move, reason=reason, details=as_json(details) or None), by)

    def claim(self, by: str) -> Work:
        self.move("claim", by=by)
        return self

    def assign(self, assignee: str, *, by: str = "") -> Work:
        self.move("assign", by=by, assignee=assignee)
        return self

    def __repr__(self) -> str:
        return f"<{self.job_type or 'task'} at {self.element} {self.status}>"

"""A run of models by steps that are given as data (those of tests as data): what a designer tries, told whole after the last step.

The engine is that of tests: in memory, no log, no network, a clock of its own. Nothing is kept between two calls: a run is its steps, done again from
the start each time. So going back is leaving out the last, a changed model is tried with the same steps, and the run is a test already.

    run_trial({"order.bpmn": text}, [{"start": "order"}, {"complete": "approve"}])
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from flowledger.events import commands as c
from flowledger.kernel import Decision
from flowledger.kernel.library import Library
from flowledger.sdk.testing import data
from flowledger.sdk.testing.engine import START, Engine
from flowledger.sdk.testing.errors import ModelInvalid, Refused
from flowledger.sdk.testing.instance import Instance

#: steps of a run; decisions of the engine in it; events it may write; instances that are told; seconds it may take
STEPS_MAX, DECISIONS_MAX, EVENTS_MAX, INSTANCES_MAX, SECONDS_MAX = 500, 5_000, 50_000, 200, 10.0
#: what a step may not do here: it would read the server's files
_NOT_HERE = frozenset({"deploy"})
#: word of a step -> what its value is; a test's file is its author's own, what comes here is anybody's
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(
        ("start", "complete", "fail", "throw", "claim", "move", "publish", "receive", "signal", "evaluate", "advance_to", "as", "instance", "by", "to",
         "reason", "message", "code", "at", "comment"),
        ((str,), "a text"),
    ),
    **dict.fromkeys(("variables", "details", "set", "mock", "expect"), ((dict,), "an object")),
    **dict.fromkeys(("advance", "backoff", "ttl"), ((str, int, float, Decimal), "a duration")),
    **dict.fromkeys(("business_key", "key", "id"), ((str, int, Decimal, bool, float), "a text or a number")),
    **dict.fromkeys(("version", "retries", "nth"), ((int,), "a whole number")),
    "start_at": ((str, list), "a text, or a list of texts"),
    "cancel": ((str, bool), "a reason, or true"),
    "resolve": ((int,), "true, or a number of attempts"),
    "refused": ((str, bool), "a code, or true"),
}  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TooMuch(Exception):
    """A run that goes beyond its bounds."""


class Bounded(Engine):
    """An engine that stops after so many decisions, events or seconds, whatever the model wishes."""

    def __init__(self, now: str, clock: Callable[[], float]) -> None:
        super().__init__(now=now)
        self._clock, self._end, self._left = clock, clock() + SECONDS_MAX, DECISIONS_MAX

    def _new_library(self) -> Library:
        return Library()  # what callers send is compiled for them alone, and forgotten

    def _step(self, request: c.Request) -> Decision:  # follow-ups count as well
        self._left -= 1
        if self._left < 0 or len(self.journal) > EVENTS_MAX:
            raise TooMuch(
                f"a run makes at most {DECISIONS_MAX} decisions and {EVENTS_MAX} events; does the process go round without waiting?"
            )
        if self._clock() > self._end:
            raise TooMuch(f"a run takes at most {SECONDS_MAX:g} s")
        return super()._step(request)


def run_trial(
    models: Mapping[str, str],
    steps: list[Any],
    *,
    now: str = "",
    mocks: dict[str, Any] | None = None,
    known: Sequence[Mapping[str, Any]] = (),
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """What is there after the last step, or after the first that failed (`failed` says which and why). `known`: as of `Engine.know`.

    Raises: ModelInvalid with all findings; data.BadTest for steps that are none; TooMuch; ValueError (`now`).
    """
    _look_at(steps, mocks)
    engine = Bounded(now or START, clock)
    engine.know(known)
    run = data.Run(engine)
    if mocks:
        run.mock(mocks, {})
    engine.deploy(dict(models))
    failed: dict[str, Any] | None = None
    done = 0
    for step in steps:
        verb = data.verb_of(step)
        try:
            run.step(verb, step)
        except (AssertionError, Refused, ValueError, TypeError, RuntimeError) as e:
            code = e.code if isinstance(e, Refused) else "DEFECT" if isinstance(e, RuntimeError) else "FAILED"
            findings = e.findings if isinstance(e, ModelInvalid) else []
            failed = {"step": done + 1, "what": verb, "code": code, "message": str(e) or type(e).__name__, "findings": findings}
            break
        done += 1
    return {
        "now": engine.now.isoformat().replace("+00:00", "Z"),
        "done": done,
        "failed": failed,
        "instances": [_instance(i, _name(engine, i)) for i in engine.instances[:INSTANCES_MAX]],
        "waiting": _waiting(engine),
        "published": [{"name": m.name, "key": m.correlation, "variables": m.variables} for m in engine.messages[-100:]],
        "signalled": [{"name": m.name, "variables": m.variables} for m in engine.signals[-100:]],
        "coverage": [_covered(r) for r in engine.coverage.rows],
        "test": _test([*_files(known), *models], steps[:done], engine, now, mocks),
    }


def _look_at(steps: list[Any], mocks: dict[str, Any] | None) -> None:
    """Raises: data.BadTest."""
    if len(steps) > STEPS_MAX:
        raise data.BadTest(f"steps: at most {STEPS_MAX} were expected, found {len(steps)}")
    for n, step in enumerate(steps):
        data.check_step(data.as_mapping(step, f"steps[{n}]"), f"steps[{n}]")
        if data.verb_of(step) in _NOT_HERE:
            raise data.BadTest(f"steps[{n}]: a trial has its models given whole, it reads no files")
        for word, value in step.items():
            kinds, wanted = _TYPES.get(word, ((object,), ""))
            if not isinstance(value, kinds) or (word == "start_at" and not all(isinstance(v, str) for v in data.listed(value))):
                raise data.BadTest(f"steps[{n}].{word}: expected {wanted}, found {type(value).__name__}")
    if mocks:
        data.check_mocks(mocks, "mocks")


def _files(known: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each file once, whatever is defined in it."""
    return [f"deployed/{row['key']}/{row['resource']}" for row in {row["hash"]: row for row in known}.values()]


def _name(engine: Engine, instance: Instance) -> str:
    """`order#2`: the second instance of `order` in this run. The same steps give the same names."""
    return f"{instance.process}#{[i for i in engine.instances if i.process == instance.process].index(instance) + 1}"


def _instance(i: Instance, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "id": str(i.key),
        "process": i.process,
        "business_key": i.business_key,
        "status": i.status,
        "parent": str(i.parent) if i.parent else None,
        "variables": i.variables,
        "active": i.active,
        "path": i.path_text(),
        "incidents": [{"code": x.code, "element": x.element, "message": x.message} for x in i.open_incidents],
    }


def _waiting(engine: Engine) -> list[dict[str, Any]]:
    """What each instance waits for, and can be given by a step: work, messages, signals, timers, incidents."""
    p, names = engine.state, {i.key: _name(engine, i) for i in engine.instances}
    processes = engine.library.processes(p)
    rows: list[dict[str, Any]] = []

    def title(instance: int, element: str) -> str:
        """What the element is called; without a name its id."""
        process = processes[p.instances[instance].definition] if instance in p.instances else None
        node = process.nodes.get(element) if process is not None else None
        return (node.name if node is not None else "") or element

    for t in p.tasks.values():
        if t.instance in names:
            details = t.details or {}
            job = bool(t.job_type)
            who = details.get("assignee") or ", ".join([*details.get("candidate_users", ()), *details.get("candidate_groups", ())])
            token = p.instances[t.instance].tokens.get(t.token) if t.instance in p.instances else None
            more = {
                "status": t.status,
                "retries": t.retries,
                "who": who,
                "form": details.get("form"),
                "variables": dict((token.vars if token is not None else None) or {}),
            }
            named = t.job_type or details.get("name") or t.element
            rows.append({**_row("job" if job else "task", names[t.instance], t.element, named, title(t.instance, t.element)), **more})
    for s in p.subscriptions.values():
        if s.instance in names and s.kind in ("message", "signal"):
            rows.append({**_row(s.kind, names[s.instance], s.element, s.name, title(s.instance, s.element)), "key": s.correlation})
    for timer in p.timers.values():
        if timer.instance in names and ":" not in timer.element:  # a colon: the clock of a task
            due = (_EPOCH + timedelta(microseconds=timer.due_us)).isoformat().replace("+00:00", "Z")
            called = title(timer.instance, timer.element)
            rows.append({**_row("timer", names[timer.instance], timer.element, timer.element, called), "due": due})
    for incident in p.incidents.values():
        if incident.instance in names:
            called = title(incident.instance, incident.element)
            rows.append(
                {**_row("incident", names[incident.instance], incident.element, incident.code, called), "message": incident.message}
            )
    return rows


def _row(kind: str, instance: str, element: str, name: str, title: str) -> dict[str, Any]:
    """`name`: of what waits (a job's type, a message, a code); `title`: what its element is called."""
    return {"kind": kind, "instance": instance, "element": element, "name": name, "title": title}


def _covered(r: Any) -> dict[str, Any]:
    """Counts by element and flow."""
    return {
        "process": r.process, "percent": int(r.percent), "covered": r.covered, "total": r.total, "entered": r.entered, "passed": r.passed,
        "taken": r.taken, "missing": r.missing,
    }  # fmt: skip


def _test(models: list[str], steps: list[Any], engine: Engine, now: str, mocks: dict[str, Any] | None) -> dict[str, Any]:
    """The run as a file of tests: its steps, and what is there now as expectations."""
    expected: list[dict[str, Any]] = []
    for i in engine.instances[:INSTANCES_MAX]:
        says: dict[str, Any] = {"status": i.status}
        if passed := list(dict.fromkeys(i.path.names("leave"))):
            says["passed"] = passed
        if i.is_running:
            says["waiting_only_at"] = i.waiting
        expected.append({"expect": says, "instance": _name(engine, i)})
    found: dict[str, Any] = {"deploy": models}
    if now:
        found["now"] = now
    if mocks:
        found["mocks"] = mocks
    return {**found, "tests": [{"name": "as it was tried", "steps": [*steps, *expected]}]}

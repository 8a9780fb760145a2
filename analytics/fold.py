"""From events to figures: `apply(trace, event, us, figures)` brings a trace up to date and adds what the event tells to the figures.

Nothing else is looked at: no clock, no rows. So a projector, a stream processor and a test get the same numbers from the same log.

Some events are about tasks of several instances and name no instance: whoever reads them looks up of which each is, and calls `apply_task`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.analytics import named as nm
from flowledger.analytics import ways
from flowledger.analytics.figures import ATTEMPTS, ERRORS, INCIDENTS, RETRIES, REWORKED, STARTED, Figures
from flowledger.analytics.terms import NO_TERMS, Terms
from flowledger.analytics.trace import Trace, Work, hold
from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Event


def started(e: wf.WorkflowStarted, tenant: str, us: int, figures: Figures, terms: Terms = NO_TERMS) -> Trace:
    """The trace of an instance that begins. `terms`: what is in force."""
    t = Trace(e.key, tenant, e.process, e.definition, e.version, us)
    t.fresh, t.terms = True, terms
    ways.begin(t, us, figures)
    nm.started(t, e.variables, us, figures.kpis)
    if e.token:
        ways.arrive(t, e.token, e.element, e.key, us, figures)
    return t


def apply(t: Trace, e: Event, us: int, figures: Figures) -> bool:
    """False: it says nothing that is measured. After the end nothing does."""
    handler = _HANDLERS.get(type(e))
    if handler is None or t.outcome:
        return False
    handler(t, e, us, figures)
    return True


def apply_task(t: Trace, task: int, e: Event, us: int, figures: Figures) -> bool:
    """An event that names several tasks, of which this is one."""
    w = t.work.get(task)
    if w is None or t.outcome:
        return False
    if type(e) is ta.TaskLeased:
        w.hand_us, w.leased = w.hand_us or us, True
    elif type(e) is ta.TaskReturned:  # it reached nobody
        w.hand_us, w.leased = 0, False
    elif type(e) is ta.TaskTimedOut:
        left = dict(zip(e.tasks, e.retries, strict=False)).get(task, 1)
        _attempt(t, w, us, figures, failed=True, again=left > 0)
    return True


#: groups that work is for which are remembered
GROUPS_MAX = 20
#: events that name tasks and no instance
OF_TASKS: tuple[type[Event], ...] = (ta.TaskLeased, ta.TaskReturned, ta.TaskTimedOut)


# --- instances


def _ended(outcome: str) -> Callable[[Trace, Any, int, Figures], None]:
    def handler(t: Trace, e: Any, us: int, figures: Figures) -> None:
        ways.end(t, outcome, us, figures, e.token if type(e) is wf.WorkflowCompleted else 0)

    return handler


def _migrated(t: Trace, e: wf.WorkflowMigrated, us: int, figures: Figures) -> None:
    ways.migrate(t, e.process, e.definition, e.version, e.elements or {}, us, figures)
    for token, scope, element in e.opened or ():
        ways.arrive(t, token, element, scope, us, figures)
    for token_text, scope in (e.moved or {}).items():
        ways.rescope(t, int(token_text), scope)


def _rolled_back(t: Trace, e: wf.WorkflowRolledBack, us: int, figures: Figures) -> None:
    """It stands as it stood: what is not there any more was given up, what is there again has arrived again."""
    tokens = {row[0]: (row[1], row[2]) for row in e.tokens or ()}
    nm.took(t, e.variables)
    for token in [k for k in t.visits if k not in tokens]:
        ways.leave(t, token, us, figures)
    if e.definition != t.definition:
        ways.migrate(t, e.process, e.definition, e.version, {}, us, figures)
    for token, (scope, element) in sorted(tokens.items()):
        here = t.visits.get(token)
        if here is None:
            ways.arrive(t, token, element, scope, us, figures, counted=not _runs(t, scope, element), runs=_runs(t, scope, element))
        elif here.element and here.element != element:
            ways.leave(t, token, us, figures)
            ways.arrive(t, token, element, scope, us, figures)
        else:
            ways.rescope(t, token, scope)


# --- tokens


def _runs(t: Trace, scope: int, element: str) -> bool:
    """What stands in an element's own scope at the same element is a run of it."""
    around = t.visits.get(scope)
    return around is not None and around.element == element


def _activated(t: Trace, e: fl.ElementActivated, us: int, figures: Figures) -> None:
    if e.token in t.visits:  # it arrived before, and waits now
        return
    runs = _runs(t, e.scope, e.element)
    ways.arrive(t, e.token, e.element, e.scope, us, figures, counted=not runs and e.handler_of != e.token, runs=e.index > 0)


def _flow_taken(t: Trace, e: fl.FlowTaken, us: int, figures: Figures) -> None:
    here = t.visits.get(e.token)
    if here is None:
        return
    if e.spawned:
        ways.arrive(t, e.spawned, e.target, here.scope, us, figures)
    else:
        ways.move(t, e.token, here, e.target, us, figures)


def _gateway_reached(t: Trace, e: fl.GatewayReached, us: int, figures: Figures) -> None:
    for token in e.consumed:
        ways.leave(t, token, us, figures, done=True)


def _token_ended(t: Trace, e: fl.ElementCompleted | fl.ElementTerminated, us: int, figures: Figures) -> None:
    ways.leave(t, e.token, us, figures, done=type(e) is fl.ElementCompleted)


def _run_ended(t: Trace, e: fl.LoopItemCompleted, us: int, figures: Figures) -> None:
    ways.leave(t, e.item, us, figures, done=True)


def _error(t: Trace, e: fl.ErrorOccurred, us: int, figures: Figures) -> None:
    """How its stay will have ended."""
    if (v := t.visits.get(e.token)) is not None and v.element == e.element:
        v.failing = True


# --- work


def _task_created(t: Trace, e: ta.TaskCreated, us: int, figures: Figures) -> None:
    if e.token and e.token not in t.visits:
        return
    w = hold(t, e.task, e.token, e.element, e.job_type, us, bool(e.listener))
    if isinstance(e.details, dict):
        _about(w, e.details)
        groups = e.details.get("candidate_groups")
        w.groups = tuple(g for g in groups if isinstance(g, str))[:GROUPS_MAX] if isinstance(groups, list) else ()
    if not w.listener and nm.timed(t, w.element):
        w.hands = []
    for place in w.places[2:]:
        figures.add(place, us, STARTED)
    if w.listener:
        return
    before = t.times.get(w.element, 0)
    t.times[w.element] = before + 1
    if before and not ((v := t.visits.get(w.token)) is not None and v.repeats):  # a loop has several runs, and that is no rework
        t.reworked += 1
        for place in w.places:
            figures.add(place, us, REWORKED)


def _about(w: Work, details: dict[str, Any]) -> None:
    """Who has it, and by when it is due."""
    if "assignee" in details:
        w.who = details["assignee"] if isinstance(details["assignee"], str) else ""
    if "due_us" in details:
        w.due_us = details["due_us"] if type(details["due_us"]) is int else 0


def _attempt(t: Trace, w: Work, us: int, figures: Figures, *, failed: bool, again: bool = False) -> None:
    """It is out of hand. `again`: there will be another attempt."""
    w.put_down(us)
    w.leased = False
    t.attempts += 1
    t.errors += failed
    t.retries += again
    for place in w.places:
        row = figures.at(place, us).numbers
        row[ATTEMPTS] += 1  # type: ignore[operator]
        row[ERRORS] += failed  # type: ignore[operator]
        row[RETRIES] += again  # type: ignore[operator]


def _task_completed(t: Trace, e: ta.TaskCompleted, us: int, figures: Figures) -> None:
    if e.merged == t.key and e.variables:
        nm.took(t, e.variables)
    w = _let_go(t, e.task)
    if w is None:
        return
    if not w.hand_us and not w.worked_us and w.accepted_us:  # a person who said of no beginning: it was from the claim on
        w.hand_us = w.accepted_us
    _attempt(t, w, us, figures, failed=False)
    wait_us = max(0, us - w.created_us - w.worked_us)
    jobs = w.places[2:]
    for place in jobs:
        figures.at(place, us).completed(max(0, us - w.created_us))
    if not w.listener:
        t.wait_us += wait_us
        t.work_us += w.worked_us
        t.worked += 1
        nm.worked(t, w, e.variables, us, wait_us, figures.kpis)
    figures.work(jobs if w.listener else w.places, us, wait_us, w.worked_us)


def _let_go(t: Trace, task: int) -> Work | None:
    w = t.work.pop(task, None)
    if w is not None and (v := t.visits.get(w.token)) is not None and v.tasks:
        v.tasks = [k for k in v.tasks if k != task] or None
    return w


def _task_failed(t: Trace, e: ta.TaskFailed, us: int, figures: Figures) -> None:
    if (w := t.work.get(e.task)) is not None:
        _attempt(t, w, us, figures, failed=True, again=e.retries > 0)


def _task_dropped(t: Trace, e: ta.TaskCancelled | ta.TaskSkipped, us: int, figures: Figures) -> None:
    w = _let_go(t, e.task)
    if w is not None:
        ways.withdrawn(t, w, us, figures)


#: a person has it in hand
_IN_HAND = ("started", "in_progress")


def _task_moved(t: Trace, e: ta.TaskChanged, us: int, figures: Figures) -> None:
    w = t.work.get(e.task)
    if w is None:
        return
    if isinstance(e.details, dict):
        _about(w, e.details)
    if w.leased:
        return
    if type(e) is ta.TaskAccepted:
        w.accepted_us = us
    if e.status in _IN_HAND:
        w.hand_us = w.hand_us or us
    else:
        w.put_down(us)


def _variables(t: Trace, e: wf.VariableSet, us: int, figures: Figures) -> None:
    if e.scope == t.key:
        nm.took(t, e.variables)


def _incident(t: Trace, e: wa.IncidentRaised, us: int, figures: Figures) -> None:
    t.incidents += 1
    figures.add(t.places.whole, us, INCIDENTS)
    if e.element:
        figures.add(t.places.element(e.element), us, INCIDENTS)


_HANDLERS: dict[type[Event], Callable[[Trace, Any, int, Figures], None]] = {
    wf.WorkflowCompleted: _ended("completed"),
    wf.WorkflowFailed: _ended("failed"),
    wf.WorkflowCancelled: _ended("cancelled"),
    wf.WorkflowTerminated: _ended("terminated"),
    wf.VariableSet: _variables,
    wf.WorkflowMigrated: _migrated,
    wf.WorkflowRolledBack: _rolled_back,
    fl.ElementActivated: _activated,
    fl.FlowTaken: _flow_taken,
    fl.GatewayReached: _gateway_reached,
    fl.ElementCompleted: _token_ended,
    fl.ElementTerminated: _token_ended,
    fl.LoopItemCompleted: _run_ended,
    fl.ErrorOccurred: _error,
    ta.TaskCreated: _task_created,
    ta.TaskCompleted: _task_completed,
    ta.TaskFailed: _task_failed,
    ta.TaskCancelled: _task_dropped,
    ta.TaskSkipped: _task_dropped,
    wa.IncidentRaised: _incident,
    **dict.fromkeys(ta.TaskChanged.__subclasses__(), _task_moved),
}
#: events of an instance that are measured, its beginning apart
MEASURED: frozenset[type[Event]] = frozenset(_HANDLERS)

"""Tasks that found nobody are offered again when something changes that could help (APG-ASG-001): somebody is freed, comes on duty, is back from a
delegation, or the directory changes. Cheap where nothing waits: one look at an empty table.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events import task as ta
from flowledger.events import workflow as wf
from flowledger.kernel.state import Task
from flowledger.kernel.tasks import assignment, clock, index, people, permits

#: waiting tasks that one decision looks at: for one who was freed, and for a change that may help anybody
FOR_ONE, FOR_ALL = 1_000, 100


def look(d: Any) -> None:
    """At the end of a decision."""
    names, anybody, answered = set(d.state.freed), False, ""
    told: set[str] = set()  # names whose record changed: it may lead to others
    moving: set[int] = set()  # tasks that stood still, and instances whose tasks did
    d.state.freed.clear()
    if d.request is not None and type(command := d.request.command) is c.GivePermits and command.full:
        answered = people.name_of(command.target)  # who was to be chosen has no room: somebody else, then
    for event in d.events:
        if type(event) is le.RecordStored and event.registry == "directory":
            kind, _, name = event.name.rpartition("/")[2].partition(":")
            anybody = anybody or kind not in people.PEOPLE
            told.add(name if kind == "user" else f"{kind}:{name}")
        elif type(event) is ta.BreakerChanged and event.target.startswith("assignee:"):
            names.add(event.target[9:])
        elif type(event) in _GO_ON:
            moving.add(event.key)
        elif type(event) is ta.TaskResumed:
            moving.add(event.task)
    if names or told or anybody:
        offer(d, None if anybody else names | told, answered, told=told)
    if moving:
        offer(d, None, among=moving)


#: what was offered to nobody while it stood still
_GO_ON = (wf.WorkflowResumed, wf.WorkflowUnpaused)


def offer(
    d: Any, names: set[str] | None, answered: str = "", among: set[int] | None = None, told: set[str] | frozenset[str] = frozenset()
) -> None:
    """To these (of those who wait for `answered` to whoever is eligible), or to whoever is eligible (None); the most urgent first, then the oldest.
    `among`: only these tasks, and those of these instances. `told`: names that may lead to others, so that it doesn't matter whether they are full."""
    tasks = (t for t in index.unassigned(d.state) if among is None or t.key in among or t.instance in among)
    for task in list(islice(tasks, FOR_ALL if names is None else FOR_ONE)):
        settings = assignment.settings_of(task)
        if settings is None or not _waits(d, task):
            continue
        if names is not None:
            names = names - _spent(d, task.tenant, names - told, answered)
            if not names:
                break
            if not _helps(d, task, settings, names, answered):
                continue
        once(d, task, settings)


def _spent(d: Any, tenant: str, names: set[str], answered: str) -> set[str]:
    """Those who can take no more in this decision: the tasks behind need not be looked at for them."""
    if index.OWNED in d.state.registry:  # the next task's tenant may have somebody else of that name
        return set()
    found = {name: people.limit(d.state, tenant, name) for name in names if name != answered}
    return {name for name, x in found.items() if x is not None and not x.room(d.state, d.facts.now_us, 1)[0] and x.queued(d.state)}


def turns(d: Any, targets: Iterable[str]) -> None:
    """Before homes serve others: where tasks wait here for the same people, it is their turn too."""
    for target in targets:
        person = people.of_target(d.state, target) if target.startswith(people.PREFIX) and permits.contested(d.state, target) else None
        if person is None:
            continue
        name = people.name_of(target)
        for task in islice(index.unassigned(d.state), FOR_ONE):
            settings = assignment.settings_of(task)
            if settings is not None and _waits(d, task) and _asked_for(d, task, settings, name):
                permits.own(d, person, task.priority)
                break


def once(d: Any, task: Task, settings: dict[str, Any]) -> bool:
    """Choose anew; nothing is recorded when still nobody is eligible."""
    record = (task.details or {}).get("assignment") or {}
    lanes, passed = assignment.texts(record.get("lanes")), assignment.texts(record.get("passed"))
    wish = str(record["wish"]["assignee"]) if record.get("asks") and record.get("wish") else ""
    choice = assignment.choose(d.state, task, settings, lanes, d.facts.now_us, wish, passed)
    if not choice["assignee"]:
        assignment.wait_for(d, task, choice)
        return False
    assignment.assign(d, task, settings, lanes, f"offered again: {choice['why']}", wish, passed)
    clock.assigned(d, task)
    return True


def _waits(d: Any, task: Task) -> bool:
    i = d.state.instances.get(task.instance)
    return task.status == "created" and not task.worker and (i is None or (i.status == "running" and not i.paused))


def _helps(d: Any, task: Task, settings: dict[str, Any], names: set[str], answered: str) -> bool:
    record = (task.details or {}).get("assignment") or {}
    needs = assignment.Needs(task, settings, assignment.texts(record.get("lanes")))
    passed = assignment.texts(record.get("passed"))
    asked = assignment.named(d.state, task, settings, passed)
    # a record may also name others: those who stand in for whoever it is of
    leads = [n for n in names if n in passed or n == settings.get("assignee")]
    for name in (*names, *(asked if leads else ())):
        found = assignment.entry(d.state, task.tenant, name)
        if found is not None and (assignment.candidate(needs, name, found) or name in asked):
            if name == answered or not assignment.why_not(
                assignment.without_membership(needs), d.state, task.tenant, name, found, d.facts.now_us
            ):
                return True
    return False


def _asked_for(d: Any, task: Task, settings: dict[str, Any], name: str) -> bool:
    """Whether the settings would have them."""
    record = (task.details or {}).get("assignment") or {}
    needs = assignment.Needs(task, settings, assignment.texts(record.get("lanes")))
    found = assignment.entry(d.state, task.tenant, name)
    return found is not None and (assignment.candidate(needs, name, found) or name in assignment.named(d.state, task, settings))

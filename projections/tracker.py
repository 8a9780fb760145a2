"""Brings the context up to date with each event, then lets each view's handler for its type make rows, then what the event ended tacitly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flowledger.events import definition as de
from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Envelope, Event, Recorded
from flowledger.events.commands import PARTITION_BITS
from flowledger.projections import activities
from flowledger.projections.context import Held, Incident, Instance, Task, Timer
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import stamp


def workflow_known(f: Fold, e: wf.WorkflowCreated | wf.WorkflowStarted) -> None:
    """Created (it waits for a place), or started; a pending one is started later."""
    ref = f.ref
    if ref is None:
        ref = Instance(e.key, f.tenant, f.now, f.us, e.definition, e.process, e.version)
        f.context.instances[e.key] = f.ref = ref
        ref.pending = type(e) is wf.WorkflowCreated
        ref.fresh = True
        ref.business_key = e.business_key
    else:
        ref.pending = ref.fresh = False
    ref.started_us = f.us
    ref.own = f.context.outlines.get(e.definition)
    if ref.own is not None and type(e) is wf.WorkflowStarted:
        activities.arrived(f, ref, e.token, e.element)


def workflow_ended(f: Fold, e: Event) -> None:
    ref = f.ref
    if ref is not None:
        ref.pending = False
        ref.over = True
        if ref.own is not None and type(e) is wf.WorkflowCompleted:
            activities.done(ref, e.token, e.element)
        if ref.scopes is not None:
            f.changes.deleted_scopes.append(ref.key)
        if ref.held:
            _gone(f, ref.drop_all())
        f.context.ended.append(ref)


def workflow_migrated(f: Fold, e: wf.WorkflowMigrated | wf.WorkflowRolledBack) -> None:
    if f.ref is not None:
        f.ref.definition, f.ref.process, f.ref.version = e.definition, e.process, e.version
        f.ref.own = f.context.outlines.get(e.definition)


def workflow_rolled_back(f: Fold, e: wf.WorkflowRolledBack) -> None:
    ref = f.ref
    if ref is None:
        return
    workflow_migrated(f, e)
    for token, scope in ((t[0], t[1]) for t in e.tokens or ()):
        if scope != e.key and (ref.scopes is None or token not in ref.scopes):
            _enclose(f, ref, token, scope)


def workflow_removed(f: Fold, e: wf.WorkflowRemovedFromViews) -> None:
    """The caller's own: nobody removes what another tenant has."""
    f.changes.removed.append((f.env.tenant, e.key))


def _gone(f: Fold, items: list[Held]) -> None:
    for item in items:
        f.context.table(item.kind).pop(item.key, None)
    f.gone += items


def _enclose(f: Fold, ref: Instance, token: int, scope: int) -> None:
    ref.enclose(token, scope)
    row = {"tenant_id": ref.tenant, "instance_id": ref.key, "token_id": token, "scope_id": scope}
    f.changes.insert("instance_scopes", (ref.key, token), row)


def element_activated(f: Fold, e: fl.ElementActivated) -> None:
    ref = f.ref
    if ref is not None and e.scope != e.key and e.scope and (ref.scopes is None or e.token not in ref.scopes):
        _enclose(f, ref, e.token, e.scope)
    if ref is not None and ref.own is not None and e.element in ref.own:
        activities.activated(f, ref, e)


def flow_taken(f: Fold, e: fl.FlowTaken) -> None:
    ref = f.ref
    if ref is None:
        return
    if e.spawned:
        if ref.scopes and (scope := ref.scopes.get(e.token)) is not None:
            _enclose(f, ref, e.spawned, scope)
    elif ref.held and e.token in ref.held:
        if ref.own is not None:
            activities.done(ref, e.token, e.source)
        _gone(f, ref.drop(e.token))
    if ref.own is not None and e.target in ref.own:
        activities.arrived(f, ref, e.spawned or e.token, e.target)


def gateway_reached(f: Fold, e: fl.GatewayReached) -> None:
    if f.ref is not None:
        for token in e.consumed:
            _gone(f, f.ref.drop_below(token))


def token_ended(f: Fold, e: fl.ElementCompleted | fl.ElementTerminated) -> None:
    if f.ref is not None:
        if f.ref.own is not None and type(e) is fl.ElementCompleted:
            activities.done(f.ref, e.token, e.element)
        _gone(f, f.ref.drop_below(e.token))


def error_occurred(f: Fold, e: fl.ErrorOccurred) -> None:
    if f.ref is not None and f.ref.own is not None:
        activities.failed(f, f.ref, e)


def definition_told(f: Fold, e: de.DefinitionCreated | de.DefinitionUpdated) -> None:
    if e.outline is not None or type(e) is de.DefinitionCreated:
        f.context.tell(e.key, e.outline, e.name)
    elif e.name:
        f.context.names[e.key] = e.name


def item_ended(f: Fold, e: fl.LoopItemCompleted) -> None:
    if f.ref is not None:
        if f.ref.own is not None:
            activities.done(f.ref, e.item)
        _gone(f, f.ref.drop_below(e.item))


def task_created(f: Fold, e: ta.TaskCreated) -> None:
    ref = f.ref
    task = f.task = f.context.tasks[e.task] = Task(e.task, ref, f.tenant, e.token, f.now, f.us, e.element)
    task.retries = e.retries
    if ref is not None:
        ref.hold(task)


def tasks_named(f: Fold, e: ta.TaskLeased | ta.TaskTimedOut | ta.TaskReturned) -> None:
    tasks = f.context.tasks
    f.each = [task for key in e.tasks if (task := tasks.get(key)) is not None]


def task_named(f: Fold, e: Any) -> None:
    f.task = f.context.tasks.get(e.task)


def task_ended(f: Fold, e: Any) -> None:
    task = f.task = f.context.tasks.pop(e.task, None)
    if task is not None and task.instance is not None:
        task.instance.release(task)


def timer_scheduled(f: Fold, e: wa.TimerScheduled) -> None:
    ref = f.ref
    timer = f.context.timers[e.timer] = Timer(e.timer, ref, f.tenant, e.token, f.now)
    if ref is not None:
        ref.hold(timer)


def timer_triggered(f: Fold, e: wa.TimerTriggered) -> None:
    if not e.next_us:
        timer_cancelled(f, e)
    else:
        f.item = f.context.timers.get(e.timer)


def timer_cancelled(f: Fold, e: Any) -> None:
    if (timer := f.context.timers.get(e.timer)) is not None:
        f.item = timer
        f.context.close(timer)


def incident_raised(f: Fold, e: wa.IncidentRaised) -> None:
    ref = f.ref
    incident = f.context.incidents[e.incident] = Incident(e.incident, ref, f.tenant, e.token, f.now, e.task)
    if ref is not None:
        ref.hold(incident)


def incident_resolved(f: Fold, e: wa.IncidentResolved) -> None:
    if (incident := f.context.incidents.get(e.incident)) is not None:
        f.item = incident
        f.context.close(incident)


def message_received(f: Fold, e: wa.MessageReceived) -> None:
    f.context.messages[e.message] = f.tenant


TRACK: dict[type[Event], Callable[[Fold, Any], None]] = {
    wf.WorkflowCreated: workflow_known,
    wf.WorkflowStarted: workflow_known,
    wf.WorkflowCompleted: workflow_ended,
    wf.WorkflowFailed: workflow_ended,
    wf.WorkflowCancelled: workflow_ended,
    wf.WorkflowTerminated: workflow_ended,
    wf.WorkflowMigrated: workflow_migrated,
    wf.WorkflowRolledBack: workflow_rolled_back,
    wf.WorkflowRemovedFromViews: workflow_removed,
    fl.ElementActivated: element_activated,
    fl.FlowTaken: flow_taken,
    fl.GatewayReached: gateway_reached,
    fl.ElementCompleted: token_ended,
    fl.ElementTerminated: token_ended,
    fl.LoopItemCompleted: item_ended,
    fl.ErrorOccurred: error_occurred,
    de.DefinitionCreated: definition_told,
    de.DefinitionUpdated: definition_told,
    ta.TaskCreated: task_created,
    ta.TaskLeased: tasks_named,
    ta.TaskTimedOut: tasks_named,
    ta.TaskReturned: tasks_named,
    ta.TaskCompleted: task_ended,
    ta.TaskCancelled: task_ended,
    ta.TaskSkipped: task_ended,
    **dict.fromkeys((ta.TaskLeaseExtended, ta.TaskFailed, ta.TaskRetried, ta.SlaBreached, *ta.TaskChanged.__subclasses__()), task_named),
    wa.TimerScheduled: timer_scheduled,
    wa.TimerTriggered: timer_triggered,
    wa.TimerCancelled: timer_cancelled,
    wa.IncidentRaised: incident_raised,
    wa.IncidentResolved: incident_resolved,
    wa.MessageReceived: message_received,
}


class Folder:
    """The handlers of some views, in one table."""

    def __init__(self, views: Iterable[View]) -> None:
        self.views = tuple(views)
        self.gone: dict[str, list[Callable[[Fold, Any], None]]] = {}
        self.all = tuple(v.all for v in self.views if v.all is not None)
        self._settling = tuple(v.settle for v in self.views if v.settle is not None)
        self._closing = tuple(v.close for v in self.views if v.close is not None)
        by_type: dict[type[Event], list[Callable[[Fold, Any], None]]] = {}
        for view in self.views:
            for cls, handler in view.rows.items():
                by_type.setdefault(cls, []).append(handler)
            for kind, on_gone in view.gone.items():
                self.gone.setdefault(kind, []).append(on_gone)
        self._by_type = {cls: tuple(handlers) for cls, handlers in by_type.items()}

    def fold(self, records: Sequence[Recorded], f: Fold) -> None:
        """Fold records in log order into `f.changes`."""
        by_type, every, instances, tracks = self._by_type, self.all, f.context.instances, TRACK
        env: Envelope | None = None
        high, partition, month = 0, -1, ""
        for r in records:
            e = r.event
            if r.envelope is not env:
                env = f.env = r.envelope
                f.us = env.time_us
                now = f.now = stamp(env.time_us)
                if now[:7] != month:
                    month = now[:7]
                    f.changes.months.add(month)
                f.cache.clear()
            if r.partition != partition:
                partition = f.partition = r.partition
                high = partition << PARTITION_BITS
            f.id = high | r.offset
            ref = f.ref = instances.get(e.key)
            f.tenant = env.tenant if ref is None else ref.tenant
            f.task = f.item = None
            cls = type(e)
            track = tracks.get(cls)
            if track is not None:
                track(f, e)
            for handler in by_type.get(cls, ()):
                handler(f, e)
            for handler in every:
                handler(f, e)
            if f.gone:
                gone, f.gone = f.gone, []
                for item in gone:
                    for handler in self.gone.get(item.kind, ()):
                        handler(f, item)
            if f.each:
                f.each = []
        for settle in self._settling:
            settle(f)

    def close(self, f: Fold) -> None:
        """The batch is folded."""
        for close in self._closing:
            close(f)

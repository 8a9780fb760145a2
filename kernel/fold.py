"""How each event changes the state: the only place where state changes. Folding never fails, and looks at nothing but event and state.

A token's phase follows from the events: arriving by a flow or being activated anew makes it ARRIVED; an event that says what it waits
for makes it WAITING; the coming of what it waited for, and the end of the last token in its scope, make it READY.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.events import alerts as al
from flowledger.events import batch as ba
from flowledger.events import definition as de
from flowledger.events import flow as fl
from flowledger.events import holds as ho
from flowledger.events import ledger as le
from flowledger.events import operations as op
from flowledger.events import rules as ru
from flowledger.events import task as ta
from flowledger.events import triggers as tr
from flowledger.events import versions
from flowledger.events import waiting as wa
from flowledger.events import webhooks as wh
from flowledger.events import workflow as wf
from flowledger.events.base import Envelope, Event
from flowledger.kernel.folds import alerts, batches, control, flow, ledger, task, triggers, waiting, webhooks, workflow
from flowledger.kernel.folds.tokens import holder_of
from flowledger.kernel.state import Partition
from flowledger.kernel.undo import keep

__all__ = ["TRANSITIONS", "evolve", "holder_of"]

TRANSITIONS: dict[type[Event], Callable[[Partition, Any, Envelope], None]] = {
    le.PartitionClaimed: ledger.partition_claimed,
    le.Outbound: ledger.outbound,
    le.OutboundConfirmed: ledger.outbound_confirmed,
    le.Inbound: ledger.inbound,
    le.Answered: ledger.answered,
    le.DeadLettered: ledger.dead_lettered,
    le.DeadLetterReplayed: ledger.dead_letter_closed,
    le.DeadLetterDiscarded: ledger.dead_letter_closed,
    le.HeadSigned: ledger.nothing,
    le.KeyIntroduced: ledger.key_introduced,
    le.TriggerFired: ledger.nothing,
    le.RecordStored: ledger.record_stored,
    de.DefinitionCreated: ledger.definition_created,
    de.DefinitionStatusChanged: ledger.definition_status_changed,
    de.DefinitionUpdated: ledger.definition_updated,
    de.DefinitionDeleted: ledger.definition_deleted,
    de.RolloutChanged: ledger.rollout_changed,
    de.EpochReached: ledger.epoch_reached,
    wf.WorkflowCreated: workflow.workflow_created,
    wf.WorkflowStarted: workflow.workflow_started,
    wf.WorkflowCompleted: workflow.workflow_ended,
    wf.WorkflowFailed: workflow.workflow_ended,
    wf.WorkflowCancelled: workflow.workflow_ended,
    wf.WorkflowTerminated: workflow.workflow_ended,
    wf.WorkflowPaused: workflow.workflow_paused,
    wf.WorkflowUnpaused: workflow.workflow_unpaused,
    wf.WorkflowSuspended: workflow.workflow_suspended,
    wf.WorkflowResumed: workflow.workflow_resumed,
    wf.WorkflowKept: workflow.workflow_kept,
    wf.WorkflowQuarantined: workflow.workflow_quarantined,
    wf.WorkflowReleased: workflow.workflow_released,
    wf.WorkflowMigrated: workflow.workflow_migrated,
    wf.WorkflowModified: workflow.workflow_modified,
    wf.WorkflowRolledBack: workflow.workflow_rolled_back,
    wf.WorkflowRemovedFromViews: ledger.nothing,
    wf.WorkflowCommented: ledger.nothing,
    wf.WorkflowFilesChanged: workflow.workflow_files_changed,
    wf.VariableSet: workflow.variable_set,
    fl.ElementActivated: flow.element_activated,
    fl.FlowTaken: flow.flow_taken,
    fl.GatewayReached: flow.gateway_reached,
    fl.ElementCompleted: flow.element_completed,
    fl.ElementTerminated: flow.element_terminated,
    fl.TokenNoted: flow.token_noted,
    fl.LoopStarted: flow.loop_started,
    fl.LoopItemCompleted: flow.loop_item_completed,
    fl.ErrorOccurred: flow.error_occurred,
    fl.EscalationTriggered: ledger.nothing,
    fl.CompensationRecorded: flow.compensation_recorded,
    fl.CompensationStarted: flow.compensation_started,
    fl.CompensationCompleted: flow.compensation_completed,
    fl.DataWritten: flow.data_written,
    fl.DecisionEvaluated: ledger.nothing,
    ta.TaskCreated: task.task_created,
    ta.TaskLeased: task.task_leased,
    ta.TaskLeaseExtended: task.task_lease_extended,
    ta.TaskTimedOut: task.task_timed_out,
    ta.TaskReturned: task.task_returned,
    ta.TaskCompleted: task.task_completed,
    ta.TaskFailed: task.task_failed,
    ta.TaskRetried: task.task_retried,
    ta.TaskCancelled: task.task_gone,
    ta.TaskAssigned: task.task_changed,
    ta.TaskAccepted: task.task_changed,
    ta.TaskReleased: task.task_changed,
    ta.TaskStarted: task.task_changed,
    ta.TaskProgress: task.task_changed,
    ta.TaskSuspended: task.task_changed,
    ta.TaskResumed: task.task_changed,
    ta.TaskDelegated: task.task_changed,
    ta.TaskRecalled: task.task_changed,
    ta.TaskTransferred: task.task_changed,
    ta.TaskEscalated: task.task_changed,
    ta.TaskCommented: task.task_changed,
    ta.TaskUpdated: task.task_changed,
    ta.TaskSkipped: task.task_skipped,
    ta.SlaBreached: task.sla_breached,
    ta.BreakerChanged: task.breaker_changed,
    wa.TimerScheduled: waiting.timer_scheduled,
    wa.TimerTriggered: waiting.timer_triggered,
    wa.TimerCancelled: waiting.timer_cancelled,
    wa.SubscriptionOpened: waiting.subscription_opened,
    wa.SubscriptionClosed: waiting.subscription_closed,
    wa.MessageReceived: waiting.message_received,
    wa.MessageExpired: waiting.message_expired,
    wa.MessageAwaited: waiting.message_awaited,
    wa.MessageUnawaited: waiting.message_unawaited,
    wa.MessageAssigned: waiting.message_assigned,
    wa.MessageCorrelated: waiting.message_correlated,
    wa.SignalReceived: waiting.signal_received,
    wa.ConditionTriggered: waiting.condition_triggered,
    wa.IncidentRaised: waiting.incident_raised,
    wa.IncidentResolved: waiting.incident_resolved,
    ru.RuleJudged: ledger.nothing,
    op.OperationAsked: ledger.nothing,
    op.OperationRefused: ledger.nothing,
    ho.HoldPlaced: control.hold_placed,
    ho.HoldReleasing: control.hold_releasing,
    ho.HoldAdvanced: control.hold_advanced,
    ho.HoldReleased: control.hold_released,
    ho.WorkflowApplied: control.workflow_applied,
    ba.BatchCreated: batches.created,
    ba.BatchItemsAdded: batches.items_added,
    ba.BatchItemsSent: batches.items_sent,
    ba.BatchItemsDone: batches.items_done,
    ba.BatchPaused: batches.paused,
    ba.BatchResumed: batches.resumed,
    ba.BatchAborted: batches.aborted,
    ba.BatchEnded: batches.ended,
    tr.TriggerOpened: triggers.opened,
    tr.TriggerChanged: triggers.changed,
    tr.TriggerClosed: triggers.closed,
    tr.TriggerPaused: triggers.paused,
    tr.TriggerResumed: triggers.resumed,
    tr.TriggerTimed: triggers.timed,
    tr.TriggerClaimed: triggers.claimed,
    tr.TriggerNoted: triggers.noted,
    tr.TriggerTaken: triggers.taken,
    tr.TriggerParked: triggers.parked,
    tr.TriggerSettled: triggers.settled,
    tr.TriggerRan: ledger.nothing,
    wh.WebhookPut: webhooks.put_,
    wh.WebhookDeleted: webhooks.deleted,
    wh.WebhookPaused: webhooks.paused,
    wh.WebhookResumed: webhooks.resumed,
    wh.WebhookClaimed: webhooks.claimed,
    wh.WebhookNoted: webhooks.noted,
    wh.WebhookProgressed: webhooks.progressed,
    wh.WebhookAsked: webhooks.asked,
    wh.WebhookSettled: webhooks.settled,
    al.AlertPut: alerts.put_,
    al.AlertDeleted: alerts.deleted,
    al.AlertSilenced: alerts.silenced,
    al.AlertFired: alerts.fired,
    al.AlertResolved: alerts.resolved,
    al.AlertNoted: alerts.noted,
    al.AlertActed: alerts.acted,
    al.AlertsClaimed: alerts.claimed,
}


def _counted(cls: type[Event]) -> Callable[[Partition, Any, Envelope], None]:
    """The instance's version, too."""
    fold, changes = TRANSITIONS[cls], versions.SOMETIMES.get(cls)

    def and_version(p: Partition, e: Any, v: Envelope) -> None:
        fold(p, e, v)
        if (changes is None or changes(e)) and (i := p.instances.get(e.key)) is not None:
            keep(p, i)
            i.row_version += 1

    return and_version


#: of an instance that is gone with them
_ENDS = frozenset(cls for cls, fold in TRANSITIONS.items() if fold is workflow.workflow_ended)
TRANSITIONS |= {cls: _counted(cls) for cls in versions.CHANGES - _ENDS}


def evolve(p: Partition, event: Event, envelope: Envelope) -> None:
    """Fold one event. Time never goes back; the instance is marked as changed for the next checkpoint."""
    p.meta.now_us = max(p.meta.now_us, envelope.time_us)
    TRANSITIONS[type(event)](p, event, envelope)
    if event.key:
        p.changed.add(("instance", event.key))

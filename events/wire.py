"""Wire names, numbers and versions of all events; upcasters; the old words as aliases.

The number never changes and is never used again: `number << 8 | version` is the schema id that stands before each value
on the log. Consumers know the newest shape only: an older one is brought up by `UPCASTERS`, one version at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.events import alerts, batch, definition, flow, holds, ledger, operations, rules, task, triggers, waiting, webhooks, workflow
from flowledger.events.base import Event

Payload = dict[str, Any]

#: event type -> (number, wire name, version)
WIRE: dict[type[Event], tuple[int, str, int]] = {
    ledger.PartitionClaimed: (1, "partition.claimed", 2),
    ledger.Outbound: (2, "partition.outbound", 1),
    ledger.OutboundConfirmed: (3, "partition.outbound_confirmed", 1),
    ledger.Inbound: (4, "partition.inbound", 2),
    ledger.Answered: (5, "partition.answered", 2),
    ledger.DeadLettered: (6, "partition.dead_lettered", 2),
    ledger.TriggerFired: (7, "trigger.fired", 1),
    ledger.RecordStored: (8, "record.stored", 1),
    ledger.HeadSigned: (9, "ledger.head_signed", 1),
    ledger.KeyIntroduced: (14, "ledger.key_introduced", 1),
    ledger.DeadLetterReplayed: (16, "partition.dead_letter_replayed", 1),
    ledger.DeadLetterDiscarded: (17, "partition.dead_letter_discarded", 1),
    definition.DefinitionCreated: (10, "definition.created", 2),
    definition.DefinitionStatusChanged: (11, "definition.status_changed", 1),
    definition.DefinitionUpdated: (12, "definition.updated", 3),
    definition.DefinitionDeleted: (13, "definition.deleted", 1),
    definition.RolloutChanged: (18, "definition.rollout_changed", 1),
    definition.EpochReached: (15, "definition.epoch_reached", 1),
    workflow.WorkflowCreated: (20, "workflow.created", 1),
    workflow.WorkflowStarted: (21, "workflow.started", 1),
    workflow.WorkflowCompleted: (22, "workflow.completed", 1),
    workflow.WorkflowFailed: (23, "workflow.failed", 1),
    workflow.WorkflowCancelled: (24, "workflow.cancelled", 1),
    workflow.WorkflowTerminated: (25, "workflow.terminated", 1),
    workflow.WorkflowPaused: (26, "workflow.paused", 1),
    workflow.WorkflowUnpaused: (27, "workflow.unpaused", 1),
    workflow.WorkflowSuspended: (28, "workflow.suspended", 1),
    workflow.WorkflowResumed: (29, "workflow.resumed", 2),
    workflow.WorkflowKept: (105, "workflow.kept", 1),
    workflow.WorkflowMigrated: (30, "workflow.migrated", 4),
    workflow.WorkflowModified: (31, "workflow.modified", 1),
    workflow.WorkflowRolledBack: (38, "workflow.rolled_back", 1),
    workflow.WorkflowRemovedFromViews: (39, "workflow.removed_from_views", 1),
    workflow.WorkflowCommented: (37, "workflow.commented", 1),
    workflow.WorkflowFilesChanged: (35, "workflow.files_changed", 1),
    workflow.VariableSet: (32, "variable.set", 2),
    workflow.WorkflowQuarantined: (33, "workflow.quarantined", 1),
    workflow.WorkflowReleased: (34, "workflow.released", 2),
    flow.ElementActivated: (40, "element.activated", 1),
    flow.FlowTaken: (41, "flow.taken", 1),
    flow.GatewayReached: (42, "element.gateway_reached", 1),
    flow.ElementCompleted: (43, "element.completed", 1),
    flow.ElementTerminated: (44, "element.terminated", 1),
    flow.TokenNoted: (45, "element.noted", 1),
    flow.LoopStarted: (46, "loop.started", 1),
    flow.LoopItemCompleted: (47, "loop.item_completed", 1),
    flow.ErrorOccurred: (48, "error.occurred", 1),
    flow.EscalationTriggered: (49, "escalation.triggered", 1),
    flow.CompensationRecorded: (50, "compensation.recorded", 1),
    flow.CompensationStarted: (51, "compensation.started", 1),
    flow.CompensationCompleted: (52, "compensation.completed", 1),
    flow.DataWritten: (53, "data.written", 1),
    flow.DecisionEvaluated: (54, "decision.evaluated", 1),
    task.TaskCreated: (60, "task.created", 1),
    task.TaskLeased: (61, "task.leased", 1),
    task.TaskLeaseExtended: (62, "task.lease_extended", 1),
    task.TaskTimedOut: (63, "task.timed_out", 2),
    task.TaskCompleted: (64, "task.completed", 2),
    task.TaskFailed: (65, "task.failed", 2),
    task.TaskRetried: (66, "task.retried", 1),
    task.TaskCancelled: (67, "task.cancelled", 1),
    task.TaskAssigned: (68, "task.assigned", 1),
    task.TaskAccepted: (69, "task.accepted", 1),
    task.TaskReleased: (70, "task.released", 1),
    task.TaskStarted: (71, "task.started", 1),
    task.TaskProgress: (72, "task.progress", 1),
    task.TaskSuspended: (73, "task.suspended", 1),
    task.TaskResumed: (74, "task.resumed", 1),
    task.TaskDelegated: (75, "task.delegated", 1),
    task.TaskRecalled: (76, "task.recalled", 1),
    task.TaskTransferred: (77, "task.transferred", 1),
    task.TaskEscalated: (78, "task.escalated", 1),
    task.TaskCommented: (79, "task.commented", 1),
    task.TaskUpdated: (80, "task.updated", 1),
    task.TaskSkipped: (81, "task.skipped", 1),
    task.SlaBreached: (82, "sla.breached", 1),
    task.BreakerChanged: (83, "breaker.changed", 1),
    task.TaskReturned: (84, "task.returned", 1),
    waiting.TimerScheduled: (90, "timer.scheduled", 1),
    waiting.TimerTriggered: (91, "timer.triggered", 1),
    waiting.TimerCancelled: (92, "timer.cancelled", 1),
    waiting.SubscriptionOpened: (93, "subscription.opened", 1),
    waiting.SubscriptionClosed: (94, "subscription.closed", 1),
    waiting.MessageReceived: (95, "message.received", 1),
    waiting.MessageAwaited: (96, "message.awaited", 1),
    waiting.MessageUnawaited: (97, "message.unawaited", 1),
    waiting.MessageAssigned: (98, "message.assigned", 1),
    waiting.MessageCorrelated: (99, "message.correlated", 1),
    waiting.MessageExpired: (100, "message.expired", 1),
    waiting.SignalReceived: (101, "signal.received", 1),
    waiting.ConditionTriggered: (102, "condition.triggered", 1),
    waiting.IncidentRaised: (103, "incident.raised", 1),
    waiting.IncidentResolved: (104, "incident.resolved", 1),
    holds.HoldPlaced: (140, "hold.placed", 1),
    holds.HoldReleasing: (141, "hold.releasing", 1),
    holds.HoldAdvanced: (142, "hold.advanced", 1),
    holds.HoldReleased: (143, "hold.released", 1),
    holds.WorkflowApplied: (144, "workflow.applied", 1),
    batch.BatchCreated: (120, "batch.created", 1),
    batch.BatchItemsAdded: (121, "batch.items_added", 2),
    batch.BatchItemsSent: (122, "batch.items_sent", 1),
    batch.BatchItemsDone: (123, "batch.items_done", 1),
    batch.BatchPaused: (124, "batch.paused", 1),
    batch.BatchResumed: (125, "batch.resumed", 1),
    batch.BatchAborted: (126, "batch.aborted", 1),
    batch.BatchEnded: (127, "batch.ended", 1),
    triggers.TriggerOpened: (180, "trigger.opened", 1),
    triggers.TriggerChanged: (181, "trigger.changed", 1),
    triggers.TriggerClosed: (182, "trigger.closed", 1),
    triggers.TriggerPaused: (183, "trigger.paused", 1),
    triggers.TriggerResumed: (184, "trigger.resumed", 1),
    triggers.TriggerTimed: (185, "trigger.timed", 1),
    triggers.TriggerClaimed: (186, "trigger.claimed", 1),
    triggers.TriggerNoted: (187, "trigger.noted", 1),
    triggers.TriggerTaken: (188, "trigger.taken", 1),
    triggers.TriggerParked: (189, "trigger.parked", 1),
    triggers.TriggerSettled: (190, "trigger.settled", 1),
    triggers.TriggerRan: (191, "trigger.ran", 1),
    webhooks.WebhookPut: (210, "webhook.put", 1),
    webhooks.WebhookDeleted: (211, "webhook.deleted", 1),
    webhooks.WebhookPaused: (212, "webhook.paused", 1),
    webhooks.WebhookResumed: (213, "webhook.resumed", 1),
    webhooks.WebhookClaimed: (214, "webhook.claimed", 1),
    webhooks.WebhookNoted: (215, "webhook.noted", 1),
    webhooks.WebhookProgressed: (216, "webhook.progressed", 1),
    webhooks.WebhookAsked: (217, "webhook.asked", 1),
    webhooks.WebhookSettled: (218, "webhook.settled", 1),
    alerts.AlertPut: (230, "alert.put", 1),
    alerts.AlertDeleted: (231, "alert.deleted", 1),
    alerts.AlertSilenced: (232, "alert.silenced", 1),
    alerts.AlertFired: (233, "alert.fired", 1),
    alerts.AlertResolved: (234, "alert.resolved", 1),
    alerts.AlertNoted: (235, "alert.noted", 1),
    alerts.AlertsClaimed: (236, "alert.claimed", 1),
    alerts.AlertActed: (237, "alert.acted", 1),
    rules.RuleJudged: (162, "rule.judged", 1),
    operations.OperationAsked: (160, "operation.asked", 1),
    operations.OperationRefused: (161, "operation.refused", 1),
}

NAMES: dict[type[Event], str] = {cls: name for cls, (_, name, _) in WIRE.items()}
CURRENT: dict[str, tuple[type[Event], int]] = {name: (cls, version) for cls, (_, name, version) in WIRE.items()}
SCHEMA_IDS: dict[type[Event], int] = {cls: number << 8 | version for cls, (number, _, version) in WIRE.items()}
BY_NUMBER: dict[int, type[Event]] = {number: cls for cls, (number, _, _) in WIRE.items()}

#: (name, old version) -> the step to the next version
UPCASTERS: dict[tuple[str, int], Callable[[Payload], Payload]] = {
    ("partition.claimed", 1): lambda p: p,  # it did not say which partition, and its chain was version 1: the defaults
    ("definition.created", 1): lambda p: p,  # it did not tell of its graph
    ("definition.updated", 1): lambda p: p,
    ("definition.updated", 2): lambda p: p,  # the reason was dropped
    ("workflow.migrated", 1): lambda p: p,
    ("workflow.migrated", 2): lambda p: p,  # where it came from was not told, and no scope was opened
    ("variable.set", 1): lambda p: p,
    ("task.completed", 1): lambda p: p,  # the worker was not named
    ("task.failed", 1): lambda p: p,
    ("partition.inbound", 1): lambda p: p,  # what was refused had no reason: the default
    ("task.timed_out", 1): lambda p: p,  # no attempt was used
    ("partition.dead_lettered", 1): lambda p: p,  # the record was on `dead-letter` only
    ("workflow.migrated", 3): lambda p: p,  # loops stayed what they were
    ("workflow.resumed", 1): lambda p: p,  # what was kept was gone with it: the default of `drains`
    ("workflow.released", 1): lambda p: p,
    ("partition.answered", 1): lambda p: p,  # `digest` and `until_us` have defaults that say "not known"
    ("batch.items_added", 1): lambda p: p,  # what isn't there was not told
}

#: (name, old version) -> its fields (name, kind) in wire order, as `avro.fields_of` gives them for the current ones
PAST_SHAPES: dict[tuple[str, int], tuple[tuple[str, str], ...]] = {
    ("partition.claimed", 1): (("epoch", "long"), ("owner", "string"), ("node", "string"), ("key", "long")),
    ("definition.created", 1): (
        ("id", "string"),
        ("kind", "string"),
        ("version", "long"),
        ("hash", "string"),
        ("name", "string"),
        ("version_tag", "string"),
        ("resource", "string"),
        ("format", "string"),
        ("deployment", "long"),
        ("status", "string"),
        ("content", "string"),
        ("metadata", "json"),
        ("key", "long"),
    ),
    ("definition.updated", 1): (
        ("hash", "string"),
        ("name", "string"),
        ("content", "string"),
        ("metadata", "json"),
        ("key", "long"),
    ),
    ("task.completed", 1): (
        ("task", "long"),
        ("token", "long"),
        ("element", "string"),
        ("variables", "json"),
        ("merged", "long"),
        ("status", "string"),
        ("result", "json"),
        ("key", "long"),
    ),
    ("task.failed", 1): (
        ("task", "long"),
        ("token", "long"),
        ("element", "string"),
        ("retries", "long"),
        ("retry_at_us", "long"),
        ("code", "string"),
        ("message", "string"),
        ("details", "json"),
        ("variables", "json"),
        ("key", "long"),
    ),
    ("definition.updated", 2): (
        ("hash", "string"),
        ("name", "string"),
        ("content", "string"),
        ("metadata", "json"),
        ("graph_hash", "string"),
        ("outline", "json"),
        ("validation", "json"),
        ("key", "long"),
    ),
    ("workflow.migrated", 1): (("definition", "long"), ("process", "string"), ("version", "long"), ("elements", "json"), ("key", "long")),
    ("workflow.migrated", 2): (
        ("definition", "long"),
        ("process", "string"),
        ("version", "long"),
        ("elements", "json"),
        ("reason", "string"),
        ("key", "long"),
    ),
    ("workflow.migrated", 3): (
        ("definition", "long"),
        ("process", "string"),
        ("version", "long"),
        ("elements", "json"),
        ("reason", "string"),
        ("before", "json"),
        ("opened", "json"),
        ("moved", "json"),
        ("key", "long"),
    ),
    ("workflow.resumed", 1): (("reason", "string"), ("key", "long")),
    ("workflow.released", 1): (("status", "string"), ("reason", "string"), ("key", "long")),
    ("variable.set", 1): (("scope", "long"), ("variables", "json"), ("key", "long")),
    ("partition.inbound", 1): (("sender", "long"), ("seq", "long"), ("key", "long")),
    ("task.timed_out", 1): (("tasks", "longs"), ("key", "long")),
    ("partition.dead_lettered", 1): (("source", "long"), ("reason", "string"), ("key", "long")),
    ("partition.answered", 1): (("id", "string"), ("answer", "json"), ("key", "long")),
    ("batch.items_added", 1): (("batch", "long"), ("chunk", "long"), ("at", "long"), ("items", "longs"), ("key", "long")),
}

#: Words of the source documents (seeds 000 and 003) -> canonical names (requirements, section 2).
ALIASES: dict[str, str] = {
    "workflow_started": "workflow.started",
    "workflow_completed": "workflow.completed",
    "workflow_failed": "workflow.failed",
    "workflow_cancelled": "workflow.cancelled",
    "task_created": "task.created",
    "task_assigned": "task.assigned",
    "task_started": "task.started",
    "task_progress_updated": "task.progress",
    "task_suspended": "task.suspended",
    "task_resumed": "task.resumed",
    "task_completed": "task.completed",
    "task_failed": "task.failed",
    "task_cancelled": "task.cancelled",
    "task_delegated": "task.delegated",
    "task_escalated": "task.escalated",
    "gateway_reached": "element.gateway_reached",
    "timer_triggered": "timer.triggered",
    "message_received": "message.received",
    "signal_received": "signal.received",
    "error_occurred": "error.occurred",
    "escalation_triggered": "escalation.triggered",
}


def canonical(name: str) -> str:
    """The catalogue's name for `name`, which may be an old word in any case."""
    return ALIASES.get(name.lower(), name)

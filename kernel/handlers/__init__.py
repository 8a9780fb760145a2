"""What each command does: `decide` looks the handler up here. A handler checks first and records after; it returns `Rejected` or None."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowledger.events import alerts as al
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import triggers as tr
from flowledger.events import webhooks as wh
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import operations
from flowledger.kernel.access.versions import LOCKING, stale
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers import (
    alerts,
    batches,
    control,
    definitions,
    files,
    forgetting,
    handout,
    holds,
    incidents,
    instances,
    keeping,
    leases,
    letters,
    messages,
    migrate,
    modify,
    moves,
    permits,
    quarantine,
    records,
    remarks,
    removal,
    repairs,
    rerun,
    results,
    rollback,
    rollouts,
    tasks,
    tenants,
    timers,
    triggers,
    webhooks,
)
from flowledger.kernel.handlers.while_held import WHILE_HELD
from flowledger.kernel.hooks import HOOKS

HOOKS.start_by_event, HOOKS.next_start = instances.start_by_event, messages.next_start

HANDLERS: dict[type[c.AnyCommand], Callable[[Decision, Any], Rejected | None]] = {
    c.Deploy: definitions.deploy,
    c.DefineElsewhere: definitions.define_elsewhere,
    c.ChangeDefinition: definitions.change,
    c.InstancesCounted: removal.counted,
    c.StartInstance: instances.start,
    c.CancelInstance: control.cancel,
    c.ControlInstance: control.control,
    c.SetVariables: instances.set_variables,
    c.ModifyInstance: modify.modify,
    c.MigrateInstance: migrate.migrate,
    c.RollBackInstance: rollback.roll_back,
    c.RerunElement: rerun.rerun,
    c.AdHocActivate: instances.activate_ad_hoc,
    c.Continue: instances.go_on,
    c.ChildEnded: instances.child_ended,
    c.ActivateTasks: handout.activate,
    c.PeekTasks: handout.peek,
    c.CompleteTask: results.complete,
    c.FailTask: results.fail,
    c.ThrowTaskError: results.throw_error,
    c.ExtendLease: leases.extend,
    c.ReturnTasks: leases.give_back,
    c.UpdateRetries: leases.update_retries,
    c.CreateTask: tasks.create,
    c.ExpireLeases: leases.expire,
    c.ReadyTasks: leases.ready,
    c.MoveTask: moves.move,
    c.PublishMessage: messages.publish,
    c.AwaitMessage: messages.wait_for,
    c.UnawaitMessage: messages.stop_waiting,
    c.Correlate: messages.correlate,
    c.CatchSignal: messages.catch_signal,
    c.MessageTaken: messages.taken,
    c.ExpireMessages: messages.expire,
    c.BroadcastSignal: messages.broadcast,
    c.EvaluateConditions: messages.evaluate_conditions,
    c.FireTimers: timers.fire,
    c.ResolveIncident: incidents.resolve,
    c.EvaluateDecision: definitions.evaluate,
    c.StoreRecord: records.store,
    c.ListRecords: records.listing,
    c.Confirm: records.confirm,
    c.ReleaseInstance: quarantine.release,
    c.SendRejected: quarantine.send_rejected,
    c.ReplayDeadLetter: letters.replay,
    c.DiscardDeadLetter: letters.discard,
    c.DecideDeadLetter: letters.decide_here,
    c.DeadLetterRefused: letters.refused,
    c.AskPermits: permits.ask,
    c.GivePermits: permits.give,
    c.ReturnPermits: permits.take_back,
    c.ReportOutcomes: permits.report,
    c.SetBreaker: permits.set_breaker,
    c.NoteRefusal: operations.note,
    co.NoteReading: operations.note_reading,
    co.NoteRetention: operations.note_retention,
    c.PlaceHold: holds.place,
    c.ReleaseHold: holds.release,
    c.SetHold: holds.told,
    c.HoldDone: holds.done,
    co.ChangeRollout: rollouts.change,
    co.ControlTenant: tenants.control,
    co.RemoveFromViews: forgetting.remove,
    co.CommentInstance: remarks.comment,
    co.ChangeFiles: files.change,
    co.CreateBatch: batches.create,
    co.AddBatchItems: batches.add,
    co.ControlBatch: batches.control,
    co.PrepareBatchItems: batches.prepare,
    co.DoBatchItems: batches.do_items,
    co.TellBatchItems: batches.told,
    co.ListFindings: repairs.listing,
    co.AskPeers: repairs.asked,
    co.RepairFinding: repairs.repair,
    tr.ClaimTrigger: triggers.claim,
    tr.TakeItems: triggers.take,
    tr.ControlTrigger: triggers.control,
    tr.SettleParked: triggers.settle,
    tr.ListTriggers: triggers.listing,
    wh.PutWebhook: webhooks.put,
    wh.DeleteWebhook: webhooks.delete,
    wh.ControlWebhook: webhooks.control,
    wh.ClaimWebhook: webhooks.claim,
    wh.ReportWebhook: webhooks.report,
    wh.SettleDelivery: webhooks.settle,
    wh.TestWebhook: webhooks.test,
    wh.ListWebhooks: webhooks.listing,
    al.PutAlert: alerts.put,
    al.DeleteAlert: alerts.delete,
    al.SilenceAlert: alerts.silence,
    al.ClaimAlerts: alerts.claim,
    al.ReportAlert: alerts.report,
    al.ActOnAlert: alerts.act,
    al.TellAlertAct: alerts.told,
    al.EndAlertAct: alerts.end,
}


def handle(d: Decision, command: Any) -> Rejected | None:
    """By its handler, when its caller has seen the thing as it is."""
    kind = type(command)
    if kind in LOCKING and command.row_version is not None and (refused := stale(d.state, command)) is not None:
        return refused
    if d.state.holding and kind not in WHILE_HELD:
        return Rejected(RejectionCode.INVALID_STATE, f"something is held, and nothing says what becomes of {kind.__name__} then")
    return HANDLERS[kind](d, command)


HOOKS.handle = handle
HOOKS.compensated = rollback.compensated
HOOKS.handle, HOOKS.keep = handle, keeping.keep

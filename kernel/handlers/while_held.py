"""What becomes of each command while what it is about is suspended. One row for every command of the catalogue: one without a row is refused where anything
is held, and a test names it (docs/decisions/0009)."""

from __future__ import annotations

from flowledger.events import alerts as al
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import triggers as tr
from flowledger.events import webhooks as wh

#: it is decided at once: it moves no token that is held (or ends all of them), or is about something else
RUN = "run"
#: it is kept with the instance, in order, and applied at the release; what a worker sends is looked at first, and answered
KEEP = "keep"
#: it is refused, and says by what it is held
REFUSE = "refuse"
#: it makes a new instance, which is pending until the release; or is refused, as the hold says
START = "start"

WHILE_HELD: dict[type[c.AnyCommand], str] = {
    c.StartInstance: START,
    # what comes from outside for something that waits
    c.CompleteTask: KEEP, c.FailTask: KEEP, c.ThrowTaskError: KEEP, c.Correlate: KEEP, c.CatchSignal: KEEP, c.FireTimers: KEEP, c.ChildEnded: KEEP,
    # what people do with their tasks; to comment, attach and update is no move
    c.MoveTask: REFUSE,
    # an operator's own words: tokens that they put or free stand still until the release
    c.CancelInstance: RUN, c.ControlInstance: RUN, c.ReleaseInstance: RUN, c.SetVariables: RUN, c.ModifyInstance: RUN, c.MigrateInstance: RUN,
    c.RollBackInstance: RUN, c.RerunElement: RUN,
    c.AdHocActivate: RUN, c.ResolveIncident: RUN, c.UpdateRetries: RUN, c.PlaceHold: RUN, c.ReleaseHold: RUN, c.SetHold: RUN, c.HoldDone: RUN,
    # each of its items is a command of its own
    co.CreateBatch: RUN, co.AddBatchItems: RUN, co.ControlBatch: RUN, co.PrepareBatchItems: RUN, co.DoBatchItems: RUN, co.TellBatchItems: RUN,
    # a repair is an operator's own word
    co.ListFindings: RUN, co.AskPeers: RUN, co.RepairFinding: RUN,
    co.ChangeRollout: RUN, co.ControlTenant: RUN,
    # it has ended
    co.RemoveFromViews: RUN,
    # to say something moves nothing
    co.CommentInstance: RUN,
    # a file beside it moves nothing
    co.ChangeFiles: RUN,
    # a trigger goes on: what it starts is held as any start is
    tr.ClaimTrigger: RUN, tr.TakeItems: RUN, tr.ControlTrigger: RUN, tr.SettleParked: RUN, tr.ListTriggers: RUN,
    # a webhook tells of what has happened
    wh.PutWebhook: RUN, wh.DeleteWebhook: RUN, wh.ControlWebhook: RUN, wh.ClaimWebhook: RUN, wh.ReportWebhook: RUN, wh.SettleDelivery: RUN,
    wh.TestWebhook: RUN, wh.ListWebhooks: RUN,
    # and an alert of what is measured
    al.PutAlert: RUN, al.DeleteAlert: RUN, al.SilenceAlert: RUN, al.ClaimAlerts: RUN, al.ReportAlert: RUN,
    al.ActOnAlert: RUN, al.TellAlertAct: RUN, al.EndAlertAct: RUN,
    # a token that would go on in it stands still
    c.Continue: RUN,
    # hand-outs pass over what is held; leases end, and cost no attempt
    c.ActivateTasks: RUN, c.PeekTasks: RUN, c.ExtendLease: RUN, c.ReturnTasks: RUN, c.ExpireLeases: RUN, c.ReadyTasks: RUN, c.CreateTask: RUN,
    # messages and signals meet who waits for them, who keeps them
    c.PublishMessage: RUN, c.BroadcastSignal: RUN, c.EvaluateConditions: RUN, c.ExpireMessages: RUN, c.AwaitMessage: RUN, c.UnawaitMessage: RUN,
    c.MessageTaken: RUN,
    # about no instance
    c.Deploy: RUN, c.DefineElsewhere: RUN, c.ChangeDefinition: RUN, c.InstancesCounted: RUN, c.EvaluateDecision: RUN, c.StoreRecord: RUN,
    c.ListRecords: RUN, c.Confirm: RUN, c.SendRejected: RUN, c.ReplayDeadLetter: RUN, c.DiscardDeadLetter: RUN, c.DecideDeadLetter: RUN,
    co.NoteReading: RUN, co.NoteRetention: RUN,
    co.NoteRefusal: RUN, c.DeadLetterRefused: RUN, c.AskPermits: RUN, c.GivePermits: RUN, c.ReturnPermits: RUN, c.ReportOutcomes: RUN, c.SetBreaker: RUN,
}  # fmt: skip

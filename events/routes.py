"""Who may say a command, and which partition it belongs to."""

from __future__ import annotations

from flowledger.events import alerts as al
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import triggers as tr
from flowledger.events import webhooks as wh
from flowledger.events.base import Command

#: what the owner's shell asks of its own partition: it never stands on `commands`
OF_THE_SHELL = frozenset({c.FireTimers, c.ExpireLeases, c.ReadyTasks, c.ExpireMessages, c.Continue})
#: what only partitions ask of each other
BETWEEN = frozenset({
    c.DefineElsewhere, c.InstancesCounted, c.Confirm, c.AwaitMessage, c.UnawaitMessage, c.Correlate, c.CatchSignal, c.MessageTaken, c.ChildEnded, c.SendRejected,
    c.DecideDeadLetter, c.DeadLetterRefused, c.AskPermits, c.GivePermits, c.ReturnPermits, c.ReportOutcomes, c.SetBreaker,
    c.SetHold, c.HoldDone,
    al.ActOnAlert, al.TellAlertAct, al.EndAlertAct,
    co.DoBatchItems, co.TellBatchItems,
})  # fmt: skip
#: fields that only the engine sets, in commands that callers give too
ENGINE_FIELDS: dict[type[Command], tuple[str, ...]] = {
    c.StartInstance: ("parent", "parent_token", "root", "start_element", "start_payload"),
    c.ControlInstance: ("followed", "hold"),
    c.BroadcastSignal: ("relayed",),
    c.StoreRecord: ("relayed",),
}
#: field with a key, whose partition the command belongs to
BY_KEY: dict[type[Command], str] = {
    c.CancelInstance: "key", c.ControlInstance: "key", c.SetVariables: "key", c.ModifyInstance: "key", c.MigrateInstance: "key",
    c.RollBackInstance: "key", c.RerunElement: "key",
    c.AdHocActivate: "token", c.CompleteTask: "task", c.FailTask: "task", c.ThrowTaskError: "task", c.ExtendLease: "task",
    c.UpdateRetries: "task", c.MoveTask: "task", c.ResolveIncident: "key", c.Continue: "key", c.ReleaseInstance: "key",
    c.ReplayDeadLetter: "letter", c.DiscardDeadLetter: "letter", c.ReleaseHold: "key",
    c.ReplayDeadLetter: "letter", c.DiscardDeadLetter: "letter", co.AddBatchItems: "batch", co.ControlBatch: "batch", co.ChangeRollout: "key",
    co.RemoveFromViews: "key", co.CommentInstance: "key", co.ChangeFiles: "key", co.PrepareBatchItems: "batch",
}  # fmt: skip
#: commands about a trigger, a webhook or an alert, whose home is by its name
BY_NAME = frozenset({
    tr.ClaimTrigger, tr.TakeItems, tr.ControlTrigger, tr.SettleParked, wh.PutWebhook, wh.DeleteWebhook, wh.ControlWebhook, wh.ClaimWebhook, wh.ReportWebhook,
    wh.SettleDelivery, wh.TestWebhook, al.PutAlert, al.DeleteAlert, al.SilenceAlert, al.ReportAlert,
})  # fmt: skip
_TO_THE_FIRST = frozenset({c.Deploy, c.EvaluateConditions, c.ChangeDefinition, c.StoreRecord, c.BroadcastSignal, co.ControlTenant})


def home_of(command: Command, id: str, partitions: int) -> int:
    """The partition that a command belongs to; -1: any. One without a key goes by its caller's id, so that the same id always meets the same
    partition."""
    kind = type(command)
    if (field := BY_KEY.get(kind)) is not None:
        return c.partition_of_key(getattr(command, field))
    if kind is not c.StartInstance:
        if isinstance(command, c.PlaceHold):  # over one instance: at home with it
            return c.partition_of_key(int(command.subject)) if command.scope == "instance" and command.subject.isdecimal() else 0
        if isinstance(command, co.RepairFinding):
            text = command.id.partition("-")[0]
            return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
        if isinstance(command, c.PublishMessage):
            return c.partition_of_text(command.correlation_key, partitions)
        if kind in BY_NAME:
            return c.partition_of_text(getattr(command, "name"), partitions)  # noqa: B009 - all of these have one
        if kind in _TO_THE_FIRST:
            return 0
        if isinstance(command, c.ReturnTasks) and command.tasks:
            return c.partition_of_key(command.tasks[0])
    return c.partition_of_text(id, partitions) if id else -1

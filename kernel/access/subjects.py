"""What each command is about: one rule per command, looked up by the gate. A command without a rule is refused (and a test names it).

A rule gives the tenant of what the command names, or `MISSING` when there is no such thing. `None` is for commands that make something
new, which is the caller's own. `INTERNAL` are commands of the engine itself: they act for the tenant of what they are about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flowledger.events import alerts as al
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import triggers as tr
from flowledger.events import webhooks as wh
from flowledger.kernel.lookup import holder
from flowledger.kernel.state import Partition
from flowledger.kernel.watchdog.kinds import OF_PARTITION, parts_of, tenant_of

#: no such thing, in words for the refusal
MISSING: Final = "\0"
#: (state, command) -> tenant, or MISSING
Rule = Callable[[Partition, Any], str]


def of_instance(p: Partition, key: int) -> str:
    i = p.instances.get(key)
    return i.tenant if i is not None else MISSING


def of_task(p: Partition, key: int) -> str:
    task = p.tasks.get(key)
    return task.tenant if task is not None else MISSING


def of_scope(p: Partition, key: int) -> str:
    """An instance, or a token in one."""
    i = holder(p, key)
    return i.tenant if i is not None else MISSING


def of_definition(p: Partition, key: int) -> str:
    d = p.definitions.get(key)
    return d.tenant if d is not None and not d.deleted else MISSING


def of_incident(p: Partition, key: int) -> str:
    x = p.incidents.get(key)
    if x is None:
        return MISSING
    if x.instance:
        return of_instance(p, x.instance)
    return of_task(p, x.task) if x.task else ""


def of_timer(p: Partition, key: int) -> str:
    t = p.timers.get(key)
    if t is None:
        return MISSING
    if t.instance:
        return of_instance(p, t.instance)
    if t.definition:
        return of_definition(p, t.definition)
    if t.element.startswith("task:"):
        return of_task(p, int(t.element.rpartition(":")[2]))
    if t.element.startswith("batch:"):
        return of_batch(p, int(t.element[6:]))
    if t.element.startswith("trigger:"):
        trigger = p.triggers.get(int(t.element[8:]))
        return trigger.tenant if trigger is not None else MISSING
    return ""


def of_subscription(p: Partition, key: int) -> str:
    s = p.subscriptions.get(key)
    if s is None:
        return MISSING
    return of_definition(p, s.definition) if s.definition else of_instance(p, s.instance)


def of_message(p: Partition, key: int) -> str:
    m = p.messages.get(key)
    return m.tenant if m is not None else MISSING


def of_awaited(p: Partition, key: int) -> str:
    a = p.awaited.get(key)
    return a.tenant if a is not None else MISSING


def of_letter(p: Partition, key: int) -> str:
    letter = p.letters.get(c.source_of_letter(key))
    return letter.tenant if letter is not None else MISSING


def of_batch(p: Partition, key: int) -> str:
    b = p.batches.get(key)
    return b.tenant if b is not None else MISSING


def of_record(p: Partition, e: c.StoreRecord) -> str:
    """Records of one tenant stand under its name and a slash; all others are everybody's, and the operator's to change."""
    tenant, slash, _ = e.name.partition("/")
    return tenant if slash and e.registry in TENANTED else ""


#: registries whose records may be one tenant's
TENANTED = frozenset(
    {
        "directory",
        "task_definition",
        "capability",
        "profile",
        "saved_view",
        "erasure",
        "legal_hold",
        "kpi",
        "report",
        "advice",
        "retention",
        "consent",
        "approval",
    }
)


def _held(p: Partition, e: c.PlaceHold) -> str:
    """What a hold is to stand over: names are the caller's own."""
    if e.scope == "tenant":
        return "" if e.subject == "*" else e.subject
    if e.scope in ("instance", "version") and e.subject.isdecimal():
        return (of_instance if e.scope == "instance" else of_definition)(p, int(e.subject))
    return MISSING


def _found(p: Partition, e: co.RepairFinding) -> str:
    """A finding is of the tenant of what it is about; those about a partition are the operator's, who has no tenant."""
    parts = parts_of(e.id)
    if parts is None:
        return MISSING
    return "" if parts[1] in OF_PARTITION else tenant_of(p, int(parts[2]), "")


def _by(field: str, rule: Callable[[Partition, int], str]) -> Rule:
    return lambda p, e: rule(p, getattr(e, field))


#: commands about one thing of which only its own tenant may know
SUBJECTS: dict[type[c.AnyCommand], Rule | None] = {
    c.CancelInstance: _by("key", of_instance),
    c.ControlInstance: _by("key", of_instance),
    c.ReleaseInstance: _by("key", of_instance),
    c.ModifyInstance: _by("key", of_instance),
    c.MigrateInstance: _by("key", of_instance),
    c.RollBackInstance: _by("key", of_instance),
    c.RerunElement: _by("key", of_instance),
    c.SetVariables: _by("key", of_scope),
    c.AdHocActivate: _by("token", of_scope),
    c.CompleteTask: lambda p, e: (
        task.tenant if (task := p.tasks.get(e.task)) is not None else MISSING
    ),  # `of_task`, for the hottest command
    c.FailTask: _by("task", of_task),
    c.ThrowTaskError: _by("task", of_task),
    c.ExtendLease: _by("task", of_task),
    c.ReturnTasks: lambda p, e: next((t for k in e.tasks if (t := of_task(p, k)) is not MISSING), MISSING),  # see `BATCHES`
    c.UpdateRetries: _by("task", of_task),
    c.MoveTask: _by("task", of_task),
    c.ResolveIncident: _by("key", of_incident),
    c.ChangeDefinition: _by("key", of_definition),
    c.StoreRecord: of_record,
    c.ReplayDeadLetter: _by("letter", of_letter),
    c.DiscardDeadLetter: _by("letter", of_letter),
    c.PlaceHold: _held,
    co.ControlTenant: lambda p, e: "",  # tenants are the operator's, who has none
    c.ReleaseHold: lambda p, e: p.holds[e.key].tenant if e.key in p.holds else MISSING,
    co.ChangeRollout: _by("key", of_definition),
    co.ChangeFiles: _by("key", of_instance),
    co.RemoveFromViews: _by(
        "key", of_instance
    ),  # of one that has ended nothing is known here: it is removed from the views of the caller's own tenant
    co.CommentInstance: _by("key", of_instance),  # as above: of one that has ended the views of the caller's own tenant know
    co.AddBatchItems: _by("batch", of_batch),
    co.ControlBatch: _by("batch", of_batch),
    co.PrepareBatchItems: _by("batch", of_batch),
    co.RepairFinding: _found,
    # what they make or ask for is the caller's own
    c.Deploy: None,
    c.StartInstance: None,
    c.ActivateTasks: None,
    c.PeekTasks: None,
    c.CreateTask: None,
    c.PublishMessage: None,
    c.BroadcastSignal: None,
    c.EvaluateConditions: None,
    c.EvaluateDecision: None,
    c.ListRecords: None,
    c.NoteRefusal: None,
    co.NoteReading: None,
    co.NoteRetention: None,
    co.CreateBatch: None,
    co.ListFindings: None,
    co.AskPeers: None,
    # a trigger is found by the caller's tenant and its name: another tenant's isn't there
    tr.ClaimTrigger: None,
    tr.TakeItems: None,
    tr.ControlTrigger: None,
    tr.SettleParked: None,
    tr.ListTriggers: None,
    # and so is a webhook
    wh.PutWebhook: None,
    wh.DeleteWebhook: None,
    wh.ControlWebhook: None,
    wh.ClaimWebhook: None,
    wh.ReportWebhook: None,
    wh.SettleDelivery: None,
    wh.TestWebhook: None,
    wh.ListWebhooks: None,
    # and an alert
    al.PutAlert: None,
    al.DeleteAlert: None,
    al.SilenceAlert: None,
    al.ClaimAlerts: None,
    al.ReportAlert: None,
}

#: command -> field with several things, each of which must be the caller's own
BATCHES: dict[type[c.AnyCommand], tuple[str, Callable[[Partition, int], str]]] = {c.ReturnTasks: ("tasks", of_task)}

#: field -> definition that a command uses beside its subject: the caller's own, or one for all (tenant `""`)
USES: dict[type[c.AnyCommand], str] = {
    c.StartInstance: "definition", c.MigrateInstance: "definition", c.EvaluateConditions: "definition", c.EvaluateDecision: "key",
}  # fmt: skip


def _first(field: str, rule: Callable[[Partition, int], str]) -> Rule:
    def found(p: Partition, e: Any) -> str:
        return next((t for key in getattr(e, field) if (t := rule(p, key)) is not MISSING), "")

    return found


#: commands of the engine itself -> for whose tenant they act, where they do not bring it along. A batch is of one tenant (`processors/due.py`).
INTERNAL: dict[type[c.AnyCommand], Rule] = {
    c.FireTimers: _first("timers", of_timer),
    c.ExpireLeases: _first("tasks", of_task),
    c.ReadyTasks: _first("tasks", of_task),
    c.ExpireMessages: _first("messages", of_message),
    c.Continue: _by("key", of_instance),
    c.Confirm: lambda p, e: "",
    c.DefineElsewhere: lambda p, e: MISSING,
    c.InstancesCounted: lambda p, e: MISSING,
    c.AwaitMessage: lambda p, e: MISSING,
    c.UnawaitMessage: _by("subscription", of_awaited),
    c.Correlate: _by("subscription", of_subscription),
    c.CatchSignal: _by("subscription", of_subscription),
    c.MessageTaken: _by("subscription", of_awaited),
    c.ChildEnded: _by("parent", of_instance),
    c.SendRejected: _by("instance", of_instance),
    **dict.fromkeys((al.ActOnAlert, al.TellAlertAct, al.EndAlertAct), lambda p, e: e.tenant),
    **dict.fromkeys(
        (
            c.DecideDeadLetter,
            c.DeadLetterRefused,
            c.AskPermits,
            c.GivePermits,
            c.ReturnPermits,
            c.ReportOutcomes,
            c.SetBreaker,
            c.SetHold,
            c.HoldDone,
            co.DoBatchItems,
            co.TellBatchItems,
        ),
        lambda p, e: MISSING,
    ),
}

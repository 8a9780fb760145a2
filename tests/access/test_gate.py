"""One table: every command of the catalogue against a foreign tenant's thing. A new command without a row fails."""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest
from gate_world import MODEL, World

from flowledger.events import alerts as al
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import triggers as tr
from flowledger.events import webhooks as wh
from flowledger.events.base import Rejected
from flowledger.kernel import checkpoint
from flowledger.kernel.access import ANY_TENANT
from flowledger.kernel.access.subjects import INTERNAL, SUBJECTS
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers import HANDLERS
from flowledger.kernel.stored import encode_state


def commands(w: World) -> dict[type, Any]:
    """A command of each kind about a thing of tenant b that its own tenant may do."""
    return {
        c.CancelInstance: c.CancelInstance(key=w.instance),
        c.ControlInstance: c.ControlInstance(key=w.instance, move="suspend"),
        c.ReleaseInstance: c.ReleaseInstance(key=w.instance),
        c.SetVariables: c.SetVariables(key=w.instance, variables={"x": 1}),
        c.ModifyInstance: c.ModifyInstance(key=w.instance, activate=[{"element": "job"}]),
        c.RollBackInstance: c.RollBackInstance(
            key=w.instance, image=msgspec.json.decode(encode_state(checkpoint.image(w.p, w.p.instances[w.instance])))
        ),
        c.RerunElement: c.RerunElement(key=w.instance, element="job"),
        c.MigrateInstance: c.MigrateInstance(
            key=w.instance, definition=w.definition, elements={e: e for e in ("job", "bad", "wait", "adhoc", "inner")}
        ),
        c.AdHocActivate: c.AdHocActivate(token=w.token, elements=["inner"]),
        c.CompleteTask: c.CompleteTask(task=w.task),
        c.FailTask: c.FailTask(task=w.task),
        c.ThrowTaskError: c.ThrowTaskError(task=w.task, code="E"),
        c.ExtendLease: c.ExtendLease(task=w.task, timeout_ms=1_000),
        c.ReturnTasks: c.ReturnTasks(tasks=[w.task], fences=[1]),
        c.UpdateRetries: c.UpdateRetries(task=w.task, retries=5),
        c.MoveTask: c.MoveTask(task=w.person, move="comment", details={"text": "hello"}),
        c.ResolveIncident: c.ResolveIncident(key=w.incident),
        c.ChangeDefinition: c.ChangeDefinition(key=w.definition, move="deprecate"),
        c.StoreRecord: c.StoreRecord(registry="directory", name="b/user:ann", value={"groups": ["h"]}),
        c.ReplayDeadLetter: c.ReplayDeadLetter(letter=w.letter, command='{"command":{"$":"CreateTask","name":"x"}}'),
        c.DiscardDeadLetter: c.DiscardDeadLetter(letter=w.letter),
        c.StartInstance: c.StartInstance(definition=w.definition),
        c.EvaluateConditions: c.EvaluateConditions(variables={}, definition=w.definition),
        c.EvaluateDecision: c.EvaluateDecision(key=w.decision),
        c.PlaceHold: c.PlaceHold(scope="instance", subject=str(w.instance)),
        c.ReleaseHold: c.ReleaseHold(key=w.hold),
        co.AddBatchItems: co.AddBatchItems(batch=w.batch, at=0, items=[w.instance]),
        co.ChangeRollout: co.ChangeRollout(key=w.definition, version=1, default=True),
        co.PrepareBatchItems: co.PrepareBatchItems(batch=w.batch),
        co.RemoveFromViews: co.RemoveFromViews(key=w.instance),
        co.CommentInstance: co.CommentInstance(key=w.instance, text="x"),
        co.ChangeFiles: co.ChangeFiles(key=w.instance, file={"name": "a", "uri": "s3://b/a"}),
        co.ControlBatch: co.ControlBatch(batch=w.batch, move="abort"),
        co.RepairFinding: co.RepairFinding(id=w.finding),
    }


#: commands that name no thing: what they make or find is the caller's own (tested below)
OWN = {
    c.Deploy,
    c.ActivateTasks,
    c.PeekTasks,
    c.CreateTask,
    c.PublishMessage,
    c.BroadcastSignal,
    c.ListRecords,
    co.CreateBatch,
    c.NoteRefusal,
    co.NoteReading,
    co.NoteRetention,
    co.ListFindings,
    co.AskPeers,
    co.ControlTenant,  # the operator's (test_tenants.py)
    # by the caller's tenant and a name (tests/kernel/test_triggers.py)
    tr.ClaimTrigger,
    tr.TakeItems,
    tr.ControlTrigger,
    tr.SettleParked,
    tr.ListTriggers,
    # likewise (tests/kernel/test_webhooks.py)
    wh.PutWebhook,
    wh.DeleteWebhook,
    wh.ControlWebhook,
    wh.ClaimWebhook,
    wh.ReportWebhook,
    wh.SettleDelivery,
    wh.TestWebhook,
    wh.ListWebhooks,
    # likewise (tests/kernel/test_alerts.py); only the engine claims
    al.PutAlert,
    al.DeleteAlert,
    al.SilenceAlert,
    al.ClaimAlerts,
    al.ReportAlert,
}
CATALOGUE = sorted(typing.get_args(c.AnyCommand), key=lambda k: k.__name__)


@pytest.mark.req("APG-TEN-001")
def test_every_command_of_the_catalogue_has_a_rule_and_a_row():
    assert set(CATALOGUE) == set(HANDLERS)
    for kind in CATALOGUE:
        assert (kind in SUBJECTS) != (kind in INTERNAL), f"the gate needs one rule for {kind.__name__}"
    assert set(commands(World())) | OWN == set(SUBJECTS), "each command about a thing stands in the table"


FOREIGN = [(k, stranger) for stranger in ("a", "") for k in CATALOGUE if k in SUBJECTS and k not in OWN]
FOREIGN.remove((c.StoreRecord, ""))  # registries are the operator's, who has no tenant


@pytest.mark.parametrize(("kind", "stranger"), FOREIGN, ids=lambda v: getattr(v, "__name__", v or "none"))
@pytest.mark.req("APG-TEN-002")
def test_a_foreign_tenants_thing_does_not_exist(kind, stranger):
    w = World()
    if kind in (c.ExtendLease, c.ReturnTasks):
        w.do(c.ActivateTasks(job_type="work", worker="w"), "b")
    command = commands(w)[kind]
    before = checkpoint.fingerprint(w.p)
    made = w.ask(command, stranger)
    assert isinstance(made, Rejected) and made.code == "NOT_FOUND", made
    assert checkpoint.fingerprint(w.p) == before
    missing = w.ask(_elsewhere(command), stranger)
    assert isinstance(missing, Rejected) or kind is c.ReturnTasks
    if isinstance(missing, Rejected) and kind is not c.StoreRecord:
        assert _bare(missing.message) == _bare(made.message), "what is a stranger's can't be told from what isn't there"
    mine = w.ask(command, "b")
    assert isinstance(mine, Decision) or mine.code not in ("NOT_FOUND", "FORBIDDEN"), mine


def _elsewhere(command: Any) -> Any:
    import msgspec

    changes: dict[str, Any] = {}
    for field in ("key", "letter", "batch", "task", "token", "definition"):
        if isinstance(getattr(command, field, None), int) and getattr(command, field):
            changes[field] = 77_777
            break
    return msgspec.structs.replace(command, **changes)


def _bare(message: str) -> str:
    return "".join(x for x in message if not x.isdigit())


@pytest.mark.req("APG-TEN-003")
def test_the_engine_itself_acts_for_the_things_own_tenant():
    w = World()
    made = w.ask(c.UpdateRetries(task=w.task, retries=9), "", [ANY_TENANT])
    assert isinstance(made, Decision) and made.envelope.tenant == "b"
    w.now += 3_700_000_000
    fired = w.ask(c.FireTimers(timers=[w.timer]), "")
    assert isinstance(fired, Decision) and fired.events and fired.envelope.tenant == "b"
    assert w.ask(c.Continue(key=w.instance), "").envelope.tenant == "b"  # type: ignore[union-attr]


def test_jobs_go_to_their_own_tenant_only():
    w = World()
    for tenants in (None, ["b"], ["a", "b"], [""]):
        assert w.do(c.ActivateTasks(job_type="work", worker="w", tenants=tenants), "a") == {"jobs": []}
        assert w.do(c.ActivateTasks(job_type="work", worker="w", tenants=tenants), "") == {"jobs": []}
    assert w.do(c.PeekTasks(job_type="work"), "a") == {"waiting": []} and w.do(c.PeekTasks(job_type="work"), "b")["waiting"]
    assert len(w.do(c.ActivateTasks(job_type="work", worker="w", tenants=["a", "b"]), "", [ANY_TENANT])["jobs"]) == 1


def test_names_meet_names_of_the_own_tenant_only():
    w = World()
    for command in (c.StartInstance(id="p"), c.EvaluateDecision(id="dec"), c.StartInstance(id="p", version=1)):
        made = w.ask(command, "a")
        assert isinstance(made, Rejected) and made.code == "NOT_FOUND"
    names = [r["name"] for r in w.do(c.ListRecords(registry="directory"), "a")["records"]]
    assert "b/user:ann" not in names and "user:ann" not in names
    w.do(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]), "a")
    assert w.do(c.StartInstance(id="p"), "a")["version"] == 1, "versions count per tenant"


def test_limits_and_shared_records_are_the_operators():
    w = World()
    made = w.ask(c.StoreRecord(registry="limit", name="job:work", value={"concurrency": 1}), "a")
    assert isinstance(made, Rejected) and made.code == "FORBIDDEN"
    assert isinstance(w.ask(c.StoreRecord(registry="limit", name="job:work", value={"concurrency": 1}), ""), Decision)

"""What the watchdog finds: each kind of defect is planted by surgery on the state, found, asked about first, repaired, and the instance ends.

The surgery is done to the folded copy as well, so that `scenario.py` goes on to hold replay equal to live through all repairs. That nothing is ever found
where nothing is planted is asked after every command of every scenario and random model of this folder (`Scenario.watched`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scenario import START_US, Refused, Scenario, asked_first

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import operations as op
from flowledger.kernel.state import ARRIVED, READY, Incident, Instance, Partition, Token
from flowledger.kernel.watchdog.kinds import KINDS, REPAIRS, Found, id_of, parts_of
from flowledger.kernel.watchdog.looking import LATE_US, Look, everything

Surgery = Callable[[Partition, Instance], None]


def at(i: Instance, element: str) -> Token:
    return min((t for t in i.tokens.values() if t.element == element), key=lambda t: t.key)


def gone(p: Partition, key: int) -> None:
    """A task, timer or subscription is no more, and nothing of it."""
    task = p.tasks.pop(key, None)
    if task is not None:
        for lane in p.ready.get((task.tenant, task.job_type), {}).values():
            lane.pop(key, None)
    p.timers.pop(key, None)
    s = p.subscriptions.pop(key, None)
    if s is not None and s.kind == "signal":
        p.by_signal[("", s.name)].pop(key)
    if s is not None and s.kind == "conditional":
        p.by_condition.pop(s.instance)
    if (a := p.awaited.pop(key, None)) is not None:
        p.by_awaited[(a.tenant, a.name, a.correlation)].pop(key)


def loses(element: str, holds: bool = False) -> Surgery:
    """What the token waits for is gone; with `holds` it still counts on it."""

    def cut(p: Partition, i: Instance) -> None:
        token = at(i, element)
        for key in token.holds or ():
            gone(p, key)
        if not holds:
            token.holds = None

    return cut


def beside(element: str, event: str) -> Surgery:
    """A boundary event, or that of an event sub-process (`element` empty), is gone, and is still counted on."""

    def cut(p: Partition, i: Instance) -> None:
        holder = at(i, element) if element else i
        gone(p, next(k for k in holder.holds or () if (x := p.timers.get(k) or p.subscriptions.get(k)) is not None and x.element == event))

    return cut


def kidless(element: str) -> Surgery:
    """All tokens in the scope are gone."""

    def cut(p: Partition, i: Instance) -> None:
        scope = at(i, element)
        for kid in list(scope.kids or ()):
            for key in i.tokens[kid].holds or ():
                gone(p, key)
            del i.tokens[kid]
        scope.kids = None

    return cut


def phase(element: str, value: int) -> Surgery:
    def cut(p: Partition, i: Instance) -> None:
        loses(element)(p, i)
        at(i, element).phase = value

    return cut


def removed(element: str) -> Surgery:
    """A token is gone, and what it held."""

    def cut(p: Partition, i: Instance) -> None:
        token = at(i, element)
        for key in token.holds or ():
            gone(p, key)
        del i.tokens[token.key]
        holder: Any = i if token.scope == i.key else i.tokens[token.scope]
        holder.kids = [k for k in holder.kids if k != token.key] or None

    return cut


def only(element: str) -> Surgery:
    """A scope's token is gone, and those in it are still there."""

    def cut(p: Partition, i: Instance) -> None:
        token = at(i, element)
        for key in token.holds or ():
            gone(p, key)
        del i.tokens[token.key]
        assert i.kids is not None
        i.kids = [k for k in i.kids if k != token.key] or None

    return cut


def unheld(element: str) -> Surgery:
    """The token doesn't know of what it held."""

    def cut(p: Partition, i: Instance) -> None:
        at(i, element).holds = None

    return cut


def of(table: str, **fields: Any) -> Surgery:
    def cut(p: Partition, i: Instance) -> None:
        for x in getattr(p, table).values():
            if not getattr(x, "definition", 0):
                for name, value in fields.items():
                    setattr(x, name, value)

    return cut


def unqueued(p: Partition, i: Instance) -> None:
    p.ready.clear()


def unheaped(p: Partition, i: Instance) -> None:
    p.due.clear()
    p.leases.clear()
    p.retrying.clear()


def elsewhere(p: Partition, i: Instance) -> None:
    p.tasks[(at(i, "a").holds or [0])[0]].token = 1


def unheld_task(p: Partition, i: Instance) -> None:
    at(i, "a").holds = None
    p.tasks.clear()
    p.ready.clear()


def jobless(p: Partition, i: Instance) -> None:
    """The task is gone, and stands in the queue."""
    token = at(i, "a")
    for key in token.holds or ():
        del p.tasks[key]
    token.holds = None


def incident(token: int) -> Surgery:
    def cut(p: Partition, i: Instance) -> None:
        p.incidents[77] = Incident(key=77, instance=i.key if token else 5, token=token, element="a", code="X", message="m")

    return cut


def unawaited(p: Partition, i: Instance) -> None:
    for key in list(p.awaited):
        a = p.awaited.pop(key)
        p.by_awaited[(a.tenant, a.name, a.correlation)].pop(key)


def forgotten(p: Partition, i: Instance) -> None:
    """The subscription is gone on the side of the instance, whose token waits for something else."""
    token = at(i, "m")
    key = next(k for k in token.holds or () if k in p.subscriptions)
    del p.subscriptions[key]
    token.holds = [k for k in token.holds or () if k != key]


def both(*cuts: Surgery) -> Surgery:
    def cut(p: Partition, i: Instance) -> None:
        for one in cuts:
            one(p, i)

    return cut


def of_called(cut: Surgery) -> Surgery:
    return lambda p, i: cut(p, next(x for x in p.instances.values() if x.parent))


def childless(p: Partition, i: Instance) -> None:
    child = next(x for x in p.instances.values() if x.parent)
    for t in child.tokens.values():
        for key in t.holds or ():
            gone(p, key)
    del p.instances[child.key]


def uncalled(p: Partition, i: Instance) -> None:
    token = at(i, "a")
    token.data = {**(token.data or {}), "child": None}
    token.phase = READY  # it went on, and nobody told the one it called


def other_call(p: Partition, i: Instance) -> None:
    token = at(i, "a")
    token.data = {**(token.data or {}), "child": 1}


ONE = "startEvent s\n{what}\nendEvent e\ns > a > e"
TASK = ONE.format(what="serviceTask a")
TIMED = "startEvent s\nserviceTask a\nboundaryEvent b on=a {how}: {what}\nserviceTask h\nendEvent e\nendEvent e2\ns > a > e\nb > h > e2"
SUB = "startEvent s\nsubProcess a {{\nstartEvent i\nserviceTask w\nendEvent ie\ni > w > ie\n}}\n{more}endEvent e\ns > a > e"
FORK = "startEvent s\nparallelGateway f\nserviceTask a\nserviceTask b\nparallelGateway j\nserviceTask c\nendEvent e\ns > f > a > j > c > e\nf > b > j"
EVENTS = "startEvent s\nserviceTask a\nendEvent e\ns > a > e\nsubProcess es event=true {{\nstartEvent i{how} : {what}\nserviceTask h\nendEvent ie\ni > h > ie\n}}"
GATE = "startEvent s\neventBasedGateway g\nintermediateCatchEvent t : timer PT1M\nintermediateCatchEvent m : signal S\nendEvent e\ns > g > t > e\ng > m > e"
BOTH = "startEvent s\nintermediateCatchEvent m : message M = k + timer PT1H\nendEvent e\ns > m > e"
CALL = [
    ONE.format(what='callActivity a\n<zeebe:calledElement processId="q"/>'),
    "process q {\nstartEvent qs\nserviceTask w\nendEvent qe\nqs > w > qe\n}",
]
LOOP = ".<multiInstanceLoopCharacteristics{seq}><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>"
MULTI = ONE.format(what="serviceTask a\n" + LOOP.format(seq=""))
RETRY = TASK
JOB = "startEvent s\nserviceTask a retries=2\nendEvent e\ns > a > e"


def pending(p: Partition, i: Instance) -> None:
    """The hold that it waited for is gone, and nobody has let it begin."""
    p.holds.clear()
    p.holding.clear()


def kept(p: Partition, i: Instance) -> None:
    i.status = "running"
    pending(p, i)


def stopped(p: Partition, i: Instance) -> None:
    loses("a")(p, i)
    at(i, "a").phase = ARRIVED
    p.unsettled[i.key] = True


def _begins_later(s: Scenario) -> None:
    s.do(c.PlaceHold(scope="definition", subject="p"))
    s.start("p")
    assert s.i.status == "pending"


def _keeps(s: Scenario) -> None:
    s.start("p")
    [job] = s.do(c.ActivateTasks(job_type="a", worker="w", max=1, timeout_ms=1_000))["jobs"]
    s.do(c.ControlInstance(key=s.key, move="suspend"))
    s.do(c.CompleteTask(task=job["key"], fence=job["fence"]))
    assert s.i.kept


def _runs(s: Scenario) -> None:
    s.start("p")


IDLE: list[tuple[str, Callable[[Scenario], None], Surgery]] = [
    ("was to begin", _begins_later, pending), ("keeps what came", _keeps, kept), ("was to go on", _runs, stopped),
]  # fmt: skip
DEAF = {"subscription_without_token", "token_stuck"}
#: (what, models, moves, surgery, kinds that are found, moves to the end)
PLANTED: list[tuple[str, str | list[str], str, Surgery, set[str], str]] = [
    ("a service task", TASK, "", loses("a"), {"token_stuck"}, "complete a"),
    ("a user task", ONE.format(what="userTask a"), "", loses("a"), {"token_stuck"}, "complete a"),
    ("a business rule as a job", ONE.format(what="sendTask a"), "", loses("a"), {"token_stuck"}, "complete a"),
    ("a timer", ONE.format(what="intermediateCatchEvent a : timer PT1M"), "", loses("a"), {"token_stuck"}, "tick"),
    ("a message", ONE.format(what="intermediateCatchEvent a : message M = k"), "", loses("a"), {"token_stuck"}, "message M x"),
    ("a signal", ONE.format(what="intermediateCatchEvent a : signal S"), "", loses("a"), {"token_stuck"}, "signal S"),
    ("a condition", ONE.format(what="intermediateCatchEvent a : conditional n > 1"), "", loses("a"), {"token_stuck"}, "set n=2"),
    ("all ways out of a gateway", GATE, "", loses("g"), {"token_stuck"}, "signal S"),
    ("a whole scope", SUB.format(more=""), "", kidless("a"), {"token_stuck"}, "complete w"),
    ("the runs of a loop", MULTI, "", kidless("a"), {"token_stuck"}, ""),
    ("a token that nobody looks at", TASK, "", phase("a", ARRIVED), {"token_stuck"}, "complete a"),
    ("a token whose turn was lost", TASK, "", phase("a", READY), {"token_stuck"}, ""),
    ("one of two before a join", FORK, "complete a", removed("b"), {"token_stuck"}, "complete c"),
    ("a job that is counted on", TASK, "", loses("a", holds=True), {"wait_lost"}, "complete a"),
    ("a timer that is counted on", ONE.format(what="intermediateCatchEvent a : timer PT1M"), "", loses("a", holds=True), {"wait_lost"}, "tick"),
    ("a boundary timer", TIMED.format(how="", what="timer PT1M"), "", beside("a", "b"), {"wait_lost"}, "tick b; complete h"),
    ("a boundary message", TIMED.format(how="cancel=false ", what="message M = k"), "", beside("a", "b"), {"wait_lost"}, "message M x; complete h; complete a"),
    ("an event sub-process", EVENTS.format(how="", what="timer PT1M"), "", beside("", "i"), {"wait_lost"}, "tick i; complete h"),
    ("a scope around a token", SUB.format(more=""), "", only("a"), {"token_without_scope"}, ""),
    ("all tokens", TASK, "", removed("a"), {"instance_without_token"}, ""),
    ("a task that its token doesn't know", TASK, "", unheld("a"), {"task_without_token", "token_stuck"}, "complete a"),
    ("a task of another token", FORK, "", elsewhere, {"task_without_token"}, "complete a; complete b; complete c"),
    ("a job in the queue only", TASK, "", jobless, {"job_without_task", "token_stuck"}, "complete a"),
    ("a job that nobody offers", TASK, "", unqueued, {"job_not_offered"}, "complete a"),
    ("a timer that its token doesn't know", TIMED.format(how="", what="timer PT1M"), "", unheld_task, {"timer_without_token", "token_stuck"}, "complete a"),
    ("a timer long due", ONE.format(what="intermediateCatchEvent a : timer PT1M"), "", unheaped, {"timer_overdue"}, ""),
    ("a message that its token doesn't know", ONE.format(what="intermediateCatchEvent a : message M = k"), "", unheld("a"), DEAF, "message M x"),
    ("a signal that its token doesn't know", ONE.format(what="intermediateCatchEvent a : signal S"), "", unheld("a"), DEAF, "signal S"),
    ("a condition that its token doesn't know", ONE.format(what="intermediateCatchEvent a : conditional n > 1"), "", unheld("a"), DEAF, "set n=2"),
    ("a subscription of another token", BOTH, "", of("subscriptions", token=1), {"subscription_without_token"}, "tick"),
    ("a message that is not awaited", BOTH, "", unawaited, {"subscription_unheard"}, "message M x"),
    ("a message awaited for nobody", BOTH, "", forgotten, {"awaited_without_subscription"}, "tick"),
    ("an incident of no token", TASK, "", incident(9), {"incident_without_token"}, "complete a"),
    ("an incident of no instance", TASK, "", incident(0), {"incident_without_token"}, "complete a"),
    ("the instance that was called", CALL, "", childless, {"call_without_child"}, "complete w"),
    ("the call of an instance", CALL, "", uncalled, {"child_without_parent", "token_stuck"}, ""),
    ("a call that waits for another", CALL, "", other_call, {"child_without_parent", "call_without_child"}, "complete w"),
    ("a job of what was called", CALL, "", of_called(loses("w")), {"token_stuck"}, "complete w"),
]  # fmt: skip
LATER = 2 * 3_600_000_000


def found(s: Scenario, later: int = 0) -> list[Found]:
    return everything(Look(s.p, s.library.processes(s.p), s.now_us + later))


def operate(s: Scenario, cut: Surgery) -> None:
    """On the state, and on its folded twin."""
    s.watched = False
    assert s._folded is not None
    for p in (s.p, s._folded):
        cut(p, p.instances[s.key])


def repair_all(s: Scenario, how: str = "") -> list[str]:
    """Each is asked first; what follows from one may mend another."""
    done = []
    for _ in range(200):
        here = found(s)
        if not here:
            return done
        f = here[0]
        command = co.RepairFinding(id=id_of(0, f), repair=how if how in f.repairs else "", reason="a test")
        plan = asked_first_of_repair(s, command)
        assert plan["plan"]
        done.append(f.kind)
        told = next(e for e, _ in reversed(s.log) if isinstance(e, op.OperationAsked))
        assert (told.operation, told.subject, told.reason) == (
            "repair_finding",
            command.id,
            "a test",
        )
    raise AssertionError(f"it is never whole: {found(s)}")


def asked_first_of_repair(s: Scenario, command: co.RepairFinding) -> dict[str, Any]:
    before = s.key
    plan = asked_first(s, command, may_end=True) if s.key not in s.p.instances else _asked(s, command)
    assert s.key == before
    return plan


def _asked(s: Scenario, command: co.RepairFinding) -> dict[str, Any]:
    from scenario import image

    from flowledger.kernel.decide import decide
    from flowledger.kernel.decision import Decision

    before = image(s.p)
    plan = decide(s.p, c.Request(command=command, plan=c.DRY_RUN), s.facts(s.p))
    assert image(s.p) == before and isinstance(plan, Decision), plan
    s.do(command)
    return dict(plan.answer)


@pytest.mark.req("APG-ENG-002", "WSM-ENG-003")
@pytest.mark.parametrize(("models", "moves", "cut", "kinds", "end"), [row[1:] for row in PLANTED], ids=[row[0] for row in PLANTED])
def test_what_is_planted_is_found_repaired_and_ends(models: Any, moves: str, cut: Surgery, kinds: set[str], end: str) -> None:
    s = Scenario(*([models] if isinstance(models, str) else models))
    s.start("p", k="x", n=1)
    s.moves(*filter(None, moves.split("; ")))
    assert not found(s, LATER) or "timer" in str(models)
    operate(s, cut)
    if "timer_overdue" in kinds:
        s.now_us += LATER
    assert {f.kind for f in found(s)} == kinds
    repair_all(s)
    s.watched = True
    s.moves(*filter(None, end.split("; ")))
    assert s.key not in s.p.instances and s.empty, (s.at, s.line)


@pytest.mark.parametrize(("before", "cut"), [row[1:] for row in IDLE], ids=[row[0] for row in IDLE])
def test_an_instance_that_nobody_lets_go_on_is_found(before: Callable[[Scenario], None], cut: Surgery) -> None:
    s = Scenario(TASK)
    before(s)
    assert not found(s, LATER)
    operate(s, cut)
    assert {f.kind for f in found(s)} == {"instance_idle"}
    assert repair_all(s) == ["instance_idle"]
    s.watched = True
    if s.key in s.p.instances:
        s.move("complete a")
    assert s.empty


DUE: list[tuple[str, str, Callable[[Scenario], None], str, str]] = [
    ("a lease", JOB, lambda s: _lease(s), "lease_overdue", "complete a"),
    ("a pause before the next attempt", JOB, lambda s: _fails(s), "retry_overdue", "complete a"),
    ("a message's time to live", TASK, lambda s: _publishes(s), "message_overdue", "complete a"),
]


def _lease(s: Scenario) -> None:
    assert s.do(c.ActivateTasks(job_type="a", worker="w", max=1, timeout_ms=1_000))["jobs"]


def _fails(s: Scenario) -> None:
    _lease(s)
    s.do(c.FailTask(task=s.task("a").key, retries=1, backoff_ms=1_000))


def _publishes(s: Scenario) -> None:
    s.do(c.PublishMessage(name="X", correlation_key="k", ttl_ms=1_000))


@pytest.mark.parametrize(("model", "before", "kind", "end"), [row[1:] for row in DUE], ids=[row[0] for row in DUE])
def test_what_is_long_due_is_found_when_it_is_lost_and_not_while_it_has_its_turn(model: str, before: Any, kind: str, end: str) -> None:
    s = Scenario(model)
    s.start("p")
    before(s)
    assert not found(s) and not found(s, LATER), "what stands among what is due comes in its turn"
    operate(s, unheaped)
    due = max([t.deadline_us or t.retry_at_us for t in s.p.tasks.values()] + [m.expires_us for m in s.p.messages.values()])
    assert not found(s, due + LATE_US - s.now_us) and [f.kind for f in found(s, due + LATE_US + 1 - s.now_us)] == [kind]
    s.now_us += LATER
    assert repair_all(s) == [kind]
    s.move(end)
    assert s.empty and not s.p.messages


@pytest.mark.parametrize("how", sorted(REPAIRS))
def test_every_other_repair_leaves_what_is_sound_as_well(how: str) -> None:
    """On all that was planted: where the kind has it. What then stands at an incident is resolved."""
    tried = 0
    for _, models, moves, cut, kinds, _ in PLANTED:
        if not any(how in KINDS[k].repairs for k in kinds) or "timer_overdue" in kinds:
            continue
        s = Scenario(*([models] if isinstance(models, str) else models))
        s.start("p", k="x", n=1)
        s.moves(*filter(None, moves.split("; ")))
        operate(s, cut)
        tried += any(how in f.repairs for f in found(s))
        repair_all(s, how)
        s.watched = True
        for _ in range(30):
            if s.key not in s.p.instances:
                break
            if s.p.incidents:
                x = min(s.p.incidents)
                token = s.p.incidents[x].token
                if how == "incident" and token in s.i.tokens:
                    s.do(c.ModifyInstance(key=s.key, terminate=[token], force=True))
                else:
                    s.move("resolve")
            elif s.p.tasks:
                s.do(c.CompleteTask(task=min(s.p.tasks)))
            elif s.p.timers:
                s.move("tick")
            else:
                s.do(c.PublishMessage(name="M", correlation_key="x"))
                s.move("signal S")
                if s.key in s.p.instances:
                    s.move("set n=2")
        assert s.key not in s.p.instances and s.empty, (models, how, s.at, s.line)
    assert tried or how in ("fire", "resend", "take_over", "restart", "go_on"), f"nothing was repaired by {how}"


STANDS_STILL = {
    "suspended": c.ControlInstance(key=0, move="suspend"),
    "paused": c.ControlInstance(key=0, move="pause"),
    "its definition suspended": c.PlaceHold(scope="definition", subject="p"),
    "its element suspended": c.PlaceHold(scope="element", subject="p/a"),
    "its job type paused": c.PlaceHold(scope="job_type", subject="a", mode="pause"),
    "everything suspended": c.PlaceHold(scope="tenant", subject="*"),
}


@pytest.mark.parametrize(
    "model",
    [
        TIMED.format(how="", what="timer PT1M"),
        ONE.format(what="intermediateCatchEvent a : timer PT1M"),
        EVENTS.format(how="", what="timer PT1M"),
        *CALL[:1],
    ],
)
@pytest.mark.parametrize("how", STANDS_STILL)
def test_what_stands_still_on_purpose_is_no_finding(how: str, model: str) -> None:
    s = Scenario(model, *CALL[1:])
    s.start("p")
    command: Any = STANDS_STILL[how]
    s.do(c.ControlInstance(key=s.key, move=command.move) if isinstance(command, c.ControlInstance) else command)
    if s.p.timers:
        timer = next(iter(s.p.timers.values()))
        s.now_us = timer.due_us
        s.p.due.clear()  # the owner takes what is due off the heap, and it is kept
        s.do(c.FireTimers(timers=[timer.key]))
    assert not found(s, LATER)


def test_what_is_pending_quarantined_or_has_an_incident_is_no_finding() -> None:
    s = Scenario(TASK)
    s.do(c.PlaceHold(scope="definition", subject="p"))
    s.start("p")
    assert s.i.status == "pending" and not found(s, LATER)
    t = Scenario(ONE.format(what='serviceTask a\n<zeebe:taskDefinition type="= missing + 1"/>'))
    t.start("p")
    assert t.p.incidents and not found(t, LATER)


@pytest.mark.parametrize(
    ("id", "repair", "why"),
    [
        ("0-token_stuck-1", "", "still holds"), ("nothing", "", "id of a finding"), ("0-nokind-4", "", "id of a finding"), ("0-token_stuck-x", "", "id of a finding"),
        ("1-token_stuck-4", "", "id of a finding"), ("0-send_unconfirmed-1", "", "still holds"), ("0-commands_lag-0", "", "still holds"),
        ("0-token_stuck-{token}", "fire", "expected one of enter, withdraw, incident"), ("-token_stuck-4", "", "id of a finding"),
        ("0-token_stuck-99999999999999999999", "", "id of a finding"), ("0-wait_lost-{token}", "", "still holds"),
    ],
)  # fmt: skip
def test_only_what_still_holds_is_repaired_and_only_by_what_fits(id: str, repair: str, why: str) -> None:
    s = Scenario(TASK)
    s.start("p")
    operate(s, loses("a"))
    token = at(s.i, "a").key
    with pytest.raises(Refused, match=why):
        s.do(co.RepairFinding(id=id.format(token=token), repair=repair))
    s.do(co.RepairFinding(id=f"0-token_stuck-{token}"))
    with pytest.raises(Refused, match="still holds"):
        s.do(co.RepairFinding(id=f"0-token_stuck-{token}"))


def test_ids_are_stable_and_can_be_read() -> None:
    for kind in KINDS:
        f = Found(kind, 2251799813685250, "x")
        assert parts_of(id_of(3, f)) == (3, kind, "2251799813685250")
    assert set(KINDS) <= {k for row in PLANTED for k in row[4]} | {row[3] for row in DUE} | {
        "send_unconfirmed",
        "commands_lag",
        "projection_lag",
        "instance_idle",
    }
    assert all(r in REPAIRS for kind in KINDS.values() for r in kind.repairs) and START_US

"""Roll-back: an instance is as it was at a moment of its history, which its caller has folded from the log and brings along (docs/control.md).

What is still as it was then stays: a token at its element, with the tasks, timers and subscriptions that it held. All others are withdrawn, and what stood
there then is made again: tokens, tasks (a new task, with the old one's key in `restores`), timers at their moments, subscriptions under their names, called
instances anew. What was done outside since can't be taken back; it is told. With `compensate` the handlers of what has completed since run first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import cancelling, conditional
from flowledger.kernel.handlers import modify
from flowledger.kernel.handlers.instances import not_found
from flowledger.kernel.model.graph import Process
from flowledger.kernel.state import ARRIVED, WAITING, Instance, InstanceImage, Subscription, Task, Timer, Token
from flowledger.kernel.stored import from_json
from flowledger.kernel.tasks import clock

OUTSIDE_MAX = 1_000


def roll_back(d: Decision, e: c.RollBackInstance) -> Rejected | None:
    """Raises: Failure: something that stood there then can't be made again."""
    i = d.state.instances.get(e.key)
    if i is None or i.status == "pending":
        return not_found("a running instance with key", e.key)
    try:
        then = from_json(e.image, InstanceImage)
    except msgspec.ValidationError as wrong:
        return _invalid(f"expected the state of an instance: {wrong}")
    if (refused := _unfit(d, i, then)) is not None:
        return refused
    if e.seen and e.seen != seen(i):
        return Rejected(RejectionCode.STALE, f"instance {i.key} has moved since: nothing is undone")
    if e.compensate and _compensates(d, i, then, e):
        d.answer = {"key": e.key, "status": "compensating", "warnings": (e.outside or [])[:OUTSIDE_MAX]}
        return None
    outside = (e.outside or [])[:OUTSIDE_MAX]
    restore(d, i, then, e.position, e.reason, outside)
    return modify.settled(d, i.key, e.force, outside)


def seen(i: Instance) -> str:
    """Where its tokens stand, to be compared."""
    return ",".join(f"{t.key}:{t.element}:{t.phase}" for t in sorted(i.tokens.values(), key=lambda t: t.key))


def _invalid(message: str) -> Rejected:
    return Rejected(RejectionCode.INVALID_ARGUMENT, message)


def _unfit(d: Decision, i: Instance, then: InstanceImage) -> Rejected | None:
    """Whatever is brought along, it must be a state that this instance can have."""
    was = then.instance
    target = d.state.definitions.get(was.definition)
    if was.key != i.key or was.tenant != i.tenant or not was.tokens:
        return _invalid(f"expected a state of instance {i.key} in which tokens stand")
    if target is None or target.kind != "process" or target.deleted or target.tenant not in ("", i.tenant):
        return not_found("a process definition with key", was.definition)
    process = d.facts.processes[was.definition]
    for key, token in was.tokens.items():
        if token.key != key or token.element not in process.nodes:
            return _invalid(f"expected tokens at elements of '{process.id}', found '{token.element}'")
        around: set[int] = set()
        at = token.scope
        while at != i.key:
            if at in around or at not in was.tokens:
                return _invalid(f"expected scopes within instance {i.key}, found {token.scope}")
            around.add(at)
            at = was.tokens[at].scope
    held: list[Task | Timer | Subscription] = [*then.tasks, *then.timers, *then.subscriptions]
    if wrong := next((x for x in held if x.instance != i.key or (x.token not in was.tokens and x.token != i.key)), None):
        return _invalid(f"expected what tokens of instance {i.key} hold, found {wrong.key}")
    return None


def _compensates(d: Decision, i: Instance, then: InstanceImage, e: c.RollBackInstance) -> bool:
    """Handlers of what has completed since run first; then the state is restored."""
    before = {x.record for kept in (then.instance.compensable or {}).values() for x in kept}
    note = {"image": e.image, "position": e.position, "outside": (e.outside or [])[:OUTSIDE_MAX]}
    return cancelling.begin(d, i, e.reason, but=before, rollback=note)


def compensated(d: Decision, i: Instance, reason: str, note: dict[str, Any]) -> None:
    """The last handler has ended."""
    restore(d, i, from_json(note["image"], InstanceImage), note["position"], reason, note["outside"] or [])


def restore(d: Decision, i: Instance, then: InstanceImage, position: str, reason: str, outside: list[str]) -> None:
    """Raises: Failure."""
    process, was = d.facts.processes[then.instance.definition], then.instance
    stays = _stays(i, was)
    for token in list(i.tokens.values()):
        if token.key in i.tokens and token.key not in stays:
            d.terminate(i, token)
    live = _same(d, i, then)
    d.close_holds(i, i, live)
    for key in stays:
        token = i.tokens[key]
        for incident in [k for k in token.holds or () if k in d.state.incidents]:
            d.record(wa.IncidentResolved(key=i.key, incident=incident, token=key, task=d.state.incidents[incident].task))
        d.close_holds(i, token, live)
    called = {k: t.data.get("child") for k, t in i.tokens.items() if t.data}
    names = {key: key if key in stays else d.key() for key in was.tokens}
    tokens, calls = [], []
    for old in was.tokens.values():
        made = _token(old, names, i.key)
        if _calls(process, old):
            child = (old.data or {}).get("child")
            if old.key not in stays or not child or called.get(old.key) != child:
                calls.append(names[old.key])
                made.data = {k: v for k, v in (made.data or {}).items() if k not in ("child", "ready")} or None
        tokens.append(made)
    d.record(
        wf.WorkflowRolledBack(
            key=i.key, definition=was.definition, process=was.process, version=was.version, variables=was.vars, tokens=msgspec.to_builtins(tokens),
            stores=was.stores, position=position, reason=reason, outside=outside or None,
            compensable={str(names.get(k, k)): msgspec.to_builtins(v) for k, v in (was.compensable or {}).items()} or None,
            spawning=[names[k] for k in was.spawning or () if k in names],
        )
    )  # fmt: skip
    _hold_again(d, i, then, names, live)
    for key in calls:
        node = process.nodes[i.tokens[key].element]
        node.behaviour.enter(d, i, i.tokens[key], node)
    if process.conditional:
        conditional.look_at_all(d, i)
        conditional.watch(d)
    d.settle(i)
    for scope in {t.scope for t in i.tokens.values()}:
        d.touched[i.key, scope] = None


def _same(d: Decision, i: Instance, then: InstanceImage) -> set[int]:
    """What is held as it was then, by whom it was."""
    p = d.state
    holders: list[Instance | Token] = [i, *i.tokens.values()]
    held = {k: holder.key for holder in holders for k in holder.holds or ()}
    found = set()
    olds: list[Task | Timer | Subscription] = [*then.tasks, *then.timers, *then.subscriptions]
    for old in olds:
        now: Any = p.tasks.get(old.key) or p.timers.get(old.key) or p.subscriptions.get(old.key)
        if now is not None and now.element == old.element and held.get(old.key) == old.token:
            found.add(old.key)
    keeps = {t.key for t in then.tasks if t.key in found}  # with their clocks
    clocks = {
        k
        for key in keeps
        for k in held
        if (t := p.timers.get(k)) is not None and t.element.endswith(f":{key}") and t.element.startswith("task:")
    }
    return found | clocks


def _stays(i: Instance, was: Instance) -> set[int]:
    """Tokens that stand where they stood, in scopes that do."""
    found: set[int] = set()

    def stands(key: int) -> bool:
        now, then = i.tokens.get(key), was.tokens.get(key)
        if now is None or then is None or (now.element, now.scope, now.index) != (then.element, then.scope, then.index):
            return False
        if now.phase != WAITING or then.phase != WAITING or now.incident:
            return False
        return now.scope == i.key or stands(now.scope)

    for key in i.tokens:
        if stands(key):
            found.add(key)
    return found


def _calls(process: Process, token: Token) -> bool:
    node = process.nodes[token.element]
    return node.kind == "callActivity" and token.phase == WAITING and not (node.loop is not None and not token.index)


def _token(old: Token, names: dict[int, int], instance: int) -> Token:
    """As it was, under its name of today; what it holds comes after it. One with an incident tries again."""
    made: Token = from_json(old, Token)
    made.key, made.scope = names[old.key], names.get(old.scope, instance)
    made.handler_of = names.get(old.handler_of, old.handler_of)
    made.holds, made.kids = None, None
    if old.incident:
        made.incident, made.phase = 0, ARRIVED
    return made


def _hold_again(d: Decision, i: Instance, then: InstanceImage, names: dict[int, int], live: Iterable[int]) -> None:
    there = set(live)
    p = d.state
    for timer in then.timers:
        if timer.key in there or timer.element.startswith("task:"):
            continue
        token = names.get(timer.token, timer.token)
        d.record(
            wa.TimerScheduled(
                key=i.key,
                timer=d.key(),
                token=token,
                element=timer.element,
                due_us=timer.due_us,
                repeat=timer.repeat,
                left=timer.left,
                which=timer.which,
            )
        )
    for s in then.subscriptions:
        if s.key in there:
            continue
        key = d.key()
        to = c.partition_of_text(s.correlation, p.meta.partitions) if s.kind == "message" else s.partition
        d.record(
            wa.SubscriptionOpened(
                key=i.key, subscription=key, token=names.get(s.token, s.token), element=s.element, kind=s.kind, name=s.name, correlation=s.correlation,
                partition=to, interrupting=s.interrupting, which=s.which,
            )
        )  # fmt: skip
        if s.kind == "message":
            d.send(
                to,
                c.AwaitMessage(subscription=key, key=i.key, name=s.name, correlation=s.correlation, process=i.process, once=s.interrupting),
            )
    for task in then.tasks:
        if task.key not in there and i.tokens[names[task.token]].phase == WAITING:
            _task_again(d, i, task, names[task.token])


def _task_again(d: Decision, i: Instance, old: Task, token: int) -> None:
    """A new task like the old one, which stays closed."""
    details = {**(old.details or {}), "restores": str(old.key)}
    details.pop("fired", None)
    key = d.key()
    d.record(
        ta.TaskCreated(
            key=i.key, task=key, token=token, element=old.element, type=old.type, job_type=old.job_type, retries=max(1, old.retries),
            priority=old.priority, headers=old.headers, details=details, listener=old.listener,
        )
    )  # fmt: skip
    clock.schedule(d, d.state.tasks[key])

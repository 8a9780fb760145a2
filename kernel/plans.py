"""A dry run: what a command would do, told from what it did before that was taken back (docs/decisions/0009).

The command is decided in full on the state; what its instances had before and have after is compared, and the journal of refusals takes all of it
back. So a preview can't differ from the act. The hash of a plan is over the kinds, keys and elements of all events, in their order; what depends on
time and on other traffic (due times, values, new keys, which are counted from where the counter stood) is left out. An operation that carries the hash
is refused as STALE when it would do something else by now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events import operations as op
from flowledger.events import wire
from flowledger.events import workflow as wf
from flowledger.events.base import Event, Rejected, RejectionCode
from flowledger.kernel import soundness
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import joins
from flowledger.kernel.state import ARRIVED, Incident, Instance, Subscription, Task, Timer, Token

#: entries of each list that are told; all are counted
LISTED_MAX = 1_000
HASH_BYTES = 12
#: lists of a plan
LISTS = ("cancelled", "ended", "created", "armed", "moved", "changed", "told", "left")
#: fields of events whose integers are keys; and those that say of what kind it is
_KEYS = frozenset(
    "key token scope task timer subscription incident record spawned item message handler_of definition deployment consumed activities merged "
    "default_key ramp_key stopped_keys".split()
)
_WORDS = frozenset(
    "element flow source target handler kind which interrupting status to process version job_type listener share hash".split()
)
#: what an ended thing was: event -> the word
_CANCELLING = frozenset(
    {"element.terminated", "task.cancelled", "timer.cancelled", "subscription.closed", "workflow.cancelled", "workflow.terminated"}
)
#: about the request, not about what it does
_ASIDE = (le.Answered, le.Inbound, op.OperationAsked)
_encode = msgspec.json.Encoder(order="deterministic").encode


def ended(d: Decision, request: c.Request, counter: int) -> Rejected | None:
    """Of a decision that was made in full: a dry run is taken back and answered by its plan; one by another plan than `request.plan` is refused.

    `counter`: of keys, as it was before.
    """
    if d.repeats:
        return None
    hash = hash_of(d, counter)
    if request.dry_run:
        d.answer = {**_made(d, counter), "plan": hash}
    elif request.plan != hash:
        return Rejected(
            RejectionCode.STALE, f"expected what the plan {request.plan} says, found that {hash} would happen by now: look again"
        )
    return None


def hash_of(d: Decision, counter: int) -> str:
    named = _Named(d, counter)
    h = blake2b(digest_size=HASH_BYTES)
    for e in d.events:
        if type(e) not in _ASIDE:
            h.update(_encode(_told(e, named)))
    return h.hexdigest()


def _told(e: Event, named: _Named) -> list[Any]:
    if type(e) is le.Outbound:
        sent = _sent(e)
        return ["send", e.to, type(sent).__name__, named(getattr(sent, "key", 0))]
    found: list[Any] = [wire.NAMES[type(e)]]
    for name in e.__struct_fields__:
        value = getattr(e, name)
        if name in _KEYS:
            if isinstance(value, int):  # `message` may be a text
                found.append(named(value))
            elif isinstance(value, list):
                found.append([named(v) for v in value])
        elif name in _WORDS:
            found.append(value)
    return found


def _sent(e: le.Outbound) -> c.AnyCommand:
    return msgspec.json.decode(e.command, type=c.Request).command


class _Named:
    """Keys as texts: new ones are `+1`, `+2` ... in the order in which they are made."""

    def __init__(self, d: Decision, counter: int) -> None:
        self._new = (d.state.meta.partition << c.PARTITION_BITS) | counter

    def __call__(self, key: int) -> str:
        n = key - self._new
        return f"+{n}" if 0 < n < 1 << c.PARTITION_BITS - 1 else str(key) if key else ""


def _made(d: Decision, counter: int) -> dict[str, Any]:
    """What changed, and all is as before."""
    named, events = _Named(d, counter), list(d.events)
    keys = list(dict.fromkeys(e.key for e in events if e.key))
    after = {key: _things(d, key) for key in keys}
    me = d.state.meta.partition
    answer, continues = d.answer, bool(d.later) or any(type(e) is le.Outbound and e.to == me for e in d.events)
    left = [_left(named, d, key) for key in keys if key in d.state.instances]
    d.back((0, 0, counter, 0))
    d.later, d.causes, d.finished = [], [], []
    lists: dict[str, list[dict[str, Any]]] = {name: [] for name in LISTS}
    words = _endings(events)
    for key in keys:
        _compare(named, _things(d, key), after[key], words, lists)
    lists["changed"] += _variables(named, events)
    lists["told"] = [
        {"partition": e.to, "command": type(sent := _sent(e)).__name__, "key": named(getattr(sent, "key", 0)) or None}
        for e in events
        if type(e) is le.Outbound and e.to != me
    ]
    lists["left"] = [row for rows in left for row in rows]
    plan: dict[str, Any] = {"dry_run": True, "plan": ""}
    plan |= {name: rows[:LISTED_MAX] for name, rows in lists.items()}
    plan["counts"] = {name: len(rows) for name, rows in lists.items()}
    plan["events"] = dict(Counter(wire.NAMES[type(e)] for e in events if type(e) not in _ASIDE))
    plan["warnings"] = answer.pop("warnings", [])
    plan["outcome"] = _outcome(named, answer)
    plan["continues"] = continues
    return plan


def _outcome(named: _Named, answer: dict[str, Any]) -> dict[str, Any]:
    """An answer with the keys that are not given yet, those of the rows in it as well: a deployment tells of many definitions."""
    found = dict(answer)
    for name, value in answer.items():
        if isinstance(value, int) and name in _KEYS:
            found[name] = named(value)
        elif name == "definitions" and isinstance(value, list):
            found[name] = [{k: _value(named, k, v) for k, v in row.items()} for row in value]
    return found


#: a thing of an instance: (kind, what is told of it)
_Thing = tuple[str, dict[str, Any]]


def _things(d: Decision, key: int) -> dict[int, _Thing]:
    """An instance, and all in it."""
    p, i = d.state, d.state.instances.get(key)
    if i is None:
        task = p.tasks.get(key)
        return {key: _of_task(task)} if task is not None else {}
    found: dict[int, _Thing] = {
        key: ("instance", {"process": i.process, "version": i.version, "definition": i.definition, "status": i.status, "paused": i.paused})
    }
    holders: list[Instance | Token] = [i, *i.tokens.values()]
    for holder in holders:
        if isinstance(holder, Token):
            found[holder.key] = "token", {"element": holder.element, "scope": holder.scope, "index": holder.index or None}
        for held in holder.holds or ():
            if (task := p.tasks.get(held)) is not None:
                found[held] = _of_task(task)
            elif (timer := p.timers.get(held)) is not None:
                found[held] = _of_timer(timer)
            elif (s := p.subscriptions.get(held)) is not None:
                found[held] = _of_subscription(s)
            elif (incident := p.incidents.get(held)) is not None:
                found[held] = _of_incident(incident)
    return found


def _of_task(t: Task) -> _Thing:
    return "task", {"element": t.element, "token": t.token, "type": t.type, "job_type": t.job_type, "status": t.status, "worker": t.worker}


def _of_timer(t: Timer) -> _Thing:
    return "timer", {"element": t.element, "token": t.token, "due_us": t.due_us, "repeat": t.repeat}


def _of_subscription(s: Subscription) -> _Thing:
    return "subscription", {"element": s.element, "token": s.token, "type": s.kind, "name": s.name, "correlation": s.correlation}


def _of_incident(x: Incident) -> _Thing:
    return "incident", {"element": x.element, "token": x.token, "code": x.code, "message": x.message}


def _endings(events: list[Event]) -> dict[int, str]:
    """Key -> the event that ended it."""
    found: dict[int, str] = {}
    for e in events:
        name = wire.NAMES[type(e)]
        for field in ("task", "timer", "subscription", "incident", "token"):
            if key := getattr(e, field, 0):
                found[key] = name
                break
        else:
            if isinstance(e, (wf.WorkflowCompleted, wf.WorkflowFailed, wf.WorkflowCancelled, wf.WorkflowTerminated)):
                found[e.key] = name
        for key in getattr(e, "consumed", None) or ():
            found[key] = name
    return found


def _compare(
    named: _Named, before: dict[int, _Thing], after: dict[int, _Thing], words: dict[int, str], lists: dict[str, list[dict[str, Any]]]
) -> None:
    for key, thing in before.items():
        if key not in after:
            # what ends without a word of its own goes with its token
            word = words.get(key, "") or words.get(thing[1].get("token", 0), "")
            gone = word in _CANCELLING or (thing[0] not in ("token", "instance") and not word)
            lists["cancelled" if gone else "ended"].append({**_row(named, key, thing), "by": word})
        elif after[key] != thing:
            now = after[key][1]
            differs = {name: [_value(named, name, v), _value(named, name, now[name])] for name, v in thing[1].items() if now[name] != v}
            moved = thing[0] == "token" and "element" in differs
            lists["moved" if moved else "changed"].append({"kind": thing[0], "key": named(key), "element": now.get("element"), **differs})
    for key, thing in after.items():
        if key not in before:
            lists["armed" if thing[0] in ("timer", "subscription") else "created"].append(_row(named, key, thing))


def _row(named: _Named, key: int, thing: _Thing) -> dict[str, Any]:
    kind, told = thing
    row = {name: _value(named, name, value) for name, value in told.items() if value not in (None, "", False)}
    return {"kind": kind, "key": named(key), **row}


def _value(named: _Named, name: str, value: Any) -> Any:
    return named(value) if name in _KEYS and isinstance(value, int) else value


def _variables(named: _Named, events: list[Event]) -> Iterator[dict[str, Any]]:
    """Names only: what stands in them is told by the history once it is there, and to whom may see it."""
    scopes: dict[tuple[int, int], dict[str, None]] = {}
    for e in events:
        if isinstance(e, wf.VariableSet):
            scopes.setdefault((e.key, e.scope), {}).update(dict.fromkeys(e.variables or {}))
    for (key, scope), names in scopes.items():
        yield {"kind": "variables", "key": named(key), "scope": named(scope), "names": list(names)}


def _left(named: _Named, d: Decision, key: int) -> list[dict[str, Any]]:
    """Where the tokens of an instance stand afterwards, and what each waits for; at a join: the `flows` on which another can still come."""
    p, rows = d.state, []
    tables = (("task", p.tasks), ("timer", p.timers), ("subscription", p.subscriptions), ("incident", p.incidents))
    i = d.state.instances[key]
    nodes = d.process(i).nodes if i.tokens else {}
    for token in i.tokens.values():
        waits = [kind for held in token.holds or () for kind, table in tables if held in table]
        if token.data and token.data.get("child"):
            waits.append("child")
        row: dict[str, Any] = {"instance": named(key), "token": named(token.key), "element": token.element, "scope": named(token.scope)}
        row["waits"] = list(dict.fromkeys(waits)) or (["tokens"] if token.kids else ["join"])
        if token.phase == ARRIVED and token.flow and (node := nodes[token.element]).kind in joins.SYNCHRONISE:
            row["flows"] = soundness.awaited(i, token, node)
        rows.append(row)
    return rows

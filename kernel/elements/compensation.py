"""Compensation: undoing completed activities by their handlers.

Source: BPMN 2.0.2, chapters 10.7, 13.5.5; `zeebe` where it says more. Choices:
- Handlers run one after the other, the activity that completed last first; where a boundary event of A led to B, B before A (`undoing.py`).
- A completed sub-process with a handler of its own (boundary, or a compensation event sub-process) is compensated by that alone; without
  one, what completed in it is compensated. Its event sub-process may compensate the inside itself, by throwing.
- An activity that ran several times is compensated as often, the run that completed last first: by a loop in the flow, a standard loop, or multi-instance
  (13.5.5: "instances of a loop or sequential multi-instance are compensated in reverse order"; so do Camunda 7 and its relatives). Each handler sees its
  run's item. Zeebe takes a multi-instance activity for one: so does a loop in its words (`zeebe:loopCharacteristics`), whose boundary handler runs once.
  The property `flowledger:compensateRuns` = `once` or `each` says it for both. A compensation event sub-process is always its own run's.
- What was interrupted can't be compensated, and neither can its inside.
- A throwing event without `activityRef` compensates its own scope; in an event sub-process, the scope around it as well. With
  `activityRef` the activity is looked for in the own scope and what completed inside of it, then outwards.
- Handlers see the local variables that the activity had when it completed; what they write goes to the scopes that still exist.
- `waitForCompletion` false: the token goes on at once, and the scope ends when the handlers have ended.
- A called instance is gone when it has completed: a call activity is compensated by its own handler only.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel.elements import events
from flowledger.kernel.elements.undoing import newest_first
from flowledger.kernel.model.graph import Node


def handler_of(node: Node) -> Node | None:
    """What compensates an activity: the boundary event's handler, or its compensation event sub-process."""
    if node.compensation is not None:
        return node.compensation
    return next((sub for sub in node.event_subs if any(e.kind == "compensate" for s in sub.starts for e in s.events)), None)


def keep(d: Any, i: Any, token: Any, node: Node) -> None:
    """The activity has completed and can be compensated later: a run of a loop by itself, or all of them as one; what has no handler of its own hands on
    what is inside of it."""
    inside = bool(i.compensable) and token.key in i.compensable
    handler = None if node.for_compensation or (token.data is not None and "inner" in token.data) else handler_of(node)
    if handler is not None and node.loop is not None:
        once = node.loop.undone_once and not handler.triggered_by_event
        if bool(token.index) == once:
            handler = None
    if handler is None and not inside:
        return
    d.record(
        fl.CompensationRecorded(
            key=i.key, record=d.key(), token=token.key, scope=token.scope, element=node.id, handler=handler.id if handler is not None else "",
            variables=dict(token.vars) if token.vars else None,
        )
    )  # fmt: skip


def throw(d: Any, i: Any, token: Any, node: Node, event: Any) -> bool:
    """True when there is nothing to do, or nobody waits for it."""
    records = _named(d, i, token, event.ref) if event.ref else _scopes(d, i, token)
    if not records:
        return True
    if event.wait:
        return not begin(d, i, token, node, records)
    carrier = d.key()
    d.record(fl.ElementActivated(key=i.key, token=carrier, scope=token.scope, element=node.id, handler_of=token.key))
    if not begin(d, i, i.tokens[carrier], node, records):
        d.end(i, i.tokens[carrier], node)
    return True


def begin(d: Any, i: Any, token: Any, node: Node, records: list[int]) -> bool:
    """`token` compensates `records` and waits. False when none of them has a handler."""
    d.record(fl.CompensationStarted(key=i.key, token=token.key, element=node.id, activities=records))
    return next_handler(d, i, token)


def next_handler(d: Any, i: Any, token: Any) -> bool:
    """Start the next handler; False when all have ended."""
    undo, at = token.data["undo"], token.data["undone"]
    nodes = d.process(i).nodes
    while at < len(undo) and undo[at][2] not in nodes:  # a migration has taken the handler away
        at += 1
    if at >= len(undo):
        d.record(fl.CompensationCompleted(key=i.key, token=token.key, element=token.element))
        return False
    record, _, handler, variables = undo[at]
    node = nodes[handler]
    d.record(fl.TokenNoted(key=i.key, token=token.key, data={"undone": at + 1, "waiting": True}))
    kid = d.key()
    d.record(fl.ElementActivated(key=i.key, token=kid, scope=token.key, element=handler, variables=variables or None, handler_of=token.key))
    if node.triggered_by_event:
        d.record(fl.TokenNoted(key=i.key, token=kid, data={"record": record}))
        events.enter_event_sub(d, i, kid, node.starts[0])
    else:
        d.push(i, kid)
    return True


def resume(d: Any, i: Any, token: Any, node: Node, event: Any) -> bool:
    """A handler has ended. True when it was the last."""
    if token.data is None or "undo" not in token.data:
        return True
    return not token.kids and not next_handler(d, i, token)


def collect(d: Any, i: Any, scope: int) -> list[int]:
    """All records of a scope, newest first; the inside of those without handler right after them."""
    found: list[int] = []
    for c in newest_first(d.process(i).nodes, (i.compensable or {}).get(scope, ())):
        found.append(c.record)
        if not c.handler:
            found += collect(d, i, c.record)
    return found


def _enclosing(d: Any, i: Any, token: Any) -> list[tuple[int, bool]]:
    """(scope, is an event sub-process) from the token outwards. Around the event sub-process that compensates a completed activity stands the
    record of that activity."""
    found: list[tuple[int, bool]] = []
    nodes = d.process(i).nodes
    scope = token.scope
    while True:
        holder = i.tokens.get(scope)
        if holder is None:
            found.append((scope, False))
            return found
        node = nodes[holder.element]
        is_sub = node.triggered_by_event
        if node.loop is None or holder.index:  # what other runs of the same loop have done is not this run's to undo
            found.append((scope, is_sub))
        if holder.data is not None and "record" in holder.data:
            found.append((holder.data["record"], False))
        scope = holder.scope


def _scopes(d: Any, i: Any, token: Any) -> list[int]:
    records: list[int] = []
    for scope, is_sub in _enclosing(d, i, token):
        records += collect(d, i, scope)
        if not is_sub:
            break
    return records


def _named(d: Any, i: Any, token: Any, element: str) -> list[int]:
    """Records of one activity, in the innermost scope where there are any."""
    kept = i.compensable or {}

    def inside(scope: int) -> list[int]:
        found: list[int] = []
        for c in reversed(kept.get(scope, ())):
            if c.element == element:
                found.append(c.record)
                if not c.handler:
                    found += collect(d, i, c.record)
            else:
                found += inside(c.record)
        return found

    for scope, _ in _enclosing(d, i, token):
        if records := inside(scope):
            return records
    return []


def read(r: Any, process: Any, element: Any) -> None:
    """Associations from compensation boundary events to their handlers."""
    targets: dict[str, list[str]] = {}
    for association in r.definitions.iter("{http://www.omg.org/spec/BPMN/20100524/MODEL}association"):
        source, target = association.get("sourceRef", ""), association.get("targetRef", "")
        targets.setdefault(source, []).append(target)
        targets.setdefault(target, []).append(source)
    for node in process.nodes.values():
        if node.kind != "boundaryEvent" or node.host is None or not any(e.kind == "compensate" for e in node.events):
            continue
        found = [process.nodes[t] for t in targets.get(node.id, ()) if t in process.nodes] + [f.target for f in node.outgoing]
        handlers = [n for n in found if n.behaviour.activity]
        if not handlers:
            r.finding("COMPENSATION_WITHOUT_HANDLER", f"compensation boundary event '{node.id}' has no handler", node,
                      hint='associate it with an activity that has isForCompensation="true"')  # fmt: skip
            continue
        if not handlers[0].for_compensation:
            r.finding("COMPENSATION_HANDLER_FLAG", f"'{handlers[0].id}' handles compensation but is not marked so", handlers[0], severity="warning",
                      hint='isForCompensation="true"')  # fmt: skip
            handlers[0].for_compensation = True
        node.host.compensation = handlers[0]

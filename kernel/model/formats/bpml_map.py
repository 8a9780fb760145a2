"""BPML 1.0 -> BPMN by the mapping table of the design notes (section 8). Choices that the table leaves open:

- A signal is a latch of its context: `raise` counts a variable up, `synch` is a conditional event that waits until the count is above its own mark. So an
  early raise isn't lost, and several synchs see one raise.
- `spawn` is a branch of its own: the parent goes on, and completes when what it spawned has.
- A nested process becomes a sub-process where it is called; its compensation hangs on that sub-process.
- A fault handler, an exception and a schedule of a context become event sub-processes of the scope of that context.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lxml import etree

from flowledger.kernel.model.formats import bpml_expressions as ex
from flowledger.kernel.model.formats import bpml_grammar as g
from flowledger.kernel.model.formats import build
from flowledger.kernel.model.formats.bpml_document import activities, form_of, kid, kids, local
from flowledger.kernel.model.formats.bpml_nodes import Mapper, id_of, latch_of, node_of, signals, text_of, time_of, title_of
from flowledger.kernel.model.formats.shared import Open

NESTING_MAX = 30


def body(m: Mapper, scope: build.Scope, element: Any, opens: list[Open], prefix: str = "") -> None:
    """The set of a process, handler or sub-process up to its end, with the handlers of its context."""
    ends = sequence(m, scope, activities(element), opens)
    if ends:
        m.join(scope, ends, scope.node("endEvent", f"{prefix or scope.id}_end"))
    if (context := kid(element, "context")) is not None:
        _handlers(m, scope, context)


# -------------------------------------------------------------------------------------------------------------- sets


def sequence(m: Mapper, scope: build.Scope, items: list[Any], opens: list[Open]) -> list[Open]:
    for element in items:
        opens = ACTIVITIES[local(element)](m, scope, element, opens)
    return opens


def _set(m: Mapper, scope: build.Scope, element: Any, opens: list[Open], name: str = "") -> list[Open]:
    """The set of a branch, a case or a loop body: in line, or as a sub-process when it has a context."""
    if kid(element, "context") is None:
        return sequence(m, scope, activities(element), opens)
    sub = _inside(m, scope, element, opens, name or element.get("name") or local(element))
    return [Open(sub.element)]


def _inside(m: Mapper, scope: build.Scope, element: Any, opens: list[Open], id: str) -> build.Scope:
    """A sub-process with the set of `element` and what its context declares."""
    sub = scope.sub(id, title_of(element), m.r.place(element))
    m.join(scope, opens, sub.element)
    context = kid(element, "context")
    for p in kids(context, "property") if context is not None else ():
        ex.initial(m.r, sub.element, p, "input")
    for s in signals(element):
        build.mapping(sub.element, "input", "= 0", latch_of(s))
    start = sub.node("startEvent", f"{sub.id}_start")
    body(m, sub, element, [Open(start)])
    return sub


# -------------------------------------------------------------------------------------------------------------- simple activities


def _action(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    form = form_of(element)
    if element in m.consumed:
        return after_trigger(m, scope, element, opens)
    if form in ("in", "in-out"):
        node = node_of(m, scope, "receiveTask", element, opens)
        node.set("messageRef", m.draft.message(ex.operation(element), ex.correlation(m.r, element)))
        ex.receive(m.r, node, element)
        return after_trigger(m, scope, element, [Open(node)])
    performer = element.get(f"{g.EXT}performer")
    tag = "userTask" if performer is not None else "sendTask" if form == "out" else "serviceTask"
    node = node_of(m, scope, tag, element, opens)
    if performer is not None:
        build.people(node, groups=performer)
    elif type := ex.operation(element):
        build.job(node, type, headers={"reply": "true"} if element.get(f"{g.EXT}reply") == "true" else None)
    ex.send(m.r, node, element)
    if form == "out-in":
        ex.receive(m.r, node, element)
    return [Open(node)]


def after_trigger(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    """The rest of a receiving action once its message is here: its set and its reply."""
    if local(element) != "action" or form_of(element) != "in-out":
        return opens
    opens = _set(m, scope, element, opens, id_of(m, element) + "_set")
    reply = scope.node("sendTask", id_of(m, element) + "_reply", "", m.r.place(element))
    m.join(scope, opens, reply)
    build.job(reply, ex.operation(element), headers={"reply": "true"})
    ex.send(m.r, reply, element)
    return [Open(reply)]


def _assign(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    node = node_of(m, scope, "scriptTask", element, opens)
    target = ex.variable(m.r, element.get("property"), element)
    source = ex.source(m.r, element, element.get("property"))
    if element.get("append") in ("true", "1"):
        source = f"append(if {target} = null then [] else {target}, {source})"
    build.script(node, source, target)
    return [Open(node)]


def _callee(m: Mapper, text: str, at: Any) -> tuple[Any, bool]:
    """(process, is nested)."""
    if m.r.name_of(text, at)[0] == g.DEPLOYED_NS:
        return etree.Element(g.P + "process", name=text.rsplit(":", 1)[-1]), False
    process = m.r.resolve("process", text, at)
    return process, process is not None and process.getparent() is not m.root


def _call(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    process, nested = _callee(m, element.get("process"), element)
    if process is None:
        return opens
    if nested:
        node = _inline(m, scope, process, element, opens)
        if node is None:
            return opens
    else:
        node = node_of(m, scope, "callActivity", element, opens)
        call = build.extension(node, "zeebe", "calledElement", processId=build.ncname(process.get("name")))
        call.set("propagateAllParentVariables", "false")
        call.set("propagateAllChildVariables", "false")
        for o in kids(element, "output"):
            build.mapping(node, "input", "= " + ex.source(m.r, o), build.variable_name(o.get("parameter") or o.get("part") or ""))
        for i in kids(element, "input"):
            build.mapping(node, "output", ex.result(m.r, i), ex.variable(m.r, i.get("property"), i))
    m.instances.setdefault(process, []).append(node.get("id"))
    compensation = kid(process, "compensation")
    if compensation is not None:
        _handler(m, scope, node, compensation, process)
    return [Open(node)]


def _inline(m: Mapper, scope: build.Scope, process: Any, at: Any, opens: list[Open]) -> Any:
    if process in m.inside or len(m.inside) > NESTING_MAX:
        m.r.find("060", f'the nested process "{process.get("name")}" calls itself, which has no counterpart in the graph', at,
                 hint="make it a process of the package")  # fmt: skip
        return None
    m.inside.append(process)
    sub = scope.sub(process.get("name"), title_of(process), m.r.place(at))
    if opens:
        m.join(scope, opens, sub.element)
    for p in kids(process, "parameter"):
        given = next((o for o in kids(at, "output") if (o.get("parameter") or o.get("part")) == p.get("name")), None)
        if given is not None:
            build.mapping(sub.element, "input", "= " + ex.source(m.r, given), build.variable_name(p.get("name")))
        else:
            ex.initial(m.r, sub.element, p, "input")
    context = kid(process, "context")
    for p in kids(context, "property") if context is not None else ():
        ex.initial(m.r, sub.element, p, "input")
    for i in kids(at, "input"):
        build.mapping(sub.element, "output", ex.result(m.r, i), ex.variable(m.r, i.get("property"), i))
    start = sub.node("startEvent", f"{sub.id}_start")
    body(m, sub, process, [Open(start)])
    m.inside.pop()
    return sub.element


def _handler(m: Mapper, scope: build.Scope, node: Any, compensation: Any, process: Any) -> None:
    event = scope.boundary(node, f"{node.get('id')}_compensate", "compensate", "", "", m.r.place(compensation))
    sub = scope.sub(f"{node.get('id')}_undo", f"Undo {process.get('name')}", m.r.place(compensation))
    sub.element.set("isForCompensation", "true")
    start = sub.node("startEvent", f"{sub.id}_start")
    body(m, sub, compensation, [Open(start)])
    m.draft.element(scope.element, "association", None, id=m.draft.unique(f"{sub.id}_link"), associationDirection="One", sourceRef=event.get("id"),
                    targetRef=sub.id)  # fmt: skip


def _spawn(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    fork = scope.node("parallelGateway", f"{id_of(m, element)}_fork", "", m.r.place(element))
    m.join(scope, opens, fork)
    ends = _call(m, scope, element, [Open(fork)])
    stop = scope.node("endEvent", f"{id_of(m, element)}_end")
    m.join(scope, ends, stop)
    if ends:  # a fault of what was spawned doesn't come back
        failed = scope.boundary(ends[0].source, f"{id_of(m, element)}_failed", "error", "", "", m.r.place(element))
        scope.flow(failed, stop)
    return [Open(fork)]


def _compensate(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    """One throw event per named process; which activity it names is settled when all instances are known."""
    for n, text in enumerate(element.get("process").split()):
        process, _ = _callee(m, text, element)
        if process is None:
            continue
        node = scope.node("intermediateThrowEvent", f"{id_of(m, element)}{f'_{n + 1}' if n else ''}", title_of(element), m.r.place(element))
        definition = scope.event(node, "compensate", "", m.r.place(element))
        m.join(scope, opens, node)
        opens = [Open(node)]
        m.compensations.append((definition, process))
    return opens


def late_compensation(m: Mapper) -> None:
    for definition, process in m.compensations:
        ids = m.instances.get(process, [])
        if not ids:
            m.r.find("047", f'compensate names "{process.get("name")}", never called or spawned here', process, severity="warning")
            definition.getparent().remove(definition)  # nothing to undo: a throw event of no kind passes
        elif len(ids) == 1:
            definition.set("activityRef", ids[0])
        # several instances: compensate all of the scope, newest first


def _delay(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    node = node_of(m, scope, "intermediateCatchEvent", element, opens)
    kind, text = time_of(m, element)
    scope.event(node, kind, text, m.r.place(element))
    return [Open(node)]


def _empty(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    return opens


def _fault(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    node = node_of(m, scope, "endEvent", element, opens)
    scope.event(node, "error", element.get("code").rsplit(":", 1)[-1], m.r.place(element))
    return []


def _raise(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    node = node_of(m, scope, "scriptTask", element, opens)
    latch = latch_of(element.get("signal").rsplit(":", 1)[-1])
    build.script(node, f"(if {latch} = null then 0 else {latch}) + 1", "count")
    build.mapping(node, "output", "= count", latch)
    if element.get("xpath") is not None or kid(element, "value") is not None:
        build.mapping(node, "output", "= " + ex.source(m.r, element), f"{latch}_value")
    return [Open(node)]


def _synch_event(m: Mapper, scope: build.Scope, node: Any, element: Any) -> None:
    """A conditional event on the latch; its own mark moves to the count when it passes."""
    m.marks += 1
    latch = latch_of(element.get("signal").rsplit(":", 1)[-1])
    mark = f"{latch}_seen_{m.marks}"
    scope.event(node, "conditional", f"= {latch} != null and {latch} > (if {mark} = null then 0 else {mark})", m.r.place(element))
    build.mapping(node, "output", f"= {latch}", mark)
    if element.get("property"):
        build.mapping(node, "output", f"= {latch}_value", ex.variable(m.r, element.get("property"), element))


def _synch(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    if element in m.consumed:
        return opens
    node = node_of(m, scope, "intermediateCatchEvent", element, opens)
    _synch_event(m, scope, node, element)
    return [Open(node)]


# -------------------------------------------------------------------------------------------------------------- complex activities


def _in_order(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    return _set(m, scope, element, opens, id_of(m, element))


def _all(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    if kid(element, "context") is not None:
        sub = scope.sub(id_of(m, element), title_of(element), m.r.place(element))
        m.join(scope, opens, sub.element)
        for p in kids(kid(element, "context"), "property"):
            ex.initial(m.r, sub.element, p, "input")
        for s in signals(element):
            build.mapping(sub.element, "input", "= 0", latch_of(s))
        start = sub.node("startEvent", f"{sub.id}_start")
        ends = _branches(m, sub, element, [Open(start)])
        if ends:
            m.join(sub, ends, sub.node("endEvent", f"{sub.id}_end"))
        _handlers(m, sub, kid(element, "context"))
        return [Open(sub.element)]
    return _branches(m, scope, element, opens)


def _branches(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    items = [a for a in activities(element) if a not in m.consumed or form_of(a) == "in-out"]
    if len(items) < 2:
        return sequence(m, scope, items, opens)
    fork = node_of(m, scope, "parallelGateway", element, opens)
    ends: list[Open] = []
    for n, item in enumerate(items):
        exits = ACTIVITIES[local(item)](m, scope, item, [Open(fork)])
        if len(exits) > 1:
            merge = scope.node("exclusiveGateway", f"{fork.get('id')}_{n + 1}_done")
            m.join(scope, exits, merge)
            exits = [Open(merge)]
        ends += exits
    if not ends:
        return []
    join = scope.node("parallelGateway", f"{fork.get('id')}_join", "", m.r.place(element))
    for o in ends:
        m.lead(scope, o, join)
    return [Open(join)]


def _switch(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    gateway = node_of(m, scope, "exclusiveGateway", element, opens)
    ends: list[Open] = []
    for n, case in enumerate(kids(element, "case")):
        condition = kid(case, "condition")
        ends += _set(
            m,
            scope,
            case,
            [Open(gateway, "= " + m.feel(text_of(condition), condition), at=m.r.place(case))],
            f"{gateway.get('id')}_case_{n + 1}",
        )
    default = kid(element, "default")
    way = Open(gateway, default=True)
    return ends + (_set(m, scope, default, [way], f"{gateway.get('id')}_default") if default is not None else [way])


def _choice(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    if element in m.consumed:
        return opens
    gateway = node_of(m, scope, "eventBasedGateway", element, opens)
    ends: list[Open] = []
    for event in kids(element, "event"):
        trigger, *rest = activities(event)
        node = scope.node("intermediateCatchEvent", id_of(m, trigger), title_of(trigger), m.r.place(trigger))
        scope.flow(gateway, node)
        if local(trigger) == "action":
            scope.event(node, "message", ex.operation(trigger), m.r.place(trigger), ex.correlation(m.r, trigger))
            ex.receive(m.r, node, trigger)
        elif local(trigger) == "synch":
            _synch_event(m, scope, node, trigger)
        else:
            kind, text = time_of(m, trigger)
            scope.event(node, kind, text, m.r.place(trigger))
        after = after_trigger(m, scope, trigger, [Open(node)])
        if kid(event, "context") is not None and rest:
            ends.append(Open(_inside_rest(m, scope, event, after, rest).element))
        else:
            ends += sequence(m, scope, rest, after)
    return ends


def _inside_rest(m: Mapper, scope: build.Scope, event: Any, opens: list[Open], rest: list[Any]) -> build.Scope:
    sub = scope.sub(f"{opens[0].source.get('id')}_then", "", m.r.place(event))
    m.join(scope, opens, sub.element)
    for p in kids(kid(event, "context"), "property"):
        ex.initial(m.r, sub.element, p, "input")
    start = sub.node("startEvent", f"{sub.id}_start")
    ends = sequence(m, sub, rest, [Open(start)])
    if ends:
        m.join(sub, ends, sub.node("endEvent", f"{sub.id}_end"))
    _handlers(m, sub, kid(event, "context"))
    return sub


def _foreach(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    sub = _inside(m, scope, element, opens, id_of(m, element))
    build.each(
        m.draft,
        sub.element,
        "= " + m.feel(element.get("select"), element),
        element.get(f"{g.EXT}item", ex.CURRENT),
        parallel=False,
        at=m.r.place(element),
    )
    return [Open(sub.element)]


def _while(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    test = node_of(m, scope, "exclusiveGateway", element, opens)
    condition = kid(element, "condition")
    when = "= " + m.feel(text_of(condition), condition)
    for o in _set(m, scope, element, [Open(test, when, at=m.r.place(condition))], f"{test.get('id')}_body"):
        m.lead(scope, o, test)
    return [Open(test, default=True)]


def _until(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    again = scope.node("exclusiveGateway", f"{id_of(m, element)}_again", "", m.r.place(element))
    m.join(scope, opens, again)
    ends = _set(m, scope, element, [Open(again)], f"{id_of(m, element)}_body")
    if not ends:
        return []
    test = node_of(m, scope, "exclusiveGateway", element, ends)
    condition = kid(element, "condition")
    back = scope.flow(test, again)
    test.set("default", back.get("id"))
    return [Open(test, "= " + m.feel(text_of(condition), condition), at=m.r.place(condition))]


def _transaction(m: Mapper, scope: build.Scope, element: Any, opens: list[Open]) -> list[Open]:
    """An open transaction: a scope that compensates its completed children when it fails."""
    sub = _inside(m, scope, element, opens, id_of(m, element))
    failed = scope.boundary(sub.element, f"{sub.id}_failed", "error", "", "", m.r.place(element))
    undo = scope.node("intermediateThrowEvent", f"{sub.id}_undo", "", m.r.place(element))
    scope.event(undo, "compensate", "", m.r.place(element))
    scope.flow(failed, undo)
    return [Open(sub.element), Open(undo)]


ACTIVITIES: dict[str, Callable[[Mapper, build.Scope, Any, list[Open]], list[Open]]] = {
    "action": _action, "assign": _assign, "call": _call, "compensate": _compensate, "delay": _delay, "empty": _empty, "fault": _fault,
    "raise": _raise, "spawn": _spawn, "synch": _synch, "sequence": _in_order, "all": _all, "switch": _switch, "choice": _choice,
    "foreach": _foreach, "while": _while, "until": _until, "transaction": _transaction,
}  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- handlers of a context


def _handlers(m: Mapper, scope: build.Scope, context: Any) -> None:
    for n, exception in enumerate(kids(context, "exception")):
        name = exception.get("name") or f"{scope.id}_exception_{n + 1}"
        event = kid(exception, "event")
        wanted = event.get("activity", "").split() if event is not None else []
        first, *rest = activities(exception)
        if event is None or first.get("name") not in wanted or local(first) not in ("action", "synch", "delay"):
            m.r.find("040", f'event of exception "{name}" names no receiving action, synch or delay that runs first in it', exception)
            continue
        sub = scope.sub(name, title_of(exception), m.r.place(exception), event=True)
        start = sub.node("startEvent", id_of(m, first) if id_of(m, first) != name else f"{name}_start", title_of(first), m.r.place(first))
        if local(first) == "action":
            sub.event(start, "message", ex.operation(first), m.r.place(first), ex.correlation(m.r, first))
            ex.receive(m.r, start, first)
        elif local(first) == "delay":
            kind, text = time_of(m, first)
            sub.event(start, kind, text, m.r.place(first))
        else:
            _synch_event(m, sub, start, first)
        opens = after_trigger(m, sub, first, [Open(start)])
        ends = sequence(m, sub, rest, opens)
        if ends:
            m.join(sub, ends, sub.node("endEvent", f"{sub.id}_end"))
        if (inner := kid(exception, "context")) is not None:
            _handlers(m, sub, inner)
    faults = kid(context, "faults")
    for case in kids(faults, "case", "default") if faults is not None else ():
        for code in [c.rsplit(":", 1)[-1] for c in case.get("code", "").split()] or [""]:
            sub = scope.sub(f"{scope.id}_fault_{re.sub('[^A-Za-z0-9_]', '_', code) or 'any'}", "", m.r.place(case), event=True)
            start = sub.node("startEvent", f"{sub.id}_start", code, m.r.place(case))
            sub.event(start, "error", code, m.r.place(case))
            body(m, sub, case, [Open(start)])
    for schedule in kids(context, "schedule"):
        sub = scope.sub(schedule.get("name"), schedule.get("name"), m.r.place(schedule), event=True)
        start = sub.node("startEvent", f"{sub.id}_due", "", m.r.place(schedule), isInterrupting="false")
        kind, text = time_of(m, schedule)
        sub.event(start, kind, text, m.r.place(schedule))
        made = etree.Element(
            g.P + ("raise" if schedule.get("signal") else "fault" if schedule.get("fault") else "spawn"), nsmap=schedule.nsmap
        )
        made.set(
            {"raise": "signal", "fault": "code"}.get(local(made), "process"),
            schedule.get("signal") or schedule.get("fault") or schedule.get("process"),
        )
        schedule.append(made)
        made.set("name", f"{schedule.get('name')}_{local(made)}")
        ends = ACTIVITIES[local(made)](m, sub, made, [Open(start)])
        schedule.remove(made)
        if ends:
            m.join(sub, ends, sub.node("endEvent", f"{sub.id}_end"))

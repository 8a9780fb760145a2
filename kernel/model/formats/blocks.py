"""Nested blocks of the simplified JSON (`flow`): each block is compiled behind the open ends before it and leaves open ends of its own.

A block is told by its first key: task, if, switch, parallel, inclusive, wait, first_of, for_each, while, repeat, scope, throw, end, go.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from flowledger.kernel.model.formats import build, work
from flowledger.kernel.model.formats.shared import Open
from flowledger.kernel.model.formats.source import Value
from flowledger.kernel.model.formats.starts import start_event

_HANDLER = {"timeout", "error", "escalation", "message", "signal", "condition", "key", "interrupting", "do", "name", "id", "compensate"}


class Level:
    """One scope while it is compiled: the targets of `go`."""

    def __init__(self, r: Any, scope: build.Scope) -> None:
        self.r, self.scope = r, scope
        #: task id -> its entry (a merge is put in front when something goes back to it)
        self.entries: dict[str, Any] = {}
        self.jumps: list[tuple[list[Open], str, Value]] = []

    def settle(self) -> None:
        """Lead all jumps to their targets."""
        for opens, target, at in self.jumps:
            node = self.entries.get(target)
            if node is None:
                close = difflib.get_close_matches(target, list(self.entries), 1)
                self.r.find("REFERENCE_MISSING", f"'go' names '{target}', which is no task of this scope", at,
                            hint=f"did you mean '{close[0]}'?" if close else "")  # fmt: skip
                continue
            if str(node.tag).endswith(("}parallelGateway", "}inclusiveGateway")):
                node = self.scope.merge_before(node)
            for o in opens:
                self.r.lead(self.scope, o, node)


def body(r: Any, scope: build.Scope, top: Value) -> None:
    """The whole process: start, blocks, end, event sub-processes."""
    start = start_event(r, scope, top)
    sequence_to_end(r, scope, r.sequence(top, "flow", required=True), start, "")
    handlers(r, scope, r.sequence(top, "on"))


def sequence_to_end(r: Any, scope: build.Scope, items: list[Value], start: Any, prefix: str) -> None:
    level = Level(r, scope)
    opens = sequence(level, items, [Open(start)])
    if opens:
        end = scope.node("endEvent", f"{prefix}_end" if prefix else "end")
        r.join(scope, opens, end)
    level.settle()


def handlers(r: Any, scope: build.Scope, items: list[Value]) -> None:
    """`on` of a process or scope: event sub-processes."""
    for n, value in enumerate(items):
        if not isinstance(value.data, dict):
            r.find("TYPE_WRONG", f"expected an object in 'on', found {value.kind()}", value)
            continue
        r.known(value, _HANDLER, "a handler")
        sub = scope.sub(r.text(value, "id") or f"{scope.id}_on_{n + 1}", r.text(value, "name"), value, event=True)
        interrupting = r.flag(value, "interrupting", True)
        start = sub.node("startEvent", f"{sub.id}_start", "", value, isInterrupting=None if interrupting else "false")
        kind, text, key = trigger(r, value)
        if kind:
            sub.event(start, kind, text, value, key)
        sequence_to_end(r, sub, r.sequence(value, "do"), start, sub.id)


def trigger(r: Any, value: Value) -> tuple[str, str, str]:
    """(kind, value, key) of a handler or a wait; a finding when it isn't exactly one."""
    given = [k for k in ("timeout", "error", "escalation", "message", "signal", "condition", "compensate") if k in value]
    if len(given) != 1:
        r.find(
            "TRIGGER",
            "expected exactly one of timeout, error, escalation, message, signal, condition, found " + (", ".join(given) or "none"),
            value,
        )
        return "", "", ""
    kind = given[0]
    if kind == "timeout":
        return "timer", r.duration(value, "timeout"), ""
    if kind == "condition":
        return "conditional", r.condition(value, "condition") or "= false", ""
    text = r.text(value, kind)
    key = r.text(value, "key")
    if kind == "message":
        if not key:
            r.find("KEY_MISSING", "a message that is waited for needs 'key', the correlation key", value, hint='"key": "= order_id"')
        else:
            r.checked(key, value.get("key"), "key")
    return ("compensate", "", "") if kind == "compensate" else (kind, "" if text == "*" else text, key)


def sequence(level: Level, items: list[Value], opens: list[Open]) -> list[Open]:
    r = level.r
    for value in items:
        if not isinstance(value.data, dict):
            r.find("TYPE_WRONG", f"expected a block (an object), found {value.kind()}", value)
            continue
        kind = next((k for k in BLOCKS if k in value), None)
        if kind is None:
            r.find("BLOCK_UNKNOWN", f"expected a block with one of {', '.join(BLOCKS)}, found {', '.join(value.data) or 'nothing'}", value)
            continue
        if not opens:
            r.find(
                "UNREACHABLE", f"the {kind} block can never run: what stands before it ends or goes elsewhere", value, severity="warning"
            )
        opens = BLOCKS[kind](level, value, opens)
    return opens


def _id(level: Level, value: Value, kind: str) -> str:
    found = level.r.text(value, "id")
    if found:
        return str(found)
    n = 1
    while f"{kind}_{n}" in level.scope.draft._ids:
        n += 1
    return f"{kind}_{n}"


def enter(level: Level, opens: list[Open], node: Any, id: str) -> None:
    """Lead the open ends to a node that `go` may name."""
    level.entries[id] = node
    level.r.join(level.scope, opens, node)


def _task(level: Level, value: Value, opens: list[Open]) -> list[Open]:
    r, scope = level.r, level.scope
    id = r.text(value, "task", required=True, what="a task") or "task"
    if id in level.entries or id in scope.draft._ids:
        r.find("ID_DUPLICATE", f"the id '{id}' is used twice", value, hint="ids are unique in a file", element=id)
    element = work.task(r, scope, value, id, {"task", "on", "skip_unless", "undo"})
    if "capability" in value:
        r.uses(value, id)
    condition = r.condition(value, "skip_unless")
    after: list[Open] = []
    if condition is not None:
        split = scope.node("exclusiveGateway", f"{id}_needed", "", value)
        enter(level, opens, split, id)
        scope.flow(split, element, condition)
        after.append(Open(split, default=True))
    else:
        enter(level, opens, element, id)
    if timeout := work.timeout_of(r, value, id):
        event = scope.boundary(element, f"{id}_timeout", "timer", timeout, "", value)
        end = scope.node("endEvent", f"{id}_timed_out", "", value)
        scope.event(end, "error", "TIMEOUT")
        scope.flow(event, end)
    if (undo := r.sequence(value, "undo")) and isinstance(undo[0].data, dict):
        _undo(level, element, undo[0], id)
    after += attached(level, element, value, id)
    return [Open(element), *after]


def _undo(level: Level, element: Any, value: Value, id: str) -> None:
    """A compensation handler of a task."""
    r, scope = level.r, level.scope
    handler_id = r.text(value, "task") or f"{id}_undo"
    handler = work.task(r, scope, value, handler_id, {"task"})
    handler.set("isForCompensation", "true")
    event = scope.boundary(element, f"{id}_compensate", "compensate", "", "", value)
    scope.draft.element(scope.element, "association", value, id=scope.draft.unique(f"{id}_undo_link"), associationDirection="One",
                        sourceRef=event.get("id"), targetRef=handler.get("id"))  # fmt: skip


def attached(level: Level, element: Any, value: Value, id: str) -> list[Open]:
    """`on` of a task or scope: boundary events. Interrupting ones go on behind the task unless they end."""
    r, scope = level.r, level.scope
    after: list[Open] = []
    for n, handler in enumerate(r.sequence(value, "on")):
        if not isinstance(handler.data, dict):
            r.find("TYPE_WRONG", f"expected an object in 'on', found {handler.kind()}", handler, element=id)
            continue
        r.known(handler, _HANDLER, f"a handler of '{id}'", id)
        kind, text, key = trigger(r, handler)
        if not kind:
            continue
        interrupting = r.flag(handler, "interrupting", True)
        if kind == "error" and not interrupting:
            r.find("ERROR_INTERRUPTS", f"an error handler of '{id}' always interrupts", handler, element=id)
        event = scope.node("boundaryEvent", r.text(handler, "id") or f"{id}_on_{n + 1}", r.text(handler, "name"), handler, attachedToRef=element.get("id"),
                           cancelActivity=None if interrupting else "false")  # fmt: skip
        scope.event(event, kind, text, handler, key)
        ends = sequence(level, r.sequence(handler, "do"), [Open(event)])
        if interrupting:
            after += ends
        elif ends:
            r.join(scope, ends, scope.node("endEvent", f"{event.get('id')}_end"))
    return after


def _branches(level: Level, gateway: Any, cases: list[tuple[str | None, list[Value], str, Value]], otherwise: bool) -> list[Open]:
    """Conditional branches out of a gateway; one without condition is the default; without any, the flow past them is (`otherwise`)."""
    after: list[Open] = []
    has_default = False
    for condition, items, name, at in cases:
        default = condition is None
        if default and has_default:
            level.r.find("DEFAULT_TWICE", "only one branch may have no condition", at, element=gateway.get("id"))
        has_default = has_default or default
        after += sequence(level, items, [Open(gateway, condition, default, name, at)])
    if not has_default and otherwise:
        after.append(Open(gateway, default=True))
    return after


def _if(level: Level, value: Value, opens: list[Open]) -> list[Open]:
    r = level.r
    id = _id(level, value, "if")
    r.known(value, {"if", "then", "else", "id", "name", "then_name", "else_name"}, "an if block", id)
    gateway = level.scope.node("exclusiveGateway", id, r.text(value, "name"), value)
    enter(level, opens, gateway, id)
    condition = r.condition(value, "if") or "= false"
    cases = [(condition, r.sequence(value, "then", required=True, what="an if block"), r.text(value, "then_name", "yes"), value)]
    if "else" in value:
        cases.append((None, r.sequence(value, "else"), r.text(value, "else_name", "no"), value))
    return _branches(level, gateway, cases, otherwise=True)


def _cases(level: Level, value: Value, key: str, id: str) -> list[tuple[str | None, list[Value], str, Value]]:
    r = level.r
    cases = []
    for case in r.sequence(value, key):
        if not isinstance(case.data, dict):
            r.find("TYPE_WRONG", f"expected an object with 'when' and 'do', found {case.kind()}", case, element=id)
            continue
        r.known(case, {"when", "do", "name"}, f"a case of '{id}'", id)
        cases.append((r.condition(case, "when"), r.sequence(case, "do"), r.text(case, "name"), case))
    if not cases:
        r.find("BRANCHES_MISSING", f"'{id}' has no branches", value, element=id)
    return cases


def _switch(level: Level, value: Value, opens: list[Open]) -> list[Open]:
    id = _id(level, value, "switch")
    level.r.known(value, {"switch", "id", "name"}, "a switch block", id)
    gateway = level.scope.node("exclusiveGateway", id, level.r.text(value, "name"), value)
    enter(level, opens, gateway, id)
    return _branches(level, gateway, _cases(level, value, "switch", id), otherwise=True)


def _inclusive(level: Level, value: Value, opens: list[Open]) -> list[Open]:
    id = _id(level, value, "inclusive")
    level.r.known(value, {"inclusive", "id", "name"}, "an inclusive block", id)
    gateway = level.scope.node("inclusiveGateway", id, level.r.text(value, "name"), value)
    enter(level, opens, gateway, id)
    ends = _branches(level, gateway, _cases(level, value, "inclusive", id), otherwise=True)
    if not ends:
        return []
    join = level.scope.node("inclusiveGateway", f"{id}_join", "", value)
    for o in ends:
        level.r.lead(level.scope, o, join)
    return [Open(join)]


def _parallel(level: Level, value: Value, opens: list[Open]) -> list[Open]:
    r, scope = level.r, level.scope
    id = _id(level, value, "parallel")
    r.known(value, {"parallel", "id", "name"}, "a parallel block", id)
    given = value.get("parallel")
    branches: list[tuple[str, list[Value]]] = []
    if given is not None and isinstance(given.data, dict):
        branches = [(name, r.sequence(given, name)) for name in given.data]
    elif given is not None and isinstance(given.data, list):
        branches = [("", item.data if isinstance(item.data, list) else [item]) for item in given.data]
    if len(branches) < 2:
        r.find("BRANCHES_MISSING", "a parallel block needs two branches or more", value, element=id)
        return opens
    fork = scope.node("parallelGateway", id, r.text(value, "name"), value)
    enter(level, opens, fork, id)
    ends: list[Open] = []
    for name, items in branches:
        exits = sequence(level, items, [Open(fork, name=name)])
        if len(exits) > 1:
            merge = scope.node("exclusiveGateway", f"{id}_{name or len(ends) + 1}_merge")
            r.join(scope, exits, merge)
            exits = [Open(merge)]
        ends += exits
    if not ends:
        return []
    join = scope.node("parallelGateway", f"{id}_join", "", value)
    for o in ends:
        r.lead(scope, o, join)
    return [Open(join)]


def _catch(level: Level, value: Value, id: str) -> Any:
    """An intermediate catch event by `wait`: a duration, or an object with for, until, message, signal or condition."""
    r, scope = level.r, level.scope
    spec = value.get("wait")
    node = scope.node("intermediateCatchEvent", id, r.text(value, "name"), value)
    if spec is not None and isinstance(spec.data, dict):
        r.known(spec, {"for", "until", "message", "signal", "condition", "key"}, f"the wait '{id}'", id)
        if "for" in spec:
            scope.event(node, "timer", r.duration(spec, "for"), spec)
        elif "until" in spec:
            scope.event(node, "date", r.text(spec, "until"), spec)
        else:
            kind, text, key = trigger(r, spec)
            if kind:
                scope.event(node, kind, text, spec, key)
    elif spec is not None:
        scope.event(node, "timer", r.as_duration(spec, "wait"), spec)
    work.map_outputs(r, node, value)
    return node


def _wait(level: Level, value: Value, opens: list[Open]) -> list[Open]:
    id = _id(level, value, "wait")
    level.r.known(value, {"wait", "id", "name", "output"}, "a wait block", id)
    node = _catch(level, value, id)
    enter(level, opens, node, id)
    return [Open(node)]


def _first_of(level: Level, value: Value, opens: list[Open]) -> list[Open]:
    r = level.r
    id = _id(level, value, "first_of")
    r.known(value, {"first_of", "id", "name"}, "a first_of block", id)
    gateway = level.scope.node("eventBasedGateway", id, r.text(value, "name"), value)
    enter(level, opens, gateway, id)
    after: list[Open] = []
    items = r.sequence(value, "first_of")
    if len(items) < 2:
        r.find("BRANCHES_MISSING", "a first_of block needs two waits or more", value, element=id)
    for n, item in enumerate(items):
        r.known(item, {"wait", "do", "name", "id", "output"}, f"a branch of '{id}'", id)
        if "wait" not in item:
            r.find("KEY_MISSING", f"each branch of '{id}' begins with 'wait'", item, element=id)
            continue
        node = _catch(level, item, r.text(item, "id") or f"{id}_{n + 1}")
        level.scope.flow(gateway, node)
        after += sequence(level, r.sequence(item, "do"), [Open(node)])
    return after


def _inside(level: Level, value: Value, opens: list[Open], id: str, items: list[Value]) -> build.Scope:
    sub = level.scope.sub(id, level.r.text(value, "name"), value)
    enter(level, opens, sub.element, id)
    start = sub.node("startEvent", f"{id}_start")
    sequence_to_end(level.r, sub, items, start, id)
    return sub


def _for_each(level: Level, value: Value, opens: list[Open]) -> list[Open]:
    r = level.r
    id = _id(level, value, "for_each")
    r.known(
        value, {"for_each", "as", "parallel", "do", "collect", "collect_from", "until_done", "id", "name", "on"}, "a for_each block", id
    )
    sub = _inside(level, value, opens, id, r.sequence(value, "do", required=True, what="a for_each block"))
    items = r.text(value, "for_each")
    r.checked(items, value.get("for_each"), "for_each")
    collect = r.text(value, "collect")
    build.each(level.scope.draft, sub.element, items, r.text(value, "as", "item"), r.flag(value, "parallel", True), collect,
               r.text(value, "collect_from") or ("= " + r.text(value, "as", "item") if collect else ""), r.condition(value, "until_done") or "",
               value)  # fmt: skip
    return [Open(sub.element), *attached(level, sub.element, value, id)]


def _while(level: Level, value: Value, opens: list[Open]) -> list[Open]:
    """Test first: merge, test, body, back to the merge."""
    r, scope = level.r, level.scope
    id = _id(level, value, "while")
    r.known(value, {"while", "do", "id", "name"}, "a while block", id)
    merge = scope.node("exclusiveGateway", f"{id}_again", "", value)
    enter(level, opens, merge, id)
    test = scope.node("exclusiveGateway", id, r.text(value, "name"), value)
    scope.flow(merge, test)
    for o in sequence(
        level, r.sequence(value, "do", required=True, what="a while block"), [Open(test, r.condition(value, "while") or "= false")]
    ):
        r.lead(scope, o, merge)
    return [Open(test, default=True)]


def _repeat(level: Level, value: Value, opens: list[Open]) -> list[Open]:
    """Body first, then the test; back to the start of the body until it holds."""
    r, scope = level.r, level.scope
    id = _id(level, value, "repeat")
    r.known(value, {"repeat", "until", "id", "name"}, "a repeat block", id)
    if "until" not in value:
        r.find("KEY_MISSING", "a repeat block needs 'until', a condition", value, element=id)
    merge = scope.node("exclusiveGateway", f"{id}_again", "", value)
    enter(level, opens, merge, id)
    ends = sequence(level, r.sequence(value, "repeat"), [Open(merge)])
    if not ends:
        return []
    test = scope.node("exclusiveGateway", id, r.text(value, "name"), value)
    for o in ends:
        r.lead(scope, o, test)
    back = scope.flow(test, merge, None, "again")
    test.set("default", back.get("id"))
    return [Open(test, r.condition(value, "until") or "= true", name="done")]


def _scope(level: Level, value: Value, opens: list[Open]) -> list[Open]:
    id = _id(level, value, "scope")
    level.r.known(value, {"scope", "id", "name", "on", "inside_on"}, "a scope block", id)
    sub = _inside(level, value, opens, id, level.r.sequence(value, "scope"))
    handlers(level.r, sub, level.r.sequence(value, "inside_on"))
    return [Open(sub.element), *attached(level, sub.element, value, id)]


_THROWN = ("error", "escalation", "signal", "message", "terminate", "compensate")


def _thrown(level: Level, node: Any, spec: Value | None, what: str, default: str = "") -> None:
    r, scope = level.r, level.scope
    if spec is None or spec.data is None:
        return
    if isinstance(spec.data, str):
        if not node.get("name"):
            node.set("name", build.clean(spec.data))
        return
    r.known(spec, {*_THROWN, "name", "job", "input"}, what)
    given = [k for k in _THROWN if k in spec]
    if len(given) != 1:
        r.find("TRIGGER", f"expected exactly one of {', '.join(_THROWN)} in {what}, found {', '.join(given) or 'none'}", spec)
        return
    work.inputs(r, node, spec, node.get("id"))
    scope.event(node, given[0], "" if given[0] in ("terminate", "compensate") else r.text(spec, given[0]), spec)
    if given[0] == "message":
        build.job(node, r.text(spec, "job") or f"send.{r.text(spec, 'message')}")


def _throw(level: Level, value: Value, opens: list[Open]) -> list[Open]:
    r = level.r
    id = _id(level, value, "throw")
    r.known(value, {"throw", "id", "name"}, "a throw block", id)
    spec = r.mapping(value, "throw")
    final = spec is not None and ("error" in spec or "terminate" in spec)
    node = level.scope.node("endEvent" if final else "intermediateThrowEvent", id, r.text(value, "name"), value)
    enter(level, opens, node, id)
    _thrown(level, node, spec, "a throw block")
    return [] if final else [Open(node)]


def _end(level: Level, value: Value, opens: list[Open]) -> list[Open]:
    r = level.r
    spec = value.get("end")
    id = r.text(value, "id") or (build.ncname(spec.data.lower().replace(" ", "_")) if spec is not None and isinstance(spec.data, str) and spec.data else
                                 _id(level, value, "end"))  # fmt: skip
    r.known(value, {"end", "id", "name"}, "an end block", id)
    node = level.scope.node("endEvent", id, r.text(value, "name"), value)
    if spec is not None and not isinstance(spec.data, bool):
        _thrown(level, node, spec, "an end block")
    r.join(level.scope, opens, node)
    return []


def _go(level: Level, value: Value, opens: list[Open]) -> list[Open]:
    level.r.known(value, {"go"}, "a go block")
    level.jumps.append((opens, level.r.text(value, "go"), value))
    return []


BLOCKS: dict[str, Callable[[Level, Value, list[Open]], list[Open]]] = {
    "task": _task, "if": _if, "switch": _switch, "for_each": _for_each, "while": _while, "repeat": _repeat, "scope": _scope, "throw": _throw,
    "first_of": _first_of, "parallel": _parallel, "inclusive": _inclusive, "wait": _wait, "end": _end, "go": _go,
}  # fmt: skip

"""Multi-instance activities, parallel and sequential, over a collection or a cardinality; and standard loops.

A body token stays at the activity; each run has a token in the body's scope, with `index` from 1. Parallel runs are spawned in bounded
chunks, results are kept by run, and the list is made once, at the end: 100,000 items are one scope.
Source: BPMN 2.0.2, chapters 13.3.6 and 13.3.7; `zeebe:loopCharacteristics`; Camunda 7's `collection` and `elementVariable`.
Choices: the boundary belongs to the whole body; the output collection has null where a run was withdrawn; `loopCounter` counts from 1 (from 0 in models
of Camunda 7 and its relatives, where Flowable may name it otherwise), and in the condition of a standard loop it is the number of runs that have
ended; events of a loop's behaviour are signal, message, escalation or error, and are thrown from the body, so that its boundary can catch them.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.kernel import business, limits, protection, values
from flowledger.kernel.elements import compensation, events, triggers
from flowledger.kernel.expressions import Failure
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Loop, Node
from flowledger.kernel.moves.activity import go_on
from flowledger.kernel.state import READY
from flowledger.kernel.undo import put


def read_multi(node: Node, element: Any, r: Any) -> Loop:
    loop = Loop("multi")
    loop.sequential = element.get("isSequential") == "true"
    zeebe = x.ext(element, "loopCharacteristics")
    loop.undone_once = node.properties.get("flowledger:compensateRuns", "each" if zeebe is None else "once") == "once"
    if zeebe is not None:
        if zeebe.get("inputCollection"):
            loop.collection = r.condition(zeebe.get("inputCollection"), node, "input collection")
        loop.element = zeebe.get("inputElement", "")
        loop.output = zeebe.get("outputCollection", "")
        if zeebe.get("outputElement"):
            loop.output_element = r.condition(zeebe.get("outputElement"), node, "output element")
    collection = x.classic_attr(element, "collection")
    if collection:
        loop.collection = r.condition(collection, node, "collection")
        loop.element = x.classic_attr(element, "elementVariable")
    if r.classic:
        loop.first = 0
        loop.counter = x.classic_attr(element, "elementIndexVariable") or loop.counter
    cardinality = x.child(element, "loopCardinality")
    if cardinality is not None and x.text_of(cardinality):
        loop.cardinality = r.condition(x.text_of(cardinality), node, "loop cardinality")
    completion = x.child(element, "completionCondition")
    if completion is not None and x.text_of(completion):
        loop.completion = r.condition(x.text_of(completion), node, "completion condition")
    loop.behavior = element.get("behavior", "All")
    _read_behavior(node, loop, element, r)
    from flowledger.kernel.model import data

    data.read_loop(node, loop, element, r)
    if loop.collection is None and loop.cardinality is None:
        r.finding("LOOP_WITHOUT_ITEMS", f"multi-instance activity '{node.id}' has neither a collection nor a cardinality", node,
                  hint='<zeebe:loopCharacteristics inputCollection="= items" inputElement="item"/> or <loopCardinality>')  # fmt: skip
    return loop


def _read_behavior(node: Node, loop: Loop, element: Any, r: Any) -> None:
    """When events are thrown for runs that are done (BPMN table 10.17): for each (None), the first (One), by conditions (Complex), never (All)."""
    for attribute, behavior in (("noneBehaviorEventRef", "None"), ("oneBehaviorEventRef", "One")):
        reference = element.get(attribute, "")
        if not reference:
            continue
        found = r.by_id.get(reference.rsplit(":", 1)[-1])
        if found is None or x.local(found) not in triggers.KINDS:
            r.finding("EVENT_DEFINITION_MISSING", f"{attribute} '{reference}' of '{node.id}' names no event definition", node)
        elif behavior == "None":
            loop.none_event = triggers.thrown_by(node, found, r)
        else:
            loop.one_event = triggers.thrown_by(node, found, r)
    for complex_ in element.findall(x.B + "complexBehaviorDefinition"):
        condition, event = x.child(complex_, "condition"), x.child(complex_, "event")
        if condition is None or not x.text_of(condition):
            r.finding("CONDITION_MISSING", f"a complexBehaviorDefinition of '{node.id}' has no condition", node)
            continue
        definitions = [] if event is None else triggers.definitions_of(node, event, r)
        found_events = [triggers.thrown_by(node, d, r) for d in definitions]
        loop.complex_events.append((r.condition(x.text_of(condition), node, "condition"), found_events))


def read_standard(node: Node, element: Any, r: Any) -> Loop:
    loop = Loop("standard")
    loop.sequential = True
    loop.test_before = element.get("testBefore") == "true"
    condition = x.child(element, "loopCondition")
    if condition is not None and x.text_of(condition):
        loop.while_ = r.condition(x.text_of(condition), node, "loop condition")
    if element.get("loopMaximum"):
        loop.maximum = r.condition(element.get("loopMaximum"), node, "loop maximum")
    if loop.while_ is None and loop.maximum is None:
        r.finding("LOOP_ENDLESS", f"the loop of '{node.id}' has neither a condition nor a maximum: it never ends", node,
                  severity="warning", hint="<loopCondition> or loopMaximum")  # fmt: skip
    return loop


def start(d: Any, i: Any, token: Any, node: Node) -> None:
    """Raises: Failure EXTRACT_VALUE_ERROR (no list, no whole number, too many)."""
    loop = node.loop
    assert loop is not None
    if loop.kind == "standard":
        _start_standard(d, i, token, node, loop)
        return
    total, items = asked_for(d, i, token.scope, node, loop)
    events.open_boundary(d, i, token.key, node)
    if items and loop.collection is not None:
        items = protection.nameless(d, i, token.scope, loop.collection.reads, items)
    d.record(fl.LoopStarted(key=i.key, token=token.key, element=node.id, total=total, sequential=loop.sequential, items=items))
    if total == 0:
        _finish(d, i, token, node)
    else:
        _spawn(d, i, token, node, 1 if loop.sequential else limits.SPAWN_MAX)


def asked_for(d: Any, i: Any, scope: int, node: Node, loop: Loop) -> tuple[int, list[Any] | None]:
    """How many runs, and over what (None: a cardinality); of a standard loop -1: not known. Raises: Failure."""
    if loop.kind == "standard":
        return -1 if loop.maximum is None else _whole(d.evaluate(loop.maximum, i, scope), f"loop maximum of {node.id}", loop.maximum), None
    items = None
    if loop.collection is not None:
        items = loop.collection.json(d.variables(i, scope), d.facts)
        if not isinstance(items, list):
            raise Failure("EXTRACT_VALUE_ERROR", f"{node.id}: expected a list from '{loop.collection.text}', found {values.shown(items)}")
        total = len(items)
    elif loop.cardinality is None:
        raise Failure("EXTRACT_VALUE_ERROR", f"{node.id}: the model names neither a collection nor a cardinality")
    else:
        total = _whole(d.evaluate(loop.cardinality, i, scope), f"cardinality of {node.id}", loop.cardinality)
    if total > limits.ITEMS_MAX:
        raise Failure("TOO_MANY_ITEMS", f"{node.id}: expected at most {limits.ITEMS_MAX} items, found {total}")
    return total, items


def _whole(value: Any, what: str, e: Any) -> int:
    return values.whole(value, f"{what}, '{e.text}'", 0)


def _spawn(d: Any, i: Any, body: Any, node: Node, count: int) -> None:
    """The next runs. What is left of a parallel body comes in a follow-up step, so that others get their turn."""
    loop = node.loop
    assert loop is not None
    data = body.data
    first = data["spawned"] + 1
    last = min(data["total"], data["spawned"] + min(count, room(body)))
    items = data["items"]
    own = own_result(loop)
    for index in range(first, last + 1):
        local = numbered(loop, index)
        if items is not None and loop.element:
            local[loop.element] = items[index - 1]
        if own:
            local.setdefault(own, None)
        kid = d.key()
        d.record(fl.ElementActivated(key=i.key, token=kid, scope=body.key, element=node.id, variables=local, index=index))
        d.push(i, kid)
    if loop.sequential:
        return
    if last < data["total"]:
        if room(body):
            _go_on(d, i)
    else:
        d.record(fl.TokenNoted(key=i.key, token=body.key, data={"spawned_all": True}))


def numbered(loop: Loop, index: int) -> dict[str, Any]:
    """The variable in which a run has its number; `index` counts from 1."""
    return {loop.counter: index - 1 + loop.first}


def room(body: Any) -> int:
    """How many runs of a parallel body may begin."""
    return max(0, limits.RUNS_MAX - len(body.kids or ()))


def _go_on(d: Any, i: Any) -> None:
    if i.key not in d.state.unsettled:
        put(d.state, d.state.unsettled, i.key, None)
        d.follow(c.Continue(key=i.key))


def own_result(loop: Loop) -> str:
    """The run's own result variable, so that it doesn't become the one outside."""
    if loop.output and loop.output_element is not None:
        name = loop.output_element.text.strip()
        if name.isidentifier() and name != loop.element:
            return name
    return ""


def own_names(loop: Loop) -> set[str]:
    """The variables of a run that are its own."""
    return {name for name in (loop.element, loop.counter, own_result(loop)) if name}


def spawn_more(d: Any, i: Any) -> None:
    """In a follow-up step: the next chunk of each parallel body that has not spawned all."""
    process = d.process(i)
    for key in list(i.spawning or ()):
        body = i.tokens[key]
        if not body.incident:
            _spawn(d, i, body, process.nodes[body.element], limits.SPAWN_MAX)


def runs_later(i: Any, body: Any, node: Node) -> bool:
    """A further run of the body waits for its turn."""
    assert node.loop is not None
    return bool(node.loop.sequential or body.key in (i.spawning or ()))


def spawn(d: Any, i: Any, body: Any) -> None:
    """The next runs of a body that spawns, as many as begin at once."""
    _spawn(d, i, body, d.process(i).nodes[body.element], limits.SPAWN_MAX)


def add_run(d: Any, i: Any, body: Any, node: Node, variables: dict[str, Any]) -> None:
    """One run more than the collection or the cardinality said: now, or in its turn (`runs_later`). The collection is not read again."""
    loop, data = node.loop, body.data
    assert loop is not None
    later = runs_later(i, body, node)
    index = data["total"] + 1
    note: dict[str, Any] = {"total": index, "waiting": True}
    if later and data.get("items") is not None:
        note["items"] = [*data["items"], protection.whole(d, i.key, "items", variables.get(loop.element))]
    d.record(fl.TokenNoted(key=i.key, token=body.key, data=note))
    if later:
        return
    own = own_result(loop)
    local = {**({own: None} if own else {}), **variables, **numbered(loop, index)}
    kid = d.key()
    d.record(fl.ElementActivated(key=i.key, token=kid, scope=body.key, element=node.id, variables=local, index=index))
    d.push(i, kid)


def item_done(d: Any, i: Any, token: Any, node: Node) -> None:
    """A run is done: its result goes to its place; the body goes on when it was the last, when its condition is met, or in turn."""
    body = i.tokens[token.scope]
    loop = node.loop
    assert loop is not None
    result = None
    if loop.output and loop.output_element is not None:
        result = loop.output_element.json(d.variables(i, token.key), d.facts)
        (result,) = protection.nameless(d, i, token.key, loop.output_element.reads, [result])
    if token.holds:
        d.close_holds(i, token)
    d.record(fl.LoopItemCompleted(key=i.key, token=body.key, item=token.key, index=token.index, result=result))
    if loop.kind == "multi":
        try:
            if _told(d, i, body, node, loop):
                return
        except Failure as failure:
            d.incident(i, body, failure)
            return
    if loop.sequential or body.phase == READY:
        d.push(i, body.key)
    elif body.data["spawned"] < body.data["total"] and room(body) >= min(limits.SPAWN_MAX, limits.RUNS_MAX):
        _go_on(d, i)


def _told(d: Any, i: Any, body: Any, node: Node, loop: Loop) -> bool:
    """Throw the events of the loop's behaviour and test its completion condition. True when the body has ended thereby."""
    thrown: list[Any] = []
    enough = False
    if loop.behavior == "None" and loop.none_event is not None:
        thrown = [loop.none_event]
    elif loop.behavior == "One" and loop.one_event is not None and body.done == 1:
        thrown = [loop.one_event]
    elif loop.behavior == "Complex":
        seen = {**d.variables(i, body.key), **counters(body)}
        true = [found for condition, found in loop.complex_events if condition(seen, d.facts) is True]
        thrown, enough = [e for found in true for e in found], bool(true)
    for event in thrown:
        triggers.throw(d, i, body, node, event)
        if i.key not in d.state.instances or body.key not in i.tokens:
            return True
    if enough:  # it cancels what still runs (BPMN table 10.32)
        d.terminate_scope(i, body.key)
        _finish(d, i, body, node)
        return True
    if loop.completion is None:
        return False
    value = loop.completion({**d.variables(i, body.key), **counters(body)}, d.facts)
    if value is not True and value is not False:
        raise Failure(
            "CONDITION_NOT_BOOLEAN",
            f"completion condition of {node.id}: expected true or false from '{loop.completion.text}', found {values.shown(value)}",
        )
    if value:
        d.terminate_scope(i, body.key)
        _finish(d, i, body, node)
    return bool(value)


def advance(d: Any, i: Any, body: Any, node: Node) -> None:
    """A run of the body is done (or its last token is gone): is it complete, is the next one due?"""
    loop = node.loop
    assert loop is not None
    if loop.kind == "standard":
        _advance_standard(d, i, body, node, loop)
        return
    if body.kids:
        return
    if body.data["spawned"] >= body.data["total"]:
        _finish(d, i, body, node)
    elif loop.sequential:
        _spawn(d, i, body, node, 1)
    else:
        _go_on(d, i)


def counters(body: Any) -> dict[str, Any]:
    """What a completion condition may ask (BPMN table 13.1): numberOfInstances and its kin, in the standard's and Camunda's words."""
    data = body.data
    active = len(body.kids or ())
    ended = data["spawned"] - active
    return {
        "numberOfInstances": data["total"], "numberOfActiveInstances": active, "numberOfCompletedInstances": body.done,
        "numberOfTerminatedInstances": ended - body.done, "nrOfInstances": data["total"], "nrOfActiveInstances": active,
        "nrOfCompletedInstances": body.done,
    }  # fmt: skip


def _finish(d: Any, i: Any, body: Any, node: Node) -> None:
    """The output collection is set at once, then the activity is left."""
    loop = node.loop
    assert loop is not None
    if loop.output:
        results = body.results or {}
        home = d.home_of(i, body.scope, loop.output)
        collected = [results.get(n) for n in range(1, body.data["total"] + 1)]
        d.set_variables(i, home, protection.collected(d, i, loop.output, collected), local=True)
    leave_body(d, i, body, node)


def leave_body(d: Any, i: Any, body: Any, node: Node) -> None:
    if node.process.states is not None:
        business.closed(d, i, node, node.process.states)
    if node.compensation is not None or node.event_subs or i.compensable:
        compensation.keep(d, i, body, node)
    go_on(d, i, body, node)


# --- standard loop ----------------------------------------------------------------------------------------------------


def _start_standard(d: Any, i: Any, token: Any, node: Node, loop: Loop) -> None:
    maximum, _ = asked_for(d, i, token.scope, node, loop)
    runs = maximum != 0 and not (loop.test_before and not _again(d, i, token.scope, 0, node, loop))
    events.open_boundary(d, i, token.key, node)
    d.record(fl.LoopStarted(key=i.key, token=token.key, element=node.id, total=maximum, sequential=True))
    if runs:
        _run_again(d, i, token, node)
    else:
        leave_body(d, i, token, node)


def _again(d: Any, i: Any, scope: int, done: int, node: Node, loop: Loop) -> bool:
    if loop.while_ is None:
        return True
    value = loop.while_({**d.variables(i, scope), "loopCounter": done}, d.facts)
    if value is not True and value is not False:
        raise Failure(
            "CONDITION_NOT_BOOLEAN",
            f"loop condition of {node.id}: expected true or false from '{loop.while_.text}', found {values.shown(value)}",
        )
    return value


def _run_again(d: Any, i: Any, body: Any, node: Node) -> None:
    kid = d.key()
    index = body.data["spawned"] + 1
    d.record(fl.ElementActivated(key=i.key, token=kid, scope=body.key, element=node.id, variables={"loopCounter": index}, index=index))
    d.push(i, kid)


def _advance_standard(d: Any, i: Any, body: Any, node: Node, loop: Loop) -> None:
    if body.kids:
        return
    total, ran = body.data["total"], body.data["spawned"]
    if (total >= 0 and ran >= total) or not _again(d, i, body.scope, ran, node, loop):
        leave_body(d, i, body, node)
    else:
        _run_again(d, i, body, node)

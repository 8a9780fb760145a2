"""Multi-instance activities, parallel and sequential, over a collection or a cardinality; and standard loops.

A body token stays at the activity; each run has a token in the body's scope, with `index` from 1. Parallel runs are spawned in bounded
chunks, results are kept by run, and the list is made once, at the end: 100,000 items are one scope.
Source: BPMN 2.0.2, chapters 13.3.6 and 13.3.7; `zeebe:loopCharacteristics`; Camunda 7's `collection` and `elementVariable`.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.events import workflow as wf
from flowledger.kernel import limits
from flowledger.kernel.expressions import Failure
from flowledger.kernel.feel.values import to_json
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Loop, Node


def read_multi(node: Node, element: Any, r: Any) -> Loop:
    loop = Loop("multi")
    loop.sequential = element.get("isSequential") == "true"
    zeebe = x.ext(element, "loopCharacteristics")
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
    cardinality = x.child(element, "loopCardinality")
    if cardinality is not None and x.text_of(cardinality):
        loop.cardinality = r.condition(x.text_of(cardinality), node, "loop cardinality")
    completion = x.child(element, "completionCondition")
    if completion is not None and x.text_of(completion):
        loop.completion = r.condition(x.text_of(completion), node, "completion condition")
    loop.behavior = element.get("behavior", "All")
    from flowledger.kernel.model import data

    data.read_loop(node, loop, element, r)
    if loop.collection is None and loop.cardinality is None:
        r.finding("LOOP_WITHOUT_ITEMS", f"multi-instance activity '{node.id}' has neither a collection nor a cardinality", node,
                  hint='<zeebe:loopCharacteristics inputCollection="= items" inputElement="item"/> or <loopCardinality>')  # fmt: skip
    return loop


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
        r.finding("LOOP_ENDLESS", f"the loop of '{node.id}' has neither a condition nor a maximum", node, hint="<loopCondition> or loopMaximum")
    return loop


def start(d: Any, i: Any, token: Any, node: Node) -> None:
    """Raises: Failure EXTRACT_VALUE_ERROR (no list, no whole number, too many)."""
    loop = node.loop
    assert loop is not None
    if loop.kind == "standard":
        _start_standard(d, i, token, node, loop)
        return
    items = None
    if loop.collection is not None:
        items = to_json(d.evaluate(loop.collection, i, token.scope))
        if not isinstance(items, list):
            raise Failure("EXTRACT_VALUE_ERROR", f"{node.id}: expected a list from '{loop.collection.text}', found {items!r}")
        total = len(items)
    else:
        value = d.evaluate(loop.cardinality, i, token.scope)
        try:
            total = int(value)
            if total < 0 or total != value:
                raise ValueError
        except (TypeError, ValueError, ArithmeticError):
            raise Failure("EXTRACT_VALUE_ERROR", f"{node.id}: expected a whole number from '{loop.cardinality.text}', found {value!r}") from None
    if total > limits.ITEMS_MAX:
        raise Failure("TOO_MANY_ITEMS", f"{node.id}: expected at most {limits.ITEMS_MAX} items, found {total}")
    if node.attached:
        from flowledger.kernel.elements import events

        for boundary in node.attached:
            for event in boundary.events:
                if event.kind not in events._THROWN:
                    from flowledger.kernel.elements import triggers

                    triggers.arm(d, i, token.key, boundary, event, boundary.interrupting)
    d.record(fl.LoopStarted(key=i.key, token=token.key, element=node.id, total=total, sequential=loop.sequential, items=items))
    if total == 0:
        _finish(d, i, token, node)
    else:
        _spawn(d, i, token, node, 1 if loop.sequential else limits.SPAWN_MAX)


def _spawn(d: Any, i: Any, body: Any, node: Node, count: int) -> None:
    """The next runs. What is left of a parallel body comes in a follow-up step, so that others get their turn."""
    loop = node.loop
    data = body.data
    first = data["spawned"] + 1
    last = min(data["total"], data["spawned"] + count)
    items = data["items"]
    for index in range(first, last + 1):
        local: dict[str, Any] = {"loopCounter": index}
        if items is not None and loop.element:
            local[loop.element] = items[index - 1]
        if loop.output and loop.output_element is not None:
            name = loop.output_element.text.strip()
            if name.isidentifier() and name != loop.element:
                local.setdefault(name, None)  # the run's own result variable, not the one outside
        kid = d.key()
        d.record(fl.ElementActivated(key=i.key, token=kid, scope=body.key, element=node.id, variables=local, index=index))
        d.push(i, kid)
    if not loop.sequential and last < data["total"]:
        from flowledger.events import commands as c

        d.record(fl.TokenNoted(key=i.key, token=body.key, data={"spawning": True}))
        d.later.append(c.Continue(key=i.key))
        d.state.unsettled[i.key] = None


def spawn_more(d: Any, i: Any) -> bool:
    """In a follow-up step: the next chunk of each parallel body that has not spawned all."""
    process = d.process(i)
    more = False
    for token in list(i.tokens.values()):
        data = token.data
        if data is not None and data.get("spawning") and data["spawned"] < data["total"]:
            more = True
            if data["spawned"] + limits.SPAWN_MAX >= data["total"]:
                d.record(fl.TokenNoted(key=i.key, token=token.key, data={"spawning": False}))
            _spawn(d, i, token, process.nodes[token.element], limits.SPAWN_MAX)
    return more


def item_done(d: Any, i: Any, token: Any, node: Node) -> None:
    """A run is done: its result goes to its place; the body looks."""
    body_key = token.scope
    loop = node.loop
    assert loop is not None
    result = None
    if loop.output and loop.output_element is not None:
        result = loop.output_element.json(d.variables(i, token.key), d.facts)
    if token.holds:
        d.close_holds(i, token)
    d.record(fl.LoopItemCompleted(key=i.key, token=body_key, item=token.key, index=token.index, result=result))
    d.push(i, body_key)


def advance(d: Any, i: Any, body: Any, node: Node) -> None:
    """A run of the body is done (or its last token is gone): is it complete, is the next one due?"""
    loop = node.loop
    assert loop is not None
    if loop.kind == "standard":
        _advance_standard(d, i, body, node, loop)
        return
    data = body.data
    if data is None or "total" not in data:
        from flowledger.kernel.decision import close_activity

        close_activity(d, i, body, node)
        return
    if loop.completion is not None and body.done:
        counts = counters(body)
        value = loop.completion({**d.variables(i, body.key), **counts}, d.facts)
        if value is not True and value is not False:
            raise Failure("CONDITION_NOT_BOOLEAN", f"completion condition of {node.id}: expected true or false from '{loop.completion.text}', found {value!r}")
        if value:
            d.terminate_scope(i, body.key)
            _finish(d, i, body, node)
            return
    if body.done >= data["total"]:
        _finish(d, i, body, node)
    else:
        d.record(fl.ElementActivated(key=i.key, token=body.key, scope=body.scope, element=node.id))
        if loop.sequential and not body.kids:
            _spawn(d, i, body, node, 1)


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
        total = body.data["total"]
        collected = [results.get(n) for n in range(1, total + 1)] if loop.completion is None else [results.get(n) for n in range(1, max(results, default=0) + 1)]
        if loop.completion is not None and total:
            collected = [results.get(n) for n in range(1, total + 1)]
        home = d.home_of(i, body.scope, loop.output)
        d.record(wf.VariableSet(key=i.key, scope=home, variables={loop.output: collected}))
    leave_body(d, i, body, node)


def leave_body(d: Any, i: Any, body: Any, node: Node) -> None:
    flows = node.outgoing
    chosen = flows if len(flows) == 1 and flows[0].condition is None else d.chosen(i, body, node)
    d.close_holds(i, body)
    if chosen:
        d.take(i, body, chosen)
    else:
        d.end(i, body, node)


# --- standard loop ----------------------------------------------------------------------------------------------------


def _start_standard(d: Any, i: Any, token: Any, node: Node, loop: Loop) -> None:
    from flowledger.kernel.elements import events, triggers

    for boundary in node.attached:
        for event in boundary.events:
            if event.kind not in events._THROWN:
                triggers.arm(d, i, token.key, boundary, event, boundary.interrupting)
    maximum = _maximum(d, i, token, node, loop)
    d.record(fl.LoopStarted(key=i.key, token=token.key, element=node.id, total=maximum, sequential=True))
    if maximum == 0 or loop.test_before and not _again(d, i, token, node, loop):
        leave_body(d, i, token, node)
    else:
        _run_again(d, i, token, node)


def _maximum(d: Any, i: Any, token: Any, node: Node, loop: Loop) -> int:
    if loop.maximum is None:
        return -1
    value = d.evaluate(loop.maximum, i, token.scope)
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Failure("EXTRACT_VALUE_ERROR", f"loop maximum of {node.id}: expected a whole number, found {value!r}") from None


def _again(d: Any, i: Any, body: Any, node: Node, loop: Loop) -> bool:
    if loop.while_ is None:
        return True
    value = loop.while_({**d.variables(i, body.scope), "loopCounter": body.done}, d.facts)
    if value is not True and value is not False:
        raise Failure("CONDITION_NOT_BOOLEAN", f"loop condition of {node.id}: expected true or false from '{loop.while_.text}', found {value!r}")
    return value


def _run_again(d: Any, i: Any, body: Any, node: Node) -> None:
    kid = d.key()
    index = body.done + 1
    d.record(fl.ElementActivated(key=i.key, token=kid, scope=body.key, element=node.id, variables={"loopCounter": index}, index=index))
    d.push(i, kid)


def _advance_standard(d: Any, i: Any, body: Any, node: Node, loop: Loop) -> None:
    if body.kids:
        return
    total = body.data["total"]
    if (total >= 0 and body.done >= total) or not _again(d, i, body, node, loop):
        leave_body(d, i, body, node)
    else:
        d.record(fl.ElementActivated(key=i.key, token=body.key, scope=body.scope, element=node.id))
        _run_again(d, i, body, node)

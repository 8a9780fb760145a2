"""Ad-hoc sub-process: its activities run in any order, as often as they are chosen.

Source: BPMN 2.0.2, chapters 10.3.5 and 13.3.5; `zeebe:adHoc` (activeElementsCollection, outputCollection, outputElement), `zeebe:taskDefinition`.
Who chooses: the collection when the sub-process begins; a job, when it has a job type, at the beginning and after each activity that ended (its
result: `activateElements`, `isCompletionConditionFulfilled`, `isCancelRemainingInstances`, as in Zeebe); a caller, by `AdHocActivate`, at any time.
What ends while a job is in work asks for another one after it. An agent (`agents.py`) is asked when nothing runs any more, until it is done.
Each choice runs in a scope of its own, with the variables that came with it, until its last token has ended; it can be a chain of elements.
Choices: without a condition it completes when nothing runs any more and something has run (or the collection was empty and nobody else chooses);
with `ordering` Sequential what is chosen queues up, one runs at a time (a token that waits at a join does not run). With a true completion condition
and `cancelRemainingInstances` (the default) what still runs is withdrawn, else waited for, and nothing more is begun.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import protection
from flowledger.kernel.elements import agents, compensation, jobs, joins
from flowledger.kernel.expressions import Failure, feel_expression
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Behaviour, Node, Work, implicit_starts
from flowledger.kernel.moves.activity import close_activity
from flowledger.kernel.values import shown


class Config:
    __slots__ = (
        "agent", "cancel_remaining", "chosen", "collection", "condition", "kept", "output", "output_element", "sequential", "work",
    )  # fmt: skip

    def __init__(self) -> None:
        self.sequential = False
        self.cancel_remaining = True
        self.condition: Any = None
        self.collection: Any = None
        self.output = ""
        self.output_element: Any = None
        self.work: Work | None = None
        #: somebody beside the collection chooses
        self.chosen = True
        self.agent = False
        #: what was collected goes on to the scope around it
        self.kept = True


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    """Raises: Failure EXTRACT_VALUE_ERROR."""
    config: Config = node.config
    elements: list[str] = []
    if config.collection is not None:
        value = config.collection.json(d.variables(i, token.key), d.facts)
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise Failure(
                "EXTRACT_VALUE_ERROR", f"{node.id}: expected a list of element ids from '{config.collection.text}', found {shown(value)}"
            )
        elements = value
        if unknown := _unknown(node, elements):
            raise Failure(
                "EXTRACT_VALUE_ERROR", f"{node.id}: expected activities inside of it without incoming flow, found {', '.join(unknown)}"
            )
    d.record(fl.ElementActivated(key=i.key, token=token.key, scope=token.scope, element=node.id))
    if config.output and config.output_element is not None:
        d.set_variables(i, token.key, {config.output: [], **({agents.MEMORY: None} if config.agent else {})}, local=True)
    if config.work is not None:
        jobs.create_task(d, i, token, node, config.work)
    _choose(d, i, token, node, [(e, None) for e in elements])
    if config.collection is not None and not elements and config.work is None and not config.chosen:
        _done(d, i, token, node)


def is_inner(token: Any) -> bool:
    """The token is the scope of one choice, not the sub-process itself."""
    return token.data is not None and "inner" in token.data


def _unknown(node: Node, elements: list[str]) -> list[str]:
    able = {n.id for n in implicit_starts(node)}
    return [e for e in elements if e not in able]


def _choose(d: Any, i: Any, token: Any, node: Node, wanted: list[tuple[str, dict[str, Any] | None]]) -> None:
    if node.config.sequential:
        queue = [*((token.data or {}).get("queue") or ()), *([e, v] for e, v in wanted)]
        first = [] if not queue or _runs(d, i, token) else [queue.pop(0)]
        d.record(fl.TokenNoted(key=i.key, token=token.key, data={"queue": queue}))
        wanted = [(e, v) for e, v in first]
    for element, variables in wanted:
        inner = open_choice(d, i, token, node, variables)
        kid = d.key()
        d.record(fl.ElementActivated(key=i.key, token=kid, scope=inner, element=element))
        d.push(i, kid)


def _runs(d: Any, i: Any, token: Any) -> bool:
    """Anything of what was chosen does, and does not only wait at a join for what comes later."""
    nodes = d.process(i).nodes
    for choice in (i.tokens[k] for k in token.kids or ()):
        kids = [i.tokens[k] for k in choice.kids or ()]
        if not kids or not all(nodes[kid.element].kind in joins.SYNCHRONISE and joins.at_join(kid, nodes[kid.element]) for kid in kids):
            return True
    return False


def rested(d: Any, i: Any, scope: int, node: Node) -> None:
    """The tokens of a choice have come to rest: if all wait at joins the next in the queue begins."""
    choice = i.tokens[scope]
    outer = i.tokens[choice.scope] if is_inner(choice) else None
    if outer is not None and (outer.data or {}).get("queue") and not _runs(d, i, outer):
        d.record(fl.TokenNoted(key=i.key, token=outer.key, data={"ready": True}))
        d.push(i, outer.key)


def open_choice(d: Any, i: Any, token: Any, node: Node, variables: dict[str, Any] | None) -> int:
    """The scope of one choice."""
    inner: int = d.key()
    d.record(
        fl.ElementActivated(key=i.key, token=inner, scope=token.key, element=node.id, variables=variables or None, handler_of=token.key)
    )
    d.record(fl.TokenNoted(key=i.key, token=inner, data={"inner": True, "waiting": True}))
    return inner


def complete(d: Any, i: Any, token: Any, node: Node) -> None:
    """An inner scope has ended, or a job has chosen. Raises: Failure CONDITION_NOT_BOOLEAN."""
    config: Config = node.config
    if is_inner(token):
        if not token.kids:
            _inner_done(d, i, token, node)
        return
    data = token.data or {}
    result = data.get("result")
    if result is not None:
        again = bool(data.get("again"))
        d.record(fl.TokenNoted(key=i.key, token=token.key, data={"result": None, "waiting": True, **({"again": None} if again else {})}))
        if result.get("isCompletionConditionFulfilled"):
            if result.get("isCancelRemainingInstances") or not token.kids:
                _done(d, i, token, node)
            else:
                d.record(fl.TokenNoted(key=i.key, token=token.key, data={"closing": True}))
            return
        wanted = [(e.get("elementId", e.get("element", "")), e.get("variables")) for e in result.get("activateElements") or ()]
        if unknown := _unknown(node, [e for e, _ in wanted]):
            raise Failure(
                "EXTRACT_VALUE_ERROR", f"{node.id}: expected activities inside of it without incoming flow, found {', '.join(unknown)}"
            )
        _choose(d, i, token, node, wanted)
        if again or config.agent:
            _ask(d, i, token, node)
    elif config.work is None or data.get("closing"):
        _look(d, i, token, node)
    else:
        d.record(fl.TokenNoted(key=i.key, token=token.key, data={"waiting": True}))
        if data.get("queue"):
            _choose(d, i, token, node, [])
        _ask(d, i, token, node)


def _ask(d: Any, i: Any, token: Any, node: Node) -> None:
    """The worker is to choose: now, or again after what it has in hand, which it may have been given before this ended."""
    if node.config.agent and token.kids:
        return
    if any(k in d.state.tasks for k in token.holds or ()):
        if not (token.data or {}).get("again"):
            d.record(fl.TokenNoted(key=i.key, token=token.key, data={"again": True}))
        return
    jobs.create_task(d, i, token, node, node.config.work)


def _look(d: Any, i: Any, token: Any, node: Node) -> None:
    """One activity has ended: is that all?"""
    config: Config = node.config
    data = token.data or {}
    closing = bool(data.get("closing"))
    if not closing and config.condition is not None:
        value = config.condition(d.variables(i, token.key), d.facts)
        if value is not True and value is not False:
            raise Failure(
                "CONDITION_NOT_BOOLEAN", f"{node.id}: expected true or false from '{config.condition.text}', found {shown(value)}"
            )
        closing = value
    if closing and (config.cancel_remaining or not token.kids):
        _done(d, i, token, node)
        return
    note: dict[str, Any] = {"waiting": True}
    if closing:
        note["closing"] = True
    d.record(fl.TokenNoted(key=i.key, token=token.key, data=note))
    if closing:
        return
    if data.get("queue"):
        _choose(d, i, token, node, [])
    elif not token.kids and config.condition is None and config.work is None:
        _done(d, i, token, node)


def _inner_done(d: Any, i: Any, token: Any, node: Node) -> None:
    outer = i.tokens[token.scope]
    config: Config = node.config
    if config.output and config.output_element is not None:
        value = config.output_element.json(d.variables(i, token.key), d.facts)
        collected = [*(protection.opened_value(d, (outer.vars or {}).get(config.output)) or ()), value]
        made = d.following(i, token.key, config.output_element.reads | {config.output}, {config.output: collected})
        d.record(wf.VariableSet(key=i.key, scope=outer.key, variables=made))
    if i.compensable:
        compensation.keep(d, i, token, node)
    if token.holds:
        d.close_holds(i, token)
    d.record(fl.ElementCompleted(key=i.key, token=token.key, element=node.id))
    d.record(fl.TokenNoted(key=i.key, token=outer.key, data={"ready": True}))
    d.push(i, outer.key)


def _done(d: Any, i: Any, token: Any, node: Node) -> None:
    config: Config = node.config
    d.terminate_scope(i, token.key)
    if config.kept and config.output and config.output_element is not None:
        home = d.home_of(i, token.scope, config.output)
        d.set_variables(i, home, {config.output: (token.vars or {}).get(config.output) or []}, local=True)
    close_activity(d, i, token, node)


def activate(d: Any, i: Any, token: Any, e: Any) -> Rejected | None:
    """`AdHocActivate`: all elements or none."""
    node = d.process(i).nodes[token.element]
    if node.kind != "adHocSubProcess" or is_inner(token) or (node.loop is not None and not token.index):
        return Rejected(
            RejectionCode.INVALID_ARGUMENT, f"expected the key of a running ad-hoc sub-process, found '{node.id}' ({node.kind})"
        )
    if (token.data or {}).get("closing"):
        return Rejected(RejectionCode.INVALID_STATE, f"ad-hoc sub-process '{node.id}' is about to complete")
    if not e.elements:
        return Rejected(RejectionCode.INVALID_ARGUMENT, "expected at least one element to activate, found none")
    if unknown := _unknown(node, e.elements):
        return Rejected(
            RejectionCode.INVALID_ARGUMENT, f"expected activities inside of '{node.id}' without incoming flow, found {', '.join(unknown)}"
        )
    _choose(d, i, token, node, [(element, e.variables) for element in e.elements])
    d.answer = {"key": token.key}
    return None


def read(node: Node, element: Any, r: Any) -> None:
    config = node.config = Config()
    config.sequential = element.get("ordering", "Parallel") == "Sequential"
    config.cancel_remaining = element.get("cancelRemainingInstances", "true") != "false"
    condition = x.child(element, "completionCondition")
    if condition is not None and x.text_of(condition):
        config.condition = r.condition(x.text_of(condition), node, "completion condition")
    own = x.ext(element, "adHoc")
    if own is not None:
        if own.get("activeElementsCollection"):
            config.collection = r.condition(own.get("activeElementsCollection"), node, "active elements")
            config.chosen = False
        config.output = own.get("outputCollection", "")
        if own.get("outputElement"):
            config.output_element = r.condition(own.get("outputElement"), node, "output element")
    config.work = jobs.read_work("ad_hoc_sub_process", node, element, r)
    config.agent = agents.is_agent(config.work)
    if config.agent and not config.output and config.output_element is None:
        config.output, config.output_element, config.kept = agents.RESULTS, feel_expression(agents.OUTCOME), False


def check(node: Node, r: Any) -> None:
    if node.config.sequential and any(n.kind in joins.SYNCHRONISE and len(n.incoming) > 1 for n in node.children):
        node.process.joins = True
    if node.config.agent:
        agents.tell(node, r)
    if not any(n.behaviour.activity and not n.triggered_by_event for n in node.children):
        r.finding("AD_HOC_EMPTY", f"ad-hoc sub-process '{node.id}' has no activity", node)
    for kid in node.children:
        if kid.kind in ("startEvent", "endEvent"):
            r.finding("AD_HOC_START_OR_END", f"'{kid.id}': an ad-hoc sub-process has neither start nor end events", kid,
                      hint="remove it; the elements without incoming flow are those that can be chosen")  # fmt: skip


joins.RESTED["adHocSubProcess"] = rested
BEHAVIOUR = Behaviour(enter, complete, read, check, activity=True)

"""One decision: it records events, folds each at once, and moves tokens until every one waits.

Element modules get a `Decision` and use its verbs: `record`, `leave`, `wait_for_*`, `terminate`, `throw_error`, `incident` ...
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.events import ledger as le
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Envelope, Event
from flowledger.kernel import business, limits
from flowledger.kernel.expressions import Expression, Failure
from flowledger.kernel.fold import TRANSITIONS, holder_of
from flowledger.kernel.model.graph import Flow, Node, Process
from flowledger.kernel.state import ARRIVED, WAITING, Instance, Partition, Token
from flowledger.kernel.tasks import schemas

_encode_request = msgspec.json.Encoder(decimal_format="number").encode


class Facts:
    """All that a decision may know from outside.

    Attributes:
        now_us: time of the command, microseconds UTC; never goes back.
        processes: definition key -> its compiled process (Mapping; the shell compiles on a miss).
        decisions: definition key -> compiled decision model.
        resources: what a `Deploy` is made of: `read(name, content) -> (graph, findings)`, pure.
        instances_max: 0 is no limit.
        spread: called instances go to other partitions in turn instead of staying.
        validate: what is wrong with a value by a JSON Schema, as texts.
    """

    __slots__ = ("decisions", "instances_max", "now_us", "processes", "read", "rng_salt", "spread", "steps_max", "validate")

    def __init__(
        self,
        now_us: int = 0,
        processes: Mapping[int, Process] | None = None,
        decisions: Mapping[int, Any] | None = None,
        read: Callable[[str, str], Any] | None = None,
        instances_max: int = 0,
        steps_max: int = limits.STEPS_MAX,
        spread: bool = False,
        validate: Callable[[Any, Any], list[str]] = schemas.check,
    ) -> None:
        self.validate = validate
        self.now_us = now_us
        self.processes: Mapping[int, Process] = processes if processes is not None else {}
        self.decisions: Mapping[int, Any] = decisions if decisions is not None else {}
        self.read = read
        self.instances_max = instances_max
        self.steps_max = steps_max
        self.spread = spread


class Decision:
    """Records and folds. `answer` is what the caller gets; `later` are commands for this partition in a follow-up step."""

    __slots__ = ("answer", "envelope", "events", "facts", "finished", "later", "request", "seen", "state", "touched", "work")

    def __init__(self, state: Partition, facts: Facts, envelope: Envelope, request: c.Request | None = None) -> None:
        self.state, self.facts, self.envelope, self.request = state, facts, envelope, request
        self.events: list[Event] = []
        self.work: deque[tuple[int, int]] = deque()
        self.answer: dict[str, Any] = {}
        self.later: list[c.Command] = []
        #: (instance, scope) in which tokens moved: joins that wait there are looked at again
        self.touched: dict[tuple[int, int], None] = {}
        #: events that conditional events have looked at
        self.seen = 0
        #: instances that ended: (key, status, variables, message)
        self.finished: list[tuple[int, str, dict[str, Any], str]] = []

    # --- recording

    def record(self, event: Event) -> None:
        TRANSITIONS[type(event)](self.state, event, self.envelope)
        if event.key:
            self.state.changed.add(("instance", event.key))
        self.events.append(event)

    def key(self) -> int:
        """A new key; must be recorded in this decision."""
        meta = self.state.meta
        meta.counter += 1
        return (meta.partition << c.PARTITION_BITS) | meta.counter

    def send(self, to: int, command: c.Command) -> None:
        """To the owner of partition `to`, exactly once. To this partition: in a follow-up step of the same group."""
        if to == self.state.meta.partition:
            self.later.append(command)
            return
        seq = self.state.meta.sent.get(to, 0) + 1
        v = self.envelope
        request = c.Request(
            command=command, time_us=v.time_us, tenant=v.tenant, actor=v.actor, correlation=v.correlation, trace=v.trace,  # type: ignore[arg-type]
            id=v.cause, sender=self.state.meta.partition, seq=seq,
        )  # fmt: skip
        self.record(le.Outbound(seq=seq, to=to, command=_encode_request(request)))

    # --- looking

    def process(self, i: Instance) -> Process:
        return self.facts.processes[i.definition]

    def variables(self, i: Instance, scope: int) -> dict[str, Any]:
        """What an expression in `scope` (a token or the instance) sees; inner names hide outer ones. Not to be changed."""
        if scope == i.key:
            return i.vars
        layers = []
        while scope != i.key:
            token = i.tokens.get(scope)
            if token is None:
                break
            if token.vars:
                layers.append(token.vars)
            scope = token.scope
        if not layers:
            return i.vars
        seen = dict(i.vars)
        for layer in reversed(layers):
            seen.update(layer)
        return seen

    def evaluate(self, e: Expression, i: Instance, scope: int) -> Any:
        """The value as FEEL gives it."""
        return e.static if e.compiled is None else e.compiled(self.variables(i, scope), self.facts)

    def text(self, e: Expression, i: Instance, scope: int, what: str) -> str:
        """A text that must be there. Raises: Failure EXTRACT_VALUE_ERROR."""
        value = self.evaluate(e, i, scope)
        if isinstance(value, str):
            return value
        if value is not None and not isinstance(value, (bool, list, dict)):
            return str(value)
        raise Failure(
            "EXTRACT_VALUE_ERROR", f"{what}: expected a text from '{e.text}', found {value!r}. {self._why(e, i, scope)}".rstrip(". ")
        )

    def _why(self, e: Expression, i: Instance, scope: int) -> str:
        return e.explain(self.variables(i, scope), self.facts)

    def condition(self, e: Expression, i: Instance, scope: int, what: str) -> bool:
        """Raises: Failure CONDITION_NOT_BOOLEAN."""
        value = self.evaluate(e, i, scope)
        if value is True or value is False:
            return value
        why = self._why(e, i, scope)
        raise Failure(
            "CONDITION_NOT_BOOLEAN", f"{what}: expected true or false from '{e.text}', found {value!r}" + (f" ({why})" if why else "")
        )

    # --- moving

    def push(self, i: Instance, token: int) -> None:
        self.work.append((i.key, token))

    def run(self) -> None:
        """Move tokens until each waits, or the limit is reached: then the instance goes on in a follow-up command."""
        work, instances, left = self.work, self.state.instances, self.facts.steps_max
        while True:
            if not work and not (self.touched and joins.look_again(self)):
                return
            i_key, t_key = work.popleft()
            i = instances.get(i_key)
            if i is None or i.status == "suspended":
                continue
            if left <= 0:
                for k in dict.fromkeys((i_key, *(k for k, _ in work), *(k for k, _ in self.touched))):
                    if k not in self.state.unsettled:
                        self.later.append(c.Continue(key=k))
                    self.state.unsettled[k] = True
                work.clear()
                self.touched.clear()
                return
            token = i.tokens.get(t_key)
            if token is None or token.incident or token.phase == WAITING:
                continue
            process = self.facts.processes[i.definition]
            node = process.nodes[token.element]
            scope, before = token.scope, len(self.events)
            try:
                if token.phase == ARRIVED:
                    if process.states is not None:
                        business.arrived(self, i, token, node, process.states)
                    if node.behaviour.activity:
                        open_activity(self, i, token, node)
                    elif node.listeners and len(node.incoming) < 2 and listeners.next_one(self, i, token, node, "start"):
                        pass
                    else:
                        node.behaviour.enter(self, i, token, node)
                else:
                    look(self, i, token, node)
            except Failure as failure:
                self.incident(i, token, failure)
            if len(self.events) > before:  # a look at a join that still waits is no step
                left -= 1
                if process.joins:
                    self.touched[i_key, scope] = None
            if process.conditional:
                conditional.watch(self)

    def settle(self, i: Instance) -> None:
        """Look at every token that waits for nobody (after a take-over, a resume, the step limit)."""
        for token in i.tokens.values():
            if token.phase != WAITING and not token.incident:
                self.push(i, token.key)

    def incident(self, i: Instance, token: Token, failure: Failure, task: int = 0) -> None:
        key = self.key()
        self.record(
            wa.IncidentRaised(
                key=i.key, incident=key, token=token.key, element=token.element, code=failure.code, message=failure.message, task=task
            )
        )

    def set_variables(self, i: Instance, scope: int, variables: dict[str, Any], local: bool = False) -> None:
        """Each goes to the innermost scope that has it, else to the root (Zeebe's propagation); `local`: all stay in `scope`."""
        if not variables:
            return
        if local or scope == i.key:
            self.record(wf.VariableSet(key=i.key, scope=scope, variables=variables))
            return
        by_scope: dict[int, dict[str, Any]] = {}
        for name, value in variables.items():
            by_scope.setdefault(self.home_of(i, scope, name), {})[name] = value
        for home, some in by_scope.items():
            self.record(wf.VariableSet(key=i.key, scope=home, variables=some))

    def home_of(self, i: Instance, scope: int, name: str) -> int:
        """The innermost scope from `scope` outwards that has variable `name`; the root when none has."""
        while scope != i.key:
            token = i.tokens.get(scope)
            if token is None:
                break
            if token.vars and name in token.vars:
                return scope
            scope = token.scope
        return i.key

    def take(self, i: Instance, token: Token, flows: list[Flow]) -> None:
        """The token goes on through each of `flows`, in this order."""
        states = flows[-1].source.process.states
        if len(flows) > 1:
            for flow in flows[:-1]:
                spawned = self.key()
                self.record(
                    fl.FlowTaken(key=i.key, token=token.key, flow=flow.id, source=flow.source.id, target=flow.target.id, spawned=spawned)
                )
                if states is None or business.taken(self, i, spawned, flow, states):
                    self.work.append((i.key, spawned))
        flow = flows[-1]
        self.record(fl.FlowTaken(key=i.key, token=token.key, flow=flow.id, source=flow.source.id, target=flow.target.id))
        if states is None or business.taken(self, i, token.key, flow, states):
            self.work.append((i.key, token.key))

    def chosen(self, i: Instance, token: Token, node: Node) -> list[Flow]:
        """Flows out of anything but a gateway: those without condition or whose condition is true; the default flow when none is.

        Raises: Failure CONDITION_NOT_BOOLEAN, NO_FLOW_CHOSEN.
        """
        outgoing = node.outgoing
        if len(outgoing) == 1 and outgoing[0].condition is None:
            return outgoing
        scope = token.scope
        flows = [
            f for f in outgoing if f is not node.default and (f.condition is None or self.condition(f.condition, i, scope, f"flow {f.id}"))
        ]
        if not flows and node.default is not None:
            return [node.default]
        if not flows and outgoing:
            raise Failure("NO_FLOW_CHOSEN", f"no condition of a flow out of {node.id} is true, and it has no default flow")
        return flows

    def leave(self, i: Instance, token: Token, node: Node) -> None:
        """The event is done: on through its outgoing flows, or the token ends here."""
        if node.listeners and listeners.next_one(self, i, token, node, "end"):
            return
        flows = node.outgoing
        if flows:
            if len(flows) != 1 or flows[0].condition is not None:
                flows = self.chosen(i, token, node)
            self.take(i, token, flows)
        else:
            self.end(i, token, node)

    def end(self, i: Instance, token: Token, node: Node) -> None:
        """The token ends in `node`. The last one of a scope completes the scope."""
        scope = token.scope
        if scope == i.key and len(i.kids or ()) == 1:
            self.complete_instance(i, token, node)
            return
        self.record(fl.ElementCompleted(key=i.key, token=token.key, element=node.id))
        self.scope_ended(i, scope)

    def scope_ended(self, i: Instance, scope: int) -> None:
        """A token in `scope` is gone: look whether that was the last one."""
        holder = holder_of(i, scope)
        if holder is None or holder.kids:
            return
        if holder is i:
            self.complete_instance(i, None, None)
        else:
            self.push(i, scope)

    def complete_instance(self, i: Instance, token: Token | None, node: Node | None) -> None:
        self.close_holds(i, i)
        self.record(wf.WorkflowCompleted(key=i.key, token=token.key if token else 0, element=node.id if node else ""))
        self.ended(i, "completed")

    def ended(self, i: Instance, status: str, error: str = "", message: str = "") -> None:
        """Tell the call activity that waits for the instance; let a pending one in."""
        self.finished.append((i.key, status, i.vars, message))
        if i.metadata and "$request" in i.metadata:
            answer = {"key": i.key, "definition": i.definition, "process": i.process, "version": i.version}
            self.outcome(i.metadata["$request"], answer, status, i.vars, message)
        if i.parent:
            self.send(
                c.partition_of_key(i.parent),
                c.ChildEnded(
                    parent=i.parent, parent_token=i.parent_token, child=i.key, status=status, variables=i.vars, error=error, message=message
                ),
            )
        if self.state.pending and self.facts.instances_max and self.state.open < self.facts.instances_max:
            self.later.append(c.Continue(key=next(iter(self.state.pending))))

    def outcome(self, asked: Any, answer: dict[str, Any], status: str, variables: dict[str, Any], message: str = "") -> None:
        """Whoever waits for the end and lost its connection asks again with the same id: from now on the answer says how it ended."""
        fetch = asked.get("fetch")
        if fetch:
            variables = {name: variables[name] for name in fetch if name in variables}
        end = {"status": status, "variables": variables, **({"message": message} if message else {})}
        self.record(le.Answered(id=asked["id"], answer={**(self.state.answers.get(asked["id"]) or answer), **end}))

    # --- ending early

    def close_holds(self, i: Instance, holder: Any, keep: Iterable[int] = ()) -> None:
        """Tasks, timers and subscriptions of a token (or of the root scope) are withdrawn."""
        p = self.state
        for key in list(holder.holds or ()):
            if key in keep:
                continue
            if (task := p.tasks.get(key)) is not None:
                self.record(ta.TaskCancelled(key=i.key, task=key, token=task.token, element=task.element))
            elif (timer := p.timers.get(key)) is not None:
                self.record(wa.TimerCancelled(key=i.key, timer=key, token=timer.token, element=timer.element))
            elif (s := p.subscriptions.get(key)) is not None:
                self.close_subscription(i, s)

    def close_subscription(self, i: Instance, s: Any) -> None:
        self.record(wa.SubscriptionClosed(key=i.key, subscription=s.key, token=s.token))
        if s.kind == "message":
            self.send(s.partition, c.UnawaitMessage(subscription=s.key))

    def terminate(self, i: Instance, token: Token) -> None:
        """The token and all below it, innermost first."""
        for kid in sorted(token.kids or ()):
            self.terminate(i, i.tokens[kid])
        process = self.process(i)
        node = process.nodes.get(token.element)
        if node is not None and node.listeners:
            listeners.withdrawn(self, i, token, node)
        self.close_holds(i, token)
        if process.joins:
            self.touched[i.key, token.scope] = None
        if node is not None and node.kind == "callActivity" and token.data and (child := token.data.get("child")):
            self.send(c.partition_of_key(child), c.CancelInstance(key=child, reason=f"its caller {i.key} was withdrawn", force=True))
        self.record(fl.ElementTerminated(key=i.key, token=token.key, element=token.element))

    def terminate_scope(self, i: Instance, scope: int, but: Iterable[int] = ()) -> None:
        """All tokens in a scope but these; the scope itself stays."""
        holder = holder_of(i, scope)
        keep = set(but)
        for kid in sorted((holder.kids if holder is not None else None) or ()):
            if kid not in keep:
                self.terminate(i, i.tokens[kid])


def open_activity(d: Decision, i: Instance, token: Token, node: Node) -> None:
    """An activity begins: loop, input mappings, boundary events, listeners, then its own work (Zeebe's order)."""
    extra = node.extra
    if extra is not None and extra.start_quantity > 1 and not token.index and not quantities.gathered(d, i, token, node):
        return
    if node.loop is not None and not token.index:
        loops.start(d, i, token, node)
        return
    if token.data is None or "opened" not in token.data:
        if extra is not None and extra.data_in:
            data.enter(d, i, token, node)
        if node.inputs:
            local = apply_mappings(d, i, token.key, node.inputs)
            if local:
                d.set_variables(i, token.key, local, local=True)
    if node.listeners and listeners.next_one(d, i, token, node, "start"):
        return
    if node.attached or node.event_subs:
        if token.index and node.loop is not None:  # the boundary belongs to the body
            events.open_event_subs(d, i, token.key, node)
        else:
            events.open_attached(d, i, token, node)
    node.behaviour.enter(d, i, token, node)


def look(d: Decision, i: Instance, token: Token, node: Node) -> None:
    """What the token waited for has come."""
    if node.loop is not None and not token.index and not (token.data is not None and "inner" in token.data):
        loops.advance(d, i, token, node)
        return
    if token.data is not None and "listened" in token.data and listeners.resume(d, i, token, node):
        return
    complete = node.behaviour.complete
    if complete is not None:
        complete(d, i, token, node)
    else:
        close_activity(d, i, token, node)


def close_activity(d: Decision, i: Instance, token: Token, node: Node) -> None:
    """An activity's work is done: output mappings, end listeners, compensation is kept, boundary events end, on it goes."""
    extra = node.extra
    if node.process.states is not None and not (token.index and node.loop is not None):
        business.closed(d, i, node, node.process.states)
    if token.data is None or "listened_end" not in token.data:
        if extra is not None and extra.data_out:
            data.leave(d, i, token, node)
        if node.outputs:
            results = apply_mappings(d, i, token.key, node.outputs)
            if results:
                d.set_variables(i, token.scope, results)
    if node.listeners and listeners.next_one(d, i, token, node, "end"):
        return
    if node.compensation is not None or node.event_subs or i.compensable:
        compensation.keep(d, i, token, node)
    if token.index and node.loop is not None:
        loops.item_done(d, i, token, node)
        return
    go_on(d, i, token, node)


def go_on(d: Decision, i: Instance, token: Token, node: Node) -> None:
    """Out of an activity that is done."""
    outgoing = node.outgoing
    flows = outgoing if len(outgoing) == 1 and outgoing[0].condition is None else d.chosen(i, token, node)
    if token.holds:
        d.close_holds(i, token)
    if flows:
        if node.extra is not None and node.extra.completion_quantity > 1:
            flows = [f for f in flows for _ in range(node.extra.completion_quantity)]
        d.take(i, token, flows)
    else:
        d.end(i, token, node)


def apply_mappings(d: Decision, i: Instance, scope: int, mappings: list[Any]) -> dict[str, Any]:
    """Evaluate in order; later mappings see the results of earlier ones. A dotted target builds nested contexts.

    Raises: Failure IO_MAPPING_ERROR is never raised for null (a null is a value); errors of FEEL are nulls.
    """
    variables = d.variables(i, scope)
    results: dict[str, Any] = {}
    for m in mappings:
        seen = {**variables, **results} if results else variables
        value = m.source.json(seen, d.facts)
        path = m.target.split(".")
        if len(path) == 1:
            results[m.target] = value
            continue
        top = results.get(path[0])
        holder = results[path[0]] = dict(top) if isinstance(top, dict) else {}
        for name in path[1:-1]:
            inner = holder.get(name)
            holder[name] = dict(inner) if isinstance(inner, dict) else {}
            holder = holder[name]
        holder[path[-1]] = value
    return results


from flowledger.kernel.elements import compensation, conditional, events, joins, listeners, loops, quantities  # noqa: E402 - they use Decision
from flowledger.kernel.model import data  # noqa: E402

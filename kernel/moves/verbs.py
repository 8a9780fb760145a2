"""The verbs of elements and handlers: incidents, variables, taking flows, ending, terminating."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.events import holds as ho
from flowledger.events import ledger as le
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.kernel import business, holding, values
from flowledger.kernel.expressions import Failure
from flowledger.kernel.fold import holder_of
from flowledger.kernel.folds import answers
from flowledger.kernel.hooks import HOOKS
from flowledger.kernel.ledger.looking import Looking
from flowledger.kernel.model.graph import Flow, Node
from flowledger.kernel.state import Instance, Token


class Verbs(Looking):
    __slots__ = ()

    def push(self, i: Instance, token: int) -> None:
        self.work.append((i.key, token))

    def incident(self, i: Instance, token: Token, failure: Failure, task: int = 0) -> None:
        key = self.key()
        self.record(
            wa.IncidentRaised(
                key=i.key,
                incident=key,
                token=token.key,
                element=token.element,
                code=failure.code,
                message=values.clean(failure.message),
                task=task,
            )
        )

    def set_variables(self, i: Instance, scope: int, variables: dict[str, Any], local: bool = False, reason: str = "") -> None:
        """Each goes to the innermost scope that has it, else to the root (Zeebe's propagation); `local`: all stay in `scope`."""
        if not variables:
            return
        if business.VARIABLE in variables and not (local and scope != i.key):
            business.check(self, i, variables)
        if local or scope == i.key:
            self.record(wf.VariableSet(key=i.key, scope=scope, variables=variables, reason=reason))
            return
        by_scope: dict[int, dict[str, Any]] = {}
        for name, value in variables.items():
            by_scope.setdefault(self.home_of(i, scope, name), {})[name] = value
        for home, some in by_scope.items():
            self.record(wf.VariableSet(key=i.key, scope=home, variables=some, reason=reason))

    def take(self, i: Instance, token: Token, flows: list[Flow]) -> None:
        """The token goes on through each of `flows`, in this order."""
        flow, key, t_key = flows[-1], i.key, token.key
        source = flow.source
        states = source.process.states
        if len(flows) > 1:
            for other in flows[:-1]:
                spawned = self.key()
                self.record(
                    fl.FlowTaken(key=key, token=t_key, flow=other.id, source=other.source.id, target=other.target.id, spawned=spawned)
                )
                if states is None or business.taken(self, i, spawned, other, states):
                    self.work.append((key, spawned))
        self.record(fl.FlowTaken(key=key, token=t_key, flow=flow.id, source=source.id, target=flow.target.id))
        if states is None or business.taken(self, i, t_key, flow, states):
            self.work.append((key, t_key))

    def chosen(self, i: Instance, token: Token, node: Node) -> list[Flow]:
        """Flows out of anything but an exclusive or parallel gateway: those without condition, those whose condition is true, and the default flow
        when no condition is (BPMN 2.0.2, tables 10.3 and 13.3: beside a flow without condition as well).

        Raises: Failure CONDITION_NOT_BOOLEAN, NO_FLOW_CHOSEN.
        """
        outgoing = node.outgoing
        if len(outgoing) == 1 and outgoing[0].condition is None:
            return outgoing
        scope = token.scope
        flows = [
            f for f in outgoing if f is not node.default and (f.condition is None or self.condition(f.condition, i, scope, f"flow {f.id}"))
        ]
        if node.default is not None and not any(f.condition is not None for f in flows):
            flows.append(node.default)
        if not flows and outgoing:
            raise Failure("NO_FLOW_CHOSEN", f"no condition of a flow out of {node.id} is true, and it has no default flow")
        return flows

    def leave(self, i: Instance, token: Token, node: Node) -> None:
        """The event is done: on through its outgoing flows, or the token ends here."""
        if node.listeners and HOOKS.listeners.next_one(self, i, token, node, "end"):
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
        if i.holds or self.state.holding:
            self.close_holds(i, i)
        self.record(wf.WorkflowCompleted(key=i.key, token=token.key if token else 0, element=node.id if node else ""))
        self.ended(i, "completed")

    def ended(self, i: Instance, status: str, error: str = "", message: str = "", thrown: dict[str, Any] | None = None) -> None:
        """Tell the call activity that waits for the instance; let a pending one in. `thrown`: what an error carries; the variables of an instance that
        ended by one stay its own."""
        self.finish(i.key, status, i.vars, message)
        if i.metadata and "$request" in i.metadata:
            answer = {"key": i.key, "definition": i.definition, "process": i.process, "version": i.version}
            self.outcome(i.metadata["$request"], answer, status, i.vars, message)
        if i.parent:
            self.send(
                c.partition_of_key(i.parent),
                c.ChildEnded(
                    parent=i.parent,
                    parent_token=i.parent_token,
                    child=i.key,
                    status=status,
                    variables=thrown if error else i.vars,
                    error=error,
                    message=message,
                ),
            )
        if i.business_key and ("message_start", f"{i.tenant}/{i.process}/{i.business_key}") in self.state.records:
            HOOKS.next_start(self, i)
        if self.state.pending:
            self.let_next_in()

    def let_next_in(self) -> None:
        """Of those that wait for a place of the partition."""
        state = self.state
        if state.pending and state.open < self.facts.instances_max and (after := holding.next_pending(state, self.facts.now_us)):
            self.follow(c.Continue(key=after))

    def outcome(self, asked: Any, answer: dict[str, Any], status: str, variables: dict[str, Any], message: str = "") -> None:
        """Whoever waits for the end and lost its connection asks again with the same id: from now on the answer says how it ended."""
        fetch = asked.get("fetch")
        if fetch:
            variables = {name: variables[name] for name in fetch if name in variables}
        end = {"status": status, "variables": variables, **({"message": message} if message else {})}
        known = answers.find(self.state, self.envelope.tenant, asked["id"], self.facts.now_us)
        self.record(
            le.Answered(
                id=asked["id"], answer={**(known.value() if known is not None else answer), **end},
                digest=bytes.fromhex(asked.get("digest") or ""), until_us=self.facts.now_us + self.facts.answers_us,
            )
        )  # fmt: skip

    # --- ending early

    def close_holds(self, i: Instance, holder: Any, keep: Iterable[int] = ()) -> None:
        """Tasks, timers and subscriptions of a token (or of the root scope) are withdrawn."""
        p = self.state
        if p.holding and holder is i:  # what is held alone ends with it
            for h in list((p.holding.get("instance") or {}).get(str(i.key), {}).values()):
                self.record(ho.HoldReleased(key=i.key, hold=h.id, reason="its instance has ended"))
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
            HOOKS.listeners.withdrawn(self, i, token, node)
        self.close_holds(i, token)
        if process.joins or (i.stores is not None and "modified" in i.stores):
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

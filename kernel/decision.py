"""One decision: it records events, folds each at once, and moves tokens until every one waits.

Element modules get a `Decision` and use its verbs: `record`, `leave`, `take`, `end`, `terminate`, `incident` ...
"""

from __future__ import annotations

from collections.abc import Callable

from flowledger.events import commands as c
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Heavy
from flowledger.kernel import business, checkpoint, limits, values
from flowledger.kernel.expressions import Failure
from flowledger.kernel.hooks import HOOKS
from flowledger.kernel.ledger.facts import Facts, NotAtHand
from flowledger.kernel.ledger.recording import Mark
from flowledger.kernel.model.graph import Node, Process
from flowledger.kernel.moves.activity import apply_mappings, close_activity, go_on, look, open_activity
from flowledger.kernel.moves.verbs import Verbs
from flowledger.kernel.state import ARRIVED, WAITING, Instance, Token, encode_state
from flowledger.kernel.undo import put

__all__ = ["Decision", "Facts", "apply_mappings", "close_activity", "go_on", "look", "open_activity"]


#: instances that stand still
_STILL = frozenset({"suspended", "quarantined"})
#: an instance is weighed again after a step of so many bytes of events
_HEAVY_STEP = limits.WEIGH_BYTES // 8


class Decision(Verbs):
    """Records, folds and moves. See `Recording` for its fields."""

    __slots__ = ()

    def run(self) -> None:
        """Move tokens until each waits, or the budget is spent: then the instances go on in follow-up commands.

        A step that fails is taken back, and its token has an incident. Any other exception is a defect of ours, in instance `at`.
        """
        p, work, events, processes = self.state, self.work, self.events, self.facts.processes
        instances, meta, undo = p.instances, p.meta, p.undo
        assert undo is not None, "a decision that nobody can take back"
        while True:
            if not work and not (self.touched and HOOKS.joins.look_again(self)):
                return
            at = i_key, t_key = work.popleft()
            i = instances.get(i_key)
            if i is None or (i.status != "running" and i.status in _STILL):
                continue
            before, size = len(events), self.bytes
            if self.steps_left <= 0 or before >= limits.EVENTS_MAX or size >= limits.BYTES_MAX:
                self._put_off(i_key)
                return
            token = i.tokens.get(t_key)
            if token is None or token.phase == WAITING or token.incident:
                continue
            self.at, self.cause = i_key, at
            process = processes[i.definition]
            scope, ahead, steps, counter = token.scope, len(work), len(undo), meta.counter
            try:
                node = process.nodes[token.element]
                if token.phase != ARRIVED:
                    look(self, i, token, node)
                else:
                    self._arrived(i, token, node, process)
                if self.bytes - size > _HEAVY_STEP:
                    self.weigh(i, self.bytes - size)
            except Failure as failure:
                self._failed(i, t_key, failure, (steps, before, counter, size), ahead)
            if len(events) > before:  # a look at a join that still waits is no step
                self.steps_left -= 1
                if process.joins or (i.stores is not None and "modified" in i.stores):
                    self.touched[i_key, scope] = None
            if process.conditional:
                HOOKS.conditional.watch(self)

    def _arrived(self, i: Instance, token: Token, node: Node, process: Process) -> None:
        if process.states is not None:
            business.arrived(self, i, token, node, process.states)
        if node.behaviour.activity:
            open_activity(self, i, token, node)
        elif node.listeners and len(node.incoming) < 2 and HOOKS.listeners.next_one(self, i, token, node, "start"):
            pass
        else:
            node.behaviour.enter(self, i, token, node)

    def _failed(self, i: Instance, token: int, failure: Failure, mark: Mark, ahead: int) -> None:
        """Taken back, but for what waited before the step; the token has an incident."""
        before, touched = list(self.work)[:ahead], dict(self.touched)
        self.back(mark)
        self.work.extend(before)
        self.touched.update(touched)
        self.incident(i, i.tokens[token], failure)

    def _put_off(self, first: int) -> None:
        unsettled = self.state.unsettled
        for k in dict.fromkeys((first, *(k for k, _ in self.work), *(k for k, _ in self.touched))):
            if k not in unsettled:
                self.follow(c.Continue(key=k))
            put(self.state, unsettled, k, True)
        self.work.clear()
        self.touched.clear()

    def alone(self, key: int, work: Callable[[], None]) -> bool:
        """One of several things that a command does: what breaks in it is taken back and held against instance `key`; the others go on."""
        mark, at, cause, answer = self.mark(), self.at, self.cause, self.answer
        self.at, self.cause = key, (key, 0)
        try:
            work()
            if self.work or self.touched:
                self.run()
            return True
        except (Heavy, NotAtHand):
            raise
        except Exception as defect:
            at_fault = self.at or key
            self.back(mark)
            self.answer = answer
            self.quarantine(at_fault, defect)
            return False
        finally:
            self.at, self.cause = at, cause

    def batch(self, size: int) -> None:
        """The command is about so many things, each of which may take its steps, up to a bound."""
        self.steps_left = min(self.facts.steps_max * max(1, size), max(self.facts.steps_max, limits.BATCH_STEPS_MAX))

    def quarantine(self, key: int, defect: Exception, reference: str = "") -> None:
        """Instance `key` is held until an operator releases or cancels it; without one it is an incident of the partition."""
        command = type(self.request.command).__name__ if self.request is not None else ""
        message = values.clean(str(defect) or type(defect).__name__)
        kind = getattr(defect, "kind", "") or getattr(defect, "code", "") or type(defect).__name__
        reference = reference or self.reference()
        i = self.state.instances.get(key)
        if i is None:
            what = f"{kind} in {command}: {message} (reference {reference})"
            self.record(wa.IncidentRaised(incident=self.key(), token=0, element="", code="ENGINE_DEFECT", message=what))
        elif i.status != "quarantined":
            incident = self.key()
            self.record(
                wf.WorkflowQuarantined(key=key, incident=incident, defect=kind, message=message, command=command, reference=reference)
            )
            what = f"{kind} in {command}: {message} (reference {reference})"
            self.record(wa.IncidentRaised(key=key, incident=incident, token=0, element="", code="QUARANTINED", message=what))

    def reference(self) -> str:
        """What a caller is told and an operator searches for."""
        return f"{self.state.meta.partition}-{self.facts.now_us:x}-{self.state.meta.counter:x}"

    def weigh(self, i: Instance, added: int) -> None:
        """The state of an instance is bounded, so that it can be kept. Raises: Failure INSTANCE_TOO_LARGE."""
        if i.key not in self.state.instances:
            return
        weights = self.state.weights
        put(self.state, weights, i.key, weights.get(i.key, limits.WEIGH_BYTES) + added)
        if weights[i.key] < limits.WEIGH_BYTES:
            return
        size = len(encode_state(checkpoint.image(self.state, i)))
        put(self.state, weights, i.key, 0)
        if size > limits.INSTANCE_BYTES_MAX:
            raise Failure(
                "INSTANCE_TOO_LARGE",
                f"expected at most {limits.INSTANCE_BYTES_MAX} bytes of variables and tokens in an instance, found {size}",
            )

    def settle(self, i: Instance) -> None:
        """Look at every token that waits for nobody (after a take-over, a resume, the step limit)."""
        for token in i.tokens.values():
            if token.phase != WAITING and not token.incident:
                self.push(i, token.key)

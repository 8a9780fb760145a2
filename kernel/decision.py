"""One decision: it records events, folds each at once, and moves tokens until every one waits.

Element modules get a `Decision` and use its verbs: `record`, `leave`, `take`, `end`, `terminate`, `incident` ...
"""

from __future__ import annotations

from collections.abc import Callable

from flowledger.events import commands as c
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Heavy
from flowledger.kernel import business, checkpoint, holding, limits, values
from flowledger.kernel.expressions import Failure
from flowledger.kernel.hooks import HOOKS
from flowledger.kernel.ledger.facts import Facts, NotAtHand
from flowledger.kernel.ledger.recording import Mark
from flowledger.kernel.model.graph import ARRIVES, Node, Process, quick_of
from flowledger.kernel.moves.activity import apply_mappings, close_activity, go_on, look, open_activity
from flowledger.kernel.moves.verbs import Verbs
from flowledger.kernel.state import WAITING, Instance, Token
from flowledger.kernel.stored import encode_state
from flowledger.kernel.undo import put

__all__ = ["Decision", "Facts", "apply_mappings", "close_activity", "go_on", "look", "open_activity"]


#: an instance is weighed after a step of so many bytes of events, and after `WEIGH_BYTES` in any number of steps
_HEAVY_STEP = limits.WEIGH_BYTES // 8
#: bytes of the events of a small command
_SMALL = 4_096


class Defect(Exception):
    """A defect by its name and text, as it was found in a decision that was taken back."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def kind_of(defect: Exception) -> str:
    return getattr(defect, "kind", "") or getattr(defect, "code", "") or type(defect).__name__


class Decision(Verbs):
    """Records, folds and moves. See `Recording` for its fields."""

    __slots__ = ()

    def run(self) -> None:
        """Move tokens until each waits, or the budget is spent: then the instances go on in follow-up commands.

        A step that fails is taken back, and its token has an incident. Any other exception is a defect of ours, in instance `at`.
        """
        p, work, events = self.state, self.work, self.events
        meta, instances, undo, held = p.meta, p.instances, p.undo, p.holding
        assert undo is not None, "a decision that nobody can take back"
        events_max, bytes_max = limits.EVENTS_MAX, limits.BYTES_MAX
        before, size, last, heavy = len(events), self.bytes, 0, False
        while True:
            if not work:
                if not (self.touched and HOOKS.joins.look_again(self)):
                    break
                before, size = len(events), self.bytes
            at = i_key, t_key = work.popleft()
            i = instances.get(i_key)
            if i is None or (held and holding.frozen(p, i, t_key)):
                continue
            if self.steps_left <= 0 or before >= events_max or size >= bytes_max:
                if last:
                    self.grown(last)
                self._put_off(i_key)
                return
            token = i.tokens.get(t_key)
            if token is None or (phase := token.phase) == WAITING or token.incident:
                continue
            if i_key != last:
                if last or (self.subject and self.subject != i_key):  # what the command itself did was to another
                    self.grown(last or self.subject)
                self.at = last = i_key
                heavy = i_key in p.weights and p.weights[i_key] >= limits.WEIGH_BYTES
                process = self.facts.processes[i.definition]
                nodes = process.nodes
            self.cause = at
            scope, ahead, steps, counter = token.scope, len(work), len(undo), meta.counter
            try:
                node = nodes[token.element]
                if phase:  # not ARRIVED
                    if token.data is None and node.loop is None:  # `look` would find no more
                        (node.behaviour.complete or close_activity)(self, i, token, node)
                    else:
                        look(self, i, token, node)
                elif (node.quick if node.quick >= 0 else quick_of(node)) & ARRIVES:
                    node.behaviour.enter(self, i, token, node)
                else:
                    self._arrived(i, token, node, process)
                if heavy or self.bytes - size > _HEAVY_STEP:
                    self.weigh(i)
                    heavy = False
            except Failure as failure:
                self._failed(i, t_key, failure, (steps, before, counter, size), ahead)
            size, recorded = self.bytes, before
            if (before := len(events)) > recorded:  # a look at a join that still waits is no step
                self.steps_left -= 1
                if process.joins or (i.stores is not None and "modified" in i.stores):
                    self.touched[i_key, scope] = None
            if process.conditional:
                HOOKS.conditional.watch(self)
                before, size = len(events), self.bytes
        if last:
            self.grown(last)

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
        if failure.code == "INSTANCE_TOO_LARGE":  # no token of it goes on
            self.quarantine(i.key, failure)
        else:
            self.incident(i, i.tokens[token], failure)

    def _put_off(self, first: int) -> None:
        unsettled = self.state.unsettled
        for k in dict.fromkeys((first, *(k for k, _ in self.work), *(k for k, _ in self.touched))):
            if k not in unsettled:
                self.follow(c.Continue(key=k))
            put(self.state, unsettled, k, True)
        self.work.clear()
        self.touched.clear()

    def alone(self, key: int, work: Callable[[], None], run: bool = True) -> bool:
        """One of several things that a command does: what breaks in it is taken back and held against instance `key`; the others go on.
        `run`: with all that comes of it; else that is done with what the others left to do."""
        mark, at, cause, answer = self.mark(), self.at, self.cause, self.answer
        ahead, joins = len(self.work), len(self.touched)
        self.at, self.cause = key, (key, 0)
        try:
            work()
            if run and (self.work or self.touched):
                self.run()
            return True
        except (Heavy, NotAtHand):
            raise
        except Exception as defect:
            at_fault = self.at or key
            left, touched = ([*self.work][:ahead], [*self.touched][:joins]) if not run else ((), ())
            self.back(mark)
            self.work.extend(left)
            self.touched.update(dict.fromkeys(touched))
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
        kind = kind_of(defect)
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

    def grown(self, key: int) -> None:
        """What was recorded since the last time counts for instance `key`, until it is weighed. Not taken back: it is only about when."""
        added, self.counted = self.bytes - self.counted, self.bytes
        if key in self.state.instances:
            weights = self.state.weights
            weights[key] = weights[key] + added if key in weights else added

    def heavy(self) -> bool:
        """The instance that the command is about may have grown too large."""
        return self.bytes - self.counted + self.state.weights.get(self.subject, 0) >= limits.WEIGH_BYTES

    def weigh(self, i: Instance, most: int = 0) -> None:
        """The state of an instance is bounded, so that it can be kept. Raises: Failure INSTANCE_TOO_LARGE."""
        if i.key not in self.state.instances:
            return
        most = most or limits.INSTANCE_BYTES_MAX
        size = len(encode_state(checkpoint.image(self.state, i)))
        if size > most:
            raise Failure("INSTANCE_TOO_LARGE", f"expected at most {most} bytes of variables and tokens in an instance, found {size}")
        self.state.weights[i.key] = 0

    def weigh_changed(self, refuse: bool) -> None:
        """What a command itself put into an instance counts like its steps: a caller is refused, else the instance is held.

        Raises: Failure, Defect.
        """
        key, added = self.subject, self.bytes - self.counted
        self.grown(key)
        i = self.state.instances.get(key)
        if i is None or self.state.weights[key] < limits.WEIGH_BYTES:
            return
        try:  # a small command may be one that makes room
            self.weigh(i, limits.INSTANCE_BYTES_MAX if added > _SMALL else limits.INSTANCE_BYTES_MAX * 5 // 4)
        except Failure as failure:
            if refuse:
                raise
            self.at = key
            raise Defect(failure.code, failure.message) from None

    def settle(self, i: Instance) -> None:
        """Look at every token that waits for nobody (after a take-over, a resume, the step limit), and at the joins."""
        joins = self.process(i).joins
        for token in i.tokens.values():
            if joins:
                self.touched[i.key, token.scope] = None
            if token.phase != WAITING and not token.incident:
                self.push(i, token.key)

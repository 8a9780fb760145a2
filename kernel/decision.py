"""One decision: it records events, folds each at once, and moves tokens until every one waits.

Element modules get a `Decision` and use its verbs: `record`, `leave`, `wait_for_*`, `terminate`, `throw_error`, `incident` ...
"""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.kernel import business
from flowledger.kernel.expressions import Failure
from flowledger.kernel.hooks import HOOKS
from flowledger.kernel.ledger.facts import Facts
from flowledger.kernel.moves.activity import apply_mappings, close_activity, go_on, look, open_activity
from flowledger.kernel.moves.verbs import Verbs
from flowledger.kernel.state import ARRIVED, WAITING, Instance

__all__ = ["Decision", "Facts", "apply_mappings", "close_activity", "go_on", "look", "open_activity"]


class Decision(Verbs):
    """Records, folds and moves. See `Recording` for its fields."""

    __slots__ = ()

    def run(self) -> None:
        """Move tokens until each waits, or the limit is reached: then the instance goes on in a follow-up command."""
        work, instances, left = self.work, self.state.instances, self.facts.steps_max
        while True:
            if not work and not (self.touched and HOOKS.joins.look_again(self)):
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
                    elif node.listeners and len(node.incoming) < 2 and HOOKS.listeners.next_one(self, i, token, node, "start"):
                        pass
                    else:
                        node.behaviour.enter(self, i, token, node)
                else:
                    look(self, i, token, node)
            except Failure as failure:
                self.incident(i, token, failure)
            if len(self.events) > before:  # a look at a join that still waits is no step
                left -= 1
                if process.joins or (i.stores is not None and "modified" in i.stores):
                    self.touched[i_key, scope] = None
            if process.conditional:
                HOOKS.conditional.watch(self)

    def settle(self, i: Instance) -> None:
        """Look at every token that waits for nobody (after a take-over, a resume, the step limit)."""
        for token in i.tokens.values():
            if token.phase != WAITING and not token.incident:
                self.push(i, token.key)

"""Business states of a process as declared: a second status beside the life cycle, with the moves that are allowed.

Source: requirements WSM-STA-001 to 006, C-06, C-07; `flowledger:states` at the process, `flowledger:businessState` at steps and flows. How they move
at run time stands in `kernel/business.py`.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Node, Process

_HINT = '<flowledger:states initial="OPEN"><flowledger:state name="OPEN"><flowledger:move to="DONE"/></flowledger:state>...'
#: boundary events by which an activity has failed
_FAILURES = frozenset({"error", "timer"})


class States:
    """`moves`: state -> allowed targets. `enter`, `success`, `failure`: element -> state that it moves to; `flows`: flow -> state."""

    __slots__ = ("enter", "failure", "final", "flows", "initial", "moves", "success")

    def __init__(self, initial: str) -> None:
        self.initial = initial
        self.moves: dict[str, tuple[str, ...]] = {}
        self.final: set[str] = set()
        self.enter: dict[str, str] = {}
        self.success: dict[str, str] = {}
        self.failure: dict[str, str] = {}
        self.flows: dict[str, str] = {}


def read(r: Any, process: Process, element: Any) -> None:
    """Fills `process.states` when the process declares some."""
    found = element.find(f"{x.B}extensionElements/{x.OWN}states")
    if found is None:
        return
    states = States(found.get("initial", ""))
    for state in found.findall(x.OWN + "state"):
        states.moves[state.get("name", "")] = tuple(m.get("to", "") for m in state.findall(x.OWN + "move"))
        if state.get("final") == "true":
            states.final.add(state.get("name", ""))
    named = [(found, states.initial, "the initial state")]
    named += [(found, target, f"a move from '{source}'") for source, targets in states.moves.items() for target in targets]
    for own in element.iter(x.OWN + "businessState"):
        _of_element(process, states, own)
        named += [(own, name, f"'{r._id_around(own)}' on {moment}") for moment, name in own.attrib.items()]
    for at, name, what in named:
        if name not in states.moves:
            r.finding("STATE_UNKNOWN", f"{what} names the state '{name}', which isn't declared", at, hint=_HINT)
    for node in process.nodes.values():
        if node.host is not None and node.host.id in states.failure and node.interrupting and _fails(node):
            states.enter.setdefault(node.id, states.failure[node.host.id])
    process.states = states


def _of_element(process: Process, states: States, own: Any) -> None:
    id = own.getparent().getparent().get("id", "")
    if id in process.flows:
        if own.get("enter"):
            states.flows[id] = own.get("enter")
    elif id in process.nodes:
        for moment, table in (("enter", states.enter), ("success", states.success), ("failure", states.failure)):
            if own.get(moment):
                table[id] = own.get(moment)


def _fails(boundary: Node) -> bool:
    return any(event.kind in _FAILURES for event in boundary.events)

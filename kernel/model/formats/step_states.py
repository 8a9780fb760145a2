"""Declared business states of a steps workflow: which there are, which moves are allowed, and which step makes which move.

They are a second, user-declared status beside the life cycle (C-06). Targets that aren't declared, and moves that a step would make against the table,
are refused at deployment; the engine checks each move again as it happens (`flowledger:states`, `flowledger:businessState`).
"""

from __future__ import annotations

import difflib
from typing import Any

from flowledger.kernel.model.formats import build
from flowledger.kernel.model.formats.source import Value

_STATE = {"to", "description", "final"}
_OF_STEP = {"start", "enter", "success", "failure"}


class States:
    def __init__(self) -> None:
        self.initial = ""
        #: state -> allowed targets
        self.moves: dict[str, list[str]] = {}
        self.final: set[str] = set()
        #: step id -> state by moment: enter, success, failure
        self.steps: dict[str, dict[str, str]] = {}

    def of_step(self, r: Any, step: Any) -> None:
        """`state: X` (entered at the start) or `states: {start, success, failure}`."""
        value: Value = step.value
        made: dict[str, str] = {}
        if text := r.text(value, "state"):
            made["enter"] = self.known(r, text, value.get("state"), step.id)
        if (table := r.mapping(value, "states")) is not None:
            r.known(table, _OF_STEP, f"'states' of '{step.id}'", step.id)
            for key, inner in table.items():
                if key in _OF_STEP and isinstance(inner.data, str):
                    made["enter" if key == "start" else key] = self.known(r, inner.data, inner, step.id)
        if not made:
            return
        self.steps[step.id] = made
        build.extension(step.element, "flowledger", "businessState", **made)
        if "enter" in made:
            for moment in ("success", "failure"):
                if moment in made:
                    self._move(r, made["enter"], made[moment], value, step.id, f"'{step.id}' on {moment}")

    def known(self, r: Any, name: str, at: Any, id: str) -> str:
        if name not in self.moves:
            close = difflib.get_close_matches(name, list(self.moves), 1)
            r.find("STATE_UNKNOWN", f"'{id}' names the state '{name}', which isn't declared", at, element=id,
                   hint=f"did you mean '{close[0]}'?" if close else "states: " + ", ".join(self.moves))  # fmt: skip
        return name

    def _move(self, r: Any, source: str, target: str, at: Any, id: str, what: str) -> None:
        if source == target or source not in self.moves or target not in self.moves or target in self.moves[source]:
            return
        r.find("STATE_MOVE", f"{what} would move from {source} to {target}, which isn't allowed", at, element=id,
               hint=f"allowed from {source}: {', '.join(self.moves[source]) or 'nothing'}")  # fmt: skip

    def check_moves(self, r: Any, steps: dict[str, Any], first: str, edges: dict[str, list[tuple[str, str]]]) -> None:
        """The moves between steps that follow each other."""
        if first in self.steps and "enter" in self.steps[first]:
            self._move(r, self.initial, self.steps[first]["enter"], steps[first].value, first, f"the start with '{first}'")
        for id, targets in edges.items():
            left = self.steps.get(id, {})
            on_error = r.text(steps[id].value, "on_error")
            for target, on_the_way in targets:
                moment = "failure" if target == on_error else "success"
                source = left.get(moment) or (left.get("enter") if moment == "success" else None)
                for enter in (on_the_way, self.steps.get(target, {}).get("enter")):
                    if enter and source:
                        self._move(r, source, enter, steps[id].value, id, f"the way from '{id}' to '{target}'")
                    source = enter or source


def read(r: Any, top: Value) -> States | None:
    """`states`: `{initial, final, NAME: [targets] | {to, description, final}}`, the names also below `transitions`."""
    given = r.mapping(top, "states")
    if given is None:
        return None
    states = States()
    states.initial = r.text(given, "initial", required=True, what="'states'")
    states.final = {s.data for s in r.texts(given, "final")}
    table = r.mapping(given, "transitions") or Value(
        {k: v for k, v in given.items() if k not in ("initial", "final", "transitions")}, given.line, given.column
    )
    descriptions: dict[str, str] = {}
    places: dict[str, Value] = {}
    for name, value in table.items():
        places[name] = value
        targets = value
        if isinstance(value.data, dict):
            r.known(value, _STATE, f"the state '{name}'")
            descriptions[name] = r.text(value, "description")
            if r.flag(value, "final"):
                states.final.add(name)
            targets = value.get("to") or Value(None, value.line, value.column)
        elif isinstance(value.data, (int, bool)):
            r.find("TYPE_WRONG", f"expected a list of states for '{name}', found {value.kind()}", value)
            targets = Value(None, value.line, value.column)
        items = targets.data if isinstance(targets.data, list) else [] if targets.data is None else [targets]
        states.moves[name] = [str(item.data) for item in items]
    for name, targets_of in states.moves.items():
        for target in targets_of:
            if target not in states.moves:
                close = difflib.get_close_matches(target, list(states.moves), 1)
                r.find("STATE_UNKNOWN", f"the state '{name}' may go to '{target}', which isn't declared", places[name],
                       hint=f"did you mean '{close[0]}'?" if close else f"declare it: {target}: []")  # fmt: skip
        if not targets_of and name not in states.final:
            r.find("STATE_DEAD_END", f"no move leads out of the state '{name}', and it isn't final", places[name], severity="warning",
                   hint=f"add its moves, or '{name}' to 'final'")  # fmt: skip
    if states.initial and states.initial not in states.moves:
        r.find("STATE_UNKNOWN", f"the initial state '{states.initial}' isn't declared", given.get("initial"))
    for name in states.final - states.moves.keys():
        r.find("STATE_UNKNOWN", f"the final state '{name}' isn't declared", given.get("final"), hint=f"declare it: {name}: []")
    _reachable(r, states, places)
    holder = build.extension(r.scope.element, "flowledger", "states", initial=states.initial)
    for name, targets_of in states.moves.items():
        state = build.within(
            holder, "state", name=name, description=descriptions.get(name, ""), final="true" if name in states.final else ""
        )
        for target in targets_of:
            build.within(state, "move", to=target)
    return states


def _reachable(r: Any, states: States, places: dict[str, Value]) -> None:
    seen, todo = {states.initial}, [states.initial]
    while todo:
        for target in states.moves.get(todo.pop(), ()):
            if target not in seen:
                seen.add(target)
                todo.append(target)
    for name in states.moves:
        if name not in seen:
            r.find("STATE_UNREACHABLE", f"no moves lead from '{states.initial}' to the state '{name}'", places[name], severity="warning")

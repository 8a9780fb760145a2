"""A step as a cell with one way in: its task, what skips it, and what takes over when it fails."""

from __future__ import annotations

import difflib
from typing import Any

from flowledger.kernel.model.formats import build, step_states, work
from flowledger.kernel.model.formats.shared import Base, Open
from flowledger.kernel.model.formats.source import Value

STEP = {
    "dependencies",
    "depends_on",
    "dependsOn",
    "next",
    "when",
    "condition",
    "optional",
    "fallback",
    "on_error",
    "state",
    "states",
    "join",
}
END = "end"


class Step:
    """One step while it is compiled."""

    __slots__ = ("dependencies", "element", "entry", "id", "opens", "value", "variable")

    def __init__(self, id: str, value: Value) -> None:
        self.id, self.value = id, value
        self.variable = build.variable_name(id)
        self.dependencies: list[str] = []
        self.entry: Any = None
        self.element: Any = None
        self.opens: list[Open] = []


class Reader(Base):
    def __init__(self, file: str) -> None:
        super().__init__("STEPS", file)
        self.steps: dict[str, Step] = {}
        self.scope: build.Scope
        self.states: step_states.States | None = None
        #: steps that only stand in for others
        self.stand_ins: set[str] = set()
        #: order, next or dependencies
        self.mode = "order"
        #: variable -> step whose result it holds
        self.variables: dict[str, Step] = {}

    def step(self, id: str, at: Any, what: str) -> Step | None:
        found = self.steps.get(id)
        if found is None:
            close = difflib.get_close_matches(id, list(self.steps), 1)
            self.find("REFERENCE_MISSING", f"{what} names '{id}', which is no step", at,
                      hint=f"did you mean '{close[0]}'?" if close else "steps: " + ", ".join(self.steps))  # fmt: skip
        return found


def _result(step: Step, output: str, status: str = "success") -> str:
    runs = f"(if {step.variable}.runs = null then 0 else {step.variable}.runs) + 1"
    return f'= {{status: "{status}", output: {output}, completed_at: now(), runs: {runs}}}'


def cell(r: Reader, step: Step, stands_for: Step | None = None) -> None:
    """Build the step's task, what skips it, and what takes over when it fails."""
    value, id = step.value, step.id
    element = work.task(r, r.scope, value, id, STEP, outputs=False)
    step.element = step.entry = element
    kind = work.kind_of(r, value)[0]
    declared = r.mapping(value, "output")
    if declared is not None:
        r.check_expressions(declared, f"output of {id}")
    output = build.feel_value(declared.plain()) if declared is not None else "null" if kind in ("wait", "manual", "receive") else "output"
    if output == "output" and kind in ("script", "decision"):
        for holder in element.iter("{*}script", "{*}calledDecision"):
            holder.set("resultVariable", "output")
    elif output == "output":
        build.within(build.extension(element, "zeebe", "properties"), "property", name="flowledger:result", value="output")
    build.mapping(element, "output", _result(step, output), step.variable)
    if stands_for is not None:
        build.mapping(element, "output", _result(stands_for, output, "fallback"), stands_for.variable)
    if r.states is not None:
        r.states.of_step(r, step)
    _skip(r, step)
    step.opens.insert(0, Open(element))
    _failure(r, step)


def _skip(r: Reader, step: Step) -> None:
    condition = r.condition(step.value, "when") or r.condition(step.value, "condition")
    if condition is None:
        return
    split = r.scope.node("exclusiveGateway", f"{step.id}_needed", "", step.value)
    r.scope.flow(split, step.element, condition)
    skipped = r.scope.node("scriptTask", f"{step.id}_skipped", f"Skip {step.id}", step.value)
    build.script(skipped, '{status: "skipped", output: null, completed_at: now()}', step.variable)
    r.lead(r.scope, Open(split, default=True), skipped)
    step.opens.append(Open(skipped))
    step.entry = split


def _failure(r: Reader, step: Step) -> None:
    """Time-out and error of the step: to its fallback, past it when it is optional, to `on_error`, else the workflow fails."""
    value, element = step.value, step.element
    fallback, optional = value.get("fallback"), r.flag(value, "optional")
    on_error = r.text(value, "on_error")
    timeout = work.timeout_of(r, value, step.id)
    handled = fallback is not None or optional or bool(on_error)
    if (fallback is not None) + optional + bool(on_error) > 1:
        r.find(
            "FAILURE_TWICE",
            f"'{step.id}' says more than one of fallback, optional and on_error",
            value,
            element=step.id,
            hint="give one of them",
        )
    events = []
    if timeout:
        events.append(r.scope.boundary(element, f"{step.id}_timeout", "timer", timeout, "", value))
    if handled:
        events.append(r.scope.boundary(element, f"{step.id}_failed", "error", "", "", value))
        build.extension(element, "flowledger", "retry", onExhausted="error", errorCode="STEP_FAILED")
    if not events:
        return
    opens = [Open(e) for e in events]
    if fallback is not None:
        other = _fallback(r, step, fallback)
        if other is not None:
            r.join(r.scope, opens, other.entry)
            step.opens += other.opens
        return
    if optional:
        noted = r.scope.node("scriptTask", f"{step.id}_given_up", f"Go on without {step.id}", value)
        build.script(noted, '{status: "failed", output: null, completed_at: now()}', step.variable)
        r.join(r.scope, opens, noted)
        step.opens.append(Open(noted))
    elif not on_error:
        end = r.scope.node("endEvent", f"{step.id}_timed_out", "", value)
        r.scope.event(end, "error", "STEP_TIMEOUT", value)
        r.join(r.scope, opens, end)
    # `on_error` is led to its step by _chain, when all steps have their entries


def _fallback(r: Reader, step: Step, fallback: Value) -> Step | None:
    if isinstance(fallback.data, str):
        other = r.steps.get(fallback.data)
        if other is None:
            return None  # already said
        if other is step:
            return None  # already said
        if other.element is not None:
            r.find("FALLBACK_SHARED", f"'{other.id}' is the fallback of several steps, or of one that it falls back to", fallback, element=step.id,
                   hint="write an inline fallback for each")  # fmt: skip
            return None
        for key in ("dependencies", "depends_on", "next"):
            if key in other.value:
                r.find("FALLBACK_FLOW", f"'{other.id}' stands in for '{step.id}' and takes its place: '{key}' has no effect", other.value.get(key),
                       severity="warning", element=other.id)  # fmt: skip
    elif isinstance(fallback.data, dict):
        other = Step(r.text(fallback, "id") or f"{step.id}_fallback", fallback)
    else:
        r.find("TYPE_WRONG", f"expected a step's id or a step as 'fallback', found {fallback.kind()}", fallback, element=step.id)
        return None
    other.element = step.element  # marks it as taken while it is built
    cell(r, other, stands_for=step)
    return other

"""Steps in the order of the list, or as `next` and its conditions lead."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model.formats.shared import Open
from flowledger.kernel.model.formats.source import Value
from flowledger.kernel.model.formats.step_cells import END, Reader, Step

NEXT = {"to", "step", "when", "condition", "name", "state"}


def chain(r: Reader, top: Value, start: Any, with_next: bool) -> None:
    steps = {k: s for k, s in r.steps.items() if k not in r.stand_ins}
    order = list(steps.values())
    if not order:
        return  # each is the fallback of another: said already
    first = order[0]
    wanted = r.text(top, "first") or r.text(top, "first_step")
    if wanted and (found := r.step(wanted, top.get("first") or top.get("first_step"), "'first'")) is not None:
        first = found
    ways: list[tuple[Open, str]] = [(Open(start), first.id)]
    edges: dict[str, list[tuple[str, str]]] = {}
    for n, step in enumerate(order):
        following = [order[n + 1].id] if not with_next and n + 1 < len(order) else [END]
        targets = _targets(r, step, following)
        edges[step.id] = [(t, o.state) for o, t in targets]
        ways += targets
        if on_error := r.text(step.value, "on_error"):
            if on_error != END and r.step(on_error, step.value.get("on_error"), f"'on_error' of '{step.id}'") is None:
                continue
            edges[step.id].append((on_error, ""))
            ways += [(Open(e), on_error) for e in _boundaries(r, step)]
    entries: dict[str, Any] = {}
    arriving: dict[str, int] = {}
    for _, target in ways:
        arriving[target] = arriving.get(target, 0) + 1
    for o, target in ways:
        if target not in entries:
            entries[target] = _entry(r, steps, target, arriving[target])
        r.lead(r.scope, o, entries[target])
    if END not in entries and not r.failed:
        if not any(t == END for e in edges.values() for t, _ in e):
            r.find("END_UNREACHABLE", "no step ends the workflow: each leads on to another", top.get("steps"), severity="warning")
    _reachable(r, steps, first.id, edges)
    if r.states is not None:
        r.states.check_moves(r, steps, first.id, edges)


def _boundaries(r: Reader, step: Step) -> list[Any]:
    return [e for e in r.scope.element if e.get("attachedToRef") == step.element.get("id")]


def _entry(r: Reader, steps: dict[str, Step], target: str, count: int) -> Any:
    if target == END:
        return r.scope.node("endEvent", END)
    step = steps[target]
    if r.text(step.value, "join") == "all" and count > 1:
        join = r.scope.node("parallelGateway", f"{target}_join", "", step.value)
        r.scope.flow(join, step.entry)
        return join
    if count > 1:
        merge = r.scope.node("exclusiveGateway", f"{target}_merge", "", step.value)
        r.scope.flow(merge, step.entry)
        return merge
    return step.entry


def _targets(r: Reader, step: Step, following: list[str]) -> list[tuple[Open, str]]:
    """The ways out of a step: (open end, target). Conditional ones get a gateway, plain lists run in parallel."""
    found = step.value.get("next")
    cases: list[tuple[str, str | None, str, Value]] = []
    if found is not None and found.data is not None:
        for item in found.data if isinstance(found.data, list) else [found]:
            if isinstance(item.data, str):
                cases.append((item.data, None, "", item))
            elif isinstance(item.data, dict):
                r.known(item, NEXT, f"'next' of '{step.id}'", step.id)
                to = r.text(item, "to") or r.text(item, "step", required=True, what=f"'next' of '{step.id}'")
                cases.append((to, r.condition(item, "when") or r.condition(item, "condition"), r.text(item, "name"), item))
            else:
                r.find("TYPE_WRONG", f"expected a step's id or an object with 'to' as 'next', found {item.kind()}", item, element=step.id)
        cases = [c for c in cases if c[0] == END or (c[0] and r.step(c[0], c[3], f"'next' of '{step.id}'") is not None)]
        for c in [c for c in cases if c[0] in r.stand_ins]:
            r.find("REFERENCE_WRONG", f"'next' of '{step.id}' names '{c[0]}', which is only a fallback", c[3], element=step.id)
            cases.remove(c)
        if not cases:
            return []
    else:
        cases = [(t, None, "", step.value) for t in following]
    if len(cases) == 1 and cases[0][1] is None:
        for o in step.opens[:1]:
            o.state = _way_state(r, step, cases[0][3])
        return [(o, cases[0][0]) for o in step.opens]
    conditional = any(c[1] is not None for c in cases)
    gateway = r.scope.node("exclusiveGateway" if conditional else "parallelGateway", f"{step.id}_next", "", found or step.value)
    opens = step.opens
    if not conditional and len(opens) > 1:
        merge = r.scope.node("exclusiveGateway", f"{step.id}_done", "", step.value)
        for o in opens:
            r.lead(r.scope, o, merge)
        opens = [Open(merge)]
    for o in opens:
        r.lead(r.scope, o, gateway)
    plain = [c for c in cases if c[1] is None]
    if conditional and len(plain) > 1:
        r.find("DEFAULT_TWICE", f"only one way out of '{step.id}' may have no condition when others have one", plain[1][3], element=step.id)
    ways = []
    for to, condition, name, at in cases:
        way = Open(gateway, condition, conditional and condition is None, name, at)
        way.state = _way_state(r, step, at)
        ways.append((way, to))
    if conditional and not plain:
        ways.append((Open(gateway, default=True), END))
    return ways


def _way_state(r: Reader, step: Step, at: Value) -> str:
    """The business state that a way out of a step enters."""
    if r.states is None or at is step.value or not isinstance(at.data, dict):
        return ""
    state = r.text(at, "state")
    return r.states.known(r, state, at.get("state"), step.id) if state else ""


def _reachable(r: Reader, steps: dict[str, Step], first: str, edges: dict[str, list[tuple[str, str]]]) -> None:
    seen, todo = {first}, [first]
    while todo:
        for target, _ in edges.get(todo.pop(), ()):
            if target not in seen:
                seen.add(target)
                todo.append(target)
    for id, step in steps.items():
        if id not in seen:
            r.find("STEP_UNREACHABLE", f"no way leads to the step '{id}'", step.value, severity="warning", element=id)

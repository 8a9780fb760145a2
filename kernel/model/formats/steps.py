"""Steps in JSON or YAML -> BPMN: a list in order, with `next` and conditions, or with `dependencies` (a DAG). Documented in docs/formats.md.

The result of a step stands in the variable named by its id: `{status, output, completed_at, runs}`. Each step is a cell with one way in; its ends
are: done, skipped (`when` is false), failed and taken over by its fallback, failed though optional.

Requirements: WOS-DAG-001 to 003, WSM-DAG-001 to 007, WSM-STA-001 to 006, C-06, C-07, C-12, C-13, C-31.
"""

from __future__ import annotations

import difflib
from typing import Any

from flowledger.kernel import feel
from flowledger.kernel.expressions import feel_expression
from flowledger.kernel.findings import Finding
from flowledger.kernel.model.formats import build, step_states, work
from flowledger.kernel.model.formats.shared import Base, Open
from flowledger.kernel.model.formats.source import BadText, Value, parse

_TOP = {"format", "$schema", "id", "name", "description", "version", "version_tag", "timeout", "timeout_ms", "timeout_seconds", "defaults", "input", "states",
        "steps", "first", "first_step", "metadata", "tags", "category", "owner"}  # fmt: skip
_STEP = {
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
_DEFAULTS = {"timeout", "timeout_ms", "timeout_seconds", "retry", "retries", "max_attempts", "max_retries", "priority"}
_NEXT = {"to", "step", "when", "condition", "name", "state"}
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


def read(data: bytes, file: str) -> tuple[Any, list[Finding], dict[str, build.Place]]:
    r = Reader(file)
    try:
        top = parse(data)
    except BadText as e:
        r.find("TEXT_INVALID", e.message, e)
        return None, r.findings, {}
    if not isinstance(top.data, dict):
        r.find("TYPE_WRONG", f"expected an object with 'steps', found {top.kind()}", top)
        return None, r.findings, {}
    r.known(top, _TOP, "the workflow")
    id = r.text(top, "id", required=True, what="the workflow") or "steps"
    r.draft = build.Draft(id)
    r.scope = r.draft.process(id, r.text(top, "name"), top)
    build.document(r.scope.element, r.text(top, "description"))
    if tag := r.text(top, "version_tag") or r.text(top, "version"):
        build.extension(r.scope.element, "zeebe", "versionTag", value=tag)
    r.states = step_states.read(r, top)
    _collect(r, top)
    if r.steps:
        _flow(r, top)
    elif not r.failed:
        r.find("STEPS_NONE", "expected at least one step", top.get("steps") or top)
    if timeout := work.timeout_of(r, top, id):
        sub = r.scope.sub("workflow_timeout", "After " + timeout, top, event=True)
        start = sub.node("startEvent", "workflow_timeout_start", "", top)
        sub.event(start, "timer", timeout, top)
        end = sub.node("endEvent", "workflow_timeout_end", "Timed out", top)
        sub.event(end, "error", "TIMEOUT")
        build.within(build.extension(end, "zeebe", "properties"), "property", name="flowledger:fails", value="true")
        sub.flow(start, end)
    return (None if r.failed else r.draft.finish()), r.findings, r.draft.places


def _collect(r: Reader, top: Value) -> None:
    defaults = r.mapping(top, "defaults")
    if defaults is not None:
        r.known(defaults, _DEFAULTS, "'defaults'")
    items = (
        r.sequence(top, "steps", required=True, what="the workflow")
        if not isinstance((top.get("steps") or top).data, dict)
        else _by_id(r, top)
    )
    for value in items:
        if not isinstance(value.data, dict):
            r.find("TYPE_WRONG", f"expected a step (an object), found {value.kind()}", value)
            continue
        if defaults is not None:
            own_time, own_retry = (
                any(k.startswith("timeout") for k in value.data),
                any(k in value.data for k in _DEFAULTS if "retr" in k or "att" in k),
            )
            for key, inner in defaults.items():
                if not (own_time if key.startswith("timeout") else own_retry if key != "priority" else False):
                    value.data.setdefault(key, inner)
        id = r.text(value, "id", required=True, what="a step")
        if not id:
            continue
        if id in r.steps:
            r.find(
                "ID_DUPLICATE", f"the step '{id}' is defined twice (first at line {r.steps[id].value.line})", value.get("id"), element=id
            )
            continue
        if id == END:
            r.find("ID_RESERVED", "'end' can't be a step's id: 'next: end' ends the workflow", value.get("id"), element=id)
            continue
        step = r.steps[id] = Step(id, value)
        if step.variable != id:
            r.find("ID_NO_NAME", f"the result of '{id}' stands in the variable '{step.variable}': the id is no variable name", value.get("id"),
                   severity="info", element=id)  # fmt: skip
        for key in ("dependencies", "depends_on", "dependsOn"):
            step.dependencies += [d.data for d in r.texts(value, key)]


def _by_id(r: Reader, top: Value) -> list[Value]:
    """`steps` as an object: the key is the id."""
    holder = top.get("steps")
    assert holder is not None
    for key, value in holder.items():
        if isinstance(value.data, dict):
            line, column = holder.keys.get(key, (value.line, value.column))
            value.data.setdefault("id", Value(key, line, column))
    return [v for _, v in holder.items()]


def _flow(r: Reader, top: Value) -> None:
    with_next = [s for s in r.steps.values() if "next" in s.value]
    with_dependencies = [s for s in r.steps.values() if any(k in s.value for k in ("dependencies", "depends_on", "dependsOn"))]
    if with_next and with_dependencies:
        r.find("STEPS_MIXED", f"'{with_next[0].id}' has 'next' and '{with_dependencies[0].id}' has 'dependencies': use one of them in a workflow",
               with_next[0].value.get("next"), element=with_next[0].id)  # fmt: skip
        return
    for step in r.steps.values():
        for key in ("fallback", "on_error"):
            found = step.value.get(key)
            if (
                key == "fallback"
                and found is not None
                and isinstance(found.data, str)
                and r.step(found.data, found, f"'fallback' of '{step.id}'")
            ):
                if found.data == step.id:
                    r.find("FALLBACK_SELF", f"'{step.id}' is its own fallback", found, element=step.id)
                else:
                    r.stand_ins.add(found.data)
    start = r.scope.node("startEvent", "start", "", top)
    if (given := r.mapping(top, "input")) is not None:
        for name, value in given.items():
            r.check_expressions(value, f"input {name}")
            build.mapping(start, "output", f"= if {name} = null then {build.feel_value(value.plain())} else {name}", name)
    for step in list(r.steps.values()):
        if step.id not in r.stand_ins:
            _cell(r, step)
    if with_dependencies:
        _graph(r, start)
    else:
        _chain(r, top, start, bool(with_next))
    r.mode = "dependencies" if with_dependencies else "next" if with_next else "order"
    r.variables = {s.variable: s for s in r.steps.values()}
    before: str | None = None
    for step in r.steps.values():
        _lint(r, step, top, before)
        before = step.id


# -------------------------------------------------------------------------------------------------------------- one step


def _result(step: Step, output: str, status: str = "success") -> str:
    runs = f"(if {step.variable}.runs = null then 0 else {step.variable}.runs) + 1"
    return f'= {{status: "{status}", output: {output}, completed_at: now(), runs: {runs}}}'


def _cell(r: Reader, step: Step, stands_for: Step | None = None) -> None:
    """Build the step's task, what skips it, and what takes over when it fails."""
    value, id = step.value, step.id
    element = work.task(r, r.scope, value, id, _STEP, outputs=False)
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
    _cell(r, other, stands_for=step)
    return other


# -------------------------------------------------------------------------------------------------------------- DAG


def _graph(r: Reader, start: Any) -> None:
    steps = {k: s for k, s in r.steps.items() if k not in r.stand_ins}
    good = True
    for step in steps.values():
        for d in step.dependencies:
            if (
                r.step(d, step.value.get("dependencies") or step.value.get("depends_on") or step.value, f"'dependencies' of '{step.id}'")
                is None
            ):
                good = False
            elif d in r.stand_ins:
                r.find("REFERENCE_WRONG", f"'{step.id}' depends on '{d}', which is only a fallback", step.value, element=step.id)
                good = False
        if "on_error" in step.value:
            r.find(
                "STEPS_MIXED",
                "'on_error' needs 'next': with 'dependencies' use 'fallback' or 'optional'",
                step.value.get("on_error"),
                element=step.id,
            )
    if not good:
        return
    if cycle := _cycle(steps):
        r.find("DEPENDENCY_CYCLE", "the dependencies go in a circle: " + " -> ".join(cycle), steps[cycle[0]].value, element=cycle[0],
               hint="remove one of these dependencies, or use 'next' for a loop")  # fmt: skip
        return
    dependents: dict[str, list[Step]] = {k: [] for k in steps}
    for step in steps.values():
        for d in dict.fromkeys(step.dependencies):
            dependents[d].append(step)
    # each step's single way out: its done, skipped and failed ends merged, then forked to all that wait for it
    outs: dict[str, Any] = {}
    for step in topological(steps):
        single = step.opens[0].source
        if len(step.opens) > 1:
            single = r.scope.node("exclusiveGateway", f"{step.id}_done", "", step.value)
            for o in step.opens:
                r.lead(r.scope, o, single)
        if len(dependents[step.id]) > 1:
            fork = r.scope.node("parallelGateway", f"{step.id}_fork", "", step.value)
            r.scope.flow(single, fork)
            single = fork
        outs[step.id] = single
    roots = [s for s in steps.values() if not s.dependencies]
    first = start
    if len(roots) > 1:
        first = r.scope.node("parallelGateway", "start_fork")
        r.scope.flow(start, first)
    for step in steps.values():
        sources = [outs[d] for d in dict.fromkeys(step.dependencies)] or [first]
        entry = step.entry
        if len(sources) > 1:
            entry = r.scope.node("parallelGateway", f"{step.id}_join", "", step.value)
            r.scope.flow(entry, step.entry)
        for source in sources:
            r.scope.flow(source, entry)
    leaves = [outs[k] for k in steps if not dependents[k]]
    end = r.scope.node("endEvent", END)
    if len(leaves) > 1:
        last = r.scope.node("parallelGateway", "end_join")
        for leaf in leaves:
            r.scope.flow(leaf, last)
        leaves = [last]
    r.scope.flow(leaves[0], end)


def topological(steps: dict[str, Step]) -> list[Step]:
    """Every step after all that it depends on; document order among the free ones. The steps have no cycle."""
    waiting = {k: len(set(s.dependencies)) for k, s in steps.items()}
    users: dict[str, list[str]] = {}
    for k, s in steps.items():
        for d in set(s.dependencies):
            users.setdefault(d, []).append(k)
    ready = [k for k, n in waiting.items() if not n]
    for k in ready:
        for user in users.get(k, ()):
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    return [steps[k] for k in ready]


def _cycle(steps: dict[str, Step]) -> list[str]:
    """One circle of dependencies, its first step repeated at the end; empty when there is none."""
    done: set[str] = set()
    for root, first in steps.items():
        if root in done:
            continue
        path, on_path = [root], {root: 0}
        stack = [(root, iter(first.dependencies))]
        while stack:
            id, rest = stack[-1]
            for d in rest:
                if d in on_path:
                    return [*path[on_path[d] :], d]
                if d not in done:
                    on_path[d] = len(path)
                    path.append(d)
                    stack.append((d, iter(steps[d].dependencies)))
                    break
            else:
                done.add(id)
                del on_path[id]
                path.pop()
                stack.pop()
    return []


# -------------------------------------------------------------------------------------------------------------- next


def _chain(r: Reader, top: Value, start: Any, with_next: bool) -> None:
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
                r.known(item, _NEXT, f"'next' of '{step.id}'", step.id)
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


# -------------------------------------------------------------------------------------------------------------- advice


def reads_of(value: Value) -> dict[str, Value]:
    """Variables that the expressions within a value read, each with where."""
    found: dict[str, Value] = {}
    todo = [value]
    while todo:
        v = todo.pop()
        if isinstance(v.data, dict):
            todo += [inner for key, inner in v.items() if key not in ("next", "fallback")]
            for key in ("when", "condition"):
                inner = v.get(key)
                if inner is not None and isinstance(inner.data, str) and not inner.data.lstrip().startswith("="):
                    found.update({name: inner for name in _reads(inner.data)})
        elif isinstance(v.data, list):
            todo += v.data
        elif isinstance(v.data, str) and v.data.lstrip().startswith("="):
            found.update({name: v for name in _reads(v.data.lstrip()[1:])})
    return found


def _reads(text: str) -> frozenset[str]:
    try:
        return feel_expression(text).reads
    except feel.FeelSyntaxError:
        return frozenset()


def _lint(r: Reader, step: Step, top: Value, before: str | None) -> None:
    """Advice on one step; `before`: the id of the step before it in the list."""
    reads = {name: at for name, at in reads_of(step.value).items() if name in r.variables and r.variables[name] is not step}
    if r.mode == "dependencies" and reads and step.id not in r.stand_ins:
        ancestors: set[str] = set()
        todo = list(step.dependencies)
        while todo:
            d = todo.pop()
            if d not in ancestors and d in r.steps:
                ancestors.add(d)
                todo += r.steps[d].dependencies
        for name, at in reads.items():
            other = r.variables[name].id
            if other not in ancestors:
                r.find(
                    "READ_UNDECLARED", f"'{step.id}' reads the output of '{other}' without depending on it", at, severity="warning",
                    element=step.id, hint=f'add "{other}" to its dependencies',
                )  # fmt: skip
    elif r.mode == "order" and before is not None and not reads and "when" not in step.value and not {step.id, before} & r.stand_ins:
        r.find(
            "PARALLEL_POSSIBLE", f"'{step.id}' reads no output of an earlier step: with 'dependencies' it could run beside them", step.value,
            severity="info", element=step.id,
        )  # fmt: skip
    if work.kind_of(r, step.value)[0] in ("service", "capability") and not any(
        k.startswith("timeout") for k in (*step.value.data, *top.data)
    ):
        r.find("TIMEOUT_NONE", f"'{step.id}' has no time limit, nor has the workflow", step.value, severity="info", element=step.id,
               hint="timeout: 15m")  # fmt: skip

"""Steps in JSON or YAML -> BPMN: a list in order, with `next` and conditions, or with `dependencies` (a DAG). Documented in docs/formats.md.

The result of a step stands in the variable named by its id: `{status, output, completed_at, runs}`. Each step is a cell with one way in; its ends
are: done, skipped (`when` is false), failed and taken over by its fallback, failed though optional.

Requirements: WOS-DAG-001 to 003, WSM-DAG-001 to 007, WSM-STA-001 to 006, C-06, C-07, C-12, C-13, C-31.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.findings import Finding
from flowledger.kernel.model.formats import build, step_states, work
from flowledger.kernel.model.formats.source import BadText, Value, parse
from flowledger.kernel.model.formats.step_advice import lint
from flowledger.kernel.model.formats.step_cells import END, Reader, Step, cell
from flowledger.kernel.model.formats.step_chain import chain
from flowledger.kernel.model.formats.step_graph import graph

_TOP = {"format", "$schema", "id", "name", "description", "version", "version_tag", "timeout", "timeout_ms", "timeout_seconds", "defaults", "input", "states",
        "steps", "first", "first_step", "metadata", "tags", "category", "owner"}  # fmt: skip
_DEFAULTS = {"timeout", "timeout_ms", "timeout_seconds", "retry", "retries", "max_attempts", "max_retries", "priority"}


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
            cell(r, step)
    if with_dependencies:
        graph(r, start)
    else:
        chain(r, top, start, bool(with_next))
    r.mode = "dependencies" if with_dependencies else "next" if with_next else "order"
    r.variables = {s.variable: s for s in r.steps.values()}
    before: str | None = None
    for step in r.steps.values():
        lint(r, step, top, before)
        before = step.id

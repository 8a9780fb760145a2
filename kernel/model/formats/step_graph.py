"""Steps with `dependencies`: each begins when all that it depends on have ended (a DAG)."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model.formats.step_cells import END, Reader, Step


def graph(r: Reader, start: Any) -> None:
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

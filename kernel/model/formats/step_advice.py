"""Advice on steps: what they read without saying so, what could run beside them, what has no time limit."""

from __future__ import annotations

from flowledger.kernel import feel
from flowledger.kernel.expressions import feel_expression
from flowledger.kernel.model.formats import work
from flowledger.kernel.model.formats.source import Value
from flowledger.kernel.model.formats.step_cells import Reader, Step


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


def lint(r: Reader, step: Step, top: Value, before: str | None) -> None:
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

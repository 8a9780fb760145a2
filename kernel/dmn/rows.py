"""A decision's value as Camunda 7 and Flowable have it: a row for each rule that counts, with its outputs by their names.

Here a table with one output gives that output, and one that isn't asked for several rows gives no list. Which of the two a value is, the table says:
its hit policy, its outputs, and, where the value is null, whether a rule matched. A literal expression is one row with the decision's variable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowledger.kernel.dmn import boxed
from flowledger.kernel.dmn import model as m

if TYPE_CHECKING:
    from flowledger.kernel.dmn.evaluation import DecisionModel, Evaluation

_LISTS = frozenset(("RULE ORDER", "OUTPUT ORDER"))
#: rules that must not match together did
_SEVERAL = frozenset(("SEVERAL_RULES", "OUTPUTS_DIFFER"))


class Contradiction(ValueError):
    """What other engines refuse, and the standard gives null."""


def of(model: DecisionModel, id: str, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Raises: Contradiction."""
    element = model.root.element(id, m.Decision)
    table = element.expression if isinstance(element, m.Decision) else None
    if not isinstance(table, m.Table):
        name = (element.variable.name or element.name) if isinstance(element, m.Element) else id
        return [{name: evaluation.value}]
    for w in evaluation.warnings:
        if getattr(w, "code", "") in _SEVERAL and getattr(w, "element", None) == table.id:
            raise Contradiction(w.message)
    record = evaluation.table(table)
    value = evaluation.value if record is None else record.value
    names = boxed.output_names(table)
    if several(table):
        return [_row(names, each) for each in value or ()]
    if value is None and not table.aggregation and (record is None or not (record.hits or record.defaulted)):
        return []
    return [_row(names, value)]


def several(table: m.Table) -> bool:
    """Whether its hit policy lets it give any number of rows."""
    return table.hit_policy in _LISTS or (table.hit_policy == "COLLECT" and not table.aggregation)


def _row(names: list[str], value: Any) -> dict[str, Any]:
    if len(names) == 1:
        return {names[0]: value}
    return value if isinstance(value, dict) else dict.fromkeys(names[:1], value)

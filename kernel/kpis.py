"""KPIs: what may stand in registry `kpi`, under a name, a tenant's own as `tenant/name`. Pure. What they mean: docs/insight.md.

Decisions don't read them: they are told to all partitions, so that whoever folds one partition's log knows what was in force at each event.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flowledger.kernel import feel
from flowledger.kernel.model import trigger_fields as f
from flowledger.kernel.model.trigger_fields import Field
from flowledger.kernel.model.trigger_fields import problems as misfits

REGISTRY = "kpi"
KINDS = ("sla", "time", "cost", "value")
#: which time of it; at which moment a value is taken
OF, AT = ("cycle", "waiting", "working"), ("start", "end", "work")
NAME_MAX, TEXT_MAX, EXPRESSION_MAX = 100, 255, 2_000
#: values of a variable that are told apart, rates of one table, and an hour's rate
VALUES_MAX, RATES_MAX, RATE_MAX = 50, 500, 1_000_000_000
#: KPIs that apply to one process; what is beyond (by name) isn't counted
PROCESS_MAX = 50
#: work that its model or its maker gave a time by which it is due is counted under this name, without a record
DUE = "due"
_LINE = r"[^\x00-\x1f\x7f]+"
_line = f.text(_LINE, f"a line of text of at most {TEXT_MAX} characters", TEXT_MAX)


def _share(value: Any) -> str:
    good = type(value) in (int, float, Decimal) and 0 < value <= 1
    return "" if good else "a share of more than 0 and at most 1, such as 0.95"


def _rate(value: Any) -> bool:
    return type(value) in (int, float, Decimal) and 0 <= value <= RATE_MAX


def _rates(value: Any) -> str:
    good = isinstance(value, dict) and len(value) <= RATES_MAX and all(_rate(v) and 1 <= len(k) <= TEXT_MAX for k, v in value.items())
    return "" if good else f"an object of at most {RATES_MAX} names with what an hour costs (0 to {RATE_MAX})"


def _one_rate(value: Any) -> str:
    return "" if _rate(value) else f"a number from 0 to {RATE_MAX}"


def _feel(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= EXPRESSION_MAX:
        return f"a FEEL expression of at most {EXPRESSION_MAX} characters"
    try:
        feel.compile(value.strip().removeprefix("="))
    except feel.FeelSyntaxError as e:
        return f"a FEEL expression ({e})"
    return ""


def _values(value: Any) -> str:
    good = isinstance(value, list) and 1 <= len(value) <= VALUES_MAX and all(type(v) in (str, int, bool, float, Decimal) for v in value)
    return "" if good and all(len(value_text(v)) <= TEXT_MAX for v in value) else f"1 to {VALUES_MAX} texts, numbers, true or false"


FIELDS: Mapping[str, Field] = {
    "kind": Field(f.one_of(*KINDS), True), "title": Field(_line), "description": Field(f.text(r"[^\x00]*", "a text", 2_000)),
    "process": Field(_line), "element": Field(_line), "of": Field(f.one_of(*OF)), "within": Field(f.within("PT1S", "P3660D")),
    "calendar": Field(f.text(r"[^/\x00-\x1f\x7f]+", "the name of a calendar", 200)), "goal": Field(_share), "at_risk": Field(_share),
    "at": Field(f.one_of(*AT)), "value": Field(_feel), "when": Field(_feel), "unit": Field(f.text(_LINE, "a unit of at most 20 characters", 20)),
    "by": Field(_line), "values": Field(_values), "job_types": Field(_rates), "people": Field(_rates), "groups": Field(_rates),
    "otherwise": Field(_one_rate), "each": Field(_rates), "enabled": Field(f.flag),
}  # fmt: skip
_ALWAYS = frozenset({"kind", "title", "description", "process", "by", "values", "when", "enabled"})
#: fields beside those that all have
_OF_KIND = {
    "sla": {"element", "of", "within", "calendar", "goal", "at_risk"}, "time": {"element", "of", "calendar"},
    "cost": {"job_types", "people", "groups", "otherwise", "each", "unit"}, "value": {"element", "at", "value", "unit"},
}  # fmt: skip


def value_text(value: Any) -> str:
    """A variable's value as figures are told by it."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def problems(name: str, value: dict[str, Any]) -> list[str]:
    """What is wrong with it."""
    own = name.rpartition("/")[2]
    out = []
    if not 1 <= len(own) <= NAME_MAX or any(c < " " or c == "\x7f" for c in own):
        out.append(f"name: expected 1 to {NAME_MAX} characters without a slash")
    if own == DUE:
        out.append(f"name: '{DUE}' is the name of what counts without a record: expected another")
    out += [f"{where}: expected {what}" for where, what in misfits(FIELDS, value)]
    if out:
        return out
    kind = value["kind"]
    foreign = [k for k in value if k not in _ALWAYS and k not in _OF_KIND[kind]]
    if foreign:
        out.append(f"{foreign[0]}: expected one of {', '.join(sorted(_OF_KIND[kind] | _ALWAYS))}, as it is of kind {kind}")
    if "element" in value and "process" not in value:
        out.append("element: it is that of a process: expected process beside it")
    if ("by" in value) != ("values" in value):
        out.append("by, values: expected both, the variable and its values that are told apart")
    if kind == "sla" and "within" not in value:
        out.append("within: expected it: it is missing")
    if kind == "value" and "value" not in value:
        out.append("value: expected it: it is missing")
    if kind == "value" and (value.get("at") == "work") != ("element" in value):
        out.append("element: expected it with `at: work`, and with that alone")
    if "calendar" in value and value.get("of", "cycle") != "cycle" and "element" not in value:
        out.append("calendar: waiting and working by a calendar are those of an element: expected element beside it")
    if kind == "cost" and not {"job_types", "people", "groups", "otherwise", "each"} & {*value}:
        out.append("job_types, people, groups, otherwise, each: expected one of them at least")
    return out

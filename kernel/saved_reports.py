"""Saved reports: what may stand in registry `report`, under a name, a tenant's own as `tenant/name`. Pure. What they mean: docs/insight.md#saved-reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowledger.kernel.alerts import rule as ar
from flowledger.kernel.model import trigger_fields as f
from flowledger.kernel.model.trigger_fields import Field
from flowledger.kernel.model.trigger_fields import problems as misfits

REGISTRY = "report"
NAME_MAX, MEASURES_MAX, REPORTS_MAX = 100, 10, 500
WINDOWS = ("minute", "hour", "day", "week", "month", "all")
CHARTS = ("table", "line", "bar", "pie", "number")
KPI_FIGURES = (*ar.KPI_FIGURES, "min", "max")
#: what a report is of, and by what it is told
OF_MEASURES, OF_KPIS = ("process", "version", "element", "job_type"), ("process", "version", "element", "value")
_TEXT = r"[^\x00-\x1f\x7f]+"
FIELDS: Mapping[str, Field] = {
    "title": Field(f.text(_TEXT, "a line of text", 255)), "description": Field(f.text(r"[^\x00]*", "a text", 2_000)),
    "measure": Field(f.several(f.one_of(*ar.NUMBERS, *ar.TIMES), MEASURES_MAX)), "kpi": Field(f.text(r"[^/\x00-\x1f\x7f]+", "the name of a KPI", 100)),
    "figure": Field(f.one_of(*dict.fromkeys((*ar.FIGURES, *KPI_FIGURES)))), "group": Field(f.several(f.one_of(*ar.GROUPS), len(ar.GROUPS))),
    "process": Field(f.text(_TEXT, "the id of a process", 255)), "version": Field(f.whole(0, (1 << 31) - 1)),
    "element": Field(f.text(_TEXT, "the id of an element", 255)), "job_type": Field(f.text(_TEXT, "a job type", 255)),
    "value": Field(f.text(_TEXT, "a value that the KPI is told by", 255)),
    "window": Field(f.one_of(*WINDOWS)), "last": Field(f.within("PT1M", "P3660D")), "chart": Field(f.one_of(*CHARTS)),
}  # fmt: skip


def several(value: Any) -> list[str]:
    return [] if value is None else value if isinstance(value, list) else [value]


def problems(name: str, value: dict[str, Any]) -> list[str]:
    """What is wrong with it."""
    own = name.rpartition("/")[2]
    out = []
    if not 1 <= len(own) <= NAME_MAX or any(c < " " or c == "\x7f" for c in own):
        out.append(f"name: expected 1 to {NAME_MAX} characters without a slash")
    out += [f"{where}: expected {what}" for where, what in misfits(FIELDS, value)]
    return out or [wrong for wrong in (_of_what(value), _shape(value)) if wrong]


def _of_what(value: Mapping[str, Any]) -> str:
    if ("measure" in value) == ("kpi" in value):
        return "measure, kpi: expected one of them"
    kpi = "kpi" in value
    known = OF_KPIS if kpi else OF_MEASURES
    for by in dict.fromkeys([*(k for k in value if k in ar.GROUPS), *several(value.get("group"))]):
        if by not in known:
            return f"{by if by in value else 'group'}: a report of {'a KPI' if kpi else 'measures'} isn't told by {by}: expected {', '.join(known)}"
    timed = {*several(value.get("measure"))} & {*ar.TIMES}
    figures = KPI_FIGURES if kpi else ar.FIGURES if timed else ()
    if "figure" in value and value["figure"] not in figures:
        return f"figure: expected {', '.join(figures)}" if figures else f"figure: it is of times ({', '.join(ar.TIMES)}) and of KPIs"
    if timed and value.get("figure", "mean") != "mean" and value.get("window") == "minute":
        return "figure: by minute it isn't known how times are spread: expected mean, or a larger window"
    if "version" in value and "process" not in value:
        return "version: it is that of a process: expected process beside it"
    return ""


def _shape(value: Mapping[str, Any]) -> str:
    """Whether the chart can show it."""
    chart, window, groups = value.get("chart", "table"), value.get("window", "all"), several(value.get("group"))
    one = len(several(value.get("measure"))) < 2
    if chart == "line" and window == "all":
        return "chart: a line goes over time: expected a window of minute, hour, day, week or month"
    if chart in ("number", "pie") and (window != "all" or not one):
        return f"chart: a {chart} shows one measure of the whole time: expected one measure, and window all"
    if chart == "number" and groups:
        return "chart: a number is told by nothing: expected no group"
    if chart == "pie" and not groups:
        return "chart: a pie has a part for each of a group: expected a group"
    return ""

"""How many will come (docs/forecasts.md)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get
from litestar.params import Parameter

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest
from flowledger.api.insight import ProcessId, Since, Until, _told
from flowledger.api.lists import WaitFor
from flowledger.kernel.alerts.rule import KINDS

#: steps that are told at most
STEPS_MAX = 4 * 168


class Coming(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    from_: a.Time
    to: a.Time
    expected: float
    low: float
    high: float
    last_week: float


class Forecast(msgspec.Struct, kw_only=True):
    """`by`: model, last_week where that was no worse, or nothing where there are fewer than five `weeks`. `error`, `last_week_error`: by how much either was off by
    the mean on weeks that were held out; `interval`: which share of a held-out week lay between `low` and `high`."""

    process: str
    measure: str
    window: str
    by: Literal["model", "last_week", "nothing"]
    items: list[Coming]
    weeks: int
    error: float | None = None
    last_week_error: float | None = None
    bias: float | None = None
    interval: dict[str, float] | None = None
    cursor: str | None = None
    position: str | None = None


@get("/forecasts", summary="How many will come")
async def list_forecasts(
    request: ApiRequest,
    process: Annotated[str, Parameter(min_length=1, max_length=255, description="The id of a process")],
    measure: Literal["started", "completed", "ended", "failed", "incidents"] = "started",
    window: Literal["hour", "day"] = "hour",
    element: Annotated[str | None, Parameter(max_length=255, description="Visits of this element: the load that comes to it")] = None,
    steps: Annotated[int, Parameter(ge=1, le=STEPS_MAX)] = 168,
    since: Annotated[
        datetime | None, Parameter(query="from", description="From this time on, also one that has passed [default: now]")
    ] = None,
) -> Response[Forecast]:
    """By hour or day (UTC), from the present one on, from the twelve weeks before."""
    given = {"process": process, "measure": measure, "window": window, "element": element, "steps": steps, "from": since}
    return await _told(request, "coming", given, None)


class Anomaly(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """`kind` volume: so many began in the hour, where so many were usual; duration: so long took the element by the median (ms). Of a case (`instance`) that
    completed at `from`: path: it went to `element` by a step that is never or seldom gone; skipped: nearly all pass `element`, and it didn't; value: none,
    or hardly any, had such a value of `variable` (of a number: it, and the median). `p_value`: of hours adjusted for all that was asked; of cases how
    likely one is as rare."""

    kind: Literal[KINDS]  # type: ignore[valid-type]
    element: str | None
    instance: a.Key | None
    variable: str | None
    from_: a.Time
    to: a.Time
    value: float | None
    usual: float | None
    p_value: float


class Cases(msgspec.Struct, kw_only=True):
    """Of so many that completed in the time (all of them, or, where not `whole`, the newest), so many are odd by one thing or several."""

    judged: int
    odd: int
    whole: bool


class Anomalies(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """Of hours, the least likely first; of cases, the last 500. `asked`: of how many hours and elements."""

    items: list[Anomaly]
    from_: a.Time
    to: a.Time
    asked: int
    cases: Cases
    cursor: str | None = None
    position: str | None = None


@get("/reports/anomalies", summary="What is unlike before")
async def list_anomalies(
    request: ApiRequest, process: ProcessId, since: Since = None, until: Until = None, wait_for: WaitFor = None
) -> Response[Anomalies]:
    """Hours in which more or fewer began, or an element took longer or shorter, than the weeks before let expect; and cases that completed with a way or a value
    that none before had, or hardly any. Of the last 24 hours, or up to a week. One in twenty of the hours that are told is chance at most, and one in 200 of
    the cases is told for each thing that is asked of it."""
    return await _told(request, "anomalies", {"process": process, "from": since, "to": until}, wait_for)


HANDLERS: dict[str, list[Any]] = {"forecasts": [list_forecasts, list_anomalies]}

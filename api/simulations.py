"""What would happen: a process run on the kernel with a clock of its own, as its history was and with changes (docs/simulation.md)."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import msgspec
from litestar import Response, post
from msgspec import Meta

from flowledger.analytics.simulate import plan as pl
from flowledger.analytics.simulate.compared import simulate
from flowledger.analytics.simulate.run import CannotRun
from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, Body, Name, reply
from flowledger.api.problems import Problem, senseless
from flowledger.api.services import Services, services_of
from flowledger.events.base import RejectionCode

#: how long one may take (seconds); instances of all runs together
SECONDS_MAX, ALL_MAX = 60.0, 100_000
Version = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]


class ScenarioBody(Body):
    """`changes` to the plan; `version`: another one of the process [0: the same]."""

    name: Name
    changes: dict[str, Any] = {}
    version: Version = 0


class SimulationBody(Body):
    """`version` 0: the newest. `plan`: instead of what the history says, name by name; with `learn` false the whole of it. The same `seed` gives the same answer."""

    process: Name
    version: Version = 0
    plan: dict[str, Any] = {}
    learn: bool = True
    scenarios: Annotated[list[ScenarioBody], Meta(max_length=pl.SCENARIOS_MAX)] = []
    runs: Annotated[int, Meta(ge=1, le=pl.RUNS_MAX)] = 10
    seed: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 1


class Simulated(msgspec.Struct, kw_only=True):
    """`plan`: what was assumed; `learned_from`: of how many instances. Each scenario has bands over its runs (`mean` with the interval `from` and `to` in which it
    lies by 95 %, `least`, `most`), the first is the base; `against_base_ms`: run for run how much longer, `sure` where that is no chance."""

    process: str
    version: int
    learned_from: int
    plan: dict[str, Any]
    seed: int
    runs: int
    scenarios: list[dict[str, Any]]
    took_ms: int
    position: a.Place | None = None


async def _model(s: Services, tenant: str, process: str, version: int) -> tuple[int, dict[str, str]]:
    """The version, and its text. Raises: Problem (404)."""
    given = {"definition_id": process, "kind": "process", **({"version": str(version)} if version else {"latest": "true"})}
    page = await s.reads.list("definitions", given, 1, "", tenant)
    if not page["items"]:
        raise Problem(RejectionCode.NOT_FOUND, f"no process {process}" + (f" of version {version}" if version else ""))
    row = page["items"][0]
    source = await s.reads.source(str(row["key"]), tenant)
    if source is None:
        raise Problem(RejectionCode.NOT_FOUND, f"the text of {process} is not at hand")
    return row["version"], {source["name"] or f"{process}.bpmn": source["content"]}


async def _gone(request: ApiRequest) -> None:
    """Until nobody waits for the answer any more: then nothing more is run for it."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def simulated(
    request: ApiRequest,
    models: dict[str, str],
    process: str,
    base: dict[str, Any],
    scenarios: list[dict[str, Any]],
    *,
    runs: int,
    seed: int,
    at: str,
) -> dict[str, Any]:
    """Run in the caller's turn and in a thread, while somebody waits for it. `at`: what is wrong where it can't be run. Raises: Problem."""
    s, began = services_of(request), time.monotonic()
    caller = s.identify(request)
    gone = asyncio.create_task(_gone(request))

    def go_on() -> bool:
        return time.monotonic() < began + SECONDS_MAX and not gone.done()

    try:
        async with s.simulations.place((caller.tenant, caller.actor)):
            found = await asyncio.to_thread(simulate, models, process, base, scenarios, runs=runs, seed=seed, go_on=go_on)
    except CannotRun as e:
        raise senseless(str(e), at) from None
    finally:
        gone.cancel()
    return {**found, "took_ms": round((time.monotonic() - began) * 1000)}


@post("/simulations", status_code=200, summary="What would happen")
async def run_simulation(request: ApiRequest, data: SimulationBody) -> Response[Simulated]:
    """Runs the process with simulated time, as its history was and by scenarios: other people, times, ways, versions. Nothing real is started."""
    s = services_of(request)
    caller = s.identify(request)
    version, models = await _model(s, caller.tenant, data.process, data.version)
    base, count = data.plan, 0
    if data.learn:
        history = await s.reads.past(caller.tenant, data.process)
        count = len(history.started)
        if not count and "arrival" not in data.plan:
            raise Problem(
                RejectionCode.INVALID_STATE, f"no instance of {data.process} has ended yet to learn from: give a plan with an arrival"
            )
        base = pl.changed(history.plan(500), data.plan)
    if wrong := pl.problem(base):
        raise senseless(wrong, "body plan")
    scenarios: list[dict[str, Any]] = []
    plans = [base]
    for n, scenario in enumerate(data.scenarios):
        plans.append(pl.changed(base, scenario.changes))
        if wrong := pl.problem(plans[-1]):
            raise senseless(wrong, f"body scenarios[{n}].changes")
        other = (await _model(s, caller.tenant, data.process, scenario.version))[1] if scenario.version else None
        scenarios.append({"name": scenario.name, "changes": scenario.changes, "models": other})
    if (every := data.runs * sum(int(p.get("instances", 500)) for p in plans)) > ALL_MAX:
        raise senseless(f"at most {ALL_MAX} instances of all runs together were expected, found {every}", "body runs")
    found = await simulated(request, models, data.process, base, scenarios, runs=data.runs, seed=data.seed, at="body plan")
    return reply({"process": data.process, "version": version, "learned_from": count, "plan": base, **found})


HANDLERS: dict[str, list[Any]] = {"simulations": [run_simulation]}

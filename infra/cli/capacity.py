"""`flowledger analytics capacity`: what can be carried, when it is full, and what to change (docs/capacity.md)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flowledger.infra.cli.insight import Csv, ask, show_rows
from flowledger.infra.cli.options import Json, ServerUrl
from flowledger.infra.cli.output import console


def capacity(
    at: Annotated[str, typer.Option("--from", metavar="TIME", help="As it would have been told at this time [default: now]")] = "",
    steps: Annotated[
        float | None, typer.Option("--steps", help="So many steps a second the server can, by a measurement (flowledger bench tuning)")
    ] = None,
    csv: Csv = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """What workers, people and the server can carry, how busy they are, and when they are full at the present growth."""
    found = ask(server, "/v1/reports/capacity", steps_s=steps, **{"from": at})
    rows = [_row(i) for i in found["items"]]
    show_rows(found, rows, csv, json, empty="nothing was worked on in the last four weeks")
    if csv or json:
        return
    told = console(stderr=True)
    for i in found["items"]:
        if i["advice"]:
            told.print(f"[yellow]{i['name']}: {says(i)}[/]")
    if (whole := found["server"]) is not None:
        told.print(f"[dim]{_server(whole)}[/]")


def _row(i: dict[str, Any]) -> dict[str, Any]:
    peak = i["peak"]
    return {
        "kind": i["kind"], "name": i["name"], "process": i["process"], "hands": f"{i['hands']['value']:.1f} ({i['by']})", "came a week": i["came"],
        "carries a week": round(i["carries"]["value"]), "busy": None if i["busy"] is None else f"{i['busy']:.0%}",
        "growth": None if i["growth"] is None else f"{i['growth']['weekly']:+.1%}", "tight": _day(i["tight"]), "full": _day(i["full"]),
        "most waits": None if peak is None else f"{peak['waits']['value']:.0f} ({peak['waits']['low']:.0f} to {peak['waits']['high']:.0f})",
        "then": None if peak is None or not peak["waits"]["value"] else peak["at"], "change": says(i) if i["advice"] else None,
    }  # fmt: skip


def _day(reached: dict[str, Any] | None) -> str | None:
    if reached is None:
        return None
    day = {k: (v or "")[:10] for k, v in reached.items()}
    return f"{day['at'] or 'not in two years'} ({day['from'] or '?'} to {day['to'] or '?'})"


def says(i: dict[str, Any]) -> str:
    """What to change, in words."""
    change = i["advice"]
    what = "the limit" if change["what"] == "limit" else "people" if i["kind"] == "people" else "workers' hands"
    return f"{what} {change['was']:g} to {change['proposed']} by {change['at'][:16]} ({change['why']})"


def _server(whole: dict[str, Any]) -> str:
    busiest = whole["busiest"]
    parts = [f"server: {whole['steps_week']} steps in seven days"]
    if busiest is not None:
        parts.append(f"{busiest['steps_s']:.1f} a second in the busiest minute ({busiest['at'][:16]})")
    if whole["carries_s"] is not None:
        parts.append(
            f"carries {whole['carries_s']:.0f} a second ({whole['by']}"
            + (f", {whole['narrow']} is full first)" if whole["narrow"] else ")")
        )
        parts.append(f"full {_day(whole['full']) or 'unknown: four weeks are needed'}")
    else:
        parts.append("what it carries wasn't measured: there was too little to do in the last hour (flowledger bench tuning, --steps)")
    if whole["lag_s"] is not None:
        parts.append(f"rows {whole['lag_s']:.1f} s behind")
    return "; ".join(parts)

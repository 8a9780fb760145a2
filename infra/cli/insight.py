"""Figures and reports from the log: what was done, how long it took, where it waits (docs/insight.md)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flowledger.infra.cli.output import as_json, console, table
from flowledger.infra.cli.verbs import Json, ServerUrl

app = typer.Typer(help="Figures and reports from the log: what was done, how long it took, where it waits.", no_args_is_help=True)
Since = Annotated[str, typer.Option("--from", metavar="TIME", help="At or after this time, like 2026-11-01T00:00:00Z")]
Until = Annotated[str, typer.Option("--to", metavar="TIME", help="Before this time [default: now]")]
Process = Annotated[str, typer.Option("--process", metavar="ID", help="Of this process")]
_TIMES = ("cycle_time", "waiting_time", "working_time")


@app.command()
def measures(
    measure: Annotated[list[str] | None, typer.Option("--measure", help="One of the measures; several [default: the usual ones]")] = None,
    group: Annotated[list[str] | None, typer.Option("--group", help="process, version, definition, element, job_type; several")] = None,
    window: Annotated[str, typer.Option("--window", help="minute, hour, day, week, month, all")] = "all",
    since: Since = "",
    until: Until = "",
    process: Process = "",
    version: Annotated[int | None, typer.Option("--version", help="Of this version")] = None,
    element: Annotated[str, typer.Option("--element", help="Of this element")] = "",
    job_type: Annotated[str, typer.Option("--job-type", help="Of jobs of this type")] = "",
    csv: Annotated[bool, typer.Option("--csv", help="As a table for spreadsheets")] = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Figures by group and window; times as count, mean and percentiles."""
    from flowledger.infra.cli.server import Server

    query: dict[str, Any] = {"window": window, "from": since, "to": until, "process": process, "element": element, "job_type": job_type}
    query |= {"measure": ",".join(measure or ()), "group": ",".join(group or ())}
    if version is not None:
        query["version"] = str(version)
    found = Server(server).get("/v1/measures", **{k: v for k, v in query.items() if v})
    if json:
        as_json(found)
        return
    rows = [_flat(item) for item in found["items"]]
    if csv:
        as_csv(rows)
        return
    if window == "all":
        rows = [{k: v for k, v in row.items() if k not in ("from", "to")} for row in rows]
    table([{k: "" if v is None else v for k, v in row.items()} for row in rows], list(rows[0]) if rows else [], empty="nothing was done")
    console(stderr=True).print(f"[dim]{found['from']} to {found['to']}, times in seconds[/]")


def _flat(item: dict[str, Any]) -> dict[str, Any]:
    """Times as columns, in seconds."""
    out: dict[str, Any] = {}
    for name, value in item.items():
        if name in _TIMES:
            short = name.removesuffix("_time")
            for part in ("mean_ms", "p50_ms", "p95_ms"):
                at = value[part]
                out[f"{short} {part.removesuffix('_ms')}"] = None if at is None else round(at / 1000, 3)
        else:
            out[name] = value
    return out


def as_csv(rows: list[dict[str, Any]]) -> None:
    import csv
    import sys

    if rows:
        out = csv.DictWriter(sys.stdout, list(rows[0]))
        out.writeheader()
        out.writerows(rows)

"""KPIs: put, list, show, delete; their figures, and how promises are kept."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flowledger.infra.cli.insight import Csv, Process, Since, Until, Version, ask, seconds, show_rows
from flowledger.infra.cli.lists import deleted, listed, shown
from flowledger.infra.cli.options import Json, Limit, ServerUrl
from flowledger.infra.cli.record_files import KPIS

app = typer.Typer(help="KPIs: put, list, show, delete; their figures, and how promises are kept.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="KPI")]


def _path(name: str) -> str:
    return f"/v1/kpis/{name}"


KPIS.put(app, "record", "Make KPIs, or change them; they count from now on. `deploy` takes the same files.")


@app.command("list")
def list_kpis(limit: Limit = 100, server: ServerUrl = "", json: Json = False) -> None:
    """List KPIs by name."""
    listed(server, "/v1/kpis", limit, json, ["name", "kind", "process", "element", "title"], "no KPIs")


@app.command()
def show(name: Name, server: ServerUrl = "", json: Json = False) -> None:
    """A KPI as it was put."""
    shown(server, _path(name), json)


@app.command()
def delete(name: Name, server: ServerUrl = "", json: Json = False) -> None:
    """Delete a KPI; what it has counted stays."""
    deleted(server, _path(name), json, f"KPI {name} is deleted")


@app.command()
def figures(
    name: Name,
    group: Annotated[list[str] | None, typer.Option("--group", help="process, version, element, value; several")] = None,
    window: Annotated[str, typer.Option("--window", help="minute, hour, day, week, month, all")] = "all",
    since: Since = "",
    until: Until = "",
    process: Process = "",
    version: Version = None,
    csv: Csv = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Its figures by group and window; times in seconds."""
    found = ask(
        server, f"{_path(name)}/figures", group=",".join(group or ()), window=window, process=process, version=version, **{"from": since, "to": until},
    )  # fmt: skip
    rows = [_row(found["unit"], item) for item in found["items"]]
    if window == "all" and not csv:
        rows = [{k: v for k, v in row.items() if k not in ("from", "to")} for row in rows]
    show_rows(found, rows, csv, json)


def _row(unit: str, item: dict[str, Any]) -> dict[str, Any]:
    out = {k: v for k, v in item.items() if v is not None}
    if unit == "ms":
        out |= {k: seconds(item[k]) for k in ("total", "mean", "min", "max")}
    return out


@app.command()
def sla(process: Process = "", since: Since = "", until: Until = "", csv: Csv = False, server: ServerUrl = "", json: Json = False) -> None:
    """How promises are kept: of what ended in the time, and of what is open by now."""
    found = ask(server, "/v1/reports/sla", process=process, **{"from": since, "to": until})
    rows = [
        {k: i[k] for k in ("name", "count", "kept", "broken", "kept_share", "goal", "met", "open", "late", "at_risk")}
        for i in found["items"]
    ]
    show_rows(found, rows, csv, json, empty="no SLA")


@app.command()
def promised(
    name: Name,
    which: Annotated[str, typer.Option("--which", help="broken (ended in the time), late or at_risk (open by now)")] = "broken",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option("--limit", help="So many at most")] = 50,
    csv: Csv = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Instances that broke an SLA, are late or at risk, the worst first; times in seconds."""
    found = ask(server, f"{_path(name)}/promised", which=which, limit=limit, **{"from": since, "to": until})
    rows = [
        {**{k: i[k] for k in ("instance", "process", "version", "element", "began", "ended")}, "over": seconds(i["over_ms"])}
        for i in found["items"]
    ]
    show_rows(found, rows, csv, json, empty="none")

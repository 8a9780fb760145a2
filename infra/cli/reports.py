"""Saved reports: put, list, show, run, delete; sent at set times."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flowledger.infra.cli.insight import Csv, show_rows
from flowledger.infra.cli.lists import deleted, listed, shown
from flowledger.infra.cli.options import Json, Limit, ServerUrl
from flowledger.infra.cli.output import NO, as_json, console, facts, fail, table
from flowledger.infra.cli.record_files import REPORTS, read

app = typer.Typer(help="Saved reports: put, list, show, run, delete; sent at set times.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="REPORT")]


def _path(name: str) -> str:
    return f"/v1/saved-reports/{name}"


REPORTS.put(app, "report", "Save reports, or change them; `deploy` takes the same files.")


@app.command("list")
def list_reports(limit: Limit = 100, server: ServerUrl = "", json: Json = False) -> None:
    """List saved reports by name."""
    listed(server, "/v1/saved-reports", limit, json, ["name", "title", "measure", "kpi", "group", "window", "chart"], "no saved reports")


@app.command()
def show(name: Name, server: ServerUrl = "", json: Json = False) -> None:
    """A report as it was put."""
    shown(server, _path(name), json)


@app.command()
def run(
    what: Annotated[str, typer.Argument(metavar="REPORT|FILE", help="One that is saved, or a file that isn't yet")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Into a file, as .csv, .xlsx or .parquet")] = None,
    csv: Csv = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """What it asks for, up to now; times in seconds."""
    from flowledger.infra.cli.server import Server

    s, file = Server(server), Path(what)
    saved = file.suffix not in (".yaml", ".yml", ".json")
    if out is not None:
        form = out.suffix.removeprefix(".")
        if form not in ("csv", "xlsx", "parquet") or not saved:
            fail(f"--out: expected a saved report, and a file that ends in .csv, .xlsx or .parquet, found {what} and {out}", NO)
        out.write_bytes(s.raw(f"{_path(what)}/export", format=form))
        if json:
            as_json({"file": str(out)})
        else:
            console().print(f"[green]✓[/] {out}")
        return
    if not saved and not file.exists():
        fail(f"{what}: no such file", NO)
    found: dict[str, Any] = s.get(f"{_path(what)}/run") if saved else s.post("/v1/saved-reports/try", {"report": read(file)[1]})
    rows = [i if found["window"] != "all" or csv else {k: v for k, v in i.items() if k not in ("from", "to")} for i in found["items"]]
    show_rows(found, rows, csv, json)


@app.command()
def delete(name: Name, server: ServerUrl = "", json: Json = False) -> None:
    """Delete a saved report."""
    deleted(server, _path(name), json, f"report {name} is deleted")


@app.command()
def schedule(
    name: Name,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="YAML or JSON: cron, zone, format, and mail or webhook")] = None,
    off: Annotated[bool, typer.Option("--off", help="Send it no more")] = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """When a report is sent, and what was; with a file: send it so from now on."""
    from flowledger.infra.cli.given import file_text
    from flowledger.infra.cli.server import Server

    path, s = f"{_path(name)}/schedule", Server(server)
    if off and file is not None:
        fail("--off: expected no file beside it", NO)
    if off:
        deleted(server, path, json, f"report {name} is sent no more")
        return
    if file is not None:
        import yaml

        try:
            wanted = yaml.safe_load(file_text(file))
        except (yaml.YAMLError, RecursionError) as e:
            fail(f"{file}: {e}", NO)
        answer = s.call("PUT", path, wanted)
        if json:
            as_json(answer)
        else:
            console().print(f"[green]✓[/] report {name} is sent by the process {answer['definitions'][0]['definition_id']}")
        return
    found = s.get(path)
    if json:
        as_json(found)
        return
    facts({k: found[k] for k in ("status", "next_at", "last_at", "skipped_from", "error", "process") if found[k]} | found["schedule"])
    table(found["sent"], ["scheduled", "status", "problem", "id", "ended_at"], empty="nothing was sent yet")

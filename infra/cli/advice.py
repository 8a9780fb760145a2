"""Advice: look, list, show, try, apply, refuse (docs/advice.md)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flowledger.infra.cli.daily import verb
from flowledger.infra.cli.insight import _banded, _difference
from flowledger.infra.cli.lists import shown
from flowledger.infra.cli.options import Json, Reason, ServerUrl
from flowledger.infra.cli.output import as_json, console, table

app = typer.Typer(help="What would make processes faster: look, list, show, try, apply, refuse.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(metavar="ADVICE")]
OfProcess = Annotated[str, typer.Option("--process", metavar="ID", help="Of this process")]
State = Annotated[str, typer.Option("--state", help="open, applied, refused")]


def _rows(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "id": i["id"], "process": i["process"], "kind": i["kind"], "elements": ", ".join(i["elements"]), "gain": _gain(i["gain"]),
            "share": f"{i['gain']['share']:.1%}", "state": i["state"],
        }
        for i in items
    ]  # fmt: skip


def _gain(gain: dict[str, Any]) -> str:
    mean, low, high = (gain[k] / 1000 for k in ("mean_ms", "from_ms", "to_ms"))
    return f"{mean:.1f} s ({low:.1f} to {high:.1f})"


def _show(items: list[dict[str, Any]], empty: str) -> None:
    rows = _rows(items)
    table(rows, list(rows[0]) if rows else [], empty=empty)


@app.command()
def look(
    process: Annotated[str, typer.Argument(metavar="PROCESS", help="The id of a process")],
    seed: Annotated[int, typer.Option("--seed", help="The same gives the same")] = 1,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Look for advice in the last instances of a process; what gains by simulation is kept."""
    from flowledger.infra.cli.server import Server

    found = Server(server).post("/v1/advice", {"process": process, "seed": seed})
    if json:
        as_json(found)
        return
    _show(found["items"], "nothing was found that is shown to gain")
    note = "" if found["whole"] else "; there was no time to ask for the gain of all"
    console(stderr=True).print(
        f"[dim]{found['looked']} causes seen in {found['learned_from']} instances, {found['took_ms'] / 1000:.1f} s{note}[/]"
    )


@app.command("list")
def list_advice(process: OfProcess = "", state: State = "", server: ServerUrl = "", json: Json = False) -> None:
    """List advice, what is open first, the largest gain first; gains are seconds of the mean cycle time."""
    from flowledger.infra.cli.server import Server

    found = Server(server).get("/v1/advice", **{k: v for k, v in (("process", process), ("state", state)) if v})
    if json:
        as_json(found["items"])
    else:
        _show(found["items"], "no advice; `flowledger advice look PROCESS` looks for some")


@app.command()
def show(advice: Id, server: ServerUrl = "", json: Json = False) -> None:
    """An advice with its figures, and what applying it would change."""
    shown(server, f"/v1/advice/{advice}", json)


@app.command("try")
def try_advice(advice: Id, server: ServerUrl = "", json: Json = False) -> None:
    """Try it in simulation: the process as it is and as it would be; times in seconds."""
    from flowledger.infra.cli.server import Server

    found = Server(server).post(f"/v1/advice/{advice}/try", None)
    if json:
        as_json(found)
        return
    rows = [
        {
            "scenario": i["name"], "mean": _banded(i["cycle_ms"]["mean"]), "p90": _banded(i["cycle_ms"]["p90"]),
            "against base": "" if i["against_base_ms"] is None else _difference(i["against_base_ms"]["mean"]),
        }
        for i in found["scenarios"]
    ]  # fmt: skip
    table(rows, list(rows[0]))


@app.command()
def apply(advice: Id, reason: Reason = "", server: ServerUrl = "", json: Json = False) -> None:
    """Take it: a change of the model becomes a draft, a setting is changed; that stands on the log."""
    verb(server, f"advice/{advice}/apply", {"reason": reason}, f"advice {advice} is applied", json)


@app.command()
def refuse(advice: Id, reason: Reason = "", server: ServerUrl = "", json: Json = False) -> None:
    """Refuse it, with a reason; it isn't told as open again."""
    verb(server, f"advice/{advice}/refuse", {"reason": reason}, f"advice {advice} is refused", json)

"""Versions in service: what runs on each; which one new work is for, seen before it is so."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flowledger.infra.cli.control import operate
from flowledger.infra.cli.options import CONTROL, DryRun, Json, Reason, ServerUrl, Yes
from flowledger.infra.cli.output import USAGE, as_json, console, facts, fail, table

Definition = Annotated[str, typer.Argument(metavar="ID", help="Process (decision, form) id, or a key of one of its versions")]
_COLUMNS: list[str | tuple[str, str]] = [
    "version", ("version_tag", "tag"), "status", "default", ("share", "share %"), "starts", "running", "incidents", "drain", "oldest", "waiting",
]  # fmt: skip


def versions(id: Definition, server: ServerUrl = "", json: Json = False) -> None:
    """The versions of a definition in service: what runs on each, its share of new starts, how far it is from running dry."""
    from flowledger.infra.cli.server import Server

    found = Server(server).get(f"/v1/definitions/{id}/versions")
    if json:
        as_json(found)
        return
    table([_row(v, found["kind"]) for v in found["items"]], _COLUMNS)
    if found.get("changed_at"):
        facts({"changed": found["changed_at"], "by": found["changed_by"], "reason": found["reason"]})


def _row(v: dict[str, Any], kind: str) -> dict[str, Any]:
    drain, process = v["drain"], kind == "process"
    places = [f"{w['element'] or '(events)'} {w['instances']}" for w in drain["waiting"][:5]]
    more = len(drain["waiting"]) - len(places)
    return {
        **v, "starts": ("stopped" if v["stopped"] else "open") if process else "", "running": drain["open"] if process else "",
        "share": f"{v['share']:g}" if process else "", "incidents": v["incidents"] or "", "drain": drain["status"].replace("_", " ") if process else "",
        "oldest": drain["oldest"], "waiting": ", ".join(places) + (f", {more} more" if more > 0 else ""),
    }  # fmt: skip


def rollout(
    id: Definition,
    version: Annotated[int | None, typer.Option("--version", "-v", min=1, help="The version that it is about")] = None,
    share: Annotated[
        float | None, typer.Option("--share", metavar="PERCENT", help="Of new starts by id, by a hash of the business key")
    ] = None,
    default: Annotated[bool, typer.Option("--default", help="It is the default, and gets all new starts")] = False,
    newest: Annotated[bool, typer.Option("--newest", help="No version is pinned: the newest is the default again")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="No new starts; without --version of all versions. What runs goes on")] = False,
    open: Annotated[bool, typer.Option("--open", help="New starts again")] = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Say which version new work is for: a share, the default, or no new starts at all."""
    if (share is not None) + default + newest > 1 or stop + open > 1:
        fail("one of --share, --default and --newest was expected, and one of --stop and --open", USAGE)
    if share is None and not (default or newest or stop or open):
        fail("--share, --default, --newest, --stop or --open was expected, found none", USAGE)
    body: dict[str, Any] = {"reason": reason}
    body |= {"version": version} if version is not None else {}
    body |= {"share": share} if share is not None else {"default": default} if default or newest else {}
    body |= {"stop_starts": stop} if stop or open else {}

    def done(answer: dict[str, Any]) -> None:
        what = "changed" if answer["changed"] else "it is so already"
        console().print(f"[green]✓[/] {answer['kind']} {answer['definition_id']}: {what}")
        if yes:
            _show(answer, answer["warnings"])

    path = f"/v1/definitions/{id}/rollout"
    operate(server, path, body, done, dry_run=dry_run, yes=yes, json=json, show=lambda plan: _show(plan["outcome"], plan["warnings"]))


def _show(now: dict[str, Any], words: list[str]) -> None:
    rows = [{"": name, **_told(state)} for name, state in (("before", now["before"]), ("after", now))]
    table(rows, ["", "default", "pinned", "share", "stopped"])
    for each in words:
        console().print(f"[yellow]![/] {each}")


def _told(state: dict[str, Any]) -> dict[str, Any]:
    ramp = state["ramp"]
    return {
        "default": "none" if state["default"] is None else str(state["default"]), "pinned": str(state["pinned"] or ""),
        "share": f"{ramp['share']:g} % to {ramp['version']}" if ramp else "", "stopped": ", ".join(map(str, state["stopped"])),
    }  # fmt: skip


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=CONTROL)(rollout)
    app.command(rich_help_panel=CONTROL)(versions)

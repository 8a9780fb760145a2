"""`flowledger bundle export|compare|apply` and `flowledger sync`: a plan is shown before anything is done."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from flowledger.infra.cli.options import DryRun, Json, Reason, ServerUrl, Yes
from flowledger.infra.cli.output import NO, agree, as_json, console, facts, fail, say, table

if TYPE_CHECKING:
    from flowledger.infra.cli.bundles.content import Bundle
    from flowledger.infra.cli.bundles.environment import Environment
    from flowledger.infra.cli.bundles.plan import Plan

app = typer.Typer(help="Definitions and their settings as one file: exported, compared, promoted to another server.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(metavar="FILE", help="What `flowledger bundle export` made")]
PlanHash = Annotated[
    str, typer.Option("--plan", metavar="HASH", help="Of the plan that was seen: refused when another one would be carried out")
]
#: differences of elements that are shown of one definition; `--json` has all
CHANGES_MAX = 30


@app.command("export")
def export(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The file to write")],
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Ids of processes, decisions and forms; none: all")] = None,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """What is in service, as one file. The same definitions give the same bytes."""
    from flowledger.infra.cli.bundles import archive
    from flowledger.infra.cli.bundles.environment import Environment

    with _told():
        bundle = Environment(server).export(ids or ())
        size = archive.save(bundle, out)
    rows = [{"resource": r.name, **msgspec.to_builtins(d), "hash": r.hash} for r in bundle.resources for d in r.definitions]
    if json:
        as_json({"file": str(out), "bytes": size, "definitions": rows, "settings": list(bundle.settings.values())})
        return
    table(rows, ["resource", "kind", "id", "version", ("version_tag", "tag"), "name"], empty="no definitions")
    console().print(f"[green]✓[/] {out}: {len(bundle.resources)} resources, {size} bytes")


@app.command("compare")
def compare(
    file: File,
    other: Annotated[Path | None, typer.Argument(metavar="OTHER", help="Another bundle; none: the server")] = None,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """What a bundle has added, changed, left or doesn't have, beside a server (or OTHER), element by element."""
    from flowledger.infra.cli.bundles import archive
    from flowledger.infra.cli.bundles.environment import Environment

    with _told():
        bundle = archive.load(file)
        if other is not None:
            rows = _beside(bundle, archive.load(other))
        else:
            rows = _planned(bundle, Environment(server), False)[0].rows
    if json:
        as_json([msgspec.structs.asdict(r) for r in rows])
        return
    _show(rows, ("kind", "id", "change", "here", "resource", "notes"))


def _beside(bundle: Bundle, other: Bundle) -> list[Any]:
    from flowledger.infra.cli.bundles.plan import ADDED, CHANGED, EQUAL, GONE, Row
    from flowledger.kernel.model.diff import compare

    rows, theirs = [], other.definitions
    for key, (d, r) in bundle.definitions.items():
        was = theirs.get(key)
        row = Row(
            *key, ADDED if was is None else EQUAL if was[1].hash == r.hash else CHANGED, d.name, r.name, was[0].version if was else None
        )
        if was is not None and row.change == CHANGED:
            row.changes = compare(was[1].content, was[1].name, r.content, r.name)["changes"]
        if bundle.settings.get(key) != other.settings.get(key):
            row.notes.append("its settings differ")
        rows.append(row)
    rows += [Row(*key, GONE, d.name, r.name, d.version) for key, (d, r) in theirs.items() if key not in bundle.definitions]
    return sorted(rows, key=lambda r: (r.kind, r.id))


@app.command("apply")
def apply(
    file: File,
    dry_run: DryRun = False,
    yes: Yes = False,
    plan: PlanHash = "",
    reason: Reason = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Deploy what differs (in one deployment), then its settings. A second time there is nothing to do."""
    from flowledger.infra.cli.bundles import archive

    with _told():
        _promote(archive.load(file), server, False, dry_run, yes, plan, reason or f"bundle {file.name}", json)


def sync(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with models, of a Git repository; hidden ones are left alone")],
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="The folder says which processes can be started: others are stopped, those in it open. Nothing is deleted"
        ),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    plan: PlanHash = "",
    reason: Reason = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Let a server have what a folder has: the plan is shown, and carried out once somebody says yes."""
    from flowledger.infra.cli.bundles import folder as folders
    from flowledger.infra.cli.models import show_findings

    with _told():
        bundle, findings, passed = folders.load(folder)
        errors = [f for f in findings if f["severity"] == "error"]
        if errors:
            if not json:
                show_findings(findings)
            fail(f"{len(errors)} error{'s' if len(errors) != 1 else ''} in {folder}: nothing was applied", NO)
        if passed and not json:
            say(f"[dim]passed over, no models: {', '.join(passed[:10])}{f' and {len(passed) - 10} more' if len(passed) > 10 else ''}[/]")
        _promote(bundle, server, prune, dry_run, yes, plan, reason or f"sync {folder.resolve().name}", json)


def _promote(bundle: Bundle, server: str, prune: bool, dry_run: bool, yes: bool, seen: str, reason: str, json: bool) -> None:
    from flowledger.infra.cli.bundles.applying import apply
    from flowledger.infra.cli.bundles.environment import Environment

    environment = Environment(server)
    plan, _ = _planned(bundle, environment, prune)
    if seen and seen != plan.hash:
        fail(f"expected the plan {seen}, found that {plan.hash} would be carried out by now: look again [STALE]", NO)
    if dry_run and json:
        as_json(_view(plan))
        return
    if not json:
        _show(plan.rows, ("kind", "id", "change", "here", "resource", "then", "notes"))
        if dry_run or plan.empty:
            facts({"plan": plan.hash} if dry_run else {})
            console().print("[green]✓[/] nothing to do" if plan.empty else _summary(plan))
    if dry_run:
        return
    if plan.empty:
        if json:
            as_json({**_view(plan), "applied": False})
        return
    if not yes and not seen:
        agree(f"Apply it to {environment.server.url}?", "nothing was applied")
        if _planned(bundle, environment, prune)[0].hash != plan.hash:
            fail("it has changed meanwhile: look again [STALE]", NO)
    done = apply(plan, environment, reason)
    if json:
        as_json({**_view(plan), "applied": True, **done})
        return
    console().print(f"[green]✓[/] {_summary(plan)}")


def _planned(bundle: Bundle, environment: Environment, prune: bool) -> tuple[Plan, dict[Any, Any]]:
    from flowledger.infra.cli.bundles import plan as plans
    from flowledger.infra.cli.bundles.applying import differences

    there = environment.definitions()
    plan = plans.made(bundle, there, prune)
    differences(plan, environment, there, {r.name: r.content for r in bundle.resources})
    return plan, there


def _view(plan: Plan) -> dict[str, Any]:
    return {
        "plan": plan.hash, "empty": plan.empty, "rows": [msgspec.structs.asdict(r) for r in plan.rows],
        "deploy": [{"name": r.name, "hash": r.hash} for r in plan.deploy],
        "settings": [msgspec.to_builtins(s) for s in (*plan.before, *plan.after)],
    }  # fmt: skip


def _summary(plan: Plan) -> str:
    n = Counter(r.change for r in plan.rows)
    counts = ", ".join(f"{n[change]} {change}" for change in ("added", "changed", "equal", "gone") if n[change])
    return f"{counts}; {len(plan.deploy)} resources deployed, {len(plan.before) + len(plan.after)} settings"


def _show(rows: list[Any], columns: tuple[str, ...]) -> None:
    told = [{**msgspec.structs.asdict(r), "then": "; ".join(r.then) or "nothing", "notes": "; ".join(r.notes)} for r in rows]
    table(told, [("here", "there") if c == "here" else c for c in columns], empty="no definitions")
    for r in rows:
        shown = [
            {
                "change": x["change"],
                "id": x["id"],
                "type": x["type"],
                "name": x["name"],
                "fields": ", ".join(f["field"] for f in x.get("fields", [])),
            }
            for x in r.changes[:CHANGES_MAX]
        ]
        if shown:
            more = len(r.changes) - len(shown)
            table(shown, ["change", "id", "type", "name", "fields"], title=f"{r.kind} {r.id}" + (f" ({more} more)" if more else ""))


class _told:
    """What a bundle or folder can't be, in one sentence."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        from flowledger.infra.cli.bundles.content import Wrong

        if isinstance(error, Wrong):
            fail(str(error), NO)


def register(to: typer.Typer) -> None:
    to.add_typer(app, name="bundle", rich_help_panel="Models")
    to.command(rich_help_panel="Models")(sync)

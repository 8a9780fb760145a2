"""A batch carried out for somebody at a terminal, or for a program: the preview, the question, the bar, the end."""

from __future__ import annotations

import sys
import time
from typing import Any

import typer

from flowledger.infra.cli.output import NO, USAGE, Failed, as_json, command, console, facts, fail, say, table

#: seconds between two looks at a batch that runs
_LOOK_S = 0.3


def carry_out(server: str, path: str, body: dict[str, Any], dry_run: bool, yes: bool, detach: bool, json: bool) -> None:
    """The preview, the question, the batch, its end."""
    from flowledger.infra.cli.server import Server

    s = Server(server)
    seen = s.post(path, {**body, "dry_run": True})
    if not json and not (yes and detach and not dry_run):  # then its id alone is the answer
        show_preview(seen)
    if dry_run:
        if json:
            as_json(seen)
        return
    if not yes:
        _ask(seen, json)
    if "ids" not in body:
        body["confirm"] = seen["confirm"]
    begun = s.post(path, body, **s.new_id())
    if detach:
        if json:
            as_json(begun)
        else:
            print(begun["id"])
        return
    finish(follow(s, begun["id"], quiet=json), json)


def show_preview(seen: dict[str, Any]) -> None:
    title = f"{seen['action']}: {seen['count']} of {seen['of'].replace('_', ' ')}"
    if seen.get("filter"):
        title += ", " + ", ".join(f"{k}={v}" for k, v in seen["filter"].items())
    examples = seen["examples"] or ()
    columns = list(dict.fromkeys(["id", *(name for row in examples for name in row)]))
    table(examples, columns, title=title, empty=f"{title}: nothing")
    if seen["count"] > len(examples):
        say(f"[dim]and {seen['count'] - len(examples)} more[/]")


def _ask(seen: dict[str, Any], json: bool) -> None:
    if json or not sys.stdin.isatty():
        fail("expected --yes (or --dry-run) where nobody can be asked", USAGE)
    if not typer.confirm(f"{seen['action']} {seen['count']}?", err=True):
        raise Failed("nothing was done", NO)


def follow(s: Any, batch: str, quiet: bool) -> dict[str, Any]:
    """Until its end, with a bar where somebody looks."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    shown = not quiet and sys.stderr.isatty()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[more]}"),
    )
    with Progress(*columns, console=console(stderr=True), disable=not shown) as bar:
        task = bar.add_task("", total=None, more="")
        while True:
            row: dict[str, Any] = s.get(f"/v1/batches/{batch}")
            done = row["succeeded"] + row["failed"] + row["skipped"]
            more = ", ".join(f"{row[word]} {word}" for word in ("failed", "skipped") if row[word])
            bar.update(task, description=f"{row['action']} {row['status']}", total=row["total"], completed=done, more=more)
            if row.get("ended_at"):
                return row
            if row["status"] == "paused":
                say(f"[yellow]batch {batch} is paused[/] [dim](go on with `{command()} batch resume {batch}`)[/]")
                return row
            time.sleep(_LOOK_S)


def finish(row: dict[str, Any], json: bool) -> None:
    if json:
        as_json(row)
        raise typer.Exit(NO if row["failed"] else 0)
    facts({k: row.get(k) for k in ("id", "status", "total", "succeeded", "failed", "skipped")})
    if row["failed"]:
        text = f"{row['failed']} of {row['total']} failed"
        raise Failed(text, NO, f"see why with `{command()} batch items {row['id']} --status failed`", row)

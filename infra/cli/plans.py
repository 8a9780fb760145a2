"""What would happen, by a dry run, as tables."""

from __future__ import annotations

from typing import Any

from flowledger.infra.cli.output import as_json, console, table

#: list of a plan -> its heading, and columns in their order
TABLES: dict[str, tuple[str, list[str | tuple[str, str]]]] = {
    "cancelled": ("Would be withdrawn", ["kind", "key", "element", "type", "job_type", "name", "due", "by"]),
    "ended": ("Would have done its work", ["kind", "key", "element", "by"]),
    "moved": ("Would move", ["kind", "key", ("element", "from, to"), "scope"]),
    "created": ("Would be created", ["kind", "key", "element", "type", "job_type", "scope", "code", "message"]),
    "armed": ("Would be armed", ["kind", "key", "element", "type", "name", "correlation", "due"]),
    "changed": (
        "Would change",
        ["kind", "key", "element", "scope", "names", "status", "paused", "definition", "version", "due", "name", "job_type"],
    ),
    "told": ("Other partitions would be asked", ["partition", "command", "key"]),
    "left": ("Stands then", ["instance", "token", "element", "waits", "flows"]),
}


def show_plan(plan: dict[str, Any]) -> None:
    """Tables of what would happen."""
    out = console()
    for name, (heading, columns) in TABLES.items():
        if rows := plan.get(name):
            more = plan["counts"][name] - len(rows)
            table(rows, columns, title=f"{heading}: {plan['counts'][name]}" + (f" (the first {len(rows)})" if more else ""))
    for warning in plan.get("warnings") or ():
        out.print(f"[yellow]![/] {warning}")
    if plan.get("continues"):
        out.print("[yellow]![/] more follows in later steps, which can't be shown")


def show_plans(plans: list[dict[str, Any]], json: bool) -> None:
    """Of commands that follow one another, each as things are now."""
    if json:
        as_json(plans[0] if len(plans) == 1 else {"plans": plans})
        return
    for plan in plans:
        show_plan(plan)

"""Dry runs over HTTP: `?dry_run=true` on a change answers with its plan, `?plan=HASH` on the change itself says that this plan was seen."""

from __future__ import annotations

import re
from typing import Any

from litestar import Request, Response

from flowledger.api.edge import reply, time_text
from flowledger.api.problems import malformed
from flowledger.events.commands import DRY_RUN

#: parameters of routes with the option `previews`
PARAMETERS = ("dry_run", "plan")
PLAN_PATTERN = "^[0-9a-f]{24}$"
_PLAN = re.compile("[0-9a-f]{24}")


class Previewed(Exception):
    """The command was a dry run: its plan is the answer of the route."""

    def __init__(self, plan: dict[str, Any]) -> None:
        super().__init__("a dry run")
        self.plan = plan


def asked(connection: Any) -> str:
    """`Request.plan` as the query says. Raises: Problem (400)."""
    query = connection.query_params
    dry_run, plan = query.get("dry_run", "false"), query.get("plan")
    if dry_run not in ("true", "false"):
        raise malformed(f"true or false was expected, found {dry_run[:20]!r}", "query dry_run")
    if plan is not None and not _PLAN.fullmatch(plan):
        raise malformed(f"the `plan` that a dry run answered was expected, found {plan[:40]!r}", "query plan")
    return DRY_RUN if dry_run == "true" else plan or ""


def plan_view(plan: dict[str, Any]) -> dict[str, Any]:
    """Times as texts; new keys stay `+1`, `+2` ..., since they are not given yet."""
    lists = {name: [_row(row) for row in rows] if isinstance(rows, list) else rows for name, rows in plan.items()}
    return {**lists, "position": None}


def _row(row: Any) -> Any:
    if not isinstance(row, dict) or "due_us" not in row:
        return row
    due = row["due_us"]
    told = [time_text(d) for d in due] if isinstance(due, list) else time_text(due)
    return {("due" if name == "due_us" else name): (told if name == "due_us" else value) for name, value in row.items()}


def preview_handler(request: Request[Any, Any, Any], previewed: Previewed) -> Response[Any]:
    return reply(plan_view(previewed.plan))

"""The verbs that steer instances: each is asked first (a dry run), shown as tables, and applied as it was shown, once somebody says yes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from flowledger.infra.cli.options import CONTROL, DryRun, Id, Json, Reason, ServerUrl, Vars, Yes
from flowledger.infra.cli.output import NO, USAGE, agree, as_json, console, facts, fail, table
from flowledger.infra.cli.plans import show_plan

Force = Annotated[bool, typer.Option("--force", help="Though it leaves what would never go on")]


def _done(done: str) -> Callable[[dict[str, Any]], None]:
    def tell(answer: dict[str, Any]) -> None:
        for warning in answer.get("warnings") or ():
            console().print(f"[yellow]![/] {warning}")
        console().print(f"[green]✓[/] {done}")

    return tell


def operate(
    server: str, path: str, body: dict[str, Any], done: str | Callable[[dict[str, Any]], None], *, dry_run: bool, yes: bool, json: bool,
    show: Callable[[dict[str, Any]], None] = show_plan, in_query: bool = False,
) -> None:  # fmt: skip
    """Ask, show, let somebody say yes, apply what was shown. `done`: what is said then, or says it. `in_query`: whether it is a dry run, or by which plan, stands
    in the address, not in the body."""
    from flowledger.infra.cli.server import Server

    s = Server(server)
    seen: dict[str, Any] = {}
    if dry_run or not yes:
        plan = s.call("POST", path, body, {"dry_run": "true"}) if in_query else s.post(path, {**body, "dry_run": True})
        if dry_run and json:
            as_json(plan)
            return
        if dry_run or not json:
            show(plan)
        if dry_run:
            facts({"plan": plan["plan"]})
            return
        agree("Do it?", "nothing was done")
        seen = {"plan": plan["plan"]}
    answer = s.call("POST", path, body if in_query else {**body, **seen}, seen if in_query else None, s.new_id())
    if json:
        as_json(answer)
        return
    (_done(done) if isinstance(done, str) else done)(answer)


# --- modify -------------------------------------------------------------------------------------------------------------


def modify(
    id: Id,
    activate: Annotated[
        list[str] | None,
        typer.Option("--activate", metavar="ELEMENT[@SCOPE]", help="A token begins here, in the scope of that token; may be repeated"),
    ] = None,
    cancel: Annotated[
        list[str] | None,
        typer.Option("--cancel", "--terminate", metavar="TOKEN|ELEMENT", help="Withdraw a token, or all at an element; may be repeated"),
    ] = None,
    move: Annotated[
        list[str] | None,
        typer.Option("--move", metavar="TOKEN|ELEMENT:ELEMENT", help="Move a token, or all at an element; may be repeated"),
    ] = None,
    vars: Vars = "",
    force: Force = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Move the tokens of an instance by hand, in one step. `--vars` go to the activated elements."""
    from flowledger.infra.cli.daily import variables

    values = variables(vars) or None
    given: dict[str, Any] = {} if values is None else {"variables": values}
    instructions: list[dict[str, Any]] = []
    for each in activate or ():
        element, _, scope = each.partition("@")
        instructions.append({"activate": element, **({"scope": scope} if scope else {}), **given})
    for each in move or ():
        source, colon, target = each.rpartition(":")
        if not (source and colon and target):
            fail(f"--move must be FROM:TO, found {each!r}", USAGE)
        instructions.append({"move": {"from": source, "to": target}, **given})
    instructions += [{"cancel": each} for each in cancel or ()]
    if not instructions:
        fail("--activate, --move or --cancel was expected, found none", USAGE)
    body = {"instructions": instructions, "reason": reason, "force": force}
    operate(server, f"/v1/instances/{id}/modify", body, f"instance {id} is modified", dry_run=dry_run, yes=yes, json=json)


# --- migrate ------------------------------------------------------------------------------------------------------------


def migrate(
    id: Id,
    to: Annotated[str, typer.Option("--to", metavar="KEY", help="Definition's key, or process id: its newest version")],
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="OLD=NEW", help="Elements that have another id there; `OLD=` withdraws what stands there; may be repeated"
        ),
    ] = None,
    plan: Annotated[str, typer.Option("--mapping", metavar="JSON", help="A whole mapping as a JSON object, @FILE, or - for stdin")] = "",
    propose: Annotated[bool, typer.Option("--propose", help="Only show which element becomes which, to be edited")] = False,
    timers: Annotated[
        str,
        typer.Option("--timers", help="keep their moments, restart them by the other version, or recount them by it from their beginning"),
    ] = "keep",
    tasks: Annotated[str, typer.Option("--tasks", help="keep, or renew them by the other version")] = "keep",
    force: Force = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Let an instance go on under another version."""
    from flowledger.infra.cli.daily import variables

    if propose:
        _propose(server, id, to, json)
        return
    elements: dict[str, Any] = {}
    if plan and (
        not isinstance(elements := variables(plan, "--mapping"), dict)
        or not all(isinstance(v, str) or v is None for v in elements.values())
    ):
        fail("--mapping must be a JSON object of element ids", USAGE)
    for each in mapping or ():
        old, equals, new = each.partition("=")
        if not (old and equals):
            fail(f"--map must be OLD=NEW, found {each!r}", USAGE)
        elements[old] = new
    body = {"to": to, "mapping": elements, "timers": timers, "tasks": tasks, "reason": reason, "force": force}
    operate(server, f"/v1/instances/{id}/migrate", body, f"instance {id} goes on under {to}", dry_run=dry_run, yes=yes, json=json)


def _propose(server: str, id: str, to: str, json: bool) -> None:
    from flowledger.infra.cli.server import Server

    s = Server(server)
    found = s.post("/v1/migrations/plan", {"from": s.get(f"/v1/instances/{id}")["definition"], "to": to})
    if json:
        as_json(found["mapping"])
    else:
        table(found["rows"], ["from", "to", "kind", "name", "by", "note"])


def rollback(
    id: Id,
    steps: Annotated[int, typer.Option("--steps", min=0, help="So many steps back")] = 0,
    to: Annotated[
        str, typer.Option("--to", metavar="ELEMENT|POSITION", help="To where a token waited there last, or to a position of the history")
    ] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Undo the last change by hand, while nothing has moved since")] = False,
    compensate: Annotated[
        bool, typer.Option("--compensate", help="Run the compensation handlers of what has completed since first")
    ] = False,
    force: Force = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Let an instance be as it was. What was done outside since is told."""
    if bool(steps) + bool(to) + undo != 1:
        fail("one of --steps, --to and --undo was expected", USAGE)
    body = {"steps": steps or None, "to": to or None, "undo": undo, "compensate": compensate, "force": force, "reason": reason}
    operate(server, f"/v1/instances/{id}/rollback", body, f"instance {id} is rolled back", dry_run=dry_run, yes=yes, json=json)


def rerun(
    id: Id,
    element: Annotated[str, typer.Argument(metavar="ELEMENT")],
    scope: Annotated[str, typer.Option("--scope", metavar="TOKEN", help="In the scope of this token")] = "",
    vars: Vars = "",
    force: Force = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Run a step of an instance again, with what depends on it."""
    from flowledger.infra.cli.daily import variables

    body = {"element": element, "scope": scope or None, "variables": variables(vars) or None, "force": force, "reason": reason}
    operate(server, f"/v1/instances/{id}/rerun", body, f"'{element}' of instance {id} runs again", dry_run=dry_run, yes=yes, json=json)


_ENDED = ("completed", "failed", "cancelled", "terminated")


def restart(
    id: Id,
    at: Annotated[
        list[str] | None, typer.Option("--at", metavar="ELEMENT", help="Begin here; may be repeated (none: at the start)")
    ] = None,
    to: Annotated[str, typer.Option("--to", metavar="KEY|ID", help="Under this definition (none: the version that it had)")] = "",
    initial: Annotated[bool, typer.Option("--initial", help="With the variables that it began with, not those of its end")] = False,
    vars: Vars = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Start an ended instance once more: a new instance with its business key and variables, from its start or at elements."""
    from flowledger.infra.cli.daily import variables
    from flowledger.infra.cli.server import Server

    row = Server(server).get(f"/v1/instances/{id}")
    if row["status"] not in _ENDED:
        fail(f"instance {id} has not ended: it is {row['status']}; roll it back, or modify it", NO)
    had = row["input"] if initial else row["variables"]
    body = {
        "definition": to or row["definition"], "business_key": row["business_key"] or "", "start_at": at or None,
        "variables": {**(had or {}), **(variables(vars) or {})}, "metadata": {**(row["metadata"] or {}), "restart_of": id},
    }  # fmt: skip

    def begins(answer: dict[str, Any]) -> None:
        console().print(f"[green]✓[/] instance {answer['id']} begins in the place of {id}")

    operate(server, "/v1/instances", body, begins, dry_run=dry_run, yes=yes, json=json, in_query=True)


VERBS: tuple[Any, ...] = (modify, migrate, rollback, rerun, restart)


def register(app: typer.Typer) -> None:
    for verb in VERBS:
        app.command(rich_help_panel=CONTROL)(verb)

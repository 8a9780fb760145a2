"""The verbs that repair: variables, tasks, tokens, versions, definitions. Options and the few requests that each is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from flowledger.infra.cli import batches, letters, plans, triggers, views, webhooks
from flowledger.infra.cli.lists import move
from flowledger.infra.cli.options import DryRun, Id, Json, Limit, Reason, ServerUrl, Vars
from flowledger.infra.cli.output import NO, USAGE, as_json, console, facts, fail, table

REPAIR = "Repair"
Task = Annotated[str, typer.Argument(metavar="TASK")]
variables_app = typer.Typer(help="Variables of an instance: get and set.", no_args_is_help=True)
definitions_app = typer.Typer(help="What is deployed: list, show, publish, deprecate, delete.", no_args_is_help=True)


# --- variables ----------------------------------------------------------------------------------------------------------


@variables_app.command("get")
def get_variables(
    id: Id,
    name: Annotated[str, typer.Argument(help="One of them; none: all")] = "",
    every: Annotated[bool, typer.Option("--all", help="Of all scopes (sub-processes, tasks)")] = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Variables of an instance."""
    from flowledger.infra.cli.server import Server

    found = Server(server).get(f"/v1/instances/{id}/variables")
    values = found["variables"]
    if name:
        if name not in values:
            fail(f"instance {id} has no variable {name}; it has {', '.join(sorted(values)) or 'none'}", NO)
        as_json(values[name])
    elif every and not json:
        table(found["items"], ["scope_key", "scope", "name", "type", "value"], empty="no variables")
    elif json:
        as_json(found["items"] if every else values)
    else:
        facts(values)


@variables_app.command("set")
def set_variables(
    id: Id,
    vars: Vars,
    scope: Annotated[str, typer.Option("--scope", metavar="TOKEN", help="Begin at this scope [default: the instance]")] = "",
    local: Annotated[bool, typer.Option("--local", help="In that scope itself, not where the name is found")] = False,
    reason: Reason = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Set variables of an instance."""
    from flowledger.infra.cli.daily import variables
    from flowledger.infra.cli.server import Server

    values = variables(vars)
    if not values:
        fail("--vars must name at least one variable, such as '{\"amount\": 120}'", USAGE)
    body = {"variables": values, "scope": scope or None, "local": local, "reason": reason}
    answer = Server(server).call("PATCH", f"/v1/instances/{id}/variables", body)
    _said(answer, f"{', '.join(values)} {'is' if len(values) == 1 else 'are'} set in {id}", json)


# --- tasks --------------------------------------------------------------------------------------------------------------


def _said(answer: Any, done: str, json: bool) -> None:
    if json:
        as_json(answer)
    else:
        console().print(f"[green]✓[/] {done}")


def claim(task: Task, to: Annotated[str, typer.Option("--for", metavar="USER", help="Somebody else [default: you]")] = "", reason: Reason = "",
          server: ServerUrl = "", json: Json = False) -> None:  # fmt: skip
    """Take a task."""
    from flowledger.infra.cli.daily import verb

    verb(server, f"tasks/{task}/claim", {"reason": reason, "assignee": to or None}, f"task {task} is claimed", json)


def assign(task: Task, user: Annotated[str, typer.Argument(metavar="USER")], reason: Reason = "", server: ServerUrl = "",
           json: Json = False) -> None:  # fmt: skip
    """Give a task to somebody."""
    from flowledger.infra.cli.daily import verb

    verb(server, f"tasks/{task}/assign", {"reason": reason, "assignee": user}, f"task {task} is {user}'s", json)


def release(
    id: Annotated[
        str,
        typer.Argument(metavar="HOLD|TASK|INSTANCE", help="A hold, a task that somebody holds, or an instance in quarantine"),
    ],
    reason: Reason = "",
    rate: Annotated[int, typer.Option("--rate", min=0, help="Of a hold: so many instances a second; 0: as fast as it goes")] = 0,
    wait: Annotated[bool, typer.Option("--wait", help="Of a hold: until everything goes on")] = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Let what a hold held go on, give a task back to its candidates, or let an instance out of quarantine."""
    from flowledger.infra.cli import holds
    from flowledger.infra.cli.server import Server, problem

    s, first = Server(server), None
    for noun in ("holds",) if rate or wait else ("tasks", "instances", "holds"):
        body = {"reason": reason, **({"rate": rate} if noun == "holds" else {})}
        status, answer = s.ask("POST", f"/v1/{noun}/{id}/release", body, headers=s.new_id())
        if status < 400:
            break
        if status != 404:
            problem(status, answer)
        first = first or (status, answer)
    else:
        problem(*(first or (status, answer)))
    if noun != "holds":
        _said(answer, f"{id} is released", json)
        return
    if wait:
        answer["status"] = holds.until_released(s, id, answer.get("position") or "")
    done = "is released" if answer["status"] == "released" else f"is being released{f', {rate} instances a second' if rate else ''}"
    _said(answer, f"hold {id} {done}", json)


def retry(
    task: Task,
    retries: Annotated[int, typer.Option("--retries", min=1, help="Attempts that it gets")] = 3,
    reason: Reason = "",
    dry_run: DryRun = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Try a failed task again, and resolve its incident."""
    from flowledger.infra.cli.server import Server, problem

    s = Server(server)
    open_ = [
        i for i in s.pages("/v1/incidents", 0, status="open", instance=s.get(f"/v1/tasks/{task}").get("instance")) if i.get("task") == task
    ]
    query = {"dry_run": "true"} if dry_run else None
    status, answer = s.ask("POST", f"/v1/tasks/{task}/retry", {"reason": reason, "retries": retries}, query, s.new_id())
    if status == 409:  # a job that has no attempts left isn't failed: it gets new ones, then its incident is resolved
        status, answer = s.ask("POST", f"/v1/jobs/{task}/retries", {"retries": retries}, query, s.new_id())
    if status >= 400:
        problem(status, answer)
    if dry_run:
        follow = (s.call("POST", f"/v1/incidents/{i['id']}/resolve", None, query) for i in open_)
        plans.show_plans([answer, *follow], json)
        return
    for incident in open_:
        status, found = s.ask("POST", f"/v1/incidents/{incident['id']}/resolve", None, headers=s.new_id())
        if status >= 400 and status != 404:  # 404: the retry has resolved it
            problem(status, found)
    _said(answer, f"task {task} is tried again", json)


# --- definitions ----------------------------------------------------------------------------------------------------------

DefinitionId = Annotated[str, typer.Argument(metavar="KEY", help="Its key, or its id in the model: the newest version")]
COLUMNS: list[str | tuple[str, str]] = [
    "definition_id",
    "key",
    "kind",
    "version",
    "version_tag",
    "status",
    "name",
    ("created_at", "created"),
]


@definitions_app.command("list")
def list_definitions(
    name: Annotated[str, typer.Argument(help="Part of the name, or the id")] = "",
    latest: Annotated[bool, typer.Option("--latest", help="Of each only the newest version")] = False,
    kind: Annotated[str, typer.Option("--kind", help="process, decision, drg, form or trigger")] = "",
    status: Annotated[list[str] | None, typer.Option("--status", help="draft, published ...; may be repeated")] = None,
    limit: Limit = 50,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """List definitions, newest version first."""
    from flowledger.infra.cli.server import Server

    query = {"name": name, "latest": "true" if latest else "", "kind": kind, "status": status}
    rows = list(Server(server).pages("/v1/definitions", limit, **query))
    if json:
        as_json(rows)
    else:
        table(rows, COLUMNS, empty="no definitions")


@definitions_app.command("show")
def show_definition(
    id: DefinitionId,
    source: Annotated[bool, typer.Option("--source", help="Print the model itself")] = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """A definition with its versions, or its model."""
    from flowledger.infra.cli.server import Server

    s = Server(server)
    if source:
        print(s.get(f"/v1/definitions/{id}/source"))
        return
    found = s.get(f"/v1/definitions/{id}")
    if json:
        as_json(found)
        return
    names = ("definition_id", "key", "kind", "name", "version", "version_tag", "status", "resource", "created_at", "created_by")
    facts({k: found.get(k) for k in names})
    table(found["versions"], ["version", "key", "status", "version_tag", "created_at"], title="\nversions")


move(definitions_app, "definitions/{}", DefinitionId, "publish", "{} is published", "Let a draft be started.")
move(definitions_app, "definitions/{}", DefinitionId, "deprecate", "{} is deprecated", "No new instances; running ones go on.")
move(definitions_app, "definitions/{}", DefinitionId, "archive", "{} is archived", "Put a deprecated one away.")


@definitions_app.command("delete")
def delete_definition(id: DefinitionId, reason: Reason = "", server: ServerUrl = "", json: Json = False) -> None:
    """Hide a definition. Refused while instances run."""
    from flowledger.infra.cli.server import Server

    s = Server(server)
    answer = s.call("DELETE", f"/v1/definitions/{id}", query={"reason": reason}, headers=s.new_id())
    _said(answer, f"{id} is deleted", json)


def register(app: typer.Typer) -> None:
    commands: tuple[Callable[..., None], ...] = (claim, assign, release, retry)
    for command in commands:
        app.command(rich_help_panel=REPAIR)(command)
    app.add_typer(variables_app, name="variables", rich_help_panel=REPAIR)
    app.add_typer(definitions_app, name="definitions", rich_help_panel=REPAIR)
    app.add_typer(letters.app, name="dead-letters", rich_help_panel=REPAIR)
    app.add_typer(batches.app, name="batch", rich_help_panel=REPAIR)
    app.add_typer(triggers.app, name="triggers", rich_help_panel=REPAIR)
    app.add_typer(webhooks.app, name="webhooks", rich_help_panel=REPAIR)
    app.add_typer(views.app, name="views", rich_help_panel=REPAIR)

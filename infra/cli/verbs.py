"""The daily verbs: start, look, complete, repair. Options only; `daily.py` does the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from flowledger.infra.cli.options import LOOK, WORK, Id, Json, Limit, Reason, ServerUrl, Vars, Yes


def start(
    definition: Annotated[str, typer.Argument(metavar="KEY", help="Process id, or a definition's key")],
    vars: Vars = "",
    business_key: Annotated[str, typer.Option("--business-key", metavar="K")] = "",
    version: Annotated[int, typer.Option(help="0: the latest")] = 0,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended; print its variables")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait with --wait")] = 60,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Start an instance."""
    from flowledger.infra.cli import daily

    daily.start(server, definition, vars, business_key, version, wait, timeout, json)


def instances(
    definition: Annotated[str, typer.Option("--definition", help="Process id, or a definition's key")] = "",
    status: Annotated[list[str] | None, typer.Option("--status", help="running, completed ...; may be repeated")] = None,
    business_key: Annotated[str, typer.Option("--business-key")] = "",
    incident: Annotated[bool, typer.Option("--incident", help="Only those with an incident")] = False,
    var: Annotated[list[str] | None, typer.Option("--var", metavar="NAME[op]=VALUE", help="Filter by a variable; may be repeated")] = None,
    where: Annotated[str, typer.Option("--where", metavar="FEEL", help='Such as: order.amount > 100 or run.status = "failed"')] = "",
    text: Annotated[str, typer.Option("--text", help="The value of any variable, an id, a process, the beginning of a business key")] = "",
    limit: Limit = 50,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """List instances, newest first."""
    from flowledger.infra.cli import daily

    found = {"definition": definition, "status": status, "business_key": business_key, "where": where, "text": text}
    daily.instances(server, found, incident, var, limit, json)


Clear = Annotated[
    str, typer.Option("--clear", metavar="WHY", help="Protected values in clear text (right protected:read); the reason is written down")
]


def show(id: Id, clear: Clear = "", server: ServerUrl = "", json: Json = False) -> None:
    """An instance: progress, where it stands, variables, tasks, incidents."""
    from flowledger.infra.cli import daily

    daily.show(server, id, clear, json)


def tasks(
    assignee: Annotated[str, typer.Option("--assignee")] = "",
    group: Annotated[str, typer.Option("--group", help="A candidate group")] = "",
    instance: Annotated[str, typer.Option("--instance")] = "",
    about: Annotated[str, typer.Option("--about", help="What they are about begins so")] = "",
    status: Annotated[list[str] | None, typer.Option("--status", help="created, assigned ...; may be repeated")] = None,
    every: Annotated[bool, typer.Option("--all", help="Those that are done too")] = False,
    limit: Limit = 50,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """List tasks that are to be done."""
    from flowledger.infra.cli import daily

    daily.tasks(server, assignee, group, instance, about, status, every, limit, json)


def complete(task: Annotated[str, typer.Argument(metavar="TASK")], vars: Vars = "", server: ServerUrl = "", json: Json = False) -> None:
    """Complete a task."""
    from flowledger.infra.cli import daily

    daily.verb(server, f"tasks/{task}/complete", {"variables": daily.variables(vars)}, f"task {task} is completed", json)


def cancel(
    id: Id,
    reason: Reason = "",
    force: Annotated[bool, typer.Option("--force", help="End at once, without cancel handlers and compensation")] = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Cancel an instance."""
    from flowledger.infra.cli import daily

    daily.verb(server, f"instances/{id}/cancel", {"reason": reason, "force": force}, f"instance {id} is cancelled", json)


def suspend(id: Id, reason: Reason = "", server: ServerUrl = "", json: Json = False) -> None:
    """Let an instance stand still."""
    from flowledger.infra.cli import daily

    daily.verb(server, f"instances/{id}/suspend", {"reason": reason}, f"instance {id} is suspended", json)


def comment(
    id: Id,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is to be read by all who see it")],
    element: Annotated[str, typer.Option("--element", help="Of this element")] = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Say something of an instance; it stands in its history."""
    from flowledger.infra.cli import daily

    daily.verb(server, f"instances/{id}/comment", {"text": text, "element": element}, f"said of instance {id}", json)


def resume(id: Id, reason: Reason = "", server: ServerUrl = "", json: Json = False) -> None:
    """Let a suspended instance go on."""
    from flowledger.infra.cli import daily

    daily.verb(server, f"instances/{id}/resume", {"reason": reason}, f"instance {id} goes on", json)


def delete(
    id: Id,
    reason: Reason = "",
    yes: Yes = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Delete an ended instance from the views, for good. The ledger keeps its events."""
    from flowledger.infra.cli import daily
    from flowledger.infra.cli.output import agree

    if not yes:
        agree(f"delete instance {id} from the views, for good?", "nothing was deleted")
    daily.delete(server, id, reason, json)


def publish(
    name: Annotated[str, typer.Argument(help="Of the message")],
    key: Annotated[str, typer.Option("--key", help="Correlation key")] = "",
    vars: Vars = "",
    ttl: Annotated[int, typer.Option("--ttl", metavar="MS", help="Kept that long for who comes to wait for it")] = 0,
    message_id: Annotated[str, typer.Option("--id", help="A second message with this id is refused")] = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Publish a message."""
    from flowledger.infra.cli import daily

    body = {"name": name, "correlation_key": key, "variables": daily.variables(vars), "ttl_ms": ttl, "message_id": message_id}
    daily.verb(server, "messages", body, f"message {name} is published", json)


def signal(name: Annotated[str, typer.Argument()], vars: Vars = "", server: ServerUrl = "", json: Json = False) -> None:
    """Broadcast a signal."""
    from flowledger.infra.cli import daily

    daily.verb(server, "signals", {"name": name, "variables": daily.variables(vars)}, f"signal {name} is broadcast", json)


def incidents(
    every: Annotated[bool, typer.Option("--all", help="Resolved ones too")] = False,
    instance: Annotated[str, typer.Option("--instance")] = "",
    groups: Annotated[bool, typer.Option("--groups", help="By their cause: how many, since when")] = False,
    group: Annotated[str, typer.Option("--group", metavar="GROUP", help="Those of one cause")] = "",
    chain: Annotated[str, typer.Option("--chain", metavar="INCIDENT", help="The way from an incident up to its root instance")] = "",
    limit: Limit = 50,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """List incidents."""
    from flowledger.infra.cli import causes, daily

    if chain:
        causes.chain(server, chain, json)
    elif groups:
        causes.groups(server, every, limit, json)
    else:
        daily.incidents(server, every, instance, group, limit, json)


def resolve(
    key: Annotated[str, typer.Argument(metavar="INCIDENT")] = "",
    group: Annotated[str, typer.Option("--group", metavar="GROUP", help="All open ones of one cause, as a batch")] = "",
    vars: Vars = "",
    retries: Annotated[int, typer.Option("--retries", min=0, help="With --group: attempts that their jobs get; 0: one")] = 0,
    rate: Annotated[int, typer.Option("--rate", min=0, help="With --group: so many a second; 0: as fast as it goes")] = 0,
    reason: Reason = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would happen")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --group: don't ask")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="With --group: don't wait for its end")] = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Resolve an incident, or all of one cause: the element is tried again. With --group, --vars are set where each is, before."""
    from flowledger.infra.cli import causes, daily

    if group:
        causes.resolve(server, key, group, vars, retries, rate, reason, dry_run, yes, detach, json)
    else:
        causes.one(key, vars, retries, rate, reason, yes, detach)
        if dry_run:
            causes.shown(server, key, json)
            return
        daily.verb(server, f"incidents/{key}/resolve", None, f"incident {key} is resolved", json)


def history(
    id: Id,
    at: Annotated[str, typer.Option("--at", metavar="TIME|POSITION", help="Fold the state as it was then")] = "",
    limit: Limit = 0,
    clear: Clear = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Events of an instance, and the folded state at that moment."""
    from flowledger.infra.cli import daily

    daily.history(server, id, at, limit, clear, json)


def register(app: typer.Typer) -> None:
    work: tuple[Callable[..., None], ...] = (start, complete, cancel, suspend, resume, comment, delete, publish, signal, resolve)
    look: tuple[Callable[..., None], ...] = (instances, show, tasks, incidents, history)
    for panel, commands in ((WORK, work), (LOOK, look)):
        for command in commands:
            app.command(rich_help_panel=panel)(command)

"""Webhooks: put, list, show, try, pause, resume, delete; what they have sent, and what nobody took."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flowledger.infra.cli.lists import listed, move
from flowledger.infra.cli.options import Json, Limit, Reason, ServerUrl
from flowledger.infra.cli.output import as_json, console, facts, table

app = typer.Typer(
    help="Webhooks: put, list, show, try, pause, resume, delete; what they have sent, and what nobody took.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(metavar="WEBHOOK")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[EVENT]...", help="Ids of events, such as 0-17")]
#: how long `test` waits for what came of it, and how often it looks (seconds)
TEST_S, LOOK_S = 30.0, 0.3


@app.command()
def put(
    name: Name,
    url: Annotated[str, typer.Option("--url", help="Where events are sent")],
    secret: Annotated[
        list[str], typer.Option("--secret", metavar="NAME", help="Name of a secret that signs; several while one takes the other's place")
    ],
    type: Annotated[list[str] | None, typer.Option("--type", help="Of events, such as workflow.completed or 'task.*'; none: all")] = None,
    definition: Annotated[list[str] | None, typer.Option("--definition", help="Id of a process, or key of a version; none: all")] = None,
    filter: Annotated[str, typer.Option("--filter", metavar="FEEL", help="Only events for which it is true")] = "",
    ordered: Annotated[bool, typer.Option("--ordered", help="Events of an instance one after the other")] = False,
    since: Annotated[str, typer.Option("--since", metavar="POSITION", help="Of a new one: after it; start: from the beginning")] = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Make a webhook, or change it."""
    from flowledger.infra.cli.server import Server

    secrets = [s if s.startswith("{{") else f"{{{{secrets.{s}}}}}" for s in secret]
    body: dict[str, Any] = {
        "url": url, "secrets": secrets, "types": type or [], "definitions": definition or [], "filter": filter, "order": "instance" if ordered else "",
    }  # fmt: skip
    if since:
        body["position"] = since
    answer = Server(server).call("PUT", f"/v1/webhooks/{name}", body)
    if json:
        as_json(answer)
    else:
        console().print(f"[green]✓[/] webhook {name} is {'made' if answer['created'] else 'changed' if answer['changed'] else 'as it was'}")


@app.command("list")
def list_webhooks(limit: Limit = 50, server: ServerUrl = "", json: Json = False) -> None:
    """List webhooks, newest first."""
    listed(server, "/v1/webhooks", limit, json, ["name", "status", "url", "delivered", "failed", "dead", "last_at", "error"], "no webhooks")


@app.command()
def show(name: Name, server: ServerUrl = "", json: Json = False) -> None:
    """A webhook: what it is about, and how far it is."""
    from flowledger.infra.cli.server import Server

    row = Server(server).get(f"/v1/webhooks/{name}")
    if json:
        as_json(row)
    else:
        facts({k: v for k, v in row.items() if k != "position" and v not in (None, "", 0, {}, [])})


@app.command()
def deliveries(
    name: Name,
    outcome: Annotated[str, typer.Option("--outcome", help="delivered, waits, dead or failed")] = "",
    event: Annotated[str, typer.Option("--event", help="Of this event")] = "",
    limit: Limit = 50,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Its last attempts, newest first."""
    columns = ["created_at", "event", "type", "instance", "attempt", "outcome", "code", "ms", "next_at"]
    listed(server, f"/v1/webhooks/{name}/deliveries", limit, json, columns, "nothing was sent yet", outcome=outcome, event=event)


@app.command("dead-letters")
def dead_letters(
    name: Name,
    every: Annotated[bool, typer.Option("--all", help="Those that were sent again or discarded too")] = False,
    limit: Limit = 50,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """What nobody took, newest first."""
    columns = ["event", "status", "type", "instance", "attempt", "code", "created_at"]
    listed(server, f"/v1/webhooks/{name}/dead-letters", limit, json, columns, "no dead letters", status="" if every else "open")


def _settled(server: str, path: str, body: dict[str, Any], json: bool, empty: str) -> None:
    from flowledger.infra.cli.server import Server

    s = Server(server)
    answer = s.post(path, body, **s.new_id())
    if json:
        as_json(answer)
    else:
        table([{"event": k, "outcome": v} for k, v in answer["outcomes"].items()], ["event", "outcome"], empty=empty)


@app.command()
def redeliver(
    name: Name,
    ids: Ids = None,
    dead: Annotated[bool, typer.Option("--dead", help="All dead letters")] = False,
    since: Annotated[str, typer.Option("--since", metavar="POSITION", help="All after it; start: from the beginning")] = "",
    reason: Reason = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Send events again, with the ids that they had."""
    body: dict[str, Any] = {"ids": ids or [], "dead": dead, "reason": reason, **({"position": since} if since else {})}
    _settled(server, f"/v1/webhooks/{name}/redeliver", body, json, "it begins again there" if since else "nothing to send")


@app.command()
def discard(
    name: Name,
    ids: Ids = None,
    dead: Annotated[bool, typer.Option("--dead", help="All dead letters")] = False,
    reason: Reason = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Forget what nobody took."""
    _settled(server, f"/v1/webhooks/{name}/discard", {"ids": ids or [], "dead": dead, "reason": reason}, json, "nothing to discard")


@app.command()
def test(name: Name, server: ServerUrl = "", json: Json = False) -> None:
    """Send an event webhook.test, and say what came of it."""
    import time

    from flowledger.infra.cli.server import Server

    s = Server(server)
    event = s.post(f"/v1/webhooks/{name}/test", {})["event"]
    end = time.monotonic() + TEST_S
    rows: list[dict[str, Any]] = []
    while not rows and time.monotonic() < end:
        time.sleep(LOOK_S)
        rows = list(s.pages(f"/v1/webhooks/{name}/deliveries", 1, event=event))
    if json:
        as_json(rows[0] if rows else {"event": event, "outcome": ""})
    elif rows:
        facts({k: v for k, v in rows[0].items() if v not in (None, "", 0)})
    else:
        console().print(f"{event} was not sent within {TEST_S:.0f} s: is there a process with the role connectors?")
    if not rows or rows[0]["outcome"] != "delivered":
        raise typer.Exit(1)


@app.command()
def delete(name: Name, reason: Reason = "", server: ServerUrl = "", json: Json = False) -> None:
    """Delete a webhook, with what waits and its dead letters."""
    from flowledger.infra.cli.server import Server

    answer = Server(server).call("DELETE", f"/v1/webhooks/{name}", query={"reason": reason})
    if json:
        as_json(answer)
    else:
        console().print(f"[green]✓[/] webhook {name} is deleted")


move(app, "webhooks/{}", Name, "pause", "webhook {} is paused", "Send nothing, and keep its place.")
move(app, "webhooks/{}", Name, "resume", "webhook {} goes on", "Go on where it was.")

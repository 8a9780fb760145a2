"""Rule packs: which are in force and shipped, what they say of what is there already, what they said."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flowledger.infra.cli.evidence import Definition, Since, To, Until, _show
from flowledger.infra.cli.given import file_text
from flowledger.infra.cli.options import Json, Reason, ServerUrl
from flowledger.infra.cli.output import NO, as_json, console, fail, table

app = typer.Typer(help="Rule packs: list, show, check, delete; those that are shipped; what they said.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="PACK")]
_COLUMNS = ["severity", "pack", "rule", "on", "definition", "instance", "task", "element", "who", "message"]


@app.command("list")
def list_packs(server: ServerUrl = "", json: Json = False) -> None:
    """List the packs in force."""
    from flowledger.infra.cli.server import Server

    found: Any = Server(server).get("/v1/rules")["items"]
    if json:
        as_json(found)
    else:
        table([{**p, "rules": len(p["rules"])} for p in found], ["name", "version", "title", "rules"], empty="no rule packs")


@app.command()
def show(name: Name, server: ServerUrl = "", json: Json = False) -> None:
    """A pack with its rules."""
    from flowledger.infra.cli.server import Server

    found: Any = Server(server).get(f"/v1/rules/{name}")
    if json:
        as_json(found)
        return
    console().print(f"[bold]{found['name']}[/] version {found['version']}: {found['title']}\n{found['description']}", highlight=False)
    rows = [{**r, "at": ", ".join(r["at"]), "on_error": r["on_error"] if r["severity"] == "refuse" else ""} for r in found["rules"]]
    table(rows, ["id", "severity", "on", "at", "when", "holds", "message", "on_error"])


@app.command()
def check(
    pack: Annotated[list[str] | None, typer.Option("--pack", metavar="NAME", help="Of those in force; several; without it all")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="A pack that is only tried: what it would say of what is there")
    ] = None,
    on: Annotated[list[str] | None, typer.Option("--on", help="model, instance, task; several; without it all")] = None,
    definition: Definition = "",
    ended: Annotated[bool, typer.Option("--ended", help="Also instances that have ended")] = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """What packs say of models, instances and work that is there already. Ends with 1 where a rule is violated or broken."""
    from flowledger.infra.cli.server import Server

    body: dict[str, Any] = {"packs": pack or [], "on": on or [], "definition": definition, "ended": ended}
    if file is not None:
        body["content"] = file_text(file)
    rows: list[Any] = []
    looked = dict.fromkeys(("models", "instances", "tasks", "hidden"), 0)
    asked, cursor, to = list[str](), "", Server(server)
    while True:
        page: Any = to.call("POST", "/v1/rules/check", {**body, "cursor": cursor})
        rows += page["items"]
        asked = page["packs"]
        looked = {k: n + page["looked"][k] for k, n in looked.items()}
        if not (cursor := page["cursor"] or ""):
            break
    if json:
        as_json({"items": rows, "looked": looked, "packs": asked})
    else:
        table(rows, _COLUMNS, empty="no rule is violated")
        hidden = f"; {looked['hidden']} times a rule was left out, since it reads what is protected" if looked["hidden"] else ""
        said = f"{looked['models']} models, {looked['instances']} instances, {looked['tasks']} tasks of people"
        console().print(f"[dim]{', '.join(asked) or 'no rule pack is in force'}: {said} looked at{hidden}[/]", highlight=False)
    if any(row["outcome"] != "held" for row in rows):
        raise typer.Exit(1)


@app.command()
def delete(name: Name, reason: Reason = "", server: ServerUrl = "", json: Json = False) -> None:
    """Delete a pack with all its versions; what it said stays."""
    from flowledger.infra.cli.lists import deleted

    deleted(server, f"/v1/rules/{name}", json, f"rule pack {name} is deleted", reason=reason)


@app.command()
def verdicts(
    since: Since = "",
    until: Until = "",
    pack: Annotated[str, typer.Option("--pack", metavar="NAME", help="One pack")] = "",
    actor: Annotated[str, typer.Option("--actor", metavar="NAME", help="One person or program")] = "",
    definition: Definition = "",
    to: To = None,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """What rules said in a period, of whom, and what they refused."""
    query = {"since": since, "until": until, "pack": pack, "actor": actor, "definition": definition}
    columns = ["time", "actor", "pack", "version", "rule", "severity", "outcome", "refused", "moment", "process", "instance", "element"]
    _show("rules", query, to, server, json, "items", columns)


@app.command()
def shipped(
    name: Annotated[str, typer.Argument(metavar="[PACK]", help="Without it: which there are")] = "",
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Write it there, to be changed and deployed")] = None,
    deploy: Annotated[bool, typer.Option("--deploy", help="Deploy it as it is")] = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Packs that come with Flowledger: their names, one as text, or deployed."""
    from flowledger.infra import rule_packs

    if not name:
        as_json(rule_packs.names()) if json else table([{"name": n} for n in rule_packs.names()], ["name"])
        return
    try:
        text = rule_packs.text(name)
    except KeyError:
        fail(f"expected one of {', '.join(rule_packs.names())}, found '{name}'", NO)
    if to is not None:
        try:
            to.write_text(text, "utf-8")
        except OSError as e:
            fail(f"{to}: {e.strerror}", NO)
        console().print(f"[green]✓[/] {to}")
    if deploy:
        from flowledger.infra.cli.server import Server

        body = {"resources": [{"name": rule_packs.file_name(name), "content": text}]}
        answer: Any = Server(server).call("POST", "/v1/deployments", body)
        if json:
            as_json(answer)
        else:
            console().print(f"[green]✓[/] rule pack {name} version {answer['definitions'][0]['version']} is in force")
    if to is None and not deploy:
        typer.echo(text, nl=False)

"""People whose data is protected: show, export, erase, hold, holds, lift, consent, consents, withdraw."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from flowledger.infra.cli.options import Json, ServerUrl, Yes
from flowledger.infra.cli.output import NO, agree, as_json, console, facts, fail, table
from flowledger.infra.cli.server import Server

app = typer.Typer(help="People whose data is protected: export it, erase it by destroying the key, legal holds.", no_args_is_help=True)
Ref = Annotated[str, typer.Argument(metavar="SUBJECT", help="The reference, as the model's subject gives it")]
Why = Annotated[str, typer.Option("--reason", help="Why; it is written down")]


@app.command()
def show(ref: Ref, server: ServerUrl = "", json: Json = False) -> None:
    """Whether keys of a subject are there, were destroyed, and may be."""
    row = Server(server).get(f"/v1/subjects/{ref}")
    as_json(row) if json else facts({k: v for k, v in row.items() if v is not None})


@app.command()
def export(
    ref: Ref,
    reason: Why,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="A .html file is a page to be read, any other is JSON")],
    server: ServerUrl = "",
) -> None:
    """All that is kept of a subject, in clear text."""
    body = msgspec.json.encode({"reason": reason, "format": "html" if to.suffix == ".html" else "json"})
    with Server(server).stream("POST", f"/v1/subjects/{ref}/export", BytesIO(body), {"Content_Type": "application/json"}) as answer:
        try:
            to.write_bytes(answer.read())
        except OSError as e:
            fail(f"{to}: {e.strerror}", NO)
    console().print(f"[green]✓[/] {to}")


@app.command()
def erase(ref: Ref, reason: Why, yes: Yes = False, server: ServerUrl = "", json: Json = False) -> None:
    """Destroy the keys of a subject: nothing that was sealed for it can be read any more. The answer is the certificate."""
    if not yes:
        agree(f"destroy the keys of {ref}? This can't be taken back", "nothing was erased")
    row = Server(server).post(f"/v1/subjects/{ref}/erase", {"reason": reason})
    as_json(row) if json else facts(row)


@app.command()
def hold(ref: Ref, reason: Why, server: ServerUrl = "", json: Json = False) -> None:
    """Place a legal hold: the subject can't be erased."""
    row: Any = Server(server).call("PUT", f"/v1/legal-holds/{ref}", {"reason": reason})
    as_json(row) if json else facts(row)


@app.command()
def lift(ref: Ref, server: ServerUrl = "") -> None:
    """Lift a legal hold."""
    Server(server).call("DELETE", f"/v1/legal-holds/{ref}")
    console().print("[green]✓[/] it is lifted")


@app.command()
def holds(server: ServerUrl = "", json: Json = False) -> None:
    """Legal holds."""
    rows = list(Server(server).pages("/v1/legal-holds", 0))
    as_json(rows) if json else table(rows, ["subject", "reason", "by", "since"], empty="no legal holds")


Purpose = Annotated[str, typer.Argument(metavar="PURPOSE", help="What is agreed to")]


@app.command()
def consent(
    ref: Ref,
    purpose: Purpose,
    how: Annotated[str, typer.Option("--how", help="What shows it, such as the version of a form; nothing of the person")],
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="It is over then")] = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Record what a subject has agreed to."""
    row: Any = Server(server).call("PUT", f"/v1/subjects/{ref}/consents/{purpose}", {"how": how, **({"until": until} if until else {})})
    as_json(row) if json else facts({k: v for k, v in row.items() if v not in (None, "")})


@app.command()
def consents(ref: Ref, server: ServerUrl = "", json: Json = False) -> None:
    """What a subject has agreed to, also what is over or withdrawn."""
    rows = Server(server).get(f"/v1/subjects/{ref}/consents")["items"]
    columns = ["purpose", "in_force", "given_at", "until", "withdrawn_at", "how", "by"]
    as_json(rows) if json else table(rows, columns, empty="no consents")


@app.command()
def withdraw(
    ref: Ref,
    purpose: Purpose,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is written down")] = "",
    server: ServerUrl = "",
) -> None:
    """Withdraw a consent; the record stays."""
    Server(server).call("DELETE", f"/v1/subjects/{ref}/consents/{purpose}", None, {"reason": reason} if reason else {})
    console().print("[green]✓[/] it is withdrawn")

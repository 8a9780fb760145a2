"""Options that commands share: each is said once."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="JSON for programs")]
ServerUrl = Annotated[
    str, typer.Option("--server", metavar="URL", help="The server [env: FLOWLEDGER_SERVER; default: http://127.0.0.1:8080]")
]
Vars = Annotated[str, typer.Option("--vars", metavar="JSON", help="A JSON object, @FILE, or - for stdin")]
Reason = Annotated[str, typer.Option("--reason", help="Goes on the record")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Rows at most; 0: all")]
Id = Annotated[str, typer.Argument(metavar="ID")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would happen")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask")]
WORK, LOOK, CONTROL = "Daily work", "Look", "Control"

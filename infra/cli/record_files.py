"""Files that have one record each, with its name: capabilities, API profiles, KPIs, alerts, saved reports. `flowledger deploy` takes those of
`KINDS`, as `put` of their nouns does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from flowledger.infra.cli.given import file_text
from flowledger.infra.cli.options import Json, ServerUrl
from flowledger.infra.cli.output import NO, as_json, console, fail

Row = dict[str, Any]


def read(file: Path) -> tuple[str, Row]:
    """Name and record of a file."""
    import yaml

    try:
        found = yaml.safe_load(file_text(file))
    except (yaml.YAMLError, RecursionError) as e:
        fail(f"{file}: {e}", NO)
    if not isinstance(found, dict) or not isinstance(name := found.pop("name", None), str):
        fail(f"{file}: expected an object with a name", NO)
    return name, found


class Kind(NamedTuple):
    """`word`: `*.WORD.yaml` are its files. `path`: where its records are put, by name. `kept`: what is told of an answer beside the name; `said`: for people."""

    word: str
    path: str
    kept: tuple[str, ...]
    said: Callable[[Row], str]

    def of(self, files: list[Path]) -> list[Path]:
        """Those of its kind."""
        ends = tuple(f".{self.word}.{suffix}" for suffix in ("yaml", "yml", "json"))
        return [f for f in files if f.name.endswith(ends)]

    def problems(self, file: Path) -> list[str]:
        """What is wrong with one, seen without a server."""
        from flowledger.kernel.alerts import rule
        from flowledger.kernel.tasks import registry

        name, record = read(file)
        if self is not ALERTS:
            return registry.problems(self.word, name, record)
        return [wrong] if (wrong := rule.problem(name, record)) else []

    def records(self, files: list[Path]) -> dict[str, Row]:
        """Name -> record. Fails where two have one name."""
        found: dict[str, Row] = {}
        for file in files:
            name, record = read(file)
            if name in found:
                fail(f"{file}: {self.word} '{name}' stands in another file, too", NO)
            found[name] = record
        return found

    def store(self, server: Any, files: list[Path]) -> list[Row]:
        """What is told of each. All are read before the first is put."""
        found = [read(file) for file in files]
        answers = [(name, server.call("PUT", f"{self.path}/{name}", record)) for name, record in found]
        return [{"name": name, **{k: answer[k] for k in self.kept}} for name, answer in answers]

    def show(self, stored: list[Row]) -> None:
        for each in stored:
            console().print(f"[green]✓[/] {self.said(each)}")

    def put(self, app: typer.Typer, record: str, help: str) -> None:
        """As a command. `record`: what a file has beside its name."""
        files = typer.Argument(metavar="FILE...", help=f"*.{self.word}.yaml or .json: `name` and the {record}")

        def command(files: list[Path], server: ServerUrl = "", json: Json = False) -> None:
            from flowledger.infra.cli.server import Server

            found = self.store(Server(server), files)
            if json:
                as_json(found)
            else:
                self.show(found)

        command.__annotations__["files"] = Annotated[list[Path], files]
        app.command("put", help=help)(command)


PROFILES = Kind("profile", "/v1/profiles", ("version",), lambda r: f"API profile {r['name']} version {r['version']}")
KPIS = Kind("kpi", "/v1/kpis", (), lambda r: f"KPI {r['name']} counts from now on")
ALERTS = Kind(
    "alert",
    "/v1/alerts",
    ("created", "changed"),
    lambda r: f"alert {r['name']} is {'made' if r['created'] else 'changed' if r['changed'] else 'as it was'}",
)
REPORTS = Kind("report", "/v1/saved-reports", (), lambda r: f"report {r['name']} is saved")
KINDS = (PROFILES, KPIS, ALERTS, REPORTS)

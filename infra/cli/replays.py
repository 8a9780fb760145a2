"""`flowledger replay`: recorded histories against another model, or other decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flowledger.infra.cli.given import file_text
from flowledger.infra.cli.options import CONTROL, Json, ServerUrl
from flowledger.infra.cli.output import USAGE, as_json, console, fail, table

#: outcome -> what is said of it
SAID = {
    "same": "would have gone the same way",
    "other_way": "would have gone another way",
    "waits": "would wait for what was never recorded",
    "failed": "would have failed",
    "other_values": "would have gone the same way, with other values",
    "broken_off": "were broken off: too many decisions, or too long",
    "not_run": "can't be run again",
}


def replay(
    id: Annotated[str, typer.Argument(metavar="DEFINITION", help="Process id (of all its versions), or a definition's key")],
    model: Annotated[str, typer.Option("--model", metavar="FILE", help="The other model: a file")] = "",
    draft: Annotated[str, typer.Option("--draft", metavar="ID", help="The other model: a draft")] = "",
    version: Annotated[int | None, typer.Option("--version", min=1, help="The other model: this version of it")] = None,
    decision: Annotated[list[str] | None, typer.Option("--decision", metavar="FILE", help="A decision model in the place of the deployed one; may be repeated")] = None,
    filter: Annotated[list[str] | None, typer.Option("--filter", metavar="NAME=VALUE", help="As the list of instances takes it; may be repeated")] = None,
    instance: Annotated[list[str] | None, typer.Option("--id", metavar="KEY", help="One instance; may be repeated")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000, help="Instances at most, the newest first")] = 200,
    seconds: Annotated[int, typer.Option("--seconds", min=1, max=45, help="For all of it")] = 20,
    examples: Annotated[int, typer.Option("--examples", min=0, max=100, help="Of each outcome")] = 3,
    save: Annotated[str, typer.Option("--save", metavar="DIR", help="Write runs as tests there, with what they deploy (`flowledger test DIR`)")] = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:  # fmt: skip
    """What would have become of past instances under another model: who goes another way, waits, fails. Nothing outside is touched."""
    from flowledger.infra.cli.batches import _pairs
    from flowledger.infra.cli.server import Server

    if sum(map(bool, (model, draft, version))) > 1 or not (model or draft or version or decision):
        fail("expected --model, --draft or --version (one of them), or --decision", USAGE)
    if filter and instance:
        fail("expected --filter or --id, not both", USAGE)
    body: dict[str, Any] = {"limit": limit, "seconds": seconds, "examples": examples, "tests": min(limit, 200) if save else 0}
    if model:
        body["model"] = _read(model)
    elif draft or version:
        body["model"] = {"draft": draft} if draft else {"version": _key(server, id, version)}
    if decision:
        body["decision_overrides"] = [_read(file) for file in decision]
    if instance:
        body["ids"] = instance
    elif filter:
        body["filter"] = dict(_pairs(filter, "--filter"))
    answer = Server(server).post(f"/v1/definitions/{id}/replay", body)
    if save:
        _save(Path(save), answer)
    if json:
        as_json(answer)
        return
    _show(answer)
    if save:
        console().print(
            f"[green]✓[/] {len(answer['tests'])} tests in {save}"
            + (f"; {len(answer['unsaved'])} could not be written" if answer["unsaved"] else "")
        )


def _key(server: str, id: str, version: int | None) -> str:
    from flowledger.infra.cli.server import Server

    known = Server(server).get(f"/v1/definitions/{id}/versions", counts=False)["items"]
    found = next((v["key"] for v in known if v["version"] == version), None)
    if found is None:
        fail(f"expected a version of {id} ({', '.join(str(v['version']) for v in known)}), found {version}")
    return str(found)


def _read(file: str) -> dict[str, str]:
    return {"name": Path(file).name, "content": file_text(file)}


def _show(answer: dict[str, Any]) -> None:
    out = console()
    table([{"instances": n, "outcome": outcome, "": SAID.get(outcome, "")} for outcome, n in answer["outcomes"].items()], ["instances", "outcome", ""],
          title=f"{answer['ran']} instances against process '{answer['process']}'", empty="no instance fits")  # fmt: skip
    if answer["elements"]:
        table(answer["elements"], ["process", "element", "other_way", "waits", "failed", "other_values"], title="Where first")
    rows = [
        {
            **e,
            "recorded": ", ".join(e.get("recorded") or ()),
            "now": ", ".join(e.get("now") or ()),
            "values": _values(e.get("values") or {}),
        }
        for e in answer["examples"]
    ]
    if rows:
        table(rows, ["id", "business_key", "outcome", "element", "recorded", "now", "values", "message", "then"], title="Examples")
    if not answer["complete"]:
        out.print(f"[yellow]![/] not all: {answer['why']}")


def _values(values: dict[str, list[Any]]) -> str:
    return ", ".join(f"{name} {then} -> {now}" if then != now else f"{name} {now}" for name, (then, now) in values.items())


def _save(folder: Path, answer: dict[str, Any]) -> None:
    """One file of tests for each instance, beside the models. Names come from the server: none leads out of the folder."""
    import msgspec

    encode = msgspec.json.Encoder(decimal_format="number").encode
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in answer["files"].items():
            (folder / Path(name).name).write_text(content)
        for found in answer["tests"]:
            (folder / f"{answer['process']}-{found['id']}.flowtest.json").write_bytes(msgspec.json.format(encode(found["test"]), indent=2))
    except OSError as e:
        fail(f"{e.filename}: {e.strerror}", USAGE)


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=CONTROL)(replay)

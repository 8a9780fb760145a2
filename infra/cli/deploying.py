"""`flowledger deploy`: models of files and folders in one deployment, with the records that lie beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowledger.infra.cli.given import file_text
from flowledger.infra.cli.model_files import Gathered
from flowledger.infra.cli.models import show_findings
from flowledger.infra.cli.output import as_json, busy, console, fail, table
from flowledger.infra.cli.record_files import ALERTS, KINDS, KPIS, PROFILES, REPORTS, Kind
from flowledger.infra.cli.server import Server

_COLUMNS = ["definition_id", "key", "kind", "version", "version_tag", "resource", "new"]


def deploy(server: str, given: Gathered, draft: bool, check: bool, json: bool) -> None:
    """`check`: only asked; the records are looked at, too."""
    records = {kind: kind.of(given.records) for kind in KINDS}
    resources = []
    for file, name in given.models:
        if name != name.encode("utf-8", "replace").decode():
            fail(f"{name!a}: expected a file's name in UTF-8, since it is the resource's")
        content = file_text(file)
        if not content.strip():
            fail(f"{file}: expected a model, found an empty file")
        resources.append({"name": name, "content": content})
    given.tell()
    s = Server(server)
    if check:
        _check(s, resources, records, draft, json)
        return
    stored: dict[Kind, list[dict[str, Any]]] = {}
    answer: dict[str, Any] = {"definitions": [], "findings": []}
    with busy(f"deploying {len(resources)} file{'s' if len(resources) != 1 else ''}"):
        if resources:
            # profiles with the models that name them: all or nothing
            answer = s.post("/v1/deployments", _body(resources, records, draft))
            stored[PROFILES] = answer.pop("profiles", [])
        else:
            stored[PROFILES] = PROFILES.store(s, records[PROFILES])
    # KPIs before anything is started of the models, alerts behind both
    stored |= {kind: kind.store(s, records[kind]) for kind in (KPIS, ALERTS, REPORTS)}
    answer |= {f"{kind.word}s": found for kind, found in stored.items() if found}
    if json:
        as_json({**answer, **_ignored(given)})
        return
    if answer.get("findings"):
        show_findings(answer["findings"])
    for kind, found in stored.items():
        kind.show(found)
    if resources:
        table([{**d, "new": not d.get("duplicate")} for d in answer["definitions"]], _COLUMNS, empty="no definitions")


def _ignored(given: Gathered) -> dict[str, Any]:
    return {"ignored": [str(path) for path, _ in given.ignored]} if given.ignored else {}


def _body(resources: list[dict[str, str]], records: dict[Kind, list[Path]], draft: bool) -> dict[str, Any]:
    profiles = PROFILES.records(records[PROFILES])
    return {"resources": resources, "status": "draft" if draft else "published", **({"profiles": profiles} if profiles else {})}


def _check(s: Server, resources: list[dict[str, str]], records: dict[Kind, list[Path]], draft: bool, json: bool) -> None:
    """What is wrong with a model is told as when it is deployed, and ends the command."""
    for kind, files in records.items():
        for file in files:
            if wrong := kind.problems(file):
                fail(f"{file}: {'; '.join(wrong)}")
    answer: dict[str, Any] = {"definitions": [], "findings": []}
    if resources:
        answer = s.call("POST", "/v1/deployments", _body(resources, records, draft), query={"dry_run": "true"})["outcome"]
    if json:
        as_json({"check": True, **answer})
        return
    show_findings(answer.get("findings") or [])
    if resources:
        table([{**d, "new": not d.get("duplicate")} for d in answer["definitions"]], _COLUMNS, empty="no definitions")
    told = [f"{len(files)} {kind.word}{'s' if len(files) != 1 else ''}" for kind, files in records.items() if files]
    console().print(f"[green]✓[/] can be deployed; nothing was{', ' + ', '.join(told) + ' looked at' if told else ''}")

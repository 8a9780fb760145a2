"""`flowledger validate`: files and folders on the desk, found in them what a deployment would find. No server is needed."""

from __future__ import annotations

from flowledger.infra.cli.model_files import Gathered
from flowledger.infra.cli.models import finding_view, read_file, show_findings
from flowledger.infra.cli.output import NO, as_json, console, fail
from flowledger.kernel.findings import Finding


def validate(given: Gathered, json: bool, conformance: bool = False) -> None:
    """`conformance`: what the standard forbids counts as an error does, whether or not it runs. Decision models among them import one another."""
    from flowledger.infra.cli.record_files import KINDS
    from flowledger.kernel.dmn.linking import File, link

    files = [model.path for model in given.models]
    read = [read_file(file) for file in files]
    decisions = {
        n: File(graph.decisions, graph.source, file.name)
        for n, (file, (graph, _)) in enumerate(zip(files, read, strict=True))
        if graph is not None and graph.format == "dmn"
    }
    linked = link(decisions, lambda namespace: [])
    found = [
        finding_view(f, str(file))
        for n, (file, (_, findings)) in enumerate(zip(files, read, strict=True))
        for f in (linked[n].findings if n in linked else findings)
    ]
    found += [
        finding_view(Finding(f"{kind.word.upper()}_INVALID", text), str(file))
        for kind in KINDS
        for file in kind.of(given.records)
        for text in kind.problems(file)
    ]
    errors = sum(f["severity"] == "error" for f in found)
    broken = sum(f["standard"] for f in found)
    given.tell()
    if json:
        as_json(found)
    else:
        show_findings(found)
        number = len(files) + len(given.records)
        noun = f"{number} file{'s' if number != 1 else ''}"
        if errors:
            console().print(f"[red]✗[/] {errors} error{'s' if errors != 1 else ''} in {noun}")
        else:
            warnings = sum(f["severity"] == "warning" for f in found)
            console().print(
                f"[green]✓[/] no errors in {noun}" + (f", {warnings} warning{'s' if warnings != 1 else ''}" if warnings else "")
            )
        if conformance and broken:
            console().print(f"[red]✗[/] {broken} finding{'s' if broken != 1 else ''} that the standard forbids")
    if errors or (conformance and broken):
        fail("", NO)

"""`flowledger validate`: files and folders on the desk, found in them what a deployment would find. No server is needed."""

from __future__ import annotations

from typing import Any

from flowledger.infra.cli.model_files import Gathered
from flowledger.infra.cli.models import finding_view, read_file, show_findings
from flowledger.infra.cli.output import NO, as_json, console, fail
from flowledger.kernel.findings import Finding

#: elements that are named of those beyond a class
NAMED_MAX = 5


def validate(given: Gathered, json: bool, conformance: bool = False, within: str = "") -> None:
    """`conformance`: what the standard forbids counts as an error does, whether or not it runs, and the class of each BPMN file is told. `within`: the class
    (`kernel/model/conformance.py`) that they are to stay within. Decision models among them import one another."""
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
    if conformance or within:
        found += [finding_view(f, str(file)) for file, (graph, _) in zip(files, read, strict=True) for f in _classes(graph, within)]
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


def _classes(graph: Any, within: str) -> list[Finding]:
    """Which conformance classes of the standard a BPMN file stays within, and what is beyond them."""
    from flowledger.kernel.model import conformance as cf
    from flowledger.kernel.model import xml as x

    if graph is None or graph.format != "bpmn":
        return []
    found = cf.of_file(x.parse(graph.source))
    if within:
        return [
            Finding(
                "CLASS_EXCEEDED", f"{b.what}: not in the class {cf.NAMES[within]}", element=b.element or None, line=b.line, chapter="2.2.2"
            )
            for b in found.beyond.get(within, ())
        ]
    words = [f"within the conformance class {cf.NAMES[found.within]}{' and within ' + cf.NAMES[cf.EXECUTABLE] if found.executable else ''}"]
    for name, beyond in found.beyond.items():
        named = ", ".join(f"'{b.element}' ({b.what})" if b.element else f"{b.what} in line {b.line}" for b in beyond[:NAMED_MAX])
        words.append(f"beyond {cf.NAMES[name]}: {named}" + (f" and {len(beyond) - NAMED_MAX} more" if len(beyond) > NAMED_MAX else ""))
    return [Finding("CONFORMANCE_CLASS", "; ".join(words), "info", line=1)]

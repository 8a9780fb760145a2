"""Models on the desk: inspect, convert, and how findings are shown. No server is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowledger.infra.cli.output import NO, USAGE, as_json, console, fail, table
from flowledger.infra.cli.plugins import plugged


def read_file(file: Path) -> tuple[Any, list[Any]]:
    plugged()
    from flowledger.connectors.check import findings
    from flowledger.kernel.model import read

    try:
        data = file.read_bytes()
    except OSError as e:
        fail(f"{file}: {e.strerror}", USAGE)
    graph, found = read(data, file.name)
    return graph, found + findings(graph, file.name)


def finding_view(finding: Any, file: str) -> dict[str, Any]:
    return {
        "file": file, "line": finding.line, "column": finding.column, "element": finding.element, "severity": finding.severity,
        "code": finding.code, "message": finding.message, "hint": finding.hint, "standard": finding.standard, "chapter": finding.chapter,
    }  # fmt: skip


def show_findings(found: list[dict[str, Any]]) -> None:
    """As compilers do: `file:line:column severity message`, so that editors and terminals find the place."""
    from rich.markup import escape

    out = console()
    colours = {"error": "red", "warning": "yellow", "info": "blue"}
    for f in found:
        place = ":".join(str(x) for x in (f.get("file"), f.get("line"), f.get("column")) if x)
        element = f" [bold]{escape(f['element'])}[/]" if f.get("element") else ""
        severity = f.get("severity", "error")
        out.print(
            f"{escape(place)} [{colours.get(severity, 'red')}]{severity}[/]{element} {escape(f['message'])} [dim]{escape(f['code'])}"
            + (f" (forbidden by {escape(f.get('chapter') or 'the standard')})" if f.get("standard") else "")
            + "[/]"
        )
        if f.get("hint"):
            out.print(f"    [dim]{escape(f['hint'])}[/]")


def inspect(files: list[Path], json: bool) -> None:
    from flowledger.kernel.model.shown import graph_view

    views, unreadable = [], 0
    for file in files:
        graph, findings = read_file(file)
        if graph is None:
            unreadable += 1
            views.append({"file": str(file), "format": None, "processes": [], "findings": [finding_view(f, str(file)) for f in findings]})
        else:
            views.append({**graph_view(graph, str(file)), "findings": [finding_view(f, str(file)) for f in findings]})
    if json:
        as_json(views)
    else:
        for view in views:
            _show(view)
    if unreadable:
        fail("" if json else f"{unreadable} of {len(files)} files can't be read", NO)


def _show(view: dict[str, Any]) -> None:
    out = console()
    out.print(f"[bold]{view['file']}[/]  {view['format'] or '[red]unreadable[/]'}")
    if view["format"] is None:
        show_findings(view["findings"])
    for process in view["processes"]:
        kind = "" if process["executable"] else ", not executable"
        counts = f"{len(process['elements'])} elements, {len(process['flows'])} flows{kind}"
        out.print(f"\nprocess [bold]{process['id']}[/] {process['name'] or ''}  {counts}")
        rows = [{**e, "more": _more(e)} for e in process["elements"]]
        table(rows, ["id", "type", "name", ("more", "")], empty="no elements")
        table(process["flows"], ["id", "source", "target", "condition", "name"], empty="no flows")
    if view.get("decisions"):
        table(view["decisions"], ["id", "name", "logic"], title="decisions")
    errors = sum(f["severity"] == "error" for f in view["findings"])
    if errors and view["format"]:
        out.print(f"[red]{errors} errors[/]: see flowledger validate {view['file']}")


def _more(element: dict[str, Any]) -> str:
    known = ("event", "loop", "attached_to", "scope", "default")
    return ", ".join(f"{k.replace('_', ' ')} {element[k]}" for k in known if element.get(k))


_WRITTEN = {"bpmn": "BPMN", "process-json": "the simplified JSON", "steps": "steps", "bpml": "BPML"}


def convert(file: Path, output: Path | None, to: str = "bpmn") -> None:
    """BPMN in the Zeebe dialect with a diagram, the simplified JSON, steps or BPML, from any format."""
    plugged()
    from flowledger.kernel.model.drawn import as_bpmn, as_text

    same = True
    try:
        data = file.read_bytes()
    except OSError as e:
        fail(f"{file}: {e.strerror}", USAGE)
    if to == "bpmn":
        source, findings = as_bpmn(data, file.name)
    else:
        text, findings, same = as_text(data, file.name, to)
        source = None if text is None else text.encode()
    if source is None:
        show_findings([finding_view(f, str(file)) for f in findings])
        fail(f"{file} can't be converted to {_WRITTEN[to]}", NO)
    for f in findings:  # those of the file itself: its lines are what the reader looks at
        console(stderr=True).print(f"{file}:{f.line} {f.code} {f.message}{f': {f.hint}' if f.hint else ''}", markup=False, highlight=False)
    if not same:
        console(stderr=True).print(f"[yellow]![/] what is written does not do the same as {file}")
    if output is None:
        import sys

        sys.stdout.buffer.write(source)
    else:
        output.write_bytes(source)
        console(stderr=True).print(f"[green]✓[/] {output}")

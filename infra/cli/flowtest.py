"""`flowledger test`: tests of processes as data, on the desk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from flowledger.infra.cli.output import NO, USAGE, Failed, as_json, console, fail
from flowledger.infra.cli.plugins import plugged


def test(files: list[Path], folder: Path | None, least: float, json: bool) -> None:
    from rich.markup import escape

    from flowledger.sdk.testing import data, report
    from flowledger.sdk.testing.coverage import Coverage

    plugged()
    coverage = Coverage()
    rows: list[dict[str, Any]] = []
    out = console()
    try:
        cases = [case for file in _found(files, data.SUFFIXES) for case in data.load(file)]
    except data.BadTest as e:
        fail(str(e), USAGE)
    except OSError as e:
        fail(f"{e.filename}: {e.strerror}", USAGE)
    for case in cases:
        began = time.perf_counter()
        try:
            data.run(case, coverage)
            why = ""
        except data.StepFailed as e:
            why = str(e)
        ms = round((time.perf_counter() - began) * 1000, 1)
        rows.append({"file": str(case.file), "name": case.name, "result": "failed" if why else "ok", "message": why, "ms": ms})
        if not json:
            out.print(f"{'[red]FAILED[/]' if why else '[green]ok[/]    '} {escape(case.file.name)}: {escape(case.name)} [dim]{ms} ms[/]")
            if why:
                out.print(escape(why))
    failed = sum(1 for r in rows if r["message"])
    page = report.write(coverage, folder) if folder is not None else None
    if json:
        processes = [
            {"process": r.process, "resource": r.resource, "percent": round(r.percent, 1), "missing": r.missing} for r in coverage.rows
        ]
        as_json({"tests": rows, "failed": failed, "percent": round(coverage.percent, 1), "processes": processes})
    else:
        out.print(escape(f"\n{report.table(coverage)}\n"))
        out.print(f"{len(rows) - failed} of {len(rows)} passed" + (f"; diagrams: {page}" if page else ""))
    if failed:
        raise Failed("" if json else f"{failed} of {len(rows)} tests failed", NO)
    if coverage.percent < least:
        fail(f"expected at least {least:g}% of elements and flows covered, found {coverage.percent:.1f}%")


def _found(paths: list[Path], suffixes: tuple[str, ...]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.name.endswith(suffixes))
            if not inside:
                fail(f"{path}: expected files {', '.join('*' + s for s in suffixes)}, found none", USAGE)
            found += inside
        else:
            found.append(path)
    return found

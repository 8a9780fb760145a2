"""Coverage as people read it: a table for the terminal, and one HTML page with the diagrams."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Any

from flowledger.kernel.markup import BadXml
from flowledger.sdk.testing import diagram
from flowledger.sdk.testing.coverage import Coverage, Covered

#: names of uncovered elements in a line of the table
MISSING_MAX = 12


def table(coverage: Coverage) -> str:
    """A row for each version of a process; `""` when nothing ran."""
    rows = coverage.rows
    if not rows:
        return ""
    cells = [("process", "elements", "flows", "covered", "missing")]
    for r in rows:
        missing = r.missing
        more = f" and {len(missing) - MISSING_MAX} more" if len(missing) > MISSING_MAX else ""
        cells.append(
            (
                r.process,
                f"{sum(1 for e in r.elements if e in r.entered)}/{len(r.elements)}",
                f"{sum(1 for f in r.flows if f in r.taken)}/{len(r.flows)}",
                percent(r.percent),
                ", ".join(missing[:MISSING_MAX]) + more,
            )
        )
    if len(rows) > 1:
        cells.append(("total", "", "", percent(coverage.percent), ""))
    widths = [max(len(c[n]) for c in cells) for n in range(4)]
    return "\n".join(f"{a:<{widths[0]}}  {b:>{widths[1]}}  {f:>{widths[2]}}  {p:>{widths[3]}}  {m}".rstrip() for a, b, f, p, m in cells)


def percent(value: float) -> str:
    """Cut, not rounded: 100 % means all."""
    return f"{int(value)}%"


def write(coverage: Coverage, folder: str | Path) -> Path:
    """`index.html` and `coverage.json` in `folder`; it is made when missing. Returns: the page."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "coverage.json").write_text(coverage.to_json(), encoding="utf-8")
    page = folder / "index.html"
    page.write_text(html(coverage), encoding="utf-8")
    return page


def html(coverage: Coverage) -> str:
    """One page that needs nothing else: no script, no link to anywhere."""
    rows = coverage.rows
    summary = "".join(
        f'<tr><td><a href="#p{n}">{escape(r.process)}</a> {escape(r.name)}</td><td>{escape(r.resource)}</td><td>{r.instances}</td>'
        f"<td>{r.covered}/{r.total}</td><td>{_bar(r.percent)}</td></tr>"
        for n, r in enumerate(rows)
    )
    sections = "".join(_section(n, r) for n, r in enumerate(rows))
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Process coverage {percent(coverage.percent)}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}{diagram.STYLE}</style></head><body>
<h1>Process coverage: {percent(coverage.percent)}</h1>
<table><thead><tr><th>Process</th><th>File</th><th>Instances</th><th>Covered</th><th></th></tr></thead><tbody>{summary}</tbody></table>
<p class="key"><span class="passed">passed</span> <span class="entered">entered, never left</span> <span class="missed">never entered</span></p>
{sections}</body></html>
"""


def _section(n: int, r: Covered) -> str:
    missing = "".join(f"<li><code>{escape(id)}</code> {escape(_what(r, id))}</li>" for id in r.missing)
    listed = (
        f"<details open><summary>{len(r.missing)} not covered</summary><ul>{missing}</ul></details>" if missing else "<p>All covered.</p>"
    )
    return (
        f'<section id="p{n}"><h2>{escape(r.process)} <small>{escape(r.name)} {percent(r.percent)}</small></h2>'
        f'<div class="diagram">{_drawing(r)}</div>{listed}</section>'
    )


def _drawing(r: Covered) -> str:
    states = {e: "passed" if e in r.passed else "entered" if e in r.entered else "missed" for e in r.elements}
    states |= {f: "passed" if f in r.taken else "missed" for f in r.flows}
    titles = {e: f"{name or e} ({e}): entered {r.entered.get(e, 0)}, passed {r.passed.get(e, 0)}" for e, (_, name) in r.elements.items()}
    titles |= {f: f"{name or f} ({source} to {target}): taken {r.taken.get(f, 0)}" for f, (name, source, target) in r.flows.items()}
    try:
        found = diagram.drawings(base64.b64decode(r.source), states, titles, wanted=set(states))
    except (BadXml, ValueError) as e:
        return f"<p>No diagram: {escape(str(e))}</p>"
    return "".join(found) or "<p>No diagram.</p>"


def _what(r: Covered, id: str) -> str:
    if id in r.elements:
        return " ".join(r.elements[id])
    name, source, target = r.flows[id]
    return f"flow {name} from {source} to {target}"


def _bar(value: Any) -> str:
    return f'<span class="bar"><i style="width:{int(value)}%"></i></span> {percent(value)}'


_STYLE = """
body{font:15px system-ui,sans-serif;margin:2rem;color:#222}h1,h2{font-weight:600}small{color:#666;font-weight:400}
table{border-collapse:collapse}td,th{padding:.3rem .8rem;text-align:left;border-bottom:1px solid #ddd}
.bar{display:inline-block;width:120px;height:10px;background:#ffc9c9;vertical-align:middle}.bar i{display:block;height:100%;background:#2d6a4f}
.key span{padding:.1rem .5rem;border:1px solid #aaa;margin-right:.5rem}.key .passed{background:#d8f3dc}.key .entered{background:#fff3bf}.key .missed{background:#ffe3e3}
.diagram{overflow-x:auto;border:1px solid #ddd;padding:.5rem}section{margin-top:2.5rem}
"""

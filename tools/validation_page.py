"""Write the tables of `docs/validation.md` from the code: codes of the checks from their table, codes of readers and elements from their calls.

Run it after a code was added: `python tools/validation_page.py`.
"""

import ast
from pathlib import Path

from flowledger.kernel.model.checks.common import CODES
from flowledger.kernel.model.checks.standard import FORBIDDEN, chapter_of

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "validation.md"
MARK = "<!-- made by tools/validation_page.py from here on -->"
#: where findings about BPMN are made beside the checks
READERS = ["kernel/elements", "kernel/model/dialects", *(f"kernel/model/{n}.py" for n in ("bpmn", "correlation", "data", "roles"))]
TOPICS = {
    "structure": "The file", "flows": "Sequence flows", "events": "Positions of events", "triggers": "Event definitions", "gateways": "Gateways",
    "scopes": "Processes and sub-processes", "activities": "Activities", "data": "Data", "collaboration": "Pools, message flows, lanes, correlation",
    "items": "Numbers and types of data", "choreography": "Choreographies and conversations",
    "choreography_flow": "Turns in a choreography", "rules": "Expressions, formats, executable processes",
    "references": "References", "schema": "The schema",
    "paths": "Paths and loops", "soundness": "Deadlock and lack of synchronisation",
}  # fmt: skip


def text_of(node: ast.expr) -> str:
    """The message of a finding, with … for what is put in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
    if isinstance(node, ast.BinOp):
        return text_of(node.left) + text_of(node.right)
    return str(node.value) if isinstance(node, ast.Constant) else "…"


def said_by_readers() -> dict[str, tuple[str, str, str]]:
    """code -> (severity, message, module)."""
    found: dict[str, tuple[str, str, str]] = {}
    for place in READERS:
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Dict):
                    _of_table(node, str(file.relative_to(ROOT)), found)
                if not isinstance(node, ast.Call):
                    continue
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name not in ("finding", "Finding") or len(node.args) < 2:
                    continue
                code = node.args[0]
                if not isinstance(code, ast.Constant) or not isinstance(code.value, str):
                    continue
                severity = next(
                    (k.value.value for k in node.keywords if k.arg == "severity" and isinstance(k.value, ast.Constant)), "error"
                )
                found.setdefault(code.value, (str(severity), text_of(node.args[1]), str(file.relative_to(ROOT))))
    return found


def _of_table(table: ast.Dict, module: str, found: dict[str, tuple[str, str, str]]) -> None:
    """Codes that stand in a table as (code, what, hint), and are warnings."""
    for row in table.values:
        if (
            isinstance(row, ast.Tuple)
            and len(row.elts) == 3
            and isinstance(row.elts[0], ast.Constant)
            and str(row.elts[0].value).startswith("CLASSIC_")
        ):
            found.setdefault(str(row.elts[0].value), ("warning", "'…' " + text_of(row.elts[1]), module))


def declared_in() -> dict[str, list[str]]:
    """Topic module -> its codes, in their order."""
    found: dict[str, list[str]] = {}
    for topic in TOPICS:
        tree = ast.parse((ROOT / "kernel" / "model" / "checks" / f"{topic}.py").read_text())
        call = next(n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "declare")
        table = call.args[0]
        assert isinstance(table, ast.Dict)
        found[topic] = [str(k.value) for k in table.keys if isinstance(k, ast.Constant)]
    return found


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def tables() -> str:
    lines: list[str] = []
    for topic, codes in declared_in().items():
        lines += [f"## {TOPICS[topic]}", "", "| Code | Severity | What | Hint | Source | Standard |", "|---|---|---|---|---|---|"]
        for code in codes:
            row = CODES[code]
            lines.append(
                f"| `{code}` | {row.severity} | {cell(row.what)} | {cell(row.hint)} | {cell(row.source)} | {'yes' if code in FORBIDDEN else ''} |"
            )
        lines.append("")
    readers = said_by_readers()
    lines += ["## Said while reading, and by the elements", "", "The section of the standard stands at the head of the module.", "",
              "| Code | Severity | What | Module | Standard |", "|---|---|---|---|---|"]  # fmt: skip
    for code in sorted(readers):
        severity, message, module = readers[code]
        lines.append(f"| `{code}` | {severity} | {cell(message)} | `{module}` | {chapter_of(code) if code in FORBIDDEN else ''} |")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """The page with new tables: what stands before the mark is written by hand."""
    return text.split(MARK, maxsplit=1)[0] + MARK + "\n\n" + tables()


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))

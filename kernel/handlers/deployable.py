"""What is checked of a resource before its definitions stand: it can be read, it defines what is expected, and its start events can be armed."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from flowledger.events.base import Heavy, Rejected, RejectionCode
from flowledger.kernel import limits, times, values
from flowledger.kernel.decision import Decision
from flowledger.kernel.expressions import Expression, Failure
from flowledger.kernel.findings import Finding
from flowledger.kernel.ledger.facts import NotAtHand
from flowledger.kernel.model import protect


def read(d: Decision, name: str, content: str) -> tuple[Any, list[Finding]]:
    """As `Facts.read`; a defect of a reader is a finding of that file."""
    assert d.facts.read is not None, "facts without a reader"
    if len(content) > limits.MODEL_BYTES_MAX:
        return None, [error("RESOURCE_TOO_LARGE", f"expected at most {limits.MODEL_BYTES_MAX} bytes, found {len(content)}", name)]
    try:
        content.encode()
        graph, findings = d.facts.read(name, content)
        return graph, list(findings)
    except (Heavy, NotAtHand):
        raise
    except Exception as e:
        why = "it is nested too deep" if isinstance(e, RecursionError) else values.clean(f"{type(e).__name__}: {e}", values.SHOWN_MAX)
        return None, [error("RESOURCE_UNREADABLE", f"'{values.clean(name, values.SHOWN_MAX)}' can't be read: {why}", name)]


#: a call, decision or form that is bound to the deployment of its process, in whatever notation
_TOGETHER = re.compile(r"""[Bb]inding(?:Type)?["']?\s*[:=]\s*["']?deployment\b""")


def binds_together(content: str) -> bool:
    return _TOGETHER.search(content) is not None


def refused(findings: list[Finding]) -> Rejected | None:
    """MODEL_INVALID with all findings, when one is an error."""
    if not any(f.severity == "error" for f in findings):
        return None
    return Rejected(RejectionCode.MODEL_INVALID, msgspec.json.encode(findings).decode())


def validation(findings: list[Finding]) -> dict[str, Any]:
    """What a check found, as it stands with the definition: the worst first, so many as are read."""
    counts = {name: sum(f.severity == severity for f in findings) for name, severity in _COUNTED}
    worst = sorted(findings, key=lambda f: [s for _, s in _COUNTED].index(f.severity) if f.severity in dict(_COUNTED).values() else 9)
    shown: list[dict[str, Any]] = msgspec.to_builtins(worst[:FINDINGS_MAX])
    return {"valid": not counts["errors"], **counts, "findings": shown}


_COUNTED = (("errors", "error"), ("warnings", "warning"), ("infos", "info"))
#: findings that stand with a definition; all of them are in the answer to the deployment
FINDINGS_MAX = 100


def starts(d: Decision, process: Any, nodes: list[Any], file: str) -> list[Finding]:
    """What keeps the start events of a process from being armed: they see no variables, only the time."""
    found = []
    for node in nodes:
        for event in node.events:
            try:
                if event.kind == "timer":
                    kind, expression = event.timer
                    times.schedule(kind, value_of(d, expression), d.facts.now_us, f"timer of {node.id}")
                elif event.kind in ("message", "signal"):
                    name_of(d, event, node)
            except Failure as e:
                hint = "a start event sees no variables: a literal, or an expression over the time alone"
                found.append(error("START_NOT_ARMABLE", f"start event '{node.id}': {e.message}", file, node.id, hint))
    return found


def too_wide(graph: Any, file: str) -> list[Finding]:
    """Names and version tags that rows have no room for: what a definition is called is never cut."""
    found = []
    for process in graph.processes.values() if graph is not None and graph.processes else ():
        for what, text, most in (("name", process.name, limits.TITLE_MAX), ("version tag", process.version_tag, limits.VERSION_TAG_MAX)):
            if len(text or "") > most:
                told = f"the {what} of process '{values.clean(process.id, values.SHOWN_MAX)}': expected at most {most} characters, found {len(text)}"
                found.append(error("TEXT_TOO_WIDE", told, file, process.id, "shorten it"))
    return found


def protects(d: Decision, graph: Any, file: str) -> list[Finding]:
    """What is protected needs keys: without them nothing is promised that isn't kept."""
    if graph is None or d.facts.vault is not None:
        return []
    if any(p.protect for p in graph.processes.values() if p.executable) or (graph.format == "form" and protect.of_form(graph.form)):
        hint = "set protect_key to the file of the key (docs/privacy.md)"
        return [error("PROTECTION_WITHOUT_KEYS", "it protects variables, and this server has no keys to seal them with", file, hint=hint)]
    return []


def value_of(d: Decision, e: Expression) -> Any:
    """Of an expression that sees no variables."""
    return e({}, d.facts)


def name_of(d: Decision, event: Any, node: Any) -> str:
    """The name of the message or signal that starts a process. Raises: Failure."""
    value = event.name.static if event.name.compiled is None else value_of(d, event.name)
    if value is None or isinstance(value, (bool, list, dict)) or value == "":
        raise Failure("EXTRACT_VALUE_ERROR", f"expected the name of a {event.kind} from '{event.name.text}', found {values.shown(value)}")
    return values.text(str(value), f"{event.kind} name of {node.id}", limits.NAME_MAX)


def error(code: str, message: str, file: str, element: str | None = None, hint: str = "") -> Finding:
    return Finding(code=code, message=message, severity="error", element=element, hint=hint, file=values.clean(file, values.SHOWN_MAX))

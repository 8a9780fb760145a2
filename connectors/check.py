"""What can be said of a connector's task at deployment: its configuration as far as it is literal, and its headers."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from flowledger.connectors import results
from flowledger.connectors.catalogue import CONFIGS, name_of
from flowledger.connectors.frame import Config, Failed
from flowledger.connectors.inputs import FRAME, fields_of, literal, put
from flowledger.kernel.findings import Finding
from flowledger.kernel.model.connectors import CALLBACK, served

#: stands for a value that only an instance has
_UNKNOWN = "unknown"
_HINT = "docs/connectors.md names the fields of each connector"


def findings(graph: Any, file: str) -> list[Finding]:
    """Of all tasks of a model that connectors serve."""
    found: list[Finding] = []
    for process in graph.processes.values() if graph is not None else ():
        for node in process.nodes.values():
            work = getattr(node.config, "work", node.config)  # of an ad-hoc sub-process it is a part
            job_type = getattr(getattr(work, "job_type", None), "static", None)
            if isinstance(job_type, str) and served(job_type):
                found += [_finding(code, message, node, file) for code, message in _of(node, job_type, work.headers or {})]
    return found


def _finding(code: str, message: str, node: Any, file: str) -> Finding:
    severity = "warning" if code == "CONNECTOR_UNKNOWN" else "error"
    return Finding(code, message, severity, node.id, node.line, node.column, _HINT, file)


def _of(node: Any, job_type: str, headers: dict[str, str]) -> list[tuple[str, str]]:
    name = name_of(job_type)
    if not name:
        return [("CONNECTOR_UNKNOWN", f"no connector serves the job type '{job_type}'; there are {', '.join(CONFIGS)}")]
    found: list[tuple[str, str]] = []
    if (CONFIGS[name].element == "bpmn:AdHocSubProcess") != (node.kind == "adHocSubProcess"):
        found.append(
            ("CONNECTOR_PLACE", f"'{node.id}': expected the job type '{job_type}' of a {CONFIGS[name].element}, found it of a {node.kind}")
        )
    checks = (
        ("resultExpression", lambda text: results.compiled(text, "resultExpression")),
        ("errorExpression", lambda text: results.compiled(text, "errorExpression")),
        ("retryBackoff", lambda text: results.seconds(text, "retryBackoff")),
        ("callbackTimeout", lambda text: results.seconds(text, "callbackTimeout")),
        ("resultVariable", lambda text: results.variables_of({"resultVariable": text}, None)),
    )
    for key, check in checks:
        try:
            if headers.get(key):
                check(headers[key])
        except Failed as e:
            found.append(("CONNECTOR_HEADER", f"'{node.id}': {e.message}"))
    texts = [v for k, v in headers.items() if k not in FRAME] + [str(m.source.static or m.source.text) for m in node.inputs]
    if any(CALLBACK.search(text) for text in texts):
        lost = [key for key in ("resultVariable", "resultExpression") if headers.get(key)]
        found += [
            ("CONNECTOR_HEADER", f"'{node.id}': {key} has no answer to look at: what comes to the callback is the task's result")
            for key in lost
        ]
    return found + [("CONNECTOR_CONFIGURATION", f"'{node.id}': {text}") for text in _configuration(node, CONFIGS[name], headers)]


def _configuration(node: Any, config: type[Config], headers: dict[str, str]) -> list[str]:
    raw: dict[str, Any] = {}
    dynamic: set[tuple[str, ...]] = set()
    fields, fixed = fields_of(config), literal(config)
    lost = [m.target for m in node.inputs if m.target.split(".")[0] in fixed]
    if lost:
        return [f"{lost[0]}: expected in a header of the task (zeebe:header), so that it is the model's own text; found an input"]
    rows = [(key, value, True) for key, value in headers.items() if key not in FRAME and key.split(".")[0] in fields]
    rows += [(m.target, m.source.static, m.source.compiled is None) for m in node.inputs if m.target.split(".")[0] in fields]
    for target, value, known in rows:
        path = tuple(target.split("."))
        put(raw, path, value if known else _UNKNOWN)
        if not known:
            dynamic.add(path)
    whole = {path[0] for path in dynamic if len(path) == 1}
    for field in whole:
        raw.pop(field, None)
    try:
        config.model_validate(raw)
    except ValidationError as e:
        told = []
        for row in e.errors(include_input=False):
            place = tuple(str(part) for part in row["loc"])
            if (
                (place[:1] and place[0] in whole)
                or (not place and dynamic)
                or any(p[0] == place[0] and p[-1] in place for p in dynamic if place)
            ):
                continue
            if "discriminator" in row.get("ctx", {}) and any(p[:1] == place[:1] for p in dynamic):
                continue
            told.append(f"{'.'.join(place)}: {row['msg']}" if place else str(row["msg"]))
        return told
    return []

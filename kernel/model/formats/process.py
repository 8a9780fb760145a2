"""The simplified JSON of processes and its extended form with capabilities -> BPMN. Documented in docs/formats.md, schema in schemas/json/.

A process is written as nested blocks (`flow`) or as `nodes` and `flows`. Both become the same graph.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.findings import Finding
from flowledger.kernel.model.formats import blocks, build, nodes
from flowledger.kernel.model.formats.shared import Base
from flowledger.kernel.model.formats.source import BadText, Value, parse

_TOP = {"format", "$schema", "id", "name", "description", "version", "version_tag", "variables", "start", "flow", "nodes", "flows", "on", "sla", "on_late",
        "timeout", "tags", "category", "owner", "metadata", "errors"}  # fmt: skip
_EXTENDED = {"capabilities", "integrations"}
_CAPABILITY = {"version", "operations", "required", "description", "settings"}


class Reader(Base):
    """`extended`: capabilities are declared and checked."""

    def __init__(self, file: str, extended: bool) -> None:
        super().__init__("EXTENDED" if extended else "PROCESS", file)
        self.extended = extended
        #: capability -> operations (empty: any), and where it was declared
        self.capabilities: dict[str, tuple[set[str], Value]] = {}
        self.used: set[str] = set()

    def uses(self, value: Value, id: str) -> None:
        """Check a capability task against what is declared."""
        name = self.text(value, "capability")
        if not name:
            return
        self.used.add(name)
        declared = self.capabilities.get(name)
        if declared is None:
            self.find("CAPABILITY_UNDECLARED", f"'{id}' uses the capability '{name}', which isn't declared", value.get("capability"), element=id,
                      severity="error" if self.extended else "warning", hint=f'add "{name}": {{}} to "capabilities"')  # fmt: skip
            return
        operation = self.text(value, "operation", "run")
        if declared[0] and operation not in declared[0]:
            self.find("OPERATION_UNDECLARED", f"'{id}' uses the operation '{operation}' of '{name}', which declares {', '.join(sorted(declared[0]))}",
                      value.get("operation") or value, element=id)  # fmt: skip


def read(data: bytes, file: str, extended: bool) -> tuple[Any, list[Finding], dict[str, build.Place]]:
    r = Reader(file, extended)
    try:
        top = parse(data)
    except BadText as e:
        r.find("TEXT_INVALID", e.message, e)
        return None, r.findings, {}
    if not isinstance(top.data, dict):
        r.find("TYPE_WRONG", f"expected an object, found {top.kind()}", top)
        return None, r.findings, {}
    r.known(top, _TOP | (_EXTENDED if extended else set()), "the process")
    id = r.text(top, "id", required=True, what="the process") or "process"
    r.draft = build.Draft(id)
    scope = r.draft.process(id, r.text(top, "name"), top)
    element = scope.element
    build.document(element, r.text(top, "description"))
    if tag := r.text(top, "version_tag") or r.text(top, "version"):
        build.extension(element, "zeebe", "versionTag", value=tag)
    _metadata(r, element, top)
    if extended:
        _capabilities(r, element, top)
    if ("flow" in top) == ("nodes" in top):
        r.find(
            "BODY", "expected either 'flow' (nested blocks) or 'nodes' and 'flows', found " + ("both" if "flow" in top else "neither"), top
        )
    elif "flow" in top:
        blocks.body(r, scope, top)
    else:
        nodes.body(r, scope, top)
    _deadline(r, scope, top)
    if extended:
        for name in r.capabilities.keys() - r.used:
            r.find(
                "CAPABILITY_UNUSED",
                f"the capability '{name}' is declared, but no task uses it",
                r.capabilities[name][1],
                severity="warning",
            )
    return (None if r.failed else r.draft.finish()), r.findings, r.draft.places


def _metadata(r: Reader, element: Any, top: Value) -> None:
    found = {k: r.text(top, k) for k in ("category", "owner") if k in top}
    if tags := [t.data for t in r.texts(top, "tags")]:
        found["tags"] = ",".join(tags)
    if (more := r.mapping(top, "metadata")) is not None:
        for key, value in more.items():
            found[key] = value.data if isinstance(value.data, str) else build.feel(value.plain())
    if found:
        holder = build.extension(element, "zeebe", "properties")
        for key, text in found.items():
            build.within(holder, "property", name=key, value=text)


def _capabilities(r: Reader, element: Any, top: Value) -> None:
    declared = top.get("capabilities")
    if declared is None or declared.data is None:
        return
    named: list[tuple[str, Value]] = []
    if isinstance(declared.data, dict):
        named = list(declared.items())
    elif isinstance(declared.data, list):
        named = [(item.data, Value({}, item.line, item.column)) for item in r.texts(top, "capabilities")]
    else:
        r.find("TYPE_WRONG", f"expected an object or a list as 'capabilities', found {declared.kind()}", declared)
    holder = build.extension(element, "flowledger", "capabilities") if named else None
    for name, value in named:
        if value.data is not None and not isinstance(value.data, dict):
            r.find("TYPE_WRONG", f"expected an object for the capability '{name}', found {value.kind()}", value)
            continue
        r.known(value, _CAPABILITY, f"the capability '{name}'")
        operations = {o.data for o in r.texts(value, "operations")}
        r.capabilities[name] = (operations, value)
        build.within(holder, "capability", name=name, version=r.text(value, "version"), operations=",".join(sorted(operations)),
                     required="true" if r.flag(value, "required", True) else "false")  # fmt: skip
    if (integrations := r.mapping(top, "integrations")) is not None:
        settings = build.extension(element, "flowledger", "integrations")
        for name, value in integrations.items():
            build.within(
                settings, "integration", name=name, settings=value.data if isinstance(value.data, str) else build.feel(value.plain())
            )


def _deadline(r: Reader, scope: build.Scope, top: Value) -> None:
    """`sla` with `on_late`: told, not stopped. `timeout`: stops the process."""
    late = r.sequence(top, "on_late")
    sla = r.duration(top, "sla")
    if sla:
        build.extension(scope.element, "flowledger", "task", sla=sla)
    if late and not sla:
        r.find("KEY_MISSING", "'on_late' needs 'sla', a duration", top.get("on_late"))
    elif late:
        sub = scope.sub("sla", "After " + sla, top.get("sla"), event=True)
        start = sub.node("startEvent", "sla_start", "After " + sla, top.get("sla"), isInterrupting="false")
        sub.event(start, "timer", sla, top.get("sla"))
        blocks.sequence_to_end(r, sub, late, start, "sla")
    if timeout := r.duration(top, "timeout"):
        sub = scope.sub("timeout", "After " + timeout, top.get("timeout"), event=True)
        start = sub.node("startEvent", "timeout_start", "After " + timeout, top.get("timeout"))
        sub.event(start, "timer", timeout, top.get("timeout"))
        end = sub.node("endEvent", "timeout_end", "Timed out", top.get("timeout"))
        sub.event(end, "error", "TIMEOUT")
        build.within(build.extension(end, "zeebe", "properties"), "property", name="flowledger:fails", value="true")
        sub.flow(start, end)

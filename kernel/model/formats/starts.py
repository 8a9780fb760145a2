"""The start event of a process in the simplified JSON."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model.formats import build
from flowledger.kernel.model.formats.shared import Base
from flowledger.kernel.model.formats.source import Value


def start_event(r: Base, scope: build.Scope, top: Value) -> Any:
    """The start event by `start`: none, message, signal, timer; defaults of variables are its output mappings."""
    spec = r.mapping(top, "start")
    node = scope.node("startEvent", "start", r.text(spec, "name") if spec is not None else "", spec or top)
    if spec is not None:
        r.known(spec, {"name", "id", "message", "key", "signal", "every", "at", "cron", "form", "condition"}, "'start'")
        for key, kind in (("message", "message"), ("signal", "signal"), ("at", "date"), ("condition", "conditional")):
            if text := r.text(spec, key):
                scope.event(node, kind, text, spec, r.text(spec, "key"))
        if text := r.text(spec, "cron"):
            scope.event(node, "cycle", text, spec)
        elif "every" in spec:
            scope.event(node, "cycle", "R/" + r.duration(spec, "every"), spec)
        if form := r.text(spec, "form"):
            build.extension(node, "zeebe", "formDefinition", formId=form)
    if (variables := r.mapping(top, "variables")) is not None:
        for name, value in variables.items():
            if build.variable_name(name) != name:
                r.find("VARIABLE_NAME", f"expected a variable name of letters, digits and _, found '{name}'", value)
            default = value.get("default")
            if default is not None:
                r.check_expressions(default, f"default of {name}")
                build.mapping(node, "output", f"= if {name} = null then {build.feel_value(default.plain())} else {name}", name)
    return node

"""Constraints of the standard that make a model wrong, and lint advice. What concerns one element alone stands in the element's module.

`docs/validation.md` lists all codes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.kernel.model.checks import (
    activities,
    choreography,
    collaboration,
    data,
    events,
    flows,
    gateways,
    items,
    paths,
    references,
    rules,
    schema,
    scopes,
    soundness,
    structure,
    triggers,
)
from flowledger.kernel.model.checks.common import CODES, process_of, say
from flowledger.kernel.model.checks.standard import mark


def run(r: Any) -> None:
    """All checks over what was read; findings go to the reader."""
    structure.check(r)
    data.check(r)
    collaboration.check(r)
    choreography.check(r)
    items.check(r)
    rules.check_file(r)
    for process in r.graph.processes.values():
        if "global_task" in process.notes:
            continue
        scopes.check(r, process)
        flows.check(r, process)
        events.check(r, process)
        triggers.check(r, process)
        gateways.check(r, process)
        activities.check(r, process)
        rules.check(r, process)
        if process.executable:
            paths.check(r, process)
            soundness.check(r, process)
    references.check(r)
    schema.check(r)
    _soften(r)


def _soften(r: Any) -> None:
    """Errors in what isn't said to be executable become warnings: nobody runs it."""
    broken: dict[str, Any] = {}
    for n, finding in enumerate(r.findings):
        if finding.severity == "error" and finding.element and finding.code not in ("ID_DUPLICATE",):
            element = process_of(r.by_id.get(finding.element))
            if element is not None and element.get("isExecutable") not in ("true", "1"):
                r.findings[n] = msgspec.structs.replace(finding, severity="warning")
                if element.get("isExecutable") not in ("false", "0"):
                    broken[element.get("id", "")] = element
    for id, element in broken.items():
        if id in r.graph.processes:
            r.graph.processes[id].executable = False
            say(r, "PROCESS_NOT_RUN", element, f"process '{id}' is not marked executable and has what can't be run: it is not run")


#: said by the checks of the other formats in their own words
_SAID_BEFORE = frozenset({"NODE_WITHOUT_INCOMING", "UNREACHABLE", "SERVICE_WITHOUT_TYPE", "SEND_WITHOUT_MESSAGE"})


def concerns_source(finding: Any) -> bool:
    """Whether a finding about converted BPMN is to be told to who wrote the source in another format: no advice on what the conversion chose."""
    row = CODES.get(finding.code)
    return row is None or (row.severity != "info" and finding.code not in _SAID_BEFORE)


__all__ = ["CODES", "concerns_source", "mark", "run"]

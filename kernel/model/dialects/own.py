"""Our own extension elements (`flowledger:`): what they may say. What nothing reads is told, so that no setting is lost in silence.

Source: `docs/tasks.md`, `docs/workers.md`, `docs/formats.md`. Attributes of `flowledger:retry` are told by `kernel/retries.py`.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model import xml as x

_ASSIGNMENT = frozenset(
    "strategy groups roles users kind requiredCapabilities required_capabilities skills requiredPermissions required_permissions place resources "
    "fallback timeout assignee attempts".split()
)
#: element -> (attributes, children); None: any attribute
KNOWN: dict[str, tuple[frozenset[str] | None, frozenset[str]]] = {
    "task": (
        frozenset(
            "sla calendar definition condition strategy skills groups users fallback assignTimeout place permissions assigneeKind statusVariable category "
            "kind input_schema output_schema reminders".split()
        ),
        frozenset({"assignment", "escalation", "reminder"}),
    ),
    "assignment": (_ASSIGNMENT, frozenset()),
    "escalation": (frozenset("after afterDue after_due to notify priority code reason".split()), frozenset()),
    "reminder": (frozenset({"before"}), frozenset()),
    "retry": (None, frozenset()),
    "states": (frozenset({"initial"}), frozenset({"state"})),
    "state": (frozenset({"name", "final"}), frozenset({"move"})),
    "move": (frozenset({"to"}), frozenset()),
    "businessState": (None, frozenset()),
    # what other formats leave in the file, for those who read it
    **dict.fromkeys(("capability", "integration", "connector"), (None, frozenset[str]())),
    "capabilities": (None, frozenset({"capability"})),
    "integrations": (None, frozenset({"integration"})),
    "connectors": (None, frozenset({"connector"})),
}


def check(r: Any) -> None:
    """A finding for each element, attribute and child that nothing reads."""
    for element in r.definitions.iter(f"{x.OWN}*"):
        name = x.local(element)
        if name not in KNOWN:
            parent = element.getparent()
            if parent is None or not str(parent.tag).startswith(x.OWN):  # else its parent says so
                known = ", ".join(sorted(KNOWN))
                r.finding(
                    "OWN_ELEMENT_UNKNOWN",
                    f"nothing reads flowledger:{name}; known are {known}",
                    element,
                    severity="warning",
                    hint="see docs/tasks.md",
                )
            continue
        attributes, children = KNOWN[name]
        for attribute in element.attrib if attributes is not None else ():
            if attribute not in (attributes or ()) and not attribute.startswith("{"):
                known = ", ".join(sorted(attributes or ())) or "none"
                r.finding("OWN_ATTRIBUTE_UNKNOWN", f"nothing reads {attribute}=\"{element.get(attribute)}\" of flowledger:{name}; known are {known}", element,
                          severity="warning", hint="see docs/tasks.md")  # fmt: skip
        for kid in element:
            if isinstance(kid.tag, str) and x.local(kid) not in children:
                r.finding(
                    "OWN_ELEMENT_UNKNOWN",
                    f"nothing reads {x.local(kid)} in flowledger:{name}",
                    element,
                    severity="warning",
                    hint="see docs/tasks.md",
                )

"""Our own extension elements (`flowledger:`) and Zeebe's: what they may say. What nothing reads is told, so that no setting is lost in silence.

Source: `docs/tasks.md`, `docs/workers.md`, `docs/formats.md`. Attributes of `flowledger:retry` are told by `kernel/retries.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.dialects import zeebe

_ASSIGNMENT = frozenset(
    "strategy groups roles users kind requiredCapabilities required_capabilities skills requiredPermissions required_permissions place resources "
    "fallback timeout assignee attempts".split()
)
#: element -> (attributes, children); None: any attribute
KNOWN: dict[str, tuple[frozenset[str] | None, frozenset[str]]] = {
    "task": (
        frozenset(
            "sla calendar definition condition strategy skills groups users fallback assignTimeout place permissions assigneeKind statusVariable category "
            "kind input_schema notBy output_schema reference reminders stepUp".split()
        ),
        frozenset({"assignment", "escalation", "reminder"}),
    ),
    "assignment": (_ASSIGNMENT, frozenset()),
    "escalation": (frozenset("after afterDue after_due to notify priority code reason".split()), frozenset()),
    "reminder": (frozenset({"before"}), frozenset()),
    "retry": (None, frozenset()),
    "decisionResult": (frozenset({"as", "mustHit"}), frozenset()),
    "states": (frozenset({"initial"}), frozenset({"state"})),
    "state": (frozenset({"name", "description", "final"}), frozenset({"move"})),
    "move": (frozenset({"to"}), frozenset()),
    "businessState": (None, frozenset()),
    "protect": (frozenset({"names", "class", "subject", "search"}), frozenset()),
    # what other formats leave in the file, for those who read it
    **dict.fromkeys(("capability", "integration", "connector"), (None, frozenset[str]())),
    "capabilities": (None, frozenset({"capability"})),
    "integrations": (None, frozenset({"integration"})),
    "connectors": (None, frozenset({"connector"})),
}


#: `<zeebe:property name="flowledger:...">` that are read
PROPERTIES = frozenset(
    "flowledger:" + name for name in "carries compensateRuns confirm estimatedDuration fails result spread uncaughtError".split()
)
#: those that have a few words only
_WORDS = {"flowledger:carries": ("inputs", "all"), "flowledger:compensateRuns": ("once", "each")}
_SPOKEN = ((x.OWN, "flowledger", "OWN", KNOWN), (x.Z, "zeebe", "ZEEBE", zeebe.KNOWN))


def check(r: Any) -> None:
    """A finding for each element, attribute, child and property that nothing reads."""
    for space, prefix, code, known in _SPOKEN:
        for element in r.definitions.iter(f"{space}*"):
            name = x.local(element)
            if name in known:
                if space == x.Z:
                    _place(r, element, name)
                _inside(r, element, space, f"{prefix}:{name}", code, known[name])
            elif not str(getattr(element.getparent(), "tag", "")).startswith(space):  # else its parent says so
                _tell(r, f"{code}_ELEMENT", f"{prefix}:{name}", known, name, element)
    for element in r.definitions.iter():
        for attribute in element.attrib:
            if attribute.startswith(x.OWN):
                told = f"flowledger:{attribute.removeprefix(x.OWN)}={element.get(attribute)!r}"
                _tell(r, "OWN_ATTRIBUTE", f"{told} outside of an element of its own", (), "", element)
    for element in r.definitions.iter(f"{x.Z}property"):
        if (name := element.get("name", "")).startswith("flowledger:") and name not in PROPERTIES:
            _tell(r, "OWN_ATTRIBUTE", f"the property {name}", PROPERTIES, name, element)
        elif name in _WORDS and (word := element.get("value", "")) not in _WORDS[name]:
            _tell(r, "OWN_ATTRIBUTE", f"'{word}' of the property {name}", _WORDS[name], word, element)


def _place(r: Any, element: Any, name: str) -> None:
    """Zeebe's elements have a meaning at some elements of BPMN only."""
    around = element.getparent()
    host = around.getparent() if around is not None and around.tag == x.B + "extensionElements" else None
    if host is None:
        return
    definitions = frozenset(x.local(kid) for kid in x.bpmn_children(host) if "ventDefinition" in x.local(kid))
    if why := zeebe.misplaced(name, x.local(host), definitions, frozenset(x.local(kid) for kid in element if isinstance(kid.tag, str))):
        told = f"nothing reads zeebe:{name} of <{x.local(host)}>: {why}"
        r.finding("ZEEBE_ELEMENT_UNKNOWN", told, element, severity="warning", hint="see docs/zeebe.md")


def _inside(r: Any, element: Any, space: str, name: str, code: str, says: tuple[frozenset[str] | None, frozenset[str]]) -> None:
    attributes, children = says
    for attribute in element.attrib if attributes is not None else ():
        if attribute not in (attributes or ()) and not attribute.startswith("{"):
            _tell(r, f"{code}_ATTRIBUTE", f'{attribute}="{element.get(attribute)}" of {name}', attributes or (), attribute, element)
    for kid in element:
        if isinstance(kid.tag, str) and (
            x.local(kid) not in children if space == x.OWN else kid.tag.startswith(space) and x.local(kid) not in children
        ):
            _tell(r, f"{code}_ELEMENT", f"{x.local(kid)} in {name}", children, x.local(kid), element)


def _tell(r: Any, code: str, what: str, known: Iterable[str], name: str, element: Any) -> None:
    """With the word that was meant, if one is near; else those that are known."""
    words = sorted(known)
    near = get_close_matches(name, words, 1)
    more = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(words)}" if words else ""
    if code == "OWN_ELEMENT":
        r.finding("OWN_ELEMENT_UNKNOWN", f"nothing reads {what}{more}", element, severity="warning", hint="see docs/tasks.md")
    elif code == "OWN_ATTRIBUTE":
        r.finding("OWN_ATTRIBUTE_UNKNOWN", f"nothing reads {what}{more}", element, severity="warning", hint="see docs/tasks.md")
    elif code == "ZEEBE_ELEMENT":
        r.finding("ZEEBE_ELEMENT_UNKNOWN", f"nothing reads {what}{more}", element, severity="warning", hint="see docs/zeebe.md")
    else:
        r.finding("ZEEBE_ATTRIBUTE_UNKNOWN", f"nothing reads {what}{more}", element, severity="warning", hint="see docs/zeebe.md")

"""What all checks share: the table of codes, and saying a finding.

A code is an error when the standard forbids what the model says and the engine can't run it as drawn. What is wrong but runs is a warning, and advice
is info. Errors in a process that isn't executable are warnings: such a process is documentation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Node, Process


class Code(NamedTuple):
    severity: str
    #: what is wrong, for the page docs/validation.md
    what: str
    #: section of BPMN 2.0.2, or what else says so
    source: str
    hint: str


#: all codes of this package, by code
CODES: dict[str, Code] = {}


def declare(codes: dict[str, tuple[str, str, str, str]]) -> None:
    """A topic's codes: code -> (severity, what, source, hint). Raises: ValueError (a code of another topic)."""
    for code, row in codes.items():
        if code in CODES:
            raise ValueError(f"the code {code} is declared twice")
        CODES[code] = Code(*row)


def say(r: Any, code: str, at: Any, message: str) -> None:
    """A finding with the severity and hint of its code. `at`: a Node, a Flow or an XML element."""
    row = CODES[code]
    r.finding(code, message, at, hint=row.hint, severity=row.severity)


def key_of(reference: str) -> str:
    """A reference without the prefix of its namespace."""
    return reference.rsplit(":", 1)[-1]


def referenced(r: Any, reference: str) -> Any:
    """The XML element that a reference names, None when there is none in this file."""
    return r.by_id.get(reference) if ":" not in reference else r.by_id.get(reference) or r.by_id.get(key_of(reference))


def imported(r: Any, reference: str, at: Any) -> bool:
    """A reference into another namespace than this file's: it can't be looked up here."""
    prefix, colon, _ = reference.partition(":")
    if not colon:
        return False
    namespace = at.nsmap.get(prefix)
    return namespace is not None and namespace != r.definitions.get("targetNamespace")


def kind_of(element: Any) -> str:
    """`a dataInput`, for messages."""
    return f"a {x.local(element)}" if element is not None else "nothing"


def process_of(element: Any) -> Any:
    """The XML of the process around an element, or None."""
    while element is not None and x.local(element) != "process":
        element = element.getparent()
    return element


def scopes(process: Process) -> list[Node]:
    """The process itself and all its sub-processes."""
    return [process.root] + [n for n in process.nodes.values() if n.is_scope]


def title(node: Node) -> str:
    return f"process '{node.process.id}'" if node.kind == "process" else f"'{node.id}'"


def at_scope(scope: Node) -> Any:
    """Where to show a finding about a scope."""
    return scope.xml if scope.kind == "process" else scope


def static(expression: Any) -> Any:
    """The value of literal text, None for what is computed."""
    return expression.static if expression is not None and expression.compiled is None else None


def outermost(node: Node) -> bool:
    return node.scope is None

"""What a model protects: `<flowledger:protect names="iban, health*" class="personal" subject="=customerId"/>` at a process or any element of it, with
`search="equality"` where instances are found by them, and the property `protect` of a form's field. How it is kept: `kernel/protection.py`; why so:
docs/decisions/0016.

Checked: the words themselves, and what would show a protected variable in the clear: the keys, names and people by which things are found are no variables,
and stand on the log and in rows as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flowledger.kernel import feel
from flowledger.kernel.expressions import Expression, feel_expression
from flowledger.kernel.marks import CLASS, PERSONAL, Names
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Node, Process, Work

_NAME = re.compile(r"[^\W\d]\w*|[\w*?]*[*?][\w*?]*")
_HINT = '<flowledger:protect names="iban, health*" class="personal" subject="=customerId"/> (docs/privacy.md)'
#: a field of a form says its class so, among its `properties`
FIELD = "protect"
NAMES_MAX = 500


def read(r: Any, process: Process, element: Any) -> None:
    """Fills `process.protect` when the process protects something."""
    names: dict[str, str] = {}
    search: set[str] = set()
    subject = ""
    for own in element.iter(x.OWN + "protect"):
        cls = own.get("class", PERSONAL)
        if not CLASS.fullmatch(cls):
            r.finding("PROTECT_CLASS", f"expected a class of small letters, digits, - and _, found '{cls}'", own, hint=_HINT)
            continue
        by = own.get("search", "")
        if by not in ("", "equality"):
            r.finding("PROTECT_SEARCH", f"expected search=\"equality\", or none, found '{by}'", own, hint=_HINT)
        for name in re.split(r"[\s,]+", own.get("names", "").strip()):
            if name and (not _NAME.fullmatch(name) or name.strip("*?") == ""):
                r.finding(
                    "PROTECT_NAME",
                    f"expected the name of a variable, or a pattern with * that has a letter, found '{name}'",
                    own,
                    hint=_HINT,
                )
            elif name and by and ("*" in name or "?" in name):
                r.finding("PROTECT_SEARCH", f"what is searched for has a name of its own, found the pattern '{name}'", own, hint=_HINT)
            elif name:
                names.setdefault(name, cls)
                search |= {name} if by else set()
        if given := own.get("subject", "").strip():
            try:
                feel_expression(given)
            except feel.FeelSyntaxError as e:
                r.bad_expression(given, e, own, "subject")
                continue
            if subject and subject != given:
                r.finding("PROTECT_SUBJECT", f"a process is about one subject, found '{subject}' and '{given}'", own, hint=_HINT)
            subject = given
        if not own.get("names", "").strip() and not given:
            r.finding("PROTECT_NAME", "expected names of variables, or a subject, found neither", own, hint=_HINT)
    if len(names) > NAMES_MAX:
        r.finding("PROTECT_NAME", f"expected at most {NAMES_MAX} names in a process, found {len(names)}", element, hint=_HINT)
    if not names and not subject:
        return
    process.protect = {"names": names, **({"subject": subject} if subject else {}), **({"search": sorted(search)} if search else {})}
    _shown(r, process, names)


def _shown(r: Any, process: Process, names: dict[str, str]) -> None:
    known = Names()
    for name, cls in names.items():
        known.add(name, cls)
    if process.states is not None and known.of("businessState"):
        r.finding("PROTECT_NAME", "the business state of a process is no secret: 'businessState' can't be protected", None, hint=_HINT)
    for node in process.nodes.values():
        for what, expression in _in_the_clear(node):
            if found := sorted(n for n in expression.reads if known.of(n)):
                said = (
                    f"{what} of '{node.id}' is read from the protected {', '.join(found)}, and stands in the clear on the log and in lists"
                )
                r.finding("PROTECTED_IN_THE_CLEAR", said, node, severity="warning", hint="use a reference that says nothing of the person")


def _in_the_clear(node: Node) -> Iterator[tuple[str, Expression]]:
    for event in node.events:
        for field, what in (("correlation", "the correlation key"), ("name", "the name"), ("code", "the code")):
            if isinstance(found := getattr(event, field, None), Expression):
                yield what, found
    config = node.config
    if isinstance(config, Work):
        for name, expression in (config.dynamic or {}).items():
            yield f"'{name}'", expression
        if config.job_type is not None:
            yield "the job type", config.job_type
    elif isinstance(config, dict) and isinstance(found := config.get("business_key"), Expression):
        yield "the business key", found


def of_form(form: Any) -> dict[str, str]:
    """Field -> class of those that a form protects, at any depth of groups; a field inside of a path protects what the path begins with."""
    found: dict[str, str] = {}
    todo = [form.get("components")] if isinstance(form, dict) else []
    while todo:
        for field in todo.pop() or ():
            if not isinstance(field, dict):
                continue
            if isinstance(field.get("components"), list):
                todo.append(field["components"])
            properties = field.get("properties")
            cls = properties.get(FIELD) if isinstance(properties, dict) else None
            key = field.get("key") or field.get("path")
            if isinstance(cls, str) and CLASS.fullmatch(cls) and isinstance(key, str) and key:
                found.setdefault(key.split(".")[0], cls)
    return dict(list(found.items())[:NAMES_MAX])

"""BPML 1.0 -> BPMN: reading and checking by the project profile. The mapping is in `bpml_map`, the grammar as tables in `bpml_grammar`.

Findings carry the codes BPML001 to BPML050 of the design notes of BPML 1.0, section 10, and BPML060 for what is valid BPML but has no counterpart in the
token graph.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from flowledger.kernel.findings import Finding
from flowledger.kernel.markup import BadXml
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.formats import bpml_grammar as g
from flowledger.kernel.model.formats import build
from flowledger.kernel.model.formats.bpml_document import Reader, Scope, activities, form_of, kid, kids, local
from flowledger.kernel.model.formats.bpml_process import document

_TAG = re.compile(rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<(?![/!])", re.S)


def read(data: bytes, file: str) -> tuple[Any, list[Finding], dict[str, build.Place]]:
    r = Reader(file)
    try:
        root = x.parse(data)
    except BadXml as e:
        r.find("001", e.message, build.Place(e.line, e.column))
        return None, r.findings, {}
    _places(r, root, data)
    if not _root(r, root):
        return None, r.findings, {}
    r.target = root.get("targetNamespace", "")
    _grammar(r, root)
    if not r.failed:
        _declare(r, root)
        _references(r, root)
    if r.failed:
        return None, r.findings, {}
    tree = document(r, root)
    return (None if r.failed else tree), r.findings, r.draft.places


def _places(r: Reader, root: Any, data: bytes) -> None:
    """Columns: the n-th start tag of the text is the n-th element of the tree."""
    starts = (m.start() for m in _TAG.finditer(data) if m.group() == b"<")
    line, last, begin = 1, 0, 0
    for element, offset in zip((e for e in root.iter() if isinstance(e.tag, str)), starts, strict=False):
        fresh = data.count(b"\n", last, offset)
        if fresh:
            line += fresh
            begin = data.rfind(b"\n", last, offset) + 1
        last = offset
        r.places[element] = build.Place(line, offset - begin + 1)


def _root(r: Reader, root: Any) -> bool:
    namespace, name = root.tag[1:].split("}") if root.tag.startswith("{") else ("", root.tag)
    other = g.OTHERS.get(namespace)
    if other is None and name == "process" and any(local(e) in g.STERLING for e in root.iter() if isinstance(e.tag, str)):
        other = "the Sterling dialect"
    if other:
        r.find("004", f"this is {other}, not BPML", root, hint=f"expected <package> of {g.BPML_NS}")
    elif namespace != g.BPML_NS:
        r.find("002", f'namespace "{namespace}" is not BPML 1.0 (2003), expected {g.BPML_NS}', root)
    elif name != "package":
        r.find("002", f"root element is <{name}>, expected <package>", root)
    return not r.failed


# -------------------------------------------------------------------------------------------------------------- grammar


def _grammar(r: Reader, root: Any) -> None:
    todo = [root]
    while todo:
        element = todo.pop(0)
        rule = g.GRAMMAR[local(element)]
        _attributes(r, element, rule)
        if rule.any:
            continue
        last = 0
        for child in element:
            if not isinstance(child.tag, str):
                continue
            if not child.tag.startswith(g.P):
                if child.tag.startswith("{") and child.tag[1:].split("}")[0]:
                    r.find("050", f"extension <{local(child)}> is ignored", child, severity="warning")
                else:
                    r.find("010", f"unknown element <{local(child)}> in <{local(element)}>", child, hint=f'is xmlns="{g.BPML_NS}" missing?')
                continue
            name = local(child)
            if name == "transaction" and g.SET <= rule.kids:
                if child.get("type", "open") != "open":
                    r.find("045", "atomic transactions are not supported; use compensation", child)
            elif name not in rule.kids:
                if name in g.EARLY and name not in g.GRAMMAR:
                    r.find("005", f"<{name}> is syntax of an early draft; use {g.EARLY[name]}", child)
                else:
                    allowed = ", ".join(sorted(rule.kids))
                    r.find("010", f"unknown element <{name}> in <{local(element)}>", child, hint=f"allowed here: {allowed}")
                continue
            position = rule.order.index(name) if name in rule.order else len(rule.order)
            if position < last:
                r.find("011", f"<{name}> must come before what stands before it in <{local(element)}>", child)
            last = max(last, position)
            todo.append(child)
        _shape(r, element)


def _attributes(r: Reader, element: Any, rule: g.Rule) -> None:
    name = local(element)
    for key, value in element.attrib.items():
        if key.startswith("{"):
            if not key.startswith(f"{{{g.EXT_NS}}}"):
                r.find("050", f"attribute {key.split('}')[-1]} is ignored", element, severity="warning")
        elif key not in rule.attributes:
            close = difflib.get_close_matches(key, rule.attributes, 1)
            r.find("010", f'unknown attribute "{key}" on <{name}>', element,
                   hint=f"did you mean {close[0]}?" if close else f"allowed: {', '.join(rule.attributes) or 'none'}")  # fmt: skip
        elif not g.TYPES[rule.attributes[key]].fullmatch(value.strip()):
            r.find("013", f'"{value}" is not a valid {rule.attributes[key]} (attribute {key} of <{name}>)', element)
    for key in rule.required:
        if element.get(key) is None:
            r.find("011", f"<{name}> needs attribute {key}", element)


def _exactly_one(r: Reader, element: Any, *choices: str) -> None:
    given = [c for c in choices if element.get(c) is not None or kid(element, c) is not None]
    if len(given) != 1:
        r.find("011", f"<{local(element)}>: give exactly one of {', '.join(choices)}, found {', '.join(given) or 'none'}", element)


def _once(r: Reader, element: Any, *names: str) -> None:
    for name in names:
        for extra in list(kids(element, name))[1:]:
            r.find("011", f"<{name}> may occur only once in <{local(element)}>", extra)


def _shape(r: Reader, element: Any) -> None:
    name = local(element)
    _once(r, element, "documentation", "context", "condition", "compensation", "default", "faults")
    if name in g.HOLDS_SET and not activities(element):
        r.find("012", f"<{name}> has no activity", element)
    if name in ("while", "until") and kid(element, "condition") is None:
        r.find("011", f"<{name}> needs a <condition>", element)
    if name == "package" and not list(kids(element, "process", "property", "schedule")):
        r.find("012", "<package> has no process", element)
    if name == "choice" and len(list(kids(element, "event"))) < 2:
        r.find("012", "<choice> needs two events or more", element)
    if name == "switch":
        if not list(kids(element, "case")):
            r.find("012", "<switch> needs a case", element)
        for case in kids(element, "case"):
            if kid(case, "condition") is None:
                r.find("011", "<case> of a switch needs a <condition>", case)
    if name == "faults":
        for case in kids(element, "case"):
            if case.get("code") is None:
                r.find("011", "<case> of faults needs attribute code", case)
    if name == "delay":
        _exactly_one(r, element, "duration", "instant")
    if name == "schedule":
        _exactly_one(r, element, "duration", "instant")
        _exactly_one(r, element, "signal", "fault", "process")
        repeat = element.get("repeat", "")
        if repeat and not ((repeat.isascii() and repeat.isdigit()) or re.fullmatch(r"R\d*/P.+", repeat)):
            r.find("013", f'"{repeat}" is not a valid repeat', element, hint="a count, or an ISO 8601 interval such as R5/PT1H")
    if name == "assign":
        _exactly_one(r, element, "xpath", "value")
    if name == "output" and element.getparent() is not None:
        _exactly_one(r, element, "xpath", "property", "value")
    if name == "event" and local(element.getparent()) == "choice":
        first = next(iter(activities(element)), None)
        if element.get("activity") is not None:
            r.find("010", 'unknown attribute "activity" on <event> of a choice', element)
        form = local(first) if first is not None else ""
        if form not in ("action", "synch", "delay") or (form == "action" and _first(first) != "input"):
            r.find("042", "the first activity of a choice event must be a receiving action, a synch or a delay", element)
    elif name == "event" and element.get("activity") is None:
        r.find("011", "<event> needs attribute activity", element)
    if name == "action":
        _action(r, element)


def _first(action: Any) -> str:
    return next((local(k) for k in kids(action, "input", "output")), "")


def _action(r: Reader, element: Any) -> None:
    if form_of(element) == "mixed":
        r.find("041", "action: inputs and outputs are mixed; allowed: in, out, out then in, in then out", element)


# -------------------------------------------------------------------------------------------------------------- names


def _declare(r: Reader, root: Any) -> None:
    package = r.scopes[root] = Scope(None, root)
    for kind in ("process", "property", "identity", "signal"):
        for element in kids(root, kind):
            package.declare(r, kind, element)
    for element in root.iter(g.P + "process", g.P + "exception"):
        names: dict[str, Any] = {}
        for activity in _own(element):
            name = activity.get("name")
            if name and name in names:
                r.find("022", f'activity "{name}" is defined twice (first at line {names[name].sourceline})', activity)
            elif name:
                names[name] = activity
    for element in root.iter(g.P + "*"):
        context = kid(element, "context")
        if local(element) != "process" and context is None:
            continue
        scope = r.scopes[element] = Scope(None, element)
        for kind in ("property", "identity", "signal", "process"):
            for declared in kids(context, kind) if context is not None else ():
                scope.declare(r, kind, declared)
        if local(element) == "process":
            for parameter in kids(element, "parameter"):
                scope.declare(r, "property", parameter)
    for element, scope in r.scopes.items():
        if element is not root:
            scope.parent = r.scope_of(element.getparent())


def _own(process: Any) -> Iterator[Any]:
    """Activities of a process without those of nested ones."""
    todo = list(activities(process))
    while todo:
        element = todo.pop(0)
        yield element
        for child in kids(element):
            if local(child) in ("event", "case", "default"):
                todo = activities(child) + todo
        todo = activities(element) + todo


def _references(r: Reader, root: Any) -> None:
    for element in root.iter(g.P + "*"):
        name = local(element)
        if name in ("documentation", "value"):
            continue
        for key, kind in (("signal", "signal"), ("process", "process"), ("property", "property")):
            text = element.get(key)
            if text is None or (key == "property" and name == "identity"):
                continue
            for part in text.split():
                namespace, _ = r.name_of(part, element)
                if key == "property" and namespace == g.INST_NS:
                    r.find("031", f"instance property {part} cannot be assigned", element)
                elif namespace:
                    r.resolve(kind, part, element)
        if name == "identity":
            for part in element.get("property", "").split():
                r.resolve("property", part, element)
        if name in ("process", "action"):
            for part in (element.get("identity") or element.get("correlate") or "").split():
                r.resolve("identity", part, element)
        if name in ("property", "parameter") and (type := element.get("type")):
            local_type = type.rsplit(":", 1)[-1]
            if local_type not in g.XSD_NUMBERS | g.XSD_TEXTS | {"boolean"}:
                r.find("031", f"type {type} unknown, treated as string", element, severity="warning")
        if name == "process" and kid(element, "event") is not None:
            for parameter in kids(element, "parameter"):
                if parameter.get("required") in ("true", "1") and parameter.get("direction", "input") != "output":
                    r.find("044", "a process with an event cannot have a required input parameter", parameter)
        if name == "feature":
            r.find("050", f"feature {element.get('name')} is ignored", element, severity="warning")
        if name == "import" and element.get("namespace") != g.DEPLOYED_NS:
            r.find("020", f"import {element.get('location') or element.get('namespace')} cannot be read: files are read one by one", element,
                   severity="warning")  # fmt: skip
        for before, after in zip(activities(element), activities(element)[1:], strict=False) if name != "all" else ():
            if local(before) == "fault":
                r.find("047", "activity can never run: it follows a fault", after, severity="warning")
    raised = {r.name_of(e.get("signal"), e)[1] for e in root.iter(g.P + "raise", g.P + "schedule") if e.get("signal")}
    for element in root.iter(g.P + "synch"):
        if r.name_of(element.get("signal"), element)[1] not in raised:
            r.find("047", f"signal {element.get('signal')} is never raised", element, severity="warning")

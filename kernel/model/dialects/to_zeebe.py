"""A model of Camunda 7 or its relatives, written in the Zeebe dialect, which is ours: by tables, in place.

What has no counterpart stays as it stands, so that nothing is lost; the reader says of it what to write instead (`unkept.py`). Idempotent.
"""

from __future__ import annotations

from typing import Any

from lxml import etree

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.dialects import unkept
from flowledger.kernel.model.dialects.juel import JuelError, Untranslatable, parse, template_to_feel

#: classic attribute -> (Zeebe extension, its attribute); a value with `${}` becomes FEEL
ATTRIBUTES: dict[str, tuple[str, str]] = {
    "topic": ("taskDefinition", "type"),
    "assignee": ("assignmentDefinition", "assignee"),
    "candidateUsers": ("assignmentDefinition", "candidateUsers"),
    "candidateGroups": ("assignmentDefinition", "candidateGroups"),
    "formKey": ("formDefinition", "formKey"),
    "formRef": ("formDefinition", "formId"),
    "dueDate": ("taskSchedule", "dueDate"),
    "followUpDate": ("taskSchedule", "followUpDate"),
    "priority": ("priorityDefinition", "priority"),
    "decisionRef": ("calledDecision", "decisionId"),
    "versionTag": ("versionTag", "value"),
    "collection": ("loopCharacteristics", "inputCollection"),
    "elementVariable": ("loopCharacteristics", "inputElement"),
}
#: values that are FEEL in Zeebe also without `${}`
_ALWAYS_FEEL = frozenset({"collection"})
_TEXTS = ("conditionExpression", "completionCondition", "loopCardinality", "condition", "timeDuration", "timeDate", "timeCycle")


def is_classic(root: Any) -> bool:
    """Whether anything in the document is said in a classic dialect."""
    return any(
        isinstance(e.tag, str) and (e.tag.startswith(x.CLASSIC) or any(str(name).startswith(x.CLASSIC) for name in e.attrib))
        for e in root.iter()
    )


def convert(root: Any) -> Any:
    """The document with Zeebe's extensions; `root` is changed unless namespaces must be added."""
    if x.ZEEBE_NS not in root.nsmap.values():
        made = etree.Element(root.tag, attrib=dict(root.attrib), nsmap={**root.nsmap, "zeebe": x.ZEEBE_NS})
        made.text = root.text
        made.extend(list(root))
        root = made
    for element in list(root.iter(x.B + "*")):
        tag = x.local(element)
        if tag in _TEXTS:
            element.text = _feel(x.text_of(element))
            continue
        _mappings(element)
        _called(element, tag)
        _script(element, tag)
        _counter(element, tag)
        _thrown(element, tag)
        _properties(element)
        _undone(element, tag)
        _attributes(element)
    etree.cleanup_namespaces(root, keep_ns_prefixes=[p for p in root.nsmap if p])
    return root


def _feel(text: str, always: bool = False) -> str:
    """`= ...` for text with `${}`; as it stands when that is beyond FEEL, then the reader says so."""
    if not has_juel(text):
        return f"= {text}" if always and not text.startswith("=") else text
    try:
        return f"= {template_to_feel(parse(text.strip()))}"
    except (JuelError, Untranslatable):
        return text


def has_juel(text: str) -> bool:
    return "${" in text or "#{" in text


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _value(text: str) -> str | None:
    """A parameter's text as FEEL without `=`; None when it can't be said."""
    feel = _feel(text)
    if feel.startswith("="):
        return feel[1:].strip()
    return None if has_juel(text) else _quoted(text)


def _holder(element: Any) -> Any:
    found = x.child(element, "extensionElements")
    if found is None:
        found = etree.Element(x.B + "extensionElements")
        element.insert(sum(1 for kid in element if x.local(kid) == "documentation"), found)
    return found


def _extension(element: Any, name: str, /, **attributes: str) -> Any:
    holder = _holder(element)
    made = holder.find(x.Z + name)
    if made is None:
        made = etree.SubElement(holder, x.Z + name)
    for key, value in attributes.items():
        made.set(key, value)
    return made


def _drop(element: Any, name: str) -> None:
    for ns in x.CLASSIC:
        element.attrib.pop(ns + name, None)


def _remove(found: Any) -> None:
    parent = found.getparent()
    parent.remove(found)
    if len(parent) == 0 and parent.getparent() is not None and parent.tag.startswith(x.CLASSIC):
        _remove(parent)


def _attributes(element: Any) -> None:
    decided = bool(x.classic_attr(element, "decisionRef"))
    for name, (extension, attribute) in ATTRIBUTES.items():
        value = x.classic_attr(element, name)
        if value:
            _extension(element, extension, **{attribute: _feel(value, name in _ALWAYS_FEEL)})
            _drop(element, name)
    definition = x.ext(element, "taskDefinition")
    if definition is not None:
        attempts, pause = unkept.retry_of(None, element, None)
        if attempts and not definition.get("retries"):
            definition.set("retries", attempts)
            if pause:
                etree.SubElement(_holder(element), x.OWN + "retry", nsmap={"flowledger": x.OWN_NS}, strategy="fixed", initial=pause)
            for cycle in x.classic_ext(element, "failedJobRetryTimeCycle"):
                _remove(cycle)
        for ns in x.CLASSIC:
            if element.get(ns + "type") == "external":
                del element.attrib[ns + "type"]
    if decided:
        _decision(element)


def _decision(element: Any) -> None:
    """Where it keeps its result, in which shape (here a result of one output is that output), and how it finds its decision."""
    called = x.ext(element, "calledDecision")
    for name, attribute in (
        ("resultVariable", "resultVariable"),
        ("decisionRefBinding", "bindingType"),
        ("decisionRefVersionTag", "versionTag"),
    ):
        if (value := x.classic_attr(element, name)) and (name != "decisionRefBinding" or value in ("latest", "deployment", "versionTag")):
            called.set(attribute, value)
            _drop(element, name)
    shape = x.classic_attr(element, "mapDecisionResult") or "resultList"
    etree.SubElement(_holder(element), x.OWN + "decisionResult", nsmap={"flowledger": x.OWN_NS}, **{"as": shape})
    _drop(element, "mapDecisionResult")


def _mappings(element: Any) -> None:
    """`inputOutput` with texts, expressions, lists and maps."""
    for tag, made in (("inputParameter", "input"), ("outputParameter", "output")):
        for parameter in x.classic_ext(element, "inputOutput", tag):
            source = _parameter(parameter)
            if source is not None:
                etree.SubElement(_extension(element, "ioMapping"), x.Z + made, source=f"= {source}", target=parameter.get("name", ""))
                _remove(parameter)


def _parameter(parameter: Any) -> str | None:
    if not len(parameter):
        return _value(x.text_of(parameter))
    kid = parameter[0]
    values = [(v.get("key", ""), _value(x.text_of(v))) for v in kid]
    if x.local(kid) not in ("list", "map") or any(value is None for _, value in values):
        return None
    if x.local(kid) == "list":
        return "[" + ", ".join(str(value) for _, value in values) + "]"
    return "{" + ", ".join(f"{_quoted(key)}: {value}" for key, value in values) + "}"


def _called(element: Any, tag: str) -> None:
    """A call activity: what it calls, what goes in and comes out."""
    if tag != "callActivity" or not element.get("calledElement"):
        return
    called = _extension(element, "calledElement", processId=_feel(element.attrib.pop("calledElement")))
    binding = x.classic_attr(element, "calledElementBinding")
    if binding in ("latest", "deployment"):
        called.set("bindingType", binding)
        _drop(element, "calledElementBinding")
    elif binding == "versionTag":
        called.set("bindingType", "versionTag")
        called.set("versionTag", x.classic_attr(element, "calledElementVersionTag"))
        _drop(element, "calledElementBinding")
        _drop(element, "calledElementVersionTag")
    everything = {"in": "propagateAllParentVariables", "out": "propagateAllChildVariables"}
    for way, switch in everything.items():
        named = x.classic_ext(element, way)
        called.set(switch, "true" if any(m.get("variables") == "all" for m in named) else "false")
        for m in named:
            source = m.get("source") or _value(m.get("sourceExpression") or "")
            if m.get("variables") == "all":
                _remove(m)
            elif source and m.get("target"):
                mapping = _extension(element, "ioMapping")
                etree.SubElement(mapping, x.Z + ("input" if way == "in" else "output"), source=f"= {source}", target=m.get("target"))
                _remove(m)


def _script(element: Any, tag: str) -> None:
    """A script in JUEL or FEEL; other languages stay, and the reader says what to do."""
    language = element.get("scriptFormat", "").lower()
    script = x.child(element, "script")
    if tag != "scriptTask" or script is None or language not in ("juel", "feel"):
        return
    text = x.text_of(script)
    source = _value(text) if language == "juel" else text.lstrip("= ")
    if source is not None:
        _extension(element, "script", expression=f"= {source}", resultVariable=x.classic_attr(element, "resultVariable") or "result")
        _drop(element, "resultVariable")
        element.remove(script)
        del element.attrib["scriptFormat"]


def _counter(element: Any, tag: str) -> None:
    """What a run or a condition is told by a word of its own."""
    if tag == "multiInstanceLoopCharacteristics" and (name := x.classic_attr(element, "elementIndexVariable")):
        mapping = _extension(element.getparent(), "ioMapping")
        mapping.insert(0, etree.Element(x.Z + "input", source="= loopCounter - 1", target=name))
        _drop(element, "elementIndexVariable")
    elif tag == "conditionalEventDefinition" and (name := x.classic_attr(element, "variableName")):
        _extension(element, "conditionalFilter", variableNames=name.strip())
        _drop(element, "variableName")


def _thrown(element: Any, tag: str) -> None:
    """What a signal carries."""
    for given in x.classic_ext(element, "in") if tag == "signalEventDefinition" else ():
        source = given.get("source") or _value(given.get("sourceExpression") or "")
        if given.get("variables") == "all":
            _property(element.getparent(), "flowledger:carries", "all")
            _remove(given)
        elif source and given.get("target"):
            mapping = _extension(element.getparent(), "ioMapping")
            etree.SubElement(mapping, x.Z + "input", source=f"= {source}", target=given.get("target"))
            _remove(given)


def _undone(element: Any, tag: str) -> None:
    """A loop that Zeebe's words will say is undone run by run, as in the engine it comes from."""
    if tag == "multiInstanceLoopCharacteristics" and x.classic_attr(element, "collection"):
        host = element.getparent()
        boundary = (b for b in host.getparent().findall(x.B + "boundaryEvent") if b.get("attachedToRef") == host.get("id"))
        if any(b.find(x.B + "compensateEventDefinition") is not None for b in boundary):
            _property(host, "flowledger:compensateRuns", "each")


def _property(element: Any, name: str, value: str) -> None:
    etree.SubElement(_extension(element, "properties"), x.Z + "property", name=name, value=value)


def _properties(element: Any) -> None:
    for p in x.classic_ext(element, "properties", "property"):
        _property(element, p.get("name", ""), p.get("value", ""))
        _remove(p)

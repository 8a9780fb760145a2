"""Writes BPMN 2.0 in the Zeebe dialect: what every other format becomes, so that one reader makes the graph and usual modelers open it.

Each element carries the line of the text that it came from (`sourceline`), and `Draft.places` has its column too: findings of the BPMN reader
then point at the original file.
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from flowledger.kernel.model import xml as x

DI_NS = {
    "bpmndi": "http://www.omg.org/spec/BPMN/20100524/DI",
    "dc": "http://www.omg.org/spec/DD/20100524/DC",
    "di": "http://www.omg.org/spec/DD/20100524/DI",
}
NSMAP = {"bpmn": x.BPMN_NS, "zeebe": x.ZEEBE_NS, "flowledger": x.OWN_NS, "xsi": x.XSI_NS, **DI_NS}
#: order of children by the BPMN schema; what isn't listed keeps its place between `outgoing` and the loop
_RANK = {"documentation": 0, "extensionElements": 1, "laneSet": 2, "incoming": 2, "outgoing": 3, "standardLoopCharacteristics": 5,
         "multiInstanceLoopCharacteristics": 5}  # fmt: skip
_BODY_RANK = 6
_RANK_OF_TAG = {x.B + name: rank for name, rank in _RANK.items()}
_UNORDERED = frozenset({x.B + "definitions", x.B + "extensionElements"})
_NCNAME = re.compile(r"[^\w.-]", re.UNICODE)
#: what XML 1.0 can't hold
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def ncname(text: str) -> str:
    """`text` as an XML id: letters, digits, `_`, `.`, `-`, not starting with a digit."""
    name = _NCNAME.sub("_", text) or "_"
    return name if name[0].isalpha() or name[0] == "_" else "_" + name


def variable_name(text: str) -> str:
    """`text` as a variable that FEEL reads as one name."""
    name = re.sub(r"\W", "_", text) or "_"
    return name if not name[0].isdigit() else "_" + name


def clean(text: Any) -> str:
    """`text` without the characters that XML forbids."""
    return _NOT_XML.sub("\ufffd", str(text))


def feel(value: Any) -> str:
    """A JSON value as a FEEL literal."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
        return f'"{escaped}"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{feel(str(k))}: {feel(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(feel(v) for v in value) + "]"
    return format(value, "f") if hasattr(value, "as_tuple") else str(value)


def feel_value(value: Any) -> str:
    """As `feel`, but text that starts with `=` is an expression, at any depth."""
    if isinstance(value, str) and value.lstrip().startswith("="):
        return f"({value.lstrip()[1:].strip()})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{feel(str(k))}: {feel_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(feel_value(v) for v in value) + "]"
    return feel(value)


def source_of(value: Any) -> str:
    """A value of a mapping: expressions keep their text, everything else becomes a FEEL literal."""
    if isinstance(value, str) and value.lstrip().startswith("="):
        return value.strip()
    return "= " + feel_value(value)


def condition_of(text: Any) -> str:
    """A condition, always with the leading `=`."""
    stripped = str(text).strip()
    return stripped if stripped.startswith("=") else "= " + stripped


class Place:
    """Where something stands in the original file. Anything with `line` and `column` will do."""

    __slots__ = ("column", "line")

    def __init__(self, line: int = 0, column: int = 0) -> None:
        self.line, self.column = line, column


NOWHERE = Place()


class Draft:
    """A BPMN document in the making."""

    def __init__(self, id: str, namespace: str = "urn:flowledger:models") -> None:
        self.root = etree.Element(x.B + "definitions", nsmap=NSMAP)
        self.root.set("id", ncname(id) + "_definitions")
        self.root.set("targetNamespace", namespace)
        self.root.set("exporter", "flowledger")
        #: element id -> where it came from
        self.places: dict[str, Place] = {}
        self._ids: set[str] = {self.root.get("id")}
        self._roots: dict[tuple[str, str], str] = {}
        self._flows: list[tuple[Any, Any, Any]] = []

    def unique(self, wanted: str) -> str:
        id = base = ncname(wanted)
        n = 2
        while id in self._ids:
            id, n = f"{base}_{n}", n + 1
        self._ids.add(id)
        return id

    def reserve(self, id: str) -> None:
        """Keep an id for an element that comes later."""
        self._ids.add(id)

    def release(self, id: str) -> None:
        self._ids.discard(id)

    def element(self, parent: Any, tag: str, at: Any = None, /, **attributes: Any) -> Any:
        """A child in BPMN's namespace, placed at `at`."""
        made = etree.SubElement(parent, x.B + tag)
        for name, value in attributes.items():
            if value is not None and value != "":
                made.set(name.rstrip("_"), clean(value))
        if at is not None and at.line:
            made.sourceline = at.line
            if "id" in attributes:
                self.places[attributes["id"]] = Place(at.line, at.column)
        return made

    def process(self, id: str, name: str = "", at: Any = None, executable: bool = True) -> Scope:
        key = self.unique(id)
        made = self.element(self.root, "process", at, id=key, name=name)
        made.set("isExecutable", "true" if executable else "false")
        return Scope(self, made)

    def _root(self, tag: str, key: str, prefix: str, **attributes: Any) -> str:
        known = self._roots.get((tag, key))
        if known is None:
            known = self._roots[tag, key] = self.unique(f"{prefix}_{key}")
            self.element(self.root, tag, None, id=known, **attributes)
        return known

    def error(self, code: str) -> str:
        return self._root("error", code, "Error", name=code, errorCode=code)

    def escalation(self, code: str) -> str:
        return self._root("escalation", code, "Escalation", name=code, escalationCode=code)

    def signal(self, name: str) -> str:
        return self._root("signal", name, "Signal", name=name)

    def message(self, name: str, key: str = "") -> str:
        id = self._root("message", f"{name}\0{key}" if key else name, "Message", name=name)
        if key:
            element = next(e for e in self.root if e.get("id") == id)
            if element.find(x.B + "extensionElements") is None:
                extension(element, "zeebe", "subscription", correlationKey=condition_of(key))
        return id

    def finish(self) -> Any:
        """The document: ends of flows noted at their nodes, children in the schema's order, roots after processes."""
        for flow, source, target in self._flows:
            for node, tag in ((source, "outgoing"), (target, "incoming")):
                note = etree.SubElement(node, x.B + tag)
                note.text = flow.get("id")
        self._flows = []
        for element in self.root.iter(x.B + "*"):
            kids = list(element)
            if len(kids) < 2 or element.tag in _UNORDERED:
                continue
            ranks = [_RANK_OF_TAG.get(k.tag, _BODY_RANK) for k in kids]
            if ranks != sorted(ranks):
                element[:] = [
                    k for _, _, k in sorted(((r, n, k) for n, (r, k) in enumerate(zip(ranks, kids, strict=True))), key=lambda t: t[:2])
                ]
        return self.root


def extension(element: Any, prefix: str, name: str, /, **attributes: Any) -> Any:
    """An extension element, `zeebe:` or `flowledger:`; made once per name."""
    holder = element.find(x.B + "extensionElements")
    if holder is None:
        holder = etree.SubElement(element, x.B + "extensionElements")
    tag = f"{{{NSMAP[prefix]}}}{name}"
    made = holder.find(tag)
    if made is None:
        made = etree.SubElement(holder, tag)
    return _set(made, attributes)


def within(parent: Any, name: str, /, **attributes: Any) -> Any:
    """One more child of an extension element, in the namespace of its parent."""
    return _set(etree.SubElement(parent, parent.tag.rsplit("}", 1)[0] + "}" + name), attributes)


def _set(element: Any, attributes: dict[str, Any]) -> Any:
    for name, value in attributes.items():
        if value is not None and value != "":
            element.set(name.rstrip("_"), clean(value))
    return element


class Scope:
    """A process or sub-process: nodes and flows are added to it."""

    def __init__(self, draft: Draft, element: Any) -> None:
        self.draft, self.element = draft, element

    @property
    def id(self) -> str:
        return str(self.element.get("id"))

    def node(self, tag: str, id: str, name: str = "", at: Any = None, **attributes: Any) -> Any:
        return self.draft.element(self.element, tag, at, id=self.draft.unique(id), name=name, **attributes)

    def sub(self, id: str, name: str = "", at: Any = None, event: bool = False) -> Scope:
        return Scope(self.draft, self.node("subProcess", id, name, at, triggeredByEvent="true" if event else None))

    def flow(self, source: Any, target: Any, when: str | None = None, name: str = "", at: Any = None, id: str = "") -> Any:
        key = self.draft.unique(id or f"{source.get('id')}_to_{target.get('id')}")
        made = self.draft.element(
            self.element, "sequenceFlow", at, id=key, name=name, sourceRef=source.get("id"), targetRef=target.get("id")
        )
        if when is not None:
            condition = self.draft.element(made, "conditionExpression", at)
            condition.set(f"{{{x.XSI_NS}}}type", "bpmn:tFormalExpression")
            condition.text = clean(condition_of(when))
        self.draft._flows.append((made, source, target))
        return made

    def merge_before(self, node: Any) -> Any:
        """An exclusive merge that takes over all flows into `node` (a fork or join would count them)."""
        merge = self.node("exclusiveGateway", f"{node.get('id')}_merge")
        for n, (flow, source, target) in enumerate(self.draft._flows):
            if target is node:
                flow.set("targetRef", merge.get("id"))
                self.draft._flows[n] = (flow, source, merge)
        self.flow(merge, node)
        return merge

    def boundary(self, host: Any, id: str, kind: str, value: str = "", name: str = "", at: Any = None, interrupting: bool = True) -> Any:
        """A boundary event: kind as in `event`."""
        made = self.node("boundaryEvent", id, name, at, attachedToRef=host.get("id"), cancelActivity=None if interrupting else "false")
        self.event(made, kind, value, at)
        return made

    def event(self, node: Any, kind: str, value: str = "", at: Any = None, key: str = "") -> Any:
        """What an event waits for or throws. `kind`: timer (a duration), date, cycle, message, signal, error, escalation, conditional, terminate,
        compensate, link; `value`: its time, name, code or condition; `key`: correlation key of a message."""
        timer = {"timer": "timeDuration", "date": "timeDate", "cycle": "timeCycle"}.get(kind)
        tag = "timer" if timer else kind
        made = self.draft.element(node, tag + "EventDefinition", at, id=self.draft.unique(f"{node.get('id')}_{tag}"))
        if timer:
            text = self.draft.element(made, timer, at)
            text.set(f"{{{x.XSI_NS}}}type", "bpmn:tFormalExpression")
            text.text = clean(value)
        elif kind == "conditional":
            text = self.draft.element(made, "condition", at)
            text.set(f"{{{x.XSI_NS}}}type", "bpmn:tFormalExpression")
            text.text = clean(condition_of(value))
        elif kind == "message":
            made.set("messageRef", self.draft.message(value, key))
        elif kind == "link":
            made.set("name", clean(value))
        elif kind == "compensate":
            if value:
                made.set("activityRef", value)
        elif kind in ("signal", "error", "escalation") and value:
            made.set(kind + "Ref", getattr(self.draft, kind)(value))
        return made


def document(element: Any, text: str) -> None:
    if text:
        etree.SubElement(element, x.B + "documentation").text = clean(text)


def job(element: Any, type: str, retries: Any = None, headers: dict[str, Any] | None = None) -> None:
    extension(element, "zeebe", "taskDefinition", type=type, retries=retries)
    if headers:
        holder = extension(element, "zeebe", "taskHeaders")
        for key, value in headers.items():
            within(holder, "header", key=key, value=value)


def mapping(element: Any, direction: str, source: str, target: str) -> None:
    """direction: input or output."""
    within(extension(element, "zeebe", "ioMapping"), direction, source=source, target=target)


def decision(element: Any, id: str, result: str) -> None:
    extension(element, "zeebe", "calledDecision", decisionId=id, resultVariable=result)


def script(element: Any, expression: str, result: str) -> None:
    extension(element, "zeebe", "script", expression=condition_of(expression), resultVariable=result)


def call(element: Any, process: str, binding: str = "", version_tag: str = "") -> None:
    extension(
        element, "zeebe", "calledElement", processId=process, bindingType=binding, versionTag=version_tag, propagateAllChildVariables="true"
    )


def people(element: Any, assignee: str = "", groups: str = "", users: str = "", form: str = "", due: str = "", follow_up: str = "",
           priority: Any = None) -> None:  # fmt: skip
    """What a user task says. `due` and `follow_up`: an ISO duration from now, a date, or an expression."""
    extension(element, "zeebe", "userTask")
    if form:
        extension(element, "zeebe", "formDefinition", formId=form)
    if assignee or groups or users:
        extension(element, "zeebe", "assignmentDefinition", assignee=assignee, candidateGroups=groups, candidateUsers=users)
    if due or follow_up:
        extension(element, "zeebe", "taskSchedule", dueDate=_from_now(due), followUpDate=_from_now(follow_up))
    if priority not in (None, ""):
        extension(element, "zeebe", "priorityDefinition", priority=priority)


def _from_now(text: str) -> str:
    return f'= now() + duration("{text}")' if re.fullmatch(r"P[0-9YMWDTHS.]+", text or "") else text


def each(draft: Draft, element: Any, items: str, item: str = "item", parallel: bool = True, output: str = "", output_element: str = "",
         completion: str = "", at: Any = None) -> None:  # fmt: skip
    """Run an activity once for each item."""
    loop = draft.element(element, "multiInstanceLoopCharacteristics", at, isSequential=None if parallel else "true")
    extension(loop, "zeebe", "loopCharacteristics", inputCollection=condition_of(items), inputElement=item, outputCollection=output,
              outputElement=condition_of(output_element) if output_element else "")  # fmt: skip
    if completion:
        text = draft.element(loop, "completionCondition", at)
        text.set(f"{{{x.XSI_NS}}}type", "bpmn:tFormalExpression")
        text.text = clean(condition_of(completion))

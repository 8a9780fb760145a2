"""Rules of the standard that concern no single topic: expressions that must be formal or boolean, media types, messages of executable processes,
compensation that doesn't interrupt, intermediate events at the end of nothing, public processes.
"""

from __future__ import annotations

import re
from typing import Any

from flowledger.kernel import feel
from flowledger.kernel.feel import tree as t
from flowledger.kernel.feel.builtins import BUILTINS
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.checks import grammar
from flowledger.kernel.model.checks.common import declare, process_of, referenced, say
from flowledger.kernel.model.graph import Node, Process

declare(
    {
        "CONDITION_NOT_BOOLEAN": ("error", "A condition that can only be a number, a text or another value", "8.4.6, 8.4.13, 10.3.8", "compare it: = amount > 0"),
        "EXPRESSION_NATURAL": (
            "info",
            "An expression of an executable process is in natural language by its type; it is read as FEEL",
            "8.4.6",
            'xsi:type="tFormalExpression"',
        ),
        "EXPRESSION_EMPTY": ("warning", "A formal expression without body", "8.4.6, 10.4.2", "write the expression, or remove the element"),
        "MEDIA_TYPE": ("warning", "A format that is no media type", "8.4.1, 10.3.3, table 10.13", "text/plain, text/html, application/javascript ..."),
        "PUBLIC_EXECUTABLE": ("warning", "A public process is marked executable", "10.2, table 10.1", 'processType="Private"'),
        "IO_OF_SUB_PROCESS": ("warning", "A sub-process has an ioSpecification", "10.4.1", "only tasks, call activities and processes have one; use mappings"),
        "COMPENSATION_NOT_INTERRUPTING": (
            "warning",
            "A compensation event says that it doesn't interrupt, which has no meaning for it",
            "10.5.2, 10.5.4",
            "remove cancelActivity or isInterrupting",
        ),
        "INTERMEDIATE_WITHOUT_INCOMING": ("warning", "Nothing leads to an intermediate event", "10.5.4", "join it to the flow"),
        "INTERMEDIATE_WITHOUT_OUTGOING": ("warning", "An intermediate event leads nowhere", "10.5.4", "join it to the flow, or make it an end event"),
        "MESSAGE_THROWN_MISSING": ("info", "A thrown message names no message: its event's name is taken", "10.5.5, table 10.98", 'messageRef="..."'),
        "MESSAGE_OPERATION_MISSING": (
            "info",
            "A message event of an executable process names no operation, although the file has operations",
            "10.5.5, table 10.98",
            "<operationRef> of an <operation>; the engine doesn't need it",
        ),
        "THROWN_CODE_MISSING": ("warning", "What an executable process throws has no code: its name or id is used", "8.4.3, 8.4.4", "errorCode or escalationCode"),
        "FLOW_CHILD_MISSING": (
            "warning",
            "A process lists flows as <incoming> and <outgoing> of its elements, but not this one",
            "8.4.13, table 8.48",
            "add it, or list none",
        ),
        "LINK_DISAGREES": ("warning", "source and target of two links don't name each other", "10.5.5, table 10.96", "name the definitions of the partners"),
    }
)  # fmt: skip

_EXPRESSIONS = tuple(
    x.B + tag
    for tag in ("conditionExpression", "condition", "activationCondition", "completionCondition", "loopCondition", "loopCardinality", "timeDate",
                "timeDuration", "timeCycle", "from", "to", "expression")
)  # fmt: skip
_FORMAL = tuple(x.B + tag for tag in ("transformation", "dataPath", "messagePath"))
_TYPE = f"{{{x.XSI_NS}}}type"
_MEDIA = re.compile(r"[\w.+-]+/[\w.+*-]+(\s*;.*)?\Z").match


def check_file(r: Any) -> None:
    for element in r.definitions.iter(*_EXPRESSIONS, *_FORMAL):
        formal = element.tag in _FORMAL or element.get(_TYPE, "").rsplit(":", 1)[-1] == "tFormalExpression"
        process = process_of(element)
        if not formal and process is not None and process.get("isExecutable") == "true":
            say(r, "EXPRESSION_NATURAL", element, f"<{x.local(element)}> is no formal expression")
        if formal and not x.text_of(element) and x.local(element) not in ("dataPath", "messagePath"):
            say(r, "EXPRESSION_EMPTY", element, f"<{x.local(element)}> has no body")
    for tag, attribute in (("documentation", "textFormat"), ("textAnnotation", "textFormat"), ("scriptTask", "scriptFormat"),
                           ("globalScriptTask", "scriptLanguage")):  # fmt: skip
        for element in r.definitions.iter(x.B + tag):
            value = element.get(attribute)
            if value is not None and not _MEDIA(value.strip()) and tag != "globalScriptTask":
                say(r, "MEDIA_TYPE", element, f"{attribute}: expected a media type, found '{value}'")
    for element in r.definitions.iterchildren(x.B + "process"):
        if element.get("processType") == "Public" and element.get("isExecutable") in ("true", "1"):
            say(r, "PUBLIC_EXECUTABLE", element, f"process '{element.get('id', '')}' is public and executable")
    for tag in ("subProcess", "transaction", "adHocSubProcess"):
        for element in r.definitions.iter(x.B + tag):
            if (io := x.child(element, "ioSpecification")) is not None:
                say(r, "IO_OF_SUB_PROCESS", io, f"{x.local(element)} '{element.get('id', '')}' has an ioSpecification")
    _links(r)


def _links(r: Any) -> None:
    """A definition that names its partners is named by them (several sources may lead to one target)."""
    for link in r.definitions.iter(x.B + "linkEventDefinition"):
        for mine, theirs in (("target", "source"), ("source", "target")):
            for reference in link.findall(x.B + mine):
                other = referenced(r, x.text_of(reference))
                if other is None or x.local(other) != "linkEventDefinition":
                    continue
                back = [x.text_of(e) for e in other.findall(x.B + theirs)]
                if back and link.get("id", "") not in back:
                    say(
                        r,
                        "LINK_DISAGREES",
                        link,
                        f"link '{link.get('id', '')}' has the {mine} '{other.get('id', '')}', which names another {theirs}",
                    )


def check(r: Any, process: Process) -> None:
    says = process.root.xml is not None and process.root.xml.get("isExecutable") == "true"
    lists = process.root.xml is not None and next(process.root.xml.iter(x.B + "incoming", x.B + "outgoing"), None) is not None
    for node in process.nodes.values():
        _event(r, node, says)
        if lists:
            _listed(r, node)
        for what, expression in _conditions(node):
            _boolean(r, node, what, expression)
    for flow in process.flows.values():
        if flow.source.kind not in ("parallelGateway", "eventBasedGateway"):
            _boolean(r, flow, f"the condition of flow '{flow.id}'", flow.condition)


def _event(r: Any, node: Node, executable: bool) -> None:
    kinds = [e.kind for e in node.events]
    if "compensate" in kinds and node.xml is not None:
        for kind, attribute in (("boundaryEvent", "cancelActivity"), ("startEvent", "isInterrupting")):
            if node.kind == kind and node.xml.get(attribute) in ("false", "0"):
                say(r, "COMPENSATION_NOT_INTERRUPTING", node, f"compensation event '{node.id}' has {attribute}=\"false\"")
    if node.kind in ("intermediateCatchEvent", "intermediateThrowEvent"):
        if not node.incoming and not (node.kind == "intermediateCatchEvent" and "link" in kinds):
            say(r, "INTERMEDIATE_WITHOUT_INCOMING", node, f"nothing leads to '{node.id}'")
        if not node.outgoing and not (node.kind == "intermediateThrowEvent" and "link" in kinds):
            say(r, "INTERMEDIATE_WITHOUT_OUTGOING", node, f"'{node.id}' leads nowhere")
    if not executable or node.xml is None:
        return
    for definition in _definitions(r, node.xml):
        tag = x.local(definition)
        if tag == "messageEventDefinition":
            thrown = node.kind in ("intermediateThrowEvent", "endEvent")
            if thrown and not definition.get("messageRef"):
                say(r, "MESSAGE_THROWN_MISSING", node, f"thrown message of '{node.id}' names no message")
            if x.child(definition, "operationRef") is None and next(r.definitions.iter(x.B + "operation"), None) is not None:
                say(r, "MESSAGE_OPERATION_MISSING", node, f"message event '{node.id}' names no operation")
        elif node.kind in ("endEvent", "intermediateThrowEvent") and tag in ("errorEventDefinition", "escalationEventDefinition"):
            kind = tag.removesuffix("EventDefinition")
            thing = referenced(r, definition.get(f"{kind}Ref", "") or "?")
            if thing is not None and x.local(thing) == kind and not thing.get(f"{kind}Code"):
                say(r, "THROWN_CODE_MISSING", node, f"'{node.id}' throws {kind} '{thing.get('id', '')}', which has no {kind}Code")


def _definitions(r: Any, element: Any) -> list[Any]:
    found = [kid for kid in x.bpmn_children(element) if grammar.is_a(x.local(kid), "eventDefinition")]
    for reference in element.findall(x.B + "eventDefinitionRef"):
        if (other := referenced(r, x.text_of(reference))) is not None:
            found.append(other)
    return found


def _listed(r: Any, node: Node) -> None:
    """The children incoming and outgoing repeat what the flows say: all of them, or none in the whole process."""
    if node.xml is None or x.local(node.xml) != node.kind:
        return
    listed = {tag: [x.text_of(e).rsplit(":", 1)[-1] for e in node.xml.iterchildren(x.B + tag)] for tag in ("incoming", "outgoing")}
    for tag, flows in (("incoming", node.incoming), ("outgoing", node.outgoing)):
        for flow in flows:
            if flow.id and flow.id not in listed[tag]:
                say(r, "FLOW_CHILD_MISSING", node, f"'{node.id}' doesn't list its {tag} flow '{flow.id}'")


# conditions


def _conditions(node: Node) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = [
        (f"the condition of '{node.id}'", e.condition) for e in node.events if getattr(e, "condition", None) is not None
    ]
    if node.loop is not None:
        for name in ("while_", "completion"):
            if (e := getattr(node.loop, name, None)) is not None:
                found.append((f"the condition of the loop of '{node.id}'", e))
    if node.kind in ("adHocSubProcess", "complexGateway"):
        for tag in ("completionCondition", "activationCondition"):
            if (element := x.child(node.xml, tag)) is not None and (text := x.text_of(element).lstrip("= ")):
                try:
                    tree = feel.parse(text)
                except feel.FeelSyntaxError:
                    continue
                found.append((f"<{tag}> of '{node.id}'", tree))
    return found


def _boolean(r: Any, at: Any, what: str, expression: Any) -> None:
    tree = expression if isinstance(expression, t.Node) else getattr(getattr(expression, "compiled", None), "tree", None)
    kind = _never_boolean(tree) if tree is not None else ""
    if kind:
        say(r, "CONDITION_NOT_BOOLEAN", at, f"{what} can only be {kind}: expected true or false, found '{getattr(expression, 'text', '')}'")


_LITERALS = {str: "a text", bool: "", type(None): ""}
_RESULTS = {
    "Decimal": "a number",
    "str": "a text",
    "FeelDate": "a date",
    "FeelTime": "a time",
    "FeelDateTime": "a date and time",
    "Range": "a range",
}


def _never_boolean(tree: Any) -> str:
    """What a value must be that can't be true or false, `""` when it may be."""
    if isinstance(tree, t.Literal):
        return _LITERALS.get(type(tree.value), "a number" if type(tree.value).__name__ == "Decimal" else "a date, time or duration")
    if isinstance(tree, t.List):
        return "a list" if len(tree.items) != 1 else ""
    if isinstance(tree, (t.Context, t.FunctionNode, t.RangeNode, t.For)):
        return {t.Context: "a context", t.FunctionNode: "a function", t.RangeNode: "a range", t.For: "a list"}[type(tree)]
    if isinstance(tree, t.Negate) or (isinstance(tree, t.Binary) and tree.operator in ("+", "-", "*", "/", "**")):
        return "a number, a text or a date"
    if isinstance(tree, t.If):
        one, other = _never_boolean(tree.then), _never_boolean(tree.otherwise)
        return one if one and other else ""
    if isinstance(tree, t.Call) and isinstance(tree.function, t.Name) and (builtin := BUILTINS.get(tree.function.name)) is not None:
        results = {str(s.call.__annotations__.get("return", "")).removesuffix(" | None") for s in builtin.signatures}
        names = {
            _RESULTS.get(one, "a list" if one.startswith("list[") else "a context" if one.startswith("dict[") else "") for one in results
        }
        return names.pop() if len(names) == 1 else ""
    return ""

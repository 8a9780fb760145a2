"""From DMN XML (1.1 to 1.5) to the structs of `model`.

The reader takes any of the versions' namespaces and doesn't ask which child belongs to which version: the versions only
added elements, none changed its meaning. What it doesn't know (diagrams, extension elements but version tags) it leaves out.
Source: DMN 1.5, chapter 12 and the XSDs of 1.1 to 1.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lxml import etree

from flowledger.kernel.dmn import model as m
from flowledger.kernel.dmn.errors import DmnError
from flowledger.kernel.markup import BadXml, root_of

#: Largest model that is parsed, in bytes. A table with 10,000 rules takes about 8 MB.
MODEL_BYTES_MAX = 32 * 1024 * 1024
#: Deepest nesting of boxed expressions.
NESTING_MAX = 64

NAMESPACES: dict[str, str] = {
    "http://www.omg.org/spec/DMN/20151101/dmn.xsd": "1.1",
    "http://www.omg.org/spec/DMN/20151101/dmn11.xsd": "1.1",
    "http://www.omg.org/spec/DMN/20180521/MODEL/": "1.2",
    "https://www.omg.org/spec/DMN/20191111/MODEL/": "1.3",
    "https://www.omg.org/spec/DMN/20211108/MODEL/": "1.4",
    "https://www.omg.org/spec/DMN/20230324/MODEL/": "1.5",
}
_OMG = ("http://www.omg.org/spec/DMN/", "https://www.omg.org/spec/DMN/")

_HIT_POLICIES = {
    "U": "UNIQUE",
    "A": "ANY",
    "P": "PRIORITY",
    "F": "FIRST",
    "O": "OUTPUT ORDER",
    "R": "RULE ORDER",
    "C": "COLLECT",
    "OUTPUT_ORDER": "OUTPUT ORDER",
    "RULE_ORDER": "RULE ORDER",
}


def is_dmn(tag: str) -> bool:
    """Whether a root element's tag (`{namespace}name`) is that of a decision model."""
    namespace, _, name = tag[1:].partition("}")
    return name == "definitions" and namespace.startswith(_OMG)


def parse(xml: bytes | str) -> m.Definitions:
    """Read one model.

    Raises:
        DmnError: not XML, not DMN, larger than MODEL_BYTES_MAX, or with a DOCTYPE.
    """
    if isinstance(xml, str):
        # A declared encoding would contradict the one used here; the text is already decoded.
        xml = xml.lstrip("\ufeff \t\r\n")
        if xml.startswith("<?xml"):
            xml = xml[xml.find("?>") + 2 :]
        xml = xml.encode()
    try:
        root = root_of(xml, MODEL_BYTES_MAX)
    except BadXml as e:
        raise DmnError(e.message, e.line) from e
    if not is_dmn(root.tag):
        raise DmnError(f"the root element is {root.tag}, expected definitions in a namespace of DMN 1.1 to 1.5", root.sourceline or 0)
    return _definitions(root)


def _local(e: etree._Element) -> str:
    tag: str = e.tag
    return tag[tag.index("}") + 1 :] if tag[:1] == "{" else tag


def _children(e: etree._Element, *names: str) -> Iterator[etree._Element]:
    # Elements of other namespaces (vendors' extensions with the same local name) are not ours.
    space = e.tag[: e.tag.index("}") + 1] if e.tag[:1] == "{" else ""
    for child in e:
        if child.tag.startswith(space) and _local(child) in names:
            yield child


def _child(e: etree._Element, *names: str) -> etree._Element | None:
    return next(_children(e, *names), None)


def _at(e: etree._Element) -> dict[str, Any]:
    return {"id": e.get("id"), "line": e.sourceline or 0}


def _content(e: etree._Element | None) -> str:
    return "" if e is None else "".join(e.itertext()).strip()


def _name(e: etree._Element) -> str:
    """Names are compared with single spaces (DMN 1.5, 10.3.1.3: additional white space is not significant)."""
    return " ".join((e.get("name") or "").split())


def _type_ref(e: etree._Element, attribute: str = "typeRef") -> str | None:
    """The name of a type: an attribute, or in item definitions (and DMN 1.1 tools) a child element."""
    text = e.get(attribute)
    if text is None and attribute == "typeRef":
        child = _child(e, "typeRef")
        text = _content(child) if child is not None else None
    if text is None:
        return None
    text = " ".join(text.split())
    # DMN 1.1 wrote types as QNames: a declared prefix is no part of the name; `import.tType` has a dot instead.
    prefix, colon, rest = text.partition(":")
    if colon and prefix in (e.nsmap or {}):
        text = rest
    return text or None


def _texts(e: etree._Element | None) -> m.Text | None:
    if e is None:
        return None
    text = _content(_child(e, "text"))
    return m.Text(text=text, language=e.get("expressionLanguage"), **_at(e)) if text else None


def _variable(e: etree._Element) -> m.Variable:
    return m.Variable(name=_name(e), type_ref=_type_ref(e), **_at(e))


def _ref(e: etree._Element) -> m.Ref:
    space, hash_, target = (e.get("href") or "").strip().rpartition("#")
    return m.Ref(namespace=space if hash_ and space else None, target=target, **_at(e))


def _definitions(root: etree._Element) -> m.Definitions:
    space = root.tag[1:].partition("}")[0]
    d = m.Definitions(
        name=_name(root),
        namespace=root.get("namespace") or "",
        version=NAMESPACES.get(space, "?"),
        expression_language=root.get("expressionLanguage"),
        **_at(root),
    )
    for e in root:
        read = _TOP.get(_local(e))
        if read is not None and e.tag.startswith("{" + space + "}"):
            target, value = read(e)
            getattr(d, target).append(value)
    return d


def _import(e: etree._Element) -> tuple[str, m.Import]:
    return "imports", m.Import(
        namespace=e.get("namespace") or "", name=_name(e), import_type=e.get("importType") or "", location=e.get("locationURI"), **_at(e)
    )


def _item_definition(e: etree._Element, depth: int = 0) -> m.ItemDefinition:
    if depth > NESTING_MAX:
        raise DmnError(f"item definitions nested deeper than {NESTING_MAX}", e.sourceline or 0)
    item = _child(e, "functionItem")
    function = None
    if item is not None:
        function = m.FunctionItem(
            output=_type_ref(item, "outputTypeRef"), parameters=[_variable(p) for p in _children(item, "parameters")], **_at(item)
        )
    return m.ItemDefinition(
        name=_name(e),
        type_ref=_type_ref(e),
        is_collection=(e.get("isCollection") or "").strip() in ("true", "1"),
        allowed_values=_texts(_child(e, "allowedValues")),
        type_constraint=_texts(_child(e, "typeConstraint")),
        components=[_item_definition(c, depth + 1) for c in _children(e, "itemComponent")],
        function=function,
        **_at(e),
    )


def _element_parts(e: etree._Element) -> dict[str, Any]:
    variable = _child(e, "variable")
    name = _name(e)
    v = _variable(variable) if variable is not None else m.Variable(name=name, line=e.sourceline or 0)
    if not v.name:
        v.name = name
    return {"name": name or v.name, "variable": v, **_at(e)}


def _input_data(e: etree._Element) -> tuple[str, m.InputData]:
    return "inputs", m.InputData(**_element_parts(e))


def _requirements(e: etree._Element, kind: str, *names: str) -> list[m.Ref]:
    return [_ref(r) for requirement in _children(e, kind) for r in _children(requirement, *names)]


_ZEEBE_TAG = "{http://camunda.org/schema/zeebe/1.0}versionTag"
_CAMUNDA_TAG = "{http://camunda.org/schema/1.0/dmn}versionTag"


def _version_tag(e: etree._Element) -> str:
    extensions = _child(e, "extensionElements")
    tag = extensions.find(_ZEEBE_TAG) if extensions is not None else None
    return str((tag.get("value") if tag is not None else e.get(_CAMUNDA_TAG)) or "")


def _decision(e: etree._Element) -> tuple[str, m.Decision]:
    return "decisions", m.Decision(
        question=_content(_child(e, "question")),
        version_tag=_version_tag(e),
        requires=_requirements(e, "informationRequirement", "requiredInput", "requiredDecision"),
        knowledge=_requirements(e, "knowledgeRequirement", "requiredKnowledge"),
        expression=_first_expression(e),
        **_element_parts(e),
    )


def _bkm(e: etree._Element) -> tuple[str, m.Bkm]:
    logic = _child(e, "encapsulatedLogic")
    return "bkms", m.Bkm(
        knowledge=_requirements(e, "knowledgeRequirement", "requiredKnowledge"),
        logic=_function(logic, 0) if logic is not None else None,
        **_element_parts(e),
    )


def _service(e: etree._Element) -> tuple[str, m.Service]:
    return "services", m.Service(
        outputs=[_ref(r) for r in _children(e, "outputDecision")],
        encapsulated=[_ref(r) for r in _children(e, "encapsulatedDecision")],
        input_decisions=[_ref(r) for r in _children(e, "inputDecision")],
        input_data=[_ref(r) for r in _children(e, "inputData")],
        **_element_parts(e),
    )


# Boxed expressions (10.2)


def _first_expression(e: etree._Element | None, depth: int = 0) -> m.Expression | None:
    if e is None:
        return None
    for child in e:
        read = _EXPRESSIONS.get(_local(child))
        if read is not None and child.tag.partition("}")[0] == e.tag.partition("}")[0]:
            if depth > NESTING_MAX:
                raise DmnError(f"boxed expressions nested deeper than {NESTING_MAX}", e.sourceline or 0)
            return read(child, depth + 1)
    return None


def _expressions(e: etree._Element, depth: int) -> list[m.Expression | None]:
    if depth > NESTING_MAX:
        raise DmnError(f"boxed expressions nested deeper than {NESTING_MAX}", e.sourceline or 0)
    space = e.tag.partition("}")[0]
    return [
        read(child, depth + 1)
        for child in e
        if (read := _EXPRESSIONS.get(_local(child))) is not None and child.tag.partition("}")[0] == space
    ]


def _common(e: etree._Element) -> dict[str, Any]:
    return {"type_ref": _type_ref(e), **_at(e)}


def _literal(e: etree._Element, depth: int = 0) -> m.Literal:
    return m.Literal(text=_content(_child(e, "text")), language=e.get("expressionLanguage"), **_common(e))


def _context(e: etree._Element, depth: int) -> m.Context:
    entries = []
    for c in _children(e, "contextEntry"):
        v = _child(c, "variable")
        entries.append(m.Entry(variable=_variable(v) if v is not None else None, value=_first_expression(c, depth), **_at(c)))
    return m.Context(entries=entries, **_common(e))


def _invocation(e: etree._Element, depth: int) -> m.Invocation:
    bindings = []
    for b in _children(e, "binding"):
        p = _child(b, "parameter")
        if p is not None:
            bindings.append(m.Binding(parameter=_variable(p), value=_first_expression(b, depth), **_at(b)))
    return m.Invocation(function=_first_expression(e, depth), bindings=bindings, **_common(e))


def _function(e: etree._Element, depth: int) -> m.Function:
    return m.Function(
        kind=e.get("kind") or "FEEL",
        parameters=[_variable(p) for p in _children(e, "formalParameter")],
        body=_first_expression(e, depth),
        **_common(e),
    )


def _list(e: etree._Element, depth: int) -> m.ListOf:
    return m.ListOf(items=_expressions(e, depth), **_common(e))


def _relation(e: etree._Element, depth: int) -> m.Relation:
    return m.Relation(
        columns=[_variable(c) for c in _children(e, "column")], rows=[_expressions(r, depth) for r in _children(e, "row")], **_common(e)
    )


def _conditional(e: etree._Element, depth: int) -> m.Conditional:
    return m.Conditional(
        test=_first_expression(_child(e, "if"), depth),
        then=_first_expression(_child(e, "then"), depth),
        otherwise=_first_expression(_child(e, "else"), depth),
        **_common(e),
    )


def _iterator(e: etree._Element, depth: int) -> m.Iterator:
    over = _child(e, "in")
    return m.Iterator(
        kind=_local(e),
        variable=" ".join((e.get("iteratorVariable") or "").split()),
        over=_first_expression(over, depth),
        over_type_ref=_type_ref(over) if over is not None else None,
        body=_first_expression(_child(e, "return", "satisfies"), depth),
        **_common(e),
    )


def _filter(e: etree._Element, depth: int) -> m.Filter:
    return m.Filter(over=_first_expression(_child(e, "in"), depth), match=_first_expression(_child(e, "match"), depth), **_common(e))


def _table(e: etree._Element, depth: int) -> m.Table:
    policy = " ".join((e.get("hitPolicy") or "UNIQUE").upper().split())
    inputs, outputs, rules = [], [], []
    for c in _children(e, "input"):
        expression = _child(c, "inputExpression")
        inputs.append(
            m.Input(
                label=c.get("label"),
                expression=_literal(expression) if expression is not None else None,
                values=_texts(_child(c, "inputValues")),
                **_at(c),
            )
        )
    for c in _children(e, "output"):
        default = _child(c, "defaultOutputEntry")
        outputs.append(
            m.Output(
                name=_name(c) or None,
                label=c.get("label"),
                type_ref=_type_ref(c),
                values=_texts(_child(c, "outputValues")),
                default=_literal(default) if default is not None else None,
                **_at(c),
            )
        )
    for c in _children(e, "rule"):
        rules.append(
            m.Rule(
                inputs=[
                    m.Text(text=_content(_child(i, "text")), language=i.get("expressionLanguage"), **_at(i))
                    for i in _children(c, "inputEntry")
                ],
                outputs=[_literal(o) for o in _children(c, "outputEntry")],
                annotations=[_content(_child(a, "text")) for a in _children(c, "annotationEntry")],
                **_at(c),
            )
        )
    return m.Table(
        hit_policy=_HIT_POLICIES.get(policy, policy),
        aggregation=(e.get("aggregation") or "").strip().upper() or None,
        inputs=inputs,
        outputs=outputs,
        rules=rules,
        label=e.get("outputLabel"),
        annotations=[a.get("name") or "" for a in _children(e, "annotation")],
        **_common(e),
    )


_EXPRESSIONS: dict[str, Callable[[etree._Element, int], m.Expression]] = {
    "literalExpression": _literal,
    "context": _context,
    "invocation": _invocation,
    "functionDefinition": _function,
    "list": _list,
    "relation": _relation,
    "conditional": _conditional,
    "for": _iterator,
    "some": _iterator,
    "every": _iterator,
    "filter": _filter,
    "decisionTable": _table,
}
_TOP: dict[str, Callable[[etree._Element], tuple[str, m.Node]]] = {
    "import": _import,
    "itemDefinition": lambda e: ("types", _item_definition(e)),
    "inputData": _input_data,
    "decision": _decision,
    "businessKnowledgeModel": _bkm,
    "decisionService": _service,
}

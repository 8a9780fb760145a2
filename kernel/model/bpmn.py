"""BPMN 2.0 XML -> graph. What an element takes from its XML stands in the element's module; here is what all share.

Source: BPMN 2.0.2, chapters 8 and 10, and its XML schemas (BPMN20.xsd).
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import msgspec

from flowledger.kernel import feel
from flowledger.kernel.expressions import Expression, expression, feel_expression, literal
from flowledger.kernel.findings import Finding
from flowledger.kernel.markup import BadXml
from flowledger.kernel.model import behaviours, connectors, ids
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.dialects import classic, own, plain, unkept, unread
from flowledger.kernel.model.graph import Flow, Graph, Mapping, Node, Process

_GLOBAL_TASKS = {"globalTask": "task", "globalUserTask": "userTask", "globalScriptTask": "scriptTask", "globalManualTask": "manualTask",
                 "globalBusinessRuleTask": "businessRuleTask"}  # fmt: skip


class Reader:
    """State of one reading. Element modules use `expression`, `condition`, `finding`, `root`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.findings: list[Finding] = []
        #: all elements by id, for references
        self.by_id: dict[str, Any] = {}
        self.graph = Graph("bpmn", name)
        #: ids that the file left out and that were made
        self.made_ids: set[str] = set()
        self.definitions: Any = None

    @cached_property
    def classic(self) -> bool:
        """The model speaks Camunda 7's dialect or a relative's, and nothing of Zeebe's."""
        return self.lenient and self.speaks_classic

    @cached_property
    def speaks_classic(self) -> bool:
        """Something in it is said in that dialect."""
        return any(n.startswith(tuple(x.CLASSIC)) for n in self._names)

    @cached_property
    def _names(self) -> set[str]:
        """Tags and attributes of the whole file."""
        return {name for e in self.definitions.iter() if isinstance(e.tag, str) for name in (e.tag, *e.attrib)}

    @cached_property
    def lenient(self) -> bool:
        """The model says nothing in Zeebe's words: other engines (Camunda 7 and its relatives, jBPM) take a name for a reference."""
        return not any(n.startswith(x.Z) for n in self._names)

    def finding(self, code: str, message: str, at: Any = None, *, hint: str = "", severity: str = "error") -> None:
        """`at`: a Node, a Flow or an XML element."""
        element: str | None = None
        line = column = 0
        if isinstance(at, (Node, Flow)):
            element, line = at.id, at.line
        elif at is not None and hasattr(at, "get"):
            element, line = self._id_around(at), at.sourceline or 0
        self.findings.append(Finding(code, message, severity, element, line, column, hint, self.name))

    @staticmethod
    def _id_around(element: Any) -> str | None:
        while element is not None:
            if element.get("id"):
                return str(element.get("id"))
            element = element.getparent()
        return None

    def root(self, reference: str, kind: str, at: Any) -> Any:
        """The root element that a reference names, of that kind; a finding when there is none."""
        found = self.by_id.get(reference.rsplit(":", 1)[-1])
        prefix, colon, _ = reference.partition(":")
        where = getattr(at, "xml", at)
        namespace = getattr(where, "nsmap", None) or self.definitions.nsmap
        own = self.definitions.get("targetNamespace")
        if found is None and colon and namespace.get(prefix, own) != own:
            message = f"the {kind} '{reference}' is in another file, which is not followed: its name is taken"
            self.finding("REFERENCE_ELSEWHERE", message, at, hint=f"declare the <{kind}> in this file", severity="info")
            return None
        if found is None and kind in ("error", "signal") and self.lenient:
            self.finding(
                "REFERENCE_IS_NAME",
                f"no {kind} has the id '{reference}': it is taken as the {'code' if kind == 'error' else 'name'}, as engines of this dialect do",
                at,
                severity="warning",
                hint=f'declare a <{kind} id="...">',
            )
            return None
        if found is None:
            self.finding(
                "REFERENCE_MISSING",
                f"no {kind} has the id '{reference}'",
                at,
                hint=f'declare a <{kind} id="{reference}"> or choose another',
            )
            return None
        if x.local(found) != kind:
            self.finding("REFERENCE_WRONG_KIND", f"expected '{reference}' to be a {kind}, found a {x.local(found)}", at)
            return None
        return found

    def expression(self, text: str, at: Any, what: str = "expression") -> Expression:
        """FEEL with a leading `=`, a classic `${...}` translated, else the text itself."""
        try:
            if "${" in text or "#{" in text:
                return classic.juel(text, self, at)
            return expression(text)
        except feel.FeelSyntaxError as e:
            self.bad_expression(text, e, at, what)
            return literal(None)

    def condition(self, text: str, at: Any, what: str = "condition") -> Expression:
        """FEEL, with or without a leading `=`, or a classic `${...}`."""
        try:
            if "${" in text or "#{" in text:
                return classic.juel(text, self, at)
            return feel_expression(plain.to_feel(text.strip()))
        except feel.FeelSyntaxError as e:
            self.bad_expression(text, e, at, what)
            return literal(None)

    def bad_expression(self, text: str, e: Any, at: Any, what: str) -> None:
        self.finding("EXPRESSION_INVALID", f"{what} '{text.strip()}': {e}", at, hint="write a FEEL expression (docs/feel.md)")

    def mappings(self, node: Node, element: Any) -> None:
        """`zeebe:ioMapping` and `camunda:inputOutput`."""
        placed = connectors.placed if connectors.type_of(element) else str
        for m in x.ext_all(element, "ioMapping", "input"):
            self._mapping(node.inputs, m, node, placed(m.get("source", "")))
        for m in x.ext_all(element, "ioMapping", "output"):
            self._mapping(node.outputs, m, node, m.get("source", ""))
        classic.mappings(self, node, element)

    def _mapping(self, into: list[Mapping], m: Any, node: Node, source: str) -> None:
        target = m.get("target", "")
        if not target or any(not part or not (part[0].isalpha() or part[0] == "_") for part in target.split(".")):
            self.finding("MAPPING_TARGET", f"expected a variable name or dotted path as target of a mapping, found '{target}'", node)
            return
        into.append(Mapping(self.expression(source, node, f"mapping to {target}"), target))


def read(data: bytes, name: str = "") -> tuple[Graph | None, list[Finding]]:
    """The graph of a BPMN file and what is to be said of it; None when it can't be read at all."""
    try:
        root = x.parse(data)
    except BadXml as e:
        broken = e.code == "XML_NOT_WELL_FORMED"
        return None, [
            Finding(e.code, e.message, line=e.line, column=e.column, file=name, standard=broken, chapter="XML 1.0" if broken else "")
        ]
    return read_tree(root, name, data)


def read_tree(root: Any, name: str, data: bytes) -> tuple[Graph | None, list[Finding]]:
    """As `read`, of a parsed document (other formats build one)."""
    from flowledger.kernel.model import checks, correlation
    from flowledger.kernel.model.checks import grammar

    if root.tag != x.B + "definitions":
        return None, [
            Finding(
                "NOT_BPMN",
                f"expected <definitions> of {x.BPMN_NS}, found <{x.local(root)}>",
                line=root.sourceline or 0,
                file=name,
                standard=True,
                chapter="BPMN20.xsd",
            )
        ]
    x.canonical(root, grammar.COLLAPSED, grammar.BOOLEANS)
    r = Reader(name)
    r.definitions = root
    r.graph.hash = hashlib.sha256(data).hexdigest()
    r.graph.source = data
    r.made_ids = ids.fill(root, frozenset(behaviours.ELEMENTS) | {"sequenceFlow"})
    for element in root.iter():
        if isinstance(element.tag, str) and element.get("id") and not element.tag.startswith("{http://www.omg.org/spec/BPMN/20100524/DI"):
            key = element.get("id")
            if key in r.by_id and element.tag.startswith(x.B):
                r.finding("ID_DUPLICATE", f"the id '{key}' is used twice", element, hint="ids are unique in a file")
            r.by_id.setdefault(key, element)
    for element in x.bpmn_children(root):
        tag = x.local(element)
        if tag == "process":
            _process(r, element)
        elif tag in _GLOBAL_TASKS:
            _global_task(r, element, _GLOBAL_TASKS[tag])
    correlation.read(r)
    checks.run(r)
    own.check(r)
    unread.check(r)
    connectors.check(r)
    _relax(r)
    checks.mark(r)
    return r.graph, r.findings


#: what a process must say to be run, but need not to be a valid drawing
_FOR_EXECUTION = frozenset({
    "ASSIGNMENT_INCOMPLETE", "BOUNDARY_WITHOUT_EVENT", "CALL_WITHOUT_PROCESS", "CATCH_WITHOUT_EVENT", "CLASSIC_EXPRESSION", "COMPENSATION_WITHOUT_HANDLER",
    "CONDITION_MISSING", "EXPRESSION_INVALID", "LOOP_WITHOUT_ITEMS", "TIMER_EMPTY", "TIMER_INVALID",
})  # fmt: skip


def _relax(r: Reader) -> None:
    """In a process that does not say that it is executable, what only execution needs is a warning."""
    drawn = [p for p in r.graph.processes.values() if p.notes.get("drawn")]
    if drawn:
        ids = {id for p in drawn for id in (*p.nodes, *p.flows)}
        r.findings[:] = [
            msgspec.structs.replace(f, severity="warning") if f.severity == "error" and f.code in _FOR_EXECUTION and f.element in ids else f
            for f in r.findings
        ]


def _process(r: Reader, element: Any) -> None:
    process = Process(element.get("id") or f"_process_{len(r.graph.processes)}", element.get("name", ""), element.sourceline or 0)
    process.executable = element.get("isExecutable", "true") != "false"
    process.notes["drawn"] = element.get("isExecutable") != "true"
    if (tag := x.ext(element, "versionTag")) is not None:
        process.version_tag = tag.get("value", "")
    process.version_tag = process.version_tag or x.classic_attr(element, "versionTag")
    process.documentation = x.text_of(x.child(element, "documentation"))
    process.root.xml = element
    process.properties = properties_of(element)
    r.graph.processes[process.id] = process
    _scope(r, process, process.root, element)
    for node in process.nodes.values():
        _connect(r, process, node)
    for node in list(process.nodes.values()):
        if node.behaviour.read is not None:
            node.behaviour.read(node, node.xml, r)
    from flowledger.kernel.model import data, protect, roles, states

    data.read(r, process, element)
    roles.apply(r, process, element)
    _reads(process)
    states.read(r, process, element)
    protect.read(r, process, element)
    for read_part in behaviours.PROCESS:
        read_part(r, process, element)
    for node in process.nodes.values():
        if node.behaviour.check is not None:
            node.behaviour.check(node, r)


def _global_task(r: Reader, element: Any, tag: str) -> None:
    """A global task becomes a process of its own with that one task (BPMN 10.3.4), to be called."""
    process = Process(element.get("id", ""), element.get("name", ""), element.sourceline or 0)
    from flowledger.kernel.model import roles

    process.notes["global_task"] = tag
    r.graph.processes[process.id] = process
    start = _node(r, process, process.root, "startEvent", f"{process.id}_start", element)
    node = _node(r, process, process.root, tag, f"{process.id}_task", element)
    stop = _node(r, process, process.root, "endEvent", f"{process.id}_end", element)
    node.name = process.name
    for n, (a, b) in enumerate(((start, node), (node, stop))):
        flow = Flow(f"{process.id}_flow{n}", a, b, line=process.line)
        process.flows[flow.id] = flow
        a.outgoing.append(flow)
        b.incoming.append(flow)
    process.root.starts.append(start)
    for read_node in behaviours.NODE:
        read_node(node, element, r)
    _activity(r, node, element)
    if node.behaviour.read is not None:
        node.behaviour.read(node, element, r)
    roles.apply(r, process, element)


def _node(r: Reader, process: Process, scope: Node, tag: str, id: str, element: Any) -> Node:
    node = Node(id, tag, process, scope if scope is not process.root else None, element.get("name", ""), element.sourceline or 0)
    node.tag = tag
    node.xml = element
    node.documentation = x.text_of(x.child(element, "documentation"))
    node.order = len(process.nodes)
    node.behaviour = behaviours.ELEMENTS[tag]
    process.nodes[id] = node
    scope.children.append(node)
    unkept.check(node, element, r)
    return node


def _scope(r: Reader, process: Process, scope: Node, element: Any) -> None:
    """The flow elements directly in `element`; sub-processes recurse."""
    from flowledger.kernel.model.checks import grammar

    for kid in x.bpmn_children(element):
        tag = x.local(kid)
        if tag in behaviours.ELEMENTS:
            id = kid.get("id", "")
            if id in r.made_ids:
                r.finding(
                    "ID_MISSING",
                    f"a {tag} has no id: it is called '{id}'",
                    kid,
                    severity="warning",
                    hint="give it one: it stands in events and history",
                )
            node = _node(r, process, scope, tag, id, kid)
            for read_node in behaviours.NODE:
                read_node(node, kid, r)
            if node.behaviour.activity:
                _activity(r, node, kid)
            else:
                r.mappings(node, kid)
                node.properties = properties_of(kid)
            if tag in behaviours.SCOPES:
                node.is_scope = True
                node.triggered_by_event = kid.get("triggeredByEvent") == "true"
                if node.triggered_by_event:
                    scope.event_subs.append(node)
                _scope(r, process, node, kid)
        elif not grammar.known(tag):
            r.finding("ELEMENT_UNKNOWN", f"unknown element <{tag}> in {x.local(element)} '{element.get('id', '')}'", kid, severity="error")
    for kid in element.findall(x.B + "sequenceFlow"):
        _flow(r, process, scope, kid)


def _flow(r: Reader, process: Process, scope: Node, kid: Any) -> None:
    ends = []
    for attribute in ("sourceRef", "targetRef"):
        reference = kid.get(attribute, "")
        node = process.nodes.get(reference)
        if node is None:
            what = "is nothing that a sequence flow can join" if reference in r.by_id else "does not exist"
            r.finding(
                "FLOW_DANGLING",
                f"{attribute} '{reference}' of flow '{kid.get('id', '')}' {what}",
                kid,
                hint="join it to a flow node of the same scope",
            )
        ends.append(node)
    source, target = ends
    if source is None or target is None:
        return
    if (source.scope or process.root) is not scope or (target.scope or process.root) is not scope:
        r.finding("FLOW_CROSSES_SCOPE", f"flow '{kid.get('id')}' joins '{source.id}' and '{target.id}' over the border of a sub-process", kid,
                  hint="a sequence flow stays within one process or sub-process; leave through an end or boundary event")  # fmt: skip
        return
    flow = Flow(kid.get("id", ""), source, target, name=kid.get("name", ""), line=kid.sourceline or 0)
    condition = x.child(kid, "conditionExpression")
    if condition is not None and (text := x.text_of(condition)):
        flow.condition = r.condition(text, flow, f"condition of flow {flow.id}")
    process.flows[flow.id] = flow
    source.outgoing.append(flow)
    target.incoming.append(flow)


def properties_of(element: Any) -> dict[str, str]:
    """`zeebe:properties`, and Camunda 7's."""
    found = x.ext_all(element, "properties", "property") or x.classic_ext(element, "properties", "property")
    return {p.get("name", ""): p.get("value", "") for p in found}


def _activity(r: Reader, node: Node, element: Any) -> None:
    """What activities share: mappings, loop, properties, compensation flag."""
    node.for_compensation = element.get("isForCompensation") == "true"
    node.properties = properties_of(element)
    r.mappings(node, element)
    for read_activity in behaviours.ACTIVITY:
        read_activity(node, element, r)
    for tag, read_loop in behaviours.LOOPS.items():
        if (found := x.child(element, tag)) is not None:
            node.loop = read_loop(node, found, r)
            break


def _connect(r: Reader, process: Process, node: Node) -> None:
    """References between nodes: default flow, boundary host, starts, links."""
    element = node.xml
    scope = node.scope or process.root
    default = element.get("default")
    if default:
        node.default = next((f for f in node.outgoing if f.id == default), None)
        if node.default is None:
            r.finding("DEFAULT_FLOW_MISSING", f"the default flow '{default}' of '{node.id}' is no flow out of it", node)
    if node.kind == "boundaryEvent":
        host = process.nodes.get(element.get("attachedToRef", ""))
        if host is None:
            r.finding("BOUNDARY_HOST_MISSING", f"boundary event '{node.id}' is attached to '{element.get('attachedToRef', '')}', which does not exist", node,
                      hint="attach it to an activity of the same scope")  # fmt: skip
        else:
            node.host = host
            host.attached.append(node)
        node.interrupting = element.get("cancelActivity", "true") != "false"
    elif node.kind == "startEvent":
        node.interrupting = element.get("isInterrupting", "true") != "false"
        scope.starts.append(node)


def _reads(process: Process) -> None:
    """Which variables conditional events read; whether variables must be watched at all."""
    for node in process.nodes.values():
        for event in node.events:
            if event.kind == "conditional" and event.condition is not None:
                node.reads = node.reads | event.condition.reads
                process.conditional = True

"""The compact graph that all formats become: nodes, flows, scopes. Made once at deployment, never changed after.

Source: BPMN 2.0.2, chapters 8 (flow elements) and 10 (process).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowledger.kernel.expressions import Expression


class Flow:
    """A sequence flow. `condition` None: always."""

    __slots__ = ("condition", "id", "line", "name", "source", "target")

    def __init__(self, id: str, source: Node, target: Node, condition: Expression | None = None, name: str = "", line: int = 0) -> None:
        self.id, self.source, self.target, self.condition, self.name, self.line = id, source, target, condition, name, line


class Mapping:
    """`source` is evaluated, its value goes to the variable path `target`."""

    __slots__ = ("source", "target")

    def __init__(self, source: Expression, target: str) -> None:
        self.source, self.target = source, target


class Loop:
    """Multi-instance or standard loop characteristics of an activity (BPMN 13.3.6, 13.3.7)."""

    __slots__ = (
        "behavior", "cardinality", "collection", "complex_events", "completion", "counter", "element", "first", "kind", "maximum", "none_event",
        "one_event", "output", "output_element", "sequential", "test_before", "undone_once", "while_",
    )  # fmt: skip

    def __init__(self, kind: str) -> None:
        #: "multi" or "standard"
        self.kind = kind
        self.sequential = False
        #: a compensation boundary event undoes all runs by one handler; else each by its own
        self.undone_once = False
        self.collection: Expression | None = None
        self.cardinality: Expression | None = None
        #: variable that a run's item goes to, and the one that has its number; what the first one's is
        self.element = ""
        self.counter = "loopCounter"
        self.first = 1
        self.output = ""
        self.output_element: Expression | None = None
        self.completion: Expression | None = None
        # standard loop
        self.test_before = False
        self.while_: Expression | None = None
        self.maximum: Expression | None = None
        # multi-instance behaviour: when events are thrown (all: none, none and one: see the standard)
        self.behavior = "All"
        self.none_event: Any = None
        self.one_event: Any = None
        self.complex_events: list[Any] = []


class Extra:
    """What few activities have beside: token quantities, data inputs and outputs (`kernel/model/data.py`)."""

    __slots__ = ("completion_quantity", "data_in", "data_out", "start_quantity")

    def __init__(self) -> None:
        #: tokens that must have arrived before the activity begins, and that leave when it has ended (BPMN table 10.3)
        self.start_quantity = 1
        self.completion_quantity = 1
        #: sets of inputs and of outputs; the first one that is available is taken
        self.data_in: list[Any] = []
        self.data_out: list[Any] = []


class Node:
    """One flow node. `kind` is its tag; `config` what its element module read; `scope` its enclosing sub-process (None: the process)."""

    __slots__ = (
        "attached", "behaviour", "children", "column", "compensation", "config", "default", "documentation", "event", "event_subs", "events", "extra",
        "for_compensation", "host", "id", "incoming", "inputs", "interrupting", "is_scope", "joins", "kind", "lanes", "line", "links",
        "listeners", "loop", "name", "order", "outgoing", "outputs", "process", "properties", "quick", "reads", "scope", "starts", "tag",
        "triggered_by_event", "xml",
    )  # fmt: skip

    def __init__(
        self, id: str, kind: str, process: Process, scope: Node | None = None, name: str = "", line: int = 0, column: int = 0
    ) -> None:
        self.id, self.kind, self.process, self.scope, self.name, self.line, self.column = id, kind, process, scope, name, line, column
        #: XML tag (kind may be finer: an event sub-process has tag subProcess)
        self.tag = kind
        self.documentation = ""
        self.behaviour: Behaviour = NO_BEHAVIOUR
        self.config: Any = None
        self.outgoing: list[Flow] = []
        self.incoming: list[Flow] = []
        self.default: Flow | None = None
        self.inputs: list[Mapping] = []
        self.outputs: list[Mapping] = []
        self.loop: Loop | None = None
        #: event definitions (one normally; several: multiple); `event` is the only or first one
        self.events: list[Any] = []
        self.event: Any = None
        self.interrupting = True
        self.host: Node | None = None
        #: boundary events of an activity
        self.attached: list[Node] = []
        #: the handler activity of a compensation boundary event of this activity
        self.compensation: Node | None = None
        self.for_compensation = False
        # --- scopes
        self.is_scope = False
        self.triggered_by_event = False
        self.children: list[Node] = []
        self.starts: list[Node] = []
        self.event_subs: list[Node] = []
        self.links: dict[str, Node] = {}
        #: gateways directly inside that wait for tokens which could still arrive (inclusive, complex)
        self.joins: list[Node] = []
        self.extra: Extra | None = None
        self.properties: dict[str, Any] = {}
        self.listeners: list[Any] = []
        self.lanes: list[str] = []
        #: variables that its conditions read (for conditional events)
        self.reads: frozenset[str] = frozenset()
        self.order = 0
        #: which ways through it are short (`ARRIVES`, `LEAVES`); -1: not looked at yet, see `quick_of`
        self.quick = -1
        #: the XML element while reading; None afterwards
        self.xml: Any = None

    def __repr__(self) -> str:
        return f"<{self.kind} {self.id}>"


#: in `Node.quick`: a token that arrives enters at once; one that is done goes on at once
ARRIVES, LEAVES = 1, 2


def quick_of(node: Node) -> int:
    """What most elements have nothing of (listeners, loops, mappings, boundary events ...) is looked at once for each element, not for each token."""
    quick = 0
    if node.process.states is None and not node.listeners:
        bare = node.extra is None and node.loop is None and not node.event_subs
        if not node.behaviour.activity or (bare and not node.inputs and not node.attached):
            quick |= ARRIVES
        if bare and not node.outputs and node.compensation is None:
            quick |= LEAVES
    node.quick = quick
    return quick


class Process:
    """An executable process (or global task made one). `root` is its outermost scope."""

    __slots__ = (
        "_by_hand", "conditional", "data", "documentation", "executable", "flows", "id", "joins", "lanes", "line", "name", "nodes", "notes", "properties",
        "protect", "root", "source_id", "states", "version_tag", "watched",
    )  # fmt: skip

    def __init__(self, id: str, name: str = "", line: int = 0) -> None:
        self.id, self.name, self.line = id, name, line
        self.executable = True
        self.version_tag = ""
        self.nodes: dict[str, Node] = {}
        self.flows: dict[str, Flow] = {}
        self.root = Node("", "process", self, line=line)
        self.root.is_scope = True
        self.properties: dict[str, str] = {}
        self.lanes: dict[str, list[str]] = {}
        self.documentation = ""
        #: data objects, stores and their associations as read
        self.data: dict[str, Any] = {}
        #: business states and allowed moves (steps format), None when not declared
        self.states: Any = None
        #: what it protects: `{names: {variable: class}, subject}` (`kernel/model/protect.py`); None: nothing
        self.protect: dict[str, Any] | None = None
        #: has conditional events: variables are watched
        self.conditional = False
        #: has gateways that are looked at again when other tokens move
        self.joins = False
        #: elements of which it is noted who did them, since another is not for these people (`tasks/duties.py`)
        self.watched: frozenset[str] = frozenset()
        self.notes: dict[Any, Any] = {}
        self.source_id = id
        self._by_hand: list[Node] | None = None

    @property
    def by_hand(self) -> list[Node]:
        """Its start events that wait for nothing; looked up once, when the model has been read."""
        if self._by_hand is None:
            self._by_hand = [n for n in self.root.starts if not n.events]
        return self._by_hand


class Graph:
    """What one resource defines. `hash` is the SHA-256 of its bytes."""

    __slots__ = ("collaboration", "decisions", "form", "format", "hash", "name", "processes", "rules", "source", "trigger")

    def __init__(self, format: str = "bpmn", name: str = "") -> None:
        self.format, self.name = format, name
        self.hash = ""
        self.processes: dict[str, Process] = {}
        #: a DMN resource: the decision model
        self.decisions: Any = None
        #: a form: its schema
        self.form: Any = None
        #: a trigger (`trigger_resource.Trigger`)
        self.trigger: Any = None
        #: a rule pack (`rules_resource.Pack`)
        self.rules: Any = None
        self.collaboration: dict[str, Any] = {}
        #: the BPMN XML that it was read from (for other formats: what they became)
        self.source: bytes = b""


def contents(graph: Graph | None) -> list[tuple[str, str, str, str]]:
    """(kind, id, name, version tag) of what a resource defines."""
    if graph is None:
        return []
    if graph.format == "dmn":
        drg = graph.decisions.definitions
        return [("drg", drg.id or drg.name, drg.name, "")] + [("decision", x.id or x.name, x.name, x.version_tag) for x in drg.decisions]
    if graph.format == "form":
        tag = graph.form.get("versionTag")
        return [("form", graph.name, graph.name, tag if isinstance(tag, str) else "")]
    if graph.format == "trigger":
        return [("trigger", graph.name, graph.name, "")]
    if graph.format == "rules":
        return [("rules", graph.name, graph.rules.title or graph.name, graph.rules.version_tag)]
    return [("process", x.id, x.name, x.version_tag) for x in graph.processes.values() if x.executable]


class Behaviour:
    """How one kind of element is read, checked and run. Tables of functions rather than a class tree: the kernel looks them up once per node.

    read(node, xml, reader): takes from the XML what it needs, into `node.config`.
    check(node, reader): what is wrong with it, as findings.
    enter(d, i, token, node): the token has arrived and its activity is open; waits, or goes on through `d.leave`.
    complete(d, i, token, node): what it waited for has come.
    """

    __slots__ = ("activity", "check", "complete", "enter", "read")

    def __init__(
        self,
        enter: Callable[..., None],
        complete: Callable[..., None] | None = None,
        read: Callable[..., None] | None = None,
        check: Callable[..., None] | None = None,
        activity: bool = False,
    ) -> None:
        self.enter = enter
        self.complete = complete
        self.read = read
        self.check = check
        #: has mappings, loops and boundary events
        self.activity = activity


def _no_enter(d: Any, i: Any, token: Any, node: Node) -> None:
    raise AssertionError(f"{node.kind} {node.id} can't be entered")


NO_BEHAVIOUR = Behaviour(_no_enter)


class Work:
    """What an element asks a worker for. Expressions are evaluated when the token enters."""

    __slots__ = ("details", "dynamic", "headers", "job_type", "priority", "retries", "type")

    def __init__(
        self,
        type: str,
        job_type: Expression | None = None,
        retries: Expression | None = None,
        headers: dict[str, str] | None = None,
        details: dict[str, Any] | None = None,
        dynamic: dict[str, Expression] | None = None,
        priority: Expression | None = None,
    ) -> None:
        self.type, self.job_type, self.retries, self.headers = type, job_type, retries, headers or None
        self.details, self.dynamic, self.priority = details, dynamic, priority


def implicit_starts(scope: Node) -> list[Node]:
    """Activities and gateways without incoming flow, when a scope has no start event."""
    return [
        n
        for n in scope.children
        if not n.incoming and n.kind not in ("boundaryEvent", "startEvent") and not n.triggered_by_event and not n.for_compensation
        and not (n.kind == "intermediateCatchEvent" and n.event is not None and n.event.kind == "link")
    ]  # fmt: skip

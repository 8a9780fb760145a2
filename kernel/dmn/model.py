"""The decision model as it was read: plain values, one struct for each element that has a meaning when evaluated.

Source: DMN 1.5, chapters 6 (requirements), 7 (item definitions, imports), 8 (decision tables), 10.2 (boxed expressions).
`line` is the line in the XML file, from 1; 0 when unknown. Texts are kept as written, nothing is parsed here.
"""

from __future__ import annotations

import msgspec


class Node(msgspec.Struct, kw_only=True):
    id: str | None = None
    line: int = 0


class Expression(Node, kw_only=True):
    type_ref: str | None = None


class Literal(Expression, tag="literal", kw_only=True):
    text: str
    #: As written; None or a FEEL address means FEEL.
    language: str | None = None


class Text(Node, kw_only=True):
    """A text with unary tests: an input entry, allowed values, a type constraint."""

    text: str
    language: str | None = None


class Variable(Node, kw_only=True):
    name: str
    type_ref: str | None = None


class Entry(Node, kw_only=True):
    """One entry of a boxed context; without a variable it is the result cell."""

    variable: Variable | None
    value: Expression | None


class Context(Expression, tag="context", kw_only=True):
    entries: list[Entry]


class Binding(Node, kw_only=True):
    parameter: Variable
    value: Expression | None


class Invocation(Expression, tag="invocation", kw_only=True):
    function: Expression | None
    bindings: list[Binding]


class Function(Expression, tag="function", kw_only=True):
    #: FEEL, Java or PMML. The last two are external and refused.
    kind: str = "FEEL"
    parameters: list[Variable]
    body: Expression | None


class ListOf(Expression, tag="list", kw_only=True):
    items: list[Expression | None]


class Relation(Expression, tag="relation", kw_only=True):
    columns: list[Variable]
    rows: list[list[Expression | None]]


class Conditional(Expression, tag="conditional", kw_only=True):
    test: Expression | None
    then: Expression | None
    otherwise: Expression | None


class Iterator(Expression, tag="iterator", kw_only=True):
    """`kind` is for, some or every; `over` gives the list, `body` is evaluated with `variable` bound to each item."""

    kind: str
    variable: str
    over: Expression | None
    over_type_ref: str | None = None
    body: Expression | None


class Filter(Expression, tag="filter", kw_only=True):
    over: Expression | None
    match: Expression | None


class Input(Node, kw_only=True):
    label: str | None = None
    expression: Literal | None
    values: Text | None = None


class Output(Node, kw_only=True):
    name: str | None = None
    label: str | None = None
    type_ref: str | None = None
    values: Text | None = None
    default: Literal | None = None


class Rule(Node, kw_only=True):
    inputs: list[Text]
    outputs: list[Literal]
    annotations: list[str] = []


class Table(Expression, tag="table", kw_only=True):
    hit_policy: str = "UNIQUE"
    aggregation: str | None = None
    inputs: list[Input]
    outputs: list[Output]
    rules: list[Rule]
    annotations: list[str] = []
    label: str | None = None


class ItemDefinition(Node, kw_only=True):
    """A named type. At most one of `type_ref`, `components` and `function` is given (DMN 1.5, 7.3.2)."""

    name: str
    type_ref: str | None = None
    is_collection: bool = False
    allowed_values: Text | None = None
    type_constraint: Text | None = None
    components: list[ItemDefinition] = []
    function: FunctionItem | None = None


class FunctionItem(Node, kw_only=True):
    output: str | None = None
    parameters: list[Variable] = []


class Ref(Node, kw_only=True):
    """A reference to an element: namespace of its model (None is this model) and its id."""

    namespace: str | None
    target: str


class Element(Node, kw_only=True):
    name: str
    variable: Variable


class InputData(Element, kw_only=True):
    pass


class Decision(Element, kw_only=True):
    question: str = ""
    #: of `zeebe:versionTag`, or of Camunda 7's attribute
    version_tag: str = ""
    requires: list[Ref] = []
    knowledge: list[Ref] = []
    expression: Expression | None = None


class Bkm(Element, kw_only=True):
    knowledge: list[Ref] = []
    #: Always a function definition; None when the model says nothing.
    logic: Function | None = None


class Service(Element, kw_only=True):
    outputs: list[Ref] = []
    encapsulated: list[Ref] = []
    input_decisions: list[Ref] = []
    input_data: list[Ref] = []


class Import(Node, kw_only=True):
    namespace: str
    name: str
    import_type: str
    location: str | None = None


class Definitions(Node, kw_only=True):
    name: str
    namespace: str
    #: "1.1" to "1.5", by the namespace of the root element; "?" for an unlisted one.
    version: str
    expression_language: str | None = None
    imports: list[Import] = []
    types: list[ItemDefinition] = []
    inputs: list[InputData] = []
    decisions: list[Decision] = []
    bkms: list[Bkm] = []
    services: list[Service] = []

    def elements(self) -> list[Element]:
        return [*self.inputs, *self.decisions, *self.bkms, *self.services]

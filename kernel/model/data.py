"""Data objects, properties, data stores, and the associations that carry values to and from activities and events.

Source: BPMN 2.0.2, chapter 10.4 and table 10.60 (execution of data associations). Choices:
- A data object, property, data input or output of a process is a variable: its name if that is a name of FEEL, else its id. It has no value until one
  is written; a collection is a list.
- An association copies its source, or the value of its `transformation` (over the sources by name), and then runs its `assignment`s. An input that
  has no value is left out. The target of an input is a local variable of the activity, so that the worker sees it by the input's name.
- Output associations carry beside what the worker's result sets anyway, so that models that only draw their data run as they are.
- Of several input sets the first one is taken whose inputs (but the optional ones) all have a value, of several output sets likewise; when none is
  available, the first: an activity does not wait for data.
- A data store belongs to the tenant. What is written is an event (`data.written`) and is told to the other partitions, so a reader elsewhere may see
  it a moment later; the writing instance sees it at once.
"""

from __future__ import annotations

import re
from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Extra, Loop, Node, Process

_NAME = re.compile(r"[^\W\d]\w*$")
STORE, VARIABLE = "store", "variable"
#: elements that can be an end of an association
_ENDS = {
    "dataObject",
    "dataObjectReference",
    "dataStoreReference",
    "dataStore",
    "property",
    "dataInput",
    "dataOutput",
    "inputDataItem",
    "outputDataItem",
}


class End:
    """One end of an association: a variable, or a data store."""

    __slots__ = ("kind", "name")

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name


class Association:
    __slots__ = ("assignments", "sources", "target", "transformation")

    def __init__(self) -> None:
        self.sources: list[End] = []
        self.target: End | None = None
        self.transformation: Any = None
        #: (expression, target path)
        self.assignments: list[tuple[Any, str]] = []


class DataSet:
    """An input or output set: `needed` are the names that must have a value; `associations` those that carry into or out of it."""

    __slots__ = ("associations", "needed")

    def __init__(self, needed: list[str], associations: list[Association]) -> None:
        self.needed, self.associations = needed, associations


def name_of(element: Any) -> str:
    """The variable of a data element."""
    name = (element.get("name") or "").strip()
    return name if _NAME.match(name) else element.get("id", "")


def _end(reference: str, r: Any) -> End | None:
    found = r.by_id.get(reference.rsplit(":", 1)[-1])
    if found is None or x.local(found) not in _ENDS:
        return None
    tag = x.local(found)
    if tag == "dataObjectReference":
        target = r.by_id.get(found.get("dataObjectRef", ""))
        # the reference carries the name that people see; the object is shared by its references
        named = target is not None and _NAME.match((target.get("name") or "").strip())
        return End(VARIABLE, name_of(target if named else found))
    if tag == "dataStoreReference":
        target = r.by_id.get(found.get("dataStoreRef", "").rsplit(":", 1)[-1])
        return End(STORE, name_of(target if target is not None else found))
    return End(STORE if tag == "dataStore" else VARIABLE, name_of(found))


def _association(element: Any, node: Node, r: Any, output: bool) -> Association | None:
    found = Association()
    for reference in element.findall(x.B + "sourceRef"):
        end = _end(x.text_of(reference), r)
        if end is None:
            r.finding(
                "DATA_SOURCE_MISSING",
                f"sourceRef '{x.text_of(reference)}' of a data association of '{node.id}' names no data",
                node,
                severity="warning",
            )
        else:
            found.sources.append(end)
    target = x.text_of(x.child(element, "targetRef"))
    found.target = _end(target, r) if target else None
    if target and found.target is None:
        r.finding(
            "DATA_TARGET_MISSING", f"targetRef '{target}' of a data association of '{node.id}' names no data", node, severity="warning"
        )
    transformation = x.child(element, "transformation")
    if transformation is not None and x.text_of(transformation):
        found.transformation = r.condition(x.text_of(transformation), node, "transformation")
    for assignment in element.findall(x.B + "assignment"):
        from_, to = x.text_of(x.child(assignment, "from")), x.text_of(x.child(assignment, "to"))
        if not from_ or not to:
            r.finding("ASSIGNMENT_INCOMPLETE", f"an assignment of '{node.id}' needs both from and to", node)
            continue
        # `to` names data by id or by path
        head, _, rest = to.lstrip("=$").strip().strip("{}").partition(".")
        end = _end(head, r)
        found.assignments.append(
            (r.condition(from_, node, "assignment"), (end.name if end is not None else head) + (f".{rest}" if rest else ""))
        )
    if found.target is None and not found.assignments:
        return None
    return found


def read(r: Any, process: Process, element: Any) -> None:
    """Data elements of a process, and what its activities and events take and give."""
    for kid in element.iter(x.B + "dataObject"):
        process.data[name_of(kid)] = {"collection": kid.get("isCollection") == "true", "id": kid.get("id", "")}
    for node in process.nodes.values():
        if node.xml is None:
            continue
        inputs = [a for e in node.xml.findall(x.B + "dataInputAssociation") if (a := _association(e, node, r, False)) is not None]
        outputs = [a for e in node.xml.findall(x.B + "dataOutputAssociation") if (a := _association(e, node, r, True)) is not None]
        if not inputs and not outputs:
            continue
        specification = x.child(node.xml, "ioSpecification")
        node.extra = node.extra or Extra()
        node.extra.data_in = _sets(specification, "inputSet", "dataInputRefs", "optionalInputRefs", inputs, r, into=True) if inputs else []
        node.extra.data_out = (
            _sets(specification, "outputSet", "dataOutputRefs", "optionalOutputRefs", outputs, r, into=False) if outputs else []
        )


def _sets(specification: Any, tag: str, members: str, optional: str, associations: list[Association], r: Any, into: bool) -> list[DataSet]:
    found = []
    for element in specification.findall(x.B + tag) if specification is not None else ():
        names = [end.name for ref in element.findall(x.B + members) if (end := _end(x.text_of(ref), r)) is not None]
        free = {end.name for ref in element.findall(x.B + optional) if (end := _end(x.text_of(ref), r)) is not None}
        if into:
            mine = [a for a in associations if a.target is None or a.target.name in names]
        else:
            mine = [a for a in associations if not a.sources or any(s.name in names for s in a.sources)]
        found.append(DataSet([n for n in names if n not in free], mine))
    if len(found) < 2:
        return [DataSet([], associations)]
    return found


def read_loop(node: Node, loop: Loop, element: Any, r: Any) -> None:
    """`loopDataInputRef` and its kin (BPMN table 10.29): the collections, and the names of an item in and out."""
    source = x.text_of(x.child(element, "loopDataInputRef"))
    if source and loop.collection is None:
        loop.collection = r.condition(_loop_end(node, source, r, "dataInputAssociation"), node, "loopDataInputRef")
    item = x.child(element, "inputDataItem")
    if item is not None and not loop.element:
        loop.element = name_of(item)
    target = x.text_of(x.child(element, "loopDataOutputRef"))
    if target and not loop.output:
        loop.output = _loop_end(node, target, r, "dataOutputAssociation")
    item = x.child(element, "outputDataItem")
    if item is not None and loop.output_element is None:
        loop.output_element = r.condition(name_of(item), node, "outputDataItem")


def _loop_end(node: Node, reference: str, r: Any, tag: str) -> str:
    """The variable behind a data input (output) of the activity: what is associated with it, else its own name."""
    for association in node.xml.findall(x.B + tag):
        ends = [x.text_of(e) for e in association if x.local(e) in ("sourceRef", "targetRef")]
        if reference in ends and (other := [e for e in ends if e != reference]) and (end := _end(other[0], r)) is not None:
            return end.name
    end = _end(reference, r)
    return end.name if end is not None else reference

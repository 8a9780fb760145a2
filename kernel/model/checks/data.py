"""Data: references of data objects and stores, ends of data associations, input and output sets.

Source: BPMN 2.0.2, 10.4. What an association must have to be carried out stands in `model/data.py`.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.checks.common import declare, imported, kind_of, process_of, referenced, say

declare(
    {
        "DATA_OBJECT_MISSING": ("warning", "A data object reference refers to no data object", "10.4.1, table 10.52", 'dataObjectRef="..." of a <dataObject>'),
        "DATA_STORE_MISSING": ("warning", "A data store reference refers to no data store", "10.4.1, table 10.55", 'dataStoreRef="..." of a <dataStore>'),
        "DATA_ITEM_MISSING": ("warning", "itemSubjectRef names no item definition", "10.4.1", "<itemDefinition>"),
        "DATA_COLLECTION_DISAGREES": ("warning", "isCollection differs from the item definition's", "10.4.1", "let both say the same"),
        "DATA_STORE_CAPACITY": ("warning", "The capacity of a data store is no whole number", "10.4.1, table 10.54", 'a number, or isUnlimited="true"'),
        "DATA_NOT_VISIBLE": ("warning", "A data association refers to data of another process or of a sub-process that isn't around it", "10.4.1, 10.4.2",
                             "move the data outwards"),
        "DATA_ASSOCIATION_END_KIND": ("warning", "An end of a data association holds no data", "10.4.2", "data object, store, property, input or output"),
        "DATA_ASSOCIATION_SOURCES": ("warning", "A data association with several sources has no transformation", "10.4.2, table 10.58", "<transformation>"),
        "DATA_ASSOCIATION_NO_TARGET": ("warning", "A data association has no target", "10.4.2, table 10.58", "<targetRef>"),
        "DATA_INPUT_TARGET_FOREIGN": ("warning", "The target of a data input association is an input of another element", "10.4.2", "name an input of its own"),
        "DATA_OUTPUT_SOURCE_FOREIGN": ("warning", "The source of a data output association is an output of another element", "10.4.2",
                                       "name an output of its own"),
        "EVENT_CATCH_HAS_INPUT": ("warning", "A catching event has data inputs", "10.5.1, table 10.82", "a catching event has outputs"),
        "EVENT_THROW_HAS_OUTPUT": ("warning", "A throwing event has data outputs", "10.5.1, table 10.83", "a throwing event has inputs"),
        "IO_INPUT_SET_MISSING": ("warning", "An ioSpecification has no input set", "10.4.1, table 10.59", "<inputSet/>, which may be empty"),
        "IO_OUTPUT_SET_MISSING": ("warning", "An ioSpecification has no output set", "10.4.1, table 10.59", "<outputSet/>, which may be empty"),
        "IO_INPUT_MISSING": ("warning", "An input set names an input that doesn't exist", "10.4.1, table 10.61", "<dataInput> of the same ioSpecification"),
        "IO_OUTPUT_MISSING": ("warning", "An output set names an output that doesn't exist", "10.4.1, table 10.62", "<dataOutput> of the same ioSpecification"),
        "IO_INPUT_UNUSED": ("warning", "A data input is in no input set", "10.4.1, table 10.60", "<dataInputRefs> of an input set"),
        "IO_OUTPUT_UNUSED": ("warning", "A data output is in no output set", "10.4.1, table 10.60", "<dataOutputRefs> of an output set"),
        "IO_OPTIONAL_NOT_IN_SET": ("warning", "An optional input or output isn't one of its set", "10.4.1, tables 10.61, 10.62", "name it among the set's refs too"),
        "IO_SET_PAIR_MISSING": ("warning", "A set is paired with a set that doesn't exist", "10.4.1, tables 10.61, 10.62", "name a set of the same ioSpecification"),
        "IO_SET_PAIR_ONE_SIDED": ("warning", "Two sets are paired on one side only", "10.4.1, tables 10.61, 10.62", "name each other"),
        "LOOP_DATA_MISSING": ("warning", "loopDataInputRef or loopDataOutputRef names no data", "10.3.8, table 10.29", "a data input or output of the activity"),
    }
)  # fmt: skip

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
_CATCHING = {"startEvent", "intermediateCatchEvent", "boundaryEvent"}
_THROWING = {"endEvent", "intermediateThrowEvent"}


def check(r: Any) -> None:
    for element in r.definitions.iter(*(x.B + tag for tag in _CHECKS)):
        _CHECKS[x.local(element)](r, element)


def _missing(r: Any, code: str, element: Any, reference: str, kind: str, what: str) -> Any:
    if not reference or imported(r, reference, element):
        return None
    found = referenced(r, reference)
    if found is None or x.local(found) != kind:
        say(r, code, element, f"{what} '{reference}' of '{element.get('id', '')}': expected a {kind}, found {kind_of(found)}")
        return None
    return found


def _item(r: Any, element: Any) -> None:
    item = _missing(r, "DATA_ITEM_MISSING", element, element.get("itemSubjectRef", ""), "itemDefinition", "itemSubjectRef")
    if item is not None and element.get("isCollection") is not None:
        if (element.get("isCollection") in ("true", "1")) != (item.get("isCollection") in ("true", "1")):
            say(
                r,
                "DATA_COLLECTION_DISAGREES",
                element,
                f"isCollection of '{element.get('id', '')}' and of its item '{item.get('id', '')}' differ",
            )


def _object_reference(r: Any, element: Any) -> None:
    if not element.get("dataObjectRef"):
        say(r, "DATA_OBJECT_MISSING", element, f"'{element.get('id', '')}' has no dataObjectRef")
    _missing(r, "DATA_OBJECT_MISSING", element, element.get("dataObjectRef", ""), "dataObject", "dataObjectRef")
    _item(r, element)


def _store_reference(r: Any, element: Any) -> None:
    _missing(r, "DATA_STORE_MISSING", element, element.get("dataStoreRef", ""), "dataStore", "dataStoreRef")
    _item(r, element)


def _store(r: Any, element: Any) -> None:
    text = element.get("capacity", "1")
    capacity = x.whole(text)
    if capacity is None or capacity < 0:
        say(r, "DATA_STORE_CAPACITY", element, f"capacity of '{element.get('id', '')}': expected a whole number, found '{text}'")
    _item(r, element)


def _end(r: Any, at: Any, reference: str) -> Any:
    """What an end of an association refers to. That there is something at all is checked where associations are read."""
    found = referenced(r, reference)
    if found is None:
        return None
    if x.local(found) not in _ENDS:
        say(r, "DATA_ASSOCIATION_END_KIND", at, f"'{reference}' is {kind_of(found)}, which holds no data")
        return None
    if x.local(found) in ("dataObject", "dataObjectReference", "property") and not _visible(found, at):
        say(r, "DATA_NOT_VISIBLE", at, f"'{reference}' can't be seen from here")
    return found


def _visible(found: Any, at: Any) -> bool:
    container = found.getparent()
    while at is not None:
        if at is container:
            return True
        at = at.getparent()
    return process_of(found) is None


def _association(r: Any, element: Any) -> None:
    owner = element.getparent()
    incoming = x.local(element) == "dataInputAssociation"
    sources = [_end(r, element, x.text_of(s)) for s in element.iterchildren(x.B + "sourceRef")]
    if len(sources) > 1 and x.child(element, "transformation") is None and x.child(element, "assignment") is None:
        say(
            r,
            "DATA_ASSOCIATION_SOURCES",
            element,
            f"an association of '{owner.get('id', '')}' has {len(sources)} sources and no transformation",
        )
    reference = x.child(element, "targetRef")
    target = _end(r, element, x.text_of(reference)) if reference is not None else None
    if reference is None and x.child(element, "assignment") is None:
        say(r, "DATA_ASSOCIATION_NO_TARGET", element, f"an association of '{owner.get('id', '')}' has no target")
    if incoming and target is not None and x.local(target) == "dataInput" and not _within(target, owner):
        say(r, "DATA_INPUT_TARGET_FOREIGN", element, f"'{target.get('id', '')}' is no input of '{owner.get('id', '')}'")
    if not incoming:
        for source in sources:
            if source is not None and x.local(source) == "dataOutput" and not _within(source, owner):
                say(r, "DATA_OUTPUT_SOURCE_FOREIGN", element, f"'{source.get('id', '')}' is no output of '{owner.get('id', '')}'")


def _within(element: Any, owner: Any) -> bool:
    while element is not None and element is not owner:
        element = element.getparent()
    return element is owner


def _io(r: Any, element: Any) -> None:
    owner = element.getparent().get("id", "")
    if x.child(element, "inputSet") is None:
        say(r, "IO_INPUT_SET_MISSING", element, f"the ioSpecification of '{owner}' has no input set")
    if x.child(element, "outputSet") is None:
        say(r, "IO_OUTPUT_SET_MISSING", element, f"the ioSpecification of '{owner}' has no output set")
    _sets(
        r, element, owner, "dataInput", "inputSet", ("optionalInputRefs", "whileExecutingInputRefs"), "IO_INPUT_MISSING", "IO_INPUT_UNUSED"
    )
    _sets(
        r,
        element,
        owner,
        "dataOutput",
        "outputSet",
        ("optionalOutputRefs", "whileExecutingOutputRefs"),
        "IO_OUTPUT_MISSING",
        "IO_OUTPUT_UNUSED",
    )
    _pairs(r, element, owner)


def _sets(r: Any, io: Any, owner: str, kind: str, set_tag: str, special: tuple[str, ...], missing: str, unused: str) -> None:
    own = {e.get("id", ""): e for e in io.iterchildren(x.B + kind)}
    used: set[str] = set()
    for one in io.iterchildren(x.B + set_tag):
        refs = {x.text_of(e) for e in one.iterchildren(x.B + kind + "Refs")}
        used |= refs
        for ref in sorted(refs - own.keys()):
            say(r, missing, one, f"a set of '{owner}' names '{ref}', which is no {kind} of it")
        for tag in special:
            for ref in sorted({x.text_of(e) for e in one.iterchildren(x.B + tag)} - refs):
                say(r, "IO_OPTIONAL_NOT_IN_SET", one, f"{tag} '{ref}' of '{owner}' is not in its set")
    if x.child(io, set_tag) is not None:
        for id in own.keys() - used:
            say(r, unused, own[id], f"{kind} '{id}' of '{owner}' is in no {set_tag}")


def _pairs(r: Any, io: Any, owner: str) -> None:
    pairs: dict[str, set[tuple[str, str]]] = {"inputSet": set(), "outputSet": set()}
    ids = {e.get("id", "") for e in io.iterchildren(x.B + "inputSet", x.B + "outputSet")}
    for tag, ref_tag in (("inputSet", "outputSetRefs"), ("outputSet", "inputSetRefs")):
        for one in io.iterchildren(x.B + tag):
            for e in one.iterchildren(x.B + ref_tag):
                other = x.text_of(e)
                if other not in ids:
                    say(r, "IO_SET_PAIR_MISSING", one, f"{ref_tag} '{other}' of '{owner}' names no set of it")
                else:
                    pairs[tag].add((one.get("id", ""), other))
    turned = {(b, a) for a, b in pairs["outputSet"]}
    for a, b in sorted(pairs["inputSet"] ^ turned):
        say(r, "IO_SET_PAIR_ONE_SIDED", io, f"the sets '{a}' and '{b}' of '{owner}' don't name each other")


def _loop(r: Any, element: Any) -> None:
    reference = x.text_of(element)
    found = referenced(r, reference)
    if found is None or x.local(found) not in _ENDS:
        say(r, "LOOP_DATA_MISSING", element, f"{x.local(element)} '{reference}' names {kind_of(found)}")


def _data_input(r: Any, element: Any) -> None:
    _item(r, element)
    parent = element.getparent()
    if x.local(parent) in _CATCHING:
        say(r, "EVENT_CATCH_HAS_INPUT", element, f"catching event '{parent.get('id', '')}' has the data input '{element.get('id', '')}'")


def _data_output(r: Any, element: Any) -> None:
    _item(r, element)
    parent = element.getparent()
    if x.local(parent) in _THROWING:
        say(r, "EVENT_THROW_HAS_OUTPUT", element, f"throwing event '{parent.get('id', '')}' has the data output '{element.get('id', '')}'")


_CHECKS: dict[str, Any] = {
    "dataObject": _item,
    "property": _item,
    "dataObjectReference": _object_reference,
    "dataStoreReference": _store_reference,
    "dataStore": _store,
    "dataInput": _data_input,
    "dataOutput": _data_output,
    "inputDataItem": _item,
    "outputDataItem": _item,
    "dataInputAssociation": _association,
    "dataOutputAssociation": _association,
    "ioSpecification": _io,
    "loopDataInputRef": _loop,
    "loopDataOutputRef": _loop,
}

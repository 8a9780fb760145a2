"""Number and types of inputs and outputs: against operations, messages, event definitions, called elements and loops.

Two items agree when they are one definition, or when structure and collection are the same; what isn't said is not compared.
Source: BPMN 2.0.2, 8.5, 10.3.3, 10.3.6, 10.3.8, 10.4, 10.5.1.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.checks import grammar
from flowledger.kernel.model.checks.common import declare, referenced, say

declare(
    {
        "IO_NUMBER": (
            "warning",
            "An element has more or fewer inputs or outputs than its operation, message or event definitions ask for",
            "10.3.3, 10.5.1",
            "one for each message or event definition",
        ),
        "IO_CALLED_DIFFERS": (
            "warning",
            "The inputs or outputs of a call activity aren't those of the element that it calls",
            "10.3.6, 10.4.1",
            "as many, of the same items",
        ),
        "IO_BINDING_MISSING": (
            "warning",
            "A process or global task is offered as a service, but an operation has no ioBinding",
            "10.3.6, table 10.22",
            "an <ioBinding> for each operation",
        ),
        "IO_BINDING_FOREIGN": (
            "warning",
            "An ioBinding is for an operation of no interface that its element supports, or binds data of another element",
            "10.3.6, table 10.22",
            "name an operation of a supportedInterfaceRef and own data",
        ),
        "ITEM_DIFFERS": ("warning", "Data is of another item than its message, operation or collection", "10.3.3, 10.3.8, 10.5.1", "use the same <itemDefinition>"),
        "DATA_DIRECTION": (
            "warning",
            "An association writes to an input of the process or reads from its output",
            "10.4.1",
            "inputs of a process are read, its outputs written",
        ),
        "LOOP_DATA_NO_COLLECTION": ("warning", "The data that a multi-instance activity goes through is no collection", "10.3.8, table 10.29", 'isCollection="true"'),
    }
)  # fmt: skip


def _items(io: Any, tag: str) -> list[Any]:
    return list(io.iterchildren(x.B + tag)) if io is not None else []


def _item(r: Any, element: Any, attribute: str = "itemSubjectRef") -> Any:
    """The item definition of a data element, message, error, escalation or signal."""
    if element is None:
        return None
    found = referenced(r, element.get(attribute, "") or "?")
    if found is None and x.local(element) == "dataObjectReference":
        return _item(r, referenced(r, element.get("dataObjectRef", "") or "?"))
    return found if found is not None and x.local(found) == "itemDefinition" else None


def _agree(a: Any, b: Any, scalar: bool = False) -> bool:
    if a is None or b is None or a is b:
        return True
    if not a.get("structureRef") or a.get("structureRef") != b.get("structureRef"):
        return False
    return scalar or (a.get("isCollection") in ("true", "1")) == (b.get("isCollection") in ("true", "1"))


def _same(r: Any, at: Any, what: str, a: Any, b: Any, scalar: bool = False) -> None:
    if not _agree(a, b, scalar):
        say(r, "ITEM_DIFFERS", at, f"{what}: '{a.get('id', '')}' and '{b.get('id', '')}' are different items")


def _message_item(r: Any, reference: str) -> Any:
    return _item(r, referenced(r, reference or "?"), "itemRef")


def _number(r: Any, at: Any, what: str, found: int, least: int, most: int) -> None:
    if not least <= found <= most:
        say(r, "IO_NUMBER", at, f"{what}: expected {least if least == most else f'{least} to {most}'}, found {found}")


def check(r: Any) -> None:
    for element in r.definitions.iter(*_TAGS):
        _CHECKS[x.local(element)](r, element)


def _task(r: Any, task: Any) -> None:
    io = x.child(task, "ioSpecification")
    if io is None:
        return
    name, tag = task.get("id", ""), x.local(task)
    operation = referenced(r, task.get("operationRef", "") or "?")
    ins, outs = _items(io, "dataInput"), _items(io, "dataOutput")
    if tag == "sendTask":
        _number(r, io, f"inputs of send task '{name}'", len(ins), 0, 1)
        _number(r, io, f"input sets of send task '{name}'", len(_items(io, "inputSet")), 0, 1)
        _each(r, io, f"input of '{name}' and its message", ins, _message_item(r, task.get("messageRef", "")))
    elif tag == "receiveTask":
        _number(r, io, f"outputs of receive task '{name}'", len(outs), 0, 1)
        _number(r, io, f"output sets of receive task '{name}'", len(_items(io, "outputSet")), 0, 1)
        _each(r, io, f"output of '{name}' and its message", outs, _message_item(r, task.get("messageRef", "")))
    elif operation is not None and x.local(operation) == "operation":
        given, answer = x.text_of(x.child(operation, "inMessageRef")), x.text_of(x.child(operation, "outMessageRef"))
        _number(r, io, f"input sets of '{name}', which has an operation", len(_items(io, "inputSet")), 1, 1)
        _number(r, io, f"output sets of '{name}', which has an operation", len(_items(io, "outputSet")), 0, 1)
        _number(r, io, f"inputs of '{name}', which has an operation", len(ins), 1, 1)
        _number(r, io, f"outputs of '{name}', whose operation {'answers' if answer else 'has no answer'}", len(outs), 1 if answer else 0, 1)
        _each(r, io, f"input of '{name}' and of its operation", ins, _message_item(r, given))
        _each(r, io, f"output of '{name}' and of its operation", outs, _message_item(r, answer) if answer else None)


def _each(r: Any, at: Any, what: str, data: list[Any], wanted: Any) -> None:
    for one in data:
        _same(r, at, what, _item(r, one), wanted)


_PAYLOAD = {
    "message": ("messageRef", "message"),
    "error": ("errorRef", "error"),
    "escalation": ("escalationRef", "escalation"),
    "signal": ("signalRef", "signal"),
}


def _event(r: Any, event: Any) -> None:
    """As many inputs (outputs) as definitions, in their order; of their items."""
    thrown = x.local(event) in ("endEvent", "intermediateThrowEvent", "implicitThrowEvent", "event")
    data = _items(event, "dataInput" if thrown else "dataOutput")
    if not data:
        return
    definitions = []
    for kid in x.bpmn_children(event):
        found = referenced(r, x.text_of(kid)) if x.local(kid) == "eventDefinitionRef" else kid
        if found is not None and grammar.is_a(x.local(found), "eventDefinition"):
            definitions.append(found)
    if not definitions:
        return
    what = f"{'inputs' if thrown else 'outputs'} of '{event.get('id', '')}' with {len(definitions)} event definitions"
    _number(r, event, what, len(data), len(definitions), len(definitions))
    for one, definition in zip(data, definitions, strict=False):
        attribute, kind = _PAYLOAD.get(x.local(definition).removesuffix("EventDefinition"), ("", ""))
        payload = referenced(r, definition.get(attribute, "") or "?") if attribute else None
        if payload is not None and x.local(payload) == kind:
            _same(
                r,
                event,
                f"data of '{event.get('id', '')}' and its {kind}",
                _item(r, one),
                _item(r, payload, "itemRef" if kind == "message" else "structureRef"),
            )


def _called(r: Any, call: Any) -> None:
    called = referenced(r, call.get("calledElement", "") or "?")
    if called is None or not grammar.is_a(x.local(called), "callableElement"):
        return
    mine, theirs = x.child(call, "ioSpecification"), x.child(called, "ioSpecification")
    if theirs is None:
        return  # it doesn't say what it needs
    name = call.get("id", "")
    for tag, what in (("dataInput", "inputs"), ("dataOutput", "outputs")):
        own, other = _items(mine, tag), _items(theirs, tag)
        if len(own) != len(other):
            say(
                r,
                "IO_CALLED_DIFFERS",
                call,
                f"{what} of call activity '{name}': expected {len(other)} as '{called.get('id', '')}' has, found {len(own)}",
            )
        elif any(not _agree(_item(r, a), _item(r, b)) for a, b in zip(own, other, strict=True)):
            rest = [_item(r, b) for b in other]
            for a in own:  # the order is nobody's promise
                fit = next((k for k, b in enumerate(rest) if _agree(_item(r, a), b)), None)
                if fit is None:
                    say(
                        r,
                        "IO_CALLED_DIFFERS",
                        call,
                        f"{what} of call activity '{name}' and of '{called.get('id', '')}' have different items",
                    )
                    break
                del rest[fit]


_BINDS = (("inputDataRef", "inputSet", "dataInputRefs", "inMessageRef"), ("outputDataRef", "outputSet", "dataOutputRefs", "outMessageRef"))


def _callable(r: Any, element: Any) -> None:
    interfaces = [referenced(r, x.text_of(e)) for e in element.iterchildren(x.B + "supportedInterfaceRef")]
    operations = {o.get("id", ""): o for i in interfaces if i is not None for o in i.iterchildren(x.B + "operation")}
    bindings = list(element.iterchildren(x.B + "ioBinding"))
    bound = {b.get("operationRef", "").rsplit(":", 1)[-1] for b in bindings}
    for id in operations:
        if id not in bound:
            say(r, "IO_BINDING_MISSING", element, f"'{element.get('id', '')}' supports operation '{id}', but no ioBinding is for it")
    io = x.child(element, "ioSpecification")
    own = {e.get("id", ""): e for e in io.iter() if isinstance(e.tag, str)} if io is not None else {}
    for binding in bindings:
        reference = binding.get("operationRef", "").rsplit(":", 1)[-1]
        operation = operations.get(reference)
        if operation is None:
            say(r, "IO_BINDING_FOREIGN", binding, f"operation '{reference}' is of no interface that '{element.get('id', '')}' supports")
        for attribute, set_, ref, message in (
            ("inputDataRef", "inputSet", "dataInputRefs", "inMessageRef"),
            ("outputDataRef", "outputSet", "dataOutputRefs", "outMessageRef"),
        ):
            data = own.get(binding.get(attribute, ""))
            if data is None:
                say(r, "IO_BINDING_FOREIGN", binding, f"{attribute} '{binding.get(attribute, '')}' is no data of '{element.get('id', '')}'")
            elif operation is not None:
                members = [own.get(x.text_of(e)) for e in data.iterchildren(x.B + ref)] if x.local(data) == set_ else [data]
                for one in members:
                    _same(
                        r,
                        binding,
                        f"{attribute} and the message of '{reference}'",
                        _item(r, one),
                        _message_item(r, x.text_of(x.child(operation, message))),
                    )


def _association(r: Any, element: Any) -> None:
    sources = [referenced(r, x.text_of(s)) for s in element.iterchildren(x.B + "sourceRef")]
    target = referenced(r, x.text_of(x.child(element, "targetRef")) or "?")
    outward = x.local(element) == "dataOutputAssociation"
    if outward and target is not None and x.local(target) == "dataInput" and _of_process(target):
        say(r, "DATA_DIRECTION", element, f"'{target.get('id', '')}' is an input of the process and is written")
    for source in sources:
        if not outward and source is not None and x.local(source) == "dataOutput" and _of_process(source):
            say(r, "DATA_DIRECTION", element, f"'{source.get('id', '')}' is an output of the process and is read")


def _of_process(data: Any) -> bool:
    io = data.getparent()
    return x.local(io) == "ioSpecification" and grammar.is_a(x.local(io.getparent()), "callableElement")


def _reference(r: Any, element: Any) -> None:
    target = referenced(r, element.get("dataObjectRef", "") or "?")
    if target is not None and element.get("itemSubjectRef"):
        _same(r, element, f"'{element.get('id', '')}' and its data object", _item(r, element), _item(r, target))


def _loop(r: Any, loop: Any) -> None:
    for ref, inner in (("loopDataInputRef", "inputDataItem"), ("loopDataOutputRef", "outputDataItem")):
        data = referenced(r, x.text_of(x.child(loop, ref)) or "?")
        if data is None:
            continue
        item = _item(r, data)
        one = x.child(loop, inner)
        said = (
            data.get("isCollection")
            if data.get("isCollection") is not None
            else item.get("isCollection", "false")
            if item is not None
            else None
        )
        if said in ("false", "0"):
            say(r, "LOOP_DATA_NO_COLLECTION", loop, f"{ref} '{data.get('id', '')}' is no collection")
        if one is not None:
            _same(r, loop, f"{ref} and {inner}", item, _item(r, one), scalar=True)


_TASKS = ("task", "serviceTask", "sendTask", "receiveTask", "userTask", "scriptTask", "manualTask", "businessRuleTask")
_CHECKS: dict[str, Any] = {
    **dict.fromkeys(_TASKS, _task),
    **dict.fromkeys(
        ("startEvent", "endEvent", "intermediateCatchEvent", "intermediateThrowEvent", "boundaryEvent", "implicitThrowEvent"), _event
    ),
    **dict.fromkeys(
        ("process", "globalTask", "globalUserTask", "globalScriptTask", "globalManualTask", "globalBusinessRuleTask"), _callable
    ),
    "callActivity": _called,
    "dataInputAssociation": _association,
    "dataOutputAssociation": _association,
    "dataObjectReference": _reference,
    "multiInstanceLoopCharacteristics": _loop,
}
_TAGS = tuple(x.B + tag for tag in _CHECKS)

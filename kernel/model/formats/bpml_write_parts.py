"""What one element of a drawing is in BPML: actions, assignments, calls and sub-processes, with their data."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from lxml import etree

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.formats import bpml_grammar as g
from flowledger.kernel.model.formats import bpml_words as words
from flowledger.kernel.model.formats.bpml_expressions import CURRENT
from flowledger.kernel.model.formats.bpml_shapes import definitions_of, meant, tag_of
from flowledger.kernel.model.formats.bpml_write_scope import Scope

_EXT = f"{{{g.EXT_NS}}}"
_NIL = f"{{{x.XSI_NS}}}nil"
_NAME_KEY = re.compile(r"=\s*([A-Za-z_]\w*)\s*")
_LATCH = re.compile(r"signal_([A-Za-z_]\w*)")
_VARIABLE = re.compile(r"[A-Za-z_]\w*")


def has_activity(e: Any) -> bool:
    return any(x.local(k) in g.ACTIVITIES for k in e)


# -------------------------------------------------------------------------------------------------------------- expressions


def expression(w: Any, to: Any, attribute: str, text: str, context: str = "") -> None:
    """XPath where it says the same, else FEEL. Without `attribute` it is the element's text."""
    source = text.strip().removeprefix("=").strip()
    if not words.is_feel(source):
        w.left_out(w.here, f"what is no FEEL: '{source[:80]}'")
        source = "null"
    found = words.written(source, context)
    if found is None:
        to.set(f"{_EXT}language", "feel")
    else:
        w.names |= found[1]
    said = source if found is None else found[0]
    if attribute:
        to.set(attribute, said)
    else:
        to.text = said


def given(w: Any, to: Any, text: str | None) -> None:
    """A value as `value` or `xpath`."""
    text = text or ""
    source = text.strip().removeprefix("=").strip()
    constant = words.literal_of(source) if text.lstrip().startswith("=") else (text,)
    if constant is not None and constant[0] is None:
        etree.SubElement(to, g.P + "value").set(_NIL, "true")
    elif constant is not None and isinstance(constant[0], str) and constant[0] == constant[0].strip():
        etree.SubElement(to, g.P + "value").text = constant[0]
    elif text.lstrip().startswith("="):
        expression(w, to, "xpath", text)
    else:
        to.set(
            "xpath",
            '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"',
        )
        to.set(f"{_EXT}language", "feel")


def to_property(w: Any, e: Any, name: str | None) -> str | None:
    """The QName of a variable; None: it can't be a property, which is said."""
    if not words.is_name(name or ""):
        w.left_out(e, f"the variable '{name}'")
        return None
    w.names.add(name)
    return f"tns:{name}"


def mappings(e: Any) -> tuple[list[Any], list[Any]]:
    found = e.find(f"{x.B}extensionElements/{x.Z}ioMapping")
    kids = list(found) if found is not None else []
    return [m for m in kids if tag_of(m) == "input"], [m for m in kids if tag_of(m) == "output"]


def sends(w: Any, e: Any, made: Any, inputs: list[Any], word: str = "part") -> None:
    for m in inputs:
        name = m.get("target") or ""
        if not _VARIABLE.fullmatch(name) or not re.fullmatch(g.NCNAME, name):
            w.left_out(e, f"the input '{name}'")
            continue
        out = etree.SubElement(made, g.P + "output", **{word: name})
        text = (m.get("source") or "").strip()
        if text.startswith("=") and words.is_name(text[1:].strip()) and meant(text).startswith("Name("):
            out.set("property", str(to_property(w, e, text[1:].strip())))
        else:
            given(w, out, m.get("source"))


def takes(w: Any, e: Any, made: Any, outputs: list[Any], word: str = "part") -> None:
    for m in outputs:
        if (target := to_property(w, e, m.get("target"))) is None:
            continue
        source = (m.get("source") or "").strip()
        took = etree.SubElement(made, g.P + "input")
        text = source.removeprefix("=").strip()
        if not source.startswith("="):
            took.set(word, "result")
            took.set("xpath", '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
            took.set(f"{_EXT}language", "feel")
        elif _VARIABLE.fullmatch(text) and re.fullmatch(g.NCNAME, text) and meant(text).startswith("Name("):
            took.set(word, text)
        else:
            first = re.match(r"[A-Za-z_]\w*", text)
            part = first[0] if first and words.written(text, first[0]) is not None else "result"
            took.set(word, part)
            expression(w, took, "xpath", source, part)
        took.set("property", target)


# -------------------------------------------------------------------------------------------------------------- activities


def operation(w: Any, e: Any, made: Any, type: str, port: str) -> None:
    """A job type or message name as a port type and its operation; what has no dot is named beside them."""
    left, _, right = type.rpartition(".")
    if re.fullmatch(g.NCNAME, left) and re.fullmatch(g.NCNAME, right) and ":" not in type:
        made.set("portType", f"tns:{left}")
        made.set("operation", right)
        return
    made.set("portType", f"tns:{port}")
    plain = re.sub(r"[^\w.-]", "_", type) or "_"
    made.set("operation", plain if re.fullmatch(g.NCNAME, plain) else "_" + plain)
    made.set(f"{_EXT}operation", type)


def keyed(w: Any, made: Any, key: str, name: str) -> None:
    """What a message is found by: an identity where it is a variable or several, else FEEL."""
    own = f'= "{name}"'
    names = [key.strip().removeprefix("=").strip()]
    if meant(own) == meant(key):
        return
    if not words.is_name(names[0]) or not _NAME_KEY.fullmatch(key.strip()):
        names = re.findall(r"string\((\w+)\)", key)
        if len(names) < 2 or meant(' + "/" + '.join(f"string({n})" for n in names)) != meant(key) or not all(map(words.is_name, names)):
            made.set(f"{_EXT}key", key.strip())
            return
    w.names |= set(names)
    on = " ".join(f"tns:{n}" for n in names)
    made.set("correlate", f"tns:{w.identities.setdefault(on, 'by_' + '_'.join(names))}")


def waits(w: Any, e: Any, to: Any, ref: str | None) -> Any:
    """A receiving action for a message."""
    made = w.activity(to, "action", e)
    root = w.roots.get(ref)
    name = (root.get("name") if root is not None else "") or ""
    operation(w, e, made, name, "Messages")
    key = ""
    for word, ext in w.extensions(root) if root is not None else ():
        if word == "zeebe:subscription" and set(ext.attrib) <= {"correlationKey"}:
            key = ext.get("correlationKey") or ""
        else:
            w.left_out(e, word)
    keyed(w, made, key, name)
    inputs, outputs = mappings(e)
    takes(w, e, made, outputs)
    if not outputs:
        etree.SubElement(made, g.P + "input", part="message")
    if inputs:
        w.left_out(e, "what it is given")
    return made


def told(w: Any, e: Any, *kept: str) -> None:
    for name, _ in w.extensions(e):
        if name not in kept:
            w.left_out(e, name)


def activity(w: Any, scope: Any, e: Any, to: Any) -> None:
    tag = tag_of(e)
    loop = e.find(x.B + "multiInstanceLoopCharacteristics")
    if e.find(x.B + "standardLoopCharacteristics") is not None:
        w.left_out(e, "standardLoopCharacteristics")
    undo = undone_by(scope, e)
    if loop is not None:
        to = each(w, scope, e, loop, to)
        if tag == "subProcess":
            return
    if tag == "subProcess" and not (mappings(e)[1] or undo is not None):
        block(w, scope, e, etree.SubElement(to, g.P + "sequence", name=w.name(e)))
    elif tag == "subProcess" or undo is not None:
        nested(w, scope, e, undo, to)
    elif tag in ("transaction", "adHocSubProcess", "businessRuleTask"):
        w.left_out(e, {"businessRuleTask": "a decision"}.get(tag, tag))
        w.activity(to, "empty", e)
    else:
        simple(w, scope, e, to)


def simple(w: Any, scope: Any, e: Any, to: Any) -> None:

    tag = tag_of(e)
    if tag in ("intermediateCatchEvent", "intermediateThrowEvent"):
        w.between(scope, e, to)
    elif tag == "receiveTask":
        told(w, e, "zeebe:ioMapping")
        waits(w, e, to, e.get("messageRef"))
    elif tag == "scriptTask":
        script(w, scope, e, to)
    elif tag == "callActivity":
        call(w, e, to)
    elif tag in ("serviceTask", "sendTask", "userTask"):
        action(w, e, tag, to)
    else:
        if tag not in ("task", "manualTask"):
            w.left_out(e, tag)
        told(w, e)
        w.activity(to, "empty", e)


def action(w: Any, e: Any, tag: str, to: Any) -> None:
    made = w.activity(to, "action", e)
    type = ""
    for name, ext in w.extensions(e):
        if name == "zeebe:taskDefinition" and tag != "userTask":
            type = ext.get("type") or ""
            if set(ext.attrib) - {"type"}:
                w.left_out(e, "how often it is tried")
        elif name == "zeebe:assignmentDefinition" and tag == "userTask":
            if ext.get("candidateGroups"):
                made.set(f"{_EXT}performer", ext.get("candidateGroups"))
            for other in sorted(set(ext.attrib) - {"candidateGroups"}):
                w.left_out(e, other)
        elif name == "zeebe:taskHeaders" and tag == "sendTask" and is_reply(e):
            made.set(f"{_EXT}reply", "true")
        elif name not in ("zeebe:ioMapping", "zeebe:userTask"):
            w.left_out(e, name)
    if tag == "userTask":
        made.set(f"{_EXT}performer", made.get(f"{_EXT}performer", ""))
    operation(w, e, made, type or e.get("id"), "People" if tag == "userTask" else "Jobs")
    if tag != "userTask" and not type:
        made.set(f"{_EXT}operation", "")
    inputs, outputs = mappings(e)
    sends(w, e, made, inputs)
    if tag == "sendTask":
        if outputs:
            w.left_out(e, "what comes back")
        if not inputs:
            made.set(f"{_EXT}invoke", "send")
        return
    takes(w, e, made, outputs)
    if inputs and not outputs:
        etree.SubElement(made, g.P + "input", part="result")
    elif outputs and not inputs:
        made.set(f"{_EXT}invoke", "true")


def is_reply(e: Any) -> bool:
    found = e.find(f"{x.B}extensionElements/{x.Z}taskHeaders")
    return found is not None and [(h.get("key"), h.get("value")) for h in found] == [("reply", "true")]


def replies(holder: Any) -> None:
    """A message that is taken and a reply to it further on in the same set: one action with the set between."""
    for reply in [a for a in holder.findall(g.P + "action") if a.get(f"{_EXT}reply")]:
        of = (reply.get("portType"), reply.get("operation"), reply.get(f"{_EXT}operation"))
        before = [a for a in reply.itersiblings(g.P + "action", preceding=True)
                  if a.find(g.P + "input") is not None and a.find(g.P + "output") is None and not a.get(f"{_EXT}invoke")
                  and (a.get("portType"), a.get("operation"), a.get(f"{_EXT}operation")) == of]  # fmt: skip
        if not before:
            continue  # said by the attribute alone
        first, outputs = before[0], reply.findall(g.P + "output")
        if not outputs:
            continue
        while (between := first.getnext()) is not reply:
            first.append(between)
        for out in outputs:
            first.append(out)
        holder.remove(reply)


def script(w: Any, scope: Any, e: Any, to: Any) -> None:

    found = e.find(f"{x.B}extensionElements/{x.Z}script")
    told(w, e, "zeebe:script", "zeebe:ioMapping")
    inputs, outputs = mappings(e)
    if found is None:
        w.left_out(e, "its script")
        w.activity(to, "empty", e)
        return
    if w.raised(scope, e, to):
        return
    if inputs or outputs:
        w.left_out(e, "zeebe:ioMapping")
    if (target := to_property(w, e, found.get("resultVariable"))) is None:
        w.activity(to, "empty", e)
        return
    made = w.activity(to, "assign", e, property=target)
    name, text = found.get("resultVariable"), found.get("expression") or ""
    added = re.fullmatch(rf"=?\s*append\(if {name} = null then \[\] else {name}, (.*)\)\s*", text, re.S)
    if added is not None and meant(f"append(if {name} = null then [] else {name}, {added[1]})") == meant(text):
        made.set("append", "true")
        text = f"= {added[1]}"
    given(w, made, text)


def call(w: Any, e: Any, to: Any) -> None:
    found = e.find(f"{x.B}extensionElements/{x.Z}calledElement")
    told(w, e, "zeebe:calledElement", "zeebe:ioMapping")
    id = (found.get("processId") if found is not None else None) or ""
    if not re.fullmatch(g.NCNAME, id):
        w.left_out(e, "which process is called")
        w.activity(to, "empty", e)
        return
    for name in ("bindingType", "versionTag"):
        if found.get(name) and found.get(name) != "latest":
            w.left_out(e, name)
    if found.get("propagateAllParentVariables") != "false" or found.get("propagateAllChildVariables") == "true":
        w.left_out(e, "that all variables go in or come back, named or not")
    own = id in w.processes
    w.imports = w.imports or not own
    made = w.activity(to, "call", e, process=f"{'tns' if own else 'deployed'}:{id}")
    inputs, outputs = mappings(e)
    sends(w, e, made, inputs, "parameter")
    takes(w, e, made, outputs, "parameter")


# -------------------------------------------------------------------------------------------------------------- what holds others


def properties(w: Any, e: Any, scope: Any, inputs: list[Any]) -> None:
    for m in inputs:
        name, source = m.get("target") or "", m.get("source") or ""
        if not words.is_name(name):
            w.left_out(e, f"the input '{name}'")
            continue
        signal = _LATCH.fullmatch(name)
        if signal and meant(source) == meant("= 0"):
            scope.declare("signal", name=signal[1])
            continue
        w.names.add(name)
        made = scope.declare("property", name=name)
        if meant(source) != meant(f"= {name}") or not source.lstrip().startswith("="):
            initial(w, made, source)


def initial(w: Any, made: Any, source: str) -> None:
    constant = words.literal_of(source.strip().removeprefix("=").strip()) if source.lstrip().startswith("=") else None
    if constant is not None and isinstance(constant[0], (bool, Decimal)):
        made.set("xpath", "")
        expression(w, made, "xpath", source)
    else:
        given(w, made, source)


def block(w: Any, scope: Any, e: Any, made: Any) -> None:
    """A sub-process as a set with a context: what makes it one when it is read."""

    w.titled(made, e)
    told(w, e, "zeebe:ioMapping")
    inner = Scope(w, e, made, scope)
    inner.opened()
    properties(w, e, inner, mappings(e)[0])
    fill(w, inner, made)


def fill(w: Any, inner: Any, made: Any) -> None:
    starts = inner.shape.starts
    if len(starts) != 1 or definitions_of(starts[0]):
        w.left_out(inner.holder, "that it begins otherwise than at one start")
    for start in starts[:1]:
        told(w, start)
        out = inner.shape.out[start.get("id")]
        w.follow(inner, out[0].get("targetRef") if out else None, None, made)
        if len(out) > 1:
            w.left_out(start, "that several ways begin at a start")
    replies(made)
    w.rest(inner, made)


def nested(w: Any, scope: Any, e: Any, undo: Any, to: Any) -> None:
    """What leaves values behind or is compensated: a process of the context, which is called."""

    name = w.name(e, "" if tag_of(e) == "subProcess" else "_process")
    process = scope.declare("process", name=name)
    w.undone[e.get("id")] = name
    made = etree.SubElement(to, g.P + "call", process=f"tns:{name}")
    if tag_of(e) == "subProcess":
        w.titled(process, e)
        told(w, e, "zeebe:ioMapping")
        inputs, outputs = mappings(e)
        inner = Scope(w, e, process, scope)
        properties(w, e, inner, inputs)
        for m in outputs:
            if not _VARIABLE.fullmatch((m.get("source") or "").strip().removeprefix("=").strip()):
                w.left_out(e, f"how '{m.get('target')}' is made of what it leaves")
                continue
            takes(w, e, made, [m], "parameter")
        fill(w, inner, process)
    else:
        w.shaped(e, "is compensated: here it stands in a process of its own")
        simple(w, scope, e, process)
    if undo is not None:
        compensation = etree.SubElement(process, g.P + "compensation")
        if tag_of(undo) == "subProcess":
            fill(w, Scope(w, undo, compensation, scope), compensation)
        else:
            w.shaped(undo, "compensates: here it stands in a sub-process")
            activity(w, scope, undo, compensation)


def undone_by(scope: Any, e: Any) -> Any:
    for b in scope.shape.on.get(e.get("id"), []):
        if any(tag_of(d) == "compensateEventDefinition" for d in definitions_of(b)):
            for a in e.getparent().findall(x.B + "association"):
                if a.get("sourceRef") == b.get("id"):
                    return scope.shape.nodes.get(a.get("targetRef"))
    return None


def each(w: Any, scope: Any, e: Any, loop: Any, to: Any) -> Any:
    """`foreach`; gives what the activity is written into, unless it is a sub-process, which is written at once."""
    says = loop.find(f"{x.B}extensionElements/{x.Z}loopCharacteristics")
    made = etree.SubElement(to, g.P + "foreach", name=w.name(e, "" if tag_of(e) == "subProcess" else "_each"))
    if loop.get("isSequential") != "true":
        w.left_out(e, "that its runs stand side by side")
    if loop.find(x.B + "completionCondition") is not None or loop.find(x.B + "loopCardinality") is not None:
        w.left_out(e, "how often it runs")
    expression(w, made, "select", (says.get("inputCollection") if says is not None else None) or "= []")
    item = says.get("inputElement") if says is not None else None
    if item != CURRENT:
        made.set(f"{_EXT}item", item or "")
    if says is not None and says.get("outputCollection"):
        w.left_out(e, "what is collected of its runs")
    if tag_of(e) == "subProcess":
        if mappings(e)[1]:
            w.left_out(e, "what it leaves behind")

        w.titled(made, e)
        told(w, e, "zeebe:ioMapping")
        inner = Scope(w, e, made, scope)
        properties(w, e, inner, mappings(e)[0])
        fill(w, inner, made)
    else:
        w.shaped(e, "runs once for each item: here it stands in a block that does")
    return made

"""Data of BPML 1.0 in the graph: properties as variables, XPath as FEEL, messages as mappings, identities as correlation keys."""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from flowledger.kernel import feel as engine
from flowledger.kernel.model.formats import bpml_grammar as g
from flowledger.kernel.model.formats import build, xpath
from flowledger.kernel.model.formats.bpml_document import Reader, kid, kids, local

#: variable of the item in a foreach
CURRENT = "inst_current"
_INSTANCE = {"current": CURRENT, "iteration": "loopCounter"}


def variable(r: Reader, text: str, at: Any) -> str:
    return build.variable_name(r.name_of(text, at)[1])


def feel(r: Reader, text: str, at: Any, context: str = "") -> str:
    """XPath as FEEL; a finding 030 and `null` when it can't be. With `bpmlx:language="feel"` it is FEEL as it is."""
    if at.get(f"{g.EXT}language") == "feel":
        source = text.strip()
        try:
            engine.compile(source)
        except engine.FeelSyntaxError as e:
            r.find("030", f'FEEL "{source}": {e}', at)
            return "null"
        return source

    def look(name: str, position: int) -> str:
        namespace, plain = r.name_of(name, at)
        if namespace == g.INST_NS:
            if plain in _INSTANCE:
                return _INSTANCE[plain]
            raise xpath.Untranslatable(f"the instance property {name} isn't at hand in the graph", position)
        if namespace == r.target and r.scope_of(at).look("property", plain) is None:
            raise xpath.Untranslatable(f"unknown variable ${name}", position)
        return build.variable_name(plain)

    def canonical(name: str) -> str:
        if ":" not in name:
            return name
        namespace, plain = r.name_of(name, at)
        return f"bpmlx:{plain}" if namespace == g.EXT_NS else name

    try:
        return xpath.to_feel(text.strip(), look, context, canonical)
    except xpath.Untranslatable as e:
        r.find("030", f'XPath "{text.strip()}": {e.message} at character {e.at}', at)
        return "null"


def operation(action: Any) -> str:
    """Message name and job type: portType's local name, a dot, the operation; or what `bpmlx:operation` says."""
    own = action.get(f"{g.EXT}operation")
    return own if own is not None else f"{action.get('portType').rsplit(':', 1)[-1]}.{action.get('operation')}"


def value_of(r: Reader, element: Any, type: str = "") -> str:
    """A `value` child as FEEL, by the type of what it goes to."""
    if element.get("{http://www.w3.org/2001/XMLSchema-instance}nil") in ("true", "1") or \
       element.get("{http://www.w3.org/2001/XMLSchema-instance}null") in ("true", "1"):  # fmt: skip
        return "null"
    if len(element):
        return build.feel("".join(etree.tostring(k, encoding="unicode") for k in element).strip())
    text = "".join(element.itertext()).strip()
    kind = type.rsplit(":", 1)[-1]
    if kind in g.XSD_NUMBERS:
        if re.fullmatch(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", text):
            return text.lstrip("+")
        r.find("031", f'"{text}" is not a valid {type}', element)
    elif kind == "boolean":
        if text in ("true", "1", "false", "0"):
            return "true" if text in ("true", "1") else "false"
        r.find("031", f'"{text}" is not a valid {type}', element)
    return build.feel(text)


def source(r: Reader, element: Any, target: str = "") -> str:
    """What an output, an assign or a raise gives: its xpath, its property or its value."""
    if (text := element.get("xpath")) is not None:
        return feel(r, text, element)
    if (value := kid(element, "value")) is not None:
        declared = r.resolve("property", target, element) if target else None
        return value_of(r, value, declared.get("type", "") if declared is not None else "")
    if local(element) != "assign" and element.get("property"):
        return variable(r, element.get("property"), element)
    return "null"


def initial(r: Reader, node: Any, declared: Any, direction: str, keep: bool = False) -> None:
    """The first value of a property or parameter as a mapping of the node that opens its context. `keep`: a value given by the caller stays."""
    name = build.variable_name(declared.get("name"))
    value = kid(declared, "value")
    if value is not None:
        text = value_of(r, value, declared.get("type", ""))
    elif declared.get("xpath") is not None:
        text = feel(r, declared.get("xpath"), declared)
    elif direction == "input":  # the parent context's property of the same name, else unset
        build.mapping(node, direction, f"= {name}", name)
        return
    else:
        return
    build.mapping(node, direction, f"= if {name} = null then {text} else {name}" if keep else f"= {text}", name)


def receive(r: Reader, node: Any, action: Any) -> None:
    """Inputs of an action: parts of the message to properties."""
    for i in kids(action, "input"):
        if not i.get("property"):
            continue
        part = build.variable_name(i.get("part") or (i.get("element") or i.get("property")).rsplit(":", 1)[-1])
        text = feel(r, i.get("xpath"), i, part) if i.get("xpath") is not None else part
        build.mapping(node, "output", f"= {text}", variable(r, i.get("property"), i))


def result(r: Reader, given: Any) -> str:
    """What a caller takes of what was called: a variable of it, or what `xpath` makes of that."""
    name = build.variable_name(given.get("parameter") or given.get("part") or "")
    return "= " + (feel(r, given.get("xpath"), given, name) if given.get("xpath") is not None else name)


def send(r: Reader, node: Any, action: Any) -> None:
    """Outputs of an action: what the job or message carries."""
    for o in kids(action, "output"):
        name = build.variable_name(o.get("part") or (o.get("element") or o.get("property") or "part").rsplit(":", 1)[-1])
        build.mapping(node, "input", "= " + source(r, o), name)


def correlation(r: Reader, action: Any) -> str:
    """The key that a message must carry: the values of the identities' properties, joined. Without identity: the operation's name."""
    if (own := action.get(f"{g.EXT}key")) is not None:
        return str(own)
    given = action.get("correlate")
    process = action
    while given is None and process is not None:
        if local(process) == "process":
            given = process.get("identity", "")
        process = process.getparent()
    names: list[str] = []
    for text in (given or "").split():
        identity = r.resolve("identity", text, action)
        if identity is not None:
            names += [variable(r, p, identity) for p in identity.get("property").split()]
    if not names:
        r.find("046", f'the message "{operation(action)}" correlates on nothing: any message of that name with its name as key is taken', action,
               severity="warning", hint='give the process an identity, or the action "correlate"')  # fmt: skip
        return "= " + build.feel(operation(action))
    return "= " + (names[0] if len(names) == 1 else ' + "/" + '.join(f"string({n})" for n in names))

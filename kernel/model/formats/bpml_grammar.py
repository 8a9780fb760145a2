"""The project profile of BPML 1.0 as tables: which element holds which, with which attributes. Source: design notes of BPML 1.0, sections 2 to 4."""

from __future__ import annotations

import re

BPML_NS = "http://www.bpmi.org/2003/BPML/process"
INST_NS = "http://www.bpmi.org/2003/BPML/instance"
EXT_NS = "urn:flowledger:bpml:ext:1"
EXT = f"{{{EXT_NS}}}"
#: the package of what is deployed beside this file: processes in it may be called
DEPLOYED_NS = "urn:flowledger:deployed"
P = f"{{{BPML_NS}}}"

SIMPLE = {"action", "assign", "call", "compensate", "delay", "empty", "fault", "raise", "spawn", "synch"}
COMPLEX = {"sequence", "all", "switch", "choice", "foreach", "while", "until"}
ACTIVITIES = SIMPLE | COMPLEX
SET = ACTIVITIES | {"context"}

NCNAME = r"[A-Za-z_][\w.-]*"
#: kinds of attribute values -> what they look like
TYPES: dict[str, re.Pattern[str]] = {
    "NCName": re.compile(NCNAME),
    "QName": re.compile(rf"(?:{NCNAME}:)?{NCNAME}"),
    "QNames": re.compile(rf"(?:(?:{NCNAME}:)?{NCNAME})(?:\s+(?:{NCNAME}:)?{NCNAME})*"),
    "NCNames": re.compile(rf"{NCNAME}(?:\s+{NCNAME})*"),
    "boolean": re.compile(r"true|false|0|1"),
    "direction": re.compile(r"input|output|both"),
    "connector": re.compile(r"direct|publish"),
    "text": re.compile(r".*", re.S),
}


class Rule:
    """`required` and `optional` attributes with their types; `kids` allowed inside; `order`: kids that must come in this order."""

    __slots__ = ("any", "attributes", "kids", "least", "order", "required")

    def __init__(
        self, required: dict[str, str], optional: dict[str, str], kids: set[str], order: tuple[str, ...] = (), any: bool = False
    ) -> None:
        self.required, self.attributes = required, {**required, **optional}
        self.kids = kids | {"documentation"}
        self.order = ("documentation", *order)
        self.any = any


_NAME = {"name": "NCName"}
_EMPTY: set[str] = set()
GRAMMAR: dict[str, Rule] = {
    "package": Rule({"targetNamespace": "text"}, {}, {"feature", "import", "process", "property", "schedule", "identity", "signal", "connector"},
                    ("feature", "import")),
    "feature": Rule({"name": "text"}, {}, _EMPTY),
    "import": Rule({"namespace": "text"}, {"location": "text"}, _EMPTY),
    "process": Rule(_NAME, {"identity": "QNames", "persistent": "boolean"}, SET | {"parameter", "event", "compensation"},
                    ("parameter", "event", "context")),
    "parameter": Rule(_NAME, {"type": "QName", "element": "QName", "direction": "direction", "required": "boolean"}, {"value"}),
    "event": Rule({}, {"activity": "NCNames", "exclusive": "boolean"}, SET),
    "context": Rule({}, {}, {"property", "identity", "signal", "schedule", "process", "exception", "faults"}),
    "property": Rule(_NAME, {"type": "QName", "element": "QName", "fixed": "boolean", "xpath": "text"}, {"value", "selector"}),
    "selector": Rule({"xpath": "text"}, {"element": "QName", "type": "QName"}, _EMPTY),
    "identity": Rule({"name": "NCName", "property": "QNames"}, {}, _EMPTY),
    "signal": Rule(_NAME, {"type": "QName"}, _EMPTY),
    "schedule": Rule(_NAME, {"duration": "text", "instant": "text", "repeat": "text", "signal": "QName", "fault": "QName", "process": "QName"}, _EMPTY),
    "exception": Rule({}, _NAME, SET | {"event"}, ("event", "context")),
    "faults": Rule({}, {}, {"case", "default"}, ("case", "default")),
    "case": Rule({}, {"code": "QNames"}, SET | {"condition"}, ("condition", "context")),
    "default": Rule({}, {}, SET, ("context",)),
    "compensation": Rule({}, {}, SET, ("context",)),
    "connector": Rule({"type": "connector"}, _NAME, {"operation"}),
    "operation": Rule({"portType": "QName", "name": "NCName"}, {}, _EMPTY),
    "action": Rule({"portType": "QName", "operation": "NCName"}, {**_NAME, "correlate": "QNames"}, SET | {"input", "output"}),
    "input": Rule({}, {"part": "NCName", "element": "QName", "parameter": "NCName", "property": "QName", "xpath": "text"}, _EMPTY),
    "output": Rule({}, {"part": "NCName", "element": "QName", "parameter": "NCName", "property": "QName", "xpath": "text"}, {"value"}),
    "assign": Rule({"property": "QName"}, {**_NAME, "xpath": "text", "append": "boolean"}, {"value"}),
    "call": Rule({"process": "QName"}, _NAME, {"input", "output"}, ("output", "input")),
    "spawn": Rule({"process": "QName"}, _NAME, {"output"}),
    "compensate": Rule({"process": "QNames"}, _NAME, _EMPTY),
    "delay": Rule({}, {**_NAME, "duration": "text", "instant": "text"}, _EMPTY),
    "empty": Rule({}, _NAME, _EMPTY),
    "fault": Rule({"code": "QName"}, _NAME, _EMPTY),
    "raise": Rule({"signal": "QName"}, {**_NAME, "xpath": "text"}, {"value"}),
    "synch": Rule({"signal": "QName"}, {**_NAME, "property": "QName"}, _EMPTY),
    "sequence": Rule({}, _NAME, SET, ("context",)),
    "all": Rule({}, _NAME, SET, ("context",)),
    "switch": Rule({}, _NAME, {"case", "default"}, ("case", "default")),
    "choice": Rule({}, _NAME, {"event"}),
    "foreach": Rule({"select": "text"}, _NAME, SET, ("context",)),
    "while": Rule({}, _NAME, SET | {"condition"}, ("condition", "context")),
    "until": Rule({}, _NAME, SET | {"condition"}, ("condition", "context")),
    "condition": Rule({}, {}, _EMPTY),
    "transaction": Rule({}, {**_NAME, "type": "text", "retries": "text"}, SET, ("context",)),
    "value": Rule({}, {}, _EMPTY, any=True),
    "documentation": Rule({}, {}, _EMPTY, any=True),
}  # fmt: skip
#: elements that hold a set of activities, which can't be empty
HOLDS_SET = {"process", "exception", "compensation", "sequence", "all", "foreach", "while", "until", "transaction"}
#: words of early drafts -> what to use
EARLY = {"join": "all", "onMessage": "choice with event and action", "onTimeout": "choice with event and delay", "onFault": "faults with case",
         "instantiation": "event", "operation": "action", "atomic": "compensation", "complete": "empty", "empty-process": "process"}  # fmt: skip
#: roots and namespaces of other languages
OTHERS = {"http://www.omg.org/spec/BPMN/20100524/MODEL": "BPMN", "http://schemas.xmlsoap.org/ws/2003/03/business-process/": "BPEL",
          "http://docs.oasis-open.org/wsbpel/2.0/process/executable": "BPEL", "http://schemas.xmlsoap.org/ws/2002/07/business-process/": "BPEL"}  # fmt: skip
STERLING = {"operation", "participant", "repeat", "produce", "consume", "rule"}

XSD_NUMBERS = {"integer", "int", "long", "short", "byte", "nonNegativeInteger", "positiveInteger", "negativeInteger", "nonPositiveInteger",
               "unsignedInt", "unsignedLong", "unsignedShort", "unsignedByte", "decimal", "float", "double"}  # fmt: skip
XSD_TEXTS = {"string", "anyURI", "QName", "NCName", "token", "normalizedString", "ID", "IDREF", "language", "Name", "date", "time", "dateTime",
             "duration", "gYear", "gYearMonth", "anyType", "anySimpleType", "base64Binary", "hexBinary"}  # fmt: skip

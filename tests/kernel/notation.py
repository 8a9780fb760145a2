"""A short notation for BPMN models in tests; it becomes real BPMN XML, so the reader is tested as well.

startEvent s
serviceTask a retries=2                       attributes after the id; on=HOST for boundary events, cancel=false when not interrupting
boundaryEvent b on=a : timer PT1H             event definitions after the colon, several with +
subProcess sp {                               { ... } nests
  startEvent i
}
<zeebe:taskDefinition type="t"/>              raw extension elements of the element before
.<loopCardinality>3</loopCardinality>         raw BPMN content of the element before
^<message id="M" name="m"/>                   raw root element
~<laneSet/>                                   raw content of the enclosing scope
s > a > g                                     flows; `g > x ? amount > 1` with a condition, `g > y !` the default
"""

from __future__ import annotations

import itertools
import re
from xml.sax.saxutils import escape, quoteattr

NAMESPACES = (
    'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" '
    'xmlns:camunda="http://camunda.org/schema/1.0/bpmn" xmlns:flowable="http://flowable.org/bpmn" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xmlns:flowledger="urn:flowledger:bpmn:1"'
)
_LINE = re.compile(r"(?P<tag>[a-z]\w+) (?P<id>[\w.-]+)(?P<attrs>(?: [\w:]+=(?:\"[^\"]*\"|[^\s:{]+))*)\s*(?P<event>:.*?)?\s*(?P<open>\{)?$")
_WORDS = {"on": "attachedToRef", "cancel": "cancelActivity", "parallel": "parallelMultiple", "event": "triggeredByEvent", "comp": "isForCompensation",
          "interrupting": "isInterrupting"}  # fmt: skip


class _Element:
    def __init__(self, tag: str, id: str, attrs: dict[str, str]) -> None:
        self.tag, self.id, self.attrs = tag, id, attrs
        self.extensions: list[str] = []
        self.content: list[str] = []
        self.kids: list[_Element] = []
        self.flows: list[tuple[str, str, str, bool, str]] = []
        self.raw: list[str] = []

    def xml(self) -> str:
        defaults = {source: id for source, _, _, default, id in self.flows if default}
        for kid in self.kids:
            if kid.id in defaults:
                kid.attrs["default"] = defaults[kid.id]
        attrs = "".join(f" {k}={quoteattr(v)}" for k, v in {"id": self.id, **self.attrs}.items())
        flows = "".join(
            f"<sequenceFlow id={quoteattr(id)} sourceRef={quoteattr(a)} targetRef={quoteattr(b)}>"
            + (f"<conditionExpression>{escape(condition)}</conditionExpression>" if condition else "")
            + "</sequenceFlow>"
            for a, b, condition, _, id in self.flows
        )
        inner = "".join(self.content) + "".join(k.xml() for k in self.kids) + flows + "".join(self.raw)
        extension = f"<extensionElements>{''.join(self.extensions)}</extensionElements>" if self.extensions else ""
        return f"<{self.tag}{attrs}>{extension}{inner}</{self.tag}>"


def bpmn(text: str, process: str = "p", attrs: str = "") -> str:
    """The XML of one process (or of several: lines `process NAME {` ... `}`)."""
    roots: dict[str, str] = {}
    numbers = itertools.count(1)
    top = _Element("process", process, {"isExecutable": "true"})
    processes = [top]
    stack = [top]
    last = top
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line == "}":
            last = stack.pop()
            if not stack:
                stack = [top]
        elif line.startswith("<"):
            last.extensions.append(line)
        elif line.startswith("."):
            last.content.append(line[1:])
        elif line.startswith("^"):
            roots[line] = line[1:]
        elif line.startswith("~"):
            stack[-1].raw.append(line[1:])
        elif " > " in line and not (m := _LINE.match(line)):
            _flow(stack[-1], line, numbers)
        else:
            m = _LINE.match(line)
            if not m:
                raise ValueError(f"not understood: {line}")
            if m["tag"] == "process":
                element = _Element("process", m["id"], {"isExecutable": "true"})
                processes.append(element)
                stack = [element]
                last = element
                continue
            given = dict(re.findall(r"([\w:]+)=(\"[^\"]*\"|[^\s:{]+)", m["attrs"]))
            element = _Element(m["tag"], m["id"], {_WORDS.get(k, k): v.strip('"') for k, v in given.items()})
            for n, part in enumerate((m["event"] or "").lstrip(": ").split(" + ")):
                if part.strip():
                    element.content.append(_event(part.strip(), f"{m['id']}_e{n}", roots))
            stack[-1].kids.append(element)
            last = element
            if m["open"]:
                stack.append(element)
    if not top.kids:
        processes = processes[1:]
    return (
        f'<?xml version="1.0"?>\n<definitions {NAMESPACES} id="definitions_" targetNamespace="t" {attrs}>'
        + "".join(roots.values())
        + "".join(p.xml() for p in processes)
        + "</definitions>"
    )


def _flow(scope: _Element, line: str, numbers: itertools.count[int]) -> None:
    line, _, condition = line.partition(" ? ")
    default = line.endswith(" !")
    names = [n.strip() for n in line.removesuffix(" !").split(" > ")]
    for a, b in itertools.pairwise(names):
        taken = {id for k in scope.flows for id in (k[4],)}
        id = f"{a}-{b}"
        if id in taken:
            id = f"{a}-{b}-{next(numbers)}"
        scope.flows.append((a, b, condition, default, id))


def _event(text: str, id: str, roots: dict[str, str]) -> str:
    """`message M [= key]`, `signal S`, `error E`, `escalation X`, `timer PT1S | 2026-.. | R3/..`, `conditional EXPR`, `compensate [ref] [nowait]`,
    `cancel`, `terminate`, `link L`, `ref ID`."""
    kind, _, rest = text.partition(" ")
    if kind == "ref":
        return f"<eventDefinitionRef>{rest}</eventDefinitionRef>"
    if kind == "message":
        name, _, key = rest.partition(" = ")
        subscription = f'<extensionElements><zeebe:subscription correlationKey="= {escape(key)}"/></extensionElements>' if key else ""
        if key or f"^message {name}" not in roots:
            roots[f"^message {name}"] = f'<message id="msg_{name}" name="{name}">{subscription}</message>'
        return f'<messageEventDefinition id="{id}" messageRef="msg_{name}"/>'
    if kind == "signal":
        roots[f"^signal {rest}"] = f'<signal id="sig_{rest}" name="{rest}"/>'
        return f'<signalEventDefinition id="{id}" signalRef="sig_{rest}"/>'
    if kind in ("error", "escalation"):
        if not rest:
            return f'<{kind}EventDefinition id="{id}"/>'
        roots[f"^{kind} {rest}"] = f'<{kind} id="{kind}_{rest}" {kind}Code="{rest}"/>'
        return f'<{kind}EventDefinition id="{id}" {kind}Ref="{kind}_{rest}"/>'
    if kind == "timer":
        if rest.startswith("R"):
            tag = "timeCycle"
        else:
            tag = "timeDuration" if rest.startswith("P") else "timeDate"
        return f'<timerEventDefinition id="{id}"><{tag}>{escape(rest)}</{tag}></timerEventDefinition>'
    if kind == "conditional":
        return f'<conditionalEventDefinition id="{id}"><condition>{escape(rest)}</condition></conditionalEventDefinition>'
    if kind == "compensate":
        words = rest.split()
        wait = ' waitForCompletion="false"' if "nowait" in words else ""
        reference = next((f' activityRef="{w}"' for w in words if w != "nowait"), "")
        return f'<compensateEventDefinition id="{id}"{reference}{wait}/>'
    if kind == "link":
        return f'<linkEventDefinition id="{id}" name="{rest}"/>'
    return f'<{kind}EventDefinition id="{id}"/>'

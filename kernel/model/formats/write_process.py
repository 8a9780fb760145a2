"""BPMN in the Zeebe dialect -> the simplified JSON, as `nodes` and `flows`: the other way of `nodes.py`.

What the JSON has no words for is left out and said, element by element. Whether what was written does the same is not trusted but seen: it is read
again, and the hashes of both graphs are compared (`canonical.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from flowledger.kernel.findings import Finding
from flowledger.kernel.model import xml as x

_GATEWAYS = {
    "exclusiveGateway": "exclusive",
    "parallelGateway": "parallel",
    "inclusiveGateway": "inclusive",
    "eventBasedGateway": "event_gateway",
}
_EVENTS = {
    "startEvent": "start",
    "endEvent": "end",
    "intermediateCatchEvent": "catch",
    "intermediateThrowEvent": "throw",
    "boundaryEvent": "boundary",
}
TASKS = {"serviceTask": "service", "userTask": "user", "scriptTask": "script", "businessRuleTask": "decision", "callActivity": "call", "sendTask": "send",
          "receiveTask": "receive", "manualTask": "manual"}  # fmt: skip
#: what only draws, names or explains
_QUIET = frozenset(
    "incoming outgoing documentation extensionElements textAnnotation association group category laneSet sequenceFlow".split()
)
_PROPERTIES = {"category", "owner", "tags"}
Node = dict[str, Any]
_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")


def write(tree: Any, file: str = "") -> tuple[list[tuple[str, list[Finding]]], list[Finding]]:
    """The text with its findings, in a list, which is empty where no process can be written at all. The findings (`WRITE_*`, warnings) say what was left out."""
    w = Writer(tree, file)
    if (process := executable(w, tree)) is None:
        return [], w.findings
    text = json.dumps(w.process(process), ensure_ascii=False, indent=2) + "\n"
    return [(text, w.findings)], w.findings


def executable(w: Writer, tree: Any) -> Any:
    """The process that is written; None: there is not just one."""
    processes = list(tree.findall(x.B + "process"))
    found = [p for p in processes if p.get("isExecutable") != "false"] or processes
    if len(found) != 1:
        w.lost(tree, "WRITE_ONE", f"expected one process, found {len(found)}: the format has one in a file")
        return None
    return found[0]


class Writer:
    #: what is said of what is left out
    WORD = "the format has no word for it"

    def __init__(self, tree: Any, file: str) -> None:
        self.file = file
        self.findings: list[Finding] = []
        self.roots = {e.get("id"): e for e in tree if e.get("id")}
        if tree.find(x.B + "collaboration") is not None and tree.find(f".//{x.B}messageFlow") is not None:
            self.lost(tree, "WRITE_LOST", "message flows between pools are not kept")

    def lost(self, element: Any, code: str, text: str) -> None:
        self.findings.append(Finding(code, text, "warning", element.get("id"), element.sourceline or 0, 0, "", self.file))

    def left_out(self, element: Any, what: str) -> None:
        self.lost(element, "WRITE_LOST", f"'{element.get('id')}': {what} is not kept: {self.WORD}")

    # ------------------------------------------------------------------ processes

    def process(self, p: Any) -> Node:
        out: Node = {"format": "flowledger/process@1", "id": p.get("id")}
        named(out, p)
        for name, e in self.extensions(p):
            if name == "zeebe:versionTag":
                out["version_tag"] = e.get("value")
            elif name == "zeebe:properties":
                for each in e:
                    key, value = each.get("name"), each.get("value") or ""
                    if key in _PROPERTIES:
                        out[key] = value.split(",") if key == "tags" else value
                    else:
                        out.setdefault("metadata", {})[key] = value
            elif name == "flowledger:task" and set(e.attrib) == {"sla"}:
                out["sla"] = e.get("sla")
            else:
                self.left_out(p, name)
        if p.find(f"{x.B}laneSet//{x.B}flowNodeRef") is not None:
            self.left_out(p, "which lane an element is in")
        return {**out, **self.scope(p)}

    def scope(self, holder: Any) -> Node:
        nodes, flows = [], []
        defaults = {e.get("default") for e in holder if e.get("default")}
        for e in holder:
            tag = tag_of(e)
            if tag == "sequenceFlow":
                flows.append(self.flow(e, defaults))
            elif tag in _GATEWAYS:
                nodes.append(named({"id": e.get("id"), "type": _GATEWAYS[tag]}, e))
                for name, _ in self.extensions(e):
                    self.left_out(e, name)
            elif tag in _EVENTS:
                nodes.append(self.event(e, tag))
            elif tag in TASKS:
                nodes.append(self.task(e, tag))
            elif tag == "subProcess":
                nodes.append(self.sub(e))
            elif tag in ("task", "complexGateway", "transaction", "adHocSubProcess"):
                self.left_out(e, tag)
                nodes.append(named({"id": e.get("id"), "type": "exclusive" if tag == "complexGateway" else "manual"}, e))
            elif tag not in _QUIET and not tag.startswith("dataObject"):
                if tag.endswith("LoopCharacteristics") or tag.endswith("Specification") or tag in ("property", "completionCondition"):
                    continue
                self.left_out(e if e.get("id") else holder, tag)
        for note in holder.findall(x.B + "association"):
            if any(e.get("id") == note.get("sourceRef") and tag_of(e) == "boundaryEvent" for e in holder):
                self.left_out(note, "compensation by an association")
        return {"nodes": nodes, "flows": flows}

    def flow(self, e: Any, defaults: set[str | None]) -> Node:
        out: Node = {"id": e.get("id"), "from": e.get("sourceRef"), "to": e.get("targetRef")}
        if e.get("name"):
            out["name"] = e.get("name")
        if (condition := e.find(x.B + "conditionExpression")) is not None:
            out["when"] = (condition.text or "").strip()
        if e.get("id") in defaults:
            out["default"] = True
        for name, _ in self.extensions(e):
            self.left_out(e, name)
        return out

    # ------------------------------------------------------------------ nodes

    def event(self, e: Any, tag: str) -> Node:
        out = named({"id": e.get("id"), "type": _EVENTS[tag]}, e)
        if tag == "boundaryEvent":
            out["on"] = e.get("attachedToRef")
        if "false" in (e.get("cancelActivity"), e.get("isInterrupting")):
            out["interrupting"] = False
        job = ""
        for name, ext in self.extensions(e):
            if name == "zeebe:taskDefinition" and set(ext.attrib) <= {"type"}:
                job = ext.get("type") or ""
            elif name == "zeebe:formDefinition" and set(ext.attrib) <= {"formId"}:
                out["form"] = ext.get("formId")
            elif name == "zeebe:ioMapping" and (tag in ("endEvent", "intermediateThrowEvent") or all(tag_of(m) == "output" for m in ext)):
                self.mappings(e, out, ext)
            else:
                self.left_out(e, name)
        definitions = [d for d in e if tag_of(d).endswith("EventDefinition")]
        if len(definitions) > 1:
            self.left_out(e, "more than one thing that it waits for")
        for d in definitions[:1]:
            self.trigger(e, d, out)
        if job and "message" in out and tag in ("endEvent", "intermediateThrowEvent"):
            out["job"] = job
        elif job:
            self.left_out(e, "its job")
        return out

    def trigger(self, e: Any, d: Any, out: Node) -> None:
        kind = tag_of(d).removesuffix("EventDefinition")
        if kind == "timer":
            for name, key in (("timeDuration", "timeout"), ("timeDate", "until"), ("timeCycle", "cron")):
                if (found := d.find(x.B + name)) is not None:
                    text = (found.text or "").strip()
                    out[key] = text
                    if key == "cron" and text.startswith("R/P"):
                        del out["cron"]
                        out["every"] = text[2:]
        elif kind == "message":
            self.message(e, d, out)
        elif kind in ("signal", "error", "escalation"):
            root = self.roots.get(d.get(kind + "Ref"))
            out[kind] = "*" if root is None else root.get({"signal": "name"}.get(kind, kind + "Code")) or root.get("name") or "*"
            for name, _ in self.extensions(d):
                self.left_out(e, name)
        elif kind == "conditional":
            found = d.find(x.B + "condition")
            out["condition"] = ("" if found is None else found.text or "").strip()
            for name, _ in self.extensions(d):
                self.left_out(e, name)
        elif kind == "link":
            out["link"] = d.get("name")
        elif kind in ("terminate", "compensate"):
            out[kind] = True
            if d.get("activityRef"):
                self.left_out(e, "which activity is compensated")
        else:
            self.left_out(e, f"a {kind} event")

    def message(self, e: Any, d: Any, out: Node) -> None:
        root = self.roots.get(d.get("messageRef"))
        out["message"] = "" if root is None else root.get("name") or ""
        for name, ext in self.extensions(root) if root is not None else ():
            if name == "zeebe:subscription" and set(ext.attrib) <= {"correlationKey"}:
                out["key"] = ext.get("correlationKey")
            else:
                self.left_out(e, name)

    def sub(self, e: Any) -> Node:
        out = named({"id": e.get("id"), "type": "subprocess"}, e)
        if e.get("triggeredByEvent") == "true":
            out["event"] = True
        for name, ext in self.extensions(e):
            if name == "zeebe:ioMapping":
                self.mappings(e, out, ext)
            else:
                self.left_out(e, name)
        self.loop(e, out)
        return {**out, **self.scope(e)}

    def task(self, e: Any, tag: str) -> Node:
        kind = TASKS[tag]
        out = named({"id": e.get("id"), "type": kind}, e)
        for name, ext in self.extensions(e):
            said = _SAYS.get(name)
            if said is None or not said(self, e, kind, ext, out):
                self.left_out(e, name)
        if kind == "receive":
            self.message(e, e, out)
        if e.get("isForCompensation") == "true":
            self.left_out(e, "that it compensates")
        self.loop(e, out)
        return out

    def loop(self, e: Any, out: Node) -> None:
        if e.find(x.B + "standardLoopCharacteristics") is not None:
            self.left_out(e, "standardLoopCharacteristics")
        if (loop := e.find(x.B + "multiInstanceLoopCharacteristics")) is None:
            return
        says = loop.find(f"{x.B}extensionElements/{x.Z}loopCharacteristics")
        if says is None or loop.find(x.B + "loopCardinality") is not None:
            self.left_out(e, "how often it runs")
            return
        out["for_each"] = says.get("inputCollection")
        if says.get("inputElement") not in (None, "item"):
            out["as"] = says.get("inputElement")
        if loop.get("isSequential") == "true":
            out["parallel"] = False
        if says.get("outputCollection"):
            out["collect"] = says.get("outputCollection")
            out["collect_from"] = says.get("outputElement")
        if (done := loop.find(x.B + "completionCondition")) is not None:
            out["until_done"] = (done.text or "").strip()

    # ------------------------------------------------------------------ what extensions say

    def extensions(self, e: Any) -> list[tuple[str, Any]]:
        """(name with its usual prefix, element)."""
        holder = e.find(x.B + "extensionElements")
        found = []
        for ext in holder if holder is not None else ():
            space, _, name = str(ext.tag)[1:].partition("}")
            prefix = {x.ZEEBE_NS: "zeebe", x.OWN_NS: "flowledger"}.get(space)
            if prefix is not None:
                found.append((f"{prefix}:{name}", ext))
            elif space not in ("http://camunda.org/schema/modeler/1.0",):
                self.left_out(e if e.get("id") else holder.getparent(), name)
        return found

    def mappings(self, e: Any, out: Node, ext: Any) -> bool:
        for m in ext:
            into = out.setdefault(tag_of(m), {})
            if m.get("target") in into:
                self.left_out(e, f"a second {tag_of(m)} '{m.get('target')}'")
            into[m.get("target")] = m.get("source")
        return True

    def job(self, e: Any, kind: str, ext: Any, out: Node) -> bool:
        if kind not in ("service", "send"):
            return False
        out["job"] = ext.get("type")
        if (retries := ext.get("retries")) is not None:
            attempts = _number(retries)
            if not isinstance(attempts, int) or not 1 <= attempts <= 1000:
                return False
            out["max_attempts"] = attempts
        return True

    def headers(self, e: Any, kind: str, ext: Any, out: Node) -> bool:
        if kind not in ("service", "send", "user"):
            return False
        out["headers"] = {h.get("key"): h.get("value") or "" for h in ext}
        return True

    def retry(self, e: Any, kind: str, ext: Any, out: Node) -> bool:
        names = {"initialMs": "initial_ms", "maxMs": "max_ms", "multiplier": "multiplier", "strategy": "strategy", "jitter": "jitter", "codes": "codes",
                 "maxAttempts": "max_attempts", "totalMs": "total"}  # fmt: skip
        policy: Node = {}
        for name, text in ext.attrib.items():
            if name not in names:
                return False
            if name == "codes":
                policy["codes"] = text.split(",")
            elif name == "strategy":
                policy["strategy"] = text
            else:
                if (number := _number(text)) is None:
                    return False
                policy[names[name]] = number
        out["retry"] = policy
        return True

    def assignment(self, e: Any, kind: str, ext: Any, out: Node) -> bool:
        for name, key in (("assignee", "assignee"), ("candidateGroups", "candidate_groups"), ("candidateUsers", "candidate_users")):
            if text := ext.get(name):
                parts = text.split(",")
                whole = key == "assignee" or text.startswith("=") or any(part != part.strip() or not part for part in parts)
                out[key] = text if whole else parts
        return kind == "user"

    def schedule(self, e: Any, kind: str, ext: Any, out: Node) -> bool:
        for name, key in (("dueDate", "due"), ("followUpDate", "follow_up")):
            if ext.get(name):
                out[key] = ext.get(name)
        return kind == "user"

    def form(self, e: Any, kind: str, ext: Any, out: Node) -> bool:
        out["form"] = ext.get("formId")
        return kind == "user" and set(ext.attrib) == {"formId"}

    def priority(self, e: Any, kind: str, ext: Any, out: Node) -> bool:
        text = ext.get("priority") or ""
        number = _number(text)
        if isinstance(number, int) and not 1 <= number <= 5:  # these are words of their own
            out["priority"] = number
        elif text.startswith("="):
            out["priority"] = text
        else:
            return False
        return True

    def script(self, e: Any, kind: str, ext: Any, out: Node) -> bool:
        out |= {"expression": ext.get("expression"), "result": ext.get("resultVariable") or ""}
        return kind == "script"

    def decision(self, e: Any, kind: str, ext: Any, out: Node) -> bool:
        out |= {"decision": ext.get("decisionId"), "result": ext.get("resultVariable") or ""}
        return kind == "decision" and set(ext.attrib) <= {"decisionId", "resultVariable"}

    def called(self, e: Any, kind: str, ext: Any, out: Node) -> bool:
        for name, key in (("processId", "process"), ("bindingType", "binding"), ("versionTag", "version_tag")):
            if ext.get(name):
                out[key] = ext.get(name)
        known = {"processId", "bindingType", "versionTag", "propagateAllChildVariables"}
        return kind == "call" and set(ext.attrib) <= known and ext.get("propagateAllChildVariables") == "true"

    def own(self, e: Any, kind: str, ext: Any, out: Node) -> bool:
        ours = ("category", "sla", *(("reference",) if kind == "user" else ()))
        for name in ours:
            if ext.get(name):
                out[name] = ext.get(name)
        if ext.get("kind") == "approval" and kind == "user":
            out["type"] = "approval"
        return set(ext.attrib) <= {*ours, *(["kind"] if out["type"] == "approval" else [])} and not len(ext)


Says = Callable[[Writer, Any, str, Any, Node], bool]
_SAYS: dict[str, Says] = {
    "zeebe:taskDefinition": Writer.job, "zeebe:taskHeaders": Writer.headers, "flowledger:retry": Writer.retry,
    "zeebe:ioMapping": lambda w, e, kind, ext, out: w.mappings(e, out, ext), "zeebe:userTask": lambda w, e, kind, ext, out: kind == "user",
    "zeebe:assignmentDefinition": Writer.assignment, "zeebe:taskSchedule": Writer.schedule, "zeebe:formDefinition": Writer.form,
    "zeebe:priorityDefinition": Writer.priority, "zeebe:jobPriorityDefinition": Writer.priority, "zeebe:script": Writer.script,
    "zeebe:calledDecision": Writer.decision, "zeebe:calledElement": Writer.called, "flowledger:task": Writer.own,
}  # fmt: skip


def _number(text: str) -> int | float | None:
    if _NUMBER.fullmatch(text) is None:
        return None
    return float(text) if "." in text else int(text)


def tag_of(e: Any) -> str:
    return str(e.tag).rpartition("}")[2]


def named(out: Node, e: Any) -> Node:
    if e.get("name"):
        out["name"] = e.get("name")
    if (said := e.find(x.B + "documentation")) is not None and said.text:
        out["description"] = said.text
    return out

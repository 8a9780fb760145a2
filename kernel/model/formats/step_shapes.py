"""The shapes by which a step is known again in a drawing: what `step_cells.py` makes, read back."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from flowledger.kernel.model import xml as x

OWN = f"{{{x.OWN_NS}}}"
#: what only draws, names or explains, and what is said with the node that it stands at
QUIET = frozenset(
    "incoming outgoing documentation extensionElements textAnnotation association group category laneSet sequenceFlow".split()
)
_RESULT = re.compile(
    r'=\s*\{status: "(success|fallback)", output: (.*), completed_at: now\(\), runs: \(if (\w+)\.runs = null then 0 else (\w+)\.runs\) \+ 1\}',
    re.S,
)
_NOTED = re.compile(r'=?\s*\{status: "(skipped|failed)", output: null, completed_at: now\(\)\}')
_DEFAULT = re.compile(r"=\s*if (\w+) = null then (.*) else (\w+)", re.S)
_NUMBER = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,12})?")
_PAIRS = {"(": ")", "[": "]", "{": "}"}


class Result(NamedTuple):
    """`output`: what the step says that it keeps; None: all, or nothing."""

    variable: str
    output: Any
    stands_for: str


def take_result(e: Any) -> Result | None:
    """What the task leaves as a step does, taken out of it."""
    variable, output, stands_for = "", None, ""
    for mapping in list(e.iterfind(f"{x.B}extensionElements/{x.Z}ioMapping/{x.Z}output")):
        m = _RESULT.fullmatch(mapping.get("source") or "")
        if m is None or m[3] != m[4]:
            continue
        if m[1] == "fallback":
            if m[3] != mapping.get("target") and not stands_for:
                continue
            stands_for = mapping.get("target") or ""
        else:
            if mapping.get("target") != m[3]:
                continue
            variable, output = m[3], _kept(m[2])
        mapping.getparent().remove(mapping)
    for holder in list(e.iterfind(f"{x.B}extensionElements/{x.Z}ioMapping")):
        if not len(holder):
            holder.getparent().remove(holder)
    if not variable:
        return None
    for holder in list(e.iterfind(f"{x.B}extensionElements/{x.Z}properties")):
        for each in list(holder):
            if each.get("name") == "flowledger:result":
                holder.remove(each)
        if not len(holder):
            holder.getparent().remove(holder)
    return Result(variable, output, stands_for)


def _kept(text: str) -> Any:
    return None if text in ("output", "null") else value_of(text)


def take_states(e: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for ext in list(e.iterfind(f"{x.B}extensionElements/{OWN}businessState")):
        found |= {{"enter": "start"}.get(k, k): v for k, v in ext.attrib.items()}
        ext.getparent().remove(ext)
    return found


def take_failed(e: Any) -> None:
    """That the task's failure is an error, which every step with a fallback says."""
    for ext in list(e.iterfind(f"{x.B}extensionElements/{OWN}retry")):
        if ext.get("errorCode") == "STEP_FAILED":
            ext.attrib.pop("onExhausted", None)
            ext.attrib.pop("errorCode")
            if not ext.attrib:
                ext.getparent().remove(ext)


def noted(e: Any) -> tuple[str, str] | None:
    """(skipped or failed, variable) of a script that only notes so."""
    script = e.find(f"{x.B}extensionElements/{x.Z}script")
    m = _NOTED.fullmatch((script.get("expression") or "").strip()) if script is not None else None
    return (m[1], script.get("resultVariable") or "") if m is not None else None


def condition(flow: Any) -> str:
    found = flow.find(x.B + "conditionExpression")
    return "" if found is None else (found.text or "").strip()


def state_of(flow: Any) -> str:
    found = flow.find(f"{x.B}extensionElements/{OWN}businessState")
    return "" if found is None else found.get("enter") or ""


def ends_with(e: Any, roots: dict[str, Any]) -> str:
    """The code of the error that an end event throws."""
    thrown = e.find(x.B + "errorEventDefinition")
    root = roots.get(thrown.get("errorRef")) if thrown is not None else None
    return "" if root is None else root.get("errorCode") or ""


def limit_of(sub: Any) -> str:
    """The time limit of the whole workflow, of the event sub-process that makes it so."""
    if sub.get("triggeredByEvent") != "true":
        return ""
    timer = sub.find(f"{x.B}startEvent/{x.B}timerEventDefinition/{x.B}timeDuration")
    fails = sub.find(f".//{x.Z}property[@name='flowledger:fails']")
    nodes = [e for e in sub if e.get("id") and str(e.tag).rpartition("}")[2] not in QUIET]
    return (timer.text or "").strip() if timer is not None and fails is not None and len(nodes) == 2 else ""


def defaults_of(mapping: Any) -> dict[str, Any] | None:
    """Values that variables have at the start unless given; None: something else is mapped."""
    found: dict[str, Any] = {}
    for each in mapping:
        m = _DEFAULT.fullmatch(each.get("source") or "")
        if m is None or not m[1] == m[3] == each.get("target") or not str(each.tag).endswith("}output"):
            return None
        found[m[1]] = value_of(m[2])
    return found


def value_of(text: str) -> Any:
    """The value that `build.feel_value` made this text of; what is no literal is an expression."""
    text = text.strip()
    if text in ("null", "true", "false"):
        return {"null": None, "true": True, "false": False}[text]
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    if text[:1] in ('"', *_PAIRS) and _closes(text) == len(text) - 1:
        if text[0] == "(":
            return "= " + text[1:-1].strip()
        if text[0] == "[":
            return [value_of(part) for part in _parts(text[1:-1])]
        if text[0] == "{":
            entries = [_parts(part, ":") for part in _parts(text[1:-1])]
            if all(len(entry) >= 2 for entry in entries):
                return {str(value_of(entry[0])): value_of(":".join(entry[1:])) for entry in entries}
        elif text[0] == '"':
            try:
                return str(json.loads(text))
            except ValueError:
                pass
    return "= " + text


def _closes(text: str) -> int:
    """Where what opens at the first character is closed."""
    if text[0] == '"':
        n = 1
        while n < len(text) and text[n] != '"':
            n += 2 if text[n] == "\\" else 1
        return n
    depth = n = 0
    while n < len(text):
        if text[n] == '"':
            n += _closes(text[n:])
        elif text[n] in _PAIRS:
            depth += 1
        elif text[n] in _PAIRS.values():
            depth -= 1
            if not depth:
                return n
        n += 1
    return -1


def _parts(text: str, sign: str = ",") -> list[str]:
    """Split at the sign, outside of texts and brackets."""
    found, begin, depth, n = [], 0, 0, 0
    while n < len(text):
        if text[n] == '"':
            n += max(0, _closes(text[n:]))
        elif text[n] in _PAIRS:
            depth += 1
        elif text[n] in _PAIRS.values():
            depth -= 1
        elif text[n] == sign and not depth:
            found.append(text[begin:n])
            begin = n + 1
        n += 1
    rest = text[begin:]
    return [*found, rest] if rest.strip() or found else []

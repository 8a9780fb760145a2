"""Every format but BPMN itself becomes a BPMN document, read by the one BPMN reader. So each can be converted to BPMN, drawn, checked and run alike.

    detect(data, name)            which format, told by content
    convert(format, data, name)   the BPMN document, findings, and the places of elements in the original

A new format is: a module with `read`, one line in READERS, one rule in `detect`, a schema, a page section and tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from flowledger.kernel import limits
from flowledger.kernel.findings import Finding
from flowledger.kernel.model.formats import bpml, process, steps
from flowledger.kernel.model.formats.build import Place

Read = Callable[[bytes, str], tuple[Any, list[Finding], dict[str, Place]]]

#: formats that become BPMN -> their reader
READERS: dict[str, Read] = {
    "steps": steps.read,
    "process-json": lambda data, name: process.read(data, name, extended=False),
    "extended": lambda data, name: process.read(data, name, extended=True),
    "bpml": bpml.read,
}
#: all formats, in words
FORMATS: dict[str, str] = {
    "bpmn": "BPMN 2.0 XML",
    "dmn": "DMN 1.1 to 1.5 XML",
    "steps": "steps with next or dependencies, JSON or YAML",
    "process-json": "simplified process, JSON or YAML",
    "extended": "process with platform capabilities, JSON or YAML",
    "bpml": "BPML 1.0 XML",
    "form": "form, JSON",
    "trigger": "trigger, JSON or YAML",
    "rules": "rule pack, JSON or YAML",
    "unknown": "none of these",
}
#: value of the key `format`, without its version
_DECLARED = {
    "flowledger/steps": "steps",
    "flowledger/process": "process-json",
    "flowledger/extended": "extended",
    "flowledger/form": "form",
    "flowledger/trigger": "trigger",
    "flowledger/rules": "rules",
}
_ROOT = re.compile(rb"<(?![?!])(?:([\w.-]+):)?([\w.-]+)")
_BPMN, _DMN, _BPML = b"http://www.omg.org/spec/BPMN/", (b"omg.org/spec/DMN/",), b"http://www.bpmi.org/"
#: a key at the start of a line (YAML) or anywhere at depth one (JSON)
_TOP_KEY = re.compile(rb"^([A-Za-z_$][\w-]*|\"[^\"\n]+\"|'[^'\n]+')[ \t]*:", re.M)


class Converted(msgspec.Struct):
    """What a file became: the root of a BPMN document (None when there are errors), findings, and where elements stood."""

    tree: Any
    findings: list[Finding]
    places: dict[str, Place]


def detect(data: bytes, name: str = "") -> str:
    """One of FORMATS, by content; `name` only settles what content leaves open. Never fails."""
    head = data[3:] if data.startswith(b"\xef\xbb\xbf") else data
    head = _utf8(head)
    text = head.lstrip()
    if text.startswith(b"<"):
        return _detect_xml(text)
    if not text:
        return "bpmn" if name.endswith(".bpmn") else "unknown"
    return _detect_text(head)


def _utf8(data: bytes) -> bytes:
    """UTF-16 XML is rare but allowed: look at it as UTF-8."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data[:20_000].decode("utf-16", "replace").encode()
    return data


def _detect_xml(text: bytes) -> str:
    bare = re.sub(rb"<!--.*?-->", b"", text[:50_000], flags=re.S)
    m = _ROOT.search(bare)
    if not m:
        return "bpmn"
    prefix, local = m[1], m[2]
    end = bare.find(b">", m.end())
    tag = bare[m.start() : end if end >= 0 else len(bare)]
    declared = re.search(rb"\bxmlns" + (rb":" + re.escape(prefix) if prefix else rb"") + rb"\s*=\s*[\"']([^\"']*)", tag)
    namespace = declared[1] if declared else b""
    if _BPMN in namespace:
        return "bpmn"
    if any(d in namespace for d in _DMN):
        return "dmn"
    if namespace.startswith(_BPML) or local in (b"package", b"process"):
        return "bpml"
    return "bpmn"


def _detect_text(head: bytes) -> str:
    stripped = head.lstrip()
    keys = _json_keys(stripped) if stripped[:1] in (b"{", b"[") else None
    if keys is None:
        keys = {m[1].strip(b"\"'").decode("utf-8", "replace"): b"" for m in _TOP_KEY.finditer(head)}
        m = re.search(rb"^format[ \t]*:[ \t]*[\"']?([\w/-]+)", head, re.M)
        keys["format"] = m[1] if m else b""
    declared = keys.get("format", b"").decode("utf-8", "replace").split("@")[0]
    if declared in _DECLARED:
        return _DECLARED[declared]
    if "steps" in keys:
        return "steps"
    if "capabilities" in keys:
        return "extended"
    if "flow" in keys or "nodes" in keys:
        return "process-json"
    if "components" in keys:
        return "form"
    if "source" in keys and not keys.keys().isdisjoint(("start", "message", "signal")):
        return "trigger"
    return "unknown"


_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[A-Za-z_$][\w/@.-]*')


def _json_keys(text: bytes) -> dict[str, bytes] | None:
    """Keys at the top of a JSON object (or YAML in flow style) with their value when it is a text; None when there are none."""
    keys: dict[str, bytes] = {}
    depth = 0
    last = pending = b""
    for m in _STRUCTURE.finditer(text[: limits.MODEL_BYTES_MAX]):
        token = m.group()
        if token in (b"{", b"["):
            depth += 1
            pending = b""
        elif token in (b"}", b"]"):
            depth -= 1
        elif token == b":" and depth == 1:
            pending = last.strip(b'"')
            keys[pending.decode("utf-8", "replace")] = b""
        elif token != b"," and token != b":" and depth == 1:
            if pending:
                keys[pending.decode("utf-8", "replace")] = token.strip(b'"')
            pending = b""
        last = token
    return keys or None


def convert(format: str, data: bytes, name: str = "") -> Converted:
    """The BPMN document that a file of that format means. Findings are all at once; with an error there is no document."""
    reader = READERS.get(format)
    if reader is None:
        known = ", ".join(f"{k} ({v})" for k, v in FORMATS.items() if k != "unknown")
        return Converted(None, [Finding("FORMAT_UNKNOWN", f"expected a model, found none of the known formats: {known}", line=1, column=1, file=name,
                                        hint='JSON and YAML models have a key "format" or one of steps, flow, nodes')], {})  # fmt: skip
    if len(data) > limits.MODEL_BYTES_MAX:
        return Converted(
            None, [Finding("MODEL_TOO_LARGE", f"expected at most {limits.MODEL_BYTES_MAX} bytes, found {len(data)}", file=name)], {}
        )
    tree, findings, places = reader(data, name)
    return Converted(tree, findings, places)


def to_bpmn(format: str, data: bytes, name: str = "") -> tuple[Any, list[Finding]]:
    """As `convert`: the root element or None, and the findings."""
    done = convert(format, data, name)
    return done.tree, done.findings


def located(findings: list[Finding], places: dict[str, Place]) -> list[Finding]:
    """Findings of the BPMN reader with the columns of the original file."""
    out = []
    for f in findings:
        place = places.get(f.element or "")
        if place is not None and not f.column and f.line in (0, place.line):
            f = msgspec.structs.replace(f, line=place.line, column=place.column)
        out.append(f)
    return out


__all__ = ["FORMATS", "READERS", "Converted", "Place", "convert", "detect", "located", "to_bpmn"]

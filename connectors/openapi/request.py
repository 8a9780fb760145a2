"""Parameters of an operation as they go into path, query, headers and cookies.

Source: OpenAPI Specification 3.1.1, 4.8.12 "Parameter Object" and its table of styles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec

from flowledger.connectors.frame import Failed
from flowledger.connectors.http.body import encode
from flowledger.connectors.openapi.document import Document, Operation, Parameter, is_json

_PLACES = ("path", "query", "header", "cookie")


@dataclass(slots=True)
class Written:
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def invalid(what: str) -> Failed:
    return Failed("REQUEST_INVALID", f"{what}; nothing was sent")


def written(document: Document, operation: Operation, given: dict[str, Any]) -> Written:
    """Raises: Failed `REQUEST_INVALID`, naming the parameter."""
    values = _placed(operation, given)
    path, query, headers, cookies = operation.path, [], {}, []
    for p in operation.parameters:
        if (p.place, p.name) not in values:
            if p.required or p.place == "path":
                raise invalid(f"parameters.{p.name}: the operation {operation.id} needs it")
            continue
        value = _typed(document, p, values[p.place, p.name])
        if wrong := document.problems(p.schema, value, writing=True):
            raise invalid(f"parameters.{p.name}: {'; '.join(wrong)}")
        if p.place == "path":
            text = _in_path(p, value)
            if not text or text in (".", ".."):
                raise invalid(f"parameters.{p.name}: expected what can stand as a part of a path")
            path = path.replace(f"{{{p.name}}}", text)
        elif p.place == "query":
            query += _in_query(p, value)
        elif p.place == "header":
            headers[p.name] = _line(p, _simple(p, value))
        else:
            cookies += [f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in _form(p, value)]
    if "{" in path:
        raise Failed("DOCUMENT", f"the OpenAPI document: the path {operation.path[:200]} has a part that no parameter fills")
    if cookies:
        headers["Cookie"] = "; ".join(cookies)
    return Written(path, "&".join(query), headers)


def _placed(operation: Operation, given: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """By place and name: `name`, or `query.name` where several have it."""
    known: dict[str, list[tuple[str, str]]] = {}
    for p in operation.parameters:
        known.setdefault(p.name, []).append((p.place, p.name))
        known.setdefault(f"{p.place}.{p.name}", []).append((p.place, p.name))
    values = {}
    for name, value in _flat(operation, given).items():
        at = known.get(name, [])
        if not at:
            there = ", ".join(p.name for p in operation.parameters[:20]) or "none"
            raise invalid(f"parameters.{name[:100]}: the operation {operation.id} has {there}")
        if len(at) > 1:
            raise invalid(f"parameters.{name}: several have the name; say which, {' or '.join(f'{place}.{name}' for place, _ in at)}")
        values[at[0]] = value
    return values


def _flat(operation: Operation, given: dict[str, Any]) -> dict[str, Any]:
    """Inputs such as `parameters.query.id` come as contexts within each other."""
    names = {p.name for p in operation.parameters}
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in _PLACES and name not in names and isinstance(value, dict):
            found |= {f"{name}.{k}": v for k, v in value.items() if v is not None}
        elif value is not None:
            found[name] = value
    return found


def _typed(document: Document, p: Parameter, value: Any) -> Any:
    """A text as the number or truth value that is asked for: templates and headers give texts. A number as the text."""
    kind = document.kind_of(p.schema)
    if isinstance(value, str) and kind in ("integer", "number"):
        try:
            found = msgspec.json.decode(value.strip())
        except msgspec.DecodeError:
            return value
        return found if isinstance(found, (int, float)) and not isinstance(found, bool) else value
    if isinstance(value, str) and kind == "boolean":
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    return _text(value) if kind == "string" and not isinstance(value, (str, dict, list)) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()


def _simple(p: Parameter, value: Any, separator: str = ",", between: str = "=") -> str:
    """`a,b`; of contexts `a,1,b,2`, exploded `a=1,b=2`."""
    if p.kind:
        return encode(value).decode() if is_json(p.kind) else _text(value)
    if isinstance(value, list):
        return separator.join(_text(v) for v in value)
    if isinstance(value, dict):
        return separator.join(f"{k}{between if p.explode else separator}{_text(v)}" for k, v in value.items())
    return _text(value)


def _in_path(p: Parameter, value: Any) -> str:
    def q(text: Any) -> str:
        return quote(_text(text), safe="")

    if p.kind:
        return q(_simple(p, value))
    if p.style not in ("simple", "label", "matrix"):
        raise Failed("DOCUMENT", f"the OpenAPI document: a parameter in the path has no style {p.style[:40]!r}")
    if isinstance(value, dict):
        pairs = [(q(k), q(v)) for k, v in value.items()]
    elif isinstance(value, list):
        pairs = [("", q(v)) for v in value]
    else:
        pairs = [("", q(value))]
    if p.style == "matrix":
        if p.explode and isinstance(value, (dict, list)):
            return "".join(f";{k or q(p.name)}={v}" for k, v in pairs)
        return f";{q(p.name)}=" + ",".join(f"{k},{v}" if k else v for k, v in pairs)
    separator = "." if p.style == "label" and p.explode else ","
    return ("." if p.style == "label" else "") + separator.join((f"{k}={v}" if p.explode else f"{k},{v}") if k else v for k, v in pairs)


def _in_query(p: Parameter, value: Any) -> list[str]:
    return [f"{quote(k, safe='[]')}={quote(v, safe=',')}" for k, v in _form(p, value)]


def _form(p: Parameter, value: Any) -> list[tuple[str, str]]:
    if p.kind or not isinstance(value, (dict, list)):
        return [(p.name, _simple(p, value))]
    if p.style == "deepObject":
        if not isinstance(value, dict):
            raise invalid(f"parameters.{p.name}: expected a context")
        return [(f"{p.name}[{k}]", _text(each)) for k, v in value.items() for each in (v if isinstance(v, list) else [v])]
    separators = {"form": ",", "spaceDelimited": " ", "pipeDelimited": "|"}
    if p.style not in separators:
        raise Failed("DOCUMENT", f"the OpenAPI document: a parameter in the {p.place} has no style {p.style[:40]!r}")
    if p.explode:
        return [(k, _text(v)) for k, v in value.items()] if isinstance(value, dict) else [(p.name, _text(v)) for v in value]
    parts = [_text(x) for pair in value.items() for x in pair] if isinstance(value, dict) else [_text(v) for v in value]
    return [(p.name, separators[p.style].join(parts))]


def _line(p: Parameter, text: str) -> str:
    if not text.isascii() or any(ch < " " or ch == "\x7f" for ch in text):
        raise invalid(f"parameters.{p.name}: expected one line of ASCII, since it is a header")
    return text

"""A document of OpenAPI 3.0 or 3.1: its operations, what each takes and gives, and schemas that values are held to.

Sources: OpenAPI Specification 3.0.4 and 3.1.1. References stay within the document: one that leads elsewhere is refused, nothing is ever fetched for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote, unquote, urljoin

import msgspec

from flowledger.connectors.frame import Failed
from flowledger.connectors.http.body import DEPTH_MAX, media_type
from flowledger.kernel.model.formats.source import BadText, parse
from flowledger.kernel.tasks import schema_rules
from flowledger.kernel.tasks import schemas as json_schemas
from flowledger.sdk.frames import exact

METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
#: operations of one document, references in a row, and findings of one value that are told
OPERATIONS_MAX, STEPS_MAX, TOLD_MAX = 5_000, 50, 5
#: parameters of these names are no parameters (3.1.1, 4.8.12.1)
_NOT_OURS = frozenset({"accept", "content-type", "authorization"})
_decode = msgspec.json.Decoder(float_hook=exact).decode


@dataclass(slots=True)
class Parameter:
    name: str
    place: str
    required: bool
    schema: str
    style: str
    explode: bool
    kind: str  # media type of its content; empty: `schema` and `style` hold


@dataclass(slots=True)
class Operation:
    """`body`: media type -> pointer of its schema; `answers`: status -> media type -> pointer."""

    id: str
    method: str
    path: str
    servers: list[dict[str, Any]]
    parameters: list[Parameter] = field(default_factory=list)
    body: dict[str, str] = field(default_factory=dict)
    body_required: bool = False
    answers: dict[str, dict[str, str]] = field(default_factory=dict)


class Document:
    """Raises in all: Failed `DOCUMENT`, where the document itself is wrong."""

    def __init__(self, data: str | bytes, address: str = "") -> None:
        self.address = address
        self._root = _read(data)
        version = self._root.get("openapi")
        if not isinstance(version, str) or not version.startswith(("3.0.", "3.1.")):
            found = version or f"swagger {self._root['swagger']}" if "swagger" in self._root else version
            raise _wrong(f"expected OpenAPI 3.0 or 3.1, found {str(found)[:40]!r}")
        self._old = version.startswith("3.0.")
        self._checks: dict[tuple[str, bool], dict[str, Any]] = {}  # whole schemas that were found good
        self._made: dict[bool, dict[str, Any]] = {}
        self._operations: dict[str, tuple[str, str, str, str]] = {}
        paths = self._root.get("paths", {})
        for path in _mapping(paths, "paths"):
            if path.startswith("x-"):
                continue
            if not path.startswith("/"):  # behind a server's address it would be another server
                raise _wrong(f"paths: expected a path that begins with /, found {path[:100]!r}")
            at = f"#/paths/{_escaped(path)}"
            item, at = self._followed(paths[path], at)
            for method in METHODS:
                found = item.get(method)
                if isinstance(found, dict) and isinstance(found.get("operationId"), str):
                    if found["operationId"] in self._operations:
                        raise _wrong(f"the operationId '{found['operationId'][:100]}' stands there twice")
                    self._operations[found["operationId"]] = (path, method, at, f"{at}/{method}")
        if len(self._operations) > OPERATIONS_MAX:
            raise _wrong(f"expected at most {OPERATIONS_MAX} operations")

    def operation(self, id: str) -> Operation:
        """Raises: Failed."""
        if id not in self._operations:
            near = get_close_matches(id, self._operations, 3) or list(self._operations)[:3]
            raise Failed("OPERATION_UNKNOWN", f"the document has no operation '{id}'; there is {', '.join(near) or 'none'}")
        path, method, above_at, at = self._operations[id]
        above, own = self._at(above_at), self._at(at)
        found = Operation(id, method.upper(), path, _servers(own) or _servers(above) or _servers(self._root))
        taken: dict[tuple[str, str], Parameter] = {}
        for holder, where in ((above, above_at), (own, at)):
            for n, given in enumerate(holder.get("parameters") or []):
                made = self._parameter(given, f"{where}/parameters/{n}")
                if made is not None:
                    taken[made.place, made.name] = made
        found.parameters = list(taken.values())
        if "requestBody" in own:
            body, where = self._followed(own["requestBody"], f"{at}/requestBody")
            found.body, found.body_required = self._kinds(body, where), body.get("required") is True
        for status, given in _mapping(own.get("responses") or {}, f"{id}.responses").items():
            answer, where = self._followed(given, f"{at}/responses/{_escaped(str(status))}")
            found.answers[str(status)] = self._kinds(answer, where)
        return found

    def _parameter(self, given: Any, where: str) -> Parameter | None:
        row, where = self._followed(given, where)
        name, place = row.get("name"), row.get("in")
        if not isinstance(name, str) or not name or place not in ("path", "query", "header", "cookie"):
            raise _wrong(f"{where}: expected a parameter with name and in")
        if place == "header" and name.lower() in _NOT_OURS:
            return None
        style = str(row.get("style") or ("form" if place in ("query", "cookie") else "simple"))
        explode = row["explode"] if isinstance(row.get("explode"), bool) else style in ("form", "deepObject")
        kinds = self._kinds(row, where)
        kind = next(iter(kinds), "")
        schema = kinds[kind] if kinds else f"{where}/schema" if isinstance(row.get("schema"), (dict, bool)) else ""
        return Parameter(name, place, row.get("required") is True, schema, style, explode, kind)

    def _kinds(self, holder: dict[str, Any], where: str) -> dict[str, str]:
        found = {}
        for kind, row in _mapping(holder.get("content") or {}, f"{where}/content").items():
            at = f"{where}/content/{_escaped(kind)}"
            found[kind] = f"{at}/schema" if isinstance(row, dict) and isinstance(row.get("schema"), (dict, bool)) else ""
        return found

    def problems(self, schema: str, value: Any, writing: bool = False) -> list[str]:
        """What a value lacks to be what the schema (a pointer; empty: anything) asks for. `writing`: it is on its way to the server."""
        if not schema:
            return []
        whole = self._checks.get((schema, writing))
        if whole is None:
            whole = {**self._json_schemas(writing), "$ref": schema}
            if wrong := schema_rules.problems(whole):
                raise _wrong(f"{schema[:200]}: a schema that can't be used: {wrong[0][-400:]}")
            self._checks[schema, writing] = whole
        found = json_schemas.check(whole, value)
        return [*found[:TOLD_MAX], "and more"] if len(found) > TOLD_MAX else found

    def _json_schemas(self, writing: bool) -> dict[str, Any]:
        """Of all that references may lead to: made once, since documents are large."""
        if writing not in self._made:
            parts = {k: self._root[k] for k in ("paths", "components", "webhooks") if k in self._root}
            self._made[writing] = _as_json_schema(parts, self._old, writing)
        return self._made[writing]

    def kind_of(self, schema: str) -> str:
        """The one type of a schema, as far as it can be told; empty: several, or it can't."""
        at: Any = None
        if schema:
            at, _ = self._followed(self._at(schema), schema)
        found = at.get("type") if isinstance(at, dict) else None
        if isinstance(found, list):
            found = next(iter([t for t in found if t != "null"]), None) if len([t for t in found if t != "null"]) == 1 else None
        return found if isinstance(found, str) else ""

    def base(self, operation: Operation, index: int, variables: dict[str, str]) -> str:
        """Address of a server of the document. Raises: Failed."""
        servers = operation.servers or [{"url": "/"}]
        if index >= len(servers):
            raise Failed("CONFIGURATION", f"server: the document has {len(servers)}, the first is 0")
        row = servers[index]
        url, known = str(row.get("url") or "/"), row.get("variables") or {}
        for name in variables:
            if name not in known:
                raise Failed("CONFIGURATION", f"serverVariables: the server knows {', '.join(known) or 'none'}, found '{name[:100]}'")
        for name, about in _mapping(known, "servers.variables").items():
            about = _mapping(about, f"servers.variables.{name}")
            value = variables.get(name, str(about.get("default", "")))
            if (may := about.get("enum")) and value not in may:
                raise Failed("CONFIGURATION", f"serverVariables.{name}: expected one of {', '.join(map(str, may[:20]))}")
            if not value or any(ch in value for ch in "/?#@\\") or not value.isascii():
                raise Failed("CONFIGURATION", f"serverVariables.{name}: expected a part of an address")
            url = url.replace(f"{{{name}}}", value)
        url = urljoin(self.address, url) if self.address else url
        if "://" not in url:
            raise Failed("CONFIGURATION", "url: expected the server's address, since the document names none (profile, or url)")
        return url

    def _at(self, pointer: str) -> Any:
        found: Any = self._root
        for part in pointer.removeprefix("#").split("/")[1:]:
            part = unquote(part).replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(part)] if isinstance(found, list) and part.isascii() and part.isdigit() else found[part]
            except (KeyError, IndexError, TypeError):
                raise _wrong(f"{pointer[:200]} leads nowhere") from None
        return found

    def _followed(self, found: Any, where: str) -> tuple[dict[str, Any], str]:
        """What a reference leads to, and where that stands."""
        for _ in range(STEPS_MAX):
            if not isinstance(found, dict):
                raise _wrong(f"{where[:200]}: expected an object")
            to = found.get("$ref")
            if not isinstance(to, str):
                return found, where
            if not to.startswith("#/"):
                raise _wrong(f"{where[:200]}: a reference that leaves the document, '{to[:200]}', is not followed: bundle it into one")
            found, where = self._at(to), "#" + quote(unquote(to[1:]), safe="/~")
        raise _wrong(f"{where[:200]}: expected at most {STEPS_MAX} references in a row")


def picked(kinds: dict[str, str], wanted: str = "") -> str:
    """The media type that a value goes or comes as: the one wanted, else JSON before all others; empty: none fits."""
    if wanted:
        told, _ = media_type(wanted)
        ranges = (told, f"{told.split('/')[0]}/*", "*/*")
        return next((kind for r in ranges for kind in kinds if media_type(kind)[0] == r or kind == r), "")
    return next((k for k in kinds if is_json(k)), next(iter(kinds), ""))


def is_json(kind: str) -> bool:
    told, _ = media_type(kind)
    return told == "application/json" or told.endswith("+json")


def _read(data: str | bytes) -> dict[str, Any]:
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        found = _decode(text) if text.lstrip()[:1] == "{" else parse(text.encode()).plain()
    except (BadText, UnicodeDecodeError, msgspec.DecodeError, RecursionError) as e:
        raise _wrong(f"it is neither JSON nor YAML: {e}") from None
    if not isinstance(found, dict):
        raise _wrong("expected an object")
    return dict(_texts(found, 2 * DEPTH_MAX))


def _texts(value: Any, left: int) -> Any:
    """Keys as texts: YAML has numbers for statuses. Raises: Failed."""
    if not left:
        raise _wrong(f"expected at most {2 * DEPTH_MAX} levels")
    if isinstance(value, dict):
        return {str(k): _texts(v, left - 1) for k, v in value.items()}
    return [_texts(v, left - 1) for v in value] if isinstance(value, list) else value


def _as_json_schema(value: Any, old: bool, writing: bool) -> Any:
    """As JSON Schema has it: 3.0's own words for what may be null and for limits, and its references, which stand alone.
    Where it is written, what only answers have (`readOnly`) need not be there."""
    if isinstance(value, list):
        return [_as_json_schema(v, old, writing) for v in value]
    if not isinstance(value, dict):
        return value
    if old and isinstance(value.get("$ref"), str):
        return {"$ref": value["$ref"]}
    found = {
        k: _as_json_schema(v, old, writing) if k not in ("enum", "const", "example", "examples", "default") else v for k, v in value.items()
    }
    if old and value.get("nullable") is True and isinstance(value.get("type"), str):
        found["type"] = [value["type"], "null"]
        if isinstance(value.get("enum"), list) and None not in value["enum"]:
            found["enum"] = [*value["enum"], None]
    for limit in ("Minimum", "Maximum") if old else ():
        strict, low = found.get(f"exclusive{limit}"), limit.lower()
        if isinstance(strict, bool):
            found = {k: v for k, v in found.items() if k != f"exclusive{limit}"}
            if strict and low in found:
                found[f"exclusive{limit}"] = found.pop(low)
    needed, known = value.get("required"), value.get("properties")
    if isinstance(needed, list) and isinstance(known, dict):
        marked = "readOnly" if writing else "writeOnly"
        left = [name for name in needed if not (isinstance(known.get(name), dict) and known[name].get(marked) is True)]
        found = {k: v for k, v in found.items() if k != "required"} | ({"required": left} if left else {})
    return found


def _servers(holder: dict[str, Any]) -> list[dict[str, Any]]:
    found = holder.get("servers")
    return [s for s in found if isinstance(s, dict)] if isinstance(found, list) else []


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(f"{what[:200]}: expected an object")
    return value


def _escaped(part: str) -> str:
    """A part of a pointer, as a fragment of a URL (RFC 6901, 6)."""
    return quote(part.replace("~", "~0").replace("/", "~1"), safe="~")


def _wrong(what: str) -> Failed:
    return Failed("DOCUMENT", f"the OpenAPI document: {what}")

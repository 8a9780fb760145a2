"""Element templates for modelers, made of the connectors' configurations, so that form and code can't drift.

Source: Camunda's element templates for Zeebe (JSON schema `@camunda/zeebe-element-templates-json-schema`).
"""

from __future__ import annotations

import re
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from flowledger.connectors.catalogue import CONFIGS
from flowledger.connectors.frame import Config
from flowledger.kernel.model.connectors import PREFIX

SCHEMA = "https://unpkg.com/@camunda/zeebe-element-templates-json-schema/resources/schema.json"
GROUPS = (
    ("call", "Call"),
    ("authentication", "Authentication"),
    ("security", "WS-Security"),
    ("result", "Result"),
    ("errors", "Errors and attempts"),
)
#: (header, label, what it is, type, FEEL, group): what all connectors take
_HEADERS = (
    ("resultVariable", "Result variable", "The whole answer goes to this variable", "String", "", "result"),
    ("resultExpression", "Result expression", "FEEL over the answer; the context that it makes goes to variables", "Text", "required", "result"),
    ("errorExpression", "Error expression", "FEEL: bpmnError(code, message), jobError(message), ignoreError() or null", "Text", "required", "errors"),
    ("retryBackoff", "Pause before the next attempt", "ISO 8601 duration, such as PT30S; empty: 1 s, doubled each time, a minute at most", "String", "", "errors"),
)  # fmt: skip


def template(name: str) -> dict[str, Any]:
    """Of one connector. Raises: KeyError."""
    config = CONFIGS[name]
    title = str(config.model_config.get("title") or name)
    properties: list[dict[str, Any]] = [
        {"type": "Hidden", "value": PREFIX + name, "binding": {"type": "zeebe:taskDefinition", "property": "type"}},
    ]
    properties += _fields(config, "", "call", None)
    for key, label, what, kind, feel, group in _HEADERS:
        row = {"id": key, "label": label, "description": what, "type": kind, "group": group, "optional": True}
        properties.append({**row, **({"feel": feel} if feel else {}), "binding": {"type": "zeebe:taskHeader", "key": key}})
    retries = {"id": "retries", "label": "Attempts", "type": "String", "value": "3", "feel": "optional", "group": "errors"}
    properties.append({**retries, "binding": {"type": "zeebe:taskDefinition", "property": "retries"}})
    return {
        "$schema": SCHEMA,
        "name": title,
        "id": f"flowledger.{name}",
        "version": 1,
        "description": (config.__doc__ or "").strip().split("\n")[0],
        "category": {"id": "connectors", "name": "Connectors"},
        "appliesTo": ["bpmn:Task", "bpmn:ServiceTask"] if config.element == "bpmn:ServiceTask" else ["bpmn:SubProcess", config.element],
        "elementType": {"value": config.element},
        "groups": [{"id": id, "label": label} for id, label in GROUPS if any(p.get("group") == id for p in properties)],
        "properties": properties,
    }


def _fields(config: type[Config], path: str, group: str, condition: dict[str, Any] | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, field in config.model_fields.items():
        target = f"{path}{field.alias or name}"
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        if extra.get("template") is False:
            continue
        kinds = _models(field.annotation)
        if kinds and all("type" in kind.model_fields for kind in kinds):
            rows += _choice(target, field, kinds)
        elif len(kinds) == 1 and field.is_required():
            rows += _fields(kinds[0], f"{target}.", group, condition)
        elif not (path and name == "type"):
            rows.append(_row(target, field, group, condition))
    return rows


def _choice(target: str, field: FieldInfo, kinds: list[type[Config]]) -> list[dict[str, Any]]:
    """One of several shapes, told apart by `type`."""
    names = [str(get_args(kind.model_fields["type"].annotation)[0]) for kind in kinds]
    default = str(getattr(field.default, "type", names[0]))
    choices = [{"name": _label(name), "value": name} for name in names]
    id = f"{target}.type"
    rows: list[dict[str, Any]] = [
        {"id": id, "label": field.title or _label(target), "type": "Dropdown", "value": default, "choices": choices, "group": target,
         "binding": {"type": "zeebe:input", "name": id}},
    ]  # fmt: skip
    for name, kind in zip(names, kinds, strict=True):
        rows += [{**row, "id": f"{name}.{row['id']}"} for row in _fields(kind, f"{target}.", target, {"property": id, "equals": name})]
    return rows


def _row(target: str, field: FieldInfo, group: str, condition: dict[str, Any] | None) -> dict[str, Any]:
    kind = _plain(field.annotation)
    row: dict[str, Any] = {"id": target, "label": field.title or _label(target.rpartition(".")[2])}
    if field.description:
        row["description"] = field.description
    default = None if field.is_required() else field.default
    if get_origin(kind) is Literal:
        values = [str(v) for v in get_args(kind)]
        row |= {"type": "Dropdown", "choices": [{"name": v, "value": v} for v in values], "value": default or values[0]}
    elif kind is bool:
        row |= {"type": "Boolean", "feel": "static", "value": bool(default)}
    elif kind is int:
        row |= {"type": "Number", "feel": "static", **({} if default is None else {"value": default})}
    elif kind is str:
        row |= {"type": "String", "feel": "optional", **({"value": default} if default else {})}
    elif kind is Any:
        row |= {"type": "Text", "feel": "optional"}
    else:  # contexts and lists; so is one that may be left out as a whole, of which no field must be there by itself
        row |= {"type": "Text", "feel": "required"}
    if field.is_required():
        row["constraints"] = {"notEmpty": True}
    elif "value" not in row:
        row["optional"] = True
    if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("literal"):
        row = {k: v for k, v in row.items() if k != "feel"} | {
            "type": "Text",
            "group": group,
            "binding": {"type": "zeebe:taskHeader", "key": target},
        }
    else:
        row |= {"group": group, "binding": {"type": "zeebe:input", "name": target}}
    return {**row, "condition": condition} if condition else row


def _plain(kind: Any) -> Any:
    """A type without its annotations and without None."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        left = [k for k in get_args(kind) if k is not NoneType]
        return _plain(left[0]) if len(left) == 1 else kind
    return kind


def _models(kind: Any) -> list[type[Config]]:
    kind = _plain(kind)
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    found = [k for k in kinds if isinstance(k, type) and issubclass(k, Config)]
    return found if len(found) == len(kinds) else []


def _label(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[-_.]", " ", name).lower()
    return words[:1].upper() + words[1:]

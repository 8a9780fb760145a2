"""JSON Schemas (2020-12) of the JSON and YAML formats, made from the readers' own tables. The files in `schemas/json/` are checked against this.

The reader stays the judge: it checks references, expressions and states too, with line and column. The schemas are for editors.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model.formats import blocks, nodes, process, step_cells, step_chain, steps, work

_BASE = "urn:flowledger:schema:"
_TEXT: dict[str, Any] = {"type": "string"}
_ANY: dict[str, Any] = {}
_FLAG: dict[str, Any] = {"type": "boolean"}
_OBJECT: dict[str, Any] = {"type": "object"}
_TEXTS: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_CONDITION: dict[str, Any] = {"type": ["string", "boolean"], "description": "FEEL, with or without a leading ="}
_DURATION: dict[str, Any] = {"type": ["string", "number"], "description": "PT5M, 5m, milliseconds, or an expression that begins with ="}
_BLOCKS: dict[str, Any] = {"type": "array", "items": {"$ref": "#/$defs/block"}}
_VALUES: dict[str, Any] = {"type": "object", "description": "name -> value; a text that begins with = is FEEL"}
_WHOLE: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 1000}

#: key -> its schema, wherever it stands
_KEYS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("input", "output", "parameters", "headers", "metadata", "variables", "integrations"), _VALUES),
    **dict.fromkeys(("timeout", "timeout_ms", "timeoutMs", "timeout_seconds", "timeoutSeconds", "sla", "due", "follow_up", "every"), _DURATION),
    **dict.fromkeys(("retries", "retry_count", "retryCount", "max_retries", "maxRetries", "max_attempts"), _WHOLE),
    **dict.fromkeys(("when", "condition", "if", "while", "until_done", "skip_unless"), _CONDITION),
    **dict.fromkeys(("optional", "interrupting"), _FLAG),
    **dict.fromkeys(("candidate_groups", "candidate_users", "dependencies", "depends_on", "dependsOn", "tags"), _TEXTS),
    **dict.fromkeys(("do", "then", "else", "flow", "on_late", "repeat", "scope", "undo"), _BLOCKS),
    **dict.fromkeys(("id", "name", "description", "job", "assignee", "form", "message", "key", "signal", "process", "decision", "capability", "operation",
                     "expression", "as", "collect", "collect_from", "result", "category", "owner", "on_error", "first", "first_step", "from", "to",
                     "go", "task", "state", "for_each", "reference", "$schema", "binding"), _TEXT),
    "retry": {"anyOf": [_WHOLE, {"type": "object", "properties": dict.fromkeys(sorted(work._RETRY_KEYS), _ANY), "additionalProperties": False}]},
    "priority": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 100}, _TEXT]},
    "type": {"type": "string", "description": "one of " + ", ".join(sorted(set(work.KINDS))) + "; any other word is the type of a job"},
    "join": {"enum": ["any", "all"]},
    "nodes": {"type": "array", "items": {"$ref": "#/$defs/node"}},
    "flows": {"type": "array", "items": {"$ref": "#/$defs/flow"}},
    "on": {"type": "array", "items": {"$ref": "#/$defs/handler"}},
}  # fmt: skip


def _closed(keys: set[str], required: tuple[str, ...] = (), **more: dict[str, Any]) -> dict[str, Any]:
    """An object with just these keys (and own ones that begin with x-)."""
    made: dict[str, Any] = {
        "type": "object",
        "properties": {k: more.get(k, _KEYS.get(k, _ANY)) for k in sorted(keys)},
        "patternProperties": {"^x-": {}},
        "additionalProperties": False,
    }
    if required:
        made["required"] = list(required)
    return made


def _head(name: str, title: str) -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"{_BASE}{name}", "title": title}


def _task_keys() -> set[str]:
    return work.COMMON.union(*work.KEYS.values())


def steps_schema() -> dict[str, Any]:
    way = {"anyOf": [_TEXT, {"$ref": "#/$defs/way"}]}
    step = _closed(
        _task_keys() | step_cells.STEP, (), next={"anyOf": [{"type": "null"}, way, {"type": "array", "items": way}]},
        fallback={"anyOf": [_TEXT, {"$ref": "#/$defs/step"}]}, states=_OBJECT, for_each=_TEXT, parallel=_FLAG,
    )  # fmt: skip
    items = {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/step"}},
                       {"type": "object", "additionalProperties": {"$ref": "#/$defs/step"}}]}  # fmt: skip
    top = _closed(
        steps._TOP,
        ("id", "steps"),
        steps=items,
        states={"type": "object", "required": ["initial"]},
        version=_ANY,
        defaults=_closed(steps._DEFAULTS),
    )
    return {**_head("steps", "Steps with next or dependencies"), **top, "$defs": {"step": step, "way": _closed(step_chain.NEXT)}}


def _block() -> dict[str, Any]:
    case = {"type": "array", "items": {"$ref": "#/$defs/case"}}
    kinds = [
        _closed(_task_keys() | {"task", "on", "skip_unless", "undo"}, ("task",), parallel=_FLAG, until=_ANY),
        _closed({"if", "then", "else", "id", "name", "then_name", "else_name"}, ("if", "then")),
        _closed({"switch", "id", "name"}, ("switch",), switch=case),
        _closed({"inclusive", "id", "name"}, ("inclusive",), inclusive=case),
        _closed({"parallel", "id", "name"}, ("parallel",), parallel={"type": ["array", "object"], "minItems": 2, "minProperties": 2}),
        _closed(
            {"for_each", "as", "parallel", "do", "collect", "collect_from", "until_done", "id", "name", "on"},
            ("for_each", "do"),
            parallel=_FLAG,
        ),
        _closed({"while", "do", "id", "name"}, ("while", "do")),
        _closed({"repeat", "until", "id", "name"}, ("repeat", "until"), until=_CONDITION),
        _closed({"scope", "id", "name", "on", "inside_on"}, ("scope",)),
        _closed({"throw", "id", "name"}, ("throw",), throw=_OBJECT),
        _closed({"first_of", "id", "name"}, ("first_of",), first_of={"type": "array", "minItems": 2}),
        _closed({"wait", "id", "name", "output"}, ("wait",), wait={"type": ["string", "number", "object"]}),
        _closed({"end", "id", "name"}, ("end",)),
        _closed({"go"}, ("go",)),
    ]
    return {"type": "object", "anyOf": kinds}


def process_schema(extended: bool) -> dict[str, Any]:
    name, title = ("extended", "Process with capabilities") if extended else ("process", "Simplified process")
    capability = {"anyOf": [{"type": "array", "items": _TEXT}, {"type": "object", "additionalProperties": _closed(process._CAPABILITY)}]}
    top = _closed(process._TOP | (process._EXTENDED if extended else set()), ("id",), version=_ANY, start=_OBJECT, capabilities=capability)
    top["oneOf"] = [{"required": ["flow"]}, {"required": ["nodes"]}]
    node_keys = _task_keys() | nodes._EVENT_KEYS | nodes._SUB_KEYS | {"undo"}
    handlers = {"anyOf": [_TEXT, _KEYS["on"]]}
    definitions = {
        "block": _block(),
        "case": _closed({"when", "do", "name"}),
        "handler": _closed(blocks._HANDLER),
        "node": _closed(node_keys, ("id",), on=handlers, parallel=_FLAG),
        "flow": _closed({"id", "name", "from", "to", "when", "default"}, ("from", "to"), default=_FLAG),
    }
    return {**_head(name, title), **top, "$defs": definitions}


#: file in schemas/json/ -> its content
SCHEMAS: dict[str, dict[str, Any]] = {
    "steps.json": steps_schema(), "process.json": process_schema(extended=False), "extended.json": process_schema(extended=True),
}  # fmt: skip

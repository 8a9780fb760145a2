"""What the kernel knows of agents: an ad-hoc sub-process of whose activities a language model chooses, by a connector (`connectors/agent/`).

Its tools are the activities inside that can be chosen. What a tool is given stands where it is used, in the inputs of the activity:
`fromAi(toolCall.NAME, description, type, schema, {required: false})`. The engine reads all that once, with the model, and the jobs of the agent have
it as a header; it asks nobody and knows no model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flowledger.events.avro import encode_json
from flowledger.kernel import feel
from flowledger.kernel.feel import tree as t
from flowledger.kernel.model.graph import Node, Work, implicit_starts
from flowledger.kernel.tasks import schema_rules

JOB_TYPE = "flowledger:agent"
#: the header that tells the agent's connector of its tools
TOOLS_HEADER = "tools"
#: variables: of the sub-process what was said so far, and what tools gave; of each choice what it was called with, and what it gives
MEMORY, RESULTS, CALL, RESULT = "agentMemory", "toolCallResults", "toolCall", "toolCallResult"
#: what one tool that has ended leaves in `RESULTS`
OUTCOME = f"{{id: {CALL}._meta.id, name: {CALL}._meta.name, content: {RESULT}}}"
TOOLS_MAX, PARAMETERS_MAX, WORDS_MAX = 64, 50, 2_000
TYPES = ("string", "number", "integer", "boolean", "object", "array")
_HINT = 'fromAi(toolCall.city, "The town to look at", "string"): name, description, type, JSON Schema, {required: false}'
_NAMES = ("value", "description", "type", "schema", "options")


def is_agent(work: Work | None) -> bool:
    return work is not None and work.job_type is not None and work.job_type.static == JOB_TYPE


def tell(node: Node, r: Any) -> None:
    """Puts the tools of an agent into the headers of its jobs; findings say what is wrong with them."""
    work = node.config.work
    if node.config.output != RESULTS or node.config.output_element is None:
        r.finding("AGENT_OUTPUT", f"'{node.id}': expected outputCollection=\"{RESULTS}\" with an outputElement, or neither, of an agent", node,
                  hint=f"<zeebe:adHoc outputCollection=\"{RESULTS}\" outputElement=\"={OUTCOME}\"/>")  # fmt: skip
    able = [n for n in implicit_starts(node) if n.behaviour.activity]
    if len(able) > TOOLS_MAX:
        r.finding("AGENT_TOOLS_MANY", f"'{node.id}': expected at most {TOOLS_MAX} tools of an agent, found {len(able)}", node)
        return
    work.headers = {**(work.headers or {}), TOOLS_HEADER: encode_json([_tool(n, r) for n in able]).decode()}


def _tool(node: Node, r: Any) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required = []
    for mapping in node.inputs:
        if mapping.source.compiled is None or "fromAi" not in mapping.source.text:
            continue
        for call in _calls(feel.parse(mapping.source.text)):
            try:
                name, schema, needed = _parameter(call)
            except ValueError as e:
                r.finding("AGENT_PARAMETER", f"input '{mapping.target}' of '{node.id}': {e}", node, hint=_HINT)
                continue
            if name in properties and properties[name] != schema:
                r.finding("AGENT_PARAMETER_TWICE", f"'{node.id}' says two things of its parameter '{name}'", node, hint="say it once")
            properties[name] = schema
            if needed and name not in required:
                required.append(name)
    if len(properties) > PARAMETERS_MAX:
        r.finding("AGENT_PARAMETERS_MANY", f"'{node.id}': expected at most {PARAMETERS_MAX} parameters, found {len(properties)}", node)
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    about = " ".join((node.documentation or node.name or node.id).split())[:WORDS_MAX]
    return {"id": node.id, "description": about, "schema": schema}


def _calls(node: t.Node) -> Iterator[t.Call]:
    """Calls of `fromAi` in a tree, as they are written."""
    if isinstance(node, t.Call) and isinstance(node.function, t.Name) and node.function.name == "fromAi":
        yield node
    for child in t.children(node):
        yield from _calls(child)


def _parameter(call: t.Call) -> tuple[str, dict[str, Any], bool]:
    """Name, schema, and whether it must be given. Raises: ValueError."""
    given = dict(zip(call.names or _NAMES, call.arguments, strict=False))
    at = given.get("value")
    if not (isinstance(at, t.Path) and isinstance(at.base, t.Name) and at.base.name == CALL):
        raise ValueError(f"expected {CALL}.NAME as the first argument of fromAi")
    told = {name: _constant(given[name]) for name in _NAMES[1:] if name in given}
    kind, schema, options = told.get("type") or "string", told.get("schema") or {}, told.get("options") or {}
    if kind not in TYPES:
        raise ValueError(f"expected one of {', '.join(TYPES)} as the type of '{at.name}', found {str(kind)[:50]!r}")
    if not isinstance(schema, dict) or not isinstance(options, dict):
        raise ValueError(f"expected contexts as schema and options of '{at.name}'")
    description = told.get("description")
    found = {"type": kind, **schema, **({"description": str(description)[:WORDS_MAX]} if description else {})}
    if wrong := schema_rules.problems(found):
        raise ValueError(f"the schema of '{at.name}': {wrong[0]}")
    return at.name, found, options.get("required") is not False


def _constant(node: t.Node) -> Any:
    """Raises: ValueError."""
    if isinstance(node, t.Literal) and (node.value is None or isinstance(node.value, (str, bool)) or hasattr(node.value, "as_tuple")):
        return node.value
    if isinstance(node, t.Negate) and hasattr(found := _constant(node.operand), "as_tuple"):
        return -found
    if isinstance(node, t.List):
        return [_constant(each) for each in node.items]
    if isinstance(node, t.Context):
        return {name: _constant(each) for name, each in node.entries}
    raise ValueError(
        "expected texts, numbers, truth values, lists and contexts as they stand: the model is told of them before anything runs"
    )

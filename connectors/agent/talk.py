"""What was said, in the words of either interface. The memory has it in a shape of its own:

{"user": text}   {"said": text, "calls": [{id, name, arguments}]}   {"results": [{id, content, error}]}
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from flowledger.connectors.frame import Failed
from flowledger.connectors.llm import FINISH, WORDS_MAX, LlmConfig, tokens_of
from flowledger.events import avro

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Wanted(NamedTuple):
    """One call that the model wants; `problem`: why it can't be read."""

    name: str
    arguments: dict[str, Any]
    problem: str = ""


class Said(NamedTuple):
    """One answer of the model."""

    text: str
    calls: list[Wanted]
    finish: str
    tokens_in: int | None
    tokens_out: int | None


def asked(config: LlmConfig, system: str, prompt: str, turns: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """The request. `tools`: `{name, description, schema}`."""
    before = [{"role": m["role"], "content": m["content"]} for m in config.messages]
    first = [*before, *([{"role": "user", "content": prompt}] if prompt else [])]
    found: dict[str, Any] = {"model": config.model, "max_tokens": config.max_tokens}
    if config.temperature is not None:
        found["temperature"] = config.temperature
    if config.api == "anthropic":
        found |= {"messages": _anthropic(first, turns), **({"system": system} if system else {})}
        if tools:
            found["tools"] = [{"name": t["name"], "description": t["description"], "input_schema": t["schema"]} for t in tools]
        return found
    found["messages"] = [*([{"role": "system", "content": system}] if system else []), *first, *_openai(turns)]
    if tools:
        found["tools"] = [
            {"type": "function", "function": {"name": t["name"], "description": t["description"], "parameters": t["schema"]}} for t in tools
        ]
    return found


def _openai(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for turn in turns:
        if "user" in turn:
            found.append({"role": "user", "content": turn["user"]})
        elif "results" in turn:
            found += [{"role": "tool", "tool_call_id": r["id"], "content": r["content"]} for r in turn["results"]]
        else:
            message: dict[str, Any] = {"role": "assistant", "content": turn["said"] or None}
            if turn["calls"]:
                message["tool_calls"] = [
                    {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": _encode(c["arguments"]).decode()}}
                    for c in turn["calls"]
                ]
            found.append(message)
    return found


def _anthropic(first: list[dict[str, Any]], turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Turns alternate there: what follows another of the same role is a part of it."""
    found: list[dict[str, Any]] = []

    def add(role: str, blocks: list[dict[str, Any]]) -> None:
        if found and found[-1]["role"] == role:
            found[-1]["content"] += blocks
        elif blocks:
            found.append({"role": role, "content": blocks})

    for message in first:
        add(message["role"], [{"type": "text", "text": message["content"]}])
    for turn in turns:
        if "user" in turn:
            add("user", [{"type": "text", "text": turn["user"]}])
        elif "results" in turn:
            add("user", [
                {"type": "tool_result", "tool_use_id": r["id"], "content": r["content"], **({"is_error": True} if r.get("error") else {})}
                for r in turn["results"]
            ])  # fmt: skip
        else:
            text = [{"type": "text", "text": turn["said"]}] if turn["said"] else []
            add(
                "assistant",
                [*text, *({"type": "tool_use", "id": c["id"], "name": c["name"], "input": c["arguments"]} for c in turn["calls"])],
            )
    return found


def heard(config: LlmConfig, answer: dict[str, Any]) -> Said:
    """Raises: Failed: it is no answer, or a refusal."""
    try:
        found = (_of_anthropic if config.api == "anthropic" else _of_openai)(answer["body"])
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Failed("ANSWER_UNREADABLE", f"expected an answer as {config.api} gives it", response=answer) from None
    if found.finish == "refused":
        raise Failed("REFUSED", f"the model does not answer: {found.text[:WORDS_MAX] or 'without words'}", response=answer)
    return found


def _of_openai(body: Any) -> Said:
    choice, usage = body["choices"][0], body.get("usage") or {}
    message = choice["message"]
    refused = message.get("refusal")
    calls = [_wanted(c["function"]["name"], c["function"].get("arguments")) for c in message.get("tool_calls") or ()]
    finish = "refused" if refused else FINISH.get(str(choice.get("finish_reason")), "stop")
    return Said(
        str(refused or message.get("content") or ""),
        calls,
        finish,
        tokens_of(usage, "prompt_tokens"),
        tokens_of(usage, "completion_tokens"),
    )


def _of_anthropic(body: Any) -> Said:
    usage, parts = body.get("usage") or {}, body["content"]
    calls = [_wanted(p["name"], p.get("input")) for p in parts if p["type"] == "tool_use"]
    text = "".join(p["text"] for p in parts if p["type"] == "text")
    finish = FINISH.get(str(body.get("stop_reason")), "stop")
    return Said(text, calls, finish, tokens_of(usage, "input_tokens"), tokens_of(usage, "output_tokens"))


def _wanted(name: Any, given: Any) -> Wanted:
    if isinstance(given, str):
        try:
            given = avro.decode_json(given.encode()) if given.strip() else {}
        except (ValueError, RecursionError, UnicodeError):
            return Wanted(str(name), {}, "the arguments are no JSON")
    if not isinstance(given, dict):
        return Wanted(str(name), {}, "the arguments are no object")
    return Wanted(str(name), given)

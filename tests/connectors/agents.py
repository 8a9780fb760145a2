"""A model server that says what a test tells it to, in the words of either maker, and holds what it is asked to the maker's rules."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowledger.events import commands as c
from flowledger.processors.engine import Engine
from tests.connectors.conftest import Request, Target
from tests.connectors.contract import SECRET

MODEL = (Path(__file__).parents[2] / "examples" / "connectors" / "answer-complaint.bpmn").read_text()
ORDERS = [{"number": "1", "article": "tea", "price": 9}, {"number": "2", "article": "cup", "price": 30, "parcel": "P7"}]
CASE = {"complaint": "Where is my order 2?", "orders": ORDERS}

#: one answer: words, and calls of tools as (name, arguments)
Answer = tuple[str, list[tuple[str, Any]]]


class Scripted:
    """`script`: an answer for each time that it is asked; a function gets what was asked. Past its end: 500."""

    def __init__(self, target: Target, key: str = "") -> None:
        self.script: list[Answer | Callable[[dict[str, Any]], Any]] = []
        #: (idempotency key, what was asked)
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.key, self.usage = key, (100, 20)
        target.routes |= {"/v1/chat/completions": self.chat, "/v1/messages": self.message}

    def _next(self, request: Request, asked: dict[str, Any]) -> Any:
        self.seen.append((request.headers.get("idempotency-key", ""), asked))
        if len(self.seen) > len(self.script):
            return 500, {}, {"error": {"message": "the script is at its end"}}
        found = self.script[len(self.seen) - 1]
        return found(asked) if callable(found) else found

    def chat(self, request: Request) -> tuple[int, dict[str, str], Any]:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return 401, {}, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
        asked = json.loads(request.body)
        if wrong := _wrong_for_openai(asked):
            return 400, {}, {"error": {"message": wrong, "type": "invalid_request_error"}}
        found = self._next(request, asked)
        if len(found) == 3:
            return found
        words, calls = found
        tools = [
            {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": a if isinstance(a, str) else json.dumps(a)}}
            for n, (name, a) in enumerate(calls)
        ]
        message = {"role": "assistant", "content": words or None, "refusal": None, **({"tool_calls": tools} if tools else {})}
        return 200, {}, {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m-1",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if tools else "stop"}],
            "usage": {"prompt_tokens": self.usage[0], "completion_tokens": self.usage[1], "total_tokens": sum(self.usage)},
        }  # fmt: skip

    def message(self, request: Request) -> tuple[int, dict[str, str], Any]:
        if self.key and request.headers.get("x-api-key") != self.key:
            return 401, {}, {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
        asked = json.loads(request.body)
        if wrong := _wrong_for_anthropic(asked):
            return 400, {}, {"type": "error", "error": {"type": "invalid_request_error", "message": wrong}}
        found = self._next(request, asked)
        if len(found) == 3:
            return found
        words, calls = found
        content = [{"type": "text", "text": words}] if words else []
        content += [{"type": "tool_use", "id": f"toolu_{n}", "name": name, "input": a} for n, (name, a) in enumerate(calls)]
        return 200, {}, {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "content": content,
            "stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None,
            "usage": {"input_tokens": self.usage[0], "output_tokens": self.usage[1]},
        }  # fmt: skip

    def told(self, n: int = -1) -> dict[str, str]:
        """What the model was told of calls before its answer `n`: id -> text."""
        found = {}
        for m in self.seen[n][1]["messages"]:
            if m["role"] == "tool":
                found[m["tool_call_id"]] = m["content"]
            elif isinstance(m["content"], list):
                found |= {b["tool_use_id"]: b["content"] for b in m["content"] if b["type"] == "tool_result"}
        return found


def _wrong_for_openai(asked: dict[str, Any]) -> str:
    """Each call of a tool is answered at once, by its id, and nothing else is."""
    waiting: set[str] = set()
    for m in asked["messages"]:
        if m["role"] == "tool":
            if m["tool_call_id"] not in waiting or not isinstance(m["content"], str):
                return "messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
            waiting.remove(m["tool_call_id"])
            continue
        if waiting:
            return "an assistant message with 'tool_calls' must be followed by tool messages"
        if m["role"] not in ("system", "user", "assistant") or not (isinstance(m.get("content"), str) or m.get("tool_calls")):
            return "invalid message"
        for call in m.get("tool_calls") or ():
            json.loads(call["function"]["arguments"])
            waiting.add(call["id"])
    for tool in asked.get("tools") or ():
        if tool["type"] != "function" or tool["function"]["parameters"]["type"] != "object" or len(tool["function"]["name"]) > 64:
            return "invalid tool"
    return "an assistant message with 'tool_calls' must be followed by tool messages" if waiting else ""


def _wrong_for_anthropic(asked: dict[str, Any]) -> str:
    roles = [m["role"] for m in asked["messages"]]
    if not roles or roles[0] != "user" or any(a == b for a, b in itertools.pairwise(roles)):
        return "roles must alternate, beginning with user"
    waiting: list[str] = []
    for m in asked["messages"]:
        results = [b["tool_use_id"] for b in m["content"] if b["type"] == "tool_result"]
        if sorted(results) != sorted(waiting) or [b["type"] for b in m["content"][: len(results)]] != ["tool_result"] * len(results):
            return "tool_use ids were found without tool_result blocks immediately after"
        if any(b["type"] == "text" and not b["text"] for b in m["content"]):
            return "text content blocks must be non-empty"
        waiting = [b["id"] for b in m["content"] if b["type"] == "tool_use"]
    for tool in asked.get("tools") or ():
        if tool["input_schema"]["type"] != "object":
            return "invalid tool"
    return "tool_use ids were found without tool_result blocks immediately after" if waiting else ""


class Place:
    """An engine with its connectors, and what happened on its log."""

    def __init__(self, engine: Engine, target: Target, folder: Path) -> None:
        self.engine, self.target, self.models, self.folder = engine, target, Scripted(target, SECRET), folder
        target.routes["/parcels/P7"] = (200, {}, {"parcel": "P7", "state": "lost"})

    async def start(self, api: str = "openai", wait: bool = True, timeout_s: int = 60, **more: Any) -> Any:
        given = {**CASE, "carrier": self.target.url, "models": {"api": api, "url": f"{self.target.url}/v1", "model": "m"}, **more}
        return await self.engine.call(c.StartInstance(id="answer-complaint", variables=given, wait=wait), timeout_s=timeout_s)

    async def events(self, *kinds: type) -> list[Any]:
        """Of these kinds, from the log."""
        found: list[Any] = []
        ends = await self.engine.ends()
        async with contextlib.aclosing(self.engine.events({0: 0})) as batches:
            async for batch in batches:
                found += [r.event for r in batch if isinstance(r.event, kinds)]
                if batch[-1].offset + 1 >= ends[0]:
                    return found
        return found

    async def until(self, look: Any) -> Any:
        async with asyncio.timeout(60):
            while not (found := look()):
                await asyncio.sleep(0.02)
            return found

    def task(self, element: str) -> Any:
        return next((t for t in self.engine.owners[0].state.tasks.values() if t.element == element), None)

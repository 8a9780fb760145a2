"""The connector of language models against stubs that give what the makers' documents show: OpenAI's chat completions, Anthropic's messages."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from flowledger.connectors.runner import Runner
from tests.connectors.conftest import Request, Target
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure

SHAPE = {"type": "object", "required": ["price"], "properties": {"price": {"type": "number", "minimum": 0}}, "additionalProperties": False}


def openai(text: str | None = "Hello", finish: str = "stop", refusal: str | None = None) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": refusal}
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m-1", "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200},
    }  # fmt: skip


def anthropic(*content: dict[str, Any], stop: str = "end_turn") -> dict[str, Any]:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "content": list(content) or [{"type": "text", "text": "Hello"}],
        "stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 1000, "output_tokens": 200},
    }  # fmt: skip


class Models:
    """Both interfaces: each takes its own kind of key."""

    def __init__(self, target: Target) -> None:
        self.key, self.seen = SECRET, []
        self.openai, self.anthropic = openai(), anthropic()
        target.routes |= {"/v1/chat/completions": self.chat, "/v1/messages": self.message}

    def chat(self, request: Request) -> tuple[int, dict[str, str], Any]:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return 401, {}, {"error": {"message": "Incorrect API key provided", "type": "invalid_request_error", "code": "invalid_api_key"}}
        return self.told(request, self.openai)

    def message(self, request: Request) -> tuple[int, dict[str, str], Any]:
        if request.headers.get("x-api-key") != self.key or request.headers.get("anthropic-version") != "2023-06-01":
            return 401, {}, {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
        return self.told(request, self.anthropic)

    def told(self, request: Request, answer: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        asked = json.loads(request.body)
        self.seen.append((request.headers.get("idempotency-key"), asked))
        said = [m["content"] if isinstance(m["content"], str) else "".join(b["text"] for b in m["content"]) for m in asked["messages"]]
        assert asked["model"] == "m" and all(m["role"] in ("system", "user", "assistant") for m in asked["messages"])
        if said[-1] == "big":
            return 200, {}, {**answer, "padding": "x" * 4000}
        return 200, {}, answer


class LlmRig(Rig):
    connector = "llm"
    secret_at = "apiKey"

    def __init__(self, target: Target, api: str) -> None:
        self.to, self.models, self.api = ("127.0.0.1", target.port), Models(target), api

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        url = f"http{'s' if tls else ''}://{host}:{port}/v1"
        return {"api": self.api, "url": url, "apiKey": "{{secrets.KEY}}", "model": "m", "prompt": "Hi"}

    def checked(self, answer: Any) -> None:
        assert (answer["text"], answer["finish"], answer["value"]) == ("Hello", "stop", None)
        assert answer["usage"] == {"input": 1000, "output": 200, "cost": None}

    async def rotate(self, value: str) -> None:
        self.models.key = value

    def big(self, host: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
        return {**self.call(host, port), "prompt": "big"}, {}

    async def effects(self) -> list[str]:
        return [key for key, _ in self.models.seen]


class TestContract(Contract):
    @pytest.fixture(params=["openai", "anthropic"])
    async def rig(self, target: Target, request) -> Rig:
        return LlmRig(target, request.param)


@pytest.fixture
def ask(target: Target, bench) -> Any:
    models, run = Models(target), bench("llm")

    async def call(headers: dict[str, Any] | None = None, **more: Any) -> Any:
        given = {"url": f"{target.url}/v1", "apiKey": SECRET, "model": "m", **more}
        return (await run(given, {**(headers or {}), **OUT}))["out"]

    call.models, call.run = models, run
    return call


async def test_what_is_asked(ask):
    before = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    headers = {"promptTemplate": "Price of {{ n }} x {{ item }}?", "systemTemplate": "You sell {{ shop }}"}
    data = {"n": 2, "item": "tea {{ shop }}", "shop": "tea"}
    for api in ("openai", "anthropic"):
        await ask(headers, api=api, data=data, messages=before, temperature=Decimal("0.5"), maxTokens="50")
    (_, first), (_, second) = ask.models.seen
    turns = [*before, {"role": "user", "content": "Price of 2 x tea {{ shop }}?"}]  # data is no template
    assert first == {
        "model": "m",
        "max_tokens": 50,
        "temperature": 0.5,
        "messages": [{"role": "system", "content": "You sell tea"}, *turns],
    }
    assert second == {"model": "m", "max_tokens": 50, "temperature": 0.5, "messages": turns, "system": "You sell tea"}


async def test_an_answer_in_a_shape(ask):
    ask.models.openai = openai('{"price": 1.10}')
    ask.models.anthropic = anthropic(
        {"type": "text", "text": "So: "}, {"type": "tool_use", "id": "t", "name": "answer", "input": {"price": 1.1}}, stop="tool_use"
    )
    for api in ("openai", "anthropic"):
        found = await ask(api=api, prompt="p", schema=SHAPE)
        assert found["value"]["price"] == Decimal("1.1") and found["finish"] == "stop"
    (_, first), (_, second) = ask.models.seen
    assert first["response_format"]["json_schema"] == {"name": "answer", "schema": SHAPE}
    assert second["tools"][0]["input_schema"] == SHAPE and second["tool_choice"] == {"type": "tool", "name": "answer"}
    again = await ask({"schema": json.dumps(SHAPE)}, prompt="p")  # of a header it is text
    assert again["value"] == {"price": Decimal("1.10")}


@pytest.mark.parametrize(
    ("text", "finish", "words"),
    [
        ("no JSON", "stop", "no JSON"),
        ('{"price": -1}', "stop", "price"),
        ('{"pri', "length", "cut off by maxTokens"),
        ("", "stop", "no JSON"),
    ],
)
async def test_an_answer_that_has_not_the_shape_is_tried_again(ask, text: str, finish: str, words: str):
    ask.models.openai = openai(text, finish)
    found = await failure(ask(prompt="p", schema=SHAPE))
    assert (found.code, found.retries) == ("ANSWER_SHAPE", None) and words in found.message


async def test_an_answer_that_was_cut_off_says_so(ask):
    ask.models.openai, ask.models.anthropic = openai("Hel", "length"), anthropic(stop="max_tokens")
    assert (await ask(prompt="p"))["finish"] == "length"
    assert (await ask(prompt="p", api="anthropic"))["finish"] == "length"


@pytest.mark.parametrize(
    ("api", "answer"),
    [("openai", openai(None, refusal="I can't")), ("openai", openai("", "content_filter")), ("anthropic", anthropic(stop="refusal"))],
)
async def test_what_a_model_does_not_answer_is_an_incident(ask, api: str, answer: dict[str, Any]):
    setattr(ask.models, api, answer)
    found = await failure(ask(api=api, prompt="p"))
    assert (found.code, found.retries) == ("REFUSED", 0)


async def test_what_it_costs_and_limits_of_it(ask):
    prices = {"input": Decimal("2.5"), "output": 10}
    found = await ask(prompt="p", prices=prices, maxCost=1)
    assert found["usage"] == {"input": 1000, "output": 200, "cost": Decimal("0.0045")}
    dear = await failure(ask(prompt="p", prices=prices, maxTokens=1000, maxCost="0.0099"))
    assert (dear.code, dear.retries) == ("COST_LIMIT", 0) and "0.01" in dear.message
    long = await failure(ask(prompt="x" * 4000, maxInputTokens=1000))
    assert (long.code, long.retries) == ("TOKEN_LIMIT", 0)
    assert len(ask.models.seen) == 1  # what is beyond a limit is not sent


async def test_what_was_used_is_told_to_the_log_and_what_was_asked_is_not(ask, monkeypatch):
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(Runner, "_record", lambda self, connector, job, call, *more: told.append(call.notes))
    await ask(prompt="Tell nobody")
    assert told == [{"model": "m", "tokens_in": 1000, "tokens_out": 200}]


@pytest.mark.parametrize(
    ("status", "error", "code", "again"),
    [
        (429, {"type": "rate_limit_error", "message": "slow"}, "429", True), (429, {"code": "insufficient_quota", "message": "pay"}, "QUOTA", False),
        (529, {"type": "overloaded_error", "message": "Overloaded"}, "529", True), (500, {"type": "api_error", "message": "oops"}, "500", True),
        (400, {"code": "context_length_exceeded", "message": "too long"}, "400", False), (404, {"code": "model_not_found", "message": "none"}, "404", False),
        (401, {"message": "who"}, "AUTHENTICATION", False),
    ],
)  # fmt: skip
async def test_what_the_server_refuses(target: Target, ask, status: int, error: dict[str, Any], code: str, again: bool):
    target.routes["/v1/chat/completions"] = (status, {}, {"error": error})
    found = await failure(ask(prompt="p"))
    assert (found.code, found.retries is None) == (code, again) and error["message"] in found.message


@pytest.mark.parametrize("answer", [{}, {"choices": []}, {"choices": [{}]}, [], "text", {"choices": [{"message": "x"}]}])
async def test_an_answer_of_another_kind(target: Target, ask, answer: Any):
    target.routes["/v1/chat/completions"] = target.routes["/v1/messages"] = (200, {}, answer)
    for api in ("openai", "anthropic"):
        found = await failure(ask(api=api, prompt="p"))
        assert (found.code, found.retries) == ("ANSWER_UNREADABLE", 0)


async def test_a_server_of_ones_own_that_asks_for_no_key(target: Target, bench):
    target.routes["/v1/chat/completions"] = lambda r: (200, {}, openai("" if "authorization" in r.headers else "free"))
    found = await bench("llm")({"url": f"{target.url}/v1/", "model": "m", "prompt": "p"}, OUT)
    assert found["out"]["text"] == "free"


GOOD = {"model": "m", "prompt": "p", "apiKey": "{{secrets.K}}"}


@pytest.mark.parametrize(
    ("inputs", "headers", "words"),
    [
        (GOOD, {}, ""), ({**GOOD, "api": "own"}, {}, "api"), ({"model": "m", "apiKey": "{{secrets.K}}"}, {}, "expected prompt"),
        (GOOD, {"promptTemplate": "{{ a }}"}, "found both"), (GOOD, {"schema": "{"}, "schema"), (GOOD, {"schema": '{"type": "array"}'}, "schema"),
        (GOOD, {"schema": '{"type": "object", "properties": 7}'}, "schema"), ({**GOOD, "temperature": "3"}, {}, "temperature"),
        ({**GOOD, "maxTokens": "0"}, {}, "maxTokens"), ({**GOOD, "maxCost": "1"}, {}, "prices"), (GOOD, {"profile": "models"}, "profile"),
        ({"model": "m", "prompt": "p"}, {"profile": "models"}, ""), ({"model": "m"}, {"promptTemplate": "{{ a + }}"}, "promptTemplate"),
    ],
)  # fmt: skip
def test_findings(inputs, headers, words: str):
    found = said(inputs, headers, "flowledger:llm")
    assert bool(found) == bool(words) and (not words or words in found[0][2]), found

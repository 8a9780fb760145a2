"""A language model asked once, over the HTTP connector's machinery: the chat interface of OpenAI, which many servers speak (also those on one's own
machine), and that of Anthropic.

What is sent is what the model of the process says and what its data fill in; what comes back is data: nothing of it is taken for a secret, an
expression or an instruction of ours.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from flowledger.connectors.fields import LITERAL, Count, ProfileName, Seconds, Secret
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.http.config import PROFILE, ApiKey, Authentication, Bearer, HttpConfig, NoAuth, Url
from flowledger.connectors.templated import Template, filled
from flowledger.events import avro
from flowledger.kernel.tasks import schema_rules, schemas

CHARS_MAX = 1_000_000
MESSAGES_MAX = 500
TOKENS_MAX = 1_000_000
#: the name of the answer's shape, for those that ask for one
ANSWER = "answer"
#: bytes of what is asked that are reckoned as one token, before it is sent
BYTES_OF_TOKEN = 3
WORDS_MAX = 300
_ADDRESSES = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com/v1"}
_PATHS = {"openai": "/chat/completions", "anthropic": "/messages"}
_VERSION = "2023-06-01"
_encode = msgspec.json.Encoder(decimal_format="number").encode


def number(value: Any) -> Any:
    """A text as headers and templates give it; fractions as they are written."""
    return str(value) if isinstance(value, (float, int)) and not isinstance(value, bool) else value


Price = Annotated[Decimal, BeforeValidator(number), Field(ge=0, le=1_000_000, allow_inf_nan=False)]


Prices = Annotated[dict[Literal["input", "output"], Price], Field(min_length=2)]


class LlmConfig(Config):
    """Asks a language model, and takes its answer as text or in a shape."""

    model_config = ConfigDict(title="Language model")

    profile: ProfileName = PROFILE
    api: Literal["openai", "anthropic"] = Field(
        "openai", description="What the server speaks; many speak as OpenAI does", title="Interface"
    )
    url: Url | None = Field(
        None,
        description="Where it stands, such as http://localhost:11434/v1; empty: the maker's own. With a profile: a path below",
        title="Address",
    )
    api_key: Secret | None = Field(None, description="A reference: {{secrets.NAME}}; empty: the server asks nobody", title="Key")
    model: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="As the server names it", title="Model")
    system: Annotated[str, Field(max_length=CHARS_MAX)] = Field("", description="What it is told to be", title="System")
    prompt: Annotated[str, Field(max_length=CHARS_MAX)] = Field("", description="What it is asked", title="Prompt")
    system_template: Template | None = Field(
        None, description="With {{ FEEL }} over data", title="System (template)", json_schema_extra=LITERAL
    )
    prompt_template: Template | None = Field(
        None, description="With {{ FEEL }} over data", title="Prompt (template)", json_schema_extra=LITERAL
    )
    data: dict[str, Any] = Field({}, description="A context: what templates see", title="Data")
    messages: Annotated[list[dict[str, Any]], Field(max_length=MESSAGES_MAX)] = Field(
        [], description="What was said before: list of {role, content}, role user or assistant", title="Messages before"
    )
    schema_: dict[str, Any] | None = Field(
        None, alias="schema", description="JSON Schema of an object: the answer has that shape, and is checked", title="Shape of the answer"
    )
    temperature: Annotated[Decimal, BeforeValidator(number), Field(ge=0, le=2)] | None = Field(
        None, description="0 to 2", title="Temperature"
    )
    max_tokens: Annotated[Count, Field(le=TOKENS_MAX)] = Field(1024, description="Of the answer, at most", title="Tokens of the answer")
    max_input_tokens: Annotated[Count, Field(le=10 * TOKENS_MAX)] | None = Field(
        None, description="What is asked, reckoned before it is sent", title="Tokens of what is asked"
    )
    prices: Prices | None = Field(None, description="Of a million tokens: {input, output}", title="Prices")
    max_cost: Price | None = Field(None, description="Of one call, reckoned before it is sent; with prices", title="Cost at most")
    timeout_in_seconds: Seconds = Field(120, description="For all of the call", title="Time limit (s)")

    @field_validator("schema_", mode="before")
    @classmethod
    def _parsed(cls, value: Any) -> Any:
        """A header has it as text."""
        if isinstance(value, str):
            try:
                return avro.decode_json(value.encode())
            except (ValueError, RecursionError):
                raise ValueError("expected a JSON Schema") from None
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("system", "prompt"):
            if getattr(self, name) and getattr(self, f"{name}_template"):
                raise ValueError(f"expected {name} or {name}Template, found both")
        if not (self.prompt or self.prompt_template or self.messages):
            raise ValueError("expected prompt, promptTemplate or messages")
        for i, message in enumerate(self.messages):
            if (
                message.get("role") not in ("user", "assistant")
                or not isinstance(message.get("content"), str)
                or message.keys() - {"role", "content"}
            ):
                raise ValueError(f"messages[{i}]: expected {{role, content}}, the role user or assistant, the content a text")
        if self.max_cost is not None and self.prices is None:
            raise ValueError("max_cost: needs prices")
        if self.schema_ is not None:
            if self.schema_.get("type") != "object":
                raise ValueError("schema: expected that of an object, with type object")
            if wrong := schema_rules.problems(self.schema_):
                raise ValueError(wrong[0])
        if self.profile and self.api_key:
            raise ValueError("api_key: who we are stands in the profile")
        return self


class LlmConnector:
    name = "llm"
    job_type = "flowledger:llm"
    aliases: tuple[str, ...] = ()
    config: type[Config] = LlmConfig

    def __init__(self) -> None:
        from flowledger.connectors.http.connector import HttpConnector

        self._http = HttpConnector()

    async def close(self) -> None:
        await self._http.close()

    async def call(self, config: LlmConfig, call: Call) -> dict[str, Any]:
        """`{text, value, finish, model, id, usage: {input, output, cost}}`. Raises: as the HTTP connector, and Failed for what the server says itself."""
        asked = _asked(config)
        tokens = reckoned(asked)
        check_input(config, tokens)
        if config.max_cost is not None and (cost := cost_of(config, tokens, config.max_tokens)) is not None and cost > config.max_cost:
            raise Failed("COST_LIMIT", f"the call may cost {cost}, more than the {config.max_cost} of maxCost")
        answer = await told(self._http, config, asked, call)
        found = _found(config, answer)
        usage = found["usage"]
        call.notes |= {"tokens_in": usage["input"], "tokens_out": usage["output"]}
        if config.schema_ is not None:
            found["value"] = _shaped(config.schema_, found, answer)
        return found


async def told(http: Any, config: LlmConfig, asked: dict[str, Any], call: Call) -> dict[str, Any]:
    """What the model's server answers, over the HTTP connector. Raises: as that one, and Failed for what the server says itself."""
    authentication: Authentication = NoAuth()
    headers = {}
    if config.api == "anthropic":
        headers["anthropic-version"] = _VERSION
        if config.api_key:
            authentication = ApiKey(type="apiKey", name="x-api-key", value=config.api_key)
    elif config.api_key:
        authentication = Bearer(type="bearer", token=config.api_key)
    base = (config.url or ("" if config.profile else _ADDRESSES[config.api])).rstrip("/")
    request = HttpConfig.model_validate({
        "profile": config.profile, "url": base + _PATHS[config.api], "method": "POST", "authentication": authentication, "headers": headers,
        "body": asked, "read_timeout_in_seconds": config.timeout_in_seconds, "timeout_in_seconds": config.timeout_in_seconds,
    })  # fmt: skip
    call.notes["model"] = config.model
    try:
        found: dict[str, Any] = await http.call(request, call)
    except Failed as e:
        raise _refused(e) from None
    return found


def check_input(config: LlmConfig, tokens: int) -> None:
    """Raises: Failed."""
    if config.max_input_tokens is not None and tokens > config.max_input_tokens:
        raise Failed("TOKEN_LIMIT", f"what is asked has about {tokens} tokens, more than the {config.max_input_tokens} of maxInputTokens")


def reckoned(asked: dict[str, Any]) -> int:
    """Tokens of what is asked, before anybody counted them."""
    return math.ceil(len(_encode(asked)) / BYTES_OF_TOKEN)


def _asked(config: LlmConfig) -> dict[str, Any]:
    """Raises: Failed."""
    system = filled(config.system_template, config.data) if config.system_template else config.system
    prompt = filled(config.prompt_template, config.data) if config.prompt_template else config.prompt
    messages = [{"role": m["role"], "content": m["content"]} for m in config.messages] + (
        [{"role": "user", "content": prompt}] if prompt else []
    )
    asked: dict[str, Any] = {"model": config.model, "messages": messages, "max_tokens": config.max_tokens}
    if config.temperature is not None:
        asked["temperature"] = config.temperature
    if config.api == "anthropic":
        if system:
            asked["system"] = system
        if config.schema_ is not None:  # a tool that it has to use is its way to a shape
            asked |= {
                "tools": [{"name": ANSWER, "description": "Takes the answer", "input_schema": config.schema_}],
                "tool_choice": {"type": "tool", "name": ANSWER},
            }
        return asked
    if system:
        asked["messages"] = [{"role": "system", "content": system}, *messages]
    if config.schema_ is not None:
        asked["response_format"] = {"type": "json_schema", "json_schema": {"name": ANSWER, "schema": config.schema_}}
    return asked


def cost_of(config: LlmConfig, tokens_in: int | None, tokens_out: int | None) -> Decimal | None:
    if config.prices is None or tokens_in is None or tokens_out is None:
        return None
    return (config.prices["input"] * tokens_in + config.prices["output"] * tokens_out) / 1_000_000


def _refused(e: Failed) -> Failed:
    """With the server's own words, and what they mean."""
    body = (e.response or {}).get("body")
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    kind, words = str(error.get("code") or error.get("type") or ""), " ".join(str(error.get("message") or "").split())[:WORDS_MAX]
    message = f"{e.message}: {words}" if words else e.message
    if e.code == "401":
        return Failed("AUTHENTICATION", message, response=e.response)
    if kind == "insufficient_quota":
        return Failed("QUOTA", message, response=e.response)
    return Failed(e.code, message, again=e.again or e.code == "529", after_s=e.after_s, response=e.response)


def _found(config: LlmConfig, answer: dict[str, Any]) -> dict[str, Any]:
    """Raises: Failed."""
    try:
        found = (_of_anthropic if config.api == "anthropic" else _of_openai)(answer["body"])
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Failed("ANSWER_UNREADABLE", f"expected an answer as {config.api} gives it", response=answer) from None
    if found["finish"] == "refused":
        raise Failed("REFUSED", f"the model does not answer: {found['text'][:WORDS_MAX] or 'without words'}", response=answer)
    usage = found["usage"]
    usage["cost"] = cost_of(config, usage["input"], usage["output"])
    return found


FINISH = {
    "stop": "stop", "end_turn": "stop", "stop_sequence": "stop", "tool_use": "stop", "length": "length", "max_tokens": "length",
    "content_filter": "refused", "refusal": "refused",
}  # fmt: skip


def _of_openai(body: Any) -> dict[str, Any]:
    choice, usage = body["choices"][0], body.get("usage") or {}
    message = choice["message"]
    text = message.get("content") or ""
    refused = message.get("refusal")
    return {
        "text": str(refused or text), "value": None, "finish": "refused" if refused else FINISH.get(str(choice.get("finish_reason")), "stop"),
        "model": body.get("model"), "id": body.get("id"), "usage": {"input": tokens_of(usage, "prompt_tokens"), "output": tokens_of(usage, "completion_tokens")},
    }  # fmt: skip


def _of_anthropic(body: Any) -> dict[str, Any]:
    usage = body.get("usage") or {}
    parts = body["content"]
    return {
        "text": "".join(p["text"] for p in parts if p["type"] == "text"),
        "value": next((p["input"] for p in parts if p["type"] == "tool_use" and p["name"] == ANSWER), None),
        "finish": FINISH.get(str(body.get("stop_reason")), "stop"), "model": body.get("model"), "id": body.get("id"),
        "usage": {"input": tokens_of(usage, "input_tokens"), "output": tokens_of(usage, "output_tokens")},
    }  # fmt: skip


def tokens_of(usage: Any, name: str) -> int | None:
    found = usage.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _shaped(schema: dict[str, Any], found: dict[str, Any], answer: dict[str, Any]) -> Any:
    """What the answer says in its shape; another attempt may have it right. Raises: Failed."""
    value = found["value"]
    if value is None:
        try:
            value = avro.decode_json(found["text"].encode())
        except (ValueError, RecursionError, UnicodeError):
            why = "it was cut off by maxTokens" if found["finish"] == "length" else "it is no JSON"
            raise Failed("ANSWER_SHAPE", f"the answer has not the shape that was asked for: {why}", again=True, response=answer) from None
    if wrong := schemas.check(schema, value):
        told = "; ".join(str(w) for w in wrong[:3])[:WORDS_MAX]
        raise Failed("ANSWER_SHAPE", f"the answer has not the shape that was asked for: {told}", again=True, response=answer)
    return value

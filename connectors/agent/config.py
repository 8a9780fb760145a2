"""What an agent is told by its model, and what it has in mind between two answers of the language model."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from flowledger.connectors.fields import LITERAL, Count
from flowledger.connectors.llm import TOKENS_MAX, LlmConfig, Price, number
from flowledger.events import avro

STEPS_MAX = 1_000
SECONDS_MAX = 30 * 86_400
ANSWER_CHARS_MAX = 1_000_000
#: fields that no author fills in
_OWN: dict[str, Any] = {"template": False}


def parsed(value: Any) -> Any:
    """A header has it as text."""
    if isinstance(value, str):
        try:
            return avro.decode_json(value.encode())
        except (ValueError, RecursionError):
            raise ValueError("expected JSON") from None
    return value


class AgentConfig(LlmConfig):
    """A language model that chooses among the activities of an ad-hoc sub-process until it is done."""

    model_config = ConfigDict(title="Agent")
    element: ClassVar[str] = "bpmn:AdHocSubProcess"

    max_steps: Annotated[Count, Field(le=STEPS_MAX)] = Field(20, description="So often the model is asked", title="Steps at most")
    max_total_tokens: Annotated[Count, Field(le=100 * TOKENS_MAX)] | None = Field(
        None, description="Of all steps, in and out; reckoned before each", title="Tokens at most"
    )
    max_cost: Price | None = Field(None, description="Of all steps, reckoned before each; with prices", title="Cost at most")
    max_seconds: Annotated[Count, Field(le=SECONDS_MAX)] | None = Field(
        None, description="From the first step on, the work of tools and people included", title="Time at most (s)"
    )
    tool_answer_chars: Annotated[Count, Field(le=ANSWER_CHARS_MAX)] = Field(
        20_000, description="More of what one tool answers is cut off for the model", title="Characters of a tool's answer"
    )
    ask: Annotated[str, Field(max_length=200)] = Field(
        "", description="Id of the activity inside by which a person is asked", title="Who is asked when unsure", json_schema_extra=LITERAL
    )
    min_confidence: Annotated[Decimal, BeforeValidator(number), Field(ge=0, le=1)] | None = Field(
        None, description="0 to 1: an answer that the model is less sure of goes to a person first", title="Confidence at least"
    )
    tools: Annotated[list[dict[str, Any]], Field(max_length=100)] = Field(
        [], description="What can be chosen, as the engine reads it in the model", title="Tools", json_schema_extra={**LITERAL, **_OWN}
    )
    agent_memory: dict[str, Any] | None = Field(
        None, description="What was said so far, as the agent itself keeps it", title="Memory", json_schema_extra=_OWN
    )
    tool_call_results: list[dict[str, Any]] | None = Field(
        None, description="What tools gave, as the engine collects it", title="What tools gave", json_schema_extra=_OWN
    )

    @field_validator("tools", mode="before")
    @classmethod
    def _tools(cls, value: Any) -> Any:
        return parsed(value)

    @model_validator(mode="after")
    def _asks(self) -> Self:
        ids = [tool.get("id") for tool in self.tools]
        if self.ask and self.tools and self.ask not in ids:
            raise ValueError(f"ask: expected an activity inside without incoming flow ({', '.join(map(str, ids))}), found {self.ask!r}")
        if self.min_confidence is not None and not self.ask:
            raise ValueError("min_confidence: needs ask, the activity by which a person is asked")
        return self

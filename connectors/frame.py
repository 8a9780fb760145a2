"""What all connectors have in common: the shape of one, what a call gets, and how it says that it failed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    import httpx2

    from flowledger.infra.egress import Gate
    from flowledger.infra.secrets.mask import Mask


class Config(BaseModel):
    """Base of configurations. Names are those of `zeebe:input` targets (camel case); a field that nobody knows is refused."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True)
    #: what the element template makes of an element
    element: ClassVar[str] = "bpmn:ServiceTask"


class Failed(Exception):
    """A call that did not do what it should.

    Attributes:
        code: stable, for policies and `errorExpression`: HTTP's status as text, or a word in capitals.
        again: another attempt may help.
        after_s: not before so many seconds, as the other side said; None: it said nothing.
        response: what came back, if anything: `{status, headers, body}`.
    """

    def __init__(
        self, code: str, message: str, *, again: bool = False, after_s: float | None = None, response: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.again, self.after_s, self.response = code, message, again, after_s, response


@dataclass(slots=True)
class Turn:
    """What a connector that chooses in an ad-hoc sub-process comes to: which elements it wants, with the variables that are their own, or (`done`) its answer.

    `variables` are its memory, `summary` and `metrics` are for the record of the work.
    """

    variables: dict[str, Any]
    activate: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    done: bool = False
    answer: Any = None
    summary: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)


Keep = Callable[[str, str, AsyncIterator[bytes]], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Report:
    """A saved report as a file, and what it is of: `since` and `until` as ISO 8601, so many `rows`."""

    title: str
    content: bytes
    media_type: str
    rows: int
    since: str
    until: str


@dataclass(slots=True)
class Call:
    """What one call knows beside its configuration.

    Attributes:
        key: idempotency key: the same for each delivery and each attempt of the work.
        trace: W3C `traceparent` to pass on; empty: none.
        mask: takes every value that must not be shown, tokens that were fetched included.
        target: set by the connector: where the call goes, without path and query.
        status: set by the connector: what the other side said.
        profile: the API profile (`profiles.Profile`) of a name, for this call; None: nobody looks them up here.
        own_topics: prefix of the ledger's own topics, which no connector writes; empty: none.
        report: of a name, a format and a time (empty: now) the saved report up to then; None: nobody has rows here.
        keep: of a name (empty: one is made), a media type and pieces, attaches a file of up to `file_bytes_max` bytes to the instance and gives `{name,
            mediaType, size, sha256}`; None: nobody keeps files here.
        kept: the bytes of a file that was kept, by its SHA-256.
    """

    key: str
    trace: str
    gate: Gate
    client: httpx2.AsyncClient
    mask: Mask
    answer_bytes_max: int
    seconds_max: float
    user_agent: str
    target: str = ""
    status: str = ""
    own_topics: str = ""
    keep: Keep | None = None
    kept: Callable[[str], Awaitable[bytes]] | None = None
    file_bytes_max: int = 0
    profile: Callable[[str], Awaitable[Any]] | None = None
    report: Callable[[str, str, str], Awaitable[Report]] | None = None
    notes: dict[str, Any] = field(default_factory=dict)


class Connector(Protocol):
    """One kind of call. `job_type` is what its jobs are called, `aliases` others that mean the same; title and description of `config` are the connector's."""

    name: str
    job_type: str
    aliases: tuple[str, ...]
    config: type[Config]

    async def call(self, config: Any, call: Call) -> Any:
        """The answer as a JSON value. Raises: Failed, and what httpx2 and the gate raise (`outcomes` tells them apart)."""


@runtime_checkable
class Answering(Protocol):
    """A connector whose answer is the task's variables where the model doesn't say what becomes of it."""

    def variables(self, answer: Any) -> dict[str, Any]: ...


@runtime_checkable
class Choosing(Protocol):
    """A connector that works on the jobs of an ad-hoc sub-process: its calls answer a `Turn`."""

    chooses: bool


@runtime_checkable
class Closing(Protocol):
    """A connector that keeps something open between calls."""

    async def close(self) -> None:
        """Nothing is called any more."""

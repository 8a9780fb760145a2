"""GraphQL over the HTTP connector's machinery: authentication, redirects, limits and classes of errors are its.

Source: GraphQL over HTTP (draft of the GraphQL Foundation): a request is a POST of JSON, and an answer with `errors` may come with status 200.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from flowledger.connectors.fields import ProfileName, Seconds
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.http.config import PROFILE, Authentication, Headers, HttpConfig, IdempotencyHeader, NoAuth, Url, alone

QUERY_CHARS_MAX = 100_000
#: characters of the server's own words that an incident repeats
_WORDS_MAX = 300
_ACCEPT = "application/graphql-response+json, application/json;q=0.9"


class GraphQLConfig(Config):
    """Asks a GraphQL API, or changes something there."""

    model_config = ConfigDict(title="GraphQL")

    profile: ProfileName = PROFILE
    url: Url
    query: Annotated[str, Field(min_length=1, max_length=QUERY_CHARS_MAX)] = Field(
        description="The document: query or mutation; what varies goes to the variables", title="Query"
    )
    variables: dict[str, Any] = Field({}, description="A context: the variables of the document", title="Variables")
    operation_name: Annotated[str, Field(pattern=r"^$|^[_A-Za-z][_0-9A-Za-z]*$", max_length=256)] = Field(
        "", description="Which operation, where the document has several", title="Operation"
    )
    authentication: Authentication = Field(NoAuth(), description="Who we are to the server", title="Authentication")
    headers: Headers = Field({}, description="Headers of the request", title="Headers")
    errors: Literal["fail", "take"] = Field(
        "fail", description="An answer with both data and errors: fail, or take it as it is", title="Errors beside data"
    )
    connection_timeout_in_seconds: Seconds = Field(20, description="Until there is a connection", title="Connection time limit (s)")
    read_timeout_in_seconds: Seconds = Field(20, description="Between two pieces of the answer", title="Read time limit (s)")
    timeout_in_seconds: Seconds = Field(60, description="For all of the call", title="Time limit (s)")
    idempotency_header: IdempotencyHeader = Field(
        "Idempotency-Key", description="Header that carries the key of the work; empty: none", title="Idempotency header"
    )

    @field_validator("query")
    @classmethod
    def _answered_once(cls, query: str) -> str:
        if query.lstrip().startswith("subscription"):
            raise ValueError("a subscription has no end: expected a query or a mutation")
        return query

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        alone(self.profile, self.authentication)
        return self


class GraphQLConnector:
    name = "graphql"
    job_type = "flowledger:graphql"
    aliases: tuple[str, ...] = ()
    config: type[Config] = GraphQLConfig

    def __init__(self) -> None:
        from flowledger.connectors.http.connector import HttpConnector

        self._http = HttpConnector()

    async def close(self) -> None:
        await self._http.close()

    async def call(self, config: GraphQLConfig, call: Call) -> dict[str, Any]:
        """`{status, reason, headers, body: {data, errors, extensions}}`. Raises: as the HTTP connector, and Failed for what the server says itself."""
        body: dict[str, Any] = {"query": config.query, "variables": config.variables}
        if config.operation_name:
            body["operationName"] = config.operation_name
        given = {
            "profile": config.profile,
            "url": config.url, "method": "POST", "authentication": config.authentication, "headers": {"Accept": _ACCEPT, **config.headers}, "body": body,
            "connection_timeout_in_seconds": config.connection_timeout_in_seconds, "read_timeout_in_seconds": config.read_timeout_in_seconds,
            "timeout_in_seconds": config.timeout_in_seconds, "idempotency_header": config.idempotency_header,
        }  # fmt: skip
        request = HttpConfig.model_validate(given)
        try:
            answer = await self._http.call(request, call)
        except Failed as e:
            # a document that the server can't take is told with 4xx, or with 200 by servers of before: the words are worth having
            if said := _said((e.response or {}).get("body")):
                e.message = f"{e.message}: {said}"
            raise
        found = answer["body"]
        if not isinstance(found, dict) or not ({"data", "errors"} & found.keys()):
            raise Failed("ANSWER_UNREADABLE", "expected an object with data or errors from a GraphQL server", response=answer)
        if found.get("errors") and (found.get("data") is None or config.errors == "fail"):
            raise Failed("GRAPHQL", f"the server answers with errors: {_said(found)}", response=answer)
        return answer


def _said(body: Any) -> str:
    """The message of the first error; empty: there is none."""
    errors = body.get("errors") if isinstance(body, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    text = first.get("message") if isinstance(first, dict) else None
    return " ".join(text.split())[:_WORDS_MAX] if isinstance(text, str) else "" if first is None else "an error without words"

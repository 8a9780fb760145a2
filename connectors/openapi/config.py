"""Configuration of the OpenAPI connector."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from flowledger.connectors.fields import LITERAL, Index, ProfileName, Seconds, Text, dropped
from flowledger.connectors.frame import Config, Failed
from flowledger.connectors.http.config import PROFILE, Authentication, Headers, IdempotencyHeader, NoAuth, alone

DOCUMENT_CHARS_MAX = 1_000_000
PARAMETERS_MAX = 200


class OpenApiConfig(Config):
    """Calls one operation of an API that is described by an OpenAPI document."""

    model_config = ConfigDict(title="OpenAPI")

    profile: ProfileName = PROFILE
    document: Annotated[str, Field(max_length=DOCUMENT_CHARS_MAX)] = Field(
        "", description="The document itself, OpenAPI 3.0 or 3.1 as JSON or YAML", title="Document", json_schema_extra=LITERAL
    )
    document_url: Annotated[str, Field(max_length=8192)] = Field(
        "", description="Where the document is, instead; with a profile a path below its address may do", title="Address of the document",
        json_schema_extra=LITERAL,
    )  # fmt: skip
    operation_id: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="The operation, by its operationId", title="Operation", json_schema_extra=LITERAL
    )
    url: Annotated[str, Field(max_length=8192)] = Field(
        "", description="Address of the server; empty: the profile's, else the one that the document names", title="Server"
    )
    server: Index = Field(0, description="Which of the document's servers; the first is 0", title="Number of the server")
    server_variables: Annotated[dict[str, Text], BeforeValidator(dropped)] = Field(
        {}, description="Parts of the address of the document's server", title="Variables of the server"
    )
    parameters: Annotated[dict[str, Any], BeforeValidator(dropped), Field(max_length=PARAMETERS_MAX)] = Field(
        {}, description="A context: by name, whether they go into path, query, header or cookie; query.name where several have it",
        title="Parameters",
    )  # fmt: skip
    body: Any = Field(None, description="What is sent, checked against the document", title="Body")
    content_type: Annotated[str, Field(pattern=r"^$|^[\w.+-]+/[\w.+-]+$", max_length=200)] = Field(
        "", description="Which of the document's media types is sent; empty: JSON where it may be", title="Content type"
    )
    answers: Literal["take", "check"] = Field(
        "take", description="Whether an answer that is not as the document says is taken", title="Answers"
    )
    authentication: Authentication = Field(NoAuth(), description="Who we are to the server", title="Authentication")
    headers: Headers = Field({}, description="Further headers of the request", title="Headers")
    connection_timeout_in_seconds: Seconds = Field(20, description="Until there is a connection", title="Connection time limit (s)")
    read_timeout_in_seconds: Seconds = Field(20, description="Between two pieces of the answer", title="Read time limit (s)")
    timeout_in_seconds: Seconds = Field(60, description="For all of the call", title="Time limit (s)")
    idempotency_header: IdempotencyHeader = Field(
        "Idempotency-Key", description="Header that carries the key of the work; empty: none", title="Idempotency header"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        alone(self.profile, self.authentication)
        if bool(self.document) == bool(self.document_url):
            raise ValueError("expected one of document and documentUrl")
        if self.profile and self.url:
            raise ValueError("url: the address of the profile holds, expected none")
        if self.document_url and "://" not in self.document_url and not self.profile:
            raise ValueError("document_url: expected an address with https://, or a profile that it is below")
        if self.document:
            from flowledger.connectors.openapi.document import Document

            try:
                Document(self.document).operation(self.operation_id)
            except Failed as e:
                raise ValueError(e.message) from None
        return self

"""Configuration of the HTTP connector. Names and types as Camunda's `io.camunda:http-json:1` has them, where it has them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from flowledger.connectors.fields import LITERAL, NAME, Flag, Name, ProfileName, Seconds, Secret, Text, dropped
from flowledger.connectors.frame import Config

HEADERS_MAX = 100
HEADER_CHARS_MAX = 16_384
PARTS_MAX = 100
REDIRECTS_MAX = 10


def _ours_left(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if len(value) > HEADER_CHARS_MAX or any(ch in value for ch in "\r\n\0"):
            raise ValueError(f"headers.{name}: expected one line of at most {HEADER_CHARS_MAX} characters")
        if name.lower() in ("host", "content-length", "transfer-encoding", "connection", "upgrade"):
            raise ValueError(f"headers.{name}: this header is the connector's own")
    return headers


class NoAuth(Config):
    type: Literal["noAuth"] = "noAuth"


class Basic(Config):
    """RFC 7617."""

    type: Literal["basic"]
    username: Annotated[str, Field(min_length=1, max_length=1024)]
    password: Secret


class Bearer(Config):
    """RFC 6750."""

    type: Literal["bearer"]
    token: Secret


class ApiKey(Config):
    """A key in a header or in the query."""

    type: Literal["apiKey"]
    api_key_location: Literal["headers", "query"] = "headers"
    name: Name
    value: Secret


class OAuth(Config):
    """Client credentials (RFC 6749, 4.4). Tokens are kept until shortly before they end."""

    type: Literal["oauth-client-credentials-flow"]
    grant_type: Literal["client_credentials"] = "client_credentials"
    oauth_token_endpoint: Annotated[str, Field(min_length=1, max_length=8192)]
    client_id: Annotated[str, Field(min_length=1, max_length=1024)]
    client_secret: Secret
    audience: Annotated[str, Field(max_length=1024)] | None = None
    scopes: Annotated[str, Field(max_length=4096)] | None = None
    client_authentication: Literal["basicAuthHeader", "credentialsBody"] = "basicAuthHeader"


Authentication = Annotated[NoAuth | Basic | Bearer | ApiKey | OAuth, Field(discriminator="type")]


Url = Annotated[str, Field(min_length=1, max_length=8192, description="Address, with http:// or https://", title="URL")]
PROFILE: Any = Field(
    "", title="API profile", json_schema_extra=LITERAL,
    description="How the API is called: its address, authentication, limits. The URL is then a path below its address",
)  # fmt: skip
Headers = Annotated[dict[Name, Text], BeforeValidator(dropped), Field(max_length=HEADERS_MAX), AfterValidator(_ours_left)]
IdempotencyHeader = Annotated[str, Field(pattern=r"^$|" + NAME, max_length=256)]


def alone(profile: str, authentication: Any) -> None:
    """Raises: ValueError."""
    if profile and not isinstance(authentication, NoAuth):
        raise ValueError("authentication: that of the profile holds, expected none")


class HttpConfig(Config):
    """Calls an HTTP API and takes its answer."""

    model_config = ConfigDict(title="HTTP/REST")

    profile: ProfileName = PROFILE
    url: Url
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] = Field("GET", description="HTTP method", title="Method")
    authentication: Authentication = Field(NoAuth(), description="Who we are to the server", title="Authentication")
    headers: Headers = Field({}, description="Headers of the request", title="Headers")
    query_parameters: Annotated[dict[str, Text | list[Text]], BeforeValidator(dropped), Field(max_length=HEADERS_MAX)] = Field(
        {}, description="Added to the query of the URL; a list gives the name several times", title="Query parameters"
    )
    body: Any = Field(
        None,
        description="A context or list is sent as JSON, a text as it is; by Content-Type also as form or multipart",
        title="Body",
    )
    connection_timeout_in_seconds: Seconds = Field(20, description="Until there is a connection", title="Connection time limit (s)")
    read_timeout_in_seconds: Seconds = Field(20, description="Between two pieces of the answer", title="Read time limit (s)")
    timeout_in_seconds: Seconds = Field(60, description="For all of the call, redirects included", title="Time limit (s)")
    follow_redirects: Flag = Field(False, description="Follow redirects of GET and HEAD, and 303 of others", title="Follow redirects")
    idempotency_header: IdempotencyHeader = Field(
        "Idempotency-Key", description="Header that carries the key of the work; empty: none", title="Idempotency header"
    )
    store_response: Flag = Field(
        False, description="The answer is kept as a file of the instance, whatever it is, and stands as `document`", title="Store response"
    )
    file_name: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f/\\]*$")] = Field(
        "", description="Of the stored answer; empty: made of the element and the job", title="File name"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.method in ("GET", "HEAD", "OPTIONS") and self.body not in (None, ""):
            raise ValueError(f"body: {self.method} takes none")
        alone(self.profile, self.authentication)
        if self.file_name and not self.store_response:
            raise ValueError("file_name: names a stored answer, expected store_response")
        return self

"""Configuration of the SOAP connector."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from flowledger.connectors.fields import LITERAL, Flag, ProfileName, Seconds, Secret, dropped
from flowledger.connectors.frame import Config, Failed
from flowledger.connectors.http.config import PROFILE, Authentication, Headers, IdempotencyHeader, NoAuth, alone

WSDL_CHARS_MAX = 1_000_000
#: arguments of a call: parts of its message
ARGUMENTS_MAX = 200
_NAME = Annotated[str, Field(max_length=256)]


class NoSecurity(Config):
    type: Literal["none"] = "none"


class UsernameToken(Config):
    """WS-Security UsernameToken Profile 1.1, sent in the envelope's header."""

    type: Literal["usernameToken"]
    username: Annotated[str, Field(min_length=1, max_length=1024)]
    password: Secret
    digest: Flag = False


class SoapConfig(Config):
    """Calls an operation of a SOAP service that is described by WSDL."""

    model_config = ConfigDict(title="SOAP")

    profile: ProfileName = PROFILE
    wsdl: Annotated[str, Field(max_length=WSDL_CHARS_MAX)] = Field(
        "", description="The WSDL itself, version 1.1, without imports of others", title="WSDL", json_schema_extra=LITERAL
    )
    wsdl_url: Annotated[str, Field(max_length=8192)] = Field(
        "", description="Where the WSDL is, instead; with a profile a path below its address may do", title="Address of the WSDL",
        json_schema_extra=LITERAL,
    )  # fmt: skip
    operation: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="The operation, by its name", title="Operation", json_schema_extra=LITERAL
    )
    service: _NAME = Field("", description="Which of the WSDL's services; empty: the first that has the operation", title="Service")
    port: _NAME = Field("", description="Which of its ports; empty: the first that has the operation", title="Port")
    url: Annotated[str, Field(max_length=8192)] = Field(
        "",
        description="Address of the service; empty: the one that the WSDL names. With a profile a path below its address",
        title="Address",
    )
    arguments: Annotated[dict[str, Any], BeforeValidator(dropped), Field(max_length=ARGUMENTS_MAX)] = Field(
        {}, description="A context: parts of the message by name, as the WSDL's types nest them", title="Arguments"
    )
    soap_headers: Annotated[dict[str, Any], BeforeValidator(dropped), Field(max_length=ARGUMENTS_MAX)] = Field(
        {}, description="A context: headers of the envelope that the WSDL declares, by name", title="SOAP headers"
    )
    security: Annotated[NoSecurity | UsernameToken, Field(discriminator="type")] = Field(
        NoSecurity(), description="Who we are to the service, in the envelope (WS-Security)", title="WS-Security"
    )
    authentication: Authentication = Field(NoAuth(), description="Who we are to the server, in HTTP", title="Authentication")
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
        if bool(self.wsdl) == bool(self.wsdl_url):
            raise ValueError("expected one of wsdl and wsdlUrl")
        if self.wsdl_url and "://" not in self.wsdl_url and not self.profile:
            raise ValueError("wsdl_url: expected an address with https://, or a profile that it is below")
        if self.wsdl:
            from flowledger.connectors.soap.service import inline

            try:
                inline(self.wsdl).place(self.operation, self.service, self.port)
            except Failed as e:
                raise ValueError(e.message) from None
        return self

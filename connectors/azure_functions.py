"""A call of an HTTP function of Azure, by way of the HTTP connector: with a key of the function, or a token of Entra ID."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from flowledger.connectors.fields import Seconds, Secret, Text, dropped
from flowledger.connectors.frame import Call, Config
from flowledger.connectors.http.config import HEADERS_MAX, Headers, HttpConfig, Url

KEY_HEADER = "x-functions-key"


class AzureFunctionsConfig(Config):
    """Calls an HTTP function of Azure."""

    model_config = ConfigDict(title="Azure Functions")

    app: Url = Field(description="Address of the function app: https://NAME.azurewebsites.net", title="Function app")
    function: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_/.{}:-]{0,255}$")] = Field(
        description="Its name, or its route with values", title="Function"
    )
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_/-]{0,64}$")] = Field(
        "api", description="Prefix of routes (host.json)", title="Prefix"
    )
    key: Secret | None = Field(None, description="Key of the function or its host, a reference: {{secrets.NAME}}", title="Function key")
    tenant: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{0,253}$")] = Field(
        "", description="Instead of a key, a token of Entra ID: id or domain of the directory", title="Directory"
    )
    client_id: Annotated[str, Field(max_length=256)] = Field(
        "", description="Of the application that we are in the directory", title="Client id"
    )
    client_secret: Secret | None = Field(None, description="A reference: {{secrets.NAME}}", title="Client secret")
    scope: Annotated[str, Field(max_length=1024)] = Field("", description="api://ID-OF-THE-FUNCTION-APP/.default", title="Scope")
    authority: Url = Field("https://login.microsoftonline.com", description="Where tokens come from", title="Authority")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field("POST", description="HTTP method", title="Method")
    headers: Headers = Field({}, description="Headers of the request", title="Headers")
    query_parameters: Annotated[dict[str, Text | list[Text]], BeforeValidator(dropped), Field(max_length=HEADERS_MAX)] = Field(
        {}, description="Added to the address", title="Query parameters"
    )
    body: Any = Field(None, description="A context or list is sent as JSON, a text as it is", title="Body")
    timeout_in_seconds: Seconds = Field(60, description="For all of the call", title="Time limit (s)")

    @model_validator(mode="after")
    def _who(self) -> Self:
        told = [bool(self.tenant), bool(self.client_id), self.client_secret is not None, bool(self.scope)]
        if any(told) and (self.key is not None or not all(told)):
            raise ValueError("expected key, or tenant, clientId, clientSecret and scope together, or none of them")
        if ".." in self.function or any(name.lower() == KEY_HEADER for name in self.headers):
            raise ValueError(f"function: expected no '..', and headers no {KEY_HEADER}")
        return self


class AzureFunctionsConnector:
    name = "azure-functions"
    job_type = "flowledger:azure-functions"
    aliases: tuple[str, ...] = ()
    config: type[Config] = AzureFunctionsConfig

    def __init__(self) -> None:
        from flowledger.connectors.http.connector import HttpConnector

        self._http = HttpConnector()

    async def close(self) -> None:
        await self._http.close()

    async def call(self, config: AzureFunctionsConfig, call: Call) -> dict[str, Any]:
        """`{status, reason, headers, body}`. Raises: as the HTTP connector."""
        authentication: dict[str, Any] = {"type": "noAuth"}
        if config.key is not None:
            authentication = {"type": "apiKey", "api_key_location": "headers", "name": KEY_HEADER, "value": config.key}
        elif config.tenant:
            authentication = {
                "type": "oauth-client-credentials-flow", "client_id": config.client_id, "client_secret": config.client_secret, "scopes": config.scope,
                "client_authentication": "credentialsBody",
                "oauth_token_endpoint": f"{config.authority.rstrip('/')}/{config.tenant}/oauth2/v2.0/token",
            }  # fmt: skip
        way = "/".join(part for part in (config.prefix.strip("/"), quote(config.function, safe="/-_.:")) if part)
        request = HttpConfig.model_validate({
            "url": f"{config.app.rstrip('/')}/{way}", "method": config.method, "authentication": authentication, "headers": config.headers,
            "query_parameters": config.query_parameters, "body": config.body, "timeout_in_seconds": config.timeout_in_seconds,
        })  # fmt: skip
        return await self._http.call(request, call)

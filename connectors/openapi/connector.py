"""One call: the document, what it says of the operation, and the request by way of the HTTP connector, whose authentication, limits and classes of errors hold."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import Any

from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.http import body as bodies
from flowledger.connectors.http.config import HttpConfig, NoAuth
from flowledger.connectors.http.connector import HttpConnector
from flowledger.connectors.kept import Kept, named, same_server
from flowledger.connectors.openapi.config import OpenApiConfig
from flowledger.connectors.openapi.document import Document, Operation, is_json, picked
from flowledger.connectors.openapi.request import invalid, written
from flowledger.connectors.reach import within

_ACCEPT = "application/vnd.oai.openapi+json, application/json, application/yaml;q=0.9, */*;q=0.5"


class OpenApiConnector:
    name = "openapi"
    job_type = "flowledger:openapi"
    aliases: tuple[str, ...] = ()
    config: type[Config] = OpenApiConfig

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = HttpConnector()
        #: those that were fetched, and those that stand in models
        self._kept: Kept[Document] = Kept(clock)
        self._own: Kept[Document] = Kept(clock)

    async def close(self) -> None:
        await self._http.close()

    async def call(self, config: OpenApiConfig, call: Call) -> dict[str, Any]:
        """`{status, reason, headers, body}`. Raises: as the HTTP connector, and Failed for what doesn't fit the document."""
        async with within(config.timeout_in_seconds, call):
            document = await self._document(config, call)
            operation = document.operation(config.operation_id)
            request = self._request(config, document, operation)
            answer = await self._http.call(request, call)
        if config.answers == "check":
            _checked(document, operation, answer)
        return answer

    def _request(self, config: OpenApiConfig, document: Document, operation: Operation) -> HttpConfig:
        told = written(document, operation, config.parameters)
        kind = _body(document, operation, config)
        if config.profile:
            base = ""
        else:
            base = config.url or document.base(operation, config.server, config.server_variables)
            if (
                not config.url
                and config.document_url
                and not isinstance(config.authentication, NoAuth)
                and not same_server(base, config.document_url)
            ):
                raise Failed(
                    "CONFIGURATION",
                    "url: expected the server's address, since the document leads elsewhere and who we are is not for everybody",
                )
        accept = ", ".join(dict.fromkeys(k for s, kinds in operation.answers.items() if s.startswith("2") for k in kinds))
        headers = {**({"Accept": accept} if accept else {}), **told.headers, **({"Content-Type": kind} if kind else {})}
        own = {name.lower() for name in config.headers}
        given = {
            "profile": config.profile,
            "url": base.rstrip("/") + told.path + (f"?{told.query}" if told.query else ""), "method": operation.method,
            "authentication": config.authentication, "headers": {**{k: v for k, v in headers.items() if k.lower() not in own}, **config.headers},
            "body": config.body, "connection_timeout_in_seconds": config.connection_timeout_in_seconds,
            "read_timeout_in_seconds": config.read_timeout_in_seconds, "timeout_in_seconds": config.timeout_in_seconds,
            "idempotency_header": config.idempotency_header,
        }  # fmt: skip
        return HttpConfig.model_validate(given)

    async def _document(self, config: OpenApiConfig, call: Call) -> Document:
        """Raises: Failed, and what the HTTP connector raises."""
        if config.document:
            name = hashlib.sha256(config.document.encode()).hexdigest()
            return await self._own.of(name, lambda: asyncio.to_thread(Document, config.document))
        return await self._kept.of(await named(config.document_url, config.profile, call), lambda: self._fetched(config, call))

    async def _fetched(self, config: OpenApiConfig, call: Call) -> Document:
        """Who we are is shown to the profile's server alone, not to whoever keeps documents."""
        given = {
            "profile": config.profile, "url": config.document_url, "headers": {"Accept": _ACCEPT},
            "connection_timeout_in_seconds": config.connection_timeout_in_seconds, "read_timeout_in_seconds": config.read_timeout_in_seconds,
            "timeout_in_seconds": config.timeout_in_seconds,
        }  # fmt: skip
        try:
            found = (await self._http.call(HttpConfig.model_validate(given), call))["body"]
        except Failed as e:
            e.message = f"the OpenAPI document: {e.message}"
            raise
        address = config.document_url if "://" in config.document_url else ""
        text = found if isinstance(found, str) else bodies.encode(found)
        return await asyncio.to_thread(Document, text, address)


def _body(document: Document, operation: Operation, config: OpenApiConfig) -> str:
    """The media type that the body goes as; empty: there is none. Raises: Failed."""
    if config.body is None or config.body == "":
        if operation.body_required:
            raise invalid(f"body: the operation {operation.id} needs one")
        return ""
    if not operation.body:
        raise invalid(f"body: the operation {operation.id} takes none")
    kind = picked(operation.body, config.content_type)
    if not kind:
        raise invalid(f"contentType: the operation {operation.id} takes {', '.join(list(operation.body)[:10])}")
    sent = config.content_type or (kind if "*" not in kind else "text/plain" if isinstance(config.body, str) else "application/json")
    structured = is_json(sent) or sent in (bodies.FORM, bodies.MULTIPART)
    if isinstance(config.body, (dict, list)) and not structured:
        raise invalid(f"body: expected a text for {sent}, found a {'context' if isinstance(config.body, dict) else 'list'}")
    # a text is sent as it is: it may be JSON that somebody has written
    value = _parsed(config.body) if is_json(sent) and isinstance(config.body, str) else config.body
    if structured and (wrong := document.problems(operation.body[kind], value, writing=True)):
        raise invalid(f"body: {'; '.join(wrong)}")
    return sent


def _parsed(text: str) -> Any:
    try:
        return bodies.value_of(text.encode(), "application/json")
    except Failed:
        raise invalid("body: expected JSON, found another text") from None


def _checked(document: Document, operation: Operation, answer: dict[str, Any]) -> None:
    """Raises: Failed `ANSWER_SHAPE`."""
    status = str(answer["status"])
    kinds = next((operation.answers[s] for s in (status, f"{status[0]}XX", f"{status[0]}xx", "default") if s in operation.answers), None)
    if kinds is None:
        raise Failed("ANSWER_SHAPE", f"the document knows no answer {status} of {operation.id}", response=answer)
    if not kinds:
        return
    told = str({k.lower(): v for k, v in answer["headers"].items()}.get("content-type", ""))
    kind = picked(kinds, told) if told else ""
    if not kind:
        raise Failed(
            "ANSWER_SHAPE", f"expected {', '.join(list(kinds)[:10])} from {operation.id}, found {told[:100] or 'nothing'}", response=answer
        )
    if is_json(told) and (wrong := document.problems(kinds[kind], answer["body"])):
        raise Failed("ANSWER_SHAPE", f"the answer of {operation.id} is not as the document says: {'; '.join(wrong)}", response=answer)

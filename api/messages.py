"""Messages: to one instance, or the start of one, found by name and correlation key."""

from __future__ import annotations

from typing import Any

from litestar import Response, post

from flowledger.api.edge import ApiRequest, Body, reply
from flowledger.api.problems import malformed
from flowledger.api.services import services_of
from flowledger.api.view import answer_view
from flowledger.events.commands import PublishMessage


class MessageBody(Body):
    """`ttl_ms`: kept that long for those who come to wait for it. `message_id`: a second one of this id, name and key is refused."""

    name: str
    correlation_key: str = ""
    variables: dict[str, Any] = {}
    ttl_ms: int = 0
    message_id: str = ""


@post("/messages", summary="Publish a message")
async def publish(request: ApiRequest, data: MessageBody) -> Response[Any]:
    if not data.name:
        raise malformed("a name was expected, found an empty text", "body name")
    if data.ttl_ms < 0:
        raise malformed(f"0 or more was expected, found {data.ttl_ms}", "body ttl_ms")
    command = PublishMessage(
        name=data.name, correlation_key=data.correlation_key, variables=data.variables, ttl_ms=data.ttl_ms, message_id=data.message_id
    )
    return reply(answer_view(await services_of(request).call(command, request)), 201)


HANDLERS: list[Any] = [publish]

"""Messages: to one instance, or the start of one, found by name and correlation key."""

from __future__ import annotations

from typing import Any

from litestar import Response, post

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, Body, Millis, Name, Text, Variables, reply
from flowledger.api.services import services_of
from flowledger.api.view import answer_view
from flowledger.events.commands import PublishMessage


class MessageBody(Body):
    """`ttl_ms`: kept that long for those who come to wait for it. `message_id`: a second one of this id, name and key is refused."""

    name: Name
    correlation_key: Text = ""
    variables: Variables = {}
    ttl_ms: Millis = 0
    message_id: Text = ""


@post("/messages", previews=True, summary="Publish a message")
async def publish(request: ApiRequest, data: MessageBody) -> Response[a.Done]:
    command = PublishMessage(
        name=data.name, correlation_key=data.correlation_key, variables=data.variables, ttl_ms=data.ttl_ms, message_id=data.message_id
    )
    return reply(answer_view(await services_of(request).call(command, request)), 201)


HANDLERS: list[Any] = [publish]

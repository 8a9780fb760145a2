"""Signals: to everyone who waits for that name, on all partitions."""

from __future__ import annotations

from typing import Any

from litestar import Response, post

from flowledger.api.edge import ApiRequest, Body, reply
from flowledger.api.problems import malformed
from flowledger.api.services import services_of
from flowledger.api.view import answer_view
from flowledger.events.commands import BroadcastSignal


class SignalBody(Body):
    name: str
    variables: dict[str, Any] = {}


@post("/signals", summary="Broadcast a signal")
async def broadcast(request: ApiRequest, data: SignalBody) -> Response[Any]:
    if not data.name:
        raise malformed("a name was expected, found an empty text", "body name")
    command = BroadcastSignal(name=data.name, variables=data.variables)
    return reply(answer_view(await services_of(request).call(command, request)), 201)


HANDLERS: list[Any] = [broadcast]

"""Signals, to everyone who waits for that name; and conditions, looked at by all processes that start when one is true."""

from __future__ import annotations

from typing import Any

from litestar import Response, post

from flowledger.api.edge import ApiRequest, Body, key_of, reply
from flowledger.api.problems import malformed
from flowledger.api.services import services_of
from flowledger.api.view import answer_view
from flowledger.events.commands import BroadcastSignal, EvaluateConditions


class SignalBody(Body):
    name: str
    variables: dict[str, Any] = {}


@post("/signals", summary="Broadcast a signal")
async def broadcast(request: ApiRequest, data: SignalBody) -> Response[Any]:
    if not data.name:
        raise malformed("a name was expected, found an empty text", "body name")
    command = BroadcastSignal(name=data.name, variables=data.variables)
    return reply(answer_view(await services_of(request).call(command, request)), 201)


class ConditionsBody(Body):
    variables: dict[str, Any] = {}
    definition: str | int = 0


@post("/conditions/evaluate", status_code=200, summary="Start what begins by a condition")
async def evaluate_conditions(request: ApiRequest, data: ConditionsBody) -> Response[Any]:
    """Processes with a conditional start event that is true for these variables get an instance; `definition` (a key) asks one of them."""
    key = key_of(data.definition, "definition") if data.definition else 0
    answer = await services_of(request).call(EvaluateConditions(variables=data.variables, definition=key), request)
    return reply({**answer_view(answer), "instances": [str(k) for k in answer.get("instances", [])]})


HANDLERS: list[Any] = [broadcast, evaluate_conditions]

"""Signals, to everyone who waits for that name; and conditions, looked at by all processes that start when one is true."""

from __future__ import annotations

from typing import Any

from litestar import Response, post

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, Body, DefinitionRef, Name, Variables, reply
from flowledger.api.services import definition_key, services_of
from flowledger.api.view import answer_view
from flowledger.events.commands import BroadcastSignal, EvaluateConditions


class SignalBody(Body):
    name: Name
    variables: Variables = {}


@post("/signals", previews=True, summary="Broadcast a signal")
async def broadcast(request: ApiRequest, data: SignalBody) -> Response[a.Done]:
    command = BroadcastSignal(name=data.name, variables=data.variables)
    return reply(answer_view(await services_of(request).call(command, request)), 201)


class ConditionsBody(Body):
    variables: Variables = {}
    definition: DefinitionRef | None = None


@post("/conditions/evaluate", status_code=200, summary="Start what begins by a condition")
async def evaluate_conditions(request: ApiRequest, data: ConditionsBody) -> Response[a.Conditions]:
    """Processes with a conditional start event that is true for these variables get an instance; `definition` asks one of them."""
    key = await definition_key(services_of(request), request, data.definition, "body definition") if data.definition else 0
    answer = await services_of(request).call(EvaluateConditions(variables=data.variables, definition=key), request)
    return reply({**answer_view(answer), "instances": [str(k) for k in answer.get("instances", [])]})


HANDLERS: list[Any] = [broadcast, evaluate_conditions]
